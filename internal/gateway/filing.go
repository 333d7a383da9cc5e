package gateway

import (
	"context"
	"slices"
	"strings"

	"gridgate/internal/grid"
)

// mayFollow reports whether a unit may see what becomes of a ticket: it has a part in it,
// or has filed it.
func (g *Gateway) mayFollow(ctx context.Context, unit string, t *grid.Ticket) bool {
	if unit == "" || slices.ContainsFunc(t.Assignments, func(a grid.Assignment) bool { return a.Unit == unit }) {
		return true
	}
	if !strings.HasPrefix(string(t.Device), grid.FiledPrefix) {
		return false
	}
	ep, err := g.store.Alarm(ctx, t.Alarm)
	return err == nil && ep.Filed != nil && ep.Filed.By.Unit == unit
}
