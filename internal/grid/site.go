package grid

import (
	"encoding/json"
	"time"
)

// Privacy says whose space a point looks into.
type Privacy string

const (
	PublicSpace    Privacy = "public_space"
	SharedBuilding Privacy = "shared_building"
	Dwelling       Privacy = "dwelling"
)

// PointState is where a point is in its life.
type PointState string

const (
	PointPlanned PointState = "planned" // nothing is installed yet
	PointActive  PointState = "active"
	PointPending PointState = "pending" // installed, and its commissioning is not proven: not protected
	PointRetired PointState = "retired"
)

// SiteKind is what a site is.
type SiteKind string

const (
	CompoundSite  SiteKind = "compound"
	ParkSite      SiteKind = "park"
	StreetSection SiteKind = "street_section"
)

// Site is a compound, a park or a section of a street.
type Site struct {
	ID      string   `json:"id" yaml:"id"`
	Name    string   `json:"name" yaml:"name"`
	Kind    SiteKind `json:"kind" yaml:"kind"`
	Address string   `json:"address,omitempty" yaml:"address,omitempty"`
	Scope   `yaml:",inline"`
	Cell    string    `json:"cell,omitempty" yaml:"cell,omitempty"`
	Mode    Mode      `json:"mode,omitempty" yaml:"mode,omitempty"`
	Lon     float64   `json:"lon,omitempty" yaml:"lon,omitempty"`
	Lat     float64   `json:"lat,omitempty" yaml:"lat,omitempty"`
	CRS     string    `json:"crs,omitempty" yaml:"crs,omitempty"`
	Owner   string    `json:"owner,omitempty" yaml:"owner,omitempty"` // a unit's or an organisation's id
	Notes   string    `json:"notes,omitempty" yaml:"notes,omitempty"`
	Retired time.Time `json:"retired,omitzero" yaml:"-"`
}

// Building is one house. A point names it by its id.
type Building struct {
	ID        string   `json:"id" yaml:"id"`
	Name      string   `json:"name" yaml:"name"`
	Site      string   `json:"site,omitempty" yaml:"site,omitempty"`
	Address   string   `json:"address,omitempty" yaml:"address,omitempty"`
	Entrances []string `json:"entrances,omitempty" yaml:"entrances,omitempty"` // in words, the first is the one to take
	// KeyHolder is the role of a contact (property desk, guard of gate 2), never a person's name:
	// names and numbers are kept with the contacts, sealed.
	KeyHolder string `json:"key_holder,omitempty" yaml:"key_holder,omitempty"`
	Floors    int    `json:"floors,omitempty" yaml:"floors,omitempty"`
	Scope     `yaml:",inline"`
	Cell      string    `json:"cell,omitempty" yaml:"cell,omitempty"`
	Mode      Mode      `json:"mode,omitempty" yaml:"mode,omitempty"`
	Lon       float64   `json:"lon,omitempty" yaml:"lon,omitempty"`
	Lat       float64   `json:"lat,omitempty" yaml:"lat,omitempty"`
	CRS       string    `json:"crs,omitempty" yaml:"crs,omitempty"`
	Owner     string    `json:"owner,omitempty" yaml:"owner,omitempty"`
	Notes     string    `json:"notes,omitempty" yaml:"notes,omitempty"`
	Retired   time.Time `json:"retired,omitzero" yaml:"-"`
}

// Battery is what feeds a device.
type Battery struct {
	Type   string    `json:"type,omitempty" yaml:"type,omitempty"` // for example ER18505
	Cells  int       `json:"cells,omitempty" yaml:"cells,omitempty"`
	Fitted time.Time `json:"fitted,omitzero" yaml:"fitted,omitempty"`
}

// Act is who changes the registry, when and why. Act.At is when it was done, which is earlier
// than now for what was done without a network.
type Act struct {
	By     Actor
	Via    string // "api", "import", "claim", …; "" is "api"
	At     time.Time
	Reason string
	Key    string // makes it idempotent
}

// OfflineFor is how far back an act may lie that is told only now.
const OfflineFor = 7 * 24 * time.Hour

// Change is one line of the history of the registry: what a row was and what it is, only the
// fields that changed. Before is absent of what is new; a field that is gone is null in After.
type Change struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`       // when it was done
	Recorded time.Time `json:"recorded"` // when we were told
	By       Actor     `json:"by"`
	Via      string    `json:"via"`
	Action   string    `json:"action"` // "created", "changed", "installed", "ended", "noted", "photo"
	Kind     string    `json:"kind"`   // "point", "device", "installation", "building", "site" or "unit"
	Subject  string    `json:"subject"`
	Point    string    `json:"point,omitempty"`
	Device   Identity  `json:"device,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Cause    string    `json:"cause,omitempty"` // the same for all lines of one act
	N        int       `json:"n"`               // place among them

	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	Scope
	Cell string `json:"cell,omitempty"`
	Mode Mode   `json:"mode"`
}

// PointPhoto is a photo of a point. What is kept has no position and no other metadata; Original
// is the hash of what was sent.
type PointPhoto struct {
	ID    string `json:"id"`
	Point string `json:"point"`
	Scope
	Cell     string    `json:"cell,omitempty"`
	Mode     Mode      `json:"mode"`
	SHA256   string    `json:"sha256"`
	Original string    `json:"original"`
	Bytes    int64     `json:"bytes"`
	Type     string    `json:"type"`
	Shows    string    `json:"shows"`
	Note     string    `json:"note,omitempty"`
	By       Actor     `json:"by"`
	At       time.Time `json:"at"`
	Erased   time.Time `json:"erased,omitzero"` // the bytes and the note are gone
	Why      string    `json:"erased_why,omitempty"`
}

// Swap puts another device in the place of one.
type Swap struct {
	Old     Identity
	With    Identity
	Profile string // "" : what With is registered with, else that of Old
	Channel string // only this one; "" : all
	Mode    Mode   // "" : that of Old
	Details Device // what else is known of the new device
	Act
}

// Swapped says what a swap has done.
type Swapped struct {
	Old           Device         `json:"old"`
	New           Device         `json:"new"`
	Installations []Installation `json:"installations"` // of the new device
	Tickets       []string       `json:"tickets,omitempty"`
	Replayed      int            `json:"replayed"`
}

// DeviceMove puts a device at another point.
type DeviceMove struct {
	Device  Identity
	Point   string
	Channel string // only this one; "" : main, and all others end
	Act
}
