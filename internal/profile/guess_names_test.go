package profile_test

import (
	"testing"

	"gridgate/internal/grid"
)

func TestWordsInNamesAreOfOneKindOfIdentity(t *testing.T) {
	set := loadAll(t)
	for id, want := range map[grid.Identity]string{
		"tasmota:bridge/hall smoke": "tasmota/smoke",
		"tasmota:厨房烟感":              "tasmota/smoke",
		"tasmota:yard_door":         "tasmota/contact",
		"z2m:hall_smoke":            "zigbee2mqtt/smoke",
		"z2m:pump_water":            "zigbee2mqtt/leak",
		"sn:smoke":                  "",
	} {
		got, smoke := set.GuessIdentity(id)
		if got != want || smoke != (want != "" && want[len(want)-5:] == "smoke") {
			t.Errorf("%s: got %q, smoke %t: want %q", id, got, smoke, want)
		}
	}
}
