package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/duty"
	"gridgate/internal/grid"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// Our own clock may be set while we run: by a time service that comes late, by hours or days. No
// time has passed then. What runs for a time has as much left as before, and what was not heard in
// the hours that never were is nobody's silence. That it was set is a fact like any other: a span
// and the moved deadlines stand in one transaction, before anything is judged by the new time.
// Moments that people have named (the end of a permit, of a suspension) stay, and frames keep what
// they said. docs/decisions/011-a-clock-that-is-set.md.

// setLeast is how far our clock is set at the least for us to take it so. A time service slews less.
const setLeast = 10 * time.Second

// clockSource is the source of spans that our clock has skipped. No transport has that name.
const clockSource = "clock set"

// glance is what our clock and the one that nobody sets said when they were last looked at.
type glance struct {
	wall   time.Time
	passed time.Duration
}

// look tells the time, and by how much our clock was set since the turn began; 0: not worth a word.
func (e *Engine) look() (now time.Time, by time.Duration, p glance) {
	if e.Watch == nil {
		return e.Now(), 0, p
	}
	now, p.passed = e.Watch()
	p.wall = now.Round(0)
	if by = p.wall.Sub(e.lastLook.wall) - (p.passed - e.lastLook.passed); by.Abs() < setLeast || e.lastLook.wall.IsZero() {
		by = 0
	}
	return now, by, p
}

// minded takes a turn, once it was looked whether our clock was set.
func (e *Engine) minded(ctx context.Context, t *turn) error {
	now, by, p := e.look()
	if by != 0 {
		if err := e.clockSet(ctx, now.Round(0).UTC(), by); err != nil {
			return err
		}
	}
	e.lastLook = p
	return e.take(ctx, t)
}

// clockSet makes it a fact that our clock was set to now.
func (e *Engine) clockSet(ctx context.Context, now time.Time, by time.Duration) error {
	e.log.Warn("clock was set, what runs for a time goes on where it stood", "in", by)
	return e.commitOne(ctx, func() *batch {
		b := e.begin(now)
		b.because("clock/"+strconv.FormatInt(now.UnixNano(), 10), now)
		m := b.mark()
		if culprit := b.safely(func() { b.clockSet(now.Add(-by), now) }); culprit != "" {
			b.rollback(m)
			e.log.Error("engine failed on a clock that was set, deadlines stay as they were", "err", culprit)
		}
		return b
	})
}

func (b *batch) clockSet(from, to time.Time) {
	e := b.e
	if by := to.Sub(from); by > 0 {
		b.addDown(state.DownSpan{Source: clockSource, From: from, To: to})
	}
	b.audit("clock.set", "engine", grid.Actor{Role: grid.RoleSystem, Name: "clock"}, nil)
	row := &b.rows.Audit[len(b.rows.Audit)-1]
	row.Scope, row.Detail = e.home, fmt.Sprintf("from %s to %s, by %s", from.Format(time.RFC3339), to.Format(time.RFC3339), to.Sub(from).Round(time.Second))
	for _, id := range slices.Sorted(maps.Keys(e.tickets)) {
		b.moveTicket(id, from, to)
	}
	for _, id := range slices.Sorted(maps.Keys(e.alarms)) {
		b.moveAlarm(id, to.Sub(from))
	}
	for _, id := range slices.Sorted(maps.Keys(e.windows.all)) {
		b.moveSession(id, to.Sub(from))
	}
	b.moveSeats(to)
	for _, id := range slices.Sorted(maps.Keys(e.failovers.at)) {
		b.setFailover(id, moved(e.failovers.at[id], to.Sub(from)))
	}
	for _, key := range slices.Sorted(maps.Keys(e.visits.due.at)) {
		b.wakeVisit(key, moved(e.visits.due.at[key], to.Sub(from)))
	}
}

// moved is a deadline by the clock as it is now: what the clock that nobody sets said of it is
// taken off, or it would be moved twice.
func moved(at time.Time, by time.Duration) time.Time {
	if at.IsZero() {
		return at
	}
	return at.Round(0).Add(by)
}

// moveTicket moves the clocks and calls of a ticket.
func (b *batch) moveTicket(id string, from, to time.Time) {
	t := b.e.tickets[id]
	plan, err := b.e.Plans.For(t.Type)
	if err != nil || t.State.Ended() {
		return
	}
	row := b.changeTicket(id)
	b.ticketChanged(row, ticket.ClockSet(row, plan, from, to, b.e.context(row)))
	b.check(id)
}

// moveAlarm moves what waits for a person: an acknowledgement's end, a question's, the steps for
// an alarm that nobody has taken.
func (b *batch) moveAlarm(id string, by time.Duration) {
	a := b.e.alarms[id]
	acked, asked, untaken := !alarm.AckExpires(a).IsZero(), a.Cover != nil && a.Cover.State == grid.CoverAsked, a.Untaken != nil && b.e.Duty != nil
	if !acked && !asked && !untaken {
		return
	}
	row := b.changeAlarm(id)
	row.Revision++
	if acked {
		row.AckUntil = moved(row.AckUntil, by)
		b.wakeAck(id, row.AckUntil)
	}
	if asked {
		c := *row.Cover
		c.Due = moved(c.Due, by)
		row.Cover = &c
		b.wakeWindow(coverDue+id, c.Due)
	}
	if untaken {
		u := *row.Untaken
		u.Since = moved(u.Since, by)
		row.Untaken = &u
		if step, _ := b.e.Duty.Next(row.Untaken, b.e.inSight(row)); step != duty.None {
			b.wakeUntaken(row)
		}
	}
}

// moveSession moves a technician's window, which lasts for as long as he said and as he is there.
func (b *batch) moveSession(id string, by time.Duration) {
	if w := b.e.windows.all[id]; !w.Open() || w.Session == "" {
		return
	}
	row := b.changeWindow(id)
	row.From, row.To, row.Touched = moved(row.From, by), moved(row.To, by), moved(row.Touched, by)
	at, _ := alarm.WindowEnd(row, b.e.SessionSilent)
	b.wakeWindow(windowDue+id, at)
}

// moveSeats counts the silence of seats from now.
func (b *batch) moveSeats(now time.Time) {
	e := b.e
	old := e.seats.started
	e.seats.started = now
	b.undo = append(b.undo, func() { e.seats.started = old })
	for _, id := range slices.Sorted(maps.Keys(e.seats.all)) {
		if s := e.seats.all[id]; s.Watching && e.Duty != nil {
			b.wakeDuty(seatDue+id, e.silentAt(s))
		}
	}
}

// skipped are the spans that our clock has skipped: delays leave them out, whatever is watched.
func (e *Engine) skipped() (out []alarm.Span) {
	for _, s := range e.down {
		if s.Source == clockSource {
			out = append(out, alarm.Span{From: s.From, To: s.To})
		}
	}
	return out
}

// skippedSince is how far our clock was set forward since a moment.
func (e *Engine) skippedSince(at time.Time) (all time.Duration) {
	if at.IsZero() {
		return 0
	}
	for _, s := range e.skipped() {
		if s.To.After(at) {
			all += s.To.Sub(later(s.From, at))
		}
	}
	return all
}
