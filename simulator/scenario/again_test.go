package scenario

import (
	"testing"
	"time"

	"gridgate/simulator/verdict"
)

func TestABusyMachineExcusesWhatIsLateAndNeverWhatIsLost(t *testing.T) {
	s := &Scenario{Expect: []Expect{{Subject: "alarm"}, {Subject: "sent"}, {Subject: "ledger"}}}
	for _, c := range []struct {
		late   time.Duration
		speed  float64
		notMet []int
		want   bool
	}{
		{time.Second, 120, []int{0}, true},
		{time.Second, 120, nil, false},
		{10 * time.Millisecond, 120, []int{0}, false}, // the machine was quick
		{time.Second, 1, []int{0}, false},             // no slower speed is left
		{time.Second, 120, []int{1}, false},
		{time.Second, 120, []int{0, 2}, false},
	} {
		res := verdict.Result{Late: c.late, Speed: c.speed, Expectations: []verdict.Expectation{{Outcome: verdict.Met}, {Outcome: verdict.Met}, {Outcome: verdict.Met}}}
		for _, i := range c.notMet {
			res.Expectations[i].Outcome = verdict.NotMet
		}
		res.Judge()
		if got := saysNothing(s, &res); got != c.want {
			t.Errorf("late by %s at %g times, %v not met: excused %t, want %t", c.late, c.speed, c.notMet, got, c.want)
		}
	}
}
