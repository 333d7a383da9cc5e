package ticket

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Ask is a call that wants a unit.
type Ask struct {
	Type grid.EventType
	Kind grid.Kind // of the point; "" : it has none
	grid.Scope
	Cell      string
	Component string // 16 digits, or ""
	Mode      grid.Mode
	Tier      int
	Kinds     []grid.UnitKind // in the order of preference
	At        time.Time

	brief bool // nobody reads why a unit was left
}

// Choice is the unit of a call, with why each that could have been it was taken or left.
type Choice struct {
	Unit    string `json:"unit,omitempty"` // "" : none; the operator is asked
	By      string `json:"by,omitempty"`   // rule "…", place, fallback
	Reasons []grid.RouteReason

	unit *grid.Unit
	note string // for the history; "" where the place alone has chosen
}

// People is what routing and calling may ask about people. Its answers are of the moment of
// the change, so that the same change worked out again is the same.
type People interface {
	// OnDuty are the persons on duty for "unit:…" or "seat:…"; kept says that it keeps a
	// roster at all.
	OnDuty(whom string, at time.Time) (persons []string, kept bool)
	// Contacts are those that may be called at a time, in the order of calling.
	Contacts(of string, at time.Time) []grid.Contact
	// Fallback is the person who is called where nobody of a roster is on duty; "" : none.
	Fallback(whom string) string
}

// The ways by which a choice was made, beside a rule.
const (
	byPlace    = "place"
	byFallback = "fallback"
)

// routing is one choice in the making.
type routing struct {
	r      *Routes
	a      Ask
	units  []grid.Unit
	people People
	out    Choice
	resting
}

// resting is the first unit that would do, had it somebody on duty.
type resting struct {
	unit *grid.Unit
	by   string
}

// Route finds the unit of a call: by the first rule that fits and has one, else of the
// first kind that has one the unit whose scope is the narrowest around the place, else the
// tier's fallback. A unit whose roster has a hole then is passed over as long as there is
// another. Live tickets go to live units alone, and no other ticket to a live unit. r and
// people may be nil.
func Route(r *Routes, a Ask, units []grid.Unit, people People) Choice {
	w := &routing{r: r, a: a, units: units, people: people}
	if !w.byRules() && !w.ofKinds(byPlace, a.Kinds) && !w.fallback() && w.resting.unit != nil {
		w.take(w.resting.unit, w.by, "nobody is on duty, and no other unit is there")
		w.out.note = w.out.Reasons[len(w.out.Reasons)-1].Why
	}
	return w.out
}

func (w *routing) leave(u *grid.Unit, rule, format string, args ...any) {
	if w.a.brief {
		return
	}
	r := grid.RouteReason{Rule: rule, Why: fmt.Sprintf(format, args...)}
	if u != nil {
		r.Unit = u.ID
	}
	w.out.Reasons = append(w.out.Reasons, r)
}

func (w *routing) take(u *grid.Unit, by, why string) {
	w.out.Unit, w.out.By, w.out.unit = u.ID, by, u
	w.out.Reasons = append(w.out.Reasons, grid.RouteReason{Unit: u.ID, Taken: true, Why: by + ": " + why})
	if by != byPlace {
		w.out.note = by + ": " + why
	}
}

func (w *routing) byRules() bool {
	if w.r == nil {
		return false
	}
	for i := range w.r.rules {
		rule := &w.r.rules[i]
		if why := rule.mismatch(w); why != "" {
			w.leave(nil, rule.Name, "%s", why)
			continue
		}
		by := fmt.Sprintf("rule %q", rule.Name)
		for _, u := range w.named(rule.Units, rule.Name) {
			if w.mayTake(u, by, len(rule.Match.Calls) > 0) {
				w.take(u, by, "it names the unit")
				return true
			}
		}
		if kinds := rule.kindsFor(&w.a); len(kinds) > 0 && w.ofKinds(by, kinds) {
			return true
		}
	}
	return false
}

// named are the units of a list of ids, with the owner of the component for "owner".
func (w *routing) named(ids []string, rule string) (out []*grid.Unit) {
	for _, id := range ids {
		if id == theOwner {
			if id = w.r.owner(w.a.Component); id == "" {
				w.leave(nil, rule, "component %q has no owner in the table", w.a.Component)
				continue
			}
		}
		i := slices.IndexFunc(w.units, func(u grid.Unit) bool { return u.ID == id })
		if i < 0 {
			w.leave(nil, rule, "unit %q is not registered", id)
			continue
		}
		out = append(out, &w.units[i])
	}
	return out
}

func (w *routing) fallback() bool {
	if w.r == nil {
		return false
	}
	f := w.r.fallback[w.a.Tier]
	for _, u := range w.named(f.Units, byFallback) {
		if w.mayTake(u, byFallback, true) {
			w.take(u, byFallback, fmt.Sprintf("of tier %d", w.a.Tier))
			return true
		}
	}
	kinds := slices.DeleteFunc(slices.Clone(f.Kinds), func(k grid.UnitKind) bool { return !w.kindDoes(k, true) })
	return len(kinds) > 0 && w.ofKinds(byFallback, kinds)
}

