package engine

import (
	"context"
	"fmt"

	"gridgate/internal/grid"
	"gridgate/internal/people"
)

// Kept names photos, documents and visits by their ids.
type Kept struct {
	Files  []string // behind tickets
	Photos []string // of points
	Visits []string
}

// EraseKept erases photos and visits, for good: that there was one, its hash, when it was and by
// whom stays, and so does what came of a visit. The bytes are the caller's to remove. A visit that is
// not decided is left out.
func (e *Engine) EraseKept(ctx context.Context, k Kept, by grid.Actor, reason string) error {
	why := people.HideNumbers(reason)
	_, err := e.do(ctx, &command{name: "erase", do: func(b *batch) (any, error) {
		for _, id := range k.Files {
			if err := b.eraseFile(id, by, why); err != nil {
				return nil, err
			}
		}
		for _, id := range k.Photos {
			if err := b.erasePhoto(id, by, why); err != nil {
				return nil, err
			}
		}
		for _, id := range k.Visits {
			if err := b.eraseVisit(id, by, why); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}})
	return err
}

func (b *batch) eraseFile(id string, by grid.Actor, why string) error {
	f, err := b.e.store.File(context.Background(), id)
	if err != nil || !f.Erased.IsZero() {
		return err
	}
	f.Erased, f.Why, f.Note = b.now, why, ""
	b.rows.Files = append(b.rows.Files, f)
	b.auditPeople("file.erase", id, by, fmt.Sprintf("of ticket %s, sha256 %s: %s", f.Ticket, f.SHA256, why), f.Scope, f.Cell, f.Mode)
	return nil
}

func (b *batch) erasePhoto(id string, by grid.Actor, why string) error {
	p, err := b.e.store.Photo(context.Background(), id)
	if err != nil || !p.Erased.IsZero() {
		return err
	}
	p.Erased, p.Why, p.Note = b.now, why, ""
	b.rows.Photos = append(b.rows.Photos, p)
	b.auditPeople("photo.erase", id, by, fmt.Sprintf("of point %s, sha256 %s: %s", p.Point, p.SHA256, why), p.Scope, p.Cell, p.Mode)
	return nil
}

// eraseVisit leaves of a visit which device was tried where and when, by whom, each step and how it
// went, and the verdict.
func (b *batch) eraseVisit(id string, by grid.Actor, why string) error {
	v, err := b.visit(id)
	if err != nil || v.Live() || !v.Erased.IsZero() {
		return err
	}
	if b.e.visits.all[id] == nil {
		set(b, b.e.visits.all, id, &v)
	}
	row := b.changeVisit(id)
	row.Erased, row.Why = b.now.UTC(), why
	row.Words, row.Frames, row.Before, row.At = nil, nil, nil, nil
	row.Steps = append([]grid.VisitStep(nil), row.Steps...)
	for i := range row.Steps {
		s := &row.Steps[i]
		s.Said, s.Value, s.Photo, s.Detail = nil, "", "", grid.Text{}
	}
	row.Signal = grid.VisitSignal{Link: row.Signal.Link, Enough: row.Signal.Enough}
	b.auditVisit("visit.erase", row, by, why)
	return nil
}
