package engine

import (
	"testing"
	"time"
)

func TestStartUpFrameThatIsSentAgainWithThoseAfterItIsARepeat(t *testing.T) {
	var d deviceSoft
	now := time.Unix(1_800_000_000, 0)
	start := arrival{counter: 0, has: true, bits: 16, hash: 1, received: now, restart: true}
	second := arrival{counter: 1, has: true, bits: 16, hash: 2, received: now}
	third := arrival{counter: 2, has: true, bits: 16, hash: 3, received: now}
	for i, a := range []arrival{start, second, third} {
		if v := d.see(a); v != fresh {
			t.Fatalf("frame %d is %v: want news", i, v)
		}
	}
	for i, a := range []arrival{start, second, third} {
		if v := d.see(a); v != duplicate {
			t.Errorf("frame %d, sent again, is %v: want a repeat", i, v)
		}
	}
	for i := range 4 { // the device goes on, and starts anew much later
		d.see(arrival{counter: uint32(3 + i), has: true, bits: 16, hash: uint32(10 + i), received: now})
	}
	for i, a := range []arrival{start, second} {
		if v := d.see(a); v != fresh {
			t.Errorf("frame %d of the new session is %v: want news", i, v)
		}
	}
}
