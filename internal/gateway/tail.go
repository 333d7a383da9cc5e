package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/disk"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/state"
)

// A copy that takes over lacks what its predecessor acknowledged after the last look. When the
// predecessor's disk comes back those frames are brought over, each once, with the times at which
// they were received.

// tails is how far the tails of predecessors are here, by lane and epoch.
type tails struct {
	mu sync.Mutex
	at map[tailOf]uint64
}

type tailOf struct {
	lane  grid.Lane
	epoch uint32
}

// broughtNote begins the note of a frame that was brought over: it says from where, so that the
// journal itself knows what it has.
const broughtNote = "brought over from "

func broughtFrom(pos grid.Pos, note string) string {
	s := broughtNote + pos.String()
	if note != "" {
		s += "; " + note
	}
	return s
}

// whence reads it back.
func whence(note string) (pos grid.Pos, ok bool) {
	rest, ok := strings.CutPrefix(note, broughtNote)
	if !ok {
		return pos, false
	}
	rest, _, _ = strings.Cut(rest, ";")
	name, rest, _ := strings.Cut(rest, "/")
	lane, err := grid.ParseLane(name)
	if _, bad := fmt.Sscanf(rest, "%d/%d", &pos.Epoch, &pos.Seq); err != nil || bad != nil {
		return grid.Pos{}, false
	}
	pos.Lane = lane
	return pos, true
}

// Tail takes frames of a predecessor of this copy that are not here yet.
func (c copies) Tail(ctx context.Context, t api.Tail) (api.TailTaken, error) {
	g := c.g
	own := g.standing.Load()
	taken := api.TailTaken{State: own.Copied}
	lane, err := grid.ParseLane(t.Lane)
	if err != nil {
		return taken, err
	}
	if t.Lineage != own.Lineage {
		return taken, grid.Errorf(grid.Conflict, "tail: lineage is %q: this gateway's data is of another", t.Lineage)
	}
	if now := g.journal.Epoch(); t.Epoch >= now {
		return taken, grid.Errorf(grid.Conflict, "tail: epoch is %d, this gateway's own is %d: want that of a predecessor", t.Epoch, now)
	}
	g.snapshots.tails.mu.Lock()
	defer g.snapshots.tails.mu.Unlock()
	of := tailOf{lane, t.Epoch}
	if taken.After, err = g.tailAt(ctx, of); err != nil {
		return taken, err
	}
	frames, err := tailFrames(of, taken.After, t.Frames)
	if err != nil || len(frames) == 0 {
		return taken, err
	}
	if err := g.early.full.Load().Ingest(ctx, frames...); err != nil {
		delete(g.snapshots.tails.at, of) // some of them may be here: the journal is asked again
		return taken, err
	}
	taken.After = t.Frames[len(t.Frames)-1].Seq
	g.snapshots.tails.at[of] = taken.After
	return taken, nil
}

// tailFrames are those that are not here, as they came then.
func tailFrames(of tailOf, after uint64, in []api.TailFrame) (out []grid.Frame, err error) {
	last := uint64(0)
	for _, f := range in {
		if f.Seq <= last {
			return nil, grid.Errorf(grid.Invalid, "tail: frame %d comes after frame %d: want them in order", f.Seq, last)
		}
		if f.Received.IsZero() {
			return nil, grid.Errorf(grid.Invalid, "tail: frame %d has no time of receipt", f.Seq)
		}
		if last = f.Seq; f.Seq <= after {
			continue
		}
		out = append(out, grid.Frame{
			Identity: f.Identity, Transport: f.Transport, Source: f.Source, Address: f.Address, Envelope: f.Envelope, Received: f.Received.UTC(), Raw: f.Raw,
			// Its device may have said it again, to this gateway, when no answer came.
			Flags: grid.FrameFlags(f.Flags) | grid.Redelivered, Note: broughtFrom(grid.Pos{Lane: of.lane, Epoch: of.epoch, Seq: f.Seq}, f.Note),
		})
	}
	return out, nil
}

// tailAt is the last frame of a predecessor's lane that is here: copied, or brought over since.
// The first time it is asked the own journal is read from the promotion on.
func (g *Gateway) tailAt(ctx context.Context, of tailOf) (uint64, error) {
	if at, known := g.snapshots.tails.at[of]; known {
		return at, nil
	}
	at, ok := g.journal.EndOf(of.lane, of.epoch)
	if !ok {
		return 0, grid.Errorf(grid.Conflict, "tail: the journal does not reach back to the end of epoch %d of the %s lane any more: nobody can tell what of it is here", of.epoch, of.lane)
	}
	for lane := range grid.Lane(grid.Lanes) { // a device may ride another lane by now
		from, ok := g.journal.EndOf(lane, of.epoch)
		if !ok {
			from = g.journal.First(lane) - 1
		}
		for {
			frames, err := g.journal.Read(lane, from, 2000)
			if err = errors.Join(err, ctx.Err()); err != nil {
				return 0, fmt.Errorf("tail: %w", err)
			}
			if len(frames) == 0 {
				break
			}
			for i := range frames {
				if pos, is := whence(frames[i].Note); is && pos.Lane == of.lane && pos.Epoch == of.epoch {
					at = max(at, pos.Seq)
				}
			}
			from = frames[len(frames)-1].Pos.Seq
		}
	}
	if g.snapshots.tails.at == nil {
		g.snapshots.tails.at = map[tailOf]uint64{}
	}
	g.snapshots.tails.at[of] = at
	return at, nil
}

