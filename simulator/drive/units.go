package drive

import (
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// Unit is one that is played.
type Unit struct {
	ID   string `json:"id"`
	Name Text   `json:"name"`
	Kind string `json:"kind"`
	Be   string `json:"be"` // good, slow, silent, lying or deaf
}

// manner is a way in which a unit behaves.
type manner struct {
	name  string
	label Text
	then  Text
	set   func(*simulator.Behaviour, *simulator.People)
}

func manners() []manner {
	return []manner{
		{"good", Text{"正常", "Good"}, Text{"接单、到场、核实、处置、拍照", "accepts, comes, looks, puts right, takes a photo"}, func(*simulator.Behaviour, *simulator.People) {}},
		{"slow", Text{"迟缓", "Slow"}, Text{"15 分钟才接单：超时升级", "accepts after a quarter of an hour: clocks run out, others are called"}, func(_ *simulator.Behaviour, p *simulator.People) {
			p.Accept, p.Travel = 15*time.Minute, 20*time.Minute
		}},
		{"silent", Text{"无人应答", "Silent"}, Text{"系统收到，没有人应答", "the system has the message, nobody answers it"}, func(_ *simulator.Behaviour, p *simulator.People) { p.Silent = true }},
		{"lying", Text{"谎报", "Lying"}, Text{"没有处置却报完成：传感器揭穿，返工", "reports done what is not: the sensor shows it, rework"}, func(_ *simulator.Behaviour, p *simulator.People) { p.Lies = true }},
		{"deaf", Text{"系统故障", "System down"}, Text{"接口答 503：消息保留并重试", "its endpoint answers 503: messages are kept and sent again"}, func(b *simulator.Behaviour, _ *simulator.People) { *b = simulator.Deaf }},
	}
}

// goodPeople is how a unit is whom nothing ails.
func goodPeople() simulator.People {
	return simulator.People{Accept: 20 * time.Second, Travel: 4 * time.Minute, Work: 3 * time.Minute}
}

var played = []grid.UnitKind{grid.FireUnit, grid.MicroStation, grid.Property, grid.UrbanManagement, grid.Utility, grid.Maintenance, grid.Committee}

// openUnits starts a unit of each kind.
func (d *Drive) openUnits() error {
	units, err := simulator.NewUnits(played, d.cfg.Seed)
	if err != nil {
		return err
	}
	for i := range units {
		p := goodPeople()
		units[i].People, units[i].Test = &p, "off" // its channel is tested by what happens
		d.units = append(d.units, Unit{ID: units[i].ID, Name: split(units[i].Name), Kind: string(units[i].Kind), Be: "good"})
	}
	d.crews, err = simulator.OpenUnits(simulator.UnitsConfig{Units: units, API: d.gateway.url, Clock: d.clock, Seed: d.cfg.Seed, Look: d.look, Restore: d.restore})
	return err
}

// Behave switches how a unit behaves from now on.
func (d *Drive) Behave(unit, be string) error {
	k := slices.IndexFunc(d.manners, func(m manner) bool { return m.name == be })
	if k < 0 {
		var want []string
		for _, m := range d.manners {
			want = append(want, m.name)
		}
		return grid.Errorf(grid.Invalid, "be is %q: want one of %v", be, want)
	}
	m := d.manners[k]
	err := d.crews.Behave(unit, func(b *simulator.Behaviour, p *simulator.People) {
		*b, *p = simulator.Good, goodPeople()
		m.set(b, p)
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	for i := range d.units {
		if d.units[i].ID == unit {
			d.units[i].Be = be
		}
	}
	d.mu.Unlock()
	name := d.unitName(unit)
	d.say(Line{Kind: "unit", Unit: unit, Text: Text{fmt.Sprintf("%s 改为「%s」：%s", name.ZH, m.label.ZH, m.then.ZH), fmt.Sprintf("%s is now “%s”: %s", name.EN, m.label.EN, m.then.EN)}})
	return nil
}

func (d *Drive) unitName(id string) Text {
	for _, u := range d.units { // names do not change
		if u.ID == id {
			return u.Name
		}
	}
	return Text{id, id}
}
