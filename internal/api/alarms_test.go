package api

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// ackEngine acknowledges what has revision 0, and remembers by whom.
type ackEngine struct {
	*fakeEngine
	by   []grid.Actor
	said []string
}

func (e *ackEngine) Ack(_ context.Context, id, comment string, by grid.Actor) (grid.Alarm, error) {
	e.by, e.said = append(e.by, by), append(e.said, comment)
	return grid.Alarm{ID: id, Active: true, Acked: true, AlarmDetail: grid.AlarmDetail{AckedBy: by.Name}}, nil
}

func (e *ackEngine) AckAll(ctx context.Context, all []alarm.Seen, comment string, by grid.Actor) (out alarm.AckedAll, err error) {
	for _, s := range all {
		if s.Revision != 0 {
			out.Refused = append(out.Refused, alarm.Refused{ID: s.ID, Why: "revision is 0: look again"})
			continue
		}
		a, _ := e.Ack(ctx, s.ID, comment, by)
		out.Acked = append(out.Acked, a)
	}
	return out, nil
}

func (e *ackEngine) Comment(_ context.Context, id, comment string, by grid.Actor) (grid.Alarm, error) {
	e.by, e.said = append(e.by, by), append(e.said, comment)
	return grid.Alarm{ID: id, Active: true, AlarmDetail: grid.AlarmDetail{Comment: comment}}, nil
}

func anAlarm(id string, typ grid.EventType, p grid.Priority, street string, raised time.Time) grid.Alarm {
	return grid.Alarm{ID: id, Type: typ, Priority: p, Point: "p-" + id, Cell: street + "001001", Building: "b-" + id, Mode: grid.Live, Active: true, Raised: raised, Scope: grid.Scope{Street: street}}
}

func TestTheQueueOfAScopeIsGroupedInItsOwnFloodAlone(t *testing.T) {
	w := newWorld(t)
	w.server.AlarmRules = someRules(t)
	var all []grid.Alarm
	for i := range 12 {
		all = append(all, anAlarm(fmt.Sprintf("bay-%02d", i), grid.EventParkingOverstay, 3, "310105006", t0.Add(-time.Duration(i)*time.Second)))
	}
	all = append(all, anAlarm("fire", grid.EventSmokeAlarm, 1, "310105006", t0), anAlarm("gate", grid.EventDoorHeldOpen, 3, "310105007", t0))
	over := anAlarm("latched", grid.EventManholeOpen, 1, "310105007", t0.Add(-time.Hour))
	over.Active, over.Latch = false, true
	gone := anAlarm("gone", grid.EventManholeOpen, 1, "310105007", t0.Add(-time.Hour))
	gone.Active = false
	w.commit(&state.Batch{Alarms: append(all, over, gone)})
	c := w.client(admin)
	q, err := c.Queue(t.Context(), Query{Scope: grid.Scope{Street: "310105006"}})
	if err != nil || q.Flood == nil || q.Alarms != 13 || len(q.Entries) != 2 || q.Entries[0].Alarm.ID != "fire" || q.Entries[1].Group.Count != 12 {
		t.Fatalf("the flooded street: %+v, %v", q, err)
	}
	if m := q.Entries[1].Group.Members; len(m) != 12 || m[0].ID == "" {
		t.Errorf("members are %+v", m)
	}
	q, err = c.Queue(t.Context(), Query{Scope: grid.Scope{Street: "310105007"}})
	if err != nil || q.Flood != nil || len(q.Entries) != 2 || q.Entries[0].Alarm.ID != "latched" || q.Entries[0].State != alarm.LatchedRtn || q.Entries[1].Alarm.ID != "gate" {
		t.Fatalf("the other street: %+v, %v", q, err)
	}
	if q, err = c.Queue(t.Context(), Query{Limit: 1}); err != nil || len(q.Entries) != 1 || q.More == 0 || q.Entries[0].Alarm.ID != "fire" {
		t.Errorf("one line: %+v, %v", q, err)
	}
	if _, err := w.client("fire-token").Queue(t.Context(), Query{}); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("a unit reads the operators' queue: %v", err)
	}
	page, err := List[AlarmView](t.Context(), c, "alarms", Query{Point: "p-latched"})
	if err != nil || len(page.Items) != 1 || page.Items[0].State != alarm.LatchedRtn {
		t.Errorf("list: %+v, %v", page, err)
	}
}

