package api

import (
	"context"
	"strings"

	"gridgate/internal/grid"
)

// narrowing says how a route keeps those inside their part of the city whose account or token is
// limited to one. A route that says nothing in narrowings is refused to them.
type narrowing struct {
	query bool   // its input takes the part as a filter: see narrower
	reach bool   // its handler asks by reach, within, pointFor or oneOf, which know the part
	row   thing  // what the path names has to lie in the part
	whole bool   // and with all that belongs to it
	names bool   // what the input names has to lie there: see namer
	free  string // why the role alone decides
	never string // why it is of the whole district, and refused
}

func byQuery() narrowing              { return narrowing{query: true} }
func byReach() narrowing              { return narrowing{reach: true} }
func byRow(t thing) narrowing         { return narrowing{row: t} }
func byWhole(t thing) narrowing       { return narrowing{row: t, whole: true} }
func byNames() narrowing              { return narrowing{names: true} }
func byRole(why string) narrowing     { return narrowing{free: why} }
func ofDistrict(why string) narrowing { return narrowing{never: why} }

func (n narrowing) naming() narrowing { n.names = true; return n }

// String stands in the OpenAPI document as x-scope.
func (n narrowing) String() string {
	switch {
	case n.never != "":
		return "whole district: " + n.never
	case n.free != "":
		return "role alone: " + n.free
	}
	var out []string
	if n.query {
		out = append(out, "query")
	}
	if n.reach {
		out = append(out, "reach")
	}
	if n.row != "" {
		out = append(out, "row of "+string(n.row))
	}
	if n.names {
		out = append(out, "what it names")
	}
	if out == nil {
		return "refused"
	}
	return strings.Join(out, ", ")
}

// thing is a kind of row that lies somewhere.
type thing string

const (
	aPoint     thing = "point"
	aDevice    thing = "device"
	aStranger  thing = "device or stranger" // what is not registered lies nowhere yet
	theAlarm   thing = "alarm"
	anEvent    thing = "event"
	anIncident thing = "incident"
	aTicket    thing = "ticket"
	aHazard    thing = "hazard"
	aDelivery  thing = "delivery"
	aDownlink  thing = "downlink"
	aFile      thing = "evidence file"
	aWindow    thing = "window"
	aRound     thing = "round"
	aNoEntry   thing = "no-entry"
	aVisit     thing = "visit"
	aContact   thing = "contact"
	aRoster    thing = "roster"
	aShift     thing = "shift"
	aUnit      thing = "unit"
	aSite      thing = "site"
	aBuilding  thing = "building"
	aFrame     thing = "quarantined frame"
	owner      thing = "owner" // of a contact or a roster: point:…, building:…, unit:…
)

// named is a row that an input names.
type named struct {
	what thing
	id   string
}

// narrower is an input that takes a part of the city as its filter. Asking for another part is refused.
type narrower interface{ narrow(part grid.Scope) error }

// namer is an input that names rows.
type namer interface{ named() []named }

// filer is an input that says where something new is.
type filer interface{ where() *Place }

// partOf is what by is limited to, by the narrowest code alone: what lies above follows from it.
func partOf(by grid.Actor) grid.Scope {
	p := by.Scope
	if p.Community != "" && strings.HasPrefix(p.Community, p.Street) {
		p.Street = ""
	}
	if p.Street+p.Community != "" && strings.HasPrefix(p.Street+p.Community, p.District) {
		p.District = ""
	}
	return p
}

// both is what lies in two parts.
func both(a, b grid.Scope) (grid.Scope, error) {
	for _, c := range []struct {
		name string
		to   *string
		more string
	}{{"district", &a.District, b.District}, {"street", &a.Street, b.Street}, {"community", &a.Community, b.Community}, {"compound", &a.Compound, b.Compound}, {"contractor", &a.Contractor, b.Contractor}} {
		if *c.to != "" && c.more != "" && *c.to != c.more {
			return a, grid.Errorf(grid.Forbidden, "this account is limited to %s %q, and its unit to %q: nothing lies in both", c.name, c.more, *c.to)
		}
		if *c.to == "" {
			*c.to = c.more
		}
	}
	return a, nil
}

