package configs_test

import (
	"testing"

	"gridgate/configs"
	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
	"gridgate/internal/hazard"
	"gridgate/internal/ticket"
)

var kinds = []grid.Kind{grid.Door, grid.Parking, grid.Manhole, grid.Smoke}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := configs.FS.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func calendars(t *testing.T) *calendar.Calendars {
	t.Helper()
	cs, err := calendar.Parse("calendars.yaml", read(t, "calendars.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

func TestEveryRuleWithATicketHasAPlan(t *testing.T) {
	rules, err := alarm.Parse("rules.yaml", read(t, "rules.yaml"), calendars(t))
	if err != nil {
		t.Fatal(err)
	}
	plans, err := ticket.ParsePlans("tickets.yaml", read(t, "tickets.yaml"), calendars(t))
	if err != nil {
		t.Fatal(err)
	}
	used := map[grid.EventType]bool{}
	for _, set := range rules.Sets() {
		for _, k := range kinds {
			rs, err := rules.For(set, k)
			if err != nil {
				continue // a set need not serve every kind
			}
			for _, r := range rs {
				used[r.Type] = true
				if _, err := plans.For(r.Type); r.Ticket && err != nil {
					t.Errorf("set %s, %s: %v", set, k, err)
				}
			}
		}
	}
	// Raised of a way in, a building or by people's findings: by no point's rules.
	bare := map[grid.EventType]bool{grid.EventGatewaySilent: true, grid.EventProtectionLost: true, grid.EventSmokeSuspect: true, grid.EventUnitUnreachable: true, grid.EventHotspotListed: true, grid.EventCommissioningPending: true}
	for _, typ := range plans.Types() {
		if !used[typ] && !bare[typ] {
			t.Errorf("plan for %s: no rule raises it", typ)
		}
	}
}

func TestHazardsComeOfEventsThatTheRulesRaise(t *testing.T) {
	rules, err := alarm.Parse("rules.yaml", read(t, "rules.yaml"), calendars(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hazard.Parse("hazards.yaml", read(t, "hazards.yaml"), calendars(t), func(typ grid.EventType) bool { return rules.Bare(typ) != nil }); err != nil {
		t.Error(err)
	}
}

// What the built-in rules say of each event; the numbers are in the design.
func TestBuiltInPrioritiesAreThoseOfTheDesign(t *testing.T) {
	rules, err := alarm.Parse("rules.yaml", read(t, "rules.yaml"), calendars(t))
	if err != nil {
		t.Fatal(err)
	}
	want := map[grid.EventType]grid.Priority{
		grid.EventSmokeAlarm: 1, grid.EventSmokeLate: 1, grid.EventSafetyUnreadable: 2, grid.EventSmokeFault: 4,
		grid.EventManholeOpen: 1, grid.EventManholeTilted: 3, grid.EventManholeFlooded: 2, grid.EventParkingOverstay: 3,
		grid.EventDoorHeldOpen: 3, grid.EventDeviceTamper: 3, grid.EventDeviceStolen: 3, grid.EventDeviceOffline: 4, grid.EventBatteryLow: 4, grid.EventTest: 4,
	}
	for _, k := range kinds {
		rs, err := rules.For("", k)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			p := want[r.Type]
			if r.Type == grid.EventDeviceStolen && k == grid.Manhole {
				p = 1 // an open pit is left behind
			}
			if p != r.Priority {
				t.Errorf("%s of a %s is %s, want %s", r.Type, k, r.Priority, p)
			}
			if r.Type == grid.EventTest && r.Ticket {
				t.Error("a test opens a ticket")
			}
		}
	}
}
