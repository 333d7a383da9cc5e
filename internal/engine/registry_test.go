package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

var fitter = grid.Actor{Role: grid.RoleUnit, Name: "tech-1", Unit: "u-maintenance"}

func done(reason string) grid.Act { return grid.Act{By: fitter, Reason: reason} }

func (r *rig) history(q state.Query) []grid.Change {
	r.t.Helper()
	q.Limit = 1000
	return must[state.Page[grid.Change]](r.t)(r.store.ListChanges(r.t.Context(), q)).Items
}

func (r *rig) deviceRow(id grid.Identity) grid.Device {
	r.t.Helper()
	return must[grid.Device](r.t)(r.store.Device(r.t.Context(), id))
}

func (r *rig) here(point string) []grid.Installation {
	r.t.Helper()
	return must[[]grid.Installation](r.t)(r.store.CurrentAt(r.t.Context(), point))
}

func (r *rig) active(point string, typ grid.EventType) bool {
	for _, a := range r.alarms(state.Query{Point: point, Type: string(typ)}) {
		if a.Active {
			return true
		}
	}
	return false
}

const oldDev, newDev = grid.Identity("sn:old"), grid.Identity("sn:new")

func TestASwapKeepsThePointAndBarsTheOldDevice(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", oldDev)
	r.say(oldDev, `{"manhole.open":true,"battery.level":8,"seq":1}`)
	r.after(time.Minute)
	open := r.ticketOf("M1", grid.EventManholeOpen)
	r.after(10 * time.Minute) // the battery is low for long enough
	low := r.ticketOf("M1", grid.EventBatteryLow)
	r.say(newDev, `{"manhole.open":true,"battery.level":99,"seq":900}`) // in its box, on the way
	at := r.now().Add(-5 * time.Minute)

	out, err := r.engine.Replace(t.Context(), grid.Swap{Old: oldDev, With: newDev, Act: grid.Act{By: fitter, Reason: "battery empty", At: at, Key: "k1"}})
	if err != nil {
		t.Fatal(err)
	}
	if out.Replayed != 1 || out.Old.State != grid.Barred || out.Old.ReplacedBy != newDev || !out.Old.Since.Equal(at) || out.New.State != grid.Installed {
		t.Errorf("swapped: %+v", out)
	}
	if here := r.here("M1"); len(here) != 1 || here[0].Device != newDev || !here[0].From.Equal(at) {
		t.Errorf("at the point: %+v", here)
	}
	if tk := r.ticketOf("M1", grid.EventManholeOpen); tk.ID != open.ID || tk.State.Ended() || !r.active("M1", grid.EventManholeOpen) {
		t.Errorf("ticket of the open cover is %s, its alarm active %t: want both to go on", tk.State, r.active("M1", grid.EventManholeOpen))
	}
	if tk := r.ticketOf("M1", grid.EventBatteryLow); tk.ID != low.ID || tk.State != grid.TicketChecking && tk.State != grid.TicketClosed {
		t.Errorf("ticket of the battery is %s: want it checked", tk.State)
	}
	if r.active("M1", grid.EventBatteryLow) {
		t.Error("the battery of the new device is low by the word of the old one")
	}
	notes := 0
	for _, m := range r.moves {
		if m.Ticket == low.ID && strings.Contains(m.Reason, "was replaced by sn:new") {
			notes++
		}
	}
	if notes == 0 {
		t.Error("the ticket of the battery does not say that the device was replaced")
	}

	before := r.ledger()[grid.Quarantined]
	r.say(oldDev, `{"manhole.open":false,"seq":2}`)
	r.say(oldDev, `{"manhole.open":false,"seq":3}`)
	if got := r.ledger()[grid.Quarantined]; got != before+2 {
		t.Errorf("%d frames of the old device are quarantined: want 2", got-before)
	}
	if !r.active("M1", grid.EventManholeOpen) {
		t.Error("a barred device has moved the state of its point")
	}
	if told := r.alarms(state.Query{Type: string(grid.EventDeviceBarred)}); len(told) != 1 || told[0].Device != oldDev || told[0].Street != rigScope.Street {
		t.Errorf("barred device that speaks: %+v: want it told once, at its street", told)
	}
	r.say(newDev, `{"manhole.open":false,"seq":901}`)
	r.after(2 * time.Minute)
	if r.active("M1", grid.EventManholeOpen) {
		t.Error("the new device does not move the state")
	}
}

