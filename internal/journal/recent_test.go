package journal

import (
	"testing"

	"gridgate/internal/grid"
)

func TestWhatIsKeptInMemoryIsWhatTheLimitSays(t *testing.T) {
	const limit = 1 << 20
	r := recent{limit: limit}
	for seq := range uint64(10_000) {
		frames := make([]grid.Frame, 1, 64) // a quiet time after a busy one
		frames[0].Pos.Seq = seq + 1
		r.add(frames, 200)
	}
	var kept int64
	for _, w := range r.writes {
		kept += int64(cap(w.frames))*frameBytes + 200
	}
	if kept > limit || kept < limit/2 {
		t.Errorf("%d bytes are kept: want all of the limit, %d, and no more", kept, limit)
	}
	if n := int64(len(r.writes)); n < limit/2/(frameBytes+200) {
		t.Errorf("%d frames are kept in %d bytes", n, limit)
	}
	if got := r.after(9_990, 100); len(got) != 10 || got[0].Pos.Seq != 9_991 {
		t.Errorf("after 9990: %d frames", len(got))
	}
}
