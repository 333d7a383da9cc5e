package engine

import (
	"context"

	"gridgate/internal/grid"
)

// The window of a visit, and what it asks.

// visitWindow opens the window of a visit. Offline there is no session, and none is opened.
func (b *batch) visitWindow(v *grid.Visit, session string) error {
	if session == "" || v.Offline {
		return nil
	}
	w, err := b.openWindow(grid.Window{
		Kind: grid.WindowCommissioning, Points: []string{v.Point}, To: b.now.Add(b.e.Commission.Window(v.Kind)), By: v.By,
		Holder: v.By.Unit, Session: session, Reason: "visit " + v.ID,
	})
	if err != nil {
		return err
	}
	v.Window = &grid.VisitWindow{ID: w.ID, To: w.To}
	return nil
}

func (b *batch) closeVisitWindow(v *grid.Visit) {
	v.Question = nil
	if v.Window == nil {
		return
	}
	if w := b.e.windows.all[v.Window.ID]; w != nil && w.Open() {
		b.endWindow(w.ID, "visit")
	}
	v.Window = nil
}

// AnswerVisit answers the question that the window of a visit asks.
func (e *Engine) AnswerVisit(ctx context.Context, id string, a grid.WindowAnswer) (grid.Visit, error) {
	return as[grid.Visit](e.do(ctx, &command{name: "answer", do: func(b *batch) (any, error) {
		v, err := b.visit(id)
		switch {
		case err != nil:
			return nil, err
		case v.Question == nil:
			return nil, grid.Errorf(grid.Conflict, "visit %s has no question: nobody is asked, or it was dispatched", id)
		}
		if err := b.answer(v.Question.Alarm, a); err != nil {
			return nil, err
		}
		b.askVisits()
		return *e.visits.all[id], nil
	}}))
}

// askVisits keeps in each visit what its window asks now. Called when a turn is done: only
// windows that the turn had to do with are looked at.
func (b *batch) askVisits() {
	e := b.e
	if len(e.visits.all) == 0 {
		return
	}
	touched := map[string]bool{}
	for _, id := range b.windows {
		touched[id] = true
	}
	for _, id := range b.alarms {
		if a := e.alarms[id]; a != nil && a.Cover != nil {
			touched[a.Cover.Window] = true
		}
	}
	if len(touched) == 0 {
		return
	}
	for _, id := range e.liveVisits() {
		v := e.visits.all[id]
		if v.Window == nil || !touched[v.Window.ID] {
			continue
		}
		w := e.windows.all[v.Window.ID]
		if w == nil || !w.Open() {
			row := b.changeVisit(id)
			row.Window, row.Question = nil, nil
			continue
		}
		q := e.questionOf(w)
		if !sameQuestion(q, v.Question) || !w.To.Equal(v.Window.To) {
			row := b.changeVisit(id)
			row.Question, row.Window = q, &grid.VisitWindow{ID: w.ID, To: w.To}
		}
	}
}

func (e *Engine) questionOf(w *grid.Window) *grid.VisitQuestion {
	for _, id := range e.coveredBy(w.ID) {
		if c := e.alarms[id].Cover; c.State == grid.CoverAsked {
			return &grid.VisitQuestion{Alarm: id, Ask: c.Ask, Due: c.Due}
		}
	}
	return nil
}

func sameQuestion(a, b *grid.VisitQuestion) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Alarm == b.Alarm && a.Due.Equal(b.Due)
}
