// Package firmwareprofiles holds the firmware profiles that come with gridgate, as data.
// Package profile reads them; the simulator reads the same files.
package firmwareprofiles

import "embed"

// FS is every <vendor>/<model>/{profile.yaml, cases.yaml}.
//
//go:embed */*/*.yaml
var FS embed.FS
