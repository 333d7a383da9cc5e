package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

const crew = "u-maintenance"

// lowBatteries puts so many doors into each building and raises device.battery_low for all:
// tickets of P4 that the maintenance unit leads.
func (r *rig) lowBatteries(buildings ...string) {
	r.t.Helper()
	for i, building := range buildings {
		id := grid.Identity(fmt.Sprintf("eui:00000000000000%02x", i+1))
		reg := placed(grid.Door, fmt.Sprintf("d-%d", i+1), id, r.now())
		p := &reg.Points[0]
		reg.Devices[0].Interval = 90 * 24 * time.Hour
		p.Building, p.Compound, p.Lon, p.Lat, p.CRS = building, "c-1", 121.40+float64(len(building)+i)/1000, 31.2, "WGS84"
		r.put(reg)
		r.say(id, `{"door.open":false,"battery.low":true,"seq":1}`)
	}
	r.after(11 * time.Minute)
	if n := len(r.atWork()); n != len(buildings) {
		r.t.Fatalf("%d tickets are open, want %d", n, len(buildings))
	}
}

func (r *rig) atWork() []grid.Ticket {
	r.t.Helper()
	page := must[state.Page[grid.Ticket]](r.t)(r.store.ListTickets(r.t.Context(), state.Query{State: "open", Limit: 1000}))
	slices.Reverse(page.Items)
	return page.Items
}

func (r *rig) plan(ask grid.RoundAsk) grid.RoundPlan {
	r.t.Helper()
	ask.Unit = crew
	p := must[grid.RoundPlan](r.t)(r.engine.PlanRounds(r.t.Context(), ask, ""))
	r.settle()
	return p
}

func (r *rig) round(id string) grid.Round {
	r.t.Helper()
	return must[grid.Round](r.t)(r.store.Round(r.t.Context(), id))
}

// theRound plans one round of all there is.
func (r *rig) theRound(ask grid.RoundAsk) grid.Round {
	r.t.Helper()
	p := r.plan(ask)
	if len(p.Rounds) != 1 || len(p.Left) != 0 {
		r.t.Fatalf("planned %+v, want one round and nothing left", p)
	}
	return p.Rounds[0]
}

func walker() grid.Actor { return grid.Actor{Role: grid.RoleUnit, Name: "lin", Unit: crew} }

func desk() grid.Actor { return grid.Actor{Role: grid.RoleSupervisor, Name: "sv1"} }

func TestTicketsOfABuildingAreOneStopAndNoneIsInTwoRounds(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1", "b-2", "b-1", "b-3")
	round := r.theRound(grid.RoundAsk{Days: 1})
	if len(round.Stops) != 3 || round.Unit != crew || round.Day != "2026-03-03" || round.LengthM <= 0 {
		t.Fatalf("the round is %+v, want three buildings on the day after", round)
	}
	jobs := 0
	for _, s := range round.Stops {
		jobs += len(s.Jobs)
	}
	if jobs != 4 {
		t.Errorf("%d jobs, want 4", jobs)
	}
	if again := r.plan(grid.RoundAsk{Days: 5}); len(again.Rounds)+len(again.Joined) != 0 {
		t.Errorf("planned again: %+v, want nothing", again)
	}
	r.restart()
	if again := r.plan(grid.RoundAsk{Days: 5}); len(again.Rounds)+len(again.Joined) != 0 {
		t.Errorf("planned again after a restart: %+v, want nothing", again)
	}
	history := must[[]grid.MoveRecord](t)(r.store.Moves(t.Context(), r.atWork()[0].ID))
	if last := history[len(history)-1]; last.Verb != "round" || !strings.Contains(last.Detail, "2026-03-03") {
		t.Errorf("the ticket's history ends with %+v, want the day of its round", last)
	}
}

func TestNewWorkJoinsAVisitThatIsPlanned(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1")
	round := r.theRound(grid.RoundAsk{})
	reg := placed(grid.Door, "d-9", "eui:0000000000000099", r.now())
	reg.Points[0].Building, reg.Points[0].Compound = "b-1", "c-1"
	r.put(reg)
	r.say("eui:0000000000000099", `{"door.open":false,"battery.low":true,"seq":1}`)
	r.after(11 * time.Minute)
	p := r.plan(grid.RoundAsk{})
	if len(p.Rounds) != 0 || len(p.Joined) != 1 || p.Joined[0].Round != round.ID {
		t.Fatalf("planned %+v, want it to join round %s", p, round.ID)
	}
	if got := r.round(round.ID); len(got.Stops[0].Jobs) != 2 {
		t.Errorf("the stop has %d jobs, want 2", len(got.Stops[0].Jobs))
	}
}

