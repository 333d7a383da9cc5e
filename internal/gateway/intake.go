package gateway

import (
	"context"
	"errors"

	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/trace"
)

// intake is the gateway's grid.Ingester: each frame into the journal, by its lane.
type intake struct {
	journal *journal.Log
	lane    func(grid.Identity) grid.Lane
	heard   func(grid.Identity) // told of what is durable
	refused func([]grid.Frame)  // told of safety frames that the disk did not take
	traces  *trace.Tracer       // nil: no collector is told
	stamps  bool                // frames are stamped by the machine's clock, as what is traced
}

// Ingest keeps the promise of grid.Ingester: the journal's answer is the acknowledgement.
// Frames of one call may go by both lanes; if one lane refuses, all are sent again, and
// the engine knows the repeats.
func (in *intake) Ingest(ctx context.Context, frames ...grid.Frame) error {
	if len(frames) == 0 {
		return nil
	}
	first := in.lane(frames[0].Identity)
	for i := 1; i < len(frames); i++ {
		if in.lane(frames[i].Identity) != first {
			return in.both(ctx, frames)
		}
	}
	return in.append(ctx, first, frames)
}

// both appends to both lanes, smoke first.
func (in *intake) both(ctx context.Context, frames []grid.Frame) error {
	var lanes [grid.Lanes][]grid.Frame
	for _, f := range frames {
		l := in.lane(f.Identity)
		lanes[l] = append(lanes[l], f)
	}
	for l, part := range lanes {
		if len(part) == 0 {
			continue
		}
		if err := in.append(ctx, grid.Lane(l), part); err != nil {
			return err
		}
	}
	return nil
}

// append stores frames, and has what waits for their devices sent now. A retained message
// says nothing of the device now.
func (in *intake) append(ctx context.Context, lane grid.Lane, frames []grid.Frame) error {
	began := in.traces.Now()
	if err := in.journal.Append(ctx, lane, frames); err != nil {
		if lane == grid.Safety && errors.Is(err, journal.ErrDiskFull) {
			in.refused(frames)
		}
		return err
	}
	in.traces.Accepted(frames, began, in.stamps)
	for i := range frames {
		if frames[i].Identity != "" && frames[i].Flags&grid.Retained == 0 {
			in.heard(frames[i].Identity)
		}
	}
	return nil
}

// laneOf asks the registration, and for a stranger what its identity lets guess.
func (g *Gateway) laneOf(id grid.Identity) grid.Lane {
	return g.engine.LaneOf(id, func(id grid.Identity) bool {
		_, smoke := g.engine.GuessIdentity(id)
		return smoke
	})
}
