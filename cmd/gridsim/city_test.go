package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gridgate/simulator"
)

func TestACityIsPlayedFasterThanRealAndEverythingIsAcknowledged(t *testing.T) {
	dir := t.TempDir()
	sent, registry := filepath.Join(dir, "sent.jsonl"), filepath.Join(dir, "fleet.yaml")
	code, out, errOut := gridsim(t, "fleet", "--broker", broker(t), "--mix", "city", "--devices", "500", "--wire", "mqtt", "--day", "2026-03-03T08:00:00+08:00",
		"--speed", "3600", "--for", "2s", "--print-sent", sent, "--registry", registry, "--json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var p CityProgress
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &p); err != nil || p.Devices != 500 || p.Sent < 200 || p.Acked != p.Sent || p.Refused != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	if p.City.Format("2006-01-02 -0700") != "2026-03-03 +0800" {
		t.Errorf("in the city it is %v", p.City)
	}
	b, err := os.ReadFile(sent)
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	for line := range strings.Lines(string(b)) {
		var m simulator.Message
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Wire != simulator.MQTT {
			t.Fatalf("%s: %v", line, err)
		}
		n++
	}
	if n != p.Acked {
		t.Errorf("%d lines of %d acknowledged", n, p.Acked)
	}
	if b, err := os.ReadFile(registry); err != nil || strings.Count(string(b), "identity:") != 500 || strings.Contains(string(b), "mode: \"live\"") {
		t.Errorf("the registry has %d devices, %v", strings.Count(string(b), "identity:"), err)
	}
}

func TestACityThatCannotBePlayedSaysWhy(t *testing.T) {
	live := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"ready":true,"simulation":{"allowed":false,"speed":1,"now":"2026-03-03T00:00:00Z"}}`))
	}))
	defer live.Close()
	for _, c := range []struct {
		code int
		args string
		want string
	}{
		{2, "--mix acme/anvil=3", "acme/anvil"},
		{2, "--mix city --wire pigeon", "pigeon"},
		{2, "--mix city --wire modbus", "nothing of this mix speaks modbus"},
		{2, "--devices 10 --day yesterday", "day is"},
		{2, "--devices 10 --speed 0", "speed is 0"},
		{1, "--devices 10 --gateway " + live.URL, "simulation: allowed"},
		{1, "--devices 10 --city /none.yaml", "/none.yaml"},
	} {
		code, _, errOut := gridsim(t, append([]string{"fleet"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("gridsim fleet %s: exit code %d: %s", c.args, code, errOut)
		}
	}
}
