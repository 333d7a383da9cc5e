package engine

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
	"gridgate/internal/people"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// withPeople is a rig whose routes call people of units and points, by a carrier.
func withPeople(t *testing.T, chains string) *rig {
	t.Helper()
	days := must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))
	calendars := must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", days))
	routes := must[*ticket.Routes](t)(ticket.ParseRoutes("routes.yaml", []byte(chains), calendars))
	return newRig(t, func(c *Config) { c.Routes, c.People = routes, people.NewBook(calendars) })
}

const rigChains = "chains: {wait: 30s, priorities: [1], call: [unit, point], channels: {voice: [call-voice]}, lead: 'seat:lead'}\n"

// secretNumber must never be seen outside of what is sealed. The engine has no key: to it
// what is sealed is bytes.
const secretNumber = "00000000042"

func (r *rig) contact(of string, role grid.ContactRole, order int) grid.Contact {
	r.t.Helper()
	return must[grid.Contact](r.t)(r.engine.PutContact(r.t.Context(), grid.Contact{
		ID: "c-" + strings.ReplaceAll(of, ":", "-") + "-" + string(role), Of: of, Role: role, Order: order, Channel: grid.Voice,
		Sealed: []byte("sealed " + of), By: grid.Actor{Role: grid.RoleOperator, Name: "op"},
	}, ""))
}

func (r *rig) carrier() {
	r.put(grid.Registration{Units: []grid.Unit{{ID: "call-voice", Name: "voice", Kind: grid.Operator, Scope: grid.Scope{District: "999999"}, Mode: grid.Simulated, Connector: "voice", URL: "http://127.0.0.1:1/"}}})
}

// calls are the contacts that a ticket's chain has called, in order.
func calls(t *grid.Ticket, of string) (out []string) {
	for _, c := range t.Chains {
		if c.Of != of {
			continue
		}
		for _, p := range c.Calls {
			out = append(out, p.Contact)
		}
	}
	return out
}

func (r *rig) wantCalls(of string, want ...string) {
	r.t.Helper()
	tk := r.theTicket()
	if got := calls(&tk, of); !slices.Equal(got, want) {
		r.t.Fatalf("of %s %v were called, want %v: %+v", of, got, want, tk.Chains)
	}
}

// byCarrier are the deliveries of calls.
func (r *rig) byCarrier() []grid.Delivery {
	r.t.Helper()
	page := must[state.Page[grid.Delivery]](r.t)(r.store.ListDeliveries(r.t.Context(), state.Query{Unit: "call-voice"}))
	slices.Reverse(page.Items)
	return page.Items
}

// smokeWithPeople raises smoke at a point whose station has two contacts.
func smokeWithPeople(t *testing.T) *rig {
	r := withPeople(t, rigChains)
	r.units()
	r.carrier()
	r.contact("unit:u-micro_fire_station", grid.DutyPhone, 1)
	r.contact("unit:u-micro_fire_station", grid.KeyHolder, 2)
	r.place(grid.Smoke, "p1", "sn:s1")
	r.contact("point:p1", grid.Occupant, 0)
	r.say("sn:s1", `{"smoke.alarm":true}`)
	return r
}

func TestCallsGoOnAfterARestartWhereTheyWere(t *testing.T) {
	r := smokeWithPeople(t)
	r.wantCalls("unit:u-micro_fire_station", "c-unit-u-micro_fire_station-duty_phone")
	r.wantCalls("point:p1", "c-point-p1-occupant")
	if n := len(r.byCarrier()); n != 2 {
		t.Fatalf("%d deliveries by the carrier, want one of the station and one of the place", n)
	}
	r.after(20 * time.Second)
	r.restart()
	r.settle()
	r.wantCalls("unit:u-micro_fire_station", "c-unit-u-micro_fire_station-duty_phone")
	r.close()
	r.clock.Add(int64(time.Hour)) // stopped while the next was due
	r.open()
	r.after(time.Second)
	r.wantCalls("unit:u-micro_fire_station", "c-unit-u-micro_fire_station-duty_phone", "c-unit-u-micro_fire_station-key_holder")
	r.restart()
	r.after(time.Second)
	r.wantCalls("unit:u-micro_fire_station", "c-unit-u-micro_fire_station-duty_phone", "c-unit-u-micro_fire_station-key_holder")
	r.after(30 * time.Second)
	r.after(time.Second)
	tk := r.theTicket()
	if !slices.ContainsFunc(tk.Tasks, func(k grid.Task) bool { return strings.Contains(k.Text, "nobody answered") }) {
		t.Fatalf("tasks are %+v, want one that says that nobody answered", tk.Tasks)
	}
	ids := map[string]bool{}
	for _, d := range r.byCarrier() {
		if ids[d.ID] {
			t.Fatalf("delivery %s is there twice", d.ID)
		}
		ids[d.ID] = true
	}
	if len(ids) != 3 {
		t.Fatalf("%d deliveries by the carrier, want 3", len(ids))
	}
}

