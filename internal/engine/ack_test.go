package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

var opLi = grid.Actor{Role: grid.RoleOperator, Name: "li"}

// theAlarm is the only episode of a type.
func (r *rig) theAlarm(typ grid.EventType) grid.Alarm {
	r.t.Helper()
	all := r.alarms(state.Query{Type: string(typ)})
	if len(all) != 1 {
		r.t.Fatalf("there are %d episodes of %s, want one", len(all), typ)
	}
	return all[0]
}

func (r *rig) ack(id, comment string) grid.Alarm {
	r.t.Helper()
	return must[grid.Alarm](r.t)(r.engine.Ack(r.t.Context(), id, comment, opLi))
}

func (r *rig) actions(typ grid.EventType) string {
	r.t.Helper()
	var out []string
	for _, e := range r.events(typ) {
		out = append(out, e.Action)
	}
	return strings.Join(out, " ")
}

// burning is a rig in which a detector is in alarm.
func burning(t *testing.T, change ...func(*Config)) *rig {
	r := newRig(t, change...)
	r.units()
	r.place(grid.Smoke, "ceiling", "sn:1")
	r.say("sn:1", `{"smoke.alarm": true}`)
	r.after(time.Second) // rows of one instant have no order
	return r
}

func TestAnAcknowledgementExpiresWhileTheAlarmIsActiveAndIsToldAgain(t *testing.T) {
	r := burning(t)
	a := r.ack(r.theAlarm(grid.EventSmokeAlarm).ID, "on the way")
	if !a.Acked || a.AckedBy != "li" || a.Comment != "on the way" || !a.AckUntil.Equal(r.now().Add(10*time.Minute)) {
		t.Fatalf("acknowledged: %+v", a)
	}
	r.after(10*time.Minute - time.Second)
	if a := r.theAlarm(grid.EventSmokeAlarm); alarm.State(&a) != alarm.Acked {
		t.Fatalf("a second before its end it is %s", alarm.State(&a))
	}
	r.after(time.Second)
	a = r.theAlarm(grid.EventSmokeAlarm)
	if alarm.State(&a) != alarm.Unack || a.Revision != 1 || a.AckedBy != "li" {
		t.Errorf("after ten minutes it is %s, revision %d, last by %q", alarm.State(&a), a.Revision, a.AckedBy)
	}
	if got := r.actions(grid.EventSmokeAlarm); got != "raised acknowledged unacknowledged" {
		t.Errorf("events are %q", got)
	}
	r.after(time.Second)
	r.ack(a.ID, "") // again, and again it ends
	r.after(11 * time.Minute)
	if a := r.theAlarm(grid.EventSmokeAlarm); a.Acked || a.Revision != 2 || a.Comment != "on the way" {
		t.Errorf("the second one: %+v", a)
	}
	rows := must[[]state.Audit](t)(r.store.AuditOf(t.Context(), a.ID))
	if len(rows) != 2 || rows[0].By != opLi || rows[0].Detail != "on the way" || rows[0].Scope != rigScope {
		t.Errorf("the history is %+v", rows)
	}
}

func TestAnAcknowledgementThatEndedWhileTheGatewayWasDownExpiresRightAfterTheStart(t *testing.T) {
	r := burning(t)
	a := r.ack(r.theAlarm(grid.EventSmokeAlarm).ID, "")
	r.close()
	r.clock.Add(int64(time.Hour)) // no frame, no message: nothing but the time
	r.open()
	r.settle()
	if a := r.theAlarm(grid.EventSmokeAlarm); a.Acked || a.Revision != 1 {
		t.Errorf("after an hour of being down it is still acknowledged: %+v", a)
	}
	r.after(time.Second)
	r.ack(a.ID, "")
	r.restart() // in the middle of one
	if a := r.theAlarm(grid.EventSmokeAlarm); !a.Acked {
		t.Error("a restart takes an acknowledgement off")
	}
	r.after(10 * time.Minute)
	if a := r.theAlarm(grid.EventSmokeAlarm); a.Acked || a.Revision != 2 {
		t.Errorf("one that a restart fell into does not expire: %+v", a)
	}
	if got := r.actions(grid.EventSmokeAlarm); got != "raised acknowledged unacknowledged acknowledged unacknowledged" {
		t.Errorf("events are %q", got)
	}
}

func TestAnAcknowledgementStopsNoClockOfTheTicket(t *testing.T) {
	r := burning(t)
	before := r.theTicket()
	r.ack(r.theAlarm(grid.EventSmokeAlarm).ID, "seen")
	if after := r.theTicket(); !slices.Equal(after.Clocks, before.Clocks) || after.Revision != before.Revision || after.State != before.State {
		t.Errorf("the ticket has changed:\n%+v\n%+v", before, after)
	}
	r.after(2 * time.Minute)
	if r.theTicket().Tier < 3 {
		t.Errorf("two minutes later the ticket is at tier %d: want 3, whoever has acknowledged", r.theTicket().Tier)
	}
}

func TestOnlyAPersonAcknowledgesAndTheFirstOneCounts(t *testing.T) {
	r := burning(t)
	id := r.theAlarm(grid.EventSmokeAlarm).ID
	if _, err := r.engine.Ack(t.Context(), id, "", byUnit("u-fire")); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("a unit acknowledges: %v", err)
	}
	first := r.ack(id, "")
	r.after(time.Minute)
	again, err := r.engine.Ack(t.Context(), id, "me too", grid.Actor{Role: grid.RoleSupervisor, Name: "wang"})
	if err != nil || again.AckedBy != "li" || !again.AckUntil.Equal(first.AckUntil) {
		t.Errorf("the second one: %+v, %v", again, err)
	}
	if _, err := r.engine.Ack(t.Context(), "nothing", "", opLi); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("one that is not there: %v", err)
	}
}

