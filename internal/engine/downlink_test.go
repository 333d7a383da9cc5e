package engine

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/state"
)

const otherDev = grid.Identity("sn:door-2")

// downRig has two doors that may be told something.
func downRig(t testing.TB, change ...func(*Config)) *rig {
	r := newRig(t, change...)
	r.place(grid.Door, "D1", doorDev)
	r.place(grid.Door, "D2", otherDev)
	return r
}

// order sends a downlink to a device, under a key.
func (r *rig) order(id grid.Identity, key string, change ...func(*grid.Downlink)) grid.Downlink {
	r.t.Helper()
	return must[grid.Downlink](r.t)(r.engine.Downlink(r.t.Context(), anOrder(id, key, change...)))
}

func anOrder(id grid.Identity, key string, change ...func(*grid.Downlink)) grid.Downlink {
	d := grid.Downlink{
		ID: grid.DownlinkID(id, key), Device: id, Order: grid.Order{Payload: &grid.PayloadOrder{Hex: "ff10ff", Port: 85}}, By: tester, Reason: "a test",
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

func (r *rig) step(id string, s DownlinkStep) grid.Downlink {
	r.t.Helper()
	return must[grid.Downlink](r.t)(r.engine.DownlinkResult(r.t.Context(), id, s))
}

func (r *rig) isSent(id, ref string) grid.Downlink {
	r.t.Helper()
	return r.step(id, DownlinkStep{Sent: &grid.Sent{State: grid.DownlinkSent, Ref: ref}, Way: "mqtt:tts"})
}

func (r *rig) downlink(id string) grid.Downlink {
	r.t.Helper()
	return must[grid.Downlink](r.t)(r.store.Downlink(r.t.Context(), id))
}

// wants checks how far a downlink has come.
func (r *rig) wants(id string, s grid.DownlinkState, ended bool, err string) {
	r.t.Helper()
	r.settle()
	d := r.downlink(id)
	if d.State != s || d.Ended() != ended || !strings.Contains(d.Error, err) {
		r.t.Errorf("downlink is %s, ended %t, error %q: want %s, %t, %q", d.State, d.Ended(), d.Error, s, ended, err)
	}
}

// networkSays is what a network says of a downlink, as it comes: ref is the downlink's id, or
// what the network calls it.
func networkSays(id grid.Identity, ref string, s grid.DownlinkState) grid.Frame {
	key := map[grid.DownlinkState]string{
		grid.DownlinkQueued: "downlink_queued", grid.DownlinkSent: "downlink_sent", grid.DownlinkAcknowledged: "downlink_ack", grid.DownlinkFailed: "downlink_failed",
	}[s]
	return grid.Frame{
		Identity: id, Transport: "mqtt", Source: "tts", Address: "v3/app@tenant/devices/d1/down/x", Envelope: envelope.TheThings,
		Raw: fmt.Appendf(nil, `{"end_device_ids":{"device_id":"d1"},"correlation_ids":["gridgate:%s"],"%s":{"f_port":85}}`, ref, key),
	}
}

func (r *rig) audits(action string) []state.Audit {
	r.t.Helper()
	return everything(r.t, func(ctx context.Context, q state.Query) (state.Page[state.Audit], error) {
		q.Type = action
		return r.store.ListAudit(ctx, q)
	})
}

func TestDownlinkGoesFromOrderToAcknowledgement(t *testing.T) {
	var mu sync.Mutex
	var told []grid.Downlink
	r := downRig(t, func(c *Config) {
		c.Committed = func(rows *state.Batch) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, rows.Downlinks...)
		}
	})
	d := r.order(doorDev, "1", confirmed)
	if d.State != grid.DownlinkQueued || !d.Created.Equal(r.now()) || d.Expires.Sub(d.Created) != 24*time.Hour || d.Mode != grid.Simulated || d.By != tester {
		t.Errorf("made: %+v", d)
	}
	r.step(d.ID, DownlinkStep{Try: true, Way: "mqtt:tts"})
	r.isSent(d.ID, "")
	r.send(networkSays(doorDev, d.ID, grid.DownlinkQueued))
	r.wants(d.ID, grid.DownlinkSent, false, "")
	r.clock.Add(int64(time.Minute))
	r.send(networkSays(doorDev, d.ID, grid.DownlinkAcknowledged))
	r.wants(d.ID, grid.DownlinkAcknowledged, true, "")
	if d = r.downlink(d.ID); !d.EndedAt.Equal(r.now()) || d.Attempts != 1 || d.Answer != "the device acknowledged it" || d.Way != "mqtt:tts" {
		t.Errorf("ended: %+v", d)
	}
	mu.Lock()
	defer mu.Unlock()
	var states []string
	for _, d := range told {
		states = append(states, fmt.Sprintf("%s %t %t", d.State, d.Trying, d.Ended()))
	}
	if diff := gocmp.Diff([]string{"queued false false", "queued true false", "sent false false", "sent false false", "acknowledged false true"}, states); diff != "" {
		t.Errorf("told after commits (+):\n%s", diff)
	}
	if got := r.ledger(); got[grid.IgnoredFrame] != 2 {
		t.Errorf("ledger is %v: want both answers ignored, as frames without a reading", got)
	}
}

