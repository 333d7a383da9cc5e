package engine

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// crews registers two contractors, of which the second has an end.
func (r *rig) crews() {
	r.t.Helper()
	r.put(grid.Registration{Units: []grid.Unit{
		{ID: "wb-1", Name: "one", Kind: grid.Maintenance, Tier: 2, Mode: grid.Simulated, Connector: "inbox"},
		{ID: "wb-2", Name: "two", Kind: grid.Maintenance, Tier: 2, Mode: grid.Simulated, Connector: "inbox", Term: grid.Term{To: rigStart.AddDate(0, 1, 0)}},
	}})
}

func (r *rig) doors(n int) {
	r.t.Helper()
	for i := range n {
		reg := placed(grid.Door, fmt.Sprintf("d-%d", i), grid.Identity(fmt.Sprintf("eui:00000000000000%02x", i)), r.now())
		reg.Points[0].Compound = fmt.Sprintf("c-%d", i%2)
		reg.Devices[0].Interval = 90 * 24 * time.Hour
		r.put(reg)
	}
}

func (r *rig) assign(contractor string, place grid.Scope, tickets bool) grid.Contract {
	r.t.Helper()
	place.Contractor = contractor
	c := must[grid.Contract](r.t)(r.engine.AssignContractor(r.t.Context(), grid.Contract{Scope: place, Tickets: tickets, By: desk()}, ""))
	r.settle()
	return c
}

// hands says in whose hands a point is, by the store and by memory, which must agree.
func (r *rig) hands(point string) string {
	r.t.Helper()
	p := must[grid.Point](r.t)(r.store.Point(r.t.Context(), point))
	pt, _ := r.engine.memory.Point(point)
	if m := r.engine.memory.Scope(r.engine.memory.PointAt(pt)).Contractor; m != p.Contractor {
		r.t.Fatalf("%s is in the hands of %q in memory and %q in the store", point, m, p.Contractor)
	}
	return p.Contractor
}

func (r *rig) lead(ticket string) string {
	r.t.Helper()
	tk := must[grid.Ticket](r.t)(r.store.Ticket(r.t.Context(), ticket))
	for i := len(tk.Assignments) - 1; i >= 0; i-- {
		if tk.Assignments[i].Lead {
			return tk.Assignments[i].Unit
		}
	}
	return ""
}

func (r *rig) batteryLow(door int) string {
	r.t.Helper()
	r.say(grid.Identity(fmt.Sprintf("eui:00000000000000%02x", door)), `{"door.open":false,"battery.low":true,"seq":1}`)
	r.after(11 * time.Minute)
	all := r.atWork()
	return all[len(all)-1].ID
}

func TestOneCommandGivesThePointsOfAPlaceIntoOtherHands(t *testing.T) {
	r := newRig(t)
	r.crews()
	r.doors(4)
	street := grid.Scope{Street: rigScope.Street}
	r.assign("wb-1", street, false)
	if got := r.hands("d-1"); got != "wb-1" {
		t.Fatalf("the door is in the hands of %q", got)
	}
	first := r.batteryLow(0)
	if got := r.lead(first); got != "wb-1" {
		t.Fatalf("its ticket is led by %q", got)
	}
	c := r.assign("wb-2", grid.Scope{Street: rigScope.Street, Compound: "c-0"}, false)
	if c.Points != 2 || c.Done.IsZero() {
		t.Errorf("moved %d points, done %s: want 2", c.Points, c.Done)
	}
	r.restart()
	if a, b := r.hands("d-0"), r.hands("d-1"); a != "wb-2" || b != "wb-1" {
		t.Errorf("the doors are in the hands of %q and %q", a, b)
	}
	if got := r.lead(first); got != "wb-1" {
		t.Errorf("the open ticket is led by %q, want it to stay", got)
	}
	if got := r.lead(r.batteryLow(2)); got != "wb-2" {
		t.Errorf("a later ticket is led by %q", got)
	}
	r.put(grid.Registration{Points: []grid.Point{{ID: "new", Name: "new", Kind: grid.Door, Mode: grid.Simulated, Scope: grid.Scope{District: "310105", Street: rigScope.Street, Compound: "c-0"}}}})
	if got := r.hands("new"); got != "wb-2" {
		t.Errorf("a door that is registered later is in the hands of %q", got)
	}
	r.assign("wb-1", street, true)
	if got := r.hands("d-2"); got != "wb-1" {
		t.Errorf("with the whole street the door is in the hands of %q: want the newer word", got)
	}
	for _, tk := range r.atWork() {
		if got := r.lead(tk.ID); got != "wb-1" || tk.Contractor != "wb-1" {
			t.Errorf("handed over with its place, ticket %s is led by %q, scope of %q", tk.ID, got, tk.Contractor)
		}
	}
	if open := must[[]grid.Contract](t)(r.store.OpenContracts(t.Context())); len(open) != 1 {
		t.Errorf("%d contracts hold, want one", len(open))
	}
}

