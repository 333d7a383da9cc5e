package profile

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestChemistriesRiseFrom0To100(t *testing.T) {
	for name := range chemistries {
		c, err := compileCurve(&curveSpec{name: name}, 0)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		before := -1.0
		for v := 0.0; v < 5; v += 0.01 {
			level := c.at(v)
			if level < before || level < 0 || level > 100 {
				t.Fatalf("%s: %.2f V is %v after %v: want it never to fall", name, v, level, before)
			}
			before = level
		}
		if c.at(0) != 0 || c.at(5) != 100 {
			t.Errorf("%s: goes from %v to %v: want 0 to 100", name, c.at(0), c.at(5))
		}
	}
}

func TestCurveIsStraightBetweenPointsAndEndsAtThem(t *testing.T) {
	c, err := compileCurve(&curveSpec{points: [][]float64{{2, 0}, {3, 80}, {3.2, 100}}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for volts, want := range map[float64]float64{0: 0, 4: 0, 4.5: 20, 5: 40, 6: 80, 6.2: 90, 6.4: 100, 9: 100, -1: 0} {
		if got := c.at(volts); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v V of two cells: got %v: want %v", volts, got, want)
		}
	}
	falling, err := compileCurve(&curveSpec{points: [][]float64{{0, 3}, {10, 1}}}, 0)
	if err != nil || falling.at(5) != 2 {
		t.Errorf("a value that falls as the other rises: got %v, %v", falling.at(5), err)
	}
}

func TestRuleMakesALevelOfVolts(t *testing.T) {
	profile := func(rule string) (*Profile, error) {
		return Parse([]byte(`
profile: acme/one
version: "3"
vendor: Acme
model: One
kinds: [door]
source: invented for a test
interval: 1h
codec: binary
layouts: [{name: a, fields: [{name: v, type: u16, scale: 0.001}]}]
signals: {` + rule + "}\n"))
	}
	for rule, want := range map[string]float64{
		"battery.level: {field: v, curve: li-mno2}":                          60,
		"battery.level: {field: v, curve: alkaline, cells: 2}":               80,
		"battery.level: {field: v, curve: [[2.0, 0], [3.0, 100]]}":           80,
		"battery.level: {field: v, scale: 2, curve: [[4, 0], [6, 100]]}":     80,
		"manhole.level: {field: v, curve: [[0, 3], [2.8, 0.5], [4, 0.001]]}": 0.5,
	} {
		p, err := profile(rule)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		d, err := p.DecodePayload(1, []byte{0x0a, 0xf0}) // 2.8 V
		if err != nil || len(d.Readings) != 1 || math.Abs(d.Readings[0].Value-want) > 1e-9 {
			t.Errorf("%s: got %+v, %v: want %v", rule, d.Readings, err, want)
		}
	}
	for rule, want := range map[string]string{
		"battery.level: {field: v, curve: lead}":                   "curve is \"lead\": want points, or one of " + strings.Join(slices.Sorted(maps.Keys(chemistries)), ", "),
		"battery.level: {field: v, cells: 2}":                      "cells is 2: want a curve beside it",
		"battery.level: {field: v, curve: [[1, 2]]}":               "want 2 to 256 points",
		"battery.level: {field: v, curve: [[1, 2], [1, 3]]}":       "want rising values",
		"battery.level: {field: v, curve: [[1, 2, 3], [2, 3]]}":    "want points [value, result]",
		"battery.level: {field: v, curve: [[1,2],[2,3],[3,1]]}":    "the results rise and fall",
		"battery.level: {field: v, curve: alkaline, cells: -1}":    "cells of 1 or more",
		"temperature: {field: v, curve: alkaline}":                 `curve "alkaline" makes a battery.level only`,
		"battery.low: {field: v, curve: [[1, 0], [2, 1]]}":         "want no scale, offset or curve",
		"battery.level: {expr: v, curve: alkaline}":                "expr stands alone",
		"battery.level: {field: v, curve: {li-ion: 3}}":            "",
		"battery.level: {field: v, curve: alkaline, chemistry: x}": `unknown key "chemistry"`,
	} {
		if _, err := profile(rule); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %s", rule, err, want)
		}
	}
}
