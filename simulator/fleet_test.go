package simulator

import "testing"

func TestFleetsOfDifferentNumbersShareNothing(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range []*Fleet{NewFleet(40, 1), NewFleetFrom(40, 40, 1), NewFleetFrom(1000, 40, 2)} {
		for _, d := range f.Devices {
			if seen[string(d.Identity)] || seen[d.Point] {
				t.Errorf("%s at %s is in two fleets", d.Identity, d.Point)
			}
			seen[string(d.Identity)], seen[d.Point] = true, true
		}
	}
	if len(seen) != 240 {
		t.Errorf("120 devices at as many points were made, %d of them are different", len(seen))
	}
}
