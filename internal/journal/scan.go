package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

const scanChunk = 256 * kib

// scanner walks the records of one segment file in order.
//
// What it cannot read it steps over, to the next record that is whole and has a later
// sequence, and notes it in harm. With tail set the file may end in a write that was
// never made durable: then it goes on only if a later write starts somewhere, which
// proves that what lies before had been durable once. A broken end without such a proof
// is no harm but the torn tail.
type scanner struct {
	file  io.ReaderAt
	salt  uint32
	limit int64  // do not read at or past this offset
	last  uint64 // sequence of the record before
	tail  bool
	keep  bool // leave the bytes of records alone: frames point into them
	chunk int  // bytes to read at a time

	buf  []byte
	base int64 // offset of buf[0] in the file
	pos  int   // next record in buf

	rec   view
	at    int64 // offset of rec
	end   int64 // where the good records end
	group int64 // where the last write begins
	dirty bool  // something else than zeros lies after end
	harm  []harm
	err   error // of the file system
}

// harm is a stretch of a segment that cannot be read.
type harm struct {
	from, to int64
	missing  uint64 // sequences known to have been there
}

func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// next moves to the next good record. When it returns false, err says whether the file
// could be read.
func (s *scanner) next() bool {
	if s.err != nil {
		return false
	}
	if n := s.record(); n > 0 && s.rec.seq > s.last {
		s.accept(n)
		return true
	}
	return s.resync()
}

func (s *scanner) accept(n int) {
	s.at = s.offset()
	if s.rec.start || s.group == 0 {
		s.group = s.at
	}
	s.last = s.rec.seq
	s.pos += n
	s.end = s.offset()
}

// record reads the record at pos into rec and returns its size, or 0.
func (s *scanner) record() int {
	if !s.have(minRecord) {
		return 0
	}
	n := int(binary.LittleEndian.Uint32(s.buf[s.pos+4:]))
	if n < minRecord-recordHead || n > maxBody || !s.have(recordHead+n) {
		return 0
	}
	b := s.buf[s.pos : s.pos+recordHead+n]
	if crc32.Update(s.salt, castagnoli, b[4:]) != binary.LittleEndian.Uint32(b) || !s.rec.parse(b[recordHead:]) {
		return 0
	}
	return len(b)
}

// resync looks for the next good record after a place that is none.
func (s *scanner) resync() bool {
	from, before := s.offset(), s.last
	s.end, s.dirty = from, false
	if s.tail {
		if !s.seek(before, true) {
			return false
		}
		s.rewind(from) // what lies before the later write was durable, too
	}
	if s.seek(before, false) {
		s.harm = append(s.harm, harm{from: from, to: s.offset(), missing: s.rec.seq - before - 1})
		s.accept(recordHead + int(binary.LittleEndian.Uint32(s.buf[s.pos+4:])))
		return true
	}
	if s.dirty && s.err == nil {
		s.harm = append(s.harm, harm{from: from, to: s.limit})
	}
	return false
}

// seek moves to the next good record with a sequence after the one before, past the
// present place; to one that starts a write, if asked. It notes whether it passes
// anything but zeros.
func (s *scanner) seek(before uint64, start bool) bool {
	highest := before + uint64(max(s.limit-s.offset(), 0))/minRecord + 1
	for s.have(minRecord) {
		s.dirty = s.dirty || s.buf[s.pos] != 0
		s.pos++
		if !s.have(minRecord) {
			break
		}
		seq := binary.LittleEndian.Uint64(s.buf[s.pos+10:])
		if seq > before && seq <= highest && s.record() > 0 && (s.rec.start || !start) {
			return true
		}
	}
	for _, c := range s.buf[min(s.pos, len(s.buf)):] {
		s.dirty = s.dirty || c != 0
	}
	return false
}

func (s *scanner) rewind(to int64) { s.buf, s.base, s.pos = nil, to, 0 }

// have makes n bytes from pos on available in buf.
func (s *scanner) have(n int) bool {
	if len(s.buf)-s.pos >= n {
		return true
	}
	left := s.limit - s.offset()
	if s.err != nil || left < int64(n) {
		// Whatever is left is still of interest: is it zeros?
		n = int(max(left, 0))
		if s.err != nil || len(s.buf)-s.pos >= n {
			return false
		}
		s.fill(n)
		return false
	}
	return s.fill(n)
}

func (s *scanner) fill(n int) bool {
	size := int(min(int64(max(s.chunk, n)), s.limit-s.offset()))
	buf := s.buf
	if s.keep || cap(buf) < size {
		buf = make([]byte, size)
	}
	had := copy(buf[:size], s.buf[s.pos:])
	s.base, s.pos = s.offset(), 0
	got, err := s.file.ReadAt(buf[had:size], s.base+int64(had))
	s.buf = buf[:had+got]
	if errors.Is(err, io.EOF) {
		s.limit = s.base + int64(len(s.buf)) // shorter than it should be
	} else if err != nil {
		s.err = err
	}
	return len(s.buf) >= n
}

// one reads the record at pos, without looking for another when it is damaged.
func (s *scanner) one() error {
	if s.record() > 0 {
		return nil
	}
	if s.err != nil {
		return s.err
	}
	return errBadRecord
}

var errBadRecord = errors.New("record is damaged")
