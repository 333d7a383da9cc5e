package alarm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// DefaultSet is the rule set of points that name none.
const DefaultSet = "default"

// Rules are the rule sets of a gateway. They do not change after Parse.
type Rules struct {
	file string
	sets map[string]map[grid.Kind][]*Rule
	bare map[grid.EventType]*Rule
	correlation

	changes  map[grid.PostureName]map[grid.EventType]change
	postures map[grid.PostureName]*Rules
	Policy
}

// For gives the rules of a point: those of the named set ("" is the default) for its
// kind, then those of every point. The slice and its order are the same at every call;
// neither it nor the rules may be changed. An error says that there is no such set or
// that it has no rules for the kind.
func (rs *Rules) For(set string, kind grid.Kind) ([]*Rule, error) {
	if set == "" {
		set = DefaultSet
	}
	kinds, ok := rs.sets[set]
	if !ok {
		return nil, grid.Errorf(grid.Invalid, "%s: rule set is %q: want one of %s", rs.file, set, strings.Join(rs.Sets(), ", "))
	}
	rules, ok := kinds[kind]
	if !ok {
		return nil, grid.Errorf(grid.Invalid, "%s: rule set %q has no rules for a %s point", rs.file, set, kind)
	}
	return rules, nil
}

// Bare is the rule of an event that no reading and no point's silence raises (a silent
// gateway, a gap): its kind, priority and titles. nil when the file does not name it.
// It opens no ticket.
func (rs *Rules) Bare(t grid.EventType) *Rule { return rs.bare[t] }

// Sets names the rule sets, sorted.
func (rs *Rules) Sets() []string { return slices.Sorted(maps.Keys(rs.sets)) }

// The file as it is written.
type fileYAML struct {
	Events map[grid.EventType]eventYAML        `yaml:"events"`
	Every  []ruleYAML                          `yaml:"every"`
	Sets   map[string]map[grid.Kind][]ruleYAML `yaml:"sets"`

	Postures map[grid.PostureName]postureYAML `yaml:"postures"`

	Incidents  map[string]groupYAML `yaml:"incidents"`
	Raised     []raisedYAML         `yaml:"raised"`
	Suspect    *Suspect             `yaml:"suspect"`
	Protection *Protection          `yaml:"protection"`

	Acknowledge map[string]time.Duration `yaml:"acknowledge"`
	Flood       *Flood                   `yaml:"flood"`
	Health      *Health                  `yaml:"health"`

	calendars *calendar.Calendars
}

type eventYAML struct {
	Kind     grid.EventKind `yaml:"kind"`
	Priority string         `yaml:"priority"`
	TitleZH  string         `yaml:"title_zh"`
	TitleEN  string         `yaml:"title_en"`
}

type ruleYAML struct {
	Type      grid.EventType `yaml:"type"`
	Priority  string         `yaml:"priority"`
	From      Source         `yaml:"from"`
	Any       []testYAML     `yaml:"any"`
	OnDelay   time.Duration  `yaml:"on_delay"`
	OffDelay  time.Duration  `yaml:"off_delay"`
	ReAlarm   time.Duration  `yaml:"re_alarm"`
	Moment    bool           `yaml:"moment"`
	Ticket    *bool          `yaml:"ticket"`
	Latch     bool           `yaml:"latch"`
	LateAfter time.Duration  `yaml:"late_after"`
	MaxAge    time.Duration  `yaml:"max_age"`
	Flapping  *flappingYAML  `yaml:"flapping"`
	During    string         `yaml:"during"`
	Except    string         `yaml:"except"`
}

type testYAML struct {
	Signal   grid.Signal `yaml:"signal"`
	Is       *bool       `yaml:"is"`
	Above    *float64    `yaml:"above"`
	Below    *float64    `yaml:"below"`
	Deadband float64     `yaml:"deadband"`
}

type flappingYAML struct {
	Changes int           `yaml:"changes"`
	Within  time.Duration `yaml:"within"`
	Quiet   time.Duration `yaml:"quiet"`
}

// Parse reads a rule file. name stands in errors, which name the key and the wish.
// Unknown keys are errors. What would hold back a smoke alarm is refused. calendars are
// those that rules may name.
func Parse(name string, data []byte, calendars *calendar.Calendars) (*Rules, error) {
	var f fileYAML
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: %s", name, yaml.FormatError(err, false, false))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: a second document: want one", name)
	}
	rs := &Rules{file: name, sets: map[string]map[grid.Kind][]*Rule{}}
	f.calendars = calendars
	if err := rs.build(&f); err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", name, err)
	}
	return rs, nil
}

