package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// withHours gives an engine the built-in calendars, and digests that name their messages.
func withHours(t *testing.T) func(*Config) {
	cs := must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))))
	return func(c *Config) {
		c.Calendars = cs
		c.Digest = func(d *grid.Delivery, items []grid.Delivery, _ *grid.Unit) (json.RawMessage, error) {
			var ids []string
			for _, it := range items {
				ids = append(ids, it.ID)
			}
			return json.Marshal(ids)
		}
	}
}

// shanghai is a time of the place whose calendars are built in.
func shanghai(t *testing.T, s string) time.Time {
	t.Helper()
	return must[time.Time](t)(time.ParseInLocation("2006-01-02 15:04", s, time.FixedZone("UTC+8", 8*3600))).UTC()
}

// quietRig is a rig at a time of Shanghai whose units want to be left in peace.
func quietRig(t *testing.T, now string, change func(u *grid.Unit)) *rig {
	r := newRig(t, withHours(t))
	r.clock.Store(shanghai(t, now).UnixNano())
	r.units()
	page := must[state.Page[grid.Unit]](t)(r.store.ListUnits(t.Context(), state.Query{}))
	for i := range page.Items {
		change(&page.Items[i])
		page.Items[i].Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	}
	r.put(grid.Registration{Units: page.Items})
	return r
}

// deliveries are all, in the order in which they were made.
func (r *rig) deliveries() []grid.Delivery {
	r.t.Helper()
	page := must[state.Page[grid.Delivery]](r.t)(r.store.ListDeliveries(r.t.Context(), state.Query{Limit: 1000}))
	slices.SortStableFunc(page.Items, func(a, b grid.Delivery) int {
		if a.Ticket == b.Ticket {
			return int(a.N - b.N)
		}
		return a.Created.Compare(b.Created)
	})
	return page.Items
}

// held opens a door for too long: a ticket of P3.
func (r *rig) doorHeld(point string, id grid.Identity) {
	r.t.Helper()
	r.place(grid.Door, point, id)
	r.say(id, `{"door.open": true}`)
	r.after(10 * time.Minute)
}

func TestQuietHoursHoldBackWhatCanWaitUntilTheyAreOver(t *testing.T) {
	r := quietRig(t, "2026-03-02 23:00", func(u *grid.Unit) { u.Quiet = "night" })
	r.doorHeld("gate", "sn:1")
	all := r.deliveries()
	if len(all) == 0 {
		t.Fatal("nobody was to be told")
	}
	for _, d := range all {
		if d.State != grid.DeliveryPending || !d.Next.Equal(shanghai(t, "2026-03-03 07:00")) {
			t.Errorf("%s to %s is %s until %s: want pending until seven", d.Type, d.Unit, d.State, d.Next)
		}
	}
	r.place(grid.Smoke, "ceiling", "sn:2")
	r.say("sn:2", `{"smoke.alarm": true}`)
	r.place(grid.Manhole, "pit", "sn:3")
	r.say("sn:3", `{"manhole.flooded": true}`)
	r.after(time.Minute)
	urgent := 0
	for _, d := range r.deliveries() {
		if d.Priority <= 2 {
			urgent++
			if d.Next.After(r.now()) {
				t.Errorf("%s of %s waits until %s", d.Type, d.Priority, d.Next)
			}
		}
	}
	if urgent < 3 {
		t.Errorf("%d urgent messages: want those of the fire and of the water", urgent)
	}
}

func TestWordOfSmokeNeverWaitsWhateverItsPriority(t *testing.T) {
	r := quietRig(t, "2026-03-02 23:00", func(u *grid.Unit) { u.Quiet, u.Digest = "night", true })
	r.place(grid.Smoke, "ceiling", "sn:2")
	r.say("sn:2", `{"fault": true}`)
	r.after(10 * time.Minute)
	all := r.deliveries()
	if len(all) == 0 || all[0].Priority != 4 {
		t.Fatalf("messages of the fault: %+v", all)
	}
	for _, d := range all {
		if d.State != grid.DeliveryPending || !d.Next.IsZero() {
			t.Errorf("%s to %s is %s until %s", d.Type, d.Unit, d.State, d.Next)
		}
	}
}

