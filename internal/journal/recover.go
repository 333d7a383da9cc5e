package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// recovered is what the files of a lane say when the journal is opened.
type recovered struct {
	segments *segments
	counts   counts // frames accepted up to the head
	empty    []*segment
}

// recoverLane opens a lane for writing: it throws away what was never finished, cuts
// the torn tail of the newest segment and makes durable what is left of its last write.
func recoverLane(files disk.FS, lane grid.Lane, dir string, log *slog.Logger) (*recovered, error) {
	if err := files.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	if err := removeStray(files, dir); err != nil {
		return nil, err
	}
	return loadLane(files, lane, dir, log, false)
}

// loadLane reads what is there. With readonly set it changes nothing and leaves the
// tail of the newest segment, which may be growing, out of it.
func loadLane(files disk.FS, lane grid.Lane, dir string, log *slog.Logger, readonly bool) (*recovered, error) {
	s := &segments{lane: lane, dir: dir, disk: files, log: log, readonly: readonly, changed: make(chan struct{})}
	r := &recovered{segments: s}
	list, err := listSegments(files, dir)
	if err != nil {
		return nil, err
	}
	var base counts // before the newest segment with a good header
	var bad []*segment
	baseAt := 0
	found := list
	list = nil
	for _, seg := range found {
		h, err := loadHeader(files, seg, lane)
		seg.created, seg.body = h.created, h.body
		switch {
		case readonly && errors.Is(err, fs.ErrNotExist):
			continue // retention of the gateway that runs here
		case errors.Is(err, errBadHeader):
			bad = append(bad, seg)
		case err != nil:
			return nil, fmt.Errorf("segment %s: %w", seg.path, err)
		default:
			base, baseAt = h.before, len(list)
		}
		_, err = files.Stat(seg.index())
		seg.indexed = err == nil
		list = append(list, seg)
	}
	if list, err = orderTwins(files, list); err != nil {
		return nil, err
	}
	if err := r.tail(list); err != nil {
		return nil, err
	}
	for _, seg := range bad {
		if seg.last >= seg.first { // else it was never finished, and never used
			s.report(seg, []harm{{from: 0, to: headerFixed}})
		}
	}
	if r.counts, err = countFrom(files, base, list[baseAt:], lane); err != nil {
		return nil, err
	}
	s.list, r.empty = dropEmpty(list)
	s.head = headOf(lane, list, s.list)
	return r, nil
}

// headOf is the position of the last frame; list has the empty segments too, which keep
// the sequence when all frames are gone.
func headOf(lane grid.Lane, list, full []*segment) grid.Pos {
	head := grid.Pos{Lane: lane}
	if n := len(list); n > 0 {
		head.Epoch, head.Seq = list[n-1].epoch, list[n-1].last
	}
	if n := len(full); n > 0 {
		head.Epoch = full[n-1].epoch
	}
	return head
}

// orderTwins puts, of segments with the same first sequence, the one with records last.
// The others are left over from an Open that a crash ended before it removed them.
func orderTwins(files disk.FS, list []*segment) ([]*segment, error) {
	for i := 1; i < len(list); i++ {
		if list[i-1].first != list[i].first {
			continue
		}
		a, err := list[i-1].hasRecords(files)
		if err != nil {
			return nil, err
		}
		b, err := list[i].hasRecords(files)
		if err != nil {
			return nil, err
		}
		if a && b {
			return nil, fmt.Errorf("segments %s and %s both have the frames from %d on: one of them is a copy to be removed",
				list[i-1].path, list[i].path, list[i].first)
		}
		if a {
			list[i-1], list[i] = list[i], list[i-1]
		}
	}
	return list, nil
}

