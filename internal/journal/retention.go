package journal

import (
	"context"
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// housekeeping looks after the files until ctx is done. What fails here harms no frame:
// it is logged, when it changes, and tried again.
func (l *Log) housekeeping(ctx context.Context) {
	tick := time.NewTicker(l.opt.Poll)
	defer tick.Stop()
	tasks := []struct {
		failed string // to log
		run    func() error
		last   string
	}{
		{failed: "reading the free space failed", run: l.pollSpace},
		{failed: "removing old journal segments failed", run: l.retain},
		{failed: "indexing a journal segment failed", run: func() error { return l.buildIndexes(ctx) }},
	}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for i := range tasks {
			t := &tasks[i]
			now := ""
			if err := t.run(); err != nil && ctx.Err() == nil {
				now = err.Error()
			}
			if now != "" && now != t.last {
				l.opt.Log.Error(t.failed, "err", now)
			}
			t.last = now
		}
	}
}

// Release says that the engine needs no frame of lane up to a sequence any more. Only
// what is released is ever removed.
func (l *Log) Release(lane grid.Lane, upTo uint64) {
	l.keep.Lock()
	defer l.keep.Unlock()
	l.released[lane] = max(l.released[lane], upTo)
}

// Pin keeps every segment until release is called.
func (l *Log) Pin() (release func()) {
	l.keep.Lock()
	defer l.keep.Unlock()
	l.pins++
	return sync.OnceFunc(func() {
		l.keep.Lock()
		defer l.keep.Unlock()
		l.pins--
	})
}

// retain removes sealed and released segments that are too old or too much, oldest
// first. Where it is too much, the lane with more bytes gives way: a flood of bulk
// frames does not cost the safety lane its past.
func (l *Log) retain() error {
	l.keep.Lock()
	defer l.keep.Unlock()
	if l.pins > 0 {
		return nil
	}
	deadline := l.opt.Now().Add(-l.opt.RetainAge)
	var gone [grid.Lanes][]*segment
	var bytes [grid.Lanes]int64
	for i, p := range l.lanes {
		gone[i] = p.takeOld(l.released[i], deadline)
		bytes[i] = p.bytes()
	}
	for l.opt.RetainBytes > 0 && bytes[grid.Safety]+bytes[grid.Bulk] > l.opt.RetainBytes {
		order := []grid.Lane{grid.Bulk, grid.Safety}
		if bytes[grid.Safety] > bytes[grid.Bulk] {
			slices.Reverse(order)
		}
		took := false
		for _, i := range order {
			if seg := l.lanes[i].takeOldest(l.released[i]); seg != nil {
				gone[i] = append(gone[i], seg)
				bytes[i] -= seg.size
				took = true
				break
			}
		}
		if !took {
			break
		}
	}
	for i, p := range l.lanes {
		if err := removeFiles(p.disk, p.dir, gone[i]); err != nil {
			return err
		}
	}
	return nil
}

// takeOld takes the segments that ended before deadline out of the list.
func (s *segments) takeOld(released uint64, deadline time.Time) []*segment {
	var out []*segment
	for {
		s.mu.Lock()
		// A segment ends where the next begins: its own last frame came before that.
		old := len(s.list) > 1 && s.list[1].created.Before(deadline)
		s.mu.Unlock()
		if !old {
			return out
		}
		seg := s.takeOldest(released)
		if seg == nil {
			return out
		}
		out = append(out, seg)
	}
}

// takeOldest takes the oldest segment out of the list, if it is sealed and released.
func (s *segments) takeOldest(released uint64) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 || !s.list[0].sealed || s.list[0].last > released {
		return nil
	}
	seg := s.list[0]
	s.list = slices.Delete(s.list, 0, 1)
	s.idle = slices.DeleteFunc(s.idle, func(c *cursor) bool {
		if c.seg != seg {
			return false
		}
		c.close() // an open file would keep its space
		return true
	})
	return seg
}

func (s *segments) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for _, seg := range s.list {
		n += seg.size
	}
	return n
}

// buildIndexes indexes the sealed segments that have no good index.
func (l *Log) buildIndexes(ctx context.Context) error {
	for _, p := range l.lanes {
		for _, seg := range p.unindexed() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := p.buildIndex(ctx, seg); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *segments) unindexed() []*segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*segment
	for _, seg := range s.list {
		if seg.sealed && !seg.indexed {
			out = append(out, seg)
		}
	}
	return out
}
