package commission

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func open(v bool) grid.VisitReading { return is(grid.DoorOpen, v) }

// wholeDoor does everything at a door but the edges.
func wholeDoor(t *testing.T) *story {
	s := begin(t, grid.Door)
	s.frame(5, open(false), of(grid.BatteryLevel, 98))
	s.photo(6)
	return s
}

func TestADoorThatIsOpenedAndClosedPasses(t *testing.T) {
	s := wholeDoor(t)
	s.say(10, "rest", grid.VisitWord{})
	s.want("rest", grid.StepWaiting)
	if wake := s.judge(11); !wake.Equal(second(20)) {
		t.Errorf("looks again at %s, want %s", wake, second(20))
	}
	s.judge(20)
	s.want("rest", grid.StepPassed)
	s.frame(30, open(true))
	s.want("open", grid.StepPassed)
	s.frame(40, open(false))
	s.want("close", grid.StepPassed)
	if s.v.State != grid.VisitOpen {
		t.Errorf("before it is signed the visit is %s", s.v.State)
	}
	if got := s.sign(50, Pass); got != grid.VisitPassed {
		t.Errorf("visit is %s because of %v, want passed", got, s.v.Reasons)
	}
	for _, r := range s.v.Reasons { // tamper and position were no must
		if !strings.Contains(r.EN, "not shown") {
			t.Errorf("remark %v", r)
		}
	}
}

func TestAnInvertedContactIsToldAndNeverPasses(t *testing.T) {
	for name, readings := range map[string][]bool{
		"as it should be done": {true, false, true},
		"two rounds":           {true, false, true, false, true},
		"a round and a half":   {true, false, true, false},
	} {
		s := begin(t, grid.Door)
		s.photo(1)
		s.frame(2, open(readings[0]))
		s.say(10, "rest", grid.VisitWord{})
		if d := s.v.Step("open").Detail.EN; !strings.Contains(d, "the opposite") {
			t.Errorf("%s: a closed door that says open is told as %q", name, d)
		}
		for i, v := range readings[1:] {
			s.frame(30+20*i, open(v))
		}
		s.want("open", grid.StepFailed)
		if d := s.v.Step("open").Detail; !strings.Contains(d.EN, "wrong way round") || !strings.Contains(d.ZH, "反") {
			t.Errorf("%s: told as %+v", name, d)
		}
		if got := s.sign(300, Pass); got != grid.VisitFailed {
			t.Errorf("%s: visit is %s, want failed", name, got)
		}
	}
}

func TestAContactThatWasTurnedPassesAfterAnotherTry(t *testing.T) {
	s := begin(t, grid.Door)
	s.photo(1)
	s.frame(2, open(true))
	s.say(10, "rest", grid.VisitWord{})
	s.frame(30, open(false))
	s.want("open", grid.StepFailed)
	s.say(100, "rest", grid.VisitWord{})
	s.frame(130, open(true))
	s.frame(150, open(false))
	if got := s.sign(160, Pass); got != grid.VisitPassed {
		t.Errorf("visit is %s because of %v, want passed", got, s.v.Reasons)
	}
}

// Who hurries is told to confirm again: what is on its way would be taken for the next act.
func TestRestCountsOnlyWhenTheDeviceHasSaidItsStateAndStaysSo(t *testing.T) {
	s := begin(t, grid.Door)
	s.say(1, "rest", grid.VisitWord{})
	s.judge(100)
	s.want("rest", grid.StepWaiting)
	if d := s.v.Step("rest").Detail.EN; !strings.Contains(d, "not said its state") {
		t.Errorf("told as %q", d)
	}
	s.frame(101, open(true))
	s.say(110, "rest", grid.VisitWord{})
	s.frame(113, open(false)) // the closing itself, still on its way
	s.judge(200)
	s.want("rest", grid.StepWaiting)
	if d := s.v.Step("rest").Detail.EN; !strings.Contains(d, "changed right after") {
		t.Errorf("told as %q", d)
	}
	s.frame(201, open(true))
	s.frame(221, open(false))
	s.want("open", grid.StepWaiting)
	if got := s.sign(230, Pass); got == grid.VisitPassed {
		t.Error("a visit without rest passes")
	}
}

