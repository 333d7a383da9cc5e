package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/privacy"
	"gridgate/internal/state"
)

// readPrivacy reads what is kept of whose space.
func (g *Gateway) readPrivacy() error {
	name, file, err := fileOr(g.cfg.Privacy, "privacy.yaml")
	if err != nil {
		return fmt.Errorf("privacy: %w", err)
	}
	g.privacy, err = privacy.Parse(name, file)
	return err
}

// classOf is what holds for the readings of a point: classes are about doors.
func (g *Gateway) classOf(p *grid.Point) privacy.Class {
	class := g.privacy.Of(p.Privacy)
	if p.Kind != grid.Door {
		class.Doors, class.LiveDoors = privacy.Exact, privacy.Exact
	}
	return class
}

// coarse reads the openings of a door by the hour.
func (g *Gateway) coarse(ctx context.Context, q api.HistoryQuery) ([]api.Sample, error) {
	if q.Signal != grid.DoorOpen || g.classOf(&q.Point).Doors == privacy.Nothing {
		return []api.Sample{}, nil
	}
	got, err := g.client.Openings(ctx, influx.HistoryQuery{Point: q.Point.ID, From: privacy.Hour(q.From), To: q.To, Limit: q.Limit})
	if err != nil {
		return nil, err
	}
	out := make([]api.Sample, len(got))
	for i, s := range got {
		out[i] = api.Sample{At: s.At, Value: s.Value}
	}
	return out, nil
}

// LivePoint shows of a point what its class lets be seen: of a home's door how the device is, to
// the hour, and not whether it is open.
func (f faces) LivePoint(ctx context.Context, id string) ([]grid.LiveValue, error) {
	p, err := f.g.store.Point(ctx, id)
	if err != nil {
		return nil, err
	}
	values, err := f.Engine.LivePoint(ctx, id)
	detail := f.g.classOf(&p).LiveDoors
	if err != nil || detail == privacy.Exact {
		return values, err
	}
	out := []grid.LiveValue{}
	for _, v := range values {
		if detail == privacy.Nothing || v.Signal == grid.DoorOpen {
			continue
		}
		v.At, v.Received, v.Since = privacy.Hour(v.At), privacy.Hour(v.Received), hourOrZero(v.Since)
		out = append(out, v)
	}
	return out, nil
}

// LiveDevice says how a device is; of one at a home's door, when it was heard to the hour.
func (f faces) LiveDevice(ctx context.Context, id grid.Identity) (grid.DeviceHealth, error) {
	h, err := f.Engine.LiveDevice(ctx, id)
	if err != nil {
		return h, err
	}
	at, err := f.g.store.ListInstallations(ctx, state.Query{Device: string(id), Limit: 100})
	if err != nil {
		return h, err
	}
	for _, in := range at.Items {
		p, err := f.g.store.Point(ctx, in.Point)
		if err != nil {
			return h, err
		}
		if f.g.classOf(&p).LiveDoors != privacy.Exact {
			h.LastHeard = hourOrZero(h.LastHeard)
		}
	}
	return h, nil
}

func hourOrZero(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return privacy.Hour(t)
}

// How often what has had its time is forgotten, and when it is tried again.
const (
	forgetEvery = 6 * time.Hour
	forgetAgain = time.Minute
)

// runPrivacy forgets what has had its time.
func (g *Gateway) runPrivacy(ctx context.Context) error {
	select {
	case <-g.engine.Ready():
	case <-ctx.Done():
		return nil
	}
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		next.Reset(forgetEvery)
		if err := g.forget(ctx); err != nil && ctx.Err() == nil {
			g.log.Error("what has had its time is not forgotten yet", "err", err)
			next.Reset(forgetAgain)
		}
	}
}

// forget deletes coarse readings past their days, and erases contacts, photos and visits whose time is
// over, also where InfluxDB does not answer.
func (g *Gateway) forget(ctx context.Context) error {
	now := g.clock.Now()
	err := errors.Join(g.forgetContacts(ctx, now), g.forgetKept(ctx, now))
	if days := g.privacy.ReadingsDays(); days > 0 && g.client != nil {
		err = errors.Join(err, g.client.Forget(ctx, influx.Dwelling, now.AddDate(0, 0, -days)))
	}
	return err
}

func (g *Gateway) forgetContacts(ctx context.Context, now time.Time) error {
	q := state.Query{State: "known", Limit: 1000}
	for {
		page, err := g.store.ListContacts(ctx, q)
		if err != nil {
			return err
		}
		for _, c := range page.Items {
			if err := g.forgetContact(ctx, &c, now); err != nil {
				return err
			}
		}
		if q.Cursor = page.Next; page.Next == "" {
			return nil
		}
	}
}

