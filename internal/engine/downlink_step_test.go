package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

// aDownlink is queued, and expires an hour after rigStart.
func aDownlink(change ...func(*grid.Downlink)) grid.Downlink {
	d := grid.Downlink{
		ID: grid.DownlinkID(doorDev, "1"), Device: doorDev, Order: grid.Order{Payload: &grid.PayloadOrder{Hex: "ff", Port: 85}},
		State: grid.DownlinkQueued, Created: rigStart, Expires: rigStart.Add(time.Hour), By: tester, Mode: grid.Simulated,
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

func trying(d *grid.Downlink)    { d.Trying, d.Way = true, "mqtt:tts" }
func confirmed(d *grid.Downlink) { d.Confirm = true }
func refused(d *grid.Downlink) {
	d.Attempts, d.Error, d.Next = 1, "asleep", rigStart.Add(time.Minute)
}
func wasSent(d *grid.Downlink) {
	d.State, d.SentAt, d.Attempts, d.Ref = grid.DownlinkSent, rigStart.Add(time.Second), 1, "net-1"
}

// toBe is a downlink is to be after a step, an answer or its end.
func toBe(d grid.Downlink, change func(*grid.Downlink)) grid.Downlink {
	change(&d)
	return d
}

func ended(s grid.DownlinkState, err string, at time.Time) func(*grid.Downlink) {
	return func(d *grid.Downlink) { d.State, d.Error, d.EndedAt, d.Trying, d.Next = s, err, at, false, time.Time{} }
}

func TestEveryStepOfADownlinkLeadsWhereItSays(t *testing.T) {
	now := rigStart.Add(10 * time.Second)
	again := now.Add(time.Minute)
	sent := func(s grid.DownlinkState, noAck bool) DownlinkStep {
		return DownlinkStep{Sent: &grid.Sent{State: s, Ref: "net-1", Answer: "taken", NoAck: noAck}, Way: "mqtt:tts"}
	}
	isSent := func(d *grid.Downlink) {
		d.State, d.SentAt, d.Trying, d.Way, d.Ref, d.Answer, d.Error, d.Next = grid.DownlinkSent, now, false, "mqtt:tts", "net-1", "taken", "", time.Time{}
		d.Attempts++
	}
	for _, c := range []struct {
		name string
		is   grid.Downlink
		step DownlinkStep
		want func(*grid.Downlink)
	}{
		{"a try begins", aDownlink(), DownlinkStep{Try: true, Way: "mqtt:tts"}, func(d *grid.Downlink) { d.Trying, d.Way = true, "mqtt:tts" }},
		{"the same try again", aDownlink(trying), DownlinkStep{Try: true, Way: "mqtt:tts"}, func(*grid.Downlink) {}},
		{"a try of what is sent", aDownlink(wasSent), DownlinkStep{Try: true}, func(*grid.Downlink) {}},
		{"taken", aDownlink(trying), sent(grid.DownlinkSent, false), isSent},
		{"taken without a try before", aDownlink(refused), sent(grid.DownlinkSent, false), isSent},
		{"taken, and no more will be heard", aDownlink(trying), sent(grid.DownlinkSent, true), func(d *grid.Downlink) { isSent(d); d.EndedAt = now }},
		{"taken, to be confirmed and nothing can", aDownlink(trying, confirmed), sent(grid.DownlinkSent, true), isSent},
		{"done at once", aDownlink(trying, confirmed), sent(grid.DownlinkAcknowledged, true), func(d *grid.Downlink) {
			isSent(d)
			d.State, d.EndedAt = grid.DownlinkAcknowledged, now
		}},
		{"taken again", aDownlink(wasSent, confirmed), sent(grid.DownlinkSent, false), func(d *grid.Downlink) { d.Way, d.Answer = "mqtt:tts", "taken" }},
		{"taken in the end, after the network's word", aDownlink(wasSent, trying), sent(grid.DownlinkSent, true), func(d *grid.Downlink) {
			d.Trying, d.Answer, d.EndedAt = false, "taken", now
		}},
		{"not taken", aDownlink(trying), DownlinkStep{Retry: again, Error: "asleep", Way: "mqtt:tts"}, func(d *grid.Downlink) {
			d.Trying, d.Attempts, d.Error, d.Next = false, 1, "asleep", again
		}},
		{"not taken, and the network has it from before", aDownlink(wasSent, trying), DownlinkStep{Retry: again, Error: "asleep"}, func(d *grid.Downlink) { d.Trying = false }},
		{"refused", aDownlink(trying), DownlinkStep{Failed: true, Error: "no such path"}, func(d *grid.Downlink) {
			ended(grid.DownlinkFailed, "no such path", now)(d)
			d.Attempts = 1
		}},
		{"refused before a try", aDownlink(), DownlinkStep{Failed: true, Error: "no way"}, ended(grid.DownlinkFailed, "no way", now)},
		{"refused after the network's word", aDownlink(wasSent), DownlinkStep{Failed: true, Error: "dropped"}, ended(grid.DownlinkFailed, "dropped", now)},
	} {
		if d := cmp.Diff(toBe(c.is, c.want), stepDownlink(c.is, c.step, now)); d != "" {
			t.Errorf("%s (+):\n%s", c.name, d)
		}
	}
	late := aDownlink()
	if d := stepDownlink(late, DownlinkStep{Try: true}, late.Expires); d.State != grid.DownlinkFailed || d.Trying {
		t.Errorf("a try at its end: %+v: want it not to go out", d)
	}
}

func TestEveryAnswerToADownlinkLeadsWhereItSays(t *testing.T) {
	now := rigStart.Add(10 * time.Second)
	for _, c := range []struct {
		name   string
		is     grid.Downlink
		answer grid.DownAnswer
		want   func(*grid.Downlink)
	}{
		{"the network has it", aDownlink(refused), grid.DownAnswer{State: grid.DownlinkQueued, Detail: "waits"}, func(d *grid.Downlink) {
			d.State, d.SentAt, d.Answer, d.Error, d.Next = grid.DownlinkSent, now, "waits", "", time.Time{}
		}},
		{"the network sent it", aDownlink(wasSent, confirmed), grid.DownAnswer{State: grid.DownlinkSent, Detail: "on the air"}, func(d *grid.Downlink) { d.Answer = "on the air" }},
		{"the network sent it, and nobody will acknowledge it", aDownlink(wasSent), grid.DownAnswer{State: grid.DownlinkSent, Detail: "on the air"}, func(d *grid.Downlink) {
			d.Answer, d.EndedAt = "on the air", now
		}},
		{"before its wire said so", aDownlink(trying, confirmed), grid.DownAnswer{State: grid.DownlinkSent}, func(d *grid.Downlink) {
			d.State, d.SentAt, d.Attempts = grid.DownlinkSent, now, 1
		}},
		{"the device has it", aDownlink(wasSent), grid.DownAnswer{State: grid.DownlinkAcknowledged, Detail: "done"}, func(d *grid.Downlink) {
			ended(grid.DownlinkAcknowledged, "", now)(d)
			d.Answer = "done"
		}},
		{"the device has it before its wire said so", aDownlink(trying), grid.DownAnswer{State: grid.DownlinkAcknowledged}, func(d *grid.Downlink) {
			ended(grid.DownlinkAcknowledged, "", now)(d)
			d.SentAt, d.Attempts = now, 1
		}},
		{"the network dropped it", aDownlink(wasSent), grid.DownAnswer{State: grid.DownlinkFailed, Detail: "too long"}, func(d *grid.Downlink) {
			ended(grid.DownlinkFailed, "too long", now)(d)
			d.Answer = "too long"
		}},
		{"dropped without a word", aDownlink(wasSent), grid.DownAnswer{State: grid.DownlinkFailed}, ended(grid.DownlinkFailed, "refused, without a reason", now)},
		{"no word that we know", aDownlink(wasSent), grid.DownAnswer{State: "what"}, func(*grid.Downlink) {}},
	} {
		if d := cmp.Diff(toBe(c.is, c.want), answerDownlink(c.is, c.answer, now)); d != "" {
			t.Errorf("%s (+):\n%s", c.name, d)
		}
	}
	long := answerDownlink(aDownlink(wasSent), grid.DownAnswer{State: grid.DownlinkSent, Detail: strings.Repeat("烟", maxSaid)}, now)
	if n := len(long.Answer); n > maxSaid+len("…") || !strings.HasPrefix(long.Answer, "烟烟") || strings.ContainsRune(long.Answer, '\uFFFD') {
		t.Errorf("a long answer is kept with %d bytes: want it cut between characters", n)
	}
}

func TestDownlinkWhoseTimeIsOverEndsByHowFarItCame(t *testing.T) {
	at := rigStart.Add(time.Hour)
	for _, c := range []struct {
		name string
		is   grid.Downlink
		want func(*grid.Downlink)
	}{
		{"queued", aDownlink(), ended(grid.DownlinkFailed, "not sent by 2026-03-02T09:00:00Z", at)},
		{"tried", aDownlink(refused), ended(grid.DownlinkFailed, "not sent by 2026-03-02T09:00:00Z; last: asleep", at)},
		{"on its way", aDownlink(trying), ended(grid.DownlinkFailed, "no outcome of the last try by 2026-03-02T09:00:00Z: it may have been sent", at)},
		{"sent", aDownlink(wasSent), ended(grid.DownlinkSent, "", at)},
		{"sent, to be confirmed", aDownlink(wasSent, confirmed), ended(grid.DownlinkFailed, "not acknowledged by 2026-03-02T09:00:00Z", at)},
	} {
		if d := cmp.Diff(c.is, expireDownlink(c.is, at.Add(-1))); d != "" {
			t.Errorf("%s, before its end (+):\n%s", c.name, d)
		}
		if d := cmp.Diff(toBe(c.is, c.want), expireDownlink(c.is, at)); d != "" {
			t.Errorf("%s (+):\n%s", c.name, d)
		}
	}
}

// everyStep and everyAnswer are what may be said of a downlink.
func everyStep(now time.Time) []DownlinkStep {
	return []DownlinkStep{
		{Try: true, Way: "w"}, {Retry: now.Add(time.Second), Error: "later", Way: "w"}, {Failed: true, Error: "no", Way: "w"},
		{Sent: &grid.Sent{State: grid.DownlinkSent, Ref: "r", Answer: "a"}, Way: "w"}, {Sent: &grid.Sent{State: grid.DownlinkSent, NoAck: true}},
		{Sent: &grid.Sent{State: grid.DownlinkAcknowledged, Answer: "a"}},
	}
}

func everyAnswer(ref string) (all []grid.DownAnswer) {
	for _, s := range []grid.DownlinkState{grid.DownlinkQueued, grid.DownlinkSent, grid.DownlinkAcknowledged, grid.DownlinkFailed} {
		all = append(all, grid.DownAnswer{Ref: ref, State: s, Detail: "said " + string(s)})
	}
	return all
}

func TestNothingMovesADownlinkThatHasEnded(t *testing.T) {
	now := rigStart.Add(2 * time.Hour)
	for _, s := range []grid.DownlinkState{grid.DownlinkSent, grid.DownlinkAcknowledged, grid.DownlinkFailed} {
		is := aDownlink(wasSent, confirmed, ended(s, "why", rigStart.Add(time.Minute)))
		got := []grid.Downlink{expireDownlink(is, now)}
		for _, step := range everyStep(now) {
			got = append(got, stepDownlink(is, step, now))
		}
		for _, a := range everyAnswer(is.ID) {
			got = append(got, answerDownlink(is, a, now))
		}
		if i := slices.IndexFunc(got, func(d grid.Downlink) bool { return !cmp.Equal(d, is) }); i >= 0 {
			t.Errorf("ended as %s, by change %d (+):\n%s", s, i, cmp.Diff(is, got[i]))
		}
	}
}

func TestStepSaysExactlyOneThing(t *testing.T) {
	for _, s := range everyStep(rigStart) {
		if err := s.check(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []DownlinkStep{{}, {Way: "w", Error: "e"}, {Try: true, Failed: true}, {Sent: &grid.Sent{}, Retry: rigStart}} {
		if err := s.check(); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%+v: %v: want invalid", s, err)
		}
	}
}
