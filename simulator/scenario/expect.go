package scenario

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"gridgate/simulator/verdict"
)

// Expect is one thing that must be so, or must not.
type Expect struct {
	ID      string         `yaml:"id"`
	ZH      string         `yaml:"zh"`
	EN      string         `yaml:"en"`
	Count   string         `yaml:"count"`   // how many: 1, ">= 2", "0..3"; at least one if left out
	Within  Span           `yaml:"within"`  // of after
	After   string         `yaml:"after"`   // a time of the timeline, or a step's id; its beginning if left out
	Between []Span         `yaml:"between"` // two times of the timeline
	Never   bool           `yaml:"never"`
	Needs   string         `yaml:"needs"`  // a step's id: where it could not be played, neither is this
	AtEnd   bool           `yaml:"at_end"` // as it is when the scenario ends; so it is without a window too
	Subject string         `yaml:"-"`      // alarm, ticket, …
	Wish    map[string]any `yaml:"-"`

	line int
}

// kindOf says how a key of a wish is compared.
type kindOf int

const (
	word   kindOf = iota // equal; "a|b" is one or the other, "!a" is not
	number               // equal, or "> 1", "0..3"
	flag                 // true or false; missing is false
	point                // a point of the city, or all of a part
	path                 // states in this order, others between them
	member               // among those of a list
	real                 // a span of real time: "<= 500ms"
)

// subject is what expectations can be about: its keys, and where each stands in a row of
// evidence.
type subject struct {
	keys map[string]key
	when func(row map[string]any, wish map[string]any) time.Time
	text func(row map[string]any) string
}

type key struct {
	kind kindOf
	at   string // a.b of the row; "" is the key itself
	doc  string
}

// subjects is all that a wish can say.
func subjects() map[string]subject {
	return map[string]subject{
		"alarm": {when: whenAlarm, text: words("type", "point", "priority", "mode"), keys: map[string]key{
			"type": {word, "", "event type"}, "point": {point, "", ""}, "priority": {word, "", "P1 to P4"}, "active": {kind: flag}, "acked": {kind: flag}, "late": {kind: flag},
			"times": {number, "count", "times raised within the episode"}, "device": {kind: word}, "building": {kind: word}, "mode": {kind: word}, "ticket": {flag, "ticket", "it has one"},
			"cover": {word, "cover.kind", "the window that covers it"}, "cover_state": {word, "cover.state", ""}, "taken": {word, "taken.seat", ""}, "acked_by": {kind: word}, "incident": {kind: flag}, "unjournalled": {kind: flag},
		}},
		"ticket": {when: whenTicket, text: words("case", "type", "point", "priority", "state", "verification"), keys: map[string]key{
			"type": {kind: word}, "point": {kind: point}, "priority": {kind: word}, "state": {word, "", "open stands for all that have not ended"}, "verification": {kind: word}, "tier": {number, "", "highest tier called"},
			"rework": {kind: number}, "returns": {kind: number}, "members": {number, "", "episodes that joined it"}, "related": {kind: number}, "incident": {kind: flag}, "overdue": {kind: flag}, "warned": {kind: number},
			"suspect": {kind: flag}, "units": {member, "assignments.unit", "a unit that was called"}, "lead": {kind: word}, "path": {path, "path", "states it went through, in this order"}, "moves": {member, "verbs", "a move that was made"},
			"task": {member, "tasks.kind", "a task of the desk"}, "mode": {kind: word}, "building": {kind: word}, "device": {kind: word}, "evidence": {flag, "", "there is proof"}, "confirmed": {word, "", "who on site gave their word"},
		}},
		"event": {when: whenAt("received"), text: words("type", "action", "point", "device", "priority", "detail"), keys: map[string]key{
			"type": {kind: word}, "point": {kind: point}, "action": {kind: word}, "kind": {kind: word}, "priority": {kind: word}, "device": {kind: word}, "mode": {kind: word},
		}},
		"delivery": {when: whenDelivery, text: words("type", "unit", "state", "event", "point", "priority"), keys: map[string]key{
			"unit": {kind: word}, "type": {kind: word}, "state": {kind: word}, "event": {kind: word}, "point": {kind: point}, "priority": {kind: word}, "attempts": {kind: number}, "status": {kind: number}, "mode": {kind: word},
		}},
		"received": {when: whenAt("first"), text: words("unit", "type", "event", "point", "count"), keys: map[string]key{
			"unit": {kind: word}, "type": {kind: word}, "event": {kind: word}, "point": {kind: point}, "times": {number, "count", "how often it was sent and taken"},
		}},
		"hazard":     {when: whenAt("found"), text: words("kind", "state", "place"), keys: map[string]key{"kind": {kind: word}, "state": {kind: word}, "level": {kind: word}, "point": {kind: point}}},
		"window":     {when: whenAt("from"), text: words("kind", "reason", "ended_by"), keys: map[string]key{"kind": {kind: word}, "ended": {kind: flag}, "ended_by": {kind: word}}},
		"quarantine": {when: whenAt("at"), text: words("reason", "device", "detail"), keys: map[string]key{"reason": {kind: word}, "state": {kind: word}, "device": {kind: word}, "point": {point, "", "the point whose device sent it"}}},
		"discovered": {when: whenAt("first"), text: words("identity", "guess"), keys: map[string]key{"guess": {kind: word}, "smoke": {kind: flag}, "frames": {kind: number}}},
		"rollout": {when: whenAt("at"), text: words("profile", "version", "stage", "by", "reason"), keys: map[string]key{
			"profile": {kind: word}, "version": {word, "", "that is rolled out"}, "stage": {word, "", "shadow, share, all, back"}, "by": {word, "", "who did it; guard is the gateway itself"},
			"in_force": {word, "", "version that reads at the end"}, "running": {kind: flag}, "forced": {kind: flag},
		}},
		"ledger": {when: whenAt("at"), text: words("accepted", "processed", "duplicate", "ignored", "quarantined", "waiting"), keys: map[string]key{
			"balanced": {kind: flag}, "lost": {number, "lost_unackable", ""}, "accepted": {kind: number}, "processed": {kind: number}, "duplicate": {kind: number}, "ignored": {kind: number}, "quarantined": {kind: number}, "discarded": {kind: number}, "waiting": {kind: number},
		}},
		"sent": {when: whenAt("at"), text: words("wire", "frames", "acked", "open"), keys: map[string]key{
			"wire": {kind: word}, "frames": {kind: number}, "acked": {kind: number}, "open": {number, "", "not acknowledged at the end"}, "resent": {kind: number}, "unheard": {number, "", "acknowledged, and not in the gateway's count"},
		}},
		"latency": {when: whenAt("at"), text: words("name", "count", "p50_ms", "p99_ms", "max_ms"), keys: map[string]key{
			"of": {word, "name", "ack, unit"}, "p50": {real, "p50_ms", ""}, "p99": {real, "p99_ms", ""}, "max": {real, "max_ms", ""}, "samples": {number, "count", ""},
		}},
		"influx": {when: whenAt("at"), text: words("point", "signal", "samples"), keys: map[string]key{"point": {kind: point}, "signal": {kind: word}, "samples": {kind: number}}},
	}
}