func (rs *Rules) build(f *fileYAML) error {
	rs.bare = make(map[grid.EventType]*Rule, len(f.Events))
	for t, ev := range f.Events {
		priority, err := ev.check(t)
		if err != nil {
			return err
		}
		rs.bare[t] = &Rule{Type: t, Kind: ev.Kind, Priority: priority, TitleZH: ev.TitleZH, TitleEN: ev.TitleEN}
	}
	var err error
	if rs.Policy, err = f.policy(); err != nil {
		return err
	}
	every, err := f.rules("every", f.Every)
	if err != nil {
		return err
	}
	for set, kinds := range f.Sets {
		rs.sets[set] = map[grid.Kind][]*Rule{}
		for kind, list := range kinds {
			key := fmt.Sprintf("sets.%s.%s", set, kind)
			if _, err := grid.ParseKind(string(kind)); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			rules, err := f.rules(key, list)
			if err != nil {
				return err
			}
			rules = append(rules, others(every, rules)...)
			if err := checkSet(key, kind, rules); err != nil {
				return err
			}
			rs.sets[set][kind] = rules
		}
	}
	for _, kind := range []grid.Kind{grid.Door, grid.Parking, grid.Manhole, grid.Smoke} {
		if _, ok := rs.sets[DefaultSet][kind]; !ok {
			return fmt.Errorf("sets.%s.%s is missing: want rules for every kind", DefaultSet, kind)
		}
	}
	if err := rs.correlate(f); err != nil {
		return err
	}
	return rs.posture(f)
}

// others are the rules of every point that a set does not give itself.
func others(every, set []*Rule) (out []*Rule) {
	for _, r := range every {
		if !slices.ContainsFunc(set, func(own *Rule) bool { return own.Type == r.Type }) {
			out = append(out, r)
		}
	}
	return out
}

// checkSet holds what must be true of the rules of one kind of point taken together.
func checkSet(key string, kind grid.Kind, rules []*Rule) error {
	have := map[grid.EventType]bool{}
	for _, r := range rules {
		if have[r.Type] {
			return fmt.Errorf("%s: two rules for %s: want one, with its tests under any", key, r.Type)
		}
		have[r.Type] = true
	}
	if kind != grid.Smoke {
		return nil
	}
	for _, must := range []grid.EventType{grid.EventSmokeAlarm, grid.EventSmokeLate, grid.EventSafetyUnreadable} {
		if !have[must] {
			return fmt.Errorf("%s: no rule for %s: want one in every set for smoke", key, must)
		}
	}
	return nil
}

