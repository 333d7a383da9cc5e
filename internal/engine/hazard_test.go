package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
	"gridgate/internal/hazard"
	"gridgate/internal/state"
)

// newHazardRig is a rig with the built-in kinds of hazard.
func newHazardRig(t *testing.T, change ...func(*Config)) *rig {
	r := newRig(t, append([]func(*Config){withHazards(t)}, change...)...)
	r.units()
	return r
}

func withHazards(t *testing.T) func(*Config) {
	calendars := must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))))
	kinds := must[*hazard.Kinds](t)(hazard.Parse("hazards.yaml", must[[]byte](t)(configs.FS.ReadFile("hazards.yaml")), calendars, nil))
	return func(c *Config) { c.Hazards = kinds }
}

var (
	chief1   = grid.Actor{Role: grid.RoleSupervisor, Name: "sv1"}
	safeExit = []grid.HazardAnswer{{Question: "free", Answer: "yes"}, {Question: "locked", Answer: "no"}, {Question: "lights", Answer: "yes"}}
)

func found(kind, number string) grid.HazardFiling {
	f := grid.HazardFiling{Filing: report("", number), Kind: kind}
	f.Source, f.Text = grid.FromPatrol, "杂物堵住出口"
	return f
}

func (r *rig) fileHazard(f grid.HazardFiling) grid.HazardFiled {
	r.t.Helper()
	out, err := r.engine.FileHazard(r.t.Context(), f)
	if err != nil {
		r.t.Fatal(err)
	}
	r.settle()
	return out
}

func (r *rig) hazards(q state.Query) []grid.Hazard {
	r.t.Helper()
	page := must[state.Page[grid.Hazard]](r.t)(r.store.ListHazards(r.t.Context(), q))
	slices.Reverse(page.Items)
	return page.Items
}

func (r *rig) theHazard() grid.Hazard {
	r.t.Helper()
	all := r.hazards(state.Query{})
	if len(all) != 1 {
		r.t.Fatalf("there are %d hazards, want one: %+v", len(all), all)
	}
	return all[0]
}

func (r *rig) moveHazard(id string, v grid.HazardVerb, by grid.Actor, with ...func(*grid.HazardMove)) grid.Hazard {
	r.t.Helper()
	h, err := r.tryHazard(id, v, by, with...)
	if err != nil {
		r.t.Fatalf("%s: %v", v, err)
	}
	return h
}

func (r *rig) tryHazard(id string, v grid.HazardVerb, by grid.Actor, with ...func(*grid.HazardMove)) (grid.Hazard, error) {
	r.t.Helper()
	m := grid.HazardMove{Hazard: id, Verb: v, By: by, Person: "lin", Reason: "done"}
	for _, f := range with {
		f(&m)
	}
	h, err := r.engine.MoveHazard(r.t.Context(), m)
	r.settle()
	return h, err
}

func passing(m *grid.HazardMove) { m.Answers = safeExit }

func (r *rig) told(unit, ticket string) (types []string) {
	r.t.Helper()
	page := must[state.Page[grid.Delivery]](r.t)(r.store.ListDeliveries(r.t.Context(), state.Query{Ticket: ticket, Unit: unit, Limit: 100}))
	for _, d := range page.Items {
		types = append(types, d.Type)
	}
	slices.Reverse(types)
	return types
}

