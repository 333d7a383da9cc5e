// Package privacy says what of a place is kept, shown and forgotten by whose space it looks
// into: the classes of points. The door of a home tells who is in, and when.
//
// Classes are data (configs/privacy.yaml); nothing here has state.
package privacy

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
)

// Detail is how closely readings of a place are kept or shown.
type Detail string

// Details.
const (
	Exact   Detail = "exact"  // as they come
	Coarse  Detail = "coarse" // kept: openings counted by the hour; shown: how the device is, to the hour
	Nothing Detail = "none"   // neither kept nor shown
)

// Class is what holds for the points of one privacy.
type Class struct {
	Doors        Detail `yaml:"doors"`         // readings of its doors, in InfluxDB and in the history
	LiveDoors    Detail `yaml:"live_doors"`    // what is shown of them now
	ReadingsDays int    `yaml:"readings_days"` // of its doors in InfluxDB; 0: as long as the bucket keeps them
	ContactsDays int    `yaml:"contacts_days"` // after the point was retired; 0: until somebody erases them
	EvidenceDays int    `yaml:"evidence_days"` // photos behind its tickets, after the ticket ended; 0: until somebody erases them
	PhotosDays   int    `yaml:"photos_days"`   // its own photos and visits, after the point was retired; 0: until somebody erases them
	Audited      bool   `yaml:"audited"`       // who looks at its history, frames or live values stands in the audit
}

// Classes are what privacy.yaml says. The zero Classes keep and show everything.
type Classes struct {
	classes map[grid.Privacy]Class
}

type fileYAML struct {
	Classes map[grid.Privacy]Class `yaml:"classes"`
}

// maxDays bounds what may be set: ten years.
const maxDays = 3660

// all are the classes there are.
var all = [...]grid.Privacy{grid.PublicSpace, grid.SharedBuilding, grid.Dwelling}

// Parse reads privacy.yaml, strictly.
func Parse(name string, data []byte) (*Classes, error) {
	var f fileYAML
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: %s", name, yaml.FormatError(err, false, false))
	}
	var wrong []error
	for p, c := range f.Classes {
		want := func(ok bool, format string, args ...any) {
			if !ok {
				wrong = append(wrong, grid.Errorf(grid.Invalid, "%s: classes.%s."+format, append([]any{name, p}, args...)...))
			}
		}
		if !slices.Contains(all[:], p) {
			wrong = append(wrong, grid.Errorf(grid.Invalid, "%s: classes.%s is no class: want public_space, shared_building or dwelling", name, p))
		}
		details := []Detail{Exact, Coarse, Nothing}
		want(slices.Contains(details, c.Doors), "doors is %q: want exact, coarse or none", c.Doors)
		want(slices.Contains(details, c.LiveDoors), "live_doors is %q: want exact, coarse or none", c.LiveDoors)
		want(c.ReadingsDays >= 0 && c.ReadingsDays <= maxDays, "readings_days is %d: want 0 (as the bucket) to %d", c.ReadingsDays, maxDays)
		want(c.ContactsDays >= 0 && c.ContactsDays <= maxDays, "contacts_days is %d: want 0 (until erased) to %d", c.ContactsDays, maxDays)
		want(c.EvidenceDays >= 0 && c.EvidenceDays <= maxDays, "evidence_days is %d: want 0 (until erased) to %d", c.EvidenceDays, maxDays)
		want(c.PhotosDays >= 0 && c.PhotosDays <= maxDays, "photos_days is %d: want 0 (until erased) to %d", c.PhotosDays, maxDays)
		want(c.Doors != Exact || c.ReadingsDays == 0, "readings_days is %d and doors is exact: want coarse or none, what is exact is one measurement for all classes", c.ReadingsDays)
	}
	for _, p := range all {
		if _, ok := f.Classes[p]; !ok {
			wrong = append(wrong, grid.Errorf(grid.Invalid, "%s: classes.%s is missing: want each class", name, p))
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return &Classes{f.Classes}, nil
}

// Of is what holds for a class; without one, and in the zero Classes, everything is kept and shown.
func (c *Classes) Of(p grid.Privacy) Class {
	if c != nil {
		if class, ok := c.classes[p]; ok {
			return class
		}
	}
	return Class{Doors: Exact, LiveDoors: Exact}
}

// Hour is the hour that t is in: what is coarse has no finer time.
func Hour(t time.Time) time.Time { return t.UTC().Truncate(time.Hour) }

// ReadingsDays is how long coarse readings are kept, by the class that keeps them shortest: they
// are one measurement. 0: as long as the bucket keeps them.
func (c *Classes) ReadingsDays() (days int) {
	if c == nil {
		return 0
	}
	for _, class := range c.classes {
		if class.ReadingsDays > 0 && (days == 0 || class.ReadingsDays < days) {
			days = class.ReadingsDays
		}
	}
	return days
}
