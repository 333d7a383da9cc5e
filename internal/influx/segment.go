package influx

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/disk"
)

// A segment file is a header and records: length of the lines, CRC of what follows,
// time of the append, lines. Numbers are little-endian.
const (
	segmentMagic  = "gridgiq1"
	segmentHeader = int64(len(segmentMagic))
	recordHeader  = 4 + 4 + 8
	segmentExt    = ".lines"
)

// errDamaged says that there is no whole record at a place.
var errDamaged = errors.New("no whole record")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type segment struct {
	id   uint64
	size int64
}

func segmentPath(dir string, id uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x", id)+segmentExt)
}

// listSegments finds the segments of dir, oldest first.
func listSegments(files disk.FS, dir string) ([]segment, error) {
	entries, err := files.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	var out []segment
	for _, e := range entries {
		hex, ok := strings.CutSuffix(e.Name(), segmentExt)
		if !ok {
			continue
		}
		id, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: not a segment's name", e.Name())
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		out = append(out, segment{id: id, size: max(info.Size(), segmentHeader)})
	}
	return out, nil
}

func createSegment(files disk.FS, dir string, id uint64) (disk.File, error) {
	f, err := files.OpenFile(segmentPath(dir, id), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write([]byte(segmentMagic)); err == nil {
		err = files.SyncDir(dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// truncateSegment opens a segment for writing and cuts it after its last whole record
// that ends at or before limit; valid is its new size.
func truncateSegment(files disk.FS, path string, limit int64) (_ disk.File, valid int64, err error) {
	f, err := files.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	r := bufio.NewReaderSize(f, 1<<20)
	magic := make([]byte, segmentHeader)
	_, err = io.ReadFull(r, magic)
	if err = torn(err); err != nil && !errors.Is(err, errDamaged) {
		return nil, 0, err // a disk that does not read now may do so later: nothing is cut
	}
	if err != nil || string(magic) != segmentMagic {
		if _, err := f.WriteAt([]byte(segmentMagic), 0); err != nil {
			return nil, 0, err
		}
		limit = 0 // never got its header: there is no block in it
	}
	valid = segmentHeader
	for valid < limit {
		_, lines, err := readRecord(r, limit-valid)
		if errors.Is(err, errDamaged) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		valid += int64(recordHeader + len(lines))
	}
	if err := f.Truncate(valid); err != nil {
		return nil, 0, err
	}
	return f, valid, f.Sync()
}

func appendRecord(dst []byte, at time.Time, lines []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(lines)))
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(at.UnixNano()))
	dst = append(dst, lines...)
	binary.LittleEndian.PutUint32(dst[start+4:], crc32.Checksum(dst[start+8:], castagnoli))
	return dst
}

// readRecord reads a record from r, which has size bytes; errDamaged when there is none
// that is whole.
func readRecord(r io.Reader, size int64) (time.Time, []byte, error) {
	var h [recordHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return time.Time{}, nil, torn(err)
	}
	n := int64(binary.LittleEndian.Uint32(h[:]))
	if n == 0 || n > size-recordHeader {
		return time.Time{}, nil, fmt.Errorf("%w: length is %d", errDamaged, n)
	}
	lines := make([]byte, n)
	if _, err := io.ReadFull(r, lines); err != nil {
		return time.Time{}, nil, torn(err)
	}
	crc := crc32.Update(crc32.Checksum(h[8:], castagnoli), castagnoli, lines)
	if want := binary.LittleEndian.Uint32(h[4:]); crc != want {
		return time.Time{}, nil, fmt.Errorf("%w: CRC is %08x: want %08x", errDamaged, crc, want)
	}
	return time.Unix(0, int64(binary.LittleEndian.Uint64(h[8:]))), lines, nil
}

func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: file ends", errDamaged)
	}
	return err
}

// recordTime reads when the record at offset was appended.
func recordTime(files disk.FS, path string, offset int64) (time.Time, error) {
	f, err := disk.Open(files, path)
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	var h [recordHeader]byte
	if _, err := f.ReadAt(h[:], offset); err != nil {
		return time.Time{}, err
	}
	return time.Unix(0, int64(binary.LittleEndian.Uint64(h[8:]))), nil
}

// replaceFile puts b in the place of path's contents: the old or the new, never a part.
func replaceFile(files disk.FS, path string, b []byte) error {
	f, err := files.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := files.Rename(path+".new", path); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(path))
}
