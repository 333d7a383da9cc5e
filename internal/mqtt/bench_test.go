package mqtt

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// slowInbox answers after d, as a disk does, and keeps nothing.
type slowInbox struct{ d time.Duration }

func (s slowInbox) Ingest(context.Context, ...grid.Frame) error {
	time.Sleep(s.d)
	return nil
}

// BenchmarkThroughMosquitto is one publisher, Mosquitto, and the transport with an Ingest
// of 1 ms. The CPU figure is of this process, without Mosquitto's; the generator's part of
// it is what the last line shows, where nobody subscribes.
func BenchmarkThroughMosquitto(b *testing.B) {
	for _, inflight := range []int{1000, 20} {
		b.Run(fmt.Sprint("inflight", inflight), func(b *testing.B) {
			m := startMosquitto(b, fmt.Sprint("max_inflight_messages ", inflight), "max_queued_messages 0")
			tr, _ := start(b, Config{URL: m.url()}, slowInbox{time.Millisecond})
			connected(b, tr)
			g := newGenerator(b, m.addr)
			measure(b, func() {
				g.run(b, b.N, func() uint64 { return tr.Status().Acked })
				gatetest.Eventually(b, "all frames", func() bool { return tr.Status().Acked >= uint64(b.N) })
			})
		})
	}
	b.Run("generator-alone", func(b *testing.B) {
		m := startMosquitto(b)
		g := newGenerator(b, m.addr)
		measure(b, func() { g.run(b, b.N, nil) })
	})
}

func measure(b *testing.B, run func()) {
	began, cpu := time.Now(), cpuTime()
	b.ResetTimer()
	run()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "frames/s")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/1e3/float64(b.N), "cpu-µs/frame")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// generator publishes prepared packets at QoS 1 and counts PUBACKs.
type generator struct {
	conn  net.Conn
	r     *bufio.Reader
	slots [1000][]byte
}

func newGenerator(b *testing.B, addr string) *generator {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = nc.Close() })
	_, err = nc.Write([]byte("\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench"))
	if err != nil {
		b.Fatal(err)
	}
	g := &generator{conn: nc, r: bufio.NewReaderSize(nc, 64<<10)}
	if _, err := io.ReadFull(g.r, make([]byte, 4)); err != nil {
		b.Fatal(err)
	}
	const topic = "gridgate/up/eui:24e124136b502217/85"
	for i := range g.slots {
		body := append(binary.BigEndian.AppendUint16(nil, uint16(len(topic))), topic...)
		body = append(binary.BigEndian.AppendUint16(body, uint16(i+1)), make([]byte, 200)...)
		g.slots[i] = append(binary.AppendUvarint([]byte{0x32}, uint64(len(body))), body...)
	}
	return g
}

// run publishes n messages, 1000 at a time, and keeps less than 5,000 ahead of done.
func (g *generator) run(b *testing.B, n int, done func() uint64) {
	var buf []byte
	acks := make([]byte, 4*len(g.slots))
	for sent := 0; sent < n; {
		for done != nil && sent > int(done())+5000 {
			time.Sleep(time.Millisecond)
		}
		k := min(len(g.slots), n-sent)
		buf = buf[:0]
		for _, p := range g.slots[:k] {
			buf = append(buf, p...)
		}
		if _, err := g.conn.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(g.r, acks[:4*k]); err != nil {
			b.Fatal(err)
		}
		sent += k
	}
}
