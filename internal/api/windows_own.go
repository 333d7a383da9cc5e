package api

import (
	"context"

	"gridgate/internal/grid"
)

// forOwnWork makes w the window of a technician: it names points in his hands, and his unit
// holds it. The administrator's stay as they are.
func (s *Server) forOwnWork(ctx context.Context, by grid.Actor, w *grid.Window) error {
	if by.Role != grid.RoleUnit {
		return nil
	}
	switch {
	case w.Kind != grid.WindowMaintenance && w.Kind != grid.WindowCommissioning:
		return grid.Errorf(grid.Forbidden, "kind is %q: a contractor opens maintenance and commissioning windows", w.Kind)
	case !w.Area.IsZero():
		return grid.Errorf(grid.Forbidden, "area is given: a contractor names the points that it works on")
	}
	reach, err := s.reach(ctx, by)
	if err != nil {
		return err
	}
	for _, id := range w.Points {
		page, err := s.Store.ListPoints(ctx, Query{ID: id, Scope: reach, Limit: 1})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			return grid.Errorf(grid.Forbidden, "point %q is not in the hands of unit %s", id, by.Unit)
		}
	}
	w.Holder = by.Unit
	return nil
}

// holds refuses a window of somebody else.
func holds(by grid.Actor, w *grid.Window) error {
	if by.Role == grid.RoleUnit && w.Holder != by.Unit {
		return grid.Errorf(grid.Forbidden, "window %s is not held by unit %s", w.ID, by.Unit)
	}
	return nil
}

// hands is the contractor in whose name by works, "" for none.
func (s *Server) hands(ctx context.Context, by grid.Actor) (string, error) {
	u, ok, err := s.unitOf(ctx, by)
	if err != nil || !ok || u.Kind != grid.Maintenance {
		return "", err
	}
	return u.InHands(), nil
}

// windowQuestions are the alarms of a window that wait for an answer.
func (s *Server) windowQuestions(ctx context.Context, by grid.Actor, in *idInput) (*body[Page[AlarmView]], error) {
	w, err := s.Store.Window(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := holds(by, &w); err != nil {
		return nil, err
	}
	out := Page[AlarmView]{Items: []AlarmView{}}
	for _, p := range w.Points {
		page, err := s.Store.ListAlarms(ctx, Query{Point: p, State: "active", Limit: 100})
		if err != nil {
			return nil, err
		}
		for _, a := range page.Items {
			if a.Cover != nil && a.Cover.Window == w.ID && a.Cover.State == grid.CoverAsked {
				out.Items = append(out.Items, viewOf(a))
			}
		}
	}
	return &body[Page[AlarmView]]{out}, nil
}
