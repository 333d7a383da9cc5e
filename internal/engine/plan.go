package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/contractor"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// Planning reads what is committed, beside the state goroutine; what was planned is looked
// at once more when it becomes rows.

const (
	maxWork     = 5000                 // tickets or batteries that one plan looks at
	batteryScan = 20_000               // devices that are looked at in one turn
	noEntryBack = 180 * 24 * time.Hour // no entries before that do not count any more
)

// contractors are the rules in force.
func (e *Engine) contractors() *contractor.Rules {
	if e.Contractors != nil {
		return e.Contractors
	}
	return &contractor.Rules{Stops: 12, Season: 60}
}

// zone is that of days of work.
func (e *Engine) zone() *time.Location {
	if e.Calendars != nil {
		return e.Calendars.Zone()
	}
	return time.FixedZone("UTC+8", 8*3600)
}

// roundView is what planning needs of memory.
type roundView struct {
	unit    grid.Unit
	open    []grid.Round // of the unit
	of      map[string]string
	battery map[string]string
}

func (e *Engine) viewRounds(ctx context.Context, unit string) (roundView, error) {
	return as[roundView](e.do(ctx, &command{name: "rounds", do: func(*batch) (any, error) {
		u := e.units[unit]
		if u == nil || u.Kind != grid.Maintenance {
			return nil, grid.Errorf(grid.NotFound, "unit is %q: want one of kind %s", unit, grid.Maintenance)
		}
		v := roundView{unit: *u, of: map[string]string{}, battery: map[string]string{}}
		for t, id := range e.rounds.of {
			v.of[t] = id
		}
		for p, id := range e.rounds.battery {
			v.battery[p] = id
		}
		for _, id := range sortedKeys(e.rounds.all) {
			if r := e.rounds.all[id]; r.Unit == unit && r.Open() {
				v.open = append(v.open, *r)
			}
		}
		return v, nil
	}}))
}

// PlanRounds bundles the tickets of P4 of a unit, and the batteries that end, into one visit per
// building, and makes rounds of them. The same key again gives the first answer.
func (e *Engine) PlanRounds(ctx context.Context, ask grid.RoundAsk, key string) (grid.RoundPlan, error) {
	none := grid.RoundPlan{}
	v, err := e.viewRounds(ctx, ask.Unit)
	if err != nil {
		return none, err
	}
	days, err := e.daysFor(&ask, v.open)
	if err != nil {
		return none, err
	}
	work, err := e.ticketWork(ctx, &v, &ask)
	if err != nil {
		return none, err
	}
	if ask.Season > 0 {
		if work, err = e.batteryWork(ctx, &v, &ask, work); err != nil {
			return none, err
		}
	}
	p := contractor.Plan(work, v.open, days, ask.Stops, ask.Start)
	if p.DryRun = ask.DryRun; p.DryRun {
		return p, nil
	}
	for i := range p.Rounds {
		p.Rounds[i].Unit, p.Rounds[i].By, p.Rounds[i].Season = ask.Unit, ask.By, ask.Season > 0
	}
	return as[grid.RoundPlan](e.do(ctx, &command{name: "rounds", key: roundKey("plan/"+ask.Unit, ask.By, key), do: func(b *batch) (any, error) { return b.putRounds(p, ask.Unit) }}))
}

// daysFor completes what is asked for and gives the days of it.
func (e *Engine) daysFor(ask *grid.RoundAsk, open []grid.Round) ([]contractor.Day, error) {
	rules, zone := e.contractors(), e.zone()
	today := e.Now().In(zone).Format(grid.DayLayout)
	if ask.From == "" {
		ask.From = e.Now().In(zone).AddDate(0, 0, 1).Format(grid.DayLayout)
	}
	ask.Days, ask.Stops = cmp.Or(ask.Days, 1), cmp.Or(ask.Stops, rules.Stops)
	switch {
	case ask.From < today:
		return nil, grid.Errorf(grid.Invalid, "day is %q: want today, %s, or a later one", ask.From, today)
	case ask.Days < 1 || ask.Days > contractor.MaxDays:
		return nil, grid.Errorf(grid.Invalid, "days is %d: want 1 to %d", ask.Days, contractor.MaxDays)
	case ask.Stops < 1 || ask.Stops > contractor.MaxStops:
		return nil, grid.Errorf(grid.Invalid, "stops is %d: want 1 to %d", ask.Stops, contractor.MaxStops)
	case ask.Season < 0 || ask.Season > contractor.MaxSeason:
		return nil, grid.Errorf(grid.Invalid, "season is %d: want 0 to %d days", ask.Season, contractor.MaxSeason)
	}
	days, err := contractor.WorkDays(rules.Calendar, zone, ask.From, ask.Days)
	for i := range days {
		for _, r := range open {
			if r.Day == days[i].Name {
				days[i].Have += len(r.Stops)
			}
		}
	}
	return days, err
}

