package ticket

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// What the moves of the table do. By then role, state and needs are settled.

// moveAssignment moves an assignment; the ticket follows if it is the one that leads.
func (ch *change) moveAssignment(a *grid.Assignment, verb grid.Verb, to grid.TicketState, l grid.MoveRecord) {
	from := a.State
	a.State, a.Since = to, ch.now
	l.Assignment = a.ID
	if ch.leads(a) {
		ch.to(string(verb), to, l)
		return
	}
	ch.line(string(verb), from, to, l)
}

func (ch *change) leads(a *grid.Assignment) bool {
	l := lead(ch.t)
	return l != nil && l.ID == a.ID
}

// words are what the mover said, for the history.
func (w *wish) words() grid.MoveRecord {
	var d []string
	add := func(format string, v string) {
		if v != "" {
			d = append(d, fmt.Sprintf(format, v))
		}
	}
	add("finding: %s", string(w.m.Finding))
	add("unit: %s", w.m.Unit)
	add("into: %s", w.m.Into)
	add("episode: %s", w.m.Alarm)
	add("source: %s", w.m.Source)
	if w.m.OnSite {
		d = append(d, "on site")
	}
	add("evidence: %s", w.m.Evidence)
	if !w.m.Until.IsZero() {
		add("until: %s", w.m.Until.Format(timeLayout))
	}
	return grid.MoveRecord{Reason: w.m.Reason, Detail: strings.Join(d, "; ")}
}

func verifyFirst(ch *change, w *wish) {
	ch.t.Verification = w.m.Finding
	switch w.m.Finding {
	case grid.VerifiedTrue:
		ch.stop(ClockVerify)
		ch.file(string(w.m.Verb), w.words())
		ch.callConfirmed()
	case grid.VerifiedFalse:
		ch.end(string(w.m.Verb), grid.TicketNotFiled, w.words())
	default:
		ch.to(string(w.m.Verb), grid.TicketVerifying, w.words())
	}
}

// verifyBeside is a finding while the work goes on. "False" is a finding, not an end.
func verifyBeside(ch *change, w *wish) {
	ch.t.Verification = w.m.Finding
	ch.stop(ClockVerify)
	ch.say(string(w.m.Verb), w.words())
	ch.tellAll(MessageUpdated, "")
	if w.m.Finding == grid.VerifiedTrue {
		ch.callConfirmed()
	}
}

// callConfirmed makes the calls that wait for a confirmed cause, also where the tier was
// called before: a unit that takes only confirmed fires was left out then.
func (ch *change) callConfirmed() {
	tier := 0
	for i := range ch.p.Calls { // calls are sorted by tier but for the lead's
		if c := &ch.p.Calls[i]; c.Confirmed && c.Tier != tier {
			tier = c.Tier
			ch.callTier(tier)
		}
	}
}

func accept(ch *change, w *wish) {
	ch.moveAssignment(w.a, w.m.Verb, grid.TicketAccepted, w.words())
	if !ch.leads(w.a) {
		return
	}
	ch.stop(ClockAccept)
	ch.takeOver(w.a)
}

// takeOver ends the responsibility of whoever led before.
func (ch *change) takeOver(successor *grid.Assignment) {
	for i := range ch.t.Assignments {
		a := &ch.t.Assignments[i]
		if !a.Lead || a.ID == successor.ID {
			continue
		}
		a.Lead, a.StandDown = false, true
		ch.say(verbTakeOver, grid.MoveRecord{By: bySystem, Detail: fmt.Sprintf("%s takes over from %s", successor.Unit, a.Unit)})
		if a.Unit != successor.Unit {
			ch.tell(a, MessageStandDown)
		}
	}
}

func arrive(ch *change, w *wish) {
	ch.moveAssignment(w.a, w.m.Verb, grid.TicketInProgress, w.words())
	if ch.leads(w.a) {
		ch.stop(ClockArrive)
	}
}

// resolve by the lead starts the check at once; the watch decides.
func resolve(ch *change, w *wish) {
	ch.moveAssignment(w.a, w.m.Verb, grid.TicketResolved, w.words())
	if !ch.leads(w.a) {
		return
	}
	ch.t.Resolved = ch.now
	if w.m.OnSite && w.m.Evidence != "" {
		ch.t.Confirmed, ch.t.Evidence = w.who(), w.m.Evidence
	}
	ch.stop(ClockAccept, ClockArrive, ClockHandle)
	ch.start(ClockCheck)
	ch.to(verbCheck, grid.TicketChecking, grid.MoveRecord{By: bySystem})
}

func (w *wish) who() string {
	if w.m.By.Role != grid.RoleUnit && !w.m.OnSite {
		return w.m.Source
	}
	if w.m.By.Name != "" {
		return w.m.By.Name
	}
	return w.m.By.Unit
}

