package state

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

// neighbour is a scope that shares no code with yuyuan.
var neighbour = grid.Scope{District: "310106", Street: "310106001", Community: "310106001001", Compound: "other", Contractor: "weibao"}

// lists reads the ids of one page of every list.
func lists(s *Store) map[string]func(context.Context, Query) ([]string, error) {
	return map[string]func(context.Context, Query) ([]string, error){
		"points":        ids(s.ListPoints, func(p grid.Point) string { return p.ID }),
		"devices":       ids(s.ListDevices, func(d grid.Device) string { return string(d.Identity) }),
		"installations": ids(s.ListInstallations, func(i grid.Installation) string { return string(i.Device) }),
		"units":         ids(s.ListUnits, func(u grid.Unit) string { return u.ID }),
		"events":        ids(s.ListEvents, func(e grid.Event) string { return e.ID }),
		"alarms":        ids(s.ListAlarms, func(a grid.Alarm) string { return a.ID }),
		"tickets":       ids(s.ListTickets, func(t grid.Ticket) string { return t.ID }),
		"deliveries":    ids(s.ListDeliveries, func(d grid.Delivery) string { return d.ID }),
		"quarantine":    ids(s.ListQuarantine, func(q grid.QuarantinedFrame) string { return q.ID }),
		"audit":         ids(s.ListAudit, func(a Audit) string { return a.ID }),
		"downlinks":     ids(s.ListDownlinks, func(d grid.Downlink) string { return d.ID }),
		"windows":       ids(s.ListWindows, func(w grid.Window) string { return w.ID }),
		"postures":      ids(s.ListPostures, func(p grid.Posture) string { return p.ID }),
		"hotspots":      ids(s.ListHotspots, func(h grid.Hotspot) string { return h.ID }),
		"visits":        ids(s.ListVisits, func(v grid.Visit) string { return v.ID }),
		"sites":         ids(s.ListSites, func(x grid.Site) string { return x.ID }),
		"buildings":     ids(s.ListBuildings, func(x grid.Building) string { return x.ID }),
		"changes":       ids(s.ListChanges, func(x grid.Change) string { return x.ID }),
		"photos":        ids(s.ListPhotos, func(x grid.PointPhoto) string { return x.ID }),
		"regions":       ids(s.ListRegions, func(x grid.Region) string { return x.Code }),
		"event stream": func(ctx context.Context, q Query) ([]string, error) {
			events, err := s.EventsAfterFor(ctx, "", q)
			return ids(func(context.Context, Query) (Page[grid.Event], error) { return Page[grid.Event]{Items: events}, err },
				func(e grid.Event) string { return e.ID })(ctx, q)
		},
	}
}

func ids[T any](list func(context.Context, Query) (Page[T], error), id func(T) string) func(context.Context, Query) ([]string, error) {
	return func(ctx context.Context, q Query) (out []string, err error) {
		p, err := list(ctx, q)
		for _, item := range p.Items {
			out = append(out, id(item))
		}
		return out, err
	}
}