func TestAStopThatIsDoneLeavesTheClosingToTheSensor(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1", "b-2")
	round := r.theRound(grid.RoundAsk{})
	r.after(24 * time.Hour)
	act := grid.RoundAct{Key: "k1", Round: round.ID, Stop: 1, By: walker(), At: r.now().Add(-time.Hour), Note: "new battery"}
	for range 2 {
		if _, err := r.engine.StopDone(t.Context(), act); err != nil {
			t.Fatal(err)
		}
	}
	r.settle()
	got := r.round(round.ID)
	if s := got.Stops[0]; s.State != grid.StopDone || !s.At.Equal(act.At) || s.By.Name != "lin" || got.State != grid.RoundUnderWay {
		t.Errorf("the stop is %+v of a round that is %s", s, got.State)
	}
	tk := must[grid.Ticket](t)(r.store.Ticket(t.Context(), got.Stops[0].Jobs[0].Ticket))
	if tk.State != grid.TicketChecking {
		t.Errorf("its ticket is %s, want it checked by the sensor's word", tk.State)
	}
	r.restart()
	if _, err := r.engine.StopDone(t.Context(), grid.RoundAct{Round: round.ID, Stop: 2, By: walker()}); err != nil {
		t.Fatal(err)
	}
	r.settle()
	if got = r.round(round.ID); got.State != grid.RoundDone || got.Ended.IsZero() {
		t.Errorf("with every stop done the round is %s", got.State)
	}
	r.say(tk.Device, `{"door.open":false,"battery.low":false,"battery.level":100,"seq":2}`)
	if tk = must[grid.Ticket](t)(r.store.Ticket(t.Context(), tk.ID)); tk.State != grid.TicketClosed {
		t.Errorf("after the sensor's good word the ticket is %s", tk.State)
	}
}

func TestAnotherUnitSaysNothingOfARound(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1")
	round := r.theRound(grid.RoundAsk{})
	foreign := grid.Actor{Role: grid.RoleUnit, Name: "x", Unit: "u-property"}
	for name, do := range map[string]func() error{
		"done": func() error {
			_, err := r.engine.StopDone(t.Context(), grid.RoundAct{Round: round.ID, Stop: 1, By: foreign})
			return err
		},
		"no entry": func() error {
			_, err := r.engine.NoEntry(t.Context(), grid.RoundAct{Round: round.ID, Stop: 1, By: foreign, Note: "x", Next: "2026-03-09"})
			return err
		},
		"cancel": func() error {
			_, err := r.engine.CancelRound(t.Context(), round.ID, "x", foreign, "")
			return err
		},
	} {
		if err := do(); grid.CodeOf(err) != grid.NotFound {
			t.Errorf("%s: %v, want that there is no such round", name, err)
		}
	}
	if got := r.round(round.ID); got.State != grid.RoundPlanned || got.Stops[0].State != grid.StopOpen {
		t.Errorf("the round is %s, its stop %s", got.State, got.Stops[0].State)
	}
}

