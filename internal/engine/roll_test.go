package engine

import (
	"context"
	"fmt"
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
	"gridgate/internal/state"
)

// rollOrder is a step of a roll-out of bulkProfile. Its versions read temperature and
// battery differently, so that each point in InfluxDB tells which version read its frame.
type rollOrder struct {
	Key     string
	Version int // of a new candidate; 0: the one that runs
	Stage   grid.RolloutStage
	Share   int
}

// roll adds a step: what cannot be is refused, in each run alike.
func (w *workload) roll() {
	r := w.rng
	w.rolls++
	o := rollOrder{Key: fmt.Sprintf("roll-%d", w.rolls), Stage: []grid.RolloutStage{grid.RolloutShadow, grid.RolloutShare, grid.RolloutShare, grid.RolloutAll, grid.RolloutBack}[r.IntN(5)]}
	if r.IntN(2) == 0 {
		o.Version = 10 + w.rolls
	}
	if o.Stage == grid.RolloutShare {
		o.Share = 10 + r.IntN(80)
	}
	w.add(order{Do: "roll", Roll: o}, order{Do: "settle"})
}

func (n *node) roll(ctx context.Context, o *rollOrder) (err error) {
	by := grid.Actor{Role: grid.RoleSupervisor, Name: "li"}
	change := profile.RolloutChange{Key: o.Key, Profile: bulkProfile, Stage: o.Stage, Share: o.Share, Reason: "a test", By: by}
	switch {
	case o.Stage == grid.RolloutBack:
		_, err = n.engine.BackRollout(ctx, change)
	case o.Version > 0:
		_, err = n.engine.StartRollout(ctx, profile.RolloutStart{Key: o.Key, Files: bulkFiles(o.Version), Stage: o.Stage, Share: o.Share, By: by})
	default:
		_, err = n.engine.SetRollout(ctx, change)
	}
	return err
}

// steps are those of the roll-outs, but for where in the journal they were taken: a
// repeat of a frame moves that.
func (o *outcome) steps(t testing.TB, st *state.Store) {
	_, steps, err := st.Versions(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		o.facts[fmt.Sprintf("roll-out of %s, step %d", s.Profile, s.N)] = fmt.Sprintf("%s of %s after %s (%v), %d %%, roll-out %s, %s", s.Stage, s.Version, s.Former, s.Kept, s.Share, s.Rollout, clockOf(s.At))
	}
}

// bulkFiles are bulkProfile as far as the workload speaks it, values scaled by the version.
func bulkFiles(version int) map[string]string {
	return map[string]string{
		"profile.yaml": fmt.Sprintf(`
profile: gridgate/bulk
version: "%[1]d"
vendor: gridgate
model: JSON
kinds: [door, parking, manhole]
source: made for these tests
interval: 24h
counter: {source: payload, field: seq, bits: 32}
time: {field: at}
codec: json
fields:
  - {name: seq}
  - {name: at, type: time}
  - {name: door_open, path: ["door.open"]}
  - {name: parking_occupied, path: ["parking.occupied"]}
  - {name: manhole_tilt, path: ["manhole.tilt"], range: [0, 180]}
  - {name: temperature, path: ["temperature"]}
  - {name: battery_level, path: ["battery.level"], range: [0, 100]}
  - {name: tamper, path: ["tamper"]}
  - {name: test, path: ["test"]}
signals:
  door.open: door_open
  parking.occupied: parking_occupied
  manhole.tilt: manhole_tilt
  temperature: {field: temperature, offset: %[1]d}
  battery.level: {field: battery_level, offset: %[1]d}
  tamper: tamper
  test: test
`, version),
		"cases.yaml": fmt.Sprintf(`
cases:
  - name: "yes"
    text: '{"door.open":true,"parking.occupied":true,"tamper":true,"test":true,"manhole.tilt":3,"temperature":20,"battery.level":9}'
    want: {readings: {door.open: true, parking.occupied: true, tamper: true, test: true, manhole.tilt: 3, temperature: %d, battery.level: %d}}
  - name: "no"
    text: '{"door.open":false,"parking.occupied":false,"tamper":false,"test":false}'
    want: {readings: {door.open: false, parking.occupied: false, tamper: false, test: false}}
`, 20+version, 9+version),
	}
}
