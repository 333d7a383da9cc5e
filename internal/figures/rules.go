package figures

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// Rules are what figures.yaml says. They do not change after Parse.
type Rules struct {
	Zone         *time.Location
	Operators    int
	RepeatWithin time.Duration
	Top          int
	Flood        Flood
	Chattering   Chattering
	StaleAfter   time.Duration
	Targets      map[string]Target
	FalseAlarms  map[grid.Kind]Target
	InfluxDays   int
	Hotspots     HotspotRules
	Desk         LoadRules
	Sensor       SensorRules
	Names        map[string]string

	alarms map[grid.EventType]bool
}

// Flood says when a window has more than the desk can take.
type Flood struct {
	Window   time.Duration `yaml:"window"`
	MoreThan int           `yaml:"more_than"` // alarms in it for each operator
}

// Chattering says when a tag is raised too often.
type Chattering struct {
	Times  int           `yaml:"times"`
	Within time.Duration `yaml:"within"`
}

// Target is what a figure should be. Days is the least period that says something.
type Target struct {
	AtLeast *float64 `yaml:"at_least" json:"at_least,omitempty"`
	AtMost  *float64 `yaml:"at_most" json:"at_most,omitempty"`
	Days    int      `yaml:"days" json:"days,omitempty"`
}

// meets reports whether v is what is aimed at.
func (t Target) meets(v float64) bool {
	return (t.AtLeast == nil || v >= *t.AtLeast) && (t.AtMost == nil || v <= *t.AtMost)
}

func (t Target) check() error {
	if (t.AtLeast == nil) == (t.AtMost == nil) || t.Days < 0 {
		return errors.New(": want one of at_least and at_most, and days of 0 or more")
	}
	return nil
}

// HotspotRules say when a place is listed, and when no longer.
type HotspotRules struct {
	Window       time.Duration
	OneKind      int
	AnyKind      int
	Top          int
	Share        float64
	TopAlarms    int
	DelistAfter  time.Duration
	DelistAtMost int
	Priority     grid.Priority
	TitleZH      string
	TitleEN      string
}

// The file as it is written.
type rulesYAML struct {
	Operators    int                  `yaml:"operators"`
	RepeatWithin time.Duration        `yaml:"repeat_within"`
	Top          int                  `yaml:"top"`
	Flood        Flood                `yaml:"flood"`
	Chattering   Chattering           `yaml:"chattering"`
	StaleAfter   time.Duration        `yaml:"stale_after"`
	Alarms       []grid.EventType     `yaml:"alarms"`
	Targets      map[string]Target    `yaml:"targets"`
	FalseAlarms  map[grid.Kind]Target `yaml:"false_alarms"`
	InfluxDays   int                  `yaml:"influx_days"`
	Hotspots     hotspotsYAML         `yaml:"hotspots"`
	Load         LoadRules            `yaml:"load"`
	Sensors      SensorRules          `yaml:"sensors"`
	Names        map[string]string    `yaml:"names"`
}

type hotspotsYAML struct {
	Window       time.Duration `yaml:"window"`
	OneKind      int           `yaml:"one_kind"`
	AnyKind      int           `yaml:"any_kind"`
	Top          int           `yaml:"top"`
	Share        float64       `yaml:"share"`
	TopAlarms    int           `yaml:"top_alarms"`
	DelistAfter  time.Duration `yaml:"delist_after"`
	DelistAtMost int           `yaml:"delist_at_most"`
	Priority     grid.Priority `yaml:"priority"`
	Title        struct {
		ZH string `yaml:"zh"`
		EN string `yaml:"en"`
	} `yaml:"title"`
}

