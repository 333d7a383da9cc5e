package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// windowed is an engine that keeps windows in the world's store.
type windowed struct {
	Engine
	w        *world
	answered []grid.WindowAnswer
	posture  grid.Posture
}

func (e *windowed) OpenWindow(_ context.Context, w grid.Window) (grid.Window, error) {
	if w.ID == "" {
		w.ID = grid.NewID(t0, w.Holder+w.Lead+w.Session, 0)
	}
	w.Mode = grid.Live
	if w.From.IsZero() {
		w.From = t0
	}
	e.w.commit(&state.Batch{Windows: []grid.Window{w}})
	return w, nil
}

func (e *windowed) ExtendWindow(ctx context.Context, id string, to time.Time, by grid.Actor, _ string) (grid.Window, error) {
	w, err := e.w.store.Window(ctx, id)
	w.To, w.By = to, by
	return w, err
}

func (e *windowed) EndWindow(ctx context.Context, id string, by grid.Actor, _ string) (grid.Window, error) {
	w, err := e.w.store.Window(ctx, id)
	w.Ended, w.EndedBy = t0, by.Name
	return w, err
}

func (e *windowed) TouchWindow(ctx context.Context, id, session string) (grid.Window, error) {
	w, err := e.w.store.Window(ctx, id)
	if err == nil && w.Session != session {
		err = grid.Errorf(grid.Forbidden, "another session")
	}
	return w, err
}

func (e *windowed) AnswerAlarm(_ context.Context, id string, a grid.WindowAnswer) (grid.Alarm, error) {
	e.answered = append(e.answered, a)
	return grid.Alarm{ID: id, Mode: grid.Live}, nil
}

func (e *windowed) AnswerPermit(_ context.Context, _ string, a grid.WindowAnswer) ([]grid.Alarm, error) {
	e.answered = append(e.answered, a)
	return []grid.Alarm{{ID: "a-1"}}, nil
}

func (e *windowed) SwitchPosture(_ context.Context, p grid.Posture) (grid.Posture, error) {
	e.posture = p
	return p, nil
}

func (e *windowed) Posture(context.Context) (grid.Posture, error) { return e.posture, nil }

func withWindows(t *testing.T) (*world, *windowed) {
	w := newWorld(t)
	e := &windowed{w: w}
	w.server.Engine = e
	return w, e
}

func TestAWindowIsOpenedReadExtendedAndEndedAndNeverTellsItsSession(t *testing.T) {
	w, _ := withWindows(t)
	c := w.client(admin)
	n := NewWindow{Kind: grid.WindowCommissioning, Points: []string{"p1"}, For: "20m", Session: "phone", Reason: "new", By: &As{Name: "ma", Role: grid.RoleOperator}}
	got, err := c.OpenWindow(t.Context(), n, "key-1")
	if err != nil || !got.To.Equal(t0.Add(20*time.Minute)) || got.By.Name != "ma" || got.By.Role != grid.RoleOperator || got.Session != "" {
		t.Fatalf("opened %+v, %v: want it until 20 minutes later, by ma, without its session", got, err)
	}
	again, err := c.OpenWindow(t.Context(), n, "key-1")
	if err != nil || again.ID != got.ID {
		t.Errorf("the same key gives window %s, %v: want %s", again.ID, err, got.ID)
	}
	if kept, err := w.store.Window(t.Context(), got.ID); err != nil || kept.Session != "phone" {
		t.Errorf("stored is %+v, %v: want the session of the phone", kept, err)
	}
	page, err := List[grid.Window](t.Context(), c, "windows", Query{State: "open", Kind: "commissioning", Point: "p1"})
	if err != nil || len(page.Items) != 1 || page.Items[0].Session != "" {
		t.Errorf("list is %+v, %v: want the one, without its session", page.Items, err)
	}
	if _, err := c.TouchWindow(t.Context(), got.ID, "phone"); err != nil {
		t.Errorf("touch: %v", err)
	}
	if _, err := c.TouchWindow(t.Context(), got.ID, "another"); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("touch by another session: %v, want it forbidden", err)
	}
	if longer, err := c.ExtendWindow(t.Context(), got.ID, t0.Add(25*time.Minute), "slow"); err != nil || !longer.To.Equal(t0.Add(25*time.Minute)) {
		t.Errorf("extended: %+v, %v", longer, err)
	}
	if ended, err := c.EndWindow(t.Context(), got.ID, "done"); err != nil || ended.Open() {
		t.Errorf("ended: %+v, %v", ended, err)
	}
	for wish, n := range map[string]NewWindow{
		"want how long": {Kind: grid.WindowMaintenance, Points: []string{"p1"}, For: "soon"},
		"no to beside":  {Kind: grid.WindowMaintenance, Points: []string{"p1"}, For: "1h", To: t0.Add(time.Hour)},
	} {
		if _, err := c.OpenWindow(t.Context(), n, ""); err == nil || !strings.Contains(err.Error(), wish) {
			t.Errorf("window %+v: error is %v, want … %s", n, err, wish)
		}
	}
}