func TestAHazardIsFoundRectifiedRecheckedAndClosed(t *testing.T) {
	r := newHazardRig(t)
	f := found("exit_blocked", "p-1")
	f.Answers = []grid.HazardAnswer{{Question: "free", Answer: "no"}}
	out := r.fileHazard(f)
	h := r.theHazard()
	if out.Hazard.ID != h.ID || h.State != grid.HazardNotified || h.Unit != "u-property" || h.Level != "major" || h.Source != grid.FromPatrol || h.Answers[0].By != desk1 {
		t.Fatalf("hazard is %+v: want it notified to the property, with its answers", h)
	}
	// Found on Monday at 16:00; one work day on is Tuesday at 16:00.
	if want := rigStart.Add(24 * time.Hour); !h.Deadline.Equal(want) {
		t.Errorf("deadline is %s, want %s", h.Deadline, want)
	}
	tk := r.theTicket()
	if tk.Type != "hazard.exit_blocked" || tk.Priority != 2 || tk.ID != h.Ticket || !strings.Contains(tk.Title, "Exit or way out blocked") {
		t.Errorf("its ticket is %+v", tk)
	}
	r.restart()
	r.moveHazard(h.ID, grid.HazardStart, byUnit("u-property"))
	r.restart()
	if got := r.moveHazard(h.ID, grid.HazardRectify, byUnit("u-property")); got.State != grid.HazardRectified {
		t.Fatalf("hazard is %s, want rectified", got.State)
	}
	r.after(time.Hour)
	if tk := r.theTicket(); tk.State != grid.TicketChecking {
		t.Fatalf("its ticket is %s by the word of the unit alone", tk.State)
	}
	r.moveHazard(h.ID, grid.HazardRecheck, desk1)
	r.restart()
	if got := r.theHazard(); got.State != grid.HazardRechecking || got.Checker != "lin" {
		t.Fatalf("hazard is %s by %q, want rechecking by lin", got.State, got.Checker)
	}
	r.moveHazard(h.ID, grid.HazardPass, desk1, passing)
	h, tk = r.theHazard(), r.theTicket()
	if h.State != grid.HazardClosed || h.Outcome != "rectified" || h.Ended.IsZero() || !h.Passed() || h.Rechecks[0].Person != "lin" {
		t.Errorf("hazard is %+v: want it closed as rectified, with who looked", h)
	}
	if tk.State != grid.TicketClosed || tk.Confirmed != "lin" {
		t.Errorf("its ticket is %s, confirmed by %q", tk.State, tk.Confirmed)
	}
	if got := strings.Join(r.told("u-property", tk.ID), " "); got != "ticket.opened ticket.closed" {
		t.Errorf("the property was told %s", got)
	}
	if ep := r.alarms(state.Query{})[0]; ep.Active {
		t.Error("its episode is active after the end")
	}
	if len(r.engine.hazards)+len(r.engine.hazardOf) != 0 {
		t.Errorf("%d hazards are in memory after the end", len(r.engine.hazards))
	}
}

func TestAUnitCannotCloseItsOwnHazard(t *testing.T) {
	r := newHazardRig(t)
	h := r.fileHazard(found("exit_blocked", "p-1")).Hazard
	r.finish(h.Ticket, "u-property") // by its own system, with a photo from site
	r.after(time.Hour)
	if _, err := r.move(grid.Move{Ticket: h.Ticket, Verb: grid.VerbConfirm, By: byUnit("u-property"), OnSite: true, Evidence: "another photo"}); err != nil {
		t.Fatal(err)
	}
	if got := r.theHazard(); got.State != grid.HazardRectified {
		t.Errorf("hazard is %s by the unit's own word, want rectified and no more", got.State)
	}
	if _, err := r.tryHazard(h.ID, grid.HazardPass, byUnit("u-property"), passing); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("the unit passes its own work: %v", err)
	}
	r.moveHazard(h.ID, grid.HazardPass, desk1, passing)
	if tk := r.theTicket(); tk.State != grid.TicketClosed {
		t.Errorf("its ticket is %s, want closed", tk.State)
	}
}

func TestAFailedRecheckIsWorkAgainWithANewDeadline(t *testing.T) {
	r := newHazardRig(t)
	h := r.fileHazard(found("exit_blocked", "p-1")).Hazard
	r.moveHazard(h.ID, grid.HazardRectify, byUnit("u-property"))
	r.after(20 * time.Hour)
	r.moveHazard(h.ID, grid.HazardFail, desk1, func(m *grid.HazardMove) { m.Reason = "still locked" })
	h = r.theHazard()
	if h.State != grid.HazardNotified || h.Passed() || len(h.Rechecks) != 1 || !h.Deadline.After(r.now().Add(20*time.Hour)) {
		t.Errorf("hazard is %s, deadline %s, re-checks %+v", h.State, h.Deadline, h.Rechecks)
	}
	tk := r.theTicket()
	if tk.Rework != 1 || tk.State != grid.TicketDispatched || !slices.Contains(r.told("u-property", tk.ID), "ticket.rework") {
		t.Errorf("its ticket is %s with %d reworks, the property was told %v", tk.State, tk.Rework, r.told("u-property", tk.ID))
	}
	for _, c := range tk.Clocks {
		if c.Name == "handle" && (!c.Due.Equal(h.Deadline) || c.Warned != 0) {
			t.Errorf("handle clock is %+v, want due at the new deadline %s", c, h.Deadline)
		}
	}
	for _, m := range must[[]grid.MoveRecord](t)(r.store.Moves(t.Context(), tk.ID)) {
		if m.Verb == "rework" && m.By != desk1 {
			t.Errorf("rework is by %+v, want who looked", m.By)
		}
	}
	r.moveHazard(h.ID, grid.HazardRectify, byUnit("u-property"))
	r.moveHazard(h.ID, grid.HazardPass, desk1, passing)
	if got := r.theHazard(); got.State != grid.HazardClosed || len(got.Rechecks) != 2 {
		t.Errorf("hazard is %s with %d re-checks", got.State, len(got.Rechecks))
	}
}

