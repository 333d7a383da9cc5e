package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// TestTheRegistryHoldsWhateverIsDoneToIt does what people do to devices in any order, with
// frames and restarts in between, and looks after each step: one device on each channel of a
// point, no two installations of a channel at once, nobody who was taken out moves a state, and
// the history gives the rows.
func TestTheRegistryHoldsWhateverIsDoneToIt(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &registryModel{rig: newRig(t), rnd: rand.New(rand.NewPCG(seed, 6))}
			m.units()
			for i := range 3 {
				m.place(grid.Door, fmt.Sprintf("P%d", i), m.device(i))
			}
			for n := range 60 {
				what := m.step(n)
				if t.Failed() || !m.holds(fmt.Sprintf("step %d, %s", n, what)) {
					return
				}
			}
			m.replays()
		})
	}
}

type registryModel struct {
	*rig
	rnd *rand.Rand
	seq int
}

func (m *registryModel) device(n int) grid.Identity { return grid.Identity(fmt.Sprintf("sn:%d", n)) }

// step does one thing; a refusal is an answer too, but only of the kinds that are meant.
func (m *registryModel) step(n int) string {
	ctx := m.t.Context()
	d, other, p := m.device(m.rnd.IntN(6)), m.device(m.rnd.IntN(6)), fmt.Sprintf("P%d", m.rnd.IntN(3))
	act := grid.Act{By: fitter, Reason: fmt.Sprint("step ", n)}
	if m.rnd.IntN(3) == 0 {
		act.At = m.now().Add(-time.Duration(m.rnd.IntN(120)) * time.Minute)
	}
	if m.rnd.IntN(3) == 0 {
		act.Key = fmt.Sprint("key-", m.rnd.IntN(20))
	}
	var err error
	what := ""
	switch m.rnd.IntN(10) {
	case 0:
		what = fmt.Sprintf("put %s at %s", d, p)
		reg := placed(grid.Door, p, d, m.now())
		err = m.engine.Put(ctx, reg.Points, reg.Devices, reg.Installations, nil)
	case 1:
		what = fmt.Sprintf("claim %s at %s", d, p)
		_, err = m.engine.Claim(ctx, grid.Device{Identity: d, Profile: "gridgate/json", Mode: grid.Simulated}, []grid.Installation{{Device: d, Channel: grid.MainChannel, Point: p}})
	case 2, 3:
		what = fmt.Sprintf("replace %s by %s", d, other)
		_, err = m.engine.Replace(ctx, grid.Swap{Old: d, With: other, Act: act})
	case 4:
		what = fmt.Sprintf("undo %s", d)
		_, err = m.engine.UndoReplace(ctx, d, act)
	case 5:
		what = fmt.Sprintf("move %s to %s", d, p)
		_, err = m.engine.MoveDevice(ctx, grid.DeviceMove{Device: d, Point: p, Act: act})
	case 6:
		what = fmt.Sprintf("retire %s", d)
		_, err = m.engine.RetireDevice(ctx, d, act)
	case 7:
		what = fmt.Sprintf("revive %s", d)
		_, err = m.engine.ReviveDevice(ctx, d, act)
	case 8:
		what = fmt.Sprintf("bar %s", d)
		_, err = m.engine.BarDevice(ctx, d, m.rnd.IntN(2) == 0, act)
	case 9:
		what = "restart"
		m.restart()
		// What a claim had left is processed by itself after a start, and moves states too.
		if err := m.engine.finishAll(ctx); err != nil {
			m.t.Error(err)
		}
		m.settle()
	}
	switch grid.CodeOf(err) {
	case "", grid.Conflict, grid.NotFound, grid.Invalid:
	default:
		if err != nil {
			m.t.Errorf("%s: %v", what, err)
		}
	}
	m.clock.Add(int64(time.Duration(1+m.rnd.IntN(20)) * time.Minute))
	m.speaks(what)
	return what
}

// speaks has a device say something, and checks whose states it moves.
func (m *registryModel) speaks(what string) {
	d := m.device(m.rnd.IntN(6))
	before := m.states()
	m.seq++
	m.say(d, fmt.Sprintf(`{"door.open":%t,"seq":%d}`, m.seq%2 == 0, m.seq))
	row, err := m.store.Device(m.t.Context(), d)
	in := err == nil && row.State == grid.Installed
	for p, v := range m.states() {
		if v != before[p] && (!in || len(m.here(p)) == 0 || m.here(p)[0].Device != d) {
			m.t.Errorf("%s: %s (%s) has moved the state of %s", what, d, row.State, p)
		}
	}
}

