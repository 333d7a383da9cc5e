package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// Log is a journal open for writing. All its methods may be called from any goroutine.
type Log struct {
	dir   string
	opt   Options
	disk  disk.FS
	lock  io.Closer
	lanes [grid.Lanes]*partition
	room  room

	keep     sync.Mutex // held while segments are removed, or may not be
	pins     int
	released [grid.Lanes]uint64

	life   sync.Mutex
	closed bool
	quit   context.CancelFunc // ends Run
	ended  chan struct{}      // closed when Run has ended, or will never run
}

// Open opens or creates the journal in dir, recovers what a crash left, and locks it
// for this process. It needs Close.
func Open(dir string, o Options) (*Log, error) {
	l := &Log{dir: dir, disk: disk.Or(o.Disk), ended: make(chan struct{})}
	if err := l.disk.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var err error
	if l.lock, err = l.disk.Lock(filepath.Join(dir, "LOCK")); errors.Is(err, disk.ErrLocked) {
		return nil, grid.Errorf(grid.Conflict, "journal %s is in use by another process: stop it, or choose another directory: %w", dir, err)
	} else if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := l.open(o); err != nil {
		l.closeFiles()
		return nil, fmt.Errorf("journal %s: %w", dir, err)
	}
	return l, nil
}

func (l *Log) open(o Options) error {
	if o.Space == nil {
		o.Space = l.disk.Space
	}
	has, err := o.Space(l.dir)
	if err != nil {
		return err
	}
	if l.opt, err = o.complete(has); err != nil {
		return err
	}
	l.room = room{files: l.disk, path: filepath.Join(l.dir, "reserve"), opt: &l.opt}
	epoch := uint32(1)
	empty := make(map[string][]*segment)
	for lane := range grid.Lane(grid.Lanes) {
		dir := filepath.Join(l.dir, lane.String())
		r, err := recoverLane(l.disk, lane, dir, l.opt.Log)
		if err != nil {
			return err
		}
		r.segments.recent.limit = l.opt.RecentBytes
		l.lanes[lane] = &partition{segments: r.segments, opt: &l.opt, wake: make(chan struct{}, 1), counts: r.counts}
		empty[dir] = r.empty
		epoch = max(epoch, highest(r.segments.list), highest(r.empty))
	}
	if l.opt.RaiseEpoch {
		epoch++
	}
	for _, p := range l.lanes {
		p.epoch = epoch
		if err := p.begin(p.head.Seq + 1); err != nil {
			return err
		}
		if err := removeFiles(l.disk, p.dir, empty[p.dir]); err != nil {
			return err
		}
	}
	if err := l.disk.SyncDir(l.dir); err != nil {
		return err
	}
	return l.pollSpace()
}

// Run commits what is appended, seals, indexes and removes segments, and watches the
// disk, until ctx is done or the disk fails. After an error nothing can be appended any
// more: the process is to end, and Open recovers. Run may be called once.
func (l *Log) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if ok, err := l.begin(cancel); !ok {
		return err
	}
	defer close(l.ended)

	var wg sync.WaitGroup
	errs := make([]error, grid.Lanes)
	for i, p := range l.lanes {
		wg.Go(func() {
			defer cancel() // one lane's end is the other's
			errs[i] = p.run(ctx)
		})
	}
	wg.Go(func() { l.housekeeping(ctx) })
	wg.Wait()
	return errors.Join(errs...)
}

// begin notes how to end Run. After Close there is nothing to run.
func (l *Log) begin(quit context.CancelFunc) (bool, error) {
	l.life.Lock()
	defer l.life.Unlock()
	if l.closed {
		return false, nil
	}
	if l.quit != nil {
		return false, grid.Errorf(grid.Internal, "journal %s: Run was called twice", l.dir)
	}
	l.quit = quit
	return true, nil
}

// Close ends Run, waits for it, and gives the directory free.
func (l *Log) Close() error {
	l.life.Lock()
	if l.closed {
		l.life.Unlock()
		return nil
	}
	l.closed = true
	if l.quit == nil {
		l.quit = func() {}
		close(l.ended)
	}
	quit := l.quit
	l.life.Unlock()
	quit()
	<-l.ended
	return l.closeFiles()
}

func (l *Log) closeFiles() error {
	var errs []error
	for _, p := range l.lanes {
		if p == nil {
			continue
		}
		p.stop(nil)
		p.closeReaders()
		if p.hot != nil {
			errs = append(errs, p.close())
			p.hot = nil
		}
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
		l.lock = nil
	}
	return errors.Join(errs...)
}

