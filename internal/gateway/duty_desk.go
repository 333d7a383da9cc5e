package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/calendar"
	"gridgate/internal/duty"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Plan is who is on duty between two times, and which shift of the desk runs.
func (d desk) Plan(ctx context.Context, from, to time.Time) (api.DutyPlan, error) {
	watches, err := d.Engine.Plan(ctx, from, to)
	p := api.DutyPlan{From: from, To: to, Zone: d.g.reloading.calendars.now().Zone().String(), Calendars: d.g.reloading.calendars.now().Names(), Watches: []api.DutyWatch{}}
	for _, w := range watches {
		v := api.DutyWatch{For: w.For, Roster: w.Roster, Hours: w.Hours, Fallback: w.Fallback, Spells: []api.DutySpell{}}
		for _, s := range w.Spells {
			v.Spells = append(v.Spells, api.DutySpell{From: s.From, To: s.To, Persons: append([]string{}, s.Persons...), Wanted: s.Wanted})
		}
		p.Watches = append(p.Watches, v)
	}
	turn := func(at time.Time) *api.DutyTurn {
		t, ok := d.g.reloading.calendars.now().OnDuty(at)
		if !ok {
			return nil
		}
		v := api.DutyTurn(calendar.Turn(t))
		return &v
	}
	now := d.g.clock.Now()
	if p.Shift = turn(now); p.Shift != nil {
		p.Next = turn(p.Shift.To)
	}
	return p, err
}

// sheetFile is the name of a street's sheet in the folder of a night.
func sheetFile(street string) string {
	if street == "" {
		return "no-street.pdf"
	}
	return "street-" + street + ".pdf"
}

// streetOf is sheetFile read back.
func streetOf(file string) (string, bool) {
	if file == sheetFile("") {
		return "", true
	}
	street, ok := strings.CutPrefix(strings.TrimSuffix(file, ".pdf"), "street-")
	return street, ok && file == sheetFile(street)
}

// Nights are those whose sheets are kept, the newest first.
func (d desk) Nights(ctx context.Context) (api.DutyNights, error) {
	out := api.DutyNights{Next: d.g.duty.Sheet.Next(d.g.clock.Now()), Keep: d.g.duty.Sheet.Keep, Nights: []api.DutyNight{}, Places: []api.DutyStreet{}}
	streets, err := duty.Streets(ctx, d.g.store)
	if err != nil {
		return out, err
	}
	for _, code := range streets {
		out.Places = append(out.Places, api.DutyStreet{Code: code, Name: d.g.streetName(ctx, code)})
	}
	days, err := d.g.nights()
	if err != nil {
		return out, fmt.Errorf("duty sheet: %w", err)
	}
	for _, day := range slices.Backward(days) {
		night, err := d.g.night(day)
		if err != nil {
			return out, err
		}
		out.Nights = append(out.Nights, night)
	}
	return out, nil
}

func (g *Gateway) streetName(ctx context.Context, code string) string {
	if code == "" {
		return ""
	}
	page, err := g.store.ListRegions(ctx, state.Query{Text: code, Limit: 50})
	if err != nil {
		return ""
	}
	for _, r := range page.Items {
		if r.Code == code {
			return r.Name
		}
	}
	return ""
}

func (g *Gateway) night(day string) (api.DutyNight, error) {
	out := api.DutyNight{Day: day, Sheets: []api.DutyPaper{}}
	files, err := os.ReadDir(filepath.Join(g.dutyDir(), day))
	if errors.Is(err, fs.ErrNotExist) { // it has just become too old
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("duty sheet: %w", err)
	}
	for _, f := range files {
		street, ok := streetOf(f.Name())
		info, err := f.Info()
		if !ok || err != nil {
			continue
		}
		out.Sheets = append(out.Sheets, api.DutyPaper{Street: street, Bytes: info.Size()})
		if info.ModTime().After(out.Made) {
			out.Made = info.ModTime().UTC()
		}
	}
	return out, nil
}

// MakeNight writes the sheets of this day now.
func (d desk) MakeNight(ctx context.Context) error { return d.g.nightlySheet(ctx, d.g.clock.Now()) }

var streetCode = regexp.MustCompile(`^[0-9A-Za-z_-]{0,40}$`)

// NightSheet reads one sheet of a night. What is asked for names no file but one of a street.
func (d desk) NightSheet(_ context.Context, day, street string) ([]byte, error) {
	if !nightName.MatchString(day) || !streetCode.MatchString(street) {
		return nil, grid.Errorf(grid.Invalid, "sheet of %q for street %q: want a day such as 2026-11-22 and a street's code", day, street)
	}
	b, err := os.ReadFile(filepath.Join(d.g.dutyDir(), day, sheetFile(street)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, grid.Errorf(grid.NotFound, "sheet of %s for street %q: it is not there", day, street)
	}
	if err != nil {
		return nil, fmt.Errorf("duty sheet: %w", err)
	}
	return b, nil
}
