package engine

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/ticket"
)

// The model: packages alarm and ticket put together in the plainest way, without disk,
// caches or goroutines, under random readings, repeats, overtakings, silence, restarts,
// jumps of the clock, and moves of units and people. After each step what came of it is
// held against rules that are worked out anew from what was said (model_rules_test.go).
//
// GRIDGATE_ENGINE_SEED=n begins with world n; a failure names the world and its step.

const (
	modelSteps = 1_000_000
	worldSteps = 2_000
)

func TestAMillionStepsOfTheModelKeepTheRules(t *testing.T) {
	want := modelSteps
	if testing.Short() {
		want /= 20
	}
	total := &tally{}
	rules, plans := testRules(t)
	for seed := seedOf(t); total.steps < want; seed++ {
		w := newWorld(t, seed, rules, plans, total)
		for w.at = 0; w.at < worldSteps; w.at++ {
			w.step()
		}
		w.windDown()
	}
	t.Logf("%+v", *total)
	total.wild(t, want)
}

// tally counts what happened, to see that something did.
type tally struct {
	steps, raised, rejoined, cleared, confirmed, joined, opened, closed, byWord, reworked, fireCalled, held,
	restarts, moves, refused, merged, split, forced, cancelled, suspended, lifted, duplicates int
}

func (n *tally) wild(t *testing.T, steps int) {
	t.Helper()
	least := steps / 2000
	for what, got := range map[string]int{
		"raised": n.raised, "rejoined": n.rejoined, "confirmed": n.confirmed, "joined": n.joined, "closed": n.closed, "reworked": n.reworked,
		"fire units called": n.fireCalled, "refused": n.refused, "restarts": n.restarts,
	} {
		if got < least {
			t.Errorf("the walk is too tame to show anything: %d %s", got, what)
		}
	}
	for what, got := range map[string]int{
		"merged": n.merged, "split": n.split, "forced": n.forced, "cancelled": n.cancelled, "suspended": n.suspended,
		"lifted": n.lifted, "closed by word": n.byWord, "held back from tier 3": n.held,
	} {
		if got < least/20 {
			t.Errorf("the walk is too tame to show anything: %d %s", got, what)
		}
	}
}

// world is a few buildings, lanes, manholes and doors, and what people do about them.
type world struct {
	t       testing.TB
	seed    uint64
	at      int // step
	rng     *rand.Rand
	now     time.Time
	rules   *alarm.Rules
	plans   *ticket.Plans
	units   []grid.Unit
	spots   []*spot
	works   []*work // open ones
	byID    map[string]*work
	atPlace map[string]*work // the ticket of the newest incident of a place
	down    []alarm.Span
	ids     int
	n       *tally
	log     []string
	pointOf map[string]string // of each episode
	twin    *twin             // the real engine, which is told the same; nil: none
}

// spot is a point with one condition.
type spot struct {
	row      grid.Point
	rule     *alarm.Rule
	interval time.Duration
	in       alarm.Input
	ep       *grid.Alarm // the newest
	wake     time.Time
	says     bool // what its sensor sees
	dead     bool // it says nothing any more
	plain    plain
}

// work is a ticket and what belongs to it.
type work struct {
	row      grid.Ticket
	plan     *ticket.Plan
	episodes []*grid.Alarm
	wake     time.Time
	lines    []grid.MoveRecord
	apart    map[string]bool // episodes that a person split off
}

func newWorld(t testing.TB, seed uint64, rules *alarm.Rules, plans *ticket.Plans, n *tally) *world {
	w := &world{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 17)), now: rigStart, rules: rules, plans: plans, n: n,
		byID: map[string]*work{}, atPlace: map[string]*work{}, pointOf: map[string]string{},
	}
	for i, k := range []grid.UnitKind{grid.FireUnit, grid.MicroStation, grid.UrbanManagement, grid.Utility, grid.Property, grid.Committee, grid.Maintenance} {
		u := grid.Unit{ID: "u-" + string(k), Name: string(k), Kind: k, Tier: 1 + i%3, Mode: grid.Simulated}
		if k == grid.FireUnit {
			u.Entry, u.Tier = []string{"auto", "auto", "confirmed_only", ""}[w.rng.IntN(4)], 3
		}
		if w.rng.IntN(12) > 0 {
			w.units = append(w.units, u)
		}
	}
	for i := range 9 {
		w.place(grid.Smoke, grid.EventSmokeAlarm, "", i/3, time.Duration(1+i%3*30)*time.Minute)
	}
	for i := range 2 {
		w.place(grid.Manhole, grid.EventManholeOpen, "", 3+i, 20*time.Second)
		w.place(grid.Parking, grid.EventFireLaneBlocked, "fire_lane", i, time.Hour)
		w.place(grid.Door, grid.EventDoorHeldOpen, "", 5, 5*time.Minute)
	}
	return w
}

