package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSampleConfigurationIsTheDefaults(t *testing.T) {
	b, err := os.ReadFile("../../configs/gridgate.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got Config // from nothing: a key missing from the sample shows as a difference
	if err := got.parse(b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Default(), got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("configs/gridgate.yaml differs from Default (-default +sample):\n%s", d)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "g.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigErrorsNameTheKeyAndTheWish(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":             {"http:\n  lisen: 127.0.0.1:1\n", `unknown field "lisen"`},
		"unknown key has a line":  {"http:\n  lisen: 127.0.0.1:1\n", "[2:3]"},
		"wrong type":              {"engine: {decoders: many}\n", "decoders"},
		"bad size":                {"broker: {max_payload: 1MMB}\n", `size is "1MMB": want for example 64MiB`},
		"bad duration":            {"dispatch: {timeout: 15}\n", "15"},
		"open broker":             {"broker: {listen: \"0.0.0.0:1883\", anonymous: true}\n", "broker.anonymous is true"},
		"no password":             {"broker: {users: [{name: a}]}\n", "broker.users[0]: want a name and a password"},
		"bad url":                 {"mqtt: [{name: a, url: \"city:1883\", topics: [x]}]\n", `mqtt[0].url is "city:1883": want mqtt://`},
		"twice the same name":     {"mqtt: [{name: a, url: \"mqtt://x\", topics: [x]}, {name: a, url: \"mqtt://x\", topics: [x]}]\n", `mqtt[1].name is "a" again`},
		"marks out of order":      {"journal: {min_free_bulk: 3GiB}\n", "influx ≥ bulk ≥ safety"},
		"bad network":             {"dispatch: {allow_cidrs: [10.0.0.1]}\n", `dispatch.allow_cidrs[0] is "10.0.0.1"`},
		"two influx":              {"influx: {url: \"http://x:8086\"}\n", "want one of the two"},
		"open CoAP":               {"coap: {listen: \"0.0.0.0:5683\"}\n", `coap.listen is "0.0.0.0:5683": want coap.open true`},
		"long grace":              {"credentials: {grace: 3000h}\n", "credentials.grace is 3000h0m0s: want 0s to 2160h0m0s"},
		"LwM2M nowhere":           {"coap: {lwm2m: true}\n", "coap.lwm2m is true: want coap.listen, coap.tcp or coap.dtls.listen"},
		"LwM2M is no word":        {"coap: {lwm2m: maybe}\n", "lwm2m"},
		"unknown CoAP key":        {"coap: {dtls: {keyfile: x}}\n", `unknown field "keyfile"`},
		"faster than allowed":     {"simulation: {speed: 60}\n", "simulation.speed is 60: want 1, or simulation.allowed true"},
		"elsewhen":                {"simulation: {start: \"2026-12-31T20:00:00+08:00\"}\n", "simulation.start is \"2026-12-31T20:00:00+08:00\": want none, or simulation.allowed true"},
		"too fast":                {"simulation: {allowed: true, speed: 3601}\n", "simulation.speed is 3601: want 1 to 3600"},
		"slower":                  {"simulation: {allowed: true, speed: 0.5}\n", "simulation.speed is 0.5: want 1 to 3600"},
		"a start that is no time": {"simulation: {allowed: true, start: tonight}\n", "simulation.start is \"tonight\": want a time such as"},
		"unknown envelope":        {"broker: {envelopes: [{topic: x/#, envelope: pigeon}]}\n", `broker.envelopes[0].envelope is "pigeon": want chirpstack, thethings`},
		"downlink that returns":   {"broker: {envelopes: [{topic: lab/#, envelope: milesight, down: \"lab/down/{device}\"}]}\n", `broker.envelopes[0].down is "lab/down/{device}": want a topic`},
		"bad filter":              {"mqtt: [{name: a, url: \"mqtt://x\", envelopes: [{topic: \"x#\", envelope: loriot}]}]\n", `mqtt[0].envelopes[0].topic is "x#": want a topic filter`},
		"level":                   {"log: {level: loud}\n", `log.level is "loud": want debug, info, warn, error`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadConfig(write(t, c.text), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v\nwant one that contains %q", err, c.want)
			}
		})
	}
}

func TestAllConfigProblemsAreReportedAtOnce(t *testing.T) {
	_, err := LoadConfig(write(t, "log: {level: loud, format: xml}\nengine: {decoders: -1}\n"), nil)
	for _, want := range []string{"log.level", "log.format", "engine.decoders"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v: want it to name %s", err, want)
		}
	}
}

func TestEnvironmentOverridesTheFile(t *testing.T) {
	c, err := LoadConfig(write(t, "http: {listen: \"127.0.0.1:1\"}\n"), []string{
		"PATH=/bin", "GRIDGATE_HTTP_LISTEN=127.0.0.1:2", "GRIDGATE_DATA_DIR=/x", "GRIDGATE_JOURNAL_RETAIN_DAYS=3",
		"GRIDGATE_BROKER_MAX_PAYLOAD=1MiB", "GRIDGATE_ENGINE_CHECKPOINT_EVERY=1s", "GRIDGATE_BROKER_ENABLED=false",
		"GRIDGATE_DISPATCH_ALLOW_CIDRS=10.0.0.0/8,127.0.0.0/8", "GRIDGATE_REQUIRE_PEERS=1", "GRIDGATE_TEST_CRASH=7",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.HTTP.Listen, want.DataDir, want.Journal.RetainDays, want.Broker.MaxPayload = "127.0.0.1:2", "/x", 3, 1<<20
	want.Engine.CheckpointEvery, want.Broker.Enabled = time.Second, false
	want.Dispatch.AllowCIDRs = []string{"10.0.0.0/8", "127.0.0.0/8"}
	if d := cmp.Diff(want, c, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestUnknownEnvironmentVariableIsAnError(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"GRIDGATE_HTTP_LISEN=x", "GRIDGATE_HTTP_LISEN names no setting: want one of GRIDGATE_HTTP_LISTEN"},
		{"GRIDGATE_MQTT=x", "GRIDGATE_MQTT names no setting"},
		{"GRIDGATE_JOURNAL_RETAIN_DAYS=many", `GRIDGATE_JOURNAL_RETAIN_DAYS is "many"`},
	} {
		_, err := LoadConfig("", []string{c.env})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one that contains %q", c.env, err, c.want)
		}
	}
}

func TestRelativePathsAreRelativeToTheFile(t *testing.T) {
	path := write(t, "data_dir: d\nprofiles: [p, /abs]\nmqtt: [{name: a, url: \"mqtt://x\", topics: [x], password_file: pw}]\n")
	c, err := LoadConfig(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	got := []string{c.DataDir, c.Profiles[0], c.Profiles[1], c.MQTT[0].PasswordFile, c.TokenPath()}
	want := []string{dir + "/d", dir + "/p", "/abs", dir + "/pw", dir + "/d/token"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestBytesReadAndPrint(t *testing.T) {
	for in, want := range map[string]Bytes{"64MiB": 64 << 20, "1.5GiB": 3 << 29, "50GB": 50e9, "512": 512, "7 kB": 7000} {
		if got, err := ParseBytes(in); err != nil || got != want {
			t.Errorf("ParseBytes(%q) = %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "x", "-1MiB", "NaN", "1e30TiB"} {
		if got, err := ParseBytes(in); err == nil {
			t.Errorf("ParseBytes(%q) = %d, want an error", in, got)
		}
	}
	if got := Bytes(64 << 20).String(); got != "64MiB" {
		t.Errorf("String() = %q", got)
	}
}