// inScope makes one row for every list, all at one place and all named name.
func inScope(name string, sc grid.Scope) *Batch {
	b := &Batch{}
	n := int(name[0])
	addTicket(b, n)
	b.Points = []grid.Point{{ID: name, Name: name, Kind: grid.Smoke, Scope: sc, Mode: grid.Live}}
	b.Devices = []grid.Device{{Identity: grid.Identity(name)}}
	b.Installations = []grid.Installation{{Device: grid.Identity(name), Channel: grid.MainChannel, Point: name, From: t0}}
	b.Units = []grid.Unit{{ID: name, Name: name, Scope: sc, Token: "token of " + name, Secret: "whsec_x"}}
	b.Events[0].ID, b.Events[0].Scope, b.Events[0].Ticket = name, sc, name
	b.Alarms[0].ID, b.Alarms[0].Scope, b.Alarms[0].Ticket = name, sc, name
	b.Tickets[0].ID, b.Tickets[0].Scope = name, sc
	b.Tickets[0].Assignments = []grid.Assignment{{ID: name + ".1", Unit: name, Lead: true}}
	b.Moves[0].Ticket = name
	b.Deliveries = b.Deliveries[:1]
	b.Deliveries[0].ID, b.Deliveries[0].Scope, b.Deliveries[0].Ticket, b.Deliveries[0].Unit = name, sc, name, name
	b.Attempts = []grid.Attempt{{Delivery: name, N: 1}}
	b.Evidence[0].Ticket = name
	b.Quarantine = []grid.QuarantinedFrame{{ID: name, Scope: sc, State: "waiting", Frame: grid.Frame{Identity: grid.Identity(name)}}}
	b.Audit = []Audit{{ID: name, Scope: sc}}
	b.Downlinks = []grid.Downlink{{ID: name, Device: grid.Identity(name), Created: t0}}
	b.Windows = []grid.Window{{ID: name, Holder: name, Scope: sc, From: t0}}
	b.Postures = []grid.Posture{{ID: name, Scope: sc, From: t0}}
	b.Hotspots = []grid.Hotspot{{ID: name, Scope: sc, Listed: t0, Ticket: name}}
	b.Visits = []grid.Visit{{ID: name, Scope: sc, Started: t0, Point: name, State: grid.VisitPending, Newest: true}}
	b.Sites = []grid.Site{{ID: name, Scope: sc}}
	b.Buildings = []grid.Building{{ID: name, Scope: sc}}
	b.Changes = []grid.Change{{ID: name, Scope: sc, Point: name, After: []byte("{}")}}
	b.Photos = []grid.PointPhoto{{ID: name, Scope: sc, Point: name}}
	b.Regions = []grid.Region{{Code: name, Scope: sc}}
	return b
}

func TestEveryListKeepsToTheScope(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	commit(t, s, inScope("ours", yuyuan))
	commit(t, s, inScope("theirs", neighbour))
	for name, list := range lists(s) {
		for field, sc := range map[string]grid.Scope{
			"district": {District: yuyuan.District}, "street": {Street: yuyuan.Street}, "community": {Community: yuyuan.Community},
			"compound": {Compound: yuyuan.Compound}, "contractor": {Contractor: yuyuan.Contractor}, "all": yuyuan,
		} {
			got, err := list(t.Context(), Query{Scope: sc})
			if d := cmp.Diff([]string{"ours"}, got); err != nil || d != "" {
				t.Errorf("%s in scope by %s: %v\n%s", name, field, err, d)
			}
		}
		mixed := yuyuan
		mixed.Contractor = neighbour.Contractor
		if got, err := list(t.Context(), Query{Scope: mixed}); err != nil || len(got) != 0 {
			t.Errorf("%s in a scope that nothing is in: %v, %v", name, got, err)
		}
		if got, err := list(t.Context(), Query{}); err != nil || len(got) != 2 {
			t.Errorf("%s without a scope: %v, %v: want both", name, got, err)
		}
	}
}

func TestUnitSeesItsOwnTicketsOnly(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	commit(t, s, inScope("ours", yuyuan))
	commit(t, s, inScope("theirs", yuyuan)) // same scope: only the assignment tells them apart
	own := []string{"tickets", "deliveries", "alarms", "events", "event stream", "units", "windows", "hotspots"}
	for name, list := range lists(s) {
		var want []string
		if slices.Contains(own, name) {
			want = []string{"ours"}
		}
		got, err := list(t.Context(), Query{Unit: "ours"})
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s for a unit: %v\n%s", name, err, d)
		}
	}
	// A helping unit sees the ticket too, and nobody else's delivery.
	b := inScope("theirs", yuyuan)
	b.Tickets[0].Assignments = append(b.Tickets[0].Assignments, grid.Assignment{ID: "theirs.2", Unit: "ours"})
	commit(t, s, b)
	for name, want := range map[string][]string{"tickets": {"theirs", "ours"}, "deliveries": {"ours"}} {
		got, err := lists(s)[name](t.Context(), Query{Unit: "ours"})
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s for a helping unit: %v\n%s", name, err, d)
		}
	}
	if got, err := lists(s)["tickets"](t.Context(), Query{Unit: "ours", ID: "nobody's"}); err != nil || len(got) != 0 {
		t.Errorf("a ticket that is not there: %v, %v", got, err)
	}
}

