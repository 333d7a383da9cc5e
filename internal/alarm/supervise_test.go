package alarm

import (
	"math/rand/v2"
	"testing"
	"time"
)

const hour = time.Hour

func TestDeviceIsOfflineAfterTwoIntervalsAndTenPercent(t *testing.T) {
	h := func(n float64) time.Time { return t0.Add(time.Duration(n * float64(hour))) }
	for _, c := range []struct {
		name      string
		installed time.Time
		heard     time.Time
		down      []Span
		now       time.Time
		offline   bool
		never     bool
		due       time.Time
	}{
		{"just heard", h(0), h(10), nil, h(10), false, false, h(18.8)},
		{"a moment early", h(0), h(10), nil, h(18.8).Add(-1), false, false, h(18.8)},
		{"due", h(0), h(10), nil, h(18.8), true, false, h(18.8)},
		{"never seen, in time", h(0), time.Time{}, nil, h(8), false, true, h(8.8)},
		{"never seen, late", h(0), time.Time{}, nil, h(9), true, true, h(8.8)},
		{"heard only before it was installed", h(5), h(1), nil, h(14), true, true, h(13.8)},
		{"not installed", time.Time{}, h(1), nil, h(100), false, false, time.Time{}},
		{"we were down an hour: that hour and one interval of grace", h(0), h(0), []Span{{h(2), h(3)}}, h(9), false, false, h(13.8)},
		{"we are down", h(0), h(0), []Span{{From: h(2)}}, h(100), false, false, time.Time{}},
		{"down before it was heard", h(0), h(10), []Span{{h(1), h(2)}}, h(19), true, false, h(18.8)},
		{"down after it was offline", h(0), h(0), []Span{{h(9), h(50)}}, h(10), true, false, h(8.8)},
	} {
		offline, never, due := Offline(4*hour, c.installed, c.heard, c.down, c.now)
		if offline != c.offline || never != c.never || !due.Equal(c.due) {
			t.Errorf("%s: offline %v never seen %v due %v, want %v %v %v", c.name, offline, never, due, c.offline, c.never, c.due)
		}
	}
	if off, _, due := Offline(0, t0, t0, nil, h(999)); off || !due.IsZero() {
		t.Error("a device without an interval is supervised")
	}
}

func TestOfflineEpisodeFollowsSupervision(t *testing.T) {
	r := &Rule{From: FromSilence}
	offline, _, due := Offline(hour, t0, t0, nil, t0.Add(3*hour))
	step := Next(r, Silence(offline, due, t0), nil, t0.Add(3*hour))
	if step.Action != Raise {
		t.Fatalf("offline: %v, want raise", step.Action)
	}
	ep := apply(r, step, Input{}, nil, t0.Add(3*hour))
	heard := t0.Add(4 * hour)
	offline, _, due = Offline(hour, t0, heard, nil, heard)
	if got := Next(r, Silence(offline, due, heard), ep, heard); got.Action != Clear {
		t.Fatalf("heard again: %v, want clear", got.Action)
	}
}