// warned are the steps that the handle clock has told, as the history has them.
func (r *rig) warned(ticket string) (steps []string) {
	r.t.Helper()
	for _, m := range must[[]grid.MoveRecord](r.t)(r.store.Moves(r.t.Context(), ticket)) {
		if m.Verb == "warn" && strings.HasPrefix(m.Detail, "handle") {
			steps = append(steps, strings.Fields(m.Detail)[1])
		}
	}
	return steps
}

func TestADeadlineInWorkDaysWarnsAtHalfMostAndAllOfIt(t *testing.T) {
	r := newHazardRig(t)
	h := r.fileHazard(found("fire_door", "p-1")).Hazard // five work days: Monday 16:00 to Monday 16:00
	if want := rigStart.Add(7 * 24 * time.Hour); !h.Deadline.Equal(want) {
		t.Fatalf("deadline is %s, want %s", h.Deadline, want)
	}
	r.after(2 * 24 * time.Hour)
	if got := r.warned(h.Ticket); len(got) != 0 {
		t.Errorf("after two of five days %v", got)
	}
	r.after(24 * time.Hour)
	if got := r.warned(h.Ticket); !slices.Equal(got, []string{"50"}) {
		t.Errorf("after three of five days %v, want 50", got)
	}
	r.close()
	r.clock.Add(int64(25 * time.Hour)) // Friday after 16:00, while the gateway is down
	r.open()
	r.settle()
	if got := r.warned(h.Ticket); !slices.Equal(got, []string{"50", "80"}) {
		t.Errorf("right after a restart %v, want 50 and 80", got)
	}
	if got := r.theHazard(); got.Overdue {
		t.Error("overdue before its deadline")
	}
	r.after(2 * 24 * time.Hour) // Sunday: no time has passed
	if got := r.warned(h.Ticket); len(got) != 2 {
		t.Errorf("over the weekend %v", got)
	}
	r.close()
	r.clock.Add(int64(48 * time.Hour))
	r.open()
	r.settle()
	if got := r.warned(h.Ticket); !slices.Equal(got, []string{"50", "80", "100"}) {
		t.Errorf("past the deadline right after a restart %v", got)
	}
	if got := r.hazards(state.Query{State: "overdue"}); len(got) != 1 || !r.theTicket().SentDistrict {
		t.Errorf("overdue are %+v: want the one, and the district told", got)
	}
	r.moveHazard(h.ID, grid.HazardRectify, byUnit("u-property"))
	if got := r.theHazard(); got.Overdue {
		t.Error("overdue after it was rectified")
	}
}

func TestAnExtensionMovesTheClockAndTellsTheUnit(t *testing.T) {
	r := newHazardRig(t)
	h := r.fileHazard(found("fire_door", "p-1")).Hazard
	r.after(3 * 24 * time.Hour)
	to := h.Deadline.Add(5 * 24 * time.Hour)
	until := func(m *grid.HazardMove) { m.Until, m.Reason, m.Key = to, "closer is ordered", "k1" }
	r.moveHazard(h.ID, grid.HazardExtend, chief1, until)
	r.moveHazard(h.ID, grid.HazardExtend, chief1, until) // the same key
	h = r.theHazard()
	if !h.Deadline.Equal(to) || len(h.Extensions) != 1 || h.Extensions[0].Reason != "closer is ordered" {
		t.Fatalf("deadline is %s with %+v", h.Deadline, h.Extensions)
	}
	r.restart()
	if got := r.told("u-property", h.Ticket); got[len(got)-1] != "ticket.updated" {
		t.Errorf("the property was told %v, want of the extension", got)
	}
	if due := r.theTicket().Due; !due.After(to) {
		t.Errorf("the whole is due %s, want after the new deadline %s", due, to)
	}
	before := len(r.warned(h.Ticket))
	r.after(4*24*time.Hour + time.Hour) // past the old deadline
	if got := r.warned(h.Ticket)[before:]; !slices.Equal(got, []string{"50"}) {
		t.Errorf("warned %v of the new time, want at half of it, again", got)
	}
	if got := r.theHazard(); got.Overdue || r.theTicket().Overdue {
		t.Errorf("overdue by the old deadline")
	}
	if got := r.warned(h.Ticket)[before:]; slices.Contains(got, "100") {
		t.Errorf("warned %v by the old deadline", got)
	}
	r.after(5 * 24 * time.Hour)
	if got := r.theHazard(); !got.Overdue {
		t.Error("not overdue past the new deadline")
	}
	if _, err := r.tryHazard(h.ID, grid.HazardExtend, desk1, func(m *grid.HazardMove) { m.Until = to.Add(99 * time.Hour) }); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("an operator extends: %v", err)
	}
}

