package dispatch

import (
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// window is when the last messages to a unit went out, oldest first.
type window struct{ sent []time.Time }

// fullError says that a unit takes no more messages for a while.
type fullError struct {
	limit TemplateLimit
	wait  time.Duration
}

func (e *fullError) Error() string {
	return fmt.Sprintf("takes %d messages per %s, and had them: %s to wait", e.limit.Count, e.limit.Per, e.wait.Round(time.Second))
}

// turn counts a message to an address, or says how long to wait. No span holds more than the
// limit, wherever it begins: services that take 20 a minute shut robots out for longer that
// send 21. Some places are kept for P1.
func (t *Template) turn(address string, p grid.Priority) error {
	l := t.spec.Load().Limit
	if l == nil {
		return nil
	}
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.sent[address]
	if w == nil {
		w = &window{}
		t.sent[address] = w
	}
	for len(w.sent) > 0 && !now.Before(w.sent[0].Add(l.Per)) {
		w.sent = w.sent[1:]
	}
	places := l.Count
	if p != 1 {
		places -= l.Urgent
	}
	if n := len(w.sent); n >= places {
		return &fullError{*l, w.sent[n-places].Add(l.Per).Sub(now)}
	}
	w.sent = append(w.sent, now)
	return nil
}
