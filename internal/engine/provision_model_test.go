package engine

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/commission"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// TestProvisioningHoldsWhateverIsDone mixes what is done to devices with visits, contracts, rounds, borders,
// imports, restarts in between, and looks after each step: what the model of the registry holds, and that
// memory is what is stored, that a ticket is in one open round at most, that no visit passed
// without a frame, and that the history gives the rows.
func TestProvisioningHoldsWhateverIsDone(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			plans := must[*commission.Plans](t)(commission.Parse("commissioning.yaml", must[[]byte](t)(configs.FS.ReadFile("commissioning.yaml"))))
			m := &provisionModel{registryModel: &registryModel{rig: newRig(t, func(c *Config) { c.Commission = plans }), rnd: rand.New(rand.NewPCG(seed, 66))}}
			m.units()
			m.crews()
			for i := range 3 {
				m.placedPoint(fmt.Sprintf("P%d", i), 121.401+float64(i)/200, "")
				m.clock.Add(int64(time.Minute))
				m.place(grid.Door, fmt.Sprintf("P%d", i), m.device(i))
			}
			for n := range 50 {
				what := ""
				if m.rnd.IntN(2) == 0 {
					what = m.step(n)
				} else {
					what = m.provision(n)
				}
				m.settle()
				when := fmt.Sprintf("step %d, %s", n, what)
				if t.Failed() || !m.holds(when) || !m.agrees(when) {
					return
				}
			}
			m.replays()
			m.agrees("at the end")
		})
	}
}

type provisionModel struct {
	*registryModel
	visits int
	visit  string
	stale  *grid.ImportPiece // worked out before something else
}

// provision does one thing of what the registry's model does not.
func (m *provisionModel) provision(n int) (what string) {
	ctx := m.t.Context()
	d, p := m.device(m.rnd.IntN(6)), fmt.Sprintf("P%d", m.rnd.IntN(3))
	by := grid.Actor{Role: grid.RoleSupervisor, Name: "desk"}
	var err error
	switch m.rnd.IntN(11) {
	case 0:
		m.visits++
		m.visit = fmt.Sprintf("visit-%d", m.visits)
		what = fmt.Sprintf("visit %s at %s", d, p)
		_, err = m.engine.StartVisit(ctx, grid.NewVisit{ID: m.visit, Device: d, Point: p, By: visitor, Offline: m.rnd.IntN(2) == 0})
	case 1:
		what = "a word in " + m.visit
		_, err = m.engine.SayInVisit(ctx, m.visit, grid.VisitWord{Step: []string{"rest", "open", "close", "first_frame", "photo"}[m.rnd.IntN(5)], Result: []grid.StepState{grid.StepPassed, grid.StepSkipped}[m.rnd.IntN(2)], Note: "x", At: m.now(), By: visitor}, "")
	case 2:
		what = "finish " + m.visit
		end := grid.VisitEnd{Visit: m.visit, Pass: m.rnd.IntN(2) == 0, At: m.now(), By: visitor}
		if !end.Pass {
			end.Reasons = []string{"no"}
		}
		_, err = m.engine.FinishVisit(ctx, end, "")
	case 3:
		to := []string{"wb-1", "wb-2", ""}[m.rnd.IntN(3)]
		what = fmt.Sprintf("contract to %q", to)
		_, err = m.engine.AssignContractor(ctx, grid.Contract{Scope: grid.Scope{Street: rigScope.Street, Contractor: to}, Tickets: m.rnd.IntN(2) == 0, By: by}, "")
	case 4:
		what = "borders"
		_, err = m.engine.PutRegions(ctx, halves(121.401+float64(m.rnd.IntN(15))/1000), surveyor, "")
	case 5:
		what = "plan rounds"
		_, err = m.engine.PlanRounds(ctx, grid.RoundAsk{Unit: []string{crew, "wb-1"}[m.rnd.IntN(2)], Days: 2, Season: 60}, "")
	case 6:
		what = "a word on a round"
		err = m.roundWord()
	case 7:
		what = fmt.Sprintf("battery of %s", d)
		m.seq++
		m.say(d, fmt.Sprintf(`{"door.open":false,"battery.low":%t,"seq":%d}`, m.rnd.IntN(2) == 0, m.seq))
		m.after(11 * time.Minute)
	case 8:
		what, err = m.importPoint(n, p, by)
	case 9:
		what = "restart"
		m.stale = nil // what was worked out is gone with the process
		m.restart()
	case 10:
		what = "create a point"
		_, err = m.engine.CreatePoint(ctx, grid.Point{ID: fmt.Sprint("C", n), Name: "c", Kind: grid.Door, Mode: grid.Simulated, Scope: rigScope}, grid.Act{By: by})
	}
	switch grid.CodeOf(err) {
	case "", grid.Conflict, grid.NotFound, grid.Invalid:
	default:
		if err != nil {
			m.t.Errorf("%s: %v", what, err)
		}
	}
	m.clock.Add(int64(time.Duration(1+m.rnd.IntN(90)) * time.Minute))
	return what
}

