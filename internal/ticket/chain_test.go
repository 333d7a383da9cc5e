package ticket

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// calling is a story with people.
func calling(t *testing.T, text string, f folk) *story {
	t.Helper()
	s := &story{t: t, p: builtIn(t, grid.EventSmokeAlarm)}
	s.c = Context{Units: append(slices.Clone(units), grid.Unit{ID: "call-voice", Kind: grid.Operator, Scope: grid.Scope{District: "999999"}}, grid.Unit{ID: "call-sim", Mode: grid.Simulated}),
		Active: true, Routing: Routing{Routes: routesOf(t, text), People: f, Building: "b1"}}
	tk, r := Open(Opening{ID: "T1", Type: grid.EventSmokeAlarm, Priority: 1, Scope: street, Point: "p1", Alarm: "a1", At: t0, Routing: s.c.Routing}, s.p, s.c.Units)
	s.tk = tk
	s.sent(r)
	return s
}

// sent takes a result, and gives each call that goes out the id of a delivery, as the
// engine does.
func (s *story) sent(r Result) {
	for _, c := range r.Calls {
		s.tk.Chains[c.Chain].Calls[c.Call].Delivery = fmt.Sprintf("D%d-%d", c.Chain, c.Call)
	}
	s.took(r)
	s.restart()
}

// restart reads the ticket back as the state would: nothing of a chain is anywhere else.
func (s *story) restart() {
	s.t.Helper()
	b, err := json.Marshal(s.tk)
	if err != nil {
		s.t.Fatal(err)
	}
	var again grid.Ticket
	if err := json.Unmarshal(b, &again); err != nil {
		s.t.Fatal(err)
	}
	s.tk = again
}

func (s *story) ticks(when time.Time) {
	r, _ := Tick(&s.tk, s.p, when, s.c)
	s.sent(r)
}

func (s *story) chain(of string) *grid.CallChain {
	s.t.Helper()
	for i := range s.tk.Chains {
		if s.tk.Chains[i].Of == of {
			return &s.tk.Chains[i]
		}
	}
	s.t.Fatalf("no chain of %s: %+v", of, s.tk.Chains)
	return nil
}

func (s *story) wantCalled(of string, want ...string) {
	s.t.Helper()
	var got []string
	for _, c := range s.chain(of).Calls {
		got = append(got, c.Contact)
	}
	if !slices.Equal(got, want) {
		s.t.Fatalf("of %s %v were called, want %v", of, got, want)
	}
}

func (s *story) lines(verb string) (out []string) {
	for _, m := range s.all {
		if m.Verb == verb {
			out = append(out, m.Detail)
		}
	}
	return out
}

func number(id string, role grid.ContactRole) grid.Contact {
	return grid.Contact{ID: id, Role: role, Channel: grid.Voice, Sealed: []byte{1}, Of: "unit:micro"}
}

const (
	byVoice = "chains: {wait: 30s, priorities: [1], call: [unit, point, building], channels: {voice: [call-sim, call-voice]}, lead: 'seat:lead'}\n"
	byDesk  = "chains: {wait: 30s, priorities: [1], call: [unit, point], lead: 'seat:lead'}\n"
)

// crew is a station with two contacts, and a duty lead.
func crew() folk {
	return folk{
		onDuty: map[string][]string{"seat:lead": {"lead-01"}},
		contacts: map[string][]grid.Contact{
			"unit:micro":     {number("c1", grid.DutyPhone), number("c2", grid.DutyPhone)},
			"person:lead-01": {number("lead", grid.DutyPhone)},
		},
	}
}

