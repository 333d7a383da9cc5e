package scenario

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goccy/go-yaml"

	"gridgate/simulator/scenarios"
	"gridgate/simulator/verdict"
)

const small = `name: {zh: 小, en: small}
about: {zh: 小, en: small}
start: 2026-11-24 18:20
speed: 60
length: 10m
city:
  - {name: room, model: netvox/ra02a}
  - {name: pit, model: dingtek/dc410, count: 3}
units:
  - {id: micro, kind: micro_fire_station}
timeline:
  - {id: smoke, at: 1m, point: room, set: {smoke: true}}
expect:
  - {id: alarm, zh: 有, en: there, alarm: {type: smoke.alarm, point: room}, count: 1, within: 10s, after: smoke}
`

func TestWhatIsWrongInAFileIsToldWithItsLineAndTheWish(t *testing.T) {
	if _, err := Parse("small.yaml", []byte(small)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, with, want string }{
		{"speed: 60", "sped: 60", `sped`},
		{"start: 2026-11-24 18:20", "start: tomorrow", `start is "tomorrow": want the city's date and time`},
		{"length: 10m", "length: soon", `span is "soon": want a time such as 90s`},
		{"netvox/ra02a", "acme/anvil", `line 7: model is "acme/anvil"`},
		{"set: {smoke: true}", "set: {smok: true}", `smok`},
		{"point: room, set", "point: cellar, set", `line 12: point is "cellar": want one of the city`},
		{"point: room, set", "point: pit-4, set", `line 12: point is "pit-4"`},
		{"set: {smoke: true}", "device: asleep", `line 12: device is "asleep": want dead`},
		{"set: {smoke: true}", "set: {smoke: true}, device: dead", `line 12: step has 2 acts`},
		{"at: 1m", "at: 11m", `line 12: at is 11m: want it within length`},
		{"alarm: {type", "allarm: {type", `line 14: expectation is about nothing: want one of alarm`},
		{"alarm: {type", "alarm: {typ", `line 14: alarm.typ: unknown key: want one of`},
		{"count: 1", "count: many", `line 14: number is "many"`},
		{"after: smoke", "after: smoek", `line 14: after is "smoek": want a step's id`},
		{"within: 10s", "between: [5m, 1m]", `between: want two times, the earlier first`},
		{"set: {smoke: true}", "operator: {do: dance}", `line 12: operator.do is "dance"`},
		{"kind: micro_fire_station}", "kind: micro_fire_station, behave: {finding: maybe}}", `line 10: finding is "maybe"`},
	} {
		text := strings.Replace(small, c.old, c.with, 1)
		if strings.HasPrefix(c.with, "operator:") {
			text = strings.Replace(text, "point: room, operator", "operator", 1)
		}
		_, err := Parse("small.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: error is %v: want one with %s", c.with, c.old, err, c.want)
		}
	}
}

func TestEveryScenarioFitsTheSchemaForEditors(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(Schema())))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("scenario.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range List() {
		b, err := scenarios.FS.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(asJSON(t, b)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if schema.Validate(asJSON(t, []byte(strings.Replace(small, "speed: 60", "sped: 60", 1)))) == nil {
		t.Error("the schema takes a key that is none")
	}
}

func asJSON(t *testing.T, b []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	j, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(strings.NewReader(string(j)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAnExpectationIsHeldAgainstWindowAndCount turns each condition of an expectation red
// by itself.
func TestAnExpectationIsHeldAgainstWindowAndCount(t *testing.T) {
	zero := time.Date(2026, 11, 24, 10, 20, 0, 0, time.UTC)
	alarm := func(after time.Duration, typ, point string) map[string]any {
		return map[string]any{"id": "a", "type": typ, "point": "sim-" + point, "priority": "P1", "active": true, "raised": zero.Add(after).Format(time.RFC3339Nano)}
	}
	good := alarm(65*time.Second, "smoke.alarm", "room")
	for _, c := range []struct {
		wish string
		rows []map[string]any
		want verdict.Outcome
	}{
		{"count: 1, within: 10s, after: smoke", []map[string]any{good}, verdict.Met},
		{"count: 1, within: 10s, after: smoke", nil, verdict.NotMet},
		{"count: 1, within: 10s, after: smoke", []map[string]any{good, good}, verdict.NotMet},
		{"count: 1, within: 10s, after: smoke", []map[string]any{alarm(80*time.Second, "smoke.alarm", "room")}, verdict.NotMet},
		{"count: 1, within: 10s, after: smoke", []map[string]any{alarm(50*time.Second, "smoke.alarm", "room")}, verdict.NotMet},
		{"count: 1, within: 10s, after: smoke", []map[string]any{alarm(65*time.Second, "smoke.late", "room")}, verdict.NotMet},
		{"count: 1, within: 10s, after: smoke", []map[string]any{alarm(65*time.Second, "smoke.alarm", "pit-1")}, verdict.NotMet},
		{"never: true", []map[string]any{good}, verdict.NotMet},
		{"never: true, between: [2m, 5m]", []map[string]any{good}, verdict.Met},
		{`count: ">= 2"`, []map[string]any{good, good}, verdict.Met},
		{`count: "0..1"`, []map[string]any{good, good}, verdict.NotMet},
		{"at_end: true", []map[string]any{good}, verdict.Met},
	} {
		s, err := Parse("small.yaml", []byte(strings.Replace(small, "count: 1, within: 10s, after: smoke", c.wish, 1)))
		if err != nil {
			t.Fatal(err)
		}
		ev := &evidence{zero: zero, rows: map[string][]map[string]any{"alarm": c.rows}, missing: map[string]string{}, pointID: func(n string) string { return "sim-" + n }}
		if got := s.judge(&s.Expect[0], ev); got.Outcome != c.want {
			t.Errorf("%s with %d rows: %s, want %s", c.wish, len(c.rows), got.Outcome, c.want)
		}
	}
}

func TestTheWayOfATicketIsReadInItsOrder(t *testing.T) {
	way := []any{"filed", "dispatched", "accepted", "in_progress", "checking", "dispatched", "accepted", "checking", "closed"}
	for _, c := range []struct {
		want []any
		ok   bool
	}{
		{[]any{"dispatched", "closed"}, true},
		{[]any{"checking", "dispatched|rework", "closed"}, true},
		{[]any{"closed", "dispatched"}, false},
		{[]any{"checking", "checking", "checking"}, false},
		{[]any{"suspended"}, false},
	} {
		if passes(way, c.want) != c.ok {
			t.Errorf("%v: want %v", c.want, c.ok)
		}
	}
}
