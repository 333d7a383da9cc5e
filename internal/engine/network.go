package engine

import (
	"math"
	"slices"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// ignored takes what a message without a payload says of its device: that it is there,
// that it joined, how its battery is. What the network says of a device that did not
// speak, such as its death, is not a word of it. A will is shown and opens nothing: most
// connections that end are back in a minute, and supervision judges silence. A retained one
// is how things stand.
func (b *batch) ignored(no registry.DeviceNo, d *decoded) {
	switch {
	case d.frame.Lapsed > 0:
		b.lapsed(no, d)
		return
	case d.frame.Gone:
		b.e.soft.touchDevice(no).flags |= isGone
		return
	case d.frame.NotHeard:
		return
	case d.frame.Kind == grid.Status:
		b.e.soft.touchDevice(no).flags &^= isGone
	}
	b.heard(no, d, d.frame.Kind == grid.Join)
	b.batterySaid(no, d)
}

// lapsed takes the word that a device is silent past what it promised itself (the lifetime
// of LwM2M): it is offline, though its profile would wait longer, unless it was heard by
// another way or nothing comes by its own.
func (b *batch) lapsed(no registry.DeviceNo, d *decoded) {
	soft := b.e.soft.touchDevice(no)
	heard := fromNanos(soft.heard)
	if b.now.Sub(heard) < d.frame.Lapsed {
		return
	}
	soft.flags |= isGone
	if b.quiet || b.e.memory.DeviceAt(no).State() != grid.Installed {
		return
	}
	if b.pathIsSilent(soft) {
		b.pathSilent(soft.path)
		return
	}
	b.setOffline(no, soft, b.now, soft.heard == 0)
}

// forecast goes on with the trend of a battery, once a day, and makes a reading of what it
// foretells. A new battery takes an earlier word back.
func (b *batch) forecast(no registry.DeviceNo, pt registry.PointNo, d *decoded, r *grid.Reading) {
	soft := b.e.soft.touchDevice(no)
	next, news := soft.battery.Hear(r.Value, d.frame.Received)
	if !news || r.Suspect {
		return
	}
	soft.battery = next
	days, known := next.DaysLeft()
	point := b.e.soft.touchPoint(pt)
	if !known {
		if point.val(grid.BatteryDays) == nil {
			return
		}
		days = alarm.BatteryMost
	}
	setValue(point, d, &grid.Reading{Signal: grid.BatteryDays, Value: math.Round(days)}, d.frame.Received, 0)
	b.e.touch(pt, grid.BatteryDays)
}

// batterySaid keeps the battery level that the network says, for a device that says none
// itself: it is part of the device's health, and no reading of a rule's.
func (b *batch) batterySaid(no registry.DeviceNo, d *decoded) {
	f := &d.frame
	if !f.HasBattery || f.Flags&grid.Retained != 0 {
		return
	}
	pt, ok := b.e.memory.AnyPoint(no)
	if !ok || slices.ContainsFunc(d.out.Readings, func(r grid.Reading) bool { return r.Signal == grid.BatteryLevel }) {
		return
	}
	was := b.e.soft.points[pt].val(grid.BatteryLevel)
	if was != nil && (was.flags&networkValue == 0 || was.received > unixSeconds(f.Received)) {
		return
	}
	changed := was == nil || math.Round(float64(was.v)) != math.Round(float64(f.BatteryPct))
	r := grid.Reading{Signal: grid.BatteryLevel, Value: float64(f.BatteryPct)}
	setValue(b.e.soft.touchPoint(pt), d, &r, f.Received, networkValue)
	if changed {
		b.seriesHealth(no, true, f.Received)
	}
}
