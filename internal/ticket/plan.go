package ticket

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// Plan is how tickets of one event type are handled.
type Plan struct {
	Type   grid.EventType
	Calls  []Call
	Limits map[string]Limit // by clock name
	Check  Proof
	Class  Class
}

// Class is where the grid files a ticket (GB/T 30428): a component of the city or an event.
type Class struct {
	Category  string `yaml:"category"`  // component or event
	Code      string `yaml:"code"`      // 4 digits; of a component with a code of its own, that one's class
	Condition string `yaml:"condition"` // why it is filed
}

// Limit is how long something may take.
type Limit struct {
	For time.Duration
	// Calendar says which hours count; nil: all of them (urgent time: 24 hours, 7 days).
	Calendar *calendar.Calendar
}

// Call brings units in. Calls of one tier share their conditions.
type Call struct {
	Tier  int             // 1 self-help, 2 mutual help, 3 public rescue, 4 district command
	Units []grid.UnitKind // one unit, of the first kind that has one for the place
	Lead  bool
	// After is how long after the opening this call is made: 0 at once. Nil: by time
	// alone it is never made.
	After *time.Duration
	// Confirmed: made as soon as the cause is verified to be true.
	Confirmed bool
	// Every tier not called yet may also be called by rework or an overdue ticket.
}

// Proof is how a ticket that is reported done is proven done.
type Proof struct {
	Normal *time.Duration // the sensor must be normal this long; nil: the sensor is not asked
	Settle time.Duration  // an abnormal sensor this soon after resolved is not yet rework
	Person bool           // a person's word or photo too (P1: always)
}

// The names of clocks. The clock of a later tier is "tier3" or "tier4".
const (
	ClockVerify   = "verify"   // from opening to a finding
	ClockDispatch = "dispatch" // from filing to a lead, where none was found at once
	ClockAccept   = "accept"   // from dispatch to the lead's word
	ClockArrive   = "arrive"   // from dispatch to the lead on site
	ClockHandle   = "handle"   // from dispatch to resolved; suspending stops it
	ClockCheck    = "check"    // from resolved to closed
	ClockTotal    = "total"    // from opening to the end; nothing stops it
	clockSuspend  = "suspend"  // to the agreed end of a suspension
	clockWord     = "word"     // a person was asked; no limit
	clockTell     = "tell"     // news is gathered until then, and told together
)

var limitNames = []string{ClockVerify, ClockDispatch, ClockAccept, ClockArrive, ClockHandle, ClockCheck, ClockTotal}

// maxSmokeTier3 is the longest that the fire unit may be kept waiting for a verification.
const maxSmokeTier3 = 90 * time.Second

// Plans are the plans of a gateway. They do not change after ParsePlans.
type Plans struct {
	file  string
	plans map[grid.EventType]*Plan
}

// For gives the plan of an event type; the error says that there is none.
func (ps *Plans) For(t grid.EventType) (*Plan, error) {
	if p, ok := ps.plans[t]; ok {
		return p, nil
	}
	return nil, grid.Errorf(grid.Invalid, "%s: no plan for %q: want one for each event that opens a ticket", ps.file, t)
}

// Types are the event types that have a plan, sorted.
func (ps *Plans) Types() []grid.EventType { return slices.Sorted(maps.Keys(ps.plans)) }

// The file as it is written.
type plansYAML struct {
	Plans map[grid.EventType]planYAML `yaml:"plans"`
}

type planYAML struct {
	Calls  []callYAML           `yaml:"calls"`
	Clocks map[string]limitYAML `yaml:"clocks"`
	Check  checkYAML            `yaml:"check"`
	Class  Class                `yaml:"class"`
}

type callYAML struct {
	Tier      int             `yaml:"tier"`
	Units     []grid.UnitKind `yaml:"units"`
	Lead      bool            `yaml:"lead"`
	After     *time.Duration  `yaml:"after"`
	Confirmed bool            `yaml:"confirmed"`
}

type limitYAML struct {
	Urgent   time.Duration `yaml:"urgent"`
	WorkHour float64       `yaml:"work_hour"`
	WorkDay  float64       `yaml:"work_day"`
	Calendar string        `yaml:"calendar"`
}

// limit wants exactly one of the three kinds of time.
func (y limitYAML) limit(calendars *calendar.Calendars) (Limit, error) {
	switch {
	case y.Urgent > 0 && y.WorkHour == 0 && y.WorkDay == 0 && y.Calendar == "":
		return Limit{For: y.Urgent}, nil
	case y.Urgent != 0 || y.WorkHour < 0 || y.WorkDay < 0 || (y.WorkHour > 0) == (y.WorkDay > 0):
		return Limit{}, fmt.Errorf(" is {urgent: %s, work_hour: %g, work_day: %g, calendar: %q}: want one of {urgent: 10m}, {work_hour: 4} and {work_day: 3}, the last two also with a calendar", y.Urgent, y.WorkHour, y.WorkDay, y.Calendar)
	}
	c, err := calendars.Get(y.Calendar)
	if err != nil {
		return Limit{}, fmt.Errorf(".calendar: %w", err)
	}
	d := time.Duration(y.WorkHour*float64(time.Hour)) + time.Duration(y.WorkDay*float64(c.DayLength()))
	return Limit{For: d.Round(time.Second), Calendar: c}, nil
}

type checkYAML struct {
	Normal *time.Duration `yaml:"normal"`
	Settle time.Duration  `yaml:"settle"`
	Person bool           `yaml:"person"`
}

