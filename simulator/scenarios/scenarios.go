// Package scenarios has the days of a city that come with the simulator.
package scenarios

import "embed"

// FS has the files, one a scenario.
//
//go:embed *.yaml
var FS embed.FS
