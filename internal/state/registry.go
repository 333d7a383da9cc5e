package state

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"gridgate/internal/grid"
)

// What a place or a device is described with beside the row that the engine loads, and the
// history of all of it.

var siteTable = table[grid.Site]{
	name: "sites", key: "id",
	cols: "id, name, kind, address, " + allScope + ", lon, lat, crs, owner, notes, retired",
	bind: func(a *args, s *grid.Site) {
		a.text(s.ID, s.Name, string(s.Kind), s.Address)
		a.scope(s.Scope)
		a.text(s.Cell, string(s.Mode))
		a.real(s.Lon)
		a.real(s.Lat)
		a.text(s.CRS, s.Owner, s.Notes)
		a.time(s.Retired)
	},
	scan: func(r *row) grid.Site {
		return grid.Site{
			ID: r.text(), Name: r.text(), Kind: grid.SiteKind(r.text()), Address: r.text(), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
			Lon: r.real(), Lat: r.real(), CRS: r.text(), Owner: r.text(), Notes: r.text(), Retired: r.time(),
		}
	},
}

var buildingTable = table[grid.Building]{
	name: "buildings", key: "id",
	cols: "id, name, site, address, entrances, key_holder, floors, " + allScope + ", lon, lat, crs, owner, notes, retired",
	bind: func(a *args, b *grid.Building) {
		a.text(b.ID, b.Name, b.Site, b.Address)
		a.doc(b.Entrances)
		a.text(b.KeyHolder)
		a.num(int64(b.Floors))
		a.scope(b.Scope)
		a.text(b.Cell, string(b.Mode))
		a.real(b.Lon)
		a.real(b.Lat)
		a.text(b.CRS, b.Owner, b.Notes)
		a.time(b.Retired)
	},
	scan: func(r *row) grid.Building {
		b := grid.Building{ID: r.text(), Name: r.text(), Site: r.text(), Address: r.text()}
		if err := json.Unmarshal(r.json(), &b.Entrances); err != nil && r.err == nil {
			r.err = err
		}
		b.KeyHolder, b.Floors, b.Scope, b.Cell, b.Mode = r.text(), int(r.num()), r.scope(), r.text(), grid.Mode(r.text())
		b.Lon, b.Lat, b.CRS, b.Owner, b.Notes, b.Retired = r.real(), r.real(), r.text(), r.text(), r.text(), r.time()
		return b
	},
}

// changeTable writes a line once: it does not change.
var changeTable = table[grid.Change]{
	name: "registry_log", key: "id", once: true,
	cols: "id, at, recorded, by_role, by_name, by_unit, via, action, kind, subject, point, device, reason, cause, n, before, after, " + allScope,
	bind: func(a *args, c *grid.Change) {
		a.text(c.ID)
		a.time(c.At)
		a.time(c.Recorded)
		a.actor(c.By)
		a.text(c.Via, c.Action, c.Kind, c.Subject, c.Point, string(c.Device), c.Reason, c.Cause)
		a.num(int64(c.N))
		a.text(string(c.Before), string(c.After))
		a.scope(c.Scope)
		a.text(c.Cell, string(c.Mode))
	},
	scan: func(r *row) grid.Change {
		return grid.Change{
			ID: r.text(), At: r.time(), Recorded: r.time(), By: r.actor(), Via: r.text(), Action: r.text(), Kind: r.text(), Subject: r.text(),
			Point: r.text(), Device: grid.Identity(r.text()), Reason: r.text(), Cause: r.text(), N: int(r.num()),
			Before: r.json(), After: r.json(), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
		}
	},
}

const photoCols = "id, point, " + allScope + ", sha256, original, bytes, type, shows, note, by_role, by_name, by_unit, at, erased, erased_why"

var photoTable = table[grid.PointPhoto]{
	name: "point_photos", key: "id", sets: keptOnce(photoCols),
	cols: photoCols,
	bind: func(a *args, p *grid.PointPhoto) {
		a.text(p.ID, p.Point)
		a.scope(p.Scope)
		a.text(p.Cell, string(p.Mode), p.SHA256, p.Original)
		a.num(p.Bytes)
		a.text(p.Type, p.Shows, p.Note)
		a.actor(p.By)
		a.time(p.At)
		a.time(p.Erased)
		a.text(p.Why)
	},
	scan: func(r *row) grid.PointPhoto {
		return grid.PointPhoto{
			ID: r.text(), Point: r.text(), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()), SHA256: r.text(), Original: r.text(),
			Bytes: r.num(), Type: r.text(), Shows: r.text(), Note: r.text(), By: r.actor(), At: r.time(), Erased: r.time(), Why: r.text(),
		}
	},
}

// loadTable reads of a device what the engine keeps in memory: a million are loaded at a start.
var loadTable = table[grid.Device]{
	name: "devices", key: "identity",
	cols: "identity, profile, state, mode, interval, installed, last_point",
	scan: func(r *row) grid.Device {
		d := grid.Device{Identity: grid.Identity(r.text()), Profile: r.text(), State: grid.DeviceState(r.text()), Mode: grid.Mode(r.text())}
		d.Interval, d.Installed, d.LastPoint = time.Duration(r.num()), r.time(), r.text()
		return d
	},
}

