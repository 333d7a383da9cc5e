package serial

// cut is what a cutter made of the beginning of a stream.
type cut struct {
	size    int    // bytes that are done with; 0: more are wanted
	frame   []byte // a whole frame among them; nil: there is none
	damaged []byte // what was a frame once, for a denial; may go beyond size
	fault   error  // why they are no frame; nil for noise that nobody meant as one
}

// cutter finds the frames of one stream. It never keeps b.
type cutter interface {
	// cut looks at the beginning of b, which is not empty. quiet says that nothing more came
	// for a while: what is there is all there is, and size is not 0.
	cut(b []byte, quiet bool) cut
	// most is the length at which a cutter wants no more bytes.
	most() int
}

// stream collects bytes and has them cut.
type stream struct {
	cutter cutter
	buf    []byte
	pos    int64 // bytes done with since the beginning
}

// feed takes in bytes and calls take for each cut that has something to say, at the
// position of its first byte. The bytes of a cut are overwritten later.
func (s *stream) feed(b []byte, quiet bool, take func(c cut, at int64)) {
	for first := true; first || len(b) > 0; first = false {
		// A little at a time: what is held stays within twice the longest frame.
		n := min(len(b), s.cutter.most())
		s.buf, b = append(s.buf, b[:n]...), b[n:]
		s.drain(quiet && len(b) == 0, take)
	}
}

func (s *stream) drain(quiet bool, take func(c cut, at int64)) {
	rest := s.buf
	for len(rest) > 0 {
		c := s.cutter.cut(rest, quiet)
		if c.size == 0 {
			break
		}
		if c.frame != nil || c.fault != nil {
			take(c, s.pos)
		}
		s.pos += int64(c.size)
		rest = rest[c.size:]
	}
	s.buf = append(s.buf[:0], rest...)
}

// held is how many bytes wait for the rest of their frame.
func (s *stream) held() int { return len(s.buf) }
