package envelope

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"gridgate/internal/grid"
)

// BenchmarkEnvelopes takes one message of each envelope as a transport does (Identify by a
// router that knows the topic, and Memory) and opens it as a decoder does.
func BenchmarkEnvelopes(b *testing.B) {
	seen := map[string]bool{}
	for _, s := range samples() {
		topic, _, _ := strings.Cut(s.topic, "?") // what Memory has written is not yet there
		_, envelope, note := Identify(topic, []byte(s.raw))
		f := grid.Frame{Envelope: envelope, Address: s.topic, Raw: []byte(s.raw)}
		if seen[envelope] || note != "" || Open(&f) != nil || f.Kind != grid.Report || len(f.Payload) == 0 || strings.Contains(topic, "BIRTH") {
			continue
		}
		seen[envelope] = true
		b.Run("intake/"+envelope, func(b *testing.B) {
			r, m := NewRouter(100), NewMemory()
			b.ReportAllocs()
			for b.Loop() {
				in := grid.Frame{Address: topic, Raw: f.Raw, Received: heardAt}
				in.Identity, in.Envelope, in.Note = r.Identify(topic, f.Raw)
				m.Remember(&in, func(string, []byte) {})
			}
		})
		b.Run("open/"+envelope, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Open(&f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	if len(seen) != len(Names())+1 {
		b.Errorf("measured %v: want all of them", seen)
	}
}

func TestMemoryIsSafeForConcurrentUse(t *testing.T) {
	m := NewMemory()
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range 200 {
				node := fmt.Sprintf("n%d", (n+i)%3)
				for _, s := range [][2]string{
					{"spBv1.0/g/NBIRTH/" + node, string(sparkplug(i, bdSeq(1), named("a").varint(2, 1)))},
					{"spBv1.0/g/NDATA/" + node, string(sparkplug(i+1, aliased(1).is(true)))},
					{"spBv1.0/g/NDEATH/" + node, string(sparkplug(-1, bdSeq(1)))},
					{"zigbee2mqtt/bridge/devices", `[{"friendly_name":"k","model_id":"m"}]`},
					{"zigbee2mqtt/k", `{}`},
				} {
					f := grid.Frame{Address: s[0], Raw: []byte(s[1]), Received: heardAt}
					f.Identity, f.Envelope, f.Note = Identify(s[0], f.Raw)
					m.Remember(&f, func(string, []byte) {})
				}
			}
		})
	}
	wg.Wait()
	left := 0
	for _, key := range m.nodes.Keys() {
		node, _ := m.nodes.Peek(key)
		for _, b := range node.births {
			left += b.bytes
		}
	}
	if left != m.bytes {
		t.Errorf("counts %d bytes, has %d", m.bytes, left)
	}
}
