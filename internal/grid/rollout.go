package grid

import "time"

// RolloutStage is how far a new version of a firmware profile has come.
type RolloutStage string

const (
	RolloutShadow RolloutStage = "shadow" // it decodes beside the version in force, and nothing of it counts
	RolloutShare  RolloutStage = "share"  // it decodes a share of the profile's devices
	RolloutAll    RolloutStage = "all"    // it is the version in force
	RolloutBack   RolloutStage = "back"   // it was taken back: the former version is in force
)

// Running reports whether both versions decode.
func (s RolloutStage) Running() bool { return s == RolloutShadow || s == RolloutShare }

// ProfileVersion is a version of a profile that was uploaded, as the texts of its files.
// It does not change.
type ProfileVersion struct {
	Profile string            `json:"profile"`
	Version string            `json:"version"`
	Files   map[string]string `json:"files,omitempty"` // name → text
	By      Actor             `json:"by"`
	At      time.Time         `json:"at"`
	Reason  string            `json:"reason,omitempty"`
}

// RolloutStep is one step of a roll-out: what holds for a profile from it on, until the
// next. The steps of a profile are its history.
type RolloutStep struct {
	Profile string       `json:"profile"`
	N       int          `json:"n"`       // from 1, of the profile
	Rollout string       `json:"rollout"` // id of the roll-out
	Version string       `json:"version"` // that is rolled out
	Former  string       `json:"former,omitempty" doc:"Version that was in force before; empty: none."`
	Kept    bool         `json:"former_rolled_out,omitempty" doc:"The former version was rolled out too; else it is of the gateway's files."`
	Stage   RolloutStage `json:"stage" enum:"shadow,share,all,back"`
	Share   int          `json:"share,omitempty" doc:"Percent of the devices."`
	Devices []Identity   `json:"devices,omitempty" doc:"In the share whatever the percentage."`
	Forced  bool         `json:"forced,omitempty" doc:"In spite of lost alarms."`
	Recount bool         `json:"recount,omitempty" doc:"The versions count frames differently: each device begins a new session of its counter."`
	By      Actor        `json:"by"`
	Reason  string       `json:"reason,omitempty"`
	Detail  string       `json:"detail,omitempty" doc:"What the comparison with real frames said."`
	At      time.Time    `json:"at"`

	// Cursors are the last frames that it does not hold for.
	Cursors [Lanes]Pos `json:"-"`
}
