package profile_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// benchJavaScript decodes one frame at a time by a codec of the usual kind. The figure
// counts the processor time of the worker too.
func benchJavaScript(b *testing.B) {
	source, err := os.ReadFile(codecDir + "gate.js")
	if err != nil {
		b.Fatal(err)
	}
	const fields = "fields: [{name: battery}, {name: temperature}, {name: magnet, enum: {open: open, close: close}}, {name: tamper, enum: {installed: installed, uninstalled: uninstalled}}]\n" +
		"signals: {battery.level: battery, temperature: temperature, door.open: {field: magnet, is: open}, tamper: {field: tamper, is: uninstalled}}\n"
	before := processorTime(b)
	javascriptProfile(b, string(source), fields).Close()
	start := processorTime(b) - before // of a worker, and its end
	p := javascriptProfile(b, string(source), fields)
	f := grid.Frame{Uplink: grid.Uplink{Port: 85, Payload: []byte("\x01\x75\x5c\x03\x67\xd2\x00\x06\x00\x01\x07\x00\x00")}}
	before = processorTime(b)
	b.ReportAllocs()
	for b.Loop() {
		d, err := p.Decode(f)
		if err != nil || len(d.Readings) != 4 {
			b.Fatal(d, err)
		}
	}
	p.Close()
	took := processorTime(b) - before - start
	b.ReportMetric(float64(b.N)/took.Seconds(), "frames/cpu-s")
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "cpu-ns/op")
}

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
