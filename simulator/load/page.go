package load

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
)

//go:embed page.html
var pageHTML string

// WriteHTML writes a bench as one page that asks nothing of the network.
func WriteHTML(w io.Writer, r *Result) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"ms": func(f float64) string { return fmt.Sprintf("%.1f", f) }, "n": func(f float64) string { return fmt.Sprintf("%.0f", f) },
		"mb": func(f float64) string { return fmt.Sprintf("%.0f", f/1e6) },
	}).Parse(pageHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		*Result
		Picture          template.HTML
		RuleZH, LimitsZH string
	}{r, template.HTML(draw(r)), ruleZH, r.limitZH(r.Cores)})
}

const ruleZH = "达标：自应发出时刻到确认的 p99 不超过上限；步末未确认与网关内等待的帧各不超过规定时长的量；无拒收；台账平衡。越线的一步再试一次。"

// limitZH is Limit in Chinese.
func (k *Knee) limitZH(cores int) string {
	s := k.at(k.Held)
	if s == nil {
		return ""
	}
	full := map[bool]string{true: "处理器已满", false: "瓶颈不在处理器"}[s.Machine >= 0.9*float64(cores)]
	return fmt.Sprintf("此时网关占 %.2f 核（共 %d），压力端 %.2f，其余（InfluxDB、代理、本机其他程序）%.2f：%s", s.Cores, cores, s.LoadCores, max(0, s.Machine-s.Cores-s.LoadCores), full)
}

// The picture, in its own units.
const (
	wide, high              = 1000.0, 420.0
	leftOf, rightOf, topOf  = 64.0, 24.0, 16.0
	bottomOf                = 48.0
	leastShown, decadesLeft = 0.1, 10.0
)

// draw is latencies over the rate, logarithmic upwards, with the line and the knee.
func draw(r *Result) string {
	steps := slices.Clone(r.Steps)
	slices.SortFunc(steps, func(a, b Step) int { return int(a.Offered - b.Offered) })
	most, top := 1.0, 1000.0
	for _, s := range steps {
		most, top = max(most, s.Offered), max(top, s.Latency.Max)
	}
	decades := min(math.Ceil(math.Log10(top/leastShown)), decadesLeft)
	x := func(rate float64) float64 { return leftOf + rate/most*(wide-leftOf-rightOf) }
	y := func(ms float64) float64 {
		return high - bottomOf - math.Log10(max(ms, leastShown)/leastShown)/decades*(high-topOf-bottomOf)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="picture" viewBox="0 0 %g %g" role="img" aria-label="latency over rate">`, wide, high)
	for d := 0.0; d <= decades; d++ {
		ms := leastShown * math.Pow(10, d)
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="y" x="%g" y="%.1f">%g ms</text>`, leftOf, wide-rightOf, y(ms), y(ms), leftOf-8, y(ms)+4, math.Round(ms*10)/10)
	}
	for i := range 6 {
		rate := most * float64(i) / 5
		fmt.Fprintf(&b, `<text class="x" x="%.1f" y="%g">%.0f/s</text>`, x(rate), high-bottomOf+20, rate)
	}
	if r.Held > 0 {
		fmt.Fprintf(&b, `<line class="knee" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/><text class="kneetext" x="%.1f" y="%g">%.0f/s</text>`, x(r.Held), x(r.Held), topOf, high-bottomOf, x(r.Held)-6, topOf+12, r.Held)
	}
	for _, q := range []struct {
		name  string
		aside float64 // of the name: max and p99 lie close
		of    func(Step) float64
	}{{"p50", 18, func(s Step) float64 { return s.Latency.P50 }}, {"p99", 18, func(s Step) float64 { return s.Latency.P99 }}, {"max", -8, func(s Step) float64 { return s.Latency.Max }}} {
		var path strings.Builder
		for i, s := range steps {
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: " L"}[i == 0], x(s.Offered), y(q.of(s)))
		}
		fmt.Fprintf(&b, `<path class="%s" d="%s"/>`, q.name, path.String())
		for _, s := range steps {
			mark := "held"
			if s.Left != "" {
				mark = "left"
			}
			fmt.Fprintf(&b, `<circle class="%s %s" cx="%.1f" cy="%.1f" r="4"><title>%s %.1f ms, %.0f/s</title></circle>`, q.name, mark, x(s.Offered), y(q.of(s)), q.name, q.of(s), s.Offered)
		}
		if len(steps) > 0 {
			last := steps[len(steps)-1]
			fmt.Fprintf(&b, `<text class="name" x="%.1f" y="%.1f">%s</text>`, x(last.Offered)-8, y(q.of(last))+q.aside, q.name)
		}
	}
	b.WriteString("</svg>")
	return b.String()
}