// forgetContact erases a contact whose point was retired longer ago than its class keeps it.
func (g *Gateway) forgetContact(ctx context.Context, c *grid.Contact, now time.Time) error {
	id, ofPoint := strings.CutPrefix(c.Of, "point:")
	if !ofPoint {
		return nil
	}
	p, err := g.store.Point(ctx, id)
	if err != nil || p.State != grid.PointRetired {
		return err
	}
	days := g.privacy.Of(p.Privacy).ContactsDays
	if days == 0 {
		return nil
	}
	past, err := g.store.ListChanges(ctx, state.Query{Point: id, Limit: 1}) // the newest; nothing happens to a retired point
	if err != nil || len(past.Items) > 0 && past.Items[0].At.After(now.AddDate(0, 0, -days)) {
		return err
	}
	_, err = g.engine.EraseContact(ctx, c.ID, grid.Actor{Role: grid.RoleSystem, Name: "privacy"}, fmt.Sprintf("its point was retired more than %d days ago", days))
	return err
}

// erasable are the measurements that hold readings of a point. Events and tickets are the record
// of work and stay.
var erasable = [...]string{influx.Dwelling, influx.Door, influx.Smoke, influx.DeviceHealth}

// Erase takes away what is known of a person, or what was read at a home, and says what is left.
func (g *Gateway) erase(ctx context.Context, e api.Erase, by grid.Actor) (api.Erased, error) {
	out := api.Erased{What: e.What, ID: e.ID, DryRun: e.DryRun, Parts: []api.ErasedPart{}, Stays: []string{}}
	if e.What == "contact" {
		err := g.eraseContacts(ctx, &out, []string{e.ID}, e, by)
		g.staysOf(&out)
		return out, err
	}
	p, err := g.store.Point(ctx, e.ID)
	if err != nil {
		return out, err
	}
	if p.Privacy != grid.Dwelling {
		return out, grid.Errorf(grid.Conflict, "point %s is %s: want a dwelling", p.ID, p.Privacy)
	}
	if err := g.eraseReadings(ctx, &out, p.ID, e.DryRun); err != nil {
		return out, err
	}
	all, err := g.store.ContactsOf(ctx, "point:"+p.ID)
	if err != nil {
		return out, err
	}
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	if err := g.eraseContacts(ctx, &out, ids, e, by); err != nil {
		return out, err
	}
	if err := g.eraseKeptOf(ctx, &out, p.ID, e, by); err != nil {
		return out, err
	}
	g.staysOf(&out)
	out.Stays = append(out.Stays, "events, alarms and tickets of the point: the record of the work, without readings and photos", "that there were photos and visits: their hashes, when, by whom, and what came of a visit")
	return out, nil
}

func (g *Gateway) eraseReadings(ctx context.Context, out *api.Erased, point string, dryRun bool) error {
	if g.client == nil {
		return nil
	}
	for _, m := range erasable {
		had, left, err := g.client.Erase(ctx, m, point, dryRun)
		if err != nil {
			return grid.Errorf(grid.Unavailable, "readings in %s: %w", m, err)
		}
		out.Parts = append(out.Parts, api.ErasedPart{Part: "influxdb " + m, Found: had, Left: left})
	}
	if waiting := g.writer.Status().QueueBytes; waiting > 0 {
		out.Stays = append(out.Stays, fmt.Sprintf("%d bytes wait for InfluxDB and may hold readings of it: erase again when the queue is empty", waiting))
	}
	return nil
}

func (g *Gateway) eraseContacts(ctx context.Context, out *api.Erased, ids []string, e api.Erase, by grid.Actor) error {
	part := api.ErasedPart{Part: "contacts"}
	for _, id := range ids {
		c, err := g.store.Contact(ctx, id)
		if err != nil {
			return err
		}
		if !c.Known() {
			continue
		}
		part.Found++
		if !e.DryRun {
			if _, err := g.engine.EraseContact(ctx, id, by, e.Reason); err != nil {
				return err
			}
			if c, err = g.store.Contact(ctx, id); err != nil {
				return err
			}
		}
		if c.Known() {
			part.Left++
		}
	}
	out.Parts = append(out.Parts, part)
	return nil
}

// staysOf says what no erasing reaches.
func (g *Gateway) staysOf(out *api.Erased) {
	until := g.clock.Now().AddDate(0, 0, g.cfg.Journal.RetainDays).UTC().Format(time.DateOnly)
	if out.What == "dwelling" {
		out.Stays = append(out.Stays, "raw frames in the journal: they go by its retention, the last that were there today by "+until)
	}
	out.Stays = append(out.Stays, "backups made before: they go when you delete them", "the audit: that it was there and was erased, by whom and why", "the state's file may hold erased bytes until it writes over them")
}
