package state

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

func TestSensorsAndWhatAilsThemAreOfTheModeThatIsAskedFor(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	hour := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Hour) }
	b := &Batch{}
	for i, mode := range []grid.Mode{grid.Live, grid.Live, grid.Simulated, grid.Live} {
		name := fmt.Sprintf("x%d", i)
		kind := []grid.Kind{grid.Smoke, grid.Door, grid.Smoke, grid.Smoke}[i]
		d := grid.Device{Identity: grid.Identity(name), Profile: "a/" + string(kind), State: grid.Installed, Mode: mode, Installed: hour(10 * i)}
		if i == 3 {
			d.State = grid.Retired
		}
		b.Points = append(b.Points, grid.Point{ID: name, Kind: kind, Scope: yuyuan, Mode: mode})
		b.Devices = append(b.Devices, d)
		b.Installations = append(b.Installations, grid.Installation{Device: d.Identity, Channel: grid.MainChannel, Point: name, From: t0})
		for k, a := range []grid.Alarm{
			{Type: grid.EventDeviceOffline, Raised: hour(1), Returned: hour(2)}, {Type: grid.EventDeviceOffline, Raised: hour(20), Returned: hour(40)},
			{Type: grid.EventBatteryLow, Raised: hour(3), Active: true}, {Type: grid.EventSmokeAlarm, Raised: hour(3), Active: true}, {Type: grid.EventDeviceOffline, Raised: hour(60), Active: true},
		} {
			a.ID, a.Point, a.Device, a.Mode, a.Scope = fmt.Sprint(name, k), name, d.Identity, mode, yuyuan
			b.Alarms = append(b.Alarms, a)
		}
	}
	commit(t, s, b)
	q := grid.FigureQuery{Since: hour(5), Until: hour(50)}
	sensors := func(q grid.FigureQuery) (out []string) {
		if err := s.FigureSensors(t.Context(), q, func(x grid.Sensors) {
			out = append(out, fmt.Sprint(x.Kind, " ", x.Profile, " ", x.Count, " ", x.Seconds/3600))
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	ailments := func(q grid.FigureQuery) (out []string) {
		err := s.FigureAilments(t.Context(), q, []grid.EventType{grid.EventDeviceOffline, grid.EventBatteryLow}, func(x *grid.Ailment) {
			out = append(out, fmt.Sprint(x.Device, " ", x.Kind, " ", x.Type, " ", x.Raised.Sub(t0).Hours(), " ", x.Returned.IsZero(), " ", x.Installed.Sub(t0).Hours()))
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	simulated, smoke, elsewhere := q, q, q
	simulated.Mode, smoke.Kind, elsewhere.Street = grid.Simulated, grid.Smoke, "x"
	for _, c := range []struct {
		what             string
		q                grid.FigureQuery
		sensors, ailings []string
	}{
		{"live", q, []string{"door a/door 1 40", "smoke a/smoke 1 45"}, []string{
			"x0 smoke device.battery_low 3 true 0", "x0 smoke device.offline 20 false 0", "x1 door device.battery_low 3 true 10", "x1 door device.offline 20 false 10"}},
		{"simulated", simulated, []string{"smoke a/smoke 1 30"}, []string{"x2 smoke device.battery_low 3 true 20", "x2 smoke device.offline 20 false 20"}},
		{"smoke", smoke, []string{"smoke a/smoke 1 45"}, []string{"x0 smoke device.battery_low 3 true 0", "x0 smoke device.offline 20 false 0"}},
		{"elsewhere", elsewhere, nil, nil},
	} {
		if d := cmp.Diff(c.sensors, sensors(c.q)); d != "" {
			t.Errorf("%s: sensors (+):\n%s", c.what, d)
		}
		if d := cmp.Diff(c.ailings, ailments(c.q)); d != "" {
			t.Errorf("%s: ailments (+):\n%s", c.what, d)
		}
	}
	if err := s.FigureAilments(t.Context(), q, nil, func(*grid.Ailment) { t.Error("an episode of no type") }); err != nil {
		t.Fatal(err)
	}
	// What is practice is counted where it is asked for, and nowhere else.
	commit(t, s, &Batch{Tickets: []grid.Ticket{{ID: "T1", Mode: grid.Simulated, Opened: hour(6)}, {ID: "T2", Mode: grid.Live, Opened: hour(6)}}})
	for mode, want := range map[grid.Mode]string{"": "T2", grid.Live: "T2", grid.Simulated: "T1", grid.Exercise: ""} {
		got := ""
		ask := q
		ask.Mode = mode
		if err := s.FigureTickets(t.Context(), ask, func(m *grid.TicketMarks) { got += m.Ticket }); err != nil || got != want {
			t.Errorf("mode %q has %q, %v: want %q", mode, got, err, want)
		}
	}
}
