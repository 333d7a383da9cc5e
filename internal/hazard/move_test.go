package hazard

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

var t0 = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC) // a Monday, 10:00 in Shanghai

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../configs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func calendars(t testing.TB) *calendar.Calendars {
	t.Helper()
	cs, err := calendar.Parse("calendars.yaml", read(t, "calendars.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

func builtIn(t testing.TB) *Kinds {
	t.Helper()
	ks, err := Parse("hazards.yaml", read(t, "hazards.yaml"), calendars(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return ks
}

func kind(t testing.TB, name string) *Kind {
	t.Helper()
	k, err := builtIn(t).Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var (
	property = grid.Actor{Role: grid.RoleUnit, Name: "u1", Unit: "u1"}
	other    = grid.Actor{Role: grid.RoleUnit, Name: "u2", Unit: "u2"}
	operator = grid.Actor{Role: grid.RoleOperator, Name: "op1"}
	chief    = grid.Actor{Role: grid.RoleSupervisor, Name: "sv1"}
	system   = grid.Actor{Role: grid.RoleSystem, Name: "clock"}
)

func in(s grid.HazardState) grid.Hazard {
	return grid.Hazard{ID: "H1", Kind: "fire_door", State: s, Unit: "u1", Ticket: "T1", Found: t0, Since: t0, Deadline: t0.Add(100 * time.Hour)}
}

var safeDoor = []grid.HazardAnswer{{Question: "closes", Answer: Yes}, {Question: "propped", Answer: No}, {Question: "intact", Answer: NA}}

// full is a move with all that any verb may want.
func full(v grid.HazardVerb, by grid.Actor) grid.HazardMove {
	return grid.HazardMove{
		Hazard: "H1", Verb: v, By: by, At: t0.Add(time.Hour), Reason: "r", Answers: safeDoor, Before: []string{"F1"}, After: []string{"F2"},
		Unit: "u3", Until: t0.Add(200 * time.Hour), Person: "lin",
	}
}

// The whole table: from each state, by each role, what is allowed and what it becomes.
func TestTheTableOfMoves(t *testing.T) {
	k := kind(t, "fire_door")
	found, notified, rectifying, rectified, rechecking, closed := grid.HazardFound, grid.HazardNotified, grid.HazardRectifying, grid.HazardRectified, grid.HazardRechecking, grid.HazardClosed
	people, desk, boss := []grid.Actor{property, operator, chief}, []grid.Actor{operator, chief}, []grid.Actor{chief}
	want := map[grid.HazardVerb]struct {
		who []grid.Actor
		to  map[grid.HazardState]grid.HazardState
	}{
		grid.HazardInspect: {people, map[grid.HazardState]grid.HazardState{found: found, notified: notified, rectifying: rectifying, rectified: rectified, rechecking: rechecking}},
		grid.HazardPhoto:   {people, map[grid.HazardState]grid.HazardState{found: found, notified: notified, rectifying: rectifying, rectified: rectified, rechecking: rechecking}},
		grid.HazardNotify:  {desk, map[grid.HazardState]grid.HazardState{found: notified, notified: notified}},
		grid.HazardStart:   {people, map[grid.HazardState]grid.HazardState{notified: rectifying, rectifying: rectifying}},
		grid.HazardRectify: {people, map[grid.HazardState]grid.HazardState{notified: rectified, rectifying: rectified, rectified: rectified}},
		grid.HazardRecheck: {desk, map[grid.HazardState]grid.HazardState{rectified: rechecking, rechecking: rechecking}},
		grid.HazardPass:    {desk, map[grid.HazardState]grid.HazardState{rectified: closed, rechecking: closed, closed: closed}},
		grid.HazardFail:    {desk, map[grid.HazardState]grid.HazardState{rectified: notified, rechecking: notified}},
		grid.HazardExtend:  {boss, map[grid.HazardState]grid.HazardState{found: found, notified: notified, rectifying: rectifying}},
		grid.HazardDismiss: {boss, map[grid.HazardState]grid.HazardState{found: closed, notified: closed, rectifying: closed, rectified: closed, rechecking: closed, closed: closed}},
	}
	if len(want) != len(Verbs()) {
		t.Fatalf("the table has %d verbs, the test %d", len(Verbs()), len(want))
	}
	for _, v := range Verbs() {
		for _, by := range []grid.Actor{property, operator, chief, system} {
			for _, s := range grid.HazardStates() {
				h := in(s)
				before := in(s)
				res, err := Apply(&h, full(v, by), k)
				to, may := want[v].to[s]
				may = may && slices.Contains(want[v].who, by)
				switch {
				case may && (err != nil || h.State != to):
					t.Errorf("%s %s in %s: %s, %v, want %s", by.Role, v, s, h.State, err, to)
				case !may && err == nil:
					t.Errorf("%s %s in %s is allowed", by.Role, v, s)
				case !may && (!reflect.DeepEqual(h, before) || res.Changed):
					t.Errorf("%s %s in %s was refused and left %+v", by.Role, v, s, h)
				}
				if err == nil && res.Changed != slices.Contains(Allowed(&before, by), v) {
					t.Errorf("%s %s in %s: changed is %v, allowed are %v", by.Role, v, s, res.Changed, Allowed(&before, by))
				}
			}
		}
	}
}

func TestAMoveIsRefusedWithItsNameAndTheWish(t *testing.T) {
	k := kind(t, "fire_door")
	for _, c := range []struct {
		state  grid.HazardState
		verb   grid.HazardVerb
		by     grid.Actor
		change func(*grid.HazardMove)
		code   grid.Code
		want   string
	}{
		{grid.HazardFound, "paint", chief, func(*grid.HazardMove) {}, grid.Invalid, `verb is "paint": want one of inspect, photo`},
		{grid.HazardFound, grid.HazardInspect, chief, func(m *grid.HazardMove) { m.Answers = nil }, grid.Invalid, "answers are missing"},
		{grid.HazardFound, grid.HazardInspect, chief, func(m *grid.HazardMove) { m.Answers[0].Question = "colour" }, grid.Invalid, `question is "colour": want one of closes, propped, intact`},
		{grid.HazardFound, grid.HazardInspect, chief, func(m *grid.HazardMove) { m.Answers[0].Answer = "maybe" }, grid.Invalid, `answer to closes is "maybe": want yes, no or na`},
		{grid.HazardFound, grid.HazardPhoto, chief, func(m *grid.HazardMove) { m.Before, m.After = nil, nil }, grid.Invalid, "want ids of files of ticket T1"},
		{grid.HazardFound, grid.HazardPhoto, chief, func(m *grid.HazardMove) { m.After = strings.Split(strings.Repeat("a b c d ", 6)+"e", " ") }, "", ""},
		{grid.HazardFound, grid.HazardPhoto, chief, func(m *grid.HazardMove) { m.After = strings.Split("abcdefghijklmnopqrstu", "") }, grid.Conflict, "at most 20 before"},
		{grid.HazardFound, grid.HazardNotify, operator, func(m *grid.HazardMove) { m.Unit = "" }, grid.Invalid, "unit is missing"},
		{grid.HazardNotified, grid.HazardStart, other, func(*grid.HazardMove) {}, grid.Forbidden, `rectified by "u1", not by unit u2`},
		{grid.HazardNotified, grid.HazardStart, operator, func(m *grid.HazardMove) { m.Person = "" }, grid.Invalid, "want who of u1 said so"},
		{grid.HazardRectifying, grid.HazardRectify, property, func(m *grid.HazardMove) { m.After, m.Reason = nil, "" }, grid.Invalid, "want a photo or a word"},
		{grid.HazardRectified, grid.HazardRecheck, operator, func(m *grid.HazardMove) { m.Person = "" }, grid.Invalid, "person is missing"},
		{grid.HazardRectified, grid.HazardPass, property, func(*grid.HazardMove) {}, grid.Forbidden, "unit may not pass: want operator, supervisor"},
		{grid.HazardRechecking, grid.HazardPass, operator, func(m *grid.HazardMove) { m.Answers = m.Answers[:2] }, grid.Invalid, "intact is missing"},
		{grid.HazardRechecking, grid.HazardPass, operator, func(m *grid.HazardMove) { m.Answers[1].Answer = Yes }, grid.Conflict, "answer to propped is yes, which is the danger: want fail"},
		{grid.HazardRechecking, grid.HazardFail, operator, func(m *grid.HazardMove) { m.Reason = "" }, grid.Invalid, "reason is missing"},
		{grid.HazardNotified, grid.HazardExtend, operator, func(*grid.HazardMove) {}, grid.Forbidden, "operator may not extend: want supervisor"},
		{grid.HazardNotified, grid.HazardExtend, chief, func(m *grid.HazardMove) { m.Reason = "" }, grid.Invalid, "reason is missing"},
		{grid.HazardNotified, grid.HazardExtend, chief, func(m *grid.HazardMove) { m.Until = t0.Add(100 * time.Hour) }, grid.Invalid, "want after the deadline"},
		{grid.HazardNotified, grid.HazardExtend, chief, func(m *grid.HazardMove) { m.At = t0.Add(300 * time.Hour) }, grid.Invalid, "after now"},
		{grid.HazardRectified, grid.HazardExtend, chief, func(*grid.HazardMove) {}, grid.Conflict, "hazard H1 is rectified: extend is not allowed"},
		{grid.HazardFound, grid.HazardDismiss, chief, func(m *grid.HazardMove) { m.Person = "" }, grid.Invalid, "person is missing"},
		{grid.HazardClosed, grid.HazardFail, chief, func(*grid.HazardMove) {}, grid.Conflict, "hazard H1 is closed: fail is not allowed, supervisor may do nothing"},
	} {
		h, m := in(c.state), full(c.verb, c.by)
		m.Answers = slices.Clone(m.Answers)
		c.change(&m)
		_, err := Apply(&h, m, k)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s in %s: %v", c.verb, c.state, err)
			}
			continue
		}
		if err == nil || grid.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %s: %v, want %s: %q", c.verb, c.state, err, c.code, c.want)
		}
	}
}

func TestADeadlineIsMovedTwiceAtMost(t *testing.T) {
	h, k := in(grid.HazardRectifying), kind(t, "fire_door")
	for n := range 3 {
		m := full(grid.HazardExtend, chief)
		m.Until = h.Deadline.Add(time.Hour)
		_, err := Apply(&h, m, k)
		if (err != nil) != (n == MaxExtensions) {
			t.Fatalf("extension %d: %v", n+1, err)
		}
	}
	if len(h.Extensions) != 2 || !h.Deadline.Equal(t0.Add(102*time.Hour)) || h.Extensions[1].From != h.Extensions[0].To || h.Extensions[0].By != chief {
		t.Errorf("extensions are %+v, deadline %s", h.Extensions, h.Deadline)
	}
}

func TestAFailedRecheckSetsTheDeadlineAnew(t *testing.T) {
	h, k := in(grid.HazardRechecking), kind(t, "fire_door")
	h.Overdue = true
	m := full(grid.HazardFail, operator)
	m.At = t0.Add(24 * time.Hour) // Tuesday
	res, err := Apply(&h, m, k)
	if err != nil || !res.Failed {
		t.Fatal(res, err)
	}
	if want := t0.Add(8 * 24 * time.Hour); !h.Deadline.Equal(want) || h.Overdue || h.Passed() || len(h.Rechecks) != 1 || h.Rechecks[0].Person != "lin" {
		t.Errorf("deadline is %s with re-checks %+v, want %s, five work days on", h.Deadline, h.Rechecks, want)
	}
}

func TestTheNewestAnswerToAQuestionCounts(t *testing.T) {
	h, k := in(grid.HazardNotified), kind(t, "fire_door")
	for _, a := range []string{No, Yes} {
		m := full(grid.HazardInspect, property)
		m.Answers = []grid.HazardAnswer{{Question: "closes", Answer: a}}
		if _, err := Apply(&h, m, k); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.Answers) != 1 || h.Answers[0].Answer != Yes || h.Answers[0].By != property || h.Answers[0].At.IsZero() {
		t.Errorf("answers are %+v", h.Answers)
	}
	if !slices.Equal(h.Before, []string{"F1"}) || !slices.Equal(h.After, []string{"F2"}) {
		t.Errorf("photos are %v and %v: want each once", h.Before, h.After)
	}
}

func TestAHazardFollowsItsTicket(t *testing.T) {
	for ts, want := range map[grid.TicketState]grid.HazardState{
		grid.TicketReported: grid.HazardFound, grid.TicketVerifying: grid.HazardFound, grid.TicketFiled: grid.HazardFound, grid.TicketReturned: grid.HazardFound,
		grid.TicketDispatched: grid.HazardNotified, grid.TicketAccepted: grid.HazardRectifying, grid.TicketInProgress: grid.HazardRectifying,
		grid.TicketSuspended: grid.HazardRectifying, grid.TicketRework: grid.HazardRectifying, grid.TicketResolved: grid.HazardRectified, grid.TicketChecking: grid.HazardRectified,
		grid.TicketClosed: grid.HazardClosed, grid.TicketNotFiled: grid.HazardClosed, grid.TicketMerged: grid.HazardClosed, grid.TicketCancelled: grid.HazardClosed, grid.TicketForcedClose: grid.HazardClosed,
	} {
		h := in(grid.HazardNotified)
		Follow(&h, &grid.Ticket{State: ts}, "u9", t0)
		if h.State != want || h.Unit != "u9" || (want == grid.HazardClosed) != (h.Outcome != "" && h.Ended.Equal(t0)) {
			t.Errorf("ticket %s: hazard is %s by %s, %s %s; want %s", ts, h.State, h.Unit, h.Outcome, h.Ended, want)
		}
	}
	h := in(grid.HazardRechecking)
	h.Checker = "lin"
	Follow(&h, &grid.Ticket{State: grid.TicketChecking}, "u1", t0)
	if h.State != grid.HazardRechecking || h.Checker != "lin" {
		t.Errorf("while somebody looks it is %s", h.State)
	}
}

func TestItIsOverdueFromItsDeadlineOnUntilItIsRectified(t *testing.T) {
	for _, s := range grid.HazardStates() {
		h := in(s)
		late := slices.Contains([]grid.HazardState{grid.HazardFound, grid.HazardNotified, grid.HazardRectifying}, s)
		if Overdue(&h, h.Deadline.Add(-1)) || Overdue(&h, h.Deadline) != late {
			t.Errorf("%s: overdue at its deadline is %v, want %v, and never before", s, Overdue(&h, h.Deadline), late)
		}
	}
}
