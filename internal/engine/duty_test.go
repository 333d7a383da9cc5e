package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/calendar"
	"gridgate/internal/duty"
	"gridgate/internal/grid"
	"gridgate/internal/people"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// withDuty is a rig with the built-in rules of duty, and routes that call nobody but the duty lead.
func withDuty(t *testing.T) *rig {
	t.Helper()
	calendars := must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))))
	rules := must[*duty.Rules](t)(duty.Parse("duty.yaml", must[[]byte](t)(configs.FS.ReadFile("duty.yaml")), calendars))
	routes := must[*ticket.Routes](t)(ticket.ParseRoutes("routes.yaml", []byte("chains: {wait: 30s, priorities: [1], call: [point], channels: {voice: [call-voice]}}\n"), calendars))
	r := newRig(t, func(c *Config) { c.Duty, c.Routes, c.People = rules, routes, people.NewBook(calendars) })
	r.units()
	r.carrier()
	r.place(grid.Smoke, "p1", "sn:s1")
	r.place(grid.Smoke, "p2", "sn:s2")
	return r
}

// onCall puts a person with a number of that mode on the roster of the duty lead.
func (r *rig) onCall(person string) {
	r.t.Helper()
	r.onCallIn(person, grid.Simulated)
}

// onCallIn has the person's number in a mode: people are called in their own world alone.
func (r *rig) onCallIn(person string, mode grid.Mode) {
	r.t.Helper()
	must[grid.Contact](r.t)(r.engine.PutContact(r.t.Context(), grid.Contact{
		ID: "c-person-" + person + "-duty_phone", Of: "person:" + person, Role: grid.DutyPhone, Channel: grid.Voice, Mode: mode, Sealed: []byte("sealed"), By: operator("op"),
	}, ""))
	must[grid.Shift](r.t)(r.engine.PutShift(r.t.Context(), grid.Shift{For: "seat:duty-lead", Person: person, From: r.now().Add(-time.Hour), Mode: grid.Simulated, By: operator("op")}, ""))
}

func operator(name string) grid.Actor { return grid.Actor{Role: grid.RoleOperator, Name: name} }

// sit signs a person on to a seat that watches.
func (r *rig) sit(seat, person string) grid.Seat {
	r.t.Helper()
	s := must[grid.Seat](r.t)(r.engine.SignOn(r.t.Context(), SignOn{Seat: seat, By: operator(person), Sound: true, Stream: true}, ""))
	r.settle()
	return s
}

// beats lets time pass while seats are there.
func (r *rig) beats(d time.Duration, all ...grid.Seat) {
	r.t.Helper()
	for ; d > 0; d -= 15 * time.Second {
		r.after(min(d, 15*time.Second))
		for _, s := range all {
			must[grid.Seat](r.t)(r.engine.SeatBeat(r.t.Context(), Beat{Seat: s.ID, Session: s.Session, Sound: true, Stream: true}))
		}
	}
	r.settle()
}

func (r *rig) burns(n string) grid.Alarm {
	r.t.Helper()
	r.say(grid.Identity("sn:s"+n), `{"smoke.alarm":true}`)
	return r.alarmAt("p" + n)
}

func (r *rig) alarmAt(point string) grid.Alarm {
	r.t.Helper()
	all := r.alarms(state.Query{Point: point, Type: string(grid.EventSmokeAlarm)})
	if len(all) != 1 {
		r.t.Fatalf("%d alarms at %s, want one", len(all), point)
	}
	return all[0]
}

// toldOf are the actions of an alarm's events that begin with a word.
func (r *rig) toldOf(a grid.Alarm, action string) (details []string) {
	r.t.Helper()
	for _, e := range r.events(a.Type) {
		if e.Alarm == a.ID && e.Action == action {
			details = append(details, e.Detail)
		}
	}
	return details
}

