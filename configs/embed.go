// Package configs holds the built-in rule files and the commented sample configurations.
package configs

import "embed"

// FS holds every .yaml file of this folder and the demo's district: rules.yaml and tickets.yaml are what a
// gateway uses that is given none.
//
//go:embed *.yaml *.geojson demo/*.yaml connectors/*.yaml
var FS embed.FS