// UnmarshalYAML reads an expectation: its own keys, and one subject.
func (e *Expect) UnmarshalYAML(node ast.Node) error {
	e.line = lineOf(node)
	var all map[string]any
	if err := yaml.NodeToValue(node, &all); err != nil {
		return err
	}
	own := map[string]any{}
	for _, k := range sortedKeys(all) {
		if _, is := subjects()[k]; !is {
			own[k] = all[k]
			continue
		}
		wish, ok := all[k].(map[string]any)
		if all[k] == nil {
			wish, ok = map[string]any{}, true
		}
		switch {
		case !ok:
			return at(node, "%s: want what it must be like, for example {type: smoke.alarm}", k)
		case e.Subject != "":
			return at(node, "expectation is about %s and %s: want one", e.Subject, k)
		}
		e.Subject, e.Wish = k, wish
	}
	if e.Subject == "" {
		return at(node, "expectation is about nothing: want one of %s", strings.Join(sortedKeys(subjects()), ", "))
	}
	b, err := yaml.Marshal(own)
	if err != nil {
		return err
	}
	type plain Expect
	line, sub, wish := e.line, e.Subject, e.Wish
	if err := yaml.UnmarshalWithOptions(b, (*plain)(e), yaml.Strict()); err != nil {
		return at(node, "%s", firstLine(yaml.FormatError(err, false, false)))
	}
	e.line, e.Subject, e.Wish = line, sub, wish
	return nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if _, after, ok := strings.Cut(s, "] "); ok {
		return after
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (s *Scenario) checkExpect(e *Expect) error {
	if e.ID == "" || e.ZH == "" || e.EN == "" {
		return fmt.Errorf("expectation wants id, zh and en")
	}
	keys := subjects()[e.Subject].keys
	for _, k := range sortedKeys(e.Wish) {
		spec, ok := keys[k]
		if !ok {
			return fmt.Errorf("%s.%s: unknown key: want one of %s", e.Subject, k, strings.Join(sortedKeys(keys), ", "))
		}
		if err := s.checkValue(spec.kind, e.Wish[k]); err != nil {
			return fmt.Errorf("%s.%s: %w", e.Subject, k, err)
		}
	}
	windows := 0
	for _, on := range []bool{e.Within > 0, len(e.Between) > 0, e.AtEnd} {
		if on {
			windows++
		}
	}
	switch {
	case windows > 1:
		return fmt.Errorf("expectation has %d windows: want one of within, between, at_end", windows)
	case len(e.Between) != 0 && (len(e.Between) != 2 || e.Between[0] >= e.Between[1]):
		return fmt.Errorf("between: want two times, the earlier first")
	case e.After != "" && e.Within == 0 && !e.Never:
		return fmt.Errorf("after: want it with within or never")
	case e.Never && e.Count != "":
		return fmt.Errorf("never: want it without count")
	}
	if _, err := rangeOf(e.Count); err != nil {
		return err
	}
	if e.Needs != "" && !slices.ContainsFunc(s.Timeline, func(t Step) bool { return t.ID == e.Needs }) {
		return fmt.Errorf("needs is %q: want the id of a step", e.Needs)
	}
	_, err := s.offset(e.After)
	return err
}

func (s *Scenario) checkValue(k kindOf, v any) error {
	switch k {
	case number:
		_, err := rangeOf(fmt.Sprint(v))
		return err
	case flag:
		if _, ok := v.(bool); !ok {
			return fmt.Errorf("is %v: want true or false", v)
		}
	case point:
		for _, n := range strings.Split(strings.TrimPrefix(fmt.Sprint(v), "!"), "|") {
			if _, err := s.names(n); err != nil {
				return err
			}
		}
	case path:
		if _, ok := v.([]any); !ok {
			return fmt.Errorf("want a list of states")
		}
	case real:
		_, _, err := limitOf(fmt.Sprint(v))
		return err
	}
	return nil
}

// offset is a time of the timeline, by itself or as a step's.
func (s *Scenario) offset(after string) (time.Duration, error) {
	if after == "" {
		return 0, nil
	}
	for _, t := range s.Timeline {
		if t.ID == after {
			return t.At.of(), nil
		}
	}
	d, err := parseSpan(after)
	if err != nil {
		return 0, fmt.Errorf("after is %q: want a step's id, or a time such as 5m", after)
	}
	return d, nil
}

// span of numbers, both ends in.
type span struct{ low, high float64 }

const most = 1e18

func rangeOf(s string) (span, error) {
	s = strings.TrimSpace(s)
	bad := fmt.Errorf(`number is %q: want 2, ">= 2", "< 3" or "1..3"`, s)
	if s == "" {
		return span{1, most}, nil
	}
	if a, b, ok := strings.Cut(s, ".."); ok {
		low, err1 := strconv.ParseFloat(strings.TrimSpace(a), 64)
		high, err2 := strconv.ParseFloat(strings.TrimSpace(b), 64)
		if err1 != nil || err2 != nil || low > high {
			return span{}, bad
		}
		return span{low, high}, nil
	}
	for _, op := range []string{">=", "<=", ">", "<", ""} {
		rest, ok := strings.CutPrefix(s, op)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
		if err != nil {
			return span{}, bad
		}
		return map[string]span{">=": {n, most}, "<=": {-most, n}, ">": {n + 1e-9, most}, "<": {-most, n - 1e-9}, "": {n, n}}[op], nil
	}
	return span{}, bad
}

func (s span) has(n float64) bool { return n >= s.low && n <= s.high }

// limitOf reads "<= 500ms" or "500ms", both a most.
func limitOf(s string) (time.Duration, bool, error) {
	d, err := time.ParseDuration(strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(s, "<="), "<")))
	if err != nil {
		return 0, false, fmt.Errorf("span is %q: want for example 500ms, of real time", s)
	}
	return d, true, nil
}

