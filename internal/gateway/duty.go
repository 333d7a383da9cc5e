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
	"time"

	"gridgate/internal/api"
	"gridgate/internal/duty"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/record"
	"gridgate/internal/state"
)

// readDuty reads the seats, and what is done about an alarm that nobody takes.
func (g *Gateway) readDuty() error {
	name, file, err := fileOr(g.cfg.Duty, "duty.yaml")
	if err != nil {
		return err
	}
	g.duty, err = duty.Parse(name, file, g.calendars)
	return err
}

// desk is the operators' desk as the API sees it.
type desk struct {
	*engine.Engine
	g *Gateway
}

// SignOn seats a person.
func (d desk) SignOn(ctx context.Context, on api.SeatSignOn, by grid.Actor, key string) (grid.Seat, error) {
	return d.Engine.SignOn(ctx, engine.SignOn{Seat: on.Seat, By: by, Sound: on.Sound, Stream: on.Stream, Over: on.Over}, key)
}

// SeatBeat says that a seat is there.
func (d desk) SeatBeat(ctx context.Context, seat string, b api.SeatBeat) (grid.Seat, error) {
	return d.Engine.SeatBeat(ctx, engine.Beat{Seat: seat, Session: b.Session, Sound: b.Sound, Stream: b.Stream})
}

// ListHandovers and Handover read what is stored.
func (d desk) ListHandovers(ctx context.Context, q state.Query) (state.Page[grid.Handover], error) {
	return d.g.store.ListHandovers(ctx, q)
}

func (d desk) Handover(ctx context.Context, id string) (grid.Handover, error) {
	return d.g.store.Handover(ctx, id)
}

// MakeHandover gathers a sheet beside the engine, and keeps it.
func (d desk) MakeHandover(ctx context.Context, note string, by grid.Actor, key string) (grid.Handover, error) {
	h, err := d.g.gather(ctx, d.g.clock.Now(), grid.HandoverLine{What: note, Who: by.Name})
	if err != nil {
		return h, err
	}
	h.Why, h.By = "asked", by
	return d.Engine.PutHandover(ctx, h, key)
}

// DutySheet gathers the sheet for the day the screens are dark.
func (d desk) DutySheet(ctx context.Context, street, building string) (*duty.Sheet, error) {
	return duty.NewSheet(ctx, d.g.store, street, building, duty.MaxSheetPoints, d.g.clock.Now())
}

func (g *Gateway) gather(ctx context.Context, at time.Time, note grid.HandoverLine) (grid.Handover, error) {
	return duty.Gather(ctx, g.store, at, func(t grid.EventType) string {
		if r := g.reloading.rules.now().Bare(t); r != nil {
			return r.TitleZH + " / " + r.TitleEN
		}
		return string(t)
	}, note)
}

const (
	dutyRetry   = time.Minute
	dutyCatchUp = 12 * time.Hour // a change of shift that was missed for longer is over
)

// runDuty makes the sheets that are made by themselves: of handover at each change of shift, and
// for the day the screens are dark every night. What was missed while the gateway was stopped is
// made at its start.
func (g *Gateway) runDuty(ctx context.Context) error {
	select {
	case <-g.engine.Ready():
	case <-ctx.Done():
		return nil
	}
	now := g.clock.Now()
	change := g.missedChange(ctx, now)
	try := change // again after a failure
	night := g.missedNight(now)
	for {
		next := night
		if !try.IsZero() && try.Before(next) {
			next = try
		}
		if !g.sleepUntil(ctx, next) {
			return nil
		}
		now := g.clock.Now()
		if !try.IsZero() && !now.Before(try) {
			err := g.shiftHandover(ctx, change)
			if err != nil && ctx.Err() == nil {
				g.log.Error("handover sheet cannot be made", "err", err, "in", dutyRetry)
			}
			if try = now.Add(dutyRetry); err == nil || now.Sub(change) > dutyCatchUp {
				change = g.reloading.calendars.now().ShiftEnd(now)
				try = change
			}
		}
		if !now.Before(night) {
			night = g.duty.Sheet.Next(now)
			if err := g.nightlySheet(ctx, now); err != nil && ctx.Err() == nil {
				g.log.Error("duty sheet of the night cannot be written", "err", err, "in", dutyRetry)
				night = now.Add(dutyRetry)
			}
		}
	}
}

