package verdict

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"
	"time"
)

// The picture of a timeline: lanes from top to bottom, the city's time from left to right.
const (
	pictureWide = 1240
	gutter      = 118 // for the names of the lanes
	right       = 16
	rowHigh     = 18
	laneGap     = 10
	mostRowsOf  = 12 // of bars in one lane; then they are counted
)

var laneOrder = []string{LaneWorld, LaneFaults, LaneOperator, LaneAlarms, LaneTickets, LaneUnits}

var laneWords = map[string]Text{
	LaneWorld: {"城市", "City"}, LaneFaults: {"故障", "Faults"}, LaneOperator: {"坐席", "Desk"}, LaneAlarms: {"告警", "Alarms"},
	LaneTickets: {"工单", "Tickets"}, LaneUnits: {"处置单位", "Units"}, "expect": {"预期", "Expectations"},
}

var laneSign = map[string]string{LaneWorld: "◆", LaneFaults: "⚡", LaneOperator: "●", LaneAlarms: "▲", LaneTickets: "■", LaneUnits: "○"}

// canvas draws with one scale.
type canvas struct {
	b        strings.Builder
	from, to time.Time
	y        int
}

// draw makes the picture as SVG.
func draw(r *Result) string {
	c := &canvas{from: r.From, to: r.To, y: 30}
	for _, lane := range laneOrder {
		var marks []Mark
		for _, m := range r.Marks {
			if m.Lane == lane {
				marks = append(marks, m)
			}
		}
		if len(marks) > 0 {
			c.lane(lane, marks)
		}
	}
	c.expectations(r.Expectations)
	body := c.b.String()
	var out strings.Builder
	fmt.Fprintf(&out, `<svg viewBox="0 0 %d %d" width="%d" role="img" aria-label="timeline" class="picture">`, pictureWide, c.y+8, pictureWide)
	out.WriteString(c.axis())
	out.WriteString(body)
	out.WriteString(`</svg>`)
	return out.String()
}

func (c *canvas) x(t time.Time) float64 {
	share := float64(t.Sub(c.from)) / float64(c.to.Sub(c.from))
	return gutter + min(max(share, 0), 1)*(pictureWide-gutter-right)
}

// axis has some ten ticks at round times.
func (c *canvas) axis() string {
	length := c.to.Sub(c.from)
	step := 24 * time.Hour
	for _, s := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour} {
		if length/s <= 12 {
			step = s
			break
		}
	}
	var b strings.Builder
	first := c.from.In(city()).Truncate(step)
	for t := first; !t.After(c.to); t = t.Add(step) {
		if t.Before(c.from) {
			continue
		}
		format := "15:04"
		if step < time.Minute {
			format = "15:04:05"
		}
		x := c.x(t)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="22" x2="%.1f" y2="%d" class="grid"/><text x="%.1f" y="14" class="tick">%s</text>`, x, x, c.y, min(x, pictureWide-30), t.Format(format))
	}
	return b.String()
}

func (c *canvas) name(t Text, high int) {
	fmt.Fprintf(&c.b, `<rect x="0" y="%d" width="%d" height="%d" class="band"/>`, c.y-4, pictureWide, high+6)
	c.text(8, float64(c.y+11), "lane", t, "")
}

// text writes both languages at one place; the page shows one.
func (c *canvas) text(x, y float64, class string, t Text, anchor string) {
	if anchor != "" {
		anchor = ` text-anchor="` + anchor + `"`
	}
	e := html.EscapeString
	if t.ZH == t.EN {
		fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" class="%s"%s>%s</text>`, x, y, class, anchor, e(t.EN))
		return
	}
	fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" class="%s" lang="zh-CN"%s>%s</text><text x="%.1f" y="%.1f" class="%s" lang="en"%s>%s</text>`, x, y, class, anchor, e(t.ZH), x, y, class, anchor, e(t.EN))
}

func (c *canvas) lane(lane string, marks []Mark) {
	slices.SortStableFunc(marks, func(a, b Mark) int { return a.At.Compare(b.At) })
	if lane == LaneUnits {
		c.units(marks)
		return
	}
	marks = c.gather(marks)
	rows, more := place(marks, c)
	high := (slices.MaxFunc(rows, cmp.Compare[int]) + 1) * rowHigh
	if more > 0 {
		high += rowHigh
	}
	c.name(laneWords[lane], high)
	for i, m := range marks {
		if rows[i] >= 0 {
			c.mark(lane, m, float64(c.y+rows[i]*rowHigh))
		}
	}
	if more > 0 {
		c.text(gutter, float64(c.y+high-5), "note", Text{fmt.Sprintf("另有 %d 条，见下方经过", more), fmt.Sprintf("and %d more, in the story below", more)}, "")
	}
	c.y += high + laneGap
}

