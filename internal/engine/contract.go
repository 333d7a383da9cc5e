package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// A contract gives the points of a place into the hands of a contractor. The row is made by
// the command; the points follow in parts, the first in the same transaction, so that a
// district of them holds up no fire. A crash goes on where it was: what is moved is moved.

const (
	handChunk = 500    // points that are moved in one turn
	handScan  = 50_000 // points that are looked at in one turn
)

// AssignContractor gives the points of a place to a contractor ("": to nobody), and those that are registered
// there later without one. Contracts for parts of that place end; of others the newest word holds. The same again
// moves what has come since.
func (e *Engine) AssignContractor(ctx context.Context, c grid.Contract, key string) (grid.Contract, error) {
	if key != "" {
		key = "contract/" + key
	}
	return as[grid.Contract](e.do(ctx, &command{
		name: "contract", key: key, registry: true, act: handAct(&c), do: func(b *batch) (any, error) { return b.assignContractor(c) },
	}))
}

func (b *batch) assignContractor(c grid.Contract) (any, error) {
	e := b.e
	if c.District == "" && c.Street == "" && c.Community == "" && c.Compound == "" {
		return nil, grid.Errorf(grid.Invalid, "place is missing: want a district, street, community or compound, perhaps with a kind")
	}
	if c.Contractor != "" && !e.hasContractor(c.Contractor) {
		return nil, grid.Errorf(grid.NotFound, "contractor is %q: want one that a unit of kind %s has in its hands", c.Contractor, grid.Maintenance)
	}
	row := grid.Contract{ID: b.id(), Scope: c.Scope, Kind: c.Kind, Given: b.now.UTC(), By: c.By, Tickets: c.Tickets, Mode: grid.Live}
	for _, id := range sortedKeys(e.rounds.contracts) {
		old := e.rounds.contracts[id]
		switch inside := grid.Within(row.Scope, old.Scope) && (row.Kind == "" || row.Kind == old.Kind); {
		case !inside || !old.Ended.IsZero():
		case old.Contractor == row.Contractor && sameScope(old.Scope, row.Scope) && old.Kind == row.Kind:
			row.ID, row.Points = old.ID, old.Points
		default:
			*b.changeContract(id) = *old
			e.rounds.contracts[id].Ended = b.now.UTC()
			b.keepContract(id)
		}
	}
	*b.changeContract(row.ID) = row
	set(b, e.rounds.handing, row.ID, 0)
	b.rows.Audit = append(b.rows.Audit, state.Audit{
		ID: b.id(), At: b.now, By: c.By, Action: "contractor.assign", Subject: cmp.Or(c.Contractor, "-"), Detail: contractPlace(&row), Scope: row.Scope, Mode: row.Mode,
	})
	b.handOn(row.ID)
	return *e.rounds.contracts[row.ID], nil
}

// handAct is the act by which the points of a contract change hands, for their history: the
// same for those that are moved later.
func handAct(c *grid.Contract) grid.Act {
	return grid.Act{By: c.By, Via: "contract", Reason: "contract for " + contractPlace(c)}
}

func sameScope(a, b grid.Scope) bool { return grid.Within(a, b) && grid.Within(b, a) }