func (seg *segment) hasRecords(files disk.FS) (bool, error) {
	f, err := disk.Open(files, seg.path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	sc := seg.scan(f, seg.start(), seg.size)
	return sc.next(), sc.err
}

// loadHeader reads the header of seg. With errBadHeader comes what is known all the same.
func loadHeader(files disk.FS, seg *segment, lane grid.Lane) (header, error) {
	f, err := disk.Open(files, seg.path)
	if err != nil {
		return header{}, err
	}
	defer f.Close()
	h, err := seg.readHeader(f, lane)
	if errors.Is(err, errBadHeader) {
		info, statErr := f.Stat()
		if statErr != nil {
			return header{}, statErr
		}
		h = header{created: info.ModTime()}
	}
	return h, err
}

// tail finds where each segment ends. All but the newest end where the next begins.
func (r *recovered) tail(list []*segment) error {
	for i, seg := range list {
		seg.sealed = true
		if i+1 < len(list) {
			seg.last = list[i+1].first - 1
			continue
		}
		if err := r.newest(seg); err != nil {
			return fmt.Errorf("segment %s: %w", seg.path, err)
		}
	}
	return nil
}

// newest scans the newest segment, the only one that a crash can leave half written.
func (r *recovered) newest(seg *segment) error {
	s := r.segments
	f, err := openFile(s.disk, seg.path, s.readonly)
	if err != nil {
		return err
	}
	defer f.Close()
	sc := seg.scan(f, seg.start(), seg.size)
	sc.tail = true
	for sc.next() {
	}
	if sc.err != nil {
		return sc.err
	}
	s.report(seg, sc.harm)
	if s.readonly {
		seg.size, seg.last = sc.end, sc.last
		return nil
	}
	if sc.dirty {
		s.log.Warn("journal tail was torn: cut what had not been acknowledged", "in", seg.path,
			"from", sc.end, "to", seg.size, "head", sc.last)
	}
	seg.size, seg.last = sc.end, sc.last
	return settle(f, sc.group, sc.end)
}

func openFile(files disk.FS, path string, readonly bool) (disk.File, error) {
	if readonly {
		return disk.Open(files, path)
	}
	return files.OpenFile(path, os.O_RDWR, 0)
}

// settle cuts f at end and makes its last write, from group on, durable. It writes
// those bytes anew: after an fsync that failed they may be in memory alone and
// marked clean, and a mere fsync would then report success.
func settle(f disk.File, group, end int64) error {
	if err := f.Truncate(end); err != nil {
		return err
	}
	if group > 0 && group < end {
		b := make([]byte, end-group)
		if _, err := f.ReadAt(b, group); err != nil {
			return err
		}
		if _, err := f.WriteAt(b, group); err != nil {
			return err
		}
	}
	return f.Sync()
}

// countFrom adds the records of list to base.
func countFrom(files disk.FS, base counts, list []*segment, lane grid.Lane) (counts, error) {
	out := maps.Clone(base)
	if out == nil {
		out = make(counts)
	}
	for _, seg := range list {
		if err := seg.count(files, lane, seg.size, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// count adds the records of seg up to limit.
func (seg *segment) count(files disk.FS, lane grid.Lane, limit int64, into counts) error {
	f, err := disk.Open(files, seg.path)
	if err != nil {
		return err
	}
	defer f.Close()
	var names interner
	sc := seg.scan(f, seg.start(), limit)
	for sc.next() {
		into[Source{lane, names.intern(sc.rec.transport), names.intern(sc.rec.source)}]++
	}
	return sc.err
}

// dropEmpty separates the segments without records.
func dropEmpty(list []*segment) (full, empty []*segment) {
	for _, seg := range list {
		if seg.last < seg.first {
			empty = append(empty, seg)
		} else {
			full = append(full, seg)
		}
	}
	return full, empty
}

// removeStray removes unfinished files, and indexes whose segment is gone.
func removeStray(files disk.FS, dir string) error {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		stray := strings.HasSuffix(path, tmpSuffix)
		if base, ok := strings.CutSuffix(path, indexSuffix); ok {
			_, err := files.Stat(base + segmentSuffix)
			stray = errors.Is(err, fs.ErrNotExist)
		}
		if stray {
			if err := files.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeFiles removes segments and their indexes, oldest first, durably.
func removeFiles(files disk.FS, dir string, list []*segment) error {
	for _, seg := range list {
		if err := files.Remove(seg.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := files.Remove(seg.index()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(list) == 0 {
		return nil
	}
	return files.SyncDir(dir)
}

// highest is the highest epoch in list.
func highest(list []*segment) uint32 {
	if len(list) == 0 {
		return 0
	}
	return slices.MaxFunc(list, func(a, b *segment) int { return int(a.epoch) - int(b.epoch) }).epoch
}
