package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"slices"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// The index of a sealed segment, little endian:
//
//	 0  "ggindex1"
//	 8  salt      u32  of the segment
//	12  bits      u32  there are 1<<bits buckets
//	16  oldest    i64  received, ns: the extremes of the segment
//	24  newest    i64
//	32  n         u32  number of marks
//	36  n × (sequence u64, offset u32)
//	    (1<<bits)+1 × offset u32: where each bucket begins in this file
//	    crc       u32  CRC32C of all before
//	    buckets: crc u32, then (hash u32, offset u32) of each record, by offset
//
// A lookup reads the head and one bucket, each under a CRC of its own, and then the
// records themselves: a damaged index is noticed and made again, and can never show
// another device's frame.
const (
	indexMagic  = "ggindex1"
	indexFixed  = 36
	bucketAim   = 256 // records a bucket should have
	maxIndexTop = 64 * mib
)

var errBadIndex = errors.New("index is damaged")

func hashIdentity(id []byte) uint32 { return crc32.Checksum(id, castagnoli) }

// index is an open index file.
type index struct {
	file           disk.File
	bits           uint32
	oldest, newest int64
	marks          []mark
	buckets        []uint32
}

func (ix *index) close() { ix.file.Close() }

// openIndex opens and checks the head of seg's index.
func openIndex(files disk.FS, seg *segment) (*index, error) {
	f, err := disk.Open(files, seg.index())
	if err != nil {
		return nil, err
	}
	ix := &index{file: f}
	if err := ix.readTop(seg.salt); err != nil {
		f.Close()
		return nil, err
	}
	return ix, nil
}

func (ix *index) readTop(salt uint32) error {
	var fixed [indexFixed]byte
	if _, err := ix.file.ReadAt(fixed[:], 0); errors.Is(err, io.EOF) {
		return errBadIndex
	} else if err != nil {
		return err
	}
	le := binary.LittleEndian
	ix.bits = le.Uint32(fixed[12:])
	n := le.Uint32(fixed[32:])
	size := int64(indexFixed) + 12*int64(n) + 4*(int64(1)<<min(ix.bits, 32)+1) + 4
	if string(fixed[:8]) != indexMagic || le.Uint32(fixed[8:]) != salt || size > maxIndexTop {
		return errBadIndex
	}
	b := make([]byte, size)
	if _, err := ix.file.ReadAt(b, 0); errors.Is(err, io.EOF) {
		return errBadIndex
	} else if err != nil {
		return err
	}
	if crc32.Checksum(b[:size-4], castagnoli) != le.Uint32(b[size-4:]) {
		return errBadIndex
	}
	ix.oldest, ix.newest = int64(le.Uint64(b[16:])), int64(le.Uint64(b[24:]))
	ix.marks = make([]mark, n)
	b = b[indexFixed:]
	for i := range ix.marks {
		ix.marks[i] = mark{le.Uint64(b), int64(le.Uint32(b[8:]))}
		b = b[12:]
	}
	ix.buckets = make([]uint32, 1<<ix.bits+1)
	for i := range ix.buckets {
		ix.buckets[i] = le.Uint32(b[4*i:])
	}
	return nil
}

// lookup returns the offsets, ascending, of the records that may be of id.
func (ix *index) lookup(id grid.Identity) ([]int64, error) {
	hash := hashIdentity([]byte(id))
	n := bucketOf(hash, ix.bits)
	from, to := ix.buckets[n], ix.buckets[n+1]
	if to < from+4 {
		return nil, errBadIndex
	}
	b := make([]byte, to-from)
	if _, err := ix.file.ReadAt(b, int64(from)); errors.Is(err, io.EOF) {
		return nil, errBadIndex
	} else if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if crc32.Checksum(b[4:], castagnoli) != le.Uint32(b) {
		return nil, errBadIndex
	}
	var out []int64
	for b = b[4:]; len(b) >= 8; b = b[8:] {
		if le.Uint32(b) == hash {
			out = append(out, int64(le.Uint32(b[4:])))
		}
	}
	return out, nil
}

func bucketOf(hash, bits uint32) uint32 { return uint32(uint64(hash) << bits >> 32) }

// indexEntry is one record in an index being built.
type indexEntry struct{ hash, off uint32 }

// buildIndex writes the index of a sealed segment beside it. Whether it survives a
// power loss does not matter: it is checked on use, and made again.
func (s *segments) buildIndex(ctx context.Context, seg *segment) error {
	f, err := s.open(seg)
	if err != nil {
		return err
	}
	defer f.Close()
	size, _ := s.extent(seg)
	sc := seg.scan(f, seg.start(), size)
	var entries []indexEntry
	var marks []mark
	oldest, newest := int64(math.MaxInt64), int64(math.MinInt64)
	for sc.next() {
		if len(entries)%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		entries = append(entries, indexEntry{hashIdentity(sc.rec.identity), uint32(sc.at)})
		oldest, newest = min(oldest, sc.rec.received), max(newest, sc.rec.received)
		if len(marks) == 0 || sc.at >= marks[len(marks)-1].off+markEvery {
			marks = append(marks, mark{sc.last, sc.at})
		}
	}
	if sc.err != nil {
		return sc.err
	}
	s.mu.Lock()
	s.report(seg, sc.harm)
	if sc.last < seg.last {
		s.report(seg, []harm{{from: -1, missing: seg.last - sc.last}})
	}
	s.mu.Unlock()

	tmp := seg.index() + tmpSuffix
	if err := disk.WriteFile(s.disk, tmp, encodeIndex(seg.salt, oldest, newest, marks, entries), 0o640); err != nil {
		return errors.Join(err, s.disk.Remove(tmp))
	}
	if err := s.disk.Rename(tmp, seg.index()); err != nil {
		return err
	}
	s.mu.Lock()
	seg.indexed = true
	s.mu.Unlock()
	return nil
}

