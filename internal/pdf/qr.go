package pdf

import (
	"fmt"
	"image/color"

	"github.com/boombuler/barcode/qr"
)

// quiet is the white edge that readers need around a code, in its own squares.
const quiet = 4

// Squares gives the dark squares of a QR code of text, row by row; a seventh of it may be dirty
// and it is still read. The quiet edge of four squares is not in it.
func Squares(text string) ([][]bool, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		if code, err = qr.Encode(text, qr.M, qr.Unicode); err != nil {
			return nil, fmt.Errorf("QR code of %d bytes: %w", len(text), err)
		}
	}
	n := code.Bounds().Dx()
	out := make([][]bool, n)
	for row := range out {
		out[row] = make([]bool, n)
		for col := range n {
			out[row][col] = color.GrayModel.Convert(code.At(col, row)).(color.Gray).Y < 128
		}
	}
	return out, nil
}

// QR draws text as a QR code in a square of that size, the white edge included. It is drawn as
// boxes, so that it is sharp at any size.
func (d *Document) QR(x, y, size float64, text string) {
	p := d.now()
	if p == nil {
		return
	}
	dark, err := Squares(text)
	if err != nil {
		d.fail(fmt.Errorf("pdf: %w", err))
		return
	}
	one := size / float64(len(dark)+2*quiet)
	d.put("q 1 g %s %s %s %s re f 0 g\n", num(pt(x)), num(pt(p.h-y-size)), num(pt(size)), num(pt(size)))
	for row, line := range dark {
		for col := 0; col < len(line); col++ {
			from := col
			for col < len(line) && line[col] {
				col++
			}
			if col > from { // a hair taller than its row, or some readers show white lines between rows
				d.put("%s %s %s %s re\n", num(pt(x+float64(quiet+from)*one)), num(pt(p.h-y-float64(quiet+row+1)*one-one/50)), num(pt(float64(col-from)*one)), num(pt(one*1.02)))
			}
		}
	}
	d.put("f Q\n")
}
