package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// hot is the open file of the newest segment of a lane. Only the lane's committer uses it.
//
// The file is filled with zeros one step ahead of the records: an fsync then has to
// write the data and no new file length or block map, which halves it (see
// docs/decisions/001-journal-files.md).
type hot struct {
	seg    *segment
	file   disk.File
	next   uint64 // sequence of the next record
	off    int64  // where the next record goes
	zeroed int64  // how far the file is filled
}

// zeroStep is how far the file is filled ahead.
const zeroStep = 1 * mib

var zeros [zeroStep]byte

// errNoRoom: the disk is full or read-only, and nothing of what was to be written has been.
var errNoRoom = errors.New("no room")

// ErrDiskFull says that a frame was refused because the disk takes it no more.
var ErrDiskFull = errors.New("disk takes no more")

func noRoom(err error) error {
	if disk.Full(err) {
		return fmt.Errorf("%w: %w", errNoRoom, err)
	}
	return err
}

// createHot makes the file of seg in dir, durable with its name before it returns: a
// name in the directory never stands for a file without a header.
func createHot(files disk.FS, lane grid.Lane, dir string, seg *segment, before counts) (*hot, error) {
	seg.path = filepath.Join(dir, segmentName(seg.first, seg.epoch, seg.salt))
	tmp := seg.path + tmpSuffix
	f, err := files.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o640)
	if err != nil {
		return nil, noRoom(err)
	}
	head := encodeHeader(lane, seg, before)
	seg.body = int64(len(head))
	h := &hot{seg: seg, file: f, off: seg.body, zeroed: seg.body}
	_, err = f.WriteAt(head, 0)
	if err == nil {
		err = h.room(1)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = files.Rename(tmp, seg.path)
	}
	if err == nil {
		err = files.SyncDir(dir)
	}
	if err != nil {
		f.Close()
		files.Remove(tmp)
		files.Remove(seg.path)
		return nil, noRoom(err)
	}
	return h, nil
}

const tmpSuffix = ".tmp"

// room makes sure that n more bytes fit. Its error is errNoRoom when the disk is full.
func (h *hot) room(n int) error {
	for h.zeroed < h.off+int64(n) {
		if err := h.file.Allocate(h.zeroed, zeroStep); err != nil {
			return noRoom(err)
		}
		if _, err := h.file.WriteAt(zeros[:], h.zeroed); err != nil {
			return noRoom(err)
		}
		h.zeroed += zeroStep
	}
	return nil
}

// append writes b and makes it durable. After an error other than errNoRoom the file must not be
// used again.
func (h *hot) append(b []byte) error {
	if n, err := h.file.WriteAt(b, h.off); err != nil {
		if n == 0 && disk.ReadOnly(err) {
			return noRoom(err)
		}
		return err
	}
	if err := h.file.SyncData(); err != nil {
		return err
	}
	h.off += int64(len(b))
	return nil
}

// close ends the file where its records end. All of them are durable; the zeros cut
// off here may come back after a crash, and do no harm.
func (h *hot) close() error {
	err := h.file.Truncate(h.off)
	return errors.Join(err, h.file.Close())
}