// near is how close, in the picture, moments of one kind are one thing that happened so many times.
const near = 8.0

// gather makes one mark of four or more moments of the same kind that lie together; each stands
// in the story.
func (c *canvas) gather(marks []Mark) []Mark {
	var out []Mark
	for i := 0; i < len(marks); {
		n := 1
		for i+n < len(marks) && marks[i].Until.IsZero() && marks[i+n].Until.IsZero() && marks[i+n].Kind == marks[i].Kind && c.x(marks[i+n].At)-c.x(marks[i].At) < near {
			n++
		}
		m := marks[i]
		if n < 4 {
			out = append(out, m)
			i++
			continue
		}
		m.Text = Text{fmt.Sprintf("%s … × %d", m.Text.ZH, n), fmt.Sprintf("%s … × %d", m.Text.EN, n)}
		out = append(out, m)
		i += n
	}
	return out
}

// place gives each mark a row in which it and its words overlap nobody; -1 is none.
func place(marks []Mark, c *canvas) (rows []int, more int) {
	var ends []float64
	rows = make([]int, len(marks))
	limit := mostRowsOf
	for i, m := range marks {
		from := c.x(m.At)
		to := from + 14 + wide(short(m.Text))
		if !m.Until.IsZero() {
			to = c.x(m.Until) + 4
			if words := wide(barWords(m)); to-4-from < words+8 { // they do not fit in
				if to+2+words < pictureWide {
					to += 4 + words
				} else {
					from -= 9 + words
				}
			}
		}
		if over := to - (pictureWide - 2); over > 0 && m.Until.IsZero() { // its words stand to the left
			from, to = from-14-wide(short(m.Text)), from+8
		}
		rows[i] = -1
		for k := 0; k < limit; k++ {
			if k == len(ends) {
				ends = append(ends, 0)
			}
			if ends[k] <= from {
				ends[k], rows[i] = to, k
				break
			}
		}
		if rows[i] < 0 {
			more++
		}
	}
	return rows, more
}

// mostWide is how much room words have in the picture: the whole is in the story.
const mostWide = 210

// barWords are those in a bar, with its priority.
func barWords(m Mark) Text {
	if strings.HasPrefix(m.Kind, "P") {
		return short(Text{m.Kind + " " + m.Text.ZH, m.Kind + " " + m.Text.EN})
	}
	return short(m.Text)
}

// mostUnits is how many units have a row; the rest is in the story.
const mostUnits = 14

// verbs are the words for what units do.
var verbs = map[string]Text{"accept": {"接单", "accepts"}, "arrive": {"到场", "arrives"}, "verify": {"核实", "verifies"}, "resolve": {"办结", "done"}, "confirm": {"确认", "confirms"},
	"return": {"退回", "returns"}, "message": {"收到", "is told"}, "note": {"备注", "notes"}, "behave": {"改变", "changes"}, "cancel": {"撤销", "cancels"}}

// units have a row each; what they do is said where there is room.
func (c *canvas) units(marks []Mark) {
	var who []string
	for _, m := range marks {
		if !slices.Contains(who, m.Who) && m.Who != "" {
			who = append(who, m.Who)
		}
	}
	more := len(who) - mostUnits
	who = who[:min(len(who), mostUnits)]
	high := len(who) * rowHigh
	if more > 0 {
		high += rowHigh
	}
	c.name(Text{}, high)
	for k, name := range who {
		y := float64(c.y + k*rowHigh)
		c.text(8, y+11, "lane", short(Text{name, name}), "")
		var mine []Mark
		for _, m := range marks {
			if m.Who == name {
				mine = append(mine, m)
			}
		}
		for i, m := range mine {
			room := pictureWide - c.x(m.At)
			if i+1 < len(mine) {
				room = c.x(mine[i+1].At) - c.x(m.At)
			}
			c.doing(m, y, room)
		}
	}
	if more > 0 {
		c.text(gutter, float64(c.y+high-5), "note", Text{fmt.Sprintf("另有 %d 个单位", more), fmt.Sprintf("and %d more units", more)}, "")
	}
	c.y += high + laneGap
}

// doing is one dot in a unit's row: hollow is a message to it.
func (c *canvas) doing(m Mark, y, room float64) {
	x := c.x(m.At)
	class := "dot units"
	if m.Kind == "message" {
		class = "hollow"
	}
	fmt.Fprintf(&c.b, `<g><title>%s  %s</title><circle cx="%.1f" cy="%.1f" r="4" class="%s"/>`, clockText(m.At), html.EscapeString(m.Text.EN), x, y+7, class)
	if words, known := verbs[m.Kind]; known && room > wide(words)+14 {
		c.text(x+7, y+11, "note", words, "")
	}
	c.b.WriteString(`</g>`)
}

