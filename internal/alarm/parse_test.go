package alarm

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// small is a whole rule file; tests change one word of it.
const small = `
events:
  smoke.alarm: {kind: alarm, priority: P1, title_zh: 烟感报警, title_en: Smoke alarm}
  smoke.late: {kind: alarm, priority: P1, title_zh: 迟到, title_en: Late smoke alarm}
  safety.unreadable: {kind: fault, priority: P2, title_zh: 无法解析, title_en: Unreadable}
  device.offline: {kind: fault, priority: P4, title_zh: 离线, title_en: Offline}
  manhole.tilted: {kind: alarm, priority: P3, title_zh: 倾斜, title_en: Tilted}
every:
  - {type: device.offline, from: silence}
sets:
  default:
    smoke:
      - type: smoke.alarm
        any: [{signal: smoke.alarm, is: true}]
        off_delay: 60s
      - type: smoke.late
        from: late
        any: [{signal: smoke.alarm, is: true}]
        late_after: 10m
        max_age: 24h
      - {type: safety.unreadable, from: unreadable}
    manhole:
      - type: manhole.tilted
        any: [{signal: manhole.tilt, above: 15, deadband: 5}]
        on_delay: 10s
    door: []
    parking: []
  quiet:
    door: []
`

// hours are the calendars that rules of tests may name.
func hours(t *testing.T) *calendar.Calendars {
	t.Helper()
	cs, err := calendar.Parse("calendars.yaml", []byte(`
zone: UTC
calendars:
  office: {days: [mon, tue, wed, thu, fri], hours: ["09:00-17:00"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

func TestRulesOfAPointAreThoseOfItsSetAndOfEveryPoint(t *testing.T) {
	rs, err := Parse("rules.yaml", []byte(small), hours(t))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := rs.For("", grid.Manhole)
	if err != nil || len(rules) != 2 || rules[0].Type != grid.EventManholeTilted || rules[1].Type != grid.EventDeviceOffline {
		t.Fatalf("%v %v, want manhole.tilted and device.offline", rules, err)
	}
	r := rules[0]
	if r.OnDelay != 10*time.Second || r.Priority != 3 || r.TitleEN != "Tilted" || r.From != FromSignal || !r.Ticket ||
		!r.Watches(grid.ManholeTilt) || r.Watches(grid.ManholeOpen) || *r.Any[0].Above != 15 {
		t.Errorf("rule is %+v", r)
	}
	for _, c := range []struct {
		set  string
		kind grid.Kind
		want string
	}{
		{"nosuch", grid.Door, `rules.yaml: rule set is "nosuch": want one of default, quiet`},
		{"quiet", grid.Smoke, `rules.yaml: rule set "quiet" has no rules for a smoke point`},
	} {
		if _, err := rs.For(c.set, c.kind); err == nil || err.Error() != c.want {
			t.Errorf("For(%q, %s) says %v, want %s", c.set, c.kind, err, c.want)
		}
	}
}

func TestParseRefusesWithTheKeyAndTheWish(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "off_delay: 60s", "hold_off: 60s", `unknown field "hold_off"`},
		{"smoke with an on-delay", "off_delay: 60s", "on_delay: 1s", "sets.default.smoke[0] (smoke.alarm): on_delay is 1s: want 0s, nothing may hold back a smoke alarm"},
		{"smoke with a flapping guard", "off_delay: 60s", "flapping: {changes: 3, within: 60s, quiet: 30m}", "smoke[0] (smoke.alarm): flapping is set: want none"},
		{"late smoke with an on-delay", "max_age: 24h", "max_age: 24h\n        on_delay: 1s", "smoke[1] (smoke.late): on_delay is 1s: want 0s"},
		{"smoke without a ticket", "off_delay: 60s", "ticket: false", "want neither moment: true nor ticket: false"},
		{"smoke as a moment", "off_delay: 60s", "moment: true", "want ticket: false, a moment has no end"},
		{"smoke of low priority", "smoke.alarm: {kind: alarm, priority: P1", "smoke.alarm: {kind: alarm, priority: P2", "priority is P2: want P1"},
		{"smoke by another signal", "any: [{signal: smoke.alarm, is: true}]\n        off_delay", "any: [{signal: fault, is: true}]\n        off_delay", "no test of smoke.alarm"},
		{"smoke upside down", "any: [{signal: smoke.alarm, is: true}]\n        off_delay", "any: [{signal: smoke.alarm, is: false}]\n        off_delay", "no test of smoke.alarm"},
		{"smoke set without late smoke", "type: smoke.late\n        from: late", "type: manhole.tilted", "late_after is 10m0s and max_age is 24h0m0s: want both with from: late"},
		{"smoke set without unreadable", "- {type: safety.unreadable, from: unreadable}", "", "sets.default.smoke: no rule for safety.unreadable"},
		{"two rules of a type", "- {type: device.offline, from: silence}", "- {type: device.offline, from: silence}\n  - {type: device.offline, from: silence}", "two rules for device.offline"},
		{"event not listed", "type: manhole.tilted", "type: manhole.open", `sets.default.manhole[0].type is "manhole.open": want one of those under events`},
		{"bad signal", "manhole.tilt,", "manhole.tlit,", `signal is "manhole.tlit"`},
		{"no test", "any: [{signal: manhole.tilt, above: 15, deadband: 5}]", "any: []", "any is missing"},
		{"number as a condition", "above: 15, deadband: 5", "is: true", "manhole.tilt is a number: want above or below"},
		{"limits the wrong way round", "above: 15,", "above: 15, below: 10,", "want a lower limit under the upper one"},
		{"negative delay", "on_delay: 10s", "on_delay: -10s", "on_delay is -10s: want 0s or more"},
		{"bad duration", "on_delay: 10s", "on_delay: 10 seconds", `time: unknown unit " seconds"`},
		{"bad priority", "priority: P3", "priority: P5", `events.manhole.tilted.priority is "P5": want P1, P2, P3 or P4`},
		{"bad event kind", "{kind: alarm, priority: P3", "{kind: alert, priority: P3", `events.manhole.tilted.kind is "alert"`},
		{"one language", "title_en: Tilted", "title_en: ''", `want both`},
		{"bad source", "from: silence", "from: radio", `from is "radio": want signal, silence, stolen, late or unreadable`},
		{"silence with a test", "from: silence}", "from: silence, any: [{signal: fault, is: true}]}", "any is given: want none"},
		{"bad kind", "  quiet:\n    door: []", "  quiet:\n    window: []", `sets.quiet.window: kind is "window"`},
		{"a kind without rules", "    parking: []\n", "", "sets.default.parking is missing"},
		{"second document", "    parking: []\n", "    parking: []\n---\nevents: {}\n", "second document"},
		{"poor flapping guard", "on_delay: 10s", "flapping: {changes: 1, within: 60s, quiet: 30m}", "flapping is 1 changes"},
	} {
		data := strings.Replace(small, c.old, c.new, 1)
		if data == small {
			t.Fatalf("%s: the file has no %q", c.name, c.old)
		}
		if c.name == "second document" {
			data = data[:strings.Index(data, "  quiet:")]
		}
		_, err := Parse("rules.yaml", []byte(data), hours(t))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "rules.yaml: ") {
			t.Errorf("%s: error is %v, want rules.yaml: … %s", c.name, err, c.want)
		}
		if err != nil && grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%s: code is %s, want invalid", c.name, grid.CodeOf(err))
		}
	}
}
