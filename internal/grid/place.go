package grid

import "time"

// Kind is what a point watches.
type Kind string

const (
	Door    Kind = "door"
	Parking Kind = "parking"
	Manhole Kind = "manhole"
	Smoke   Kind = "smoke"
)

// ParseKind reads a kind.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case Door, Parking, Manhole, Smoke:
		return k, nil
	}
	return "", Errorf(Invalid, "kind is %q: want door, parking, manhole or smoke", s)
}

// Scope places a row in the tree district › street › community › compound; every row
// that a person may see carries one and every query filters by it. Codes, not names:
// District 6 digits, Street 9, Community 12. Contractor is the maintenance firm, if any.
type Scope struct {
	District   string `json:"district,omitempty" yaml:"district,omitempty"`
	Street     string `json:"street,omitempty" yaml:"street,omitempty"`
	Community  string `json:"community,omitempty" yaml:"community,omitempty"`
	Compound   string `json:"compound,omitempty" yaml:"compound,omitempty"`
	Contractor string `json:"contractor,omitempty" yaml:"contractor,omitempty"`
}

// Point is the monitored place: this manhole, this door, this bay, this ceiling.
// Devices come and go, points stay.
type Point struct {
	ID        string `json:"id" yaml:"id"`
	Name      string `json:"name" yaml:"name"`
	Kind      Kind   `json:"kind" yaml:"kind"`
	Scope     `yaml:",inline"`
	Cell      string  `json:"cell,omitempty" yaml:"cell,omitempty"`           // 15-digit unit grid code
	Component string  `json:"component,omitempty" yaml:"component,omitempty"` // 16-digit component code
	Building  string  `json:"building,omitempty" yaml:"building,omitempty"`
	Floor     string  `json:"floor,omitempty" yaml:"floor,omitempty"`
	Room      string  `json:"room,omitempty" yaml:"room,omitempty"`
	Address   string  `json:"address,omitempty" yaml:"address,omitempty"` // the place in words
	Lon       float64 `json:"lon,omitempty" yaml:"lon,omitempty"`
	Lat       float64 `json:"lat,omitempty" yaml:"lat,omitempty"`
	CRS       string  `json:"crs,omitempty" yaml:"crs,omitempty"` // WGS84 (stored form); others are converted on import
	// Given is the position as it came, where that was not WGS84; Placed says what the cell
	// comes from: PlacedByRegion, PlacedByHand or, where no borders were known, "".
	Given  Position `json:"given,omitzero" yaml:"given,omitempty"`
	Placed string   `json:"placed,omitempty" yaml:"placed,omitempty"`
	Rules  string   `json:"rules,omitempty" yaml:"rules,omitempty"` // rule set; "" is the default of its kind
	Mode   Mode     `json:"mode,omitempty" yaml:"mode,omitempty"`

	Site    string     `json:"site,omitempty" yaml:"site,omitempty"`
	Owner   string     `json:"owner,omitempty" yaml:"owner,omitempty"` // a unit's or an organisation's id
	Privacy Privacy    `json:"privacy,omitempty" yaml:"privacy,omitempty"`
	State   PointState `json:"state,omitempty" yaml:"state,omitempty"`
	Notes   string     `json:"notes,omitempty" yaml:"notes,omitempty"`
}

// DeviceState is where a device is in its life with us.
type DeviceState string

const (
	Registered DeviceState = "registered" // known, not installed: not supervised
	Installed  DeviceState = "installed"  // at a point: supervised
	Barred     DeviceState = "barred"     // its frames are quarantined until a person decides
	Retired    DeviceState = "retired"    // taken out; its frames are quarantined
)

// Device is the hardware. Interval zero means the profile's reporting interval.
type Device struct {
	Identity  Identity      `json:"identity" yaml:"identity"`
	Profile   string        `json:"profile" yaml:"profile"` // "<vendor>/<model>"
	State     DeviceState   `json:"state" yaml:"state,omitempty"`
	Mode      Mode          `json:"mode,omitempty" yaml:"mode,omitempty"`
	Interval  time.Duration `json:"interval_ns,omitempty" yaml:"interval,omitempty"`
	Installed time.Time     `json:"installed,omitzero" yaml:"-"` // when supervision began
	Source    string        `json:"source,omitempty" yaml:"-"`   // the transport source it was last heard by

	Serial   string    `json:"serial,omitempty" yaml:"serial,omitempty"`
	Label    string    `json:"label,omitempty" yaml:"label,omitempty"` // what its maker printed on it, without secrets
	Firmware string    `json:"firmware,omitempty" yaml:"firmware,omitempty"`
	Hardware string    `json:"hardware,omitempty" yaml:"hardware,omitempty"`
	Battery  Battery   `json:"battery,omitzero" yaml:"battery,omitempty"`
	Bought   time.Time `json:"bought,omitzero" yaml:"bought,omitempty"`
	Warranty time.Time `json:"warranty,omitzero" yaml:"warranty,omitempty"` // its end
	Owner    string    `json:"owner,omitempty" yaml:"owner,omitempty"`
	Notes    string    `json:"notes,omitempty" yaml:"notes,omitempty"`

	// Why it is in its state and since when, where somebody said so.
	Why        string    `json:"why,omitempty" yaml:"-"`
	Since      time.Time `json:"since,omitzero" yaml:"-"`
	Stolen     bool      `json:"stolen,omitempty" yaml:"-"`
	ReplacedBy Identity  `json:"replaced_by,omitempty" yaml:"-"`
	LastPoint  string    `json:"last_point,omitempty" yaml:"-"` // of one that was taken out
}