func (f *fileYAML) rules(key string, list []ruleYAML) ([]*Rule, error) {
	out := make([]*Rule, 0, len(list))
	for i := range list {
		r, err := f.rule(fmt.Sprintf("%s[%d]", key, i), &list[i])
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (f *fileYAML) rule(key string, y *ruleYAML) (*Rule, error) {
	ev, ok := f.Events[y.Type]
	if !ok {
		return nil, fmt.Errorf("%s.type is %q: want one of those under events", key, y.Type)
	}
	key = fmt.Sprintf("%s (%s)", key, y.Type)
	r := &Rule{
		Type: y.Type, Kind: ev.Kind, TitleZH: ev.TitleZH, TitleEN: ev.TitleEN, From: y.From,
		OnDelay: y.OnDelay, OffDelay: y.OffDelay, ReAlarm: y.ReAlarm, Moment: y.Moment,
		Ticket: y.Ticket == nil || *y.Ticket, Latch: y.Latch, LateAfter: y.LateAfter, MaxAge: y.MaxAge,
	}
	if r.From == "" {
		r.From = FromSignal
	}
	var err error
	if y.Priority != "" {
		ev.Priority = y.Priority
	}
	if r.Priority, err = ev.check(y.Type); err != nil {
		return nil, err
	}
	if r.Hours, err = f.hours(y); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	for i := range y.Any {
		t := Test(y.Any[i])
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("%s.any[%d]: %w", key, i, err)
		}
		r.Any = append(r.Any, t)
	}
	if y.Flapping != nil {
		g := Flapping(*y.Flapping)
		r.Flapping = &g
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return r, nil
}

// hours are those in which a rule counts.
func (f *fileYAML) hours(y *ruleYAML) (h calendar.Hours, err error) {
	switch {
	case y.During == "" && y.Except == "":
		return h, nil
	case y.During != "" && y.Except != "":
		return h, fmt.Errorf("during is %q and except is %q: want one of them", y.During, y.Except)
	}
	h.Outside = y.Except != ""
	h.Calendar, err = f.calendars.Get(y.During + y.Except)
	return h, err
}

func (ev *eventYAML) check(t grid.EventType) (grid.Priority, error) {
	key := fmt.Sprintf("events.%s", t)
	switch ev.Kind {
	case grid.KindAlarm, grid.KindFault, grid.KindTamper, grid.KindBattery, grid.KindTest, grid.KindLifecycle:
	default:
		return 0, fmt.Errorf("%s.kind is %q: want alarm, fault, tamper, battery, test or lifecycle", key, ev.Kind)
	}
	if ev.TitleZH == "" || ev.TitleEN == "" {
		return 0, fmt.Errorf("%s: title_zh is %q and title_en is %q: want both", key, ev.TitleZH, ev.TitleEN)
	}
	for p := grid.Priority(1); p <= 4; p++ {
		if ev.Priority == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("%s.priority is %q: want P1, P2, P3 or P4", key, ev.Priority)
}

func (t *Test) check() error {
	if t.Signal == grid.NoSignal {
		return errors.New("signal is missing: want a canonical signal, for example door.open")
	}
	spec := grid.Signals[t.Signal]
	limits := t.Above != nil || t.Below != nil
	switch {
	case spec.Bool && (t.Is == nil || limits):
		return fmt.Errorf("%s is a condition: want is: true or is: false, and no limits", spec.Name)
	case !spec.Bool && (t.Is != nil || !limits):
		return fmt.Errorf("%s is a number: want above or below (both: between them), and no is", spec.Name)
	case t.Above != nil && t.Below != nil && *t.Above >= *t.Below:
		return fmt.Errorf("%s is above %v and below %v: want a lower limit under the upper one", spec.Name, *t.Above, *t.Below)
	case t.Deadband < 0 || t.Deadband > 0 && t.Is != nil:
		return fmt.Errorf("%s.deadband is %v: want 0 or more, and only with above or below", spec.Name, t.Deadband)
	}
	return nil
}

func (r *Rule) check() error {
	for _, d := range []struct {
		key string
		is  time.Duration
	}{{"on_delay", r.OnDelay}, {"off_delay", r.OffDelay}, {"re_alarm", r.ReAlarm}, {"late_after", r.LateAfter}, {"max_age", r.MaxAge}} {
		if d.is < 0 {
			return fmt.Errorf("%s is %s: want 0s or more", d.key, d.is)
		}
	}
	if f := r.Flapping; f != nil && (f.Changes < 2 || f.Within <= 0 || f.Quiet <= 0) {
		return fmt.Errorf("flapping is %d changes within %s, quiet %s: want at least 2 changes and times above 0s", f.Changes, f.Within, f.Quiet)
	}
	if !r.Hours.Always() && (r.From != FromSignal || r.Moment) {
		return errors.New("during or except is set: want it for a lasting state of a signal alone")
	}
	if err := errors.Join(r.checkSource(), r.checkLatch()); err != nil {
		return err
	}
	return r.checkSmoke()
}

func (r *Rule) checkSource() error {
	tested := len(r.Any) > 0
	switch r.From {
	case FromSignal, FromLate:
		if !tested {
			return fmt.Errorf("any is missing: want at least one test for from: %s", r.From)
		}
	case FromSilence, FromStolen, FromUnreadable:
		if tested {
			return fmt.Errorf("any is given: want none for from: %s, no reading decides it", r.From)
		}
	default:
		return fmt.Errorf("from is %q: want signal, silence, stolen, late or unreadable", r.From)
	}
	if late := r.From == FromLate; late != (r.LateAfter > 0) || late != (r.MaxAge > 0) {
		return fmt.Errorf("late_after is %s and max_age is %s: want both with from: late, and neither without", r.LateAfter, r.MaxAge)
	}
	if r.Moment && r.Ticket {
		return errors.New("moment with ticket: want ticket: false, a moment has no end that could close one")
	}
	return nil
}

// checkSmoke refuses whatever could hold back a smoke alarm. This is not a matter of
// configuration: no delay, guard or window ever touches a first smoke alarm.
func (r *Rule) checkSmoke() error {
	late := r.From == FromLate
	if late != (r.Type == grid.EventSmokeLate) {
		return fmt.Errorf("from is %q: want late for smoke.late and for nothing else", r.From)
	}
	if r.Type != grid.EventSmokeAlarm && !late {
		return nil
	}
	alarmTest := false
	for _, t := range r.Any {
		alarmTest = alarmTest || t.Signal == grid.SmokeAlarm && t.Is != nil && *t.Is
	}
	switch {
	case r.OnDelay != 0:
		return fmt.Errorf("on_delay is %s: want 0s, nothing may hold back a smoke alarm", r.OnDelay)
	case !r.Hours.Always():
		return errors.New("during or except is set: want neither, a fire keeps no hours")
	case r.Flapping != nil:
		return errors.New("flapping is set: want none, nothing may hold back a smoke alarm")
	case r.Moment || !r.Ticket:
		return errors.New("a smoke alarm is a lasting state with a ticket: want neither moment: true nor ticket: false")
	case r.Priority != 1:
		return fmt.Errorf("priority is %s: want P1 for a smoke alarm", r.Priority)
	case !alarmTest:
		return errors.New("no test of smoke.alarm: want {signal: smoke.alarm, is: true} under any")
	}
	return nil
}