func TestQuietHoursLastOverAHoliday(t *testing.T) {
	// The day before National Day, after work: the next office hour is on the 8th.
	r := quietRig(t, "2026-09-30 18:00", func(u *grid.Unit) { u.Quiet = "except office" })
	r.doorHeld("gate", "sn:1")
	for _, d := range r.deliveries() {
		if want := shanghai(t, "2026-10-08 09:00"); !d.Next.Equal(want) {
			t.Errorf("%s waits until %s, want %s", d.Unit, d.Next, want)
		}
	}
	// A weekend that is worked for it is none.
	r.clock.Store(shanghai(t, "2026-10-10 09:30").UnixNano())
	r.settle()
	before := len(r.deliveries())
	r.doorHeld("shed", "sn:2")
	all := r.deliveries()
	if len(all) == before {
		t.Fatal("nothing was sent on the weekend that is worked")
	}
	for _, d := range all {
		if d.Created.After(shanghai(t, "2026-10-10 09:00")) && !d.Next.IsZero() {
			t.Errorf("on the weekend that is worked %s to %s waits until %s", d.Type, d.Unit, d.Next)
		}
	}
}

func TestAUnitGetsOneListAtTheEndOfAShift(t *testing.T) {
	r := quietRig(t, "2026-03-02 09:00", func(u *grid.Unit) { u.Digest = true })
	for i := range 3 {
		r.doorHeld(fmt.Sprintf("gate-%d", i), grid.Identity(fmt.Sprintf("sn:%d", i)))
	}
	messages := r.deliveries()
	for _, d := range messages {
		if d.State != grid.DeliveryHeld || !d.Next.Equal(shanghai(t, "2026-03-02 14:00")) {
			t.Fatalf("%s to %s is %s until %s: want held until two", d.Type, d.Unit, d.State, d.Next)
		}
	}
	r.restart()
	r.close()
	r.clock.Store(shanghai(t, "2026-03-02 14:20").UnixNano()) // it ends while the gateway is down
	r.open()
	r.settle()
	r.restart()
	r.after(time.Hour)
	inDigest := map[string]int{}
	digests := map[string]int{}
	for _, d := range r.deliveries() {
		if d.Type != grid.DeliveryDigest {
			continue
		}
		digests[d.Unit]++
		var ids []string
		if err := json.Unmarshal(d.Body, &ids); err != nil || d.State != grid.DeliveryPending || d.Ticket != "" || d.Mode != grid.Simulated || d.Priority != 3 {
			t.Errorf("digest %+v, %v", d, err)
		}
		for _, id := range ids {
			inDigest[id]++
		}
	}
	for _, m := range messages {
		d := must[grid.Delivery](t)(r.store.Delivery(t.Context(), m.ID))
		if inDigest[m.ID] != 1 || d.State != grid.DeliveryDigested || d.Ref == "" {
			t.Errorf("%s to %s is %s and in %d digests, want one", m.Type, m.Unit, d.State, inDigest[m.ID])
		}
		if digests[m.Unit] != 1 {
			t.Errorf("%s has %d digests, want one", m.Unit, digests[m.Unit])
		}
	}
	left := must[int](t)(as[int](r.engine.do(t.Context(), &command{name: "poke", do: func(b *batch) (any, error) {
		n := 0
		for _, ids := range b.e.onHold {
			for _, id := range ids {
				if d := b.e.deliveries[id]; d == nil || !waits(d) && !b.e.underway(d) {
					n++
				}
			}
		}
		return n, nil
	}})))
	if left > 0 {
		t.Errorf("%d messages that wait no more are on hold", left)
	}
}

