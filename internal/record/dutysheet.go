package record

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"gridgate/internal/duty"
	"gridgate/internal/grid"
	"gridgate/internal/pdf"
)

// DutySheet draws the sheet for the day the screens are dark: the units' desks, open tickets,
// and every point by street and building.
func DutySheet(s *duty.Sheet, lang string, font *pdf.Font, at time.Time) ([]byte, error) {
	p := newPaper("值班应急单 / Duty sheet", lang, font, at)
	where := strings.TrimSpace(s.Name + " " + s.Street)
	p.foot = p.say("值班应急单 ", "Duty sheet ") + where + "  " + when(s.Made)
	p.page()
	if where == "" {
		where = p.say("全区", "whole district")
	}
	p.title(p.say("值班应急单  ", "Duty sheet  ")+where, fmt.Sprintf("%s %s   %s %s   %s %d   %s %d", p.say("生成", "made"), when(s.Made), p.say("勤务等级", "posture"), p.posture(s.Posture),
		p.say("点位", "points"), s.Points, p.say("未结案工单", "open tickets"), len(s.Tickets)))
	p.y += 1
	if s.Reason != "" {
		p.Colour(0.7, 0.1, 0.1)
		p.y = p.Wrap(left, p.y+small, width, small, p.say("含个人电话，用后销毁。查阅人：", "Holds people's numbers: destroy after use. Read by ")+s.By+p.say("，事由：", ", because: ")+s.Reason)
		p.Gray(0)
	} else {
		p.Gray(0.35)
		p.y = p.Wrap(left, p.y+small, width, small, p.say("联系人只列身份，电话须凭事由查阅；单位列值班电话。", "Contacts stand by their role, their numbers are read with a reason; of units the number of the desk."))
		p.Gray(0)
	}
	p.y += 2
	p.desks(s.Units)
	p.tickets(s.Tickets)
	for i := range s.Streets {
		for j := range s.Streets[i].Buildings {
			p.building(&s.Streets[i], &s.Streets[i].Buildings[j])
		}
	}
	return p.Bytes()
}

func (p *paper) desks(units []grid.Unit) {
	p.bar(p.say("单位值班电话", "Desks of units"), fmt.Sprint(len(units)), 6)
	for i := range units {
		u := &units[i]
		p.need(6)
		p.Text(left+1.5, p.y+3.2, small, fmt.Sprintf("%d", u.Tier))
		p.Text(left+8, p.y+3.2, small, p.Fit(80, small, p.world(u.Mode)+u.Name))
		p.Gray(0.4)
		p.Text(left+92, p.y+3.2, small, p.Fit(40, small, p.unitKind(u.Kind)))
		p.Gray(0)
		p.Bold(left+134, p.y+3.2, small, p.Fit(width-136, small, cmp.Or(u.Phone, "—")))
		p.y += 4.8
	}
	p.y += 2
}

func (p *paper) tickets(all []grid.Ticket) {
	if len(all) == 0 {
		return
	}
	p.bar(p.say("未结案工单", "Open tickets"), fmt.Sprint(len(all)), 12)
	for i := range all {
		t := &all[i]
		l := grid.HandoverLine{Priority: t.Priority, What: t.Case + " " + p.half(t.Title), Place: t.Place, State: string(t.State), Since: t.Opened, Until: t.Due, Mode: t.Mode}
		for _, a := range t.Assignments {
			if a.Lead {
				l.Who = a.Unit
			}
		}
		p.matter(&l)
	}
	p.y += 2
}

func (p *paper) building(st *duty.SheetStreet, b *duty.SheetBuilding) {
	name := strings.Join(clean(cmp.Or(st.Name, st.Code), cmp.Or(b.Name, p.say("（无楼宇）", "(no building)"))), " · ")
	p.bar(name, fmt.Sprint(len(b.Points)), 8)
	if len(b.Contacts) > 0 {
		p.contacts(left+1.5, b.Contacts)
	}
	for i := range b.Points {
		if p.need(10) {
			p.bar(name+p.say("（续）", " (continued)"), "", 0)
		}
		p.point(&b.Points[i])
	}
	p.y += 2
}

// point is one line, with its contacts beneath.
func (p *paper) point(pt *duty.SheetPoint) {
	p.Text(left+1.5, p.y+3.2, small, p.Fit(22, small, p.kind(pt.Kind)))
	where := strings.Join(clean(pt.Address, pt.Floor, pt.Room, pt.Name), " ")
	p.Text(left+25, p.y+3.2, small, p.Fit(104, small, p.world(pt.Mode)+where))
	p.Gray(0.4)
	p.Text(left+131, p.y+3.2, 7*pdf.Point, p.Fit(width-132, 7*pdf.Point, pt.ID))
	p.Gray(0)
	p.y += 4.6
	if len(pt.Contacts) > 0 {
		p.contacts(left+25, pt.Contacts)
	}
}

func (p *paper) contacts(x float64, all []duty.SheetContact) {
	var words []string
	for _, c := range all {
		w := p.role(c.Role) + " " + p.channel(c.Channel)
		if c.Number != "" {
			w += " " + c.Number
		}
		words = append(words, w)
	}
	p.need(5)
	p.Gray(0.3)
	for _, t := range p.Lines(right-x, 7*pdf.Point, strings.Join(words, "；")) {
		p.need(4)
		p.Text(x, p.y+2.6, 7*pdf.Point, t)
		p.y += 3.6
	}
	p.Gray(0)
	p.y += 0.6
}

func (p *paper) role(r grid.ContactRole) string {
	zh := map[grid.ContactRole]string{grid.Occupant: "住户", grid.Neighbour: "邻居", grid.KeyHolder: "钥匙保管人", grid.DutyPhone: "值班电话"}
	return p.say(cmp.Or(zh[r], string(r)), strings.ReplaceAll(string(r), "_", " "))
}

func (p *paper) channel(c grid.Channel) string {
	zh := map[grid.Channel]string{grid.Voice: "电话", grid.SMS: "短信", grid.App: "应用", grid.Chat: "即时消息"}
	return "(" + p.say(cmp.Or(zh[c], string(c)), string(c)) + ")"
}

func (p *paper) kind(k grid.Kind) string {
	zh := map[grid.Kind]string{grid.Smoke: "烟感", grid.Manhole: "井盖", grid.Parking: "车位", grid.Door: "门磁"}
	return p.say(cmp.Or(zh[k], string(k)), string(k))
}

func (p *paper) unitKind(k grid.UnitKind) string {
	names := map[grid.UnitKind][2]string{
		grid.FireUnit: {"消防", "fire brigade"}, grid.MicroStation: {"微型消防站", "micro fire station"}, grid.UrbanManagement: {"城管", "urban management"}, grid.Utility: {"公用事业", "utility"},
		grid.Property: {"物业", "property"}, grid.Committee: {"居委会", "residents' committee"}, grid.Maintenance: {"维保", "maintenance"}, grid.Operator: {"运行中心", "operations centre"},
	}
	n := names[k]
	return p.say(cmp.Or(n[0], string(k)), cmp.Or(n[1], string(k)))
}
