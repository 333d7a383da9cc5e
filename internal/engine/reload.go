package engine

import (
	"context"
	"slices"

	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
	"gridgate/internal/people"
	"gridgate/internal/registry"
	"gridgate/internal/ticket"
)

// Settings are what may change while frames come.
type Settings struct {
	Rules         *alarm.Rules
	Plans         *ticket.Plans
	Calendars     *calendar.Calendars // in the zone that they are in now
	People        *people.Book
	Profiles      Profiles
	Limit         Limit
	Guard         Guard
	ConfigVersion string
}

// Reload puts settings in force, all of them between two frames or none. What is registered,
// open and active must find itself in them: what does not is the error, and nothing is changed.
func (e *Engine) Reload(ctx context.Context, s Settings) error {
	_, err := e.do(ctx, &command{name: "reload", registry: true, do: func(b *batch) (any, error) { return nil, b.reload(s) }})
	return err
}

func (b *batch) reload(s Settings) error {
	e := b.e
	if e.Hazards != nil {
		s.Plans = s.Plans.With(hazardPlans(e.Hazards)...)
	}
	if err := e.holds(&s); err != nil {
		return err
	}
	plans, cal, folk, limit, guard, version := e.Plans, e.cal, e.People, e.Limit, e.Guard, e.ConfigVersion
	files, inForce, normal := e.profiles.files(), e.profiles.now.Load(), e.normal.Load()
	named := e.conditionNames()
	b.undo = append(b.undo, func() {
		e.Plans, e.cal, e.People, e.Limit, e.Guard, e.ConfigVersion, e.duty = plans, cal, folk, limit, guard, version, nil
		e.profiles.from.Store(&files)
		e.profiles.now.Store(inForce)
		e.normal.Store(normal)
		e.force(e.posture)
		e.fixRules()
	})
	e.Plans, e.cal, e.People, e.Limit, e.Guard, e.ConfigVersion, e.duty = s.Plans, s.Calendars, s.People, s.Limit, s.Guard.complete(), s.ConfigVersion, nil
	e.profiles.from.Store(&s.Profiles)
	e.profiles.now.Store(e.profiles.build(nil))
	e.normal.Store(s.Rules)
	e.force(e.posture)
	e.fixRules()
	b.keepConditions(named)
	return nil
}

// holds finds what is in use and not in the settings.
func (e *Engine) holds(s *Settings) error {
	sets := map[ruleKey]bool{}
	for i := range e.memory.Points() {
		row := e.memory.PointAt(registry.PointNo(i))
		key := ruleKey{e.memory.RuleSet(row), row.Kind()}
		if sets[key] || row.ID == "" {
			continue
		}
		sets[key] = true
		if _, had := e.normal.Load().For(key.set, key.kind); had != nil {
			continue
		}
		if _, err := s.Rules.For(key.set, key.kind); err != nil {
			return grid.Errorf(grid.Conflict, "rules: point %s: %w", row.ID, err)
		}
	}
	for id, t := range e.tickets {
		if _, had := e.Plans.For(t.Type); had != nil {
			continue
		}
		if _, err := s.Plans.For(t.Type); err != nil {
			return grid.Errorf(grid.Conflict, "tickets: ticket %s is open: %w", id, err)
		}
	}
	return e.holdsProfiles(s.Profiles)
}

// holdsProfiles: each device can be read as before, by the lane that it is in.
func (e *Engine) holdsProfiles(next Profiles) error {
	looked := map[string]bool{}
	for i := range e.memory.Devices() {
		row := e.memory.DeviceAt(registry.DeviceNo(i))
		id := e.memory.Profile(row)
		if looked[id] || id == "" {
			continue
		}
		looked[id] = true
		old, err := e.profiles.files().Get(id)
		if err != nil {
			continue
		}
		p, err := next.Get(id)
		if err != nil {
			return grid.Errorf(grid.Conflict, "profiles: device %s: %w", row.Identity, err)
		}
		if !slices.Equal(p.Kinds, old.Kinds) {
			return grid.Errorf(grid.Conflict, "profiles: %s is for %v and was for %v: want a restart, its devices may change lanes", id, p.Kinds, old.Kinds)
		}
	}
	return nil
}

// conditionNames remembers what the conditions of points are of: they know the place of their
// rule alone.
func (e *Engine) conditionNames() map[ruleKey][]grid.EventType {
	out := map[ruleKey][]grid.EventType{}
	for i := range e.memory.Points() {
		row := e.memory.PointAt(registry.PointNo(i))
		key := ruleKey{e.memory.RuleSet(row), row.Kind()}
		if _, done := out[key]; done || len(e.soft.points[i].conds) == 0 {
			continue
		}
		names := []grid.EventType{}
		for _, r := range e.rulesOf(registry.PointNo(i)) {
			names = append(names, r.Type)
		}
		out[key] = names
	}
	return out
}

// keepConditions finds the rules of conditions again, and has what is abnormal judged anew: it
// may be due by now. A condition whose rule is gone goes too; its episode is for a person.
func (b *batch) keepConditions(named map[ruleKey][]grid.EventType) {
	e := b.e
	for i := range e.soft.points {
		pt := registry.PointNo(i)
		if len(e.soft.points[i].conds) == 0 {
			continue
		}
		row := e.memory.PointAt(pt)
		names, rules := named[ruleKey{e.memory.RuleSet(row), row.Kind()}], e.rulesOf(pt)
		moved, wake := false, false
		for _, c := range e.soft.points[i].conds {
			moved = moved || int(c.rule) >= len(rules) || int(c.rule) >= len(names) || rules[c.rule].Type != names[c.rule]
			wake = wake || c.flags&abnormal != 0
		}
		if moved {
			p := e.soft.touchPoint(pt)
			kept := p.conds[:0]
			for _, c := range p.conds {
				if int(c.rule) >= len(names) {
					continue
				}
				if at := slices.IndexFunc(rules, func(r *alarm.Rule) bool { return r.Type == names[c.rule] }); at >= 0 {
					c.rule = uint8(at)
					kept = append(kept, c)
				}
			}
			p.conds = kept
		}
		if wake {
			b.wakePoint(pt, b.now)
		}
	}
}

// fixRules finds the rules that belong to no point's signals.
func (e *Engine) fixRules() {
	rules := e.normal.Load()
	e.unreadableRule = firstFrom(rules, grid.Smoke, grid.EventSafetyUnreadable)
	e.deafRule = e.bare(grid.EventUnitUnreachable)
	e.barredRule = barredRule(rules)
	e.silentRule, e.lostRule, e.gapRule = e.bare(grid.EventGatewaySilent), e.bare(grid.EventProtectionLost), rules.Bare(grid.EventDataGap)
}
