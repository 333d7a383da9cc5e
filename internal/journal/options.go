package journal

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// Options of a journal. The zero value of each field means its default; for the sizes
// of Retain, Reserve and MinFree a negative value means none.
type Options struct {
	SegmentBytes int64         // a segment is sealed at this size (64 MiB) …
	SegmentAge   time.Duration // … or at this age (1 h)

	RetainAge   time.Duration // how long frames are kept (14 days)
	RetainBytes int64         // bytes kept over both lanes (the smaller of 20 % of the disk and 50 GB)

	ReserveBytes  int64 // held back, and given up when MinFreeSafety is reached (64 MiB, at most 1/40 of the disk)
	MinFreeBulk   int64 // below this much free space bulk frames are refused (512 MiB, at most 1/10 of the disk)
	MinFreeSafety int64 // below this, with the reserve gone, safety frames too (128 MiB, at most 1/40 of the disk)

	MaxFrame     int   // largest Raw (1 MiB); at most 16 MiB
	PendingBytes int64 // per lane: accepted and not yet durable; past it Append refuses (16 MiB)
	RecentBytes  int64 // per lane: newest frames kept in memory for followers (32 MiB)

	// RaiseEpoch starts a new epoch. A restore from a backup asks for it, so that
	// positions handed out after the backup was taken never mean another frame.
	RaiseEpoch bool

	Poll     time.Duration // how often age, retention and free space are looked at (1 s)
	Now      func() time.Time
	Disk     disk.FS                                                      // default: the machine's
	Space    func(dir string) (Space, error)                              // default: ask the file system
	Salt     func() uint32                                                // of segment names; default: random
	OnCommit func(lane grid.Lane, frames int, bytes int, t time.Duration) // after each fsync; must not block
	Log      *slog.Logger
}

// Space is what the disk of a directory has.
type Space = disk.Space

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30

	maxSegment = 1 * gib   // offsets in an index have 32 bits
	maxRaw     = 16 * mib  // what MaxFrame may be set to
	maxStrings = 256 * kib // identity, address, note and the rest of one frame together
)

// complete checks o and fills in the defaults for a disk of the given size.
func (o Options) complete(has Space) (Options, error) {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
		*v = max(*v, 0)
	}
	def(&o.SegmentBytes, 64*mib)
	def(&o.RetainBytes, min(has.Total/5, 50_000_000_000))
	def(&o.ReserveBytes, min(64*mib, has.Total/40))
	def(&o.MinFreeBulk, min(512*mib, has.Total/10))
	def(&o.MinFreeSafety, min(128*mib, has.Total/40))
	def(&o.PendingBytes, 16*mib)
	def(&o.RecentBytes, 32*mib)
	if o.SegmentAge == 0 {
		o.SegmentAge = time.Hour
	}
	if o.RetainAge == 0 {
		o.RetainAge = 14 * 24 * time.Hour
	}
	if o.MaxFrame == 0 {
		o.MaxFrame = mib
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.Salt == nil {
		o.Salt = rand.Uint32
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.SegmentBytes < 4*kib || o.SegmentBytes > maxSegment:
		return o, grid.Errorf(grid.Invalid, "segment size is %d: want %d to %d bytes", o.SegmentBytes, 4*kib, maxSegment)
	case o.MaxFrame < 1 || o.MaxFrame > maxRaw:
		return o, grid.Errorf(grid.Invalid, "largest frame is %d: want 1 to %d bytes", o.MaxFrame, maxRaw)
	case o.PendingBytes > maxSegment:
		return o, grid.Errorf(grid.Invalid, "pending limit is %d: want at most %d bytes", o.PendingBytes, maxSegment)
	case o.MinFreeBulk < o.MinFreeSafety:
		return o, grid.Errorf(grid.Invalid, "free-space mark for bulk is %d: want at least the %d of safety, which is refused last", o.MinFreeBulk, o.MinFreeSafety)
	}
	return o, nil
}
