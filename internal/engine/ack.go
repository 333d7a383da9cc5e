package engine

import (
	"context"
	"fmt"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
)

// Acknowledgements: a person says that they know of an alarm. It stops calls and sounds,
// not the clocks, and holds for a time.

// Ack acknowledges an alarm: someone has seen it.
func (e *Engine) Ack(ctx context.Context, id, comment string, by grid.Actor) (grid.Alarm, error) {
	return as[grid.Alarm](e.do(ctx, &command{name: "ack", do: func(b *batch) (any, error) { return b.ack(id, comment, by) }}))
}

// AckAll acknowledges many at once. One that has changed since it was shown is left as it
// is: nobody acknowledges in passing what they have not seen.
func (e *Engine) AckAll(ctx context.Context, all []alarm.Seen, comment string, by grid.Actor) (alarm.AckedAll, error) {
	if len(all) == 0 || len(all) > alarm.MaxAck {
		return alarm.AckedAll{}, grid.Errorf(grid.Invalid, "%d alarms: want 1 to %d", len(all), alarm.MaxAck)
	}
	return as[alarm.AckedAll](e.do(ctx, &command{name: "ack", do: func(b *batch) (any, error) {
		out := alarm.AckedAll{Acked: []grid.Alarm{}, Refused: []alarm.Refused{}}
		for _, s := range all {
			if a := b.e.alarms[s.ID]; a != nil && a.Revision != s.Revision {
				out.Refused = append(out.Refused, alarm.Refused{ID: s.ID, Why: fmt.Sprintf("revision is %d and you have seen %d: look again", a.Revision, s.Revision)})
				continue
			}
			a, err := b.ack(s.ID, comment, by)
			if err != nil {
				out.Refused = append(out.Refused, alarm.Refused{ID: s.ID, Why: err.Error()})
				continue
			}
			out.Acked = append(out.Acked, a)
		}
		return out, nil
	}}))
}

// ack is done by a person: a unit answers for its ticket, and the clock for nothing. One
// that is acknowledged already stays as it is: who was first, and until when.
func (b *batch) ack(id, comment string, by grid.Actor) (grid.Alarm, error) {
	e := b.e
	old, ok := e.alarms[id]
	if !ok {
		return grid.Alarm{}, grid.Errorf(grid.NotFound, "alarm %s: not found among the active ones", id)
	}
	if by.Role != grid.RoleOperator && by.Role != grid.RoleSupervisor {
		return grid.Alarm{}, grid.Errorf(grid.Forbidden, "acknowledge of %s by %s: want a person, operator or supervisor", id, by.Role)
	}
	if old.Acked {
		return *old, nil
	}
	a := b.changeAlarm(id)
	*a = e.Rules.Acknowledge(*old, by.Name, comment, e.Now())
	b.wakeAck(id, alarm.AckExpires(a))
	b.told(a, "acknowledged", "by "+by.Name+after(": ", comment))
	b.audit("alarm.ack", id, by, a)
	b.rows.Audit[len(b.rows.Audit)-1].Detail = comment
	return *a, nil
}

// Comment adds a person's words to an alarm, whatever its state.
func (e *Engine) Comment(ctx context.Context, id, comment string, by grid.Actor) (grid.Alarm, error) {
	return as[grid.Alarm](e.do(ctx, &command{name: "comment", do: func(b *batch) (any, error) {
		if comment == "" {
			return nil, grid.Errorf(grid.Invalid, "comment is empty: want words")
		}
		if e.alarms[id] == nil {
			return nil, grid.Errorf(grid.NotFound, "alarm %s: not found among the active ones", id)
		}
		a := b.changeAlarm(id)
		a.Comment = comment
		b.told(a, "commented", "by "+by.Name+": "+comment)
		b.audit("alarm.comment", id, by, a)
		b.rows.Audit[len(b.rows.Audit)-1].Detail = comment
		return *a, nil
	}}))
}

func after(mark, words string) string {
	if words == "" {
		return ""
	}
	return mark + words
}

// told writes an event of what people did about an episode. It is no word of a sensor, and
// InfluxDB does not get it.
func (b *batch) told(a *grid.Alarm, action, detail string) {
	rule := b.e.Rules.Bare(a.Type)
	if rule == nil {
		return
	}
	ev := rule.Event(b.id(), action, a, b.now, b.now)
	ev.Detail = detail
	b.rows.Events = append(b.rows.Events, ev)
}

// wakeAck sets when the acknowledgement of an alarm expires.
func (b *batch) wakeAck(id string, at time.Time) {
	old := b.e.acks.at[id]
	b.e.acks.set(id, at)
	b.undo = append(b.undo, func() { b.e.acks.set(id, old) })
}

// expireAcks ends acknowledgements whose time is over, in real time: at once when overdue.
func (b *batch) expireAcks(wall time.Time) {
	e := b.e
	for range maxCommands {
		id, ok := e.acks.due(wall)
		if !ok {
			return
		}
		b.undo = append(b.undo, func() { e.acks.set(id, wall) })
		a := e.alarms[id]
		if a == nil {
			continue
		}
		until := alarm.AckExpires(a)
		switch {
		case until.IsZero(): // it is over, or was asked again
		case until.After(wall): // acknowledged anew
			b.wakeAck(id, until)
		case b.careful:
			b.expireAckCarefully(id, until, wall)
		default:
			b.expireAck(id, until, wall)
		}
	}
}

// expireAckCarefully is expireAck; one that panics is set to later.
func (b *batch) expireAckCarefully(id string, until, wall time.Time) {
	m := b.mark()
	culprit := b.safely(func() { b.expireAck(id, until, wall) })
	if culprit == "" {
		return
	}
	b.rollback(m)
	b.e.log.Error("engine failed on an acknowledgement, it is looked at later", "alarm", id, "err", culprit, "in", tryAgain)
	b.wakeAck(id, wall.Add(tryAgain))
}

func (b *batch) expireAck(id string, until, wall time.Time) {
	b.because(fmt.Sprintf("ack/%s/%d", id, until.UnixNano()), wall)
	a := b.changeAlarm(id)
	held := a.AckUntil.Sub(a.AckedAt)
	alarm.AskAgain(a)
	b.told(a, "unacknowledged", fmt.Sprintf("%s acknowledged it %s ago and it is still active", a.AckedBy, held))
}

// loadAcks sets the timers of acknowledgements: what is overdue expires in the first turn.
func (e *Engine) loadAcks() {
	for id, a := range e.alarms {
		e.acks.set(id, alarm.AckExpires(a))
	}
}