// Recovered is what bringing over the rest of a predecessor's journal came to.
type Recovered struct {
	Old     string          `json:"old"`
	Lanes   []RecoveredLane `json:"lanes"`
	State   time.Time       `json:"state,omitzero"` // of the copy that was promoted
	GivenUp *state.Since    `json:"given_up"`       // what persons did there afterwards, which no journal has
	Unread  string          `json:"unread"`         // why that could not be read
}

// RecoveredLane is one lane of it.
type RecoveredLane struct {
	Lane    string    `json:"lane"`
	Epoch   uint32    `json:"epoch"`
	After   uint64    `json:"after"`    // what the other gateway had
	Head    uint64    `json:"head"`     // the last that was taken there
	Brought int       `json:"brought"`  // now
	LeftOut int       `json:"left_out"` // of the old gateway itself, of no device
	First   time.Time `json:"first,omitzero"`
	Last    time.Time `json:"last,omitzero"`
}

// Recover brings to a gateway what the journal in old, the folder of a predecessor that runs no
// more, has beyond the copy. It changes nothing in old and may be run again: each frame comes once.
func (c *Config) Recover(ctx context.Context, to *api.Client, old string, log *slog.Logger) (Recovered, error) {
	r := Recovered{Old: old, Lanes: []RecoveredLane{}}
	was := *c
	was.DataDir = old
	lock, err := disk.Machine{}.Lock(filepath.Join(was.JournalDir(), "LOCK"))
	if errors.Is(err, disk.ErrLocked) {
		return r, grid.Errorf(grid.Conflict, "recover: a gateway runs on %s: stop it first", old)
	} else if err == nil { // a disk that can be read alone has no lock, and nobody who writes
		defer lock.Close()
	}
	st, err := was.readStanding()
	if err == nil && st == nil {
		err = grid.Errorf(grid.NotFound, "%s has no fence.json: want the data folder of a gateway", old)
	}
	if err != nil {
		return r, fmt.Errorf("recover: %w", err)
	}
	frames, err := journal.OpenReadOnly(was.JournalDir(), log)
	if err != nil {
		return r, fmt.Errorf("recover: %w", err)
	}
	defer frames.Close()
	for lane := range grid.Lane(grid.Lanes) {
		head := frames.Head(lane)
		if head.Seq == 0 {
			continue
		}
		l := RecoveredLane{Lane: lane.String(), Epoch: head.Epoch, Head: head.Seq}
		err := l.bring(ctx, to, st.Lineage, frames, &r)
		if r.Lanes = append(r.Lanes, l); err != nil {
			return r, fmt.Errorf("recover: %s: %w", lane, err)
		}
	}
	if !r.State.IsZero() {
		since, err := state.SinceOf(ctx, was.StatePath(), r.State)
		if r.GivenUp = &since; err != nil {
			r.Unread = err.Error()
		}
	}
	return r, nil
}

// A request has so many frames, and bytes of them, at most.
const (
	tailPiece = 250
	tailRaw   = 4 << 20
)

func (l *RecoveredLane) bring(ctx context.Context, to *api.Client, lineage string, frames *journal.ReadOnly, r *Recovered) error {
	lane, err := grid.ParseLane(l.Lane)
	if err != nil {
		return err
	}
	ask := api.Tail{Lineage: lineage, Lane: l.Lane, Epoch: l.Epoch}
	had, err := to.Tail(ctx, ask)
	if err != nil {
		return err
	}
	r.State, l.After = had.State, had.After
	for at := had.After; ; {
		piece, err := frames.Read(lane, at, tailPiece)
		if err != nil || len(piece) == 0 {
			return err
		}
		ask.Frames = ask.Frames[:0]
		for bytes := 0; len(piece) > 0 && (bytes == 0 || bytes+len(piece[0].Raw) <= tailRaw); piece = piece[1:] {
			f := &piece[0]
			at, bytes = f.Pos.Seq, bytes+len(f.Raw)+1
			if f.Flags&grid.Marker != 0 {
				l.LeftOut++
				continue
			}
			if l.First.IsZero() {
				l.First = f.Received
			}
			l.Last = f.Received
			ask.Frames = append(ask.Frames, api.TailFrame{
				Seq: f.Pos.Seq, Identity: f.Identity, Transport: f.Transport, Source: f.Source, Address: f.Address, Envelope: f.Envelope,
				Flags: uint8(f.Flags), Note: f.Note, Received: f.Received, Raw: f.Raw,
			})
		}
		if err := sendTail(ctx, to, ask); err != nil {
			return err
		}
		l.Brought += len(ask.Frames)
	}
}

// sendTail sends a piece, again while the gateway says later.
func sendTail(ctx context.Context, to *api.Client, ask api.Tail) error {
	if len(ask.Frames) == 0 {
		return nil
	}
	for tries := 0; ; tries++ {
		_, err := to.Tail(ctx, ask)
		if grid.CodeOf(err) != grid.Unavailable || tries == 30 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