func (r *rig) wantUntaken(point string, seats, lead bool) {
	r.t.Helper()
	u := r.alarmAt(point).Untaken
	if u == nil {
		r.t.Fatalf("alarm at %s is not marked untaken", point)
		return
	}
	if seats == u.Seats.IsZero() || lead == u.Lead.IsZero() {
		r.t.Fatalf("alarm at %s: %+v, want seats told %t, lead called %t", point, *u, seats, lead)
	}
}

func TestAnUntakenP1GoesToAllSeatsAndThenToTheDutyLead(t *testing.T) {
	r := withDuty(t)
	r.onCall("lead-a")
	s := r.sit("desk-1", "op-a")
	a := r.burns("1")
	if n := len(r.theTicket().Assignments); n == 0 {
		t.Fatal("no unit was called with the alarm: dispatch waits for nobody")
	}
	r.beats(29*time.Second, s)
	r.wantUntaken("p1", false, false)
	r.beats(2*time.Second, s)
	r.wantUntaken("p1", true, false)
	r.beats(28*time.Second, s)
	r.wantUntaken("p1", true, false)
	r.wantCalls("seat:duty-lead")
	r.beats(2*time.Second, s)
	r.wantUntaken("p1", true, true)
	r.wantCalls("seat:duty-lead", "c-person-lead-a-duty_phone")
	if told := r.toldOf(a, "untaken"); len(told) != 2 || !strings.Contains(told[0], "to all seats") || !strings.Contains(told[1], "to the duty lead") {
		t.Fatalf("events are %q, want one to all seats and one to the duty lead", told)
	}
	r.beats(5*time.Minute, s)
	if told := r.toldOf(a, "untaken"); len(told) != 2 {
		t.Fatalf("events are %q, want each step once", told)
	}
}

func TestAnAlarmThatIsTakenCallsNobody(t *testing.T) {
	r := withDuty(t)
	r.onCall("lead-a")
	s1, s2 := r.sit("desk-1", "op-a"), r.sit("desk-2", "op-b")
	a := r.burns("1")
	r.beats(10*time.Second, s1, s2)
	got := must[grid.Alarm](t)(r.engine.Take(t.Context(), a.ID, "desk-1", operator(""), false))
	if got.Taken == nil || got.Taken.By != "op-a" || got.Taken.Seat != "desk-1" || got.Untaken != nil {
		t.Fatalf("taken: %+v, untaken %+v", got.Taken, got.Untaken)
	}
	r.restart()
	r.beats(3*time.Minute, s1, s2)
	if a := r.alarmAt("p1"); a.Taken == nil || a.Untaken != nil || len(r.toldOf(a, "untaken")) != 0 {
		t.Fatalf("an alarm that was taken is called for: %+v", a.AlarmDetail)
	}
	r.wantCalls("seat:duty-lead")
	if _, err := r.engine.Take(t.Context(), a.ID, "desk-2", operator("op-b"), false); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "op-a") {
		t.Fatalf("another seat takes it: %v, want a conflict that names op-a", err)
	}
	if got := must[grid.Alarm](t)(r.engine.Take(t.Context(), a.ID, "desk-2", operator("op-b"), true)); got.Taken.Seat != "desk-2" {
		t.Fatalf("taken over: %+v", got.Taken)
	}
	if _, err := r.engine.GiveBack(t.Context(), a.ID, "desk-1", "", operator("op-a")); grid.CodeOf(err) != grid.Forbidden {
		t.Fatalf("desk-1 gives back what desk-2 has: %v, want forbidden", err)
	}
	back := must[grid.Alarm](t)(r.engine.GiveBack(t.Context(), a.ID, "desk-2", "going to eat", operator("op-b")))
	if back.Taken != nil || back.Untaken == nil {
		t.Fatalf("given back: %+v %+v, want it untaken anew", back.Taken, back.Untaken)
	}
	r.beats(31*time.Second, s1, s2)
	r.wantUntaken("p1", true, false)
}