func TestASwapAgainChangesNothing(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", oldDev)
	for range 2 {
		if _, err := r.engine.Replace(t.Context(), grid.Swap{Old: oldDev, With: newDev, Act: done("broken")}); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
	}
	if all := r.history(state.Query{Device: string(oldDev), Kind: "installation"}); len(all) != 2 {
		t.Errorf("history of the old device's installations: %d lines: want installed and ended", len(all))
	}
	if _, err := r.engine.Replace(t.Context(), grid.Swap{Old: oldDev, With: "sn:third", Act: done("broken")}); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "sn:new") {
		t.Errorf("a second swap of a device that is gone: %v", err)
	}
}

func TestASwappedSmokeDetectorThatStillSpeaksIsNotSilent(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Smoke, "S1", oldDev)
	if _, err := r.engine.Replace(t.Context(), grid.Swap{Old: oldDev, With: newDev, Act: done("end of life")}); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.say(oldDev, `{"smoke.alarm":false,"seq":9}`)
	all := r.alarms(state.Query{Type: string(grid.EventSafetyUnreadable)})
	if len(all) != 1 || all[0].Priority != 2 || all[0].Point != "" {
		t.Fatalf("safety.unreadable: %+v: want one P2, not at the point of the new device", all)
	}
	if ev := r.events(grid.EventSafetyUnreadable); !strings.Contains(ev[0].Detail, "last at point S1") {
		t.Errorf("detail is %q: want the last known place", ev[0].Detail)
	}
	r.say(oldDev, `{"smoke.alarm":true,"seq":10}`)
	if all = r.alarms(state.Query{Type: string(grid.EventSafetyUnreadable)}); all[0].Priority != 1 {
		t.Errorf("it says fire and the fault is %s: want P1", all[0].Priority)
	}
	if r.active("S1", grid.EventSmokeAlarm) {
		t.Error("a barred device has raised the alarm of the point")
	}
}

func TestTheNewDeviceIsSupervisedFromTheSwap(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "D1", oldDev)
	r.place(grid.Door, "D2", "sn:other")
	r.say(oldDev, `{"door.open":false,"seq":1}`)
	if _, err := r.engine.Replace(t.Context(), grid.Swap{Old: oldDev, With: newDev, Act: done("broken")}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		r.after(time.Hour)
		r.say("sn:other", fmt.Sprintf(`{"door.open":false,"seq":%d}`, i+1))
	}
	r.after(time.Second)
	if ev := r.events(grid.EventDeviceOffline); len(ev) != 1 || ev[0].Device != newDev || !strings.Contains(ev[0].Detail, "never heard") {
		t.Errorf("offline: %+v: want the new device, never heard", ev)
	}
}

func TestASilentDeviceIsSwappedAndItsTicketClosesWithTheFirstWordOfTheNewOne(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "D1", oldDev)
	r.place(grid.Door, "D2", "sn:other")
	r.say(oldDev, `{"door.open":false,"seq":1}`)
	for i := range 3 {
		r.after(time.Hour)
		r.say("sn:other", fmt.Sprintf(`{"door.open":false,"seq":%d}`, i+1))
	}
	r.after(time.Second)
	tk := r.ticketOf("D1", grid.EventDeviceOffline)
	if _, err := r.engine.Replace(t.Context(), grid.Swap{Old: oldDev, With: newDev, Act: done("dead")}); err != nil {
		t.Fatal(err)
	}
	r.after(time.Second)
	if tk = r.ticketOf("D1", grid.EventDeviceOffline); tk.State != grid.TicketChecking {
		t.Fatalf("ticket is %s after the swap: want checking", tk.State)
	}
	r.restart()
	r.after(time.Minute)
	if tk = r.ticketOf("D1", grid.EventDeviceOffline); tk.State != grid.TicketChecking {
		t.Fatalf("ticket is %s before the new device has spoken: want checking", tk.State)
	}
	r.say(newDev, `{"door.open":false,"seq":1}`)
	r.after(time.Second)
	if tk = r.ticketOf("D1", grid.EventDeviceOffline); tk.State != grid.TicketClosed {
		t.Errorf("ticket is %s after the first word of the new device: want closed", tk.State)
	}
}