// say is an expectation in its own keys, for a person.
func (e *Expect) say() string {
	var b strings.Builder
	b.WriteString(e.Subject + " {")
	for i, k := range sortedKeys(e.Wish) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s: %v", k, e.Wish[k])
	}
	b.WriteString("}")
	switch {
	case e.Never:
		b.WriteString(", never")
	case e.Count != "":
		b.WriteString(", count " + e.Count)
	}
	switch {
	case e.Within > 0:
		b.WriteString(", within " + e.Within.String() + " of " + cmp.Or(e.After, "the beginning"))
	case len(e.Between) == 2:
		b.WriteString(", between " + e.Between[0].String() + " and " + e.Between[1].String())
	case e.After != "":
		b.WriteString(", after " + e.After)
	}
	return b.String()
}

// judge holds an expectation against the evidence.
func (s *Scenario) judge(e *Expect, ev *evidence) verdict.Expectation {
	out := verdict.Expectation{ID: e.ID, Words: verdict.Text{ZH: e.ZH, EN: e.EN}, Line: e.line, Wish: e.say(), Evidence: []verdict.Row{}, Against: []verdict.Row{}}
	if why := ev.missing[e.Subject]; why != "" {
		out.Outcome, out.Said = verdict.NotPlayed, verdict.Text{ZH: "未执行：" + why, EN: "not played: " + why}
		return out
	}
	if why := ev.unplayed[e.Needs]; e.Needs != "" && why != "" {
		out.Outcome, out.Said = verdict.NotPlayed, verdict.Text{ZH: "未执行：" + why, EN: "not played: " + why}
		return out
	}
	sub := subjects()[e.Subject]
	from, to := s.window(e, ev)
	if !from.IsZero() {
		out.From, out.To = from, to
	}
	n := 0
	for _, row := range ev.rows[e.Subject] {
		when := sub.when(row, e.Wish)
		r := verdict.Row{ID: rowID(row), At: when, Text: sub.text(row)}
		fits := s.fits(sub, row, e.Wish, ev)
		inside := when.IsZero() || (from.IsZero() || !when.Before(from)) && (to.IsZero() || !when.After(to))
		switch {
		case fits && inside:
			n++
			out.Evidence = appendRow(out.Evidence, r)
		case fits:
			r.Text += " — outside the window"
			out.Against = appendRow(out.Against, r)
		case s.near(row, e.Wish, ev):
			out.Against = appendRow(out.Against, r)
		}
	}
	want, _ := rangeOf(e.Count) // checked when it was read
	met := want.has(float64(n))
	if e.Never {
		met = n == 0
	}
	out.Outcome = verdict.NotMet
	if met {
		out.Outcome, out.Against = verdict.Met, []verdict.Row{}
	} else if e.Never {
		out.Against, out.Evidence = out.Evidence, []verdict.Row{}
	}
	out.Said = verdict.Text{ZH: fmt.Sprintf("找到 %d 条", n), EN: fmt.Sprintf("%d found", n)}
	return out
}

