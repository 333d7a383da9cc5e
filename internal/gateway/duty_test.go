package gateway

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

func TestTheNightlySheetIsThereForEachStreetAndOldNightsGo(t *testing.T) {
	g, _, _ := keysGateway(t)
	first := time.Date(2026, 11, 1, 2, 30, 0, 0, g.duty.Sheet.Zone)
	for night := range 9 {
		if err := g.nightlySheet(t.Context(), first.AddDate(0, 0, night)); err != nil {
			t.Fatal(err)
		}
	}
	nights, err := g.nights()
	if err != nil || len(nights) != g.duty.Sheet.Keep || nights[0] != "2026-11-03" || nights[6] != "2026-11-09" {
		t.Fatalf("nights are %v, %v: want the last %d", nights, err, g.duty.Sheet.Keep)
	}
	files, err := filepath.Glob(filepath.Join(g.dutyDir(), "2026-11-09", "*.pdf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files of the night are %v, %v", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v: want it for its owner alone", files[0], info.Mode(), err)
	}
	if err := os.MkdirAll(filepath.Join(g.dutyDir(), "somebody's"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := g.nightlySheet(t.Context(), first.AddDate(0, 0, 9)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(g.dutyDir(), "somebody's")); err != nil {
		t.Errorf("what is no night was taken away: %v", err)
	}
	after := time.Date(2026, 11, 10, 12, 0, 0, 0, g.duty.Sheet.Zone)
	if at := g.missedNight(after); !at.Equal(time.Date(2026, 11, 11, 2, 30, 0, 0, g.duty.Sheet.Zone)) {
		t.Errorf("after a night that was written the next is %s", at)
	}
	if at := g.missedNight(after.AddDate(0, 0, 1)); !at.Equal(after.AddDate(0, 0, 1)) {
		t.Errorf("a night that was missed is written at %s, want at once", at)
	}
}

func TestTheSheetOfAChangeOfShiftIsMadeOnceAndWhenMissedAtTheStart(t *testing.T) {
	g, _, _ := keysGateway(t)
	ctx := t.Context()
	zone := g.duty.Sheet.Zone
	now := time.Now().In(zone)
	turn, ok := g.calendars.OnDuty(now)
	if !ok {
		t.Fatal("the built-in calendars have no shifts")
	}
	if at := g.missedChange(ctx, now); !at.Equal(turn.To) {
		t.Errorf("a gateway that has never made a sheet makes one at %s, want at the end of the shift, %s", at, turn.To)
	}
	for range 2 {
		if err := g.shiftHandover(ctx, turn.From); err != nil {
			t.Fatal(err)
		}
	}
	page, err := g.store.ListHandovers(ctx, state.Query{})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("%d sheets, %v: want one of one change of shift", len(page.Items), err)
	}
	h := page.Items[0]
	if h.Why != "shift" || h.Next != turn.Name || h.Shift == "" || h.By.Role != grid.RoleSystem || h.Digest == "" {
		t.Errorf("sheet is %+v", h)
	}
	if !slices.ContainsFunc(h.Sections, func(s grid.HandoverSection) bool { return s.Key == "untaken" }) {
		t.Errorf("sections are %+v, want the empty ones too", h.Sections)
	}
	if at := g.missedChange(ctx, now); !at.Equal(turn.To) {
		t.Errorf("after the sheet the next is at %s, want %s", at, turn.To)
	}
	if at := g.missedChange(ctx, turn.To.Add(time.Hour)); !at.Equal(turn.To) {
		t.Errorf("a change that was missed an hour ago is made at %s, want at once (%s)", at, turn.To)
	}
}
