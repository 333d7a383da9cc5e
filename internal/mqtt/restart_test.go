package mqtt

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/gatetest"
)

// BenchmarkBrokerRestart is how long nothing arrives after a broker without persistence is
// back, with the defaults, by how long it was away. Run it a few times: -benchtime 5x.
func BenchmarkBrokerRestart(b *testing.B) {
	for _, away := range []time.Duration{0, 3 * time.Second, 15 * time.Second} {
		b.Run(fmt.Sprint(away), func(b *testing.B) {
			m := startMosquitto(b)
			var in gatetest.Inbox
			tr, _ := start(b, Config{URL: m.url()}, &in)
			connected(b, tr)
			var worst time.Duration
			for b.Loop() {
				m.kill()
				time.Sleep(away)
				m.start(b)
				back, n := time.Now(), len(in.Frames())
				for p := m.publisher(b); len(in.Frames()) == n; time.Sleep(20 * time.Millisecond) {
					publish(b, p, topic, 1, false, "x")
				}
				worst = max(worst, time.Since(back))
			}
			b.ReportMetric(worst.Seconds(), "worst-s")
		})
	}
}

// BenchmarkDeafness is how long nothing arrives when the broker takes away our right to hear
// and gives it back: a connection that lives and brings nothing.
func BenchmarkDeafness(b *testing.B) {
	m := newMosquitto(b, "acl_file DIR/acl")
	m.write(b, "acl", "topic readwrite #\ntopic readwrite $gridgate/#\n")
	m.start(b)
	var in gatetest.Inbox
	tr, _ := start(b, Config{URL: m.url()}, &in)
	var worst time.Duration
	for b.Loop() {
		gatetest.Eventually(b, "the canary", func() bool { s := tr.Status(); return s.Connected && s.CanaryRTT > 0 })
		since := tr.Status().Since
		m.write(b, "acl", "topic readwrite other/#\n")
		m.reload()
		began := time.Now()
		gatetest.Eventually(b, "the deafness to be seen", func() bool { return tr.Status().Deaf })
		m.write(b, "acl", "topic readwrite #\ntopic readwrite $gridgate/#\n")
		m.reload()
		gatetest.Eventually(b, "the connection to be mended", func() bool { s := tr.Status(); return s.Connected && !s.Since.Equal(since) })
		worst = max(worst, time.Since(began))
	}
	b.ReportMetric(worst.Seconds(), "worst-s")
}