func TestAnAcknowledgementNamesThePersonAndWhatTheyHaveSeen(t *testing.T) {
	w := newWorld(t)
	e := &ackEngine{fakeEngine: w.engine}
	w.server.Engine = e
	c := w.client(admin)
	v, err := c.Ack(t.Context(), "a1", Ack{Comment: "on the way", By: &As{Name: "li", Role: grid.RoleOperator}})
	if err != nil || v.State != alarm.Acked || v.AckedBy != "li" || e.by[0].Role != grid.RoleOperator || e.said[0] != "on the way" {
		t.Errorf("%+v, %v", v, err)
	}
	old, now := 3, 0
	if _, err := c.Ack(t.Context(), "a1", Ack{Revision: &old}); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("of an old revision: %v", err)
	}
	if _, err := c.Ack(t.Context(), "a1", Ack{Revision: &now}); err != nil {
		t.Errorf("of the present one: %v", err)
	}
	many, err := c.AckMany(t.Context(), AckMany{Alarms: []alarm.Seen{{ID: "a1"}, {ID: "a2", Revision: 1}}})
	if err != nil || len(many.Acked) != 1 || len(many.Refused) != 1 || many.Refused[0].ID != "a2" {
		t.Errorf("%+v, %v", many, err)
	}
	if code, _, _ := w.do(admin, "POST", "/api/v1/alarms/ack", `{"alarms": [{"id": "a1"}]}`); code != 422 {
		t.Errorf("of many, without what was seen: %d", code)
	}
	if _, err := c.AckMany(t.Context(), AckMany{Alarms: []alarm.Seen{}}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("of none: %v", err)
	}
	if v, err := c.CommentAlarm(t.Context(), "a1", "burnt rice", &As{Name: "wang"}); err != nil || v.Comment != "burnt rice" || e.by[len(e.by)-1].Name != "wang" {
		t.Errorf("comment: %+v, %v", v, err)
	}
	if _, err := c.CommentAlarm(t.Context(), "a1", "", nil); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("an empty comment: %v", err)
	}
}

func TestNuisancesAreFoundInTheEventsOfAScope(t *testing.T) {
	w := newWorld(t)
	w.server.AlarmRules = someRules(t)
	stale := anAlarm("stale", grid.EventDoorHeldOpen, 3, "310105006", t0.Add(-30*time.Hour))
	b := &state.Batch{Alarms: []grid.Alarm{stale}}
	for i, action := range []string{"raised", "cleared", "repeated", "cleared", "repeated", "cleared", "commented"} {
		at := t0.Add(time.Duration(10*i-600) * time.Second)
		b.Events = append(b.Events, grid.Event{ID: fmt.Sprintf("e%d", i), Type: grid.EventDoorHeldOpen, Kind: grid.KindAlarm, Action: action, Alarm: "chatter", Point: "gate", Mode: grid.Live, At: at.Add(-time.Second), Received: at, Scope: grid.Scope{Street: "310105006"}})
	}
	w.commit(b)
	h, err := w.client(admin).AlarmHealth(t.Context(), Query{Scope: grid.Scope{Street: "310105006"}})
	if err != nil || len(h.Chattering) != 1 || h.Chattering[0].Where != "gate" || h.Chattering[0].Count != 3 || len(h.Fleeting) != 1 || h.Fleeting[0].Count != 3 || len(h.Stale) != 1 || h.Stale[0].ID != "stale" {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err = w.client(admin).AlarmHealth(t.Context(), Query{Scope: grid.Scope{Street: "310105007"}}); err != nil || len(h.Chattering)+len(h.Fleeting)+len(h.Stale) != 0 {
		t.Errorf("of another street: %+v, %v", h, err)
	}
	if h, err = w.client(admin).AlarmHealth(t.Context(), Query{Since: t0.Add(-time.Minute)}); err != nil || len(h.Chattering) != 0 {
		t.Errorf("of the last minute: %+v, %v", h, err)
	}
}

func TestTheHistoryOfAnAlarmIsOldestFirst(t *testing.T) {
	w := newWorld(t)
	b := &state.Batch{Alarms: []grid.Alarm{anAlarm("a1", grid.EventManholeOpen, 1, "310105006", t0)}}
	for i, action := range []string{"alarm.comment", "alarm.ack"} {
		b.Audit = append(b.Audit, state.Audit{ID: fmt.Sprintf("u%d", i), At: t0.Add(-time.Duration(i) * time.Minute), By: grid.Actor{Role: grid.RoleOperator, Name: "li"}, Action: action, Subject: "a1", Mode: grid.Live})
	}
	b.Audit = append(b.Audit, state.Audit{ID: "other", At: t0, Action: "alarm.ack", Subject: "a2", Mode: grid.Live})
	w.commit(b)
	page, err := w.client(admin).AlarmHistory(t.Context(), "a1")
	var got []string
	for _, row := range page.Items {
		got = append(got, row.Action)
	}
	if err != nil || !slices.Equal(got, []string{"alarm.ack", "alarm.comment"}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := w.client(admin).AlarmHistory(t.Context(), "nothing"); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("of one that is not there: %v", err)
	}
}
