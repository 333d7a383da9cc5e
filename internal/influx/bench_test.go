package influx

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

func BenchmarkAppendLine(b *testing.B) {
	var l Line
	buf := make([]byte, 0, 1<<20)
	b.ReportAllocs()
	var seq uint64
	for b.Loop() {
		if len(buf) > 1<<19 {
			buf = buf[:0]
		}
		fillLine(&l, seq)
		seq++
		var err error
		if buf, err = AppendLine(buf, &l); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(buf))/float64(countLines(buf)), "bytes/line")
}

// BenchmarkQueueAppend is one fsynced block a batch of 1,000 lines.
func BenchmarkQueueAppend(b *testing.B) {
	q, err := OpenQueue(b.TempDir(), QueueOptions{MaxBytes: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	if err := q.Cut(Mark{}); err != nil {
		b.Fatal(err)
	}
	block := makeBlock(nil, 0, 1000)
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		m, err := q.Append(block)
		if err != nil {
			b.Fatal(err)
		}
		q.Publish(m)
		q.advance(m)
	}
}

// BenchmarkPointsToInfluxDB encodes, queues with an fsync each 1,000 lines, and writes to
// a real server on the same cores. An operation is one point; cpu-µs/point is ours alone.
func BenchmarkPointsToInfluxDB(b *testing.B) {
	b.Run("1.8", func(b *testing.B) { benchWriter(b, start18(b)) })
	b.Run("2.x", func(b *testing.B) { benchWriter(b, start2(b)) })
}

func benchWriter(b *testing.B, p *peer) {
	r := newRig(b, p.Config, b.TempDir(), WriterOptions{Linger: 200 * time.Millisecond})
	waitForBench(b, r, func(s Status) bool { return s.Up })
	var block []byte
	seq := uint64(0)
	before, began := ownCPU(), time.Now()
	b.ResetTimer()
	for n := uint64(b.N); seq < n; {
		size := min(1000, n-seq)
		block = makeBlock(block[:0], seq, size)
		seq += size
		m, err := r.queue.Append(block)
		if err != nil {
			b.Fatal(err)
		}
		r.queue.Publish(m)
	}
	waitForBench(b, r, func(s Status) bool { return s.QueueBytes == 0 })
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "points/s")
	b.ReportMetric(float64((ownCPU()-before).Microseconds())/float64(b.N), "cpu-µs/point")
	if s := r.Status(); s.Written != int64(b.N) || s.Rejected != 0 {
		b.Fatalf("status %+v: want %d written", s, b.N)
	}
}

func makeBlock(dst []byte, from, n uint64) []byte {
	var l Line
	for i := range n {
		fillLine(&l, from+i)
		dst, _ = AppendLine(dst, &l)
	}
	return dst
}

func waitForBench(b *testing.B, r *rig, done func(Status) bool) {
	b.Helper()
	for end := time.Now().Add(5 * time.Minute); !done(r.Status()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("status is %+v", r.Status())
		}
	}
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprint("getrusage: ", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
