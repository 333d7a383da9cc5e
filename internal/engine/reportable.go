package engine

import (
	"cmp"
	"context"
	"slices"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/hazard"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// What people can report, what may be the same before it is filed, and reports that join
// what is open already.

// Reportable gives the events that people can report, worst first, as the rules have them
// now; of a point with the priorities of its own rules.
func (e *Engine) Reportable(ctx context.Context, point string) ([]grid.Reportable, error) {
	return as[[]grid.Reportable](e.do(ctx, &command{name: "reportable", do: func(*batch) (any, error) {
		pt := registry.PointNo(registry.None)
		if point != "" {
			no, ok := e.memory.Point(point)
			if !ok {
				return nil, grid.Errorf(grid.NotFound, "point %q: not found", point)
			}
			pt = no
		}
		out := []grid.Reportable{}
		for _, r := range e.Rules.Reportables() {
			if e.bare(r.Type).Ticket {
				out = append(out, e.reportable(r, pt))
			}
		}
		return out, nil
	}}))
}

func (e *Engine) reportable(r *alarm.Rule, pt registry.PointNo) grid.Reportable {
	own := *r
	if pt != registry.PointNo(registry.None) {
		if at := e.ruleOf(pt, r.Type); at != nil {
			own.Priority = at.Priority
		}
	}
	return grid.Reportable{Type: r.Type, Kind: r.Kind, Priority: own.Priority, Lowest: alarm.LowestFiled(&own), TitleZH: r.TitleZH, TitleEN: r.TitleEN}
}

// HazardKinds are the kinds of hazard with their check-lists, HazardSteps who may move one from where.
func (e *Engine) HazardKinds() []grid.HazardKind {
	if e.Hazards == nil {
		return []grid.HazardKind{}
	}
	return e.Hazards.Told()
}

func (e *Engine) HazardSteps() []grid.HazardStep { return hazard.Steps() }

// SimilarTo gives the open tickets that may be about the same as what somebody is about to
// file. It reads what is committed and changes nothing.
func (e *Engine) SimilarTo(ctx context.Context, f grid.Filing) ([]grid.Suggestion, error) {
	at := filedPlace(&f, e.home)
	if f.Point != "" {
		var err error
		if at, err = e.store.Point(ctx, f.Point); err != nil {
			return nil, err
		}
	}
	own := state.Case{
		Type: string(f.Type), Point: f.Point, Cell: at.Cell, Building: at.Building, Lon: at.Lon, Lat: at.Lat,
		Opened: f.At, Mode: cmp.Or(f.Mode, at.Mode, grid.Live),
	}
	if own.Opened.IsZero() {
		own.Opened = e.Now()
	}
	near, err := e.store.CasesLike(ctx, own, cmp.Or(at.District, e.home.District), alarm.SimilarWithin)
	if err != nil {
		return nil, err
	}
	open := make([]alarm.Case, len(near))
	for i := range near {
		open[i] = caseOf(&near[i])
	}
	return alarm.Similar(caseOf(&own), open), nil
}

// FileInto files what somebody reported and merges it into an open ticket, both or neither:
// the report keeps its number and its words, and nobody is sent twice. It is idempotent as FileEvent.
func (e *Engine) FileInto(ctx context.Context, f grid.Filing, into string) (grid.Filed, error) {
	if e.hazardRule(f.Type) != nil {
		return grid.Filed{}, grid.Errorf(grid.Invalid, "type is %q: want it filed as a hazard, which has a check-list and a deadline", f.Type)
	}
	return as[grid.Filed](e.do(ctx, &command{name: "file into", do: func(b *batch) (any, error) { return b.fileInto(f, into) }}))
}

// fileInto answers with the ticket that was joined.
func (b *batch) fileInto(f grid.Filing, into string) (grid.Filed, error) {
	out, err := b.file(f)
	out.Duplicates = []grid.Suggestion{}
	if err != nil || out.Ticket.ID == into {
		return out, err // a witness of the same fire has joined by itself
	}
	if out.Repeated && out.Ticket.State.Ended() {
		return out, nil
	}
	if _, err := b.move(grid.Move{
		Ticket: out.Ticket.ID, Verb: grid.VerbMerge, Into: into, By: f.By, At: b.now,
		Reason: "the same as " + into + ", by the word of who took the report",
	}); err != nil {
		return out, err
	}
	b.unsent(out.Ticket.ID, into)
	out.Ticket, err = b.e.ticketNow(into)
	return out, err
}

// unsent withholds the messages of a ticket that has lived for this command alone: those
// who have the other ticket are told of that one.
func (b *batch) unsent(id, into string) {
	for _, n := range slices.Clone(b.deliveries) {
		if d := b.e.deliveries[n]; d != nil && d.Ticket == id && d.State == grid.DeliveryPending {
			d := b.changeDelivery(n)
			d.State, d.Error = grid.DeliveryWithheld, "ticket "+id+" was merged into "+into+" in the moment it was filed"
		}
	}
}
