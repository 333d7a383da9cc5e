package gb26875

import (
	"time"

	"gridgate/internal/grid"
)

// Time is a time as it is on the wire: second, minute, hour, day, month, year since 2000.
type Time [6]byte

// Encoding is how a maker writes times. The frame does not say it, and most bytes would do
// for either: it is a setting.
type Encoding struct {
	BCD  bool          // two decimal digits a byte; the standard has plain binary
	Zone time.Duration // how far the device's clock is ahead of UTC
}

// Beijing time is 8 hours ahead of UTC; the standard knows no other.
const Beijing = 8 * time.Hour

// parts names the bytes of a Time and bounds them.
var parts = [6]struct {
	name     string
	min, max int
}{{"second", 0, 59}, {"minute", 0, 59}, {"hour", 0, 23}, {"day", 1, 31}, {"month", 1, 12}, {"year", 0, 99}}

// Time reads t. The error names the part that cannot be, for example a month of 18.
func (e Encoding) Time(t Time) (time.Time, error) {
	var v [6]int
	for i, b := range t {
		v[i] = int(b)
		if e.BCD {
			if b&15 > 9 || b>>4 > 9 {
				return time.Time{}, grid.Errorf(grid.Invalid, "time %x: %s is 0x%02x: want two decimal digits", t[:], parts[i].name, b)
			}
			v[i] = int(b>>4)*10 + int(b&15)
		}
		if p := &parts[i]; v[i] < p.min || v[i] > p.max {
			return time.Time{}, grid.Errorf(grid.Invalid, "time %x: %s is %d: want %d to %d", t[:], p.name, v[i], p.min, p.max)
		}
	}
	at := time.Date(2000+v[5], time.Month(v[4]), v[3], v[2], v[1], v[0], 0, time.UTC)
	if at.Day() != v[3] {
		return time.Time{}, grid.Errorf(grid.Invalid, "time %x: month %d of %d has no day %d", t[:], v[4], 2000+v[5], v[3])
	}
	return at.Add(-e.Zone), nil
}

// Put writes at, a time of this century, to the second.
func (e Encoding) Put(at time.Time) Time {
	at = at.UTC().Add(e.Zone)
	var t Time
	for i, v := range [6]int{at.Second(), at.Minute(), at.Hour(), at.Day(), int(at.Month()), at.Year() - 2000} {
		t[i] = byte(v)
		if e.BCD {
			t[i] = byte(v/10<<4 | v%10)
		}
	}
	return t
}
