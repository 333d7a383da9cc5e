package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/privacy"
)

func TestTheDoorOfAHomeIsKeptByTheHourAndNothingElseOfIt(t *testing.T) {
	classes := must[*privacy.Classes](t)(privacy.Parse("privacy.yaml", must[[]byte](t)(configs.FS.ReadFile("privacy.yaml"))))
	var kept *shelf
	r := newRig(t, func(c *Config) { kept = &shelf{Series: c.Series}; c.Series = kept; c.Privacy = classes })
	r.place(grid.Door, "home", doorDev)
	r.put(grid.Registration{Points: []grid.Point{{ID: "home", Name: "home", Kind: grid.Door, Mode: grid.Simulated, Privacy: grid.Dwelling, Scope: rigScope}}})
	start := r.now()
	for i := range 6 { // three openings, each with what rides on it
		r.clock.Add(int64(7 * time.Minute))
		r.say(doorDev, fmt.Sprintf(`{"door.open":%t,"battery.level":80,"seq":%d}`, i%2 == 0, i+1))
	}
	r.settle()
	if got := kept.of("door"); len(got) != 0 {
		t.Errorf("kept exactly: %q", got)
	}
	coarse := kept.of(influx.Dwelling)
	if len(coarse) != 3 {
		t.Fatalf("%q: want three openings", coarse)
	}
	hours := map[string]bool{}
	for i := range 7 {
		hours[privacy.Hour(start.Add(time.Duration(i)*7*time.Minute)).String()] = true
	}
	for _, line := range append(coarse, kept.of(influx.DeviceHealth)...) {
		ns := must[int64](t)(strconv.ParseInt(line[strings.LastIndexByte(line, ' ')+1:], 10, 64))
		at := time.Unix(0, ns).UTC()
		if !hours[privacy.Hour(at).String()] {
			t.Errorf("%q is of %s: want an hour of the readings", line, at)
		}
		for i := range 6 {
			if d := at.Sub(start.Add(time.Duration(i+1) * 7 * time.Minute)).Abs(); d < time.Second {
				t.Errorf("%q says when the door moved", line)
			}
		}
		if strings.HasPrefix(line, influx.Dwelling) && (strings.Contains(line, "battery") || strings.Contains(line, "rssi") || strings.Contains(line, "open=")) {
			t.Errorf("%q says more than that it was opened", line)
		}
	}
	again := slices.Clone(coarse)
	slices.Sort(again)
	if len(slices.Compact(again)) != 3 {
		t.Errorf("%q: want each opening once", coarse)
	}
}

func TestADoorOfABuildingIsKeptExactly(t *testing.T) {
	classes := must[*privacy.Classes](t)(privacy.Parse("privacy.yaml", must[[]byte](t)(configs.FS.ReadFile("privacy.yaml"))))
	var kept *shelf
	r := newRig(t, func(c *Config) { kept = &shelf{Series: c.Series}; c.Series = kept; c.Privacy = classes })
	r.place(grid.Door, "gate", doorDev)
	r.say(doorDev, `{"door.open":true,"seq":1}`)
	r.settle()
	if got := kept.of("door"); len(got) != 1 || len(kept.of(influx.Dwelling)) != 0 {
		t.Errorf("kept %q: want the reading itself", got)
	}
}
