package alarm

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// Within is a place that several points share.
type Within string

const (
	WithinPoint    Within = "point"
	WithinBuilding Within = "building" // a point without one is a building of its own
	WithinCell     Within = "cell"     // likewise
)

// Place is what the point of an episode shares with others, as it was when it began:
// never empty.
func (w Within) Place(ep *grid.Alarm) string {
	switch {
	case w == WithinBuilding && ep.Building != "":
		return ep.Building
	case w == WithinCell && ep.Cell != "":
		return ep.Cell
	}
	return "point:" + ep.Point
}

// Group makes episodes of one cause at one place one incident with one ticket.
type Group struct {
	Name string
	Of   grid.EventType
	By   Within
	// Confirm: so many points of the place, raised within this time of one another, are
	// proof; Event is noted then and the ticket is verified. Zero Detectors: no number is.
	Confirm Confirm
	// Near: open incidents closer than so many metres are related: shown together.
	Near float64
}

// Confirm says when an incident is confirmed by its own detectors.
type Confirm struct {
	Detectors int
	Within    time.Duration
	Event     grid.EventType
}

// Confirms reports whether a detector that is raised at now completes the proof: others
// are when the other points of the place were raised last.
func (c *Confirm) Confirms(others []time.Time, now time.Time) bool {
	n := 1
	for _, at := range others {
		if now.Sub(at).Abs() <= c.Within {
			n++
		}
	}
	return c.Detectors > 0 && n >= c.Detectors
}

// Raised lifts the priority of one event while another is active at the same place: a
// blocked fire lane in a cell with smoke.
type Raised struct {
	Type     grid.EventType
	While    grid.EventType
	Within   Within
	Priority grid.Priority
}

// correlation is what the rules say of several episodes taken together.
type correlation struct {
	groups map[grid.EventType]*Group
	raised []Raised
	urgent map[grid.EventType]bool // that some posture raises to P1

	protection Protection
	suspect    Suspect
}

// Suspect says when a detector has raised so many false alarms that it is not believed at
// once: Event is raised for it then. The zero Suspect never is.
type Suspect struct {
	Of          grid.EventType `yaml:"of"`
	FalseAlarms int            `yaml:"false_alarms"`
	Within      time.Duration  `yaml:"within"`
	Event       grid.EventType `yaml:"event"`
}

// Suspect is what the rules say of it.
func (c *correlation) Suspect() Suspect { return c.suspect }

// Protection says when a building counts as without smoke detection: so many of its
// points, or so many percent of them, are blind. Both zero: it never does.
type Protection struct {
	Points  int `yaml:"points"`
	Percent int `yaml:"percent"`
}

// Lost judges a building by its smoke points.
func (p Protection) Lost(blind, all int) bool {
	return blind > 0 && (p.Points > 0 && blind >= p.Points || p.Percent > 0 && blind*100 > all*p.Percent)
}

// Protection is what the rules say of it.
func (c *correlation) Protection() Protection { return c.protection }

// Group gives the group of an event type, nil when its episodes stand alone.
func (c *correlation) Group(t grid.EventType) *Group { return c.groups[t] }

// Raised are the rules that lift priorities.
func (c *correlation) Raised() []Raised { return c.raised }

// MayBeUrgent reports whether tickets of an event type may become P1 later.
func (c *correlation) MayBeUrgent(t grid.EventType) bool {
	return c.urgent[t] || slices.ContainsFunc(c.raised, func(r Raised) bool { return r.Type == t && r.Priority == 1 })
}

type groupYAML struct {
	Of      grid.EventType `yaml:"of"`
	By      Within         `yaml:"by"`
	Confirm *confirmYAML   `yaml:"confirm"`
	Near    float64        `yaml:"near_m"`
}

type confirmYAML struct {
	Detectors int            `yaml:"detectors"`
	Within    time.Duration  `yaml:"within"`
	Event     grid.EventType `yaml:"event"`
}

