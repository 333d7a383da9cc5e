// Package pdf draws pages: labels to stick on things, and records that are signed. Everything is
// measured in millimetres from the top left corner of the page.
//
// Chinese is the reason that this is our own: what is drawn must show in every viewer. With a font
// file its outlines go into the document, whatever kind of font it is. Without one the
// document names the standard Chinese font of its readers, as PDF has it since 1.2, and Helvetica.
//
// The same calls give the same bytes.
package pdf

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strconv"
	"time"
	"unicode/utf16"
)

// A4 in millimetres.
const (
	A4Width  = 210.0
	A4Height = 297.0
)

// Point is the size that printers measure letters in, in millimetres.
const Point = 25.4 / 72

// Options say what the document is.
type Options struct {
	Title string
	Lang  string    // "zh-CN" or "en"
	Font  *Font     // nil: the reader's
	At    time.Time // when it was made; zero says nothing of it
}

// Document is being drawn. The first error stays and is told by Bytes.
type Document struct {
	o     Options
	pages []*page
	faces []face
	media []*raster
	err   error
}

type page struct {
	w, h float64
	buf  bytes.Buffer
}

// New begins a document without pages.
func New(o Options) *Document {
	d := &Document{o: o}
	if o.Font != nil {
		d.faces = []face{newOutlined(o.Font, false), newOutlined(o.Font, true)}
	} else {
		d.faces = []face{named{}, named{bold: true}}
	}
	return d
}

// Page begins the next page; what is drawn goes there.
func (d *Document) Page(w, h float64) {
	d.pages = append(d.pages, &page{w: w, h: h})
}

// Pages is how many there are.
func (d *Document) Pages() int { return len(d.pages) }

// Text draws one line; y is the line that letters stand on, size the height of the letters' box.
func (d *Document) Text(x, y, size float64, s string) { d.text(0, x, y, size, s) }

// Bold draws one line in thick letters.
func (d *Document) Bold(x, y, size float64, s string) { d.text(1, x, y, size, s) }

func (d *Document) text(face int, x, y, size float64, s string) {
	p := d.now()
	if p == nil || s == "" {
		return
	}
	fmt.Fprintf(&p.buf, "BT %s %s Td\n", num(pt(x)), num(pt(p.h-y)))
	d.faces[face].show(&p.buf, pt(size), s)
	p.buf.WriteString("ET\n")
}

// Width says how wide a line is.
func (d *Document) Width(size float64, s string) float64 { return size * d.faces[0].width(s) }

// Gray sets the shade of what follows on this page: 0 is black, 1 white.
func (d *Document) Gray(shade float64) { d.put("%s g %s G\n", num(shade), num(shade)) }

// Colour sets the colour of what follows on this page, each part from 0 to 1.
func (d *Document) Colour(r, g, b float64) {
	d.put("%[1]s %[2]s %[3]s rg %[1]s %[2]s %[3]s RG\n", num(r), num(g), num(b))
}

// Line draws a line so thick.
func (d *Document) Line(x1, y1, x2, y2, thick float64) {
	if p := d.now(); p != nil {
		d.put("%s w %s %s m %s %s l S\n", num(pt(thick)), num(pt(x1)), num(pt(p.h-y1)), num(pt(x2)), num(pt(p.h-y2)))
	}
}

// Rect draws the edge of a box so thick, or with thick 0 fills it.
func (d *Document) Rect(x, y, w, h, thick float64) {
	p := d.now()
	if p == nil {
		return
	}
	how := "f"
	if thick > 0 {
		d.put("%s w\n", num(pt(thick)))
		how = "S"
	}
	d.put("%s %s %s %s re %s\n", num(pt(x)), num(pt(p.h-y-h)), num(pt(w)), num(pt(h)), how)
}

func (d *Document) now() *page {
	if len(d.pages) == 0 {
		d.fail(fmt.Errorf("pdf: drawn before the first page"))
		return nil
	}
	return d.pages[len(d.pages)-1]
}