// An inverted contact whose closing was on its way when the person said "closed".
func TestAnInvertedContactDoesNotPassByHurrying(t *testing.T) {
	s := begin(t, grid.Door)
	s.photo(1)
	s.frame(2, open(false))             // it stands open
	s.say(10, "rest", grid.VisitWord{}) // closed a moment ago
	s.frame(12, open(true))
	s.frame(40, open(false)) // opened
	s.frame(60, open(true))  // closed
	s.frame(80, open(false))
	if got := s.sign(90, Pass); got == grid.VisitPassed {
		t.Error("an inverted contact passes")
	}
}

func TestWhatTheDeviceHasToShowIsNotPassedByAWord(t *testing.T) {
	s := begin(t, grid.Smoke)
	s.photo(1)
	for _, step := range []string{"first_frame", "signal", "battery", "test"} {
		s.say(2, step, grid.VisitWord{})
		s.want(step, grid.StepWaiting)
	}
	if got := s.sign(10, Pass); got != grid.VisitPending {
		t.Errorf("visit is %s, want pending", got)
	}
	s.frame(20, is(grid.TestPress, true), of(grid.BatteryLevel, 100))
	if s.v.State != grid.VisitPassed {
		t.Errorf("with the test frame the visit is %s because of %v, want passed", s.v.State, s.v.Reasons)
	}
}

func TestEachKindPassesByItsOwnStory(t *testing.T) {
	at := func(s *story, sec int) {
		s.say(sec, "position", grid.VisitWord{Position: &grid.VisitPosition{Lon: 121.4, Lat: 31.2}})
	}
	for name, play := range map[string]func(s *story){
		"smoke by its test button": func(s *story) { s.frame(5, is(grid.TestPress, true)) },
		"smoke by test gas":        func(s *story) { s.frame(5, is(grid.SmokeAlarm, true)) },
		"parking": func(s *story) {
			at(s, 1)
			s.frame(5, is(grid.ParkingOccupied, false))
			s.say(6, "rest", grid.VisitWord{})
			s.frame(60, is(grid.ParkingOccupied, true))
			s.frame(120, is(grid.ParkingOccupied, false))
		},
		"manhole by its cover": func(s *story) {
			at(s, 1)
			s.frame(5, is(grid.ManholeOpen, false))
			s.say(6, "rest", grid.VisitWord{})
			s.frame(60, is(grid.ManholeOpen, true))
			s.frame(120, is(grid.ManholeOpen, false))
		},
		"manhole by its tilt": func(s *story) {
			at(s, 1)
			s.frame(5, of(grid.ManholeTilt, 1.5))
			s.say(6, "rest", grid.VisitWord{})
			s.frame(60, of(grid.ManholeTilt, 88))
			s.frame(120, of(grid.ManholeTilt, 2))
		},
	} {
		k := grid.Kind(strings.Fields(name)[0])
		s := begin(t, k)
		s.photo(0)
		play(s)
		if got := s.sign(130, Pass); got != grid.VisitPassed {
			t.Errorf("%s: visit is %s because of %v, want passed", name, got, s.v.Reasons)
		}
		// The same without the frames is pending, whatever was said.
		bare := begin(t, k)
		bare.v.Words = s.v.Words
		if got := bare.sign(130, Pass); got != grid.VisitPending {
			t.Errorf("%s without frames is %s, want pending", name, got)
		}
	}
}

func TestASkippedMustIsAFailAndASkippedExtraARemark(t *testing.T) {
	s := begin(t, grid.Smoke)
	s.frame(5, is(grid.TestPress, true))
	s.say(6, "tamper", grid.VisitWord{Result: grid.StepSkipped, Note: "no base"})
	s.say(7, "photo", grid.VisitWord{Result: grid.StepSkipped, Note: "too dark"})
	if got := s.sign(10, Pass); got != grid.VisitFailed || !strings.Contains(s.v.Reasons[0].EN, "too dark") {
		t.Errorf("visit is %s because of %v, want failed: the photo is a must", got, s.v.Reasons)
	}
	s = begin(t, grid.Smoke)
	s.frame(5, is(grid.TestPress, true))
	s.say(6, "tamper", grid.VisitWord{Result: grid.StepSkipped, Note: "no base"})
	s.photo(7)
	if got := s.sign(10, Pass); got != grid.VisitPassed || len(s.v.Reasons) == 0 || !strings.Contains(fmt.Sprint(s.v.Reasons), "no base") {
		t.Errorf("visit is %s with %v, want passed with a remark", got, s.v.Reasons)
	}
}