func TestSameIDIsTheSameDownlink(t *testing.T) {
	r := downRig(t)
	first := r.order(doorDev, "1")
	r.after(time.Hour)
	if again := r.order(doorDev, "1"); !gocmp.Equal(first, again) {
		t.Errorf("again (+):\n%s", gocmp.Diff(first, again))
	}
	other := anOrder(doorDev, "1", func(d *grid.Downlink) { d.Order.Payload = &grid.PayloadOrder{Hex: "00"} })
	elsewhere := anOrder(otherDev, "1", func(d *grid.Downlink) { d.ID = first.ID })
	once := anOrder(doorDev, "1", func(d *grid.Downlink) { d.Once = true })
	refuses := func() {
		t.Helper()
		for _, d := range []grid.Downlink{other, elsewhere, once, anOrder(doorDev, "1", confirmed)} {
			if _, err := r.engine.Downlink(t.Context(), d); grid.CodeOf(err) != grid.Conflict {
				t.Errorf("another order under the same id: %v: want a conflict", err)
			}
		}
	}
	refuses()
	r.step(first.ID, DownlinkStep{Failed: true, Error: "no"})
	r.restart()
	refuses()
	if again := r.order(doorDev, "1"); again.State != grid.DownlinkFailed || !again.Created.Equal(first.Created) {
		t.Errorf("again, after its end: %+v", again)
	}
	if n := len(everything(t, r.store.ListDownlinks)); n != 1 {
		t.Errorf("%d downlinks: want one", n)
	}
	if n := len(r.audits("downlink.send")); n != 1 {
		t.Errorf("%d audits: want one", n)
	}
	named := r.order(doorDev, "", func(d *grid.Downlink) { d.ID = "" })
	if err := named.Check(); err != nil || named.ID == "" {
		t.Errorf("without an id it got %q: %v", named.ID, err)
	}
}

func TestDownlinkThatCannotBeIsRefused(t *testing.T) {
	r := downRig(t)
	for id, s := range map[grid.Identity]grid.DeviceState{"sn:barred": grid.Barred, "sn:retired": grid.Retired} {
		r.place(grid.Door, string(id), id)
		r.put(grid.Registration{Devices: []grid.Device{{Identity: id, Profile: "gridgate/json", State: s}}})
	}
	in := func(d time.Duration) func(*grid.Downlink) {
		return func(o *grid.Downlink) { o.Expires = r.now().Add(d) }
	}
	for _, c := range []struct {
		d    grid.Downlink
		code grid.Code
		say  string
	}{
		{anOrder("sn:nobody", "1"), grid.NotFound, "sn:nobody"},
		{anOrder("sn:barred", "1"), grid.Conflict, "barred"},
		{anOrder("sn:retired", "1"), grid.Conflict, "retired"},
		{anOrder(doorDev, "1", func(d *grid.Downlink) { d.Order = grid.Order{} }), grid.Invalid, "exactly one"},
		{anOrder(doorDev, "1", func(d *grid.Downlink) { d.ID = "../1" }), grid.Invalid, "ULID"},
		{anOrder(doorDev, "1", func(d *grid.Downlink) { d.Reason = strings.Repeat("x", 1001) }), grid.Invalid, "reason"},
		{anOrder(doorDev, "1", in(0)), grid.Invalid, "past"},
		{anOrder(doorDev, "1", in(30*24*time.Hour+1)), grid.Invalid, "30 days"},
	} {
		if _, err := r.engine.Downlink(t.Context(), c.d); grid.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: error is %v: want %s and %q", c.d.Device, err, c.code, c.say)
		}
	}
	r.order(doorDev, "long", in(30*24*time.Hour))
	if n := len(r.audits("downlink.send")); n != 1 {
		t.Errorf("%d audits: want what was refused to leave none", n)
	}
}

