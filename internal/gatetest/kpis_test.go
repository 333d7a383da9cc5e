package gatetest_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

var yuping = grid.Scope{District: "310105", Street: "310105006", Community: "310105006001", Compound: "yuping"}

// aFire is a smoke alarm that was found true, put out in time and closed.
func aFire(id string, opened time.Time) grid.Ticket {
	return grid.Ticket{
		ID: id, Type: grid.EventSmokeAlarm, Priority: 1, Mode: grid.Live, Scope: yuping, Point: "ceiling", State: grid.TicketClosed, Verification: grid.VerifiedTrue,
		Opened: opened, Resolved: opened.Add(5 * time.Minute), Closed: opened.Add(time.Hour), Due: opened.Add(3 * time.Hour),
		Assignments: []grid.Assignment{{ID: id + ".1", Unit: "wuye", Lead: true}},
		Clocks:      []grid.Clock{{Name: "handle", Started: opened, Due: opened.Add(10 * time.Minute), Stopped: opened.Add(5 * time.Minute)}},
	}
}

// aBadWeek is what a gateway has of three fires in one compound, and an exercise in another.
func aBadWeek(now time.Time) *state.Batch {
	b := &state.Batch{
		Units:  []grid.Unit{{ID: "wuye", Name: "wuye", Kind: grid.Property, Tier: 2, Mode: grid.Live, Connector: "inbox", Scope: grid.Scope{District: "310105"}}},
		Points: []grid.Point{{ID: "ceiling", Name: "ceiling", Kind: grid.Smoke, Scope: yuping, Mode: grid.Live}},
	}
	for i := range 6 {
		t := aFire(fmt.Sprintf("01TICKET%d", i), now.AddDate(0, 0, -1-i))
		if i >= 3 {
			t.Mode, t.Compound = grid.Exercise, "practice"
		}
		b.Tickets = append(b.Tickets, t)
	}
	return b
}

// withStore runs f on the state of a gateway that stands still.
func withStore(t *testing.T, g *gateway, f func(s *state.Store)) {
	t.Helper()
	s, err := state.Open(t.Context(), filepath.Join(g.dir, "data", "state.db"), nil)
	must(t, err)
	f(s)
	must(t, s.Close())
}

func TestABadCompoundIsListedOnceAndTheDaysFiguresAreWrittenOver(t *testing.T) {
	listen := gatetest.FreeAddr(t)
	g := newGateway(t, "influx: {managed: true, bin: "+gatetest.FindPeer(t, "influxd", "GRIDGATE_INFLUXD", false)+", listen: "+listen+"}")
	g.start(t)
	g.Stop(t)
	withStore(t, g, func(s *state.Store) {
		must(t, s.Commit(t.Context(), aBadWeek(time.Now())))
		_, err := s.Prune(t.Context(), state.Retain{Applied: time.Now().Add(time.Hour)}) // as if it had not been judged today
		must(t, err)
	})
	yesterday := time.Now().AddDate(0, 0, -1)
	for run := range 3 { // each is as another day's, with one fire more that somebody wrote up late
		g.start(t)
		var listed api.Page[grid.Hotspot]
		eventually(t, 20*time.Second, "the compound to be judged", func() error {
			must(t, json.Unmarshal([]byte(g.gridgate(t, "--json", "figures", "hotspots")), &listed))
			if len(listed.Items) == 0 || listed.Items[0].Alarms != 3+run {
				return fmt.Errorf("listed is %+v", listed.Items)
			}
			return nil
		})
		tickets := all[grid.Ticket](t, g, "tickets", api.Query{Type: string(grid.EventHotspotListed)})
		if len(listed.Items) != 1 || listed.Items[0].Place != "yuping" || len(tickets) != 1 || tickets[0].ID != listed.Items[0].Ticket || tickets[0].Assignments[0].Unit != "wuye" {
			t.Fatalf("run %d: hot-spots %+v and tickets %+v, want yuping and one ticket", run, listed.Items, tickets)
		}
		eventually(t, 30*time.Second, "the daily figures in InfluxDB", func() error {
			points, sum, err := reportedIn(t, "http://"+listen)
			if err == nil && (points != 6 || sum != 2*(3+run)) { // three days, the district's and the street's
				err = fmt.Errorf("%d points with %d reported in all", points, sum)
			}
			return err
		})
		board, err := g.api.KPIs(t.Context(), api.KPIQuery{Since: time.Now().AddDate(0, 0, -10), Street: yuping.Street, By: "compound"})
		must(t, err)
		if f := board.Whole.Figures[3]; f.Key != "on_time_handling" || f.Numerator != float64(3+run) || *f.Denominator != float64(3+run) || !*f.Met {
			t.Errorf("on-time handling %+v", f)
		}
		g.Stop(t)
		withStore(t, g, func(s *state.Store) {
			must(t, s.Commit(t.Context(), &state.Batch{Tickets: []grid.Ticket{aFire(fmt.Sprintf("01LATE%d", run), yesterday)}}))
			_, err := s.Prune(t.Context(), state.Retain{Applied: time.Now().Add(time.Hour)})
			must(t, err)
		})
	}
}

// reportedIn gives how many points of daily figures InfluxDB has, and what they add up to.
func reportedIn(t *testing.T, server string) (points, sum int, err error) {
	all, err := query(t.Context(), server, "gridgate", "", `SELECT count("reported"), sum("reported") FROM kpi GROUP BY district, street`)
	for _, s := range all {
		for i, to := range []*int{&points, &sum} {
			n, err := s.Values[0][1+i].(json.Number).Int64()
			must(t, err)
			*to += int(n)
		}
	}
	return points, sum, err
}
