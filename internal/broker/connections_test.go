package broker

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"gridgate/internal/gatetest"
)

// BenchmarkConnections holds many connections at once, each with a subscription to its
// downlinks, and has each send a frame. Both ends are in this process; the clients' ends are
// bare sockets. Run it once: -benchtime 1x.
func BenchmarkConnections(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				connections(b, n)
			}
		})
	}
}

func connections(b *testing.B, n int) {
	var in gatetest.Inbox
	br, stop := start(b, Config{}, &in)
	defer stop()
	before := inUse()
	conns := make([]net.Conn, n)
	began, cpu := time.Now(), cpuTime()
	for i := range conns {
		id := fmt.Sprintf("sn:%d", i)
		nc, err := net.Dial("tcp", br.Addr())
		if err != nil {
			b.Fatal(err)
		}
		defer nc.Close()
		conns[i] = nc
		_, _ = nc.Write(connectPacket(rawConnect{version: 4, id: id, user: "gridgate", pass: br.Token()}))
		_, _ = nc.Write(subscribePacket("gridgate/down/"+id, 1))
		if _, err := io.ReadFull(nc, make([]byte, 4+5)); err != nil { // CONNACK, SUBACK
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/time.Since(began).Seconds(), "connects/s")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(n), "cpu-µs/connect")
	if got := br.Status().Clients; got != n {
		b.Fatalf("%d clients", got)
	}
	b.ReportMetric(float64(inUse()-before)/float64(n), "B/connection")

	cpu = cpuTime()
	var wg sync.WaitGroup
	for i, nc := range conns {
		wg.Go(func() {
			_, _ = nc.Write(publishPacket(4, 1, false, false, fmt.Sprintf("gridgate/up/sn:%d", i), 1, string(make([]byte, 50))))
			if _, err := io.ReadFull(bufio.NewReaderSize(nc, 16), make([]byte, 4)); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(n), "cpu-µs/frame")
	if got := len(in.Frames()); got != n {
		b.Fatalf("%d frames", got)
	}

	b.ReportMetric(float64(inUse()-before)/float64(n), "B/connection-after-a-frame")
}

// inUse is the memory of heap and stacks.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
