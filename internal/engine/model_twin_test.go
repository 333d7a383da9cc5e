package engine

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// twin is the real engine beside the model: it hears the same, at the same times, and is
// told the same by the same people. What it comes to must be what the model came to.
type twin struct {
	w   *world
	r   *rig
	seq map[string]int
}

const (
	twinSteps = 6_000
	stepsEnv  = "GRIDGATE_ENGINE_STEPS" // how many instead: 20000 take a minute
)

// TestTheEngineComesToWhatTheModelComesTo goes through the worlds of the model with the real
// engine on a real store, journal and queue, with restarts. GRIDGATE_ENGINE_SEED begins
// with another world.
func TestTheEngineComesToWhatTheModelComesTo(t *testing.T) {
	want := twinSteps
	if testing.Short() {
		want /= 10
	}
	if s := os.Getenv(stepsEnv); s != "" {
		want = must[int](t)(strconv.Atoi(s))
	}
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm") // what a disk loses is not the question here
	}
	rules := rulesWithoutSuspicion(t)
	_, plans := testRules(t)
	total := &tally{}
	for seed := seedOf(t); total.steps < want && !t.Failed(); seed++ {
		t.Run(fmt.Sprint("world ", seed), func(t *testing.T) {
			w := newWorld(t, seed, rules, plans, total)
			w.twin = newTwin(t, w, rules)
			for w.at = 0; w.at < worldSteps && total.steps < want; w.at++ {
				if w.step(); w.at%10 == 0 {
					w.twin.compare()
				}
			}
			w.windDown()
			w.twin.compare()
			w.twin.derived()
		})
	}
	t.Logf("%+v", *total)
}

// rulesWithoutSuspicion: how a detector becomes suspect is not in the model.
func rulesWithoutSuspicion(t *testing.T) *alarm.Rules {
	calendars := must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))))
	var keep []string
	for l := range strings.Lines(string(must[[]byte](t)(configs.FS.ReadFile("rules.yaml")))) {
		if !strings.HasPrefix(l, "suspect:") {
			keep = append(keep, l)
		}
	}
	return must[*alarm.Rules](t)(alarm.Parse("rules.yaml", []byte(strings.Join(keep, "")), calendars))
}

func newTwin(t *testing.T, w *world, rules *alarm.Rules) *twin {
	tw := &twin{w: w, seq: map[string]int{}}
	tw.r = newRig(t, func(c *Config) { c.Rules = rules })
	var reg grid.Registration
	for _, u := range w.units {
		u.Connector, u.URL = "webhook", "http://127.0.0.1:1/"
		reg.Units = append(reg.Units, u)
	}
	for _, s := range w.spots {
		s.interval = 30 * 24 * time.Hour // nobody is missed
		one := placed(s.row.Kind, s.row.ID, grid.Identity("sn:"+s.row.ID), tw.r.now())
		one.Points[0].Building, one.Points[0].Cell = s.row.Building, s.row.Cell
		if s.row.Kind == grid.Parking {
			one.Points[0].Rules = "fire_lane"
		}
		one.Devices[0].Interval = s.interval
		reg.Points, reg.Devices, reg.Installations = append(reg.Points, one.Points...), append(reg.Devices, one.Devices...), append(reg.Installations, one.Installations...)
	}
	tw.r.put(reg)
	return tw
}

func (tw *twin) heard(s *spot, is bool, received time.Time) {
	if tw == nil {
		return
	}
	tw.seq[s.row.ID]++
	signal := map[grid.Kind]string{grid.Smoke: "smoke.alarm", grid.Manhole: "manhole.open", grid.Parking: "parking.occupied", grid.Door: "door.open"}[s.row.Kind]
	f := frame(grid.Identity("sn:"+s.row.ID), fmt.Sprintf(`{%q:%v,"seq":%d}`, signal, is, tw.seq[s.row.ID]))
	f.Received = received
	copies := []grid.Frame{f}
	if tw.seq[s.row.ID]%7 == 0 {
		copies = append(copies, f) // the broker sends it again
	}
	tw.r.send(copies...)
}

