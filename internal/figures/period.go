package figures

import (
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// Period is a span of days: From ≤ t < To. A period that is not over ends at End.
type Period struct {
	Name string    `json:"name"` // 2026-11-22, 2026-W47, 2026-11, 2026-Q4, 2026, or custom
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	End  time.Time `json:"end"` // until when it is counted: To, or now
}

// dayName is how a day is written.
const dayName = "2006-01-02"

// Kinds of periods.
const (
	Day     = "day"
	Week    = "week"
	Month   = "month"
	Quarter = "quarter"
	Year    = "year"
	Custom  = "custom"
	Days7   = "7d"  // seven days, the last of which is the day of at
	Days30  = "30d" // thirty
)

// rolling are the kinds that end with the day of at, and how many days they have.
var rolling = map[string]int{Days7: 7, Days30: 30}

// PeriodOf gives the period of a kind that at lies in, as far as it has come by now.
func PeriodOf(kind string, at, now time.Time, zone *time.Location) (Period, error) {
	at = at.In(zone)
	y, m, d := at.Date()
	midnight := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, zone) }
	var p Period
	switch kind {
	case Day:
		p = Period{Name: at.Format(dayName), From: midnight(y, m, d), To: midnight(y, m, d+1)}
	case Week: // from Monday
		back := (int(at.Weekday()) + 6) % 7
		yw, w := at.ISOWeek()
		p = Period{Name: fmt.Sprintf("%d-W%02d", yw, w), From: midnight(y, m, d-back), To: midnight(y, m, d-back+7)}
	case Month:
		p = Period{Name: at.Format("2006-01"), From: midnight(y, m, 1), To: midnight(y, m+1, 1)}
	case Quarter:
		q := (int(m) - 1) / 3
		p = Period{Name: fmt.Sprintf("%d-Q%d", y, q+1), From: midnight(y, time.Month(3*q+1), 1), To: midnight(y, time.Month(3*q+4), 1)}
	case Year:
		p = Period{Name: at.Format("2006"), From: midnight(y, 1, 1), To: midnight(y+1, 1, 1)}
	case Days7, Days30:
		p = Period{From: midnight(y, m, d+1-rolling[kind]), To: midnight(y, m, d+1)}
		p.Name = p.From.Format(dayName) + ".." + at.Format(dayName)
	default:
		return Period{}, grid.Errorf(grid.Invalid, "period is %q: want %s, %s, %s, %s, %s, %s or %s, or since and until", kind, Day, Week, Days7, Days30, Month, Quarter, Year)
	}
	return p.until(now), nil
}

// longest is the longest period that figures are made of.
const longest = 366 * 24 * time.Hour

// Between gives the period from one moment to another.
func Between(from, to, now time.Time, zone *time.Location) (Period, error) {
	if !to.After(from) || to.Sub(from) > longest {
		return Period{}, grid.Errorf(grid.Invalid, "since is %s and until %s: want until after since, a year later at most", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	return Period{Name: Custom, From: from.In(zone), To: to.In(zone)}.until(now), nil
}

func (p Period) until(now time.Time) Period {
	p.End = p.To
	if now.Before(p.End) {
		p.End = now.In(p.From.Location())
	}
	if p.End.Before(p.From) {
		p.End = p.From
	}
	return p
}

// Days is how many days have been counted.
func (p Period) Days() float64 { return p.End.Sub(p.From).Hours() / 24 }

// Previous is the period before (环比), YearAgo the same period a year before (同比). A
// period that is not over is compared with as much of the other: the third of November with
// the third of October.
func (p Period) Previous(kind string) Period {
	switch kind {
	case Custom:
		return p.like(Period{Name: Custom, From: p.From.Add(-p.To.Sub(p.From)), To: p.From})
	default:
		return p.like(p.named(kind, p.From.AddDate(0, 0, -1)))
	}
}

// YearAgo of a week is the week 52 weeks before, which begins on the same day of the week.
func (p Period) YearAgo(kind string) Period {
	switch kind {
	case Custom:
		return p.like(Period{Name: Custom, From: yearBefore(p.From), To: yearBefore(p.To)})
	case Week:
		return p.like(p.named(kind, p.From.AddDate(0, 0, -52*7)))
	case Days7, Days30:
		return p.like(p.named(kind, yearBefore(p.To.AddDate(0, 0, -1))))
	default:
		return p.like(p.named(kind, yearBefore(p.From)))
	}
}

func (p Period) named(kind string, at time.Time) Period {
	q, err := PeriodOf(kind, at, at.AddDate(2, 0, 0), p.From.Location())
	if err != nil {
		panic("figures: a period of a known kind: " + err.Error())
	}
	return q
}

// like counts as much of q as was counted of p.
func (p Period) like(q Period) Period {
	q.End = q.To
	if p.End.Before(p.To) {
		if end := q.From.Add(p.End.Sub(p.From)); end.Before(q.To) {
			q.End = end
		}
	}
	return q
}

// yearBefore of the 29th of February is the 28th.
func yearBefore(t time.Time) time.Time {
	y, m, d := t.Date()
	if m == time.February && d == 29 {
		d = 28
	}
	return time.Date(y-1, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
}
