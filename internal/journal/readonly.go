package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// ReadOnly is a journal as it was when it was opened, for checks and for showing
// frames. It takes no lock and changes nothing, so the directory may belong to a
// gateway that runs: frames appended later are not seen, and the last of those seen may
// be written and not yet durable.
type ReadOnly struct {
	lanes  [grid.Lanes]*segments
	counts [grid.Lanes]counts
}

// OpenReadOnly opens the journal in dir. nil for log discards.
func OpenReadOnly(dir string, log *slog.Logger) (*ReadOnly, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &ReadOnly{}
	for lane := range grid.Lane(grid.Lanes) {
		got, err := loadLane(disk.Machine{}, lane, filepath.Join(dir, lane.String()), log, true)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, grid.Errorf(grid.NotFound, "no journal in %s: %w", dir, err)
		} else if err != nil {
			return nil, fmt.Errorf("journal %s: %w", dir, err)
		}
		r.lanes[lane], r.counts[lane] = got.segments, got.counts
	}
	return r, nil
}

// Close closes the files.
func (r *ReadOnly) Close() error {
	for _, s := range r.lanes {
		s.closeReaders()
	}
	return nil
}

// Read returns up to limit frames of lane after a sequence, oldest first; none at the end.
func (r *ReadOnly) Read(lane grid.Lane, after uint64, limit int) ([]grid.Frame, error) {
	return r.lanes[lane].read(after, limit)
}

// Head is the last position in lane.
func (r *ReadOnly) Head(lane grid.Lane) grid.Pos { return r.lanes[lane].position() }

// First is the oldest kept sequence of lane, or the one to come when nothing is kept.
func (r *ReadOnly) First(lane grid.Lane) uint64 { return r.lanes[lane].first() }

// Get is Log.Get.
func (r *ReadOnly) Get(pos grid.Pos) (grid.Frame, error) { return get(r.lanes, pos) }

// ByDevice is Log.ByDevice.
func (r *ReadOnly) ByDevice(ctx context.Context, id grid.Identity, since, until time.Time, limit int) ([]grid.Frame, error) {
	return byDevice(ctx, r.lanes, id, since, until, limit)
}

// Recent is Log.Recent.
func (r *ReadOnly) Recent(ctx context.Context, lane grid.Lane, limit int) ([]grid.Frame, error) {
	return latest(ctx, r.lanes[lane], limit)
}

// Accepted is how many frames of lane the newest segment says there were, itself included: a
// quick count, which Recount checks.
func (r *ReadOnly) Accepted(lane grid.Lane) (n uint64) {
	for _, c := range r.counts[lane] {
		n += c
	}
	return n
}

// Recount is Log.Recount.
func (r *ReadOnly) Recount(ctx context.Context) (Recount, error) { return recount(ctx, r.lanes) }

// Harm is what was found damaged so far.
func (r *ReadOnly) Harm(lane grid.Lane) Harm { return r.lanes[lane].stats().Harm }
