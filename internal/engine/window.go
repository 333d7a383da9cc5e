package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// Windows are opened, extended and ended by commands, and end by themselves by the wall
// clock. What they do to an episode stands in cover.go.

const (
	maxWindows    = 10_000
	maxAreas      = 200
	maxAreaPoints = 50_000
)

// windows are the open ones, and what comes due of them.
type windows struct {
	all   map[string]*grid.Window
	at    map[string][]string // ids by point that they name
	areas []string            // ids of those with an area
	due   deadlines           // of windows, of episodes that they cover, and of the posture: real time
}

func newWindows() windows {
	return windows{all: map[string]*grid.Window{}, at: map[string][]string{}, due: newDeadlines()}
}

// Keys of deadlines.
const (
	windowDue  = "window/"
	coverDue   = "alarm/"
	postureDue = "posture"
)

func (b *batch) changeWindow(id string) *grid.Window {
	b.windows = append(b.windows, id)
	return change(b, b.e.windows.all, id)
}

func (b *batch) wakeWindow(key string, at time.Time) { b.wake(&b.e.windows.due, key, at) }

// OpenWindow opens a window. The same ID again gives what has become of it.
func (e *Engine) OpenWindow(ctx context.Context, w grid.Window) (grid.Window, error) {
	return as[grid.Window](e.do(ctx, &command{name: "window", do: func(b *batch) (any, error) { return b.openWindow(w) }}))
}

func (b *batch) openWindow(w grid.Window) (grid.Window, error) {
	e := b.e
	if w.ID != "" {
		old, err := b.window(w.ID)
		switch {
		case err == nil && sameWindow(&old, &w):
			return old, nil
		case err == nil:
			return old, grid.Errorf(grid.Conflict, "window %s is there already and is another: want another id", w.ID)
		case grid.CodeOf(err) != grid.NotFound:
			return old, grid.Errorf(grid.Unavailable, "whether window %s is there already cannot be read: %w", w.ID, err)
		}
	}
	now := b.now.UTC()
	row := grid.Window{
		ID: w.ID, Kind: w.Kind, Points: unique(w.Points), Area: w.Area, Types: w.Types, From: w.From.UTC(), To: w.To.UTC(), By: w.By, Reason: w.Reason,
		Holder: w.Holder, Session: w.Session, Patrol: w.Patrol, Lead: w.Lead, Script: wholeScript(&w, now),
	}
	if w.From.IsZero() {
		row.From = now
	}
	if row.Session != "" {
		row.Touched = now
	}
	places, err := e.placesOf(&row)
	if err != nil {
		return row, err
	}
	if err := alarm.CheckWindow(&row, places, now); err != nil {
		return row, grid.Errorf(grid.Invalid, "%w", err)
	}
	if len(e.windows.all) >= maxWindows || !row.Area.IsZero() && len(e.windows.areas) >= maxAreas {
		return row, grid.Errorf(grid.Unavailable, "%d windows are open, %d of areas: want some to end first", len(e.windows.all), len(e.windows.areas))
	}
	row.ID = cmp.Or(row.ID, b.id())
	*b.changeWindow(row.ID) = row
	b.indexWindow(&row)
	b.auditWindow("window.open", &row, w.By, row.Reason)
	return row, nil
}

// wholeScript gives lines without times those of the exercise.
func wholeScript(w *grid.Window, now time.Time) []grid.Expected {
	script := slices.Clone(w.Script)
	for i := range script {
		x := &script[i]
		x.From, x.To = cmp.Or(x.From, cmp.Or(w.From, now)).UTC(), cmp.Or(x.To, w.To).UTC()
	}
	return script
}

func sameWindow(a, b *grid.Window) bool {
	return a.Kind == b.Kind && slices.Equal(a.Points, unique(b.Points)) && a.Area == b.Area && slices.Equal(a.Types, b.Types) && a.Holder == b.Holder &&
		a.Session == b.Session && a.Patrol == b.Patrol && a.Lead == b.Lead && len(a.Script) == len(b.Script)
}

func unique(ids []string) []string {
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out)
}

// window finds a window, ended ones too.
func (b *batch) window(id string) (grid.Window, error) {
	if w := b.e.windows.all[id]; w != nil {
		return *w, nil
	}
	return b.e.store.Window(context.Background(), id)
}

// openOne finds a window that has not ended.
func (b *batch) openOne(id string) (grid.Window, error) {
	w, err := b.window(id)
	if err == nil && !w.Open() {
		err = grid.Errorf(grid.Conflict, "window %s has ended at %s, by %s: want one that is open", id, w.Ended.Format(time.RFC3339), w.EndedBy)
	}
	return w, err
}

