package scenario

import (
	"context"
	"time"

	"gridgate/simulator/verdict"
)

// A scenario wants its people to be quicker than the gateway's own clocks: at 120 times the
// speed the 90 seconds of smoke are three quarters of one. Where this machine itself was late,
// what was not met there says nothing of the gateway; it is played once more, slower.
const (
	tooLate = 50 * time.Millisecond // of this machine, at its worst: more, and a verdict of "not met" is not believed at once
	slower  = 3                     // times, the second time
)

// Run plays a scenario and says what came of it. An error says that it could not be
// played; that an expectation was not met is in the result.
func Run(ctx context.Context, s *Scenario, o Options) (verdict.Result, error) {
	res, err := play(ctx, s, o)
	if err != nil || o.Once || !saysNothing(s, &res) || o.Gateway != "" || o.Speed != 0 {
		return res, err
	}
	before := verdict.Attempt{Speed: res.Speed, Late: res.Late, NotMet: res.NotMetIDs(), Said: res.Summary()}
	if o.Dir != "" {
		o.Dir += "-slower"
	}
	o.Speed = max(res.Speed/slower, 1)
	res, err = play(ctx, s, o)
	res.Before = append(res.Before, before)
	return res, err
}

// saysNothing reports whether a verdict was made on a machine too busy for its speed. What is
// lost, or does not add up, is never excused: no slow machine loses a frame.
func saysNothing(s *Scenario, res *verdict.Result) bool {
	for i, e := range res.Expectations {
		if e.Outcome == verdict.NotMet && oneOf(s.Expect[i].Subject, "sent ledger") {
			return false
		}
	}
	return res.Outcome == verdict.NotMet && res.Late >= tooLate && res.Speed > 1
}