func TestNoEntryStopsTheClockOnlyWhenTheDeskSaysSo(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1")
	round := r.theRound(grid.RoundAsk{})
	n := must[grid.NoEntry](t)(r.engine.NoEntry(t.Context(), grid.RoundAct{Round: round.ID, Stop: 1, By: walker(), Note: "nobody at home", Next: "2026-03-05"}))
	r.settle()
	tk := r.theTicket()
	if tk.State != grid.TicketInProgress || len(tk.Tasks) != 1 || tk.Tasks[0].Kind != grid.TaskDecide {
		t.Fatalf("the ticket is %s with tasks %+v: want the desk asked, and the clock running", tk.State, tk.Tasks)
	}
	if got := r.round(round.ID); got.State != grid.RoundDone || got.Stops[0].State != grid.StopNoEntry || got.Stops[0].NoEntry != n.ID {
		t.Errorf("the round is %s: %+v", got.State, got.Stops[0])
	}
	if p := r.plan(grid.RoundAsk{Days: 2}); len(p.Rounds) != 0 || len(p.Left) != 1 {
		t.Errorf("planned before its next date: %+v", p)
	}
	r.restart()
	for range 2 {
		n = must[grid.NoEntry](t)(r.engine.ApproveNoEntry(t.Context(), n.ID, desk(), ""))
	}
	r.settle()
	if tk = r.theTicket(); tk.State != grid.TicketSuspended || tk.Tasks[0].Done.IsZero() || n.Approved.IsZero() {
		t.Fatalf("approved, the ticket is %s, its task %+v", tk.State, tk.Tasks[0])
	}
	if p := r.plan(grid.RoundAsk{From: "2026-03-05"}); len(p.Rounds) != 1 {
		t.Errorf("on its next date it is not planned: %+v", p)
	}
	r.after(4 * 24 * time.Hour)
	if tk = r.theTicket(); tk.State != grid.TicketInProgress {
		t.Errorf("after the next date the ticket is %s, want it in progress again", tk.State)
	}
}

func TestTheThirdNoEntryIsTheTaskOfTheProperty(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1")
	for i := 1; i <= 3; i++ {
		round := r.theRound(grid.RoundAsk{})
		next := r.now().In(r.engine.zone()).AddDate(0, 0, 1).Format(grid.DayLayout)
		n := must[grid.NoEntry](t)(r.engine.NoEntry(t.Context(), grid.RoundAct{Round: round.ID, Stop: 1, By: walker(), Note: "locked", Next: next}))
		r.settle()
		if n.Times != i {
			t.Fatalf("time %d counts as %d", i, n.Times)
		}
		helps := slices.ContainsFunc(r.theTicket().Assignments, func(a grid.Assignment) bool { return a.Unit == "u-property" && !a.Lead })
		if helps != (i == 3) {
			t.Errorf("after time %d the property has a part: %v", i, helps)
		}
		r.after(25 * time.Hour)
		r.restart()
	}
}

func TestAPhotoOfNoEntryIsEvidenceOfEachTicketOfTheStop(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1", "b-1", "b-2")
	round := r.theRound(grid.RoundAsk{})
	i := slices.IndexFunc(round.Stops, func(s grid.Stop) bool { return s.Building == "b-1" })
	photo := must[grid.EvidenceFile](t)(r.engine.AddFile(t.Context(), grid.EvidenceFile{Ticket: round.Stops[i].Jobs[0].Ticket, SHA256: strings.Repeat("ab", 32), Bytes: 9, Type: "image/jpeg", By: walker()}))
	other := round.Stops[1-min(i, 1)]
	if i == 2 {
		other = round.Stops[0]
	}
	if _, err := r.engine.NoEntry(t.Context(), grid.RoundAct{Round: round.ID, Stop: other.N, By: walker(), Note: "locked", Next: "2026-03-09", Photo: photo.ID}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("the photo of another building is taken: %v", err)
	}
	must[grid.NoEntry](t)(r.engine.NoEntry(t.Context(), grid.RoundAct{Round: round.ID, Stop: round.Stops[i].N, By: walker(), Note: "locked", Next: "2026-03-09", Photo: photo.ID}))
	r.settle()
	for _, j := range round.Stops[i].Jobs {
		if files := must[[]grid.EvidenceFile](t)(r.store.Files(t.Context(), j.Ticket)); len(files) != 1 || files[0].SHA256 != photo.SHA256 {
			t.Errorf("ticket %s has %d files", j.Ticket, len(files))
		}
	}
}

