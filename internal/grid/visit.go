package grid

import (
	"encoding/json"
	"time"
)

// EventCommissioningPending says that a point was commissioned without a network and its
// test frame has not come: a technician goes there again.
const EventCommissioningPending EventType = "commissioning.pending"

// VisitState is how far a visit has come. Only frames of the device make it passed.
type VisitState string

const (
	VisitOpen    VisitState = "open"    // the technician is there
	VisitPending VisitState = "pending" // he says it is good; the device has not shown all of it
	VisitPassed  VisitState = "passed"
	VisitFailed  VisitState = "failed"
)

// StepState is how far one step of a visit has come.
type StepState string

const (
	StepWaiting StepState = "waiting"
	StepPassed  StepState = "passed"
	StepFailed  StepState = "failed"
	StepSkipped StepState = "skipped"
)

// Text is a sentence for a person in the field, in both languages.
type Text struct {
	ZH string `json:"zh" yaml:"zh"`
	EN string `json:"en" yaml:"en"`
}

// IsZero reports whether nothing is said.
func (t Text) IsZero() bool { return t == Text{} }

// In gives the sentence in one language; zh unless it is "en".
func (t Text) In(lang string) string {
	if lang == "en" {
		return t.EN
	}
	return t.ZH
}

// VisitStep is one thing to be shown in a visit, and how it went.
type VisitStep struct {
	ID     string    `json:"id"`
	Check  string    `json:"check"` // what shows it: see package commission
	Needs  string    `json:"needs"` // device, person or photo
	Must   bool      `json:"must"`  // without it a visit never passes
	Title  Text      `json:"title"`
	Say    Text      `json:"say,omitzero"` // what to do
	State  StepState `json:"state"`
	Detail Text      `json:"detail,omitzero"`
	At     time.Time `json:"at,omitzero"` // when it came to its state
	WaitS  int       `json:"wait_s"`      // how long it may take until it is heard
	Value  string    `json:"value,omitempty"`
	Photo  string    `json:"photo,omitempty"`
	// Said is the newest word of a person on it; By who said it.
	Said *VisitWord `json:"said,omitempty"`
}

// VisitWord is what a person says of a step.
type VisitWord struct {
	Step     string         `json:"step"`
	Result   StepState      `json:"result"`
	At       time.Time      `json:"at"`
	Note     string         `json:"note,omitempty"`
	Photo    string         `json:"photo,omitempty"`
	Position *VisitPosition `json:"position,omitempty"`
	By       Actor          `json:"by"`
}

// VisitPosition is where a technician's phone says that it is, and the cell of that place.
type VisitPosition struct {
	Lon       float64 `json:"lon"` // WGS-84, as everywhere inside
	Lat       float64 `json:"lat"`
	AccuracyM float64 `json:"accuracy_m,omitempty"`
	CRS       string  `json:"crs"`            // as it was given
	Cell      string  `json:"cell,omitempty"` // "" where the cells are not known
}

// VisitFrame is what a visit keeps of a frame of its device.
type VisitFrame struct {
	N         int            `json:"n"` // counts within the visit
	Frame     string         `json:"frame"`
	At        time.Time      `json:"at"`       // by the best clock that can be believed
	Received  time.Time      `json:"received"` // by our clock
	Link      string         `json:"link"`     // of configs/commissioning.yaml
	Transport string         `json:"transport"`
	Gateway   string         `json:"gateway,omitempty"`
	RSSIdBm   *float64       `json:"rssi_dbm,omitempty"`
	SNRdB     *float64       `json:"snr_db,omitempty"`
	Battery   *float64       `json:"battery,omitempty"` // percent
	Readings  []VisitReading `json:"readings"`
	Profile   string         `json:"profile,omitempty"` // "<vendor>/<model>@<version>" that read it
}

// VisitReading is a reading as a visit keeps it: of the visit's point.
type VisitReading struct {
	Signal Signal    `json:"signal"`
	Value  float64   `json:"value"`
	At     time.Time `json:"at,omitzero"` // of a record of the past; zero: the frame's
}

// MarshalJSON says conditions as true or false, like every face of a reading.
func (r VisitReading) MarshalJSON() ([]byte, error) {
	out := struct {
		Signal Signal     `json:"signal"`
		Value  any        `json:"value"`
		UOM    string     `json:"uom,omitempty"`
		At     *time.Time `json:"at,omitempty"`
	}{Signal: r.Signal, Value: r.Value, UOM: Signals[r.Signal].UOM}
	if Signals[r.Signal].Bool {
		out.Value = r.Value != 0
	}
	if !r.At.IsZero() {
		out.At = &r.At
	}
	return json.Marshal(out)
}

