package alarm

import (
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestClockThatIsOffIsNotBelieved(t *testing.T) {
	for _, c := range []struct {
		name     string
		device   time.Time
		history  bool
		late     time.Duration
		ok       bool
		believed bool
	}{
		{"not said", time.Time{}, false, 0, false, false},
		{"exact", t0, false, 0, true, true},
		{"two minutes behind", at(-120), false, 2 * time.Minute, true, true},
		{"a little more", at(-121), false, 121 * time.Second, false, false},
		{"two minutes ahead", at(120), false, -2 * time.Minute, true, true},
		{"next year", t0.AddDate(1, 0, 0), false, -365 * 24 * hour, false, false},
		{"next year, as history", t0.AddDate(1, 0, 0), true, -365 * 24 * hour, false, false},
		{"1970", time.Unix(0, 0), false, t0.Sub(time.Unix(0, 0)), false, false},
		{"1970, as history", time.Unix(0, 0), true, t0.Sub(time.Unix(0, 0)), false, false},
		{"a record of this morning", at(-4 * 3600), true, 4 * hour, false, true},
		{"a live reading that says this morning", at(-4 * 3600), false, 4 * hour, false, false},
	} {
		late, ok := Lateness(t0, c.device)
		if late != c.late || ok != c.ok {
			t.Errorf("%s: late %v believed %v, want %v %v", c.name, late, ok, c.late, c.ok)
		}
		if got := Believed(t0, c.device, c.history); got != c.believed {
			t.Errorf("%s: the reading is believed %v, want %v", c.name, got, c.believed)
		}
	}
}

func TestLiveSmokeAlarmIsNeverDiscardedAsOld(t *testing.T) {
	for _, device := range []time.Time{{}, t0, at(-3600), at(-1e6), time.Unix(0, 0), t0.AddDate(1, 0, 0)} {
		if got := (Arrival{Received: t0, Device: device}).Class(10*time.Minute, 24*hour); got != Live {
			t.Errorf("device says %v: %v, want live", device, got)
		}
	}
	for _, network := range []time.Time{at(-3600), at(-3 * 86400), t0.AddDate(-2, 0, 0)} {
		if got := (Arrival{Received: t0, Network: network}).Class(10*time.Minute, 24*hour); got != Late {
			t.Errorf("network heard it at %v: %v, want late", network, got)
		}
	}
	if got := (Arrival{Received: t0, Network: at(-300)}).Class(10*time.Minute, 24*hour); got != Live {
		t.Errorf("five minutes in a queue: %v, want live", got)
	}
}

func TestSmokeIsNeverOnlyHistory(t *testing.T) {
	r := &Rule{Type: grid.EventSmokeLate, From: FromLate, LateAfter: 10 * time.Minute, MaxAge: 24 * hour, ReAlarm: 30 * time.Minute}
	active := &grid.Alarm{Active: true, Raised: at(-60)}
	over := &grid.Alarm{Raised: at(-7200), At: at(-7200), Returned: at(-3600)}
	recent := &grid.Alarm{Raised: at(-900), At: at(-900), Returned: at(-600)}
	for _, c := range []struct {
		name       string
		a          Arrival
		live, late *grid.Alarm
		want       Action
	}{
		{"live: not this rule's", Arrival{Received: t0, Device: t0}, nil, nil, None},
		{"record of two hours ago", Arrival{Received: t0, Device: at(-7200), History: true}, nil, nil, Raise},
		{"record of a day ago", Arrival{Received: t0, Device: at(-86400), History: true}, nil, nil, None},
		{"record of just under a day ago", Arrival{Received: t0, Device: at(-86399), History: true}, nil, nil, Raise},
		{"record of unbelieved time", Arrival{Received: t0, Device: time.Unix(0, 0), History: true}, nil, nil, Raise},
		{"record of next year", Arrival{Received: t0, Device: t0.AddDate(1, 0, 0), History: true}, nil, nil, Raise},
		{"record without a time", Arrival{Received: t0, History: true}, nil, nil, Raise},
		{"retained", Arrival{Received: t0, Retained: true}, nil, nil, Raise},
		{"retained, its clock days behind and not believed", Arrival{Received: t0, Device: at(-3 * 86400), Retained: true}, nil, nil, Raise},
		{"out of order", Arrival{Received: t0, Device: t0, OutOfOrder: true}, nil, nil, Raise},
		{"an hour in a queue", Arrival{Received: t0, Network: at(-3600)}, nil, nil, Raise},
		{"the live fire is known", Arrival{Received: t0, Retained: true}, active, nil, None},
		{"once per episode", Arrival{Received: t0, Retained: true}, nil, active, None},
		{"record from within a live episode that is over", Arrival{Received: t0, Device: at(-5000), History: true}, over, nil, None},
		{"record from before it", Arrival{Received: t0, Device: at(-9000), History: true}, over, nil, Raise},
		{"record from after it", Arrival{Received: t0, Device: at(-1800), History: true}, over, nil, Raise},
		{"back within the re-alarm window", Arrival{Received: t0, Retained: true}, nil, recent, Rejoin},
	} {
		if got := SmokeLate(r, c.a, c.live, c.late); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAgeComesFromTheFirstClockThatIsBelieved(t *testing.T) {
	for _, c := range []struct {
		name  string
		a     Arrival
		age   time.Duration
		known bool
		at    time.Time
	}{
		{"device", Arrival{Received: t0, Device: at(-30)}, 30 * time.Second, true, at(-30)},
		{"device a little ahead", Arrival{Received: t0, Device: at(30)}, 0, true, at(30)},
		{"record", Arrival{Received: t0, Device: at(-7200), History: true}, 2 * hour, true, at(-7200)},
		{"network", Arrival{Received: t0, Device: time.Unix(0, 0), Network: at(-60)}, time.Minute, true, t0},
		{"nobody", Arrival{Received: t0, Device: time.Unix(0, 0)}, 0, false, t0},
	} {
		if age, known := c.a.Age(); age != c.age || known != c.known || !c.a.At().Equal(c.at) {
			t.Errorf("%s: age %v known %v at %v, want %v %v %v", c.name, age, known, c.a.At(), c.age, c.known, c.at)
		}
	}
}
