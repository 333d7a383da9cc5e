package journal

import (
	"errors"
	"os"
	"sync"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// room watches the free space. When it runs short, bulk frames are refused first; then
// the reserve, a file that only holds space, is given up for the state and the safety
// lane; and last, safety frames are refused too. Bulk frames stay refused until the
// reserve is back, so that they cannot eat it.
type room struct {
	files disk.FS
	path  string // of the reserve
	opt   *Options

	mu   sync.Mutex
	disk Space
	held bool // the reserve is there
	low  [grid.Lanes]bool
}

// pollSpace looks at the disk and decides which lanes take frames.
func (l *Log) pollSpace() error {
	r := &l.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.measure(l.dir); err != nil {
		return err
	}
	for lane, low := range r.judge() {
		l.refuse(grid.Lane(lane), low)
	}
	return nil
}

// measure reads the free space, and gives up or makes again the reserve.
func (r *room) measure(dir string) error {
	var err error
	if r.disk, err = r.opt.Space(dir); err != nil {
		return err
	}
	info, err := r.files.Stat(r.path)
	r.held = err == nil && info.Size() >= r.opt.ReserveBytes
	switch {
	case r.disk.Free < r.opt.MinFreeSafety && err == nil:
		if err := r.files.Remove(r.path); err != nil {
			return err
		}
		r.held = false
		r.opt.Log.Warn("disk is nearly full: the reserve is released", "in", r.path, "free", r.disk.Free)
		r.disk, err = r.opt.Space(dir)
		return err
	case r.held || r.opt.ReserveBytes == 0 || r.disk.Free < r.opt.MinFreeBulk+r.opt.ReserveBytes:
		return nil
	}
	if err := r.make(); err != nil {
		return err
	}
	r.held = true
	r.disk, err = r.opt.Space(dir)
	return err
}

// make writes the reserve. A disk that is full after all is no error: it stays away.
func (r *room) make() error {
	f, err := r.files.OpenFile(r.path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	if err = f.Allocate(0, r.opt.ReserveBytes); err == nil {
		err = f.Truncate(r.opt.ReserveBytes)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, r.files.Remove(r.path))
	}
	return err
}

// judge says which lanes are short of space.
func (r *room) judge() [grid.Lanes]bool {
	var low [grid.Lanes]bool
	low[grid.Safety] = r.disk.Free < r.opt.MinFreeSafety
	low[grid.Bulk] = r.disk.Free < r.opt.MinFreeBulk || (!r.held && r.opt.ReserveBytes > 0)
	return low
}

// refuse opens or closes a lane for new frames.
func (l *Log) refuse(lane grid.Lane, low bool) {
	r := &l.room
	mark := r.opt.MinFreeBulk
	if lane == grid.Safety {
		mark = r.opt.MinFreeSafety
	}
	if low != r.low[lane] {
		r.low[lane] = low
		if low {
			l.opt.Log.Error("disk is nearly full: journal refuses frames", "in", lane.String(), "free", r.disk.Free, "mark", mark)
		} else {
			l.opt.Log.Info("disk has room again: journal takes frames", "in", lane.String(), "free", r.disk.Free)
		}
	}
	p := l.lanes[lane]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = nil
	if low {
		p.refused = grid.Errorf(grid.Unavailable, "%s frames are refused, the disk of %s has %d MiB free and %d MiB are to stay: %w: %w",
			lane, l.dir, r.disk.Free/mib, mark/mib, ErrDiskFull, grid.ErrOverloaded)
	}
}
