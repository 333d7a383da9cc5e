package pdf

import (
	"fmt"
	"image/color"

	"github.com/boombuler/barcode/qr"
)

// quiet is the white edge that readers need around a code, in its own squares.
const quiet = 4

// QR draws text as a QR code in a square of that size, the white edge included. It is drawn as
// boxes, so that it is sharp at any size; a seventh of it may be dirty and it is still read.
func (d *Document) QR(x, y, size float64, text string) {
	p := d.now()
	if p == nil {
		return
	}
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		if code, err = qr.Encode(text, qr.M, qr.Unicode); err != nil {
			d.fail(fmt.Errorf("pdf: QR code of %d bytes: %w", len(text), err))
			return
		}
	}
	n := code.Bounds().Dx()
	one := size / float64(n+2*quiet)
	d.put("q 1 g %s %s %s %s re f 0 g\n", num(pt(x)), num(pt(p.h-y-size)), num(pt(size)), num(pt(size)))
	for row := range n {
		for col := 0; col < n; col++ {
			from := col
			for col < n && color.GrayModel.Convert(code.At(col, row)).(color.Gray).Y < 128 {
				col++
			}
			if col > from { // a hair taller than its row, or some readers show white lines between rows
				d.put("%s %s %s %s re\n", num(pt(x+float64(quiet+from)*one)), num(pt(p.h-y-float64(quiet+row+1)*one-one/50)), num(pt(float64(col-from)*one)), num(pt(one*1.02)))
			}
		}
	}
	d.put("f Q\n")
}
