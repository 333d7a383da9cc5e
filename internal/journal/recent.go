package journal

import (
	"sort"
	"unsafe"

	"gridgate/internal/grid"
)

// recent holds the newest durable frames of a lane in memory, by whole writes.
type recent struct {
	writes []write // oldest first, without gaps
	bytes  int64
	limit  int64
}

type write struct {
	frames []grid.Frame
	bytes  int64
}

const frameBytes = int64(unsafe.Sizeof(grid.Frame{}))

func (r *recent) add(frames []grid.Frame, encoded int64) {
	if cap(frames) > len(frames)+len(frames)/4 { // room for a busier time: a quiet one would keep it by the thousand
		frames = append(make([]grid.Frame, 0, len(frames)), frames...)
	}
	w := write{frames, encoded + int64(cap(frames))*frameBytes}
	r.writes = append(r.writes, w)
	r.bytes += w.bytes
	for r.bytes > r.limit && len(r.writes) > 0 {
		r.bytes -= r.writes[0].bytes
		r.writes[0] = write{} // let go of the frames
		r.writes = r.writes[1:]
	}
}

// after copies up to limit frames that follow seq, or none when seq+1 is not here.
func (r *recent) after(seq uint64, limit int) []grid.Frame {
	i := sort.Search(len(r.writes), func(i int) bool {
		f := r.writes[i].frames
		return f[len(f)-1].Pos.Seq > seq
	})
	if i == len(r.writes) || r.writes[i].frames[0].Pos.Seq > seq+1 {
		return nil
	}
	skip := int(seq + 1 - r.writes[i].frames[0].Pos.Seq)
	n := -skip
	for j := i; j < len(r.writes) && n < limit; j++ {
		n += len(r.writes[j].frames)
	}
	out := make([]grid.Frame, 0, min(n, limit))
	for ; i < len(r.writes) && len(out) < limit; i++ {
		f := r.writes[i].frames[skip:]
		out = append(out, f[:min(len(f), limit-len(out))]...)
		skip = 0
	}
	return out
}