func TestWhereNoSeatWatchesTheDutyLeadIsCalledAtOnce(t *testing.T) {
	for name, sit := range map[string]func(r *rig){
		"nobody signed on": func(*rig) {},
		"sound not armed": func(r *rig) {
			must[grid.Seat](t)(r.engine.SignOn(t.Context(), SignOn{Seat: "desk-1", By: operator("op-a"), Stream: true}, ""))
		},
		"stream not live": func(r *rig) {
			must[grid.Seat](t)(r.engine.SignOn(t.Context(), SignOn{Seat: "desk-1", By: operator("op-a"), Sound: true}, ""))
		},
		"signed off": func(r *rig) {
			s := r.sit("desk-1", "op-a")
			must[grid.Seat](t)(r.engine.SignOff(t.Context(), "desk-1", s.Session, operator("op-a")))
		},
		"silent": func(r *rig) {
			r.sit("desk-1", "op-a")
			r.after(46 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := withDuty(t)
			r.onCall("lead-a")
			sit(r)
			r.burns("1")
			r.wantUntaken("p1", false, true)
			r.wantCalls("seat:duty-lead", "c-person-lead-a-duty_phone")
			r.after(31 * time.Second)
			r.wantUntaken("p1", true, true)
		})
	}
}

func TestASeatThatFallsSilentGivesBackWhatItHad(t *testing.T) {
	r := withDuty(t)
	r.onCall("lead-a")
	s1, s2 := r.sit("desk-1", "op-a"), r.sit("desk-2", "op-b")
	a := r.burns("1")
	must[grid.Alarm](t)(r.engine.Take(t.Context(), a.ID, "desk-1", operator(""), false))
	r.beats(44*time.Second, s2)
	if a := r.alarmAt("p1"); a.Taken == nil {
		t.Fatal("given back before the seat was silent for 45 s")
	}
	r.beats(2*time.Second, s2)
	if a := r.alarmAt("p1"); a.Taken != nil || a.Untaken == nil || !a.Untaken.Lead.IsZero() {
		t.Fatalf("taken %+v, untaken %+v: want it before all again, and desk-2 still watching", a.Taken, a.Untaken)
	}
	if told := r.toldOf(a, "given_back"); len(told) != 1 || !strings.Contains(told[0], "silent") {
		t.Fatalf("events are %q, want one that says the seat is silent", told)
	}
	seats := must[[]grid.Seat](t)(r.engine.Seats(t.Context()))
	if seats[0].Watching || seats[0].Why != "silent" || !seats[1].Watching || seats[0].Session != "" {
		t.Fatalf("seats are %+v", seats)
	}
	if got := must[grid.Seat](t)(r.engine.SeatBeat(t.Context(), Beat{Seat: "desk-1", Session: s1.Session, Sound: true, Stream: true})); !got.Watching {
		t.Fatal("a seat that is heard again is not watching")
	}
	r.after(46 * time.Second) // now both
	r.wantUntaken("p1", true, true)
}

func TestASeatIsOnePersonsAtATime(t *testing.T) {
	r := withDuty(t)
	ctx := t.Context()
	s := r.sit("desk-1", "op-a")
	if _, err := r.engine.SignOn(ctx, SignOn{Seat: "desk-1", By: operator("op-b"), Sound: true, Stream: true}, ""); grid.CodeOf(err) != grid.Conflict {
		t.Fatalf("a second person signs on: %v, want a conflict", err)
	}
	if _, err := r.engine.SignOn(ctx, SignOn{Seat: "desk-9", By: operator("op-b")}, ""); grid.CodeOf(err) != grid.NotFound {
		t.Fatalf("a seat that is not there: %v", err)
	}
	first := must[grid.Seat](t)(r.engine.SignOn(ctx, SignOn{Seat: "desk-1", By: operator("op-b"), Sound: true, Stream: true, Over: true}, "k1"))
	again := must[grid.Seat](t)(r.engine.SignOn(ctx, SignOn{Seat: "desk-1", By: operator("op-b"), Sound: true, Stream: true, Over: true}, "k1"))
	if first.Session == "" || again.Session != first.Session {
		t.Fatalf("the same sign-on again has session %q, want %q", again.Session, first.Session)
	}
	if _, err := r.engine.SeatBeat(ctx, Beat{Seat: "desk-1", Session: s.Session, Sound: true, Stream: true}); grid.CodeOf(err) != grid.Conflict {
		t.Fatalf("the page that lost the seat beats on: %v, want a conflict", err)
	}
	if _, err := r.engine.SignOff(ctx, "desk-1", s.Session, operator("op-a")); grid.CodeOf(err) != grid.Forbidden {
		t.Fatalf("who lost the seat signs it off: %v, want forbidden", err)
	}
	off := must[grid.Seat](t)(r.engine.SignOff(ctx, "desk-1", "", dutyLead))
	if off.Watching || off.Left.IsZero() {
		t.Fatalf("signed off by the lead: %+v", off)
	}
}