func TestADayThatIsOverGivesItsWorkBackAndALateWordStillCounts(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1", "b-2")
	round := r.theRound(grid.RoundAsk{})
	r.after(3 * 24 * time.Hour)
	if got := r.round(round.ID); got.State != grid.RoundOver || got.Stops[0].State != grid.StopOpen {
		t.Fatalf("after its day the round is %s, stop 1 %s", got.State, got.Stops[0].State)
	}
	if p := r.plan(grid.RoundAsk{DryRun: true}); len(p.Rounds) != 1 || len(p.Rounds[0].Stops) != 2 {
		t.Errorf("planned again: %+v, want both stops", p)
	}
	if _, err := r.engine.StopDone(t.Context(), grid.RoundAct{Round: round.ID, Stop: 1, By: walker(), At: round.Until.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	r.settle()
	got := r.round(round.ID)
	tk := must[grid.Ticket](t)(r.store.Ticket(t.Context(), got.Stops[0].Jobs[0].Ticket))
	if got.Stops[0].State != grid.StopDone || tk.State != grid.TicketChecking {
		t.Errorf("the late word leaves the stop %s and the ticket %s", got.Stops[0].State, tk.State)
	}
	if len(r.engine.rounds.all) != 0 {
		t.Errorf("%d rounds stay in memory", len(r.engine.rounds.all))
	}
}

func TestACancelledRoundGivesItsWorkBack(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1")
	round := r.theRound(grid.RoundAsk{})
	if _, err := r.engine.CancelRound(t.Context(), round.ID, "", desk(), ""); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("without a reason: %v", err)
	}
	must[grid.Round](t)(r.engine.CancelRound(t.Context(), round.ID, "storm", desk(), ""))
	r.settle()
	if _, err := r.engine.StopDone(t.Context(), grid.RoundAct{Round: round.ID, Stop: 1, By: walker()}); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("a stop of a cancelled round is done: %v", err)
	}
	if p := r.plan(grid.RoundAsk{}); len(p.Rounds) != 1 {
		t.Errorf("planned %+v, want the work of the cancelled round", p)
	}
}

func TestWhatIsMoreThanP4WaitsForNoRound(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "d-1", doorDev)
	r.say(doorDev, `{"door.open":false,"tamper":true,"seq":1}`)
	r.after(10 * time.Second)
	if tk := r.theTicket(); tk.Priority != 3 {
		t.Fatalf("the ticket is %s", tk.Priority)
	}
	if p := r.plan(grid.RoundAsk{Days: 9}); len(p.Rounds) != 0 || len(p.Left) != 0 {
		t.Errorf("planned %+v, want nothing", p)
	}
}

func TestWhatIsRaisedLeavesItsRoundAtOnce(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1", "b-2")
	round := r.theRound(grid.RoundAsk{})
	id := round.Stops[0].Jobs[0].Ticket
	must[any](t)(r.engine.do(t.Context(), &command{name: "raise", do: func(b *batch) (any, error) {
		e := b.e
		plan, err := e.Plans.For(e.tickets[id].Type)
		if err != nil {
			return nil, err
		}
		row := b.changeTicket(id)
		b.ticketChanged(row, ticket.Raise(row, plan, 3, "it is worse", b.now, e.context(row)))
		return nil, nil
	}}))
	r.settle()
	for range 2 {
		got := r.round(round.ID)
		if j := got.Stops[0].Jobs[0]; j.State != grid.JobLeft || !strings.Contains(j.Why, "waits for no round") || got.Stops[0].State != grid.StopDropped || got.Stops[1].State != grid.StopOpen {
			t.Errorf("its job is %+v of a stop that is %s, the other stop %s", j, got.Stops[0].State, got.Stops[1].State)
		}
		r.restart()
	}
}

func TestWhatIsResolvedByItselfIsDoneInItsRound(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1")
	round := r.theRound(grid.RoundAsk{})
	id := r.theTicket().ID
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		must[grid.Ticket](t)(r.move(grid.Move{Ticket: id, Verb: v, By: byUnit(crew)}))
	}
	if got := r.round(round.ID); got.State != grid.RoundDone || got.Stops[0].Jobs[0].State != grid.JobDone {
		t.Errorf("the round is %s: %+v", got.State, got.Stops[0])
	}
}

func TestWorkThatIsPlannedAfterItsTimeIsTold(t *testing.T) {
	r := newRig(t)
	r.units()
	r.lowBatteries("b-1")
	p := r.plan(grid.RoundAsk{From: "2026-04-20"})
	if len(p.Rounds) != 1 || len(p.Late) != 1 || !p.Rounds[0].Stops[0].Jobs[0].Late {
		t.Fatalf("planned %+v, want it told that it is late", p)
	}
	history := must[[]grid.MoveRecord](t)(r.store.Moves(t.Context(), r.theTicket().ID))
	if last := history[len(history)-1]; !strings.Contains(last.Detail, "after its time") {
		t.Errorf("the history ends with %+v", last)
	}
}
