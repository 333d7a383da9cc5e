package calendar_test

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/calendar"
)

func TestShiftsFollowOneAnotherOverMidnight(t *testing.T) {
	cs := builtIn(t)
	zone := time.FixedZone("UTC+8", 8*3600)
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, zone)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ now, name, from, end string }{
		{"2026-03-02 06:00", "early", "2026-03-02 06:00", "2026-03-02 14:00"},
		{"2026-03-02 13:59", "early", "2026-03-02 06:00", "2026-03-02 14:00"},
		{"2026-03-02 14:00", "late", "2026-03-02 14:00", "2026-03-02 22:00"},
		{"2026-03-02 23:30", "night", "2026-03-02 22:00", "2026-03-03 06:00"},
		{"2026-03-03 05:59", "night", "2026-03-02 22:00", "2026-03-03 06:00"},
	} {
		turn, ok := cs.OnDuty(at(c.now))
		if !ok || turn.Name != c.name || !turn.From.Equal(at(c.from)) || !turn.To.Equal(at(c.end)) {
			t.Errorf("at %s: %+v, want %s from %s to %s", c.now, turn, c.name, c.from, c.end)
		}
		if end := cs.ShiftEnd(at(c.now)); !end.Equal(at(c.end)) {
			t.Errorf("at %s: the shift ends %s, want %s", c.now, end, c.end)
		}
	}
}

func TestShiftsAreReadStrictly(t *testing.T) {
	const head = "zone: Asia/Shanghai\ncalendars: {office: {days: [mon], hours: [\"09:00-17:00\"]}}\nshifts: "
	for _, c := range []struct{ shifts, want string }{
		{`{early: "06:00-14:00", late: "13:00-22:00"}`, "shifts.early ends after late has begun"},
		{`{early: "06:00-14:00", night: "22:00-07:00"}`, "shifts.night ends after early has begun"},
		{`{early: "6 to 14"}`, "shifts.early: hours"},
	} {
		if _, err := calendar.Parse("c.yaml", []byte(head+c.shifts)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.shifts, err, c.want)
		}
	}
	cs, err := calendar.Parse("c.yaml", []byte(head+`{early: "06:00-14:00", night: "22:00-06:00"}`))
	if err != nil {
		t.Fatal(err)
	}
	if turn, ok := cs.OnDuty(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)); ok {
		t.Errorf("at 16:00 %s is on duty, want nobody", turn.Name)
	}
	for text, contains := range map[string]bool{"office": true, "except office": false} {
		h, err := cs.Hours(text)
		if err != nil || h.Contains(time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)) != contains {
			t.Errorf("%s at ten on a Monday: %v, want %t", text, err, contains)
		}
	}
	for _, text := range []string{"", "except ", "nights"} {
		if _, err := cs.Hours(text); err == nil {
			t.Errorf("hours %q are taken", text)
		}
	}
}