// keepInside refuses what of a request lies outside of the part that by is limited to, and
// narrows the rest of it to the part. It is the one place where that is decided.
func (s *Server) keepInside(ctx context.Context, by grid.Actor, op, id string, in any) error {
	part := partOf(by)
	if part == (grid.Scope{}) {
		return nil
	}
	n, said := narrowings[op]
	switch {
	case !said:
		return grid.Errorf(grid.Forbidden, "%s is not for accounts that are limited to a part of the district", op)
	case n.never != "":
		return grid.Errorf(grid.Forbidden, "this is of the whole district (%s), and this account is limited to %s", n.never, inWords(part))
	case n.free != "":
		return nil
	}
	i := &insider{s: s, ctx: ctx, part: part}
	if n.query {
		in, ok := narrowerOf(in)
		if !ok {
			return grid.Errorf(grid.Internal, "%s cannot be narrowed", op)
		}
		if err := in.narrow(part); err != nil {
			return err
		}
	}
	if n.row != "" {
		if err := i.admits(n.row, id, n.whole); err != nil {
			return err
		}
	}
	if !n.names {
		return nil
	}
	return i.admitsNamed(in)
}

// admitsNamed lets an input through whose places and rows lie in the part.
func (i *insider) admitsNamed(in any) error {
	if f, ok := in.(filer); ok && f.where() != nil {
		if err := i.admitsPlace(f.where()); err != nil {
			return err
		}
	}
	if w, ok := in.(*openWindowInput); ok && !w.Body.Area.IsZero() {
		if err := i.admitsArea(w.Body.Area); err != nil {
			return err
		}
	}
	n, ok := namerOf(in)
	if !ok {
		return grid.Errorf(grid.Internal, "what a %T names is not known", in)
	}
	for _, x := range n.named() {
		if x.id == "" || x.what == aRoster && i.isNew(x) {
			continue
		}
		if err := i.admits(x.what, x.id, true); err != nil {
			return err
		}
	}
	return nil
}

// isNew: the id of a roster is made by who adds it.
func (i *insider) isNew(x named) bool {
	of, err := i.ownerOf(x.what, x.id)
	return err == nil && of == ""
}

func inWords(p grid.Scope) string {
	var out []string
	for _, c := range []struct{ name, code string }{
		{"district", p.District}, {"street", p.Street}, {"community", p.Community}, {"compound", p.Compound}, {"contractor", p.Contractor},
	} {
		if c.code != "" {
			out = append(out, c.name+" "+c.code)
		}
	}
	return strings.Join(out, ", ")
}

// insider looks things up for one request of who is limited to a part.
type insider struct {
	s     *Server
	ctx   context.Context
	part  grid.Scope
	units map[string]bool
	known map[named]bool
	err   error // the first look-up that failed: then nothing is shown
}

// admits refuses a row outside as one that is not there: who may not see it does not learn that
// it is. Only what is seen and reaches further is told as such.
func (i *insider) admits(what thing, id string, whole bool) error {
	in, err := i.lies(what, id)
	if err != nil && grid.CodeOf(err) != grid.NotFound {
		return err
	}
	if !in {
		return grid.Errorf(grid.NotFound, "%s %q is not known", what, id)
	}
	if !whole {
		return nil
	}
	beyond, err := i.beyond(what, id)
	if err == nil && beyond {
		err = grid.Errorf(grid.Forbidden, "%s %q lies outside of %s too", what, id, inWords(i.part))
	}
	return err
}

// lies reports whether a row lies in the part, by the same condition that lists are narrowed by.
func (i *insider) lies(what thing, id string) (bool, error) {
	key := named{what, id}
	if in, done := i.known[key]; done {
		return in, nil
	}
	in, err := i.look(what, id)
	if err == nil {
		if i.known == nil {
			i.known = map[named]bool{}
		}
		i.known[key] = in
	}
	return in, err
}

