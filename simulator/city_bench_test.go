package simulator

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// none is a sink that takes everything.
type none struct{ n int }

func (s *none) Publish(context.Context, Message) error { s.n++; return nil }

// BenchmarkMillionDevices prints what a device of a large city costs, and how fast an hour
// of it is made.
func BenchmarkMillionDevices(b *testing.B) {
	const devices = 1_000_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		sink := &none{}
		start := tuesday(b)
		city, err := NewCity(CityConfig{Seed: 1, Sink: sink, Parts: mixed(devices), Clock: NewClock(start, 1e9)})
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/devices, "bytes/device")
		began := time.Now()
		ctx, cancel := context.WithCancel(b.Context())
		go func() {
			for city.wheelAt() < uint32(10*time.Minute/tick) {
				time.Sleep(5 * time.Millisecond)
			}
			cancel()
		}()
		if err := city.Run(ctx); err != nil {
			b.Fatal(err)
		}
		n, _ := city.Sent()
		b.ReportMetric(float64(n)/time.Since(began).Seconds(), "frames/s")
		b.ReportMetric(float64(n), "frames")
	}
}

func (c *City) wheelAt() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wheel.at
}

func TestADeviceOfACityTakesLessThan200Bytes(t *testing.T) {
	const devices = 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	city, err := NewCity(CityConfig{Seed: 1, Parts: mixed(devices), Clock: NewClock(tuesday(t), 1)})
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / devices; each > 200 {
		t.Errorf("%d bytes a device: want 200 or less", each)
	}
	runtime.KeepAlive(city)
}
