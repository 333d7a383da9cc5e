//go:build linux

package gatetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// fill writes a file until not one block is left on the disk.
func fill(t *testing.T, path string) { fillWith(t, path, math.MaxInt64) }

// fillFree writes a file as large as what is free on the disk when it begins: the gateway may
// give up its reserve meanwhile, and that room is its own.
func fillFree(t *testing.T, path string) {
	t.Helper()
	var s syscall.Statfs_t
	must(t, syscall.Statfs(filepath.Dir(path), &s))
	fillWith(t, path, int64(s.Bavail)*int64(s.Bsize))
}

func fillWith(t *testing.T, path string, left int64) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for _, size := range []int{1 << 20, 4096, 1} {
		block := make([]byte, size)
		for left >= int64(size) {
			if _, err = f.Write(block); err != nil {
				break
			}
			left -= int64(size)
		}
	}
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk ended with %v", err)
	}
	must(t, f.Sync())
}

// The disk is filled to its last block by somebody else while the gateway runs: the reserve is
// given up, bulk frames are refused, and one smoke frame is on disk, its ticket open and
// with its unit within ten seconds.
func TestOneSmokeFrameGetsThroughOnAFullDisk(t *testing.T) {
	disk := gatetest.PowerLossDisk(t)
	g := newGateway(t, append(shortClocks(t), "journal: {reserve_bytes: 32MiB, segment_bytes: 4MiB}")...)
	b, err := os.ReadFile(g.config)
	must(t, err)
	data := filepath.Join(disk.Dir(), "data")
	write(t, g.config, strings.Replace(string(b), "data_dir: data", "data_dir: "+data, 1))
	must(t, os.Symlink(data, filepath.Join(g.dir, "data")))
	g.start(t)
	defer g.Kill()
	g.put(t, smokeRegistry)
	startUnits(t, g)
	wire := connect(t, g.broker)
	fillFree(t, filepath.Join(disk.Dir(), "somebody-elses"))
	eventually(t, 30*time.Second, "the reserve to be given up", func() error {
		if _, err := os.Stat(filepath.Join(data, "journal", "reserve")); err == nil {
			return errors.New("it is still there")
		}
		return nil
	})

	began := time.Now()
	wire.send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))
	acknowledged := time.Since(began)
	eventually(t, 30*time.Second, "the unit to have the fire", func() error {
		for _, d := range all[grid.Delivery](t, g, "deliveries", api.Query{}) {
			if d.Type == "ticket.opened" && (d.State == grid.DeliveryReceived || d.State == grid.DeliverySeen) {
				return nil
			}
		}
		return errors.New("no delivery is received")
	})
	took := time.Since(began)
	t.Logf("acknowledged after %s, with the unit after %s", acknowledged, took)
	if took > 10*time.Second {
		t.Errorf("the unit had the fire after %s, want 10 s", took)
	}
	ready, err := g.api.Ready(t.Context())
	if err != nil || ready.Ready || !strings.Contains(fmt.Sprint(ready.Parts), "disk") {
		t.Errorf("readiness is %+v (%v): want it to say that the disk is nearly full", ready, err)
	}
}

// Not even the reserve is left: the frame is refused, and the unit has the fire all the same,
// from memory. When there is room again the frame is taken, and its ticket is the one that
// the unit was told of.
func TestSmokeIsToldFromMemoryWhenTheDiskTakesNothingAtAll(t *testing.T) {
	type message struct {
		Type string `json:"type"`
		Data struct {
			Ticket       string `json:"ticket"`
			Unjournalled bool   `json:"unjournalled"`
		} `json:"data"`
	}
	messages := make(chan message, 64)
	unit := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m message
		if b, err := io.ReadAll(r.Body); err == nil && json.Unmarshal(b, &m) == nil {
			messages <- m
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
	fill(t, filepath.Join(disk.Dir(), "somebody-elses"))
	eventually(t, 30*time.Second, "the reserve to be given up", func() error {
		if _, err := os.Stat(filepath.Join(data, "journal", "reserve")); err == nil {
			return errors.New("it is still there")
		}
		return nil
	})
	fill(t, filepath.Join(disk.Dir(), "more"))
	eventually(t, 30*time.Second, "the safety lane to be refused", func() error {
		ready, err := g.api.Ready(t.Context())
		if err == nil && !strings.Contains(fmt.Sprint(ready.Parts), "safety") {
			err = fmt.Errorf("readiness is %+v", ready.Parts)
		}
		return err
	})

	sent := wire.Publish("gridgate/up/eui:0267000100000001/6", 1, false, unhex(ra02a(true, 420)))
	var told message
	select {
	case told = <-messages:
	case <-time.After(30 * time.Second):
		t.Fatal("the unit was not told")
	}
	if told.Type != "gridgate.ticket.opened" || !told.Data.Unjournalled || told.Data.Ticket == "" {
		t.Errorf("the unit was told %+v: want an opened ticket, marked as unjournalled", told)
	}
	select {
	case <-sent.Done():
		t.Error("the frame is acknowledged and on no disk")
	default:
	}
	must(t, os.Remove(filepath.Join(disk.Dir(), "more")))
	must(t, os.Remove(filepath.Join(disk.Dir(), "somebody-elses")))
	eventually(t, 60*time.Second, "the ticket on disk", func() error {
		if tickets := all[grid.Ticket](t, g, "tickets", api.Query{}); len(tickets) != 1 || tickets[0].ID != told.Data.Ticket {
			return fmt.Errorf("tickets are %+v, told was %s", tickets, told.Data.Ticket)
		}
		return nil
	})
}
