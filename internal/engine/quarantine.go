package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Frames in quarantine: processed again, or given up.

const (
	replayChunk   = 256              // quarantined frames that one command handles
	replayEndWait = 10 * time.Second // for the end of one that was broken off
)

// Replay processes quarantined frames again, oldest first, and says how many got through.
// They fill history and raise nothing for the past; a condition that is still active at
// the end is raised then.
func (e *Engine) Replay(ctx context.Context, ids []string, by grid.Actor) (int, error) {
	frames, err := e.waiting(ctx, ids)
	if err != nil {
		return 0, err
	}
	last := make(map[grid.Identity]string)
	for i := range frames {
		last[frames[i].Frame.Identity] = frames[i].ID
	}
	return e.replayAll(ctx, frames, newReplay(last, by))
}

// waiting gives those of some quarantined frames that still wait, oldest first.
func (e *Engine) waiting(ctx context.Context, ids []string) ([]grid.QuarantinedFrame, error) {
	frames := make([]grid.QuarantinedFrame, 0, len(ids))
	for _, id := range ids {
		q, err := e.store.Quarantined(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("replay of %s: %w", id, err)
		}
		if q.State == "waiting" {
			frames = append(frames, q)
		}
	}
	oldestFirst(frames)
	return frames, nil
}

// replay is a replay that goes on over many commands. What a frame says is judged only
// once the last frame of its device is through: what a later one ends is of the past.
type replay struct {
	by    grid.Actor
	last  map[grid.Identity]string // the last frame of each device
	heard map[grid.Identity]bool   // devices whose last frame is through
	open  map[registry.PointNo]*decoded
}

func newReplay(last map[grid.Identity]string, by grid.Actor) *replay {
	return &replay{by: by, last: last, heard: map[grid.Identity]bool{}, open: map[registry.PointNo]*decoded{}}
}

// replayAll hands frames to the state goroutine, in parts, and says how many got through.
// They are decoded here: it has no time for a slow codec.
func (e *Engine) replayAll(ctx context.Context, frames []grid.QuarantinedFrame, r *replay) (through int, err error) {
	for len(frames) > 0 {
		n := min(len(frames), replayChunk)
		part := frames[:n]
		frames = frames[n:]
		read := make([]decoded, n)
		for i := range part {
			read[i].frame = part[i].Frame
			e.dec.decode(&read[i])
		}
		got, err := as[int](e.do(ctx, &command{name: "replay", do: func(b *batch) (any, error) { return b.replay(part, read, r), nil }}))
		if err != nil {
			return through, errors.Join(err, e.replayEnds(ctx, r))
		}
		through += got
	}
	return through, nil
}

// replayEnds judges what a replay has left: it was broken off, or some of its frames were
// taken by another.
func (e *Engine) replayEnds(ctx context.Context, r *replay) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayEndWait)
	defer cancel()
	_, err := e.do(ctx, &command{name: "replay", do: func(b *batch) (any, error) {
		for id := range r.last {
			r.heard[id] = true
		}
		b.judgeReplayed(r)
		return nil, nil
	}})
	return err
}

func (b *batch) replay(frames []grid.QuarantinedFrame, read []decoded, r *replay) int {
	e := b.e
	clear(e.replayed)
	b.quiet = true
	var through []string
	for i := range frames {
		q := &frames[i]
		if r.last[q.Frame.Identity] == q.ID {
			r.heard[q.Frame.Identity] = true
		}
		if !b.waits(q.ID) {
			continue // another replay was quicker
		}
		b.because("replay/"+q.ID, q.Frame.Received)
		outcome := b.settle(&read[i], q)
		if outcome == grid.Quarantined {
			continue
		}
		through = append(through, q.ID)
		done := *q
		done.State, done.Detail = "replayed", q.Detail+"; replayed by "+r.by.Name
		b.rows.Quarantine = append(b.rows.Quarantine, done)
		if q.Whole {
			b.count(&q.Frame, grid.Quarantined, -1)
			b.count(&q.Frame, outcome, 1)
		}
	}
	b.quiet = false
	for pt, d := range e.replayed {
		set(b, r.open, pt, d)
	}
	clear(e.replayed)
	b.judgeReplayed(r)
	if len(through) > 0 {
		b.replayedToo(through)
	}
	return len(through)
}

