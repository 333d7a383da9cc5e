package state

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

// marks reads all that can matter to a period.
func marks(t *testing.T, s *Store, q grid.FigureQuery) []grid.TicketMarks {
	t.Helper()
	var out []grid.TicketMarks
	if err := s.FigureTickets(t.Context(), q, func(m *grid.TicketMarks) { out = append(out, *m) }); err != nil {
		t.Fatal(err)
	}
	return out
}

func line(ticket string, n int, verb string, from, to grid.TicketState, assignment string, at time.Time) grid.MoveRecord {
	return grid.MoveRecord{Ticket: ticket, N: n, Verb: verb, From: from, To: to, Assignment: assignment, At: at}
}

func TestTheMarksOfATicketAreTheFirstOfEachStep(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	at := func(min int) time.Time { return t0.Add(time.Duration(min) * time.Minute) }
	b := &Batch{
		Points:  []grid.Point{{ID: "P00001", Kind: grid.Smoke, Scope: yuyuan, Cell: yuyuanCell, Mode: grid.Live}},
		Devices: []grid.Device{{Identity: grid.Identity(fmt.Sprintf("eui:%016x", 1)), Profile: "milesight/gs524n", State: grid.Installed, Mode: grid.Live}},
	}
	id := addTicket(b, 1)
	b.Alarms[0].At = b.Alarms[0].Raised.Add(-2 * time.Second)
	tk, raised := &b.Tickets[0], b.Alarms[0]
	opened := tk.Opened
	lead, help := tk.Assignments[0].ID, tk.Assignments[1].ID
	b.Moves = []grid.MoveRecord{
		line(id, 1, "report", "", grid.TicketReported, "", opened),
		line(id, 2, "file", grid.TicketReported, grid.TicketFiled, "", opened),
		line(id, 3, "call", "", grid.TicketDispatched, help, opened),
		line(id, 4, "dispatch", grid.TicketFiled, grid.TicketDispatched, lead, at(1)),
	}
	tk.Clocks = append(tk.Clocks, grid.Clock{Name: "handle", Started: at(1), Due: at(11)})
	commit(t, s, b)

	step := func(f func(b *Batch)) {
		t.Helper()
		b := &Batch{Tickets: []grid.Ticket{*tk}}
		f(b)
		commit(t, s, b)
		commit(t, s, b) // the same again changes nothing
	}
	step(func(b *Batch) { // a helper accepts: no mark
		b.Moves = []grid.MoveRecord{line(id, 5, "accept", grid.TicketDispatched, grid.TicketAccepted, help, at(2))}
	})
	step(func(b *Batch) { // the first attempt is late
		tk.Clocks[1].Fired = true
		b.Moves = []grid.MoveRecord{
			line(id, 6, "accept", grid.TicketDispatched, grid.TicketAccepted, lead, at(3)),
			line(id, 7, "arrive", grid.TicketAccepted, grid.TicketInProgress, lead, at(5)),
		}
		b.Deliveries = []grid.Delivery{
			{ID: "D3", Ticket: id, Unit: "micro-1", Mode: grid.Live, State: grid.DeliveryDead, Done: at(1)}, // nobody had it
			{ID: "D1", Ticket: id, Unit: "micro-1", Mode: grid.Live, State: grid.DeliveryReceived, Done: at(2)},
			{ID: "D2", Ticket: id, Unit: "property-1", Mode: grid.Live, State: grid.DeliveryReceived, Done: at(4)}, // later: not the first
		}
		acked := raised
		acked.AckedAt = at(4)
		b.Alarms = []grid.Alarm{acked}
	})
	step(func(b *Batch) { // done, fails its check, and is dispatched again
		tk.Rework, tk.State = 1, grid.TicketDispatched
		tk.Clocks[1] = grid.Clock{Name: "handle", Started: at(20), Due: at(30)}
		b.Tickets[0] = *tk
		b.Moves = []grid.MoveRecord{
			line(id, 8, "resolve", grid.TicketInProgress, grid.TicketResolved, lead, at(9)),
			line(id, 9, "check", grid.TicketResolved, grid.TicketChecking, "", at(9)),
			line(id, 10, "rework", grid.TicketChecking, grid.TicketRework, "", at(20)),
			line(id, 11, "dispatch", grid.TicketRework, grid.TicketDispatched, lead, at(20)),
		}
	})
	step(func(b *Batch) { // in time, this time
		tk.State, tk.Verification, tk.Resolved, tk.Closed = grid.TicketClosed, grid.VerifiedTrue, at(25), at(50)
		tk.Clocks[1].Stopped = at(25)
		b.Tickets[0] = *tk
		b.Moves = []grid.MoveRecord{line(id, 12, "close", grid.TicketChecking, grid.TicketClosed, "", at(50))}
	})
	want := []grid.TicketMarks{{
		Ticket: id, Type: grid.EventSmokeAlarm, Kind: grid.Smoke, Priority: 1, Mode: grid.Live, Scope: yuyuan, Cell: yuyuanCell, Point: "P00001",
		Unit: "micro-1", Profile: "milesight/gs524n", State: grid.TicketClosed, Verification: grid.VerifiedTrue, Rework: 1,
		Occurred: opened.Add(-2 * time.Second), Opened: opened, Told: at(2), Acked: at(4), Filed: opened, Dispatched: at(1), Accepted: at(3), Arrived: at(5),
		Handled: at(25), Checked: at(20), Ended: at(50), HandleDue: at(30), Late: true, Due: opened.Add(time.Hour),
	}}
	if d := cmp.Diff(want, marks(t, s, grid.FigureQuery{Since: t0, Until: at(100)})); d != "" {
		t.Errorf("marks (+ is what is there):\n%s", d)
	}
	sameAgain(t, s)
}