func TestNobodyAnswersAndTheCallsGoToTheDutyLeadAndThenToTheDesk(t *testing.T) {
	s := calling(t, byVoice, crew())
	s.wantCalled("unit:micro", "c1")
	if next := wake(&s.tk, s.c); next.After(at(30 * sec)) {
		t.Fatalf("wakes at %v, want the next call at the latest", next)
	}
	s.ticks(at(29 * sec))
	s.wantCalled("unit:micro", "c1")
	s.ticks(at(30 * sec))
	s.ticks(at(30 * sec)) // twice at the same time calls once
	s.wantCalled("unit:micro", "c1", "c2")
	s.ticks(at(60 * sec))
	s.wantCalled("unit:micro", "c1", "c2", "lead")
	s.ticks(at(90 * sec))
	c := s.chain("unit:micro")
	if c.Why != endNobody || !c.Due.IsZero() {
		t.Fatalf("chain is %+v, want it ended with nobody", c)
	}
	if !slices.ContainsFunc(s.tk.Tasks, func(k grid.Task) bool {
		return k.Kind == grid.TaskDecide && strings.Contains(k.Text, "nobody answered, 3 were called") && k.Done.IsZero()
	}) {
		t.Fatalf("tasks are %+v, want one to decide whom to send", s.tk.Tasks)
	}
	s.ticks(at(10 * minute))
	s.wantCalled("unit:micro", "c1", "c2", "lead")
	if got := s.lines(verbPerson); len(got) != 3 || !strings.Contains(got[1], "duty_phone of unit:micro by voice (contact c2), call 2") {
		t.Fatalf("history of calls is %q", got)
	}
}

func TestAfterALongStopOneCallIsMadeNotAllThatWereMissed(t *testing.T) {
	s := calling(t, byVoice, crew())
	s.ticks(at(10 * minute))
	s.wantCalled("unit:micro", "c1", "c2")
	if due := s.chain("unit:micro").Due; !due.Equal(at(10*minute + 30*sec)) {
		t.Fatalf("next is due at %v", due)
	}
}

func TestTheSecondContactAnswersAndTheClocksGoOn(t *testing.T) {
	s := calling(t, byVoice, crew())
	s.ticks(at(30 * sec))
	second := s.chain("unit:micro").Calls[1].Delivery
	s.sent(Seen(&s.tk, s.p, &grid.Delivery{ID: second}, at(40*sec), s.c))
	if c := s.chain("unit:micro"); c.Why != endAnswered || c.By != "contact c2" {
		t.Fatalf("chain is %+v, want it answered by c2", c)
	}
	s.sent(Seen(&s.tk, s.p, &grid.Delivery{ID: second}, at(41*sec), s.c))
	if s.last.Changed {
		t.Fatal("the same answer again changes the ticket")
	}
	s.ticks(at(61 * sec))
	s.wantCalled("unit:micro", "c1", "c2")
	s.wantState(grid.TicketDispatched)
	if cl := findClock(&s.tk, ClockAccept); cl == nil || !cl.Stopped.IsZero() || !cl.Fired {
		t.Fatalf("clock of acceptance is %+v, want it to have run on and out", cl)
	}
}

func TestALateAnswerToTheFirstCallEndsTheCallsToo(t *testing.T) {
	s := calling(t, byVoice, crew())
	s.ticks(at(30 * sec))
	s.sent(Seen(&s.tk, s.p, &grid.Delivery{ID: s.chain("unit:micro").Calls[0].Delivery}, at(35*sec), s.c))
	if c := s.chain("unit:micro"); c.By != "contact c1" || c.Why != endAnswered {
		t.Fatalf("chain is %+v", c)
	}
}

func TestTheUnitAcceptsInTheMiddleAndNobodyElseIsCalled(t *testing.T) {
	s := calling(t, byVoice, crew())
	s.move(unitActor("micro"), grid.VerbAccept, at(10*sec))
	if c := s.chain("unit:micro"); c.Why != endAccepted || c.By != "micro" {
		t.Fatalf("chain is %+v, want it ended by the acceptance", c)
	}
	s.ticks(at(5 * minute))
	s.wantCalled("unit:micro", "c1")
	if cl := findClock(&s.tk, ClockArrive); cl == nil || !cl.Fired {
		t.Fatalf("clock of arrival is %+v, want it to have run out", cl)
	}
}

