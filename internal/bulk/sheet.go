package bulk

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"gridgate/internal/grid"
)

// A sheet is read row by row. row is as a spreadsheet numbers it, cells are valid until the
// next call, io.EOF ends it. dates are the cells that the file keeps as dates.
type sheet interface {
	next() (row int, cells []string, dates []bool, err error)
	close() error
}

// openSheet finds out what a file is by its content. known tells of a header whether it is one:
// by it the separator is chosen.
func openSheet(f io.ReaderAt, size int64, known func(header string) bool) (sheet, error) {
	head := make([]byte, 64<<10)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	head = head[:n]
	switch {
	case size > MaxBytes:
		return nil, grid.Errorf(grid.Invalid, "file has %d MiB: want at most %d", size>>20, MaxBytes>>20)
	case len(bytes.TrimSpace(head)) == 0:
		return nil, grid.Errorf(grid.Invalid, "file is empty: want a header row and rows below it")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return openXLSX(f, size)
	case bytes.HasPrefix(head, []byte{0xd0, 0xcf, 0x11, 0xe0}):
		return nil, grid.Errorf(grid.Invalid, "file is an old workbook (.xls) or one with a password: want .xlsx without one, or CSV")
	}
	return openCSV(f, size, head, known)
}

// csvSheet reads CSV in any of the encodings in which spreadsheets here write it.
type csvSheet struct {
	r     *csv.Reader
	below int // lines that quoted cells have taken so far beyond one a row
}

func openCSV(f io.ReaderAt, size int64, head []byte, known func(string) bool) (sheet, error) {
	enc, err := encodingOf(f, size, head)
	if err != nil {
		return nil, err
	}
	open := func() io.Reader {
		var r io.Reader = io.NewSectionReader(f, 0, size)
		if enc != nil {
			r = enc.NewDecoder().Reader(r)
		}
		b := bufio.NewReaderSize(r, 64<<10)
		if mark, _ := b.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
			_, _ = b.Discard(3)
		}
		return b
	}
	first := make([]byte, 64<<10)
	n, _ := io.ReadFull(open(), first)
	r := csv.NewReader(open())
	r.Comma = separator(string(first[:n]), known)
	r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = -1, true, true
	return &csvSheet{r: r}, nil
}

// encodingOf is how a text is written: by its mark, by its zeros, or by whether it is UTF-8.
func encodingOf(f io.ReaderAt, size int64, head []byte) (encoding.Encoding, error) {
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		return unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM), nil
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM), nil
	case len(head) > 3 && head[1] == 0 && head[3] == 0:
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), nil
	case len(head) > 3 && head[0] == 0 && head[2] == 0:
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), nil
	case bytes.IndexByte(head, 0) >= 0:
		return nil, grid.Errorf(grid.Invalid, "file is neither text nor a workbook: want CSV or XLSX")
	}
	ok, err := validUTF8(io.NewSectionReader(f, 0, size))
	if err != nil || ok {
		return nil, err
	}
	return simplifiedchinese.GB18030, nil
}

