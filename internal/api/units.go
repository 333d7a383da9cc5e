package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// UnitStore is what is known of units beside the registry.
type UnitStore interface {
	UnitLoads(ctx context.Context) (map[string]state.UnitLoad, error)
	ReachOf(ctx context.Context) (map[string]grid.Alarm, error)
}

// unitRoutes: how the units stand, and which of them a unit may propose in its place.
func (s *Server) unitRoutes(api huma.API) {
	op := get("/units/state", "list-unit-states", "units", "How each unit stands: reached or not, on duty, what waits for it")
	op.Description = "All units, those in need first: not reached, dead letters, overdue, nobody on duty, waiting. A unit without a roster is always on duty."
	route(s, api, operators, answerWithin, op, s.unitStates)
	route(s, api, operators|units, answerWithin, get("/tickets/{id}/units", "list-proposable-units", "tickets", "Units of the ticket's world that may be proposed when it is returned: names alone"), s.proposable)
}

// UnitState is a unit and how it stands.
type UnitState struct {
	grid.Unit
	// Unreached is since when nothing gets through: the episode of unit.unreachable.
	Unreached time.Time           `json:"unreached,omitzero"`
	Alarm     string              `json:"alarm,omitempty" doc:"That episode."`
	Ticket    string              `json:"ticket,omitempty" doc:"Its ticket."`
	Channel   *grid.ChannelHealth `json:"channel,omitempty" doc:"How the tests of its channel go; none: it is not tested."`
	Rostered  bool                `json:"rostered" doc:"Somebody must be on duty."`
	Duty      []string            `json:"duty" doc:"Persons on duty now."`
	Fallback  string              `json:"fallback,omitempty" doc:"Who is called where nobody is."`
	Waiting   int                 `json:"waiting"`
	Dead      int                 `json:"dead"`
	Tickets   int                 `json:"tickets" doc:"Open."`
	Overdue   int                 `json:"overdue" doc:"Of them."`
}

// need orders what needs somebody: the lower, the sooner.
func (u *UnitState) need() int {
	switch {
	case !u.Unreached.IsZero():
		return 0
	case u.Dead > 0:
		return 1
	case u.Overdue > 0:
		return 2
	case u.Rostered && len(u.Duty) == 0:
		return 3
	case u.Channel != nil && u.Channel.Fails > 0:
		return 4
	case u.Waiting > 0:
		return 5
	case u.Tickets > 0:
		return 6
	}
	return 7
}

func (s *Server) unitStates(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[Page[UnitState]], error) {
	loads, err := s.Store.UnitLoads(ctx)
	if err != nil {
		return nil, err
	}
	unreached, err := s.Store.ReachOf(ctx)
	if err != nil {
		return nil, err
	}
	rosters, err := s.rostered(ctx)
	if err != nil {
		return nil, err
	}
	tests := map[string]*grid.ChannelHealth{}
	if s.Channels != nil {
		for _, c := range s.Channels() {
			tests[c.Unit] = &c
		}
	}
	out := []UnitState{}
	err = s.eachUnit(ctx, func(u grid.Unit) error {
		l, of := loads[u.ID], "unit:"+u.ID
		v := UnitState{Unit: u, Channel: tests[u.ID], Duty: []string{}, Rostered: rosters[of], Waiting: l.Waiting, Dead: l.Dead, Tickets: l.Tickets, Overdue: l.Overdue}
		if a, not := unreached[of]; not {
			v.Unreached, v.Alarm, v.Ticket = a.Raised, a.ID, a.Ticket
		}
		if v.Rostered {
			persons, fallback, err := s.People.OnDuty(ctx, of, s.Now().UTC())
			if err != nil {
				return err
			}
			v.Duty, v.Fallback = append(v.Duty, persons...), fallback
		}
		out = append(out, v)
		return nil
	})
	slices.SortStableFunc(out, func(a, b UnitState) int { return cmp.Compare(a.need(), b.need()) })
	return &body[Page[UnitState]]{Page[UnitState]{Items: out}}, err
}

// rostered is for whom somebody must be on duty.
func (s *Server) rostered(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	if s.People == nil {
		return out, nil
	}
	for q := (Query{State: "current", Limit: maxPage}); ; {
		page, err := s.People.ListRosters(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			out[r.For] = true
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return out, nil
		}
	}
}

const maxPage = 1000

func (s *Server) eachUnit(ctx context.Context, fn func(grid.Unit) error) error {
	for q := (Query{Limit: maxPage}); ; {
		page, err := s.Store.ListUnits(ctx, q)
		if err != nil {
			return err
		}
		for _, u := range page.Items {
			if err := fn(u); err != nil {
				return err
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

// proposable leaves out the one that asks, other channels of units, and who takes no such tickets.
func (s *Server) proposable(ctx context.Context, by grid.Actor, in *idInput) (*body[Page[MeUnit]], error) {
	t, err := s.ticketFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	live := t.Mode == grid.Live || t.Mode == ""
	out := Page[MeUnit]{Items: []MeUnit{}}
	err = s.eachUnit(ctx, func(u grid.Unit) error {
		if u.ID != by.Unit && u.Kind != grid.ChannelUnit && (u.Mode == grid.Live || u.Mode == "") == live && u.Term.Has(s.Now()) && (u.District == "" || t.District == "" || u.District == t.District) {
			out.Items = append(out.Items, MeUnit{u.ID, u.Name, u.Kind})
		}
		return nil
	})
	return &body[Page[MeUnit]]{out}, err
}