func TestEveryRowAPersonMaySeeCarriesItsScope(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	internal := []string{"engine", "ledger", "suspects", "down", "applied", "meta", "goose_db_version", "sqlite_sequence",
		"profile_versions", "rollouts", "credentials", "programs"} // of the gateway as a whole: an administrator's alone
	cols := map[string][]string{}
	err := s.reader(t.Context(), func(c driver.Conn) error {
		const q = "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'"
		return each(t.Context(), c, q, nil, func(r *row) error {
			table := r.text()
			cols[table] = append(cols[table], r.text())
			return r.err
		})
	})
	if err != nil || len(cols) < 20 {
		t.Fatalf("%d tables, %v", len(cols), err)
	}
	for table, have := range cols {
		if slices.Contains(internal, table) {
			continue
		}
		for _, want := range columns(allScope) {
			if !slices.Contains(have, want) {
				t.Errorf("table %s has no column %s", table, want)
			}
		}
		if slices.Contains([]string{"tickets", "assignments", "deliveries", "attempts"}, table) && !slices.Contains(have, "unit") {
			t.Errorf("table %s has no column unit", table)
		}
	}
}

func TestRowsTakeTheScopeOfWhatTheyHangOn(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	b := inScope("ours", yuyuan)
	b.Points[0].Cell = yuyuanCell
	commit(t, s, b)
	for _, table := range []string{"installations", "devices", "assignments", "moves", "attempts", "evidence"} {
		sql := "SELECT count(*) FROM " + table + " WHERE district = '310105' AND street = '310105001' AND community = '310105001002' " +
			"AND compound = 'yuyuan-1' AND contractor = 'anfang' AND cell = '" + yuyuanCell + "'"
		if n := number(t, s, sql); n != 1 {
			t.Errorf("%s: %d rows with the scope: want 1", table, n)
		}
	}
	// The point changes hands: what is there goes with it, what has happened stays.
	b.Points[0].Scope = neighbour
	commit(t, s, &Batch{Points: b.Points})
	for name, want := range map[string]int{"points": 1, "devices": 1, "installations": 1, "tickets": 0, "events": 0} {
		if got, err := lists(s)[name](t.Context(), Query{Scope: neighbour}); err != nil || len(got) != want {
			t.Errorf("%s of the new hands: %v, %v: want %d", name, got, err, want)
		}
	}
	// A device that is taken out is still seen where it was last.
	b.Installations[0].To = t0.Add(time.Hour)
	commit(t, s, &Batch{Installations: b.Installations})
	if got, err := s.ListDevices(t.Context(), Query{Scope: neighbour}); err != nil || len(got.Items) != 1 {
		t.Errorf("devices after one was taken out: %v, %v", got, err)
	}
	if got, err := s.ListDevices(t.Context(), Query{Point: "ours"}); err != nil || len(got.Items) != 0 {
		t.Errorf("devices at the point after the only one was taken out: %v, %v", got, err)
	}
}