func TestACallThatIsAnsweredEndsTheCallsAndNamesNoNumber(t *testing.T) {
	r := smokeWithPeople(t)
	ctx := t.Context()
	tk := r.theTicket()
	var d string
	for _, c := range tk.Chains {
		if c.Of == "unit:u-micro_fire_station" {
			d = c.Calls[0].Delivery
		}
	}
	if err := r.engine.DeliveryResult(ctx, d, grid.Attempt{N: 1, At: r.now()}, Fate{State: grid.DeliverySent, Ref: "call-1"}); err != nil {
		t.Fatal(err)
	}
	if err := r.engine.DeliverySeen(ctx, d, secretNumber); err != nil { // as a carrier says it
		t.Fatal(err)
	}
	if err := r.engine.DeliverySeen(ctx, d, secretNumber); err != nil {
		t.Fatal(err)
	}
	r.after(time.Minute)
	r.wantCalls("unit:u-micro_fire_station", "c-unit-u-micro_fire_station-duty_phone")
	moves := must[[]grid.MoveRecord](t)(r.store.Moves(ctx, tk.ID))
	if !slices.ContainsFunc(moves, func(m grid.MoveRecord) bool {
		return m.Verb == "calls_end" && strings.Contains(m.Detail, "answered by contact c-unit-u-micro_fire_station-duty_phone")
	}) {
		t.Fatalf("history is %+v, want who answered", moves)
	}
	page := must[state.Page[state.Audit]](t)(r.store.ListAudit(ctx, state.Query{Type: "delivery.seen"}))
	if len(page.Items) != 1 || page.Items[0].By.Name != "contact c-unit-u-micro_fire_station-duty_phone" {
		t.Fatalf("audit is %+v, want the contact and not what the carrier said", page.Items)
	}
}

func TestACallThatCannotBeMadeIsFollowedAtOnce(t *testing.T) {
	r := smokeWithPeople(t)
	d := r.byCarrier()[0]
	of := "unit:u-micro_fire_station"
	if d.Assignment == "" {
		d = r.byCarrier()[1]
	}
	if err := r.engine.DeliveryResult(t.Context(), d.ID, grid.Attempt{N: 1, At: r.now()}, Fate{State: grid.DeliveryDead}); err != nil {
		t.Fatal(err)
	}
	r.settle()
	r.wantCalls(of, "c-unit-u-micro_fire_station-duty_phone", "c-unit-u-micro_fire_station-key_holder")
}

func TestAnAcceptedPartEndsItsCalls(t *testing.T) {
	r := smokeWithPeople(t)
	tk := r.theTicket()
	must[grid.Ticket](t)(r.move(grid.Move{Ticket: tk.ID, Verb: grid.VerbAccept, By: byUnit("u-micro_fire_station")}))
	r.after(5 * time.Minute)
	r.wantCalls("unit:u-micro_fire_station", "c-unit-u-micro_fire_station-duty_phone")
}

