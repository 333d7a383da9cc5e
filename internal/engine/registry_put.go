package engine

import (
	"cmp"
	"context"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// Whole registrations, from files, sheets and claims: checked, written, and taken into memory after the commit.

// Put changes the registry: all of it or nothing.
func (e *Engine) Put(ctx context.Context, points []grid.Point, devices []grid.Device, installations []grid.Installation, units []grid.Unit) error {
	return e.PutAs(ctx, grid.Registration{Points: points, Devices: devices, Installations: installations, Units: units}, grid.Act{Via: "import"})
}

// put validates, writes the rows, and changes memory after the commit: nothing else of
// the batch may depend on them before.
func (b *batch) put(points []grid.Point, devices []grid.Device, installations []grid.Installation, units []grid.Unit) error {
	installations, err := b.newInstallations(installations)
	if err != nil {
		return err
	}
	if err := b.admitUnits(units); err != nil {
		return err
	}
	if installations, devices, err = b.displace(installations, devices); err != nil {
		return err
	}
	if points, err = b.keepDescribed(points, devices, installations); err != nil {
		return err
	}
	b.placePoints(points)
	installed, err := b.beginInstallations(installations, points)
	if err != nil {
		return err
	}
	if devices, err = b.beginDevices(devices, installed); err != nil {
		return err
	}
	r := &b.rows
	r.Points, r.Devices = append(r.Points, points...), append(r.Devices, devices...)
	r.Installations, r.Units = append(r.Installations, installations...), append(r.Units, units...)
	b.after = append(b.after, func() { b.e.remember(points, devices, installations, units) })
	return nil
}

// admitUnits looks whether units can be reached as they say.
func (b *batch) admitUnits(units []grid.Unit) error {
	if err := b.checkChannels(units); err != nil {
		return err
	}
	for i := 0; b.e.Admit != nil && i < len(units); i++ {
		if err := b.e.Admit(&units[i]); err != nil {
			return err
		}
	}
	return nil
}

// placePoints gives points what follows from where they are.
func (b *batch) placePoints(points []grid.Point) {
	for i := range points {
		points[i].Mode = cmp.Or(points[i].Mode, grid.Live)
		b.followBorders(&points[i])
	}
	b.intoHands(points)
}

// beginInstallations fills in what installations leave open, and says since when each device is
// at a point. Their points are registered, or among those that are put with them.
func (b *batch) beginInstallations(installations []grid.Installation, points []grid.Point) (map[grid.Identity]time.Time, error) {
	added := make(map[string]bool, len(points))
	for i := range points {
		added[points[i].ID] = true
	}
	installed := map[grid.Identity]time.Time{}
	for i := range installations {
		in := &installations[i]
		if in.Channel == "" {
			in.Channel = grid.MainChannel
		}
		if in.From.IsZero() {
			in.From = b.now
		}
		if in.To.IsZero() {
			installed[in.Device] = in.From
		}
		if _, ok := b.e.memory.Point(in.Point); !ok && !added[in.Point] {
			return nil, grid.Errorf(grid.NotFound, "installation of %s: point %q is not registered", in.Device, in.Point)
		}
	}
	return installed, nil
}

// beginDevices gives the devices their state, those too that are only put at a point.
func (b *batch) beginDevices(devices []grid.Device, installed map[grid.Identity]time.Time) ([]grid.Device, error) {
	known := map[grid.Identity]bool{}
	for i := range devices {
		if err := b.beginDevice(&devices[i], installed); err != nil {
			return nil, err
		}
		known[devices[i].Identity] = true
	}
	for id, at := range installed {
		if known[id] {
			continue
		}
		d, err := b.installedDevice(id, at)
		if err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}

func (b *batch) beginDevice(d *grid.Device, installed map[grid.Identity]time.Time) error {
	e := b.e
	p, err := e.profiles.Get(d.Profile)
	if err != nil {
		return grid.Errorf(grid.Invalid, "device %s: profile %q: %w", d.Identity, d.Profile, err)
	}
	d.Profile = p.ID // which version reads, roll-outs say
	if at, ok := installed[d.Identity]; ok && (d.State == "" || d.State == grid.Registered || d.State == grid.Installed) {
		d.State, d.Installed = grid.Installed, cmp.Or(d.Installed, at)
	}
	if old, ok := e.memory.Device(d.Identity); ok {
		b.keepState(d, e.memory.DeviceAt(old))
	}
	d.State, d.Mode = cmp.Or(d.State, grid.Registered), cmp.Or(d.Mode, grid.Live)
	if d.State == grid.Installed {
		d.Installed = cmp.Or(d.Installed, b.now) // or nobody would ever miss it
	}
	if d.State == grid.Barred || d.State == grid.Retired {
		b.takeOutOfService(d)
	}
	b.knownNow(d.Identity)
	return nil
}

// keepState leaves a device that is put again as it is, where the change does not say
// otherwise: an import repeated takes nothing out of service and begins no supervision anew.
func (b *batch) keepState(d *grid.Device, old *registry.DeviceRow) {
	d.State, d.Mode = cmp.Or(d.State, old.State()), cmp.Or(d.Mode, old.Mode())
	if d.Installed.IsZero() && d.State == grid.Installed {
		d.Installed = fromNanos(old.Installed)
	}
}

// knownNow ends what was raised of a device while it was a stranger: from now on its
// frames are read, or raise the fault at its point.
func (b *batch) knownNow(id grid.Identity) {
	r := b.e.unreadableRule
	if r == nil {
		return
	}
	s := site{point: registry.PointNo(registry.None), where: "device:" + string(id), rule: r, device: id}
	if ep := b.e.episode(s.where, r.Type); ep != nil && ep.Active {
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
		if ep.Ticket != "" {
			b.check(ep.Ticket)
		}
	}
}

// newInstallations leaves out what is so already, and ends what a new installation of
// the same channel replaces.
func (b *batch) newInstallations(all []grid.Installation) ([]grid.Installation, error) {
	e := b.e
	out := make([]grid.Installation, 0, len(all))
	for _, in := range all {
		no, known := e.memory.Device(in.Device)
		if !known || !in.To.IsZero() {
			out = append(out, in)
			continue
		}
		pt, installed := e.memory.PointFor(no, in.Channel)
		if installed && e.memory.PointAt(pt).ID == in.Point {
			continue
		}
		if installed {
			page, err := e.store.ListInstallations(context.Background(), state.Query{Device: string(in.Device), State: "current", Limit: 1000})
			if err != nil {
				return nil, err
			}
			for _, old := range page.Items {
				if old.Channel == channelName(in.Channel) {
					old.To = b.now
					out = append(out, old)
				}
			}
		}
		out = append(out, in)
	}
	return out, nil
}

// installedDevice is a registered device that is put at a point now.
func (b *batch) installedDevice(id grid.Identity, at time.Time) (grid.Device, error) {
	no, ok := b.e.memory.Device(id)
	if !ok {
		return grid.Device{}, grid.Errorf(grid.NotFound, "installation of %s: device is not registered", id)
	}
	row := b.e.memory.DeviceAt(no)
	d := grid.Device{Identity: id, Profile: b.e.memory.Profile(row), State: grid.Installed, Mode: row.Mode(), Interval: row.Interval(), Installed: at}
	if s := row.State(); s == grid.Installed {
		d.Installed = fromNanos(row.Installed)
	} else if s != grid.Registered {
		d.State = s
	}
	return d, nil
}

// remember takes committed registry rows into memory.
func (e *Engine) remember(points []grid.Point, devices []grid.Device, installations []grid.Installation, units []grid.Unit) {
	for i := range points {
		e.memory.PutPoint(points[i])
	}
	for i := range devices {
		e.memory.PutDevice(devices[i], e.isSafety(devices[i].Profile))
		e.discovered.Remove(devices[i].Identity)
		e.lastAt(&devices[i])
		if s := devices[i].State; e.CredentialsChanged != nil && (s == grid.Barred || s == grid.Retired) {
			e.CredentialsChanged(nil)
		}
	}
	for i := range installations {
		if err := e.putInstallation(installations[i]); err != nil {
			e.log.Error("installation is left out", "err", err)
		}
	}
	for i := range units {
		e.units[units[i].ID] = &units[i]
		e.unitCache = nil
	}
	e.smokeOf = nil
	e.soft.grow(e.memory)
	for i := range installations {
		if installations[i].To.IsZero() {
			e.markReplaced(installations[i].Point)
		}
	}
	b := e.begin(e.Now())
	for i := range devices {
		if no, ok := e.memory.Device(devices[i].Identity); ok && devices[i].State == grid.Installed {
			e.soft.devs[no].timer = 0
			b.armSupervision(no, nil)
		}
	}
	e.soft.forget()
}

// PutAs changes the registry like Put, in somebody's name, with sites and buildings.
func (e *Engine) PutAs(ctx context.Context, r grid.Registration, act grid.Act) error {
	_, err := e.registryCommand(ctx, "registry", act, func(b *batch) (any, error) {
		if err := b.putPlaces(r.Sites, r.Buildings); err != nil {
			return nil, err
		}
		return nil, b.put(r.Points, r.Devices, r.Installations, r.Units)
	})
	return err
}

// putPlaces adds or changes sites and buildings.
func (b *batch) putPlaces(sites []grid.Site, buildings []grid.Building) error {
	for i := range sites {
		if err := registry.CheckSite(&sites[i]); err != nil {
			return err
		}
	}
	ids := make([]string, 0, len(buildings))
	for i := range buildings {
		if err := registry.CheckBuilding(&buildings[i]); err != nil {
			return err
		}
		if s := buildings[i].Site; s != "" {
			ids = append(ids, s)
		}
	}
	stored, err := b.e.store.SitesAmong(context.Background(), ids)
	if err != nil {
		return grid.Errorf(grid.Unavailable, "sites cannot be read: %w", err)
	}
	known := map[string]bool{}
	for i := range stored {
		known[stored[i].ID] = true
	}
	for i := range sites {
		known[sites[i].ID] = true
	}
	for i := range buildings {
		if s := buildings[i].Site; s != "" && !known[s] {
			return grid.Errorf(grid.NotFound, "building %s: site %q is not registered", buildings[i].ID, s)
		}
	}
	b.rows.Sites, b.rows.Buildings = append(b.rows.Sites, sites...), append(b.rows.Buildings, buildings...)
	return nil
}

// keepDescribed leaves of points and devices that are put again what the change does not say:
// a registry file that knows nothing of notes deletes none. It gives the points, with those
// that are planned and get a device now.
func (b *batch) keepDescribed(points []grid.Point, devices []grid.Device, installations []grid.Installation) ([]grid.Point, error) {
	e := b.e
	ids := make([]string, 0, len(points))
	at := make(map[string]int, len(points))
	for i := range points {
		at[points[i].ID] = i
		if _, known := e.memory.Point(points[i].ID); known {
			ids = append(ids, points[i].ID)
		}
	}
	stored, err := e.store.PointsAmong(context.Background(), ids)
	if err != nil {
		return nil, grid.Errorf(grid.Unavailable, "points cannot be read: %w", err)
	}
	for i := range stored {
		keepPoint(&points[at[stored[i].ID]], &stored[i])
	}
	for i := range points {
		points[i].State = cmp.Or(points[i].State, grid.PointActive)
		points[i].Privacy = cmp.Or(points[i].Privacy, registry.PrivacyOf(&points[i]))
	}
	ids = ids[:0]
	of := make(map[string]int, len(devices))
	for i := range devices {
		of[string(devices[i].Identity)] = i
		if _, known := e.memory.Device(devices[i].Identity); known {
			ids = append(ids, string(devices[i].Identity))
		}
	}
	old, err := e.store.DevicesAmong(context.Background(), ids)
	if err != nil {
		return nil, grid.Errorf(grid.Unavailable, "devices cannot be read: %w", err)
	}
	for i := range old {
		keepDevice(&devices[of[string(old[i].Identity)]], &old[i])
	}
	var begin []grid.Installation
	for i := range installations {
		in := &installations[i]
		if !in.To.IsZero() {
			continue
		}
		if n, ok := at[in.Point]; ok {
			if points[n].State == grid.PointRetired {
				return nil, grid.Errorf(grid.Conflict, "installation of %s: point %s is retired", in.Device, in.Point)
			}
			continue
		}
		if pt, ok := e.memory.Point(in.Point); ok && e.memory.PointAt(pt).Retired() {
			return nil, grid.Errorf(grid.Conflict, "installation of %s: point %s is retired", in.Device, in.Point)
		}
		begin = append(begin, *in)
	}
	manned, err := b.manned(begin)
	return append(points, manned...), err
}

func keepPoint(p, old *grid.Point) {
	p.Site, p.Owner, p.Privacy, p.State, p.Notes = cmp.Or(p.Site, old.Site), cmp.Or(p.Owner, old.Owner), cmp.Or(p.Privacy, old.Privacy), cmp.Or(p.State, old.State), cmp.Or(p.Notes, old.Notes)
}

func keepDevice(d, old *grid.Device) {
	said := *d
	for _, f := range []struct{ of, was *string }{
		{&d.Serial, &old.Serial}, {&d.Label, &old.Label}, {&d.Firmware, &old.Firmware}, {&d.Hardware, &old.Hardware}, {&d.Owner, &old.Owner},
		{&d.Notes, &old.Notes}, {&d.Source, &old.Source},
	} {
		*f.of = cmp.Or(*f.of, *f.was)
	}
	if d.Battery == (grid.Battery{}) {
		d.Battery = old.Battery
	}
	if d.Bought.IsZero() {
		d.Bought = old.Bought
	}
	if d.Warranty.IsZero() {
		d.Warranty = old.Warranty
	}
	if said.State == "" || said.State == old.State { // not another life
		d.Why, d.Since, d.Stolen, d.ReplacedBy, d.LastPoint = cmp.Or(d.Why, old.Why), old.Since, d.Stolen || old.Stolen, cmp.Or(d.ReplacedBy, old.ReplacedBy), cmp.Or(d.LastPoint, old.LastPoint)
	}
}

// displace ends what is at a point on the channel of a new installation: there is one device on
// each channel of a point. Who is displaced is registered, and no longer supervised.
func (b *batch) displace(installations []grid.Installation, devices []grid.Device) ([]grid.Installation, []grid.Device, error) {
	e := b.e
	type spot struct{ point, channel string }
	taken, said := map[spot]grid.Identity{}, map[string]bool{}
	put := map[grid.Identity]bool{}
	for i := range devices {
		put[devices[i].Identity] = true
	}
	for i := range installations {
		in := &installations[i]
		said[endKey(in)] = true
		if !in.To.IsZero() {
			continue
		}
		at := spot{in.Point, channelName(in.Channel)}
		if other, ok := taken[at]; ok && other != in.Device {
			return nil, nil, grid.Errorf(grid.Conflict, "point %s: devices %s and %s on channel %s: want one", in.Point, other, in.Device, at.channel)
		}
		taken[at] = in.Device
	}
	for _, in := range installations[:len(installations):len(installations)] {
		pt, ok := e.memory.Point(in.Point)
		if !ok || !in.To.IsZero() {
			continue
		}
		no := e.memory.PointAt(pt).Device()
		if no == registry.DeviceNo(registry.None) {
			continue
		}
		if e.memory.DeviceAt(no).Identity == in.Device {
			continue
		}
		here, err := e.store.CurrentAt(context.Background(), in.Point)
		if err != nil {
			return nil, nil, grid.Errorf(grid.Unavailable, "installations at point %s cannot be read: %w", in.Point, err)
		}
		for _, old := range here {
			if old.Device == in.Device || old.Channel != channelName(in.Channel) || said[endKey(&old)] {
				continue
			}
			said[endKey(&old)] = true
			old.To = b.now
			installations = append(installations, old)
			if !put[old.Device] {
				put[old.Device] = true
				if devices, err = b.displaced(old.Device, devices); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	return installations, devices, nil
}

func endKey(in *grid.Installation) string {
	return string(in.Device) + "\x00" + channelName(in.Channel) + "\x00" + in.Point
}

// displaced takes a device out of supervision that is at no other point.
func (b *batch) displaced(id grid.Identity, devices []grid.Device) ([]grid.Device, error) {
	d, err := b.e.store.Device(context.Background(), id)
	if err != nil {
		return nil, err
	}
	here, err := b.currentOf(id)
	if err != nil || len(here) > 1 || d.State != grid.Installed {
		return devices, err
	}
	d.State, d.Installed = grid.Registered, time.Time{}
	return append(devices, d), nil
}

// lastAt remembers where a device was that was taken out.
func (e *Engine) lastAt(d *grid.Device) {
	if d.LastPoint == "" {
		delete(e.lastPoints, d.Identity)
		return
	}
	e.lastPoints[d.Identity] = d.LastPoint
}
