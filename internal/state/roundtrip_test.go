package state

import (
	"math"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

// fill sets every field that v has to something that is not zero, and everywhere else, so
// that a column that is forgotten or swapped with another shows.
func fill(v reflect.Value, n *int) {
	*n++
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = t0.Add(time.Duration(*n) * time.Minute)
		return
	case *grid.Uplink: // not stored: read again from Raw
		return
	case *grid.Actor: // what else it has is of a request
		for _, word := range []reflect.Value{v.FieldByName("Role"), v.FieldByName("Name"), v.FieldByName("Unit")} {
			fill(word, n)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(strconv.Itoa(*n))) // is also JSON
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString("v" + strconv.Itoa(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8:
		v.SetUint(1) // a lane, a flag, a priority
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	default:
		panic("fill: " + v.Type().String())
	}
}

func filled[T any]() (v T) {
	var n int
	fill(reflect.ValueOf(&v).Elem(), &n)
	return v
}

func TestEveryFieldOfEveryRowComesBack(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	ctx := t.Context()
	ticket := filled[grid.Ticket]()
	ticket.Assignments[0].Ticket = ticket.ID
	evidence := filled[Evidence]()
	evidence.Ticket, evidence.Frame.Pos = ticket.ID, evidence.Pos
	move := filled[grid.MoveRecord]()
	attempt := filled[grid.Attempt]()
	b := &Batch{
		Points: []grid.Point{filled[grid.Point]()}, Devices: []grid.Device{filled[grid.Device]()},
		Installations: []grid.Installation{filled[grid.Installation]()}, Units: []grid.Unit{filled[grid.Unit]()},
		Events: []grid.Event{filled[grid.Event]()}, Alarms: []grid.Alarm{filled[grid.Alarm]()}, Tickets: []grid.Ticket{ticket},
		Moves: []grid.MoveRecord{move}, Deliveries: []grid.Delivery{filled[grid.Delivery]()}, Attempts: []grid.Attempt{attempt},
		Quarantine: []grid.QuarantinedFrame{filled[grid.QuarantinedFrame]()}, Evidence: []Evidence{evidence},
		Commands: []Applied{filled[Applied]()}, Audit: []Audit{filled[Audit]()},
		Downlinks: []grid.Downlink{filled[grid.Downlink]()}, Sites: []grid.Site{filled[grid.Site]()}, Buildings: []grid.Building{filled[grid.Building]()},
		Changes: []grid.Change{filled[grid.Change]()}, Photos: []grid.PointPhoto{filled[grid.PointPhoto]()},
		Regions: []grid.Region{filled[grid.Region]()},
	}
	commit(t, s, b)
	commit(t, s, b) // an upsert of the same changes nothing

	same := func(what string, want, got any, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: what was written and what came back (+):\n%s", what, d)
		}
	}
	p, err := s.Point(ctx, b.Points[0].ID)
	same("point", b.Points[0], p, err)
	d, err := s.Device(ctx, b.Devices[0].Identity)
	same("device", b.Devices[0], d, err)
	ins, err := s.ListInstallations(ctx, Query{})
	same("installation", b.Installations, ins.Items, err)
	u, err := s.Unit(ctx, b.Units[0].ID)
	want := b.Units[0]
	want.Token = ""
	same("unit", want, u, err)
	e, err := s.Event(ctx, b.Events[0].ID)
	same("event", b.Events[0], e, err)
	al, err := s.Alarm(ctx, b.Alarms[0].ID)
	same("alarm", b.Alarms[0], al, err)
	tk, err := s.Ticket(ctx, ticket.ID)
	same("ticket", ticket, tk, err)
	mv, err := s.Moves(ctx, move.Ticket)
	same("moves", b.Moves, mv, err)
	dl, err := s.Delivery(ctx, b.Deliveries[0].ID)
	same("delivery", b.Deliveries[0], dl, err)
	at, err := s.Attempts(ctx, attempt.Delivery)
	same("attempts", b.Attempts, at, err)
	q, err := s.Quarantined(ctx, b.Quarantine[0].ID)
	same("quarantined frame", b.Quarantine[0], q, err)
	ev, err := s.EvidenceOf(ctx, ticket.ID)
	same("evidence", b.Evidence, ev, err)
	ap, known, err := s.Applied(ctx, b.Commands[0].Key)
	same("applied", b.Commands[0], ap, err)
	same("applied is known", true, known, nil)
	au, err := s.ListAudit(ctx, Query{})
	same("audit", b.Audit, au.Items, err)
	dn, err := s.Downlink(ctx, b.Downlinks[0].ID)
	same("downlink", b.Downlinks[0], dn, err)
	si, err := s.Site(ctx, b.Sites[0].ID)
	same("site", b.Sites[0], si, err)
	bu, err := s.Building(ctx, b.Buildings[0].ID)
	same("building", b.Buildings[0], bu, err)
	ch, err := s.ListChanges(ctx, Query{})
	same("change", b.Changes, ch.Items, err)
	ph, err := s.Photo(ctx, b.Photos[0].ID)
	same("photo", b.Photos[0], ph, err)
	rg, err := s.Regions(ctx)
	same("region", b.Regions, rg, err)
}

func TestSmallPartsComeBackWhenLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openTest(t, path)
	b := &Batch{
		Cursors:    [grid.Lanes]grid.Pos{{Lane: grid.Safety, Epoch: 2, Seq: 70}, {Lane: grid.Bulk, Epoch: 3, Seq: 900}},
		EngineTime: t0, InfluxMark: InfluxMark{Segment: 4, Offset: 512},
		Ledger: []grid.LedgerRow{
			{Transport: "coap", Source: "udp", Lane: grid.Bulk, Counts: [grid.Outcomes]int64{1, 2, 3, 4, 5}},
			{Transport: "mqtt", Source: "embedded", Lane: grid.Safety, Counts: [grid.Outcomes]int64{0, 0, 0, 9, 0}},
		},
		Down:     []DownSpan{{From: t0, To: t0.Add(time.Hour)}, {Source: "embedded", From: t0.Add(time.Minute)}},
		Suspects: []Suspect{{Pos: grid.Pos{Lane: grid.Safety, Epoch: 2, Seq: 71}, Crashes: 1}, {Pos: grid.Pos{Lane: grid.Bulk, Epoch: 3, Seq: 901}, Crashes: 2}},
		Meta:     map[string]string{"epoch": "3", "config": "c1"},
	}
	commit(t, s, b)
	// One of two quarantined frames is replayed; one suspect was innocent; hearing again.
	commit(t, s, &Batch{
		Ledger:   []grid.LedgerRow{{Transport: "mqtt", Source: "embedded", Lane: grid.Safety, Counts: [grid.Outcomes]int64{1, 0, 0, -1, 0}}},
		Suspects: []Suspect{{Pos: grid.Pos{Lane: grid.Safety, Epoch: 2, Seq: 71}}},
		Down:     []DownSpan{{Source: "embedded", From: t0.Add(time.Minute), To: t0.Add(2 * time.Minute)}},
		Meta:     map[string]string{"config": "c2"},
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := openTest(t, path).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Ledger[1].Counts = [grid.Outcomes]int64{1, 0, 0, 8, 0}
	want := &Loaded{
		Progress: Progress{Cursors: b.Cursors, EngineTime: b.EngineTime, InfluxMark: b.InfluxMark, Ledger: b.Ledger},
		Down:     []DownSpan{{From: t0, To: t0.Add(time.Hour)}, {Source: "embedded", From: t0.Add(time.Minute), To: t0.Add(2 * time.Minute)}},
		Suspects: b.Suspects[1:], Meta: map[string]string{"epoch": "3", "config": "c2"},
	}
	if d := cmp.Diff(want, l); d != "" {
		t.Errorf("loaded (+):\n%s", d)
	}
}

func TestLoadTakesWhatIsStillAlive(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	now := t0.Add(100 * time.Hour)
	b := &Batch{EngineTime: now}
	open, closed := addTicket(b, 1), addTicket(b, 2)
	b.Tickets[1].State = grid.TicketClosed
	b.Alarms[0].Active, b.Alarms[0].Returned = false, now.Add(-50*time.Hour) // long ago, but its ticket is open
	b.Alarms[1].Active, b.Alarms[1].Returned = false, now.Add(-50*time.Hour) // gone
	b.Alarms = append(b.Alarms,
		grid.Alarm{ID: "active", Active: true, Raised: t0}, grid.Alarm{ID: "recent", Returned: now.Add(-47 * time.Hour)})
	commit(t, s, b)
	l, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var tickets, alarms []string
	for _, tk := range l.Tickets {
		tickets = append(tickets, tk.ID)
		if len(tk.Assignments) != 2 {
			t.Errorf("ticket %s has %d assignments: want 2", tk.ID, len(tk.Assignments))
		}
	}
	for _, a := range l.Alarms {
		alarms = append(alarms, a.ID)
	}
	if d := cmp.Diff([]string{open}, tickets); d != "" {
		t.Errorf("open tickets (closed: %s):\n%s", closed, d)
	}
	if d := cmp.Diff([]string{b.Alarms[0].ID, "active", "recent"}, alarms); d != "" {
		t.Errorf("alarms:\n%s", d)
	}
}

func TestTicketHasTheAssignmentsOfItsLastWriting(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	b := &Batch{}
	id := addTicket(b, 1)
	commit(t, s, b)
	b.Tickets[0].Assignments = b.Tickets[0].Assignments[1:]
	b.Tickets[0].Assignments[0].State = grid.TicketAccepted
	commit(t, s, b)
	got, err := s.Ticket(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(b.Tickets[0], got); d != "" {
		t.Error(d)
	}
}

// What a device or a person sends may be odd; it must neither stop a commit nor come back
// as something that looks right.
func TestOddValuesDoNotStopACommit(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	ctx := t.Context()
	year := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		name  string
		at    time.Time
		value float64
		text  string
		want  time.Time
		num   float64
	}{
		{name: "1970", at: time.Unix(0, 0), value: 1, want: time.Unix(0, 1).UTC(), num: 1},
		{name: "before 1970", at: year(1950), want: year(1950)},
		{name: "year 1", at: year(1).Add(1), want: time.Unix(0, math.MinInt64).UTC()},
		{name: "year 9999", at: year(9999), want: time.Unix(0, math.MaxInt64).UTC()},
		{name: "none", at: time.Time{}, want: time.Time{}},
		{name: "NaN", value: math.NaN()},
		{name: "infinite", value: math.Inf(-1)},
		{name: "not UTF-8", text: "\xff\xfe", value: 2, num: 2},
		{name: "NUL", text: "a\x00b"},
	} {
		e := grid.Event{ID: "E-" + c.name, At: c.at, Value: c.value, Detail: c.text}
		commit(t, s, &Batch{Events: []grid.Event{e}})
		got, err := s.Event(ctx, e.ID)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		e.At, e.Value = c.want, c.num
		if d := cmp.Diff(e, got); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
	}
}