func TestOpenDownlinksOfADeviceAreBounded(t *testing.T) {
	r := downRig(t)
	for i := range maxOpenOfDevice {
		r.order(doorDev, fmt.Sprint(i))
	}
	r.restart()
	over := anOrder(doorDev, "one more")
	if _, err := r.engine.Downlink(t.Context(), over); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "16 open") {
		t.Errorf("error is %v: want a conflict that names the limit", err)
	}
	r.order(otherDev, "1")
	r.order(doorDev, "3") // the same again is none more
	r.step(grid.DownlinkID(doorDev, "7"), DownlinkStep{Failed: true, Error: "no"})
	r.order(doorDev, "one more")
	open := must[[]grid.Downlink](t)(r.store.OpenDownlinks(t.Context()))
	if !slices.IsSortedFunc(open, func(a, b grid.Downlink) int { return a.Created.Compare(b.Created) }) || len(open) != maxOpenOfDevice+1 {
		t.Errorf("%d open: want %d in the order in which they were made", len(open), maxOpenOfDevice+1)
	}
	var own []string
	for _, d := range open {
		if d.Device == doorDev {
			own = append(own, d.ID)
		}
	}
	for i := range own[:5] {
		if own[i] != grid.DownlinkID(doorDev, fmt.Sprint(i)) {
			t.Errorf("place %d is %s: want them in the order in which they were made, though the clock stood still", i, own[i])
		}
	}
}

