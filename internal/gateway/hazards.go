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
	g.hazards, err = hazard.Parse(name, file, g.calendars, func(t grid.EventType) bool { return rules.Bare(t) != nil })
	return err
}
