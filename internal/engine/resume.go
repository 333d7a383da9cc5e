package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// After a start the soft state is brought up from the checkpoint to the cursors: by the
// frames in between, once more and with effects off, and by the quarantined frames that
// were replayed in between, which stand at no place of their own in the journal.

// replaySoft reads the frames between checkpoint and cursor.
func (e *Engine) replaySoft(ctx context.Context, from cursors) error {
	for lane := range from {
		seq, upTo := from[lane].Seq, e.cursors[lane].Seq
		steps := e.takeBack(grid.Lane(lane), from[lane])
		if seq >= upTo {
			e.stepOn(grid.Lane(lane), steps, grid.Pos{})
			continue
		}
		held, err := e.heldAfter(ctx, grid.Lane(lane), seq)
		if err != nil {
			return err
		}
		b := e.begin(e.Now())
		for seq < upTo {
			frames, err := e.journal.Next(ctx, grid.Lane(lane), seq, 1024)
			if err != nil {
				return fmt.Errorf("replay of the %s lane after %d: %w", grid.Lane(lane), seq, err)
			}
			for i := range frames {
				if seq = frames[i].Pos.Seq; seq > upTo {
					break
				}
				steps = e.stepOn(grid.Lane(lane), steps, frames[i].Pos)
				b.resume(&frames[i], nil, held[frames[i].Pos])
			}
		}
		e.stepOn(grid.Lane(lane), steps, grid.Pos{})
	}
	return nil
}

// heldAfter are the frames that went into quarantine: they moved nothing then, though
// today their device may be known.
func (e *Engine) heldAfter(ctx context.Context, lane grid.Lane, seq uint64) (map[grid.Pos]bool, error) {
	all, err := e.store.HeldAfter(ctx, lane, seq)
	if err != nil {
		return nil, err
	}
	held := make(map[grid.Pos]bool, len(all))
	for _, pos := range all {
		held[pos] = true
	}
	return held, nil
}

// resume moves only the soft state: what the frame led to is stored already.
func (b *batch) resume(f *grid.Frame, q *grid.QuarantinedFrame, held bool) {
	e := b.e
	b.quiet = true
	b.because(f.Pos.String(), f.Received)
	culprit := b.safely(func() {
		if held {
			if f.Identity != "" {
				source, _ := e.paths.of(f)
				b.heardPath(source, source, f.Received)
			}
			return
		}
		d := &decoded{frame: *f}
		e.dec.decode(d)
		b.settle(d, q)
	})
	if culprit != "" {
		e.log.Error("frame left out of the soft state", "frame", f.Pos.String(), "err", firstLine(culprit))
	}
	for i := len(b.undo) - 1; i >= 0; i-- { // everything but the soft state is thrown away
		b.undo[i]()
	}
	b.undo, b.after, b.rows, b.series = b.undo[:0], b.after[:0], state.Batch{}, b.series[:0]
	b.alarms, b.tickets, b.deliveries = b.alarms[:0], b.tickets[:0], b.deliveries[:0]
	b.incidents, b.downlinks = b.incidents[:0], b.downlinks[:0]
	e.soft.forget()
	e.dropEnded(nil)
	clear(e.replayed)
}

// replays remember which frames of the quarantine were replayed since the last
// checkpoint: the journal does not tell.
type replays struct {
	ids  []string
	done bool // the checkpoint has them; the stored list is to be emptied
}

const metaReplayed = "engine.replayed" // quarantine ids, as JSON

// replayedToo adds to the replays, in the transaction of their effects, and asks for a
// checkpoint.
func (b *batch) replayedToo(ids []string) {
	e := b.e
	old := e.replays
	e.replays = replays{ids: append(old.ids[:len(old.ids):len(old.ids)], ids...)}
	b.undo = append(b.undo, func() { e.replays = old })
	raw, err := json.Marshal(e.replays.ids)
	if err != nil { // they are texts
		panic(err)
	}
	b.putMeta(metaReplayed, string(raw))
	b.after = append(b.after, func() { e.lastSaved = time.Time{} })
}

// emptyReplays takes back what the checkpoint has.
func (b *batch) emptyReplays() {
	if e := b.e; e.replays.done {
		e.replays = replays{}
		b.undo = append(b.undo, func() { e.replays.done = true })
		b.putMeta(metaReplayed, "")
	}
}

// replayAgain brings in what was replayed since the checkpoint. Older readings change
// nothing, so doing it twice is doing it once.
func (e *Engine) replayAgain(ctx context.Context, stored string) error {
	if stored == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(stored), &e.replays.ids); err != nil {
		return fmt.Errorf("stored replays are %.40q: %w", stored, err)
	}
	var frames []grid.QuarantinedFrame
	for _, id := range e.replays.ids {
		q, err := e.store.Quarantined(ctx, id)
		if grid.CodeOf(err) == grid.NotFound {
			continue // pruned since
		}
		if err != nil {
			return fmt.Errorf("replay of %s: %w", id, err)
		}
		frames = append(frames, q)
	}
	oldestFirst(frames)
	b := e.begin(e.Now())
	for i := range frames {
		b.resume(&frames[i].Frame, &frames[i], false)
	}
	return nil
}