// Installation ties a device channel to a point, from a time to a time (zero: until now).
type Installation struct {
	Device  Identity  `json:"device" yaml:"device"`
	Channel string    `json:"channel" yaml:"channel"`
	Point   string    `json:"point" yaml:"point"`
	From    time.Time `json:"from" yaml:"from"`
	To      time.Time `json:"to,omitzero" yaml:"to,omitempty"`
}

// UnitKind says what a unit does.
type UnitKind string

const (
	FireUnit        UnitKind = "fire"
	MicroStation    UnitKind = "micro_fire_station"
	UrbanManagement UnitKind = "urban_management"
	Utility         UnitKind = "utility"
	Property        UnitKind = "property"
	Committee       UnitKind = "residents_committee"
	Maintenance     UnitKind = "maintenance"
	Operator        UnitKind = "operator"
	ChannelUnit     UnitKind = "channel" // only another way to a unit: nobody calls it by itself
)

// Unit is who handles. Mode Live units get only live tickets; a simulated unit gets
// only what is not live. Endpoint and secret are for its connector.
type Unit struct {
	ID        string   `json:"id" yaml:"id"`
	Name      string   `json:"name" yaml:"name"`
	Kind      UnitKind `json:"kind" yaml:"kind"`
	Tier      int      `json:"tier" yaml:"tier"` // 1 self-help, 2 mutual help, 3 public rescue, 4 district command
	Scope     `yaml:",inline"`
	Mode      Mode   `json:"mode" yaml:"mode"`
	Connector string `json:"connector" yaml:"connector"` // "webhook", "inbox", "cap", … or a connector that is data
	URL       string `json:"url,omitempty" yaml:"url,omitempty"`
	// Settings is what else the connector asks for, by its own strict list of keys. Nothing
	// secret stands in it.
	Settings map[string]string `json:"settings,omitempty" yaml:"settings,omitempty"`
	Secret   string            `json:"-" yaml:"secret,omitempty"`              // whsec_…, for the signature
	Token    string            `json:"-" yaml:"token,omitempty"`               // what the unit shows to our API
	Phone    string            `json:"phone,omitempty" yaml:"phone,omitempty"` // of its duty desk, for the operator
	// Entry is how a fire unit lets tickets in: auto, confirmed_only or operator (default).
	Entry string `json:"entry,omitempty" yaml:"entry,omitempty"`
	// Backup is the entry of its next channel: what is P1 and not received in 10 s goes there too.
	Backup string `json:"backup,omitempty" yaml:"backup,omitempty"`
	// Test is how often its channel is tested: a time such as 1h, "" for 2h, or off.
	Test string `json:"test,omitempty" yaml:"test,omitempty"`
	// Quiet names the hours in which its messages of P3 and P4 wait: a calendar, or "except"
	// and one. Digest: it gets one list of them at each change of shift instead.
	Quiet  string `json:"quiet,omitempty" yaml:"quiet,omitempty"`
	Digest bool   `json:"digest,omitempty" yaml:"digest,omitempty"`
	// Term of a maintenance contractor: outside of it its token opens nothing, and no ticket goes to it.
	Term Term `json:"term,omitzero" yaml:"term,omitempty"`
}

// Discovered is an identity that is heard and not registered. Its frames wait in
// quarantine until someone claims it.
type Discovered struct {
	Identity Identity  `json:"identity"`
	Guess    string    `json:"guess,omitempty"`  // best guess of the profile, "<vendor>/<model>"
	Reason   string    `json:"reason,omitempty"` // why that guess
	Smoke    bool      `json:"smoke,omitempty"`  // may be a smoke detector: rides the safety lane
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Frames   int       `json:"frames"`
	Source   string    `json:"source,omitempty"` // the transport source it was last heard by

	Guesses []ProfileGuess `json:"guesses,omitempty"` // all that may fit, best first

	Transport string   `json:"transport,omitempty"`
	Ignored   *Ignored `json:"ignored,omitempty"` // a person has set it aside
}

// ProfileGuess is a profile that may fit a device, with why. A person decides.
type ProfileGuess struct {
	Profile string `json:"profile"`
	Score   int    `json:"score"`
	Reason  string `json:"reason"`
	Smoke   bool   `json:"smoke,omitempty"` // it is for smoke detectors, or the frame speaks of smoke
	Fire    bool   `json:"fire,omitempty"`  // read with it, the frame says that there is a fire
}

// Registration is what a registry file or an import brings: all of it is put, or nothing.
type Registration struct {
	Points        []Point        `json:"points,omitempty" yaml:"points,omitempty"`
	Devices       []Device       `json:"devices,omitempty" yaml:"devices,omitempty"`
	Installations []Installation `json:"installations,omitempty" yaml:"installations,omitempty"`
	Units         []Unit         `json:"units,omitempty" yaml:"units,omitempty"`
	Sites         []Site         `json:"sites,omitempty" yaml:"sites,omitempty"`
	Buildings     []Building     `json:"buildings,omitempty" yaml:"buildings,omitempty"`
	Warnings      []string       `json:"warnings,omitempty" yaml:"-"` // what is odd about them
}

// ChannelHealth is how the tests of the channel to a unit go.
type ChannelHealth struct {
	Unit    string    `json:"unit"`
	Tested  time.Time `json:"tested,omitzero"` // when the newest test ended
	Due     time.Time `json:"due"`
	Fails   int       `json:"fails"` // in a row
	Problem string    `json:"problem,omitempty"`
}