// Parse reads a file of figures. name stands in errors, which name the key and the wish.
// Unknown keys are errors. calendars give the zone in which days begin.
func Parse(name string, data []byte, calendars *calendar.Calendars) (*Rules, error) {
	var f rulesYAML
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: %s", name, yaml.FormatError(err, false, false))
	}
	if err := f.check(); err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", name, err)
	}
	h := f.Hotspots
	r := &Rules{
		Zone: calendars.Zone(), Operators: f.Operators, RepeatWithin: f.RepeatWithin, Top: f.Top, Flood: f.Flood, Chattering: f.Chattering,
		StaleAfter: f.StaleAfter, Targets: f.Targets, FalseAlarms: f.FalseAlarms, InfluxDays: f.InfluxDays, Names: f.Names, Desk: f.Load, Sensor: f.Sensors,
		Hotspots: HotspotRules{
			Window: h.Window, OneKind: h.OneKind, AnyKind: h.AnyKind, Top: h.Top, Share: h.Share, TopAlarms: h.TopAlarms,
			DelistAfter: h.DelistAfter, DelistAtMost: h.DelistAtMost, Priority: h.Priority, TitleZH: h.Title.ZH, TitleEN: h.Title.EN,
		},
		alarms: map[grid.EventType]bool{},
	}
	for _, t := range f.Alarms {
		r.alarms[t] = true
	}
	return r, nil
}

func (f *rulesYAML) check() error {
	for _, c := range []struct {
		key  string
		good bool
		wish string
	}{
		{"operators", f.Operators > 0, "1 or more"},
		{"repeat_within", f.RepeatWithin > 0, "a time such as 720h"},
		{"top", f.Top > 0, "1 or more"},
		{"flood", f.Flood.Window >= time.Minute && f.Flood.MoreThan > 0 && time.Hour%f.Flood.Window == 0, "a window that divides an hour, and more_than"},
		{"chattering", f.Chattering.Times > 1 && f.Chattering.Within > 0, "times of 2 or more, and within"},
		{"stale_after", f.StaleAfter > 0, "a time such as 24h"},
		{"alarms", len(f.Alarms) > 0, "at least one event type"},
		{"load", f.Load.Acceptable > 0 && f.Load.Manageable > f.Load.Acceptable && f.Load.Peaks > 0 && f.Load.Peaks <= 100, "acceptable, manageable above it, and peaks of 1 to 100"},
		{"sensors", len(f.Sensors.Silent) > 0 && len(f.Sensors.Battery) > 0 && len(f.Sensors.Fault) > 0, "event types for silent, battery and fault"},
		{"influx_days", f.InfluxDays >= 0 && f.InfluxDays <= 60, "0 to 60"},
		{"hotspots.window", f.Hotspots.Window > 0, "a time such as 720h"},
		{"hotspots", f.Hotspots.OneKind > 0 && f.Hotspots.AnyKind > 0 && f.Hotspots.Top >= 0 && f.Hotspots.TopAlarms >= 0, "one_kind and any_kind of 1 or more"},
		{"hotspots.share", f.Hotspots.Share >= 0 && f.Hotspots.Share < 1, "a share from 0 to 1"},
		{"hotspots.delist_after", f.Hotspots.DelistAfter > 0 && f.Hotspots.DelistAtMost >= 0, "a time such as 1440h, and delist_at_most"},
		{"hotspots.priority", f.Hotspots.Priority >= 1 && f.Hotspots.Priority <= 4, "1 to 4"},
		{"hotspots.title", f.Hotspots.Title.ZH != "" && f.Hotspots.Title.EN != "", "zh and en"},
	} {
		if !c.good {
			return fmt.Errorf("%s: want %s", c.key, c.wish)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.Targets)) {
		if !slices.ContainsFunc(formulas, func(x formula) bool { return x.key == key }) {
			return fmt.Errorf("targets: %q is no figure: want one of %v", key, keys())
		}
		if err := f.Targets[key].check(); err != nil {
			return fmt.Errorf("targets.%s%w", key, err)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(f.FalseAlarms)) {
		if _, err := grid.ParseKind(string(kind)); err != nil {
			return fmt.Errorf("false_alarms: %w", err)
		}
		if err := f.FalseAlarms[kind].check(); err != nil {
			return fmt.Errorf("false_alarms.%s%w", kind, err)
		}
	}
	return nil
}

// name is what people call a code; "" when it has no name.
func (r *Rules) name(code string) string { return r.Names[code] }
