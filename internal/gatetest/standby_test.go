package gatetest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// follows waits until a standby's copy has at least so many bytes of journal, and a state that
// was copied after a moment.
func followed(t *testing.T, dir string, after time.Time) {
	t.Helper()
	eventually(t, time.Minute, "the standby to have caught up", func() error {
		var d struct {
			At, State time.Time
			Failing   string
		}
		b, err := os.ReadFile(filepath.Join(dir, "standby.json"))
		if err == nil {
			err = json.Unmarshal(b, &d)
		}
		if err == nil && (d.Failing != "" || !d.At.After(after) || !d.State.After(after)) {
			err = fmt.Errorf("%s", b)
		}
		return err
	})
}

// A standby follows under load, also after it was killed in the middle; the gateway is killed; the
// copy is promoted and has its frames and its ticket; the old one, started again, sees a higher
// term and does not take a frame.
func TestAStandbyIsPromotedAndTheOldGatewayStaysOut(t *testing.T) {
	other := newGateway(t)
	g := newGateway(t, "standby: {peers: [\""+other.api.URL+"\"], every: 100ms}")
	g.start(t)
	g.put(t, smokeRegistry)
	wire := connect(t, g.broker)
	wire.send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))
	fleet := load(t, g, 500)
	copied := filepath.Join(other.dir, "data")
	standby := gatetest.NewProgram(t, "standby", program(t, "gridgate"), "--config", other.config, "standby", "--from", g.api.URL,
		"--token-file", filepath.Join(g.dir, "data", "token"), "--every", "100ms", "--state-every", "500ms")
	standby.Start(t)
	g.taken(t, 500)
	standby.Kill()
	g.taken(t, 1000)
	standby.Start(t)
	fleet.Stop(t)
	before := g.settled(t)
	_, _, _, _, accepted := sum(before)
	tickets := all[grid.Ticket](t, g, "tickets", api.Query{Point: "ceiling-1"})
	followed(t, copied, time.Now())
	g.Kill()
	down := time.Now()
	standby.Stop(t)

	out := other.gridgate(t, "promote", "--token-file", filepath.Join(g.dir, "data", "token"))
	if !strings.Contains(out, "HAS NOT HEARD OF IT") {
		t.Errorf("the old one is dead, and promote says %s", out)
	}
	other.start(t)
	t.Logf("killed, promoted, ready: %v; %s", time.Since(down).Round(time.Millisecond), out)
	if _, _, _, _, n := sum(other.balanced(t)); n != accepted {
		t.Errorf("the promoted gateway has %d frames: %d were accepted, and copied", n, accepted)
	}
	got := all[grid.Ticket](t, other, "tickets", api.Query{Point: "ceiling-1"})
	if len(tickets) != 1 || len(got) != 1 || got[0].ID != tickets[0].ID {
		t.Errorf("tickets are %+v: want %+v", got, tickets)
	}
	connect(t, other.broker).send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(false, 180)))

	g.Start(t)
	if err := g.Wait(time.Minute); err == nil || !strings.Contains(g.Output(t), "is not the gateway any more") {
		t.Errorf("the old gateway was started: %v", err)
	}
	g.Start(t) // and stays out, also where it sees nobody
	if err := g.Wait(time.Minute); err == nil {
		t.Error("the old gateway runs on the second start")
	}
	other.balanced(t)
}