func TestADigestInQuietHoursWaitsForTheirEnd(t *testing.T) {
	r := quietRig(t, "2026-03-02 21:00", func(u *grid.Unit) { u.Quiet, u.Digest = "night", true })
	r.doorHeld("gate", "sn:1")
	for _, d := range r.deliveries() {
		if d.State != grid.DeliveryHeld || !d.Next.Equal(shanghai(t, "2026-03-03 07:00")) {
			t.Errorf("%s is %s until %s: want held until seven, the late shift ends in the night", d.Type, d.State, d.Next)
		}
	}
}

// laneBlocked is a blocked fire lane of P3, and the messages of it, all of which wait.
func laneBlocked(t *testing.T, now string, change func(*grid.Unit)) (r *rig, before []grid.Delivery) {
	r = quietRig(t, now, change)
	bay := placed(grid.Parking, "lane", "sn:4", r.now())
	bay.Points[0].Rules = "fire_lane"
	r.put(bay)
	for _, rule := range must[[]*alarm.Rule](t)(r.engine.Rules.For("fire_lane", grid.Parking)) {
		if rule.Type == grid.EventFireLaneBlocked {
			rule.Priority = 3 // as a district may have it
		}
	}
	r.say("sn:4", `{"parking.occupied": true}`)
	r.after(3 * time.Minute)
	before = r.deliveries()
	if len(before) == 0 {
		t.Fatal("nobody is told of the blocked lane")
	}
	for _, d := range before {
		if !d.Next.After(r.now()) {
			t.Fatalf("%s to %s does not wait", d.Type, d.Unit)
		}
	}
	return r, before
}

// smokeInTheCell makes it P1; what is told from then on is in sent.
func smokeInTheCell(r *rig) {
	r.t.Helper()
	r.place(grid.Smoke, "ceiling", "sn:1")
	r.mu.Lock()
	r.sent = nil
	r.mu.Unlock()
	r.say("sn:1", `{"smoke.alarm": true}`)
}

func TestWhatBecomesUrgentGoesAtOnceAndAfterWhatWaited(t *testing.T) {
	for name, change := range map[string]func(*grid.Unit){
		"quiet":  func(u *grid.Unit) { u.Quiet = "night" },
		"digest": func(u *grid.Unit) { u.Digest = true },
		"both":   func(u *grid.Unit) { u.Quiet, u.Digest = "night", true },
	} {
		t.Run(name, func(t *testing.T) {
			r, before := laneBlocked(t, "2026-03-02 23:00", change)
			smokeInTheCell(r)
			r.mu.Lock()
			sent := slices.Clone(r.sent)
			r.mu.Unlock()
			last, order := map[string]int64{}, []string{}
			for _, d := range sent {
				if d.Ticket != before[0].Ticket {
					continue
				}
				order = append(order, fmt.Sprintf("%s to %s", d.Type, d.Unit))
				if d.State != grid.DeliveryPending || d.Next.After(r.now()) {
					t.Errorf("%s to %s is %s until %s", d.Type, d.Unit, d.State, d.Next)
				}
				if d.N < last[d.Unit] {
					t.Errorf("a later message to %s is told first: %s", d.Unit, strings.Join(order, ", "))
				}
				last[d.Unit] = d.N
			}
			if len(order) < 2*len(before) {
				t.Errorf("told: %s; want what waited and the raise", strings.Join(order, ", "))
			}
			r.clock.Store(shanghai(t, "2026-03-03 07:30").UnixNano())
			r.settle()
			for _, d := range r.deliveries() {
				if d.Type == grid.DeliveryDigest {
					t.Errorf("a digest of what went already: %s", d.Body)
				}
			}
		})
	}
}