func validUTF8(r io.Reader) (bool, error) {
	buf := make([]byte, 256<<10)
	kept := 0
	for {
		n, err := r.Read(buf[kept:])
		b := buf[:kept+n]
		for len(b) > 0 {
			c, w := utf8.DecodeRune(b)
			if c == utf8.RuneError && w == 1 {
				if !utf8.FullRune(b) && err == nil {
					break
				}
				return false, nil
			}
			b = b[w:]
		}
		kept = copy(buf, b)
		if errors.Is(err, io.EOF) {
			return kept == 0, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// separator is the one that makes most known headers of the first row, then most cells.
func separator(first string, known func(string) bool) rune {
	best, most := ',', -1
	for _, sep := range []rune{',', ';', '\t', '，'} {
		r := csv.NewReader(strings.NewReader(first))
		r.Comma, r.FieldsPerRecord, r.LazyQuotes = sep, -1, true
		cells, err := r.Read()
		if err != nil {
			continue
		}
		score := min(len(cells), maxColumns)
		for _, c := range cells[:min(len(cells), maxColumns)] {
			if known(c) {
				score += 1000
			}
		}
		if score > most {
			best, most = sep, score
		}
	}
	return best
}

func (s *csvSheet) next() (int, []string, []bool, error) {
	cells, err := s.r.Read()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			err = grid.Errorf(grid.Invalid, "file: %w", err)
		}
		return 0, nil, nil, err
	}
	line, _ := s.r.FieldPos(0)
	row := line - s.below
	for i := range cells {
		s.below += strings.Count(cells[i], "\n")
	}
	return row, cells, nil, nil
}

func (s *csvSheet) close() error { return nil }

// unreadable says that a cell has what no encoding gives.
func unreadable(s string) *grid.Text {
	for _, r := range s {
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f {
			return say("含有无法识别的字符：请另存为“CSV UTF-8”或 .xlsx", "has characters that cannot be read: want the file saved as CSV UTF-8 or .xlsx")
		}
	}
	return nil
}

var errTooManyRows = grid.Errorf(grid.Invalid, "file has more than %d rows: want it in several files", MaxRows)

// recovered turns a panic over a broken workbook into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = grid.Errorf(grid.Invalid, "workbook is damaged: %s", shown(fmt.Sprint(p)))
	}
}

// sheetOf opens a sheet and reads its header.
func (j *Jobs) sheetOf(m *grid.Import, now time.Time) (*checker, *rows, []grid.ImportProblem, error) {
	f, err := j.files.get(m.SHA256)
	if err != nil {
		return nil, nil, nil, err
	}
	known := newLayout(j.all, m.Kind)
	s, err := openSheet(f, m.Bytes, func(h string) bool { return bare(h) != "" && known.find(h) >= 0 })
	if err != nil {
		return nil, nil, nil, errors.Join(err, f.Close())
	}
	r := &rows{sheet: s, file: f}
	row, cells, _, err := s.next()
	if errors.Is(err, io.EOF) {
		err = grid.Errorf(grid.Invalid, "file is empty: want a header row and rows below it")
	}
	if err == nil && row > 20 {
		err = grid.Errorf(grid.Invalid, "header stands in row %d: want it first", row)
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, r.close())
	}
	l, problems := readHeader(j.all, m.Kind, slices.Clone(cells))
	if l.set == 0 {
		return nil, nil, nil, errors.Join(grid.Errorf(grid.Invalid, "no header of row %d is known, it begins with %q: want the first row to name the columns, see gridgate device import template", row, shown(first(cells))), r.close())
	}
	if m.Kind == grid.ImportAuto && l.set&l.says[ofBuilding] == 0 && l.set&(l.bit(keyPoint)|l.bit(keyDevice)) == 0 {
		return nil, nil, nil, errors.Join(grid.Errorf(grid.Invalid, "sheet has neither a column of point ids nor of device identities: want one of them"), r.close())
	}
	c := &checker{registry: j.Store, profile: j.Profile, place: j.Place, layout: l, now: now, seen: map[place]seen{}}
	r.c = c
	return c, r, problems, nil
}

func first(cells []string) string {
	for _, c := range cells {
		if c != "" {
			return c
		}
	}
	return ""
}

// rows reads the rows of a sheet below its header.
type rows struct {
	sheet sheet
	file  io.Closer
	c     *checker
	n     int
}

// batch reads up to n rows; none at the end.
func (r *rows) batch(n int) ([]*parsed, error) {
	var out []*parsed
	for len(out) < n {
		row, cells, dates, err := r.sheet.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		p := r.c.read(row, cells, dates)
		if p.blank {
			continue
		}
		if r.n++; r.n > MaxRows {
			return nil, errTooManyRows
		}
		out = append(out, p)
	}
	return out, nil
}

func (r *rows) close() error { return errors.Join(r.sheet.close(), r.file.Close()) }
