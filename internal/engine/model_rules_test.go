package engine

import (
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/ticket"
)

// What must hold in the model, said without the code that is to keep it.

// plain is a condition as DESIGN 7 and 8 tell it: time that we could not hear, and one
// interval after it, counts for nothing.
type plain struct {
	known, abnormal    bool
	since, heard       time.Time
	active             bool
	raised, returned   time.Time
	muted              bool // ended by a person, and nothing said since
	episodes, returns  int  // begun, and gone on with
	seenEp, seenReturn int  // those of the code
	last               string
}

func (p *plain) hear(w *world, s *spot, is bool, received time.Time) {
	if received.Before(p.heard) {
		return
	}
	p.settle(w, s)
	if !p.known || p.abnormal != is || p.muted && is {
		p.known, p.abnormal, p.since = true, is, received
	}
	p.heard, p.muted = received, false
}

// listened is for how long we have listened to a spot, from one time to another.
func listened(w *world, s *spot, from, to time.Time) time.Duration {
	d := to.Sub(from)
	upTo := from
	for _, span := range w.down { // in order
		a, z := span.From, span.To.Add(s.interval)
		if a.Before(upTo) {
			a = upTo
		}
		if z.After(to) {
			z = to
		}
		if z.After(a) {
			d -= z.Sub(a)
			upTo = z
		}
	}
	return d
}

// settle does what is due by now.
func (p *plain) settle(w *world, s *spot) {
	lasted := func(from time.Time, d time.Duration) bool {
		return !w.now.Before(from) && (d == 0 || listened(w, s, from, w.now) >= d)
	}
	switch {
	case !p.known || p.muted:
	case p.abnormal && !p.active && lasted(p.since, s.rule.OnDelay):
		if p.episodes > 0 && p.since.Sub(p.returned) <= s.rule.ReAlarm && p.mayGoOn(w, s) {
			p.returns++
		} else {
			p.episodes, p.raised = p.episodes+1, w.now
		}
		p.active = true
	case !p.abnormal && p.active:
		from := p.since
		if p.raised.After(from) {
			from = p.raised
		}
		if !p.heard.Before(from) && lasted(from, s.rule.OffDelay) {
			p.active, p.returned = false, from
		}
	}
}

// mayGoOn: a ticket that was ended otherwise than by its closing stays so.
func (p *plain) mayGoOn(w *world, s *spot) bool {
	st := w.byID[s.ep.Ticket].row.State
	return !st.Ended() || st == grid.TicketClosed
}

// agrees compares the code with it.
func (p *plain) agrees(w *world, s *spot) {
	active := s.ep != nil && s.ep.Active
	if active != p.active {
		w.fail("%s is active %v: want %v (%+v; heard %+v)", s.row.ID, active, p.active, *p, s.in)
	}
	if s.ep == nil {
		return
	}
	if s.ep.ID != p.last {
		p.last, p.seenReturn = s.ep.ID, p.seenReturn+max(0, s.ep.Count-1)
		p.seenEp++
	}
	if p.seenEp != p.episodes {
		w.fail("%s has had %d episodes: want %d", s.row.ID, p.seenEp, p.episodes)
	}
	if !active && !s.ep.Returned.Equal(p.returned) {
		w.fail("%s returned at %s: want %s", s.row.ID, s.ep.Returned, p.returned)
	}
}

// allRules are those of the world as a whole, when nothing is left to be done.
func (w *world) allRules() {
	w.t.Helper()
	for _, s := range w.spots {
		if s.ep == nil {
			continue
		}
		k := w.byID[s.ep.Ticket]
		if k == nil || !slices.Contains(k.episodes, s.ep) {
			w.fail("episode %s of %s has the ticket %q, which does not know it", s.ep.ID, s.row.ID, s.ep.Ticket)
		}
		if s.ep.Active && k.row.State.Ended() && k.row.State != grid.TicketForcedClose {
			w.fail("%s is active and its ticket %s is %s", s.row.ID, k.row.ID, k.row.State)
		}
		if s.rule.Type == grid.EventFireLaneBlocked && s.ep.Active && s.ep.Priority > 1 && w.smokeIn(s.row.Cell) {
			w.fail("%s is %s while there is smoke in its cell", s.row.ID, s.ep.Priority)
		}
	}
	for _, k := range w.works {
		w.rescueInTime(k)
		for _, ep := range k.episodes {
			if ep.Ticket != k.row.ID && !k.apart[ep.ID] && w.byID[ep.Ticket].row.State.Ended() {
				w.fail("episode %s left the open ticket %s for %s, which has ended", ep.ID, k.row.ID, ep.Ticket)
			}
		}
	}
}