func TestAnUnknownCalendarKeepsNobodyFromBeingTold(t *testing.T) {
	r := quietRig(t, "2026-03-02 23:00", func(u *grid.Unit) { u.Quiet = "taken-out" })
	r.doorHeld("gate", "sn:1")
	for _, d := range r.deliveries() {
		if !d.Next.IsZero() {
			t.Errorf("%s waits until %s", d.Unit, d.Next)
		}
	}
}

func TestADigestThatCannotBeMadeSendsItsMessagesOneByOne(t *testing.T) {
	r := newRig(t, withHours(t), func(c *Config) {
		c.Digest = func(*grid.Delivery, []grid.Delivery, *grid.Unit) (json.RawMessage, error) {
			return nil, grid.Errorf(grid.Invalid, "no")
		}
	})
	r.units()
	page := must[state.Page[grid.Unit]](t)(r.store.ListUnits(t.Context(), state.Query{}))
	for i := range page.Items {
		page.Items[i].Digest = true
	}
	r.put(grid.Registration{Units: page.Items})
	r.doorHeld("gate", "sn:1")
	all := r.deliveries()
	if len(all) == 0 {
		t.Fatal("nothing was made")
	}
	r.after(6 * time.Hour) // past 22:00 of Shanghai
	for i := range all {
		d := must[grid.Delivery](t)(r.store.Delivery(t.Context(), all[i].ID))
		if d.State != grid.DeliveryPending || d.Type == grid.DeliveryDigest {
			t.Errorf("%s to %s is %s", d.Type, d.Unit, d.State)
		}
	}
}

func TestAUnitThatWantsNoDigestAnyMoreGetsWhatWaitedBeforeItsNextMessage(t *testing.T) {
	r := quietRig(t, "2026-03-02 09:00", func(u *grid.Unit) { u.Digest = true })
	r.doorHeld("gate", "sn:1")
	waited := r.deliveries()
	page := must[state.Page[grid.Unit]](t)(r.store.ListUnits(t.Context(), state.Query{}))
	for i := range page.Items {
		page.Items[i].Digest = false
	}
	r.put(grid.Registration{Units: page.Items})
	tk := r.theTicket()
	if _, err := r.move(grid.Move{Ticket: tk.ID, Verb: grid.VerbVerify, Finding: grid.VerifiedTrue, By: grid.Actor{Role: grid.RoleSupervisor, Name: "wang"}, Source: "camera", Reason: "it is open"}); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	sent := slices.Clone(r.sent)
	r.mu.Unlock()
	told := map[string]int64{}
	for _, d := range sent {
		if d.State == grid.DeliveryPending && d.N < told[d.Unit] {
			t.Errorf("%s to %s is told after a later one", d.Type, d.Unit)
		}
		told[d.Unit] = max(told[d.Unit], d.N)
	}
	passed := 0
	for _, w := range waited {
		later := slices.ContainsFunc(r.deliveries(), func(d grid.Delivery) bool { return d.Unit == w.Unit && d.N > w.N })
		if d := must[grid.Delivery](t)(r.store.Delivery(t.Context(), w.ID)); later && d.State != grid.DeliveryPending {
			t.Errorf("%s to %s is %s though a later one is on its way", d.Type, d.Unit, d.State)
		} else if later {
			passed++
		}
	}
	if passed == 0 {
		t.Error("no unit got a later message")
	}
}

