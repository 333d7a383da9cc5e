package alarm

import "time"

// Battery is the trend of a battery's level: a straight line through the days that were
// heard, in which a day weighs half after 20 more. It takes little room: there is one per
// device. The zero Battery has heard nothing.
type Battery struct {
	Day, First      uint16 // days since 2020: the newest heard, and the first
	n, x, y, xx, xy float32
}

const (
	batteryEmpty = 10            // per cent at which a device is about to fall silent
	batteryAge   = 14            // days that must be heard before anything is foretold
	batteryDecay = 0.966         // of the weight of a day, each day: half in 20
	batterySwap  = 20            // per cent that no battery gains by itself
	batteryFlat  = 0.005         // per cent a day that are no loss at all
	BatteryMost  = float64(3650) // days: longer is not foretold
)

var batteryEpoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Hear adds a level in per cent; of each day the first counts. A level far above the line
// is another battery, and the trend begins anew.
func (b Battery) Hear(level float64, at time.Time) (next Battery, news bool) {
	days := at.Sub(batteryEpoch) / (24 * time.Hour)
	if days < 1 || days > 1<<16-1 || b.Day != 0 && uint16(days) <= b.Day {
		return b, false
	}
	day := uint16(days)
	now, slope := b.line()
	if b.Day == 0 || level > now+float64(slope)*float64(day-b.Day)+batterySwap {
		return Battery{Day: day, First: day, n: 1, y: float32(level)}, true
	}
	gap := float32(day - b.Day)
	fade := float32(1)
	for range min(int(gap), 365) {
		fade *= batteryDecay
	}
	next = Battery{Day: day, First: b.First}
	next.xy = fade * (b.xy - gap*b.y)
	next.xx = fade * (b.xx - 2*gap*b.x + gap*gap*b.n)
	next.x = fade * (b.x - gap*b.n)
	next.n, next.y = fade*b.n+1, fade*b.y+float32(level)
	return next, true
}

// line gives the level on the newest day and its change a day.
func (b Battery) line() (now, slope float64) {
	n, x, y, xx, xy := float64(b.n), float64(b.x), float64(b.y), float64(b.xx), float64(b.xy)
	if n == 0 {
		return 0, 0
	}
	if d := n*xx - x*x; d > 1e-6 {
		slope = (n*xy - x*y) / d
	}
	return (y - slope*x) / n, slope
}

// DaysLeft foretells when the battery is empty, in days from the newest that was heard;
// known is false until two weeks were heard. A battery that loses nothing has BatteryMost.
func (b Battery) DaysLeft() (days float64, known bool) {
	if b.Day < b.First+batteryAge {
		return 0, false
	}
	now, slope := b.line()
	if slope > -batteryFlat {
		return BatteryMost, true
	}
	return min(max(0, (now-batteryEmpty)/-slope), BatteryMost), true
}

// Sums and SetSums are the sums behind the line, for keeping them.
func (b Battery) Sums() [5]float32 { return [5]float32{b.n, b.x, b.y, b.xx, b.xy} }

// SetSums is the inverse of Sums.
func (b *Battery) SetSums(s [5]float32) { b.n, b.x, b.y, b.xx, b.xy = s[0], s[1], s[2], s[3], s[4] }

// BatteryHeard is the day on which the level of a battery was heard last.
func BatteryHeard(b Battery) time.Time { return batteryEpoch.AddDate(0, 0, int(b.Day)) }
