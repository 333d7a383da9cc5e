package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Reports of people in a workload: events and hazards are filed under numbers that come
// again, and hazards are moved. They have a random stream of their own, so that the frames
// are those of a workload without them.

func (w *workload) hearsay() {
	r := rand.New(rand.NewPCG(uint64(len(w.orders)), 311))
	k := r.IntN(25)
	s := w.points[k%len(w.points)]
	f := grid.Filing{
		Source: grid.FromHotline, External: fmt.Sprint("n-", k), Type: typeOf(s.kind), Mode: grid.Simulated, Place: "somewhere",
		Building: "b1", Cell: "310105006001001", By: grid.Actor{Role: grid.RoleOperator, Name: "op"},
	}
	if k%3 == 0 && s.known {
		f.Point, f.Building = s.point, ""
	}
	kinds := []string{"exit_blocked", "fire_door", "other"}
	switch r.IntN(5) {
	case 0:
		w.at = w.at.Add(time.Second)
		w.add(order{Do: "report", Filing: grid.HazardFiling{Filing: f}})
	case 1:
		w.at = w.at.Add(time.Second)
		f.Source, f.External = grid.FromPatrol, fmt.Sprint("h-", k%8)
		w.add(order{Do: "report", Filing: grid.HazardFiling{Filing: f, Kind: kinds[k%8%3]}})
	case 2, 3:
		verbs := []grid.HazardVerb{grid.HazardStart, grid.HazardRectify, grid.HazardRectify, grid.HazardPass, grid.HazardPass, grid.HazardFail, grid.HazardExtend, grid.HazardDismiss}
		m := grid.HazardMove{
			Key: fmt.Sprint("k-", len(w.orders)), Hazard: fmt.Sprint("h-", k%8), Verb: verbs[r.IntN(len(verbs))], Person: "lin", Reason: "seen",
			Until: w.at.Add(200 * time.Hour), By: grid.Actor{Role: grid.RoleSupervisor, Name: "chen"},
		}
		for _, q := range []string{"free", "lights", "closes", "intact", "locked", "propped", "present"} {
			answer := "no"
			if q == "free" || q == "lights" || q == "closes" || q == "intact" {
				answer = "yes"
			}
			m.Answers = append(m.Answers, grid.HazardAnswer{Question: q, Answer: answer})
		}
		w.add(order{Do: "hazard move", Hazard: m})
	}
}

func (n *node) report(ctx context.Context, o *order) (err error) {
	switch {
	case o.Do == "hazard move":
		err = n.moveHazard(ctx, o.Hazard)
	case o.Filing.Kind != "":
		_, err = n.engine.FileHazard(ctx, o.Filing)
	default:
		_, err = n.engine.FileEvent(ctx, o.Filing.Filing)
	}
	return err
}

// moveHazard moves the hazard that was filed under a number, with the answers that its
// kind asks for.
func (n *node) moveHazard(ctx context.Context, m grid.HazardMove) error {
	page, err := n.store.ListHazards(ctx, state.Query{Limit: 1000})
	if err != nil {
		return err
	}
	for _, h := range page.Items {
		k, err := n.engine.Hazards.Get(h.Kind)
		if err != nil || h.External != m.Hazard {
			continue
		}
		m.Hazard = h.ID
		var own []grid.HazardAnswer
		for _, q := range k.Questions {
			for _, a := range m.Answers {
				if a.Question == q.ID {
					own = append(own, a)
				}
			}
		}
		m.Answers = own
		_, err = n.engine.MoveHazard(ctx, m)
		return err
	}
	return nil
}

// hazards tells of hazards, and checks that each agrees with its ticket.
func (o *outcome) hazards(t testing.TB, st *state.Store, tickets map[string]string) {
	count := nth{}
	all := everything(t, st.ListHazards)
	names := map[string]string{}
	for i := len(all) - 1; i >= 0; i-- { // oldest first
		h := all[i]
		names[h.ID] = count.name(fmt.Sprintf("hazard %s %s %s", h.Point, h.Source, h.Kind))
		if h.Source != grid.FromSensor {
			names[h.ID] = "hazard " + h.External
		}
		tk := must[grid.Ticket](t)(st.Ticket(context.Background(), h.Ticket))
		if tk.State.Ended() == h.Open() || tickets[tk.ID] == "" {
			t.Errorf("%s is %s and its ticket %s", names[h.ID], h.State, tk.State)
		}
		o.facts[names[h.ID]] = fmt.Sprintf("%s overdue %v by %s found %s since %s deadline %s extended %d looked %d repeats %q of %d episodes, ended %s %s",
			h.State, h.Overdue, h.Unit, clockOf(h.Found), clockOf(h.Since), clockOf(h.Deadline), len(h.Extensions), len(h.Rechecks), names[h.RepeatOf], len(h.Episodes), clockOf(h.Ended), h.Outcome)
	}
}
