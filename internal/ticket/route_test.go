package ticket

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// folk is people as a table.
type folk struct {
	onDuty   map[string][]string
	contacts map[string][]grid.Contact
	fallback map[string]string
}

func (f folk) OnDuty(whom string, _ time.Time) ([]string, bool) {
	persons, kept := f.onDuty[whom]
	return persons, kept
}
func (f folk) Contacts(of string, _ time.Time) []grid.Contact { return f.contacts[of] }
func (f folk) Fallback(whom string) string                    { return f.fallback[whom] }

func testCalendars(t testing.TB) *calendar.Calendars {
	t.Helper()
	days, err := os.ReadFile("../../configs/calendars.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := calendar.Parse("calendars.yaml", days)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func routesOf(t testing.TB, text string) *Routes {
	t.Helper()
	r, err := ParseRoutes("routes.yaml", []byte(text), testCalendars(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const someRoutes = `
routes:
  - name: covers go to their owner
    match: {types: [manhole.open, manhole.tilted], tiers: [3]}
    units: [owner, water]
  - name: parking at night
    match: {kinds: [parking], outside: office}
    units: [night]
  - name: one cell
    match: {cells: ["310105006001001"]}
    kinds: [property]
  - name: power covers of a street
    match: {owners: [power], streets: ["310105001"]}
    units: [urban]
  - name: the night watch instead of the estate
    match: {types: [door.forced], calls: [property]}
    units: [night]
owners:
  - {component: "3101050104", unit: gone}
  - {class: "0105", unit: power}
fallback:
  3: {units: [urban]}
  2: {kinds: [property, urban_management]}
`

// routed is a place with units of every sort.
var routed = []grid.Unit{
	{ID: "water", Kind: grid.Utility, Scope: grid.Scope{District: "310107"}}, // of another district
	{ID: "power", Kind: grid.Utility, Scope: grid.Scope{District: "310107"}},
	{ID: "power-sim", Kind: grid.Utility, Mode: grid.Simulated},
	{ID: "night", Kind: grid.UrbanManagement, Scope: grid.Scope{District: "310107"}},
	{ID: "urban", Kind: grid.UrbanManagement, Scope: grid.Scope{District: "310105"}},
	{ID: "property", Kind: grid.Property, Scope: grid.Scope{District: "310105", Street: "310105006"}},
	{ID: "property-wide", Kind: grid.Property, Scope: grid.Scope{District: "310105"}},
	{ID: "fire", Kind: grid.FireUnit, Scope: grid.Scope{District: "310105"}},
}

func TestAUnitIsFoundByRuleThenByPlaceThenByFallback(t *testing.T) {
	r := routesOf(t, someRoutes)
	day := time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC) // Tuesday, 10:00 in Shanghai
	night := day.Add(12 * time.Hour)
	urban := []grid.UnitKind{grid.UrbanManagement}
	utility := []grid.UnitKind{grid.Utility}
	property := []grid.UnitKind{grid.Property}
	for _, c := range []struct {
		about string
		ask   Ask
		duty  map[string][]string
		want  string
		by    string
		why   string // stands among the reasons
	}{
		{"the owner by its class", Ask{Type: grid.EventManholeOpen, Component: "3101050105000001", Tier: 3, Kinds: utility}, nil, "power", `rule "covers go to their owner"`, "it names the unit"},
		{"an owner that is not registered, then the rule's next", Ask{Type: grid.EventManholeOpen, Component: "3101050104000001", Tier: 3, Kinds: utility}, nil, "water", `rule "covers go to their owner"`, `unit "gone" is not registered`},
		{"no component, then the rule's next", Ask{Type: grid.EventManholeOpen, Tier: 3, Kinds: utility}, nil, "water", `rule "covers go to their owner"`, `component "" has no owner`},
		{"a tier that the rule is not for", Ask{Type: grid.EventManholeOpen, Component: "3101050105000001", Tier: 2, Kinds: property}, nil, "property", "place", "tier is 2, it is for [3]"},
		{"not a live unit for what is simulated", Ask{Type: grid.EventManholeOpen, Component: "3101050105000001", Tier: 3, Mode: grid.Simulated, Kinds: utility}, nil, "power-sim", "place", "power"},
		{"at night", Ask{Kind: grid.Parking, Tier: 3, Kinds: urban, At: night}, nil, "night", `rule "parking at night"`, "it names the unit"},
		{"by day", Ask{Kind: grid.Parking, Tier: 3, Kinds: urban, At: day}, nil, "urban", "place", "is not within its hours (outside office)"},
		{"a kind that the plan does not call is no answer", Ask{Kind: grid.Parking, Tier: 2, Kinds: property, At: night}, nil, "property", "place", "it is of kind urban_management and the plan calls property"},
		{"the nearest", Ask{Tier: 2, Kinds: property, At: day}, nil, "property", "place", "property is nearer, it has street 310105006"},
		{"a rule by kind for one cell", Ask{Cell: "310105006001001", Tier: 2, Kinds: property, At: day}, nil, "property", `rule "one cell"`, "property of street 310105006"},
		{"a rule by kind does not bring a kind that was not called", Ask{Cell: "310105006001001", Tier: 3, Kinds: urban, At: day}, nil, "urban", "place", ""},
		{"nobody of the nearest is on duty", Ask{Tier: 2, Kinds: property, At: day}, map[string][]string{"unit:property": nil}, "property-wide", "place", "nobody of it is on duty"},
		{"nobody of any is on duty: the nearest all the same", Ask{Tier: 4, Kinds: property, At: day}, map[string][]string{"unit:property": nil, "unit:property-wide": {}}, "property", "place", "no other unit is there"},
		{"nobody of the only one is on duty, and there is a fallback", Ask{Tier: 3, Kinds: property, At: day}, map[string][]string{"unit:property": nil, "unit:property-wide": {}}, "urban", "fallback", "of tier 3"},
		{"on duty", Ask{Tier: 2, Kinds: property, At: day}, map[string][]string{"unit:property": {"staff-001"}}, "property", "place", ""},
		{"no such unit: the fallback of the tier", Ask{Type: grid.EventDoorHeldOpen, Tier: 3, Kinds: []grid.UnitKind{grid.Committee}, At: day}, nil, "urban", "fallback", "no unit of kind residents_committee"},
		{"a fallback by kind", Ask{Type: grid.EventDoorHeldOpen, Tier: 2, Kinds: []grid.UnitKind{grid.Committee}, At: day}, nil, "property", "fallback", ""},
		{"never another kind for smoke", Ask{Type: grid.EventSmokeAlarm, Tier: 3, Kinds: []grid.UnitKind{grid.MicroStation}, At: day}, nil, "", "", "the plan calls micro_fire_station"},
		{"another kind where the rule says in whose place", Ask{Type: "door.forced", Tier: 2, Kinds: property, At: day}, nil, "night", `rule "the night watch instead of the estate"`, ""},
		{"and not in another's", Ask{Type: "door.forced", Tier: 2, Kinds: urban, At: day}, nil, "urban", "place", "the plan calls urban_management, it is for property"},
		{"a rule leaves the other calls of its tier alone", Ask{Type: grid.EventManholeOpen, Component: "3101050105000001", Tier: 3, Kinds: urban, At: day}, nil, "urban", "place", "it is of kind utility and the plan calls urban_management"},
		{"nobody", Ask{Type: grid.EventDoorHeldOpen, Tier: 4, Kinds: []grid.UnitKind{grid.Committee}, At: day}, nil, "", "", "no unit of kind residents_committee"},
	} {
		if c.ask.District == "" {
			c.ask.Scope = street
		}
		got := Route(r, c.ask, routed, folk{onDuty: c.duty})
		if got.Unit != c.want || got.By != c.by {
			t.Errorf("%s: %q by %q, want %q by %q\n%+v", c.about, got.Unit, got.By, c.want, c.by, got.Reasons)
		}
		taken := 0
		said := false
		for _, reason := range got.Reasons {
			if reason.Taken {
				taken++
			}
			said = said || strings.Contains(reason.Why, c.why) || reason.Unit == c.why
		}
		if want := min(len(c.want), 1); taken != want || !said {
			t.Errorf("%s: %d taken, want %d; %q is not among the reasons %+v", c.about, taken, want, c.why, got.Reasons)
		}
		c.ask.brief = true
		if short := Route(r, c.ask, routed, folk{onDuty: c.duty}); short.Unit != got.Unit || short.By != got.By {
			t.Errorf("%s: without reasons the choice is %q", c.about, short.Unit)
		}
	}
}

func TestARuleOfAStreetAndAnOwnerWantsBoth(t *testing.T) {
	r := routesOf(t, someRoutes)
	ask := Ask{Component: "3101050105000001", Tier: 3, Kinds: []grid.UnitKind{grid.UrbanManagement}, Scope: grid.Scope{District: "310105", Street: "310105001"}}
	if got := Route(r, ask, routed, nil); got.By != `rule "power covers of a street"` {
		t.Errorf("by %q, want the rule", got.By)
	}
	ask.Component = "3101050108000001"
	if got := Route(r, ask, routed, nil); got.By != byPlace {
		t.Errorf("another owner: by %q, want the place", got.By)
	}
}

func TestWhatIsWrongWithRoutesIsNamedWithTheWish(t *testing.T) {
	for text, want := range map[string]string{
		"routes: [{name: a, unit: [x]}]":                                            "unknown field",
		"routes: [{units: [x]}]":                                                    "name is missing",
		"routes: [{name: a}]":                                                       "units and kinds are missing",
		"routes: [{name: a, kinds: [police]}]":                                      `"police" is unknown`,
		"routes: [{name: a, units: [x], match: {during: never}}]":                   `"never"`,
		"routes: [{name: a, units: [x], match: {during: office, outside: office}}]": "want one of them",
		"routes: [{name: a, units: [x], match: {kinds: [bridge]}}]":                 `kind is "bridge"`,
		"routes: [{name: a, units: [x], match: {calls: [police]}}]":                 "match.calls",
		"routes: [{name: a, units: [x], match: {tiers: [5]}}]":                      "want 1 to 4",
		"routes: [{name: a, units: [x], match: {cells: ['31010']}}]":                "want 15 digits",
		"routes: [{name: a, units: [x]}, {name: a, units: [x]}]":                    "twice",
		"owners: [{component: '31', class: '0101', unit: u}]":                       "want the first digits",
		"owners: [{class: '0101'}]":                                                 "unit is missing",
		"fallback: {7: {units: [x]}}":                                               "want tiers 1 to 4",
		"fallback: {3: {kinds: [police]}}":                                          `"police" is unknown`,
		"fallback: {3: {units: [owner]}}":                                           "owner is for rules",
		"chains: {wait: 1s}":                                                        "wait is 1s",
		"chains: {wait: 30s, call: [everybody]}":                                    `"everybody" is unknown`,
		"chains: {wait: 30s, channels: {telex: [x]}}":                               `"telex" is unknown`,
		"chains: {wait: 30s, priorities: [9]}":                                      "want 1 to 4",
		"chains: {wait: 30s, lead: someone}":                                        "want seat:… or unit:…",
		"chains: {wait: 30s, most: 1000}":                                           "want 1 to 50",
		"routes: []\n---\nroutes: []":                                               "second document",
	} {
		_, err := ParseRoutes("routes.yaml", []byte(text), testCalendars(t))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "routes.yaml") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestUnitsOfRoutesMustBeRegistered(t *testing.T) {
	r := routesOf(t, someRoutes+"chains: {wait: 30s, channels: {voice: [call-voice]}}\n")
	err := r.Check(routed)
	if err == nil {
		t.Fatal("unknown units are taken")
	}
	for _, want := range []string{`owners[0]: unit "gone" is not registered: want one of the registry`, `chains.channels.voice: unit "call-voice"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q in it", err, want)
		}
	}
	if strings.Contains(err.Error(), `"owner"`) || strings.Contains(err.Error(), `"urban"`) {
		t.Errorf("error names units that are there: %v", err)
	}
	if err := r.Check(append(slices.Clone(routed), grid.Unit{ID: "gone"}, grid.Unit{ID: "call-voice"})); err != nil {
		t.Error(err)
	}
	if err := (*Routes)(nil).Check(nil); err != nil {
		t.Error(err)
	}
}

func TestTheRuleStandsInTheHistoryOfTheTicket(t *testing.T) {
	p := builtIn(t, grid.EventManholeOpen)
	r := routesOf(t, "routes: [{name: covers, match: {types: [manhole.open], tiers: [1, 2, 3]}, units: [owner]}]\nowners: [{class: '0105', unit: power}]\n")
	tk, res := Open(Opening{ID: "T1", Type: grid.EventManholeOpen, Priority: 1, Scope: street, At: t0,
		Routing: Routing{Routes: r, Component: "3101050105000001"}}, p, routed)
	if len(tk.Assignments) == 0 || tk.Assignments[0].Unit != "power" {
		t.Fatalf("assignments are %+v, want the component's owner", tk.Assignments)
	}
	if !slices.ContainsFunc(res.Moves, func(m grid.MoveRecord) bool { return strings.Contains(m.Reason, `rule "covers"`) }) {
		t.Errorf("history is %+v, want the rule in it", res.Moves)
	}
}
