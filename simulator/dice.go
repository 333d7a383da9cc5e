package simulator

import (
	"math"
	"time"
)

// dice are random numbers that follow from what they are for, so that nothing depends on
// the order in which things happen.
type dice uint64

// throw begins dice for a purpose.
func throw(seed uint64, keys ...uint64) dice {
	d := dice(seed)
	for _, k := range keys {
		d = dice(mix(uint64(d) ^ mix(k+0x9e3779b97f4a7c15)))
	}
	return d
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	return mix(uint64(*d))
}

// share is from 0 to below 1.
func (d *dice) share() float64 { return float64(d.next()>>11) / (1 << 53) }

func (d *dice) below(n int) int { return int(d.share() * float64(n)) }

// normal has mean 0 and deviation 1 (Box and Muller).
func (d *dice) normal() float64 {
	return math.Sqrt(-2*math.Log(1-d.share())) * math.Cos(2*math.Pi*d.share())
}

// exp has mean 1.
func (d *dice) exp() float64 { return -math.Log(1 - d.share()) }

// length is log-normal about a median, at least a second.
func (d *dice) length(median time.Duration, spread float64) time.Duration {
	return max(time.Duration(float64(median)*math.Exp(spread*d.normal())), time.Second)
}

// What dice are for.
const (
	forStart uint64 = iota + 1
	forLife
	forFrame
	forRadio
	forWeather
	forPlace
	forClock
	forFirmware
	forKey
)
