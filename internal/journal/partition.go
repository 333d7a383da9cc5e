package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// partition is the writing side of one lane: many callers, one committer.
//
// While the committer writes one group and waits for its fsync, callers encode their
// frames into the next.
type partition struct {
	*segments
	opt  *Options
	wake chan struct{}

	// Of the committer alone.
	hot    *hot
	epoch  uint32
	counts counts

	// Of the callers and the committer.
	mu       sync.Mutex
	filling  *group
	spare    []byte // encoding buffer of a group that is done
	pending  int64  // encoded bytes accepted and not yet durable
	waiting  int64  // frames in them
	refused  error  // Append refuses for now
	stopped  error  // Append refuses for ever
	troubled string // why the last commit was refused; "" when it was not
	stats    commitStats
}

// group is what one write and one fsync make durable.
type group struct {
	buf    []byte
	frames []grid.Frame
	done   chan struct{} // closed when err is set, and the frames have their positions
	err    error
}

type commitStats struct {
	commits, frames, bytes uint64
	last, max              time.Duration
}

// enqueue encodes frames into the group being filled and returns it, with the place of
// the first of them in it.
func (p *partition) enqueue(frames []grid.Frame, now time.Time) (*group, int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped != nil {
		return nil, 0, p.stopped
	}
	if p.refused != nil {
		return nil, 0, p.refused
	}
	size := int64(len(frames)) * minRecord
	for i := range frames {
		size += int64(stringBytes(&frames[i]) + len(frames[i].Raw))
	}
	if size > p.opt.PendingBytes {
		return nil, 0, grid.Errorf(grid.Invalid, "%d frames of %d bytes in one append: want at most %d bytes", len(frames), size, p.opt.PendingBytes)
	}
	if p.pending+size > p.opt.PendingBytes {
		return nil, 0, grid.Errorf(grid.Unavailable, "%s journal has %d bytes waiting for the disk, the limit: %w", p.lane, p.pending, grid.ErrOverloaded)
	}
	g := p.filling
	if g == nil {
		g = &group{buf: p.spare[:0], done: make(chan struct{})}
		if p.stats.commits > 0 {
			g.frames = make([]grid.Frame, 0, max(8, int(p.stats.frames/p.stats.commits)))
		}
		p.filling, p.spare = g, nil
		signal(p.wake)
	}
	at, before := len(g.frames), len(g.buf)
	for i := range frames {
		g.frames = append(g.frames, kept(&frames[i], now))
		g.buf = appendRecord(g.buf, &g.frames[at+i])
	}
	p.pending += int64(len(g.buf) - before)
	p.waiting += int64(len(frames))
	return g, at, nil
}

// signal wakes the one who listens to c, at the latest when it next does.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take hands the filled group to the committer; nil when there is none.
func (p *partition) take() *group {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.filling
	p.filling = nil
	return g
}

// run commits groups until ctx is done, and then what was accepted by then. Its error
// is fatal: nothing can be appended any more.
func (p *partition) run(ctx context.Context) error {
	age := time.NewTicker(p.opt.Poll)
	defer age.Stop()
	for {
		select {
		case <-p.wake:
		case <-age.C:
			if err := p.sealIfOld(); err != nil {
				return p.stop(err)
			}
		case <-ctx.Done():
			p.mu.Lock()
			p.stopped = errClosed
			p.mu.Unlock()
			return p.stop(p.drain())
		}
		if err := p.drain(); err != nil {
			return p.stop(err)
		}
	}
}

var errClosed = grid.Errorf(grid.Unavailable, "journal is closed")

// drain commits until nothing waits.
func (p *partition) drain() error {
	for g := p.take(); g != nil; g = p.take() {
		if err := p.commit(g); err != nil {
			return err
		}
	}
	return nil
}

// stop refuses all that waits and all that may still come.
func (p *partition) stop(err error) error {
	p.mu.Lock()
	if p.stopped == nil {
		p.stopped = errClosed
	}
	if err != nil {
		p.stopped = grid.Errorf(grid.Unavailable, "%s journal has failed, the gateway has to start again: %w", p.lane, err)
		err = p.stopped
	}
	g := p.filling
	p.filling = nil
	stopped := p.stopped
	p.mu.Unlock()
	if g != nil {
		p.finish(g, stopped)
	}
	return err
}

// finish answers the callers of g.
func (p *partition) finish(g *group, err error) {
	p.mu.Lock()
	p.pending -= int64(len(g.buf))
	p.waiting -= int64(len(g.frames))
	if cap(g.buf) > cap(p.spare) && cap(g.buf) <= 4*mib {
		p.spare = g.buf[:0]
	}
	p.mu.Unlock()
	g.buf = nil
	g.err = err
	close(g.done)
}

