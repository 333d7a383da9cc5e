package grid

import "time"

// ImportKind says what the rows of a sheet are; Auto finds it by the headers.
type ImportKind string

const (
	ImportAuto          ImportKind = "auto"
	ImportPoints        ImportKind = "points"
	ImportDevices       ImportKind = "devices"
	ImportInstallations ImportKind = "installations"
	ImportBuildings     ImportKind = "buildings"
)

// ImportState is how far a sheet is.
type ImportState string

const (
	ImportChecking ImportState = "checking" // each row is compared with what is registered
	ImportChecked  ImportState = "checked"  // nothing was changed; it may be applied
	ImportApplying ImportState = "applying" // it waits for its turn, or Done rows of it are in force
	ImportApplied  ImportState = "applied"
	ImportUndoing  ImportState = "undoing"
	ImportUndone   ImportState = "undone"
	ImportFailed   ImportState = "failed" // Error says why
)

// Busy says that the gateway works on it by itself.
func (s ImportState) Busy() bool {
	return s == ImportChecking || s == ImportApplying || s == ImportUndoing
}

// Import is a sheet that was handed in. Its counts are of rows below the headers, but Bad
// counts the header row too if a column of it is wrong.
type Import struct {
	ID      string      `json:"id"`
	Name    string      `json:"name,omitempty"` // of the file
	Kind    ImportKind  `json:"kind"`
	State   ImportState `json:"state"`
	DryRun  bool        `json:"dry_run,omitempty"`  // nothing is applied before a person says so
	SkipBad bool        `json:"skip_bad,omitempty"` // the good rows are applied though there are bad ones
	SHA256  string      `json:"sha256"`
	Bytes   int64       `json:"bytes"`

	Rows    int `json:"rows"`
	Good    int `json:"good"` // added, changed or same
	Bad     int `json:"bad"`
	Same    int `json:"same"`
	Changed int `json:"changed"`
	Added   int `json:"added"`
	Done    int `json:"done"`           // the row of the sheet up to which it is applied, or chunks that are undone
	Kept    int `json:"kept,omitempty"` // what an undo has left as it is, each with its reason among the problems

	Error   string    `json:"error,omitempty"`
	By      Actor     `json:"by"`
	At      time.Time `json:"at"`
	Applied time.Time `json:"applied,omitzero"` // when its rows came in force
	Ended   time.Time `json:"ended,omitzero"`   // of its present state
	Scope
	Cell string `json:"cell,omitempty"`
	Mode Mode   `json:"mode"`
}

// ImportProblem is what is wrong with one cell, or with a whole row where Column is "".
type ImportProblem struct {
	Row     int    `json:"row"` // as the spreadsheet numbers it; 1 is the header
	Column  string `json:"column,omitempty"`
	Value   string `json:"value,omitempty"`
	Problem Text   `json:"problem"`
}

// ImportRow is what a sheet's row says of what is registered.
type ImportRow struct {
	Row    int      `json:"row"`
	Result string   `json:"result"` // added, changed, same or bad
	What   string   `json:"what,omitempty"`
	Fields []string `json:"fields,omitempty"` // keys of the columns that differ
}

// ImportPiece is what some rows of a sheet make of the registry: rows as they are to be.
type ImportPiece struct {
	Import                    string
	From, To                  int // rows of the sheet: From is where the import stands, To where it stands then
	By                        Actor
	Registry                  uint64
	Points                    []Point
	Buildings                 []Building
	Devices                   []Device
	Installations             []Installation
	Was                       []byte // what undoes it: opaque to the engine
	Same, Changed, Added, Bad int
	Last                      bool
}

// ImportUndo takes one piece back.
type ImportUndo struct {
	Import        string
	Piece         int // the one that is taken back
	By            Actor
	Registry      uint64
	Points        []Point // as they were
	Buildings     []Building
	Devices       []Device
	Installations []Installation
	Gone          ImportGone
	Kept          []ImportProblem // what is left as it is
	Last          bool
}

// ImportGone are rows that are not to be in the registry.
type ImportGone struct {
	Points        []string
	Buildings     []string
	Devices       []Identity
	Installations []Installation // by device, channel and From
}
