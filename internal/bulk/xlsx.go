package bulk

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// The bounds of a workbook once it is unpacked.
const (
	maxUnpacked = 1 << 30
	maxEntries  = 1000
	maxSmall    = 8 << 20   // of its small parts: styles, list of sheets
	maxShared   = 256 << 20 // of the texts that its cells share
)

// xlsxSheet reads the first sheet of a workbook that is shown. The bytes of the sheet are read
// here and not by a library, since only so it is known of each cell whether it is a text, a
// number or a date: a code of 16 digits that is stored as a number has lost the last one.
type xlsxSheet struct {
	part   io.ReadCloser
	x      *scanner
	shared []string
	dated  []bool // by style of a cell
	first  int    // year of day 0: 1900 or 1904
	row    int
	cells  []string
	dates  []bool
	text   []byte // of the cell that is read
}

func openXLSX(f io.ReaderAt, size int64) (_ sheet, err error) {
	defer recovered(&err)
	z, err := zip.NewReader(f, size)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "workbook cannot be unpacked: %w", err)
	}
	parts, err := partsOf(z)
	if err != nil {
		return nil, err
	}
	s := &xlsxSheet{first: 1900}
	name, err := s.book(parts)
	if err != nil {
		return nil, err
	}
	if s.dated, err = datesIn(parts["xl/styles.xml"]); err != nil {
		return nil, err
	}
	if s.shared, err = sharedIn(parts["xl/sharedstrings.xml"]); err != nil {
		return nil, err
	}
	p := parts[strings.ToLower(name)]
	if p == nil {
		return nil, grid.Errorf(grid.Invalid, "workbook is damaged: its sheet %s is missing", name)
	}
	if s.part, err = p.Open(); err != nil {
		return nil, grid.Errorf(grid.Invalid, "sheet %s: %w", name, err)
	}
	s.x = newScanner(io.LimitReader(s.part, maxUnpacked))
	return s, nil
}

// partsOf are the parts of a workbook by name. One that would unpack to more than we take is
// refused before anything is unpacked.
func partsOf(z *zip.Reader) (map[string]*zip.File, error) {
	if len(z.File) > maxEntries {
		return nil, grid.Errorf(grid.Invalid, "workbook has %d parts: want at most %d", len(z.File), maxEntries)
	}
	parts := map[string]*zip.File{}
	var total uint64
	for _, e := range z.File {
		if total += e.UncompressedSize64; e.UncompressedSize64 > maxUnpacked || total > maxUnpacked {
			return nil, grid.Errorf(grid.Invalid, "workbook unpacks to more than %d MiB: want it in several files", maxUnpacked>>20)
		}
		parts[strings.ToLower(strings.TrimPrefix(e.Name, "/"))] = e
	}
	if parts["xl/workbook.xml"] == nil {
		return nil, grid.Errorf(grid.Invalid, "file is a ZIP archive and no workbook: want .xlsx or CSV")
	}
	return parts, nil
}

// small decodes a small part; none is left as it is.
func small(e *zip.File, into any) error {
	if e == nil {
		return nil
	}
	r, err := e.Open()
	if err == nil {
		err = errors.Join(xml.NewDecoder(io.LimitReader(r, maxSmall)).Decode(into), r.Close())
	}
	if err != nil {
		return grid.Errorf(grid.Invalid, "workbook is damaged: %s: %w", e.Name, err)
	}
	return nil
}

// book finds the sheet to read.
func (s *xlsxSheet) book(parts map[string]*zip.File) (string, error) {
	var book struct {
		Props struct {
			From1904 string `xml:"date1904,attr"`
		} `xml:"workbookPr"`
		Sheets []struct {
			State string `xml:"state,attr"`
			ID    string `xml:"http://schemas.openxmlformats.org/officeDocument/2006/relationships id,attr"`
			Old   string `xml:"http://purl.oclc.org/ooxml/officeDocument/relationships id,attr"`
		} `xml:"sheets>sheet"`
	}
	var links struct {
		All []struct {
			ID     string `xml:"Id,attr"`
			Target string `xml:"Target,attr"`
		} `xml:"Relationship"`
	}
	if err := errors.Join(small(parts["xl/workbook.xml"], &book), small(parts["xl/_rels/workbook.xml.rels"], &links)); err != nil {
		return "", err
	}
	if p := book.Props.From1904; p == "1" || p == "true" {
		s.first = 1904
	}
	for _, sh := range book.Sheets {
		if sh.State == "hidden" || sh.State == "veryHidden" {
			continue
		}
		for _, l := range links.All {
			if l.ID == sh.ID+sh.Old {
				if strings.HasPrefix(l.Target, "/") {
					return l.Target[1:], nil
				}
				return path.Join("xl", l.Target), nil
			}
		}
	}
	return "", grid.Errorf(grid.Invalid, "workbook has no sheet that is shown")
}

