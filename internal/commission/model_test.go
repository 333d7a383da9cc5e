package commission

import (
	"math/rand/v2"
	"testing"

	"gridgate/internal/grid"
)

// A door, its device and a technician, by chance: the door is moved, its device speaks at
// each move and now and then, frames take their time, one may be lost, and a person who does
// not lie says at some moments that the door is closed, and signs when it is.
type doorModel struct {
	r        *rand.Rand
	inverted bool
	lose     int // which frame is lost; -1: none
	sent     int
	open     bool
	s        *story
	arrive   int // when the newest frame arrives: they keep their order
}

func (m *doorModel) speak(at int) {
	m.sent++
	if m.sent-1 == m.lose {
		return
	}
	m.arrive = max(m.arrive, at+m.r.IntN(9))
	m.s.frame(m.arrive, open(m.open != m.inverted))
}

func (m *doorModel) run(t *testing.T) (state grid.VisitState, at int) {
	m.s = begin(t, grid.Door)
	m.s.photo(0)
	m.open = m.r.IntN(2) == 0
	for range 4 + m.r.IntN(14) {
		at += 1 + m.r.IntN(40)
		switch n := m.r.IntN(10); {
		case n < 5:
			m.open = !m.open
			m.speak(at)
		case n < 6:
			m.speak(at)
		case !m.open:
			m.s.say(at, "rest", grid.VisitWord{})
		}
	}
	if m.open {
		m.open = false
		m.speak(at)
	}
	at = max(at, m.arrive) + 15
	return m.s.sign(at, Pass), at
}

// The promise of polarity: an inverted contact never passes, whatever the order of things,
// also when one frame is lost. And a right one passes often enough to be of use.
func TestAnInvertedContactNeverPassesWhateverHappens(t *testing.T) {
	passed := 0
	for seed := range uint64(30_000) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &doorModel{r: r, inverted: seed%2 == 0, lose: -1}
		if seed%3 == 0 {
			m.lose = r.IntN(10)
		}
		state, _ := m.run(t)
		if state == grid.VisitPassed && m.inverted {
			t.Fatalf("seed %d: an inverted contact passes (frame %d is lost): %+v\nwords %+v", seed, m.lose, m.s.v.Frames, m.s.v.Words)
		}
		if state == grid.VisitPassed {
			passed++
		}
	}
	if passed < 1000 {
		t.Errorf("%d right contacts passed: the rule is of no use", passed)
	}
}

// FuzzVisit plays a visit of words, frames of this visit, frames of other times and the
// clock, in the order that the bytes say. It never passes without the device's own test
// frame from within the visit, and judging is the same twice.
func FuzzVisit(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{9, 9, 9, 2, 2, 2, 7, 7, 7, 1})
	steps := []string{"first_frame", "signal", "battery", "test", "tamper", "position", "photo"}
	f.Fuzz(func(t *testing.T, acts []byte) {
		s := begin(t, grid.Smoke)
		now, proof, signed := 0, false, false
		for _, a := range acts {
			now++
			switch a % 10 {
			case 0, 1, 2:
				w := grid.VisitWord{Step: steps[int(a/10)%len(steps)], Result: []grid.StepState{grid.StepPassed, grid.StepFailed, grid.StepSkipped}[a%3], At: second(now), Note: "so", Photo: "ph", Position: &grid.VisitPosition{}}
				if err := s.p.Say(&s.v, w); err != nil && len(s.v.Words) < MaxWords {
					t.Fatal(err)
				}
				s.judge(now)
			case 3: // of another visit
				at := second(-1 - int(a))
				if s.p.Takes(&s.v, at) {
					t.Fatal("a frame from before the visit is taken")
				}
			case 4: // long after it
				if at := second(now + 86_400); signed && s.p.Takes(&s.v, at) {
					t.Fatal("a frame from a day after the visit is taken")
				}
			case 5:
				s.frame(now, of(grid.BatteryLevel, 90))
			case 6:
				if s.p.Takes(&s.v, second(now)) {
					proof = true
				}
				s.frame(now, is(grid.TestPress, true))
			case 7:
				if !signed {
					signed = true
					s.sign(now, Pass)
				}
			default:
				s.judge(now)
			}
			if s.v.State == grid.VisitPassed && !proof {
				t.Fatalf("passed without a test frame: %+v", s.v)
			}
			if !s.v.Live() {
				break
			}
		}
		again := s.v
		s.p.Judge(&again, second(now))
		if s.v.Live() && again.State != s.v.State {
			t.Fatalf("judged again: %s, was %s", again.State, s.v.State)
		}
	})
}
