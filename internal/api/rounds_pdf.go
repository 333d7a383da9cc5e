package api

import (
	"cmp"
	"fmt"
	"strings"

	"gridgate/internal/contractor"
	"gridgate/internal/grid"
	"gridgate/internal/pdf"
)

// sheet is the list of a round on paper, in one language, with a box to tick for each job.
type sheet struct {
	*pdf.Document
	zh   bool
	y    float64
	work *contractor.Rules
	r    *grid.Round
}

const (
	sheetLeft  = 15.0
	sheetWidth = pdf.A4Width - 2*sheetLeft
	sheetEnd   = pdf.A4Height - 18
	letter     = 9.5 * pdf.Point
)

// roundSheet draws the list of a round.
func (s *Server) roundSheet(r *grid.Round, lang string) ([]byte, error) {
	d := &sheet{zh: lang != "en", work: s.work(), r: r}
	title := d.say("巡修单 ", "Round of ") + r.Day
	lang = map[bool]string{true: "zh-CN", false: "en"}[d.zh]
	d.Document = pdf.New(pdf.Options{Title: title, Lang: lang, Font: s.Font, At: r.Made})
	d.page()
	d.head(title)
	for i := range r.Stops {
		d.stop(&r.Stops[i])
	}
	d.y += 4
	d.need(20)
	d.Text(sheetLeft, d.y+8, letter, d.say("技术员签名 ____________________   日期 ______________", "Technician ____________________   date ______________"))
	return d.Bytes()
}

func (d *sheet) say(zh, en string) string {
	if d.zh {
		return zh
	}
	return en
}

func (d *sheet) page() {
	d.Page(pdf.A4Width, pdf.A4Height)
	d.y = 18
	d.Gray(0.45)
	d.Text(sheetLeft, pdf.A4Height-9, 7*pdf.Point, fmt.Sprintf("%s  %s  %s", d.r.Unit, d.r.Day, d.r.ID))
	d.Text(pdf.A4Width-sheetLeft-8, pdf.A4Height-9, 7*pdf.Point, fmt.Sprint(d.Pages()))
	d.Gray(0)
}

// need begins another page where there is no room for so much, and says whether it did.
func (d *sheet) need(height float64) bool {
	if d.y+height <= sheetEnd {
		return false
	}
	d.page()
	return true
}

func (d *sheet) line(format string, args ...any) {
	d.need(letter * 1.4)
	d.y = d.Wrap(sheetLeft, d.y+letter, sheetWidth, letter, fmt.Sprintf(format, args...)) - letter + 1
}

// rowText stands beside the boxes of jobs.
const rowText = sheetLeft + 7

// words are lines of a stop, below one another.
func (d *sheet) words(lines []string) {
	for _, l := range lines {
		d.need(letter * 1.4)
		d.Text(rowText, d.y+3, letter, l)
		d.y += letter * 1.4
	}
}

func (d *sheet) fold(text string) []string { return d.Lines(sheetWidth-8, letter, text) }

func (d *sheet) head(title string) {
	d.Bold(sheetLeft, d.y+4, 16*pdf.Point, title)
	d.QR(pdf.A4Width-sheetLeft-20, d.y-6, 20, d.r.ID)
	d.y += 8
	ended, all := d.r.Progress()
	d.line("%s %s   %s %d/%d   %s %.1f km", d.say("单位", "unit"), d.r.Unit, d.say("站点", "stops"), ended, all, d.say("路线", "way"), d.r.LengthM/1000)
	var batteries []string
	for _, b := range contractor.Total(d.r) {
		batteries = append(batteries, fmt.Sprintf("%d × %s", b.Count, b.Type))
	}
	if len(batteries) > 0 {
		d.line("%s%s", d.say("携带电池：", "batteries to bring: "), strings.Join(batteries, d.say("、", ", ")))
	}
	d.y += 6
}

