package drive

import (
	"context"
	"slices"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// Text is a sentence in both languages.
type Text struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// act is something that can happen at a point.
type act struct {
	name   string
	label  Text
	then   Text // what comes of it
	kinds  []grid.Kind
	rules  []string // of the point; nil: whatever they are
	not    []string // rules it does not happen under
	change func(*simulator.State)
	fire   bool                   // it really burns
	dead   bool                   // its device is silent
	beside func(*simulator.State) // it means something only beside this; nil: by itself
}

var all = []grid.Kind{grid.Smoke, grid.Manhole, grid.Door, grid.Parking}

// acts in the order in which they are offered.
func acts() []act {
	smoke, manhole, door, parking := all[:1], all[1:2], all[2:3], all[3:]
	return []act{
		{name: "fire", label: Text{"起火", "Set on fire"}, then: Text{"立即 P1 工单；同楼第二个探测器一分钟内报警即确认火情", "P1 at once; a second detector of the building within a minute confirms it"}, kinds: smoke, fire: true,
			change: func(s *simulator.State) { s.Smoke, s.Celsius = true, max(s.Celsius, 58) }},
		{name: "cooking", label: Text{"做饭油烟", "Smoke from cooking"}, then: Text{"同样是 P1；到场人员判定误报", "P1 as well; the people on site find it false"}, kinds: smoke, change: func(s *simulator.State) { s.Smoke = true }},
		{name: "test", label: Text{"按测试键", "Test button pressed"}, then: Text{"只记录，不开工单", "noted, never a ticket"}, kinds: smoke, change: func(s *simulator.State) { s.Test = true }},
		{name: "mute", label: Text{"报警时消音", "Alarm silenced by hand"}, then: Text{"报警仍在：消音不等于无烟", "still an alarm: silenced is not clear"}, kinds: smoke, beside: func(s *simulator.State) { s.Smoke = true },
			change: func(s *simulator.State) { s.Smoke, s.Mute = true, true }},
		{name: "removed", label: Text{"探测器被拆下", "Detector taken off"}, then: Text{"P3 设备被拆动", "P3, tampered with"}, kinds: smoke, change: func(s *simulator.State) { s.Removed, s.Tamper = true, true }},
		{name: "open", label: Text{"井盖被掀开", "Cover lifted"}, then: Text{"5 秒后 P1", "P1 after 5 s"}, kinds: manhole, change: func(s *simulator.State) { s.Open, s.Tilt = true, 70 }},
		{name: "water", label: Text{"水位上涨", "Water rising"}, then: Text{"1 分钟后 P2；同网格合为一张工单", "P2 after a minute; one ticket for the cell"}, kinds: manhole, change: func(s *simulator.State) { s.Water, s.LevelMM = true, 150 }},
		{name: "tilted", label: Text{"井盖倾斜", "Cover tilted"}, then: Text{"10 秒后 P3", "P3 after 10 s"}, kinds: manhole, change: func(s *simulator.State) { s.Tilt = 22 }},
		{name: "forced", label: Text{"门被强开", "Door forced"}, then: Text{"办公时间外 5 秒后 P3；办公时间内是长时间未关", "P3 after 5 s outside office hours; within them it counts as held open"}, kinds: door, rules: []string{"secured"}, change: func(s *simulator.State) { s.Open, s.Tamper = true, true }},
		{name: "held", label: Text{"门被顶住不关", "Door held open"}, then: Text{"10 分钟后 P3", "P3 after 10 minutes"}, kinds: door, not: []string{"secured", "dwelling"}, change: func(s *simulator.State) { s.Open = true }},
		{name: "lane", label: Text{"车占消防通道", "Car on the fire lane"}, then: Text{"3 分钟后 P2；同网格有烟感报警时升为 P1", "P2 after 3 minutes; P1 while there is smoke in the cell"}, kinds: parking, rules: []string{"fire_lane"}, change: func(s *simulator.State) { s.Occupied = true }},
		{name: "taken", label: Text{"车位被占", "Bay taken"}, then: Text{"10 分钟后 P3 超时停放", "P3 after 10 minutes: it overstays"}, kinds: parking, not: []string{"fire_lane"}, change: func(s *simulator.State) { s.Occupied = true }},
		{name: "battery", label: Text{"电池将尽", "Battery low"}, then: Text{"10 分钟后 P4", "P4 after 10 minutes"}, kinds: all, change: func(s *simulator.State) { s.Battery = 4 }},
		{name: "silent", label: Text{"设备失联", "Device falls silent"}, then: Text{"两个上报周期后 P4 离线", "P4 offline after two reporting intervals"}, kinds: all, dead: true},
		{name: "normal", label: Text{"恢复正常", "Back to normal"}, then: Text{"传感器报告正常；工单仍须处置与核查", "the sensor says normal; the ticket still wants its work and its check"}, kinds: all, change: calm},
	}
}

// calm ends whatever is wrong at a point.
func calm(s *simulator.State) {
	battery, celsius := max(s.Battery, 90), min(s.Celsius, 25)
	*s = simulator.Normal()
	s.Battery, s.Celsius = battery, celsius
}

// can lists what can happen at the point of device i, and that its model has words for.
func (d *Drive) can(i int, p *grid.Point) (names []string) {
	for _, a := range d.acts {
		switch {
		case !slices.Contains(a.kinds, p.Kind), a.rules != nil && !slices.Contains(a.rules, p.Rules), slices.Contains(a.not, p.Rules):
		case a.dead, a.name == "normal", d.city.Tells(i, a.beside, a.change):
			names = append(names, a.name)
		}
	}
	return names
}

// Act lets something happen at a point.
func (d *Drive) Act(ctx context.Context, point, name string) error {
	d.mu.Lock()
	at := d.index[point]
	d.mu.Unlock()
	if at == nil {
		return grid.Errorf(grid.NotFound, "point is %q: want one of this city", point)
	}
	k := slices.IndexFunc(d.acts, func(a act) bool { return a.name == name })
	if k < 0 || !slices.Contains(at.Can, name) {
		return grid.Errorf(grid.Invalid, "do is %q: want one of %v at %s", name, at.Can, point)
	}
	a := d.acts[k]
	if err := d.change(ctx, at, &a); err != nil {
		return err
	}
	d.say(Line{Kind: "act", Point: point, Text: Text{at.Name.ZH + "：" + a.label.ZH, at.Name.EN + ": " + a.label.EN}})
	return nil
}

// change makes the world so, and sends what the device says of it.
func (d *Drive) change(ctx context.Context, at *Point, a *act) error {
	d.mu.Lock()
	was := at.Now
	d.truth[at.ID] = a.fire
	at.Now = a.name
	if a.name == "normal" {
		at.Now = ""
		delete(d.truth, at.ID)
	}
	d.mu.Unlock()
	d.changed()
	if a.dead {
		d.city.Dead(at.device, true)
		return nil
	}
	if was == "silent" {
		d.city.Dead(at.device, false)
	}
	return d.city.Act(ctx, at.device, simulator.Edge, func(s *simulator.State) {
		if a.name != "normal" && was != a.name {
			calm(s) // one thing at a time: what is chosen is what is so
		}
		a.change(s)
	})
}

// restore is what a unit's hands do at a point.
func (d *Drive) restore(ctx context.Context, point, by string) error {
	d.mu.Lock()
	at := d.index[point]
	burns := d.truth[point] && d.cfg.Hold
	d.mu.Unlock()
	if at == nil || burns {
		return grid.Errorf(grid.Conflict, "%s cannot be put right", point)
	}
	normal := d.acts[len(d.acts)-1]
	if err := d.change(ctx, at, &normal); err != nil {
		return err
	}
	d.say(Line{Kind: "unit", Unit: by, Point: point, Text: Text{d.unitName(by).ZH + " 使 " + at.Name.ZH + " 恢复正常", d.unitName(by).EN + " puts " + at.Name.EN + " right"}})
	return nil
}

// look is what people find at a point.
func (d *Drive) look(point string) simulator.Truth {
	d.mu.Lock()
	defer d.mu.Unlock()
	return simulator.Truth{Fire: d.truth[point]}
}