func (i *insider) look(what thing, id string) (bool, error) {
	s, ctx := i.s, i.ctx
	q := Query{ID: id, Scope: i.part, Limit: 1, Joined: true}
	switch what {
	case aPoint:
		return there(s.Store.ListPoints(ctx, q))
	case aDevice, aStranger:
		return i.lookDevice(what, id, q)
	case theAlarm:
		return there(s.Store.ListAlarms(ctx, q))
	case anEvent:
		return there(s.Store.ListEvents(ctx, q))
	case anIncident:
		return there(s.Store.ListIncidents(ctx, q))
	case aTicket:
		return there(s.Store.ListTickets(ctx, q))
	case aHazard:
		return there(s.Hazards.ListHazards(ctx, q))
	case aDelivery:
		return there(s.Store.ListDeliveries(ctx, q))
	case aDownlink:
		return there(s.Store.ListDownlinks(ctx, q))
	case aFile:
		f, err := s.Store.File(ctx, id)
		if err != nil {
			return false, err
		}
		return i.lies(aTicket, f.Ticket)
	case aWindow:
		return i.lookWindow(id, q)
	case aRound:
		return there(s.Store.ListRounds(ctx, q))
	case aNoEntry:
		return there(s.Store.ListNoEntries(ctx, q))
	case aVisit:
		return there(s.VisitStore.ListVisits(ctx, q))
	case aSite:
		return there(s.Store.ListSites(ctx, q))
	case aFrame:
		return there(s.Store.ListQuarantine(ctx, q))
	case aBuilding: // registered, or a name that points have
		in, err := there(s.Store.ListBuildings(ctx, q))
		if in || err != nil {
			return in, err
		}
		return there(s.Store.ListPoints(ctx, Query{Building: id, Scope: i.part, Limit: 1}))
	case aUnit:
		return i.lookUnit(id)
	case aContact, aRoster, aShift, owner:
		return i.lookOwned(what, id)
	}
	return false, grid.Errorf(grid.Internal, "where a %s lies is not known", what)
}

func there[T any](p Page[T], err error) (bool, error) { return len(p.Items) > 0, err }

// lookDevice: a device lies where it is installed, or was; one that never was lies nowhere, and
// whoever has it in hand reaches it.
func (i *insider) lookDevice(what thing, id string, q Query) (bool, error) {
	in, err := there(i.s.Store.ListDevices(i.ctx, q))
	if in || err != nil {
		return in, err
	}
	if _, err := i.s.Store.Device(i.ctx, grid.Identity(id)); err != nil {
		return what == aStranger && grid.CodeOf(err) == grid.NotFound, err
	}
	at, err := i.s.Store.ListInstallations(i.ctx, Query{Device: id, Limit: 1})
	return err == nil && len(at.Items) == 0, err
}

// lookWindow: a window lies where it says, and where its points are.
func (i *insider) lookWindow(id string, q Query) (bool, error) {
	in, err := there(i.s.Store.ListWindows(i.ctx, q))
	if in || err != nil {
		return in, err
	}
	w, err := i.s.Store.Window(i.ctx, id)
	if err != nil {
		return false, err
	}
	return i.someOf(w.Points)
}

func (i *insider) someOf(points []string) (bool, error) {
	for _, p := range points {
		if in, err := i.lies(aPoint, p); in || err != nil {
			return in, err
		}
	}
	return false, nil
}

// lookUnit: a unit is of use where its own part and this one meet: the fire station of the whole
// district is seen from each street of it.
func (i *insider) lookUnit(id string) (bool, error) {
	if i.units == nil {
		units := map[string]bool{}
		err := i.s.eachUnit(i.ctx, func(u grid.Unit) error {
			units[u.ID] = meets(u.Scope, i.part)
			return nil
		})
		if err != nil {
			return false, err
		}
		i.units = units
	}
	return i.units[id], nil
}

// meets reports whether two parts have something in common: no code that both have differs.
func meets(a, b grid.Scope) bool {
	under := func(x, y string) bool {
		return x == "" || y == "" || strings.HasPrefix(x, y) || strings.HasPrefix(y, x)
	}
	narrow := func(s grid.Scope) string {
		for _, c := range []string{s.Community, s.Street, s.District} {
			if c != "" {
				return c
			}
		}
		return ""
	}
	same := func(x, y string) bool { return x == "" || y == "" || x == y }
	return under(narrow(a), narrow(b)) && same(a.Compound, b.Compound)
}