func TestAMessageThatAPersonOfTheUnitHasSeenEndsTheCalls(t *testing.T) {
	s := calling(t, byVoice, crew())
	s.sent(Seen(&s.tk, s.p, &grid.Delivery{ID: "its webhook", Assignment: s.part("micro").ID}, at(5*sec), s.c))
	if c := s.chain("unit:micro"); c.Why != endAnswered {
		t.Fatalf("chain is %+v", c)
	}
	s.sent(Seen(&s.tk, s.p, &grid.Delivery{ID: "another's"}, at(6*sec), s.c))
	if s.last.Changed {
		t.Fatal("a message of no part changes the ticket")
	}
}

func TestANumberThatIsUnknownOrCannotBeCalledCostsNoTime(t *testing.T) {
	f := crew()
	f.contacts["unit:micro"][0].Sealed = nil // erased
	s := calling(t, byVoice, f)
	s.wantCalled("unit:micro", "c1", "c2")
	if c := s.chain("unit:micro"); c.Calls[0].Failed != "number unknown" || c.Calls[0].Delivery != "" || !c.Due.Equal(at(30*sec)) {
		t.Fatalf("chain is %+v", c)
	}
	d := &grid.Delivery{ID: s.chain("unit:micro").Calls[1].Delivery}
	s.sent(Unreachable(&s.tk, s.p, d, at(3*sec), s.c))
	s.wantCalled("unit:micro", "c1", "c2", "lead")
	s.sent(Unreachable(&s.tk, s.p, d, at(4*sec), s.c))
	s.wantCalled("unit:micro", "c1", "c2", "lead")
	if s.last.Changed {
		t.Fatal("the same failure again changes the ticket")
	}
}

func TestWithoutACarrierTheDeskCallsAndSeesNoNumber(t *testing.T) {
	s := calling(t, byDesk, crew())
	open := func() (out []grid.Task) {
		for _, k := range s.tk.Tasks {
			if k.Kind == grid.TaskCall && k.Contact != "" && k.Done.IsZero() {
				out = append(out, k)
			}
		}
		return out
	}
	if k := open(); len(k) != 1 || k[0].Contact != "c1" || k[0].Number != "" || k[0].Script == "" || k[0].Unit != "micro" {
		t.Fatalf("tasks are %+v, want one call with a script and no number", k)
	}
	s.ticks(at(30 * sec))
	k := open()
	if len(k) != 1 || k[0].Contact != "c2" {
		t.Fatalf("tasks are %+v, want the second contact's alone", k)
	}
	s.move(operator, grid.VerbDone, at(40*sec), func(m *grid.Move) { m.Task, m.Source = k[0].N, "the post at the gate" })
	if c := s.chain("unit:micro"); c.Why != endAnswered || c.By != "op1" {
		t.Fatalf("chain is %+v, want it answered by the desk's word", c)
	}
	s.ticks(at(2 * minute))
	s.wantCalled("unit:micro", "c1", "c2")
}

func TestThePlaceIsCalledTooAndNoMoreOnceItIsAFalseAlarm(t *testing.T) {
	f := crew()
	f.contacts["point:p1"] = []grid.Contact{number("home", grid.Occupant), number("next-door", grid.Neighbour)}
	f.contacts["building:b1"] = []grid.Contact{number("gate", grid.KeyHolder)}
	s := calling(t, byVoice, f)
	s.wantCalled("point:p1", "home")
	s.wantCalled("building:b1", "gate")
	s.move(operator, grid.VerbVerify, at(10*sec), finds(grid.VerifiedFalse))
	if c := s.chain("point:p1"); c.Why != endOver {
		t.Fatalf("chain is %+v, want it over", c)
	}
	if c := s.chain("unit:micro"); !c.Ended.IsZero() {
		t.Fatal("a finding from afar ends the calls to the unit")
	}
	s.ticks(at(40 * sec))
	s.wantCalled("point:p1", "home")
}

func TestReworkCallsTheUnitAgain(t *testing.T) {
	s := calling(t, byVoice, crew())
	s.resolved("micro", at(10*sec), at(minute))
	s.check(Verdict{Abnormal: true}, at(10*minute))
	n := 0
	for _, c := range s.tk.Chains {
		if c.Of == "unit:micro" {
			n++
		}
	}
	last := s.tk.Chains[len(s.tk.Chains)-1]
	if n != 2 || last.Attempt != 2 && s.chain("unit:micro").Attempt != 1 {
		t.Fatalf("chains are %+v, want one for each attempt", s.tk.Chains)
	}
}

