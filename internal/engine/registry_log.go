package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// The history of the registry: whatever rows a command has added to the batch are compared
// with what was stored, and the difference is a line of the log, in the same transaction. It
// is done here once, so that no way of changing the registry can forget it.

// registryRows are those of the registry from some mark on.
type registryRows struct {
	points        []grid.Point
	devices       []grid.Device
	installations []grid.Installation
	units         []grid.Unit
	sites         []grid.Site
	buildings     []grid.Building
	gone          grid.ImportGone
	handed        int
}

func (b *batch) registrySince(m *mark) registryRows {
	r := &b.rows
	return registryRows{
		points: r.Points[m.points:], devices: r.Devices[m.devices:], installations: r.Installations[m.installations:],
		units: r.Units[m.units:], sites: r.Sites[m.sites:], buildings: r.Buildings[m.buildings:],
		gone: grid.ImportGone{
			Points: r.Gone.Points[m.gonePoints:], Devices: r.Gone.Devices[m.goneDevices:], Installations: r.Gone.Installations[m.goneInstallations:], Buildings: r.Gone.Buildings[m.goneBuildings:],
		},
		handed: len(r.Handed) - m.handed,
	}
}

func (r *registryRows) empty() bool {
	return len(r.points)+len(r.devices)+len(r.installations)+len(r.units)+len(r.sites)+len(r.buildings)+
		len(r.gone.Points)+len(r.gone.Devices)+len(r.gone.Installations)+len(r.gone.Buildings)+r.handed == 0
}

// chronicle writes the lines of one act.
type chronicle struct {
	b     *batch
	act   grid.Act
	first int // place of the act's first line
	sites map[string]grid.Point
	spots map[grid.Identity]string // the point of a device in this act
}

// logRegistry writes the lines of what a command has changed since m.
func (b *batch) logRegistry(m *mark, act grid.Act, cause string) error {
	rows := b.registrySince(m)
	if rows.empty() {
		return nil
	}
	b.because("registry/"+cause, b.e.Now())
	c := b.chronicle(act)
	for i := range rows.points {
		c.sites[rows.points[i].ID] = rows.points[i]
	}
	for i := range rows.installations {
		in := &rows.installations[i]
		if _, known := c.spots[in.Device]; !known || in.To.IsZero() {
			c.spots[in.Device] = in.Point
		}
	}
	for _, write := range []func(*registryRows, *mark) error{c.points, c.devices, c.installations, c.units, c.siteRows, c.buildings, c.gone, c.handed} {
		if err := write(&rows, m); err != nil {
			return grid.Errorf(grid.Unavailable, "what the registry was before cannot be read: %w", err)
		}
	}
	return nil
}

func (b *batch) chronicle(act grid.Act) *chronicle {
	if act.By.Role == "" {
		act.By = grid.Actor{Role: grid.RoleSystem, Name: "registry"}
	}
	if act.Via == "" {
		act.Via = "api"
	}
	if act.At.IsZero() {
		act.At = b.now
	}
	return &chronicle{b: b, act: act, first: len(b.rows.Changes), sites: map[string]grid.Point{}, spots: map[grid.Identity]string{}}
}

// line adds a line; scope, cell and mode are those of its point, if it has one.
func (c *chronicle) line(l grid.Change) {
	b := c.b
	l.ID, l.At, l.Recorded, l.By, l.Via = b.id(), c.act.At.UTC(), b.now, c.act.By, c.act.Via
	if l.Reason == "" {
		l.Reason = c.act.Reason
	}
	l.N = len(b.rows.Changes) - c.first
	l.Cause = l.ID
	if l.N > 0 {
		l.Cause = b.rows.Changes[c.first].ID
	}
	if l.Mode == "" {
		l.Mode = grid.Live
	}
	b.rows.Changes = append(b.rows.Changes, l)
}

// at gives a line the place of a point, as the act leaves it.
func (c *chronicle) at(l grid.Change, point string) grid.Change {
	e := c.b.e
	if p, ok := c.sites[point]; ok {
		l.Scope, l.Cell, l.Mode = p.Scope, p.Cell, p.Mode
	} else if no, ok := e.memory.Point(point); ok {
		row := e.memory.PointAt(no)
		l.Scope, l.Cell, l.Mode = e.memory.Scope(row), e.memory.Cell(row), row.Mode()
	} else {
		l.Scope = e.home
	}
	return l
}

// ofDevice gives a line the place where the device is, or was last.
func (c *chronicle) ofDevice(l grid.Change, d *grid.Device) grid.Change {
	e := c.b.e
	spot := c.spots[d.Identity]
	if no, ok := e.memory.Device(d.Identity); spot == "" && ok {
		if pt, ok := e.memory.AnyPoint(no); ok {
			spot = e.memory.PointAt(pt).ID
		}
	}
	if spot == "" {
		spot = d.LastPoint
	}
	l = c.at(l, spot)
	l.Mode = d.Mode
	return l
}