// kindDoes: a rule that says in whose place, and a fallback, may put another kind in the
// place of those that the plan names; never for smoke, where the plan's kind is the help itself.
func (w *routing) kindDoes(k grid.UnitKind, any bool) bool {
	return slices.Contains(w.a.Kinds, k) || any && !strings.HasPrefix(string(w.a.Type), "smoke.")
}

// mayTake reports whether a named unit does, or says why not.
func (w *routing) mayTake(u *grid.Unit, by string, anyKind bool) bool {
	switch {
	case !sameWorld(u.Mode, w.a.Mode):
		w.leave(u, "", "%s: it is %s and the ticket %s", by, modeText(u.Mode), modeText(w.a.Mode))
	case !w.kindDoes(u.Kind, anyKind):
		w.leave(u, "", "%s: it is of kind %s and the plan calls %s", by, u.Kind, kindsText(w.a.Kinds))
	case inHands(u, &w.a) != "":
		w.leave(u, "", "%s: %s", by, inHands(u, &w.a))
	default:
		return w.awake(u, by)
	}
	return false
}

// awake reports whether somebody of a unit is on duty, if it keeps a roster.
func (w *routing) awake(u *grid.Unit, by string) bool {
	if w.people == nil {
		return true
	}
	persons, kept := w.people.OnDuty("unit:"+u.ID, w.a.At)
	if !kept || len(persons) > 0 {
		return true
	}
	w.leave(u, "", "%s: nobody of it is on duty", by)
	if w.resting.unit == nil {
		w.resting = resting{u, by}
	}
	return false
}

// ofKinds takes, of the first kind that has one, the unit with the narrowest scope around
// the place.
func (w *routing) ofKinds(by string, kinds []grid.UnitKind) bool {
	for _, k := range kinds {
		near := w.around(by, k)
		if len(near) == 0 {
			w.leave(nil, "", "%s: no unit of kind %s for this place", by, k)
		}
		for i, u := range near {
			if !w.awake(u, by) {
				continue
			}
			w.take(u, by, fmt.Sprintf("%s of %s", k, scopeText(u.Scope)))
			for _, other := range near[i+1:] {
				w.leave(other, "", "%s: %s is nearer, it has %s", by, u.ID, scopeText(u.Scope))
			}
			return true
		}
	}
	return false
}

// around are the units of a kind that are there for the place, the narrowest first.
func (w *routing) around(by string, k grid.UnitKind) (near []*grid.Unit) {
	for i := range w.units {
		u := &w.units[i]
		switch {
		case u.Kind != k:
		case !sameWorld(u.Mode, w.a.Mode):
			w.leave(u, "", "%s: it is %s and the ticket %s", by, modeText(u.Mode), modeText(w.a.Mode))
		case !contains(u.Scope, w.a.Scope) && w.a.brief: // most units of a district: not even the words are made
		case !contains(u.Scope, w.a.Scope):
			w.leave(u, "", "%s: it has %s, and the place lies in %s", by, scopeText(u.Scope), scopeText(w.a.Scope))
		case inHands(u, &w.a) != "":
			w.leave(u, "", "%s: %s", by, inHands(u, &w.a))
		default:
			near = append(near, u)
		}
	}
	slices.SortFunc(near, func(a, b *grid.Unit) int {
		return cmp.Or(cmp.Compare(depth(b.Scope), depth(a.Scope)), cmp.Compare(a.ID, b.ID))
	})
	return near
}

// scopeText is the narrowest level that a scope names.
func scopeText(s grid.Scope) string {
	l := levels(s)
	for i := len(l) - 1; i >= 0; i-- {
		if l[i] != "" {
			return [...]string{"district", "street", "community", "compound", "contractor"}[i] + " " + l[i]
		}
	}
	return "every place"
}

// Routing is what the calls of a ticket are routed by, beside its plan and the units.
type Routing struct {
	Routes *Routes
	People People
	// Of the point, as they are now.
	Kind      grid.Kind
	Component string
	Building  string

	NoContacts bool // there is nobody to be called
}

// route chooses the unit of a call.
func (ch *change) route(c *Call) Choice {
	t := ch.t
	return Route(ch.c.Routing.Routes, Ask{
		Type: t.Type, Kind: ch.c.Routing.Kind, Scope: t.Scope, Cell: t.Cell, Component: ch.c.Routing.Component, Mode: t.Mode,
		Tier: c.Tier, Kinds: c.Units, At: ch.now, brief: true,
	}, ch.c.Units, ch.c.Routing.People)
}

// Routed are the choices of all calls of a plan at one moment, the first that are called
// first.
func (p *Plan) Routed(r *Routes, a Ask, units []grid.Unit, people People) (out []grid.CallRoute) {
	for i := range p.Calls {
		c := &p.Calls[i]
		a.Tier, a.Kinds = c.Tier, c.Units
		got := Route(r, a, units, people)
		out = append(out, grid.CallRoute{Tier: c.Tier, Units: c.Units, Lead: c.Lead, When: c.when(), Unit: got.Unit, By: got.By, Reasons: got.Reasons})
	}
	return out
}

func (c *Call) when() string {
	var words []string
	switch {
	case c.atOnce():
		words = append(words, "at once")
	case c.timed():
		words = append(words, "after "+c.After.String())
	}
	if c.Confirmed {
		words = append(words, "when it is verified")
	}
	if len(words) == 0 {
		return "by rework, or when the ticket is overdue"
	}
	return strings.Join(words, ", ")
}
