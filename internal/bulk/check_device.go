package bulk

import (
	"cmp"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Devices of a row, and where they are put.

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