var (
	siteList = list{
		order: []string{"id"},
		text:  []string{"id", "name", "address"},
		filters: map[string]string{
			"id": "id = ?", "cell": "cell = ?", "kind": "kind = ?", "state": "CASE retired WHEN 0 THEN 'active' ELSE 'retired' END = ?",
		},
	}
	buildingList = list{
		order: []string{"id"},
		text:  []string{"id", "name", "address"},
		filters: map[string]string{
			"id": "id = ?", "cell": "cell = ?", "site": "site = ?", "owner": "owner = ?", "state": "CASE retired WHEN 0 THEN 'active' ELSE 'retired' END = ?",
		},
	}
	changeList = list{
		order: []string{"recorded", "n", "id"}, newest: true,
		time: "recorded",
		text: []string{"subject", "by_name", "reason"},
		filters: map[string]string{
			"id": "id = ?", "cell": "cell = ?", "point": "point <> '' AND point = ?", "device": "device <> '' AND device = ?",
			"kind": "kind = ?", "of": "subject = ?", "type": "action = ?",
		},
	}
	photoList = list{
		order: []string{"at", "id"}, newest: true,
		time:    "at",
		text:    []string{"id", "point", "note"},
		filters: map[string]string{"id": "id = ?", "cell": "cell = ?", "point": "point = ?", "type": "shows = ?"},
	}
)

// ListSites and ListBuildings give the rows in the order of their ids.
func (s *Store) ListSites(ctx context.Context, q Query) (Page[grid.Site], error) {
	return pageOf(ctx, s, &siteTable, &siteList, q)
}

func (s *Store) ListBuildings(ctx context.Context, q Query) (Page[grid.Building], error) {
	return pageOf(ctx, s, &buildingTable, &buildingList, q)
}

// ListChanges gives the history of the registry, newest first; Of is the subject.
func (s *Store) ListChanges(ctx context.Context, q Query) (Page[grid.Change], error) {
	return pageOf(ctx, s, &changeTable, &changeList, q)
}

// ListPhotos gives photos of points, newest first.
func (s *Store) ListPhotos(ctx context.Context, q Query) (Page[grid.PointPhoto], error) {
	return pageOf(ctx, s, &photoTable, &photoList, q)
}

func (s *Store) Site(ctx context.Context, id string) (grid.Site, error) {
	return one(ctx, s, &siteTable, "site", "id", id)
}

func (s *Store) Building(ctx context.Context, id string) (grid.Building, error) {
	return one(ctx, s, &buildingTable, "building", "id", id)
}

func (s *Store) Photo(ctx context.Context, id string) (grid.PointPhoto, error) {
	return one(ctx, s, &photoTable, "photo", "id", id)
}

// among reads the rows of t with these values in col.
func among[T any](ctx context.Context, s *Store, t *table[T], col string, ids []string) (out []T, err error) {
	for len(ids) > 0 {
		n := min(len(ids), 10_000)
		var list args
		list.doc(ids[:n])
		rows, err := readAll(ctx, s, t, "WHERE "+col+" IN (SELECT value FROM json_each(?))", list.vals[0].Value)
		if err != nil {
			return nil, err
		}
		out, ids = append(out, rows...), ids[n:]
	}
	return out, nil
}

// The rows with these ids, in no order; one that is not there is left out.
func (s *Store) PointsAmong(ctx context.Context, ids []string) ([]grid.Point, error) {
	return among(ctx, s, &pointTable, "id", ids)
}

func (s *Store) DevicesAmong(ctx context.Context, ids []string) ([]grid.Device, error) {
	return among(ctx, s, &deviceTable, "identity", ids)
}

func (s *Store) UnitsAmong(ctx context.Context, ids []string) ([]grid.Unit, error) {
	units, err := among(ctx, s, &unitTable, "id", ids)
	return s.openUnits(units), err
}

func (s *Store) SitesAmong(ctx context.Context, ids []string) ([]grid.Site, error) {
	return among(ctx, s, &siteTable, "id", ids)
}

func (s *Store) BuildingsAmong(ctx context.Context, ids []string) ([]grid.Building, error) {
	return among(ctx, s, &buildingTable, "id", ids)
}

// CurrentAt gives the installations at a point that last.
func (s *Store) CurrentAt(ctx context.Context, point string) ([]grid.Installation, error) {
	return readAll(ctx, s, &installationTable, "WHERE point = ? AND ended = 0 ORDER BY device, channel", point)
}

// maxNear is how many points are looked at in a box.
const maxNear = 20_000

// PointsNear gives the points in a box of degrees around a place, for those who see q's scope;
// whoever asks works out the distances.
func (s *Store) PointsNear(ctx context.Context, q Query, lon, lat, dLon, dLat float64) ([]grid.Point, error) {
	w, err := q.where(&pointList)
	if err != nil {
		return nil, err
	}
	for _, v := range []float64{lon, lat, dLon, dLat} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, grid.Errorf(grid.Invalid, "position is %v: want longitude and latitude in degrees", v)
		}
	}
	w.and("lat BETWEEN ? AND ?", lat-dLat, lat+dLat)
	w.and("lon BETWEEN ? AND ?", lon-dLon, lon+dLon)
	w.and("(lon <> 0 OR lat <> 0)")
	return readAll(ctx, s, &pointTable, w.sql()+" LIMIT ?", append(w.vals, int64(maxNear))...)
}