// mostRows is how much evidence one expectation shows.
const mostRows = 20

func appendRow(all []verdict.Row, r verdict.Row) []verdict.Row {
	if len(all) >= mostRows {
		return all
	}
	return append(all, r)
}

func rowID(row map[string]any) string {
	for _, k := range []string{"id", "identity", "name"} {
		if id, ok := row[k].(string); ok {
			return id
		}
	}
	return ""
}

// window of an expectation in city time. What must be may come a little later and, as two
// clocks never agree, a little earlier; what must not be is looked for without that, and
// until the end: after it the city says nothing more, and is rightly taken for silent.
func (s *Scenario) window(e *Expect, ev *evidence) (from, to time.Time) {
	after, _ := s.offset(e.After) // checked when it was read
	early, slack := ev.early, ev.slack
	if e.Never {
		early, slack = -ev.early, -ev.early
	}
	switch {
	case e.Within > 0:
		return ev.zero.Add(after - early), ev.zero.Add(after + e.Within.of() + slack)
	case len(e.Between) == 2:
		return ev.zero.Add(e.Between[0].of() - early), ev.zero.Add(e.Between[1].of() + slack)
	case e.After != "":
		from = ev.zero.Add(after - early)
	}
	if e.Never {
		to = ev.zero.Add(s.Length.of())
	}
	return from, to
}

// near reports whether a row is about the same event or point: what a person wants to see
// when nothing fits.
func (s *Scenario) near(row, wish map[string]any, ev *evidence) bool {
	for _, k := range []string{"point", "type", "unit", "event", "reason", "name", "wire"} {
		if w, ok := wish[k]; ok {
			if k == "point" && s.same(point, row[k], w, ev) || k != "point" && s.same(word, row[k], w, ev) {
				return true
			}
		}
	}
	_, single := row["only"]
	return single
}

func (s *Scenario) fits(sub subject, row, wish map[string]any, ev *evidence) bool {
	for k, want := range wish {
		spec := sub.keys[k]
		if !s.same(spec.kind, dig(row, cmp.Or(spec.at, k)), want, ev) {
			return false
		}
	}
	return true
}