// ticketWork is what of the open tickets of a unit may wait for a round.
func (e *Engine) ticketWork(ctx context.Context, v *roundView, ask *grid.RoundAsk) (work []contractor.Candidate, err error) {
	before, err := e.notBefore(ctx, ask.Unit)
	if err != nil {
		return nil, err
	}
	q := state.Query{Unit: ask.Unit, State: "open", Limit: 1000, Scope: ask.Scope}
	for {
		page, err := e.store.ListTickets(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			t := &page.Items[i]
			if _, in := v.of[t.ID]; in || !waitsForRound(t, ask.Unit) {
				continue
			}
			c, err := e.workOf(ctx, t)
			if err != nil {
				return nil, err
			}
			c.NotBefore, c.Times = before[t.ID].day, before[t.ID].times
			if until := ticket.WaitsUntil(t); !until.IsZero() {
				c.NotBefore = max(c.NotBefore, until.In(e.zone()).Format(grid.DayLayout))
			}
			work = append(work, c)
		}
		if q.Cursor = page.Next; q.Cursor == "" || len(work) >= maxWork {
			return work, nil
		}
	}
}

// waitsForRound reports whether a ticket is work of a unit that may wait for a round.
func waitsForRound(t *grid.Ticket, unit string) bool {
	switch t.State {
	case grid.TicketDispatched, grid.TicketAccepted, grid.TicketInProgress, grid.TicketSuspended, grid.TicketRework:
		return t.Priority == roundPriority && ticket.Lead(t) == unit
	}
	return false
}

type retry struct {
	day   string
	times int
}