func (tw *twin) passed(d time.Duration) {
	if tw != nil {
		tw.r.clock.Add(int64(d))
		tw.r.settle()
	}
}

func (tw *twin) restarted() {
	if tw != nil {
		tw.derived()
		tw.r.restart()
		tw.r.settle()
		tw.derived()
	}
}

// says tells the engine what the model was told: both do it, or refuse it alike.
func (tw *twin) says(k *work, m grid.Move, err error) {
	if tw == nil {
		return
	}
	tw.w.t.Helper()
	names := tw.names()
	m.Ticket = names.ticket[tw.nameOf(k)]
	if m.Into != "" {
		m.Into = names.ticket[tw.nameOf(tw.w.byID[m.Into])]
	}
	if m.Alarm != "" {
		m.Alarm = names.alarm[tw.episode(m.Alarm)]
	}
	m.At = time.Time{}
	if _, got := tw.r.move(m); grid.CodeOf(got) != grid.CodeOf(err) {
		tw.w.fail("%s by %s on %s: the engine says %v, the model %v", m.Verb, m.By.Name, k.row.ID, got, err)
	}
}

// twinNames are the engine's ids by names that both know.
type twinNames struct{ ticket, alarm map[string]string }

func (tw *twin) names() twinNames {
	n := twinNames{map[string]string{}, map[string]string{}}
	byID := map[string]string{}
	count := nth{}
	alarms := everything(tw.r.t, tw.r.store.ListAlarms)
	slices.SortStableFunc(alarms, func(a, b grid.Alarm) int {
		switch {
		case a.ID == b.Previous:
			return -1
		case b.ID == a.Previous:
			return 1
		}
		return a.Raised.Compare(b.Raised)
	})
	for _, a := range alarms {
		byID[a.ID] = count.name(a.Point)
		n.alarm[byID[a.ID]] = a.ID
	}
	tickets := everything(tw.r.t, tw.r.store.ListTickets)
	slices.SortStableFunc(tickets, func(a, b grid.Ticket) int { return a.Opened.Compare(b.Opened) })
	for _, t := range tickets {
		n.ticket[count.name("ticket of "+byID[t.Alarm])] = t.ID
	}
	return n
}

// episode names an episode of the model.
func (tw *twin) episode(id string) string {
	var at string
	n := 0
	for i := 1; i <= tw.w.ids; i++ { // in the order in which they were raised
		a := fmt.Sprintf("a%d", i)
		if p := tw.w.pointOf[a]; p != "" {
			if a == id {
				at = p
			}
		}
	}
	for i := 1; i <= tw.w.ids; i++ {
		a := fmt.Sprintf("a%d", i)
		if tw.w.pointOf[a] == at {
			if n++; a == id {
				break
			}
		}
	}
	return fmt.Sprintf("%s #%d", at, n)
}

func (tw *twin) nameOf(k *work) string {
	n := 0
	for i := 1; i <= tw.w.ids; i++ {
		o := tw.w.byID[fmt.Sprintf("t%d", i)]
		if o != nil && o.row.Alarm == k.row.Alarm {
			if n++; o == k {
				break
			}
		}
	}
	return fmt.Sprintf("ticket of %s #%d", tw.episode(k.row.Alarm), n)
}

// inShort is what both must agree on about a ticket.
func inShort(t *grid.Ticket, active int) string {
	var parts []string
	for _, a := range t.Assignments {
		parts = append(parts, fmt.Sprintf("%s %s lead %v tier %d attempt %d", a.Unit, a.State, a.Lead, a.Tier, a.Attempt))
	}
	tasks := 0
	for _, k := range t.Tasks {
		if k.Done.IsZero() {
			tasks++
		}
	}
	return fmt.Sprintf("%s %s %s tier %d rework %d returns %d members %d tasks %d active %d [%s]",
		t.State, t.Priority, t.Verification, t.Tier, t.Rework, t.Returns, len(t.Members), tasks, active, strings.Join(parts, ", "))
}

