package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/state"
)

var rectification = Rectification{Title: "高发点位整改 / Hot-spot to be put right", Priority: 3}

func aHotspot(place string, now time.Time) grid.Hotspot {
	s := rigScope
	s.Compound = place
	return grid.Hotspot{What: grid.HotspotCompound, Place: place, Mode: grid.Live, Scope: s, Listed: now, Judged: now, Why: "3 verified alarms of kind smoke in 30 days",
		Supervised: true, Alarms: 3, Share: 0.5, Kinds: map[grid.Kind]int{grid.Smoke: 3}}
}

func (r *rig) judged(key string, rows ...grid.Hotspot) {
	r.t.Helper()
	if err := r.engine.HotspotsJudged(r.t.Context(), rows, rectification, key); err != nil {
		r.t.Fatal(err)
	}
	r.settle()
}

func (r *rig) hotspots() []grid.Hotspot {
	r.t.Helper()
	return must[state.Page[grid.Hotspot]](r.t)(r.store.ListHotspots(r.t.Context(), state.Query{})).Items
}

func TestAListingOpensOneLongTicketForTheCompound(t *testing.T) {
	r := newRig(t)
	r.put(grid.Registration{Units: []grid.Unit{
		{ID: "wuye", Name: "物业", Kind: grid.Property, Tier: 2, Mode: grid.Live, Connector: "inbox", Scope: grid.Scope{District: rigScope.District}},
		{ID: "practice", Name: "practice", Kind: grid.Property, Tier: 2, Mode: grid.Simulated, Connector: "inbox", Scope: rigScope},
	}})
	r.judged("2026-03-02", aHotspot("c1", r.now()))
	r.judged("2026-03-02", aHotspot("c1", r.now())) // the day again: an answer, and nothing more
	r.judged("2026-03-03", aHotspot("c1", r.now())) // judged by a list that was old
	r.restart()
	r.judged("2026-03-02", aHotspot("c2", r.now())) // the day is done, also after a restart
	all := r.hotspots()
	if len(all) != 1 {
		t.Fatalf("%d hot-spots, want one: %+v", len(all), all)
	}
	h, tk := all[0], r.theTicket()
	if h.Ticket != tk.ID || h.Place != "c1" || !h.Supervised || h.Kinds[grid.Smoke] != 3 {
		t.Errorf("hot-spot %+v", h)
	}
	if tk.Type != grid.EventHotspotListed || tk.Priority != 3 || tk.Mode != grid.Live || tk.State != grid.TicketDispatched || tk.Compound != "c1" || len(tk.Assignments) != 1 || tk.Assignments[0].Unit != "wuye" {
		t.Errorf("ticket %+v", tk)
	}
	i := slices.IndexFunc(tk.Clocks, func(c grid.Clock) bool { return c.Name == "handle" })
	// From Monday afternoon, 16:00 of Shanghai, 15 days of 7 hours: Monday three weeks on.
	if want := time.Date(2026, 3, 23, 8, 0, 0, 0, time.UTC); i < 0 || !tk.Clocks[i].Due.Equal(want) {
		t.Errorf("handle clock %+v, want it due %s", tk.Clocks, want)
	}
	if evs := r.events(grid.EventHotspotListed); len(evs) != 1 || evs[0].Ticket != tk.ID || evs[0].Kind != grid.KindLifecycle {
		t.Errorf("events %+v", evs)
	}
	log := must[state.Page[state.Audit]](t)(r.store.ListAudit(t.Context(), state.Query{Type: "hotspot.list"}))
	if len(log.Items) != 1 || log.Items[0].Subject != h.ID {
		t.Errorf("audit %+v", log.Items)
	}
}

func TestADelistingIsRecordedAndClosesNothing(t *testing.T) {
	r := newRig(t)
	r.judged("d1", aHotspot("c1", r.now()))
	row := r.hotspots()[0]
	row.Alarms, row.Share, row.Kinds = 1, 0.1, map[grid.Kind]int{grid.Door: 1}
	r.judged("d2", row)
	if h := r.hotspots()[0]; h.Alarms != 1 || h.Kinds[grid.Door] != 1 || !h.Delisted.IsZero() || !h.Supervised {
		t.Errorf("kept with new numbers: %+v", h)
	}
	row.Delisted, row.Supervised, row.WhyNot = r.now().Add(time.Hour), false, "0 verified alarms in 60 days"
	r.judged("d3", row)
	r.judged("d4", row) // by a list that was old: it has left already
	h := r.hotspots()[0]
	if h.Delisted.IsZero() || h.Supervised || h.WhyNot == "" {
		t.Errorf("delisted: %+v", h)
	}
	if tk := r.theTicket(); tk.State.Ended() {
		t.Errorf("the ticket is %s: a delisting closes nothing", tk.State)
	}
	if evs := r.events(grid.EventHotspotListed); len(evs) != 2 || evs[1].Action != "cleared" {
		t.Errorf("events %+v", evs)
	}
	r.judged("d5", aHotspot("c1", r.now())) // bad again: a new listing, a new ticket
	if all := r.hotspots(); len(all) != 2 || len(r.tickets()) != 2 || all[0].ID == all[1].ID {
		t.Errorf("listed again: %+v", all)
	}
}