func TestWhoReadsAContactGivesAReasonAndStandsInTheAudit(t *testing.T) {
	r := withPeople(t, rigChains)
	r.units()
	r.place(grid.Smoke, "p1", "sn:s1")
	c := r.contact("point:p1", grid.Occupant, 0)
	ctx, op := t.Context(), grid.Actor{Role: grid.RoleOperator, Name: "op"}
	if _, err := r.engine.RevealContact(ctx, c.ID, op, ""); grid.CodeOf(err) != grid.Invalid {
		t.Fatalf("without a reason: %v, want invalid", err)
	}
	got, err := r.engine.RevealContact(ctx, c.ID, op, "asked back by "+secretNumber)
	if err != nil || string(got.Sealed) != "sealed point:p1" {
		t.Fatalf("revealed %+v, %v", got, err)
	}
	r.after(time.Minute)
	r.say("sn:s1", `{"smoke.alarm":true}`)
	if _, err := r.engine.RevealContact(ctx, c.ID, op, ""); err != nil {
		t.Fatalf("with smoke at the place: %v", err)
	}
	page := must[state.Page[state.Audit]](t)(r.store.ListAudit(ctx, state.Query{Type: "contact.reveal"}))
	if len(page.Items) != 2 || !strings.HasPrefix(page.Items[0].Detail, "ticket ") || page.Items[1].Detail != "asked back by ****" || page.Items[1].By.Name != "op" {
		t.Fatalf("audit is %+v", page.Items)
	}
	if _, err := r.engine.EraseContact(ctx, c.ID, op, "moved out"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.engine.RevealContact(ctx, c.ID, op, "again"); grid.CodeOf(err) != grid.Conflict {
		t.Fatalf("an erased one: %v, want conflict", err)
	}
	stored := must[grid.Contact](t)(r.store.Contact(ctx, c.ID))
	if len(stored.Sealed) != 0 || stored.Erased.IsZero() {
		t.Fatalf("stored is %+v, want nothing left of the person", stored)
	}
	if _, err := r.engine.PutContact(ctx, c, ""); grid.CodeOf(err) != grid.Conflict {
		t.Fatalf("put over an erased one: %v, want conflict", err)
	}
}

func TestWhatIsSealedIsInNoAppliedResult(t *testing.T) {
	r := withPeople(t, rigChains)
	r.units()
	c := grid.Contact{ID: "c1", Of: "unit:u-property", Role: grid.DutyPhone, Channel: grid.Voice, Sealed: []byte(secretNumber)}
	got := must[grid.Contact](t)(r.engine.PutContact(t.Context(), c, "key-1"))
	if got.Scope != (grid.Scope{}) || got.Mode != grid.Simulated {
		t.Fatalf("contact is %+v, want the place and the world of its unit", got)
	}
	applied, ok, err := r.store.Applied(t.Context(), contactKey("key-1"))
	if err != nil || !ok || strings.Contains(string(applied.Result), secretNumber) || !json.Valid(applied.Result) {
		t.Fatalf("what is kept of the command is %q, %v", applied.Result, err)
	}
}

func TestAContactWantsAnOwnerThatIsThere(t *testing.T) {
	r := withPeople(t, rigChains)
	for _, of := range []string{"point:none", "unit:none"} {
		_, err := r.engine.PutContact(t.Context(), grid.Contact{ID: "c", Of: of, Role: grid.DutyPhone, Channel: grid.Voice}, "")
		if grid.CodeOf(err) != grid.NotFound {
			t.Errorf("%s: %v, want not_found", of, err)
		}
	}
	_, err := r.engine.PutShift(t.Context(), grid.Shift{For: "unit:none", Person: "staff-001", From: r.now()}, "")
	if grid.CodeOf(err) != grid.NotFound {
		t.Errorf("shift: %v, want not_found", err)
	}
}

func TestAUnitWithNobodyOnDutyIsPassedOverAndToldWhy(t *testing.T) {
	r := withPeople(t, "routes: []\n")
	r.units()
	r.put(grid.Registration{Units: []grid.Unit{{ID: "u-near", Kind: grid.Property, Scope: rigScope, Mode: grid.Simulated, Connector: "inbox"}}})
	r.place(grid.Door, "d1", "sn:d1")
	ctx := t.Context()
	who := func() string {
		t.Helper()
		for _, c := range must[[]grid.CallRoute](t)(r.engine.Routed(ctx, grid.EventDoorHeldOpen, "d1", r.now())) {
			if slices.Contains(c.Units, grid.Property) {
				return c.Unit
			}
		}
		return "no call of property"
	}
	if got := who(); got != "u-near" {
		t.Fatalf("without a roster %s is called, want u-near", got)
	}
	must[grid.Roster](t)(r.engine.PutRoster(ctx, grid.Roster{ID: "near", For: "unit:u-near"}))
	if got := who(); got == "u-near" {
		t.Fatal("a unit with nobody on duty is called although there is another")
	}
	s := must[grid.Shift](t)(r.engine.PutShift(ctx, grid.Shift{For: "unit:u-near", Person: "staff-001", From: r.now().Add(-time.Hour), To: r.now().Add(time.Hour)}, "k"))
	again := must[grid.Shift](t)(r.engine.PutShift(ctx, grid.Shift{For: "unit:u-near", Person: "staff-001", From: r.now().Add(-time.Hour), To: r.now().Add(time.Hour)}, "k"))
	if s.ID != again.ID || s.ID == "" {
		t.Fatalf("the same key makes %q and %q", s.ID, again.ID)
	}
	if got := who(); got != "u-near" {
		t.Fatalf("with somebody on duty %s is called, want u-near", got)
	}
	r.restart()
	persons, _, err := r.engine.OnDuty(ctx, "unit:u-near", r.now())
	if err != nil || !slices.Equal(persons, []string{"staff-001"}) {
		t.Fatalf("after a restart %v are on duty, %v", persons, err)
	}
	gaps := must[[]people.Gap](t)(r.engine.Gaps(ctx, r.now(), r.now().Add(7*24*time.Hour)))
	if len(gaps) != 1 || !gaps[0].From.Equal(s.To) {
		t.Fatalf("gaps are %+v, want one from the end of the shift", gaps)
	}
	must[grid.Shift](t)(r.engine.EndShift(ctx, s.ID, grid.Actor{Name: "op"}))
	must[grid.Roster](t)(r.engine.EndRoster(ctx, "near", grid.Actor{Name: "op"}))
	if gaps := must[[]people.Gap](t)(r.engine.Gaps(ctx, r.now(), r.now().Add(time.Hour))); len(gaps) != 0 {
		t.Fatalf("a roster that has ended has gaps %+v", gaps)
	}
}