func TestManyAreAcknowledgedAtOnceButNoneThatWasNotShown(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Smoke, "ceiling", "sn:1")
	r.place(grid.Door, "gate", "sn:2")
	r.place(grid.Door, "shed", "sn:3")
	r.say("sn:2", `{"door.open": true}`)
	r.say("sn:3", `{"door.open": true}`)
	r.after(10 * time.Minute)
	doors := r.alarms(state.Query{Type: string(grid.EventDoorHeldOpen)})
	if len(doors) != 2 {
		t.Fatalf("%d doors are held open", len(doors))
	}
	r.say("sn:1", `{"smoke.alarm": true}`)
	smoke := r.theAlarm(grid.EventSmokeAlarm)
	r.ack(smoke.ID, "")
	r.after(10 * time.Minute) // it expires: what the person has on screen is old
	all := []alarm.Seen{{ID: doors[0].ID}, {ID: smoke.ID, Revision: smoke.Revision}, {ID: "nothing"}, {ID: doors[1].ID}}
	got, err := r.engine.AckAll(t.Context(), all, "parking lot", opLi)
	if err != nil || len(got.Acked) != 2 || len(got.Refused) != 2 || got.Refused[0].ID != smoke.ID || got.Refused[1].ID != "nothing" {
		t.Fatalf("%+v, %v", got, err)
	}
	if a := r.theAlarm(grid.EventSmokeAlarm); a.Acked {
		t.Error("a smoke alarm that was not shown is acknowledged in passing")
	}
	if _, err := r.engine.AckAll(t.Context(), make([]alarm.Seen, alarm.MaxAck+1), "", opLi); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("more than a thousand: %v", err)
	}
}

func latchDoors(t *testing.T) func(*Config) {
	return func(c *Config) {
		for _, rule := range must[[]*alarm.Rule](t)(c.Rules.For("", grid.Door)) {
			rule.Latch = rule.Type == grid.EventDoorHeldOpen
		}
	}
}

func TestALatchedAlarmStaysInTheQueueUntilSomebodyHasSeenIt(t *testing.T) {
	r := newRig(t, latchDoors(t))
	r.units()
	r.place(grid.Door, "gate", "sn:2")
	r.say("sn:2", `{"door.open": true}`)
	r.after(10 * time.Minute)
	r.say("sn:2", `{"door.open": false}`)
	r.after(time.Minute)
	r.forceClose(r.theTicket().ID)
	queue := func() []grid.Alarm {
		t.Helper()
		return must[state.AlarmQueue](t)(r.store.AlarmQueue(t.Context(), state.Query{}, r.now())).Alarms
	}
	for range 4 { // longer than what is over is kept, with frames that let the time go on
		r.after(24 * time.Hour)
		r.say("sn:2", `{"door.open": false}`)
	}
	r.restart()
	left := queue()
	if len(left) == 0 || alarm.State(&left[0]) != alarm.LatchedRtn {
		t.Fatalf("after four days and a restart the queue is %+v", left)
	}
	id := left[0].ID
	r.ack(id, "children")
	if a := must[grid.Alarm](t)(r.store.Alarm(t.Context(), id)); alarm.State(&a) != alarm.Normal || a.AckUntil != (time.Time{}) {
		t.Errorf("acknowledged it is %s", alarm.State(&a))
	}
	for _, a := range queue() {
		if a.ID == id {
			t.Error("acknowledged, it is in the queue still")
		}
	}
}

func TestACommentIsKeptInTheHistory(t *testing.T) {
	r := burning(t)
	id := r.theAlarm(grid.EventSmokeAlarm).ID
	for _, words := range []string{"guard goes up", "kitchen, burnt rice"} {
		if _, err := r.engine.Comment(t.Context(), id, words, opLi); err != nil {
			t.Fatal(err)
		}
		r.after(time.Second)
	}
	if _, err := r.engine.Comment(t.Context(), id, "", opLi); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("an empty comment: %v", err)
	}
	rows := must[[]state.Audit](t)(r.store.AuditOf(t.Context(), id))
	if a := r.theAlarm(grid.EventSmokeAlarm); a.Comment != "kitchen, burnt rice" || a.Acked || len(rows) != 2 || rows[0].Detail != "guard goes up" {
		t.Errorf("%+v, history %+v", a, rows)
	}
}

func TestAHigherPriorityIsAcknowledgedAnew(t *testing.T) {
	r := newRig(t)
	r.units()
	bay := placed(grid.Parking, "lane", "sn:4", r.now())
	bay.Points[0].Rules = "fire_lane"
	r.put(bay)
	r.place(grid.Smoke, "ceiling", "sn:1")
	r.say("sn:4", `{"parking.occupied": true}`)
	r.after(3 * time.Minute)
	blocked := r.theAlarm(grid.EventFireLaneBlocked)
	r.ack(blocked.ID, "tow truck called")
	r.say("sn:1", `{"smoke.alarm": true}`)
	if a := r.theAlarm(grid.EventFireLaneBlocked); a.Acked || a.Priority != 1 || a.Revision != blocked.Revision+1 {
		t.Errorf("with smoke in the cell: P%d, acknowledged %t, revision %d", a.Priority, a.Acked, a.Revision)
	}
}
