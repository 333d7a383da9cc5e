package gateway

import "gridgate/internal/commission"

// readCommissioning reads what a point has to show before it counts as protected.
func (g *Gateway) readCommissioning() error {
	name, file, err := fileOr(g.cfg.Commissioning, "commissioning.yaml")
	if err != nil {
		return err
	}
	g.commissioning, err = commission.Parse(name, file)
	return err
}