func (w *world) place(kind grid.Kind, typ grid.EventType, set string, building int, interval time.Duration) {
	s := &spot{interval: interval}
	s.row = grid.Point{
		ID: fmt.Sprintf("%s%d", kind, len(w.spots)), Kind: kind, Scope: rigScope, Mode: grid.Simulated,
		Building: fmt.Sprint("b", building), Cell: fmt.Sprint("c", building/2),
	}
	for _, r := range must[[]*alarm.Rule](w.t)(w.rules.For(set, kind)) {
		if r.Type == typ {
			s.rule = r
		}
	}
	w.spots = append(w.spots, s)
}

func (w *world) id(what string) string {
	w.ids++
	return fmt.Sprintf("%s%d", what, w.ids)
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	tail := w.log[max(0, len(w.log)-40):]
	for _, l := range tail {
		w.t.Log(l)
	}
	w.t.Fatalf("%s=%d, step %d, %s: %s", seedEnv, w.seed, w.at, w.now.Format(time.DateTime), fmt.Sprintf(format, args...))
}

func (w *world) note(format string, args ...any) {
	if len(w.log) > 400 {
		w.log = append(w.log[:0], w.log[200:]...)
	}
	w.log = append(w.log, w.now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

// step does one thing at random.
func (w *world) step() {
	w.n.steps++
	s := w.spots[w.rng.IntN(len(w.spots))]
	switch n := w.rng.IntN(100); {
	case n < 34:
		if w.rng.IntN(4) == 0 {
			s.says = !s.says
		}
		w.hear(s, s.says, w.now)
	case n < 38:
		w.again(s)
	case n < 41: // overtaken on its way by what was heard just now
		w.hear(s, s.says, w.now)
		w.hear(s, w.rng.IntN(2) == 0, w.now.Add(-time.Duration(1+w.rng.IntN(100))*time.Second))
	case n < 42:
		s.dead = !s.dead && w.rng.IntN(2) == 0
	case n < 60:
		w.pass(time.Duration(1+w.rng.IntN(30)) * time.Second)
	case n < 65:
		w.pass(time.Duration(1+w.rng.IntN(20)) * time.Minute)
	case n < 66:
		w.pass(time.Duration(1+w.rng.IntN(8)) * time.Hour)
	case n < 67:
		w.restart(time.Duration(w.rng.IntN(1200)) * time.Second)
	default:
		w.move()
	}
}

// hear takes a reading. One that was received before the newest changes nothing.
func (w *world) hear(s *spot, is bool, received time.Time) {
	if s.dead || s.in.Heard.IsZero() && received.Before(rigStart) {
		return
	}
	w.note("%s says %v, received %s", s.row.ID, is, received.Format("15:04:05"))
	w.twin.heard(s, is, received)
	before := s.in
	if ep := s.ep; is && s.in.Abnormal && ep != nil && !ep.Active && ep.Returned.Equal(alarm.EndedAt(ep, s.in)) && !received.Before(s.in.Heard) {
		s.in = alarm.Input{} // a person ended the episode: a new phase
	}
	s.in = s.in.Hear(is, received)
	s.plain.hear(w, s, is, received)
	if received.Before(before.Heard) && s.in != before {
		w.fail("a reading that was overtaken moved %s from %+v to %+v", s.row.ID, before, s.in)
	}
	w.judge(s)
	if s.rule.Type == grid.EventSmokeAlarm && s.in.Abnormal && s.in.Heard.Equal(w.now) && !s.ep.Active {
		w.fail("smoke at %s, and no alarm at the very frame", s.row.ID)
	}
}

// again is the same reading once more, in the same instant: nothing comes of it.
func (w *world) again(s *spot) {
	if s.in.Heard.IsZero() || s.dead {
		return
	}
	w.hear(s, s.in.Abnormal, w.now)
	ids, moves := w.ids, 0
	for _, k := range w.works {
		moves += k.row.Moves
	}
	w.hear(s, s.in.Abnormal, w.now)
	for _, k := range w.works {
		moves -= k.row.Moves
	}
	if w.n.duplicates++; ids != w.ids || moves != 0 {
		w.fail("%s said the same twice, and %d rows, %d lines more came of it", s.row.ID, w.ids-ids, -moves)
	}
}

// pass lets time pass, perhaps in one jump, and does what has come due.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.twin.passed(d)
	w.due()
}

func (w *world) due() {
	for range 20 {
		quiet := true
		for _, k := range slices.Clone(w.works) {
			if !k.wake.IsZero() && !k.wake.After(w.now) {
				quiet = false
				w.tick(k)
			}
		}
		for s := w.nextDue(); s != nil; s = w.nextDue() {
			s.wake, quiet = time.Time{}, false
			w.judge(s)
		}
		if quiet {
			w.allRules()
			return
		}
	}
	w.fail("timers never come to rest")
}

// nextDue is the spot whose timer is the longest overdue.
func (w *world) nextDue() (next *spot) {
	for _, s := range w.spots {
		if !s.wake.IsZero() && !s.wake.After(w.now) && (next == nil || s.wake.Before(next.wake)) {
			next = s
		}
	}
	return next
}

func (w *world) tick(k *work) {
	before := k.row
	r, _ := ticket.Tick(&k.row, k.plan, w.now, w.context(k))
	w.took(k, before, r)
	again, next := ticket.Tick(&k.row, k.plan, w.now, w.context(k))
	if again.Changed || !next.IsZero() && !next.After(w.now) {
		w.fail("a second tick at one moment changes %s, or is due at once: %+v, next %s", k.row.ID, again, next)
	}
	w.check(k)
}

// restart takes everything through its stored form, after a time in which nobody heard.
func (w *world) restart(away time.Duration) {
	w.n.restarts++
	if w.twin != nil {
		away = 0 // with an interval of grace after it, nothing would be concluded for a month
	}
	w.note("restart after %s", away)
	w.twin.restarted()
	for _, k := range w.byID {
		raw := must[[]byte](w.t)(json.Marshal(k.row))
		k.row = grid.Ticket{}
		if err := json.Unmarshal(raw, &k.row); err != nil {
			w.fail("%v", err)
		}
	}
	if away > time.Second {
		w.down = append(w.down, alarm.Span{From: w.now, To: w.now.Add(away)})
	}
	w.now = w.now.Add(away)
	for _, s := range w.spots {
		s.wake = w.now
	}
	for _, k := range w.works {
		k.wake = w.now
	}
	w.due()
}

func (w *world) deaf(s *spot) []alarm.Span { return alarm.WithGrace(w.down, s.interval) }

// judge asks what the condition of a spot calls for now, and does it.
func (w *world) judge(s *spot) {
	step := alarm.Next(s.rule, s.in, s.ep, w.now, w.deaf(s)...)
	s.plain.settle(w, s)
	switch step.Action {
	case alarm.Raise:
		w.raise(s)
	case alarm.Rejoin:
		w.cameBack(s)
	case alarm.Clear:
		w.n.cleared++
		*s.ep = alarm.Cleared(*s.ep, s.in)
	}
	s.wake = step.Wake
	if step.Action != alarm.None {
		w.note("%s: %s", s.row.ID, step.Action)
		if next := alarm.Next(s.rule, s.in, s.ep, w.now, w.deaf(s)...); next.Action != alarm.None {
			w.fail("%s: %s, and then at once %s", s.row.ID, step.Action, next.Action)
		}
		s.wake = alarm.Next(s.rule, s.in, s.ep, w.now, w.deaf(s)...).Wake
	}
	s.plain.agrees(w, s)
	for _, k := range slices.Clone(w.works) {
		if slices.ContainsFunc(k.episodes, func(ep *grid.Alarm) bool { return ep.Point == s.row.ID }) {
			w.check(k)
		}
	}
}

// believeNow looks again at fires that were not believed by one detector.
func (w *world) believeNow(ep *grid.Alarm) {
	for _, k := range w.works {
		if w.context(k).Second && slices.ContainsFunc(k.episodes, func(o *grid.Alarm) bool { return o.Building == ep.Building }) {
			k.wake = w.now
		}
	}
}

func (w *world) raise(s *spot) {
	w.n.raised++
	ep := new(grid.Alarm)
	*ep = alarm.Opened(s.rule, w.id("a"), s.row, "", w.now, w.now, s.ep)
	s.ep = ep
	w.pointOf[ep.ID] = ep.Point
	w.believeNow(ep)
	g := w.rules.Group(ep.Type)
	if g == nil {
		w.open(ep)
		w.lift(ep)
		return
	}
	k := w.atPlace[g.By.Place(ep)]
	if k == nil || k.row.State.Ended() {
		w.atPlace[g.By.Place(ep)] = w.open(ep)
	} else {
		w.join(k, ep)
		w.confirm(g, k, ep)
	}
	w.lift(ep)
}

func (w *world) open(ep *grid.Alarm) *work {
	w.n.opened++
	o := ticket.Opening{
		ID: w.id("t"), Type: ep.Type, Priority: ep.Priority, Mode: ep.Mode, Scope: ep.Scope, Cell: ep.Cell, Point: ep.Point, Alarm: ep.ID, At: w.now,
	}
	if ep.Type == grid.EventSmokeAlarm && w.twin == nil && w.rng.IntN(15) == 0 {
		o.Suspect = "3 false alarms within 24h"
	}
	k := &work{plan: must[*ticket.Plan](w.t)(w.plans.For(ep.Type)), apart: map[string]bool{}}
	row, r := ticket.Open(o, k.plan, w.units)
	k.row, k.episodes = row, []*grid.Alarm{ep}
	ep.Ticket = row.ID
	w.byID[row.ID], w.works = k, append(w.works, k)
	w.took(k, grid.Ticket{}, r)
	return k
}

func (w *world) join(k *work, ep *grid.Alarm) {
	w.n.joined++
	before := k.row
	ep.Ticket = k.row.ID
	if !slices.Contains(k.episodes, ep) {
		k.episodes = append(k.episodes, ep)
	}
	w.took(k, before, ticket.Join(&k.row, k.plan, grid.Member{Alarm: ep.ID, Type: ep.Type, Point: ep.Point, At: ep.Raised}, w.now, w.context(k)))
}

// confirm lets the detectors of a building be witnesses of one another.
func (w *world) confirm(g *alarm.Group, k *work, ep *grid.Alarm) {
	var when []time.Time
	for _, o := range k.episodes {
		if o.Point != ep.Point && o.Building == ep.Building && o.Type == ep.Type {
			at := o.Raised
			if s := w.spotOf(o); o.Active && s.in.Abnormal && s.in.Since.After(at) {
				at = s.in.Since
			}
			when = append(when, at)
		}
	}
	if !g.Confirm.Confirms(when, w.now) || k.row.Verification == grid.VerifiedTrue {
		return
	}
	w.n.confirmed++
	w.apply(k, grid.Move{Verb: grid.VerbVerify, Finding: grid.VerifiedTrue, By: grid.Actor{Role: grid.RoleSystem, Name: "sensor"}, Reason: "two detectors"})
}

func (w *world) spotOf(ep *grid.Alarm) *spot {
	return w.spots[slices.IndexFunc(w.spots, func(s *spot) bool { return s.row.ID == ep.Point })]
}

// lift raises a blocked lane to P1 while there is smoke in its cell.
func (w *world) lift(ep *grid.Alarm) {
	smoke := func(cell string) bool {
		return slices.ContainsFunc(w.spots, func(s *spot) bool {
			return s.rule.Type == grid.EventSmokeAlarm && s.ep != nil && s.ep.Active && s.row.Cell == cell
		})
	}
	for _, s := range w.spots {
		if l := s.ep; s.rule.Type == grid.EventFireLaneBlocked && l != nil && l.Active && l.Priority > 1 && smoke(l.Cell) {
			w.n.lifted++
			l.Priority = 1
			if k := w.byID[l.Ticket]; k != nil {
				before := k.row
				w.took(k, before, ticket.Raise(&k.row, k.plan, 1, "smoke in the cell", w.now, w.context(k)))
			}
		}
	}
}

// cameBack goes on with an episode within its re-alarm window.
func (w *world) cameBack(s *spot) {
	k := w.byID[s.ep.Ticket]
	if k.row.State.Ended() && k.row.State != grid.TicketClosed {
		w.raise(s)
		return
	}
	w.n.rejoined++
	*s.ep = alarm.Rejoined(*s.ep)
	w.believeNow(s.ep)
	w.lift(s.ep)
	g := w.rules.Group(s.ep.Type)
	if g != nil && !k.apart[s.ep.ID] {
		place := g.By.Place(s.ep)
		if other := w.atPlace[place]; other != nil && other != k && !other.row.State.Ended() {
			w.join(other, s.ep)
			w.confirm(g, other, s.ep)
			return
		}
		w.atPlace[place] = k
	}
	before := k.row
	r, ok := ticket.Rejoin(&k.row, k.plan, w.now, w.context(k))
	if !ok {
		w.fail("episode %s goes on and its ticket %s does not", s.ep.ID, k.row.State)
	}
	if before.State.Ended() {
		w.works = append(w.works, k)
	}
	w.took(k, before, r)
	if g != nil && !k.apart[s.ep.ID] {
		w.confirm(g, k, s.ep)
	}
}

func (w *world) context(k *work) ticket.Context {
	c := ticket.Context{Units: w.units}
	burning := map[string]int{}
	for _, s := range w.spots {
		if s.rule.Type == grid.EventSmokeAlarm && s.ep != nil && s.ep.Active {
			burning[s.row.Building]++
		}
	}
	for _, ep := range k.episodes {
		c.Active = c.Active || ep.Active
		c.Second = c.Second || k.row.Type == grid.EventSmokeAlarm && burning[ep.Building] > 1
		c.Episodes = append(c.Episodes, ep.ID)
	}
	return c
}

// check asks the sensors of a ticket that is reported done.
func (w *world) check(k *work) {
	if k.row.State != grid.TicketChecking {
		return
	}
	before, v := k.row, ticket.Verdict{}
	var wake time.Time
	if need, asked := k.plan.SensorNormal(); asked {
		v.Pass = true
		for _, ep := range k.episodes {
			s := w.spotOf(ep)
			pass, abnormal, next := alarm.Watch(need, s.interval, k.row.Resolved, s.in, w.now, w.down...)
			v.Pass, v.Abnormal = v.Pass && pass, v.Abnormal || abnormal
			if !next.IsZero() && (wake.IsZero() || next.Before(wake)) {
				wake = next
			}
		}
	}
	w.took(k, before, ticket.Check(&k.row, k.plan, v, w.now, w.context(k)))
	if k.row.State == grid.TicketChecking && !wake.IsZero() && (k.wake.IsZero() || wake.Before(k.wake)) {
		k.wake = wake
		if !wake.After(w.now) {
			k.wake = w.now.Add(time.Second)
		}
	}
}

// took is told of everything that changed a ticket.
func (w *world) took(k *work, before grid.Ticket, r ticket.Result) {
	k.wake = r.Wake
	w.ticketRules(k, before, &r)
	k.lines = append(k.lines, r.Moves...)
	for _, l := range r.Moves {
		w.note("%s: %s %s by %s: %s %s", k.row.ID, l.Verb, l.Step(), l.By.Name, l.Reason, l.Detail)
	}
	if k.row.Rework > before.Rework {
		w.n.reworked++
	}
	if !k.row.State.Ended() {
		return
	}
	if k.row.State == grid.TicketClosed && !before.State.Ended() {
		w.n.closed++
		w.endedToo(k)
	}
	w.works = slices.DeleteFunc(w.works, func(o *work) bool { return o == k })
	k.wake = time.Time{}
}

// endedToo ends the alarms of a closed ticket: of sensors that are normal, and of those that
// could not tell.
func (w *world) endedToo(k *work) {
	for _, ep := range k.episodes {
		s := w.spotOf(ep)
		if !ep.Active {
			continue
		}
		in := s.in
		if in.Abnormal {
			w.n.byWord++
			over := alarm.EndedAt(ep, in)
			in = alarm.Input{Since: over, Heard: over}
			s.plain.muted = true
		}
		*ep = alarm.Cleared(*ep, in)
		s.plain.active, s.plain.returned = false, later(in.Since, s.plain.raised)
	}
}
