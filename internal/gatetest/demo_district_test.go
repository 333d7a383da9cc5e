package gatetest_test

import (
	"strings"
	"testing"

	gatewaypkg "gridgate/internal/gateway"
	"gridgate/internal/geo"
	"gridgate/internal/registry"
	"gridgate/simulator"
)

// What make demo registers lies in the cells of the schematic district.
func TestThePointsOfTheDemoLieInTheCellsOfItsDistrict(t *testing.T) {
	regions, err := gatewaypkg.DemoDistrict(gatewaypkg.DemoSquares)
	if err != nil {
		t.Fatal(err)
	}
	m := geo.NewMap(regions)
	if faults := geo.Check(m, regions); len(faults) > 0 {
		t.Fatalf("the district has faults: %+v", faults[0])
	}
	var file strings.Builder
	if err := simulator.NewFleet(2000, 1).Registry(0).Write(&file); err != nil {
		t.Fatal(err)
	}
	reg, err := registry.ParseOn([]byte(file.String()), m)
	if err != nil {
		t.Fatal(err)
	}
	if len(reg.Points) != 2000 || len(reg.Warnings) > 0 {
		t.Errorf("%d points, warnings %v", len(reg.Points), reg.Warnings)
	}
	for _, p := range reg.Points {
		if len(p.Cell) != 15 || !strings.HasPrefix(p.Cell, p.Street) {
			t.Errorf("point %s of street %s lies in cell %q", p.ID, p.Street, p.Cell)
		}
	}
}
