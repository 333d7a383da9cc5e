package broker

import (
	"fmt"
	"testing"
	"time"
)

func TestAClientThatComesAndGoesIsHeldUpAndOthersAreNot(t *testing.T) {
	var f flaps
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	held := func(who string, times int) (n int) {
		for range times {
			if f.often(who, now, 10) {
				n++
			}
		}
		return n
	}
	if n := held("mad", 30); n != 20 {
		t.Errorf("of 30 logins at once %d are held up, want 20", n)
	}
	if n := held("calm", 3); n != 0 {
		t.Errorf("%d logins of another are held up", n)
	}
	now = now.Add(time.Minute)
	if n := held("mad", 10); n != 0 {
		t.Errorf("after a calm minute %d are held up", n)
	}
	for i := range 3 * flapsKept {
		f.often(fmt.Sprint(i), now, 10)
	}
	if n := len(f.now) + len(f.last); n > 2*flapsKept {
		t.Errorf("%d clients are remembered", n)
	}
}