func (w *world) smokeIn(cell string) bool {
	return slices.ContainsFunc(w.spots, func(s *spot) bool {
		return s.rule.Type == grid.EventSmokeAlarm && s.row.Cell == cell && s.ep != nil && s.ep.Active
	})
}

// rescueInTime: 90 s after a smoke alarm the fire unit has it, or a person has the task of
// calling it; but not while a person's "false", or a suspicion, stands against one detector.
func (w *world) rescueInTime(k *work) {
	if k.row.Type != grid.EventSmokeAlarm || w.now.Before(k.row.Opened.Add(90*time.Second)) {
		return
	}
	c := w.context(k)
	if !c.Second && (k.row.Verification == grid.VerifiedFalse || k.row.Suspect != "" && k.row.Verification != grid.VerifiedTrue) {
		w.n.held++
		return
	}
	called := slices.ContainsFunc(k.row.Assignments, func(a grid.Assignment) bool { return a.Unit == "u-fire" })
	asked := slices.ContainsFunc(k.row.Tasks, func(t grid.Task) bool { return t.Unit == "u-fire" })
	none := !slices.ContainsFunc(w.units, func(u grid.Unit) bool { return u.ID == "u-fire" })
	if !called && !asked && !none {
		w.fail("%s since the smoke of %s and nobody called the fire unit: %s, second %v, %+v", w.now.Sub(k.row.Opened), k.row.ID, k.row.Verification, c.Second, k.row.Clocks)
	}
	if called {
		w.n.fireCalled++
	}
}

var steps = map[grid.TicketState][]grid.TicketState{
	"":                    {grid.TicketReported},
	grid.TicketReported:   {grid.TicketFiled},
	grid.TicketFiled:      {grid.TicketDispatched},
	grid.TicketDispatched: {grid.TicketAccepted, grid.TicketReturned},
	grid.TicketReturned:   {grid.TicketDispatched},
	grid.TicketAccepted:   {grid.TicketInProgress},
	grid.TicketInProgress: {grid.TicketSuspended, grid.TicketResolved},
	grid.TicketSuspended:  {grid.TicketInProgress},
	grid.TicketResolved:   {grid.TicketChecking},
	grid.TicketChecking:   {grid.TicketClosed, grid.TicketRework},
	grid.TicketRework:     {grid.TicketDispatched},
	grid.TicketClosed:     {grid.TicketRework},
}

// ticketRules hold one change of a ticket against the rules.
func (w *world) ticketRules(k *work, before grid.Ticket, r *ticket.Result) {
	w.t.Helper()
	t := &k.row
	if r.Changed != (len(r.Moves) > 0) || r.Changed == (t.Revision == before.Revision) || !r.Changed && len(r.Messages) > 0 {
		w.fail("changed %v with %d lines, %d messages, revision %d after %d", r.Changed, len(r.Moves), len(r.Messages), t.Revision, before.Revision)
	}
	w.history(k, before, r.Moves)
	w.partsOnlyAdd(k, before, r)
	w.clocksGoOn(k, before)
	switch {
	case t.State == grid.TicketSuspended && t.Priority == 1:
		w.fail("%s is P1 and suspended", t.ID)
	case t.Priority > before.Priority && before.Priority != 0 || t.Tier < before.Tier:
		w.fail("%s went from %s to %s, from tier %d to %d", t.ID, before.Priority, t.Priority, before.Tier, t.Tier)
	case t.State.Ended() == t.Closed.IsZero():
		w.fail("%s is %s and closed at %s", t.ID, t.State, t.Closed)
	case !t.State.Ended() && t.State != grid.TicketFiled && t.State != grid.TicketReported && ticket.Responsible(t) == "":
		w.fail("nobody is responsible for %s", t.ID)
	}
	if before.State.Ended() || !t.State.Ended() {
		return
	}
	w.endedRightly(k, r)
}

