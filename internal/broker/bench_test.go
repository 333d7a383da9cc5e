package broker

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
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
	nc, r := connectBench(b, br, version, "bench")
	const window = 1000
	var slots [window][]byte // one prepared packet for each id; 200 bytes of payload
	for i := range slots {
		slots[i] = publishPacket(version, qos, false, false, "gridgate/up/eui:24e124136b502217/85", uint16(i+1), string(make([]byte, 200)))
	}
	credit := make(chan int, window)
	credit <- window
	done := make(chan error, 1)
	go func() { done <- readAcks(r, b.N, credit) }()

	measure(b, func() {
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
		if qos == 0 {
			gatetest.Eventually(b, "all frames", func() bool { return br.Status().Stored == uint64(b.N) })
		} else if err := <-done; err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkManyConnections is 500 publishers that each wait for their PUBACK. The CPU figure
// includes them, two system calls a frame.
func BenchmarkManyConnections(b *testing.B) {
	br, _ := start(b, Config{}, slowInbox{time.Millisecond})
	const clients = 500
	var conns [clients]net.Conn
	for i := range conns {
		conns[i], _ = connectBench(b, br, 4, fmt.Sprint(i))
	}
	one := publishPacket(4, 1, false, false, "gridgate/up/eui:24e124136b502217/85", 1, string(make([]byte, 200)))
	var next atomic.Int64
	measure(b, func() {
		var wg sync.WaitGroup
		for _, c := range conns {
			wg.Go(func() {
				for ack := make([]byte, 4); next.Add(1) <= int64(b.N); {
					_, _ = c.Write(one)
					if _, err := io.ReadFull(c, ack); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// connectBench opens a connection up to its CONNACK.
func connectBench(b *testing.B, br *Broker, version byte, id string) (net.Conn, *bufio.Reader) {
	b.Helper()
	nc, err := net.Dial("tcp", br.Addr())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = nc.Close() })
	if _, err := nc.Write(connectPacket(rawConnect{version: version, id: id, user: "gridgate", pass: br.Token()})); err != nil {
		b.Fatal(err)
	}
	r := bufio.NewReaderSize(nc, 64<<10)
	if p, err := readRaw(r); err != nil || p.body[1] != 0 {
		b.Fatal(p, err)
	}
	return nc, r
}

// measure reports frames a second, and the CPU time of the process for each.
func measure(b *testing.B, run func()) {
	began, cpu := time.Now(), cpuTime()
	b.ResetTimer()
	run()
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