func contractPlace(c *grid.Contract) string {
	var words []string
	for _, w := range []string{c.District, c.Street, c.Community, c.Compound, string(c.Kind)} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

func (b *batch) changeContract(id string) *grid.Contract { return change(b, b.e.rounds.contracts, id) }

// keepContract writes the present row of a contract.
func (b *batch) keepContract(id string) {
	b.rows.Contracts = append(b.rows.Contracts, *b.e.rounds.contracts[id])
}

func (e *Engine) hasContractor(name string) bool {
	for _, u := range e.units {
		if u.Kind == grid.Maintenance && u.InHands() == name {
			return true
		}
	}
	return false
}

// handOn moves the next points of a contract, and comes back as long as there are more.
func (b *batch) handOn(id string) {
	e := b.e
	c := e.rounds.contracts[id]
	if c == nil || !c.Ended.IsZero() {
		return
	}
	from := e.rounds.handing[id]
	var moved []string
	n := from
	for ; n < e.memory.Points() && n < from+handScan && len(moved) < handChunk; n++ {
		row := e.memory.PointAt(registry.PointNo(n))
		if s := e.memory.Scope(row); c.Has(s, row.Kind()) && s.Contractor != c.Contractor && e.contractFor(s, row.Kind()) == c {
			moved = append(moved, row.ID)
		}
	}
	set(b, e.rounds.handing, id, n)
	row := b.changeContract(id)
	row.Points += len(moved)
	if n < e.memory.Points() {
		b.wakeRound(contractDue+id, e.Now())
	} else {
		row.Done = b.now.UTC()
	}
	b.keepContract(id)
	b.hand(moved, row)
}

// handMore moves another part, with its lines of the history. What cannot be written is tried
// again.
func (b *batch) handMore(id string, wall time.Time) {
	c := b.e.rounds.contracts[id]
	if c == nil {
		return
	}
	m := b.mark()
	cause := fmt.Sprintf("contract/%s/%d", id, b.e.rounds.handing[id])
	b.because(cause, wall)
	b.handOn(id)
	if err := b.logRegistry(&m, handAct(c), cause); err != nil {
		b.rollback(m)
		b.e.log.Error("points of a contract are not moved, it is tried later", "err", err, "in", tryAgain)
		b.wakeRound(contractDue+id, wall.Add(tryAgain))
	}
}

// hand writes the points and what of their open work goes along.
func (b *batch) hand(points []string, c *grid.Contract) {
	if len(points) == 0 {
		return
	}
	e := b.e
	b.rows.Handed = append(b.rows.Handed, state.Handed{Points: points, Contractor: c.Contractor})
	contractor := c.Contractor
	b.after = append(b.after, func() {
		for _, id := range points {
			e.memory.SetContractor(id, contractor)
		}
	})
	at := make(map[string]bool, len(points))
	for _, id := range points {
		at[id] = true
	}
	for _, id := range sortedKeys(e.tickets) {
		if t := e.tickets[id]; at[t.Point] && !t.State.Ended() && c.Tickets {
			b.handTicket(id, c)
		}
	}
	for _, id := range sortedKeys(e.alarms) {
		if a := e.alarms[id]; at[a.Point] && a.Contractor != contractor && (a.Ticket == "" || c.Tickets) {
			b.changeAlarm(id).Contractor = contractor
		}
	}
}

// handTicket gives an open ticket of another contractor to the one that has the point now.
func (b *batch) handTicket(id string, c *grid.Contract) {
	e := b.e
	plan, err := e.Plans.For(e.tickets[id].Type)
	if err != nil {
		return
	}
	row := b.changeTicket(id)
	row.Contractor = c.Contractor
	leader := e.units[ticket.Lead(row)]
	if leader == nil || leader.Kind != grid.Maintenance {
		return
	}
	r := e.routing(row.Point)
	choice := ticket.Route(r.Routes, ticket.Ask{
		Type: row.Type, Kind: r.Kind, Scope: row.Scope, Cell: row.Cell, Component: r.Component, Mode: row.Mode,
		Tier: leader.Tier, Kinds: []grid.UnitKind{grid.Maintenance}, At: b.now,
	}, e.unitList(), r.People)
	to := e.units[choice.Unit]
	if to == nil || to.Kind != grid.Maintenance {
		return // nobody there: it stays with whoever has it
	}
	b.ticketChanged(row, ticket.HandOver(row, plan, to, "contractor of the place: "+cmp.Or(c.Contractor, "none"), c.By, b.now, e.context(row)))
}

// contractFor gives the contract that holds for a point; nil: none.
func (e *Engine) contractFor(s grid.Scope, k grid.Kind) (found *grid.Contract) {
	for _, c := range e.rounds.contracts {
		if !c.Has(s, k) {
			continue
		}
		if found == nil || cmp.Or(c.Given.Compare(found.Given), cmp.Compare(c.ID, found.ID)) > 0 {
			found = c
		}
	}
	return found
}

// intoHands gives points that are put without a contractor into the hands that the contract
// of their place says, or leaves them in those in which they are.
func (b *batch) intoHands(points []grid.Point) {
	e := b.e
	for i := range points {
		p := &points[i]
		if p.Contractor != "" {
			continue
		}
		if c := e.contractFor(p.Scope, p.Kind); c != nil {
			p.Contractor = c.Contractor
		} else if old, ok := e.memory.Point(p.ID); ok {
			p.Contractor = e.memory.Scope(e.memory.PointAt(old)).Contractor
		}
	}
}

// roundClocks ends the rounds whose day is over and moves the points of contracts.
func (b *batch) roundClocks(wall time.Time) {
	e := b.e
	for n := 0; n < maxCommands; n++ {
		key, ok := e.rounds.due.due(wall)
		if !ok {
			return
		}
		b.undo = append(b.undo, func() { e.rounds.due.set(key, wall) })
		if !b.careful {
			b.roundClock(key, wall)
		} else {
			m := b.mark()
			if culprit := b.safely(func() { b.roundClock(key, wall) }); culprit != "" {
				b.rollback(m)
				e.log.Error("engine failed on a round, it is tried later", "err", culprit, "in", tryAgain)
				b.wakeRound(key, wall.Add(tryAgain))
			}
		}
		if strings.HasPrefix(key, contractDue) {
			return // one part of points a turn
		}
	}
}

func (b *batch) roundClock(key string, wall time.Time) {
	if id, ok := strings.CutPrefix(key, contractDue); ok {
		b.handMore(id, wall)
		return
	}
	id := strings.TrimPrefix(key, roundDue)
	if r := b.e.rounds.all[id]; r != nil && r.Open() {
		b.because("round/"+id+"/over", wall)
		b.roundOver(id, grid.RoundOver, "the day is over")
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
