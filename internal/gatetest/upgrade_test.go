package gatetest_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	_ "modernc.org/sqlite"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// before is the last commit before accounts, audit and upgrades: schema 23.
const before = "2902848"

// olderProgram builds gridgate as it was at the commit of GRIDGATE_TEST_UPGRADE_FROM. Without it,
// or without that commit in the history, the test is skipped.
func olderProgram(t *testing.T) string {
	t.Helper()
	commit := os.Getenv("GRIDGATE_TEST_UPGRADE_FROM")
	switch commit {
	case "":
		t.Skip("upgrade: it builds the older program whole: make upgrade-test")
	case "before":
		commit = before
	}
	root, dir := gatetest.Root(t), t.TempDir()
	if out, err := exec.Command("git", "-C", root, "cat-file", "-e", commit+"^{commit}").CombinedOutput(); err != nil {
		t.Skipf("upgrade from %s: the history does not have it: %v %s", commit, err, out)
	}
	tree := filepath.Join(dir, "tree")
	must(t, os.Mkdir(tree, 0o700))
	sh := fmt.Sprintf("git -C '%s' archive %s | tar -x -C '%s'", root, commit, tree)
	if out, err := exec.Command("sh", "-c", sh).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path := filepath.Join(dir, "gridgate")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/gridgate")
	build.Dir = tree
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("gridgate of %s does not build: %v: %s", commit, err, out)
	}
	return path
}

// sender publishes reports of the smoke detector at QoS 1, one after the other, each until it is
// acknowledged, whoever is there to do so.
type sender struct {
	acked atomic.Int64
	stop  context.CancelFunc
	done  sync.WaitGroup
}

func startSender(t *testing.T, addr string) *sender {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &sender{stop: cancel}
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("sender").SetCleanSession(false).SetConnectRetry(true).
		SetConnectRetryInterval(50 * time.Millisecond).SetMaxReconnectInterval(50 * time.Millisecond).SetConnectTimeout(time.Second)
	c := paho.NewClient(o)
	c.Connect()
	s.done.Go(func() {
		defer c.Disconnect(0)
		for n := 0; ctx.Err() == nil; n++ {
			tok := c.Publish("gridgate/up/eui:0267000100000001/6", 1, false, unhex(ra02a(n == 0, n%60_000)))
			select {
			case <-tok.Done():
				if tok.Error() == nil {
					s.acked.Add(1)
				}
			case <-ctx.Done():
			}
			time.Sleep(2 * time.Millisecond) // the pace of the wire, not a proof
		}
	})
	t.Cleanup(func() { cancel(); s.done.Wait() })
	return s
}

// until waits for so many more acknowledgements.
func (s *sender) until(t *testing.T, more int64, what string) {
	t.Helper()
	from := s.acked.Load()
	eventually(t, time.Minute, what, func() error {
		if n := s.acked.Load() - from; n < more {
			return fmt.Errorf("%d frames were acknowledged", n)
		}
		return nil
	})
}

// accepted is what the ledger says came in.
func (g *gateway) accepted(t *testing.T) int64 {
	t.Helper()
	l := g.settled(t)
	if !l.Balanced || l.Lost > 0 {
		t.Errorf("the ledger does not balance: %+v", l)
	}
	_, _, _, _, n := sum(l)
	return n
}

// An upgrade from an older program with live intake: the state is kept before it is changed,
// frames are acknowledged while it is, nothing is lost; and back again by one command, with the
// frames that the newer program took.
func TestAnUpgradeWithLiveIntakeLosesNothingAndGoesBack(t *testing.T) {
	older := olderProgram(t)
	newer := program(t, "gridgate")
	g := newGateway(t)
	g.Path = older
	g.start(t)
	g.put(t, smokeRegistry)
	send := startSender(t, g.broker)
	send.until(t, 50, "frames to the older program")
	opened := all[grid.Ticket](t, g, "tickets", api.Query{Point: "ceiling-1"})
	g.Stop(t)

	// Somebody else holds the state file: the steps wait, as they would for a large one.
	release := holdState(t, filepath.Join(g.dir, "data", "state.db"))
	g.Path = newer
	g.Start(t)
	eventually(t, time.Minute, "the word that it migrates", func() error {
		_, err := getJSON[api.Readiness](t.Context(), g.api.URL+"/readyz", "")
		if err == nil || !strings.Contains(err.Error(), "migrating 1 of") {
			return fmt.Errorf("ready says %v", err)
		}
		return nil
	})
	send.until(t, 20, "frames that are acknowledged while the state is migrated")
	if _, err := getJSON[api.Readiness](t.Context(), g.api.URL+"/readyz", ""); err == nil || !strings.Contains(err.Error(), "migrating") {
		t.Errorf("the state was not held for so long: ready says %v", err)
	}
	release()
	eventually(t, time.Minute, "the newer program to be ready", func() error {
		r, err := getJSON[api.Readiness](t.Context(), g.api.URL+"/readyz", "")
		if err == nil && r.Parts["engine"] != "ok" {
			err = fmt.Errorf("%+v", r)
		}
		return err
	})
	g.wait(t)
	send.until(t, 50, "frames to the newer program")
	if n, acked := g.accepted(t), send.acked.Load(); n < acked {
		t.Errorf("%d frames are in the ledger: %d were acknowledged before it was read", n, acked)
	}
	g.sameTickets(t, opened)
	g.balanced(t)
	g.Stop(t)

	var back struct {
		Again [2]int64 `json:"again"`
	}
	must(t, json.Unmarshal([]byte(g.gridgate(t, "--json", "upgrade", "return")), &back))
	if back.Again[0] < 70 {
		t.Errorf("%d safety frames are taken again: 70 were acknowledged by the newer program", back.Again[0])
	}
	g.Path = older
	g.start(t)
	send.until(t, 50, "frames to the older program again")
	send.stop()
	send.done.Wait()
	n, acked := g.accepted(t), send.acked.Load()
	if n < acked {
		t.Errorf("%d frames are in the ledger of the older program: %d were acknowledged in all", n, acked)
	}
	g.sameTickets(t, opened)
	if out, err := gatetest.Run(t.Context(), older, "--config", g.config, "check"); err != nil {
		t.Errorf("the older program's check: %v: %s", err, out)
	}
	t.Logf("%d frames acknowledged over older, newer and older; %d accepted; %d safety frames taken again", acked, n, back.Again[0])
	g.Stop(t)
	if _, err := gatetest.Run(t.Context(), newer, "--config", g.config, "upgrade", "return"); err == nil || !strings.Contains(err.Error(), "gone back to already") {
		t.Errorf("gone back twice: %v", err)
	}
}

func (g *gateway) sameTickets(t *testing.T, want []grid.Ticket) {
	t.Helper()
	got := all[grid.Ticket](t, g, "tickets", api.Query{Point: "ceiling-1"})
	if len(want) != 1 || len(got) != 1 || got[0].ID != want[0].ID {
		t.Errorf("tickets are %d, the first %+v: want the one of before, %+v", len(got), got, want)
	}
}

// holdState keeps others from writing to an SQLite file.
func holdState(t *testing.T, path string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	c, err := db.Conn(t.Context())
	must(t, err)
	_, err = c.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	must(t, err)
	once := sync.OnceFunc(func() { c.Close(); db.Close() })
	t.Cleanup(once)
	return once
}
