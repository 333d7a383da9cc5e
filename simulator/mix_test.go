package simulator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestAMixHasAsManyDevicesAsAreWantedInItsProportions(t *testing.T) {
	for name := range mixes {
		for _, n := range []int{1, 7, 999, 100_000} {
			parts, err := NewMix(name, n, "")
			if err != nil {
				t.Fatal(err)
			}
			city, err := NewCity(CityConfig{Seed: 1, Parts: parts})
			if err != nil || city.Len() != n {
				t.Errorf("%s: %v, want %d devices", name, err, n)
			}
		}
	}
	parts, err := NewMix("wires", 100, CoAPS)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if p.Wire != CoAPS {
			t.Errorf("%s speaks %s: want coaps alone", p.Model, p.Wire)
		}
	}
}

func TestAMixIsReadFromTextAndFromAFile(t *testing.T) {
	parts, err := NewMix("milesight/ws301=3, netvox/ra02a@thethings=2,gridgate/json@coap,oma/smoke=4", 0, "")
	if err != nil || len(parts) != 4 || parts[1].Envelope != TheThings || parts[2].Wire != CoAP || parts[2].Count != 1 || parts[3].Count != 4 {
		t.Errorf("%+v, %v", parts, err)
	}
	file := filepath.Join(t.TempDir(), "mix.yaml")
	text := "- {model: milesight/ws301, count: 2, name: hall, quiet: true, place: {street: \"310105006\", building: b-7, type: shop}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	parts, err = NewMix(file, 0, "")
	if err != nil || len(parts) != 1 || parts[0].Place.Building != "b-7" || !parts[0].Quiet {
		t.Errorf("%+v, %v", parts, err)
	}
	for text, want := range map[string]string{
		"acme/anvil=3":              "acme/anvil",
		"milesight/ws301=many":      "model=count",
		"milesight/ws301@pigeon=3":  "wire or an envelope",
		"zigbee2mqtt/smoke@coap=3":  "does not speak coap",
		"oma/smoke@chirpstack=1":    "envelope",
		"gbt26875/transmitter@mqtt": "does not speak mqtt",
	} {
		parts, err := NewMix(text, 0, "")
		if err == nil {
			_, err = NewCity(CityConfig{Seed: 1, Parts: parts})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestRulesOfACityAreStrict(t *testing.T) {
	good := string(cityYAML)
	if _, err := ReadRules([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		"zone: Asia/Shanghai":  "zone: Atlantis",
		"swing_c: 7":           "swing: 7",
		"share: 0.55":          "share: 55",
		"drains_per_h: 0.6":    "drains_per_h: 6",
		"battery: {years: 8":   "battery: {years: 0",
		"spacing_m: 1100":      "spacing_m: 1",
		"smoking: {share: 0.1": "smoking: {share: -1",
	} {
		if !strings.Contains(good, from) {
			t.Fatalf("city.yaml has no %q", from)
		}
		if _, err := ReadRules([]byte(strings.Replace(good, from, to, 1))); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%s: %v, want it refused", to, err)
		}
	}
}

func TestAQuietPartHasNothingButHeartbeats(t *testing.T) {
	parts := mixed(400)
	for k := range parts {
		parts[k].Quiet, parts[k].Interval = true, time.Hour
	}
	_, n := day(t, CityConfig{Seed: 3, Parts: parts}, 600, 10*time.Hour)
	if n < 390*10 || n > 410*10 {
		t.Errorf("%d frames of 400 devices in ten hours: want 4,000 heartbeats", n)
	}
}
