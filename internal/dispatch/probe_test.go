package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/grid"
)

// line is a channel that answers as it is told.
type line struct {
	mu   sync.Mutex
	err  error
	sent []grid.Delivery
}

func (l *line) Deliver(_ context.Context, d grid.Delivery) (grid.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, d)
	return grid.Receipt{}, l.err
}

func (l *line) is(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *line) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent)
}

// testing runs a tester of some units in a world with a clock of its own.
func testingUnits(t *testing.T, units []grid.Unit, connectors map[string]grid.Connector, heard func(string) time.Time, story func(told func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		tester := NewTester(TestConfig{
			Units: func(context.Context) ([]grid.Unit, error) { return units, nil }, Connectors: connectors, Heard: heard,
			Told: func(_ context.Context, unit, problem string) error {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, unit+": "+problem)
				return nil
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { tester.Run(ctx) })
		story(func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(told) })
		cancel()
		wg.Wait()
	})
}

func TestEveryChannelIsTestedWithinTwoHours(t *testing.T) {
	l := &line{}
	units := []grid.Unit{
		{ID: "a", Connector: "line", Mode: grid.Live}, {ID: "b", Connector: "line", Mode: grid.Live, Test: "30m"},
		{ID: "c", Connector: "line", Mode: grid.Live, Test: "off"}, {ID: "d", Connector: "inbox", Mode: grid.Live},
	}
	testingUnits(t, units, map[string]grid.Connector{"line": l, "inbox": Inbox{}}, nil, func(func() []string) {
		time.Sleep(24 * time.Hour)
	})
	n := map[string]int{}
	last := map[string]time.Time{}
	for _, d := range l.sent {
		n[d.Unit]++
		if at, before := last[d.Unit]; before && d.Created.Sub(at) > 2*time.Hour+time.Minute {
			t.Errorf("%s was left alone for %s", d.Unit, d.Created.Sub(at))
		}
		last[d.Unit] = d.Created
		var e struct{ Data struct{ Mode, Title string } }
		if err := json.Unmarshal(d.Body, &e); err != nil || e.Data.Mode != "test" || d.Mode != grid.Test || d.Type != MessageTest {
			t.Fatalf("the message is no test: %s", d.Body)
		}
	}
	if n["a"] < 12 || n["a"] > 13 || n["b"] < 46 || n["c"]+n["d"] != 0 {
		t.Errorf("in a day they were tested %v times", n)
	}
}

func TestAChannelThatFailsThreeTimesIsTold(t *testing.T) {
	l := &line{}
	l.is(errors.New("no answer"))
	testingUnits(t, []grid.Unit{{ID: "a", Connector: "line"}}, map[string]grid.Connector{"line": l}, nil, func(told func() []string) {
		for l.count() < 2 {
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		if got := told(); len(got) != 0 {
			t.Fatalf("after two failures it is told %q", got)
		}
		time.Sleep(3 * time.Minute)
		if got := told(); len(got) == 0 || got[0] != "a: no answer" {
			t.Fatalf("after more it is told %q", got)
		}
		l.is(nil)
		time.Sleep(2 * time.Minute)
		if got := told(); got[len(got)-1] != "a: " {
			t.Errorf("after it is well again it is told %q", got)
		}
	})
}

func TestAMessageThatWasReceivedIsAsGoodAsATest(t *testing.T) {
	l := &line{}
	testingUnits(t, []grid.Unit{{ID: "a", Connector: "line"}}, map[string]grid.Connector{"line": l}, func(string) time.Time { return time.Now() }, func(func() []string) {
		time.Sleep(12 * time.Hour)
	})
	if n := l.count(); n > 1 {
		t.Errorf("%d tests of a unit that receives messages all the time", n)
	}
}

func TestWhatIsOurOwnFaultIsNoProblemOfTheUnit(t *testing.T) {
	for _, err := range []error{fmt.Errorf("%w: not now", errOurs), fmt.Errorf("%w: no form", ErrWithheld)} {
		l := &line{}
		l.is(err)
		testingUnits(t, []grid.Unit{{ID: "a", Connector: "line"}}, map[string]grid.Connector{"line": l}, nil, func(told func() []string) {
			time.Sleep(time.Hour)
			if got := told(); len(got) != 0 {
				t.Errorf("%v is told as %q", err, got)
			}
		})
	}
}
