package engine

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

func TestTimersOfOneInstantTellOfEachPoint(t *testing.T) {
	r := newRig(t)
	r.units()
	for i := range 3 {
		r.place(grid.Manhole, fmt.Sprint("M", i), grid.Identity(fmt.Sprint("sn:pit-", i)))
	}
	say := func(payload string) {
		for i := range 3 {
			r.say(grid.Identity(fmt.Sprint("sn:pit-", i)), payload)
		}
	}
	say(`{"manhole.open":true,"seq":1}`)
	r.after(6 * time.Second)
	say(`{"manhole.open":false,"seq":2}`)
	r.after(2 * time.Minute)
	say(`{"manhole.open":true,"seq":3}`)
	r.after(6 * time.Second)
	told := map[string]int{}
	for _, ev := range r.events(grid.EventManholeOpen) {
		told[ev.Action]++
	}
	if told["raised"] != 3 || told["cleared"] != 3 || told["repeated"] != 3 {
		t.Errorf("events are %v: want three of each action, one for each point", told)
	}
	for _, a := range r.alarms(state.Query{}) {
		if !a.Active || a.Count != 2 {
			t.Errorf("alarm of %s: active %v, count %d", a.Point, a.Active, a.Count)
		}
	}
}

func TestCommandsOfOneInstantWithoutKeysAreEachKept(t *testing.T) {
	r := newRig(t)
	r.units()
	var ids []string
	for i := range 3 {
		point := fmt.Sprint("S", i)
		r.place(grid.Smoke, point, grid.Identity("sn:"+point))
		r.say(grid.Identity("sn:"+point), `{"smoke.alarm":true,"seq":1}`)
	}
	for _, a := range r.alarms(state.Query{}) {
		ids = append(ids, a.ID)
		if _, err := r.engine.Ack(t.Context(), a.ID, "", grid.Actor{Role: grid.RoleOperator, Name: "op"}); err != nil {
			t.Fatal(err)
		}
	}
	page := must[state.Page[state.Audit]](t)(r.store.ListAudit(t.Context(), state.Query{Type: "alarm.ack"}))
	if len(page.Items) != len(ids) {
		t.Errorf("audit has %d lines for %d acknowledgements", len(page.Items), len(ids))
	}
}