func (m *provisionModel) openRounds() []grid.Round {
	return must[[]grid.Round](m.t)(m.store.OpenRounds(m.t.Context()))
}

func (m *provisionModel) roundWord() (err error) {
	open := m.openRounds()
	if len(open) == 0 {
		return nil
	}
	r := open[m.rnd.IntN(len(open))]
	act := grid.RoundAct{Round: r.ID, Stop: 1 + m.rnd.IntN(len(r.Stops)), By: desk(), Note: "x", Next: m.now().AddDate(0, 0, 3).Format(grid.DayLayout)}
	switch m.rnd.IntN(3) {
	case 0:
		_, err = m.engine.StopDone(m.t.Context(), act)
	case 1:
		_, err = m.engine.NoEntry(m.t.Context(), act)
	default:
		_, err = m.engine.CancelRound(m.t.Context(), r.ID, "x", desk(), "")
	}
	return err
}

// importPoint renames a point by a sheet whose rows were compared now, or some steps ago.
func (m *provisionModel) importPoint(n int, point string, by grid.Actor) (string, error) {
	ctx := m.t.Context()
	piece := m.stale
	if m.stale = nil; piece == nil || m.rnd.IntN(2) == 0 {
		was, err := m.store.Point(ctx, point)
		if err != nil {
			return "import", err
		}
		row := must[grid.Import](m.t)(m.engine.AddImport(ctx, grid.Import{Name: fmt.Sprint(n), Kind: grid.ImportPoints, State: grid.ImportApplying, By: by, Rows: 1}, ""))
		is := was
		is.Notes = fmt.Sprint("by import ", n)
		piece = &grid.ImportPiece{Import: row.ID, From: 0, To: 1, By: by, Registry: m.engine.RegistryNo(), Points: []grid.Point{is}, Was: must[[]byte](m.t)(json.Marshal(was)), Changed: 1, Last: true}
		if m.rnd.IntN(2) == 0 {
			m.stale = piece
			return "import is worked out", nil
		}
	}
	_, err := m.engine.PutImported(ctx, *piece)
	return "import", err
}

// agrees checks memory against the store, rounds and visits.
func (m *provisionModel) agrees(when string) bool {
	ctx := m.t.Context()
	must[any](m.t)(m.engine.do(ctx, &command{name: "look", do: func(*batch) (any, error) {
		mem := m.engine.memory
		for i := range mem.Points() {
			row := mem.PointAt(registry.PointNo(i))
			p, err := m.store.Point(ctx, row.ID)
			if err != nil || mem.Scope(row) != p.Scope || mem.Cell(row) != p.Cell {
				m.t.Errorf("%s: point %s is in memory at %+v %s and in the store at %+v %s, %v", when, row.ID, mem.Scope(row), mem.Cell(row), p.Scope, p.Cell, err)
			}
		}
		return nil, nil
	}}))
	in := map[string]string{}
	for _, r := range m.openRounds() {
		for _, j := range openJobs(&r) {
			key := j.Ticket + "/" + map[bool]string{true: j.Point}[j.Ticket == ""]
			if in[key] != "" {
				m.t.Errorf("%s: %s is in rounds %s and %s", when, key, in[key], r.ID)
			}
			in[key] = r.ID
			if j.Ticket != "" && m.engine.rounds.of[j.Ticket] != r.ID {
				m.t.Errorf("%s: %s is in round %s, memory has %q", when, j.Ticket, r.ID, m.engine.rounds.of[j.Ticket])
			}
			if tk, err := m.store.Ticket(ctx, j.Ticket); j.Ticket != "" && (err != nil || tk.State.Ended()) {
				m.t.Errorf("%s: round %s waits for ticket %s, which is %s", when, r.ID, j.Ticket, tk.State)
			}
		}
	}
	if len(in) == 0 && len(m.engine.rounds.of) > 0 {
		m.t.Errorf("%s: memory has rounds of %v, the store none", when, m.engine.rounds.of)
	}
	for _, v := range must[state.Page[grid.Visit]](m.t)(m.store.ListVisits(ctx, state.Query{Limit: 1000})).Items {
		shown := slices.ContainsFunc(v.Steps, func(s grid.VisitStep) bool { return s.ID == "first_frame" && s.State == grid.StepPassed })
		if v.State == grid.VisitPassed && !shown {
			m.t.Errorf("%s: visit %s passed without a frame", when, v.ID)
		}
	}
	return !m.t.Failed()
}
