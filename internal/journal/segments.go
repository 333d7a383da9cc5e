package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sort"
	"sync"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// segments are the kept files of one lane, oldest first, and what reading them needs.
// It shows durable frames only.
type segments struct {
	lane grid.Lane
	dir  string
	disk disk.FS
	log  *slog.Logger

	readonly bool // another process may write and remove files here

	mu      sync.Mutex
	list    []*segment
	head    grid.Pos // last durable
	recent  recent
	changed chan struct{} // closed and replaced when head moves
	idle    []*cursor     // disk readers between two reads, the latest last
	closed  bool
	harm    Harm
}

// Harm is what could not be read because the disk did not give back what was written.
type Harm struct {
	Places  int    // stretches of segments found damaged since Open
	Missing uint64 // frames known to be lost in them
}

// maxIdle is how many readers at different places keep their file open.
const maxIdle = 4

// readBytes bounds what one read takes from disk, past its first frame.
const readBytes = 4 * mib

// read returns up to limit durable frames after seq, oldest first; none when there are
// none. From memory when they are there.
func (s *segments) read(after uint64, limit int) ([]grid.Frame, error) {
	s.mu.Lock()
	if after > s.head.Seq {
		defer s.mu.Unlock()
		return nil, grid.Errorf(grid.Conflict, "cursor %d is past the end of the %s journal, which is %d: "+
			"the journal is older than the state; restore both from one backup, or set the cursor back with the epoch raised",
			after, s.lane, s.head.Seq)
	}
	if after == s.head.Seq || limit <= 0 {
		s.mu.Unlock()
		return nil, nil
	}
	if frames := s.recent.after(after, limit); len(frames) > 0 {
		s.mu.Unlock()
		return frames, nil
	}
	c := s.takeIdle(after)
	s.mu.Unlock()

	if c == nil {
		c = &cursor{of: s, after: after}
	}
	frames, err := c.read(limit)
	if err != nil {
		c.close()
		return nil, err
	}
	s.putIdle(c)
	return frames, nil
}

func (s *segments) takeIdle(after uint64) *cursor {
	i := slices.IndexFunc(s.idle, func(c *cursor) bool { return c.after == after })
	if i < 0 {
		return nil
	}
	c := s.idle[i]
	s.idle = slices.Delete(s.idle, i, i+1)
	return c
}

func (s *segments) putIdle(c *cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.close()
		return
	}
	if len(s.idle) == maxIdle {
		s.idle[0].close()
		s.idle = slices.Delete(s.idle, 0, 1)
	}
	s.idle = append(s.idle, c)
}

// change is closed when the head next moves.
func (s *segments) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// closeReaders closes the readers kept for later, and keeps none any more.
func (s *segments) closeReaders() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.idle {
		c.close()
	}
	s.idle = nil
}

// first is the oldest kept sequence; one past the head when nothing is kept.
func (s *segments) first() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return s.head.Seq + 1
	}
	return s.list[0].first
}

// position is the last durable frame.
func (s *segments) position() grid.Pos {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head
}

// following is the oldest segment that has a frame after seq; nil when there is none.
func (s *segments) following(seq uint64) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].last > seq })
	if i == len(s.list) {
		return nil
	}
	return s.list[i]
}

// extent is how much of seg may be read, and whether it is sealed.
func (s *segments) extent(seg *segment) (size int64, sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return seg.size, seg.sealed
}

// snapshot is the list as it is now.
func (s *segments) snapshot() []*segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// mark finds a place at or before seq to start reading seg from.
func (s *segments) mark(seg *segment, seq uint64) mark {
	s.mu.Lock()
	marks, sealed := seg.marks, seg.sealed
	s.mu.Unlock()
	if sealed && seq > seg.first {
		if ix, err := openIndex(s.disk, seg); err == nil {
			marks = ix.marks
			ix.close()
		}
	}
	if i := sort.Search(len(marks), func(i int) bool { return marks[i].seq > seq }); i > 0 {
		return marks[i-1]
	}
	return seg.start()
}

// open opens seg for reading. A segment that retention has removed meanwhile gives
// fs.ErrNotExist and is no longer in the list.
func (s *segments) open(seg *segment) (disk.File, error) {
	f, err := disk.Open(s.disk, seg.path)
	if errors.Is(err, fs.ErrNotExist) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if i := slices.Index(s.list, seg); i >= 0 && s.readonly {
			s.list = s.list[i+1:] // retention of the gateway that runs here, which goes by age
		} else if i >= 0 {
			s.list = slices.Delete(s.list, i, i+1)
			s.report(seg, []harm{{missing: seg.last + 1 - seg.first}})
		}
	}
	return f, err
}

// report counts and logs harm, once for each place. s.mu is held.
func (s *segments) report(seg *segment, found []harm) {
	for _, h := range found {
		if seg.seen[h.from] {
			continue
		}
		if seg.seen == nil {
			seg.seen = make(map[int64]bool)
		}
		seg.seen[h.from] = true
		s.harm.Places++
		s.harm.Missing += h.missing
		s.log.Error("journal segment is damaged: frames are lost", "in", seg.path,
			"from", h.from, "to", h.to, "missing", h.missing)
	}
}

// cursor reads the segments of a lane from disk, one after the other.
type cursor struct {
	of    *segments
	after uint64 // last sequence handed out
	seg   *segment
	file  disk.File
	scan  scanner
	names interner
	said  int // harm already reported
}

// read returns up to limit frames after c.after; none at the end.
func (c *cursor) read(limit int) ([]grid.Frame, error) {
	var out []grid.Frame
	var size int64
	for len(out) < limit && size < readBytes {
		if c.seg == nil {
			if ok, err := c.enter(); err != nil || !ok {
				return out, err
			}
		}
		if c.scan.next() {
			if c.scan.rec.seq > c.after {
				out = append(out, c.scan.rec.frame(c.of.lane, c.seg.epoch, &c.names))
				c.after = c.scan.rec.seq
				size += int64(len(c.scan.rec.raw))
			}
			continue
		}
		if c.scan.err != nil {
			return nil, fmt.Errorf("reading %s: %w", c.seg.path, c.scan.err)
		}
		if more := c.more(); !more {
			break
		}
	}
	return out, nil
}

// enter opens the segment that the next frame is in.
func (c *cursor) enter() (bool, error) {
	for {
		seg := c.of.following(c.after)
		if seg == nil {
			return false, nil
		}
		size, _ := c.of.extent(seg)
		f, err := c.of.open(seg)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return false, err
		}
		c.seg, c.file = seg, f
		c.scan = seg.scan(f, c.of.mark(seg, c.after+1), size)
		c.scan.keep = true
		c.said = 0
		return true, nil
	}
}

// more goes on after the end of what was readable: in the same segment if it has
// grown, else in the next.
func (c *cursor) more() bool {
	s := c.of
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report(c.seg, c.scan.harm[c.said:])
	c.said = len(c.scan.harm)
	if c.seg.size > c.scan.limit {
		c.scan.limit = c.seg.size
		return true
	}
	if !c.seg.sealed {
		return false
	}
	if last := c.seg.last; c.after < last && c.scan.last < last {
		s.report(c.seg, []harm{{from: -1, missing: last - c.scan.last}})
	}
	c.after = max(c.after, c.seg.last)
	c.close()
	return true
}

func (c *cursor) close() {
	if c.file != nil {
		c.file.Close()
	}
	c.seg, c.file, c.scan = nil, nil, scanner{}
}
