package registry

import "gridgate/internal/grid"

// gone is the name of a row that was dropped: no point and no device can have it. The index
// keeps its slot, and passes over it.
const gone = "\x00"

// DropPoint forgets a point at which nothing is installed. Its row stays, as nobody's.
func (m *Memory) DropPoint(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.Point(id); ok {
		m.points[n] = PointRow{ID: gone, device: DeviceNo(None), scope: m.scope(grid.Scope{}), kind: number(kinds[:], grid.Door)}
	}
}

// DropDevice forgets a device that is installed nowhere.
func (m *Memory) DropDevice(id grid.Identity) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.Device(id); ok {
		delete(m.extra, n)
		m.devs[n] = DeviceRow{Identity: gone, main: PointNo(None), lane: grid.Bulk}
	}
}

// CheckPoint, CheckDevice and CheckBuilding complete one row with its defaults and say
// what is wrong with it, as Parse does for a whole file.
func CheckPoint(p *grid.Point) error {
	var c checker
	c.point(p)
	return c.first()
}

func CheckDevice(d *grid.Device) error {
	var c checker
	c.device(d)
	return c.first()
}

func (c *checker) first() error {
	if len(c.errs) == 0 {
		return nil
	}
	return grid.Errorf(grid.Invalid, "%w", c.errs[0])
}
