package coap

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/grid"
)

// slowInbox answers after d, as a disk does, and keeps nothing.
type slowInbox struct{ d time.Duration }

func (s slowInbox) Ingest(context.Context, ...grid.Frame) error {
	time.Sleep(s.d)
	return nil
}

// BenchmarkOverUDP is n devices that each wait for the answer before they send again, with
// an Ingest of 1 ms. The CPU is of both ends: the devices are in this process.
func BenchmarkOverUDP(b *testing.B) {
	for _, n := range []int{10, 200} {
		b.Run(fmt.Sprint("devices", n), func(b *testing.B) {
			tr, _ := start(b, Config{Rate: 1e6, Burst: 1e6}, slowInbox{time.Millisecond})
			began, cpu := time.Now(), cpuTime()
			b.ResetTimer()
			var wg sync.WaitGroup
			for range n {
				d := dial(b, tr.Addr("udp"))
				wg.Go(func() {
					for i := range b.N/n + 1 {
						d.ask(report(int32(i&0xffff), fmt.Sprint(i)), codes.Changed)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "frames/s")
			b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/1e3/float64(b.N), "cpu-µs/frame")
		})
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkNextToAFlood is how long one device waits for its answer while another floods a
// gateway that takes 100 ms for each of the other's frames.
func BenchmarkNextToAFlood(b *testing.B) {
	tr, _ := start(b, Config{Rate: 1e6, Burst: 1e6}, &slowly{"sn:flood", 100 * time.Millisecond})
	flood, other := dial(b, tr.Addr("udp")), dial(b, tr.Addr("udp"))
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for i := range b.N {
		if i%1000 == 0 {
			for j := range 40 {
				m := report(int32((i/1000*40+j)&0xffff), fmt.Sprint(i, j))
				m.path = "up/sn:flood"
				flood.send(m)
			}
		}
		began := time.Now()
		other.ask(report(int32(i&0xffff), fmt.Sprint(i)), codes.Changed)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
	b.ReportMetric(took[len(took)-1].Seconds()*1e3, "worst-ms")
}

// slowly takes its time with one device's frames.
type slowly struct {
	id grid.Identity
	d  time.Duration
}

func (s *slowly) Ingest(_ context.Context, frames ...grid.Frame) error {
	for _, f := range frames {
		if f.Identity == s.id {
			time.Sleep(s.d)
		}
	}
	return nil
}

// BenchmarkPeers is what one idle peer takes: memory and goroutines, per peer.
func BenchmarkPeers(b *testing.B) {
	for _, kind := range []string{"udp", "dtls"} {
		b.Run(kind, func(b *testing.B) {
			n := 1000
			if kind == "udp" {
				n = 5000
			}
			for range b.N {
				keys := keyed(b, b.TempDir())
				list := "devices:\n"
				for i := range n {
					list += fmt.Sprintf("  - {device: \"sn:1%04d\", psk: \"%s\"}\n", i, pskOne)
				}
				writeKeys(b, keys.KeysFile, list)
				tr, stop := start(b, Config{UDP: "127.0.0.1:0", DTLS: keys}, slowInbox{})
				var before, after runtime.MemStats
				ours := make([]*device, n)
				if kind == "udp" {
					for i := range ours {
						ours[i] = dial(b, tr.Addr("udp"))
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&before)
				goroutines := runtime.NumGoroutine()
				for i := range ours {
					m := report(1, "x")
					if kind == "dtls" { // both ends of the session are in the figure
						device := fmt.Sprintf("sn:1%04d", i)
						ours[i], _ = secure(b, tr.Addr("dtls"), withKey(device, pskOne)...)
						m.path = "up/" + device
					}
					ours[i].ask(m, codes.Changed)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse)/float64(n)/1024, "KB/peer")
				b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/float64(n), "goroutines/peer")
				for _, d := range ours {
					_ = d.conn.Close()
				}
				stop()
			}
		})
	}
}
