package profile

import (
	"time"

	"gridgate/internal/grid"
)

// Where the version in force comes from.
const (
	FromFiles = "files"   // the gateway's own: built in, or of a configured folder
	RolledOut = "rollout" // it was uploaded and rolled out to all
)

// Rollout is how the versions of one profile stand.
type Rollout struct {
	Profile string            `json:"profile"`
	InForce string            `json:"in_force,omitempty" doc:"The version that decodes; empty: none."`
	Origin  string            `json:"origin,omitempty" enum:"files,rollout" doc:"Where the version in force comes from."`
	InFiles string            `json:"in_files,omitempty" doc:"The version of the gateway's files: built in, or of a configured folder."`
	Running bool              `json:"running" doc:"A candidate decodes beside the version in force, or a share of the devices."`
	Stage   grid.RolloutStage `json:"stage,omitempty" doc:"Of the newest roll-out."`
	Version string            `json:"version,omitempty" doc:"That is, or was last, rolled out."`
	Share   int               `json:"share,omitempty" doc:"Percent of the devices."`
	Devices []grid.Identity   `json:"devices,omitempty" doc:"In the share whatever the percentage."`

	Guard   *GuardCount `json:"guard,omitempty" doc:"Of the share, since the gateway started."`
	Live    *Diff       `json:"live,omitempty" doc:"Both versions on what came in, since the roll-out or the gateway started."`
	Waiting int64       `json:"quarantined" doc:"Frames of the profile's devices that wait in quarantine."`
	Problem string      `json:"problem,omitempty"`

	Extended []string `json:"extended_by,omitempty" doc:"Profiles that extend it: they go on with the text of the gateway's files."`

	Steps []grid.RolloutStep `json:"steps,omitempty" doc:"The history, oldest first."`
}

// GuardCount counts frames of the devices of a share.
type GuardCount struct {
	Frames    int64 `json:"frames"`
	OldErrors int64 `json:"old_errors"`
	NewErrors int64 `json:"new_errors"`
}

// RolloutStart is the wish to begin a roll-out.
type RolloutStart struct {
	Key     string            // makes it idempotent; "" does not
	Files   map[string]string // the candidate
	Stage   grid.RolloutStage // "" is shadow
	Share   int
	Devices []grid.Identity
	Last    int  // frames to compare before a share or all; 0: the default
	Force   bool // in spite of lost alarms
	Reason  string
	By      grid.Actor
}

// RolloutChange is the wish to change the roll-out that runs.
type RolloutChange struct {
	Key     string
	Profile string
	Stage   grid.RolloutStage
	Share   int
	Devices []grid.Identity
	Last    int
	Force   bool
	Reason  string
	By      grid.Actor
}

// DiffRequest asks what a candidate would change.
type DiffRequest struct {
	Profile string            // of the roll-out that runs, where Files is empty
	Files   map[string]string // the candidate
	Last    int               // frames; 0: 10,000
	Within  time.Duration     // it ends by then with what it has; 0: 30 s
}

// Bounds of a comparison with past frames.
const (
	DefaultLast = 10_000
	MaxLast     = 1_000_000
)

// DiffProgress is how far a comparison has come.
type DiffProgress struct {
	Running bool   `json:"running"`
	Profile string `json:"profile,omitempty"`
	Frames  int64  `json:"frames" doc:"Compared so far."`
	Of      int64  `json:"of" doc:"At most."`
	Looked  int64  `json:"looked" doc:"Frames of the journal that were looked at."`
}
