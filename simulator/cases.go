package simulator

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/grid"
)

// playable is a model without an encoder of ours: it plays the payloads that its profile
// shows. Such frames prove the way through the gateway, and nothing of the profile.
type playable struct {
	profile string
	cases   []playedCase
	paths   bool // LwM2M values: their path and format go before the payload
}

// playedCase is a payload with what it means.
type playedCase struct {
	Port   *int   `yaml:"port"`
	Format uint16 `yaml:"format"`
	Path   string `yaml:"path"`
	Hex    string `yaml:"hex"`
	Text   string `yaml:"text"`
	Error  string `yaml:"error"`
	Want   struct {
		Readings map[string]any `yaml:"readings"`
		At       string         `yaml:"at"`
		Time     string         `yaml:"time"`
		Timed    []any          `yaml:"timed"`
		History  []any          `yaml:"history"`
		Suspect  []any          `yaml:"suspect"`
		Warnings []any          `yaml:"warnings"`
		Restart  bool           `yaml:"restart"`
		Answer   bool           `yaml:"answer"`
	} `yaml:"want"`

	payload []byte
}

// profileHead is what a model without an encoder must know of its profile.
type profileHead struct {
	Model    string        `yaml:"model"`
	Kinds    []grid.Kind   `yaml:"kinds"`
	Extends  string        `yaml:"extends"`
	Interval time.Duration `yaml:"interval"`
	Codec    string        `yaml:"codec"`
	Identify struct {
		EUI []string `yaml:"eui"`
	} `yaml:"identify"`
}

// modelFromCases makes a model of a profile's cases.
func modelFromCases(profile string) (*Model, error) {
	head, err := readHead(profile, 3)
	if err != nil {
		return nil, grid.Errorf(grid.NotFound, "model is %q: want a profile of firmware-profiles, for example milesight/ws301", profile)
	}
	if why, not := notPlayed[profile]; not {
		return nil, grid.Errorf(grid.NotFound, "model %s is not played: %s", profile, why)
	}
	p := &playable{profile: profile}
	raw, err := fs.ReadFile(firmwareprofiles.FS, profile+"/cases.yaml")
	if err != nil {
		return nil, grid.Errorf(grid.NotFound, "model %s has no cases to play: want cases.yaml", profile)
	}
	var file struct {
		Cases []playedCase `yaml:"cases"`
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("cases of %s: %w", profile, err)
	}
	for _, c := range file.Cases {
		w := &c.Want
		// What says a time of its own would say it again and again.
		if c.Error != "" || w.Answer || w.At != "" || w.Time != "" || len(w.Timed)+len(w.History)+len(w.Suspect)+len(w.Warnings) > 0 || len(w.Readings) == 0 {
			continue
		}
		if head.Codec == "modbus" {
			var both bool
			if c.payload, both = fromExchange(c.Hex); both {
				p.cases = append(p.cases, c)
			}
			continue
		}
		if c.payload = []byte(c.Text); c.Text == "" {
			if c.payload, err = hex.DecodeString(strings.ReplaceAll(c.Hex, " ", "")); err != nil {
				continue
			}
		}
		p.cases = append(p.cases, c)
	}
	m := &Model{Profile: profile, Name: head.Model, Interval: head.Interval, played: p}
	if len(head.Kinds) > 0 {
		m.Kind, m.also = head.Kinds[0], head.Kinds[1:]
	}
	if m.Interval <= 0 {
		m.Interval = 24 * time.Hour
	}
	switch {
	case len(p.cases) == 0 || m.Kind == "":
		return nil, grid.Errorf(grid.NotFound, "model %s has no case that can be played: want one that says a state and no time", profile)
	case head.Codec == "lwm2m":
		m.Form, p.paths = Resources, true
	case head.Codec == "modbus":
		m.Form = Register
	case head.Codec == "gbt26875":
		return nil, grid.Errorf(grid.NotFound, "model %s is not played: want gbt26875/transmitter", profile)
	case p.cases[0].Text != "" && p.cases[0].Port == nil:
		m.Form = JSON
	}
	m.encode = p.encode
	return m, nil
}

// notPlayed are profiles whose cases cannot be played, with the reason.
var notPlayed = map[string]string{
	"enginko/level":      "each of its cases tells a time of its own, which would be told again and again",
	"gbt26875/fubei":     "no published frame says how a detector behind it reports smoke; want gbt26875/transmitter",
	"gridgate/sparkplug": "a frame means nothing without the birth certificate before it, which each session says anew; want gridgate/json",
}

