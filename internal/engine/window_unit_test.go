package engine

import (
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestAContractorAnswersForItsOwnWindowWithItsSessionAlone(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Smoke, "S1", "sn:s1")
	lift := grid.Actor{Role: grid.RoleUnit, Name: "wang", Unit: "lift-1"}
	r.window(grid.Window{
		ID: "w-S1", Kind: grid.WindowMaintenance, Points: []string{"S1"}, To: r.now().Add(20 * time.Minute), By: lift, Holder: "lift-1", Session: "s-1",
	})
	r.smoke("sn:s1", 1, true)
	a := r.newest(grid.EventSmokeAlarm)
	for what, wrong := range map[string]grid.WindowAnswer{
		"another unit":    {Yes: true, Session: "s-1", By: grid.Actor{Role: grid.RoleUnit, Name: "li", Unit: "fire-1"}},
		"another session": {Yes: true, Session: "s-2", By: lift},
	} {
		if _, err := r.engine.AnswerAlarm(t.Context(), a.ID, wrong); grid.CodeOf(err) != grid.Forbidden {
			t.Errorf("yes by %s: %v, want it forbidden", what, err)
		}
	}
	got, err := r.engine.AnswerAlarm(t.Context(), a.ID, grid.WindowAnswer{Yes: true, Session: "s-1", By: lift})
	if err != nil || got.Cover.State != grid.CoverTest || got.Cover.By != "wang" {
		t.Errorf("its own yes: %+v, %v: want a test, by wang", got.Cover, err)
	}
}