// lookOwned: contacts, rosters and shifts lie where whose they are lies. Seats are of the desk.
func (i *insider) lookOwned(what thing, id string) (bool, error) {
	of := id
	if what != owner {
		var err error
		if of, err = i.ownerOf(what, id); of == "" || err != nil {
			return false, err
		}
	}
	kind, whose, _ := strings.Cut(of, ":")
	switch kind {
	case "point":
		return i.lies(aPoint, whose)
	case "building":
		return i.lies(aBuilding, whose)
	case "unit":
		return i.lies(aUnit, whose)
	case "seat":
		return true, nil
	}
	return false, nil
}

func (i *insider) ownerOf(what thing, id string) (string, error) {
	q := Query{ID: id, Limit: 1}
	if i.s.People == nil {
		return "", nil
	}
	switch what {
	case aContact:
		p, err := i.s.People.ListContacts(i.ctx, q)
		return ofFirst(p.Items, err, func(c *ContactView) string { return c.Of })
	case aRoster:
		p, err := i.s.People.ListRosters(i.ctx, q)
		return ofFirst(p.Items, err, func(r *grid.Roster) string { return r.For })
	}
	p, err := i.s.People.ListShifts(i.ctx, q)
	return ofFirst(p.Items, err, func(s *grid.Shift) string { return s.For })
}

// ofFirst says whose the first of some rows is; "": there is none.
func ofFirst[T any](rows []T, err error, of func(*T) string) (string, error) {
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return of(&rows[0]), nil
}

// beyond reports whether something that belongs to a row lies outside.
func (i *insider) beyond(what thing, id string) (bool, error) {
	var points []string
	switch what {
	case aTicket:
		t, err := i.s.Store.Ticket(i.ctx, id)
		if err != nil {
			return false, err
		}
		for _, m := range t.Members {
			points = append(points, m.Point)
		}
	case aWindow:
		w, err := i.s.Store.Window(i.ctx, id)
		if err != nil {
			return false, err
		}
		if !w.Area.IsZero() && i.admitsArea(w.Area) != nil {
			return true, nil
		}
		points = w.Points
	}
	for _, p := range points {
		if p == "" {
			continue
		}
		in, err := i.lies(aPoint, p)
		if err != nil || !in {
			return !in, err
		}
	}
	return false, nil
}

// admitsArea lets an area through that lies in the part altogether.
func (i *insider) admitsArea(a grid.Area) error {
	in := a.Street != "" && agrees(&grid.Scope{Street: a.Street, Compound: a.Compound}, &i.part) ||
		a.Street != "" && i.part == grid.Scope{District: i.part.District} && strings.HasPrefix(a.Street, i.part.District)
	if in {
		return nil
	}
	return grid.Errorf(grid.Forbidden, "area lies outside of %s, or may: name the street, and what else this account is limited to", inWords(i.part))
}

// admitsPlace lets a report through whose place is known to lie in the part. Words alone are no
// place: what they tell of would be everybody's, or nobody's.
func (i *insider) admitsPlace(p *Place) error {
	refused := grid.Errorf(grid.Forbidden, "the place lies outside of %s, or may: want a point, a cell or a position there", inWords(i.part))
	if p.Building != "" && p.Point == "" {
		if err := i.admits(aBuilding, p.Building, false); err != nil {
			return err
		}
	}
	switch {
	case p.Point != "":
		return i.admits(aPoint, p.Point, false)
	case i.s.Regions == nil || p.Cell == "" && p.Position == nil:
		return refused
	}
	m := i.s.Regions.Map()
	at := grid.Scope{}
	if r, ok := m.Region(p.Cell); p.Cell != "" && ok {
		at = r.Scope
	} else if f, err := (&NewFiling{Place: *p}).filing(grid.Actor{}); err == nil && p.Cell == "" {
		l := m.At(f.Lon, f.Lat)
		at = grid.Scope{District: l.District, Street: l.Street, Community: l.Community}
	}
	part := i.part
	part.Compound, part.Contractor = "", ""
	if i.part.Compound+i.part.Contractor != "" || !agrees(&at, &part) {
		return refused
	}
	return nil
}
