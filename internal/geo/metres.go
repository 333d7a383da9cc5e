package geo

import "math"

// WGS84's ellipsoid.
const (
	earthA    = 6378137.0
	earthE2   = 0.00669437999014
	earthMean = 6371008.8
	degree    = math.Pi / 180
)

// scale is how many metres a degree of longitude and of latitude are at a latitude.
func scale(lat float64) (east, north float64) {
	sin, cos := math.Sincos(lat * degree)
	w := 1 - earthE2*sin*sin
	return earthA / math.Sqrt(w) * cos * degree, earthA * (1 - earthE2) / (w * math.Sqrt(w)) * degree
}

// near is up to where the earth counts as flat, in degrees: about 50 km, and a millimetre off.
const near = 0.5

// Metres is how far two positions in WGS84 are apart.
func Metres(lon1, lat1, lon2, lat2 float64) float64 {
	dx, dy := lon2-lon1, lat2-lat1
	if math.Abs(dx) < near && math.Abs(dy) < near {
		east, north := scale((lat1 + lat2) / 2)
		return math.Hypot(dx*east, dy*north)
	}
	a, b := math.Sin(dy*degree/2), math.Sin(dx*degree/2)
	return 2 * earthMean * math.Asin(math.Min(1, math.Sqrt(a*a+math.Cos(lat1*degree)*math.Cos(lat2*degree)*b*b)))
}