// history: each line says who and when, goes on where the last one ended, by an arrow of
// the design; time never runs backwards in it.
func (w *world) history(k *work, before grid.Ticket, lines []grid.MoveRecord) {
	state, n, last := before.State, before.Moves, time.Time{}
	if len(k.lines) > 0 {
		last = k.lines[len(k.lines)-1].At
	}
	for _, l := range lines {
		n++
		if l.N != n || l.Ticket != k.row.ID || l.By.Role == "" || l.By.Name == "" || l.At.Before(last) || l.At.After(w.now) {
			w.fail("line %+v is not whole, or not in order after %s", l, last)
		}
		last = l.At
		if w.helps(k, l, lines) {
			continue
		}
		ending := l.To == grid.TicketMerged || l.To == grid.TicketCancelled || l.To == grid.TicketForcedClose
		if l.From != state || l.From != l.To && !slices.Contains(steps[l.From], l.To) && (!ending || l.From.Ended()) {
			w.fail("%s: line %+v in state %s is no arrow of the design", k.row.ID, l, state)
		}
		state = l.To
	}
	if state != k.row.State || n != k.row.Moves {
		w.fail("%s is %s after %d lines, its history says %s and %d", k.row.ID, k.row.State, k.row.Moves, state, n)
	}
}

// helps: a line of an assignment that has never led.
func (w *world) helps(k *work, l grid.MoveRecord, now []grid.MoveRecord) bool {
	if l.Assignment == "" {
		return false
	}
	for _, all := range [][]grid.MoveRecord{k.lines, now} {
		for _, o := range all {
			if o.Assignment == l.Assignment {
				return o.From == "" // its first line
			}
		}
	}
	return false
}

func idle(a *grid.Assignment) bool {
	return a.State == grid.TicketReturned || a.State == grid.TicketCancelled || a.State == grid.TicketResolved
}

// partsOnlyAdd: nobody is called off by another's coming, nobody has two parts to do, and
// each new part is told once.
func (w *world) partsOnlyAdd(k *work, before grid.Ticket, r *ticket.Result) {
	as := k.row.Assignments
	if len(as) < len(before.Assignments) {
		w.fail("%s lost a part", k.row.ID)
	}
	for i := range as {
		if i < len(before.Assignments) && (as[i].ID != before.Assignments[i].ID || as[i].Unit != before.Assignments[i].Unit || as[i].Attempt < before.Assignments[i].Attempt) {
			w.fail("%s: part %+v became %+v", k.row.ID, before.Assignments[i], as[i])
		}
		told := 0
		for _, m := range r.Messages {
			if m.Assignment == as[i].ID && m.Type == ticket.MessageOpened {
				told++
			}
		}
		if isNew := i >= len(before.Assignments); isNew && told != 1 || !isNew && told != 0 {
			w.fail("%s was told %d times of its part %s", as[i].Unit, told, as[i].ID)
		}
		for j := range i {
			if as[i].Unit == as[j].Unit && !idle(&as[i]) && !idle(&as[j]) {
				w.fail("%s has two parts of %s to do", as[i].Unit, k.row.ID)
			}
		}
	}
}

// clocksGoOn: a clock is never set back while it runs, and the total never stops.
func (w *world) clocksGoOn(k *work, before grid.Ticket) {
	for _, c := range k.row.Clocks {
		if c.Name == ticket.ClockTotal && !k.row.State.Ended() && !c.Stopped.IsZero() {
			w.fail("the total of %s stands still", k.row.ID)
		}
		if _, limit := k.plan.Limits[c.Name]; !limit {
			continue
		}
		i := slices.IndexFunc(before.Clocks, func(o grid.Clock) bool { return o.Name == c.Name })
		if i < 0 {
			continue
		}
		if o := before.Clocks[i]; c.Started.Before(o.Started) || c.Started.Equal(o.Started) && (c.Due.Before(o.Due) || c.Warned < o.Warned) {
			w.fail("%s: clock %+v became %+v", k.row.ID, o, c)
		}
	}
}

// endedRightly: how a ticket may end.
func (w *world) endedRightly(k *work, r *ticket.Result) {
	t := &k.row
	switch t.State {
	case grid.TicketClosed:
		w.closedRightly(k)
		return
	case grid.TicketForcedClose:
		w.n.forced++
		end, second := r.Moves[len(r.Moves)-1], false
		for _, l := range k.lines {
			second = second || l.Verb == "ask" && l.By.Name != end.By.Name && end.At.Sub(l.At) <= 30*time.Minute
		}
		if !second || end.Reason == "" {
			w.fail("%s was closed by force by one person: %+v", t.ID, end)
		}
	case grid.TicketCancelled:
		w.n.cancelled++
		for _, ep := range k.episodes {
			if ep.Active {
				w.fail("%s was cancelled while %s is in alarm", t.ID, ep.Point)
			}
		}
	}
	for i := range t.Assignments { // whoever was still at it has a message of its own
		if a := &t.Assignments[i]; a.StandDown && a.State == grid.TicketCancelled && a.Since.Equal(t.Closed) &&
			!slices.Contains(r.Messages, ticket.Message{Assignment: a.ID, Unit: a.Unit, Type: ticket.MessageStandDown}) {
			w.fail("%s was not told to stand down from %s: %+v", a.Unit, t.ID, r.Messages)
		}
		if a := &t.Assignments[i]; !idle(a) {
			w.fail("%s is at work on %s, which is %s", a.Unit, t.ID, t.State)
		}
	}
}

