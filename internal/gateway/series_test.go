package gateway

import (
	"errors"
	"testing"

	"gridgate/internal/influx"
	"gridgate/internal/journal"
)

func TestInfluxQueueStopsGrowingBeforeFramesAreRefused(t *testing.T) {
	q, err := influx.OpenQueue(t.TempDir(), influx.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.Cut(influx.Mark{}); err != nil {
		t.Fatal(err)
	}
	space := journal.Space{Free: 3 << 30, Total: 100 << 30}
	s := &series{Queue: q, disk: func() journal.Space { return space }}
	line := []byte("door,point=D1 open=true 1772438421000000061\n")
	if _, err := s.Append(line); err != nil {
		t.Fatalf("with 3 GiB free: %v", err)
	}
	space.Free = 1<<30 - 1
	if _, err := s.Append(line); !errors.Is(err, influx.ErrQueueFull) {
		t.Errorf("with less than 1 GiB free: %v, want the queue to say that it is full", err)
	}
	if bulk := int64(512 << 20); s.minFree(space.Total) <= bulk {
		t.Errorf("the queue stops at %d bytes, bulk frames at %d: want the queue first", s.minFree(space.Total), bulk)
	}
}