func giveBack(ch *change, w *wish) {
	leads := ch.leads(w.a)
	ch.moveAssignment(w.a, w.m.Verb, grid.TicketReturned, w.words())
	if !leads {
		ch.task(grid.Task{Kind: grid.TaskAssign, Code: "no_help", Facts: grid.TaskFacts{"unit": w.a.Unit, "proposed": w.m.Unit}, Text: fmt.Sprintf("%s does not help: it proposes %s", w.a.Unit, w.m.Unit)})
		return
	}
	ch.t.Returns++
	ch.stop(ClockAccept, ClockArrive, ClockHandle)
	ch.start(ClockDispatch)
	if ch.t.Returns >= 2 {
		ch.task(grid.Task{Kind: grid.TaskAssign, Code: "returned_often", Facts: grid.TaskFacts{"times": fmt.Sprint(ch.t.Returns), "unit": w.a.Unit, "proposed": w.m.Unit}, Text: fmt.Sprintf("returned %d times: the supervisor assigns it; %s proposes %s and stays responsible until another accepts", ch.t.Returns, w.a.Unit, w.m.Unit)})
		return
	}
	ch.task(grid.Task{Kind: grid.TaskAssign, Code: "returned", Facts: grid.TaskFacts{"unit": w.a.Unit, "proposed": w.m.Unit}, Text: fmt.Sprintf("assign another unit: %s proposes %s and stays responsible until another accepts", w.a.Unit, w.m.Unit)})
}

func suspend(ch *change, w *wish) {
	leads := ch.leads(w.a)
	ch.moveAssignment(w.a, w.m.Verb, grid.TicketSuspended, w.words())
	if leads {
		ch.pause(w.m.Until)
	}
	ch.tell(w.a, MessageUpdated)
}

func resumeWork(ch *change, w *wish) {
	if ch.leads(w.a) {
		ch.resume()
	}
	ch.moveAssignment(w.a, w.m.Verb, grid.TicketInProgress, w.words())
	if w.m.By.Role != grid.RoleUnit {
		ch.tell(w.a, MessageUpdated)
	}
}

func confirm(ch *change, w *wish) {
	ch.t.Confirmed = w.who()
	if w.m.Evidence != "" {
		ch.t.Evidence = w.m.Evidence
	} else if ch.t.Evidence == "" {
		ch.t.Evidence = w.m.Reason
	}
	ch.stop(clockWord)
	ch.taskDone("confirmed", func(k *grid.Task) bool { return k.Kind == grid.TaskWord })
	ch.say(string(w.m.Verb), w.words())
}

// assignLead gives a unit the lead; its part as a helper, if it has one, is not another.
func assignLead(ch *change, w *wish) {
	for i := range ch.t.Assignments {
		if a := &ch.t.Assignments[i]; a.Unit == w.m.Unit && busy(a) {
			from := a.State
			a.State, a.Since = grid.TicketCancelled, ch.now
			ch.line(verbTakeOver, from, a.State, grid.MoveRecord{By: bySystem, Assignment: a.ID, Detail: a.Unit + " helped, and leads from now on"})
		}
	}
	ch.assign(string(w.m.Verb), w.unit(), tierOf(w.unit()), true, w.words())
}

func assignHelp(ch *change, w *wish) {
	ch.assign(string(w.m.Verb), w.unit(), tierOf(w.unit()), false, w.words())
}

// tierOf is a unit's own tier; a unit registered without one is public rescue.
func tierOf(u *grid.Unit) int {
	if u.Tier == 0 {
		return 3
	}
	return u.Tier
}

// forceClose needs two persons: the first asks, another agrees within agreeWithin.
func forceClose(ch *change, w *wish) {
	if a := ch.t.Asked; a == nil || a.Verb != w.m.Verb || a.By.Name == w.m.By.Name || ch.now.Sub(a.At) > agreeWithin {
		ch.t.Asked = &grid.Asked{Verb: w.m.Verb, By: w.m.By, At: ch.now, Reason: w.m.Reason}
		l := w.words()
		l.Detail = strings.TrimPrefix(l.Detail+"; a second supervisor has to agree", "; ")
		ch.say(verbAsk, l)
		return
	}
	first := ch.t.Asked
	finish(ch, w)
	l := &ch.res.Moves[len(ch.res.Moves)-1]
	l.Detail = strings.TrimPrefix(fmt.Sprintf("%s; asked by %s: %s", l.Detail, first.By.Name, first.Reason), "; ")
}

// agreeWithin is how long a move waits for its second person.
const agreeWithin = 30 * time.Minute

// taskIsDone: a call that somebody answered gives the unit its part.
func taskIsDone(ch *change, w *wish) {
	k := *w.task()
	ch.taskDone(w.m.Reason+w.m.Source, func(o *grid.Task) bool { return o.N == k.N })
	for i := range ch.c.Units {
		if u := &ch.c.Units[i]; k.Kind == grid.TaskCall && u.ID == k.Unit && !ch.assigned(u.ID) {
			ch.assign(string(w.m.Verb), u, tierOf(u), lead(ch.t) == nil && ch.t.State == grid.TicketFiled, w.words())
			return
		}
	}
	ch.say(string(w.m.Verb), w.words())
}

// split is done by the caller too: it opens the ticket of the episode.
func split(ch *change, w *wish) {
	ch.t.Members = slices.DeleteFunc(slices.Clone(ch.t.Members), func(m grid.Member) bool { return m.Alarm == w.m.Alarm })
	ch.say(string(w.m.Verb), w.words())
	ch.tellAll(MessageUpdated, "")
}

func finish(ch *change, w *wish) {
	l := w.words()
	if ch.c.Active {
		l.Detail = strings.TrimPrefix(l.Detail+"; the sensor is still in alarm", "; ")
	}
	ch.end(string(w.m.Verb), w.e.to, l)
}

func note(ch *change, w *wish) {
	ch.say(string(w.m.Verb), w.words())
}