// closedRightly: by sensors that were heard to be normal for the set time, or by a person
// who was asked because they cannot tell; P1 never without a person.
func (w *world) closedRightly(k *work) {
	t := &k.row
	if t.Priority == 1 && t.Confirmed == "" {
		w.fail("%s is P1 and closed without a person's word", t.ID)
	}
	need, _ := k.plan.SensorNormal()
	proven := true
	for _, ep := range k.episodes {
		p := &w.spotOf(ep).plain
		if p.abnormal && !p.heard.Before(t.Resolved) {
			w.fail("%s is closed and %s said after it was resolved that it is still there", t.ID, ep.Point)
		}
		from := t.Resolved
		if p.since.After(from) {
			from = p.since
		}
		proven = proven && !p.abnormal && !p.heard.Before(from) && w.now.Sub(from) >= need
	}
	word := slices.ContainsFunc(t.Clocks, func(c grid.Clock) bool { return c.Name == "word" && !c.Started.Before(t.Resolved) })
	if !proven && (t.Confirmed == "" || !word) {
		w.fail("%s is closed, neither by its sensors nor by a person who was asked: %+v", t.ID, t)
	}
}

// apply makes a move on a ticket. One that is made again at once changes nothing more.
func (w *world) apply(k *work, m grid.Move) error {
	w.n.moves++
	m.At = w.now
	before := k.row
	r, err := ticket.Apply(&k.row, m, k.plan, w.context(k))
	if err != nil {
		w.n.refused++
		if k.row.Revision != before.Revision || k.row.State != before.State {
			w.fail("%s was refused and changed %s: %v", m.Verb, k.row.ID, err)
		}
		return err
	}
	w.took(k, before, r)
	if r.Changed {
		said := slices.ContainsFunc(r.Moves, func(l grid.MoveRecord) bool {
			return l.By == m.By && (m.Reason == "" || l.Reason == m.Reason)
		})
		if !said {
			w.fail("%s by %s: the history does not say who and why: %+v", m.Verb, m.By.Name, r.Moves)
		}
	}
	w.check(k)
	again := k.row
	if r, err := ticket.Apply(&again, m, k.plan, w.context(k)); err == nil && r.Changed && m.Verb != grid.VerbNote && m.Verb != grid.VerbSplit {
		w.fail("%s by %s a second time changes %s again: %+v", m.Verb, m.By.Name, k.row.ID, r.Moves)
	}
	return nil
}

// move is the word of a unit or a person, right or wrong.
func (w *world) move() {
	if len(w.works) == 0 {
		return
	}
	k := w.works[w.rng.IntN(len(w.works))]
	m := w.wish(k)
	switch m.Verb {
	case grid.VerbMerge:
		w.merge(k, m)
	case grid.VerbSplit:
		w.split(k, m)
	default:
		w.twin.says(k, m, w.apply(k, m))
		if k.row.State == grid.TicketSuspended {
			w.n.suspended++
		}
	}
}

