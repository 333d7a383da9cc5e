package gateway

import (
	"path/filepath"

	"gridgate/internal/bulk"
	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

// makeImports makes what takes sheets in and out.
func (g *Gateway) makeImports() (err error) {
	g.imports, err = bulk.Open(bulk.Config{
		Dir: filepath.Join(g.cfg.DataDir, "imports"), Store: g.store, Engine: g.engine, Now: g.clock.Now, Log: g.log,
		Profile: func(id string) (string, error) {
			p, err := g.reloading.profiles.now().Get(id)
			if err != nil {
				return "", err
			}
			return p.ID, nil
		},
		Place: func(p *grid.Point) error {
			_, err := geo.Place(p, g.engine.Regions(), false)
			return err
		},
	})
	return err
}
