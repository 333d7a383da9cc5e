package api

import (
	"context"
	"slices"

	"gridgate/internal/grid"
)

// WayIn is how one gets in where a ticket is. Names and numbers of persons are not in it: the
// desk has them.
type WayIn struct {
	Building  string   `json:"building,omitempty" doc:"Its name."`
	Address   string   `json:"address,omitempty"`
	Floors    int      `json:"floors,omitempty"`
	Entrances []string `json:"entrances" doc:"In words; the first is the one to take."`
	KeyHolder string   `json:"key_holder,omitempty" doc:"A role, such as the property desk, never a person."`
}

// wayIn tells the way in at the building of the ticket's point, to those who see the ticket.
func (s *Server) wayIn(ctx context.Context, by grid.Actor, in *idInput) (*body[WayIn], error) {
	t, err := s.ticketFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	out := WayIn{Entrances: []string{}}
	id, err := s.buildingOf(ctx, &t)
	if id == "" || err != nil {
		return &body[WayIn]{out}, err
	}
	b, err := s.Store.Building(ctx, id)
	switch {
	case err == nil:
		out = WayIn{Building: b.Name, Address: b.Address, Floors: b.Floors, Entrances: append(out.Entrances, b.Entrances...), KeyHolder: b.KeyHolder}
	case grid.CodeOf(err) != grid.NotFound: // a building may be a name that nobody registered
		return nil, err
	}
	return &body[WayIn]{out}, nil
}

// buildingOf is where a ticket is: that of its alarm, of its point, or of the first point that
// joined it. A ticket may outlive its alarm and its point.
func (s *Server) buildingOf(ctx context.Context, t *grid.Ticket) (string, error) {
	if t.Alarm != "" {
		a, err := s.Store.Alarm(ctx, t.Alarm)
		if err != nil && grid.CodeOf(err) != grid.NotFound {
			return "", err
		}
		if a.Building != "" {
			return a.Building, nil
		}
	}
	point := t.Point
	if i := slices.IndexFunc(t.Members, func(m grid.Member) bool { return m.Point != "" }); point == "" && i >= 0 {
		point = t.Members[i].Point
	}
	if point == "" {
		return "", nil
	}
	p, err := s.Store.Point(ctx, point)
	if grid.CodeOf(err) == grid.NotFound {
		return "", nil
	}
	return p.Building, err
}

// narrow leaves what a unit needs for its work: no bytes of devices and what was read out of
// them, and no messages to others.
func (c *caseFile) narrow(unit string) {
	c.evidence = nil
	c.deliveries = slices.DeleteFunc(c.deliveries, func(d grid.Delivery) bool { return d.Unit != unit })
}