func TestASwapIsUndoneWithinADay(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", oldDev)
	swap := func(with grid.Identity) {
		t.Helper()
		if _, err := r.engine.Replace(t.Context(), grid.Swap{Old: oldDev, With: with, Act: done("by mistake")}); err != nil {
			t.Fatal(err)
		}
	}
	swap(newDev)
	r.after(time.Hour)
	out, err := r.engine.UndoReplace(t.Context(), oldDev, done("wrong door"))
	if err != nil || out.Old.State != grid.Installed || out.New.State != grid.Retired {
		t.Fatalf("undo: %+v, %v", out, err)
	}
	r.say(oldDev, `{"door.open":true,"seq":5}`)
	if here := r.here("D1"); len(here) != 1 || here[0].Device != oldDev {
		t.Errorf("at the point: %+v", here)
	}
	if v := must[[]grid.LiveValue](t)(r.engine.LivePoint(t.Context(), "D1")); len(v) == 0 || v[0].Device != oldDev {
		t.Errorf("live: %+v: want the word of the old device", v)
	}
	swap("sn:third")
	r.after(25 * time.Hour)
	if _, err := r.engine.UndoReplace(t.Context(), oldDev, done("late")); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("undo after a day: %v: want a conflict", err)
	}
}

func TestAStolenDeviceIsBarredInOneStep(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", oldDev)
	var told []grid.Identity
	r.engine.CredentialsChanged = func([]grid.Credential) { told = append(told, oldDev) }
	if _, err := r.engine.BarDevice(t.Context(), oldDev, true, grid.Act{By: fitter}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("barred without a reason: %v", err)
	}
	d, err := r.engine.BarDevice(t.Context(), oldDev, true, done("cover and sensor are gone"))
	if err != nil || d.State != grid.Barred || !d.Stolen {
		t.Fatalf("barred: %+v, %v", d, err)
	}
	if len(told) == 0 || !r.engine.TakenOut(oldDev) {
		t.Error("whoever checks credentials was not told at once")
	}
	tk := r.ticketOf("M1", grid.EventDeviceStolen)
	if tk.Priority != 1 {
		t.Errorf("ticket is %s: want P1 at a manhole", tk.Priority)
	}
	if _, err := r.engine.Replace(t.Context(), grid.Swap{Old: oldDev, With: newDev, Act: done("stolen")}); err != nil {
		t.Fatal(err)
	}
	if r.active("M1", grid.EventDeviceStolen) {
		t.Error("device.stolen is active although there is another device")
	}
	if tk = r.ticketOf("M1", grid.EventDeviceStolen); tk.State.Ended() {
		t.Errorf("its ticket is %s: a swap closes nothing silently", tk.State)
	}
}

func TestMoveRetireAndRevive(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", oldDev)
	r.place(grid.Door, "D2", "sn:other")
	r.put(grid.Registration{Points: []grid.Point{{ID: "D3", Name: "D3", Kind: grid.Door, Scope: rigScope, State: grid.PointPlanned, Mode: grid.Simulated}}})
	r.after(time.Minute)
	if _, err := r.engine.MoveDevice(t.Context(), grid.DeviceMove{Device: oldDev, Point: "D2", Act: done("")}); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "sn:other") {
		t.Errorf("moved to a point that is taken: %v: want a conflict naming who is there", err)
	}
	if _, err := r.engine.MoveDevice(t.Context(), grid.DeviceMove{Device: oldDev, Point: "D3", Act: done("")}); err != nil {
		t.Fatal(err)
	}
	if p := must[grid.Point](t)(r.store.Point(t.Context(), "D3")); p.State != grid.PointPending {
		t.Errorf("a planned point with a device is %s: want pending until its commissioning is proven", p.State)
	}
	r.say(oldDev, `{"door.open":true,"seq":1}`)
	if v := must[[]grid.LiveValue](t)(r.engine.LivePoint(t.Context(), "D3")); len(v) == 0 || v[0].Value != 1 {
		t.Errorf("live at the new point: %+v", v)
	}
	if d, err := r.engine.RetireDevice(t.Context(), oldDev, done("broken")); err != nil || d.State != grid.Retired || len(r.here("D3")) != 0 {
		t.Fatalf("retired: %+v, %v", d, err)
	}
	if d, err := r.engine.ReviveDevice(t.Context(), oldDev, done("repaired")); err != nil || d.State != grid.Registered {
		t.Fatalf("revived: %+v, %v", d, err)
	}
	if _, err := r.engine.MoveDevice(t.Context(), grid.DeviceMove{Device: oldDev, Point: "D3", Act: done("")}); err != nil || r.deviceRow(oldDev).State != grid.Installed {
		t.Errorf("put up again: %v, %s", err, r.deviceRow(oldDev).State)
	}
}