func (w *world) wish(k *work) grid.Move {
	likely := []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve, grid.VerbConfirm}
	rare := []grid.Verb{
		grid.VerbVerify, grid.VerbVerify, grid.VerbReturn, grid.VerbSuspend, grid.VerbSuspend, grid.VerbSuspend, grid.VerbResume, grid.VerbAssign, grid.VerbNote, grid.VerbDone,
		grid.VerbCancel, grid.VerbForceClose, grid.VerbMerge, grid.VerbSplit,
	}
	m := grid.Move{Reason: "because", Attempt: w.rng.IntN(3) * w.rng.IntN(2), Until: w.now.Add(time.Hour)}
	m.Verb = likely[w.rng.IntN(len(likely))]
	if w.rng.IntN(4) == 0 {
		m.Verb = rare[w.rng.IntN(len(rare))]
	}
	m.By = []grid.Actor{
		{Role: grid.RoleOperator, Name: "op1"}, {Role: grid.RoleSupervisor, Name: "sv1"}, {Role: grid.RoleSupervisor, Name: "sv2"},
	}[w.rng.IntN(3)]
	if as := k.row.Assignments; len(as) > 0 && w.rng.IntN(3) > 0 {
		m.By = byUnit(as[w.rng.IntN(len(as))].Unit)
	}
	m.Finding = []grid.Verification{grid.VerifiedTrue, grid.VerifiedFalse, grid.VerifiedUnable}[w.rng.IntN(3)]
	m.OnSite = w.rng.IntN(2) == 0
	if w.rng.IntN(2) == 0 {
		m.Source, m.Evidence = "caretaker", "photo"
	}
	if len(w.units) > 0 {
		m.Unit = w.units[w.rng.IntN(len(w.units))].ID
	}
	m.Task = 1 + w.rng.IntN(3)
	if a := k.row.Asked; a != nil && w.rng.IntN(4) == 0 { // somebody waits for a second person
		m.Verb, m.By = a.Verb, grid.Actor{Role: grid.RoleSupervisor, Name: fmt.Sprint("sv", 1+w.rng.IntN(2))}
	}
	return m
}

// merge gives the episodes of a ticket to another of its kind.
func (w *world) merge(k *work, m grid.Move) {
	into := w.works[w.rng.IntN(len(w.works))]
	if into == k || into.row.Priority > k.row.Priority || into.row.Type != k.row.Type {
		return
	}
	m.Into = into.row.ID
	err := w.apply(k, m)
	if w.twin.says(k, m, err); err != nil {
		return
	}
	w.n.merged++
	for _, ep := range k.episodes {
		if ep.Ticket != k.row.ID {
			continue // it has joined a newer one
		}
		into.apart[ep.ID] = k.apart[ep.ID]
		w.join(into, ep)
	}
	for place, o := range w.atPlace {
		if o == k {
			w.atPlace[place] = into
		}
	}
}

// split takes an episode out of a ticket.
func (w *world) split(k *work, m grid.Move) {
	i := w.rng.IntN(len(k.episodes))
	ep := k.episodes[i]
	if ep.Ticket != k.row.ID {
		return
	}
	m.Alarm = ep.ID
	err := w.apply(k, m)
	if w.twin.says(k, m, err); err != nil {
		return
	}
	w.n.split++
	k.episodes = slices.Delete(slices.Clone(k.episodes), i, i+1)
	own := w.open(ep)
	own.apart[ep.ID] = true
	if own.row.State.Ended() || ep.Ticket != own.row.ID {
		w.fail("the episode %s that was split off has no work of its own", ep.ID)
	}
}

// windDown: when all is well again everything comes to its end.
func (w *world) windDown() {
	for _, s := range w.spots {
		s.dead, s.says = false, false
	}
	for range 60 {
		for _, s := range w.spots {
			w.hear(s, false, w.now)
		}
		for _, k := range slices.Clone(w.works) {
			w.bringHome(k)
		}
		w.pass(10 * time.Minute)
		if len(w.works) == 0 && !slices.ContainsFunc(w.spots, func(s *spot) bool { return s.ep != nil && s.ep.Active }) {
			return
		}
	}
	for _, k := range w.works {
		w.fail("%s does not end: %+v", k.row.ID, k.row)
	}
	for _, s := range w.spots {
		if s.ep != nil && s.ep.Active {
			w.fail("%s does not end", s.row.ID)
		}
	}
}

// bringHome does what is left to do on a ticket.
func (w *world) bringHome(k *work) {
	op := grid.Actor{Role: grid.RoleSupervisor, Name: "sv1"}
	m := grid.Move{By: op, Reason: "all is well", Source: "caretaker", Evidence: "photo", OnSite: true}
	for range 6 {
		switch k.row.State {
		case grid.TicketFiled, grid.TicketReturned:
			if len(w.units) == 0 {
				m.Verb = grid.VerbCancel
			} else {
				m.Verb, m.Unit = grid.VerbAssign, w.units[0].ID
			}
		case grid.TicketDispatched:
			m.Verb = grid.VerbAccept
		case grid.TicketAccepted:
			m.Verb = grid.VerbArrive
		case grid.TicketSuspended:
			m.Verb = grid.VerbResume
		case grid.TicketInProgress:
			m.Verb = grid.VerbResolve
		case grid.TicketChecking:
			m.Verb = grid.VerbConfirm
		default:
			return
		}
		err := w.apply(k, m)
		if w.twin.says(k, m, err); err != nil || m.Verb == grid.VerbConfirm {
			return
		}
	}
}
