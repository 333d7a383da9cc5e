package engine

import (
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Traces is told of the way of some frames, and of turns. Its calls must not block.
type Traces interface {
	Follows(p grid.Pos) bool // whose way is told; quick, and the same at each asking
	Now() time.Time          // by which it is told
	Decoded(p grid.Pos, began time.Time, profile string, readings int, well bool)
	Turn(t Turn)
}

// Turn is one that was committed.
type Turn struct {
	Began, Decided   time.Time // by the clock of Traces
	Frames, Commands int
	Followed         []grid.Pos // of the frames
	SeriesBytes      int
	Rows             *state.Batch
}

// traced is the time by which is told, if anybody is.
func (e *Engine) traced() time.Time {
	if e.Traces == nil {
		return time.Time{}
	}
	return e.Traces.Now()
}

// tellTurn tells a turn that did something.
func (e *Engine) tellTurn(t *turn, b *batch, began, decided time.Time) {
	if e.Traces == nil {
		return
	}
	told := Turn{Began: began, Decided: decided, Commands: len(t.cmds), SeriesBytes: len(b.series), Rows: &b.rows}
	for c, from := range t.from {
		told.Frames += c.next - from
		for i := from; i < c.next; i++ {
			if p := c.frames[i].frame.Pos; e.Traces.Follows(p) {
				told.Followed = append(told.Followed, p)
			}
		}
	}
	if told.Frames+told.Commands > 0 || len(b.rows.Events)+len(b.rows.Moves)+len(b.rows.Deliveries) > 0 {
		e.Traces.Turn(told)
	}
}

// decodeTold is decode, told of if somebody follows the frame.
func (dec *decoder) decodeTold(d *decoded) {
	if dec.traces == nil || !dec.traces.Follows(d.frame.Pos) {
		dec.decode(d)
		return
	}
	began := dec.traces.Now()
	dec.decode(d)
	dec.traces.Decoded(d.frame.Pos, began, d.profileID, len(d.out.Readings), d.envelopeErr == nil && d.decodeErr == nil && d.panicked == "")
}