// differ compares rows with what they were and calls line for each that changed. before are
// the rows of the same kind that the batch had already.
func differ[T any](before, rows []T, key func(*T) string, stored func([]string) ([]T, error), line func(row *T, was, is json.RawMessage)) error {
	if len(rows) == 0 {
		return nil
	}
	ids := make([]string, 0, len(rows))
	last := make(map[string]int, len(rows)) // one row of each counts: the last
	for i := range rows {
		k := key(&rows[i])
		if _, again := last[k]; !again {
			ids = append(ids, k)
		}
		last[k] = i
	}
	old, err := stored(ids)
	if err != nil {
		return err
	}
	was := make(map[string]*T, len(old))
	for i := range old {
		was[key(&old[i])] = &old[i]
	}
	for i := range before {
		was[key(&before[i])] = &before[i]
	}
	for _, id := range ids {
		row := &rows[last[id]]
		if b, a, changed := difference(was[id], row); changed {
			line(row, b, a)
		}
	}
	return nil
}

// difference gives the fields in which two rows differ, as they were and as they are; a row
// that is new is whole.
func difference[T any](was, is *T) (before, after json.RawMessage, changed bool) {
	now := encoded(is)
	if was == nil {
		return nil, now, true
	}
	then := encoded(was)
	if bytes.Equal(then, now) {
		return nil, nil, false
	}
	var x, y map[string]json.RawMessage
	if json.Unmarshal(then, &x) != nil || json.Unmarshal(now, &y) != nil {
		return then, now, true
	}
	for k, v := range y {
		if old, had := x[k]; had && bytes.Equal(old, v) {
			delete(x, k)
			delete(y, k)
		}
	}
	for k := range x {
		if _, has := y[k]; !has {
			y[k] = json.RawMessage("null")
		}
	}
	return encoded(x), encoded(y), len(x)+len(y) > 0
}

func encoded(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("engine: a row of the registry: " + err.Error()) // strings, numbers and times: cannot fail
	}
	return raw
}

func action(was json.RawMessage) string {
	if was == nil {
		return "created"
	}
	return "changed"
}

func (c *chronicle) points(r *registryRows, m *mark) error {
	return differ(c.b.rows.Points[:m.points], r.points, func(p *grid.Point) string { return p.ID },
		func(ids []string) ([]grid.Point, error) { return c.b.e.store.PointsAmong(context.Background(), ids) },
		func(p *grid.Point, was, is json.RawMessage) {
			c.line(c.at(grid.Change{Action: action(was), Kind: "point", Subject: p.ID, Point: p.ID, Before: was, After: is}, p.ID))
		})
}

func (c *chronicle) devices(r *registryRows, m *mark) error {
	return differ(c.b.rows.Devices[:m.devices], r.devices, func(d *grid.Device) string { return string(d.Identity) },
		func(ids []string) ([]grid.Device, error) { return c.b.e.store.DevicesAmong(context.Background(), ids) },
		func(d *grid.Device, was, is json.RawMessage) {
			c.line(c.ofDevice(grid.Change{Action: action(was), Kind: "device", Subject: string(d.Identity), Device: d.Identity, Before: was, After: is}, d))
		})
}

// installationKey tells installations apart, as the store does.
func installationKey(in *grid.Installation) string {
	return string(in.Device) + "\x00" + channelName(in.Channel) + "\x00" + in.From.UTC().Format("20060102T150405.000000000")
}

func (c *chronicle) installations(r *registryRows, m *mark) error {
	stored := func([]string) ([]grid.Installation, error) {
		seen := map[grid.Identity]bool{}
		var devices []grid.Identity
		for i := range r.installations {
			if id := r.installations[i].Device; !seen[id] {
				seen[id] = true
				if _, known := c.b.e.memory.Device(id); known { // a new one has none
					devices = append(devices, id)
				}
			}
		}
		return c.b.e.store.InstallationsOf(context.Background(), devices)
	}
	return differ(c.b.rows.Installations[:m.installations], r.installations, installationKey, stored, func(in *grid.Installation, was, is json.RawMessage) {
		act := "changed"
		switch {
		case !in.To.IsZero():
			act = "ended"
		case was == nil:
			act = "installed"
		}
		c.line(c.at(grid.Change{Action: act, Kind: "installation", Subject: installationName(in), Point: in.Point, Device: in.Device, Before: was, After: is}, in.Point))
	})
}

func installationName(in *grid.Installation) string {
	return string(in.Device) + " " + channelName(in.Channel) + " " + in.From.UTC().Format("2006-01-02T15:04:05.999999999Z")
}

