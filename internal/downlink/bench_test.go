package downlink_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"gridgate/internal/downlink"
	"gridgate/internal/grid"
)

func BenchmarkHeardWhileNothingWaits(b *testing.B) {
	o := downlink.New(downlink.Config{}, nil, nil, nil, nil)
	for b.Loop() {
		o.Heard("sn:1")
	}
}

// BenchmarkTenThousandSleep has as many devices asleep as may have an open downlink, each
// tried once: their memory, what an uplink of another device costs meanwhile, and how long
// it takes until all have theirs when all of them wake.
func BenchmarkTenThousandSleep(b *testing.B) {
	const devices = 10_000
	for b.Loop() {
		r := &rig{engine: &engine{rows: map[string]grid.Downlink{}}, heard: &heard{frames: map[grid.Identity][]grid.Frame{}}, city: &line{}}
		r.city.set(asleep)
		ids := make([]grid.Identity, devices)
		for i := range ids {
			ids[i] = grid.Identity(fmt.Sprint("sn:", i))
			r.engine.create(r.payload(fmt.Sprint("d", i), ids[i]))
		}
		r.heard.by("mqtt:city", ids...)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		o := downlink.New(downlink.Config{First: time.Hour, Longest: time.Hour, Wires: []downlink.Wire{{Path: "mqtt:city", Kinds: []string{"payload"}, Downlinker: r.city}}},
			r.engine.open, r.heard, r.engine, nil)
		ctx, cancel := context.WithCancel(b.Context())
		var wg sync.WaitGroup
		wg.Go(func() { o.Run(ctx) })
		began := time.Now()
		await(b, func() bool { s := o.Stats(); return s.Tries == devices && s.Trying == 0 })
		b.ReportMetric(float64(devices)/time.Since(began).Seconds(), "tries/s")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/devices, "B/device")

		began = time.Now()
		const strangers = 1_000_000
		for range strangers {
			o.Heard("sn:stranger")
		}
		b.ReportMetric(float64(time.Since(began).Nanoseconds())/strangers, "ns/uplink")

		r.city.set(nil)
		began = time.Now()
		for _, id := range ids {
			o.Heard(id)
		}
		await(b, func() bool { return o.Stats().Sent == devices })
		b.ReportMetric(time.Since(began).Seconds(), "s/all-sent")
		cancel()
		wg.Wait()
	}
}

func await(b *testing.B, is func() bool) {
	b.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatal("waited in vain")
		}
	}
}
