package journal

import "gridgate/internal/grid"

// EndOf is the last sequence that a lane had when an epoch ended; false while it lasts, and where
// what came next is not kept any more, so that nobody can tell.
func (l *Log) EndOf(lane grid.Lane, epoch uint32) (uint64, bool) {
	list := l.lanes[lane].snapshot()
	for i, seg := range list {
		if seg.epoch > epoch {
			return seg.first - 1, i > 0 || seg.first == 1
		}
	}
	return 0, false
}

// Read returns up to limit frames of lane after a sequence, oldest first; none at the end.
func (l *Log) Read(lane grid.Lane, after uint64, limit int) ([]grid.Frame, error) {
	return l.lanes[lane].read(after, limit)
}
