package main

import (
	"strings"
	"testing"

	"gridgate/internal/gateway"
)

func TestCheckSaysWhatIsWrongWithInfluxDB(t *testing.T) {
	cfg := gateway.Default()
	cfg.Influx.Managed, cfg.Influx.URL = false, "http://127.0.0.1:1"
	r := &report{}
	r.checkInflux(t.Context(), &cfg)
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "influxdb at http://127.0.0.1:1 does not answer") {
		t.Errorf("got %q", r.Problems)
	}
	cfg.Influx.URL, r = "", &report{}
	r.checkInflux(t.Context(), &cfg)
	if len(r.Problems) > 0 {
		t.Errorf("no InfluxDB is configured: %q", r.Problems)
	}
}