// Append makes frames durable in lane. All of them are when it returns nil, and then
// each has its Pos, and Received if it had none; otherwise they are unchanged.
//
// When ctx ends first its error is returned, and the frames may become durable all the
// same. An error that is grid.ErrOverloaded says: later. One with the code Invalid will
// not get better. Any other is fatal to the journal. Append waits for Run to start.
// Raw must not be changed after the call, whatever it returned.
func (l *Log) Append(ctx context.Context, lane grid.Lane, frames []grid.Frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.check(lane, frames); err != nil || len(frames) == 0 {
		return err
	}
	g, at, err := l.lanes[lane].enqueue(frames, l.opt.Now())
	if err != nil {
		return err
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if g.err != nil {
		return g.err
	}
	for i := range frames {
		frames[i].Pos = g.frames[at+i].Pos
		if frames[i].Received.IsZero() {
			frames[i].Received = g.frames[at+i].Received
		}
	}
	return nil
}

// check refuses what the journal can never hold.
func (l *Log) check(lane grid.Lane, frames []grid.Frame) error {
	if lane >= grid.Lanes {
		return grid.Errorf(grid.Invalid, "lane is %d: want safety or bulk", lane)
	}
	for i := range frames {
		f := &frames[i]
		if len(f.Raw) > l.opt.MaxFrame {
			return grid.Errorf(grid.Invalid, "frame of %q from %s %s has %d bytes: want at most %d",
				f.Identity, f.Transport, f.Source, len(f.Raw), l.opt.MaxFrame)
		}
		if n := stringBytes(f); n > maxStrings {
			return grid.Errorf(grid.Invalid, "frame from %s %s has %d bytes of identity, address and note: want at most %d",
				f.Transport, f.Source, n, maxStrings)
		}
	}
	return nil
}

// Next waits for frames of lane after a sequence and returns up to limit of them, oldest
// first. It starts with the oldest kept when those after it have been removed, and skips
// sequences that a damaged disk has lost (Stats counts them). A cursor past the end of
// the journal is a grid.Conflict. The frames are the caller's, except the bytes of Raw.
// A Raw kept for long is better copied: it holds on to the chunk it was read in.
func (l *Log) Next(ctx context.Context, lane grid.Lane, after uint64, limit int) ([]grid.Frame, error) {
	if limit < 1 {
		return nil, grid.Errorf(grid.Invalid, "limit is %d: want at least 1 frame", limit)
	}
	s := l.lanes[lane].segments
	for {
		changed := s.change()
		frames, err := s.read(after, limit)
		if err != nil || len(frames) > 0 {
			return frames, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.ended:
			return nil, errClosed
		}
	}
}

// Head is the last durable position of lane; its Seq is 0 when there was never a frame.
func (l *Log) Head(lane grid.Lane) grid.Pos { return l.lanes[lane].position() }

// First is the oldest kept sequence of lane, or the one to come when nothing is kept.
func (l *Log) First(lane grid.Lane) uint64 { return l.lanes[lane].first() }

// Get returns the frame at pos; grid.NotFound when it is not kept, or of another epoch.
func (l *Log) Get(pos grid.Pos) (grid.Frame, error) { return get(l.read(), pos) }

// ByDevice returns up to limit frames of a device received in [since, until), newest
// first. A zero time is no bound.
func (l *Log) ByDevice(ctx context.Context, id grid.Identity, since, until time.Time, limit int) ([]grid.Frame, error) {
	return byDevice(ctx, l.read(), id, since, until, limit)
}

// Recent returns up to limit of the newest frames of lane, newest first.
func (l *Log) Recent(ctx context.Context, lane grid.Lane, limit int) ([]grid.Frame, error) {
	return latest(ctx, l.lanes[lane].segments, limit)
}

func (l *Log) read() [grid.Lanes]*segments {
	var out [grid.Lanes]*segments
	for i, p := range l.lanes {
		out[i] = p.segments
	}
	return out
}

// get finds one frame.
func get(lanes [grid.Lanes]*segments, pos grid.Pos) (grid.Frame, error) {
	if pos.Lane < grid.Lanes && pos.Seq > 0 && pos.Seq <= lanes[pos.Lane].position().Seq {
		frames, err := lanes[pos.Lane].read(pos.Seq-1, 1)
		if err != nil {
			return grid.Frame{}, err
		}
		if len(frames) == 1 && frames[0].Pos == pos {
			return frames[0], nil
		}
	}
	return grid.Frame{}, grid.Errorf(grid.NotFound, "frame %s is not in the journal", pos)
}

// byDevice merges the lanes by time received.
func byDevice(ctx context.Context, lanes [grid.Lanes]*segments, id grid.Identity, since, until time.Time, limit int) ([]grid.Frame, error) {
	var out []grid.Frame
	for _, s := range lanes {
		frames, err := s.byDevice(ctx, id, since, until, limit)
		if err != nil {
			return nil, err
		}
		out = append(out, frames...)
	}
	slices.SortStableFunc(out, func(a, b grid.Frame) int { return b.Received.Compare(a.Received) })
	return out[:min(len(out), max(limit, 0))], nil
}

// latest returns the newest frames of one lane, newest first.
func latest(ctx context.Context, s *segments, limit int) ([]grid.Frame, error) {
	head, limit := s.position().Seq, max(limit, 0)
	after := head - min(head, uint64(limit))
	var out []grid.Frame
	for after < head && ctx.Err() == nil {
		frames, err := s.read(after, limit-len(out))
		if err != nil {
			return nil, err
		}
		if len(frames) == 0 {
			break
		}
		out = append(out, frames...)
		after = frames[len(frames)-1].Pos.Seq
	}
	slices.Reverse(out)
	return out, ctx.Err()
}