// UnmarshalJSON is the inverse.
func (r *VisitReading) UnmarshalJSON(b []byte) error {
	var in struct {
		Signal Signal    `json:"signal"`
		Value  any       `json:"value"`
		At     time.Time `json:"at"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*r = VisitReading{Signal: in.Signal, At: in.At}
	switch v := in.Value.(type) {
	case float64:
		r.Value = v
	case bool:
		if v {
			r.Value = 1
		}
	}
	return nil
}

// VisitSignal is how well a device is heard at its place: the middle of what was measured.
type VisitSignal struct {
	Link      string   `json:"link,omitempty"`
	Gateway   string   `json:"gateway,omitempty"` // of the newest frame
	Frames    int      `json:"frames"`            // that were measured
	RSSIdBm   *float64 `json:"rssi_dbm,omitempty"`
	SNRdB     *float64 `json:"snr_db,omitempty"`
	MinRSSI   *float64 `json:"min_rssi_dbm,omitempty"`
	MinSNR    *float64 `json:"min_snr_db,omitempty"`
	MarginDB  *float64 `json:"margin_db,omitempty"` // the smaller of both
	Enough    bool     `json:"enough"`
	BatteryPc *float64 `json:"battery,omitempty"` // percent, as last heard
}

// VisitSignature says who took the responsibility for a verdict, and when.
type VisitSignature struct {
	Verdict string    `json:"verdict"` // pass or fail
	By      Actor     `json:"by"`
	At      time.Time `json:"at"`     // by the technician's clock if it was done offline
	Signed  time.Time `json:"signed"` // when we had it
}

// VisitWindow is the window that is open for a visit.
type VisitWindow struct {
	ID string    `json:"id"`
	To time.Time `json:"to"`
}

// VisitQuestion is the alarm of the point that the window asks the technician about.
type VisitQuestion struct {
	Alarm string    `json:"alarm"`
	Ask   string    `json:"asked"`
	Due   time.Time `json:"due"`
}

// Visit is one commissioning of a device at a point: what had to be shown, what was, and
// who says so. It is known by an id that the technician's phone makes.
type Visit struct {
	ID       string     `json:"id"`
	Device   Identity   `json:"device"`
	Point    string     `json:"point"`
	Kind     Kind       `json:"kind"`
	Building string     `json:"building,omitempty"`
	State    VisitState `json:"state"`
	Offline  bool       `json:"offline,omitempty"`
	Started  time.Time  `json:"started"`
	Opened   time.Time  `json:"opened"`           // when we first heard of it
	Until    time.Time  `json:"until,omitzero"`   // frames of a later time are of another visit
	Decided  time.Time  `json:"decided,omitzero"` // when it passed or failed
	Due      time.Time  `json:"due,omitzero"`     // while pending: then a technician is sent
	Link     string     `json:"link"`             // as far as it is known before the first frame
	Profile  string     `json:"profile"`
	Interval int        `json:"interval_s"` // in which the device reports
	Says     []Signal   `json:"says"`       // what its profile can say

	Steps    []VisitStep     `json:"steps"`
	Words    []VisitWord     `json:"words,omitempty"`
	Frames   []VisitFrame    `json:"frames,omitempty"` // those that brought something new, and the newest
	Heard    int             `json:"heard"`            // frames of the device in this visit
	Before   *VisitFrame     `json:"before,omitempty"` // what was known of the point when it began
	Reasons  []Text          `json:"reasons"`
	Signal   VisitSignal     `json:"signal"`
	Gateway  bool            `json:"needs_gateway"`
	By       Actor           `json:"by"`
	Signed   *VisitSignature `json:"signed,omitempty"`
	Window   *VisitWindow    `json:"window"`
	Question *VisitQuestion  `json:"question"`
	Alarm    string          `json:"alarm,omitempty"` // the episode that sends a technician
	Newest   bool            `json:"newest"`          // it decides whether its point is protected
	Looked   bool            `json:"looked"`          // what came before we heard of it was looked through
	From     [Lanes]uint64   `json:"from"`            // the journal's place when we did
	At       *VisitPosition  `json:"place,omitempty"` // where the point is, as registered
	Erased   time.Time       `json:"erased,omitzero"` // what people said and the device sent is gone; what came of it stays
	Why      string          `json:"erased_why,omitempty"`
	Scope
	Cell string `json:"cell,omitempty"`
	Mode Mode   `json:"mode"`
}

// Live reports whether frames may still change it.
func (v *Visit) Live() bool { return v.State == VisitOpen || v.State == VisitPending }

// Step finds a step by its id; nil: it has none of that name.
func (v *Visit) Step(id string) *VisitStep {
	for i := range v.Steps {
		if v.Steps[i].ID == id {
			return &v.Steps[i]
		}
	}
	return nil
}

// NewVisit is a visit as it is asked for.
type NewVisit struct {
	ID      string
	Device  Identity
	Point   string
	Started time.Time // zero: now
	Offline bool
	Session string // of the technician: opens the window; "" does not
	By      Actor
}

// VisitEnd is a person's verdict.
type VisitEnd struct {
	Visit   string
	Pass    bool
	Reasons []string
	Gateway bool // a gateway has to be put up there first
	At      time.Time
	By      Actor
}
