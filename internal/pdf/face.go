package pdf

import (
	"bytes"
	"fmt"
	"unicode/utf16"
)

// face is a way to draw letters.
type face interface {
	width(s string) float64 // of letters one high
	show(to *bytes.Buffer, size float64, s string)
	write(f *file) string // the entries of the font resources
}

// named draws with fonts that every reader has, or replaces: Helvetica for Latin, and STSong,
// which PDF names for simplified Chinese.
type named struct{ bold bool }

func (n named) names() (latin, chinese, base string) {
	if n.bold {
		return "LB", "CB", "Helvetica-Bold"
	}
	return "L", "C", "Helvetica"
}

func (n named) width(s string) float64 {
	w := 0.0
	for _, r := range s {
		w += letterWidth(r)
	}
	return w
}

func letterWidth(r rune) float64 {
	switch {
	case r >= ' ' && r <= '~':
		return float64(helvetica[r-' ']) / 1000
	case latin(r):
		return 0.556
	}
	return 1
}

// latin letters are drawn with Helvetica: those of Latin-1, and the dashes.
func latin(r rune) bool {
	return r >= ' ' && r <= '~' || r >= 0xA1 && r <= 0xFF || r == '–' || r == '−'
}

// winAnsi is the code of a Latin letter; the Chinese font has no minus.
func winAnsi(r rune) byte {
	if r == '–' || r == '−' {
		return 0x96
	}
	return byte(r)
}

func (n named) show(to *bytes.Buffer, size float64, s string) {
	first, second, _ := n.names()
	letters := []rune(s)
	for len(letters) > 0 {
		end := 1
		for end < len(letters) && latin(letters[end]) == latin(letters[0]) {
			end++
		}
		if run := letters[:end]; latin(run[0]) {
			fmt.Fprintf(to, "/%s %s Tf <", first, num(size))
			for _, r := range run {
				fmt.Fprintf(to, "%02X", winAnsi(r))
			}
			to.WriteString("> Tj\n")
		} else {
			n.wideRun(to, second, size, run)
		}
		letters = letters[end:]
	}
}

func (n named) wideRun(to *bytes.Buffer, font string, size float64, run []rune) {
	if n.bold { // no reader has a thick one: the edge of each letter is drawn too
		fmt.Fprintf(to, "2 Tr %s w ", num(size/30))
	}
	fmt.Fprintf(to, "/%s %s Tf <", font, num(size))
	for _, u := range utf16.Encode(run) {
		fmt.Fprintf(to, "%04X", u)
	}
	to.WriteString("> Tj\n")
	if n.bold {
		to.WriteString("0 Tr\n")
	}
}

func (n named) write(f *file) string {
	first, second, base := n.names()
	l := f.add("<</Type/Font/Subtype/Type1/Encoding/WinAnsiEncoding/BaseFont/" + base + ">>")
	look := f.add("<</Type/FontDescriptor/FontName/STSong-Light/Flags 6/FontBBox[-25 -254 1000 880]/ItalicAngle 0/Ascent 880/Descent -120/CapHeight 880/StemV 93>>")
	cid := f.add(fmt.Sprintf("<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 4>>/DW 1000/FontDescriptor %d 0 R>>", look))
	c := f.add(fmt.Sprintf("<</Type/Font/Subtype/Type0/BaseFont/STSong-Light-UniGB-UTF16-H/Encoding/UniGB-UTF16-H/DescendantFonts[%d 0 R]>>", cid))
	return fmt.Sprintf("/%s %d 0 R/%s %d 0 R", first, l, second, c)
}

// helvetica holds the widths of the letters from space to tilde, in thousandths of the size, as
// the font's public metrics have them; thick letters are a little wider, which only lines that are folded notice.
var helvetica = [...]int{
	278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
	556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
	1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
	667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
	333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
	556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
}
