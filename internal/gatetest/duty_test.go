package gatetest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// quickDuty is the built-in file with times that a test can wait for.
const quickDuty = `
seats:
  - {id: desk-1, name: {zh: 一号值班席, en: Desk 1}}
  - {id: duty-lead, name: {zh: 值班长席, en: Duty lead}}
beat: 1s
silent: 5m
untaken: {priorities: [1], seats: 1s, lead: 2s, call: seat:duty-lead}
sheet: {at: "02:30", keep: 7}
`

// An alarm that nobody takes goes to all seats and to the duty lead; who takes it still has it
// after the gateway was killed; the sheet of handover says so and is signed by two.
func TestAnAlarmIsTakenAndHandedOver(t *testing.T) {
	g := newGateway(t, "duty: DIR/duty.yaml")
	write(t, filepath.Join(g.dir, "duty.yaml"), quickDuty)
	g.start(t)
	ctx := t.Context()
	g.put(t, smokeRegistry)
	contactOf(t, g, "point:ceiling-1", grid.Occupant, 1, occupantNumber)
	stream := streamed(t, g)

	if _, err := g.api.TakeAlarm(ctx, "nothing", api.Taking{Seat: "desk-1"}); err == nil {
		t.Error("an alarm that is not there was taken")
	}
	on := api.SeatSignOn{Sound: true, Stream: true, By: &api.As{Name: "op-a", Role: grid.RoleOperator}}
	seat, err := g.api.SignOn(ctx, "desk-1", on, "k")
	must(t, err)
	if !seat.Watching || seat.Session == "" || seat.Name.EN != "Desk 1" || seat.BeatS != 1 {
		t.Fatalf("signed on: %+v", seat)
	}
	connect(t, g.broker).send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))

	var a api.AlarmView
	eventually(t, time.Minute, "the untaken alarm to have gone to the duty lead", func() error {
		queue, err := g.api.Queue(ctx, api.Query{Limit: 10})
		if err != nil {
			return err
		}
		for _, e := range queue.Entries {
			if e.Alarm != nil && e.Alarm.Type == grid.EventSmokeAlarm && e.Alarm.Untaken != nil && !e.Alarm.Untaken.Lead.IsZero() && !e.Alarm.Untaken.Seats.IsZero() {
				a, err = g.api.Alarm(ctx, e.Alarm.ID)
				return err
			}
		}
		return fmt.Errorf("queue is %+v", queue.Entries)
	})
	tk, err := g.api.Ticket(ctx, a.Ticket)
	must(t, err)
	if !strings.Contains(fmt.Sprint(tk.Tasks), "the duty lead (seat:duty-lead) is to be fetched") {
		t.Errorf("tasks are %+v, want one to fetch the lead: his roster has nobody", tk.Tasks)
	}
	h, err := g.api.MakeHandover(ctx, api.NewHandover{Note: "lift is out of order", By: &api.As{Name: "op-a"}}, "now")
	must(t, err)
	counts := map[string]int{}
	for _, s := range h.Sections {
		counts[s.Key] = s.Count
	}
	if counts["untaken"] != 1 || counts["urgent"] != 1 || counts["seats"] != 1 || counts["notes"] != 1 {
		t.Errorf("the sheet counts %v", counts)
	}

	out := g.gridgate(t, "duty", "take", a.ID, "--seat", "desk-1")
	if !strings.Contains(out, "taken by op-a at desk-1") {
		t.Errorf("taken: %s", out)
	}
	g.Kill()
	g.start(t)
	if a, err = g.api.Alarm(ctx, a.ID); err != nil || a.Taken == nil || a.Taken.By != "op-a" || a.Untaken != nil {
		t.Fatalf("after the kill: %+v, %v", a.AlarmDetail, err)
	}
	if out := g.gridgate(t, "duty", "seats"); !strings.Contains(out, "op-a") || !strings.Contains(out, "watching") || strings.Contains(out, seat.Session) {
		t.Errorf("seats:\n%s", out)
	}
	for _, who := range []string{"op-a", "op-b"} {
		if h, err = g.api.SignHandover(ctx, h.ID, api.HandoverSignature{By: &api.As{Name: who}}); err != nil {
			t.Fatal(err)
		}
	}
	if !h.Signed() {
		t.Errorf("signed: %+v %+v", h.Outgoing, h.Incoming)
	}
	if _, err := g.api.SignHandover(ctx, h.ID, api.HandoverSignature{By: &api.As{Name: "op-c"}}); err == nil || !strings.Contains(err.Error(), "nothing of it changes") {
		t.Errorf("a third signature: %v", err)
	}
	if file, err := g.api.HandoverPDF(ctx, h.ID, "zh"); err != nil || !strings.HasPrefix(string(file), "%PDF") {
		t.Errorf("to print: %d bytes, %v", len(file), err)
	}
	off, err := g.api.SignOff(ctx, "desk-1", api.SeatSignOff{Session: seat.Session})
	must(t, err)
	if a, err = g.api.Alarm(ctx, a.ID); off.Watching || err != nil || a.Taken != nil || a.Untaken == nil {
		t.Errorf("after the sign-off: seat %+v, alarm %+v, %v", off, a.AlarmDetail, err)
	}
	for _, want := range []string{"untaken", `"seat"`, "handover"} {
		if !strings.Contains(stream.String(), strings.Trim(want, `"`)) {
			t.Errorf("the stream says nothing of %s", want)
		}
	}
	if strings.Contains(stream.String(), seat.Session) {
		t.Error("the stream gives the session of a seat away")
	}
	sheets(t, g)
}

// sheets: people's numbers stand on a duty sheet only with a reason, which is audited.
func sheets(t *testing.T, g *gateway) {
	t.Helper()
	ctx := t.Context()
	plain, numbers := filepath.Join(g.dir, "plain.pdf"), filepath.Join(g.dir, "numbers.pdf")
	g.gridgate(t, "duty", "sheet", "--out", plain)
	g.gridgate(t, "duty", "sheet", "--numbers", "screens are dark", "--as", "chen", "--out", numbers)
	for name, want := range map[string]bool{plain: false, numbers: true} {
		if has := strings.Contains(pdfText(t, name), occupantNumber); has != want {
			t.Errorf("%s has the number: %t, want %t", filepath.Base(name), has, want)
		}
	}
	if !strings.Contains(pdfText(t, plain), "ceiling-1") {
		t.Error("the point is not on the sheet")
	}
	if _, err := g.api.DutySheetWithNumbers(ctx, api.SheetNumbers{By: &api.As{Name: "chen"}}); err == nil {
		t.Error("numbers were given without a reason")
	}
	contacts, err := getJSON[api.Page[api.ContactView]](ctx, g.api.URL+"/api/v1/contacts?of=point:ceiling-1", g.api.Token)
	must(t, err)
	reads, err := g.api.ContactReads(ctx, contacts.Items[0].ID)
	if err != nil || len(reads.Items) != 1 || reads.Items[0].By.Name != "chen" || !strings.Contains(reads.Items[0].Why, "screens are dark") {
		b, _ := json.Marshal(reads)
		t.Errorf("reads are %s, %v: want one by chen with the reason", b, err)
	}
}

func pdfText(t *testing.T, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return runText(t, "pdftotext", "-layout", path, "-")
}

func runText(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		t.Skipf("%s: %v", name, err)
	}
	return string(out)
}
