package engine

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestADeviceThatSendsTooMuchIsDiscardedAndCountedAndOthersAreNot(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limit = Limit{Rate: 1, Burst: 5} })
	r.place(grid.Door, "door-1", "sn:mad")
	r.place(grid.Door, "door-2", "sn:calm")
	flood := func(from, n int) {
		for i := range n {
			r.say("sn:mad", fmt.Sprintf(`{"battery.level":80,"seq":%d}`, from+i))
		}
	}
	flood(1, 20)
	r.say("sn:calm", `{"battery.level":70,"seq":1}`)
	r.settle()
	if l := r.ledger(); l[grid.Discarded] != 15 || l[grid.Processed] != 6 || r.engine.Limited() != 15 {
		t.Errorf("ledger %v, %d over: want 15 discarded, and 5 and 1 processed", l, r.engine.Limited())
	}
	r.after(3 * time.Second)
	flood(21, 5)
	r.settle()
	if l := r.ledger(); l[grid.Discarded] != 17 || l[grid.Processed] != 9 {
		t.Errorf("after three seconds: %v, want three more processed", l)
	}
}

func TestSmokeIsNeverOverALimit(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limit = Limit{Rate: 1, Burst: 1} })
	r.place(grid.Smoke, "ceiling-1", "sn:smoke")
	r.place(grid.Door, "door-1", "sn:lock") // a lock with a smoke chamber in it
	for i := range 10 {
		r.say("sn:smoke", fmt.Sprintf(`{"battery.level":80,"seq":%d}`, i+1))
		r.say("sn:lock", fmt.Sprintf(`{"battery.level":80,"seq":%d}`, i+1))
	}
	r.say("sn:smoke", `{"smoke.alarm":true,"seq":11}`)
	r.say("sn:lock", `{"smoke.alarm":true,"seq":11}`)
	r.settle()
	if l := r.ledger(); l[grid.Discarded] != 9 || l[grid.Processed] != 13 {
		t.Errorf("ledger %v: want only the 9 battery reports of the lock discarded", l)
	}
	if a := r.alarmAt("ceiling-1"); !a.Active {
		t.Error("the alarm is not raised")
	}
}
