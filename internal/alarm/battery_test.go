package alarm

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// drain hears a battery once a day for so many days.
func drain(from, perDay float64, days int, noise float64) (b Battery, last time.Time) {
	r := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	for d := range days {
		at = time.Date(2026, 1, 1+d, 3, 0, 0, 0, time.UTC)
		b, _ = b.Hear(math.Round(from-perDay*float64(d)+noise*(2*r.Float64()-1)), at)
	}
	return b, at
}

func TestABatteryIsForetoldThirtyDaysAhead(t *testing.T) {
	// 0.5 % a day: after 121 days 39.5 % are left, and 59 days to 10 %.
	b, _ := drain(100, 0.5, 122, 2)
	if days, known := b.DaysLeft(); !known || math.Abs(days-59) > 4 {
		t.Errorf("%.1f days left (%v), want about 59", days, known)
	}
}

func TestNothingIsForetoldBeforeTwoWeeks(t *testing.T) {
	for days, want := range map[int]bool{1: false, 14: false, 15: true} {
		b, _ := drain(100, 1, days, 0)
		if _, known := b.DaysLeft(); known != want {
			t.Errorf("after %d days it is foretold: %v, want %v", days, known, want)
		}
	}
}

func TestABatteryThatLosesNothingLastsLongest(t *testing.T) {
	b, _ := drain(80, 0, 60, 0)
	if days, known := b.DaysLeft(); !known || days != BatteryMost {
		t.Errorf("%.1f days left (%v), want %.0f", days, known, BatteryMost)
	}
}

func TestANewBatteryBeginsANewTrend(t *testing.T) {
	b, at := drain(60, 1, 45, 0)
	if days, _ := b.DaysLeft(); days > 6.5 {
		t.Fatalf("%.1f days left of the old one, want 6", days)
	}
	b, _ = b.Hear(100, at.AddDate(0, 0, 1))
	if _, known := b.DaysLeft(); known {
		t.Error("the new battery is foretold on its first day")
	}
}

// A cold week is not the end: the line looks over the months.
func TestAFasterLossIsNoticedWithinWeeks(t *testing.T) {
	b, at := drain(100, 0.1, 100, 0)
	level := 90.0
	for d := range 40 {
		level -= 1
		b, _ = b.Hear(level, at.AddDate(0, 0, d+1))
	}
	if days, _ := b.DaysLeft(); days > 90 {
		t.Errorf("%.0f days left at 50 %% and 1 %% a day, want less than 90", days)
	}
}

func TestOfADayTheFirstLevelCounts(t *testing.T) {
	at := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	b, _ := Battery{}.Hear(80, at)
	if _, news := b.Hear(20, at.Add(time.Hour)); news {
		t.Error("a second level of the day is news")
	}
	for _, bad := range []time.Time{{}, at.AddDate(-100, 0, 0), at.AddDate(0, 0, -1)} {
		if _, news := b.Hear(20, bad); news {
			t.Errorf("a level of %s is news", bad)
		}
	}
}
