package alarm

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestTheStateOfAnEpisodeIsOneOfFiveWords(t *testing.T) {
	for _, c := range []struct {
		active, acked, latch bool
		want                 StateWord
		queued               bool
	}{
		{true, false, false, Unack, true},
		{true, false, true, Unack, true},
		{true, true, false, Acked, true},
		{true, true, true, Acked, true},
		{false, false, false, RtnUnack, false},
		{false, false, true, LatchedRtn, true},
		{false, true, false, Normal, false},
		{false, true, true, Normal, false},
	} {
		a := grid.Alarm{Active: c.active, Acked: c.acked, AlarmDetail: grid.AlarmDetail{Latch: c.latch}}
		if got := State(&a); got != c.want || a.InQueue() != c.queued {
			t.Errorf("active %t, acked %t, latch %t: %s, in the queue %t; want %s, %t", c.active, c.acked, c.latch, got, a.InQueue(), c.want, c.queued)
		}
	}
}

func TestAnAcknowledgementHoldsAsLongAsItsPrioritySays(t *testing.T) {
	p := Policy{acknowledge: [5]time.Duration{0, 10 * time.Minute, time.Hour, 8 * time.Hour, 72 * time.Hour}}
	now := floodStart
	for of, want := range []time.Duration{0, 10 * time.Minute, time.Hour, 8 * time.Hour, 72 * time.Hour} {
		if of == 0 {
			continue
		}
		a := p.Acknowledge(grid.Alarm{Priority: grid.Priority(of), Active: true}, "li", "seen", now)
		if !AckExpires(&a).Equal(now.Add(want)) || !a.Acked || a.AckedBy != "li" || !a.AckedAt.Equal(now) || a.Comment != "seen" {
			t.Errorf("P%d: %+v, want it to hold for %s", of, a, want)
		}
	}
	a := p.Acknowledge(grid.Alarm{Priority: 1, AlarmDetail: grid.AlarmDetail{Comment: "before"}}, "li", "", now)
	if !a.AckUntil.IsZero() || a.Comment != "before" {
		t.Errorf("one of an alarm that is over: %+v, want no end, and the comment kept", a)
	}
	a = p.Acknowledge(grid.Alarm{Priority: 1, Active: true}, "li", "", now)
	a = Cleared(a, Input{Since: now.Add(time.Minute)})
	if !AckExpires(&a).IsZero() {
		t.Error("the acknowledgement of an alarm that is over expires")
	}
	back := Rejoined(a)
	if State(&back) != Unack || back.Revision != a.Revision+1 || back.AckedBy != "li" {
		t.Errorf("one that came back is %s, revision %d: want UNACK and the next", State(&back), back.Revision)
	}
}

func TestPoliciesAreReadStrictly(t *testing.T) {
	for _, c := range []struct {
		yaml fileYAML
		want string
	}{
		{fileYAML{Acknowledge: map[string]time.Duration{"P1": time.Minute}}, "acknowledge.P2 is missing"},
		{fileYAML{Acknowledge: map[string]time.Duration{"P1": 0}}, "acknowledge.P1 is 0s"},
		{fileYAML{Acknowledge: map[string]time.Duration{"P5": time.Minute}}, "acknowledge.P5"},
		{fileYAML{Flood: &Flood{Enter: 10, Leave: 11, Within: time.Minute}}, "flood is {enter: 10, leave: 11"},
		{fileYAML{Flood: &Flood{Enter: 10, Leave: 5}}, "within more than 0s"},
		{fileYAML{Health: &Health{Stale: time.Hour}}, "health is 0 activations"},
	} {
		if _, err := c.yaml.policy(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.yaml, err, c.want)
		}
	}
	r := Rule{Latch: true, Ticket: false}
	if err := r.checkLatch(); err == nil {
		t.Error("latch is taken where nobody is called")
	}
	r.Ticket = true
	if err := r.checkLatch(); err != nil {
		t.Error(err)
	}
	if r.Moment = true; r.checkLatch() == nil {
		t.Error("latch is taken for a moment")
	}
}

func turnsOf(where string, at ...float64) (out []Turn) {
	for i, m := range at {
		out = append(out, Turn{Alarm: where, Where: where, Type: grid.EventDoorHeldOpen, Active: i%2 == 0, At: minutes(m)[0]})
	}
	return out
}

func TestChatteringFleetingAndStaleAlarmsAreFound(t *testing.T) {
	h := Health{Chattering: Chattering{Activations: 3, Within: time.Minute}, Fleeting: 10 * time.Second, Stale: 24 * time.Hour}
	for _, c := range []struct {
		name  string
		turns []Turn
		want  int
	}{
		{"three in a minute", turnsOf("d", 0, 0.2, 0.5, 0.7, 1, 2), 3},
		{"three in more", turnsOf("d", 0, 0.2, 0.5, 0.7, 1.02, 2), 0},
		{"five, each counted once", turnsOf("d", 0, .1, .2, .3, .4, .5, .6, .7, .8, .9), 5},
		{"two bursts", turnsOf("d", 0, .1, .2, .3, .4, .5, 60, 60.1, 60.2, 60.3, 60.4, 60.5), 6},
		{"a burst that goes on over the minute", turnsOf("d", 0, .1, .4, .5, .8, .9, 1.2, 1.3, 1.6), 5},
	} {
		got := 0
		for _, n := range h.Chatter(c.turns) {
			got += n.Count
		}
		if got != c.want {
			t.Errorf("%s: %d activations chatter, want %d", c.name, got, c.want)
		}
	}
	fleets := h.Fleets(turnsOf("d", 0, 0.1, 5, 6, 7, 7.15, 8))
	if len(fleets) != 1 || fleets[0].Count != 2 || fleets[0].Where != "d" || !fleets[0].Last.Equal(minutes(7)[0]) {
		t.Errorf("fleeting: %+v, want two of d", fleets)
	}
	now := floodStart.Add(25 * time.Hour)
	stale := h.StaleOf([]grid.Alarm{
		oneAlarm("fresh", grid.EventDoorHeldOpen, 3, func(a *grid.Alarm) { a.Raised = a.Raised.Add(2 * time.Hour) }),
		oneAlarm("stale", grid.EventDoorHeldOpen, 3), oneAlarm("older", grid.EventDoorHeldOpen, 3, old), oneAlarm("over", grid.EventDoorHeldOpen, 3, latched),
	}, now)
	if len(stale) != 2 || stale[0].ID != "older" || stale[1].ID != "stale" {
		t.Errorf("stale: %+v, want older and stale", stale)
	}
}
