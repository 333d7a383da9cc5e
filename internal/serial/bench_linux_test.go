package serial

import (
	"fmt"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
)

// The benchmarks of whole lines take seconds each and print figures of their own:
// go test ./internal/serial -run XXX -bench Line -benchtime 1x

// cpu is what this process has used: devices and test are in it.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// percent is the part of one core that is used for a while.
func percent(d time.Duration, do func()) float64 {
	before := cpu()
	do()
	return 100 * (cpu() - before).Seconds() / d.Seconds()
}

func BenchmarkLineThatHangsUp(b *testing.B) {
	c := plug(b)
	tr, _ := start(b, Config{Path: c.path, Protocol: GBT26875}, &gatetest.Inbox{})
	isUp(b, tr)
	for b.Loop() {
		b.ReportMetric(percent(10*time.Second, func() { time.Sleep(10 * time.Second) }), "%core-idle")
		c.pull()
		b.ReportMetric(percent(20*time.Second, func() { time.Sleep(20 * time.Second) }), "%core-hung-up")
		var worst time.Duration
		for range 10 {
			c.plugIn()
			began := time.Now()
			isUp(b, tr)
			worst = max(worst, time.Since(began))
			c.pull()
			gatetest.Eventually(b, "the hang-up", func() bool { return !tr.Status().Up })
			time.Sleep(7 * time.Second) // pauses have their full length by then
		}
		c.plugIn()
		isUp(b, tr)
		b.ReportMetric(worst.Seconds(), "s-back-worst-of-10")
	}
}

func BenchmarkLineShutdownWhenIdle(b *testing.B) {
	for b.Loop() {
		var worst time.Duration
		for range 20 {
			c := plug(b)
			tr, stop := start(b, Config{Path: c.path, Protocol: GBT26875}, &gatetest.Inbox{})
			isUp(b, tr)
			time.Sleep(20 * time.Millisecond)
			began := time.Now()
			stop()
			worst = max(worst, time.Since(began))
		}
		b.ReportMetric(worst.Seconds(), "s-worst-of-20")
	}
}

// BenchmarkLinesAtOnce is eight ports, on each a device that sends as often as its line
// could carry at 115200 baud: 78 bytes every 7 ms.
func BenchmarkLinesAtOnce(b *testing.B) {
	raw := gbFrame(1, string(make([]byte, 48)))
	for b.Loop() {
		var in gatetest.Inbox
		var cables []*cable
		for i := range 8 {
			c := plug(b)
			tr, _ := start(b, Config{Name: fmt.Sprint("p", i), Path: c.path, Baud: 115200, Protocol: GBT26875}, &in)
			isUp(b, tr)
			cables = append(cables, c)
		}
		n, began := 0, time.Now()
		used := percent(10*time.Second, func() {
			tick := time.NewTicker(7 * time.Millisecond)
			defer tick.Stop()
			for ; time.Since(began) < 10*time.Second; n++ {
				<-tick.C
				for _, c := range cables {
					c.write(raw)
				}
			}
		})
		in.Wait(b, 8*n)
		gatetest.Eventually(b, "all confirmations", func() bool {
			for _, c := range cables {
				if len(c.answers()) != n {
					return false
				}
			}
			return true
		})
		b.ReportMetric(float64(8*n)/10, "confirmed/s")
		b.ReportMetric(used, "%core")
	}
}

// BenchmarkLineConnections is 5000 transmission devices that are connected, each with a
// heartbeat in 30 s.
func BenchmarkLineConnections(b *testing.B) {
	memory := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapInuse + m.StackInuse)
	}
	raw := gbFrame(1, "")
	for b.Loop() {
		var in gatetest.Inbox
		tr, stop := start(b, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875, MaxPeers: 20_000}, &in)
		isUp(b, tr)
		before := memory()
		var conns []net.Conn
		for range 5000 {
			c, err := net.Dial("tcp", tr.Status().Port)
			if err != nil {
				b.Fatal(err)
			}
			conns = append(conns, c)
			_, _ = c.Write(raw)
		}
		in.Wait(b, len(conns))
		b.ReportMetric((memory()-before)/5000/1024, "KiB/connection")
		for _, c := range conns {
			got := make([]byte, gb26875.MinSize)
			if _, err := readFull(c, got); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(percent(10*time.Second, func() {
			tick := time.NewTicker(6 * time.Millisecond)
			defer tick.Stop()
			for i, began := 0, time.Now(); time.Since(began) < 10*time.Second; i++ {
				<-tick.C
				_, _ = conns[i%5000].Write(raw)
			}
		}), "%core")
		for _, c := range conns {
			_ = c.Close()
		}
		stop()
	}
}
