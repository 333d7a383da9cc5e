package api

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// errand is a ticket that fire-1 leads.
func errand(id, point string, p grid.Priority, due time.Time) grid.Ticket {
	t := ticket(id, "fire-1")
	t.Type, t.Priority, t.Point, t.Due = grid.EventBatteryLow, p, point, t0.AddDate(1, 0, 0)
	if due.IsZero() {
		t.Due = due
	} else {
		t.Clocks = []grid.Clock{{Name: "handle", Due: due}}
	}
	return t
}

func TestTasksAreSortedByDayThenAlongTheWayAndUrgentOnesByTheMinute(t *testing.T) {
	w := newWorld(t)
	zone := w.server.work().Zone()
	at := func(day, hour int) time.Time { return time.Date(2026, 12, day, hour, 0, 0, 0, zone) }
	var points []grid.Point
	for i := range 4 { // from west to east
		points = append(points, grid.Point{ID: fmt.Sprint("b-", i), Name: "x", Building: fmt.Sprint(i), Kind: grid.Smoke, Mode: grid.Live, Lon: 121.40 + float64(i)/100, Lat: 31.2, CRS: "WGS84"})
	}
	tickets := []grid.Ticket{
		errand("T-none", "b-0", 4, time.Time{}),
		errand("T-next-day", "b-0", 4, at(3, 1)), // the day before, as London counts
		errand("T-east", "b-3", 4, at(2, 9)),
		errand("T-west", "b-0", 4, at(2, 18)),
		errand("T-middle", "b-1", 4, at(2, 23)),
		errand("T-urgent", "b-3", 3, at(1, 22)),
		errand("T-soon", "b-2", 2, at(1, 21)),
	}
	w.commit(&state.Batch{Points: points, Tickets: tickets})
	page, err := w.client(admin).Tasks(t.Context(), Query{Unit: "fire-1"})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, k := range page.Items {
		if k.ID != "T-fire" { // of the world
			order = append(order, k.ID)
		}
	}
	if want := []string{"T-soon", "T-urgent", "T-west", "T-middle", "T-east", "T-next-day", "T-none"}; !slices.Equal(order, want) {
		t.Errorf("the tasks are %q, want %q", order, want)
	}
}

func TestATaskSaysWhatIsPlannedAndWhatNobodyOpened(t *testing.T) {
	w := newWorld(t)
	tk := errand("T-1", "p1", 4, t0.Add(time.Hour))
	tk.Device = "sn:own"
	w.commit(&state.Batch{
		Devices: []grid.Device{{Identity: "sn:own", Profile: "v/m", State: grid.Installed, Mode: grid.Live, Battery: grid.Battery{Type: "CR123A", Cells: 2}}},
		Tickets: []grid.Ticket{tk},
		Rounds: []grid.Round{
			{ID: "R1", Unit: "fire-1", Day: "2026-12-02", State: grid.RoundPlanned, Mode: grid.Live, Stops: []grid.Stop{{N: 1, Jobs: []grid.Job{{Ticket: "T-1", State: grid.JobOpen}}}}},
			{ID: "R2", Unit: "fire-1", Day: "2026-12-01", State: grid.RoundPlanned, Mode: grid.Live, Stops: []grid.Stop{{N: 1, Jobs: []grid.Job{{Ticket: "T-1", State: grid.JobLeft}, {Ticket: "T-fire", State: grid.JobOpen}}}}},
		},
		NoEntries: []grid.NoEntry{
			{ID: "N1", Unit: "fire-1", Tickets: []string{"T-1"}, Next: "2026-12-01", Times: 1, At: t0, Received: t0, Mode: grid.Live},
			{ID: "N2", Unit: "fire-1", Tickets: []string{"T-1"}, Next: "2026-12-02", Times: 2, At: t0.Add(time.Hour), Received: t0.Add(time.Hour), Mode: grid.Live},
		},
	})
	page, err := w.client(admin).Tasks(t.Context(), Query{Unit: "fire-1"})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(page.Items, func(k WorkTask) bool { return k.ID == "T-1" })
	if i < 0 {
		t.Fatalf("T-1 is not among %d tasks", len(page.Items))
	}
	if k := page.Items[i]; k.Round != "R1" || k.Day != "2026-12-02" || k.NoEntries != 2 || k.Next != "2026-12-02" || k.Name != "Gate" || k.Profile != "v/m" {
		t.Errorf("planned in %s on %s, %d no entries, next %s, at %q with %s", k.Round, k.Day, k.NoEntries, k.Next, k.Name, k.Profile)
	}
}