// placesOf are the points that a window covers; it takes their scope, cell and mode.
func (e *Engine) placesOf(w *grid.Window) (out []alarm.Place, err error) {
	var rows []*registry.PointRow
	for _, id := range w.Points {
		pt, ok := e.memory.Point(id)
		if !ok {
			return nil, grid.Errorf(grid.NotFound, "point %q: not registered", id)
		}
		rows = append(rows, e.memory.PointAt(pt))
		out = append(out, e.placeAt(pt, true))
	}
	if !w.Area.IsZero() {
		for i := range e.memory.Points() {
			row := e.memory.PointAt(registry.PointNo(i))
			if !w.Area.Has(e.memory.Scope(row), e.memory.Building(row)) || slices.Contains(w.Points, row.ID) {
				continue
			}
			rows = append(rows, row)
			out = append(out, e.placeAt(registry.PointNo(i), false))
		}
		if n := len(out) - len(w.Points); n == 0 || n > maxAreaPoints {
			return nil, grid.Errorf(grid.Invalid, "area has %d points: want 1 to %d", n, maxAreaPoints)
		}
	}
	e.locate(w, rows)
	return out, nil
}

func (e *Engine) placeAt(pt registry.PointNo, named bool) alarm.Place {
	row := e.memory.PointAt(pt)
	return alarm.Place{ID: row.ID, Kind: row.Kind(), Named: named, Rules: e.rulesOf(pt)}
}

// locate gives a window what all its points share; live as soon as one is.
func (e *Engine) locate(w *grid.Window, rows []*registry.PointRow) {
	for i, p := range rows {
		s, cell := e.memory.Scope(p), e.memory.Cell(p)
		if i == 0 {
			w.Scope, w.Cell, w.Mode = s, cell, p.Mode()
			continue
		}
		w.Scope.District, w.Scope.Street = shared(w.Scope.District, s.District), shared(w.Scope.Street, s.Street)
		w.Scope.Community, w.Scope.Compound = shared(w.Scope.Community, s.Community), shared(w.Scope.Compound, s.Compound)
		w.Scope.Contractor, w.Cell = shared(w.Scope.Contractor, s.Contractor), shared(w.Cell, cell)
		if p.Mode() == grid.Live {
			w.Mode = grid.Live
		}
	}
}

func shared(a, b string) string {
	if a == b {
		return a
	}
	return ""
}

// indexWindow lets a window be found by its points and its end.
func (b *batch) indexWindow(w *grid.Window) {
	e := b.e
	for _, p := range w.Points {
		set(b, e.windows.at, p, with(e.windows.at[p], w.ID, +1))
	}
	if !w.Area.IsZero() {
		old := e.windows.areas
		e.windows.areas = with(old, w.ID, +1)
		b.undo = append(b.undo, func() { e.windows.areas = old })
	}
	at, _ := alarm.WindowEnd(w, e.SessionSilent)
	b.wakeWindow(windowDue+w.ID, at)
}

func (b *batch) unindexWindow(w *grid.Window) {
	e := b.e
	for _, p := range w.Points {
		if ids := with(e.windows.at[p], w.ID, -1); len(ids) > 0 {
			set(b, e.windows.at, p, ids)
		} else {
			unset(b, e.windows.at, p)
		}
	}
	if !w.Area.IsZero() {
		old := e.windows.areas
		e.windows.areas = with(old, w.ID, -1)
		b.undo = append(b.undo, func() { e.windows.areas = old })
	}
	b.wakeWindow(windowDue+w.ID, time.Time{})
}

// ExtendWindow moves the end of an open window, within what its kind may last.
func (e *Engine) ExtendWindow(ctx context.Context, id string, to time.Time, by grid.Actor, reason string) (grid.Window, error) {
	return as[grid.Window](e.do(ctx, &command{name: "window", do: func(b *batch) (any, error) {
		w, err := b.openOne(id)
		if err != nil || w.To.Equal(to) {
			return w, err
		}
		asked := w
		asked.To, asked.By, asked.Reason = to.UTC(), by, cmp.Or(reason, w.Reason)
		places, err := e.placesOf(&asked)
		if err != nil {
			return w, err
		}
		if err := alarm.CheckWindow(&asked, places, b.now); err != nil {
			return w, grid.Errorf(grid.Invalid, "window %s: %w", id, err)
		}
		row := b.changeWindow(id)
		row.To = asked.To
		at, _ := alarm.WindowEnd(row, e.SessionSilent)
		b.wakeWindow(windowDue+id, at)
		b.auditWindow("window.extend", row, by, reason)
		return *row, nil
	}}))
}

