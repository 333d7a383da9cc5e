package state

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

func sampleStep(n int) grid.RolloutStep {
	return grid.RolloutStep{
		Profile: "acme/door7", N: n, Rollout: "R1", Version: "2", Former: "1", Kept: true, Stage: grid.RolloutShare, Share: 10,
		Devices: []grid.Identity{"eui:01", "eui:02"}, Forced: true, Recount: true, By: grid.Actor{Role: grid.RoleOperator, Name: "li", Unit: "u"},
		Reason: "polarity", Detail: "3 alarms", At: t0,
		Cursors: [grid.Lanes]grid.Pos{{Lane: grid.Safety, Epoch: 2, Seq: 70}, {Lane: grid.Bulk, Epoch: 3, Seq: 900}},
	}
}

func TestVersionsAndStepsComeBackAsTheyWereFirstWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openTest(t, path)
	v := grid.ProfileVersion{
		Profile: "acme/door7", Version: "2", Files: map[string]string{"profile.yaml": "profile: acme/door7\n", "cases.yaml": "cases: []\n"},
		By: grid.Actor{Role: grid.RoleOperator, Name: "li", Unit: "u"}, At: t0, Reason: "polarity",
	}
	first, second := sampleStep(1), sampleStep(2)
	second.Stage, second.Share, second.Devices = grid.RolloutBack, 0, nil
	commit(t, s, &Batch{Versions: []grid.ProfileVersion{v}, Rollouts: []grid.RolloutStep{first, second}})
	again, other := v, sampleStep(2)
	again.Files = map[string]string{"profile.yaml": "another"}
	commit(t, s, &Batch{Versions: []grid.ProfileVersion{again}, Rollouts: []grid.RolloutStep{other}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	versions, steps, err := openTest(t, path).Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]grid.ProfileVersion{v}, versions); d != "" {
		t.Errorf("versions (+):\n%s", d)
	}
	if d := cmp.Diff([]grid.RolloutStep{first, second}, steps); d != "" {
		t.Errorf("steps (+):\n%s", d)
	}
}

func TestQuarantineAndDevicesAreListedByProfile(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	commit(t, s, &Batch{
		Devices: []grid.Device{{Identity: "eui:01", Profile: "acme/door7"}, {Identity: "eui:02", Profile: "acme/other"}},
		Quarantine: []grid.QuarantinedFrame{
			{ID: "a", State: "waiting", At: t0, Frame: grid.Frame{Identity: "eui:01"}},
			{ID: "b", State: "waiting", At: t0, Frame: grid.Frame{Identity: "eui:02"}},
		},
	})
	q := Query{Profile: "acme/door7"}
	if got, err := lists(s)["quarantine"](t.Context(), q); err != nil || !cmp.Equal(got, []string{"a"}) {
		t.Errorf("quarantine: %v, %v", got, err)
	}
	if got, err := lists(s)["devices"](t.Context(), q); err != nil || !cmp.Equal(got, []string{"eui:01"}) {
		t.Errorf("devices: %v, %v", got, err)
	}
}