func TestAPointPutAgainStaysInItsHands(t *testing.T) {
	r := newRig(t)
	r.crews()
	r.doors(1)
	r.assign("wb-1", grid.Scope{Compound: "c-0"}, false)
	r.doors(1)
	if got := r.hands("d-0"); got != "wb-1" {
		t.Errorf("put again, it is in the hands of %q", got)
	}
	r.assign("", grid.Scope{Compound: "c-0"}, false)
	r.doors(1)
	if got := r.hands("d-0"); got != "" {
		t.Errorf("taken out of all hands it is in those of %q", got)
	}
}

// A file that no longer names the contractor takes a point out of no hands.
func TestAPointThatAFileGaveIntoHandsStaysThereWithoutAContract(t *testing.T) {
	r := newRig(t)
	r.crews()
	reg := placed(grid.Door, "d-0", "eui:0000000000000001", r.now())
	reg.Points[0].Contractor = "wb-1"
	r.put(reg)
	reg.Points[0].Contractor = ""
	r.put(reg)
	if got := r.hands("d-0"); got != "wb-1" {
		t.Errorf("put again without one it is in the hands of %q", got)
	}
}

// A point that says only its building lies where that does, and is in the hands in which the place
// is: however it is registered.
func TestAPointOfABuildingIsInItsPlaceAndInItsHands(t *testing.T) {
	r := newRig(t)
	r.crews()
	r.assign("wb-1", grid.Scope{Street: rigScope.Street}, false)
	act := grid.Act{By: desk()}
	building := grid.Building{ID: "b-7", Name: "7", Scope: grid.Scope{District: rigScope.District, Street: rigScope.Street, Compound: "c-9"}, Mode: grid.Simulated}
	must[grid.Building](t)(r.engine.PutBuilding(t.Context(), building, act))
	made := grid.Point{ID: "made", Name: "made", Kind: grid.Door, Building: "b-7", Mode: grid.Simulated}
	must[grid.Point](t)(r.engine.CreatePoint(t.Context(), made, act))
	claimed := made
	claimed.ID = "claimed"
	must[grid.Claimed](t)(r.engine.ClaimWith(t.Context(), grid.Claim{
		Device: grid.Device{Identity: "sn:c", Profile: "gridgate/json", Mode: grid.Simulated}, Point: &claimed, Installations: []grid.Installation{{Device: "sn:c", Point: "claimed"}}, Act: act,
	}))
	for range 2 {
		for _, id := range []string{"made", "claimed"} {
			p := must[grid.Point](t)(r.store.Point(t.Context(), id))
			if got := r.hands(id); got != "wb-1" || p.Street != rigScope.Street || p.Compound != "c-9" {
				t.Errorf("%s is in the hands of %q, at %+v", id, got, p.Scope)
			}
		}
		r.restart()
	}
	free := must[grid.Point](t)(r.store.Point(t.Context(), "made"))
	free.Contractor = "" // the desk's word
	must[grid.Point](t)(r.engine.ChangePoint(t.Context(), free, act))
	if got := r.hands("made"); got != "" {
		t.Errorf("taken out of all hands by the desk it is in those of %q", got)
	}
}

// The rows of a sheet were compared before the point changed hands: they would give it back.
func TestAnImportThatAContractOvertookIsWorkedOutAnew(t *testing.T) {
	r := newRig(t)
	r.crews()
	r.doors(1)
	m := must[grid.Import](t)(r.engine.AddImport(t.Context(), grid.Import{Kind: grid.ImportPoints, State: grid.ImportApplying, By: desk(), Rows: 1}, ""))
	row := must[grid.Point](t)(r.store.Point(t.Context(), "d-0"))
	piece := grid.ImportPiece{Import: m.ID, To: 1, By: desk(), Registry: r.engine.RegistryNo(), Points: []grid.Point{row}, Was: []byte("x"), Changed: 1, Last: true}
	r.assign("wb-1", grid.Scope{Street: rigScope.Street}, false)
	if _, err := r.engine.PutImported(t.Context(), piece); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("the piece is put: %v", err)
	}
	if got := r.hands("d-0"); got != "wb-1" {
		t.Errorf("the door is in the hands of %q", got)
	}
}

