package engine

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

const maxIgnored = 10_000

// Ignore sets a stranger aside, with a reason: it is listed apart. Its frames are counted and kept
// as ever, and smoke among them is raised as ever.
func (e *Engine) Ignore(ctx context.Context, id grid.Identity, act grid.Act) (grid.Discovered, error) {
	if act.Reason == "" {
		return grid.Discovered{}, grid.Errorf(grid.Invalid, "reason is empty: say what the device is, or whose")
	}
	return as[grid.Discovered](e.do(ctx, &command{name: "stranger.ignore", key: keyOf("stranger.ignore", act), do: func(b *batch) (any, error) {
		if _, known := e.memory.Device(id); known {
			return nil, grid.Errorf(grid.Conflict, "device %s is registered: want it barred or retired", id)
		}
		d, ok := e.strangerOf(id)
		if !ok {
			return nil, grid.Errorf(grid.NotFound, "device %s was not heard", id)
		}
		if _, had := e.ignored[id]; !had && len(e.ignored) >= maxIgnored {
			return nil, grid.Errorf(grid.Conflict, "%d strangers are ignored: want some of them claimed, or seen again", len(e.ignored))
		}
		row := grid.Ignored{Identity: id, Reason: act.Reason, At: b.now, By: act.By, Scope: e.home, Mode: grid.Live}
		b.rows.Ignored = append(b.rows.Ignored, row)
		set(b, e.ignored, id, row)
		b.auditStranger("stranger.ignore", id, act)
		d.Ignored = &row
		return d, nil
	}}))
}

// Unignore lists a stranger among the others again.
func (e *Engine) Unignore(ctx context.Context, id grid.Identity, act grid.Act) (grid.Discovered, error) {
	return as[grid.Discovered](e.do(ctx, &command{name: "stranger.unignore", key: keyOf("stranger.unignore", act), do: func(b *batch) (any, error) {
		if b.unignore(id) {
			b.auditStranger("stranger.unignore", id, act)
		}
		d, ok := e.strangerOf(id)
		if !ok {
			return nil, grid.Errorf(grid.NotFound, "device %s was not heard", id)
		}
		return d, nil
	}}))
}

func (b *batch) unignore(id grid.Identity) bool {
	row, ok := b.e.ignored[id]
	if !ok {
		return false
	}
	row.Ended = b.now
	b.rows.Ignored = append(b.rows.Ignored, row)
	unset(b, b.e.ignored, id)
	return true
}

func (b *batch) auditStranger(action string, id grid.Identity, act grid.Act) {
	b.audit(action, string(id), act.By, nil)
	b.rows.Audit[len(b.rows.Audit)-1].Detail = act.Reason
}

func (e *Engine) loadIgnored(ctx context.Context) error {
	rows, err := e.store.Ignored(ctx)
	if err != nil {
		return fmt.Errorf("load the strangers that are ignored: %w", err)
	}
	e.ignored = make(map[grid.Identity]grid.Ignored, len(rows))
	for _, row := range rows {
		e.ignored[row.Identity] = row
	}
	return nil
}

// strangerOf is what is known of a stranger; one that is ignored is known as long as it is.
func (e *Engine) strangerOf(id grid.Identity) (grid.Discovered, bool) {
	d, heard := e.discovered.Peek(id)
	row, set := e.ignored[id]
	switch {
	case heard && set:
		out := *d
		out.Ignored = &row
		return out, true
	case heard:
		return *d, true
	case set:
		return grid.Discovered{Identity: id, Ignored: &row}, true
	}
	return grid.Discovered{}, false
}

// Discovered lists who is heard and not registered, newest last word first: those that wait, or
// those that are ignored.
func (e *Engine) Discovered(ctx context.Context, limit int) ([]grid.Discovered, error) {
	return e.strangers(ctx, limit, false)
}

// IgnoredStrangers lists those that were set aside.
func (e *Engine) IgnoredStrangers(ctx context.Context, limit int) ([]grid.Discovered, error) {
	return e.strangers(ctx, limit, true)
}