// readHead reads what a profile says, or what it extends.
func readHead(profile string, deep int) (head profileHead, err error) {
	raw, err := fs.ReadFile(firmwareprofiles.FS, profile+"/profile.yaml")
	if err != nil {
		return head, err
	}
	if err := yaml.Unmarshal(raw, &head); err != nil {
		return head, err
	}
	if head.Extends == "" || deep == 0 {
		return head, nil
	}
	base, err := readHead(head.Extends, deep-1)
	if err != nil {
		return head, err
	}
	if head.Model == "" {
		head.Model = base.Model
	}
	if len(head.Kinds) == 0 {
		head.Kinds = base.Kinds
	}
	if head.Interval == 0 {
		head.Interval = base.Interval
	}
	if head.Codec == "" {
		head.Codec = base.Codec
	}
	return head, nil
}

// mainSignals of a kind: what a frame must say to be of use.
var mainSignals = map[grid.Kind][]string{
	grid.Door:    {"door.open"},
	grid.Parking: {"parking.occupied"},
	grid.Manhole: {"manhole.open", "manhole.flooded", "manhole.level", "manhole.gap", "manhole.tilt"},
	grid.Smoke:   {"smoke.alarm", "heat.alarm"},
}

// truth is a state in the gateway's signals.
func (s State) truth() map[string]any {
	return map[string]any{
		"door.open": s.Open, "parking.occupied": s.Occupied, "manhole.open": s.tipped(), "manhole.flooded": s.flooded(),
		"smoke.alarm": s.Smoke, "heat.alarm": s.Heat, "smoke.hush": s.Mute, "removed": s.Removed, "tamper": s.Tamper, "test": s.Test, "fault": s.Fault,
		"smoke.dirty": false, "smoke.interconnect": false, "end_of_life": false,
		"battery.low": s.batteryLow(), "battery.level": float64(s.Battery), "temperature": s.Celsius, "battery.voltage": s.volts(),
		"manhole.tilt": math.Abs(s.Tilt), "manhole.level": s.levelM(), "manhole.gap": float64(s.LevelMM) / 1000,
	}
}

// pick finds the case that fits a state best; nil: none says it.
func (p *playable) pick(s State, kind grid.Kind, why Why) *playedCase {
	truth := s.truth()
	known := map[string]bool{}
	for i := range p.cases {
		for signal := range p.cases[i].Want.Readings {
			known[signal] = true
		}
	}
	var best *playedCase
	least := math.Inf(1)
	for i := range p.cases {
		c := &p.cases[i]
		if c.Want.Restart != (why == Startup) && c.Want.Restart {
			continue
		}
		if off, fits := c.distance(truth, kind, known); fits && off < least {
			best, least = c, off
		}
	}
	return best
}

// distance says how far a case is from the truth, and whether it says what matters: the
// main signals, and everything that is wrong and can be said by this model.
func (c *playedCase) distance(truth map[string]any, kind grid.Kind, known map[string]bool) (off float64, fits bool) {
	has, silent := false, map[string]bool{}
	for name, want := range truth {
		if flag, _ := want.(bool); flag && known[name] {
			silent[name] = true // about what is wrong, until it is said
		}
	}
	for name, got := range c.Want.Readings {
		if strings.Contains(name, "@") {
			continue // of another channel: the point is at the first
		}
		has = has || slices.Contains(mainSignals[kind], name)
		delete(silent, name)
		switch want := truth[name].(type) {
		case bool:
			if got != want {
				return 0, false // it would say what is not so
			}
		case float64:
			off += math.Abs(numeric(got)-want) / scaleOf[name]
		}
	}
	return off, has && len(silent) == 0
}

// scaleOf numbers: a difference of so much is as bad as any.
var scaleOf = map[string]float64{"battery.level": 30, "temperature": 10, "battery.voltage": 0.5, "manhole.tilt": 20, "manhole.level": 0.3, "manhole.gap": 0.3}

func numeric(v any) float64 {
	switch n := v.(type) {
	case float64:
		return n
	case uint64:
		return float64(n)
	case int64:
		return float64(n)
	case int:
		return float64(n)
	}
	return 0
}

func (p *playable) encode(s State, m memory, why Why, _ time.Time) (int, []byte) {
	c := p.pick(s, m.kind, why)
	if c == nil {
		return -1, nil
	}
	if p.paths {
		return -1, append(be16(append([]byte(c.Path), 0), c.Format), c.payload...)
	}
	if c.Port == nil {
		return -1, slices.Clone(c.payload)
	}
	return *c.Port, slices.Clone(c.payload)
}

// says reports whether the model has words for a state.
func (m *Model) says(s State, kind grid.Kind, why Why) error {
	if m.played != nil && m.played.pick(s, kind, why) == nil {
		return grid.Errorf(grid.NotFound, "model %s shows no frame for this state: want another model", m.Profile)
	}
	return nil
}
