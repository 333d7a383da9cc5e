package gateway

import (
	"bytes"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestTheSheetsOfANightAreListedAndReadAndNothingElseIs(t *testing.T) {
	g, _, _ := keysGateway(t)
	ctx := t.Context()
	d := desk{g.engine, g}
	if before, err := d.Nights(ctx); err != nil || len(before.Nights) != 0 || before.Next.IsZero() || before.Keep != g.duty.Sheet.Keep || len(before.Places) == 0 {
		t.Fatalf("before the first night: %+v, %v", before, err)
	}
	if err := d.MakeNight(ctx); err != nil {
		t.Fatal(err)
	}
	after, err := d.Nights(ctx)
	if err != nil || len(after.Nights) != 1 || len(after.Nights[0].Sheets) != len(after.Places) {
		t.Fatalf("after it: %+v, %v: want a sheet of each street", after, err)
	}
	night := after.Nights[0]
	for i, s := range night.Sheets {
		b, err := d.NightSheet(ctx, night.Day, s.Street)
		if err != nil || !bytes.HasPrefix(b, []byte("%PDF-")) || int64(len(b)) != s.Bytes {
			t.Errorf("sheet %d of %q: %d bytes, %v", i, s.Street, len(b), err)
		}
	}
	for _, bad := range [][2]string{{"../..", ""}, {night.Day, "../../token"}, {night.Day + "/..", ""}, {night.Day, "x.pdf"}} {
		if _, err := d.NightSheet(ctx, bad[0], bad[1]); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%q: %v, want it refused", bad, err)
		}
	}
	if _, err := d.NightSheet(ctx, "2020-01-01", ""); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("a night that is gone: %v, want not found", err)
	}
}

func TestThePlanTellsTheShiftOfTheDeskAndWhoIsOnDuty(t *testing.T) {
	g, _, _ := keysGateway(t)
	ctx := t.Context()
	now := time.Now().UTC()
	if _, err := g.engine.PutShift(ctx, grid.Shift{For: "seat:duty-lead", Person: "lead-day", From: now.Add(-time.Hour), To: now.Add(time.Hour), By: grid.Actor{Role: grid.RoleSupervisor, Name: "test"}}, ""); err != nil {
		t.Fatal(err)
	}
	p, err := desk{g.engine, g}.Plan(ctx, now, now.AddDate(0, 0, 1))
	if err != nil || len(p.Watches) != 1 || p.Watches[0].For != "seat:duty-lead" || len(p.Watches[0].Spells) != 2 || p.Watches[0].Spells[0].Persons[0] != "lead-day" || len(p.Watches[0].Spells[1].Persons) != 0 {
		t.Fatalf("plan is %+v, %v", p, err)
	}
	if p.Shift == nil || p.Next == nil || !p.Shift.To.Equal(p.Next.From) || p.Shift.Name == p.Next.Name || len(p.Calendars) == 0 || p.Zone == "" {
		t.Errorf("shift %+v, next %+v, calendars %v of %q", p.Shift, p.Next, p.Calendars, p.Zone)
	}
}
