package bulk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/bits"
	"slices"
	"strings"
	"time"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Registry is what is registered, as it was committed.
type Registry interface {
	Registered(ctx context.Context, points []string, devices []grid.Identity) (grid.Registration, error)
	BuildingsAmong(ctx context.Context, ids []string) ([]grid.Building, error)
}

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

// change is one row of the registry as it was before an import, and a sum of what it was made.
type change struct {
	N    int             `json:"n"` // the row of the sheet
	Kind string          `json:"kind"`
	ID   string          `json:"id"`
	Was  json.RawMessage `json:"was,omitempty"` // absent: there was none
	Sum  string          `json:"sum"`
	In   *installed      `json:"in,omitempty"`
}

// installed is the key of an installation.
type installed struct {
	Channel string    `json:"channel"`
	From    time.Time `json:"from"`
	Point   string    `json:"point"`
}

// parsed is a row whose cells are read.
type parsed struct {
	line
	problems []grid.ImportProblem
	blank    bool
}

// read reads the cells of one row.
func (c *checker) read(row int, cells []string, dates []bool) *parsed {
	p := &parsed{line: line{n: row}, blank: true}
	for i, cell := range cells[:min(len(cells), maxColumns)] {
		value := clean(cell)
		if value == "" {
			continue
		}
		if i >= len(c.layout.at) || c.layout.at[i] < 0 {
			if i >= len(c.layout.at) {
				p.blank = false
				p.wrong("", value, say("这个单元格没有表头（第 %d 列）", "has no header above it (column %d)", i+1))
			}
			continue
		}
		p.blank = false
		n := c.layout.at[i]
		col := &c.layout.all[n]
		raw := strings.TrimFunc(cell, blank)
		if cleared(raw) {
			if col.of&key == 0 {
				p.set |= 1 << n // its field is empty in a fresh line
			}
			continue
		}
		if col.of&key != 0 {
			value = strings.Clone(value) // it is remembered, and the row that it is cut from is not
		}
		p.quoted = strings.HasPrefix(raw, "'") || strings.HasPrefix(raw, "=")
		if w := c.cell(p, col, value, i < len(dates) && dates[i]); w != nil {
			p.wrong(c.header(col.key), value, w)
			continue
		}
		p.set |= 1 << n
	}
	return p
}

func (c *checker) cell(p *parsed, col *column, value string, date bool) *grid.Text {
	if len(value) > 4*maxCell || len([]rune(value)) > maxCell {
		return say("超过 %d 个字：可能有一个引号没有闭合", "is longer than %d characters: a quote may not be closed", maxCell)
	}
	if w := unreadable(value); w != nil {
		return w
	}
	if slices.Contains(sheetErrors, value) {
		return say("是电子表格的公式错误：请填写实际内容", "is an error of a formula in the spreadsheet: want the value itself")
	}
	if date && !col.form.date {
		return say("电子表格把它改成了日期：请先把该列设为“文本”格式，再重新填写", "the spreadsheet has turned it into a date: want the column formatted as text and the value typed again")
	}
	return col.form.read(&p.line, value)
}

