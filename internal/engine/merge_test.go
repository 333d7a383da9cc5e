package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

var (
	deskOp     = grid.Actor{Role: grid.RoleOperator, Name: "op1"}
	supervisor = grid.Actor{Role: grid.RoleSupervisor, Name: "sv1"}
)

// twoFires lets a detector of each of two buildings alarm.
func twoFires(t *testing.T) (r *rig, first, second string) {
	r = newRig(t)
	r.units()
	r.detectors(1, "a", 0, 0)
	r.detectors(1, "b", 0, 0)
	r.smoke("sn:a0", 1, true)
	r.smoke("sn:b0", 1, true)
	all := r.tickets()
	if len(all) != 2 {
		t.Fatalf("%d tickets, want 2", len(all))
	}
	return r, all[0].ID, all[1].ID
}

func TestAMergedTicketBringsItsEpisodesAlong(t *testing.T) {
	r, first, second := twoFires(t)
	if _, err := r.move(grid.Move{Ticket: second, Verb: grid.VerbMerge, By: deskOp, Into: first, Reason: "one roof"}); err != nil {
		t.Fatal(err)
	}
	for _, restart := range []bool{false, true} {
		if restart {
			r.restart()
		}
		into := r.engine.tickets[first]
		if n := len(r.engine.episodesOf(into)); n != 2 || len(into.Members) != 1 {
			t.Errorf("restart %v: the ticket is about %d episodes with members %+v, want 2 and one", restart, n, into.Members)
		}
	}
	for _, a := range r.ofType(grid.EventSmokeAlarm) {
		if a.Ticket != first {
			t.Errorf("episode at %s has ticket %s", a.Point, a.Ticket)
		}
	}
	// Both must be normal before it is closed.
	station := byUnit("u-micro_fire_station")
	r.smoke("sn:a0", 2, false)
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		if _, err := r.move(grid.Move{Ticket: first, Verb: v, By: station, OnSite: true, Evidence: "photo", Reason: "out"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 8 {
		r.after(5 * time.Minute)
		r.smoke("sn:a0", 10+i, false)
	}
	if s := must[grid.Ticket](t)(r.store.Ticket(t.Context(), first)).State; s == grid.TicketClosed {
		t.Error("it is closed while the merged detector is in alarm")
	}
	if in := r.incidents("open"); len(in) != 2 {
		t.Errorf("%d open incidents, want both: one building never hides another", len(in))
	}
}

func TestAMergeIsRefusedWhereItWouldHideSomething(t *testing.T) {
	r, first, second := twoFires(t)
	r.place(grid.Door, "D1", doorDev)
	r.say(doorDev, `{"door.open":true,"seq":1}`)
	r.after(11 * time.Minute)
	door := r.ofType(grid.EventDoorHeldOpen)[0].Ticket
	for name, into := range map[string]string{"a lesser ticket": door, "none": "nosuch", "itself": first} {
		if _, err := r.move(grid.Move{Ticket: first, Verb: grid.VerbMerge, By: deskOp, Into: into, Reason: "tidy"}); err == nil {
			t.Errorf("a fire was merged into %s", name)
		}
	}
	r.forceClose(second)
	if _, err := r.move(grid.Move{Ticket: first, Verb: grid.VerbMerge, By: deskOp, Into: second, Reason: "tidy"}); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("a merge into an ended ticket: %v, want a conflict", err)
	}
}

func TestASplitEpisodeHasATicketOfItsOwn(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(3, "s", 0, 0)
	for i := range 3 {
		r.smoke(grid.Identity(fmt.Sprint("sn:s", i)), 1, true)
	}
	first := r.theTicket()
	out := first.Members[1].Alarm
	r.after(time.Second) // the new ticket comes after the first, also in lists
	if _, err := r.move(grid.Move{Ticket: first.ID, Verb: grid.VerbSplit, By: deskOp, Alarm: out, Reason: "the other stairwell"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.move(grid.Move{Ticket: first.ID, Verb: grid.VerbSplit, By: deskOp, Alarm: first.Alarm, Reason: "x"}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("the episode it was opened for was split off: %v", err)
	}
	all := r.tickets()
	if len(all) != 2 || all[1].Alarm != out || all[1].State != grid.TicketDispatched {
		t.Fatalf("tickets are %+v: want a second one, dispatched, for the episode", all)
	}
	r.restart()
	if n := len(r.engine.episodesOf(r.engine.tickets[first.ID])); n != 2 {
		t.Errorf("the first is about %d episodes, want 2", n)
	}
}

func TestADetectorThatCriesWolfIsSuspectAfterTheThirdTime(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	station := byUnit("u-micro_fire_station")
	wolf := func(n int) string {
		r.smoke("sn:s0", 10*n, true)
		id := r.ofType(grid.EventSmokeAlarm)[n-1].Ticket
		r.smoke("sn:s0", 10*n+1, false)
		r.after(2 * time.Minute)
		if _, err := r.move(grid.Move{Ticket: id, Verb: grid.VerbCancel, By: station, OnSite: true, Reason: "steam", Finding: grid.VerifiedFalse}); err != nil {
			t.Fatal(err)
		}
		r.after(time.Hour)
		return id
	}
	wolf(1)
	wolf(2)
	if got := r.ofType(grid.EventSmokeSuspect); len(got) != 0 {
		t.Fatalf("after two: %+v", got)
	}
	wolf(3)
	got := r.ofType(grid.EventSmokeSuspect)
	if len(got) != 1 || !got[0].Active || got[0].Ticket == "" {
		t.Fatalf("after three smoke.suspect is %+v: want one, with a technician's ticket", got)
	}
	r.restart()
	r.smoke("sn:s0", 90, true)
	tk := must[grid.Ticket](t)(r.store.Ticket(t.Context(), r.ofType(grid.EventSmokeAlarm)[3].Ticket))
	if tk.Suspect == "" || !called(tk, "u-micro_fire_station") {
		t.Fatalf("ticket is %+v: want it suspect, and those near called", tk)
	}
	r.after(2 * time.Minute)
	tk = must[grid.Ticket](t)(r.store.Ticket(t.Context(), tk.ID))
	if called(tk, "u-fire") || !slices.ContainsFunc(tk.Tasks, func(k grid.Task) bool { return strings.Contains(k.Text, "suspect") }) {
		t.Fatalf("after 90 s it calls %+v with tasks %+v: want no fire unit by machine, and a task for the operator", tk.Assignments, tk.Tasks)
	}
	r.smoke("sn:s1", 1, true) // a second detector is believed
	r.after(time.Second)
	if tk = must[grid.Ticket](t)(r.store.Ticket(t.Context(), tk.ID)); !called(tk, "u-fire") {
		t.Error("two detectors alarm and the fire unit is not called")
	}
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		if _, err := r.move(grid.Move{Ticket: got[0].Ticket, Verb: v, By: byUnit("u-maintenance"), OnSite: true, Evidence: "photo", Reason: "new detector"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.ofType(grid.EventSmokeSuspect); got[0].Active {
		t.Error("the technician is done and it is still suspect")
	}
}

func TestTheOperatorsCallIsRecordedOnlyWhenSomebodyAnswered(t *testing.T) {
	r := newRig(t)
	r.units()
	r.put(grid.Registration{Units: []grid.Unit{{ID: "u-fire", Name: "brigade", Kind: grid.FireUnit, Tier: 3, Mode: grid.Simulated, Connector: "webhook", URL: "http://127.0.0.1:1/", Phone: "000-119"}}})
	r.detectors(1, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.after(91 * time.Second)
	tk := r.theTicket()
	i := slices.IndexFunc(tk.Tasks, func(k grid.Task) bool { return k.Kind == grid.TaskCall })
	if called(tk, "u-fire") || i < 0 {
		t.Fatalf("tasks are %+v: want one to call the fire brigade", tk.Tasks)
	}
	call := tk.Tasks[i].N
	if k := tk.Tasks[i]; k.Kind != grid.TaskCall || k.Number != "000-119" || k.Script == "" || k.Unit != "u-fire" {
		t.Errorf("the task is %+v: want whom, by which number, and what to say", k)
	}
	if _, err := r.move(grid.Move{Ticket: tk.ID, Verb: grid.VerbDone, By: deskOp, Task: call}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("the call was dismissed: %v", err)
	}
	open := must[state.Page[grid.Ticket]](t)(r.store.ListTickets(t.Context(), state.Query{State: "tasks"}))
	if len(open.Items) != 1 {
		t.Errorf("%d tickets have tasks, want one", len(open.Items))
	}
	tk = must[grid.Ticket](t)(r.move(grid.Move{Ticket: tk.ID, Verb: grid.VerbDone, By: deskOp, Task: call, Source: "desk officer", Reason: "two engines on their way"}))
	if !called(tk, "u-fire") || tk.Tasks[i].Done.IsZero() || tk.Tasks[i].By.Name != "op1" {
		t.Errorf("after the call: %+v, %+v", tk.Assignments, tk.Tasks)
	}
}

// The ticket of a hot-spot is about no episode.
func TestATicketWithoutAnEpisodeIsMerged(t *testing.T) {
	r := newRig(t)
	r.judged("d1", aHotspot("c1", r.now()), aHotspot("c2", r.now()))
	all := r.tickets()
	if len(all) != 2 || all[0].Alarm != "" {
		t.Fatalf("tickets are %+v: want two without an episode", all)
	}
	got, err := r.move(grid.Move{Ticket: all[1].ID, Verb: grid.VerbMerge, By: deskOp, Into: all[0].ID, Reason: "one estate"})
	if err != nil || got.State != grid.TicketMerged {
		t.Errorf("it is %s: %v, want merged", got.State, err)
	}
}