func (g *Gateway) sleepUntil(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(g.clock.Wait(at))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// missedChange is the change of shift that comes next, or the last one if its sheet is missing. A
// gateway that has never made one has missed none.
func (g *Gateway) missedChange(ctx context.Context, now time.Time) time.Time {
	next := g.reloading.calendars.now().ShiftEnd(now)
	turn, ok := g.reloading.calendars.now().OnDuty(now)
	if !ok {
		return next
	}
	last, err := g.store.ListHandovers(ctx, state.Query{Limit: 1})
	if err != nil || len(last.Items) == 0 || !last.Items[0].Made.Before(turn.From) {
		return next
	}
	return turn.From
}

// missedNight is when the next sheet is to be written: now, if that of the last night is not there.
func (g *Gateway) missedNight(now time.Time) time.Time {
	next := g.duty.Sheet.Next(now)
	night := g.duty.Sheet.Next(next.Add(-36 * time.Hour)) // the one before
	if _, err := os.Stat(filepath.Join(g.dutyDir(), night.In(g.duty.Sheet.Zone).Format(grid.DayLayout))); err == nil || !g.hasNights() {
		return next
	}
	return now
}

func (g *Gateway) hasNights() bool {
	nights, err := g.nights()
	return err == nil && len(nights) > 0
}

// shiftHandover makes the sheet of a change of shift, once.
func (g *Gateway) shiftHandover(ctx context.Context, change time.Time) error {
	h, err := g.gather(ctx, g.clock.Now(), grid.HandoverLine{})
	if err != nil {
		return err
	}
	h.Why, h.By = "shift", grid.Actor{Role: grid.RoleSystem, Name: "clock"}
	if t, ok := g.reloading.calendars.now().OnDuty(change.Add(-time.Second)); ok {
		h.Shift = t.Name
	}
	if t, ok := g.reloading.calendars.now().OnDuty(change); ok {
		h.Next = t.Name
	}
	_, err = g.engine.PutHandover(ctx, h, "shift/"+change.UTC().Format(time.RFC3339))
	return err
}

func (g *Gateway) dutyDir() string { return filepath.Join(g.cfg.DataDir, "duty") }

var nightName = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// nights are the folders of nightly sheets, oldest first.
func (g *Gateway) nights() ([]string, error) {
	entries, err := os.ReadDir(g.dutyDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && nightName.MatchString(e.Name()) {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out)
	return out, err
}

// nightlySheet writes the sheets of a night: one of each street, into a folder that takes its name
// when it is whole. Then the oldest nights go.
func (g *Gateway) nightlySheet(ctx context.Context, now time.Time) error {
	g.nightly.Lock()
	defer g.nightly.Unlock()
	streets, err := duty.Streets(ctx, g.store)
	if err != nil {
		return err
	}
	day := now.In(g.duty.Sheet.Zone).Format(grid.DayLayout)
	making := filepath.Join(g.dutyDir(), "making")
	if err := errors.Join(os.RemoveAll(making), os.MkdirAll(making, 0o700)); err != nil {
		return fmt.Errorf("duty sheet: %w", err)
	}
	for _, street := range streets {
		if err := g.writeSheet(ctx, making, street, now); err != nil {
			return err
		}
	}
	final := filepath.Join(g.dutyDir(), day)
	if err := errors.Join(os.RemoveAll(final), os.Rename(making, final), syncDir(g.dutyDir())); err != nil {
		return fmt.Errorf("duty sheet: %w", err)
	}
	nights, err := g.nights()
	if err != nil {
		return fmt.Errorf("duty sheet: %w", err)
	}
	for _, old := range nights[:max(0, len(nights)-g.duty.Sheet.Keep)] {
		if err := os.RemoveAll(filepath.Join(g.dutyDir(), old)); err != nil {
			return fmt.Errorf("duty sheet: %w", err)
		}
	}
	g.log.Info("duty sheet of the night is written", "in", day)
	return nil
}

func (g *Gateway) writeSheet(ctx context.Context, dir, street string, now time.Time) error {
	sheet, err := duty.NewSheet(ctx, g.store, street, "", 0, now)
	if err != nil {
		return err
	}
	file, err := record.DutySheet(sheet, "zh", g.font, now)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(sheetFile(street))), file, 0o600); err != nil {
		return fmt.Errorf("duty sheet: %w", err)
	}
	return nil
}
