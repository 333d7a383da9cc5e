package grid

import "time"

// WindowKind says what a window is for.
type WindowKind string

const (
	WindowCommissioning WindowKind = "commissioning"  // a technician installs and tests
	WindowMaintenance   WindowKind = "maintenance"    // a technician works on what is installed
	WindowPermit        WindowKind = "permit"         // a crew may lift covers
	WindowShelved       WindowKind = "shelved"        // known, of no use now, never of life
	WindowOutOfService  WindowKind = "out_of_service" // not to be relied on until then
	WindowExercise      WindowKind = "exercise"       // alarms of its script are practice
)

// WindowKinds are all of them.
var WindowKinds = []WindowKind{WindowCommissioning, WindowMaintenance, WindowPermit, WindowShelved, WindowOutOfService, WindowExercise}

// Area is a place that a window covers beside the points that it names: of a point, every
// code that is set must agree.
type Area struct {
	Street   string `json:"street,omitempty"`
	Compound string `json:"compound,omitempty"`
	Building string `json:"building,omitempty"`
}

// IsZero reports whether there is no area.
func (a Area) IsZero() bool { return a == Area{} }

// Has reports whether a place lies in the area.
func (a Area) Has(s Scope, building string) bool {
	return !a.IsZero() && (a.Street == "" || a.Street == s.Street) && (a.Compound == "" || a.Compound == s.Compound) &&
		(a.Building == "" || a.Building == building)
}

// Expected is one line of an exercise's script: this alarm, at this point, in this time.
type Expected struct {
	Point string    `json:"point"`
	Type  EventType `json:"type"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

// Window is a named, bounded time in which someone expects signals of named points. It
// redirects, it does not silence: what it covers is recorded and shown, and what is still
// active at its end is judged again.
type Window struct {
	ID     string      `json:"id"`
	Kind   WindowKind  `json:"kind"`
	Points []string    `json:"points,omitempty"`
	Area   Area        `json:"area,omitzero"`
	Types  []EventType `json:"types,omitempty"` // only these; empty: all that the kind may cover
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
	By     Actor       `json:"by"`
	Reason string      `json:"reason,omitempty"`
	Holder string      `json:"holder,omitempty"` // of a permit: a unit's id, or a person
	// Session is the technician's, on smoke points; one that was silent for too long ends
	// the window. Touched is when it was heard last.
	Session string    `json:"session,omitempty"`
	Touched time.Time `json:"touched,omitzero"`
	Patrol  string    `json:"patrol,omitempty"` // who walks there while smoke is out of service
	// Lead and Script are of an exercise.
	Lead   string     `json:"lead,omitempty"`
	Script []Expected `json:"script,omitempty"`

	Ended   time.Time `json:"ended,omitzero"`
	EndedBy string    `json:"ended_by,omitempty"` // a person; "clock", "session" when it ended by itself
	Scope
	Cell string `json:"cell,omitempty"`
	Mode Mode   `json:"mode"`
}

// Open reports whether the window has not ended.
func (w *Window) Open() bool { return w.Ended.IsZero() }

// CoverState says how an episode stands to the window that covers it.
type CoverState string

const (
	CoverAsked    CoverState = "asked"    // somebody was asked; no answer dispatches
	CoverTest     CoverState = "test"     // "yes, it is me": recorded as a test
	CoverGuarded  CoverState = "guarded"  // the holder of the permit guards it
	CoverHeld     CoverState = "held"     // suppressed until the window's end
	CoverExercise CoverState = "exercise" // it is practice: its ticket is too
	CoverOver     CoverState = "over"     // the window keeps it from nobody any more
)

// Cover is the window that covers an episode, what was asked, and what came of it.
type Cover struct {
	Window string     `json:"window"`
	Kind   WindowKind `json:"kind"`
	State  CoverState `json:"state"`
	Ask    string     `json:"ask,omitempty"` // "is it you?", "guarded?"
	Of     string     `json:"of,omitempty"`  // the session, patrol or holder
	Due    time.Time  `json:"due,omitzero"`  // no answer by then: it is dispatched
	Answer string     `json:"answer,omitempty"`
	By     string     `json:"by,omitempty"`
	At     time.Time  `json:"at,omitzero"`    // of the answer, or of the cover's end
	Why    string     `json:"why,omitempty"`  // it is over
	Until  time.Time  `json:"until,omitzero"` // of an exercise: the end of its line in the script
}

// Covered reports whether a window keeps an episode from having a ticket.
func (a *Alarm) Covered() bool {
	return a.Cover != nil && a.Cover.State != CoverOver && a.Cover.State != CoverExercise
}

// InQuestion reports whether an episode is, or was asked to be, somebody's own doing: it
// lifts nothing and is no witness.
func (a *Alarm) InQuestion() bool { return a.Covered() && a.Cover.State != CoverHeld }

// PostureName is a state of the district.
type PostureName string

const (
	PostureNormal    PostureName = "normal"
	PostureFestival  PostureName = "festival"
	PostureTyphoon   PostureName = "typhoon"
	PostureHeavyRain PostureName = "heavy_rain"
	PostureColdWave  PostureName = "cold_wave"
)

// PostureNames are all of them.
var PostureNames = []PostureName{PostureNormal, PostureFestival, PostureTyphoon, PostureHeavyRain, PostureColdWave}

// Posture is one time in which the district was in a state that is not the normal one: it
// changes thresholds and grouping as the rules say, never the reach of smoke.
type Posture struct {
	ID      string      `json:"id"`
	Name    PostureName `json:"posture"`
	From    time.Time   `json:"from"`
	To      time.Time   `json:"to"`
	By      Actor       `json:"by"`
	Reason  string      `json:"reason,omitempty"`
	Ended   time.Time   `json:"ended,omitzero"`
	EndedBy string      `json:"ended_by,omitempty"`
	Scope
	Cell string `json:"cell,omitempty"`
	Mode Mode   `json:"mode"`
}

// WindowAnswer is the word of who was asked about an alarm in a window: yes, it is me; yes, it is
// guarded; no.
type WindowAnswer struct {
	Yes     bool
	Session string // of the technician
	By      Actor
}

// Word is the answer as the cover keeps it.
func (a *WindowAnswer) Word() string {
	if a.Yes {
		return "yes"
	}
	return "no"
}