// ParsePlans reads a plan file. name stands in errors, which name the key and the wish.
// Unknown keys are errors. calendars are those that limits may name.
func ParsePlans(name string, data []byte, calendars *calendar.Calendars) (*Plans, error) {
	var f plansYAML
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: %s", name, yaml.FormatError(err, false, false))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: a second document: want one", name)
	}
	ps := &Plans{file: name, plans: map[grid.EventType]*Plan{}}
	for _, t := range slices.Sorted(maps.Keys(f.Plans)) {
		p, err := f.Plans[t].plan(t, calendars)
		if err != nil {
			return nil, grid.Errorf(grid.Invalid, "%s: plans.%s.%w", name, t, err)
		}
		ps.plans[t] = p
	}
	if len(ps.plans) == 0 {
		return nil, grid.Errorf(grid.Invalid, "%s: plans is empty: want one for each event that opens a ticket", name)
	}
	return ps, nil
}

func (y planYAML) plan(t grid.EventType, calendars *calendar.Calendars) (*Plan, error) {
	p := &Plan{Type: t, Limits: map[string]Limit{}, Check: Proof(y.Check), Class: y.Class}
	for name, l := range y.Clocks {
		if !slices.Contains(limitNames, name) {
			return nil, fmt.Errorf("clocks: %q is unknown: want one of %v", name, limitNames)
		}
		limit, err := l.limit(calendars)
		if err != nil {
			return nil, fmt.Errorf("clocks.%s%w", name, err)
		}
		p.Limits[name] = limit
	}
	if p.Limits[ClockTotal].For == 0 {
		return nil, errors.New("clocks.total is missing: want a limit for the whole")
	}
	for _, c := range y.Calls {
		p.Calls = append(p.Calls, Call(c))
	}
	// The lead first, then by tier: assignments are numbered in the order of calls.
	slices.SortStableFunc(p.Calls, func(a, b Call) int {
		return cmp.Or(compareBool(b.Lead, a.Lead), cmp.Compare(a.Tier, b.Tier))
	})
	if err := p.checkCalls(); err != nil {
		return nil, err
	}
	if err := p.Class.check(); err != nil {
		return nil, err
	}
	if p.Check.Normal == nil && !p.Check.Person {
		return nil, errors.New("check asks nobody: want normal (the sensor), person: true, or both")
	}
	if (p.Check.Normal != nil && *p.Check.Normal < 0) || p.Check.Settle < 0 {
		return nil, errors.New("check has a negative time: want 0s or more")
	}
	return p, nil
}

func (c Class) check() error {
	if c == (Class{}) {
		return nil
	}
	digits := strings.Trim(c.Code, "0123456789") == ""
	if c.Category != "component" && c.Category != "event" || len(c.Code) != 4 || !digits || c.Condition == "" {
		return fmt.Errorf("class is {category: %q, code: %q, condition: %q}: want component or event, 4 digits and a condition", c.Category, c.Code, c.Condition)
	}
	return nil
}

// of gives the class code of a point: a component's own stands in its 16 digits after
// those of the county.
func (c Class) of(component string) string {
	if c.Category == "component" && len(component) == 16 {
		return component[6:10]
	}
	return c.Code
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (p *Plan) checkCalls() error {
	leads := 0
	for i, c := range p.Calls {
		if c.Tier < 1 || c.Tier > 4 {
			return fmt.Errorf("calls: tier is %d: want 1 to 4", c.Tier)
		}
		if len(c.Units) == 0 {
			return fmt.Errorf("calls: tier %d has no units: want at least one kind", c.Tier)
		}
		for _, k := range c.Units {
			if !slices.Contains(unitKinds, k) {
				return fmt.Errorf("calls: units: %q is unknown: want one of %v", k, unitKinds)
			}
		}
		if c.After != nil && *c.After < 0 {
			return fmt.Errorf("calls: tier %d: after is %s: want 0s or more", c.Tier, *c.After)
		}
		if c.Lead {
			leads++
			if !c.atOnce() {
				return errors.New("calls: the lead has no after: 0s: want it called at once")
			}
		}
		for _, other := range p.Calls[:i] {
			if other.Tier == c.Tier && !sameCondition(other, c) {
				return fmt.Errorf("calls: tier %d is called on different conditions: want one for the whole tier", c.Tier)
			}
		}
	}
	if leads != 1 {
		return fmt.Errorf("calls: %d are lead: want one", leads)
	}
	return p.checkSmoke()
}

// checkSmoke holds what no configuration may change: the fire unit is due 90 s after a
// smoke alarm at the latest.
func (p *Plan) checkSmoke() error {
	if p.Type != grid.EventSmokeAlarm && p.Type != grid.EventSmokeConfirmed {
		return nil
	}
	for name, l := range p.Limits {
		if l.Calendar != nil {
			return fmt.Errorf("clocks.%s is in time of the calendar %s: want urgent for smoke", name, l.Calendar.Name)
		}
	}
	for _, c := range p.Calls {
		if c.Tier == 3 && slices.Contains(c.Units, grid.FireUnit) && c.After != nil && *c.After <= maxSmokeTier3 {
			return nil
		}
	}
	return fmt.Errorf("calls: no fire unit at tier 3 within %s: want {tier: 3, units: [fire], after: 90s} or sooner", maxSmokeTier3)
}

var unitKinds = []grid.UnitKind{grid.FireUnit, grid.MicroStation, grid.UrbanManagement, grid.Utility,
	grid.Property, grid.Committee, grid.Maintenance, grid.Operator}

func sameCondition(a, b Call) bool {
	if a.Confirmed != b.Confirmed || (a.After == nil) != (b.After == nil) {
		return false
	}
	return a.After == nil || *a.After == *b.After
}

func (c *Call) atOnce() bool { return c.After != nil && *c.After == 0 }

// timed reports whether the call is made by the clock of its tier.
func (c *Call) timed() bool { return c.After != nil && *c.After > 0 }

func tierClock(tier int) string { return "tier" + strconv.Itoa(tier) }