func TestAHazardWithoutAUnitIsFoundUntilSomebodyIsNamed(t *testing.T) {
	r := newRig(t, withHazards(t))
	h := r.fileHazard(found("exit_blocked", "p-1")).Hazard
	if h.State != grid.HazardFound || h.Unit != "" {
		t.Fatalf("hazard is %s by %q, want found by nobody", h.State, h.Unit)
	}
	r.units()
	r.after(6 * time.Hour)
	got := r.moveHazard(h.ID, grid.HazardNotify, desk1, func(m *grid.HazardMove) { m.Unit = "u-property" })
	if got.State != grid.HazardNotified || got.Unit != "u-property" || !got.Deadline.Equal(h.Deadline) {
		t.Errorf("hazard is %s by %q until %s: want notified, the deadline still %s", got.State, got.Unit, got.Deadline, h.Deadline)
	}
	for _, c := range r.theTicket().Clocks {
		if c.Name == "handle" && !c.Due.Equal(h.Deadline) {
			t.Errorf("the unit's clock ends %s, want the hazard's deadline %s", c.Due, h.Deadline)
		}
	}
	r.after(h.Deadline.Sub(r.now()))
	if got := r.theHazard(); !got.Overdue {
		t.Error("it is not overdue at its deadline")
	}
}

func TestTheSameHazardWithinAMonthIsARepetition(t *testing.T) {
	r := newHazardRig(t)
	r.place(grid.Door, "D1", "sn:D1")
	file := func(kind, n string) grid.Hazard {
		f := found(kind, n)
		f.Point = "D1"
		return r.fileHazard(f).Hazard
	}
	first := file("exit_blocked", "p-1")
	r.moveHazard(first.ID, grid.HazardRectify, byUnit("u-property"))
	r.moveHazard(first.ID, grid.HazardPass, desk1, passing)
	r.after(29 * 24 * time.Hour)
	if h := file("fire_door", "p-2"); h.RepeatOf != "" {
		t.Errorf("another kind is a repetition of %s", h.RepeatOf)
	}
	second := file("exit_blocked", "p-3")
	if second.RepeatOf != first.ID {
		t.Errorf("after 29 days it is a repetition of %q, want %s", second.RepeatOf, first.ID)
	}
	r.after(31 * 24 * time.Hour)
	if h := file("exit_blocked", "p-4"); h.RepeatOf != "" {
		t.Errorf("after 31 days it is a repetition of %s", h.RepeatOf)
	}
}

// openDoor lets the fire door of a point be held open once, for longer than its rule waits.
func (r *rig) openDoor(id grid.Identity, seq *int) {
	r.t.Helper()
	for _, open := range []bool{true, false} {
		*seq++
		r.say(id, fmt.Sprintf(`{"door.open":%v,"seq":%d}`, open, *seq))
		r.after(11 * time.Minute)
	}
	r.after(5 * time.Hour) // past the re-alarm window: the next is an episode of its own
}

func TestAFireDoorOpenThreeTimesAWeekIsAHazardOnce(t *testing.T) {
	r := newHazardRig(t)
	reg := placed(grid.Door, "D1", "sn:D1", r.now())
	reg.Points[0].Rules = "fire_door"
	r.put(reg)
	seq := 0
	r.openDoor("sn:D1", &seq)
	r.openDoor("sn:D1", &seq)
	if n := len(r.hazards(state.Query{})); n != 0 {
		t.Fatalf("%d hazards after two times", n)
	}
	r.restart()
	r.openDoor("sn:D1", &seq)
	h := r.theHazard()
	if h.Kind != "fire_door" || h.Point != "D1" || h.Source != grid.FromSensor || len(h.Episodes) != 3 || h.State != grid.HazardNotified || h.Mode != grid.Simulated {
		t.Fatalf("hazard is %+v: want a fire door's, of three episodes", h)
	}
	r.restart()
	r.openDoor("sn:D1", &seq) // a fourth time, while it is open
	if h := r.theHazard(); len(h.Episodes) != 3 {
		t.Errorf("episodes are %v", h.Episodes)
	}
	r.moveHazard(h.ID, grid.HazardRectify, byUnit("u-property"))
	r.moveHazard(h.ID, grid.HazardPass, desk1, func(m *grid.HazardMove) {
		m.Answers = []grid.HazardAnswer{{Question: "closes", Answer: "yes"}, {Question: "propped", Answer: "no"}, {Question: "intact", Answer: "yes"}}
	})
	r.openDoor("sn:D1", &seq)
	r.openDoor("sn:D1", &seq)
	if n := len(r.hazards(state.Query{})); n != 1 {
		t.Errorf("%d hazards two times after the end, want to count anew", n)
	}
	r.openDoor("sn:D1", &seq)
	if all := r.hazards(state.Query{}); len(all) != 2 || all[1].RepeatOf != h.ID {
		t.Errorf("three times after the end: %+v, want a second one that repeats the first", all)
	}
}

