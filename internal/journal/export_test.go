package journal

import (
	"os"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// WriteUnsynced writes frames as one write at the end of a segment, as a committer does
// that is killed before its fsync.
func WriteUnsynced(path string, frames []grid.Frame) error {
	seg, _ := parseSegmentName(path)
	f, err := disk.Machine{}.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := seg.readHeader(f, frames[0].Pos.Lane)
	if err != nil {
		return err
	}
	seg.body = h.body
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sc := seg.scan(f, seg.start(), info.Size())
	for sc.next() {
	}
	var b []byte
	for i := range frames {
		b = appendRecord(b, &frames[i])
	}
	stamp(b, seg.salt, sc.last+1)
	_, err = f.WriteAt(b, sc.end)
	return err
}
