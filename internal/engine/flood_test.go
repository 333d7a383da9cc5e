package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// before is what an operator of a scope has before him.
func (r *rig) before(scope grid.Scope) alarm.Queue {
	r.t.Helper()
	got := must[state.AlarmQueue](r.t)(r.store.AlarmQueue(r.t.Context(), state.Query{Scope: scope}, r.now().Add(-24*time.Hour)))
	return alarm.QueueOf(got.Alarms, r.engine.Rules.Flood().Since(got.Raised, r.now()), func(t grid.EventType) string {
		if g := r.engine.Rules.Group(t); g != nil {
			return g.Name
		}
		return ""
	})
}

// A whole car park is full of cars that stay too long, and in the midst of it one detector
// smells smoke: its line is the first, and the flood is one of its own scope.
func TestInAFloodOfTenThousandParkingEventsTheOneFireIsOnTop(t *testing.T) {
	if testing.Short() {
		t.Skip("opens ten thousand tickets")
	}
	const bays, cells = 10_000, 20
	r := newRig(t)
	r.units()
	var all grid.Registration
	var frames []grid.Frame
	for i := range bays {
		id := grid.Identity(fmt.Sprintf("sn:bay-%d", i))
		one := placed(grid.Parking, fmt.Sprintf("bay-%d", i), id, r.now())
		one.Points[0].Cell = fmt.Sprintf("3101050060010%02d", i%cells)
		all.Points, all.Devices, all.Installations = append(all.Points, one.Points...), append(all.Devices, one.Devices...), append(all.Installations, one.Installations...)
		f := frame(id, `{"parking.occupied": true}`)
		f.Received = r.now()
		frames = append(frames, f)
	}
	r.put(all)
	elsewhere := placed(grid.Door, "gate", "sn:gate", r.now())
	elsewhere.Points[0].Street = "310105007"
	r.put(elsewhere)
	r.place(grid.Smoke, "ceiling", "sn:smoke")
	for _, part := range [][]grid.Frame{frames[:bays/2], frames[bays/2:]} {
		if err := r.journal.Append(t.Context(), grid.Bulk, part); err != nil {
			t.Fatal(err)
		}
		r.say("sn:smoke", `{"smoke.alarm": true}`)
	}
	r.say("sn:gate", `{"door.open": true}`)
	r.after(10 * time.Minute)
	q := r.before(grid.Scope{})
	if q.Flood == nil || q.Alarms != bays+2 {
		t.Fatalf("flood since %v, %d alarms", q.Flood, q.Alarms)
	}
	if first := q.Entries[0]; first.Alarm == nil || first.Alarm.Type != grid.EventSmokeAlarm {
		t.Errorf("the first line is %+v", first)
	}
	if len(q.Entries) != cells+2 {
		t.Errorf("%d lines: want the fire, the door, and one for each of %d cells", len(q.Entries), cells)
	}
	in := 0
	for _, e := range q.Entries {
		if g := e.Group; g != nil {
			in += g.Count
		}
	}
	if in != bays {
		t.Errorf("%d alarms are in groups, want %d", in, bays)
	}
	if other := r.before(grid.Scope{Street: "310105007"}); other.Flood != nil || len(other.Entries) != 1 {
		t.Errorf("the neighbouring street: flood since %v, %d lines", other.Flood, len(other.Entries))
	}
	r.after(time.Hour) // nothing new: the flood is over, and everything is there by itself
	if q := r.before(grid.Scope{}); q.Flood != nil || len(q.Entries) != q.Alarms || q.Entries[0].Alarm.Type != grid.EventSmokeAlarm {
		t.Errorf("an hour later: flood since %v, %d lines of %d", q.Flood, len(q.Entries), q.Alarms)
	}
}

func TestADigestOfMoreThanAThousandMessagesIsTwo(t *testing.T) {
	if testing.Short() {
		t.Skip("opens a thousand tickets")
	}
	r := quietRig(t, "2026-03-02 09:00", func(u *grid.Unit) { u.Digest = true })
	var all grid.Registration
	var frames []grid.Frame
	for i := range maxDigest + 1 {
		id := grid.Identity(fmt.Sprintf("sn:bay-%d", i))
		one := placed(grid.Parking, fmt.Sprintf("bay-%d", i), id, r.now())
		all.Points, all.Devices, all.Installations = append(all.Points, one.Points...), append(all.Devices, one.Devices...), append(all.Installations, one.Installations...)
		f := frame(id, `{"parking.occupied": true}`)
		f.Received = r.now()
		frames = append(frames, f)
	}
	r.put(all)
	if err := r.journal.Append(t.Context(), grid.Bulk, frames); err != nil {
		t.Fatal(err)
	}
	r.after(10 * time.Minute)
	r.clock.Store(shanghai(t, "2026-03-02 14:00").UnixNano())
	r.settle()
	r.after(2 * time.Second)
	counts := map[string][]int{}
	page := must[state.Page[grid.Delivery]](t)(r.store.ListDeliveries(t.Context(), state.Query{Type: grid.DeliveryDigest}))
	for _, d := range page.Items {
		var ids []string
		if err := json.Unmarshal(d.Body, &ids); err != nil {
			t.Fatal(err)
		}
		counts[d.Unit] = append(counts[d.Unit], len(ids))
	}
	if len(counts) == 0 {
		t.Fatal("there is no digest")
	}
	for unit, n := range counts {
		slices.Sort(n)
		if len(n) < 2 || n[len(n)-1] != maxDigest || n[0]+n[len(n)-1] < maxDigest+1 {
			t.Errorf("%s has digests of %v messages: want one of %d and the rest", unit, n, maxDigest)
		}
	}
	if left := must[[]grid.Delivery](t)(r.store.HeldDeliveries(t.Context())); len(left) > 0 && left[0].Next.Before(r.now()) {
		t.Errorf("%d messages are left behind", len(left))
	}
}
