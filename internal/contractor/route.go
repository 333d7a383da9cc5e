package contractor

import (
	"cmp"
	"math"
	"slices"

	"gridgate/internal/grid"
)

// earthM is the mean radius of the earth.
const earthM = 6_371_008.8

// Distance is how far two positions in WGS-84 are from one another, as the crow flies, in
// metres.
func Distance(a, b grid.Spot) float64 {
	rad := func(deg float64) float64 { return deg * math.Pi / 180 }
	sinLat, sinLon := math.Sin(rad(b.Lat-a.Lat)/2), math.Sin(rad(b.Lon-a.Lon)/2)
	h := sinLat*sinLat + math.Cos(rad(a.Lat))*math.Cos(rad(b.Lat))*sinLon*sinLon
	return 2 * earthM * math.Asin(math.Min(1, math.Sqrt(h)))
}

// maxPasses bounds the exchange of legs; a few are enough for a day's stops.
const maxPasses = 50

// Order puts stops in the order of a way past all of them: the nearest next, then pairs of
// legs are exchanged while that shortens it. It begins nearest to start, without one in the west.
// Stops without a position come last. The same stops give the same way, in whatever order
// they are given.
func Order(stops []grid.Stop, start *grid.Spot) []grid.Stop {
	var placed, rest []grid.Stop
	for _, s := range stops {
		if s.Lon != 0 || s.Lat != 0 {
			placed = append(placed, s)
		} else {
			rest = append(rest, s)
		}
	}
	byKey := func(a, b grid.Stop) int { return cmp.Compare(a.Key, b.Key) }
	slices.SortFunc(rest, byKey)
	slices.SortFunc(placed, func(a, b grid.Stop) int {
		return cmp.Or(cmp.Compare(a.Lon, b.Lon), cmp.Compare(a.Lat, b.Lat), byKey(a, b))
	})
	way := nearestNext(placed, start)
	uncross(way, start)
	return append(way, rest...)
}

func spot(s *grid.Stop) grid.Spot { return grid.Spot{Lon: s.Lon, Lat: s.Lat} }

func nearestNext(stops []grid.Stop, start *grid.Spot) []grid.Stop {
	left := slices.Clone(stops)
	way := make([]grid.Stop, 0, len(left))
	at := start
	for len(left) > 0 {
		best := 0
		if at != nil {
			for i := range left {
				if Distance(*at, spot(&left[i])) < Distance(*at, spot(&left[best])) {
					best = i
				}
			}
		}
		way = append(way, left[best])
		here := spot(&left[best])
		at = &here
		left = slices.Delete(left, best, best+1)
	}
	return way
}

// uncross turns parts of the way round while that makes it shorter (2-opt on an open path).
func uncross(way []grid.Stop, start *grid.Spot) {
	from := func(i int) *grid.Spot {
		if i == 0 {
			return start
		}
		s := spot(&way[i-1])
		return &s
	}
	leg := func(a *grid.Spot, i int) float64 {
		if a == nil || i == len(way) {
			return 0
		}
		return Distance(*a, spot(&way[i]))
	}
	for range maxPasses {
		shorter := false
		for i := range way {
			for k := i + 1; k < len(way); k++ {
				first, last := spot(&way[i]), spot(&way[k])
				now := leg(from(i), i) + leg(&last, k+1)
				turned := leg(from(i), k) + leg(&first, k+1)
				if turned < now-1e-6 {
					slices.Reverse(way[i : k+1])
					shorter = true
				}
			}
		}
		if !shorter {
			return
		}
	}
}

// Number gives stops their numbers and the lengths of their legs, and says how long the way
// is.
func Number(stops []grid.Stop, start *grid.Spot) (lengthM float64) {
	at := start
	for i := range stops {
		s := &stops[i]
		s.N, s.LegM = i+1, 0
		if s.Lon == 0 && s.Lat == 0 {
			continue
		}
		here := spot(s)
		if at != nil {
			s.LegM = math.Round(Distance(*at, here))
		}
		at = &here
		lengthM += s.LegM
	}
	return lengthM
}
