package alarm

import (
	"cmp"
	"slices"
	"time"
)

// Span is a time in which we, or the transport in question, could not hear. To zero: it
// still lasts.
type Span struct{ From, To time.Time }

// WithGrace lengthens each span by one reporting interval: a device that could not
// reach us gets that long to report again.
func WithGrace(down []Span, interval time.Duration) []Span {
	out := make([]Span, len(down))
	for i, s := range down {
		if !s.To.IsZero() {
			s.To = s.To.Add(interval)
		}
		out[i] = s
	}
	return out
}

// Deaf are the spans that the delays of a condition leave out, of those in which we could
// not hear its device. What was heard to be wrong is told without more ado: only the spans
// themselves are left out, and for P1 not even they. That it is normal may have changed
// unheard: each span is followed by one reporting interval of grace, until a word that came
// after it.
func Deaf(r *Rule, down []Span, in Input, interval time.Duration) []Span {
	switch {
	case in.Abnormal && r.Priority == 1:
		return nil
	case in.Abnormal || len(down) == 0:
		return down
	}
	out := WithGrace(down, interval)
	for i, s := range down {
		if !s.To.IsZero() && !in.Heard.Before(s.To) {
			out[i] = s
		}
	}
	return out
}

// Lasts says whether we cannot hear now.
func Lasts(down []Span) bool {
	return slices.ContainsFunc(down, func(s Span) bool { return s.To.IsZero() })
}

// audible is the moment at which we have listened for d since from, leaving out the
// time in which we could not hear. Zero: not foreseeable, a span still lasts.
func audible(from time.Time, d time.Duration, down []Span) time.Time {
	due := from.Add(d)
	if d <= 0 || len(down) == 0 {
		return due // nothing is concluded from absence
	}
	spans := slices.Clone(down)
	slices.SortFunc(spans, func(a, b Span) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To))
	})
	heardUpTo := from // time before this is accounted for, so that overlapping spans count once
	for _, s := range spans {
		if !s.From.Before(due) {
			break
		}
		if s.To.IsZero() {
			return time.Time{}
		}
		if !s.To.After(heardUpTo) {
			continue
		}
		lost := s.To.Sub(later(s.From, heardUpTo))
		due, heardUpTo = due.Add(lost), s.To
	}
	return due
}

// deafUntil is the end of the last span that touches the time from from to now; deaf
// says that one still lasts.
func deafUntil(from, now time.Time, down []Span) (end time.Time, deaf bool) {
	for _, s := range down {
		if s.From.After(now) {
			continue
		}
		if s.To.IsZero() {
			return time.Time{}, true
		}
		if s.To.After(from) {
			end = later(end, s.To)
		}
	}
	return end, false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