// notBefore is when tickets and points at which nobody opened are tried again.
func (e *Engine) notBefore(ctx context.Context, unit string) (map[string]retry, error) {
	out := map[string]retry{}
	q := state.Query{Unit: unit, Since: e.Now().Add(-noEntryBack), Limit: 1000}
	for {
		page, err := e.store.ListNoEntries(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			n := &page.Items[i]
			for _, id := range slices.Concat(n.Tickets, n.Points) {
				if _, newer := out[id]; !newer { // the newest comes first
					out[id] = retry{n.Next, n.Times}
				}
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return out, nil
		}
	}
}

// workOf is a ticket as work for a round.
func (e *Engine) workOf(ctx context.Context, t *grid.Ticket) (contractor.Candidate, error) {
	p := grid.Point{ID: t.ID, Scope: t.Scope, Address: t.Place}
	if t.Point != "" {
		stored, err := e.store.Point(ctx, t.Point)
		if err != nil && grid.CodeOf(err) != grid.NotFound {
			return contractor.Candidate{}, err
		}
		if err == nil {
			p = stored
		}
	}
	job := grid.Job{Ticket: t.ID, Type: t.Type, Point: t.Point, Name: p.Name, Floor: p.Floor, Room: p.Room, Device: t.Device, Due: ticket.WorkDue(t)}
	if _, _, with := e.contractors().ToDo(t.Type); with {
		if d, err := e.store.Device(ctx, t.Device); err == nil {
			job.Battery = e.contractors().BatteryWords(d.Battery, d.Profile)
		}
	}
	return contractor.Candidate{Job: job, Key: contractor.KeyOf(&p), Building: p.Building, Place: contractor.PlaceOf(&p), Lon: p.Lon, Lat: p.Lat}, nil
}

// batteryWork adds the batteries that end to the work, where no ticket is about them.
func (e *Engine) batteryWork(ctx context.Context, v *roundView, ask *grid.RoundAsk, work []contractor.Candidate) ([]contractor.Candidate, error) {
	scope := reachOf(&v.unit, ask.Scope)
	ends, _, err := e.endings(ctx, v, scope, "", ask.Season)
	if err != nil {
		return nil, err
	}
	at := map[string]bool{}
	for i := range work {
		if t := work[i].Job.Type; t == grid.EventBatteryLow || t == grid.EventDeviceOffline {
			at[work[i].Job.Point] = true
		}
	}
	before, err := e.notBefore(ctx, ask.Unit)
	if err != nil {
		return nil, err
	}
	now := e.Now().UTC()
	for i := range ends {
		end := &ends[i]
		if end.Round != "" || at[end.Point.ID] || end.Ticket != "" {
			continue
		}
		c := e.contractors().BatteryWork(end, now)
		c.NotBefore, c.Times = before[end.Point.ID].day, before[end.Point.ID].times
		work = append(work, c)
	}
	return work, nil
}

// reachOf is the place of a unit's points, narrowed.
func reachOf(u *grid.Unit, s grid.Scope) grid.Scope {
	return grid.Scope{
		District: cmp.Or(u.District, s.District), Street: cmp.Or(u.Street, s.Street), Community: cmp.Or(u.Community, s.Community),
		Compound: cmp.Or(u.Compound, s.Compound), Contractor: u.InHands(),
	}
}

// BatterySeason plans the change of all batteries of a place that end within so many days.
func (e *Engine) BatterySeason(ctx context.Context, ask grid.RoundAsk, kind grid.Kind) (contractor.Season, error) {
	v := roundView{battery: map[string]string{}, of: map[string]string{}}
	var err error
	scope := ask.Scope
	if ask.Unit != "" {
		if v, err = e.viewRounds(ctx, ask.Unit); err != nil {
			return contractor.Season{}, err
		}
		scope = reachOf(&v.unit, ask.Scope)
	}
	ask.Season = cmp.Or(ask.Season, e.contractors().Season)
	days, err := e.daysFor(&ask, v.open)
	if err != nil {
		return contractor.Season{}, err
	}
	ends, unknown, err := e.endings(ctx, &v, scope, kind, ask.Season)
	if err != nil {
		return contractor.Season{}, err
	}
	s := e.contractors().SeasonOf(ends, days, ask.Stops, ask.Season, e.Now().UTC())
	s.Unknown = unknown
	return s, nil
}

// endings are the batteries of a place that end within so many days, with their points; and how many
// nobody can foretell.
func (e *Engine) endings(ctx context.Context, v *roundView, scope grid.Scope, kind grid.Kind, within int) (out []contractor.Ending, unknown int, err error) {
	for from := 0; from >= 0; {
		part, err := as[batteryPart](e.do(ctx, &command{name: "batteries", do: func(*batch) (any, error) {
			return e.batteriesFrom(from, scope, kind, float64(within)), nil
		}}))
		if err != nil {
			return nil, 0, err
		}
		unknown += part.unknown
		for _, end := range part.ends {
			p, err := e.store.Point(ctx, end.Point)
			if err != nil {
				return nil, 0, err
			}
			if len(out) == maxWork {
				return nil, 0, grid.Errorf(grid.Invalid, "more than %d batteries end within %d days: want a smaller place, or fewer days", maxWork, within)
			}
			d, err := e.store.Device(ctx, end.Device)
			if err != nil {
				return nil, 0, err
			}
			round := cmp.Or(v.battery[p.ID], v.of[end.Ticket])
			out = append(out, contractor.Ending{BatteryEnd: end, Point: p, Own: d.Battery, Round: round})
		}
		from = part.next
	}
	return out, unknown, nil
}

type batteryPart struct {
	ends    []grid.BatteryEnd
	unknown int
	next    int // -1: that was all
}

// batteriesFrom looks at the batteries of the next devices.
func (e *Engine) batteriesFrom(from int, scope grid.Scope, kind grid.Kind, within float64) batteryPart {
	p := batteryPart{next: -1}
	for n := from; n < e.memory.Devices(); n++ {
		if n == from+batteryScan {
			p.next = n
			break
		}
		no := registry.DeviceNo(n)
		row := e.memory.DeviceAt(no)
		pt, ok := e.memory.AnyPoint(no)
		if !ok || row.State() != grid.Installed {
			continue
		}
		at := e.memory.PointAt(pt)
		s := e.memory.Scope(at)
		if !grid.Within(scope, s) || scope.Contractor != "" && s.Contractor != scope.Contractor || kind != "" && at.Kind() != kind {
			continue
		}
		end := grid.BatteryEnd{Device: row.Identity, Profile: e.memory.Profile(row), Point: at.ID}
		days, known := e.batteryDays(no)
		if ep := e.episode(at.ID, grid.EventBatteryLow); ep != nil && ep.Active {
			end.Low = true
			if t := e.tickets[ep.Ticket]; t != nil && !t.State.Ended() {
				end.Ticket = t.ID
			}
			days, known = min(days, within), true
		}
		if !known {
			p.unknown++
			continue
		}
		if end.Days = days; days > within {
			continue
		}
		if v, ok := e.soft.points[pt].value(grid.BatteryLevel); ok {
			end.Level = &v
		}
		p.ends = append(p.ends, end)
	}
	return p
}

// batteryDays is how many days the battery of a device has from now on.
func (e *Engine) batteryDays(no registry.DeviceNo) (days float64, known bool) {
	b := e.soft.devs[no].battery
	left, known := b.DaysLeft()
	return max(0, left-e.Now().Sub(alarm.BatteryHeard(b)).Hours()/24), known
}

// putRounds makes rows of what was planned. What has changed since is left out, and said.
func (b *batch) putRounds(p grid.RoundPlan, unit string) (any, error) {
	e := b.e
	out := grid.RoundPlan{Rounds: []grid.Round{}, Joined: []grid.RoundJoin{}, Left: p.Left, Late: p.Late}
	for _, draft := range p.Rounds {
		var stops []grid.Stop
		id := b.id()
		for _, s := range draft.Stops {
			if s.Jobs = b.stillWaiting(s.Jobs, unit, id, &out); len(s.Jobs) > 0 {
				stops = append(stops, s)
			}
		}
		if len(stops) == 0 {
			continue
		}
		r := b.changeRound(id)
		*r = draft
		r.ID, r.Made, r.Stops = id, b.now.UTC(), stops
		if len(stops) < len(draft.Stops) {
			r.LengthM = contractor.Number(r.Stops, nil)
		}
		b.locateRound(r)
		b.wakeRound(roundDue+id, r.Until)
		b.auditRound("round.plan", r, r.By, fmt.Sprintf("%s on %s, %d stops", r.Unit, r.Day, len(r.Stops)))
		b.tellPlanned(r, openJobs(r))
		out.Rounds = append(out.Rounds, *e.rounds.all[id])
	}
	for _, join := range p.Joined {
		b.joinRound(join, unit, &out)
	}
	return out, nil
}

func (b *batch) tellPlanned(r *grid.Round, jobs []*grid.Job) {
	for _, j := range jobs {
		words := fmt.Sprintf("planned for the round of %s", r.Day)
		if j.Late {
			words += ", after its time is over"
		}
		b.tellTicket(j.Ticket, words)
	}
}

// stillWaiting are the jobs that a round may take now; it takes them.
func (b *batch) stillWaiting(jobs []grid.Job, unit, round string, out *grid.RoundPlan) (kept []grid.Job) {
	e := b.e
	for _, j := range jobs {
		t := e.tickets[j.Ticket]
		_, in := e.rounds.of[j.Ticket]
		if j.Ticket == "" {
			_, in = e.rounds.battery[j.Point]
		}
		if in || j.Ticket != "" && (t == nil || !waitsForRound(t, unit)) {
			out.Left = append(out.Left, grid.RoundLeft{Ticket: j.Ticket, Point: j.Point, Due: j.Due, Why: "it has changed while the round was planned"})
			continue
		}
		if j.Ticket != "" {
			set(b, e.rounds.of, j.Ticket, round)
		} else {
			set(b, e.rounds.battery, j.Point, round)
		}
		kept = append(kept, j)
	}
	return kept
}

func (b *batch) joinRound(join grid.RoundJoin, unit string, out *grid.RoundPlan) {
	r := b.e.rounds.all[join.Round]
	i := -1
	if r != nil && r.Open() && r.Unit == unit {
		i = slices.IndexFunc(r.Stops, func(s grid.Stop) bool { return s.Key == join.Key && s.State == grid.StopOpen })
	}
	if i < 0 {
		for _, j := range join.Jobs {
			out.Left = append(out.Left, grid.RoundLeft{Ticket: j.Ticket, Point: j.Point, Due: j.Due, Why: "the round that it was to join has gone on"})
		}
		return
	}
	jobs := b.stillWaiting(join.Jobs, unit, join.Round, out)
	if len(jobs) == 0 {
		return
	}
	row := b.changeRound(join.Round)
	row.Stops[i].Jobs = append(row.Stops[i].Jobs, jobs...)
	var told []*grid.Job
	for k := range jobs {
		told = append(told, &jobs[k])
	}
	join.Jobs = jobs
	out.Joined = append(out.Joined, join)
	b.tellPlanned(row, told)
}

// locateRound gives a round what all its points share; live as soon as one is.
func (b *batch) locateRound(r *grid.Round) {
	e := b.e
	var rows []*registry.PointRow
	for _, j := range openJobs(r) {
		if pt, ok := e.memory.Point(j.Point); ok {
			rows = append(rows, e.memory.PointAt(pt))
		}
	}
	w := grid.Window{Mode: grid.Live}
	e.locate(&w, rows)
	r.Scope, r.Cell, r.Mode = w.Scope, w.Cell, w.Mode
}
