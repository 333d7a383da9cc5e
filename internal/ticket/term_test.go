package ticket

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// TestAContractorOutOfItsTermIsPassedOver: by place, by a rule that names it and by the fallback,
// at the very moments at which its term begins and ends.
func TestAContractorOutOfItsTermIsPassedOver(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(1, 0, 0)
	units := []grid.Unit{
		{ID: "wb-1", Kind: grid.Maintenance, Tier: 2, Mode: grid.Live, Scope: street, Term: grid.Term{From: from, To: to}},
		{ID: "wb-2", Kind: grid.Maintenance, Tier: 2, Mode: grid.Live, Scope: grid.Scope{District: street.District}},
	}
	files := map[string]*Routes{
		"place":        nil,
		`rule "named"`: routesOf(t, "routes: [{name: named, units: [wb-1, wb-2]}]"),
		"fallback":     routesOf(t, "fallback: {2: {units: [wb-1, wb-2]}}"),
	}
	for by, routes := range files {
		kinds := []grid.UnitKind{grid.Maintenance}
		if by == "fallback" {
			kinds = []grid.UnitKind{grid.Property} // of which there is none
		}
		for _, c := range []struct {
			at   time.Time
			want string
		}{{from.Add(-time.Second), "wb-2"}, {from, "wb-1"}, {to.Add(-time.Second), "wb-1"}, {to, "wb-2"}} {
			got := Route(routes, Ask{Type: grid.EventBatteryLow, Scope: street, Mode: grid.Live, Tier: 2, Kinds: kinds, At: c.at}, units, nil)
			if got.Unit != c.want || got.By != by {
				t.Errorf("by %s at %s: %q by %s, want %q", by, c.at, got.Unit, got.By, c.want)
			}
			if told := strings.Contains(reasons(got), "its term is"); told != (c.want == "wb-2") {
				t.Errorf("by %s at %s: that it is out of its term is told: %v\n%s", by, c.at, told, reasons(got))
			}
		}
	}
}

func reasons(c Choice) string {
	var words []string
	for _, r := range c.Reasons {
		words = append(words, r.Unit+": "+r.Why)
	}
	return strings.Join(words, "\n")
}

// TestAPointInOtherHandsGoesToItsOwnContractor: not to the nearest.
func TestAPointInOtherHandsGoesToItsOwnContractor(t *testing.T) {
	units := []grid.Unit{
		{ID: "wb-1", Kind: grid.Maintenance, Tier: 2, Mode: grid.Live, Scope: street},
		{ID: "wb-2", Kind: grid.Maintenance, Tier: 2, Mode: grid.Live, Scope: grid.Scope{District: street.District}},
	}
	scope := street
	scope.Contractor = "wb-2"
	got := Route(nil, Ask{Type: grid.EventBatteryLow, Scope: scope, Mode: grid.Live, Tier: 2, Kinds: []grid.UnitKind{grid.Maintenance}}, units, nil)
	if got.Unit != "wb-2" {
		t.Errorf("it goes to %q: %s", got.Unit, reasons(got))
	}
}