type raisedYAML struct {
	Type     grid.EventType `yaml:"type"`
	While    grid.EventType `yaml:"while"`
	Within   Within         `yaml:"within"`
	Priority string         `yaml:"priority"`
}

func (rs *Rules) correlate(f *fileYAML) error {
	rs.groups = map[grid.EventType]*Group{}
	for _, name := range slices.Sorted(maps.Keys(f.Incidents)) {
		g, err := f.Incidents[name].group(name, rs)
		if err != nil {
			return fmt.Errorf("incidents.%s.%w", name, err)
		}
		if other := rs.groups[g.Of]; other != nil {
			return fmt.Errorf("incidents.%s.of is %s, as that of %s: want an event in one group", name, g.Of, other.Name)
		}
		rs.groups[g.Of] = g
	}
	if p := f.Protection; p != nil {
		if p.Points < 0 || p.Percent < 0 || p.Percent > 100 || rs.bare[grid.EventProtectionLost] == nil {
			return fmt.Errorf("protection is %d points, %d percent: want 0 or more, at most 100 percent, and protection.lost under events", p.Points, p.Percent)
		}
		rs.protection = *p
	}
	if s := f.Suspect; s != nil {
		if rs.bare[s.Of] == nil || rs.bare[s.Event] == nil || s.FalseAlarms < 2 || s.Within <= 0 {
			return fmt.Errorf("suspect is {of: %q, false_alarms: %d, within: %s, event: %q}: want two of those under events, 2 or more, and more than 0s", s.Of, s.FalseAlarms, s.Within, s.Event)
		}
		rs.suspect = *s
	}
	for i, y := range f.Raised {
		r, err := y.rule(rs)
		if err != nil {
			return fmt.Errorf("raised[%d].%w", i, err)
		}
		rs.raised = append(rs.raised, r)
	}
	return nil
}

func (w Within) check() error {
	switch w {
	case WithinPoint, WithinBuilding, WithinCell:
		return nil
	}
	return fmt.Errorf("is %q: want point, building or cell", w)
}

func (y groupYAML) group(name string, rs *Rules) (*Group, error) {
	g := &Group{Name: name, Of: y.Of, By: y.By, Near: y.Near}
	if rs.bare[y.Of] == nil {
		return nil, fmt.Errorf("of is %q: want one of those under events", y.Of)
	}
	if err := y.By.check(); err != nil {
		return nil, fmt.Errorf("by %w", err)
	}
	if y.Near < 0 {
		return nil, fmt.Errorf("near_m is %g: want metres, 0 or more", y.Near)
	}
	if c := y.Confirm; c != nil {
		if c.Detectors < 2 || c.Within <= 0 {
			return nil, fmt.Errorf("confirm is %d detectors within %s: want 2 or more, within more than 0s", c.Detectors, c.Within)
		}
		if rs.bare[c.Event] == nil {
			return nil, fmt.Errorf("confirm.event is %q: want one of those under events", c.Event)
		}
		g.Confirm = Confirm(*c)
	}
	return g, nil
}

func (y raisedYAML) rule(rs *Rules) (Raised, error) {
	r := Raised{Type: y.Type, While: y.While, Within: y.Within}
	switch {
	case rs.bare[y.Type] == nil:
		return r, fmt.Errorf("type is %q: want one of those under events", y.Type)
	case rs.bare[y.While] == nil || y.While == y.Type:
		return r, fmt.Errorf("while is %q: want another of those under events", y.While)
	}
	if err := y.Within.check(); err != nil {
		return r, fmt.Errorf("within %w", err)
	}
	for p := grid.Priority(1); p <= 4; p++ {
		if y.Priority == p.String() {
			r.Priority = p
		}
	}
	if own := rs.bare[y.Type].Priority; r.Priority == 0 || r.Priority >= own {
		return r, fmt.Errorf("priority is %q: want one above %s, which %s has by itself", y.Priority, own, y.Type)
	}
	return r, nil
}
