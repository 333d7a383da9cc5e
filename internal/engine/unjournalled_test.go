package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// fullStore takes nothing while it is full.
type fullStore struct {
	*state.Store
	full  atomic.Bool
	tried chan struct{}
}

func (f *fullStore) Commit(ctx context.Context, b *state.Batch) error {
	if f.full.Load() {
		select {
		case f.tried <- struct{}{}:
		default:
		}
		return errors.New("disk is full")
	}
	return f.Store.Commit(ctx, b)
}

// unwrittenRig is a rig whose disk can be full, and what it tells from memory.
func unwrittenRig(t *testing.T) (*rig, *fullStore, chan *Unjournalled) {
	told, store := make(chan *Unjournalled, 16), &fullStore{tried: make(chan struct{}, 1)}
	r := newRig(t, func(c *Config) {
		store.Store = c.Store.(*state.Store)
		c.Store = store
		c.Unwritten = func(u *Unjournalled) { told <- u }
	})
	r.units()
	r.detectors(2, "s", 0, 0)
	return r, store, told
}

func (r *rig) noRoom(id grid.Identity, seq int, is bool) {
	f := frame(id, fmt.Sprintf(`{"smoke.alarm":%v,"seq":%d}`, is, seq))
	f.Received = r.now()
	r.engine.Refused([]grid.Frame{f})
}

func hears(t *testing.T, told chan *Unjournalled) *Unjournalled {
	t.Helper()
	select {
	case u := <-told:
		return u
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is told from memory")
		return nil
	}
}

func TestSmokeThatTheDiskDoesNotTakeIsToldFromMemoryAndKeepsItsNamesOnceItIsWritten(t *testing.T) {
	r, _, told := unwrittenRig(t)
	r.noRoom("sn:s0", 1, true)
	u := hears(t, told)
	if len(u.Alarms) != 1 || len(u.Tickets) != 1 || u.Alarms[0].Unjournalled.IsZero() || u.Alarms[0].Ticket != u.Tickets[0].ID {
		t.Fatalf("told %+v: want one alarm, marked, with its ticket", u)
	}
	units := map[string]bool{}
	for _, d := range u.Deliveries {
		units[d.Unit] = true
		if d.Ticket != u.Tickets[0].ID || len(d.Body) == 0 {
			t.Errorf("delivery %+v: want one of the ticket, with a body", d)
		}
	}
	if !units["u-micro_fire_station"] {
		t.Errorf("calls %v: want the micro fire station among them", units)
	}
	if got := r.tickets(); len(got) != 0 {
		t.Errorf("%d tickets are on disk: want none", len(got))
	}

	r.after(20 * time.Second)
	r.noRoom("sn:s0", 1, true) // the device says it again
	r.smoke("sn:s0", 1, true)  // and once more, when there is room
	tk := r.theTicket()
	ep := r.alarms(state.Query{Point: "s0"})
	if tk.ID != u.Tickets[0].ID || len(ep) != 1 || ep[0].ID != u.Alarms[0].ID || ep[0].Unjournalled.IsZero() {
		t.Errorf("on disk: ticket %s, episodes %+v; told: ticket %s, episode %s", tk.ID, ep, u.Tickets[0].ID, u.Alarms[0].ID)
	}
	if len(told) != 0 {
		t.Errorf("told again: %+v", <-told)
	}
	r.restart()
	if got := r.theTicket(); got.ID != tk.ID {
		t.Errorf("after a restart the ticket is %s, want %s", got.ID, tk.ID)
	}
}

func TestSmokeIsToldWhileTheStateCannotBeWrittenEither(t *testing.T) {
	r, store, told := unwrittenRig(t)
	store.full.Store(true)
	done := make(chan error, 1)
	go func() {
		done <- r.engine.Put(context.Background(), []grid.Point{{ID: "x", Kind: grid.Door}}, nil, nil, nil)
	}()
	<-store.tried
	r.noRoom("sn:s0", 1, true)
	first := hears(t, told)
	r.noRoom("sn:s1", 1, true) // another detector of the building: the same piece of work
	if second := hears(t, told); len(second.Tickets) != 1 || second.Tickets[0].ID != first.Tickets[0].ID || second.Alarms[0].Point != "s1" {
		t.Errorf("the second detector has the tickets %+v: want %s again", second.Tickets, first.Tickets[0].ID)
	}
	store.full.Store(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.smoke("sn:s1", 1, true)
	if tk := r.theTicket(); tk.ID != first.Tickets[0].ID {
		t.Errorf("ticket is %s, told was %s", tk.ID, first.Tickets[0].ID)
	}
}

func TestWhatIsNoNewSmokeIsNotToldFromMemory(t *testing.T) {
	r, _, told := unwrittenRig(t)
	r.noRoom("sn:s0", 1, false)
	r.noRoom("sn:nobody", 1, true)
	r.smoke("sn:s1", 1, true) // on disk already
	r.noRoom("sn:s1", 2, true)
	r.noRoom("sn:s0", 2, true)
	if u := hears(t, told); len(u.Alarms) != 1 || u.Alarms[0].Point != "s0" {
		t.Errorf("told %+v: want the alarm of s0 alone", u.Alarms)
	}
	if len(told) != 0 {
		t.Errorf("told too: %+v", (<-told).Alarms)
	}
}