func (m *registryModel) states() map[string]string {
	out := map[string]string{}
	for i := range 3 {
		p := fmt.Sprintf("P%d", i)
		for _, v := range must[[]grid.LiveValue](m.t)(m.engine.LivePoint(m.t.Context(), p)) {
			out[p] += fmt.Sprint(v.Signal, v.Value, v.Received)
		}
	}
	return out
}

func (m *registryModel) installations() []grid.Installation {
	return must[state.Page[grid.Installation]](m.t)(m.store.ListInstallations(m.t.Context(), state.Query{Limit: 1000})).Items
}

// holds checks what is always so.
func (m *registryModel) holds(when string) bool {
	all := m.installations()
	slices.SortFunc(all, func(a, b grid.Installation) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
	for i := range all {
		for j := range i {
			a, b := &all[j], &all[i]
			overlap := (a.To.IsZero() || a.To.After(b.From)) && (b.To.IsZero() || b.To.After(a.From)) && (a.To.IsZero() || a.To.After(a.From)) && (b.To.IsZero() || b.To.After(b.From))
			if overlap && a.Channel == b.Channel && (a.Point == b.Point || a.Device == b.Device) {
				m.t.Errorf("%s: %+v and %+v at once", when, *a, *b)
			}
		}
		if !all[i].To.IsZero() && all[i].To.Before(all[i].From) {
			m.t.Errorf("%s: %+v ends before it begins", when, all[i])
		}
	}
	for i := range 3 {
		p := fmt.Sprintf("P%d", i)
		here := m.here(p)
		if len(here) > 1 {
			m.t.Errorf("%s: %s has %+v", when, p, here)
		}
		for _, v := range must[[]grid.LiveValue](m.t)(m.engine.LivePoint(m.t.Context(), p)) {
			if len(here) == 1 && v.Device != here[0].Device || len(here) == 0 && v.Device != "" {
				m.t.Errorf("%s: memory has %q at %s, the store %+v", when, v.Device, p, here)
				break
			}
		}
	}
	for i := range 6 {
		d, err := m.store.Device(m.t.Context(), m.device(i))
		if err != nil {
			continue
		}
		at := 0
		for _, in := range all {
			if in.Device == d.Identity && in.To.IsZero() {
				at++
			}
		}
		if d.State == grid.Installed != (at > 0) && d.State != grid.Barred {
			m.t.Errorf("%s: %s is %s at %d points", when, d.Identity, d.State, at)
		}
	}
	return !m.t.Failed()
}

// replays puts the history together again and compares it with the rows.
func (m *registryModel) replays() {
	m.restart() // what memory has is what is stored
	m.holds("at the end")
	lines := m.history(state.Query{})
	slices.Reverse(lines)
	rows := map[string]map[string]json.RawMessage{}
	for _, l := range lines {
		row := rows[l.Kind+"/"+l.Subject]
		if row == nil {
			row = map[string]json.RawMessage{}
			rows[l.Kind+"/"+l.Subject] = row
		}
		var after map[string]json.RawMessage
		if err := json.Unmarshal(l.After, &after); err != nil {
			m.t.Fatal(err)
		}
		for k, v := range after {
			if string(v) == "null" {
				delete(row, k)
			} else {
				row[k] = v
			}
		}
	}
	same := func(key string, v any) {
		m.t.Helper()
		got := string(must[[]byte](m.t)(json.Marshal(rows[key])))
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(encoded(v), &fields); err != nil {
			m.t.Fatal(err)
		}
		if want := string(encoded(fields)); got != want {
			m.t.Errorf("history of %s gives %s, it is %s", key, got, want)
		}
	}
	for i := range 6 {
		if d, err := m.store.Device(m.t.Context(), m.device(i)); err == nil {
			same("device/"+string(d.Identity), d)
		}
	}
	for i := range 3 {
		p := must[grid.Point](m.t)(m.store.Point(m.t.Context(), fmt.Sprintf("P%d", i)))
		same("point/"+p.ID, p)
	}
	for _, in := range m.installations() {
		same("installation/"+installationName(&in), in)
	}
}
