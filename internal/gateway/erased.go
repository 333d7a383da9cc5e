package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// eraseAtOnce bounds what one command erases: it holds up the state goroutine for some milliseconds.
const eraseAtOnce = 100

// keptOf are the photos and visits of a point that are not erased, and the hashes of the photos.
func (g *Gateway) keptOf(ctx context.Context, point string) (k engine.Kept, sums []string, err error) {
	q := func() *state.Query { return &state.Query{Point: point, Limit: 1000} }
	err = eachOf(ctx, g.store.ListTickets, q(), func(t *grid.Ticket) error {
		files, err := g.store.Files(ctx, t.ID)
		for _, f := range files {
			if f.Erased.IsZero() {
				k.Files, sums = append(k.Files, f.ID), append(sums, f.SHA256)
			}
		}
		return err
	})
	if err == nil {
		err = eachOf(ctx, g.store.ListPhotos, q(), func(p *grid.PointPhoto) error {
			if p.Erased.IsZero() {
				k.Photos, sums = append(k.Photos, p.ID), append(sums, p.SHA256)
			}
			return nil
		})
	}
	if err == nil {
		err = eachOf(ctx, g.store.ListVisits, q(), func(v *grid.Visit) error {
			if v.Erased.IsZero() {
				k.Visits = append(k.Visits, v.ID)
			}
			return nil
		})
	}
	return k, sums, err
}

// eachOf goes through all pages of a list.
func eachOf[T any](ctx context.Context, list func(context.Context, state.Query) (state.Page[T], error), q *state.Query, do func(*T) error) error {
	for {
		page, err := list(ctx, *q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if err := do(&page.Items[i]); err != nil {
				return err
			}
		}
		if q.Cursor = page.Next; page.Next == "" {
			return nil
		}
	}
}

// eraseKeptOf erases the photos and visits of a point, and counts what is left after it.
func (g *Gateway) eraseKeptOf(ctx context.Context, out *api.Erased, point string, e api.Erase, by grid.Actor) error {
	had, sums, err := g.keptOf(ctx, point)
	if err != nil {
		return err
	}
	left, shared := had, 0
	if !e.DryRun {
		if err := g.eraseKept(ctx, had, by, e.Reason); err != nil {
			return err
		}
		if shared, err = g.removeFiles(ctx, sums); err != nil {
			return err
		}
		if left, _, err = g.keptOf(ctx, point); err != nil {
			return err
		}
	}
	part := func(name string, had, left []string) {
		out.Parts = append(out.Parts, api.ErasedPart{Part: name, Found: int64(len(had)), Left: int64(len(left))})
	}
	part("photos of tickets", had.Files, left.Files)
	part("photos of the point", had.Photos, left.Photos)
	part("visits", had.Visits, left.Visits)
	if shared > 0 {
		out.Stays = append(out.Stays, fmt.Sprintf("%d files on disk: others have the same photo", shared))
	}
	if n := len(left.Visits); n > 0 && !e.DryRun {
		out.Stays = append(out.Stays, fmt.Sprintf("%d visits that nobody has decided: erase again when they are", n))
	}
	return nil
}

// eraseKept erases rows, some at a time.
func (g *Gateway) eraseKept(ctx context.Context, k engine.Kept, by grid.Actor, reason string) error {
	for len(k.Files)+len(k.Photos)+len(k.Visits) > 0 {
		var some engine.Kept
		some.Files, k.Files = split(k.Files)
		some.Photos, k.Photos = split(k.Photos)
		some.Visits, k.Visits = split(k.Visits)
		if err := g.engine.EraseKept(ctx, some, by, reason); err != nil {
			return err
		}
	}
	return nil
}

func split(ids []string) (some, rest []string) {
	n := min(len(ids), eraseAtOnce)
	return ids[:n], ids[n:]
}

// removeFiles takes away the files that no row has any more, and counts those that stay.
func (g *Gateway) removeFiles(ctx context.Context, sums []string) (stay int, err error) {
	seen := map[string]bool{}
	for _, sum := range sums {
		if seen[sum] {
			continue
		}
		seen[sum] = true
		gone, bad := g.files.Remove(sum, func() (bool, error) { return g.store.FileUsed(ctx, sum) })
		if err = errors.Join(err, bad); !gone {
			stay++
		}
	}
	return stay, err
}

// forgetKept erases photos and visits whose time is over, by the class of their point, and removes
// files that a crash has left behind an erased row.
func (g *Gateway) forgetKept(ctx context.Context, now time.Time) error {
	for _, of := range []grid.Privacy{grid.PublicSpace, grid.SharedBuilding, grid.Dwelling} {
		if err := g.forgetKeptOf(ctx, of, now); err != nil {
			return err
		}
	}
	sums, err := g.store.ErasedSums(ctx)
	if err == nil {
		_, err = g.removeFiles(ctx, sums)
	}
	return err
}

func (g *Gateway) forgetKeptOf(ctx context.Context, of grid.Privacy, now time.Time) error {
	class, by := g.privacy.Of(of), grid.Actor{Role: grid.RoleSystem, Name: "privacy"}
	before := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	for {
		var k engine.Kept
		var errs [3]error
		if class.EvidenceDays > 0 {
			k.Files, errs[0] = ids(func(f *grid.EvidenceFile) string { return f.ID })(g.store.FilesPast(ctx, of, before(class.EvidenceDays), eraseAtOnce))
		}
		if class.PhotosDays > 0 {
			k.Photos, errs[1] = ids(func(p *grid.PointPhoto) string { return p.ID })(g.store.PhotosPast(ctx, of, before(class.PhotosDays), eraseAtOnce))
			k.Visits, errs[2] = ids(func(v *grid.Visit) string { return v.ID })(g.store.VisitsPast(ctx, of, before(class.PhotosDays), eraseAtOnce))
		}
		if err := errors.Join(errs[:]...); err != nil || len(k.Files)+len(k.Photos)+len(k.Visits) == 0 {
			return err
		}
		if err := g.eraseKept(ctx, k, by, fmt.Sprintf("the time of a %s is over", of)); err != nil {
			return err
		}
	}
}

func ids[T any](id func(*T) string) func([]T, error) ([]string, error) {
	return func(all []T, err error) (out []string, _ error) {
		for i := range all {
			out = append(out, id(&all[i]))
		}
		return out, err
	}
}
