package registry

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

const sampleFile = `
points:
  - {id: p1, name: Gate, kind: smoke, district: "310105", cell: "310105001001001", lon: 121.4, lat: 31.2, crs: WGS84}
  - {id: p2, kind: manhole, mode: simulated}
devices:
  - {identity: "eui:24e124535b123456", profile: v/m, point: p1, interval: 20m}
  - {identity: "modbus:a/1", profile: v/n}
installations:
  - {device: "modbus:a/1", channel: reg7, point: p2, from: 2026-03-01T08:00:00Z}
units:
  - {id: fire-1, name: Fire, kind: fire, tier: 3, connector: webhook, url: "https://fire.example/hook", secret: whsec_x, token: t}
`

func TestRegistryFileIsReadWhole(t *testing.T) {
	got, err := Parse([]byte(sampleFile))
	if err != nil {
		t.Fatal(err)
	}
	want := grid.Registration{
		Points: []grid.Point{
			{ID: "p1", Name: "Gate", Kind: grid.Smoke, Scope: grid.Scope{District: "310105", Street: "310105001", Community: "310105001001"}, Cell: "310105001001001", Lon: 121.4, Lat: 31.2, CRS: "WGS84", Mode: grid.Live},
			{ID: "p2", Kind: grid.Manhole, Mode: grid.Simulated},
		},
		Devices: []grid.Device{
			{Identity: "eui:24e124535b123456", Profile: "v/m", Interval: 20 * time.Minute, Mode: grid.Live},
			{Identity: "modbus:a/1", Profile: "v/n", Mode: grid.Live},
		},
		Installations: []grid.Installation{
			{Device: "modbus:a/1", Channel: "reg7", Point: "p2", From: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)},
			{Device: "eui:24e124535b123456", Channel: "main", Point: "p1"},
		},
		Units: []grid.Unit{{ID: "fire-1", Name: "Fire", Kind: grid.FireUnit, Tier: 3, Mode: grid.Live, Connector: "webhook", URL: "https://fire.example/hook", Secret: "whsec_x", Token: "t"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRegistryFileErrorsNameTheRowAndTheWish(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":   {"points:\n  - {id: a, kind: door, colour: red}\n", `unknown field "colour"`},
		"kind":          {"points: [{id: a, kind: gate}]\n", `point a: kind is "gate": want door, parking, manhole or smoke`},
		"cell":          {"points: [{id: a, kind: door, cell: \"12\"}]\n", `point a: cell is "12": want 15 digits`},
		"no crs":        {"points: [{id: a, kind: door, lon: 121.4, lat: 31.2}]\n", `point a: crs is missing: want WGS84`},
		"twice":         {"points: [{id: a, kind: door}, {id: a, kind: door}]\n", "point a is in the file twice"},
		"mode":          {"devices: [{identity: x, profile: p, mode: fake}]\n", `device x: mode is "fake"`},
		"no profile":    {"devices: [{identity: x}]\n", "device x: profile is empty"},
		"unit kind":     {"units: [{id: u, kind: army, tier: 1}]\n", `unit u: kind is "army"`},
		"unit url":      {"units: [{id: u, kind: fire, tier: 3, connector: webhook, secret: s, url: fire}]\n", `unit u: url is "fire"`},
		"unsigned":      {"units: [{id: u, kind: fire, tier: 3, connector: webhook, url: \"https://x\"}]\n", "unit u: secret is empty"},
		"same channel":  {"devices: [{identity: x, profile: p, point: a}]\ninstallations: [{device: x, point: b}]\n", "channel x main is in the file twice"},
		"not a mapping": {"hello\n", "registry file:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			if grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v\nwant one that contains %q", err, c.want)
			}
		})
	}
}

func TestRegistryFileWithManyMistakesNamesTheFirst(t *testing.T) {
	text := "points:\n" + strings.Repeat("  - {id: a, kind: gate}\n", 100)
	_, err := Parse([]byte(text))
	if err == nil || !strings.Contains(err.Error(), "more") || strings.Count(err.Error(), "\n") > maxProblems {
		t.Errorf("error is %v", err)
	}
}