func TestWatchPassesOnlyOnFreshNormalReadings(t *testing.T) {
	const need, often, seldom = 10 * time.Minute, time.Minute, 6 * hour
	m := func(n float64) time.Time { return t0.Add(time.Duration(n * float64(time.Minute))) }
	for _, c := range []struct {
		name     string
		interval time.Duration
		in       Input
		now      time.Time
		down     []Span
		pass     bool
		abnormal bool
		wake     time.Time
	}{
		{"never heard", often, Input{}, m(999), nil, false, false, time.Time{}},
		{"normal before it was resolved and silent since", often, Input{Since: m(-60), Heard: m(-1)}, m(20), nil, false, false, time.Time{}},
		{"normal before it was resolved, its next report still to come", 9 * time.Minute, Input{Since: m(-60), Heard: m(-1)}, m(10), nil, false, false, time.Time{}},
		{"normal before it was resolved and heard since", often, Input{Since: m(-60), Heard: m(10)}, m(10), nil, true, false, time.Time{}},
		{"the watch begins with the first normal reading", often, Input{Since: m(5), Heard: m(12)}, m(12), nil, false, false, m(15)},
		{"normal for the set time and heard", often, Input{Since: m(5), Heard: m(15)}, m(15), nil, true, false, time.Time{}},
		{"heard at first, then silent for too long", often, Input{Since: m(5), Heard: m(6)}, m(15), nil, false, false, time.Time{}},
		{"still abnormal, said before it was resolved", often, Input{Abnormal: true, Since: m(-5), Heard: m(-1)}, m(5), nil, false, false, time.Time{}},
		{"still abnormal, said since", often, Input{Abnormal: true, Since: m(-5), Heard: m(1)}, m(5), nil, false, true, time.Time{}},
		{"abnormal again", often, Input{Abnormal: true, Since: m(3), Heard: m(3)}, m(5), nil, false, true, time.Time{}},
		{"reports seldom: the clock does not end the watch", seldom, Input{Since: m(1), Heard: m(1)}, m(300), nil, false, false, time.Time{}},
		{"reports seldom: a report before the end does not", seldom, Input{Since: m(1), Heard: m(10)}, m(300), nil, false, false, time.Time{}},
		{"reports seldom: the next report does", seldom, Input{Since: m(1), Heard: m(200)}, m(200), nil, true, false, time.Time{}},
		{"interval unknown: as if seldom", 0, Input{Since: m(1), Heard: m(5)}, m(300), nil, false, false, time.Time{}},
		{"we were deaf: that time and a grace are left out", often, Input{Since: m(1), Heard: m(11)}, m(11), []Span{{m(3), m(6)}}, false, false, m(15)},
		{"we were deaf and nothing was heard since", often, Input{Since: m(1), Heard: m(13.5)}, m(14), []Span{{m(13), m(13.8)}}, false, false, time.Time{}},
		{"we are deaf", often, Input{Since: m(1), Heard: m(3)}, m(11), []Span{{From: m(4)}}, false, false, time.Time{}},
		{"reports seldom, after we were deaf: its next report passes", seldom, Input{Since: m(1), Heard: m(200)}, m(200), []Span{{m(3), m(6)}}, true, false, time.Time{}},
	} {
		pass, abnormal, wake := Watch(need, c.interval, m(0), c.in, c.now, c.down...)
		if pass != c.pass || abnormal != c.abnormal || !wake.Equal(c.wake) {
			t.Errorf("%s: pass %v abnormal %v wake %v, want %v %v %v", c.name, pass, abnormal, wake, c.pass, c.abnormal, c.wake)
		}
	}
}

// However long it is silent after any run of readings, a watch that has not passed when
// the device fell silent passes at most by what was heard at the time, never later than
// two intervals and 10 % after the last word.
func TestWatchNeverPassesBySilence(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		interval := time.Duration(1+rng.IntN(120)) * time.Minute
		need := time.Duration(rng.IntN(60)) * time.Minute
		var in Input
		clock := t0
		for range 1 + rng.IntN(6) {
			clock = clock.Add(time.Duration(rng.Int64N(int64(interval))))
			in = in.Hear(rng.IntN(4) == 0, clock)
		}
		from := t0.Add(time.Duration(rng.Int64N(int64(2 * interval))))
		silent := in.Heard.Add(patience(interval)).Add(1)
		before, _, _ := Watch(need, interval, from, in, silent.Add(-1))
		after, _, wake := Watch(need, interval, from, in, silent.Add(need+1000*hour))
		if after && interval < need {
			t.Fatalf("seed %d: passed after long silence", seed)
		}
		if after && !before && interval >= need && !in.Heard.After(from) {
			t.Fatalf("seed %d: passed without a report after the end", seed)
		}
		if in.Abnormal && (before || after) {
			t.Fatalf("seed %d: passed while abnormal", seed)
		}
		if !wake.IsZero() {
			t.Fatalf("seed %d: wakes for silence", seed)
		}
	}
}

func TestOrderOfOutagesDoesNotMatter(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var down []Span
		for range rng.IntN(6) {
			from := at(float64(rng.IntN(500)))
			down = append(down, Span{from, from.Add(time.Duration(rng.IntN(200)) * time.Second)})
		}
		want := audible(t0, 300*time.Second, down)
		// The plain way: count the seconds in which we could hear.
		heard, s := 0, 0
		for ; heard < 300; s++ {
			deaf := false
			for _, d := range down {
				deaf = deaf || !at(float64(s)).Before(d.From) && at(float64(s)).Before(d.To)
			}
			if !deaf {
				heard++
			}
		}
		if !want.Equal(at(float64(s))) {
			t.Fatalf("seed %d: audible is %v, counting gives %v", seed, want.Sub(t0), s)
		}
		rng.Shuffle(len(down), func(i, j int) { down[i], down[j] = down[j], down[i] })
		if got := audible(t0, 300*time.Second, down); !got.Equal(want) {
			t.Fatalf("seed %d: %v in another order, want %v", seed, got, want)
		}
	}
}
