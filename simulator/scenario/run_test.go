package scenario

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gridgate/simulator"
	"gridgate/simulator/verdict"
)

// gridgate builds the gateway for a test, or takes that of GRIDGATE_BIN.
func gridgate(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("short: needs gateways of its own")
	}
	if bin := os.Getenv("GRIDGATE_BIN"); bin != "" {
		return bin
	}
	bin := filepath.Join(t.TempDir(), "gridgate")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "gridgate/cmd/gridgate")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gridgate: %v\n%s", err, out)
	}
	return bin
}

// influxd finds InfluxDB where make influxd puts it, or on the PATH.
func influxd() string {
	for _, p := range []string{os.Getenv("GRIDGATE_INFLUXD"), "../../.tools/bin/influxd"} {
		if _, err := os.Stat(p); p != "" && err == nil {
			abs, _ := filepath.Abs(p) // from a folder that is there
			return abs
		}
	}
	bin, _ := exec.LookPath("influxd")
	return bin
}

// playing is a run that goes on beside others.
type playing struct {
	s    *Scenario
	dir  string
	res  verdict.Result
	err  error
	done chan struct{}
}

// atOnce is how many scenarios are played at the same time: they mostly wait.
const atOnce = 6

// playTogether begins to play scenarios; the test waits for each. With once none is played again
// where this machine was late.
func playTogether(t *testing.T, all []*Scenario, once bool) []*playing {
	t.Helper()
	bin := gridgate(t)
	slots := make(chan struct{}, atOnce)
	var out []*playing
	for i, s := range all {
		p := &playing{s: s, dir: filepath.Join(t.TempDir(), fmt.Sprint(i)), done: make(chan struct{})}
		out = append(out, p)
		go func() {
			defer close(p.done)
			slots <- struct{}{}
			defer func() { <-slots }()
			p.res, p.err = Run(t.Context(), s, Options{Gridgate: bin, Influxd: influxd(), Dir: p.dir, Once: once})
		}()
	}
	t.Cleanup(func() {
		for _, p := range out {
			<-p.done
		}
	})
	return out
}

// TestEveryScenarioIsMet plays all of them but the slow ones. GRIDGATE_TEST_VERDICTS=folder
// keeps a page and a JUnit file of each.
func TestEveryScenarioIsMet(t *testing.T) {
	var all []*Scenario
	for _, name := range List() {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Slow && hasPeers(t, s) {
			all = append(all, s)
		}
	}
	for _, p := range playTogether(t, all, false) {
		t.Run(p.s.ID, func(t *testing.T) {
			<-p.done
			if p.err != nil {
				t.Fatal(p.err)
			}
			keep(t, p.res)
			for _, a := range p.res.Before {
				t.Logf("%s\n%s", a.Words().EN, a.Said)
			}
			if unplayed := p.res.Count(verdict.NotPlayed); p.res.ExitCode() == verdict.ExitMet && unplayed > 0 && os.Geteuid() != 0 {
				t.Skipf("%d expectations are not played, without root: %v", unplayed, p.res.NotPlayed)
			}
			if p.res.ExitCode() != verdict.ExitMet || p.res.Count(verdict.NotPlayed) > 0 {
				dir := p.dir
				if len(p.res.Before) > 0 {
					dir += "-slower"
				}
				t.Errorf("%s\nits log:\n%s", p.res.Summary(), tail(filepath.Join(dir, "gateway.log")))
			}
		})
	}
}

// hasPeers reports whether the programs of a scenario are here; without them it is left out,
// or fails with GRIDGATE_REQUIRE_PEERS=1.
func hasPeers(t *testing.T, s *Scenario) bool {
	t.Helper()
	missing := ""
	if _, err := simulator.FindProgram("", "mosquitto", "/usr/sbin/mosquitto"); err != nil && s.Gateway.Broker == "mosquitto" {
		missing = "mosquitto"
	}
	if influxd() == "" && s.Gateway.Influx == "real" {
		missing = "influxd (make influxd)"
	}
	switch {
	case missing != "" && os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1":
		t.Errorf("%s needs %s", s.ID, missing)
	case missing != "":
		t.Logf("%s is left out: it needs %s", s.ID, missing)
	}
	return missing == ""
}

func keep(t *testing.T, res verdict.Result) {
	t.Helper()
	var page, junit bytes.Buffer
	if err := verdict.WriteHTML(&page, res); err != nil {
		t.Fatal(err)
	}
	if err := verdict.WriteJUnit(&junit, res); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), "http://") || strings.Contains(page.String(), "https://") {
		t.Error("the page names an address: want nothing of the network")
	}
	if dir := os.Getenv("GRIDGATE_TEST_VERDICTS"); dir != "" {
		for ext, b := range map[string][]byte{".html": page.Bytes(), ".xml": junit.Bytes()} {
			if err := os.WriteFile(filepath.Join(dir, res.Scenario+ext), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestAGatewayOfARealCityIsRefused starts one that allows no simulation.
func TestAGatewayOfARealCityIsRefused(t *testing.T) {
	bin := gridgate(t)
	dir := t.TempDir()
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProcess(dir, "gateway", func() *exec.Cmd {
		cmd := exec.Command(bin, "serve")
		cmd.Dir = dir
		cmd.Env = append(environ(), "GRIDGATE_HTTP_LISTEN="+addr, "GRIDGATE_BROKER_ENABLED=false", "GRIDGATE_INFLUX_MANAGED=false", "GRIDGATE_DATA_DIR="+filepath.Join(dir, "data"))
		return cmd
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	defer p.close()
	c := newClient("http://"+addr, "")
	if _, err := c.waitReady(t.Context(), p.ended()); err != nil {
		t.Fatalf("%v\n%s", err, tail(filepath.Join(dir, "gateway.log")))
	}
	s, err := Load("kitchen-smoke")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(t.Context(), s, Options{Gateway: "http://" + addr, Token: "x"})
	if err == nil || !strings.Contains(err.Error(), "simulation.allowed") {
		t.Fatalf("error is %v: want one that names simulation.allowed", err)
	}
}