func (e *Engine) strangers(ctx context.Context, limit int, ignored bool) ([]grid.Discovered, error) {
	return as[[]grid.Discovered](e.do(ctx, &command{name: "discovered", do: func(*batch) (any, error) {
		out := make([]grid.Discovered, 0, e.discovered.Len())
		if ignored {
			for id := range e.ignored {
				d, _ := e.strangerOf(id)
				out = append(out, d)
			}
		} else {
			for _, id := range e.discovered.Keys() {
				if d, ok := e.strangerOf(id); ok && d.Ignored == nil {
					out = append(out, d)
				}
			}
		}
		newestFirst(out)
		return out[:min(len(out), limit)], nil
	}}))
}

// Stranger gives one with its last frames, each read by the best guess, or by profile if it is named.
func (e *Engine) Stranger(ctx context.Context, id grid.Identity, profileID string, limit int) (grid.Stranger, error) {
	d, err := as[grid.Discovered](e.do(ctx, &command{name: "stranger", do: func(*batch) (any, error) {
		d, ok := e.strangerOf(id)
		if !ok {
			return nil, grid.Errorf(grid.NotFound, "device %s is not among the discovered: it was not heard, or is registered", id)
		}
		return d, nil
	}}))
	if err != nil {
		return grid.Stranger{}, err
	}
	page, err := e.store.ListQuarantine(ctx, state.Query{Device: string(id), Limit: limit})
	if err != nil {
		return grid.Stranger{}, err
	}
	s := grid.Stranger{Discovered: d, Count: d.Frames, Heard: make([]grid.StrangerFrame, 0, len(page.Items))}
	for i := range page.Items {
		s.Heard = append(s.Heard, e.overheard(&page.Items[i], profileID, &s))
	}
	return s, nil
}

// overheard reads a frame of a stranger on trial. It never panics: the codec is a guess.
func (e *Engine) overheard(q *grid.QuarantinedFrame, profileID string, s *grid.Stranger) (out grid.StrangerFrame) {
	d := decoded{frame: q.Frame}
	out = grid.StrangerFrame{ID: q.ID, At: q.Frame.Received, Transport: q.Frame.Transport, Source: q.Frame.Source, Readings: []grid.Reading{}}
	defer func() {
		if r := recover(); r != nil {
			out.Error = fmt.Sprintf("profile %s fails on it: %v", out.Profile, r)
		}
	}()
	e.dec.decode(&d)
	f := &d.frame
	out.Hex = hex.EncodeToString(f.Payload)
	if len(f.Payload) == 0 {
		out.Hex = hex.EncodeToString(f.Raw)
	}
	out.Port = max(f.Port, 0)
	hear(s, f, &out)
	switch {
	case d.envelopeErr != nil:
		out.Error = d.envelopeErr.Error()
		return out
	case profileID != "":
		out.Profile = profileID
	case len(d.guesses) > 0:
		out.Profile, out.Fire = d.guesses[0].Profile, d.guesses[0].Fire
	case s.Guess != "":
		out.Profile = s.Guess
	default:
		out.Error = "no profile fits"
		return out
	}
	p, err := e.profiles.Get(out.Profile)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	read, err := p.Decode(*f)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Readings = append(out.Readings, read.Readings...)
	return out
}

// hear notes how well a frame was heard, newest frame first.
func hear(s *grid.Stranger, f *grid.Frame, out *grid.StrangerFrame) {
	if !f.HasRSSI && !f.HasSNR {
		return
	}
	if s.Signal == nil {
		s.Signal = &grid.StrangerSignal{Gateway: f.Gateway}
	}
	g := s.Signal
	if f.HasRSSI {
		out.RSSIdBm = &f.RSSIdBm
		newest(&g.RSSIdBm, &g.WorstRSSI, f.RSSIdBm)
	}
	if f.HasSNR {
		out.SNRdB = &f.SNRdB
		newest(&g.SNRdB, &g.WorstSNR, f.SNRdB)
	}
}

func newest(first, worst **float32, v float32) {
	if *first == nil {
		*first = &v
	}
	if *worst == nil || v < **worst {
		*worst = &v
	}
}

func newestFirst(ds []grid.Discovered) {
	slices.SortFunc(ds, func(a, b grid.Discovered) int { return b.Last.Compare(a.Last) })
}