func TestAnUnknownContractorGetsNothing(t *testing.T) {
	r := newRig(t)
	r.crews()
	for _, c := range []grid.Contract{{Scope: grid.Scope{Compound: "c-0", Contractor: "nobody"}}, {Scope: grid.Scope{Contractor: "wb-1"}}} {
		if _, err := r.engine.AssignContractor(t.Context(), c, ""); err == nil {
			t.Errorf("%+v is taken", c.Scope)
		}
	}
}

func TestAContractorOutOfItsTermGetsNoTicket(t *testing.T) {
	r := newRig(t)
	r.units() // the property comes next
	r.crews()
	r.doors(3)
	r.assign("wb-2", grid.Scope{District: "310105"}, false)
	if got := r.lead(r.batteryLow(0)); got != "wb-2" {
		t.Fatalf("in its term the ticket is led by %q", got)
	}
	r.after(40 * 24 * time.Hour)
	if got := r.lead(r.batteryLow(1)); got != "u-property" {
		t.Errorf("after its term the ticket is led by %q, want the property", got)
	}
}

// TestManyPointsAreMovedInPartsThatARestartGoesOnWith: a district of them is not one turn.
func TestManyPointsAreMovedInPartsThatARestartGoesOnWith(t *testing.T) {
	r := newRig(t)
	r.crews()
	const n = 3*handChunk + 7
	var points []grid.Point
	for i := range n {
		points = append(points, grid.Point{ID: fmt.Sprintf("p-%05d", i), Name: "x", Kind: grid.Door, Mode: grid.Simulated, Scope: rigScope})
	}
	r.put(grid.Registration{Points: points})
	c := grid.Contract{Scope: grid.Scope{Street: rigScope.Street, Contractor: "wb-1"}, By: desk()}
	first := must[grid.Contract](t)(r.engine.AssignContractor(t.Context(), c, "k"))
	if first.Points != handChunk || !first.Done.IsZero() {
		t.Fatalf("the first turn moved %d points, done %s: want %d", first.Points, first.Done, handChunk)
	}
	r.restart()
	for range 10 {
		r.after(time.Second)
	}
	held := must[[]grid.Contract](t)(r.store.OpenContracts(t.Context()))
	if len(held) != 1 || held[0].Done.IsZero() || held[0].Points != n {
		t.Fatalf("contracts are %+v, want one that is done with %d points", held, n)
	}
	for i := range n {
		if got := r.engine.memory.Scope(r.engine.memory.PointAt(registry.PointNo(i))).Contractor; got != "wb-1" {
			t.Fatalf("point %d is in the hands of %q", i, got)
		}
	}
	for _, i := range []int{0, handChunk, n - 1} { // of the first turn, of one after the restart, of the last
		l := r.handedLine(fmt.Sprintf("p-%05d", i))
		if l.By != desk() || l.Via != "contract" || string(l.Before) != `{"contractor":null}` || string(l.After) != `{"contractor":"wb-1"}` || l.Scope.Contractor != "wb-1" {
			t.Errorf("the history of point %d says %+v, from %s to %s", i, l, l.Before, l.After)
		}
	}
}

// handedLine is the only line of a point's history that says it changed hands.
func (r *rig) handedLine(point string) grid.Change {
	r.t.Helper()
	page := must[state.Page[grid.Change]](r.t)(r.store.ListChanges(r.t.Context(), state.Query{Point: point, Limit: 100}))
	var found []grid.Change
	for _, l := range page.Items {
		if l.Kind == "point" && l.Action == "changed" {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		r.t.Fatalf("%s changed hands %d times by its history: %+v", point, len(found), page.Items)
	}
	return found[0]
}

// TestTwoContractsThatWaitTogetherLeaveStoreAndMemoryTheSame: the second looks at what the first
// has moved.
func TestTwoContractsThatWaitTogetherLeaveStoreAndMemoryTheSame(t *testing.T) {
	r := newRig(t)
	r.crews()
	r.doors(1)
	place := grid.Scope{Street: rigScope.Street}
	r.assign("wb-1", place, false)
	held, free := make(chan struct{}), make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		_, err := r.engine.do(t.Context(), &command{name: "hold", do: func(*batch) (any, error) { close(held); <-free; return nil, nil }})
		if err != nil {
			t.Error(err)
		}
	})
	<-held
	for i, to := range []string{"wb-2", "wb-1"} {
		place.Contractor = to
		c := grid.Contract{Scope: place, By: desk()}
		done.Go(func() {
			if _, err := r.engine.AssignContractor(t.Context(), c, ""); err != nil {
				t.Error(err)
			}
		})
		for len(r.engine.cmds) <= i {
			time.Sleep(time.Millisecond)
		}
	}
	close(free)
	done.Wait()
	r.settle()
	if got := r.hands("d-0"); got != "wb-1" {
		t.Errorf("the door is in the hands of %q, want those of the last word", got)
	}
}