// TouchWindow says that the technician's session is there.
func (e *Engine) TouchWindow(ctx context.Context, id, session string) (grid.Window, error) {
	return as[grid.Window](e.do(ctx, &command{name: "window", do: func(b *batch) (any, error) {
		w, err := b.openOne(id)
		switch {
		case err != nil:
			return w, err
		case w.Session == "" || w.Session != session:
			return w, grid.Errorf(grid.Forbidden, "session is another than that of window %s: want its own", id)
		case !alarm.Alive(&w, b.now, e.SessionSilent):
			return w, grid.Errorf(grid.Conflict, "session of window %s was silent for %s and is gone: want a new window", id, e.SessionSilent)
		}
		row := b.changeWindow(id)
		row.Touched = b.now.UTC()
		at, _ := alarm.WindowEnd(row, e.SessionSilent)
		b.wakeWindow(windowDue+id, at)
		return *row, nil
	}}))
}

// EndWindow ends a window. What it covered and is still active is judged again.
func (e *Engine) EndWindow(ctx context.Context, id string, by grid.Actor, reason string) (grid.Window, error) {
	return as[grid.Window](e.do(ctx, &command{name: "window", do: func(b *batch) (any, error) {
		w, err := b.window(id)
		if err != nil || !w.Open() {
			return w, err
		}
		b.auditWindow("window.end", &w, by, reason)
		b.endWindow(id, by.Name)
		return *e.windows.all[id], nil
	}}))
}

func (b *batch) endWindow(id, by string) {
	row := b.changeWindow(id)
	row.Ended, row.EndedBy = b.now.UTC(), by
	b.unindexWindow(row)
	b.uncover(row)
}

func (b *batch) auditWindow(action string, w *grid.Window, by grid.Actor, reason string) {
	detail := fmt.Sprintf("%s until %s", w.Kind, w.To.Format(time.RFC3339))
	if len(w.Points) > 0 {
		detail += " at " + listed(w.Points, 20)
	}
	if reason != "" {
		detail += ": " + reason
	}
	b.rows.Audit = append(b.rows.Audit, state.Audit{
		ID: b.id(), At: b.now, By: by, Action: action, Subject: w.ID, Detail: cut(detail, maxAudited), Scope: w.Scope, Cell: w.Cell, Mode: w.Mode,
	})
}

// windowClocks ends what has come due: windows, questions, lines of a script, the posture.
func (b *batch) windowClocks(wall time.Time) {
	b.comeDue(&b.e.windows.due, "the end of a window", wall, b.windowClock)
}

func (b *batch) windowClock(key string, wall time.Time) {
	e := b.e
	if key == postureDue {
		b.postureEnds(wall)
		return
	}
	if id, ok := strings.CutPrefix(key, coverDue); ok {
		b.coverEnds(id, wall)
		return
	}
	id := strings.TrimPrefix(key, windowDue)
	w := e.windows.all[id]
	if w == nil || !w.Open() {
		return
	}
	at, by := alarm.WindowEnd(w, e.SessionSilent)
	if wall.Before(at) {
		b.wakeWindow(key, at)
		return
	}
	b.because(fmt.Sprintf("window/%s/%d", id, at.UnixNano()), wall)
	b.auditWindow("window.end", w, grid.Actor{Role: grid.RoleSystem, Name: by}, "")
	b.endWindow(id, by)
}

// dropWindows forgets those that have ended.
func (e *Engine) dropWindows(changed []string) {
	for _, id := range changed {
		if w := e.windows.all[id]; w != nil && !w.Open() {
			delete(e.windows.all, id)
		}
	}
}

// loadWindows puts open windows, open questions and the posture into memory, after the
// alarms. What is overdue comes up at once.
func (e *Engine) loadWindows(ctx context.Context) error {
	all, err := e.store.OpenWindows(ctx)
	if err != nil {
		return fmt.Errorf("load the windows: %w", err)
	}
	b := e.begin(e.Now())
	for i := range all {
		e.windows.all[all[i].ID] = &all[i]
		b.indexWindow(&all[i])
	}
	for id, a := range e.alarms {
		if c := a.Cover; c != nil {
			switch c.State {
			case grid.CoverAsked:
				e.windows.due.set(coverDue+id, c.Due)
			case grid.CoverExercise:
				e.windows.due.set(coverDue+id, c.Until)
			}
		}
	}
	return e.loadPosture(ctx)
}
