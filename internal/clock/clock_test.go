package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

var newYear = time.Date(2026, 12, 31, 20, 0, 0, 0, time.FixedZone("", 8*3600))

func TestTheMachinesClockIsTheClockThatIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *Clock
		if !c.Now().Equal(time.Now()) || c.Simulated() || c.Speed() != 1 || c.Real(time.Hour) != time.Hour || c.City(time.Hour) != time.Hour {
			t.Errorf("now %s, speed %v", c.Now(), c.Speed())
		}
	})
}

func TestACityRunsFasterThanTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Simulated(newYear, 60)
		time.Sleep(10 * time.Second)
		if got := c.Since(newYear); got != 10*time.Minute {
			t.Errorf("in 10 s %s passed in the city: want 10m", got)
		}
		began := time.Now()
		<-c.After(30 * time.Minute)
		if got := time.Since(began); got != 30*time.Second {
			t.Errorf("half an hour of the city took %s: want 30s", got)
		}
		if got := c.Wait(c.Now().Add(time.Hour)); got != time.Minute {
			t.Errorf("to wait for an hour from now: %s, want 1m", got)
		}
		if got := c.Wait(c.Now().Add(-time.Hour)); got > 0 {
			t.Errorf("to wait for what has been: %s", got)
		}
	})
}

func TestAWaitThatIsNotOverIsNeverNoTime(t *testing.T) {
	c := Simulated(newYear, 3600)
	if c.Real(1) < 1 || c.Real(1<<62) < 0 || c.City(1<<60) < 0 {
		t.Errorf("%d, %d, %d", c.Real(1), c.Real(1<<62), c.City(1<<60))
	}
}

func TestATickerOfAFastCityTicksNoFasterThanAnybodySees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tick := Simulated(newYear, 3600).Ticker(15 * time.Second)
		defer tick.Stop()
		<-tick.C
		if got := time.Since(began); got != soonest {
			t.Errorf("ticked after %s: want %s", got, soonest)
		}
	})
}

func TestARestartedCityGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Simulated(newYear, 60)
		time.Sleep(time.Minute)
		m, err := ParseMark(c.Mark().String())
		if err != nil || !m.City.Equal(newYear.Add(time.Hour)) {
			t.Fatalf("kept %v, %v", m, err)
		}
		for away, want := range map[time.Duration]time.Duration{
			-time.Hour: time.Hour, 0: time.Hour, 20 * time.Second: time.Hour + 20*time.Minute, 24 * time.Hour: 11 * time.Hour,
		} {
			if got := m.Resume(m.Machine.Add(away), 60); got.Sub(newYear) != want {
				t.Errorf("after %s away the city has gone on for %s: want %s", away, got.Sub(newYear), want)
			}
		}
	})
	for _, bad := range []string{"", "yesterday", "2026-12-31T20:00:00Z"} {
		if _, err := ParseMark(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
