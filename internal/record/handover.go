package record

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/pdf"
)

// Handover draws the sheet that one shift leaves to the next.
func Handover(h *grid.Handover, lang string, font *pdf.Font, at time.Time) ([]byte, error) {
	p := newPaper("交接班单 / Handover", lang, font, at)
	p.foot = p.say("交接班单 ", "Handover ") + h.ID + "  SHA-256 " + h.Digest
	p.page()
	p.QR(right-20, 12, 20, h.ID)
	why := p.say("临时交接", "on demand")
	if h.Why == "shift" {
		why = p.say("交接班", "change of shift")
		if h.Shift != "" {
			why += fmt.Sprintf(" %s → %s", h.Shift, h.Next)
		}
	}
	p.title(p.say("值班交接单", "Handover sheet"), fmt.Sprintf("%s %s   %s   %s %s", p.say("生成", "made"), when(h.Made), why, p.say("勤务等级", "posture"), p.posture(h.Posture)))
	p.y = max(p.y+2, 36)
	p.summary(h)
	for i := range h.Sections {
		if s := &h.Sections[i]; s.Count > 0 {
			p.section(s)
		}
	}
	p.signatures(h)
	return p.Bytes()
}

// summary counts every part, the empty ones too: nothing is left out silently.
func (p *paper) summary(h *grid.Handover) {
	const columns = 3
	const cell = width / columns
	for i := range h.Sections {
		s := &h.Sections[i]
		x, y := left+float64(i%columns)*cell, p.y+float64(i/columns)*6
		p.Gray(0.55)
		if s.Count > 0 {
			p.Gray(0)
		}
		n := fmt.Sprint(s.Count)
		p.Bold(x+8-p.Width(normal, n), y+4, normal, n)
		p.Text(x+10, y+4, small, p.Fit(cell-12, small, p.say(s.Title.ZH, s.Title.EN)))
	}
	p.Gray(0)
	p.y += float64((len(h.Sections)+columns-1)/columns)*6 + 4
}

func (p *paper) section(s *grid.HandoverSection) {
	p.bar(p.say(s.Title.ZH, s.Title.EN), fmt.Sprint(s.Count), 12)
	for i := range s.Lines {
		p.matter(&s.Lines[i])
	}
	if more := s.Count - len(s.Lines); more > 0 {
		p.need(6)
		p.Text(left+1.5, p.y+3, small, p.say(fmt.Sprintf("另有 %d 条未列出", more), fmt.Sprintf("and %d more that are not listed", more)))
		p.y += 5
	}
	p.y += 2
}

// matter is one line: times at the left, what and where, whose at the right.
func (p *paper) matter(l *grid.HandoverLine) {
	what := p.world(l.Mode) + p.half(l.What)
	if l.Priority > 0 {
		what = l.Priority.String() + "  " + what
	}
	const times, whose = 26.0, 38.0
	lines := p.Lines(width-times-whose-4, small, cmp.Or(what, l.Type))
	under := strings.Join(clean(l.Place, l.ID), "   ")
	places := p.Lines(width-times-whose-4, 7*pdf.Point, under)
	p.need(float64(len(lines))*small*1.4 + float64(len(places))*7*pdf.Point*1.4 + 2)
	top := p.y
	p.Text(left+1.5, top+3, small, stamp(l.Since))
	if !l.Until.IsZero() {
		p.Text(left+1.5, top+3+small*1.4, small, "→ "+stamp(l.Until))
	}
	for _, t := range lines {
		p.Text(left+times, p.y+3, small, t)
		p.y += small * 1.4
	}
	p.Gray(0.4)
	for _, t := range places {
		p.Text(left+times, p.y+2.8, 7*pdf.Point, t)
		p.y += 7 * pdf.Point * 1.4
	}
	p.Gray(0)
	p.Text(right-whose, top+3, small, p.Fit(whose, small, p.word(l.State)))
	p.Text(right-whose, top+3+small*1.4, small, p.Fit(whose, small, l.Who))
	p.y = max(p.y, top+2*small*1.4) + 1.2
	p.Gray(0.8)
	p.Line(left, p.y, right, p.y, 0.1)
	p.Gray(0)
	p.y += 0.6
}

func clean(words ...string) (out []string) {
	for _, w := range words {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// word is a state in the language of the sheet.
func (p *paper) word(state string) string {
	words := map[string]string{
		"reported": "已上报", "verifying": "核实中", "filed": "已立案", "dispatched": "已派遣", "accepted": "已接单", "in_progress": "处理中",
		"suspended": "挂起", "returned": "退回", "resolved": "已处置", "checking": "核查中", "rework": "返工", "acknowledged": "已确认",
		"watching": "值守中", "pending": "待验证", "failed": "不合格", "silent": "静默", "sound is not armed": "声音未开启",
		"its stream is not live": "实时数据中断", "signed on anew": "重新登录",
	}
	if w := words[state]; w != "" && !p.en {
		return w
	}
	return strings.ReplaceAll(state, "_", " ")
}

func (p *paper) signatures(h *grid.Handover) {
	p.need(46)
	p.y += 3
	const box = (width - 6) / 2
	top := p.y
	for i, part := range []struct {
		zh, en string
		sign   *grid.HandoverSign
	}{{"交班人", "Outgoing", h.Outgoing}, {"接班人", "Incoming", h.Incoming}} {
		x := left + float64(i)*(box+6)
		p.Rect(x, top, box, 34, 0.25)
		p.Bold(x+3, top+6, normal, p.say(part.zh, part.en))
		if part.sign == nil {
			p.Gray(0.45)
			p.Text(x+3, top+14, small, p.say("尚未签字", "not signed yet"))
			p.Line(x+3, top+27, x+box-3, top+27, 0.2)
			p.Gray(0)
			continue
		}
		p.Text(x+3, top+12.5, normal, p.Fit(box-6, normal, part.sign.By.Name))
		p.Gray(0.35)
		p.Text(x+3, top+17.5, small, when(part.sign.At))
		p.Gray(0)
		lines := p.Lines(box-6, small, part.sign.Note)
		for n, t := range lines[:min(3, len(lines))] {
			p.Text(x+3, top+22.5+float64(n)*small*1.4, small, t)
		}
	}
	p.y = top + 38
}
