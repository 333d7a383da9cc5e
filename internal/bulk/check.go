package bulk

import (
	"cmp"
	"context"
	"hash/fnv"
	"math/bits"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// checker compares the rows of one sheet with the registry, in their order. What a row gives is
// whole: it is put as it is.
type checker struct {
	registry Registry
	profile  func(id string) (string, error) // its full name
	place    func(p *grid.Point) error
	layout   layout
	now      time.Time // when what is installed begins, where the sheet does not say

	word []byte         // scratch of said
	seen map[place]seen // points, devices, channels and buildings of the rows before
}

// place is what a row can speak of: a point, device or building, or a channel of a device or
// at a point.
type place struct {
	kind    byte // p, d, b; c and s
	id      string
	channel string
}

// seen is where something stood first.
type seen struct {
	row   int
	said  uint64 // what was said of it
	wrong bool
}

// Results of a row.
const (
	added   = "added"
	changed = "changed"
	same    = "same"
	bad     = "bad"
)

// verdict is what becomes of a row.
type verdict struct {
	grid.ImportRow
	problems []grid.ImportProblem

	points        []grid.Point
	buildings     []grid.Building
	devices       []grid.Device
	installations []grid.Installation
	changes       []change
}

// judge compares some rows with the registry.
func (c *checker) judge(ctx context.Context, rows []*parsed) ([]*verdict, error) {
	s, err := c.stock(ctx, rows)
	if err != nil {
		return nil, err
	}
	out := make([]*verdict, len(rows))
	for i, p := range rows {
		out[i] = c.row(p, s)
	}
	return out, nil
}

// row judges one row. What it finds wrong is all that is wrong.
func (c *checker) row(p *parsed, s *stock) *verdict {
	v := p.verdict()
	if c.layout.kind == grid.ImportBuildings {
		c.building(p, s, v)
		return v.done(c, p)
	}
	if p.point.ID == "" && p.device.Identity == "" {
		if len(v.problems) == 0 {
			v.wrong("", "", say("这一行既没有点位编号，也没有设备标识", "has neither a point id nor a device identity"))
		}
		return v.done(c, p)
	}
	if c.layout.kind != grid.ImportInstallations && c.layout.kind != grid.ImportDevices {
		c.point(p, s, v)
	}
	c.device(p, s, v)
	c.installation(p, s, v)
	return v.done(c, p)
}

func (v *verdict) wrong(column, value string, w *grid.Text) {
	v.problems = append(v.problems, grid.ImportProblem{Row: v.Row, Column: column, Value: shown(value), Problem: *w})
}

// done sums a row up and notes what stood in it.
func (v *verdict) done(c *checker, p *parsed) *verdict {
	if v.Result == "" {
		v.Result = same
	}
	if len(v.problems) > 0 {
		*v = verdict{ImportRow: grid.ImportRow{Row: v.Row, What: v.What, Result: bad}, problems: v.problems}
	}
	c.note(p, v.Result == bad)
	return v
}

func (v *verdict) result(known bool, fields []string) {
	v.Fields = append(v.Fields, fields...)
	switch {
	case !known:
		v.Result = added
	case len(fields) > 0 && v.Result != added:
		v.Result = changed
	}
}

// note remembers what stood in a row. A row that is bad is not remembered as saying anything.
func (c *checker) note(p *parsed, wrong bool) {
	mark := func(k place, of part) {
		if k.id == "" {
			return
		}
		said := c.said(p, of)
		if old, ok := c.seen[k]; ok && old.row < p.n && (!old.wrong || wrong) && (said == 0 || old.said != 0) {
			return
		}
		c.seen[k] = seen{p.n, said, wrong}
	}
	point, device := p.point.ID, string(p.device.Identity)
	mark(place{kind: 'p', id: point}, ofPoint)
	mark(place{kind: 'd', id: device}, ofDevice)
	mark(place{kind: 'b', id: p.building.ID}, ofBuilding)
	if device != "" && point != "" {
		channel := cmp.Or(strings.Clone(p.in.Channel), grid.MainChannel)
		mark(place{'c', device, channel}, 0)
		mark(place{'s', point, channel}, 0)
	}
}

// before finds what stood in a row above: a row that is judged a second time is not its own double.
func (c *checker) before(p *parsed, k place) (seen, bool) {
	old, ok := c.seen[k]
	return old, ok && old.row < p.n
}

// said is a sum of what a row says of a point, device or building; 0: nothing.
func (c *checker) said(p *parsed, of part) uint64 {
	set := p.set & c.layout.says[of]
	if set == 0 {
		return 0
	}
	h := fnv.New64a()
	for left := set; left != 0; left &= left - 1 {
		n := bits.TrailingZeros64(left)
		c.word = append(append(append(c.word[:0], byte(n)), c.layout.all[n].form.write(&p.line)...), 0)
		h.Write(c.word)
	}
	return h.Sum64() | 1
}

// again tells what stood of it in a row before; repeat says that this row adds nothing to it.
func (c *checker) again(p *parsed, v *verdict, kind byte, id, header string, of part) (repeat bool) {
	old, ok := c.before(p, place{kind: kind, id: id})
	if !ok || old.wrong {
		return false
	}
	said := c.said(p, of)
	if said != 0 && old.said != 0 && said != old.said {
		v.wrong(header, id, say("在第 %d 行已出现，内容不同", "stands in row %d too, with other values", old.row))
	}
	return said == 0 || old.said != 0
}

func (c *checker) header(key string) string { return c.layout.title(key) }

// over puts what a row says over what is registered, and names the columns that then differ.
func (c *checker) over(base *line, p *parsed, of part) line {
	out := *base
	for left := p.set & c.layout.says[of]; left != 0; left &= left - 1 {
		if col := &c.layout.all[bits.TrailingZeros64(left)]; col.of&told == 0 {
			col.form.copy(&out, &p.line)
		}
	}
	return out
}

func (c *checker) differences(a, b *line, of part) (out []string) {
	for i := range c.layout.all {
		col := &c.layout.all[i]
		if col.of&of != 0 && col.of&key == 0 && col.form.write(a) != col.form.write(b) {
			out = append(out, col.key)
		}
	}
	return out
}

func (v *verdict) has(column string) bool {
	for i := range v.problems {
		if v.problems[i].Column == column {
			return true
		}
	}
	return false
}
