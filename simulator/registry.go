package simulator

import (
	"bufio"
	"cmp"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"gridgate/internal/grid"
)

// Registry is what the gateway must be told before the simulation makes sense to it:
// points, devices and units, all of mode simulated.
type Registry struct {
	Points  iter.Seq[grid.Point]
	Devices iter.Seq[RegistryDevice]
	Units   []grid.Unit
}

// RegistryDevice is a device installed at a point. Interval zero is the profile's.
type RegistryDevice struct {
	Identity grid.Identity
	Profile  string
	Point    string
	Interval time.Duration
	Firmware string
	Channels []ChannelPoint // of one with several points; then Point is empty
}

// ChannelPoint ties a channel of a device to a point.
type ChannelPoint struct{ Channel, Point string }

// WriteFile writes r as registration YAML, whole or not at all.
func (r Registry) WriteFile(path string) error {
	return writeWhole(path, func(w io.Writer) error { return r.Write(w) })
}

// writeWhole writes a file that appears only when it is complete.
func writeWhole(path string, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600: it may hold secrets
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	buf := bufio.NewWriterSize(tmp, 1<<20)
	if err := cmp.Or(write(buf), buf.Flush(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Write writes r as YAML, one line per row: a million devices take seconds, and a person
// can still read and search it.
func (r Registry) Write(w io.Writer) error {
	b := []byte("# Written by gridsim. Everything here is simulated.\n")
	var err error
	flush := func() bool {
		_, err = w.Write(b)
		b = b[:0]
		return err == nil
	}
	if r.Points != nil {
		b = append(b, "points:\n"...)
		for p := range r.Points {
			if b = appendPoint(b, &p); !flush() {
				return err
			}
		}
	}
	if r.Devices != nil {
		b = append(b, "devices:\n"...)
		for d := range r.Devices {
			if b = appendDevice(b, &d); !flush() {
				return err
			}
		}
	}
	if len(r.Units) > 0 {
		b = append(b, "units:\n"...)
		for i := range r.Units {
			b = appendUnit(b, &r.Units[i])
		}
	}
	flush()
	return err
}

func appendPoint(b []byte, p *grid.Point) []byte {
	l := row(b)
	l.text("id", p.ID)
	l.text("name", p.Name)
	l.text("kind", string(p.Kind))
	l.scope(p.Scope)
	l.text("cell", p.Cell)
	l.text("building", p.Building)
	l.text("floor", p.Floor)
	l.text("address", p.Address)
	l.number("lon", p.Lon)
	l.number("lat", p.Lat)
	l.text("crs", p.CRS)
	l.text("rules", p.Rules)
	l.text("mode", string(p.Mode))
	return l.end()
}

func appendDevice(b []byte, d *RegistryDevice) []byte {
	l := row(b)
	l.text("identity", string(d.Identity))
	l.text("profile", d.Profile)
	l.text("point", d.Point)
	l.text("firmware", d.Firmware)
	l.channels(d.Channels)
	l.text("mode", string(grid.Simulated))
	if d.Interval > 0 {
		l.text("interval", d.Interval.String())
	}
	return l.end()
}

func appendUnit(b []byte, u *grid.Unit) []byte {
	l := row(b)
	l.text("id", u.ID)
	l.text("name", u.Name)
	l.text("kind", string(u.Kind))
	l.b = strconv.AppendInt(l.key("tier"), int64(u.Tier), 10)
	l.scope(u.Scope)
	l.text("mode", string(u.Mode))
	l.text("connector", u.Connector)
	l.text("url", u.URL)
	l.text("secret", u.Secret)
	l.text("token", u.Token)
	l.text("entry", u.Entry)
	if len(u.Settings) > 0 {
		l.b = append(l.key("settings"), '{')
		for i, k := range slices.Sorted(maps.Keys(u.Settings)) {
			if i > 0 {
				l.b = append(l.b, ", "...)
			}
			l.b = strconv.AppendQuote(append(append(l.b, k...), ": "...), u.Settings[k])
		}
		l.b = append(l.b, '}')
	}
	return l.end()
}

// line is one row in YAML's flow style; empty values are left out.
type line struct {
	b     []byte
	begun bool
}

func row(b []byte) *line { return &line{b: append(b, "  - {"...)} }

func (l *line) key(k string) []byte {
	if l.begun {
		l.b = append(l.b, ", "...)
	}
	l.begun = true
	return append(append(l.b, k...), ": "...)
}

func (l *line) text(k, v string) {
	if v != "" {
		l.b = strconv.AppendQuote(l.key(k), v)
	}
}

func (l *line) number(k string, v float64) {
	if v != 0 {
		l.b = strconv.AppendFloat(l.key(k), v, 'f', 6, 64)
	}
}

func (l *line) scope(s grid.Scope) {
	l.text("district", s.District)
	l.text("street", s.Street)
	l.text("community", s.Community)
	l.text("compound", s.Compound)
}

func (l *line) channels(list []ChannelPoint) {
	if len(list) == 0 {
		return
	}
	b := append(l.key("points"), '{')
	for i, c := range list {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendQuote(append(strconv.AppendQuote(b, c.Channel), ": "...), c.Point)
	}
	l.b = append(b, '}')
}

func (l *line) end() []byte { return append(l.b, "}\n"...) }