func (d *Document) put(format string, args ...any) {
	if p := d.now(); p != nil {
		fmt.Fprintf(&p.buf, format, args...)
	}
}

func (d *Document) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Bytes ends the document.
func (d *Document) Bytes() ([]byte, error) {
	if len(d.pages) == 0 {
		d.fail(fmt.Errorf("pdf: a document without pages"))
	}
	if d.err != nil {
		return nil, d.err
	}
	var f file
	f.buf.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	catalog, tree, info, resources := f.reserve(), f.reserve(), f.reserve(), f.reserve()

	fonts := ""
	for _, one := range d.faces {
		fonts += one.write(&f)
	}
	images := ""
	for i, m := range d.media {
		images += fmt.Sprintf("/I%d %d 0 R ", i, m.write(&f))
	}
	f.object(resources, fmt.Sprintf("<</Font<<%s>>/XObject<<%s>>>>", fonts, images))

	kids := ""
	for _, p := range d.pages {
		content := f.stream("", p.buf.Bytes())
		n := f.reserve()
		f.object(n, fmt.Sprintf("<</Type/Page/Parent %d 0 R/MediaBox[0 0 %s %s]/Resources %d 0 R/Contents %d 0 R>>",
			tree, num(pt(p.w)), num(pt(p.h)), resources, content))
		kids += fmt.Sprintf("%d 0 R ", n)
	}
	f.object(tree, fmt.Sprintf("<</Type/Pages/Count %d/Kids[%s]>>", len(d.pages), kids))
	f.object(catalog, fmt.Sprintf("<</Type/Catalog/Pages %d 0 R/Lang%s/ViewerPreferences<</DisplayDocTitle true>>>>", tree, words(d.o.Lang)))
	made := ""
	if !d.o.At.IsZero() {
		made = "/CreationDate(D:" + d.o.At.UTC().Format("20060102150405") + "Z)"
	}
	f.object(info, "<</Producer(gridgate)/Title"+words(d.o.Title)+made+">>")
	return f.end(catalog, info), nil
}

// file is the document as objects, each with where it begins.
type file struct {
	buf bytes.Buffer
	at  []int // by number less one
}

func (f *file) reserve() int {
	f.at = append(f.at, 0)
	return len(f.at)
}

func (f *file) object(n int, body string) {
	f.at[n-1] = f.buf.Len()
	fmt.Fprintf(&f.buf, "%d 0 obj\n%s\nendobj\n", n, body)
}

// add writes an object under the next number.
func (f *file) add(body string) int {
	n := f.reserve()
	f.object(n, body)
	return n
}

// stream writes data, packed, with what else its dictionary says.
func (f *file) stream(dict string, data []byte) int {
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	z.Write(data) // into memory: cannot fail
	z.Close()
	return f.raw(dict+"/Filter/FlateDecode", packed.Bytes())
}

func (f *file) raw(dict string, data []byte) int {
	n := f.reserve()
	f.at[n-1] = f.buf.Len()
	fmt.Fprintf(&f.buf, "%d 0 obj\n<<%s/Length %d>>\nstream\n", n, dict, len(data))
	f.buf.Write(data)
	f.buf.WriteString("\nendstream\nendobj\n")
	return n
}

func (f *file) end(catalog, info int) []byte {
	start := f.buf.Len()
	fmt.Fprintf(&f.buf, "xref\n0 %d\n0000000000 65535 f \n", len(f.at)+1)
	for _, at := range f.at {
		fmt.Fprintf(&f.buf, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&f.buf, "trailer\n<</Size %d/Root %d 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(f.at)+1, catalog, info, start)
	return f.buf.Bytes()
}

// words writes text outside of a page.
func words(s string) string {
	out := []byte("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		out = fmt.Appendf(out, "%04X", u)
	}
	return string(append(out, '>'))
}

// pt turns millimetres into the file's own measure.
func pt(mm float64) float64 { return mm / Point }

// num writes a number as short as a page needs it.
func num(v float64) string {
	s := strconv.FormatFloat(v, 'f', 3, 64)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	if s == "-0" {
		return "0"
	}
	return s
}
