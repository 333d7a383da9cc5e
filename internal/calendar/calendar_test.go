package calendar_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

func builtIn(t *testing.T) *calendar.Calendars {
	t.Helper()
	b, err := configs.FS.ReadFile("calendars.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cs, err := calendar.Parse("calendars.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

func get(t *testing.T, name string) *calendar.Calendar {
	t.Helper()
	c, err := builtIn(t).Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// at reads a time of Shanghai.
func at(t *testing.T, s string) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	v, err := time.ParseInLocation("2006-01-02 15:04", s, zone)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWorkTimePassesInOfficeHoursAlone(t *testing.T) {
	office := get(t, "")
	for _, c := range []struct {
		what, from string
		d          time.Duration
		want       string
	}{
		{"within a morning", "2026-03-02 09:00", 2 * time.Hour, "2026-03-02 11:00"},
		{"over lunch", "2026-03-02 11:00", time.Hour, "2026-03-02 13:30"},
		{"to the very end of a day", "2026-03-02 16:30", time.Hour, "2026-03-02 17:30"},
		{"over a night", "2026-03-02 17:00", time.Hour, "2026-03-03 09:30"},
		{"over a weekend", "2026-03-06 17:00", time.Hour, "2026-03-09 09:30"},
		{"from a Sunday", "2026-03-08 12:00", time.Hour, "2026-03-09 10:00"},
		{"one work day, from its middle", "2026-03-02 10:00", 7 * time.Hour, "2026-03-03 10:00"},
		{"into the Spring Festival, of which a Saturday is worked", "2026-02-13 17:00", time.Hour, "2026-02-14 09:30"},
		{"over the Spring Festival", "2026-02-14 17:00", time.Hour, "2026-02-24 09:30"},
		{"over the National Day, from a Wednesday", "2026-09-30 17:00", 8 * time.Hour, "2026-10-09 09:30"},
		{"the Saturday worked after it", "2026-10-09 17:00", time.Hour, "2026-10-10 09:30"},
		{"New Year: Friday and Saturday off, Sunday worked", "2025-12-31 17:00", time.Hour, "2026-01-04 09:30"},
		{"nothing, in hours", "2026-03-02 10:00", 0, "2026-03-02 10:00"},
		{"nothing, at night", "2026-03-02 20:00", 0, "2026-03-03 09:00"},
	} {
		if got := office.Add(at(t, c.from), c.d); !got.Equal(at(t, c.want)) {
			t.Errorf("%s: %s and %s give %s, want %s", c.what, c.from, c.d, got.In(at(t, c.want).Location()), c.want)
		}
	}
	if got := office.DayLength(); got != 7*time.Hour {
		t.Errorf("a work day is %s, want 7h", got)
	}
}

func TestDaysAreWhatTheNoticeSays(t *testing.T) {
	office := get(t, "office")
	for _, c := range []struct {
		day     string
		working bool
		name    string
	}{
		{"2026-02-13", true, ""}, {"2026-02-14", true, "春节"}, {"2026-02-15", false, "春节"}, {"2026-02-23", false, "春节"}, {"2026-02-24", true, ""},
		{"2026-05-09", true, "劳动节"}, {"2026-05-10", false, ""}, {"2026-09-20", true, "国庆节"}, {"2026-09-25", false, "中秋节"}, {"2025-01-27", true, ""},
	} {
		if got := office.Day(at(t, c.day+" 12:00")); got.Working != c.working || got.Holiday != c.name {
			t.Errorf("%s is %+v, want working %v, holiday %q", c.day, got, c.working, c.name)
		}
	}
}

func TestANightBelongsToTheDayItBeginsOn(t *testing.T) {
	night := get(t, "night")
	for when, want := range map[string]bool{"2026-03-02 21:59": false, "2026-03-02 22:00": true, "2026-03-03 00:30": true, "2026-03-03 06:59": true, "2026-03-03 07:00": false} {
		if got := night.Contains(at(t, when)); got != want {
			t.Errorf("%s is night: %v, want %v", when, got, want)
		}
	}
	for when, want := range map[string]string{"2026-03-02 12:00": "2026-03-02 22:00", "2026-03-02 23:00": "2026-03-03 07:00", "2026-03-03 03:00": "2026-03-03 07:00"} {
		if got := night.Next(at(t, when)); !got.Equal(at(t, want)) {
			t.Errorf("after %s it changes at %s, want %s", when, got, want)
		}
	}
	if got := get(t, "always").Next(at(t, "2026-03-02 12:00")); !got.IsZero() {
		t.Errorf("what is always open changes at %s, want never", got)
	}
}

// What is added is what lies between, and no moment outside the hours counts: compared
// with counting minutes.
func TestAddAndBetweenAgreeWithCountingMinutes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	cs := builtIn(t)
	for range 300 {
		c, err := cs.Get(cs.Names()[r.IntN(len(cs.Names()))])
		if err != nil {
			t.Fatal(err)
		}
		from := at(t, "2025-12-20 00:00").Add(time.Duration(r.IntN(90*24*60)) * time.Minute)
		to := from.Add(time.Duration(r.IntN(12*24*60)) * time.Minute)
		var counted time.Duration
		for m := from; m.Before(to); m = m.Add(time.Minute) {
			if c.Contains(m) {
				counted += time.Minute
			}
		}
		between := c.Between(from, to)
		if between != counted {
			t.Fatalf("%s: between %s and %s lie %s, counted %s", c.Name, from, to, between, counted)
		}
		if back := c.Add(from, between); c.Between(from, back) != between || back.After(to) && between > 0 {
			t.Fatalf("%s: %s and %s give %s, in which lie %s", c.Name, from, between, back, c.Between(from, back))
		}
	}
}

func TestTimeOutsideTheHoursIsCountedToo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	cs := builtIn(t)
	for range 300 {
		c, err := cs.Get([]string{"office", "night"}[r.IntN(2)])
		if err != nil {
			t.Fatal(err)
		}
		h := calendar.Hours{Calendar: c, Outside: true}
		from := at(t, "2026-01-20 00:00").Add(time.Duration(r.IntN(60*24*60)) * time.Minute)
		d := time.Duration(1+r.IntN(40*60)) * time.Minute
		end, left := from, d
		for left > 0 {
			if h.Contains(end) {
				left -= time.Minute
			}
			end = end.Add(time.Minute)
		}
		if got := h.Add(from, d); !got.Equal(end) {
			t.Fatalf("outside %s, %s and %s give %s, counted %s", c.Name, from, d, got, end)
		}
	}
	office := calendar.Hours{Calendar: get(t, "office"), Outside: true}
	if got := office.Add(at(t, "2026-03-02 10:00"), 0); !got.Equal(at(t, "2026-03-02 11:30")) {
		t.Errorf("the next moment outside is %s, want 11:30", got)
	}
}

func TestAYearWithoutHolidaysIsTold(t *testing.T) {
	cs := builtIn(t)
	if got := cs.Unknown(at(t, "2026-11-30 00:00"), 30*24*time.Hour); got != 0 {
		t.Errorf("30 days before the end of November %d is missing, want none", got)
	}
	if got := cs.Unknown(at(t, "2026-12-03 00:00"), 30*24*time.Hour); got != 2027 {
		t.Errorf("in December %d is missing, want 2027", got)
	}
}

func TestParseRefusesWithTheKeyAndTheWish(t *testing.T) {
	const well = `
zone: Asia/Shanghai
holidays:
  2026:
    off: [{name: 元旦, from: 2026-01-01, to: 2026-01-03, worked: [2026-01-04]}]
calendars:
  office: {days: [mon], hours: ["09:00-11:30", "13:00-17:30"], holidays: true}
`
	if _, err := calendar.Parse("c.yaml", []byte(well)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"no zone", "zone: Asia/Shanghai", "", `zone is ""`},
		{"unknown zone", "Asia/Shanghai", "Asia/Changning", `zone is "Asia/Changning"`},
		{"unknown key", "{days:", "{daze:", `unknown field "daze"`},
		{"another year's day", "from: 2026-01-01", "from: 2025-01-01", `holidays.2026.off[0].from is "2025-01-01"`},
		{"to before from", "to: 2026-01-03", "to: 2026-12-31", "want a day at most a month after"},
		{"worked on a weekday", "2026-01-04]", "2026-01-05]", "worked has 2026-01-05, a Monday"},
		{"off and worked", "2026-01-04]", "2026-01-03]", "is off for 元旦 and worked for 元旦"},
		{"no name", "name: 元旦", `name: ""`, "off[0].name is empty"},
		{"no such weekday", "[mon]", "[monday]", `days has "monday"`},
		{"no days", "[mon]", "[]", "days is empty"},
		{"no hours", `["09:00-11:30", "13:00-17:30"]`, "[]", "hours is empty"},
		{"no span", "09:00-11:30", "9-12", `hours has "9-12"`},
		{"overlap", "13:00-17:30", "11:00-17:30", "begins before the span before it ends"},
		{"round the clock and more", "13:00-17:30", "13:00-10:00", "after the first begins"},
		{"no default", "office:", "shop:", `calendars has no "office"`},
	} {
		data := strings.Replace(well, c.old, c.new, 1)
		if data == well {
			t.Fatalf("%s: the file has no %q", c.name, c.old)
		}
		_, err := calendar.Parse("c.yaml", []byte(data))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "c.yaml: ") || grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%s: error is %v, want c.yaml: … %s", c.name, err, c.want)
		}
	}
}