func TestFailedCommitsDoubleNoDigestAndNoExpiry(t *testing.T) {
	gate := &gatedDownlinks{all: true}
	r := newRig(t, withHours(t), func(c *Config) { gate.Store = c.Store.(*state.Store); c.Store = gate })
	r.clock.Store(shanghai(t, "2026-03-02 09:00").UnixNano())
	r.units()
	page := must[state.Page[grid.Unit]](t)(r.store.ListUnits(t.Context(), state.Query{}))
	for i := range page.Items {
		page.Items[i].Digest = true
	}
	r.put(grid.Registration{Units: page.Items})
	r.doorHeld("gate", "sn:1")
	messages := r.deliveries()
	a := r.theAlarm(grid.EventDoorHeldOpen)
	gate.left.Store(2)
	a = r.ack(a.ID, "")
	gate.left.Store(2)
	r.clock.Store(shanghai(t, "2026-03-02 14:00").UnixNano())
	r.settle()
	r.after(time.Minute)
	if gate.left.Load() >= 0 {
		t.Fatal("no commit failed")
	}
	digests := map[string]int{}
	for _, d := range r.deliveries() {
		if d.Type == grid.DeliveryDigest {
			digests[d.Unit]++
		}
	}
	for _, m := range messages {
		d := must[grid.Delivery](t)(r.store.Delivery(t.Context(), m.ID))
		if digests[m.Unit] != 1 || d.State == grid.DeliveryHeld { // silent meanwhile, it is P2 and went by itself
			t.Errorf("%s to %s is %s, the unit has %d digests", m.Type, m.Unit, d.State, digests[m.Unit])
		}
	}
	gate.left.Store(2)
	r.clock.Store(a.AckUntil.UnixNano()) // P3: 8 h
	r.settle()
	r.after(time.Minute)
	if got := r.actions(grid.EventDoorHeldOpen); strings.Count(got, "unacknowledged") != 1 {
		t.Errorf("events are %q: want one end of the acknowledgement", got)
	}
}

// A unit was down at the end of its shift: its digest is still on its way when one of the
// tickets in it becomes P1.
func TestWhatBecomesUrgentDoesNotPassADigestThatIsStillOnItsWay(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%t", restart), func(t *testing.T) {
			r, before := laneBlocked(t, "2026-03-02 13:00", func(u *grid.Unit) { u.Digest = true })
			r.clock.Store(shanghai(t, "2026-03-02 14:00").UnixNano())
			r.settle()
			if restart {
				r.restart()
			}
			smokeInTheCell(r)
			last := map[string]int64{}
			r.mu.Lock()
			sent := slices.Clone(r.sent)
			r.mu.Unlock()
			for _, d := range sent {
				if d.Ticket != before[0].Ticket {
					continue
				}
				if d.State != grid.DeliveryPending || d.Ref != "" || d.N < last[d.Unit] {
					t.Errorf("%s to %s is %s, number %d after %d", d.Type, d.Unit, d.State, d.N, last[d.Unit])
				}
				last[d.Unit] = d.N
			}
			for _, w := range before {
				if d := must[grid.Delivery](t)(r.store.Delivery(t.Context(), w.ID)); d.State != grid.DeliveryPending {
					t.Errorf("%s to %s is %s: want it to go before what is urgent", d.Type, d.Unit, d.State)
				}
			}
		})
	}
}

func TestWhatStandsInADigestThatAUnitHasIsForgotten(t *testing.T) {
	r, before := laneBlocked(t, "2026-03-02 13:00", func(u *grid.Unit) { u.Digest = true })
	r.clock.Store(shanghai(t, "2026-03-02 14:00").UnixNano())
	r.settle()
	r.restart()
	for _, d := range r.deliveries() {
		if d.Type == grid.DeliveryDigest {
			if err := r.engine.DeliveryResult(t.Context(), d.ID, grid.Attempt{N: 1, At: r.now(), Status: 200}, Fate{State: grid.DeliveryReceived}); err != nil {
				t.Fatal(err)
			}
		}
	}
	smokeInTheCell(r)
	for _, w := range before {
		if d := must[grid.Delivery](t)(r.store.Delivery(t.Context(), w.ID)); d.State != grid.DeliveryDigested {
			t.Errorf("%s to %s, which the unit has, is %s again", d.Type, d.Unit, d.State)
		}
	}
	left := must[int](t)(as[int](r.engine.do(t.Context(), &command{name: "poke", do: func(b *batch) (any, error) { return len(b.e.inDigest), nil }})))
	if left != 0 {
		t.Errorf("%d digests are remembered", left)
	}
}