func TestPeopleOfTheOtherWorldAreNeverCalled(t *testing.T) {
	f := crew()
	for _, list := range f.contacts {
		for i := range list {
			list[i].Mode = grid.Simulated
		}
	}
	s := calling(t, byVoice, f)
	if c := s.chain("unit:micro"); len(c.Calls) != 0 || c.Why != endNoContacts {
		t.Fatalf("chain of a live ticket is %+v, want no simulated contact called", c)
	}
	f = crew()
	s = &story{t: t, p: builtIn(t, grid.EventSmokeAlarm)}
	sim := []grid.Unit{{ID: "micro", Kind: grid.MicroStation, Mode: grid.Simulated}, {ID: "call-voice"}, {ID: "call-sim", Mode: grid.Simulated}}
	s.c = Context{Units: sim, Routing: Routing{Routes: routesOf(t, byVoice), People: f}}
	tk, r := Open(Opening{ID: "T1", Type: grid.EventSmokeAlarm, Priority: 1, Mode: grid.Simulated, Scope: street, At: t0, Routing: s.c.Routing}, s.p, sim)
	s.tk = tk
	s.sent(r)
	if len(r.Calls) != 0 {
		t.Fatalf("live contacts are called for a simulated ticket: %+v", r.Calls)
	}
	f.contacts["unit:micro"][0].Mode = grid.Simulated
	tk, r = Open(Opening{ID: "T2", Type: grid.EventSmokeAlarm, Priority: 1, Mode: grid.Simulated, Scope: street, At: t0, Routing: s.c.Routing}, s.p, sim)
	if len(r.Calls) != 1 || r.Calls[0].Unit != "call-sim" || tk.Chains[0].Calls[0].Contact != "c1" {
		t.Fatalf("calls are %+v, want the simulated contact by the simulated carrier", r.Calls)
	}
}

func TestWhoIsOnDutyIsCalledFirstAndTheFallbackWhereNobodyIs(t *testing.T) {
	f := crew()
	f.contacts["person:staff-001"] = []grid.Contact{number("on-duty", grid.DutyPhone)}
	f.contacts["person:staff-009"] = []grid.Contact{number("stand-in", grid.DutyPhone)}
	f.onDuty["unit:micro"] = []string{"staff-001"}
	s := calling(t, byVoice, f)
	s.wantCalled("unit:micro", "on-duty")
	f.onDuty["unit:property"] = nil // or it would be taken instead
	f.onDuty["unit:micro"], f.fallback = nil, map[string]string{"unit:micro": "staff-009"}
	s = calling(t, byVoice, f)
	s.wantCalled("unit:micro", "stand-in")
	s.ticks(at(30 * sec))
	s.wantCalled("unit:micro", "stand-in", "c1")
}

func TestOtherPrioritiesCallNobodyUnlessTheDataSaysSo(t *testing.T) {
	f := crew()
	open := func(text string) grid.Ticket {
		tk, _ := Open(Opening{ID: "T1", Type: grid.EventDoorHeldOpen, Priority: 3, Scope: street, At: t0,
			Routing: Routing{Routes: routesOf(t, text), People: f}}, builtIn(t, grid.EventDoorHeldOpen), units)
		return tk
	}
	if tk := open(byVoice); len(tk.Chains) != 0 {
		t.Fatalf("chains of a P3 are %+v, want none", tk.Chains)
	}
	f.contacts["unit:property"] = []grid.Contact{number("p", grid.DutyPhone)}
	if tk := open("chains: {wait: 1m, types: [door.held_open], call: [unit]}"); len(tk.Chains) == 0 {
		t.Fatal("the type that the data names calls nobody")
	}
}

