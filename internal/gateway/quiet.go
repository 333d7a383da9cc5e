package gateway

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
)

// digest makes the message that stands for others.
func (g *Gateway) digest(d *grid.Delivery, items []grid.Delivery, u *grid.Unit) (json.RawMessage, error) {
	return dispatch.Digest(*d, items, *u, "/gridgate")
}

// byTicket are connectors that make a thing of each ticket on the other side: a list is none.
var byTicket = []string{"open311", "cap", "gbt26875"}

// checkQuiet says what is wrong with the hours in which a unit is to be left in peace.
func (g *Gateway) checkQuiet(u grid.Unit) error {
	if u.Digest && slices.Contains(byTicket, u.Connector) {
		return fmt.Errorf("unit %s: digest is true with connector %s: want it with none of %s", u.ID, u.Connector, strings.Join(byTicket, ", "))
	}
	if u.Digest && len(g.reloading.calendars.now().Shifts()) == 0 {
		return fmt.Errorf("unit %s: digest is true, and the calendars have no shifts: want some", u.ID)
	}
	if u.Quiet == "" {
		return nil
	}
	h, err := g.reloading.calendars.now().Hours(u.Quiet)
	if err != nil {
		return fmt.Errorf("unit %s: quiet: %w", u.ID, err)
	}
	if h.Next(g.clock.Now()).IsZero() {
		return fmt.Errorf("unit %s: quiet is %q, which never ends: want hours that do", u.ID, u.Quiet)
	}
	return nil
}
