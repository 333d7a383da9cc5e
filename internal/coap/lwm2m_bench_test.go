package coap

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"

	"gridgate/internal/gatetest"
)

// BenchmarkLwM2M registers 10,000 devices with three objects each and lets each notify;
// what one registration keeps in memory, and how long it takes to save all, are its figures.
func BenchmarkLwM2M(b *testing.B) {
	const devices = 10_000
	for range b.N {
		b.StopTimer()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		in := &gatetest.Inbox{}
		tr := New(Config{Identify: identify, LwM2M: LwM2M{On: true, StateFile: filepath.Join(b.TempDir(), "lwm2m.json")}}, nil)
		tr.in, tr.ctx = in, b.Context()
		l, s := newListener(tr, "udp", "127.0.0.1:0", tr.openUDP), tr.lwm2m
		peers := make([]*peer, devices)
		for i := range peers {
			peers[i] = &peer{wire: &fuzzWire{}, session: uint64(i)}
			l.join(peers[i])
		}
		b.StartTimer()
		began := time.Now()
		for i, p := range peers {
			r := request{code: codes.POST, path: []string{"rd"}, query: []string{fmt.Sprintf("ep=sn:%d", i), "lt=86400", "b=UQ"}, payload: []byte("</1/0>,</3/0>,</4/0>,</3342/0>")}
			tr.serve(&exchange{p: p, con: true, id: 1}, &r, nil)
			if i%256 == 255 {
				tr.workers.Wait()
			}
		}
		tr.workers.Wait()
		registered := time.Since(began)
		for _, reg := range s.byName { // each device answers the three questions
			for range 3 {
				s.mu.Lock()
				o, id := reg.asks[0].obs, reg.asks[0].key.id
				p := reg.peer
				s.mu.Unlock()
				m := pool.NewMessage(b.Context())
				m.SetType(message.Acknowledgement)
				m.SetCode(codes.Content)
				m.SetToken([]byte(o.token))
				m.SetMessageID(int32(id))
				m.SetObserve(1)
				s.hear(p, m)
			}
		}
		if st, _ := tr.LwM2M(); st.Registrations != devices || st.Waiting != 0 || st.Observations != devices {
			b.Fatalf("%+v", st)
		}
		began = time.Now()
		s.save()
		saved := time.Since(began)
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		info, err := os.Stat(tr.cfg.LwM2M.StateFile)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(registered.Microseconds())/devices, "µs/registration")
		b.ReportMetric(float64(saved.Milliseconds()), "ms/save")
		b.ReportMetric(float64(info.Size())/devices, "B/saved")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/devices, "B/device")
		runtime.KeepAlive(tr)
		runtime.KeepAlive(in)
	}
}