func TestPagesNeitherRepeatNorSkipWhileRowsCome(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	add := func(from, to int) {
		b := &Batch{}
		for n := from; n < to; n++ {
			// Pairs of the same time: the id tells them apart.
			b.Events = append(b.Events, grid.Event{ID: fmt.Sprintf("E%03d", n), Received: t0.Add(time.Duration(n/2) * time.Second)})
			b.Installations = append(b.Installations, grid.Installation{Device: grid.Identity(fmt.Sprintf("d%03d", n/3)),
				Channel: fmt.Sprintf("c%d", n%3), From: t0, Point: fmt.Sprintf("P%03d", n)})
		}
		commit(t, s, b)
	}
	add(100, 200)
	var events, points []string
	for cursor, more := "", true; more; more = cursor != "" {
		p, err := s.ListEvents(t.Context(), Query{Limit: 7, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Items {
			events = append(events, e.ID)
		}
		if cursor == "" {
			add(200, 230) // newer than the first page
		}
		cursor = p.Next
	}
	for cursor, more := "", true; more; more = cursor != "" {
		p, err := s.ListInstallations(t.Context(), Query{Limit: 7, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range p.Items {
			points = append(points, in.Point)
		}
		cursor = p.Next
	}
	if len(events) != 100 || !slices.IsSortedFunc(events, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("%d events in pages, newest first: %v", len(events), events)
	}
	if len(points) != 130 || !slices.IsSorted(points) {
		t.Errorf("%d installations in pages: %v", len(points), points)
	}
}

func TestBadQueriesAreNamed(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	b := &Batch{}
	addTicket(b, 1)
	addTicket(b, 2)
	commit(t, s, b)
	p, err := s.ListTickets(t.Context(), Query{Limit: 1})
	if err != nil || p.Next == "" {
		t.Fatalf("next is %q, %v", p.Next, err)
	}
	for name, c := range map[string]struct {
		q    Query
		says string
	}{
		"a cursor of another list": {Query{Cursor: p.Next}, "cursor"},
		"a cursor made up":         {Query{Cursor: "!!"}, "cursor"},
		"a cursor of nothing":      {Query{Cursor: "bnVsbA"}, "cursor"},
		"a cursor of objects":      {Query{Cursor: makeCursor("events", []driver.Value{int64(1), true})}, "cursor"},
		"a limit below":            {Query{Limit: -1}, "limit"},
		"a limit above":            {Query{Limit: 1001}, "limit"},
	} {
		_, err := s.ListEvents(t.Context(), c.q)
		if grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error is %v: want invalid, naming the %s", name, err, c.says)
		}
	}
	// A filter that a list does not have must not give everything.
	if _, err := s.ListPoints(t.Context(), Query{Ticket: "open"}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("points by ticket: error is %v: want invalid", err)
	}
	if _, err := s.ListPoints(t.Context(), Query{Since: t0}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("points since: error is %v: want invalid", err)
	}
}

func TestFilters(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	b := inScope("a", yuyuan)
	b.Points[0].Cell = yuyuanCell
	b.Devices[0].State, b.Devices[0].Profile = grid.Installed, "milesight/ws301"
	b.Tickets[0].Point, b.Alarms[0].Point, b.Events[0].Point = "a", "a", "a"
	b.Tickets[0].Title = "100% 烟_感"
	commit(t, s, b)
	other := inScope("b", yuyuan)
	other.Points[0].Kind = grid.Manhole
	other.Tickets[0].Point, other.Alarms[0].Point = "b", "b"
	other.Tickets[0].Type, other.Alarms[0].Type, other.Events[0].Type = grid.EventManholeOpen, grid.EventManholeOpen, grid.EventManholeOpen
	other.Tickets[0].State, other.Tickets[0].Title = grid.TicketClosed, "1000 烟感"
	other.Alarms[0].Active, other.Deliveries[0].State, other.Quarantine[0].State = false, grid.DeliveryReceived, "replayed"
	other.Quarantine[0].Reason, other.Events[0].Kind = grid.Undecodable, grid.KindTest
	commit(t, s, other)
	all := lists(s)
	for _, c := range []struct {
		list string
		q    Query
		want string
	}{
		{"points", Query{Kind: "smoke"}, "a"}, {"points", Query{Cell: yuyuanCell}, "a"}, {"points", Query{Device: "b"}, "b"},
		{"points", Query{ID: "b"}, "b"}, {"points", Query{Text: "A"}, "a"},
		{"devices", Query{State: "installed"}, "a"}, {"devices", Query{Point: "b"}, "b"}, {"devices", Query{Kind: "manhole"}, "b"},
		{"devices", Query{Type: "milesight/ws301"}, "a"}, {"devices", Query{Cell: yuyuanCell}, "a"},
		{"installations", Query{Kind: "manhole"}, "b"}, {"installations", Query{Point: "a"}, "a"}, {"installations", Query{State: "current", Device: "a"}, "a"},
		{"events", Query{Type: "manhole.open"}, "b"}, {"events", Query{Kind: "test"}, "b"}, {"events", Query{Ticket: "a"}, "a"},
		{"events", Query{Until: b.Events[0].Received.Add(1)}, "a"}, {"events", Query{Since: other.Events[0].Received}, "b"},
		{"alarms", Query{State: "active"}, "a"}, {"alarms", Query{State: "returned"}, "b"}, {"alarms", Query{Kind: "smoke"}, "a"},
		{"tickets", Query{State: "open"}, "a"}, {"tickets", Query{State: "ended"}, "b"}, {"tickets", Query{State: "closed"}, "b"},
		{"tickets", Query{Kind: "manhole"}, "b"}, {"tickets", Query{Text: "0% 烟_"}, "a"}, {"tickets", Query{Ticket: "b"}, "b"},
		{"deliveries", Query{State: "pending"}, "a"}, {"deliveries", Query{Ticket: "b"}, "b"}, {"deliveries", Query{Unit: "b"}, "b"},
		{"quarantine", Query{State: "waiting"}, "a"}, {"quarantine", Query{Type: "undecodable"}, "b"}, {"quarantine", Query{Device: "a"}, "a"},
	} {
		got, err := all[c.list](t.Context(), c.q)
		if err != nil || !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s with %+v: %v, %v: want %s", c.list, c.q, got, err, c.want)
		}
	}
}

func TestEventStreamResumesInCommitOrder(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	// A late event is committed after an earlier one: ids do not tell the order.
	commit(t, s, &Batch{Events: []grid.Event{{ID: "M"}, {ID: "Z"}}})
	commit(t, s, &Batch{Events: []grid.Event{{ID: "A"}, {ID: "Z"}}}) // Z is there already
	commit(t, s, &Batch{Events: []grid.Event{{ID: "N"}}})
	for after, want := range map[string][]string{"": {"M", "Z", "A", "N"}, "Z": {"A", "N"}, "N": nil} {
		events, err := s.EventsAfter(t.Context(), after, 10)
		var got []string
		for _, e := range events {
			got = append(got, e.ID)
		}
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("after %q: %v\n%s", after, err, d)
		}
	}
	if events, err := s.EventsAfter(t.Context(), "M", 1); err != nil || len(events) != 1 || events[0].ID != "Z" {
		t.Errorf("one after M: %v, %v", events, err)
	}
	if _, err := s.EventsAfter(t.Context(), "never", 1); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("after an unknown event: error is %v: want not_found", err)
	}
}

