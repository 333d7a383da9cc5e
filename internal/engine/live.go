package engine

import (
	"context"
	"math"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// How a point and a device are now.

// LivePoint gives the newest value of each signal of a point.
func (e *Engine) LivePoint(ctx context.Context, id string) ([]grid.LiveValue, error) {
	return as[[]grid.LiveValue](e.do(ctx, &command{name: "live", do: func(*batch) (any, error) {
		pt, ok := e.memory.Point(id)
		if !ok {
			return nil, grid.Errorf(grid.NotFound, "point %q: not found", id)
		}
		return e.livePoint(pt), nil
	}}))
}

func (e *Engine) livePoint(pt registry.PointNo) []grid.LiveValue {
	soft := &e.soft.points[pt]
	out := make([]grid.LiveValue, 0, len(soft.vals))
	var device grid.Identity
	if no := e.memory.PointAt(pt).Device(); no != registry.DeviceNo(registry.None) {
		device = e.memory.DeviceAt(no).Identity
	}
	for _, v := range soft.vals {
		lv := grid.LiveValue{
			Signal: v.signal, Value: float64(v.v), At: time.Unix(int64(v.at), 0).UTC(), Received: time.Unix(int64(v.received), 0).UTC(),
			Device: device, Suspect: v.flags&suspectValue != 0,
		}
		for i := range soft.conds {
			if c := &soft.conds[i]; e.watched(pt)[c.rule]&(1<<v.signal) != 0 {
				lv.Since = fromNanos(c.since)
				break
			}
		}
		out = append(out, lv)
	}
	return out
}

// LiveDevice says how a device is.
func (e *Engine) LiveDevice(ctx context.Context, id grid.Identity) (grid.DeviceHealth, error) {
	return as[grid.DeviceHealth](e.do(ctx, &command{name: "live", do: func(*batch) (any, error) {
		no, ok := e.memory.Device(id)
		if !ok {
			return nil, grid.Errorf(grid.NotFound, "device %s: not registered", id)
		}
		return e.liveDevice(no), nil
	}}))
}

func (e *Engine) liveDevice(no registry.DeviceNo) grid.DeviceHealth {
	soft, row := &e.soft.devs[no], e.memory.DeviceAt(no)
	h := grid.DeviceHealth{
		Identity: row.Identity, LastHeard: fromNanos(soft.heard), Frames: int64(soft.frames), Duplicates: int64(soft.dups),
		Offline: soft.flags&isOffline != 0, Gone: soft.flags&isGone != 0, ClockOff: soft.flags&clockOff != 0, Lane: row.Lane().String(),
	}
	if soft.flags&hasCounter != 0 {
		n := soft.top
		h.Counter = &n
	}
	if soft.timer != 0 {
		h.NextDue = time.Unix(int64(soft.timer), 0).UTC()
	}
	if pt, ok := e.memory.AnyPoint(no); ok {
		if v, ok := e.soft.points[pt].value(grid.BatteryLevel); ok {
			h.BatteryPct = &v
		}
	}
	if days, known := soft.battery.DaysLeft(); known {
		days = math.Round(days)
		h.BatteryDays = &days
	}
	return h
}
