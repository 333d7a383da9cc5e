package alarm

import (
	"math/rand/v2"
	"testing"
	"time"

	"gridgate/internal/grid"
)

var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func at(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func smokeRule() *Rule {
	return &Rule{Type: grid.EventSmokeAlarm, From: FromSignal, OffDelay: time.Minute, ReAlarm: 30 * time.Minute, Ticket: true}
}

func doorRule() *Rule {
	return &Rule{Type: grid.EventDoorHeldOpen, From: FromSignal, OnDelay: 10 * time.Minute, OffDelay: 30 * time.Second, ReAlarm: time.Minute}
}

func TestSmokeAlarmIsRaisedAtTheVeryFrame(t *testing.T) {
	in := Input{}.Hear(true, at(0))
	if got := Next(smokeRule(), in, nil, at(0)); got.Action != Raise {
		t.Fatalf("a smoke alarm heard now gives %v, want raise", got.Action)
	}
	// Not even an outage that still lasts may hold it back.
	if got := Next(smokeRule(), in, nil, at(0), Span{From: at(-100)}); got.Action != Raise {
		t.Fatalf("a smoke alarm during an outage gives %v, want raise", got.Action)
	}
}

func TestConditionIsRaisedOnlyAfterItsOnDelay(t *testing.T) {
	r := doorRule()
	in := Input{}.Hear(true, at(0))
	if got := Next(r, in, nil, at(599)); got.Action != None || !got.Wake.Equal(at(600)) {
		t.Fatalf("one second early: %+v, want none and wake at the end of the delay", got)
	}
	if got := Next(r, in, nil, at(600)); got.Action != Raise {
		t.Fatalf("at the end of the delay: %v, want raise", got.Action)
	}
	again := in.Hear(false, at(300)).Hear(true, at(301))
	if got := Next(r, again, nil, at(600)); got.Action != None || !got.Wake.Equal(at(901)) {
		t.Fatalf("after a break: %+v, want the delay to begin anew", got)
	}
}

func TestSilenceNeverClearsAnAlarm(t *testing.T) {
	r := smokeRule()
	ep := &grid.Alarm{Active: true, Raised: at(0)}
	for name, in := range map[string]Input{
		"still abnormal":              {Abnormal: true, Since: at(0), Heard: at(0)},
		"never heard":                 {},
		"normal only before the fire": {Since: at(-3600), Heard: at(-10)},
	} {
		if got := Next(r, in, ep, at(1e6)); got != (Step{}) {
			t.Errorf("%s: %+v, want nothing, ever", name, got)
		}
	}
}

func TestAlarmClearsAfterItsOffDelay(t *testing.T) {
	r := smokeRule()
	ep := &grid.Alarm{Active: true, Raised: at(0)}
	in := Input{}.Hear(true, at(0)).Hear(false, at(100))
	if got := Next(r, in, ep, at(159)); got.Action != None || !got.Wake.Equal(at(160)) {
		t.Fatalf("one second early: %+v", got)
	}
	if got := Next(r, in, ep, at(160)); got.Action != Clear {
		t.Fatalf("at the end of the delay: %v, want clear", got.Action)
	}
	if c := Cleared(*ep, in); c.Active || !c.Returned.Equal(at(100)) {
		t.Fatalf("cleared episode is %+v, want inactive since the first normal reading", c)
	}
}

func TestAlarmWithinTheReAlarmWindowIsTheSameEpisode(t *testing.T) {
	r := smokeRule()
	ep := &grid.Alarm{ID: "a", Raised: at(0), Returned: at(100), Count: 1}
	for _, c := range []struct {
		back float64
		want Action
	}{{101, Rejoin}, {100 + 1800, Rejoin}, {100 + 1801, Raise}} {
		in := Input{Abnormal: true, Since: at(c.back), Heard: at(c.back)}
		// When it is asked does not matter, only when the condition came back.
		for _, delay := range []float64{0, 7200} {
			if got := Next(r, in, ep, at(c.back+delay)); got.Action != c.want {
				t.Errorf("back at %v s, asked %v s later: %v, want %v", c.back, delay, got.Action, c.want)
			}
		}
	}
	if got := Rejoined(*ep); !got.Active || got.Acked || got.Count != 2 || !got.Returned.IsZero() {
		t.Errorf("rejoined episode is %+v", got)
	}
}

func TestOutageDoesNotCountTowardsADelay(t *testing.T) {
	r := doorRule()
	in := Input{}.Hear(true, at(0))
	down := []Span{{at(100), at(400)}, {at(300), at(700)}} // overlapping: 600 s in all
	if got := Next(r, in, nil, at(1000), down...); got.Action != None || !got.Wake.Equal(at(1200)) {
		t.Fatalf("%+v, want the outage left out: due at 1200 s", got)
	}
	if got := Next(r, in, nil, at(5000), Span{From: at(100)}); got != (Step{}) {
		t.Fatalf("while deaf: %+v, want no conclusion and nothing to wait for", got)
	}
	if got := Next(r, in, nil, at(600), Span{at(600), at(9000)}); got.Action != Raise {
		t.Fatalf("outage after the delay ended: %v, want raise", got.Action)
	}
}

func TestMomentHasNoEpisode(t *testing.T) {
	r := &Rule{Type: grid.EventTest, From: FromSignal, Moment: true}
	if got := Next(r, Input{}.Hear(true, at(0)), nil, at(10)); got != (Step{}) {
		t.Fatalf("%+v, want nothing", got)
	}
}

func TestLateRuleIsRaisedByNoLiveReading(t *testing.T) {
	r := &Rule{Type: grid.EventSmokeLate, From: FromLate, OffDelay: time.Minute}
	if got := Next(r, Input{}.Hear(true, at(0)), nil, at(10)); got != (Step{}) {
		t.Fatalf("%+v, want nothing: the live alarm is another rule's", got)
	}
	// It clears by a normal reading heard since it was raised, though normal began before.
	ep := &grid.Alarm{Active: true, Raised: at(100)}
	in := Input{Since: at(-5000), Heard: at(99)}
	if got := Next(r, in, ep, at(1000)); got != (Step{}) {
		t.Fatalf("not heard since: %+v, want nothing", got)
	}
	if got := Next(r, in.Hear(false, at(130)), ep, at(160)); got.Action != Clear {
		t.Fatalf("heard normal since: %v, want clear", got.Action)
	}
}

func TestAbnormalUsesTheDeadbandOnTheWayBack(t *testing.T) {
	fifteen, thirty, yes := 15.0, 30.0, true
	above := &Rule{Any: []Test{{Signal: grid.ManholeTilt, Above: &fifteen, Deadband: 5}}}
	below := &Rule{Any: []Test{{Signal: grid.BatteryLevel, Below: &fifteen, Deadband: 5}}}
	between := &Rule{Any: []Test{{Signal: grid.ManholeTilt, Above: &fifteen, Below: &thirty, Deadband: 5}}}
	either := &Rule{Any: []Test{{Signal: grid.ManholeOpen, Is: &yes}, {Signal: grid.ManholeTilt, Above: &thirty}}}
	for _, c := range []struct {
		name     string
		rule     *Rule
		signal   grid.Signal
		value    float64
		was      bool
		abnormal bool
		known    bool
	}{
		{"at the limit", above, grid.ManholeTilt, 15, false, false, true},
		{"over it", above, grid.ManholeTilt, 15.1, false, true, true},
		{"inside the deadband, was normal", above, grid.ManholeTilt, 12, false, false, true},
		{"inside the deadband, was abnormal", above, grid.ManholeTilt, 12, true, true, true},
		{"through the deadband", above, grid.ManholeTilt, 10, true, false, true},
		{"below, was normal", below, grid.BatteryLevel, 14, false, true, true},
		{"below, inside the deadband", below, grid.BatteryLevel, 19, true, true, true},
		{"below, through the deadband", below, grid.BatteryLevel, 20, true, false, true},
		{"between", between, grid.ManholeTilt, 20, false, true, true},
		{"beyond between", between, grid.ManholeTilt, 31, false, false, true},
		{"one of two tests", either, grid.ManholeOpen, 1, false, true, true},
		{"one of two, normal", either, grid.ManholeTilt, 3, true, false, true},
		{"another signal", either, grid.Temperature, 99, true, false, false},
	} {
		value := func(s grid.Signal) (float64, bool) { return c.value, s == c.signal }
		if abnormal, known := Abnormal(c.rule, value, c.was); abnormal != c.abnormal || known != c.known {
			t.Errorf("%s: abnormal %v known %v, want %v %v", c.name, abnormal, known, c.abnormal, c.known)
		}
	}
}

// apply does what a step says, as the engine does.
func apply(r *Rule, s Step, in Input, ep *grid.Alarm, now time.Time) *grid.Alarm {
	switch s.Action {
	case Raise:
		n := Opened(r, "", grid.Point{}, "", now, now, ep)
		return &n
	case Rejoin:
		n := Rejoined(*ep)
		return &n
	case Clear:
		n := Cleared(*ep, in)
		return &n
	}
	return ep
}

// Whatever comes in, asking again changes nothing, asking at the wake times and at every
// second gives the same episodes, and an active alarm is never one whose condition has
// been heard normal for long enough.
func TestNextGivesTheSameEpisodesWheneverItIsAsked(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := &Rule{From: FromSignal, OnDelay: time.Duration(rng.IntN(30)) * time.Second,
			OffDelay: time.Duration(rng.IntN(30)) * time.Second, ReAlarm: time.Duration(rng.IntN(90)) * time.Second}
		var readings []Input // Heard and Abnormal only
		for s := 0.0; s < 600; s += 1 + float64(rng.IntN(40)) {
			readings = append(readings, Input{Abnormal: rng.IntN(2) == 0, Heard: at(s)})
		}
		eager := history(t, r, readings, true)
		lazy := history(t, r, readings, false)
		if len(eager) != len(lazy) {
			t.Fatalf("seed %d: %d steps when asked each second, %d at wake times", seed, len(eager), len(lazy))
		}
		for i := range eager {
			if eager[i] != lazy[i] {
				t.Fatalf("seed %d: step %d is %v when asked each second, %v at wake times", seed, i, eager[i], lazy[i])
			}
		}
	}
}