func encodeIndex(salt uint32, oldest, newest int64, marks []mark, entries []indexEntry) []byte {
	var bits uint32
	for len(entries)>>bits > bucketAim {
		bits++
	}
	slices.SortStableFunc(entries, func(a, b indexEntry) int {
		return int(bucketOf(a.hash, bits)) - int(bucketOf(b.hash, bits))
	})
	le := binary.LittleEndian
	top := indexFixed + 12*len(marks) + 4*(1<<bits+1) + 4
	b := append(make([]byte, 0, top+4<<bits+8*len(entries)), indexMagic...)
	b = le.AppendUint32(b, salt)
	b = le.AppendUint32(b, bits)
	b = le.AppendUint64(b, uint64(oldest))
	b = le.AppendUint64(b, uint64(newest))
	b = le.AppendUint32(b, uint32(len(marks)))
	for _, m := range marks {
		b = le.AppendUint64(b, m.seq)
		b = le.AppendUint32(b, uint32(m.off))
	}
	dir := len(b)
	b = append(b, make([]byte, top-dir)...)
	for n, i := uint32(0), 0; n < 1<<bits; n++ {
		le.PutUint32(b[dir+4*int(n):], uint32(len(b)))
		from := len(b)
		b = le.AppendUint32(b, 0)
		for ; i < len(entries) && bucketOf(entries[i].hash, bits) == n; i++ {
			b = le.AppendUint32(b, entries[i].hash)
			b = le.AppendUint32(b, entries[i].off)
		}
		le.PutUint32(b[from:], crc32.Checksum(b[from+4:], castagnoli))
	}
	le.PutUint32(b[top-8:], uint32(len(b)))
	le.PutUint32(b[top-4:], crc32.Checksum(b[:top-4], castagnoli))
	return b
}

// byDevice returns up to limit frames of id received in [since, until), newest first by
// sequence. A zero time is no bound.
func (s *segments) byDevice(ctx context.Context, id grid.Identity, since, until time.Time, limit int) ([]grid.Frame, error) {
	q := deviceQuery{of: s, id: id, from: math.MinInt64, to: math.MaxInt64, limit: limit}
	if !since.IsZero() {
		q.from = since.UnixNano()
	}
	if !until.IsZero() {
		q.to = until.UnixNano()
	}
	list := s.snapshot()
	for _, seg := range slices.Backward(list) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(q.out) >= limit {
			break
		}
		if err := q.segment(ctx, seg); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("frames of %s in %s: %w", id, seg.path, err)
		}
	}
	return q.out, nil
}

// deviceQuery collects one device's frames, segment by segment, newest first.
type deviceQuery struct {
	of       *segments
	id       grid.Identity
	from, to int64 // received, ns
	limit    int
	out      []grid.Frame
	names    interner
}

func (q *deviceQuery) segment(ctx context.Context, seg *segment) error {
	size, sealed := q.of.extent(seg)
	f, err := q.of.open(seg)
	if err != nil {
		return err
	}
	defer f.Close()
	offsets, ok := []int64(nil), false
	if sealed {
		offsets, ok = q.indexed(seg)
	}
	if !ok {
		if offsets, err = q.scanned(ctx, seg, f, size); err != nil {
			return err
		}
	}
	for _, off := range slices.Backward(offsets) {
		if len(q.out) >= q.limit {
			break
		}
		sc := seg.scan(f, mark{seg.first, off}, size)
		sc.keep, sc.chunk = true, 4*kib
		if err := sc.one(); errors.Is(err, errBadRecord) {
			q.of.mu.Lock()
			q.of.report(seg, []harm{{from: off, to: size}})
			q.of.mu.Unlock()
			continue
		} else if err != nil {
			return err
		}
		if q.wants(&sc.rec) {
			q.out = append(q.out, sc.rec.frame(q.of.lane, seg.epoch, &q.names))
		}
	}
	return nil
}

func (q *deviceQuery) wants(v *view) bool {
	return string(v.identity) == string(q.id) && v.received >= q.from && v.received < q.to
}

// indexed looks q up in the index of seg; false when there is none to be trusted.
func (q *deviceQuery) indexed(seg *segment) ([]int64, bool) {
	ix, err := openIndex(q.of.disk, seg)
	if err == nil {
		defer ix.close()
		if ix.newest < q.from || ix.oldest >= q.to {
			return nil, true
		}
		var offsets []int64
		if offsets, err = ix.lookup(q.id); err == nil {
			return offsets, true
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		q.of.log.Warn("journal index is unreadable: it will be made again", "in", seg.index(), "err", err)
	}
	q.of.mu.Lock()
	seg.indexed = false
	q.of.mu.Unlock()
	return nil, false
}

// scanned finds the newest records q wants by reading all of seg.
func (q *deviceQuery) scanned(ctx context.Context, seg *segment, f io.ReaderAt, size int64) ([]int64, error) {
	var offsets []int64
	sc := seg.scan(f, seg.start(), size)
	for n := 0; sc.next(); n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if q.wants(&sc.rec) {
			offsets = append(offsets, sc.at)
		}
	}
	return offsets[max(len(offsets)-q.limit, 0):], sc.err
}