func TestAPointIsRetiredOnlyWhenNothingHangsOnIt(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", oldDev)
	r.say(oldDev, `{"manhole.open":true,"seq":1}`)
	r.after(time.Minute)
	refused := func(what string) {
		t.Helper()
		if _, err := r.engine.RetirePoint(t.Context(), "M1", false, done("")); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), what) {
			t.Errorf("retired: %v: want a conflict about %s", err, what)
		}
	}
	refused("sn:old")
	if _, err := r.engine.RetireDevice(t.Context(), oldDev, done("gone")); err != nil {
		t.Fatal(err)
	}
	refused("manhole.open")
	tk := r.ticketOf("M1", grid.EventManholeOpen)
	r.forceClose(tk.ID)
	for _, a := range r.alarms(state.Query{Point: "M1"}) {
		if a.Active {
			t.Skipf("%s stays active after a forced close: nothing to retire", a.Type)
		}
	}
	if p, err := r.engine.RetirePoint(t.Context(), "M1", false, done("")); err != nil || p.State != grid.PointRetired {
		t.Errorf("retired: %+v, %v", p, err)
	}
}

func TestAnActDoneOfflineLiesInThePast(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", oldDev)
	r.after(8 * 24 * time.Hour)
	for _, at := range []time.Time{r.now().Add(-grid.OfflineFor - time.Minute), r.now().Add(time.Hour)} {
		if _, err := r.engine.Replace(t.Context(), grid.Swap{Old: oldDev, With: newDev, Act: grid.Act{By: fitter, At: at}}); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("at %s: %v: want invalid", at, err)
		}
	}
}

func TestTheHistorySaysWhoWhenAndWhat(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", oldDev)
	p := must[grid.Point](t)(r.store.Point(t.Context(), "D1"))
	r.after(2 * time.Hour)
	p.Name, p.Floor = "north door", "3"
	at := r.now().Add(-time.Hour)
	if _, err := r.engine.ChangePoint(t.Context(), p, grid.Act{By: fitter, Reason: "renamed", At: at}); err != nil {
		t.Fatal(err)
	}
	l := r.history(state.Query{Point: "D1"})[0]
	if l.Action != "changed" || l.By != fitter || !l.At.Equal(at) || !l.Recorded.Equal(r.now()) || l.Reason != "renamed" || l.Scope != rigScope {
		t.Errorf("line: %+v", l)
	}
	if string(l.Before) != `{"name":"D1"}` || string(l.After) != `{"floor":"3","name":"north door"}` {
		t.Errorf("before %s, after %s: want only what changed", l.Before, l.After)
	}
	n := len(r.history(state.Query{}))
	r.place(grid.Door, "D1", oldDev) // an import again: the rig's names say otherwise
	r.place(grid.Door, "D1", oldDev)
	if got := len(r.history(state.Query{})); got > n+1 {
		t.Errorf("%d lines more after the same import twice: want one at most", got-n)
	}
}

func TestSecretsAreNotInTheHistory(t *testing.T) {
	r := newRig(t)
	u := grid.Unit{ID: "u", Name: "u", Kind: grid.Maintenance, Mode: grid.Simulated, Connector: "webhook", URL: "https://bot:pass@h.example/x?key=hidden-1#hidden-2", Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Token: "hidden-3"}
	r.put(grid.Registration{Units: []grid.Unit{u}})
	u.Secret = "whsec_AAAQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	r.put(grid.Registration{Units: []grid.Unit{u}})
	all := r.history(state.Query{})
	raw := string(must[[]byte](t)(json.Marshal(all)))
	for _, secret := range []string{"hidden-", "whsec_", "bot:pass"} {
		if strings.Contains(raw, secret) {
			t.Errorf("%s stands in the history: %s", secret, raw)
		}
	}
	if len(all) != 2 || !strings.Contains(all[0].Reason, "secret") {
		t.Errorf("%d lines: want that the secret changed in a second one", len(all))
	}
}
