package scenario

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gridgate/simulator/verdict"
)

// gridgate builds the gateway once for all tests of a run.
func gridgate(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("short: needs gateways of its own")
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

// TestEveryScenarioIsMet plays all of them but the slow ones, some at a time: they mostly
// wait. GRIDGATE_TEST_VERDICTS=folder keeps a page and a JUnit file of each.
func TestEveryScenarioIsMet(t *testing.T) {
	bin := gridgate(t)
	slots := make(chan struct{}, 5)
	for _, name := range List() {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Slow {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needPeers(t, s)
			slots <- struct{}{}
			defer func() { <-slots }()
			dir := filepath.Join(t.TempDir(), "gateway")
			res, err := Run(t.Context(), s, Options{Gridgate: bin, Influxd: influxd(), Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			keep(t, res)
			if res.ExitCode() != verdict.ExitMet || res.Count(verdict.NotPlayed) > 0 {
				t.Errorf("%s\nits log:\n%s", res.Summary(), tail(filepath.Join(dir, "gateway.log")))
			}
		})
	}
}

// needPeers skips a scenario whose programs are not here; GRIDGATE_REQUIRE_PEERS=1 fails it.
func needPeers(t *testing.T, s *Scenario) {
	t.Helper()
	missing := ""
	if _, err := find("", "mosquitto", "/usr/sbin/mosquitto"); err != nil && s.Gateway.Broker == "mosquitto" {
		missing = "mosquitto"
	}
	if influxd() == "" && s.Gateway.Influx == "real" {
		missing = "influxd (make influxd)"
	}
	switch {
	case missing != "" && os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1":
		t.Fatalf("needs %s", missing)
	case missing != "":
		t.Skipf("needs %s", missing)
	}
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
		cmd.Env = append(os.Environ(), "GRIDGATE_HTTP_LISTEN="+addr, "GRIDGATE_BROKER_ENABLED=false", "GRIDGATE_INFLUX_MANAGED=false", "GRIDGATE_DATA_DIR="+filepath.Join(dir, "data"))
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
