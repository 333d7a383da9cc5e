package bulk

import (
	"cmp"
	"context"

	"gridgate/internal/grid"
)

// What of the registry the rows of a sheet speak of.

// Registry is what is registered, as it was committed.
type Registry interface {
	Registered(ctx context.Context, points []string, devices []grid.Identity) (grid.Registration, error)
	BuildingsAmong(ctx context.Context, ids []string) ([]grid.Building, error)
}

// stock is what of the registry some rows speak of.
type stock struct {
	points    map[string]*grid.Point
	devices   map[grid.Identity]*grid.Device
	at        map[string]*grid.Installation // by device and channel
	there     map[string]*grid.Installation // by point and channel
	buildings map[string]*grid.Building
}

func (c *checker) stock(ctx context.Context, rows []*parsed) (*stock, error) {
	s := &stock{map[string]*grid.Point{}, map[grid.Identity]*grid.Device{}, map[string]*grid.Installation{}, map[string]*grid.Installation{}, map[string]*grid.Building{}}
	var points, buildings []string
	var devices []grid.Identity
	for _, p := range rows {
		if p.point.ID != "" {
			points = append(points, p.point.ID)
		}
		if p.device.Identity != "" {
			devices = append(devices, p.device.Identity)
		}
		if p.building.ID != "" {
			buildings = append(buildings, p.building.ID)
		}
	}
	if len(points)+len(devices) > 0 {
		r, err := c.registry.Registered(ctx, points, devices)
		if err != nil {
			return nil, err
		}
		for i := range r.Points {
			s.points[r.Points[i].ID] = &r.Points[i]
		}
		for i := range r.Devices {
			s.devices[r.Devices[i].Identity] = &r.Devices[i]
		}
		for i := range r.Installations {
			in := &r.Installations[i]
			s.at[channelKey(in.Device, in.Channel)] = in
			s.there[channelKey(grid.Identity(in.Point), in.Channel)] = in
		}
	}
	if len(buildings) > 0 {
		rows, err := c.registry.BuildingsAmong(ctx, buildings)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			s.buildings[rows[i].ID] = &rows[i]
		}
	}
	return s, nil
}

func channelKey(id grid.Identity, channel string) string {
	return string(id) + "\x00" + cmp.Or(channel, grid.MainChannel)
}