// compare holds the engine's tickets against the model's.
func (tw *twin) compare() {
	w := tw.w
	w.t.Helper()
	tw.r.settle()
	names := tw.names()
	active := map[string]int{}
	for _, a := range everything(tw.r.t, tw.r.store.ListAlarms) {
		if a.Active {
			active[a.Ticket]++
		}
	}
	for _, k := range w.byID {
		name, n := tw.nameOf(k), 0
		for _, s := range w.spots {
			if s.ep != nil && s.ep.Active && s.ep.Ticket == k.row.ID {
				n++
			}
		}
		id := names.ticket[name]
		if id == "" {
			w.fail("%s (%s) is not there: the engine has %v", name, k.row.ID, names.ticket)
		}
		t := must[grid.Ticket](tw.r.t)(tw.r.store.Ticket(tw.r.t.Context(), id))
		if got, want := inShort(&t, active[id]), inShort(&k.row, n); got != want {
			w.fail("%s (%s):\n\tis   %s\n\twant %s", name, k.row.ID, got, want)
		}
	}
	for name, id := range names.ticket {
		if !slices.ContainsFunc(w.works, func(k *work) bool { return tw.nameOf(k) == name }) && len(names.ticket) != len(w.byID) {
			t := must[grid.Ticket](tw.r.t)(tw.r.store.Ticket(tw.r.t.Context(), id))
			w.note("%s in the engine: %s, opened %s", name, inShort(&t, active[id]), t.Opened.Format(time.DateTime))
		}
	}
	if got := len(names.ticket); got != len(w.byID) {
		w.fail("%d tickets, want %d", got, len(w.byID))
	}
}

// derived compares what the engine has worked out and keeps in memory with what a start
// would work out from the store.
func (tw *twin) derived() {
	tw.w.t.Helper()
	e := tw.r.engine
	fresh := must[*Engine](tw.r.t)(New(e.Config))
	_, err := e.do(tw.r.t.Context(), &command{name: "look", do: func(*batch) (any, error) {
		loaded, err := tw.r.store.Load(tw.r.t.Context())
		if err == nil {
			err = fresh.load(tw.r.t.Context(), loaded)
		}
		if err != nil {
			return nil, err
		}
		for what, pair := range map[string][2]string{
			"burning": {inWords(e.burning), inWords(fresh.burning)}, "members": {inWords(e.members), inWords(fresh.members)},
			"incidents at places": {inWords(e.incidentAt), inWords(fresh.incidentAt)}, "what lifts": {inWords(e.while), inWords(fresh.while)},
			"what is lifted": {inWords(e.hindering), inWords(fresh.hindering)}, "active members": {inWords(e.activeMembers()), inWords(fresh.activeMembers())},
		} {
			if pair[0] != pair[1] {
				return nil, fmt.Errorf("%s: in memory %s, from the store %s", what, pair[0], pair[1])
			}
		}
		for id, in := range e.incidents {
			if n := e.activeMembers()[id]; n != in.Active {
				return nil, fmt.Errorf("incident of %s counts %d active members: there are %d", in.Place, in.Active, n)
			}
		}
		return nil, nil
	}})
	if err != nil {
		tw.w.fail("%v", err)
	}
}

func (e *Engine) activeMembers() map[string]int {
	out := map[string]int{}
	for _, a := range e.alarms {
		if a.Active && a.Incident != "" {
			out[a.Incident]++
		}
	}
	return out
}

// inWords lists a map by its keys, without what stands for nothing; lists are sorted.
func inWords[K comparable, V any](m map[K]V) string {
	var out []string
	for k, v := range m {
		text := fmt.Sprint(v)
		if ids, ok := any(v).([]string); ok {
			ids = slices.Clone(ids)
			slices.Sort(ids)
			text = strings.Join(ids, " ")
		}
		if text != "" && text != "0" {
			out = append(out, fmt.Sprintf("%v=%s", k, text))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}
