package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// remember is how long lost messages are a problem: a person must come to see it.
const remember = time.Hour

// Problem says what is wrong with the connection, nil when all is well.
func (s Status) Problem(now time.Time) error {
	if !s.Connected {
		return fmt.Errorf("not connected since %s: %s", s.Since.Format(time.RFC3339), s.LastError)
	}
	var wrong []string
	for _, sub := range s.Subscriptions {
		if sub.Refused {
			wrong = append(wrong, fmt.Sprintf("the broker refuses the subscription to %q", sub.Topic))
		}
	}
	if s.CanaryRefused {
		wrong = append(wrong, "the broker refuses the canary, so that nobody sees when nothing comes any more")
	}
	if !s.FailingSince.IsZero() {
		wrong = append(wrong, fmt.Sprintf("frames cannot be stored since %s", s.FailingSince.Format(time.RFC3339)))
	}
	if q := s.Queue; !q.LastLoss.IsZero() && now.Sub(q.LastLoss) < remember {
		wrong = append(wrong, fmt.Sprintf("%s: %s", q.LastLoss.Format(time.RFC3339), q.LossWas))
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}