func TestAnOlderCopyOfATicketKeepsItsChains(t *testing.T) {
	s := calling(t, byVoice, crew())
	old := s.tk
	before := fmt.Sprint(old.Chains)
	s.ticks(at(30 * sec))
	s.move(unitActor("micro"), grid.VerbAccept, at(31*sec))
	if fmt.Sprint(old.Chains) != before {
		t.Fatal("a change has written into an older copy: a turn that is undone would keep it")
	}
}

func TestOneTicketCallsNoMoreThanItsBound(t *testing.T) {
	f := crew()
	f.contacts["unit:micro"] = nil
	for i := range 40 {
		f.contacts["unit:micro"] = append(f.contacts["unit:micro"], number(fmt.Sprintf("c%02d", i), grid.DutyPhone))
	}
	s := calling(t, byVoice, f)
	for n := range 60 {
		s.ticks(at(time.Duration(n+1) * 30 * sec))
	}
	if c := s.chain("unit:micro"); len(c.Calls) != mostCalls || c.Why != endNobody {
		t.Fatalf("%d calls, %s: want %d", len(c.Calls), c.Why, mostCalls)
	}
}

func TestTheDutyLeadIsCalledOnceForATicketAndNotByEachChain(t *testing.T) {
	f := crew()
	f.contacts["unit:property"] = []grid.Contact{number("p1", grid.DutyPhone)}
	s := calling(t, byVoice, f)
	for n := range 6 {
		s.ticks(at(time.Duration(n+1) * 30 * sec))
	}
	lead := 0
	for _, c := range s.tk.Chains {
		for _, p := range c.Calls {
			if p.Contact == "lead" {
				lead++
			}
		}
		if c.Why != endNoContacts && c.Why != endNobody {
			t.Errorf("chain is %+v, want it ended", c)
		}
	}
	if lead != 1 {
		t.Fatalf("the duty lead was called %d times, want once", lead)
	}
}

func TestAKeyHolderOfAnotherCompoundIsNotCalled(t *testing.T) {
	f := crew()
	other, here := number("other", grid.KeyHolder), number("here", grid.KeyHolder)
	other.Scope, here.Scope = grid.Scope{District: "310105", Street: "310105001"}, grid.Scope{District: "310105", Street: street.Street}
	f.contacts["building:b1"] = []grid.Contact{other, here}
	s := calling(t, byVoice, f)
	s.wantCalled("building:b1", "here")
}

func TestTheTicketWakesForItsNextCall(t *testing.T) {
	s := calling(t, strings.Replace(byVoice, "30s", "7s", 1), crew())
	if next := s.tick(at(sec)); !next.Equal(at(7 * sec)) {
		t.Fatalf("wakes at %v, want the next call and no clock of the plan", next)
	}
}

func TestManyPlacesAndReworksLeaveRoomForTheNextUnit(t *testing.T) {
	f := crew()
	s := calling(t, byVoice, f)
	for i := range 60 {
		id := fmt.Sprintf("p%02d", i+2)
		f.contacts["point:"+id] = []grid.Contact{number("home-"+id, grid.Occupant)}
		s.sent(Join(&s.tk, s.p, grid.Member{Alarm: "a" + id, Type: grid.EventSmokeAlarm, Point: id}, at(sec), s.c))
	}
	for n := range 40 {
		when := at(time.Duration(n+1) * time.Hour)
		s.move(unitActor("micro"), grid.VerbAccept, when)
		s.move(unitActor("micro"), grid.VerbArrive, when.Add(sec))
		s.move(unitActor("micro"), grid.VerbResolve, when.Add(2*sec))
		s.check(Verdict{Abnormal: true}, when.Add(10*minute))
		s.restart()
	}
	i := slices.IndexFunc(s.tk.Chains, func(c grid.CallChain) bool { return c.Of == "unit:micro" && c.Attempt == 41 })
	if i < 0 {
		t.Fatalf("%d chains, none for the 41st attempt", len(s.tk.Chains))
	}
	last := s.tk.Chains[i]
	if len(s.tk.Chains) > maxChains || last.Of != "unit:micro" || last.Attempt != 41 || len(last.Calls) == 0 {
		t.Fatalf("%d chains, the last is %+v: want the unit called for its 41st attempt", len(s.tk.Chains), last)
	}
}