// sheetErrors are what a spreadsheet writes where a formula has failed.
var sheetErrors = []string{"#REF!", "#N/A", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"}

func (p *parsed) wrong(column, value string, w *grid.Text) {
	p.problems = append(p.problems, grid.ImportProblem{Row: p.n, Column: column, Value: shown(value), Problem: *w})
}

func (p *parsed) verdict() *verdict {
	return &verdict{ImportRow: grid.ImportRow{Row: p.n, What: p.what()}, problems: p.problems}
}

// what names a row for a person.
func (p *parsed) what() string {
	var out []string
	for _, s := range []string{p.point.ID, string(p.device.Identity), p.in.Channel, p.building.ID} {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

// stock is what of the registry some rows speak of.
type stock struct {
	points    map[string]*grid.Point
	devices   map[grid.Identity]*grid.Device
	at        map[string]*grid.Installation // by device and channel
	there     map[string]*grid.Installation // by point and channel
	buildings map[string]*grid.Building
}

func (c *checker) stock(ctx context.Context, rows []*parsed) (*stock, error) {
	s := &stock{map[string]*grid.Point{}, map[grid.Identity]*grid.Device{}, map[string]*grid.Installation{}, map[string]*grid.Installation{}, map[string]*grid.Building{}}
	var points, buildings []string
	var devices []grid.Identity
	for _, p := range rows {
		if p.point.ID != "" {
			points = append(points, p.point.ID)
		}
		if p.device.Identity != "" {
			devices = append(devices, p.device.Identity)
		}
		if p.building.ID != "" {
			buildings = append(buildings, p.building.ID)
		}
	}
	if len(points)+len(devices) > 0 {
		r, err := c.registry.Registered(ctx, points, devices)
		if err != nil {
			return nil, err
		}
		for i := range r.Points {
			s.points[r.Points[i].ID] = &r.Points[i]
		}
		for i := range r.Devices {
			s.devices[r.Devices[i].Identity] = &r.Devices[i]
		}
		for i := range r.Installations {
			in := &r.Installations[i]
			s.at[channelKey(in.Device, in.Channel)] = in
			s.there[channelKey(grid.Identity(in.Point), in.Channel)] = in
		}
	}
	if len(buildings) > 0 {
		rows, err := c.registry.BuildingsAmong(ctx, buildings)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			s.buildings[rows[i].ID] = &rows[i]
		}
	}
	return s, nil
}

func channelKey(id grid.Identity, channel string) string {
	return string(id) + "\x00" + cmp.Or(channel, grid.MainChannel)
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

func (c *checker) point(p *parsed, s *stock, v *verdict) {
	id := p.point.ID
	if id == "" {
		if p.set&c.layout.says[ofPoint] != 0 && !v.has(c.header(keyPoint)) {
			v.wrong(c.header(keyPoint), "", say("没有点位编号：请填写", "point id is empty: want one"))
		}
		return
	}
	old, known := s.points[id]
	if c.again(p, v, 'p', id, c.header(keyPoint), ofPoint) {
		return
	}
	if !known && c.layout.set&c.layout.says[ofPoint] == 0 {
		return // no column of points: the installation says that there is none
	}
	before := line{}
	if known {
		before.point = *old
	} else {
		before.point.ID = id
	}
	after := c.over(&before, p, ofPoint)
	if !c.position(p, old, &after.point, v) {
		return
	}
	if !known && after.point.Kind == "" {
		if !v.has(c.header("kind")) {
			v.wrong(c.header("kind"), "", say("新点位没有类型：请填门、车位、井盖或烟感", "kind of a new point is empty: want door, parking, manhole or smoke"))
		}
		return
	}
	if !known {
		after.point.State = grid.PointActive
	}
	after.point.Privacy = cmp.Or(after.point.Privacy, registry.PrivacyOf(&after.point))
	if err := registry.CheckPoint(&after.point); err != nil {
		v.wrong("", id, wordsOf(err, "登记规则不允许"))
		return
	}
	fields := c.differences(&before, &after, ofPoint)
	v.result(known, fields)
	if known && after.point == *old {
		return
	}
	v.points = append(v.points, after.point)
	v.changes = append(v.changes, change{N: v.Row, Kind: "point", ID: id, Was: image(old), Sum: sumPoint(&after.point)})
}

func (v *verdict) has(column string) bool {
	for i := range v.problems {
		if v.problems[i].Column == column {
			return true
		}
	}
	return false
}

// position brings a position in by its one way; one that is the same as before is left alone.
func (c *checker) position(p *parsed, old, now *grid.Point, v *verdict) bool {
	lon, lat, crs := c.layout.bit("lon"), c.layout.bit("lat"), c.layout.bit("crs")
	if p.set&(lon|lat) == 0 {
		if old != nil {
			now.CRS = old.CRS
		} else {
			now.CRS = ""
		}
		if old == nil || c.codesChanged(p) {
			return c.placed(now, v)
		}
		return true
	}
	switch {
	case p.set&lon == 0:
		v.wrong(c.header("lon"), "", say("有纬度没有经度", "is empty beside a latitude"))
		return false
	case p.set&lat == 0:
		v.wrong(c.header("lat"), "", say("有经度没有纬度", "is empty beside a longitude"))
		return false
	case p.set&crs == 0 && (p.point.Lon != 0 || p.point.Lat != 0):
		if !v.has(c.header("crs")) {
			v.wrong(c.header("crs"), "", say("没有写明坐标系：同一个数字在不同坐标系里相差数百米，请填 WGS84、CGCS2000、GCJ02 或 BD09", "is empty beside a position: the same numbers are hundreds of metres apart in another system, want WGS84, CGCS2000, GCJ02 or BD09"))
		}
		return false
	}
	if old != nil && (old.Lon == p.point.Lon && old.Lat == p.point.Lat && old.CRS == p.point.CRS ||
		old.Given.Lon == p.point.Lon && old.Given.Lat == p.point.Lat && old.Given.CRS == p.point.CRS) {
		now.Lon, now.Lat, now.CRS, now.Given = old.Lon, old.Lat, old.CRS, old.Given
		if !c.codesChanged(p) {
			return true
		}
	} else {
		now.Given = grid.Position{}
		if old != nil && !c.codesChanged(p) {
			geo.Unplace(now)
		}
	}
	return c.placed(now, v)
}

// codesChanged tells whether a row says itself where the point belongs.
func (c *checker) codesChanged(p *parsed) bool {
	return p.set&(c.layout.bit("cell")|c.layout.bit("community")|c.layout.bit("street")|c.layout.bit("district")) != 0
}

func (c *checker) placed(p *grid.Point, v *verdict) bool {
	if err := c.place(p); err != nil {
		v.wrong(c.header("lon"), fmt.Sprintf("%g, %g %s %s", p.Lon, p.Lat, p.CRS, p.Cell), wordsOf(err, "位置有误"))
		return false
	}
	return true
}

// wordsOf are the words of an error in both languages, where it has them.
func wordsOf(err error, zh string) *grid.Text {
	var p *geo.Problem
	if errors.As(err, &p) {
		return &grid.Text{ZH: p.ZH, EN: p.EN}
	}
	return &grid.Text{ZH: zh + "：" + err.Error(), EN: err.Error()}
}

func (c *checker) device(p *parsed, s *stock, v *verdict) {
	id := p.device.Identity
	if id == "" {
		if p.set&c.layout.says[ofDevice] != 0 && !v.has(c.header(keyDevice)) {
			v.wrong(c.header(keyDevice), "", say("有设备信息，没有设备标识", "is empty beside what is said of a device"))
		}
		return
	}
	if c.layout.kind == grid.ImportPoints || c.again(p, v, 'd', string(id), c.header(keyDevice), ofDevice) {
		return
	}
	old, known := s.devices[id]
	if !known && c.layout.kind == grid.ImportInstallations {
		v.wrong(c.header(keyDevice), string(id), say("设备没有登记", "is not registered"))
		return
	}
	before := line{}
	if known {
		before.device = *old
	} else {
		before.device.Identity = id
	}
	after := c.over(&before, p, ofDevice)
	d := &after.device
	if c.layout.kind != grid.ImportInstallations {
		c.profiled(p, known, d, v)
		c.stated(p, old, d, v)
	}
	if err := registry.CheckDevice(d); err != nil && !v.has(c.header("profile")) {
		v.wrong(c.header(keyDevice), string(id), wordsOf(err, "登记规则不允许"))
	}
	if p.point.ID != "" {
		c.enters(d, s.at[channelKey(id, p.in.Channel)], p, v)
	}
	d.State = cmp.Or(d.State, grid.Registered)
	if len(v.problems) > 0 {
		return
	}
	v.result(known, c.differences(&before, &after, ofDevice))
	if known && after.device == *old {
		return
	}
	v.devices = append(v.devices, *d)
	v.changes = append(v.changes, change{N: v.Row, Kind: "device", ID: string(id), Was: image(old), Sum: sumDevice(d)})
}

func (c *checker) profiled(p *parsed, known bool, d *grid.Device, v *verdict) {
	if d.Profile == "" {
		if !known {
			v.wrong(c.header("profile"), "", say("新设备没有型号：请填 厂商/型号", "of a new device is empty: want vendor/model"))
		}
		return
	}
	if p.set&c.layout.bit("profile") == 0 {
		return
	}
	id, err := c.profile(d.Profile)
	if err != nil {
		v.wrong(c.header("profile"), d.Profile, say("没有这个型号：请见 gridgate profile list", "is not known: want one of gridgate profile list"))
		return
	}
	d.Profile = id
}

// stated sees to the state column: a sheet takes nothing out of service and brings nothing back.
func (c *checker) stated(p *parsed, old *grid.Device, d *grid.Device, v *verdict) {
	state := p.device.State
	if p.set&c.layout.bit(keyState) == 0 || state == "" || old != nil && old.State == state {
		return
	}
	if old == nil && (state == grid.Registered || state == grid.Installed) {
		return // where it is says which
	}
	if old == nil {
		d.State = state
		return
	}
	v.wrong(c.header(keyState), string(state), say("设备现为 %s，表格不能改变状态：请用退役、禁用或恢复命令", "device is %s and a sheet does not change that: want it retired, barred or revived by its command", old.State))
}

// enters makes a device one that is supervised, if it may be.
func (c *checker) enters(d *grid.Device, at *grid.Installation, p *parsed, v *verdict) {
	switch {
	case d.State == grid.Barred || d.State == grid.Retired:
		if at == nil || at.Point != p.point.ID {
			v.wrong(c.header(keyDevice), string(d.Identity), say("设备状态为 %s，不能安装：请先恢复", "device is %s and cannot be installed: want it revived first", d.State))
		}
	default:
		d.State = grid.Installed
		if d.Installed.IsZero() {
			// Supervision begins now, whatever the sheet says: what was put up in spring and is
			// registered today was not silent since.
			d.Installed = c.now
			if p.in.From.After(c.now) {
				d.Installed = p.in.From
			}
		}
	}
}

func (c *checker) installation(p *parsed, s *stock, v *verdict) {
	id, point := p.device.Identity, p.point.ID
	if id == "" || point == "" || c.layout.kind == grid.ImportPoints {
		if p.set&c.layout.says[ofInstallation] != 0 && c.layout.kind == grid.ImportInstallations {
			v.wrong("", p.what(), say("安装要有设备标识和点位编号", "an installation wants a device identity and a point id"))
		}
		return
	}
	channel := cmp.Or(p.in.Channel, grid.MainChannel)
	if old, ok := c.before(p, place{'c', string(id), channel}); ok && !old.wrong {
		v.wrong(c.header(keyDevice), string(id), say("这个设备通道在第 %d 行已经安装", "this channel of the device is installed in row %d already", old.row))
		return
	}
	if !c.pointThere(p, s, v) || len(v.problems) > 0 {
		return
	}
	if old, ok := c.before(p, place{'s', point, channel}); ok && !old.wrong {
		v.wrong(c.header(keyPoint), point, say("第 %d 行已在这个点位安装设备", "row %d installs a device at this point already", old.row))
		return
	}
	if other := s.there[channelKey(grid.Identity(point), channel)]; other != nil && other.Device != id {
		v.wrong(c.header(keyPoint), point, say("点位上已有设备 %s：换设备请用“更换”", "device %s is at this point: want it replaced by its own command", other.Device))
		return
	}
	if p.in.From.After(c.now.Add(24 * time.Hour)) {
		v.wrong(c.header(keyFrom), p.in.From.Format(time.RFC3339), say("安装时间在将来", "lies in the future"))
		return
	}
	in := grid.Installation{Device: id, Channel: channel, Point: point, From: cmp.Or(p.in.From, c.now)}
	old := s.at[channelKey(id, channel)]
	switch {
	case old != nil && old.Point == point && p.set&c.layout.bit(keyFrom) != 0 && !old.From.Equal(p.in.From):
		v.wrong(c.header(keyFrom), p.in.From.Format(time.RFC3339), say("已从 %s 起安装在此：请留空", "it is installed there since %s: want this empty", old.From.Format(time.RFC3339)))
		return
	case old != nil && old.Point == point:
		return
	case old != nil:
		if !in.From.After(old.From) {
			v.wrong(c.header(keyFrom), in.From.Format(time.RFC3339), say("早于现有安装 %s", "is not after the present installation's, %s", old.From.Format(time.RFC3339)))
			return
		}
		ended := *old
		ended.To = in.From
		v.installations = append(v.installations, ended)
		v.changes = append(v.changes, changeOf(v.Row, old, &ended))
		v.result(true, []string{keyPoint})
	case v.Result != added:
		v.result(true, []string{keyPoint})
	}
	v.installations = append(v.installations, in)
	v.changes = append(v.changes, changeOf(v.Row, nil, &in))
	if planned := s.points[point]; planned != nil && planned.State == grid.PointPlanned {
		v.activate(planned)
	}
}

// activate makes a planned point one with a device.
func (v *verdict) activate(old *grid.Point) {
	if len(v.points) == 0 {
		v.points = append(v.points, *old)
		v.changes = append(v.changes, change{N: v.Row, Kind: "point", ID: old.ID, Was: image(old)})
	}
	v.points[0].State = grid.PointActive
	for i := range v.changes {
		if v.changes[i].Kind == "point" {
			v.changes[i].Sum = sumPoint(&v.points[0])
		}
	}
}

// pointThere tells whether the point of a row is registered, or stands in a row that is sound.
func (c *checker) pointThere(p *parsed, s *stock, v *verdict) bool {
	id := p.point.ID
	if _, ok := s.points[id]; ok || len(v.points) > 0 {
		return true
	}
	old, ok := c.before(p, place{kind: 'p', id: id})
	switch {
	case ok && !old.wrong && old.said != 0:
		return true
	case len(v.problems) > 0:
	case ok && old.wrong:
		v.wrong(c.header(keyPoint), id, say("点位没有登记，它在第 %d 行有错", "is not registered, and its own row %d is bad", old.row))
	default:
		v.wrong(c.header(keyPoint), id, say("点位没有登记：请先登记，或让它的行排在前面", "is not registered: want it registered, or its row above this one"))
	}
	return false
}

func (c *checker) building(p *parsed, s *stock, v *verdict) {
	id := p.building.ID
	if id == "" {
		if len(v.problems) == 0 {
			v.wrong(c.header(keyBuilding), "", say("没有楼栋编号：请填写", "building id is empty: want one"))
		}
		return
	}
	if old, ok := c.before(p, place{kind: 'b', id: id}); ok && !old.wrong {
		v.wrong(c.header(keyBuilding), id, say("在第 %d 行已出现", "stands in row %d too", old.row))
		return
	}
	old, known := s.buildings[id]
	before := line{}
	if known {
		before.building = *old
	} else {
		before.building.ID = id
	}
	after := c.over(&before, p, ofBuilding)
	b := &after.building
	b.Mode = cmp.Or(b.Mode, grid.Live)
	c.buildingAt(p, old, b, v)
	if err := registry.CheckBuilding(b); err != nil && len(v.problems) == 0 {
		v.wrong("", id, wordsOf(err, "登记规则不允许"))
	}
	fields := c.differences(&before, &after, ofBuilding)
	v.result(known, fields)
	if len(fields) == 0 && known || len(v.problems) > 0 {
		return
	}
	v.buildings = append(v.buildings, *b)
	v.changes = append(v.changes, change{N: v.Row, Kind: "building", ID: id, Was: image(old), Sum: sum(b)})
}

// buildingAt takes a building's position in by the way of a point's.
func (c *checker) buildingAt(p *parsed, old, b *grid.Building, v *verdict) {
	if old != nil && old.Lon == b.Lon && old.Lat == b.Lat && old.Cell == b.Cell && old.Scope == b.Scope {
		b.CRS = old.CRS
		return
	}
	if (b.Lon != 0 || b.Lat != 0) && b.CRS == "" {
		v.wrong(c.header("building_crs"), "", say("没有写明坐标系：请填 WGS84、CGCS2000、GCJ02 或 BD09", "is empty beside a position: want WGS84, CGCS2000, GCJ02 or BD09"))
		return
	}
	at := grid.Point{ID: b.ID, Kind: grid.Door, Scope: b.Scope, Cell: b.Cell, Lon: b.Lon, Lat: b.Lat, CRS: b.CRS}
	err := c.place(&at)
	if err == nil {
		err = registry.CheckPoint(&at)
	}
	if err != nil {
		v.wrong(c.header("building_lon"), fmt.Sprintf("%g, %g", b.Lon, b.Lat), wordsOf(err, "位置有误"))
		return
	}
	b.Scope, b.Cell, b.Lon, b.Lat, b.CRS = at.Scope, at.Cell, at.Lon, at.Lat, at.CRS
}

func image[T any](old *T) json.RawMessage {
	if old == nil {
		return nil
	}
	b, err := json.Marshal(old)
	if err != nil {
		panic("bulk: a row of the registry: " + err.Error()) // texts, numbers and times: cannot fail
	}
	return b
}

func sum[T any](row *T) string {
	h := fnv.New64a()
	h.Write(image(row))
	return fmt.Sprintf("%016x", h.Sum64())
}

// sumPoint leaves out whose hands a point is in: contracts move it by themselves.
func sumPoint(p *grid.Point) string {
	row := *p
	row.Contractor = ""
	return sum(&row)
}

// sumDevice leaves out what a frame changes.
func sumDevice(d *grid.Device) string {
	row := *d
	row.Source = ""
	return sum(&row)
}

func changeOf(row int, was, is *grid.Installation) change {
	return change{
		N: row, Kind: "installation", ID: string(is.Device), Was: image(was), Sum: sum(is),
		In: &installed{is.Channel, is.From, is.Point},
	}
}