// commit makes g durable, shows it to readers and answers its callers, in this order.
func (p *partition) commit(g *group) error {
	start, frames, bytes := time.Now(), len(g.frames), len(g.buf)
	err := p.write(g)
	if errors.Is(err, errNoRoom) {
		// Nothing was written and no sequence was used: this is a refusal, not a failure.
		p.trouble(err)
		p.finish(g, grid.Errorf(grid.Unavailable, "%s journal cannot grow (%w): %w: %w", p.lane, err, ErrDiskFull, grid.ErrOverloaded))
		return nil
	}
	if err != nil {
		p.finish(g, grid.Errorf(grid.Unavailable, "%s journal has failed, the gateway has to start again: %w", p.lane, err))
		return err
	}
	p.publish(g)
	took := time.Since(start)
	p.mu.Lock()
	p.troubled = ""
	p.stats.commits++
	p.stats.frames += uint64(frames)
	p.stats.bytes += uint64(bytes)
	p.stats.last, p.stats.max = took, max(p.stats.max, took)
	p.mu.Unlock()
	p.finish(g, nil)
	if p.opt.OnCommit != nil {
		p.opt.OnCommit(p.lane, frames, bytes, took)
	}
	return nil
}

// trouble notes that the disk takes nothing now.
func (p *partition) trouble(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.troubled == "" {
		p.opt.Log.Error("the disk takes no frames", "lane", p.lane, "err", err)
	}
	p.troubled = err.Error()
}

// write numbers the records of g and makes them durable.
func (p *partition) write(g *group) error {
	if h := p.hot; h.off > h.seg.body && h.off+int64(len(g.buf)) > p.opt.SegmentBytes {
		if err := p.roll(); err != nil {
			return err
		}
	}
	if err := p.hot.room(len(g.buf)); err != nil {
		return err
	}
	stamp(g.buf, p.hot.seg.salt, p.hot.next)
	return p.hot.append(g.buf)
}

// publish gives the frames of g their positions and shows them to readers.
func (p *partition) publish(g *group) {
	h := p.hot
	for i := range g.frames {
		f := &g.frames[i]
		f.Pos = grid.Pos{Lane: p.lane, Epoch: p.epoch, Seq: h.next + uint64(i)}
		p.counts[Source{p.lane, f.Transport, f.Source}]++
	}
	begin := mark{h.next, h.off - int64(len(g.buf))}
	h.next += uint64(len(g.frames))

	s := p.segments
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(h.seg.marks); n == 0 || begin.off >= h.seg.marks[n-1].off+markEvery {
		h.seg.marks = append(h.seg.marks, begin)
	}
	h.seg.size, h.seg.last = h.off, h.next-1
	s.head = g.frames[len(g.frames)-1].Pos
	s.recent.add(g.frames, int64(len(g.buf)))
	close(s.changed)
	s.changed = make(chan struct{})
}

// sealIfOld seals the hot segment when its age has come.
func (p *partition) sealIfOld() error {
	if p.hot.off == p.hot.seg.body || p.opt.Now().Sub(p.hot.seg.created) < p.opt.SegmentAge {
		return nil
	}
	if err := p.roll(); err != nil && !errors.Is(err, errNoRoom) {
		return err
	}
	return nil
}

// roll starts a new segment and seals the one before.
func (p *partition) roll() error {
	old := p.hot
	if err := p.begin(old.next); err != nil {
		return err
	}
	if err := old.close(); err != nil {
		return fmt.Errorf("sealing segment: %w", err)
	}
	return nil
}

// close ends a journal that has not failed so that nothing of it can pass for a torn
// tail later: what follows a segment proves that all of it was durable.
func (p *partition) close() error {
	p.mu.Lock()
	failed := p.stopped != errClosed
	p.mu.Unlock()
	if !failed && p.hot.off > p.hot.seg.body {
		if err := p.roll(); err != nil && !errors.Is(err, errNoRoom) {
			return errors.Join(err, p.hot.close())
		}
	}
	return p.hot.close()
}

// begin starts a segment whose first record will have the sequence next.
func (p *partition) begin(next uint64) error {
	seg := &segment{first: next, last: next - 1, epoch: p.epoch, salt: p.opt.Salt(), created: p.opt.Now().UTC().Round(0)}
	h, err := createHot(p.disk, p.lane, p.dir, seg, p.counts)
	if err != nil {
		return fmt.Errorf("new segment: %w", err)
	}
	h.next, seg.size = next, seg.body
	p.hot = h
	s := p.segments
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.list); n > 0 {
		s.list[n-1].sealed, s.list[n-1].marks = true, nil
	}
	s.list = append(s.list, seg)
	return nil
}
