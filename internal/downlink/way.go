package downlink

import (
	"context"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// newest is how many frames are looked through for one by a wire that carries the order.
const newest = 20

// lookupWithin bounds the search for a way.
const lookupWithin = 10 * time.Second

// wire is a Wire with what waits for it.
type wire struct {
	Wire
	ready   []*stream // their way is known; first come first served
	running int
}

func (w *wire) carries(kind string) bool {
	return w != nil && w.Downlinker != nil && slices.Contains(w.Kinds, kind)
}

// way finds the wire to a device, and the newest frame by it. A grid.Unavailable error
// may be mended by hearing the device; any other is final.
func (o *Outbox) way(ctx context.Context, d *grid.Downlink) (*wire, grid.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	kind := d.Order.Kind()
	fixed := o.cfg.Fixed[d.Device]
	if fixed != "" && !o.wires[fixed].carries(kind) {
		return nil, grid.Frame{}, grid.Errorf(grid.Invalid, "device %s is on %s, which cannot carry a %s order", d.Device, fixed, kind)
	}
	frames, err := o.frames.ByDevice(ctx, d.Device, time.Time{}, time.Time{}, newest)
	if err != nil {
		return nil, grid.Frame{}, grid.Errorf(grid.Unavailable, "frames of %s cannot be read: %w", d.Device, err)
	}
	last := ""
	for _, f := range frames {
		if f.Flags&(grid.Refused|grid.Marker) != 0 {
			continue
		}
		path := f.Transport + ":" + f.Source
		if last == "" {
			last = path
		}
		if (fixed == "" || fixed == path) && o.wires[path].carries(kind) {
			return o.wires[path], f, nil
		}
	}
	if fixed != "" {
		return o.wires[fixed], unheard(d.Device, fixed), nil
	}
	return o.withoutFrame(d.Device, kind, last)
}

// withoutFrame says what can be done for a device that no wire which carries the order has
// heard. last is the one that has.
func (o *Outbox) withoutFrame(id grid.Identity, kind, last string) (*wire, grid.Frame, error) {
	if last != "" {
		if o.wires[last] != nil {
			return nil, grid.Frame{}, grid.Errorf(grid.Invalid, "device %s was last heard by %s, which cannot carry a %s order", id, last, kind)
		}
		return nil, grid.Frame{}, grid.Errorf(grid.Unavailable, "device %s was last heard by %s, which is not in the configuration any more: it is sent when another hears it", id, last)
	}
	for _, path := range o.cfg.Unheard {
		if w := o.wires[path]; w.carries(kind) {
			return w, unheard(id, path), nil
		}
	}
	return nil, grid.Frame{}, grid.Errorf(grid.Unavailable, "device %s was never heard: it is sent when it is", id)
}

// unheard is the way to a device without a frame of it.
func unheard(id grid.Identity, path string) grid.Frame {
	transport, source, _ := strings.Cut(path, ":")
	return grid.Frame{Identity: id, Transport: transport, Source: source}
}
