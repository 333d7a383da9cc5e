// Package calendar knows which hours are working hours: weekly hours, public holidays and
// the weekends that are worked instead, all as data. Time limits of tickets, quiet hours
// and hours of occupancy are told in such calendars.
package calendar

import (
	"slices"
	"time"
	_ "time/tzdata" // a bare machine or an empty container has no time zones of its own
)

// Calendar is a set of hours. It does not change after Parse and may be used by many.
type Calendar struct {
	Name string
	zone *time.Location
	week [7][]span // by weekday, Sunday first
	// holidays says what of the year is not as the weekday says; nil: the week alone counts.
	holidays *holidays
	length   time.Duration // of an ordinary day
}

// span is from and to on a day, in minutes after midnight; past 1440 it is the next day's.
type span struct{ from, to int }

// date is a day of the calendar's zone, without a time.
type date struct {
	year  int
	month time.Month
	day   int
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, m, d}
}

// at is a minute of a day; minutes past 1440 are on the next.
func (d date) at(minute int, zone *time.Location) time.Time {
	return time.Date(d.year, d.month, d.day, 0, minute, 0, 0, zone)
}

func (d date) add(days int) date {
	return dateOf(time.Date(d.year, d.month, d.day+days, 12, 0, 0, 0, time.UTC))
}

func (d date) weekday() time.Weekday {
	return time.Date(d.year, d.month, d.day, 12, 0, 0, 0, time.UTC).Weekday()
}

// holidays are the days that are not as their weekday says.
type holidays struct {
	off   map[date]string // a public holiday, with its name
	work  map[date]string // a weekend that is worked, with the holiday it is worked for
	years []int           // of which there is word
}

// Day says what a day is.
type Day struct {
	Working bool
	Holiday string // its name, "" on ordinary days; of a weekend that is worked the holiday it is worked for
}

// Day says what the day of t is, in the calendar's zone.
func (c *Calendar) Day(t time.Time) Day {
	return c.day(dateOf(t.In(c.zone)))
}

func (c *Calendar) day(d date) Day {
	if c.holidays != nil {
		if name, off := c.holidays.off[d]; off {
			return Day{Holiday: name}
		}
		if name, work := c.holidays.work[d]; work {
			return Day{Working: true, Holiday: name}
		}
	}
	return Day{Working: len(c.week[d.weekday()]) > 0}
}

// hours are the spans of a day. A weekend that is worked has the hours of a Monday.
func (c *Calendar) hours(d date) []span {
	switch day := c.day(d); {
	case !day.Working:
		return nil
	case day.Holiday != "" && len(c.week[d.weekday()]) == 0:
		return c.week[c.firstDay()]
	}
	return c.week[d.weekday()]
}

func (c *Calendar) firstDay() time.Weekday {
	for i := range 7 {
		if day := time.Weekday((int(time.Monday) + i) % 7); len(c.week[day]) > 0 {
			return day
		}
	}
	return time.Monday
}

// Contains reports whether t is within the calendar's hours.
func (c *Calendar) Contains(t time.Time) bool {
	today := dateOf(t.In(c.zone))
	for _, d := range []date{today.add(-1), today} { // the hours of a night begin the day before
		for _, s := range c.hours(d) {
			if !t.Before(d.at(s.from, c.zone)) && t.Before(d.at(s.to, c.zone)) {
				return true
			}
		}
	}
	return false
}

// DayLength is how many hours an ordinary day has: a limit of one work day is so long.
func (c *Calendar) DayLength() time.Duration { return c.length }

// horizon is how far ahead hours are looked for: no calendar is closed for longer.
const horizon = 400

// Add gives the moment at which d of the calendar's time has passed since from. Zero
// gives from itself, or the next opening. More than a year has is a year.
func (c *Calendar) Add(from time.Time, d time.Duration) time.Time {
	end := from.AddDate(0, 0, horizon)
	c.walk(from, func(open, shut time.Time) bool {
		if left := shut.Sub(open); left < d {
			d -= left
			return true
		}
		end = open.Add(d)
		return false
	})
	return end.UTC()
}

// Between gives how much of the calendar's time lies between two moments; 0 if to is not
// after from.
func (c *Calendar) Between(from, to time.Time) (sum time.Duration) {
	c.walk(from, func(open, shut time.Time) bool {
		if !open.Before(to) {
			return false
		}
		if shut.After(to) {
			shut = to
		}
		sum += shut.Sub(open)
		return true
	})
	return sum
}

// Next gives when the calendar's hours begin or end next: Contains changes then. Zero: not
// within a year.
func (c *Calendar) Next(t time.Time) time.Time {
	var change time.Time
	end := t // of the hours that t lies in; those that follow without a break are the same
	c.walk(t, func(open, shut time.Time) bool {
		if open.After(end) {
			change = end
			if end.Equal(t) {
				change = open
			}
			return false
		}
		end = shut
		return true
	})
	return change.UTC()
}

// Hours are the hours of a calendar, or with Outside all others. The zero Hours are all hours.
type Hours struct {
	Calendar *Calendar
	Outside  bool
}

// Always reports whether all hours count.
func (h Hours) Always() bool { return h.Calendar == nil }

// Contains reports whether t counts.
func (h Hours) Contains(t time.Time) bool {
	return h.Calendar == nil || h.Calendar.Contains(t) != h.Outside
}

// Add is as Calendar.Add, in these hours.
func (h Hours) Add(from time.Time, d time.Duration) time.Time {
	switch {
	case h.Calendar == nil:
		return from.Add(d)
	case !h.Outside:
		return h.Calendar.Add(from, d)
	}
	end, reached := from.AddDate(0, 0, horizon), from
	h.Calendar.walk(from, func(open, shut time.Time) bool {
		gap := open.Sub(reached)
		if gap > d || gap == d && gap > 0 {
			end = reached.Add(d)
			return false
		}
		d -= max(0, gap)
		reached = shut
		return true
	})
	return end.UTC()
}

// Next is when Contains changes; zero: not within a year.
func (h Hours) Next(t time.Time) time.Time {
	if h.Calendar == nil {
		return time.Time{}
	}
	return h.Calendar.Next(t)
}

// walk gives the hours from a moment on, in order, the first cut to begin there, until
// do says that it has enough.
func (c *Calendar) walk(from time.Time, do func(open, shut time.Time) bool) {
	first := dateOf(from.In(c.zone)).add(-1)
	reached := from
	for n := range horizon {
		d := first.add(n)
		for _, s := range c.hours(d) {
			open, shut := d.at(s.from, c.zone), d.at(s.to, c.zone)
			if open.Before(reached) {
				open = reached
			}
			if !shut.After(open) {
				continue
			}
			reached = shut
			if !do(open, shut) {
				return
			}
		}
	}
}

// Known reports whether the public holidays of the year of t are known to the calendar;
// in other years its weekends are guessed from the week. True when it has none.
func (c *Calendar) Known(t time.Time) bool {
	return c.holidays == nil || slices.Contains(c.holidays.years, t.In(c.zone).Year())
}