func TestAWeakSignalFailsByTheMiddleOfTheNewestFrames(t *testing.T) {
	s := begin(t, grid.Smoke)
	s.weak(5, -125, -15, is(grid.TestPress, true))
	s.want("signal", grid.StepFailed)
	if m := s.v.Signal.MarginDB; m == nil || *m != -10 || s.v.Signal.Enough {
		t.Errorf("signal is %+v, want 10 dB too little", s.v.Signal)
	}
	s.photo(6)
	weak := s.v
	for i := range 4 {
		s.weak(10+i, -100, 5)
	}
	s.want("signal", grid.StepPassed)
	s.v = weak
	if got := s.sign(20, Pass); got != grid.VisitFailed {
		t.Errorf("with a weak signal the visit is %s, want failed", got)
	}
}

func TestALowBatteryFailsAlsoWhereItIsNoMust(t *testing.T) {
	for name, r := range map[string]grid.VisitReading{"percent": of(grid.BatteryLevel, 40), "low": is(grid.BatteryLow, true)} {
		s := begin(t, grid.Smoke)
		s.frame(5, is(grid.TestPress, true), r)
		s.photo(6)
		s.want("battery", grid.StepFailed)
		if got := s.sign(10, Pass); got != grid.VisitFailed {
			t.Errorf("%s: visit is %s, want failed", name, got)
		}
	}
}

func TestThePositionIsHeldAgainstThePoint(t *testing.T) {
	s := begin(t, grid.Manhole)
	s.v.At = &grid.VisitPosition{Lon: 121.4, Lat: 31.2}
	north := func(m float64) *grid.VisitPosition {
		return &grid.VisitPosition{Lon: 121.4, Lat: 31.2 + m/111195, AccuracyM: 10, Cell: "310105006001001"}
	}
	s.say(1, "position", grid.VisitWord{Position: north(24)})
	s.want("position", grid.StepPassed)
	s.say(2, "position", grid.VisitWord{Position: north(26)})
	s.want("position", grid.StepFailed)
	other := north(20)
	other.Cell = "310105006001002"
	s.say(3, "position", grid.VisitWord{Position: other})
	s.want("position", grid.StepFailed)
}

func TestStepsOfWhatTheDeviceCannotSayAreLeftOut(t *testing.T) {
	s := begin(t, grid.Smoke, grid.SmokeAlarm)
	if s.v.Step("battery") != nil || s.v.Step("tamper") != nil || s.v.Step("test") == nil {
		t.Errorf("steps are %+v: want the test without battery and tamper", s.v.Steps)
	}
	s = begin(t, grid.Door, grid.Temperature)
	if s.v.Step("open") == nil {
		t.Error("a must is left out because the profile cannot say it: then it would pass")
	}
	s = begin(t, grid.Smoke)
	s.put(grid.VisitFrame{At: second(1), Received: second(1), Link: "mqtt"})
	if s.v.Step("signal") != nil {
		t.Error("where the network does not say the signal it is asked for")
	}
}

