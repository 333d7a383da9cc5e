//go:build linux

package gatetest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// The three ends of a bad night, one after the other on one disk: the process is killed, the power
// is cut with everything unsynced dropped, and the disk is full. What was acknowledged is in the
// ledger each time, and there is one ticket. make power prints the ledgers.
func TestAKillAPowerCutAndAFullDiskLoseNothingAcknowledged(t *testing.T) {
	disk := gatetest.PowerLossDisk(t)
	g := newGateway(t, "journal: {reserve_bytes: 32MiB, segment_bytes: 4MiB}")
	b, err := os.ReadFile(g.config)
	must(t, err)
	data := filepath.Join(disk.Dir(), "data")
	write(t, g.config, strings.Replace(string(b), "data_dir: data", "data_dir: "+data, 1))
	must(t, os.Symlink(data, filepath.Join(g.dir, "data")))
	defer g.Kill()
	g.start(t)
	g.put(t, smokeRegistry)
	send := startSender(t, g.broker)
	send.until(t, 100, "frames")
	var ticket string
	tell := func(chapter string) {
		t.Helper()
		l := g.settled(t)
		acked := send.acked.Load() // settled before: more may have come since
		processed, duplicate, ignored, quarantined, accepted := sum(l)
		if !l.Balanced || l.Lost > 0 {
			t.Errorf("%s: the ledger does not balance: %+v", chapter, l)
		}
		open := all[grid.Ticket](t, g, "tickets", api.Query{Point: "ceiling-1"})
		if len(open) != 1 || ticket != "" && open[0].ID != ticket {
			t.Errorf("%s: tickets are %+v: want one, %s", chapter, open, ticket)
		} else {
			ticket = open[0].ID
		}
		t.Logf("%-28s %5d acknowledged; %5d accepted = %d processed + %d duplicate + %d ignored + %d quarantined, balanced; 1 ticket", chapter, acked, accepted, processed, duplicate, ignored, quarantined)
	}
	tell("before")

	g.Kill()
	g.start(t)
	send.until(t, 100, "frames after kill -9")
	tell("kill -9")

	disk.Cut() // every write fails from here: nothing more is acknowledged
	g.Kill()
	disk.Restore()
	g.start(t)
	send.until(t, 100, "frames after the power cut")
	tell("power cut")

	filler := filepath.Join(disk.Dir(), "somebody-elses")
	fill(t, filler)
	eventually(t, time.Minute, "the word that the disk is full", func() error {
		if ready, err := g.api.Ready(t.Context()); err != nil || ready.Ready {
			return errors.Join(errors.New("it is ready"), err)
		}
		return nil
	})
	must(t, os.Remove(filler))
	send.until(t, 100, "frames after the full disk")
	tell("full disk, then room again")

	send.stop()
	send.done.Wait()
	l := g.settled(t)
	if _, _, _, _, accepted := sum(l); accepted < send.acked.Load() {
		t.Errorf("%d accepted: %d were acknowledged", accepted, send.acked.Load())
	}
	out, err := gatetest.Run(t.Context(), program(t, "gridgate"), "--config", g.config, "check", "--offline")
	if err != nil || !strings.Contains(out, "recount") {
		t.Errorf("recount: %v: %s", err, out)
	}
	g.Stop(t)
	t.Logf("recount from the files:\n%s", out)
}
