package gateway

import (
	"context"
	"fmt"
	"slices"

	"gridgate/configs"
	"gridgate/internal/api"
	"gridgate/internal/geo"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// regions are the areas as the API sees them.
type regions struct{ g *Gateway }

func (r regions) Map() *geo.Map { return r.g.engine.Regions() }

func (r regions) PutRegions(ctx context.Context, file []grid.Region, by grid.Actor, key string) (grid.RegionsPut, error) {
	return r.g.engine.PutRegions(ctx, file, by, key)
}

func (r regions) ListRegions(ctx context.Context, q api.Query) (state.Page[grid.Region], error) {
	return r.g.store.ListRegions(ctx, q)
}

func (r regions) PointsAfter(ctx context.Context, id string, most int) ([]grid.Point, error) {
	return r.g.store.PointsAfter(ctx, id, most)
}

// DemoSquares is the size of the demo's cells, in metres.
const DemoSquares = 500

// DemoDistrict is the schematic district that is built in, with its streets and squares for
// cells, all of them simulated. Each street has squares of its own: none lies in two.
func DemoDistrict(size float64) ([]grid.Region, error) {
	b, err := configs.FS.ReadFile("district.geojson")
	if err != nil {
		return nil, err
	}
	all, faults, err := geo.ReadGeoJSON(b, geo.Source{CRS: geo.WGS84, Mode: grid.Simulated})
	if err != nil || len(faults) > 0 {
		return nil, fmt.Errorf("district.geojson: %w %v", err, faults)
	}
	for _, street := range slices.Clone(all) {
		if street.Kind != grid.StreetRegion {
			continue
		}
		cells, err := geo.Squares(street.Shape, size, []grid.Region{street})
		if err != nil {
			return nil, fmt.Errorf("district.geojson: %w", err)
		}
		all = append(all, cells...)
	}
	return all, nil
}

// prepareRegions finishes what a crash has left of the placing of points, and gives a demo
// without areas its district.
func (g *Gateway) prepareRegions(ctx context.Context) error {
	if err := g.engine.PlaceAnew(ctx); err != nil {
		return fmt.Errorf("areas: %w", err)
	}
	if !g.cfg.DemoDistrict || len(g.engine.Regions().Regions()) > 0 {
		return nil
	}
	all, err := DemoDistrict(DemoSquares)
	if err != nil {
		return err
	}
	_, err = g.engine.PutRegions(ctx, all, grid.Actor{Role: grid.RoleSystem, Name: "demo"}, "")
	return err
}
