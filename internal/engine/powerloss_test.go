//go:build linux

package engine

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gridgate/internal/gatetest"
)

// TestPowerLossComesToTheSameOutcome is TestKilledNodeComesToTheSameOutcome on a disk that
// loses what was not synced: now the power goes with the process.
func TestPowerLossComesToTheSameOutcome(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some ten seconds")
	}
	disk := gatetest.PowerLossDisk(t)
	seed := seedOf(t)
	k := &killer{rng: rand.New(rand.NewPCG(seed, 3)), dead: disk.Crash}
	k.kill = func(p *nodeProcess) { _ = p.cmd.Process.Kill() }
	k.more = enough(t, k, 8*time.Second)
	for round := uint64(0); round == 0 || k.more(); round++ {
		w := newWorkload(seed+round, 40)
		base := t.TempDir()
		quiet, dir := filepath.Join(base, "quiet"), filepath.Join(disk.Dir(), "node")
		for _, d := range []string{quiet, dir} {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		want := undisturbed(t, quiet, w)
		delivered := filepath.Join(base, "delivered")
		live := feed(t, dir, delivered, w, k)
		compare(t, want, outcomeOf(t, dir, delivered, live), w.class)
		t.Logf("seed %d: %d orders, %d facts, %d power losses so far", seed+round, len(w.orders), len(want.facts), k.kills)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			break
		}
	}
	if k.kills < leastKills {
		t.Errorf("only %d power losses: this shows nothing", k.kills)
	}
}