func TestUnknownIDsAreNotFound(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	ctx := t.Context()
	var errs []error
	for _, f := range []func() error{
		func() error { _, err := s.Point(ctx, "x"); return err }, func() error { _, err := s.Device(ctx, "x"); return err },
		func() error { _, err := s.Unit(ctx, "x"); return err }, func() error { _, err := s.Event(ctx, "x"); return err },
		func() error { _, err := s.Alarm(ctx, "x"); return err }, func() error { _, err := s.Ticket(ctx, "x"); return err },
		func() error { _, err := s.Delivery(ctx, "x"); return err }, func() error { _, err := s.Quarantined(ctx, "x"); return err },
	} {
		if err := f(); grid.CodeOf(err) != grid.NotFound || !strings.Contains(err.Error(), `"x"`) {
			errs = append(errs, fmt.Errorf("error is %w: want not_found, naming x", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if _, known, err := s.Applied(ctx, "x"); known || err != nil {
		t.Errorf("a command never done: %t, %v", known, err)
	}
}

func TestUnitIsKnownByItsTokenAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openTest(t, path)
	commit(t, s, inScope("ours", yuyuan))
	commit(t, s, inScope("theirs", yuyuan))
	commit(t, s, &Batch{Units: []grid.Unit{{ID: "tokenless"}}})
	u, err := s.UnitByToken(t.Context(), "token of ours")
	if err != nil || u.ID != "ours" {
		t.Errorf("unit is %q, %v: want ours", u.ID, err)
	}
	for _, token := range []string{"", "token of", tokenHash("token of ours")} {
		if u, err := s.UnitByToken(t.Context(), token); grid.CodeOf(err) != grid.Unauthorized {
			t.Errorf("token %q is unit %q, %v: want unauthorized", token, u.ID, err)
		}
	}
	// A unit that is written as it was loaded keeps its token; the token is nowhere in the file.
	u.Name = "renamed"
	commit(t, s, &Batch{Units: []grid.Unit{u}})
	if u, err := s.UnitByToken(t.Context(), "token of ours"); err != nil || u.Name != "renamed" || u.Secret != "whsec_x" {
		t.Errorf("unit is %+v, %v", u, err)
	}
	if n := number(t, s, "SELECT count(*) FROM units WHERE token_hash LIKE 'token%'"); n != 0 {
		t.Error("a token is stored as it is")
	}
	// The same token for two tells nobody apart.
	commit(t, s, &Batch{Units: []grid.Unit{{ID: "copy", Token: "token of ours"}}})
	if u, err := s.UnitByToken(t.Context(), "token of ours"); grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("a shared token is unit %q, %v: want unauthorized", u.ID, err)
	}
	page, err := s.ListUnits(t.Context(), Query{})
	if err != nil || len(page.Items) != 4 {
		t.Fatalf("%d units, %v", len(page.Items), err)
	}
	for _, u := range page.Items {
		if u.Secret != "" || u.Token != "" {
			t.Errorf("the list shows the secret of %s", u.ID)
		}
	}
}

func TestPendingDeliveriesAreInOrder(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	d := func(id string, n int64, state grid.DeliveryState, after time.Duration) grid.Delivery {
		return grid.Delivery{ID: id, N: n, Ticket: "T", Unit: "u", State: state, Created: t0.Add(after)}
	}
	commit(t, s, &Batch{Deliveries: []grid.Delivery{
		d("z", 2, grid.DeliveryPending, time.Second), d("a", 3, grid.DeliveryPending, time.Second), d("m", 1, grid.DeliveryPending, 0),
		d("done", 4, grid.DeliveryReceived, 0), d("dead", 5, grid.DeliveryDead, 0), d("held", 6, grid.DeliveryWithheld, 0),
	}})
	pending, err := s.PendingDeliveries(t.Context())
	var got []string
	for _, p := range pending {
		got = append(got, p.ID)
	}
	if d := cmp.Diff([]string{"m", "z", "a"}, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
}

func TestQuarantineOverflowNamesTheOldestWaiting(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	b := &Batch{}
	for n := range 10 {
		state := "waiting"
		if n == 1 {
			state = "replayed"
		}
		b.Quarantine = append(b.Quarantine, grid.QuarantinedFrame{
			ID: fmt.Sprintf("Q%d", n), At: t0.Add(time.Duration(n) * time.Second), State: state, Frame: grid.Frame{Raw: make([]byte, 100)},
		})
	}
	commit(t, s, b) // nine wait, with 900 bytes
	for _, c := range []struct {
		rows, bytes int64
		want        []string
	}{
		{0, 0, nil}, {9, 900, nil}, {7, 0, []string{"Q0", "Q2"}}, {0, 750, []string{"Q0", "Q2"}}, {8, 550, []string{"Q0", "Q2", "Q3", "Q4"}},
	} {
		got, err := s.QuarantineOverflow(t.Context(), c.rows, c.bytes)
		if d := cmp.Diff(c.want, got); err != nil || d != "" {
			t.Errorf("%d rows and %d bytes: %v\n%s", c.rows, c.bytes, err, d)
		}
	}
	q := b.Quarantine[0]
	q.State, q.Frame = "discarded", grid.Frame{} // the copy need not be at hand
	b.Quarantine[2].State = "replayed"
	commit(t, s, &Batch{Quarantine: []grid.QuarantinedFrame{q, b.Quarantine[2]}})
	gone, err := s.Quarantined(t.Context(), "Q0")
	if err != nil || gone.State != "discarded" || len(gone.Frame.Raw) != 0 {
		t.Errorf("discarded: %+v, %v: want it without its bytes", gone, err)
	}
	kept, err := s.Quarantined(t.Context(), "Q2")
	if err != nil || kept.State != "replayed" || len(kept.Frame.Raw) != 100 {
		t.Errorf("replayed: %+v, %v: want it with its bytes", kept, err)
	}
	if got, err := s.QuarantineOverflow(t.Context(), 7, 700); err != nil || got != nil {
		t.Errorf("overflow after discarding: %v, %v", got, err)
	}
}

func TestPruneDeletesOldRowsOnly(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	b := &Batch{}
	for n := range 2*pruneRows + 10 {
		b.Commands = append(b.Commands, Applied{Key: fmt.Sprintf("k%d", n), At: t0})
	}
	b.Commands = append(b.Commands, Applied{Key: "new", At: t0.Add(time.Hour)})
	b.Quarantine = []grid.QuarantinedFrame{{ID: "old", State: "discarded", At: t0}, {ID: "waiting", State: "waiting", At: t0}}
	b.Down = []DownSpan{{From: t0, To: t0.Add(time.Second)}, {Source: "still", From: t0}}
	b.Downlinks = []grid.Downlink{{ID: "ended", Created: t0, EndedAt: t0}, {ID: "just ended", Created: t0, EndedAt: t0.Add(time.Hour)}, {ID: "open", Created: t0}}
	commit(t, s, b)
	before := t0.Add(time.Minute)
	n, err := s.Prune(t.Context(), Retain{})
	if err != nil || n != 0 {
		t.Errorf("pruned %d without a limit, %v", n, err)
	}
	n, err = s.Prune(t.Context(), Retain{Applied: before, Quarantine: before, Down: before, Downlinks: before})
	if want := int64(2*pruneRows + 10 + 1 + 1 + 1); err != nil || n != want {
		t.Errorf("pruned %d, %v: want %d", n, err, want)
	}
	for table, want := range map[string]int64{"applied": 1, "quarantine": 1, "down": 1, "downlinks": 2} {
		if n := number(t, s, "SELECT count(*) FROM "+table); n != want {
			t.Errorf("%s has %d rows: want %d", table, n, want)
		}
	}
}

// A list over a million rows must walk an index to its page, never sort the table.
func TestListsWalkAnIndex(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	for _, c := range []struct{ table, where string }{
		{"points", "WHERE street = '' ORDER BY id"}, {"devices", "WHERE street = '' ORDER BY identity"},
		{"installations", "WHERE point = ''"}, {"events", "WHERE true ORDER BY received DESC, id DESC"},
		{"events", "WHERE (received, id) < (1, '') ORDER BY received DESC, id DESC"}, {"events", "WHERE " + strings.Replace(eventList.filters["ticket"], "?", "'x'", 1)},
		{"alarms", "WHERE active = 1 ORDER BY raised DESC, id DESC"}, {"tickets", "WHERE ended = 0 ORDER BY opened DESC, id DESC"},
		{"tickets", "WHERE (opened, id) < (1, '') ORDER BY opened DESC, id DESC"},
		{"deliveries", "WHERE state = 'pending' ORDER BY created, ticket, unit, n"},
		{"deliveries", "WHERE unit = '' ORDER BY created DESC, id DESC"},
		{"downlinks", "WHERE ended = 0 ORDER BY created, id"}, {"downlinks", "WHERE device = '' ORDER BY created DESC, id DESC"},
		{"downlinks", "WHERE (created, id) < (1, '') ORDER BY created DESC, id DESC"}, {"downlinks", "WHERE ended < 1 AND ended <> 0"},
		{"quarantine", "WHERE state = 'waiting' ORDER BY at, id"}, {"units", "WHERE token_hash = 'x' AND token_hash <> ''"},
	} {
		err := s.reader(t.Context(), func(conn driver.Conn) error {
			return each(t.Context(), conn, "EXPLAIN QUERY PLAN SELECT * FROM "+c.table+" "+c.where+" LIMIT 50", nil, func(r *row) error {
				r.i = 3
				if step := r.text(); strings.Contains(step, "TEMP B-TREE") || strings.HasPrefix(step, "SCAN "+c.table) && !strings.Contains(step, "USING") {
					t.Errorf("%s %s: %s", c.table, c.where, step)
				}
				return r.err
			})
		})
		if err != nil {
			t.Errorf("%s %s: %v", c.table, c.where, err)
		}
	}
}
