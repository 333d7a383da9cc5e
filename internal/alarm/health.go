package alarm

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// Health says which alarms are of no use to operators, so that their cause is mended.
type Health struct {
	Chattering Chattering    `yaml:"chattering"`
	Fleeting   time.Duration `yaml:"fleeting"` // over before anybody could do anything
	Stale      time.Duration `yaml:"stale"`    // active for longer
}

// Chattering is an alarm that comes so many times within this time.
type Chattering struct {
	Activations int           `yaml:"activations"`
	Within      time.Duration `yaml:"within"`
}

func (h Health) check() error {
	if h.Chattering.Activations < 2 || h.Chattering.Within <= 0 || h.Fleeting <= 0 || h.Stale <= 0 {
		return fmt.Errorf("health is %d activations within %s, fleeting %s, stale %s: want 2 or more, and times above 0s",
			h.Chattering.Activations, h.Chattering.Within, h.Fleeting, h.Stale)
	}
	return nil
}

// Turn is one change of an episode: it became active, or went back to normal.
type Turn struct {
	Alarm  string
	Where  string // the point, or what stands for one
	Type   grid.EventType
	Active bool
	At     time.Time
}

// Nuisance is a source of alarms with how often it was one, the most often first.
type Nuisance struct {
	Where string         `json:"where"`
	Type  grid.EventType `json:"type"`
	Count int            `json:"count"`
	First time.Time      `json:"first"`
	Last  time.Time      `json:"last"`
}

type source struct {
	where string
	typ   grid.EventType
}

// Chatter gives the sources that were active so many times within the time, with how many
// activations took part. turns are in the order of time.
func (h Health) Chatter(turns []Turn) []Nuisance {
	recent := map[source][]time.Time{} // those that still count
	found := map[source]*Nuisance{}
	told := map[source]int{} // of recent: how many are counted already
	for i := range turns {
		t := &turns[i]
		if !t.Active {
			continue
		}
		key := source{t.Where, t.Type}
		all := append(recent[key], t.At)
		old := 0
		for t.At.Sub(all[old]) > h.Chattering.Within {
			old++
		}
		all, told[key] = all[old:], max(0, told[key]-old)
		recent[key] = all
		if h.Chattering.Activations > 0 && len(all) >= h.Chattering.Activations {
			found[key] = found[key].more(key, all[told[key]:])
			told[key] = len(all)
		}
	}
	return mostFirst(found)
}

// Fleets gives the sources of alarms that went back to normal within the time.
func (h Health) Fleets(turns []Turn) []Nuisance {
	began := map[string]time.Time{}
	found := map[source]*Nuisance{}
	for i := range turns {
		t := &turns[i]
		if t.Active {
			began[t.Alarm] = t.At
			continue
		}
		if at, ok := began[t.Alarm]; ok && t.At.Sub(at) < h.Fleeting {
			key := source{t.Where, t.Type}
			found[key] = found[key].more(key, []time.Time{at})
		}
		delete(began, t.Alarm)
	}
	return mostFirst(found)
}

// StaleOf gives the episodes that are active for longer than they should be, oldest first.
func (h Health) StaleOf(alarms []grid.Alarm, now time.Time) []grid.Alarm {
	out := []grid.Alarm{}
	for i := range alarms {
		if a := &alarms[i]; a.Active && h.Stale > 0 && now.Sub(a.Raised) > h.Stale {
			out = append(out, *a)
		}
	}
	slices.SortFunc(out, func(a, b grid.Alarm) int { return cmp.Or(a.Raised.Compare(b.Raised), cmp.Compare(a.ID, b.ID)) })
	return out
}

func (n *Nuisance) more(key source, at []time.Time) *Nuisance {
	if n == nil {
		n = &Nuisance{Where: key.where, Type: key.typ, First: at[0]}
	}
	n.Count += len(at)
	n.Last = at[len(at)-1]
	return n
}

func mostFirst(found map[source]*Nuisance) []Nuisance {
	out := make([]Nuisance, 0, len(found))
	for _, n := range found {
		out = append(out, *n)
	}
	slices.SortFunc(out, func(a, b Nuisance) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Where, b.Where), cmp.Compare(a.Type, b.Type))
	})
	return out
}