func TestTheClockOfAnUntakenAlarmGoesOnOverARestartAndFiresAtOnceWhenOverdue(t *testing.T) {
	r := withDuty(t)
	r.onCall("lead-a")
	s := r.sit("desk-1", "op-a")
	a := r.burns("1")
	r.beats(20*time.Second, s)
	r.close()
	r.clock.Add(int64(5 * time.Minute))
	r.open()
	r.settle()
	r.wantUntaken("p1", true, true)
	r.wantCalls("seat:duty-lead", "c-person-lead-a-duty_phone")
	if seats := must[[]grid.Seat](t)(r.engine.Seats(t.Context())); !seats[0].Watching {
		t.Fatal("the seat is silent for a time in which nobody could hear it")
	}
	r.restart()
	r.after(time.Second)
	r.wantCalls("seat:duty-lead", "c-person-lead-a-duty_phone")
	if told := r.toldOf(a, "untaken"); len(told) != 2 {
		t.Fatalf("events are %q, want each step once over the restarts", told)
	}
	r.after(46 * time.Second)
	if seats := must[[]grid.Seat](t)(r.engine.Seats(t.Context())); seats[0].Watching {
		t.Fatal("a seat that has not come back after the restart is still watching")
	}
}

func TestTakingEndsTheCallsToTheDutyLead(t *testing.T) {
	r := withDuty(t)
	r.onCall("lead-a")
	a := r.burns("1")
	r.wantCalls("seat:duty-lead", "c-person-lead-a-duty_phone")
	r.sit("duty-lead", "lead-a")
	must[grid.Alarm](t)(r.engine.TakeTicket(t.Context(), a.Ticket, "duty-lead", operator(""), false))
	tk := r.theTicket()
	i := slices.IndexFunc(tk.Chains, func(c grid.CallChain) bool { return c.Of == "seat:duty-lead" })
	if i < 0 || tk.Chains[i].Ended.IsZero() || tk.Chains[i].By != "lead-a" {
		t.Fatalf("chains are %+v, want that of the lead ended by lead-a", tk.Chains)
	}
	must[grid.Alarm](t)(r.engine.GiveBackTicket(t.Context(), a.Ticket, "duty-lead", "", operator("lead-a")))
	s := must[[]grid.Seat](t)(r.engine.Seats(t.Context()))
	if !s[2].Watching {
		t.Fatal("who gives back stops watching")
	}
	r.after(44 * time.Second) // before the seat is silent
	r.after(2 * time.Second)  // and after
	tk = r.theTicket()
	if got := calls(&tk, "seat:duty-lead"); len(got) != 2 {
		t.Fatalf("the lead was called %d times, want anew after it was given back: %+v", len(got), tk.Chains)
	}
}

func TestWithoutANumberTheDeskIsToFetchTheDutyLead(t *testing.T) {
	r := withDuty(t)
	a := r.burns("1")
	open := func() int {
		return len(slices.DeleteFunc(r.theTicket().Tasks, func(k grid.Task) bool {
			return !k.Done.IsZero() || !strings.Contains(k.Text, "the duty lead (seat:duty-lead) is to be fetched")
		}))
	}
	if open() != 1 {
		t.Fatalf("tasks are %+v, want one to fetch the lead", r.theTicket().Tasks)
	}
	r.sit("desk-1", "op-a")
	must[grid.Alarm](t)(r.engine.Take(t.Context(), a.ID, "desk-1", operator(""), false))
	if open() != 0 {
		t.Fatalf("tasks are %+v, want none that is open", r.theTicket().Tasks)
	}
}

