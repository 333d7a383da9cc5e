package coap

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// BenchmarkDownlinks gives orders to 200 devices at once that answer at once, while 10,000
// sleep, and then to those.
func BenchmarkDownlinks(b *testing.B) {
	const awake, asleep = 200, 10_000
	tr, _ := start(b, Config{Burst: 1 << 20, LwM2M: LwM2M{On: true, Registrations: 2 * asleep}}, &gatetest.Inbox{})
	for i := range asleep {
		id := grid.Identity(fmt.Sprintf("sn:asleep-%d", i))
		tr.lwm2m.admit(&registration{endpoint: string(id), identity: id, place: string(id), lifetime: 86_400, queue: true, heard: time.Now(), objects: objects{instances: []instance{{19, 1}}}, observed: map[string]*observation{}, refused: map[string]bool{}})
	}
	for i := range awake {
		d := dial(b, tr.Addr("udp"))
		d.ask(of(fmt.Sprintf("up/sn:%d", i), report(1, "x")), codes.Changed)
		go obey(d.conn)
	}
	var next atomic.Int64
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	var devices sync.WaitGroup
	for i := range awake {
		devices.Go(func() {
			order := payloadOrder(fmt.Sprintf("sn:%d", i), "open")
			for n := next.Add(1) - 1; n < int64(b.N); n = next.Add(1) - 1 {
				begun := time.Now()
				if _, err := tr.Downlink(b.Context(), order, grid.Frame{}); err != nil {
					b.Error(err)
					return
				}
				took[n] = time.Since(begun)
			}
		})
	}
	devices.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "p99-ms")
	begun := time.Now()
	for i := range asleep {
		if _, err := tr.Downlink(b.Context(), payloadOrder(fmt.Sprintf("sn:asleep-%d", i), "open"), grid.Frame{}); grid.CodeOf(err) == grid.Internal {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(time.Since(begun).Microseconds())/asleep, "µs/asleep")
}

// obey answers every request with 2.04, until its socket is closed.
func obey(c net.Conn) {
	buf := make([]byte, 2048)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		tokenLen := int(buf[0] & 15)
		if n < 4+tokenLen || buf[0]>>4&3 != 0 { // a confirmable request
			continue
		}
		_, _ = c.Write(append([]byte{0x60 | byte(tokenLen), byte(codes.Changed), buf[2], buf[3]}, buf[4:4+tokenLen]...))
	}
}
