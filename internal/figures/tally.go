package figures

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// tally counts what one group of a period has. It is filled by add… and read by formulas.
type tally struct {
	reported, filed, merged, forced     int
	dispatched, accurate                int
	handleDue, handledInTime            int
	closeDue, closed, closedInTime      int
	checked, reworked, verdicts, passes int
	overdue, overdueP1                  int
	objects, repeated                   int
	compounds                           map[string]int
	verdict                             verified
	byKind, byProfile                   map[string]*verified
	spans                               [rungCount][]time.Duration
	activations, raised                 int
	byPriority                          [5]int
	perWindow                           map[int64]int
	tags                                map[tag][]time.Time // newest activations, oldest first
	chatters                            map[tag]bool
	stale                               map[int]int // by day of the period
	installed                           int
	offline, silent                     map[grid.Identity]bool
	unrecorded                          int
	top, operators, floodOver, windows  int
	hours                               float64
}

// verified counts findings on sensors' alarms.
type verified struct{ verified, wrong int }

// tag is a condition of a point.
type tag struct {
	point string
	typ   grid.EventType
}

func newTally(r *Rules) *tally {
	return &tally{
		compounds: map[string]int{}, byKind: map[string]*verified{}, byProfile: map[string]*verified{}, perWindow: map[int64]int{},
		tags: map[tag][]time.Time{}, chatters: map[tag]bool{}, stale: map[int]int{}, offline: map[grid.Identity]bool{}, silent: map[grid.Identity]bool{},
		top: r.Top, operators: r.Operators, floodOver: r.Flood.MoreThan * r.Operators,
	}
}

// in reports whether something happened in the period, as far as it is counted.
func (p Period) in(t time.Time) bool {
	return !t.IsZero() && !t.Before(p.From) && t.Before(p.End)
}

// by reports whether something had happened by the end of the period.
func (p Period) by(t time.Time) bool { return !t.IsZero() && t.Before(p.End) }

// ticket counts one ticket that touches the period.
func (t *tally) ticket(m *grid.TicketMarks, p Period, r *Rules) {
	opened := p.in(m.Opened)
	if opened {
		t.reported++
		t.filed += one(!m.Filed.IsZero())
		if m.Compound != "" {
			t.compounds[m.District+"/"+m.Compound]++
		}
		if m.Point != "" {
			t.objects++
			t.repeated += one(!m.Previous.IsZero() && m.Opened.Sub(m.Previous) <= r.RepeatWithin)
		}
	}
	if m.State == grid.TicketMerged { // the rest is the other ticket's
		t.merged += one(opened)
		return
	}
	t.forced += one(m.State == grid.TicketForcedClose && p.in(m.Ended))
	if opened {
		t.finding(m, r)
		t.ladder(m)
	}
	if p.in(m.Dispatched) {
		t.dispatched++
		t.accurate += one(m.Returns == 0)
	}
	if p.in(m.Checked) {
		t.checked++
		t.reworked += one(m.Rework > 0)
		t.passes += one(m.State == grid.TicketClosed)
		t.verdicts += m.Rework + one(m.State == grid.TicketClosed)
	}
	t.deadlines(m, p)
}

// deadlines counts what was due. Work that was called off is not.
func (t *tally) deadlines(m *grid.TicketMarks, p Period) {
	if m.State == grid.TicketCancelled || m.State == grid.TicketNotFiled {
		return
	}
	waits := m.Held && m.Ended.IsZero() // suspended, or returned: the handle clock stands still
	if p.in(m.HandleDue) && !waits {
		t.handleDue++
		t.handledInTime += one(!m.Handled.IsZero() && !m.Handled.After(m.HandleDue) && !m.Late)
	}
	if p.in(m.Due) {
		done := m.State == grid.TicketClosed && p.by(m.Ended)
		t.closeDue++
		t.closed += one(done)
		t.closedInTime += one(done && !m.Ended.After(m.Due))
	}
	if !m.Opened.Before(p.End) || p.by(m.Ended) {
		return
	}
	if p.by(m.Due) || p.by(m.HandleDue) && !waits && !p.by(m.Handled) {
		t.overdue++
		t.overdueP1 += one(m.Priority == 1)
	}
}

// finding counts what was found out about a sensor's alarm.
func (t *tally) finding(m *grid.TicketMarks, r *Rules) {
	known, wrong := r.finding(m)
	if !known {
		return
	}
	t.verdict.add(wrong)
	of(t.byKind, string(m.Kind)).add(wrong)
	if m.Profile != "" {
		of(t.byProfile, m.Profile).add(wrong)
	}
}

