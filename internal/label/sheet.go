package label

import (
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/pdf"
)

// Layout is the paper that labels are printed on.
type Layout string

const (
	A4   Layout = "a4-3x8"     // sheets of 24 labels, 70 by 37.125 mm, up to the edges of the paper
	Roll Layout = "roll-50x30" // one label a page
)

// MaxStickers is how many are printed at once.
const MaxStickers = 2000

// Sticker is one label: what stands in its QR code stands below it too, so that it can be typed.
type Sticker struct {
	Code grid.Secret // may hold a token: it prints as dots wherever it is not drawn
	Kind Words       // what it is on
	Name string
	Note string // for example the cell
}

// Words are said in both languages.
type Words struct{ Zh, En string }

// KindWords says what a point watches.
func KindWords(k grid.Kind) Words {
	switch k {
	case grid.Door:
		return Words{"门磁点位", "Door point"}
	case grid.Parking:
		return Words{"车位点位", "Parking point"}
	case grid.Manhole:
		return Words{"井盖点位", "Manhole point"}
	case grid.Smoke:
		return Words{"烟感点位", "Smoke point"}
	}
	return Words{"点位", "Point"}
}

// DeviceWords says that it is a device, and whether its code claims it.
func DeviceWords(claims bool) Words {
	if claims {
		return Words{"设备 · 一次性认领", "One-time claim"}
	}
	return Words{"设备", "Device"}
}

// Sheet draws labels. lang says which language is the large one: "en", else Chinese.
func Sheet(font *pdf.Font, layout Layout, lang string, at time.Time, all []Sticker) ([]byte, error) {
	switch {
	case len(all) == 0:
		return nil, grid.Errorf(grid.Invalid, "no labels: want points or devices")
	case len(all) > MaxStickers:
		return nil, grid.Errorf(grid.Invalid, "%d labels: want at most %d at once", len(all), MaxStickers)
	case layout != A4 && layout != Roll:
		return nil, grid.Errorf(grid.Invalid, "layout is %q: want %s or %s", layout, A4, Roll)
	}
	title := "标签"
	if lang == "en" {
		title = "Labels"
	}
	d := pdf.New(pdf.Options{Title: title, Lang: lang, Font: font, At: at})
	for i := range all {
		x, y, w, h := 0.0, 0.0, 50.0, 30.0
		if layout == Roll {
			d.Page(w, h)
		} else {
			n := i % 24
			if n == 0 {
				d.Page(pdf.A4Width, pdf.A4Height)
			}
			w, h = pdf.A4Width/3, pdf.A4Height/8
			x, y = float64(n%3)*w, float64(n/3)*h
		}
		all[i].draw(d, x, y, w, h, lang)
	}
	return d.Bytes()
}

// draw puts a sticker into its box, with an edge that printers and cutters may miss by.
func (s *Sticker) draw(d *pdf.Document, x, y, w, h float64, lang string) {
	edge := h * 0.07
	code := h * 0.62
	d.QR(x+edge/2, y+edge, code, string(s.Code))
	left, right := x+edge/2+code+0.5, w-edge-code-edge/2-0.5
	big, small := s.Kind.Zh, s.Kind.En
	if lang == "en" {
		big, small = small, big
	}
	size := h / 9
	d.Bold(left, y+edge+size, size*0.95, d.Fit(right*0.96, size*0.95, big))
	d.Text(left, y+edge+size*2, size*0.75, d.Fit(right, size*0.75, small))
	line := y + edge + size*3.3
	for i, part := range d.Lines(right, size*0.85, s.Name) {
		if i == 2 {
			break
		}
		d.Text(left, line, size*0.85, part)
		line += size
	}
	if s.Note != "" {
		d.Text(left, line+size*0.1, size*0.7, d.Fit(right, size*0.7, s.Note))
	}
	s.plain(d, x+edge, y+edge+code+size*0.75, w-2*edge, size*0.72)
}

// plain writes the code in letters, smaller if it does not fit two lines.
func (s *Sticker) plain(d *pdf.Document, x, y, width, size float64) {
	lines := d.Lines(width, size, string(s.Code))
	for len(lines) > 2 && size > 1.2 {
		size *= 0.9
		lines = d.Lines(width, size, string(s.Code))
	}
	for _, line := range lines {
		d.Text(x, y, size, line)
		y += size * 1.2
	}
}