func TestWaitsAreThoseOfTheLinkAndTheProfile(t *testing.T) {
	p := plans(t)
	for _, c := range []struct {
		id                  grid.Identity
		envelope, transport string
		link                string
		act                 time.Duration
	}{
		{"eui:24e124535b123456", "chirpstack", "mqtt", "lorawan", time.Minute},
		{"eui:24e124535b123456", "", "", "lorawan", time.Minute},
		{"eui:24e124535b123456", "native", "mqtt", "mqtt", 10 * time.Second},
		{"imei:861234567890123", "ctwing", "mqtt", "nb_iot", 2 * time.Minute},
		{"imei:861234567890123", "native", "coap", "nb_iot", 2 * time.Minute},
		{"modbus:panel/1", "native", "serial", "serial", time.Hour + 10*time.Second},
		{"sn:x", "", "", "other", time.Minute},
	} {
		l := p.LinkOf(c.id, c.envelope, c.transport)
		if got := l.Wait(&Step{Check: CheckMoment}, time.Hour); l.Name != c.link || got != c.act {
			t.Errorf("%s by %q %q is %s and %s, want %s and %s", c.id, c.envelope, c.transport, l.Name, got, c.link, c.act)
		}
		if got := l.Wait(&Step{Check: CheckBattery}, 12*time.Hour); got != 12*time.Hour {
			t.Errorf("%s: its battery may take %s, want its interval", c.id, got)
		}
	}
}

func TestAFrameIsOfTheVisitInWhichItWasSent(t *testing.T) {
	at := t0.Add(10 * time.Hour)
	for name, c := range map[string]struct {
		s     Sighting
		want  time.Time
		known bool
	}{
		"live":                         {Sighting{Received: at}, at, true},
		"kept by the network":          {Sighting{Received: at, Network: t0}, t0, true},
		"kept by the device":           {Sighting{Received: at, Device: t0}, t0, true},
		"its clock is of 1970":         {Sighting{Received: at, Device: time.Unix(100, 0)}, at, true},
		"its clock is ahead":           {Sighting{Received: at, Device: at.Add(8 * time.Hour)}, at, true},
		"the network's word is better": {Sighting{Received: at, Network: at.Add(-time.Second), Device: t0}, at, true},
		"overtaken":                    {Sighting{Received: at, Behind: true}, at, false},
		"overtaken, with its time":     {Sighting{Received: at, Behind: true, Network: at.Add(-time.Second), Device: t0}, t0, true},
		"retained":                     {Sighting{Received: at, Retained: true}, at, false},
	} {
		if got, known := c.s.When(); !got.Equal(c.want) || known != c.known {
			t.Errorf("%s: %s %v, want %s %v", name, got, known, c.want, c.known)
		}
	}
}

func TestManyFramesAreKeptByWhatTheyBring(t *testing.T) {
	s := wholeDoor(t)
	s.say(10, "rest", grid.VisitWord{})
	s.frame(30, open(true))
	s.frame(40, open(false))
	for i := range 500 {
		s.frame(50+i, open(false))
	}
	if n := len(s.v.Frames); n > MaxFrames || s.v.Heard != 503 {
		t.Errorf("%d frames are kept of %d, want at most %d of 503", n, s.v.Heard, MaxFrames)
	}
	if got := s.sign(600, Pass); got != grid.VisitPassed {
		t.Errorf("visit is %s because of %v, want passed", got, s.v.Reasons)
	}
	tilt := begin(t, grid.Manhole)
	tilt.photo(1)
	tilt.say(1, "position", grid.VisitWord{Position: &grid.VisitPosition{}})
	tilt.frame(2, of(grid.ManholeTilt, 1))
	tilt.say(3, "rest", grid.VisitWord{})
	tilt.frame(20, of(grid.ManholeTilt, 80))
	tilt.frame(30, of(grid.ManholeTilt, 1))
	for i := range 200 {
		tilt.frame(50+i, of(grid.ManholeTilt, float64(i%3)))
	}
	if got := tilt.sign(600, Pass); got != grid.VisitPassed {
		t.Errorf("by tilt the visit is %s because of %v, want passed", got, tilt.v.Reasons)
	}
}

func TestWhatASyncBringsInAnotherOrderIsJudgedTheSame(t *testing.T) {
	s := begin(t, grid.Door)
	s.v.Offline = true
	s.photo(1)
	s.say(10, "rest", grid.VisitWord{})
	s.frame(40, open(false))
	s.frame(30, open(true))
	s.frame(5, open(false))
	s.judge(100)
	if got := s.sign(50, Pass); got != grid.VisitPassed {
		t.Errorf("visit is %s because of %v, want passed", got, s.v.Reasons)
	}
}