// judgeReplayed raises what is still active at the points that were replayed.
func (b *batch) judgeReplayed(r *replay) {
	e := b.e
	for pt, d := range r.open {
		if !r.heard[d.frame.Identity] {
			continue
		}
		unset(b, r.open, pt)
		b.because("replayed/"+e.memory.PointAt(pt).ID+"/"+d.frame.Pos.String(), e.Now())
		for i := range e.soft.points[pt].conds {
			b.judge(pt, e.soft.points[pt].conds[i].rule, d)
		}
	}
}

// waits reports whether a quarantined frame still waits, now that it is our turn.
func (b *batch) waits(id string) bool {
	for i := range b.rows.Quarantine {
		if b.rows.Quarantine[i].ID == id {
			return false
		}
	}
	q, err := b.e.store.Quarantined(context.Background(), id)
	return err == nil && q.State == "waiting"
}

// Discard gives quarantined frames up: a person's decision, or a limit's.
func (e *Engine) Discard(ctx context.Context, ids []string, by grid.Actor, reason string) (int, error) {
	if reason == "" {
		return 0, grid.Errorf(grid.Invalid, "reason is empty: say why the frames are given up")
	}
	discarded := 0
	for part := range slices.Chunk(ids, replayChunk) {
		n, err := e.discard(ctx, part, by, reason)
		discarded += n
		if err != nil {
			return discarded, err
		}
	}
	return discarded, nil
}

func (e *Engine) discard(ctx context.Context, ids []string, by grid.Actor, reason string) (int, error) {
	frames := make([]grid.QuarantinedFrame, 0, len(ids))
	for _, id := range ids {
		q, err := e.store.Quarantined(ctx, id)
		if err != nil {
			return 0, fmt.Errorf("discard of %s: %w", id, err)
		}
		if q.State == "waiting" {
			frames = append(frames, q)
		}
	}
	return as[int](e.do(ctx, &command{name: "discard", do: func(b *batch) (any, error) {
		n := 0
		for i := range frames {
			q := frames[i]
			if !b.waits(q.ID) {
				continue
			}
			q.State, q.Detail = "discarded", q.Detail+"; discarded by "+by.Name+": "+reason
			b.rows.Quarantine = append(b.rows.Quarantine, q)
			if q.Whole {
				b.count(&q.Frame, grid.Quarantined, -1)
				b.count(&q.Frame, grid.Discarded, 1)
			}
			n++
		}
		return n, nil
	}}))
}

func oldestFirst(fs []grid.QuarantinedFrame) {
	slices.SortStableFunc(fs, func(a, b grid.QuarantinedFrame) int {
		return cmp.Or(a.Frame.Received.Compare(b.Frame.Received), cmp.Compare(a.Frame.Pos.Seq, b.Frame.Pos.Seq))
	})
}

// RejectedPoint keeps a point that InfluxDB will never take, with the server's reason.
func (e *Engine) RejectedPoint(ctx context.Context, line []byte, reason string) error {
	_, err := e.do(ctx, &command{name: "reject", key: "reject/" + grid.NewID(time.Time{}, string(line), 0), do: func(b *batch) (any, error) {
		b.rows.Quarantine = append(b.rows.Quarantine, grid.QuarantinedFrame{
			ID: b.id(), Reason: grid.RejectedPoint, Detail: reason, At: b.now, State: "waiting", Scope: e.home,
			Frame: grid.Frame{Transport: "influx", Received: b.now, Raw: line},
		})
		return nil, nil
	}})
	return err
}

// PruneQuarantine gives up the oldest frames beyond the quarantine's limits. The gateway
// calls it now and then.
func (e *Engine) PruneQuarantine(ctx context.Context) (int, error) {
	ids, err := e.store.QuarantineOverflow(ctx, e.QuarantineRows, e.QuarantineBytes)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return e.Discard(ctx, ids, grid.Actor{Role: grid.RoleSystem, Name: "limit"}, "the quarantine is full")
}
