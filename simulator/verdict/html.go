package verdict

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
)

//go:embed frame.html
var frameHTML string // what both pages have

//go:embed page.html
var pageHTML string

//go:embed index.html
var indexHTML string

// WriteHTML writes a verdict as one page that asks nothing of the network.
func WriteHTML(w io.Writer, r Result) error { return write(w, pageHTML, pageOf(&r)) }

// WriteIndex writes the page over several, which stand beside it as SCENARIO.html. What could not
// be played has no page.
func WriteIndex(w io.Writer, failed []string, results ...Result) error {
	x := index{Results: results, Failed: failed, NotMet: len(failed)}
	for i := range results {
		r := &results[i]
		x.Met, x.NotPlayed, x.Expectations = x.Met+r.Count(Met), x.NotPlayed+r.Count(NotPlayed), x.Expectations+len(r.Expectations)
		if r.Outcome == NotMet {
			x.NotMet++
		}
	}
	return write(w, indexHTML, x)
}

// index is what the template of the page over all shows.
type index struct {
	Results                              []Result
	Failed                               []string
	Met, NotMet, NotPlayed, Expectations int // NotMet of scenarios, the others of expectations
}

func write(w io.Writer, text string, of any) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"both": both, "clock": clockText, "date": func(t time.Time) string { return t.In(city()).Format("2006-01-02 15:04:05") },
		"mark": func(o Outcome) string { return map[Outcome]string{Met: "✓", NotMet: "✕", NotPlayed: "–"}[o] },
		"span": spanText, "real": func(d time.Duration) string { return d.Round(time.Millisecond).String() }, "ms": func(f float64) string { return fmt.Sprintf("%.1f", f) },
		"icon": func(lane string) string { return laneSign[lane] },
	}).Parse(frameHTML)
	if err == nil {
		t, err = t.Parse(text)
	}
	if err != nil {
		return err
	}
	return t.Execute(w, of)
}

// page is what the template shows.
type page struct {
	Result
	Word    Text
	Picture template.HTML
	Counts  []count
	Story   []Mark
	More    int
	Lanes   map[string]Text
}

type count struct {
	Class string
	N     int
	Words Text
}

// mostStory is how many lines the story has; the JSON has all.
const mostStory = 400

func pageOf(r *Result) page {
	p := page{Result: *r, Picture: template.HTML(draw(r)), Lanes: laneWords}
	p.Word = map[Outcome]Text{Met: {"符合预期", "As expected"}, NotMet: {"不符合预期", "Not as expected"}}[r.Outcome]
	p.Counts = []count{
		{"met", r.Count(Met), Text{"符合", "met"}}, {"not_met", r.Count(NotMet), Text{"不符合", "not met"}}, {"not_played", r.Count(NotPlayed), Text{"未执行", "not played"}},
	}
	p.Story = slices.Clone(r.Marks)
	slices.SortStableFunc(p.Story, func(a, b Mark) int { return a.At.Compare(b.At) })
	if len(p.Story) > mostStory {
		p.Story, p.More = p.Story[:mostStory], len(p.Story)-mostStory
	}
	return p
}

// both gives words in both languages; the page shows one.
func both(t Text) template.HTML {
	e := template.HTMLEscapeString
	if t.ZH == t.EN {
		return template.HTML(e(t.ZH))
	}
	return template.HTML(`<span lang="zh-CN">` + e(t.ZH) + `</span><span lang="en">` + e(t.EN) + `</span>`)
}

func city() *time.Location { return time.FixedZone("+08:00", 8*3600) }

func clockText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(city()).Format("15:04:05")
}

func spanText(d time.Duration) string {
	s := d.Round(time.Second).String()
	s = strings.TrimSuffix(s, "m0s") + map[bool]string{true: "m", false: ""}[strings.HasSuffix(s, "m0s")]
	return strings.TrimSuffix(s, "h0m") + map[bool]string{true: "h", false: ""}[strings.HasSuffix(s, "h0m")]
}
