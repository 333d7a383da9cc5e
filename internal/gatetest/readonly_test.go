//go:build linux

package gatetest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// The kernel makes a disk read-only on which it has found an error, while the gateway runs. No
// frame is acknowledged from then on, and the fire is with the unit all the same. Once the disk is
// mended and the gateway started again, what was acknowledged is there, and what was not is sent again.
func TestSmokeIsToldWhileTheDiskIsReadOnlyAndNothingIsLostAfterwards(t *testing.T) {
	tickets := make(chan string, 64)
	unit := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct {
			Type string
			Data struct{ Ticket string }
		}
		if b, err := io.ReadAll(r.Body); err == nil && json.Unmarshal(b, &m) == nil && m.Type == "gridgate.ticket.opened" {
			tickets <- m.Data.Ticket
		}
	}))
	t.Cleanup(unit.Close)
	disk := gatetest.PowerLossDisk(t)
	g := newGateway(t, append(shortClocks(t), "journal: {reserve_bytes: 8MiB, segment_bytes: 4MiB}")...)
	b, err := os.ReadFile(g.config)
	must(t, err)
	data := filepath.Join(disk.Dir(), "data")
	write(t, g.config, strings.Replace(string(b), "data_dir: data", "data_dir: "+data, 1))
	must(t, os.Symlink(data, filepath.Join(g.dir, "data")))
	g.start(t)
	defer g.Kill()
	g.put(t, smokeRegistry+fmt.Sprintf(`
units:
  - {id: station, name: station, kind: micro_fire_station, tier: 2, mode: simulated, connector: webhook, url: %q, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, token: token-of-station, test: "off"}
`, unit.URL))
	wire := connect(t, g.broker)
	wire.send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(false, 400)))
	g.settled(t)

	disk.ReadOnly()
	sent := wire.Publish("gridgate/up/eui:0267000100000001/6", 1, false, unhex(ra02a(true, 420)))
	select {
	case <-tickets:
	case <-time.After(30 * time.Second):
		t.Fatal("the unit was not told")
	}
	select {
	case <-sent.Done():
		t.Error("the frame is acknowledged and on no disk")
	default:
	}
	eventually(t, 30*time.Second, "the word that the disk takes nothing", func() error {
		ready, err := g.api.Ready(t.Context())
		if err == nil && (ready.Ready || !strings.Contains(ready.Parts["journal.safety"], "the disk takes nothing")) {
			err = fmt.Errorf("readiness is %+v", ready)
		}
		return err
	})
	if g.Ended() {
		t.Fatal("the gateway has ended")
	}

	g.Kill()
	disk.Mend()
	g.start(t)
	again := connect(t, g.broker) // a device says again what was not acknowledged
	again.send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))
	g.settled(t)
	if got := all[grid.Ticket](t, g, "tickets", api.Query{}); len(got) != 1 {
		t.Errorf("tickets are %+v: want one", got)
	}
	if _, _, _, _, accepted := sum(g.balanced(t)); accepted != 2 {
		t.Errorf("%d frames are accepted: want the one of before and the one of after", accepted)
	}
}
