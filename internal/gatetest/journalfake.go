package gatetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// FakeJournal is a Journal in memory that can be told to fail. It passes TestJournal,
// with Reopen in the place of opening the directory again.
type FakeJournal struct {
	mu      sync.Mutex
	lanes   [grid.Lanes][]grid.Frame
	fail    []error
	changed chan struct{}
	closed  chan struct{}
	once    sync.Once
}

// NewJournal makes an empty fake.
func NewJournal() *FakeJournal {
	return &FakeJournal{changed: make(chan struct{}), closed: make(chan struct{})}
}

// Reopen makes a fake with the frames of j, which was closed.
func (j *FakeJournal) Reopen() *FakeJournal {
	n := NewJournal()
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.lanes {
		n.lanes[i] = slices.Clone(j.lanes[i])
	}
	return n
}

// FailNext makes the next Append keep nothing and return err. Several add up.
func (j *FakeJournal) FailNext(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = append(j.fail, err)
}

// Run waits for ctx or Close.
func (j *FakeJournal) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-j.closed:
	}
	return j.Close()
}

// Close ends Run and every waiting Next.
func (j *FakeJournal) Close() error {
	j.once.Do(func() { close(j.closed) })
	return nil
}

// Append keeps frames at once.
func (j *FakeJournal) Append(ctx context.Context, lane grid.Lane, frames []grid.Frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if lane >= grid.Lanes {
		return grid.Errorf(grid.Invalid, "lane is %d: want safety or bulk", lane)
	}
	for i := range frames {
		if len(frames[i].Raw) > 1<<20 || len(frames[i].Address) > 256<<10 {
			return grid.Errorf(grid.Invalid, "frame %d of %d is too large", i, len(frames))
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case <-j.closed:
		return errJournalClosed
	default:
	}
	if len(j.fail) > 0 && len(frames) > 0 {
		err := j.fail[0]
		j.fail = j.fail[1:]
		return err
	}
	now := time.Now().UTC().Round(0)
	for i := range frames {
		f := &frames[i]
		if f.Received.IsZero() {
			f.Received = now
		}
		f.Pos = grid.Pos{Lane: lane, Epoch: 1, Seq: uint64(len(j.lanes[lane]) + 1)}
		k := *f
		k.Uplink, k.Received = grid.Uplink{}, f.Received.UTC().Round(0)
		j.lanes[lane] = append(j.lanes[lane], k)
	}
	close(j.changed)
	j.changed = make(chan struct{})
	return nil
}

var errJournalClosed = grid.Errorf(grid.Unavailable, "journal is closed")

// Next waits for frames after a sequence.
func (j *FakeJournal) Next(ctx context.Context, lane grid.Lane, after uint64, limit int) ([]grid.Frame, error) {
	for {
		j.mu.Lock()
		changed, have := j.changed, j.lanes[lane]
		j.mu.Unlock()
		if n := uint64(len(have)); after > n {
			return nil, grid.Errorf(grid.Conflict, "cursor %d is past the end of the %s journal, which is %d", after, lane, n)
		} else if after < n && limit > 0 {
			return slices.Clone(have[after:min(n, after+uint64(limit))]), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-j.closed:
			return nil, errJournalClosed
		}
	}
}

// Head is the last position.
func (j *FakeJournal) Head(lane grid.Lane) grid.Pos {
	j.mu.Lock()
	defer j.mu.Unlock()
	return grid.Pos{Lane: lane, Epoch: 1, Seq: uint64(len(j.lanes[lane]))}
}

// First is always 1: the fake keeps everything.
func (j *FakeJournal) First(grid.Lane) uint64 { return 1 }

// Release does nothing.
func (j *FakeJournal) Release(grid.Lane, uint64) {}

// Get finds one frame.
func (j *FakeJournal) Get(pos grid.Pos) (grid.Frame, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if pos.Lane < grid.Lanes && pos.Epoch == 1 && pos.Seq > 0 && pos.Seq <= uint64(len(j.lanes[pos.Lane])) {
		return j.lanes[pos.Lane][pos.Seq-1], nil
	}
	return grid.Frame{}, grid.Errorf(grid.NotFound, "frame %s is not in the journal", pos)
}

// ByDevice returns the frames of one device, newest first.
func (j *FakeJournal) ByDevice(ctx context.Context, id grid.Identity, since, until time.Time, limit int) ([]grid.Frame, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []grid.Frame
	for _, frames := range j.lanes {
		for _, f := range slices.Backward(frames) {
			if f.Identity == id && !f.Received.Before(since) && (until.IsZero() || f.Received.Before(until)) {
				out = append(out, f)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b grid.Frame) int { return b.Received.Compare(a.Received) })
	return out[:min(len(out), max(limit, 0))], ctx.Err()
}

// Recent returns the newest frames of a lane, newest first.
func (j *FakeJournal) Recent(ctx context.Context, lane grid.Lane, limit int) ([]grid.Frame, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := j.lanes[lane]
	out := slices.Clone(all[len(all)-min(len(all), max(limit, 0)):])
	slices.Reverse(out)
	return out, ctx.Err()
}