func TestTheSameTimesOverLongerThanTheWindowAreNoHazard(t *testing.T) {
	r := newHazardRig(t)
	reg := placed(grid.Door, "D1", "sn:D1", r.now())
	reg.Points[0].Rules = "fire_door"
	reg.Devices[0].Interval = 30 * 24 * time.Hour
	r.put(reg)
	seq := 0
	for range 3 {
		r.openDoor("sn:D1", &seq)
		r.after(4 * 24 * time.Hour)
	}
	if n := len(r.hazards(state.Query{})); n != 0 {
		t.Errorf("%d hazards of three times in ten days", n)
	}
}

func TestTheSameNumberIsOneHazard(t *testing.T) {
	r := newHazardRig(t)
	first := r.fileHazard(found("other", "p-1")).Hazard
	r.restart()
	again := r.fileHazard(found("other", "p-1"))
	if !again.Repeated || again.Hazard.ID != first.ID {
		t.Errorf("the same again is %+v", again)
	}
	near := r.fileHazard(found("other", "p-2"))
	if len(near.Duplicates) != 1 || near.Duplicates[0].Ticket != first.Ticket || len(r.hazards(state.Query{})) != 2 {
		t.Errorf("in the same cell %+v are offered, want the first, and two hazards", near.Duplicates)
	}
}

func TestHazardsAreRefusedWithoutATrace(t *testing.T) {
	r := newHazardRig(t)
	h := r.fileHazard(found("other", "p-1")).Hazard
	for want, change := range map[string]func(*grid.HazardFiling){
		`kind is "leak": want one of`:       func(f *grid.HazardFiling) { f.Kind = "leak" },
		`question is "colour"`:              func(f *grid.HazardFiling) { f.Answers = []grid.HazardAnswer{{Question: "colour", Answer: "yes"}} },
		`priority is P1: want P3 to P4`:     func(f *grid.HazardFiling) { f.Priority = 1 },
		`source is "sensor": want hotline,`: func(f *grid.HazardFiling) { f.Source = grid.FromSensor },
	} {
		f := found("other", "p-2")
		change(&f)
		if _, err := r.engine.FileHazard(t.Context(), f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := r.engine.FileEvent(t.Context(), report("hazard.other", "p-3")); err == nil || !strings.Contains(err.Error(), "want it filed as a hazard") {
		t.Errorf("filed as an event: %v", err)
	}
	if _, err := r.tryHazard(h.ID, grid.HazardStart, byUnit("u-utility")); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("a unit without a part: %v, want not found", err)
	}
	if _, err := r.tryHazard(h.ID, grid.HazardPhoto, desk1, func(m *grid.HazardMove) { m.After = []string{"F1"} }); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("a photo that is not there: %v", err)
	}
	if _, err := r.tryHazard("H0", grid.HazardStart, desk1); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("a hazard that is not there: %v", err)
	}
	if got := r.theHazard(); got.State != grid.HazardNotified || len(got.After) != 0 {
		t.Errorf("what was refused left %+v", got)
	}
}

func TestADismissedHazardEndsItsTicket(t *testing.T) {
	r := newHazardRig(t)
	h := r.fileHazard(found("other", "p-1")).Hazard
	r.moveHazard(h.ID, grid.HazardDismiss, chief1, func(m *grid.HazardMove) { m.Reason = "a film set" })
	if h, tk := r.theHazard(), r.theTicket(); h.State != grid.HazardClosed || h.Outcome != "dismissed" || tk.State != grid.TicketCancelled {
		t.Errorf("hazard is %s %s, ticket %s", h.State, h.Outcome, tk.State)
	}
	if _, err := r.tryHazard(h.ID, grid.HazardFail, desk1); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("a late word on it: %v, want a conflict", err)
	}
}