// wide is about how wide words are at their size; Chinese is twice as wide as Latin.
func wide(t Text) float64 {
	of := func(s string) (w float64) {
		for _, r := range s {
			if r > 0x2E7F {
				w += 11.5
			} else {
				w += 6.2
			}
		}
		return w
	}
	return max(of(t.ZH), of(t.EN))
}

// short cuts words to their room.
func short(t Text) Text {
	cut := func(s string) string {
		for n, w := range []rune(s) {
			_ = w
			if wide(Text{string([]rune(s)[:n]), ""}) > mostWide {
				return string([]rune(s)[:n]) + "…"
			}
		}
		return s
	}
	return Text{cut(t.ZH), cut(t.EN)}
}

func (c *canvas) mark(lane string, m Mark, y float64) {
	x := c.x(m.At)
	e := html.EscapeString
	title := fmt.Sprintf(`<title>%s  %s</title>`, clockText(m.At), e(m.Text.EN))
	if m.Text.ZH != m.Text.EN {
		title = fmt.Sprintf(`<title>%s  %s / %s</title>`, clockText(m.At), e(m.Text.ZH), e(m.Text.EN))
	}
	if !m.Until.IsZero() {
		w := max(c.x(m.Until)-x, 3)
		class := cmp.Or(map[string]string{"P1": "p1", "P2": "p2", "P3": "p3", "P4": "p4"}[m.Kind], lane)
		fmt.Fprintf(&c.b, `<g>%s<rect x="%.1f" y="%.1f" width="%.1f" height="14" rx="3" class="bar %s"/>`, title, x, y, w, class)
		words := barWords(m)
		switch {
		case w >= wide(words)+8:
			c.text(x+5, y+11, "in", words, "")
		case x+w+6+wide(words) < pictureWide:
			c.text(x+w+5, y+11, "note", words, "")
		default:
			c.text(x-5, y+11, "note", words, "end")
		}
		c.b.WriteString(`</g>`)
		return
	}
	class := lane
	shape := fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="4" class="dot %s"/>`, x, y+7, class)
	switch {
	case lane == LaneWorld && m.Kind == "normal":
		shape = fmt.Sprintf(`<path d="M%.1f %.1fl4 4 7-8" class="tick-ok"/>`, x-4, y+7)
	case lane == LaneWorld:
		shape = fmt.Sprintf(`<path d="M%.1f %.1fl5 5-5 5-5-5z" class="dot world"/>`, x, y+2)
	case lane == LaneFaults:
		shape = fmt.Sprintf(`<path d="M%.1f %.1fl-4 8h3l-1 6 5-8h-3z" class="dot faults"/>`, x+1, y)
	}
	fmt.Fprintf(&c.b, `<g>%s%s`, title, shape)
	words, beside := short(m.Text), 9.0
	if m.Kind == "normal" {
		beside = 11 // its sign reaches further
	}
	if x+14+wide(words) > pictureWide-2 {
		c.text(x-9, y+11, "note", words, "end")
	} else {
		c.text(x+beside, y+11, "note", words, "")
	}
	c.b.WriteString(`</g>`)
}

// expectations have a row each: the window in which it must be, and where the evidence is.
func (c *canvas) expectations(all []Expectation) {
	if len(all) == 0 {
		return
	}
	high := len(all) * rowHigh
	c.name(laneWords["expect"], high)
	for i, e := range all {
		y := float64(c.y + i*rowHigh)
		from, to := e.From, e.To
		if from.IsZero() {
			from = c.from
		}
		if to.IsZero() || to.After(c.to) {
			to = c.to
		}
		x, w := c.x(from), max(c.x(to)-c.x(from), 4)
		sign := map[Outcome]string{Met: "✓ ", NotMet: "✕ ", NotPlayed: "– "}[e.Outcome]
		fmt.Fprintf(&c.b, `<g><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="14" rx="3" class="want %s"/>`, html.EscapeString(e.Wish), x, y, w, e.Outcome)
		for _, row := range append(slices.Clone(e.Evidence), e.Against...) {
			if !row.At.IsZero() && !row.At.Before(c.from) {
				fmt.Fprintf(&c.b, `<path d="M%.1f %.1fl4 0-4 5-4-5z" class="hit"/>`, c.x(row.At), y-1)
			}
		}
		words := Text{sign + e.Words.ZH, sign + e.Words.EN}
		switch {
		case w >= wide(words)+8:
			c.text(x+6, y+11, "inw "+string(e.Outcome), words, "")
		case x+w+6+wide(words) < pictureWide:
			c.text(x+w+5, y+11, "note", words, "")
		default:
			c.text(x-5, y+11, "note", words, "end")
		}
		c.b.WriteString(`</g>`)
	}
	c.y += high + laneGap
}
