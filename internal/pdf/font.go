package pdf

import (
	"bytes"
	"fmt"
	"os"
	"unicode/utf16"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Font is a font file whose letters go into documents. Safe for concurrent use.
type Font struct {
	data *sfnt.Font
	em   fixed.Int26_6
}

// usual is where systems keep a Chinese font, best first.
var usual = []string{
	"/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
	"/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
	"/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
	"/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
	"/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
	"/System/Library/Fonts/PingFang.ttc",
	`C:\Windows\Fonts\msyh.ttc`,
}

// FindFont opens the font file of that name, or without one the first of those that systems usually
// have. Nil without an error: there is none, and documents name the reader's.
func FindFont(name string) (*Font, error) {
	if name != "" {
		return OpenFont(name)
	}
	for _, name := range usual {
		if f, err := OpenFont(name); err == nil {
			return f, nil
		}
	}
	return nil, nil
}

// OpenFont reads a TrueType or OpenType font or a collection of them, of which it takes the one
// for simplified Chinese if there is one.
func OpenFont(name string) (*Font, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("font: %w", err)
	}
	all, err := sfnt.ParseCollection(data)
	if err != nil {
		return nil, fmt.Errorf("font %s: %w", name, err)
	}
	var best *sfnt.Font
	for i := range all.NumFonts() {
		one, err := all.Font(i)
		if err != nil {
			return nil, fmt.Errorf("font %s: %w", name, err)
		}
		family, _ := one.Name(nil, sfnt.NameIDFamily)
		if best == nil || bytes.HasSuffix([]byte(family), []byte(" SC")) && !bytes.Contains([]byte(family), []byte("Mono")) {
			best = one
		}
	}
	return &Font{data: best, em: fixed.Int26_6(best.UnitsPerEm())}, nil
}

// outlined draws with the outlines of a font: each letter that is used is a small drawing of the
// document (a Type 3 font), with the word for what it is, so that text can be found and copied.
type outlined struct {
	font   *Font
	bold   bool
	buf    sfnt.Buffer
	codes  map[rune]int
	glyphs []glyph // by code
}

type glyph struct {
	letter  rune
	advance fixed.Int26_6
	drawing []byte
}

func newOutlined(f *Font, bold bool) *outlined {
	return &outlined{font: f, bold: bold, codes: map[rune]int{}}
}

func (o *outlined) code(r rune) int {
	if c, ok := o.codes[r]; ok {
		return c
	}
	g := glyph{letter: r}
	index, err := o.font.data.GlyphIndex(&o.buf, r)
	if err != nil {
		index = 0
	}
	if g.advance, err = o.font.data.GlyphAdvance(&o.buf, index, o.font.em, font.HintingNone); err != nil {
		g.advance = o.font.em
	}
	g.drawing = o.draw(index, g.advance)
	o.glyphs = append(o.glyphs, g)
	o.codes[r] = len(o.glyphs) - 1
	return len(o.glyphs) - 1
}

// draw writes the outline in units of the font; y goes up.
func (o *outlined) draw(index sfnt.GlyphIndex, advance fixed.Int26_6) []byte {
	var b bytes.Buffer
	edge := 0
	if o.bold {
		edge = int(o.font.em) / 28
	}
	segments, err := o.font.data.LoadGlyph(&o.buf, index, o.font.em, nil)
	if err != nil { // a letter that the font cannot draw: a gap
		segments = nil
	}
	box := segments.Bounds()
	fmt.Fprintf(&b, "%d 0 %d %d %d %d d1\n", advance, int(box.Min.X)-edge, -int(box.Max.Y)-edge, int(box.Max.X)+edge, -int(box.Min.Y)+edge)
	var at fixed.Point26_6
	for i, s := range segments {
		a := s.Args
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			if i > 0 {
				b.WriteString("h\n")
			}
			fmt.Fprintf(&b, "%d %d m\n", a[0].X, -a[0].Y)
			at = a[0]
		case sfnt.SegmentOpLineTo:
			fmt.Fprintf(&b, "%d %d l\n", a[0].X, -a[0].Y)
			at = a[0]
		case sfnt.SegmentOpQuadTo: // two thirds of the way to its one handle from either end
			fmt.Fprintf(&b, "%d %d %d %d %d %d c\n", (at.X+2*a[0].X)/3, -(at.Y+2*a[0].Y)/3, (a[1].X+2*a[0].X)/3, -(a[1].Y+2*a[0].Y)/3, a[1].X, -a[1].Y)
			at = a[1]
		case sfnt.SegmentOpCubeTo:
			fmt.Fprintf(&b, "%d %d %d %d %d %d c\n", a[0].X, -a[0].Y, a[1].X, -a[1].Y, a[2].X, -a[2].Y)
			at = a[2]
		}
	}
	switch {
	case len(segments) == 0:
	case o.bold:
		fmt.Fprintf(&b, "h %d w 1 j B\n", edge)
	default:
		b.WriteString("h f\n")
	}
	return b.Bytes()
}