var (
	dateFormat     = regexp.MustCompile(`(?i)[ymdhs年月日]`)
	quotedInFormat = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|\\.`)
)

// datesIn tells of each style whether it shows a number as a date.
func datesIn(e *zip.File) ([]bool, error) {
	var styles struct {
		Formats []struct {
			ID   int    `xml:"numFmtId,attr"`
			Code string `xml:"formatCode,attr"`
		} `xml:"numFmts>numFmt"`
		Cells []struct {
			Format int `xml:"numFmtId,attr"`
		} `xml:"cellXfs>xf"`
	}
	if err := small(e, &styles); err != nil {
		return nil, err
	}
	own := map[int]bool{}
	for _, f := range styles.Formats {
		own[f.ID] = dateFormat.MatchString(quotedInFormat.ReplaceAllString(f.Code, ""))
	}
	out := make([]bool, len(styles.Cells))
	for i, c := range styles.Cells {
		n := c.Format
		out[i] = own[n] || n >= 14 && n <= 22 || n >= 27 && n <= 36 || n >= 45 && n <= 47 || n >= 50 && n <= 58
	}
	return out, nil
}

// sharedIn reads the texts that cells share.
func sharedIn(e *zip.File) (out []string, err error) {
	if e == nil {
		return nil, nil
	}
	if e.UncompressedSize64 > maxShared {
		return nil, grid.Errorf(grid.Invalid, "workbook has more than %d MiB of texts: want it in several files", maxShared>>20)
	}
	r, err := e.Open()
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "workbook is damaged: %s: %w", e.Name, err)
	}
	defer r.Close()
	x := newScanner(io.LimitReader(r, maxShared))
	var text strings.Builder
	reading, phonetic := false, false
	for {
		words, tag, err := x.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if reading {
			if text.WriteString(words); text.Len() > maxText {
				return nil, errDamaged
			}
		}
		switch tag.name {
		case "si":
			if tag.ends {
				out = append(out, text.String())
			}
			text.Reset()
		case "rPh":
			phonetic = !tag.ends
		case "t":
			reading = !tag.ends && !tag.empty && !phonetic
		}
	}
}

func (s *xlsxSheet) close() error { return s.part.Close() }

func (s *xlsxSheet) next() (row int, cells []string, dates []bool, err error) {
	s.cells, s.dates = s.cells[:0], s.dates[:0]
	c, in := cell{}, ""
	for {
		words, tag, err := s.x.next()
		if err != nil {
			return 0, nil, nil, err
		}
		if in != "" {
			if s.text = append(s.text, words...); len(s.text) > maxText { // of many runs, each of them short
				return 0, nil, nil, errDamaged
			}
		}
		switch {
		case tag.name == "row" && !tag.ends:
			if s.row, err = s.rowNo(tag); err != nil {
				return 0, nil, nil, err
			}
		case tag.name == "row" && len(s.cells) > 0:
			return s.row, s.cells, s.dates, nil
		case tag.name == "c" && !tag.ends:
			c, s.text = cell{kind: tag.attr("t"), style: tag.attr("s"), at: tag.attr("r")}, s.text[:0]
		case tag.name == "v" || tag.name == "t":
			in = ""
			if !tag.ends && !tag.empty {
				in = tag.name
			}
		case tag.name == "rPh" && !tag.ends: // how it is read aloud
			if err := s.x.skip("rPh"); err != nil {
				return 0, nil, nil, err
			}
		}
		if tag.name == "c" && (tag.ends || tag.empty) && len(s.text) > 0 {
			c.text = string(s.text)
			if err := s.put(&c); err != nil {
				return 0, nil, nil, err
			}
		}
	}
}

func (s *xlsxSheet) rowNo(tag *tag) (int, error) {
	n := s.row + 1
	if r := tag.attr("r"); r != "" {
		var err error
		if n, err = strconv.Atoi(r); err != nil || n <= s.row || n > 1<<21 {
			return 0, grid.Errorf(grid.Invalid, "workbook is damaged: row %.20q after row %d", r, s.row)
		}
	}
	return n, nil
}

// cell is one that is being read.
type cell struct{ kind, style, at, text string }

func (s *xlsxSheet) put(c *cell) error {
	n := len(s.cells)
	if c.at != "" {
		n = 0
		for _, r := range c.at {
			if r < 'A' || r > 'Z' || n > 1<<16 {
				break
			}
			n = n*26 + int(r-'A') + 1
		}
		n--
	}
	if n < len(s.cells) || n >= maxColumns {
		return grid.Errorf(grid.Invalid, "row %d: cell %.20q: want the cells in order, in at most %d columns", s.row, c.at, maxColumns)
	}
	for len(s.cells) < n {
		s.cells, s.dates = append(s.cells, ""), append(s.dates, false)
	}
	text, date := s.value(c)
	s.cells, s.dates = append(s.cells, text), append(s.dates, date)
	return nil
}

// value writes a cell out as a person typed it.
func (s *xlsxSheet) value(c *cell) (text string, date bool) {
	switch c.kind {
	case "s":
		if n, err := strconv.Atoi(c.text); err == nil && n >= 0 && n < len(s.shared) {
			return unescaped(s.shared[n]), false
		}
		return "#REF!", false
	case "str", "inlineStr", "e":
		return unescaped(c.text), false
	case "b":
		return map[string]string{"1": "TRUE", "0": "FALSE"}[c.text], false
	case "d":
		return strings.Replace(c.text, "T", " ", 1), true
	}
	v, err := strconv.ParseFloat(c.text, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return c.text, false
	}
	if n, err := strconv.Atoi(c.style); err == nil && n >= 0 && n < len(s.dated) && s.dated[n] && v >= 0 && v < 3e6 {
		return s.date(v), true
	}
	if math.Abs(v) >= 1e15 { // the digits behind the fifteenth are lost
		return strconv.FormatFloat(v, 'E', 14, 64), false
	}
	short := strconv.FormatFloat(v, 'g', 15, 64)
	if strings.ContainsAny(short, "e") {
		short = strconv.FormatFloat(v, 'f', -1, 64)
	}
	return short, false
}

// date is a day number as a date, with its time if it has one.
func (s *xlsxSheet) date(v float64) string {
	days := math.Floor(v)
	second := math.Round((v - days) * 86400)
	if s.first == 1900 && days < 60 {
		days++ // there was no 29 February 1900, but spreadsheets count one
	}
	zero := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	if s.first == 1904 {
		zero = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	t := zero.AddDate(0, 0, int(days)).Add(time.Duration(second) * time.Second)
	if second == 0 {
		return t.Format("2006-01-02")
	}
	return t.Format("2006-01-02 15:04:05")
}

var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// unescaped reads _x000D_ and the like, by which workbooks write what XML cannot.
func unescaped(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	return escaped.ReplaceAllStringFunc(s, func(m string) string {
		n, err := strconv.ParseUint(m[2:6], 16, 16)
		if err != nil {
			return m
		}
		return string(rune(n))
	})
}

// scanner splits XML into tags and the texts before them, as far as sheets need it: quickly,
// and in bounded memory whatever comes.
type scanner struct {
	r    *bufio.Reader
	text []byte
	raw  []byte
	tag  tag
}

// tag is one tag, without its prefix.
type tag struct {
	name        string
	ends, empty bool
	rest        string // its attributes
}

// The bounds of one text and one tag.
const (
	maxText = 1 << 20
	maxTag  = 64 << 10
)

func newScanner(r io.Reader) *scanner { return &scanner{r: bufio.NewReaderSize(r, 128<<10)} }

var errDamaged = grid.Errorf(grid.Invalid, "workbook is damaged: its XML cannot be read")

// next gives the text up to the next tag, and the tag.
func (x *scanner) next() (string, *tag, error) {
	x.text = x.text[:0]
	for {
		var err error
		if x.text, err = x.until('<', x.text, maxText); err != nil {
			return "", nil, err
		}
		if x.raw, err = x.until('>', x.raw[:0], maxTag); err != nil {
			return "", nil, unexpected(err)
		}
		switch raw := string(x.raw); {
		case strings.HasPrefix(raw, "![CDATA["):
			for !strings.HasSuffix(raw, "]]") {
				if x.raw, err = x.until('>', append(x.raw, '>'), maxText); err != nil {
					return "", nil, unexpected(err)
				}
				raw = string(x.raw)
			}
			x.text = append(x.text, raw[len("![CDATA["):len(raw)-2]...)
		case strings.HasPrefix(raw, "!--"):
			for !strings.HasSuffix(raw, "--") || len(raw) < 5 {
				if x.raw, err = x.until('>', append(x.raw, '>'), maxText); err != nil {
					return "", nil, unexpected(err)
				}
				raw = string(x.raw)
			}
		case strings.HasPrefix(raw, "?"):
		case strings.HasPrefix(raw, "!"):
			return "", nil, errDamaged // a document type: no workbook has one
		default:
			x.tag = tag{}
			x.tag.read(raw)
			return entities(string(x.text)), &x.tag, nil
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return errDamaged
	}
	return err
}

func (x *scanner) until(end byte, to []byte, most int) ([]byte, error) {
	for {
		b, err := x.r.ReadSlice(end)
		to = append(to, b...)
		switch {
		case err == nil:
			return to[:len(to)-1], nil
		case len(to) > most:
			return to, errDamaged
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return to, io.EOF
		default:
			return to, grid.Errorf(grid.Invalid, "workbook is damaged: %w", err)
		}
	}
}

// skip reads to the end of an element.
func (x *scanner) skip(name string) error {
	for {
		_, t, err := x.next()
		if err != nil {
			return unexpected(err)
		}
		if t.name == name && t.ends {
			return nil
		}
	}
}

func (t *tag) read(raw string) {
	if strings.HasPrefix(raw, "/") {
		t.ends, raw = true, raw[1:]
	} else if strings.HasSuffix(raw, "/") {
		t.empty, raw = true, raw[:len(raw)-1]
	}
	t.name = raw
	if i := strings.IndexAny(raw, " \t\r\n"); i >= 0 {
		t.name, t.rest = raw[:i], raw[i:]
	}
	if i := strings.IndexByte(t.name, ':'); i >= 0 {
		t.name = t.name[i+1:]
	}
}

// attr gives an attribute; "" is none.
func (t *tag) attr(name string) string {
	rest := t.rest
	for {
		i := strings.Index(rest, name+"=")
		if i < 0 || i+len(name)+2 > len(rest) {
			return ""
		}
		q := rest[i+len(name)+1]
		after := rest[i+len(name)+2:]
		end := strings.IndexByte(after, q)
		if end < 0 || q != '"' && q != '\'' {
			return ""
		}
		if i > 0 && (rest[i-1] == ' ' || rest[i-1] == '\t' || rest[i-1] == '\n' || rest[i-1] == '\r') {
			return entities(after[:end])
		}
		rest = after[end+1:]
	}
}

var entityNames = map[string]string{"lt": "<", "gt": ">", "amp": "&", "quot": `"`, "apos": "'"}

func entities(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:i])
		s = s[i+1:]
		end := strings.IndexByte(s, ';')
		if end < 0 || end > 10 {
			out.WriteByte('&')
			continue
		}
		name := s[:end]
		s = s[end+1:]
		if e, ok := entityNames[name]; ok {
			out.WriteString(e)
		} else if n, ok := strings.CutPrefix(name, "#x"); ok {
			out.WriteRune(character(n, 16))
		} else if n, ok := strings.CutPrefix(name, "#"); ok {
			out.WriteRune(character(n, 10))
		} else {
			out.WriteRune('\ufffd')
		}
	}
}

func character(n string, base int) rune {
	v, err := strconv.ParseUint(n, base, 21)
	if err != nil {
		return '\ufffd'
	}
	return rune(v)
}
