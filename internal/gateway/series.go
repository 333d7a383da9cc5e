package gateway

import (
	"gridgate/internal/influx"
	"gridgate/internal/journal"
)

// series is the InfluxDB queue as the engine has it: when the disk runs low it is the
// first thing that stops growing, so that frames and tickets have what is left. The
// engine then notes a gap and fills it from the journal.
type series struct {
	*influx.Queue
	disk func() journal.Space
	mark int64 // bytes; 0: by the disk's size
}

func (s *series) Append(lines []byte) (influx.Mark, error) {
	if space := s.disk(); space.Total > 0 && space.Free < s.minFree(space.Total) {
		return influx.Mark{}, influx.ErrQueueFull
	}
	return s.Queue.Append(lines)
}

// minFree is twice what stops bulk frames: 1 GiB, at most a fifth of the disk.
func (s *series) minFree(total int64) int64 {
	if s.mark != 0 {
		return s.mark
	}
	return min(1<<30, total/5)
}
