package alarm

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Case is an open ticket as others are compared with it.
type Case struct {
	Ticket   string
	Type     grid.EventType
	Point    string
	Building string
	Cell     string
	Place    string
	Lon, Lat float64 // WGS84; both 0: not known
	Opened   time.Time
	Live     bool
}

// How near in place and time two reports of one type may be about the same.
const (
	SimilarWithin = 2 * time.Hour
	similarMetres = 100
)

// maxSuggestions is how many are offered.
const maxSuggestions = 10

// Similar offers those of the open cases that may be about the same as c, best first:
// of the same point, or of the same type within 100 m, a building or a cell and two hours.
// It decides nothing: what is alike by chance must not hide one behind the other.
func Similar(c Case, open []Case) []grid.Suggestion {
	out := []grid.Suggestion{}
	for i := range open {
		o := &open[i]
		if o.Ticket == c.Ticket || o.Live != c.Live {
			continue
		}
		if l := alike(&c, o); l.score > 0 {
			out = append(out, grid.Suggestion{Ticket: o.Ticket, Type: o.Type, Place: o.Place, Opened: o.Opened, Score: l.score, Reason: l.reason, Why: l.why, Metres: l.metres})
		}
	}
	slices.SortFunc(out, func(a, b grid.Suggestion) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), b.Opened.Compare(a.Opened), strings.Compare(a.Ticket, b.Ticket))
	})
	return out[:min(len(out), maxSuggestions)]
}

// likeness is what speaks for it that two cases are one.
type likeness struct {
	score  int // 0: nothing
	why    string
	reason string
	metres int
}

// alike scores two cases.
func alike(c, o *Case) likeness {
	apart := c.Opened.Sub(o.Opened).Abs()
	soon := apart <= SimilarWithin
	when := fmt.Sprintf("%s apart", apart.Round(time.Minute))
	switch {
	case c.Point != "" && c.Point == o.Point && c.Type == o.Type:
		return likeness{score: 95, why: "point", reason: "same point and same event"}
	case c.Point != "" && c.Point == o.Point:
		return likeness{score: 60, why: "other_event", reason: fmt.Sprintf("same point, but %s", o.Type)}
	case c.Type != o.Type || !soon:
		return likeness{}
	case c.Building != "" && c.Building == o.Building:
		return likeness{score: 85, why: "building", reason: "same event in the same building, " + when}
	}
	if m, known := apartMetres(c, o); known {
		if m > similarMetres {
			return likeness{} // where both are known to the metre, the cell says less
		}
		return likeness{score: 90 - int(m*30/similarMetres), why: "distance", reason: fmt.Sprintf("same event %.0f m away, %s", m, when), metres: int(math.Round(m))}
	}
	if c.Cell != "" && c.Cell == o.Cell {
		return likeness{score: 50, why: "cell", reason: "same event in the same cell, " + when}
	}
	return likeness{}
}

func apartMetres(a, b *Case) (float64, bool) {
	if a.Lon == 0 && a.Lat == 0 || b.Lon == 0 && b.Lat == 0 {
		return 0, false
	}
	return Metres(a.Lon, a.Lat, b.Lon, b.Lat), true
}

// Metres is the distance of two positions, on a sphere: good to a percent within a city.
func Metres(lonA, latA, lonB, latB float64) float64 {
	const radius, deg = 6_371_000, math.Pi / 180
	x := (lonB - lonA) * deg * math.Cos((latA+latB)/2*deg)
	y := (latB - latA) * deg
	return radius * math.Hypot(x, y)
}