type taken struct {
	action Action
	at     int64
}

func history(t *testing.T, r *Rule, readings []Input, everySecond bool) (out []taken) {
	t.Helper()
	var in Input
	var ep *grid.Alarm
	wake := time.Time{}
	ask := func(now time.Time) {
		s := Next(r, in, ep, now)
		ep = apply(r, s, in, ep, now)
		if s.Action != None {
			out = append(out, taken{s.Action, now.Unix()})
			if again := Next(r, in, ep, now); again.Action != None {
				t.Fatalf("asked again after %v: %v, want none", s.Action, again.Action)
			}
		}
		wake = s.Wake
	}
	for now, i := at(0), 0; now.Before(at(700)); now = now.Add(time.Second) {
		// What is due by the clock comes before what arrives at the same moment.
		if everySecond || !wake.IsZero() && !now.Before(wake) {
			ask(now)
		}
		if i < len(readings) && !readings[i].Heard.After(now) {
			in = in.Hear(readings[i].Abnormal, now)
			i++
			ask(now)
		}
	}
	return out
}

func TestHearingOldReadingsChangesNothing(t *testing.T) {
	in := Input{}.Hear(true, at(10))
	if got := in.Hear(false, at(9)); got != in {
		t.Fatalf("%+v, want the newer phase kept", got)
	}
	if got := in.Hear(true, at(20)); !got.Since.Equal(at(10)) || !got.Heard.Equal(at(20)) {
		t.Fatalf("%+v, want the same phase, heard anew", got)
	}
}

func TestFlappingHoldsBackOnlyManyChangesInAShortTime(t *testing.T) {
	f := &Flapping{Changes: 3, Within: time.Minute, Quiet: 30 * time.Minute}
	if _, flaps := f.Flaps([]time.Time{at(0), at(30)}, at(30)); flaps {
		t.Error("two changes flap")
	}
	if until, flaps := f.Flaps([]time.Time{at(0), at(30), at(60)}, at(61)); !flaps || !until.Equal(at(60+1800)) {
		t.Errorf("three changes in a minute: %v until %v", flaps, until)
	}
	if _, flaps := f.Flaps([]time.Time{at(0), at(30), at(61)}, at(61)); flaps {
		t.Error("three changes in 61 s flap")
	}
}
