package commission

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAWrongFileOfPlansIsRefusedWithTheKeyAndTheWish(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "..", "configs", "commissioning.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":         {"battery: 60", "battery: 60\nbatery: 3", "batery"},
		"long smoke window":   {"smoke: 30m", "smoke: 31m", "window.smoke is 31m0s: want more than 0s, at most 30m0s"},
		"no time":             {"pending: 24h", "pending: 0s", "pending is 0s"},
		"percent":             {"battery: 60", "battery: 160", "battery is 160: want percent"},
		"downlink":            {"downlink: after_uplink # class A sleeps until it has spoken", "downlink: soon", `downlink is "soon": want at_once, after_uplink or never`},
		"an edge is no must":  {"check: \"on\"\n      must: true\n      zh: 开门", "check: \"on\"\n      zh: 开门", "must is missing"},
		"edges out of order":  {"check: \"on\"\n      must: true\n      zh: 开门", "check: \"off\"\n      must: true\n      zh: 开门", "want rest, on and off"},
		"unknown check":       {"check: photo", "check: foto", `check is "foto": want one of frame`},
		"unknown use":         {"{use: photo, id: photo, must: true}", "{use: picture, id: photo, must: true}", `use is "picture": want one of shared`},
		"a number as boolean": {"{signal: manhole.tilt, above: 15}", "{signal: manhole.tilt, is: true}", "want {signal, is: true|false} for a condition"},
		"one language":        {"    zh: 防拆\n", "", "zh or en is missing"},
	} {
		text := strings.Replace(string(file), c.old, c.new, 1)
		if text == string(file) {
			t.Fatalf("%s: %q is not in the file", name, c.old)
		}
		if _, err := Parse("c.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "c.yaml: ") {
			t.Errorf("%s: error is %v, want one with %q", name, err, c.want)
		}
	}
}