// same compares one value of a row with one of a wish.
func (s *Scenario) same(k kindOf, got, want any, ev *evidence) bool {
	switch k {
	case flag:
		return truthy(got) == want.(bool)
	case number:
		r, _ := rangeOf(fmt.Sprint(want))
		return r.has(numberOf(got))
	case real:
		most, _, _ := limitOf(fmt.Sprint(want))
		return numberOf(got) <= float64(most)/float64(time.Millisecond)
	case path:
		return passes(got, want.([]any))
	case member:
		not := strings.HasPrefix(fmt.Sprint(want), "!")
		list, _ := got.([]any)
		for _, one := range list {
			if wordIs(fmt.Sprint(one), strings.TrimPrefix(fmt.Sprint(want), "!")) {
				return !not
			}
		}
		return not
	case point:
		w := fmt.Sprint(want)
		not := strings.HasPrefix(w, "!")
		for _, n := range strings.Split(strings.TrimPrefix(w, "!"), "|") {
			all, _ := s.names(n)
			for _, name := range all {
				if ev.pointID(name) == got {
					return !not
				}
			}
		}
		return not
	}
	return wordIs(textOf(got), fmt.Sprint(want))
}

func wordIs(got, want string) bool {
	if not, ok := strings.CutPrefix(want, "!"); ok {
		return !wordIs(got, not)
	}
	for _, w := range strings.Split(want, "|") {
		if w == got || w == "open" && got != "" && !oneOf(got, "closed not_filed merged cancelled forced_close") && oneOf(got, openStates) {
			return true
		}
	}
	return false
}

const openStates = "reported verifying filed dispatched accepted in_progress suspended returned resolved checking rework"

func passes(got any, want []any) bool {
	list, _ := got.([]any)
	i := 0
	for _, step := range list {
		if i < len(want) && wordIs(fmt.Sprint(step), fmt.Sprint(want[i])) {
			i++
		}
	}
	return i == len(want)
}

// dig reads a.b of a row; of a list it reads b of each.
func dig(row map[string]any, where string) any {
	first, rest, deep := strings.Cut(where, ".")
	v := row[first]
	if !deep {
		if list, ok := v.([]any); ok && (where == "members" || where == "related") {
			return float64(len(list))
		}
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		return dig(v, rest)
	case []any:
		var out []any
		for _, one := range v {
			if m, ok := one.(map[string]any); ok {
				out = append(out, dig(m, rest))
			}
		}
		return out
	}
	return nil
}

func truthy(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v != "" && !strings.HasPrefix(v, "0001-01-01")
	case float64:
		return v != 0
	}
	return v != nil
}

func numberOf(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	}
	return 0
}

// textOf is a value as people write it; priorities are numbers in JSON.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

func stampOf(v any) time.Time {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 1971 {
		return time.Time{}
	}
	return t
}

func whenAt(field string) func(row, _ map[string]any) time.Time {
	return func(row, _ map[string]any) time.Time { return stampOf(row[field]) }
}

func whenAlarm(row, wish map[string]any) time.Time {
	if active, said := wish["active"].(bool); said && !active {
		return stampOf(row["returned"])
	}
	if acked, said := wish["acked"].(bool); said && acked {
		return stampOf(row["acked_at"])
	}
	return stampOf(row["raised"])
}

// whenTicket is when a ticket came to be as wished: at the last state wished for, else when
// it was opened.
func whenTicket(row, wish map[string]any) time.Time {
	last := ""
	if p, ok := wish["path"].([]any); ok && len(p) > 0 {
		last = fmt.Sprint(p[len(p)-1])
	}
	if st, ok := wish["state"].(string); ok && st != "open" {
		last = st
	}
	if last != "" {
		moves, _ := row["history"].([]any)
		for i := len(moves) - 1; i >= 0; i-- {
			m, _ := moves[i].(map[string]any)
			if wordIs(fmt.Sprint(m["to"]), last) {
				return stampOf(m["at"])
			}
		}
		if truthy(row["closed"]) && wordIs(textOf(row["state"]), last) {
			return stampOf(row["closed"])
		}
	}
	return stampOf(row["opened"])
}

func whenDelivery(row, wish map[string]any) time.Time {
	if st, ok := wish["state"].(string); ok && oneOf(st, "received seen_by_person dead") {
		return stampOf(row["done"])
	}
	return stampOf(row["created"])
}

// words tells a row by some of its fields.
func words(fields ...string) func(map[string]any) string {
	return func(row map[string]any) string {
		var out []string
		for _, f := range fields {
			if v := textOf(row[f]); v != "" {
				if numberOf(row[f]) != 0 || row[f] == float64(0) {
					v = f + " " + v
				}
				out = append(out, v)
			}
		}
		return strings.Join(out, " · ")
	}
}
