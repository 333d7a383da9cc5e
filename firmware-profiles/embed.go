// Package firmwareprofiles holds the firmware profiles that come with gridgate, as data.
// Package profile reads them; the simulator reads the same files.
package firmwareprofiles

import "embed"

// FS is every <vendor>/<model>/{profile.yaml, cases.yaml}, and the JSON schemas of both
// kinds of file, for editors.
//
//go:embed */*/*.yaml *.schema.json
var FS embed.FS
