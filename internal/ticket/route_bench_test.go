package ticket

import (
	"fmt"
	"testing"

	"gridgate/internal/grid"
)

// A district with two thousand units: what one call costs, with and without its reasons.
func BenchmarkRoute(b *testing.B) {
	r := routesOf(b, someRoutes)
	var us []grid.Unit
	for i := range 2000 {
		us = append(us, grid.Unit{ID: fmt.Sprintf("u%04d", i), Kind: unitKinds[i%len(unitKinds)],
			Scope: grid.Scope{District: "310105", Street: fmt.Sprintf("3101050%02d", i/8%20)}})
	}
	for _, brief := range []bool{true, false} {
		b.Run(fmt.Sprintf("brief=%v", brief), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := Route(r, Ask{Type: grid.EventSmokeAlarm, Scope: street, Tier: 2, Kinds: []grid.UnitKind{grid.Property}, At: t0, brief: brief}, us, folk{}); got.Unit == "" {
					b.Fatal("nobody is found")
				}
			}
		})
	}
}
