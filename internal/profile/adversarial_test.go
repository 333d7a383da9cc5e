package profile_test

import (
	"slices"
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// A frame of a smoke detector, where in it the fire stands, and where a byte stands that
// says nothing of fire, heat and what kind of frame it is.
type fireFrame struct {
	profile string
	port    int
	frame   []byte // of a fire
	fire    int
	other   []int
}

var fireFrames = []fireFrame{
	{"netvox/ra02a", 6, []byte{0x01, 0x0a, 0x01, 0x1d, 1, 0, 0x00, 0xe6, 0, 0, 0}, 4, []int{3, 6, 7, 8, 9, 10}},
	{"yobiiq/sd-1001", 8, []byte{1, 0x75, 99, 2, 0x0b, 1, 3, 0, 0, 4, 0, 0, 5, 0, 1, 6, 0, 0, 7, 0, 0}, 14, []int{2, 5, 8, 11, 17, 20}},
}

// alarm is what a frame says of smoke, and whether it says it.
func alarm(d grid.Decoded) (on, said bool) {
	for _, r := range d.Readings {
		if r.Signal == grid.SmokeAlarm {
			return r.Bool(), true
		}
	}
	return false, false
}

func changed(frame []byte, at int, to byte) []byte {
	out := slices.Clone(frame)
	out[at] = to
	return out
}

func TestOneStrangeByteHidesNoFireAndInventsNone(t *testing.T) {
	set := loadAll(t)
	for _, f := range fireFrames {
		p, err := set.Get(f.profile)
		if err != nil {
			t.Fatal(err)
		}
		for _, fire := range []bool{true, false} {
			frame := f.frame
			if !fire {
				frame = changed(frame, f.fire, 0)
			}
			for _, at := range f.other {
				for to := range 256 {
					strange := changed(frame, at, byte(to))
					d, err := p.DecodePayload(f.port, strange)
					if on, said := alarm(d); err != nil || !said || on != fire {
						t.Errorf("%s %x: got alarm %t (said %t), %v: want alarm %t", f.profile, strange, on, said, err, fire)
					}
				}
			}
		}
		for to := range 256 {
			strange := changed(f.frame, f.fire, byte(to))
			d, err := p.DecodePayload(f.port, strange)
			on, said := alarm(d)
			switch {
			case to <= 1 && (err != nil || !said || on != (to == 1)):
				t.Errorf("%s %x: got alarm %t (said %t), %v: want alarm %t", f.profile, strange, on, said, err, to == 1)
			case to > 1 && err == nil:
				t.Errorf("%s %x: got alarm %t (said %t): want an error", f.profile, strange, on, said)
			}
		}
	}
}

func TestAFrameOfAFireThatIsCutOffSaysFireOrNothing(t *testing.T) {
	set := loadAll(t)
	for _, f := range fireFrames {
		p, err := set.Get(f.profile)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n < len(f.frame); n++ {
			d, err := p.DecodePayload(f.port, f.frame[:n])
			on, said := alarm(d)
			switch {
			case said && !on:
				t.Errorf("%s %x: says that there is no fire", f.profile, f.frame[:n])
			case err == nil && !said && n > f.fire && len(d.Warnings) == 0 && !d.Answer:
				t.Errorf("%s %x: the fire is gone, and nothing says so", f.profile, f.frame[:n])
			}
		}
		longer := append(slices.Clone(f.frame), 0)
		if d, err := p.DecodePayload(f.port, longer); err == nil {
			if on, _ := alarm(d); !on || len(d.Warnings) == 0 {
				t.Errorf("%s %x: got alarm %t, warnings %q: want the fire, and word of the byte too many", f.profile, longer, on, d.Warnings)
			}
		}
	}
}

// Whatever a smoke detector sends that is not one of its frames, no profile for smoke
// may read a fire out of it.
func TestNoiseIsNoFire(t *testing.T) {
	set := loadAll(t)
	var noise [][]byte
	for n := 4; n <= 64; n++ {
		for _, b := range []byte{0x00, 0x01, 0x55, 0x80, 0xff} {
			noise = append(noise, slices.Repeat([]byte{b}, n))
		}
	}
	for _, p := range set.List() {
		if !p.IsSmoke() || p.Codec != "binary" && p.Codec != "tlv" {
			continue
		}
		noFire(t, p, noise)
	}
}

func noFire(t *testing.T, p *profile.Profile, noise [][]byte) {
	t.Helper()
	for _, port := range append([]int{-1, 0, 1, 255}, p.Ports...) {
		for _, b := range noise {
			d, err := p.DecodePayload(port, b)
			if err != nil {
				continue
			}
			if on, _ := alarm(d); on {
				t.Errorf("%s port %d %x: reads a fire", p.ID, port, b)
			}
		}
	}
}
