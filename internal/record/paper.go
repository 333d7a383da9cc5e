package record

import (
	"fmt"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/pdf"
)

// paper is a document of many pages, written from the top down, with a foot that says what the
// page belongs to.
type paper struct {
	*pdf.Document
	en   bool
	y    float64
	foot string
}

func newPaper(title string, lang string, font *pdf.Font, at time.Time) *paper {
	p := &paper{en: lang == "en"}
	p.Document = pdf.New(pdf.Options{Title: title, Lang: p.say("zh-CN", "en"), Font: font, At: at})
	return p
}

func (p *paper) say(zh, en string) string {
	if p.en {
		return en
	}
	return zh
}

func (p *paper) page() {
	p.Page(pdf.A4Width, pdf.A4Height)
	p.y = 16
	p.Gray(0.4)
	p.Text(left, pdf.A4Height-9, 7*pdf.Point, p.Fit(width-14, 7*pdf.Point, p.foot))
	n := fmt.Sprint(p.Pages())
	p.Text(right-p.Width(7*pdf.Point, n), pdf.A4Height-9, 7*pdf.Point, n)
	p.Gray(0)
}

// need begins another page where there is no room for so much, and reports whether it did.
func (p *paper) need(height float64) bool {
	if p.y+height <= bottom {
		return false
	}
	p.page()
	return true
}

func (p *paper) title(words, beneath string) {
	p.Bold(left, p.y+6, 16*pdf.Point, p.Fit(width-30, 16*pdf.Point, words))
	p.y += 10
	p.Gray(0.35)
	p.y = p.Wrap(left, p.y+small, width-30, small, beneath)
	p.Gray(0)
}

// bar heads a part, with what is counted at its right.
func (p *paper) bar(words, count string, room float64) {
	p.need(9 + room)
	p.Gray(0.9)
	p.Rect(left, p.y, width, 6.5, 0)
	p.Gray(0)
	p.Bold(left+1.5, p.y+4.7, normal, p.Fit(width-30, normal, words))
	p.Bold(right-1.5-p.Width(normal, count), p.y+4.7, normal, count)
	p.y += 8.5
}

// stamp words a time without its seconds.
func stamp(at time.Time) string {
	if at.IsZero() {
		return "—"
	}
	return at.In(shanghai).Format("01-02 15:04")
}

// world marks what is not live.
func (p *paper) world(m grid.Mode) string {
	switch m {
	case grid.Live, "":
		return ""
	case grid.Exercise:
		return p.say("【演练】", "[exercise] ")
	case grid.Test:
		return p.say("【测试】", "[test] ")
	}
	return p.say("【模拟】", "[simulated] ")
}

func (p *paper) posture(n grid.PostureName) string {
	words := map[grid.PostureName]grid.Text{
		grid.PostureNormal: {ZH: "平日", EN: "normal"}, grid.PostureFestival: {ZH: "节日保障", EN: "festival"}, grid.PostureTyphoon: {ZH: "防台", EN: "typhoon"},
		grid.PostureHeavyRain: {ZH: "防汛", EN: "heavy rain"}, grid.PostureColdWave: {ZH: "寒潮", EN: "cold wave"},
	}
	if t, ok := words[n]; ok {
		return p.say(t.ZH, t.EN)
	}
	return string(n)
}

// half gives the part in the language of a text that stands in both, "zh / en".
func (p *paper) half(text string) string {
	const between = " / "
	for i := 0; i+len(between) <= len(text); i++ {
		if text[i:i+len(between)] == between {
			if p.en {
				return text[i+len(between):]
			}
			return text[:i]
		}
	}
	return text
}
