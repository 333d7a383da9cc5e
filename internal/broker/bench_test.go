package broker

import (
	"bufio"
	"context"
	"encoding/binary"
	"net"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// slowInbox answers after d, as a disk does, and keeps nothing.
type slowInbox struct{ d time.Duration }

func (s slowInbox) Ingest(ctx context.Context, frames ...grid.Frame) error {
	time.Sleep(s.d)
	return nil
}

// BenchmarkOneConnection is one publisher with a window of 1000 QoS 1 messages and an Ingest
// of 1 ms. The CPU figure is of the whole process: it includes the generator, which only
// copies prepared packets and counts PUBACKs.
func BenchmarkOneConnection(b *testing.B) {
	for _, v := range []struct {
		name    string
		version byte
		qos     byte
	}{{"3.1.1", 4, 1}, {"5", 5, 1}, {"3.1.1-QoS0", 4, 0}} {
		b.Run(v.name, func(b *testing.B) { benchmark(b, v.version, v.qos) })
	}
}

func benchmark(b *testing.B, version, qos byte) {
	br, _ := start(b, Config{}, slowInbox{time.Millisecond})
	nc, err := net.Dial("tcp", br.Addr())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write(connectPacket(rawConnect{version: version, id: "bench", user: "gridgate", pass: br.Token()})); err != nil {
		b.Fatal(err)
	}
	r := bufio.NewReaderSize(nc, 64<<10)
	if p, err := readRaw(r); err != nil || p.body[1] != 0 {
		b.Fatal(p, err)
	}
	const window = 1000
	var slots [window][]byte // one prepared packet for each id; 200 bytes of payload
	for i := range slots {
		slots[i] = publishPacket(version, qos, false, false, "gridgate/up/eui:24e124136b502217/85", uint16(i+1), string(make([]byte, 200)))
	}
	credit := make(chan int, window)
	credit <- window
	done := make(chan error, 1)
	go func() { done <- readAcks(r, b.N, credit) }()

	began, cpu := time.Now(), cpuTime()
	b.ResetTimer()
	var buf []byte
	for sent := 0; sent < b.N; {
		free := 64
		if qos == 1 {
			free = <-credit
		}
		buf = buf[:0]
		for ; free > 0 && sent < b.N; free-- {
			buf = append(buf, slots[sent%window]...)
			sent++
		}
		if _, err := nc.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	if qos == 1 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	} else {
		gatetest.Eventually(b, "all frames", func() bool { return br.Status().Stored == uint64(b.N) })
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "frames/s")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/1e3/float64(b.N), "cpu-µs/frame")
}

// readAcks reads n PUBACKs, which must come in order, and gives the room back.
func readAcks(r *bufio.Reader, n int, credit chan<- int) error {
	for got := 0; got < n; {
		p, err := r.Peek(4)
		if err != nil {
			return err
		}
		k := 0
		for {
			if want := uint16(got%1000 + 1); p[0] != 0x40 || binary.BigEndian.Uint16(p[2:]) != want {
				b := append([]byte(nil), p...)
				return &net.ParseError{Type: "PUBACK in order", Text: string(b)}
			}
			got, k = got+1, k+1
			_, _ = r.Discard(4)
			if r.Buffered() < 4 || got == n {
				break
			}
			p, _ = r.Peek(4)
		}
		if got < n {
			credit <- k
		}
	}
	return nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
