package journal

import (
	"time"

	"gridgate/internal/grid"
)

// Stats is what metrics and the self-check are made of.
type Stats struct {
	Lanes       [grid.Lanes]LaneStats
	Disk        Space // as last looked at
	ReserveHeld bool  //
	PinnedBy    int   // how many hold back retention
}

// LaneStats is one lane's part.
type LaneStats struct {
	Head     grid.Pos  // last durable
	First    uint64    // oldest kept
	Released uint64    // what retention may remove up to
	Since    time.Time // when the oldest kept segment began; zero when nothing is kept
	Bytes    int64     // kept on disk
	Segments int

	PendingFrames int64 // accepted and not yet durable
	PendingBytes  int64
	Refusing      bool   // for want of space
	Troubled      string // why the disk took nothing when it was last tried; "": it did
	Failed        string // why nothing can be appended any more; "" while it can

	Commits     uint64 // since Open; Frames/Commits is the size of a group
	Frames      uint64
	FrameBytes  uint64        // encoded
	LastCommit  time.Duration // write and fsync
	WorstCommit time.Duration

	Harm Harm
}

// Stats returns the figures of this moment.
func (l *Log) Stats() Stats {
	var out Stats
	l.keep.Lock()
	out.PinnedBy = l.pins
	released := l.released
	l.keep.Unlock()
	l.room.mu.Lock()
	out.Disk, out.ReserveHeld = l.room.disk, l.room.held
	l.room.mu.Unlock()
	for i, p := range l.lanes {
		st := p.segments.stats()
		st.Released = released[i]
		p.mu.Lock()
		st.PendingFrames, st.PendingBytes = p.waiting, p.pending
		st.Refusing, st.Troubled = p.refused != nil, p.troubled
		if p.stopped != nil && p.stopped != errClosed {
			st.Failed = p.stopped.Error()
		}
		c := p.stats
		p.mu.Unlock()
		st.Commits, st.Frames, st.FrameBytes = c.commits, c.frames, c.bytes
		st.LastCommit, st.WorstCommit = c.last, c.max
		out.Lanes[i] = st
	}
	return out
}

// stats is the part that the files of a lane know.
func (s *segments) stats() LaneStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := LaneStats{Head: s.head, First: s.head.Seq + 1, Segments: len(s.list), Harm: s.harm}
	if len(s.list) > 0 {
		st.First, st.Since = s.list[0].first, s.list[0].created
	}
	for _, seg := range s.list {
		st.Bytes += seg.size
	}
	return st
}
