package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Windows, exercises and postures of a workload: they are opened, answered and ended over
// whatever the points do.

// window opens a window, ends one, or answers what it asks; or switches the posture.
func (w *workload) window() {
	r := w.rng
	s := w.any()
	w.keys++
	by := grid.Actor{Role: grid.RoleSupervisor, Name: "chen"}
	win := grid.Window{
		ID: fmt.Sprintf("window-%d", w.keys), Kind: grid.WindowKinds[r.IntN(len(grid.WindowKinds))],
		To: w.at.Add(time.Duration(2+r.IntN(28)) * time.Minute), By: by, Reason: "work", Holder: "u-utility", Session: "phone", Patrol: "lin", Lead: "wu",
		Script: []grid.Expected{{Point: s.point, Type: typeOf(s.kind)}},
	}
	for _, o := range w.points {
		if o.kind == s.kind {
			win.Points = append(win.Points, o.point)
		}
	}
	switch win.Kind {
	case grid.WindowShelved:
		win.Types = []grid.EventType{grid.EventDoorHeldOpen, grid.EventManholeTilted, grid.EventDeviceTamper}
		win.Session = ""
	case grid.WindowPermit, grid.WindowExercise, grid.WindowOutOfService:
		win.Session = ""
	}
	w.add(order{Do: "window", Window: win})
	for range 1 + r.IntN(4) {
		w.pass(time.Duration(5+r.IntN(80)) * time.Second)
		w.add(order{Do: "touch window", Window: win})
		for range 3 {
			w.frames(14)
		}
		w.add(order{Do: "settle"}, order{Do: "answer", Window: win, Move: grid.Move{Reason: []string{"yes", "yes", "no"}[r.IntN(3)]}})
	}
	switch r.IntN(4) {
	case 0:
		w.add(order{Do: "end window", Window: win})
	case 1:
		names := grid.PostureNames
		w.add(order{Do: "posture", Window: grid.Window{Reason: string(names[r.IntN(len(names))]), To: w.at.Add(time.Hour), By: by}})
	}
	w.add(order{Do: "settle"})
}

func typeOf(k grid.Kind) grid.EventType {
	switch k {
	case grid.Smoke:
		return grid.EventSmokeAlarm
	case grid.Manhole:
		return grid.EventManholeTilted
	case grid.Door:
		return grid.EventDoorHeldOpen
	}
	return grid.EventParkingOverstay
}

func (n *node) window(ctx context.Context, o *order) error {
	w := &o.Window
	var err error
	switch o.Do {
	case "window":
		_, err = n.engine.OpenWindow(ctx, *w)
	case "touch window":
		_, err = n.engine.TouchWindow(ctx, w.ID, w.Session)
	case "end window":
		_, err = n.engine.EndWindow(ctx, w.ID, w.By, "done")
	case "posture":
		_, err = n.engine.SwitchPosture(ctx, grid.Posture{Name: grid.PostureName(w.Reason), To: w.To, By: w.By})
	case "answer":
		err = n.answer(ctx, o)
	}
	return err
}

// answer answers for the newest alarm that a window asks about.
func (n *node) answer(ctx context.Context, o *order) error {
	id, err := n.asked(ctx, o)
	if err != nil || id == "" {
		return err
	}
	return n.answerFor(ctx, o, id)
}

func (n *node) asked(ctx context.Context, o *order) (string, error) {
	page, err := n.store.ListAlarms(ctx, state.Query{Limit: 1000})
	asked := slices.DeleteFunc(page.Items, func(a grid.Alarm) bool { return a.Cover == nil || a.Cover.Window != o.Window.ID || !a.Covered() })
	if err != nil || len(asked) == 0 {
		return "", err
	}
	a := slices.MaxFunc(asked, func(a, b grid.Alarm) int {
		return cmp.Or(a.Raised.Compare(b.Raised), cmp.Compare(a.Point, b.Point), cmp.Compare(a.Type, b.Type))
	})
	return a.ID, nil
}

func (n *node) answerFor(ctx context.Context, o *order, id string) error {
	_, err := n.engine.AnswerAlarm(ctx, id, grid.WindowAnswer{
		Yes: o.Move.Reason == "yes", Session: o.Window.Session, By: grid.Actor{Role: grid.RoleSupervisor, Name: "chen"},
	})
	return err
}

// windows tells of windows, postures and what is covered.
func (o *outcome) windows(t testing.TB, st *state.Store, names map[string]string) {
	for _, w := range everything(t, st.ListWindows) {
		o.facts["window "+w.ID] = fmt.Sprintf("%s from %s to %s ended %s by %s", w.Kind, clockOf(w.From), clockOf(w.To), clockOf(w.Ended), w.EndedBy)
	}
	for _, p := range everything(t, st.ListPostures) {
		o.facts[fmt.Sprintf("posture %s %s", p.Name, clockOf(p.From))] = fmt.Sprintf("to %s ended %s by %s", clockOf(p.To), clockOf(p.Ended), p.EndedBy)
	}
	for _, a := range everything(t, st.ListAlarms) {
		if c := a.Cover; c != nil {
			o.facts["cover of "+names[a.ID]] = fmt.Sprintf("%s %s %s due %s answer %q by %q at %s: mode %s", c.Window, c.Kind, c.State, clockOf(c.Due), c.Answer, c.By, clockOf(c.At), a.Mode)
		}
	}
}