func (d *sheet) stop(s *grid.Stop) {
	var words []string
	if s.Times > 0 && s.State != grid.StopNoEntry {
		words = append(words, fmt.Sprintf(d.say("已有 %d 次无法入户", "nobody opened %d times before"), s.Times))
	}
	if s.Note != "" {
		words = append(words, d.fold(d.say("备注：", "note: ")+s.Note)...)
	}
	height := 9 + float64(len(words))*letter*1.4
	if len(s.Jobs) > 0 { // no heading stands alone at the foot of a page
		height += d.height(d.toDo(&s.Jobs[0]))
	}
	d.need(height)
	d.Gray(0.9)
	d.Rect(sheetLeft, d.y, sheetWidth, 7, 0)
	d.Gray(0)
	d.Bold(sheetLeft+1.5, d.y+5, 11*pdf.Point, d.Fit(sheetWidth-40, 11*pdf.Point, fmt.Sprintf("%d  %s", s.N, s.Place)))
	d.Text(sheetLeft+sheetWidth-36, d.y+5, letter, fmt.Sprintf("%.0f m  %s", s.LegM, d.state(s.State)))
	d.y += 9
	d.words(words)
	for i := range s.Jobs {
		d.job(s, &s.Jobs[i])
	}
	d.y += 3
}

func (d *sheet) state(s grid.StopState) string {
	switch s {
	case grid.StopDone:
		return d.say("已完成", "done")
	case grid.StopNoEntry:
		return d.say("无法入户", "no entry")
	case grid.StopDropped:
		return d.say("已取消", "dropped")
	}
	return ""
}

// toDo are the lines of a job: what to do, what to bring, why it was left.
func (d *sheet) toDo(j *grid.Job) []string {
	do, bring, _ := d.work.ToDo(j.Type)
	what := []string{d.say(do.ZH, do.EN)}
	var things []string
	for _, w := range bring {
		things = append(things, d.say(w.ZH, w.EN))
	}
	if j.Battery != "" {
		things = append(things, d.say("电池 ", "battery ")+j.Battery)
	}
	if len(things) > 0 {
		what = append(what, d.say("携带：", "Bring: ")+strings.Join(things, d.say("、", ", ")))
	}
	if j.State == grid.JobLeft {
		what = append(what, d.say("未完成：", "not done: ")+cmp.Or(j.Why, "–"))
	}
	return d.fold(strings.Join(what, "\n"))
}

func (d *sheet) height(lines []string) float64 { return float64(len(lines))*letter*1.4 + 8 }

// due is the day by which a job is to be done, as that of Shanghai.
func (d *sheet) due(j *grid.Job) string {
	if j.Due.IsZero() {
		return ""
	}
	due := d.say("到期 ", "due ") + j.Due.In(d.work.Zone()).Format(grid.DayLayout)
	if j.Late {
		due += d.say(" 超期", " late")
	}
	return due
}

func (d *sheet) job(s *grid.Stop, j *grid.Job) {
	lines := d.toDo(j)
	if d.need(d.height(lines)) {
		d.words(d.fold(fmt.Sprintf(d.say("%d  %s（续）", "%d  %s (continued)"), s.N, s.Place)))
		d.y += 2
	}
	d.Rect(sheetLeft+1, d.y+0.5, 3.5, 3.5, 0.3)
	if j.State == grid.JobDone {
		d.Line(sheetLeft+1, d.y+0.5, sheetLeft+4.5, d.y+4, 0.4)
		d.Line(sheetLeft+4.5, d.y+0.5, sheetLeft+1, d.y+4, 0.4)
	}
	where := strings.TrimSpace(strings.Join([]string{j.Floor, j.Room, cmp.Or(j.Name, j.Point)}, " "))
	d.Bold(rowText, d.y+3.6, letter, d.Fit(sheetWidth-50, letter, where+"  "+string(j.Device)))
	d.Text(sheetLeft+sheetWidth-36, d.y+3.6, letter, d.due(j))
	d.y += 5
	d.words(lines)
	d.y += 2
}
