package ticket

import (
	"strings"
	"testing"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

const small = `
plans:
  smoke.alarm:
    calls:
      - {tier: 2, units: [micro_fire_station, property], after: 0s, lead: true}
      - {tier: 3, units: [fire], after: 90s, confirmed: true}
    clocks: {accept: {urgent: 60s}, total: {urgent: 3h}}
    check: {normal: 30m, person: true}
`

func office(t *testing.T) *calendar.Calendars {
	t.Helper()
	cs, err := calendar.Parse("calendars.yaml", []byte(`
zone: Asia/Shanghai
holidays:
  2026:
    off: [{name: 国庆节, from: 2026-10-01, to: 2026-10-07, worked: [2026-10-10]}]
calendars:
  office: {days: [mon, tue, wed, thu, fri], hours: ["09:00-17:00"], holidays: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

func TestParsePlansRefusesWithTheKeyAndTheWish(t *testing.T) {
	if _, err := ParsePlans("tickets.yaml", []byte(small), office(t)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "lead: true", "leader: true", `unknown field "leader"`},
		{"no lead", ", lead: true", "", "plans.smoke.alarm.calls: 0 are lead: want one"},
		{"a lead that is not called at once", "after: 0s", "after: 1s", "the lead has no after: 0s"},
		{"fire unit too late", "after: 90s", "after: 91s", "no fire unit at tier 3 within 1m30s"},
		{"fire unit by request only", "after: 90s, ", "", "no fire unit at tier 3 within 1m30s"},
		{"no fire unit", "[fire]", "[property]", "no fire unit at tier 3"},
		{"unknown unit", "[fire]", "[army]", `units: "army" is unknown`},
		{"no units", "[fire]", "[]", "tier 3 has no units"},
		{"tier out of range", "tier: 3", "tier: 5", "tier is 5: want 1 to 4"},
		{"mixed tier", "tier: 3", "tier: 2", "tier 2 is called on different conditions"},
		{"unknown clock", "accept:", "acept:", `clocks: "acept" is unknown`},
		{"no total", "total: {urgent: 3h}", "handle: {urgent: 3h}", "clocks.total is missing"},
		{"no time", "urgent: 60s", "urgent: 0s", "clocks.accept is {urgent: 0s"},
		{"two kinds of time", "{urgent: 60s}", "{urgent: 60s, work_day: 1}", "clocks.accept is {urgent: 1m0s, work_hour: 0, work_day: 1"},
		{"urgent time of a calendar", "{urgent: 60s}", "{urgent: 60s, calendar: office}", `want one of {urgent: 10m}`},
		{"another kind of time", "{urgent: 60s}", "{natural_day: 1}", `unknown field "natural_day"`},
		{"unknown calendar", "{urgent: 60s}", "{work_day: 1, calendar: shop}", `clocks.accept.calendar: calendars.yaml: no calendar "shop"`},
		{"smoke that waits for the morning", "{urgent: 60s}", "{work_hour: 1}", "clocks.accept is in time of the calendar office: want urgent for smoke"},
		{"check asks nobody", "{normal: 30m, person: true}", "{settle: 1m}", "check asks nobody"},
		{"empty", small, "plans: {}", "plans is empty"},
	} {
		data := strings.Replace(small, c.old, c.new, 1)
		if data == small {
			t.Fatalf("%s: the file has no %q", c.name, c.old)
		}
		_, err := ParsePlans("tickets.yaml", []byte(data), office(t))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tickets.yaml: ") || grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%s: error is %v, want tickets.yaml: … %s", c.name, err, c.want)
		}
	}
}

func TestEventWithoutAPlanIsNamed(t *testing.T) {
	ps, err := ParsePlans("tickets.yaml", []byte(small), office(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ps.For(grid.EventDoorForced); err == nil || !strings.Contains(err.Error(), `no plan for "door.forced"`) {
		t.Errorf("%v", err)
	}
}