func TestALivePersonIsNotCalledForPractice(t *testing.T) {
	r := withDuty(t)
	r.onCallIn("lead-a", grid.Live)
	tk := r.theTicketOf(r.burns("1"))
	if got := calls(&tk, "seat:duty-lead"); tk.Mode == grid.Live || len(got) != 0 {
		t.Fatalf("%v were called for an alarm that is %s", got, tk.Mode)
	}
	r.wantUntaken("p1", false, true)
}

func TestASeatOfPracticeWatchesNothingThatIsLive(t *testing.T) {
	live, practice := grid.Alarm{Mode: grid.Live}, grid.Alarm{Mode: grid.Simulated}
	for _, c := range []struct {
		seat  grid.Mode
		alarm *grid.Alarm
		want  bool
	}{{grid.Live, &live, true}, {grid.Live, &practice, true}, {grid.Test, &live, false}, {grid.Test, &practice, true}} {
		if got := duty.Watches(&grid.Seat{Watching: true, Mode: c.seat}, c.alarm); got != c.want {
			t.Errorf("a seat of mode %s watches an alarm of mode %s: %t", c.seat, c.alarm.Mode, got)
		}
	}
	if duty.Watches(&grid.Seat{Watching: true, Scope: grid.Scope{Street: "310105001"}, Mode: grid.Live}, &grid.Alarm{Mode: grid.Live, Scope: rigScope}) {
		t.Error("a seat of one street watches another")
	}
}

func (r *rig) theTicketOf(a grid.Alarm) grid.Ticket {
	r.t.Helper()
	return must[grid.Ticket](r.t)(r.store.Ticket(r.t.Context(), a.Ticket))
}

func TestAHandoverIsSignedByTwoAndThenFixed(t *testing.T) {
	r := withDuty(t)
	ctx := t.Context()
	made := must[grid.Handover](t)(r.engine.PutHandover(ctx, grid.Handover{Why: "shift", Made: r.now(), Sections: []grid.HandoverSection{{Key: "urgent", Count: 1, Lines: []grid.HandoverLine{{Kind: "ticket", ID: "t1", What: "smoke"}}}}}, "2026-03-02T08:00"))
	if again := must[grid.Handover](t)(r.engine.PutHandover(ctx, grid.Handover{Why: "shift", Made: r.now()}, "2026-03-02T08:00")); again.ID != made.ID {
		t.Fatalf("the sheet of one change of shift is made twice: %s and %s", made.ID, again.ID)
	}
	must[grid.Handover](t)(r.engine.SignHandover(ctx, made.ID, "", operator("op-a"), "quiet night"))
	if _, err := r.engine.SignHandover(ctx, made.ID, Incoming, operator("op-a"), ""); grid.CodeOf(err) != grid.Conflict {
		t.Fatalf("one person signs for both: %v", err)
	}
	r.restart()
	both := must[grid.Handover](t)(r.engine.SignHandover(ctx, made.ID, "", operator("op-b"), ""))
	if !both.Signed() || both.Outgoing.By.Name != "op-a" || both.Outgoing.Note != "quiet night" || both.Incoming.By.Name != "op-b" {
		t.Fatalf("signed: %+v %+v", both.Outgoing, both.Incoming)
	}
	for _, part := range []string{Outgoing, Incoming, ""} {
		if _, err := r.engine.SignHandover(ctx, made.ID, part, operator("op-c"), "later"); grid.CodeOf(err) != grid.Conflict {
			t.Fatalf("a third signs as %q: %v", part, err)
		}
	}
	stored := must[grid.Handover](t)(r.store.Handover(ctx, made.ID))
	if stored.Digest != made.Digest || len(stored.Sections) != 1 || stored.Sections[0].Lines[0].ID != "t1" {
		t.Fatalf("stored: %+v", stored)
	}
}