// The same judgement gives the same rows wherever it is worked out.
func TestIdsOfAListingAreMadeOfItsKey(t *testing.T) {
	ids := func() string {
		r := newRig(t)
		r.judged("2026-03-02", aHotspot("c1", r.now()), aHotspot("c2", r.now()))
		var s []string
		for _, h := range r.hotspots() {
			s = append(s, h.Place+h.ID+h.Ticket)
		}
		slices.Sort(s)
		return strings.Join(s, " ")
	}
	if a, b := ids(), ids(); a != b || strings.Count(a, "c") < 2 {
		t.Errorf("ids %s, and again %s", a, b)
	}
}

func TestDailyFiguresMeetTheirOwnSeries(t *testing.T) {
	var queue tap
	r := newRig(t, func(c *Config) { queue.Series = c.Series; c.Series = &queue })
	day := time.Date(2026, 3, 1, 16, 0, 0, 0, time.UTC)
	k := []grid.KPI{
		{District: "310105", At: day, Fields: []grid.KPIField{{Name: "closing", Value: 0.5}, {Name: "closing_n", Value: 1}, {Name: "closing_d", Value: 2}}},
		{District: "310105", Street: "310105006", At: day, Fields: []grid.KPIField{{Name: "reported", Value: 7}}},
	}
	for i := range 3 { // the last of them on the next day
		if err := r.engine.WriteKPIs(t.Context(), k, fmt.Sprint("2026-03-0", 2+i/2)); err != nil {
			t.Fatal(err)
		}
	}
	queue.mu.Lock()
	got := string(queue.lines)
	queue.mu.Unlock()
	want := fmt.Sprintf("kpi,district=310105 closing=0.5,closing_n=1,closing_d=2 %d\nkpi,district=310105,street=310105006 reported=7 %d\n", day.UnixNano(), day.UnixNano())
	if got != want+want {
		t.Errorf("lines\n%s\nwant twice\n%s", got, want)
	}
}

// tap keeps what goes to the queue.
type tap struct {
	Series
	mu    sync.Mutex
	lines []byte
}

func (s *tap) Append(lines []byte) (influx.Mark, error) {
	s.mu.Lock()
	s.lines = append(s.lines, lines...)
	s.mu.Unlock()
	return s.Series.Append(lines)
}

func TestListingsAreDoneOnceWhenCommitsFail(t *testing.T) {
	run := func(store *flaky) (out []string) {
		r := newRig(t, func(c *Config) {
			if store != nil {
				store.Store = c.Store.(*state.Store)
				c.Store = store
			}
		})
		if store != nil {
			store.mu.Lock()
			store.rng = rand.New(rand.NewPCG(seedOf(t), 12))
			store.mu.Unlock()
		}
		for day := range 20 {
			rows := []grid.Hotspot{aHotspot(fmt.Sprint("c", day), r.now()), aHotspot(fmt.Sprint("e", day), r.now())}
			for {
				err := r.engine.HotspotsJudged(t.Context(), rows, rectification, fmt.Sprint("day ", day))
				if err == nil {
					break
				}
				if !strings.Contains(err.Error(), errFlaky.Error()) {
					t.Fatal(err)
				}
			}
		}
		if store != nil {
			store.mu.Lock()
			store.rng = nil
			store.mu.Unlock()
		}
		for _, h := range r.hotspots() {
			out = append(out, h.Place+" "+h.ID+" "+h.Ticket)
		}
		if n := len(r.tickets()); n != 40 || len(r.events(grid.EventHotspotListed)) != 40 {
			t.Errorf("%d tickets, %d events: want 40 each", n, len(r.events(grid.EventHotspotListed)))
		}
		slices.Sort(out)
		return out
	}
	bad := &flaky{}
	want, got := run(nil), run(bad)
	if !slices.Equal(want, got) || len(want) != 40 {
		t.Errorf("with commits that fail:\n%q\nwithout:\n%q", got, want)
	}
	if bad.failed < 3 {
		t.Errorf("%d failures: this shows nothing", bad.failed)
	}
}
