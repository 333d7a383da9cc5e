package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// A segment file is a header and then records. The header, little endian:
//
//	 0  "ggjournl"
//	 8  version  u16
//	10  lane     u8
//	11  0        u8
//	12  epoch    u32
//	16  first    u64  sequence of the first record
//	24  salt     u32  start of the CRC of each record
//	28  size     u32  of the header: where the records begin
//	32  created  i64  ns since 1970
//	40  n        u32  number of counts
//	44  n × (transport, source: uvarint length, bytes; frames: uvarint)
//	-4  crc      u32  CRC32C of all before
//
// The counts are the frames of the lane accepted before this segment. First, epoch and
// salt stand in the file name too, so that the records of a segment whose header was
// damaged can still be read.
// Format is the form of segments that this program writes; it reads no other.
const Format = 1

const (
	segmentMagic   = "ggjournl"
	segmentVersion = Format
	headerFixed    = 44
	maxHeader      = 16 * mib
	segmentSuffix  = ".seg"
	indexSuffix    = ".idx"
)

// Source is whom a count belongs to.
type Source struct {
	Lane      grid.Lane
	Transport string
	Source    string
}

// counts are frames accepted, per source.
type counts map[Source]uint64

// segment is one file of a lane. What changes after it was made is guarded by the mutex
// of its segments.
type segment struct {
	path  string
	first uint64
	epoch uint32
	salt  uint32

	created time.Time // the file's, if its header is damaged
	body    int64     // where the records begin
	size    int64     // what may be read; for the hot segment where the durable records end
	last    uint64    // sequence of the last of them; first-1 when there are none
	sealed  bool      //
	indexed bool      // the index file is there, and nothing bad is known of it
	marks   []mark    // hot segment only: places to start reading from

	seen map[int64]bool // harm already reported, by offset
}

// mark says that the record at an offset has a sequence.
type mark struct {
	seq uint64
	off int64
}

// markEvery is the distance of marks: what a lookup by sequence reads in vain at most.
const markEvery = 64 * kib

func segmentName(first uint64, epoch, salt uint32) string {
	return fmt.Sprintf("%020d-%d-%08x%s", first, epoch, salt, segmentSuffix)
}

func parseSegmentName(path string) (*segment, bool) {
	name := filepath.Base(path)
	s := &segment{path: path}
	if _, err := fmt.Sscanf(name, "%020d-%d-%08x"+segmentSuffix, &s.first, &s.epoch, &s.salt); err != nil {
		return nil, false
	}
	s.last = s.first - 1
	return s, s.first > 0 && name == segmentName(s.first, s.epoch, s.salt)
}

func (s *segment) index() string { return strings.TrimSuffix(s.path, segmentSuffix) + indexSuffix }

func encodeHeader(lane grid.Lane, s *segment, before counts) []byte {
	b := append(make([]byte, 0, 256), segmentMagic...)
	b = binary.LittleEndian.AppendUint16(b, segmentVersion)
	b = append(b, byte(lane), 0)
	b = binary.LittleEndian.AppendUint32(b, s.epoch)
	b = binary.LittleEndian.AppendUint64(b, s.first)
	b = binary.LittleEndian.AppendUint32(b, s.salt)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.created.UnixNano()))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(before)))
	for _, k := range slices.SortedFunc(maps.Keys(before), func(a, b Source) int {
		return strings.Compare(a.Transport+"\x00"+a.Source, b.Transport+"\x00"+b.Source)
	}) {
		b = appendString(appendString(b, k.Transport), k.Source)
		b = binary.AppendUvarint(b, before[k])
	}
	binary.LittleEndian.PutUint32(b[28:], uint32(len(b)+4))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errBadHeader = errors.New("header is damaged")

// header is what a segment's name does not say.
type header struct {
	created time.Time
	body    int64
	before  counts
}

// readHeader reads the header of s from f.
func (s *segment) readHeader(f io.ReaderAt, lane grid.Lane) (header, error) {
	b := make([]byte, 4*kib)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return header{}, err
	}
	if b = b[:n]; len(b) < headerFixed+4 || string(b[:8]) != segmentMagic {
		return header{}, errBadHeader
	}
	size := int(binary.LittleEndian.Uint32(b[28:]))
	if size < headerFixed+4 || size > maxHeader {
		return header{}, errBadHeader
	}
	if size > len(b) {
		b = make([]byte, size)
		if _, err := f.ReadAt(b, 0); errors.Is(err, io.EOF) {
			return header{}, errBadHeader
		} else if err != nil {
			return header{}, err
		}
	}
	b = b[:size]
	if crc32.Checksum(b[:size-4], castagnoli) != binary.LittleEndian.Uint32(b[size-4:]) {
		return header{}, errBadHeader
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != segmentVersion {
		return header{}, fmt.Errorf("format version is %d: this program reads %d", v, segmentVersion)
	}
	if grid.Lane(b[10]) != lane ||
		binary.LittleEndian.Uint32(b[12:]) != s.epoch ||
		binary.LittleEndian.Uint64(b[16:]) != s.first ||
		binary.LittleEndian.Uint32(b[24:]) != s.salt {
		return header{}, errBadHeader
	}
	before, err := parseCounts(b[headerFixed:size-4], int(binary.LittleEndian.Uint32(b[40:])), lane)
	created := time.Unix(0, int64(binary.LittleEndian.Uint64(b[32:]))).UTC()
	return header{created, int64(size), before}, err
}

func parseCounts(b []byte, n int, lane grid.Lane) (counts, error) {
	out := make(counts, min(n, 1024))
	for range n {
		var name [2]string
		for i := range name {
			l, w := binary.Uvarint(b)
			if w <= 0 || l > uint64(len(b)-w) {
				return nil, errBadHeader
			}
			name[i] = string(b[w : w+int(l)])
			b = b[w+int(l):]
		}
		v, w := binary.Uvarint(b)
		if w <= 0 {
			return nil, errBadHeader
		}
		b = b[w:]
		out[Source{lane, name[0], name[1]}] = v
	}
	return out, nil
}

// scan walks the records of s in f from the given mark on, up to limit.
func (s *segment) scan(f io.ReaderAt, from mark, limit int64) scanner {
	return scanner{file: f, salt: s.salt, limit: limit, last: from.seq - 1, chunk: scanChunk, base: from.off, end: from.off}
}

// start is the mark of the first record.
func (s *segment) start() mark { return mark{s.first, s.body} }

// listSegments finds the segment files in dir, oldest first, with their file sizes.
func listSegments(files disk.FS, dir string) ([]*segment, error) {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []*segment
	for _, e := range entries {
		s, ok := parseSegmentName(filepath.Join(dir, e.Name()))
		if !ok {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // retention of a running gateway
		} else if err != nil {
			return nil, err
		}
		s.size = info.Size()
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(a, b *segment) int { return cmp.Compare(a.first, b.first) })
	return list, nil
}