// finding says whether a ticket is about a sensor's alarm that was verified, and whether it
// was false. What was worked on and closed without a finding was true.
func (r *Rules) finding(m *grid.TicketMarks) (known, wrong bool) {
	switch {
	case !r.alarms[m.Type] || m.State == grid.TicketMerged:
		return false, false
	case m.Verification == grid.VerifiedFalse || m.State == grid.TicketCancelled || m.State == grid.TicketNotFiled:
		return true, true
	case m.Verification == grid.VerifiedTrue:
		return true, false
	}
	return m.State == grid.TicketClosed && m.Verification != grid.VerifiedUnable, false
}

func (v *verified) add(wrong bool) {
	v.verified++
	v.wrong += one(wrong)
}

func of(m map[string]*verified, key string) *verified {
	v := m[key]
	if v == nil {
		v = &verified{}
		m[key] = v
	}
	return v
}

// ladder notes how long each step took. A step that was skipped, or went back in time by
// two clocks, is left out.
func (t *tally) ladder(m *grid.TicketMarks) {
	closed := m.Ended
	if m.State != grid.TicketClosed {
		closed = time.Time{}
	}
	for i, s := range [rungCount][2]time.Time{
		{m.Occurred, m.Opened}, {m.Opened, m.Told}, {m.Opened, m.Acked}, {m.Opened, m.Accepted}, {m.Accepted, m.Arrived},
		{m.Arrived, m.Handled}, {m.Handled, closed}, {m.Opened, closed},
	} {
		if !s[0].IsZero() && !s[1].IsZero() && !s[1].Before(s[0]) {
			t.spans[i] = append(t.spans[i], s[1].Sub(s[0]))
		}
	}
}

// activation counts a condition that was raised. They come oldest first.
func (t *tally) activation(a *grid.Activation, p Period, r *Rules) {
	if !p.in(a.At) {
		return
	}
	t.activations++
	t.perWindow[int64(a.At.Sub(p.From)/r.Flood.Window)]++
	if !a.Again && a.Priority < 5 {
		t.raised++
		t.byPriority[a.Priority]++
	}
	k := tag{a.Point, a.Type}
	if t.chatters[k] || a.Point == "" {
		return
	}
	last := append(t.tags[k], a.At)
	if len(last) > r.Chattering.Times {
		last = last[1:]
	}
	t.tags[k] = last
	if len(last) == r.Chattering.Times && a.At.Sub(last[0]) <= r.Chattering.Within {
		t.chatters[k] = true
		delete(t.tags, k)
	}
}

// standing counts an episode that lasted.
func (t *tally) standing(s *grid.Standing, p Period, r *Rules) {
	if s.Type == grid.EventDeviceOffline && s.Device != "" {
		if s.Raised.Before(p.End) && (s.Returned.IsZero() || !s.Returned.Before(p.From)) {
			t.silent[s.Device] = true
		}
		if s.Raised.Before(p.End) && (s.Returned.IsZero() || !s.Returned.Before(p.End)) {
			t.offline[s.Device] = true
		}
	}
	from := s.Raised.Add(r.StaleAfter) // stale from then on
	for i, d := range p.days() {
		if from.Before(d) && (s.Returned.IsZero() || !s.Returned.Before(d)) {
			t.stale[i]++
		}
	}
}

// days are the ends of the period's days, the last as far as it is counted.
func (p Period) days() (ends []time.Time) {
	for d := p.From; d.Before(p.End); {
		y, m, day := d.Date()
		d = time.Date(y, m, day+1, 0, 0, 0, 0, p.From.Location())
		if d.After(p.End) {
			d = p.End
		}
		ends = append(ends, d)
	}
	return ends
}

func (t *tally) worstDay() (most int) {
	for _, c := range t.stale {
		most = max(most, c)
	}
	return most
}

func (t *tally) floods() (many int) {
	for _, c := range t.perWindow {
		many += one(c > t.floodOver)
	}
	return many
}

func (t *tally) topCompounds() (sum int) {
	counts := slices.SortedFunc(maps.Values(t.compounds), func(a, b int) int { return cmp.Compare(b, a) })
	for _, c := range counts[:min(t.top, len(counts))] {
		sum += c
	}
	return sum
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// percentile is the smallest span that this share of them do not exceed: one that was
// really there. spans are sorted and at least one.
func percentile(spans []time.Duration, share int) time.Duration {
	return spans[max(0, (len(spans)*share+99)/100-1)]
}