// outside writes rows while the engine is down.
func (r *rig) outside(b *state.Batch) {
	r.t.Helper()
	r.close()
	s := must[*state.Store](r.t)(state.Open(r.t.Context(), filepath.Join(r.dir, "state.db"), nil))
	if err := s.Commit(r.t.Context(), b); err != nil {
		r.t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

func TestAllOpenDownlinksAreBounded(t *testing.T) {
	r := downRig(t)
	b := &state.Batch{}
	for i := range maxOpen - 1 {
		id := grid.Identity(fmt.Sprintf("sn:%d", i))
		b.Downlinks = append(b.Downlinks, grid.Downlink{ID: grid.DownlinkID(id, "1"), Device: id, State: grid.DownlinkQueued, Created: r.now(), Expires: r.now().Add(time.Hour)})
	}
	r.outside(b)
	r.order(doorDev, "1")
	if _, err := r.engine.Downlink(t.Context(), anOrder(otherDev, "1")); grid.CodeOf(err) != grid.Unavailable || !strings.Contains(err.Error(), "10000") {
		t.Errorf("error is %v: want unavailable and the limit", err)
	}
	r.after(time.Hour + time.Second)
	r.order(otherDev, "1")
	if open := must[[]grid.Downlink](t)(r.store.OpenDownlinks(t.Context())); len(open) != 2 {
		t.Errorf("%d open after the others' end: want 2", len(open))
	}
}

func TestAnswerMovesDownlinksOfItsOwnDeviceAlone(t *testing.T) {
	r := downRig(t)
	d := r.order(doorDev, "1", confirmed)
	r.isSent(d.ID, "net-5")
	r.order(otherDev, "1", confirmed)
	r.send(
		networkSays(otherDev, d.ID, grid.DownlinkAcknowledged), networkSays(otherDev, "net-5", grid.DownlinkFailed),
		networkSays(doorDev, "net-6", grid.DownlinkFailed), networkSays(doorDev, "", grid.DownlinkFailed), networkSays("sn:stranger", d.ID, grid.DownlinkFailed),
	)
	r.wants(d.ID, grid.DownlinkSent, false, "")
	r.wants(grid.DownlinkID(otherDev, "1"), grid.DownlinkQueued, false, "")
	r.send(networkSays(doorDev, "net-5", grid.DownlinkAcknowledged))
	r.wants(d.ID, grid.DownlinkAcknowledged, true, "")
	was := r.downlink(d.ID)
	r.clock.Add(int64(time.Second))
	for _, s := range []grid.DownlinkState{grid.DownlinkAcknowledged, grid.DownlinkFailed, grid.DownlinkSent} {
		r.send(networkSays(doorDev, "net-5", s), networkSays(doorDev, d.ID, s))
	}
	if diff := gocmp.Diff(was, r.downlink(d.ID)); diff != "" {
		t.Errorf("moved after its end (+):\n%s", diff)
	}
}

func TestAnswerThatIsQuickerThanItsWireCounts(t *testing.T) {
	for _, s := range []grid.DownlinkState{grid.DownlinkAcknowledged, grid.DownlinkFailed, grid.DownlinkQueued} {
		t.Run(string(s), func(t *testing.T) {
			gate := &gatedDownlinks{}
			r := downRig(t, func(c *Config) { gate.Store = c.Store.(*state.Store); c.Store = gate })
			d := r.order(doorDev, "1", confirmed)
			r.send(networkSays(doorDev, "other-4", grid.DownlinkFailed), networkSays(doorDev, "net-5", grid.DownlinkSent), networkSays(doorDev, "net-5", s))
			r.wants(d.ID, grid.DownlinkQueued, false, "")
			gate.left.Store(2)
			r.isSent(d.ID, "net-5")
			want := s
			if s == grid.DownlinkQueued {
				want = grid.DownlinkSent
			}
			r.wants(d.ID, want, want != grid.DownlinkSent, "")
			if got := r.downlink(d.ID); got.Answer == "" || got.Ref != "net-5" {
				t.Errorf("downlink is %+v: want the answer and the reference kept", got)
			}
			if gate.left.Load() >= 0 {
				t.Error("no commit failed: this shows nothing")
			}
			// What was kept is kept no longer than somebody may want it.
			next := r.order(doorDev, "2", confirmed)
			r.isSent(next.ID, "other-4")
			r.wants(next.ID, grid.DownlinkSent, false, "")
			nothingIsLeft(t, r)
		})
	}
}

// gatedDownlinks is a store that fails the next commits of downlinks.
type gatedDownlinks struct {
	*state.Store
	left atomic.Int32
	all  bool // any commit
}

func (g *gatedDownlinks) Commit(ctx context.Context, b *state.Batch) error {
	if (g.all || len(b.Downlinks) > 0) && g.left.Add(-1) >= 0 {
		return errFlaky
	}
	return g.Store.Commit(ctx, b)
}

func TestFailedCommitLeavesNothingOfADownlink(t *testing.T) {
	gate := &gatedDownlinks{}
	r := downRig(t, func(c *Config) { gate.Store = c.Store.(*state.Store); c.Store = gate })
	gate.left.Store(1)
	d := r.order(doorDev, "", func(d *grid.Downlink) { d.ID = "" }) // the second try gives it another id
	nothingIsLeft(t, r)
	gate.left.Store(1)
	r.step(d.ID, DownlinkStep{Retry: r.now().Add(time.Minute), Error: "it sleeps"})
	if got := r.downlink(d.ID); got.Attempts != 1 {
		t.Errorf("%d attempts: want one, by one step", got.Attempts)
	}
	gate.left.Store(1)
	r.after(25 * time.Hour)
	r.wants(d.ID, grid.DownlinkFailed, true, "not sent by")
	nothingIsLeft(t, r)
	if gate.left.Load() >= 0 || len(r.audits("downlink.send")) != 1 {
		t.Errorf("%d commits did not fail, %d audits: want all and one", gate.left.Load()+1, len(r.audits("downlink.send")))
	}
}

func TestRefusedCommandTouchesNoDownlink(t *testing.T) {
	var told atomic.Int32
	r := downRig(t, func(c *Config) { c.Committed = func(rows *state.Batch) { told.Add(int32(len(rows.Downlinks))) } })
	d := r.order(doorDev, "1")
	err := r.engine.Put(t.Context(), nil, []grid.Device{
		{Identity: doorDev, Profile: "gridgate/json", State: grid.Retired}, {Identity: "sn:new", Profile: "no/such"},
	}, nil, nil)
	if grid.CodeOf(err) != grid.Invalid {
		t.Fatalf("error is %v: want invalid", err)
	}
	r.wants(d.ID, grid.DownlinkQueued, false, "")
	if n := told.Load(); n != 1 {
		t.Errorf("told of %d downlinks: want the first making alone", n)
	}
	nothingIsLeft(t, r)
}

// nothingIsLeft checks that memory holds the open downlinks of the store and nothing else.
func nothingIsLeft(t testing.TB, r *rig) {
	t.Helper()
	r.settle()
	open := must[[]grid.Downlink](t)(r.store.OpenDownlinks(t.Context()))
	var got []grid.Downlink
	waits := map[grid.Identity]bool{}
	of := map[grid.Identity][]string{}
	must[any](t)(r.engine.do(t.Context(), &command{name: "look", do: func(*batch) (any, error) {
		e := r.engine
		for _, d := range e.downlinks {
			got = append(got, *d)
			waits[d.Device] = waits[d.Device] || d.State == grid.DownlinkQueued
			if at := e.expiries.at[d.ID]; !at.Equal(d.Expires) {
				t.Errorf("downlink %s is to end at %v: want %v", d.ID, at, d.Expires)
			}
		}
		for id, ids := range e.downlinksOf {
			of[id] = slices.Clone(ids)
		}
		if len(e.expiries.at) != len(e.downlinks) {
			t.Errorf("%d ends for %d open downlinks", len(e.expiries.at), len(e.downlinks))
		}
		for id, early := range e.early {
			if !waits[id] || len(early) > maxEarly {
				t.Errorf("%d answers are kept of %s, which waits for none: %t", len(early), id, !waits[id])
			}
		}
		return nil, nil
	}}))
	slices.SortFunc(got, func(a, b grid.Downlink) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	if d := gocmp.Diff(open, got); len(open)+len(got) > 0 && d != "" {
		t.Errorf("store and memory (+):\n%s", d)
	}
	want := map[grid.Identity][]string{}
	for _, d := range open {
		want[d.Device] = append(want[d.Device], d.ID)
	}
	if d := gocmp.Diff(want, of); d != "" {
		t.Errorf("by device, store and memory (+):\n%s", d)
	}
}

func TestAnswersThatCameTooEarlyAreBoundedAndForgotten(t *testing.T) {
	r := downRig(t)
	d, other := r.order(doorDev, "1", confirmed), r.order(doorDev, "2", confirmed)
	r.send(networkSays(doorDev, "net-old", grid.DownlinkAcknowledged))
	r.after(earlyFor + time.Minute)
	r.isSent(d.ID, "net-old")
	r.wants(d.ID, grid.DownlinkSent, false, "")
	for i := range 3 * maxEarly {
		r.send(networkSays(doorDev, fmt.Sprintf("net-%d", i), grid.DownlinkAcknowledged))
	}
	nothingIsLeft(t, r) // beyond the bound
	r.clock.Add(int64(time.Second))
	late := r.order(doorDev, "3", confirmed)
	r.isSent(late.ID, "net-47") // it came before this order was made
	r.wants(late.ID, grid.DownlinkSent, false, "")
	r.isSent(other.ID, "net-46")
	r.wants(other.ID, grid.DownlinkAcknowledged, true, "")
	nothingIsLeft(t, r) // nobody waits any more
}

func TestFailedCommitKeepsAnEarlyAnswerOnce(t *testing.T) {
	gate := &gatedDownlinks{all: true}
	r := downRig(t, func(c *Config) { gate.Store = c.Store.(*state.Store); c.Store = gate })
	r.order(doorDev, "1")
	gate.left.Store(2)
	r.send(networkSays(doorDev, "net-5", grid.DownlinkSent))
	n := must[int](t)(as[int](r.engine.do(t.Context(), &command{name: "look", do: func(*batch) (any, error) { return len(r.engine.early[doorDev]), nil }})))
	if n != 1 || gate.left.Load() >= 0 {
		t.Errorf("%d answers are kept after two commits that failed: want one", n)
	}
}

func TestOldWordIsNotTakenForAnAnswerToANewDownlink(t *testing.T) {
	r := downRig(t)
	d := r.order(doorDev, "1", confirmed)
	r.isSent(d.ID, "5") // networks count, and begin again
	retained := networkSays(doorDev, "5", grid.DownlinkAcknowledged)
	retained.Flags |= grid.Retained
	old := networkSays(doorDev, "5", grid.DownlinkAcknowledged)
	old.Received = r.now().Add(-time.Minute)
	r.send(retained, old)
	r.wants(d.ID, grid.DownlinkSent, false, "")
	own := networkSays(doorDev, d.ID, grid.DownlinkAcknowledged) // of this there is only one
	own.Flags |= grid.Retained
	r.send(own)
	r.wants(d.ID, grid.DownlinkAcknowledged, true, "")
}

func TestAnswerInQuarantineCountsWhenItIsReplayed(t *testing.T) {
	r := downRig(t)
	d, e := r.order(doorDev, "1", confirmed), r.order(doorDev, "2")
	r.isSent(d.ID, "net-5")
	put := func(s grid.DeviceState) {
		r.put(grid.Registration{Devices: []grid.Device{{Identity: doorDev, Profile: "gridgate/json", State: s, Mode: grid.Simulated}}})
	}
	put(grid.Barred)
	r.wants(e.ID, grid.DownlinkFailed, true, "barred")
	r.send(networkSays(doorDev, "net-5", grid.DownlinkAcknowledged))
	r.wants(d.ID, grid.DownlinkSent, false, "")
	put(grid.Installed)
	held := r.quarantine()
	if len(held) != 1 {
		t.Fatalf("%d frames in quarantine: want the answer", len(held))
	}
	if n, err := r.engine.Replay(t.Context(), []string{held[0].ID}, tester); err != nil || n != 1 {
		t.Fatalf("%d replayed, %v", n, err)
	}
	r.wants(d.ID, grid.DownlinkAcknowledged, true, "")
	r.restart()
	r.wants(d.ID, grid.DownlinkAcknowledged, true, "")
	nothingIsLeft(t, r)
}

func TestDownlinkEndsAtItsTime(t *testing.T) {
	for _, how := range []string{"while we run", "while we are down"} {
		t.Run(how, func(t *testing.T) {
			r := downRig(t)
			soon := func(d *grid.Downlink) { d.Expires = r.now().Add(time.Minute) }
			queued, sent, wanted := r.order(doorDev, "1", soon), r.order(doorDev, "2", soon), r.order(otherDev, "3", soon, confirmed)
			later := r.order(otherDev, "4")
			r.isSent(sent.ID, "")
			r.isSent(wanted.ID, "")
			r.step(queued.ID, DownlinkStep{Retry: r.now().Add(10 * time.Second), Error: "it sleeps", Way: "mqtt:tts"})
			if how == "while we run" {
				r.after(59 * time.Second)
				for _, d := range []grid.Downlink{queued, sent, wanted} {
					if row := r.downlink(d.ID); row.Ended() {
						t.Errorf("downlink of %s ended before its time", d.Device)
					}
				}
				r.after(time.Second)
			} else {
				r.close()
				r.clock.Add(int64(time.Hour))
				r.open()
			}
			r.wants(queued.ID, grid.DownlinkFailed, true, "not sent by 2026-03-02T08:01:00Z; last: it sleeps")
			r.wants(sent.ID, grid.DownlinkSent, true, "")
			r.wants(wanted.ID, grid.DownlinkFailed, true, "not acknowledged by")
			r.wants(later.ID, grid.DownlinkQueued, false, "")
			nothingIsLeft(t, r)
		})
	}
}

func TestAnswerThatWaitedInTheJournalCameInTime(t *testing.T) {
	r := downRig(t)
	d := r.order(doorDev, "1", confirmed, func(d *grid.Downlink) { d.Expires = r.now().Add(time.Minute) })
	r.isSent(d.ID, "net-5")
	r.settle()
	lane := r.engine.LaneOf(doorDev, nil)
	r.close()
	// It was durable, and the engine died before it came to it.
	log := must[*journal.Log](t)(journal.Open(filepath.Join(r.dir, "journal"), journal.Options{Now: r.now, MinFreeBulk: -1, MinFreeSafety: -1, ReserveBytes: -1}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	f := networkSays(doorDev, "net-5", grid.DownlinkAcknowledged)
	f.Received = r.now().Add(30 * time.Second)
	var before []grid.Frame // so many that the answer is not of the first turn
	for i := range 8 * chunkSize {
		g := frame(doorDev, fmt.Sprintf(`{"door.open":false,"seq":%d}`, i+1))
		g.Received = r.now().Add(time.Second)
		before = append(before, g)
	}
	if err := log.Append(ctx, lane, append(before, f)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	log.Close()
	r.clock.Add(int64(time.Hour))
	r.open()
	r.wants(d.ID, grid.DownlinkAcknowledged, true, "")
}

func TestTryAfterTheEndDoesNotGoOut(t *testing.T) {
	r := downRig(t)
	d := r.order(doorDev, "1", func(d *grid.Downlink) { d.Expires = r.now().Add(time.Minute) })
	r.clock.Add(int64(time.Minute))
	if got := r.step(d.ID, DownlinkStep{Try: true, Way: "mqtt:tts"}); got.State != grid.DownlinkFailed {
		t.Errorf("downlink is %s: want failed, whether the end or the try was first", got.State)
	}
	if got := r.isSent(d.ID, "net-5"); got.State != grid.DownlinkFailed || got.Ref != "" {
		t.Errorf("a late step made it %+v: want it as it was", got)
	}
	if _, err := r.engine.DownlinkResult(t.Context(), grid.DownlinkID(doorDev, "none"), DownlinkStep{Try: true}); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("a step of none: %v: want not_found", err)
	}
}

func TestDownlinkIsTakenBackUntilItIsSent(t *testing.T) {
	r := downRig(t)
	cancel := func(id string) (grid.Downlink, error) {
		return r.engine.CancelDownlink(t.Context(), id, tester, "wrong valve")
	}
	waits, tried, sent := r.order(doorDev, "1"), r.order(doorDev, "2"), r.order(doorDev, "3")
	r.step(tried.ID, DownlinkStep{Try: true})
	r.isSent(sent.ID, "")
	for range 2 { // twice is once
		if d, err := cancel(waits.ID); err != nil || d.State != grid.DownlinkFailed || d.Error != "taken back by "+tester.Name+": wrong valve" {
			t.Errorf("taken back: %+v, %v", d, err)
		}
	}
	if d, err := cancel(tried.ID); err != nil || !strings.Contains(d.Error, "may have been sent") {
		t.Errorf("taken back on its way: %+v, %v", d, err)
	}
	if _, err := cancel(sent.ID); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("sent: %v: want a conflict", err)
	}
	if _, err := cancel(grid.DownlinkID(doorDev, "none")); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("none: %v: want not_found", err)
	}
	audits := r.audits("downlink.cancel")
	i := slices.IndexFunc(audits, func(a state.Audit) bool { return a.Subject == waits.ID })
	if len(audits) != 2 || i < 0 {
		t.Fatalf("audits are %+v: want one of each that was taken back", audits)
	}
	if a := audits[i]; a.By != tester || a.Scope != rigScope || a.Mode != grid.Simulated || a.Detail != `wrong valve: `+string(doorDev)+` {"payload":{"hex":"ff10ff","port":85}}` {
		t.Errorf("audit is %+v: want it to say who, what, where and why", a)
	}
	nothingIsLeft(t, r)
}

// legal says whether a row may follow another of the same downlink.
func legal(was, is grid.Downlink) error {
	next := map[grid.DownlinkState][]grid.DownlinkState{
		"":                  {grid.DownlinkQueued},
		grid.DownlinkQueued: {grid.DownlinkQueued, grid.DownlinkSent, grid.DownlinkAcknowledged, grid.DownlinkFailed},
		grid.DownlinkSent:   {grid.DownlinkSent, grid.DownlinkAcknowledged, grid.DownlinkFailed},
	}
	final := is.State == grid.DownlinkAcknowledged || is.State == grid.DownlinkFailed
	switch {
	case was.Ended():
		return fmt.Errorf("moved after its end: %+v, was %+v", is, was)
	case !slices.Contains(next[was.State], is.State):
		return fmt.Errorf("went from %q to %q", was.State, is.State)
	case final != is.Ended() && is.State != grid.DownlinkSent:
		return fmt.Errorf("is %s and ended %t", is.State, is.Ended())
	case is.Ended() && is.Trying, is.State == grid.DownlinkFailed && is.Error == "", is.State == grid.DownlinkAcknowledged && is.SentAt.IsZero(),
		is.State == grid.DownlinkSent && is.SentAt.IsZero(), is.State == grid.DownlinkSent && is.Confirm && is.Ended(), is.Attempts < was.Attempts:
		return fmt.Errorf("is %+v", is)
	}
	return nil
}

// TestWhateverHappensToDownlinksTheirHistoryIsLegal throws orders, steps, answers, time and
// restarts at an engine whose commits fail now and then.
func TestWhateverHappensToDownlinksTheirHistoryIsLegal(t *testing.T) {
	w := newDownWhirl(t)
	for i := range 400 {
		w.mood(rand.New(rand.NewPCG(w.seed, uint64(i))))
		w.happens(i)
		if i%40 == 39 {
			w.mood(nil)
			nothingIsLeft(t, w.rig)
		}
	}
	w.mood(nil)
	w.after(time.Hour)
	nothingIsLeft(t, w.rig)
	rows := everything(t, w.rig.store.ListDownlinks)
	w.mu.Lock()
	defer w.mu.Unlock()
	ends := map[grid.DownlinkState]int{}
	for _, d := range rows {
		ends[d.State]++
		delete(w.kept, d.ID)
		if diff := gocmp.Diff(w.history[d.ID], d); diff != "" || !d.Ended() {
			t.Errorf("downlink %s at the end (told, +stored):\n%s", d.ID, diff)
		}
	}
	if len(w.kept) > 0 {
		t.Errorf("%d downlinks are lost", len(w.kept))
	}
	t.Logf("%d downlinks, %d moves, %d failed commits, ended %v", len(rows), w.moves, w.flaky.failed, ends)
	if len(ends) < 3 || w.flaky.failed < 20 {
		t.Errorf("ends are %v, %d commits failed: this shows nothing", ends, w.flaky.failed)
	}
}

// downWhirl is a rig to whose downlinks anything happens, by a seed.
type downWhirl struct {
	*rig
	seed  uint64
	rng   *rand.Rand
	flaky *flaky
	made  []string
	kept  map[string]bool // what a client was told is there

	mu      sync.Mutex
	history map[string]grid.Downlink
	moves   int
}

func newDownWhirl(t *testing.T) *downWhirl {
	w := &downWhirl{seed: seedOf(t), flaky: &flaky{}, kept: map[string]bool{}, history: map[string]grid.Downlink{}}
	w.rng = rand.New(rand.NewPCG(w.seed, 7))
	w.rig = downRig(t, func(c *Config) {
		w.flaky.Store = c.Store.(*state.Store)
		c.Store = w.flaky
		c.Committed = func(rows *state.Batch) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, d := range rows.Downlinks {
				if err := legal(w.history[d.ID], d); err != nil {
					t.Errorf("downlink %s: %v", d.ID, err)
				}
				w.history[d.ID] = d
				w.moves++
			}
		}
	})
	return w
}

// mood is that of the disk; nil: it is good.
func (w *downWhirl) mood(rng *rand.Rand) {
	w.flaky.mu.Lock()
	defer w.flaky.mu.Unlock()
	w.flaky.rng = rng
}

func (w *downWhirl) pick() string { return w.made[max(0, len(w.made)-1-w.rng.IntN(10))] }

func (w *downWhirl) happens(i int) {
	devices := []grid.Identity{doorDev, otherDev}
	switch n := w.rng.IntN(20); {
	case n < 5 || len(w.made) == 0:
		d := anOrder(devices[w.rng.IntN(2)], fmt.Sprint(i), func(d *grid.Downlink) {
			d.Confirm, d.Once = w.rng.IntN(2) == 0, w.rng.IntN(2) == 0
			d.Expires = w.now().Add(time.Duration(1+w.rng.IntN(300)) * time.Second)
		})
		if got, err := w.engine.Downlink(w.t.Context(), d); err == nil {
			w.made = append(w.made, got.ID)
			w.kept[got.ID] = true
		} else if grid.CodeOf(err) != grid.Conflict {
			w.t.Fatal(err)
		}
	case n < 12:
		steps := everyStep(w.now())
		s := steps[w.rng.IntN(len(steps))]
		if s.Sent != nil {
			sent := *s.Sent
			sent.Ref = fmt.Sprintf("net-%d", w.rng.IntN(8))
			s.Sent = &sent
		}
		w.step(w.pick(), s)
	case n < 17:
		ref := w.pick()
		if w.rng.IntN(2) == 0 {
			ref = fmt.Sprintf("net-%d", w.rng.IntN(8))
		}
		all := everyAnswer(ref)
		f := networkSays(devices[w.rng.IntN(2)], ref, all[w.rng.IntN(len(all))].State)
		if w.rng.IntN(8) == 0 {
			f.Flags |= grid.Retained
		}
		w.send(f)
	case n < 18:
		if _, err := w.engine.CancelDownlink(w.t.Context(), w.pick(), tester, "no"); err != nil && grid.CodeOf(err) != grid.Conflict {
			w.t.Fatal(err)
		}
	case n < 19:
		w.clock.Add(int64(w.rng.IntN(120)) * int64(time.Second))
	default:
		w.mood(nil) // a start and a stop do not try again
		w.restart()
	}
}