// units leave out what is secret: of it, only that it changed.
func (c *chronicle) units(r *registryRows, m *mark) error {
	ids := make([]string, len(r.units))
	for i := range r.units {
		ids[i] = r.units[i].ID
	}
	stored, err := c.b.e.store.UnitsAmong(context.Background(), ids)
	if err != nil {
		return err
	}
	secrets := map[string]string{}
	for i := range stored {
		secrets[stored[i].ID] = stored[i].Secret + "\n" + stored[i].URL
		stored[i].URL = state.BareURL(stored[i].URL)
	}
	shown := make([]grid.Unit, len(r.units))
	for i := range r.units {
		shown[i] = r.units[i]
		shown[i].URL = state.BareURL(shown[i].URL)
	}
	told := map[string]bool{}
	err = differ(c.b.rows.Units[:m.units], shown, func(u *grid.Unit) string { return u.ID },
		func([]string) ([]grid.Unit, error) { return stored, nil },
		func(u *grid.Unit, was, is json.RawMessage) {
			told[u.ID] = true
			c.line(grid.Change{Action: action(was), Kind: "unit", Subject: u.ID, Before: was, After: is, Scope: u.Scope, Mode: u.Mode})
		})
	for i := range r.units {
		u := &r.units[i]
		if old, had := secrets[u.ID]; had && !told[u.ID] && old != u.Secret+"\n"+u.URL {
			c.line(grid.Change{Action: "changed", Kind: "unit", Subject: u.ID, After: json.RawMessage("{}"), Reason: strings.TrimSpace("its secret or what is secret of its address; " + c.act.Reason), Scope: u.Scope, Mode: u.Mode})
		}
	}
	return err
}

func (c *chronicle) siteRows(r *registryRows, m *mark) error {
	return differ(c.b.rows.Sites[:m.sites], r.sites, func(s *grid.Site) string { return s.ID },
		func(ids []string) ([]grid.Site, error) { return c.b.e.store.SitesAmong(context.Background(), ids) },
		func(s *grid.Site, was, is json.RawMessage) {
			c.line(grid.Change{Action: action(was), Kind: "site", Subject: s.ID, Before: was, After: is, Scope: s.Scope, Cell: s.Cell, Mode: s.Mode})
		})
}

func (c *chronicle) buildings(r *registryRows, m *mark) error {
	return differ(c.b.rows.Buildings[:m.buildings], r.buildings, func(x *grid.Building) string { return x.ID },
		func(ids []string) ([]grid.Building, error) {
			return c.b.e.store.BuildingsAmong(context.Background(), ids)
		},
		func(x *grid.Building, was, is json.RawMessage) {
			c.line(grid.Change{Action: action(was), Kind: "building", Subject: x.ID, Before: was, After: is, Scope: x.Scope, Cell: x.Cell, Mode: x.Mode})
		})
}

// gone are rows that an import is taken back of.
func (c *chronicle) gone(r *registryRows, _ *mark) error {
	g := &r.gone
	for i := range g.Installations {
		in := &g.Installations[i]
		c.line(c.at(grid.Change{Action: "removed", Kind: "installation", Subject: installationName(in), Point: in.Point, Device: in.Device, Before: encoded(in)}, in.Point))
	}
	for _, id := range g.Devices {
		c.line(c.ofDevice(grid.Change{Action: "removed", Kind: "device", Subject: string(id), Device: id}, &grid.Device{Identity: id}))
	}
	for _, id := range g.Points {
		c.line(c.at(grid.Change{Action: "removed", Kind: "point", Subject: id, Point: id}, id))
	}
	for _, id := range g.Buildings {
		c.line(grid.Change{Action: "removed", Kind: "building", Subject: id})
	}
	return nil
}

// handed are points that another contractor has from now on.
func (c *chronicle) handed(r *registryRows, _ *mark) error {
	e := c.b.e
	for _, h := range c.b.rows.Handed[len(c.b.rows.Handed)-r.handed:] {
		for _, id := range h.Points {
			no, ok := e.memory.Point(id)
			if !ok {
				continue
			}
			was := e.memory.Scope(e.memory.PointAt(no)).Contractor
			if was == h.Contractor {
				continue
			}
			l := c.at(grid.Change{Action: "changed", Kind: "point", Subject: id, Point: id, Before: contractorOf(was), After: contractorOf(h.Contractor)}, id)
			l.Contractor = h.Contractor
			c.line(l)
		}
	}
	return nil
}

func contractorOf(id string) json.RawMessage {
	if id == "" {
		return json.RawMessage(`{"contractor":null}`)
	}
	return encoded(map[string]string{"contractor": id})
}
