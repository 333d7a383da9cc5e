package gatetest_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/simulator"
)

// undoStep takes the step of schema 24 back out of a state file, so that the next start has to make it.
func undoStep(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	for _, s := range []string{"DROP TABLE programs", "DELETE FROM goose_db_version WHERE version_id = 24"} {
		_, err := db.ExecContext(t.Context(), s)
		must(t, err)
	}
}

// migrating wants the gateway to say that it makes the steps of a schema.
func (g *gateway) migrating(t *testing.T) error {
	t.Helper()
	_, err := getJSON[api.Readiness](t.Context(), g.api.URL+"/readyz", "")
	if err == nil || !strings.Contains(err.Error(), "migrating 1 of") {
		return fmt.Errorf("ready says %v", err)
	}
	return nil
}

// While somebody else holds the state, so that its steps wait as they would for a large one, a
// smoke detector on each wire says fire, has its acknowledgement, and is an alarm afterwards.
func TestEveryWireTakesFramesWhileTheStateIsMigrated(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("pseudo-terminals are of Linux here")
	}
	dir := t.TempDir()
	ends := simulator.Ends{CoAP: gatetest.FreeAddr(t), CoAPS: gatetest.FreeAddr(t), GBT26875: gatetest.FreeAddr(t), Keys: filepath.Join(dir, "keys.yaml"), Lines: filepath.Join(dir, "lines")}
	router := simulator.Router{}
	city, err := simulator.NewCity(simulator.CityConfig{Seed: 11, Sink: router, Rules: exactRules(t), Parts: []simulator.Part{
		{Model: "gridgate/json", Wire: simulator.CoAP, Count: 1, Name: "coap"}, {Model: "gridgate/json", Wire: simulator.CoAPS, Count: 1, Name: "coaps"},
		{Model: "oma/smoke", Count: 1, Name: "lwm2m"}, {Model: "gbt26875/transmitter", Count: 1, Name: "fire"},
		{Model: "modbus/smoke", Count: 1, Name: "rtu"}, {Model: "gridgate/lines", Count: 1, Name: "panel"},
	}})
	must(t, err)
	must(t, city.WriteKeys(ends.Keys))
	var config, registry strings.Builder
	must(t, city.WriteConfig(&config, ends))
	must(t, city.Registry().Write(&registry))
	g := newGateway(t, strings.TrimSpace(config.String()))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	links := city.Links(ends, 64, simulator.Told{Refused: func(m simulator.Message, err error) { t.Errorf("%s: %v", m.Identity, err) }})
	for w, link := range links {
		router[w] = link
		wg.Go(func() {
			if err := link.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	g.start(t)
	g.put(t, registry.String())
	g.Stop(t)
	state := filepath.Join(g.dir, "data", "state.db")
	undoStep(t, state)
	release := holdState(t, state)
	g.Start(t)
	eventually(t, time.Minute, "the word that it migrates", func() error { return g.migrating(t) })
	for i := range city.Len() {
		must(t, city.Act(ctx, i, simulator.Edge, func(s *simulator.State) { s.Smoke = true }))
	}
	for w, link := range links {
		wait, done := context.WithTimeout(ctx, 40*time.Second)
		if err := link.Drain(wait); err != nil {
			t.Errorf("%s: not acknowledged while the state is migrated: %v", w, err)
		}
		done()
	}
	if err := g.migrating(t); err != nil {
		t.Errorf("the state was not held for so long: %v", err)
	}
	release()
	g.wait(t)
	for _, point := range []string{"coap", "coaps", "lwm2m", "fire", "rtu", "panel"} {
		eventually(t, 40*time.Second, "the fire of "+point, func() error {
			v, err := g.live(t, point, grid.SmokeAlarm)
			if err == nil && v.Value != 1 {
				err = fmt.Errorf("it is %v", v.Value)
			}
			return err
		})
	}
	g.balanced(t)
}
