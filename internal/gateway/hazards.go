package gateway

import (
	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/hazard"
)

// readHazards reads the kinds of hazard.
func (g *Gateway) readHazards(rules *alarm.Rules) error {
	name, file, err := fileOr(g.cfg.Hazards, "hazards.yaml")
	if err != nil {
		return err
	}
	raised := func(t grid.EventType) bool { return rules.Bare(t) != nil }
	if g.cfg.Hazards == "" {
		raised = nil // the built-in kinds serve rules that know fewer events
	}
	g.hazards, err = hazard.Parse(name, file, g.calendars, raised)
	return err
}
