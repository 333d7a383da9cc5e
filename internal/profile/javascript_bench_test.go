package profile_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// processorTime is what this process and the children it has waited for have taken.
func processorTime(b *testing.B) time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

func BenchmarkCodec(b *testing.B) {
	src, err := os.ReadFile("testdata/javascript/gate.js")
	if err != nil {
		b.Fatal(err)
	}
	t0 := processorTime(b)
	c, err := profile.OpenCodec("gate.js", src, nil)
	if err != nil {
		b.Fatal(err)
	}
	c.Close()
	start := processorTime(b) - t0
	c, err = profile.OpenCodec("gate.js", src, nil)
	if err != nil {
		b.Fatal(err)
	}
	f := grid.Frame{Uplink: grid.Uplink{Port: 2, Payload: []byte("\x01\x75\x5c\x03\x67\xd2\x00\x06\x00\x01\x07\x00\x00")}}
	t0 = processorTime(b)
	b.ReportAllocs()
	for b.Loop() {
		if o := c.Decode(f); len(o.Errors) > 0 {
			b.Fatal(o.Errors)
		}
	}
	c.Close()
	b.ReportMetric((processorTime(b)-t0-start).Seconds()/float64(b.N)*1e9, "cpu-ns/op")
	b.ReportMetric(float64(b.N)/(processorTime(b)-t0-start).Seconds(), "frames/cpu-s")
}