func TestPermitsAndExercisesAreWindowsOfTheirKindAlone(t *testing.T) {
	w, _ := withWindows(t)
	c := w.client(admin)
	permit := sure(call[grid.Window](t.Context(), c, http.MethodPost, "/api/v1/permits", nil, &content{json: NewWindow{Points: []string{"m"}, For: "1h", Holder: "city-1"}}))
	drill := sure(call[grid.Window](t.Context(), c, http.MethodPost, "/api/v1/exercises", nil, &content{json: NewWindow{Points: []string{"p1"}, For: "1h", Lead: "wu", Script: []ScriptLine{{Point: "p1", Type: grid.EventSmokeAlarm}}}}))
	if permit.Kind != grid.WindowPermit || drill.Kind != grid.WindowExercise || len(drill.Script) != 1 {
		t.Fatalf("permit is %+v, exercise %+v", permit, drill)
	}
	for path, want := range map[string]string{"permits": permit.ID, "exercises": drill.ID} {
		page, err := List[grid.Window](t.Context(), c, path, Query{})
		if err != nil || len(page.Items) != 1 || page.Items[0].ID != want {
			t.Errorf("%s are %+v, %v: want %s alone", path, page.Items, err, want)
		}
	}
	if _, err := call[grid.Window](t.Context(), c, http.MethodGet, "/api/v1/permits/"+drill.ID, nil, nil); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("an exercise read as a permit: %v, want not found", err)
	}
	if _, err := call[grid.Window](t.Context(), c, http.MethodPost, "/api/v1/exercises/"+permit.ID+"/end", nil, nil); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("a permit ended as an exercise: %v, want not found", err)
	}
	if _, err := call[grid.Window](t.Context(), c, http.MethodPost, "/api/v1/permits", nil, &content{json: NewWindow{Kind: grid.WindowShelved, For: "1h"}}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a shelf opened as a permit: %v, want it refused", err)
	}
}

func TestAUnitSeesItsOwnPermitsAndAnswersAsItself(t *testing.T) {
	w, e := withWindows(t)
	sure(call[grid.Window](t.Context(), w.client(admin), http.MethodPost, "/api/v1/permits", nil, &content{json: NewWindow{Points: []string{"m"}, For: "1h", Holder: "city-1"}}))
	for token, want := range map[string]int{"city-token": 1, "fire-token": 0} {
		page, err := List[grid.Window](t.Context(), w.client(token), "permits", Query{})
		if err != nil || len(page.Items) != want {
			t.Errorf("%s sees %+v, %v: want %d", token, page.Items, err, want)
		}
	}
	c := w.client("city-token")
	if _, err := c.AnswerAlarm(t.Context(), "a-1", NewAnswer{Answer: "yes", By: &As{Name: "somebody", Role: grid.RoleSupervisor}}); err != nil {
		t.Fatal(err)
	}
	sure(c.AnswerPermit(t.Context(), "w-1", NewAnswer{Answer: "no"}))
	if a := e.answered; len(a) != 2 || !a[0].Yes || a[1].Yes || a[0].By.Unit != "city-1" || a[0].By.Role != grid.RoleUnit {
		t.Errorf("the engine was told %+v: want yes and no, of city-1 as itself", a)
	}
	if _, err := c.OpenWindow(t.Context(), NewWindow{Kind: grid.WindowPermit, Points: []string{"m"}, For: "1h", Holder: "city-1"}, ""); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("a unit opens a window: %v, want it forbidden", err)
	}
	if _, err := c.AnswerAlarm(t.Context(), "a-1", NewAnswer{Answer: "perhaps"}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("answer perhaps: %v, want it refused", err)
	}
}

func TestThePostureIsSwitchedWithAnEnd(t *testing.T) {
	w, e := withWindows(t)
	c := w.client(admin)
	p, err := c.SwitchPosture(t.Context(), NewPosture{Posture: grid.PostureTyphoon, For: "12h", Reason: "red", By: &As{Name: "chen"}})
	if err != nil || p.Name != grid.PostureTyphoon || !e.posture.To.Equal(t0.Add(12*time.Hour)) || e.posture.By.Name != "chen" {
		t.Errorf("switched to %+v, %v", e.posture, err)
	}
	if p, err = c.Posture(t.Context()); err != nil || p.Name != grid.PostureTyphoon {
		t.Errorf("posture is %+v, %v", p, err)
	}
	if _, err := c.SwitchPosture(t.Context(), NewPosture{Posture: "siesta"}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("an unknown posture: %v, want it refused", err)
	}
}

func TestTheStreamTellsOfWindowsAndPostures(t *testing.T) {
	c := Change{Windows: []grid.Window{{ID: "w-1", Session: "phone", Holder: "city-1"}}, Postures: []grid.Posture{{ID: "p-1"}}}
	notes := c.notes()
	if len(notes) != 2 || notes[0].name != "window" || notes[1].name != "posture" || notes[0].data.(grid.Window).Session != "" {
		t.Fatalf("notes are %+v: want a window without its session, and a posture", notes)
	}
	unit := grid.Actor{Role: grid.RoleUnit, Unit: "city-1"}
	if other := (grid.Actor{Role: grid.RoleUnit, Unit: "fire-1"}); !notes[0].visible(unit, "") || notes[0].visible(other, "") || notes[1].visible(unit, "") {
		t.Error("a unit sees its own permits on the stream, and neither those of others nor postures")
	}
}

// sure is the value of a call that must not fail.
func sure[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
