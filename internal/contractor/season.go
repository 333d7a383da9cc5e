package contractor

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// Season is the batteries of a place that end within so many days, with what to buy and when each
// building is visited.
type Season struct {
	Within    int              `json:"within_days"`
	Stops     int              `json:"stops"` // buildings a day
	Points    int              `json:"points"`
	InRounds  int              `json:"in_rounds"` // of them, in a round that is planned already
	Unknown   int              `json:"unknown"`   // points of the place whose battery nobody can foretell yet
	Buy       []BatteryCount   `json:"buy"`
	Buildings []SeasonBuilding `json:"buildings"` // the first to be visited first
	Days      []SeasonDay      `json:"days"`
	Left      []grid.RoundLeft `json:"left"` // what found no day, and why
	Late      []grid.RoundLeft `json:"late"` // what ends before its day
}

// BatteryCount is how many batteries of a type.
type BatteryCount struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
}

// SeasonBuilding is one building of the season.
type SeasonBuilding struct {
	Key       string         `json:"key"`
	Place     string         `json:"place"`
	Day       string         `json:"day,omitempty"` // "": left, or in a round already
	Points    []SeasonPoint  `json:"points"`
	Batteries []BatteryCount `json:"batteries"`
}

// SeasonPoint is one battery to change.
type SeasonPoint struct {
	grid.BatteryEnd
	Name    string    `json:"name"`
	Floor   string    `json:"floor,omitempty"`
	Room    string    `json:"room,omitempty"`
	Ends    time.Time `json:"ends"`
	Battery string    `json:"battery"`
	Count   int       `json:"count"`
	Round   string    `json:"round,omitempty"` // that it is in already
}

// SeasonDay is one day's share.
type SeasonDay struct {
	Day       string         `json:"day"`
	Buildings int            `json:"buildings"`
	Points    int            `json:"points"`
	Batteries []BatteryCount `json:"batteries"`
}

// Ending is one battery that ends, and where.
type Ending struct {
	grid.BatteryEnd
	Point grid.Point
	Own   grid.Battery // as the device's own row says
	Round string
}

// SeasonOf plans the change of batteries over days, a building in one visit.
func (r *Rules) SeasonOf(all []Ending, days []Day, stops, within int, now time.Time) Season {
	s := Season{Within: within, Stops: stops, Points: len(all), Buildings: []SeasonBuilding{}, Days: []SeasonDay{}}
	var work []Candidate
	at := map[string]*SeasonBuilding{}
	for i := range all {
		e := &all[i]
		key := KeyOf(&e.Point)
		b := at[key]
		if b == nil {
			b = &SeasonBuilding{Key: key, Place: PlaceOf(&e.Point)}
			at[key] = b
		}
		p := r.seasonPoint(e, now)
		b.Points = append(b.Points, p)
		if e.Round != "" {
			s.InRounds++
			continue
		}
		work = append(work, r.BatteryWork(e, now))
	}
	plan := Plan(work, nil, days, stops, nil)
	s.Left, s.Late = plan.Left, plan.Late
	for _, round := range plan.Rounds {
		day := SeasonDay{Day: round.Day, Buildings: len(round.Stops)}
		for _, stop := range round.Stops {
			at[stop.Key].Day = round.Day
			day.Points += len(stop.Jobs)
			day.Batteries = addUp(day.Batteries, at[stop.Key].waiting())
		}
		s.Days = append(s.Days, day)
	}
	for _, b := range at {
		slices.SortFunc(b.Points, func(x, y SeasonPoint) int {
			return cmp.Or(x.Ends.Compare(y.Ends), cmp.Compare(x.BatteryEnd.Point, y.BatteryEnd.Point))
		})
		b.Batteries = addUp(nil, b.Points)
		s.Buildings = append(s.Buildings, *b)
	}
	slices.SortFunc(s.Buildings, func(x, y SeasonBuilding) int {
		if (x.Day == "") != (y.Day == "") { // those without a day last
			return cmp.Compare(y.Day, x.Day)
		}
		return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Key, y.Key))
	})
	for _, b := range s.Buildings {
		s.Buy = addUp(s.Buy, b.Points)
	}
	if s.Buy == nil {
		s.Buy = []BatteryCount{}
	}
	return s
}

func (r *Rules) seasonPoint(e *Ending, now time.Time) SeasonPoint {
	typ, count := r.Battery(e.Own, e.Profile)
	return SeasonPoint{
		BatteryEnd: e.BatteryEnd, Name: cmp.Or(e.Point.Name, e.Point.ID), Floor: e.Point.Floor, Room: e.Point.Room,
		Ends: endOf(&e.BatteryEnd, now), Battery: cmp.Or(typ, UnknownBattery), Count: count, Round: e.Round,
	}
}

// endOf is when a battery ends: what the device calls low ends now.
func endOf(b *grid.BatteryEnd, now time.Time) time.Time {
	return now.Add(time.Duration(max(0, b.Days) * 24 * float64(time.Hour))).Truncate(time.Minute)
}

// BatteryWork is the change of a battery as work for a round.
func (r *Rules) BatteryWork(e *Ending, now time.Time) Candidate {
	p := &e.Point
	return Candidate{
		Job: grid.Job{
			Ticket: e.Ticket, Type: grid.EventBatteryLow, Point: p.ID, Name: p.Name, Floor: p.Floor, Room: p.Room, Device: e.Device,
			Battery: r.BatteryWords(e.Own, e.Profile), Due: endOf(&e.BatteryEnd, now),
		},
		Key: KeyOf(p), Building: p.Building, Place: PlaceOf(p), Lon: p.Lon, Lat: p.Lat,
	}
}

// BatteryWords is the battery of a device in words: 2 × ER17505.
func (r *Rules) BatteryWords(own grid.Battery, profile string) string {
	typ, count := r.Battery(own, profile)
	if typ == "" {
		return ""
	}
	return fmt.Sprintf("%d × %s", count, typ)
}

// waiting are the points of a building that no round has yet.
func (b *SeasonBuilding) waiting() (out []SeasonPoint) {
	for _, p := range b.Points {
		if p.Round == "" {
			out = append(out, p)
		}
	}
	return out
}

func addUp(counts []BatteryCount, points []SeasonPoint) []BatteryCount {
	for _, p := range points {
		i := slices.IndexFunc(counts, func(c BatteryCount) bool { return c.Type == p.Battery })
		if i < 0 {
			i = len(counts)
			counts = append(counts, BatteryCount{Type: p.Battery})
		}
		counts[i].Count += p.Count
	}
	slices.SortFunc(counts, func(x, y BatteryCount) int { return cmp.Compare(x.Type, y.Type) })
	return counts
}
