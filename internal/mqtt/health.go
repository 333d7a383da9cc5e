package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// remember is how long lost messages are a problem: a person must come to see it.
const remember = time.Hour

// Links is the connection in the health view.
func (t *Transport) Links() []grid.LinkHealth {
	now, s := t.cfg.Now(), t.Status()
	h := grid.LinkHealth{
		Name: "mqtt." + t.cfg.Name, Transport: "mqtt", Source: t.cfg.Name, Kind: grid.BrokerLink, Address: t.peer, Up: s.Connected, Since: s.Since,
		Detail: fmt.Sprintf("%d topics", len(t.cfg.Topics)),
	}
	if s.CanaryRTT > 0 {
		h.Detail += fmt.Sprintf(", answers in %v", s.CanaryRTT.Round(100*time.Microsecond))
	}
	if s.Waiting > 0 {
		h.Detail += fmt.Sprintf(", %d frames wait", s.Waiting)
	}
	if err := s.Problem(now); err != nil {
		h.Problem = err.Error()
	}
	t.tally.Fill(&h, now)
	return []grid.LinkHealth{h}
}

// Peers are none: who is behind the broker only it knows.
func (t *Transport) Peers(string) []grid.LinkHealth { return nil }

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
