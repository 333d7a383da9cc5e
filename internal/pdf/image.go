package pdf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	_ "image/gif" // what phones and scanners make
	"image/jpeg"
	_ "image/png"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"
)

const (
	dotsPerMM = 200 / 25.4 // what a photo is printed with: more only makes the file larger
	maxPixels = 64 << 20   // a picture that says it is larger is refused before it fills the memory
)

// Image draws a picture (JPEG, PNG, GIF, WebP) as large as it fits into the box, in the middle,
// the way up it was taken. It is drawn anew: what else the file told (place, camera) stays out. A
// picture that cannot be read leaves the box empty and says so.
func (d *Document) Image(x, y, w, h float64, file []byte) error {
	p := d.now()
	if p == nil {
		return d.err
	}
	m, err := newRaster(file, w, h)
	if err != nil {
		return err
	}
	d.media = append(d.media, m)
	iw, ih := w, w*float64(m.h)/float64(m.w)
	if ih > h {
		iw, ih = h*float64(m.w)/float64(m.h), h
	}
	left, top := x+(w-iw)/2, y+(h-ih)/2
	d.put("q %s 0 0 %s %s %s cm /I%d Do Q\n", num(pt(iw)), num(pt(ih)), num(pt(left)), num(pt(p.h-top-ih)), len(d.media)-1)
	return nil
}

// raster is a picture as it stands in the document.
type raster struct {
	w, h int
	jpeg []byte
}

func newRaster(file []byte, w, h float64) (*raster, error) {
	head, _, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	if head.Width <= 0 || head.Height <= 0 || head.Width*head.Height > maxPixels {
		return nil, fmt.Errorf("picture is %d×%d: want no more than %d dots", head.Width, head.Height, maxPixels)
	}
	from, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	turn := orientation(file)
	boxW, boxH := w*dotsPerMM, h*dotsPerMM
	if turn >= 5 { // lies on its side
		boxW, boxH = boxH, boxW
	}
	scale := min(1, max(min(boxW/float64(head.Width), boxH/float64(head.Height)), 1/float64(min(head.Width, head.Height))))
	small := image.NewRGBA(image.Rect(0, 0, max(1, int(float64(head.Width)*scale)), max(1, int(float64(head.Height)*scale))))
	draw.Draw(small, small.Bounds(), image.White, image.Point{}, draw.Src) // what is clear is paper
	draw.ApproxBiLinear.Scale(small, small.Bounds(), from, from.Bounds(), draw.Over, nil)
	upright := turned(small, turn)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, upright, &jpeg.Options{Quality: 82}); err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	return &raster{upright.Bounds().Dx(), upright.Bounds().Dy(), out.Bytes()}, nil
}

func (m *raster) write(f *file) int {
	return f.raw(fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode", m.w, m.h), m.jpeg)
}

// turned stands the picture up, as EXIF's eight orientations say.
func turned(in *image.RGBA, turn int) *image.RGBA {
	if turn < 2 || turn > 8 {
		return in
	}
	w, h := in.Bounds().Dx(), in.Bounds().Dy()
	ow, oh := w, h
	if turn >= 5 {
		ow, oh = h, w
	}
	out := image.NewRGBA(image.Rect(0, 0, ow, oh))
	for y := range oh {
		for x := range ow {
			sx, sy := x, y
			if turn >= 5 {
				sx, sy = y, x
			}
			if turn == 2 || turn == 3 || turn == 7 || turn == 8 {
				sx = w - 1 - sx
			}
			if turn == 3 || turn == 4 || turn == 6 || turn == 7 {
				sy = h - 1 - sy
			}
			out.SetRGBA(x, y, in.RGBAAt(sx, sy))
		}
	}
	return out
}

// orientation is what a JPEG's EXIF block says of how the camera was held; 1 if nothing.
func orientation(file []byte) int {
	for at := 2; at+4 <= len(file) && len(file) > 2 && file[0] == 0xFF && file[1] == 0xD8 && file[at] == 0xFF; {
		marker, size := file[at+1], int(binary.BigEndian.Uint16(file[at+2:]))
		if marker == 0xDA || size < 2 || at+2+size > len(file) {
			return 1
		}
		if body := file[at+4 : at+2+size]; marker == 0xE1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")) {
			return tiffOrientation(body[6:])
		}
		at += 2 + size
	}
	return 1
}

func tiffOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if tiff[0] == 'I' {
		order = binary.LittleEndian
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return 1
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == 0x0112 {
			return int(order.Uint16(entries[8:]))
		}
		entries = entries[12:]
	}
	return 1
}