func (o *outlined) width(s string) float64 {
	sum := fixed.Int26_6(0)
	for _, r := range s {
		sum += o.advance(r)
	}
	return float64(sum) / float64(o.font.em)
}

// advance measures without drawing: what is only measured does not go into the document.
func (o *outlined) advance(r rune) fixed.Int26_6 {
	if c, ok := o.codes[r]; ok {
		return o.glyphs[c].advance
	}
	index, err := o.font.data.GlyphIndex(&o.buf, r)
	if err != nil {
		index = 0
	}
	w, err := o.font.data.GlyphAdvance(&o.buf, index, o.font.em, font.HintingNone)
	if err != nil {
		return o.font.em
	}
	return w
}

// perFont is how many letters a font with one byte a letter can hold.
const perFont = 256

func (o *outlined) name(part int) string {
	if o.bold {
		return fmt.Sprintf("B%d", part)
	}
	return fmt.Sprintf("F%d", part)
}

func (o *outlined) show(to *bytes.Buffer, size float64, s string) {
	part := -1
	for _, r := range s {
		c := o.code(r)
		if c/perFont != part {
			if part >= 0 {
				to.WriteString("> Tj\n")
			}
			part = c / perFont
			fmt.Fprintf(to, "/%s %s Tf <", o.name(part), num(size))
		}
		fmt.Fprintf(to, "%02X", c%perFont)
	}
	to.WriteString("> Tj\n")
}

func (o *outlined) write(f *file) string {
	entries := ""
	for from := 0; from < len(o.glyphs); from += perFont {
		part := o.glyphs[from:min(from+perFont, len(o.glyphs))]
		entries += fmt.Sprintf("/%s %d 0 R", o.name(from/perFont), o.writePart(f, part))
	}
	return entries
}

func (o *outlined) writePart(f *file, part []glyph) int {
	var procs, names, widths, means bytes.Buffer
	for i, g := range part {
		fmt.Fprintf(&procs, "/g%d %d 0 R", i, f.stream("", g.drawing))
		fmt.Fprintf(&names, "/g%d", i)
		fmt.Fprintf(&widths, "%d ", g.advance)
		if i%100 == 0 { // a block holds a hundred
			if i > 0 {
				means.WriteString("endbfchar\n")
			}
			fmt.Fprintf(&means, "%d beginbfchar\n", min(100, len(part)-i))
		}
		fmt.Fprintf(&means, "<%02X> <", i)
		for _, u := range utf16.Encode([]rune{g.letter}) {
			fmt.Fprintf(&means, "%04X", u)
		}
		means.WriteString(">\n")
	}
	unicode := f.stream("", fmt.Appendf(nil, "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"+
		"/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n"+
		"1 begincodespacerange <00> <FF> endcodespacerange\n%sendbfchar\nendcmap CMapName currentdict /CMap defineresource pop end end\n", means.Bytes()))
	scale := 1 / float64(o.font.em)
	return f.add(fmt.Sprintf("<</Type/Font/Subtype/Type3/FontBBox[0 0 0 0]/FontMatrix[%.9f 0 0 %.9f 0 0]/CharProcs<<%s>>"+
		"/Encoding<</Type/Encoding/Differences[0%s]>>/FirstChar 0/LastChar %d/Widths[%s]/Resources<<>>/ToUnicode %d 0 R>>",
		scale, scale, procs.String(), names.String(), len(part)-1, widths.String(), unicode))
}
