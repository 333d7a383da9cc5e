package api

import (
	"context"
	"reflect"
	"strings"

	"gridgate/internal/grid"
)

// placed is what carries where it lies.
var placed = reflect.TypeFor[grid.Scope]()

// leaveOutside takes out of an answer what lies outside of the part that by is limited to: rows of
// lists and what hangs on a row. keepInside has narrowed what was asked for; this is for what comes
// along with it. What others may hold too is copied first.
func leaveOutside[O any](ctx context.Context, s *Server, by grid.Actor, out *O) (*O, error) {
	part := partOf(by)
	if part == (grid.Scope{}) || out == nil {
		return out, nil
	}
	i := &insider{s: s, ctx: ctx, part: part}
	c := *out
	i.keep(reflect.ValueOf(&c).Elem(), 0)
	return &c, i.err
}

// keep goes through an answer. Structs of other packages than ours hold nothing of places.
func (i *insider) keep(v reflect.Value, depth int) {
	if !v.CanSet() || depth > 12 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && v.Elem().Kind() == reflect.Struct && ours(v.Type().Elem()) {
			c := reflect.New(v.Type().Elem())
			c.Elem().Set(v.Elem())
			i.keep(c.Elem(), depth+1)
			v.Set(c)
		}
	case reflect.Slice:
		i.keepSlice(v, depth)
	case reflect.Struct:
		if !ours(v.Type()) {
			return
		}
		if t, ok := v.Interface().(grid.Ticket); ok && !agrees(&t.Scope, &i.part) {
			t.Point, t.Device, t.Title, t.Place, t.Cell, t.Scope, t.Alarm = "", "", "", "", "", grid.Scope{}, "" // it began elsewhere: its members here are what is shown
			v.Set(reflect.ValueOf(t))
		}
		for n := range v.NumField() {
			i.keep(v.Field(n), depth+1)
		}
	}
}

func (i *insider) keepSlice(v reflect.Value, depth int) {
	t := v.Type().Elem()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if v.IsNil() || t.Kind() != reflect.Struct || !ours(t) {
		return
	}
	c := reflect.MakeSlice(v.Type(), 0, v.Len())
	for n := range v.Len() {
		x := v.Index(n)
		if x.Kind() == reflect.Pointer && x.IsNil() || !i.shows(reflect.Indirect(x)) {
			continue
		}
		c = reflect.Append(c, x)
	}
	for n := range c.Len() {
		if m, ok := c.Index(n).Interface().(grid.Member); ok && m.Point != "" && !i.in(aPoint, m.Point) {
			c.Index(n).Set(reflect.ValueOf(grid.Member{Type: m.Type, At: m.At})) // counted, without what and where it is
		}
		i.keep(c.Index(n), depth+1)
	}
	v.Set(c)
}

func ours(t reflect.Type) bool {
	return strings.HasPrefix(t.PkgPath(), "gridgate/") || t.PkgPath() == ""
}

// shows reports whether a row of a list is shown.
func (i *insider) shows(v reflect.Value) bool {
	switch x := v.Interface().(type) {
	case grid.Unit:
		return i.in(aUnit, x.ID)
	case UnitState:
		return i.in(aUnit, x.ID)
	case MeUnit:
		return i.in(aUnit, x.ID)
	case ContractorView:
		return i.in(aUnit, x.Unit.ID)
	case grid.RouteReason: // of a unit that was thought of and not taken too
		return x.Unit == "" || i.in(aUnit, x.Unit)
	case grid.ChannelHealth:
		return i.in(aUnit, x.Unit)
	case grid.Roster:
		return i.in(owner, x.For)
	case grid.Shift:
		return i.in(owner, x.For)
	case DutyGap:
		return i.in(owner, x.For)
	case DutyWatch:
		return i.in(owner, x.For)
	case ContactView:
		return i.in(owner, x.Of)
	case grid.Suggestion:
		return i.in(aTicket, x.Ticket)
	case grid.Installation:
		return i.in(aPoint, x.Point)
	case grid.Ticket:
		return i.in(aTicket, x.ID)
	case WorkTask:
		return i.in(aTicket, x.ID)
	case grid.Incident:
		return i.in(anIncident, x.ID)
	case grid.Window:
		return i.in(aWindow, x.ID)
	case grid.Posture, grid.Seat, SeatView:
		return true
	}
	if f, ok := v.Type().FieldByName("Scope"); ok && f.Type == placed && f.Anonymous {
		at := v.FieldByIndex(f.Index).Interface().(grid.Scope)
		return agrees(&at, &i.part)
	}
	return true
}

// in is lies for what is shown: what cannot be looked up is not shown, and neither is the rest.
func (i *insider) in(what thing, id string) bool {
	in, err := i.lies(what, id)
	if err != nil && grid.CodeOf(err) != grid.NotFound && i.err == nil {
		i.err = err
	}
	return in
}

// liesIn reports whether a message of the stream lies in a part; not sure: it has to be looked up.
func (n *note) liesIn(part *grid.Scope) (in, sure bool) {
	switch v := n.data.(type) {
	case grid.Event:
		return agrees(&v.Scope, part), true
	case grid.Alarm:
		return agrees(&v.Scope, part), true
	case grid.Delivery:
		return agrees(&v.Scope, part), true
	case grid.Visit:
		return agrees(&v.Scope, part), true
	case grid.Ticket:
		in = agrees(&v.Scope, part)
		return in, in || len(v.Members) == 0
	case grid.Window:
		in = agrees(&v.Scope, part)
		return in, in || len(v.Points) == 0
	case grid.MoveRecord, grid.Downlink:
		return false, false
	case grid.Posture, grid.Seat, grid.Discovered:
		return true, true
	}
	return false, true // a handover lists what is open in the whole district
}

// forPart is a message as who is limited to a part may have it. It reads what has been committed,
// in the time of its reader: nobody else waits for it.
func (s *Server) forPart(ctx context.Context, n note, part grid.Scope) (note, bool) {
	i := &insider{s: s, ctx: ctx, part: part}
	in, sure := n.liesIn(&part)
	switch v := n.data.(type) {
	case grid.Ticket:
		in = in || !sure && i.in(aTicket, v.ID)
		i.keep(reflect.ValueOf(&v).Elem(), 0)
		n.data = v
	case grid.Window:
		in = in || !sure && i.in(aWindow, v.ID)
	case grid.MoveRecord:
		in = i.in(aTicket, v.Ticket)
	case grid.Downlink:
		in = i.in(aDownlink, v.ID)
	}
	return n, in && i.err == nil
}