// sameAgain makes all marks anew as the migration makes those of an older file, which knows
// most times to the second.
func sameAgain(t *testing.T, s *Store) {
	t.Helper()
	file, err := migrationFiles.ReadFile("migrations/00012_figures.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(file), "INSERT INTO ticket_marks\n")
	text, _, _ = strings.Cut(text, ";")
	q := grid.FigureQuery{Since: t0.AddDate(-1, 0, 0), Until: t0.AddDate(1, 0, 0)}
	before := marks(t, s, q)
	for i := range before {
		before[i].Late = false // of an attempt before the last one the document says nothing
	}
	s.mu.Lock()
	err = s.inTransaction(t.Context(), func(w *writer) {
		w.exec("DELETE FROM ticket_marks")
		w.exec("INSERT INTO ticket_marks " + text)
	})
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	seconds := cmp.Transformer("seconds", func(at time.Time) int64 { return at.Unix() })
	if d := cmp.Diff(before, marks(t, s, q), seconds); d != "" || len(before) == 0 {
		t.Errorf("%d marks, made anew by the migration (+):\n%s", len(before), d)
	}
}

func TestATicketMattersToEachPeriodThatItTouchesOnce(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	day := func(n int) time.Time { return t0.AddDate(0, 0, n) }
	b := &Batch{}
	put := func(id string, opened, ended, due time.Time, mode grid.Mode) {
		tk := grid.Ticket{ID: id, Type: grid.EventDoorHeldOpen, Mode: mode, Scope: yuyuan, State: grid.TicketDispatched, Opened: opened, Due: due}
		if !ended.IsZero() {
			tk.State, tk.Closed = grid.TicketClosed, ended
		}
		b.Tickets = append(b.Tickets, tk)
	}
	put("before", day(-9), day(-8), day(-7), grid.Live)
	put("due within", day(-9), day(-8), day(5), grid.Live)
	put("ended within", day(-9), day(3), day(-8), grid.Live)
	put("open for a year", day(-365), time.Time{}, day(-360), grid.Live)
	put("closed after a year", day(-365), day(9), day(-360), grid.Live)
	put("open for nine days", day(-9), time.Time{}, day(-8), grid.Live)
	put("within", day(4), day(4), day(5), grid.Live)
	put("after", day(10), time.Time{}, day(12), grid.Live)
	put("an exercise", day(4), day(4), day(5), grid.Exercise)
	commit(t, s, b)
	got := map[string]int{}
	for _, m := range marks(t, s, grid.FigureQuery{Since: day(0), Until: day(10)}) {
		got[m.Ticket]++
	}
	if d := cmp.Diff(map[string]int{"due within": 1, "ended within": 1, "open for a year": 1, "open for nine days": 1, "closed after a year": 1, "within": 1}, got); d != "" {
		t.Errorf("tickets of the period (+ is what is there):\n%s", d)
	}
	for _, q := range []grid.FigureQuery{{Scope: grid.Scope{Street: "310105002"}}, {Unit: "nobody"}, {Kind: grid.Smoke}, {Cell: "x"}} {
		q.Since, q.Until = day(0), day(10)
		if got := marks(t, s, q); len(got) != 0 {
			t.Errorf("%+v: %d tickets, want none", q, len(got))
		}
	}
}

func TestTheTicketBeforeIsThatOfTheSameTypeAndPoint(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	for i, x := range []struct {
		id, point string
		typ       grid.EventType
		mode      grid.Mode
	}{
		{"T1", "P1", grid.EventSmokeAlarm, grid.Live}, {"T2", "P1", grid.EventSmokeFault, grid.Live}, {"T3", "P2", grid.EventSmokeAlarm, grid.Live},
		{"T4", "P1", grid.EventSmokeAlarm, grid.Exercise}, {"T5", "P1", grid.EventSmokeAlarm, grid.Live}, {"T6", "", grid.EventGatewaySilent, grid.Live},
		{"T7", "", grid.EventGatewaySilent, grid.Live},
	} {
		commit(t, s, &Batch{Tickets: []grid.Ticket{{ID: x.id, Point: x.point, Type: x.typ, Mode: x.mode, State: grid.TicketFiled, Opened: t0.Add(time.Duration(i) * time.Hour)}}})
	}
	got := map[string]time.Time{}
	for _, m := range marks(t, s, grid.FigureQuery{Since: t0, Until: t0.AddDate(0, 0, 1)}) {
		if !m.Previous.IsZero() {
			got[m.Ticket] = m.Previous
		}
	}
	if d := cmp.Diff(map[string]time.Time{"T5": t0}, got); d != "" {
		t.Errorf("tickets before (+ is what is there):\n%s", d)
	}
}

func TestFiguresOfAlarmsAndDevicesAreOfWhatIsLive(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	hour := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Hour) }
	b := &Batch{}
	for i, mode := range []grid.Mode{grid.Live, grid.Live, grid.Test} {
		name := fmt.Sprintf("x%d", i)
		kind := []grid.Kind{grid.Smoke, grid.Door, grid.Smoke}[i]
		b.Points = append(b.Points, grid.Point{ID: name, Kind: kind, Scope: yuyuan, Mode: mode})
		b.Devices = append(b.Devices, grid.Device{Identity: grid.Identity(name), State: grid.Installed, Mode: mode})
		b.Installations = append(b.Installations, grid.Installation{Device: grid.Identity(name), Channel: grid.MainChannel, Point: name, From: t0})
		for k, action := range []string{"raised", "repeated", "cleared"} {
			e := sampleEvent(100*i + k)
			e.Point, e.Action, e.Mode, e.Received = name, action, mode, hour(k)
			b.Events = append(b.Events, e)
		}
		b.Alarms = append(b.Alarms,
			grid.Alarm{ID: name + "a", Type: grid.EventManholeTilted, Point: name, Mode: mode, Scope: yuyuan, Raised: hour(1), Returned: hour(2)}, // short
			grid.Alarm{ID: name + "b", Type: grid.EventManholeTilted, Point: name, Mode: mode, Scope: yuyuan, Raised: hour(1), Returned: hour(40)},
			grid.Alarm{ID: name + "c", Type: grid.EventDeviceOffline, Point: name, Mode: mode, Scope: yuyuan, Raised: hour(1), Returned: hour(2)},
			grid.Alarm{ID: name + "d", Type: grid.EventManholeOpen, Point: name, Mode: mode, Scope: yuyuan, Raised: hour(1), Active: true},
		)
	}
	commit(t, s, b)
	q := grid.FigureQuery{Scope: grid.Scope{District: yuyuan.District}, Since: t0, Until: hour(50)}
	var acts []string
	if err := s.FigureActivations(t.Context(), q, func(a *grid.Activation) { acts = append(acts, fmt.Sprint(a.Point, a.Kind, a.Again)) }); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"x0smokefalse", "x1doorfalse", "x0smoketrue", "x1doortrue"}, acts); d != "" {
		t.Errorf("activations (+):\n%s", d)
	}
	stands := map[string]int{}
	if err := s.FigureStandings(t.Context(), q, 24*time.Hour, func(st *grid.Standing) { stands[fmt.Sprint(st.Point, st.Type, st.Returned.IsZero())]++ }); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, p := range []string{"x0", "x1"} {
		want[p+"manhole.tiltedfalse"], want[p+"device.offlinefalse"], want[p+"manhole.opentrue"] = 1, 1, 1
	}
	if d := cmp.Diff(want, stands); d != "" {
		t.Errorf("standing (+):\n%s", d)
	}
	for _, c := range []struct {
		q     grid.FigureQuery
		kinds bool
		want  map[grid.Kind]int
	}{
		{q, false, map[grid.Kind]int{"": 2}}, {q, true, map[grid.Kind]int{grid.Smoke: 1, grid.Door: 1}},
		{grid.FigureQuery{Kind: grid.Smoke}, false, map[grid.Kind]int{grid.Smoke: 1}}, {grid.FigureQuery{Scope: grid.Scope{Street: "x"}}, true, map[grid.Kind]int{}},
	} {
		got := map[grid.Kind]int{}
		if err := s.FigureFleet(t.Context(), c.q, c.kinds, func(f grid.Fleet) { got[f.Kind] += f.Count }); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("fleet %+v (+):\n%s", c.q, d)
		}
	}
	b = &Batch{Devices: []grid.Device{{Identity: "b1", State: grid.Barred, Mode: grid.Live}, {Identity: "b2", State: grid.Barred, Mode: grid.Live}, {Identity: "b3", State: grid.Barred, Mode: grid.Simulated}},
		Audit: []Audit{{ID: "A", Action: "device.bar", Subject: "b1"}, {ID: "B", Action: "window.open", Subject: "w1"}},
		Windows: []grid.Window{
			{ID: "w1", Kind: grid.WindowShelved, Mode: grid.Live, From: hour(1)}, {ID: "w2", Kind: grid.WindowOutOfService, Mode: grid.Live, From: hour(1), Ended: hour(2)},
			{ID: "w3", Kind: grid.WindowMaintenance, Mode: grid.Live, From: hour(1)}, {ID: "w4", Kind: grid.WindowShelved, Mode: grid.Live, From: hour(60)},
			{ID: "w5", Kind: grid.WindowShelved, Mode: grid.Exercise, From: hour(1)},
		}}
	commit(t, s, b)
	if un, all, err := s.FigureSuppressed(t.Context(), grid.FigureQuery{Since: t0, Until: hour(50)}); un != 2 || all != 4 || err != nil {
		t.Errorf("suppressed: %d of %d without a record, %v: want 2 of 4", un, all, err)
	}
}

func TestHotspotsComeBackWhole(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	h := filled[grid.Hotspot]()
	here := grid.Hotspot{ID: "now", What: grid.HotspotCell, Place: yuyuanCell, Scope: yuyuan, Cell: yuyuanCell, Mode: grid.Live, Listed: t0, Supervised: true}
	commit(t, s, &Batch{Hotspots: []grid.Hotspot{h, here}})
	all, err := s.ListHotspots(t.Context(), Query{State: "delisted"})
	if d := cmp.Diff([]grid.Hotspot{h}, all.Items); err != nil || d != "" {
		t.Errorf("%v, (+):\n%s", err, d)
	}
	now, err := s.Hotspots(t.Context())
	if d := cmp.Diff([]grid.Hotspot{here}, now); err != nil || d != "" {
		t.Errorf("%v, (+):\n%s", err, d)
	}
}