func TestWhoTakesATicketHasAllItsAlarmsAndThoseThatJoinIt(t *testing.T) {
	r := withDuty(t)
	r.detectors(3, "s", 0, 0)
	s := r.sit("desk-1", "op-a")
	r.smoke("sn:s0", 1, true)
	r.after(5 * time.Second)
	r.smoke("sn:s1", 1, true)
	must[grid.Alarm](t)(r.engine.Take(t.Context(), r.alarmAt("s0").ID, "desk-1", operator(""), false))
	r.after(5 * time.Second)
	r.smoke("sn:s2", 1, true)
	if tk := r.theTicket(); len(tk.Members) != 2 {
		t.Fatalf("members are %+v, want the other two", tk.Members)
	}
	for _, point := range []string{"s0", "s1", "s2"} {
		if a := r.alarmAt(point); a.Taken == nil || a.Taken.By != "op-a" || a.Untaken != nil {
			t.Errorf("alarm at %s: taken %+v, untaken %+v", point, a.Taken, a.Untaken)
		}
	}
	r.beats(2*time.Minute, s)
	r.wantCalls("seat:duty-lead")
	must[grid.Alarm](t)(r.engine.GiveBack(t.Context(), r.alarmAt("s2").ID, "desk-1", "", operator("op-a")))
	r.beats(31*time.Second, s)
	for _, point := range []string{"s0", "s1", "s2"} {
		r.wantUntaken(point, true, false)
	}
	r.onCall("lead-a")
	r.beats(31*time.Second, s)
	r.wantCalls("seat:duty-lead", "c-person-lead-a-duty_phone") // once for the ticket
}

func TestALiveAlarmIsForLiveSeatsAlone(t *testing.T) {
	calendars := must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))))
	text := strings.Replace(string(must[[]byte](t)(configs.FS.ReadFile("duty.yaml"))), "{id: desk-1,", "{id: desk-1, mode: simulated,", 1)
	rules := must[*duty.Rules](t)(duty.Parse("duty.yaml", []byte(text), calendars))
	r := newRig(t, func(c *Config) { c.Duty = rules })
	reg := placed(grid.Smoke, "p1", "sn:s1", r.now())
	reg.Points[0].Mode, reg.Devices[0].Mode = grid.Live, grid.Live
	r.put(reg)
	r.sit("desk-1", "trainee")
	a := r.burns("1")
	if a.Mode != grid.Live {
		t.Fatalf("alarm is %s, want it live", a.Mode)
	}
	r.wantUntaken("p1", false, true)
	if _, err := r.engine.Take(t.Context(), a.ID, "desk-1", operator(""), false); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "live seat") {
		t.Fatalf("a seat of practice takes a live alarm: %v", err)
	}
}

func TestASeatThatTheRulesHaveNoMoreHasNothing(t *testing.T) {
	r := withDuty(t)
	r.sit("desk-1", "op-a")
	a := r.burns("1")
	must[grid.Alarm](t)(r.engine.Take(t.Context(), a.ID, "desk-1", operator(""), false))
	r.close()
	calendars := must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))))
	text := strings.Replace(string(must[[]byte](t)(configs.FS.ReadFile("duty.yaml"))), "{id: desk-1,", "{id: desk-9,", 1)
	rules := must[*duty.Rules](t)(duty.Parse("duty.yaml", []byte(text), calendars))
	before := r.change
	r.change = func(c *Config) { before(c); c.Duty = rules }
	r.open()
	r.settle()
	if a := r.alarmAt("p1"); a.Taken != nil || a.Untaken == nil || a.Untaken.Lead.IsZero() {
		t.Fatalf("taken %+v, untaken %+v: want it untaken, and the lead called", a.Taken, a.Untaken)
	}
}
