package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/commission"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Frames of a device under visit. The flag in its soft state is all that any other frame
// costs.

const (
	maxLookBack = 1000        // the newest frames of a device
	clockRoom   = time.Second // what came in the instant itself
)

// underVisited brings a frame to the visits of its device.
func (b *batch) underVisited(no registry.DeviceNo, d *decoded) {
	for _, id := range b.e.visits.of[d.frame.Identity] {
		v := b.e.visits.all[id]
		if v == nil || b.quiet && v.Looked && d.frame.Pos.Seq <= v.From[d.frame.Pos.Lane] {
			continue // looking back has found it in the journal
		}
		b.feedVisit(v, no, d)
	}
}

// feedVisit puts a frame to a visit, if its time lies in it.
func (b *batch) feedVisit(v *grid.Visit, no registry.DeviceNo, d *decoded) {
	e, f := b.e, &d.frame
	pos := f.Pos.String()
	if f.NotHeard || slices.ContainsFunc(v.Frames, func(o grid.VisitFrame) bool { return o.Frame == pos }) {
		return
	}
	at, known := commission.Sighting{
		Received: f.Received, Network: f.Uplink.At, Device: d.out.DeviceTime, Behind: d.behind, Retained: f.Flags&grid.Retained != 0,
	}.When()
	inside := known && e.Commission.Takes(v, at)
	out := grid.VisitFrame{
		N: v.Heard + 1, Frame: pos, At: at, Received: f.Received, Transport: f.Transport, Gateway: f.Gateway, Profile: d.out.Profile,
		Link: e.Commission.LinkOf(f.Identity, f.Envelope, f.Transport).Name, Readings: []grid.VisitReading{},
	}
	for i := range d.out.Readings {
		r := &d.out.Readings[i]
		if r.History && !r.At.IsZero() && e.Commission.Takes(v, r.At) {
			out.At, inside = earlierOf(inside, out.At, r), true
		} else if r.History || !inside {
			continue
		}
		b.visitReading(v, no, r, &out)
	}
	if !inside {
		return
	}
	if f.HasRSSI && out.RSSIdBm == nil {
		out.RSSIdBm = number(f.RSSIdBm)
	}
	if f.HasSNR && out.SNRdB == nil {
		out.SNRdB = number(f.SNRdB)
	}
	if f.HasBattery && out.Battery == nil {
		out.Battery = number(f.BatteryPct)
	}
	row := b.changeVisit(v.ID)
	row.Heard++
	e.Commission.Keep(row, out)
	b.judgeVisit(row)
}

// earlierOf is the time of a frame of which records of the past lie in a visit.
func earlierOf(inside bool, at time.Time, r *grid.Reading) time.Time {
	if inside && !r.At.Before(at) {
		return at
	}
	return r.At.UTC()
}

func number(v float32) *float64 {
	f := float64(v)
	return &f
}

// visitReading keeps a reading of the visit's point. Of the device itself are its battery
// and how it is heard.
func (b *batch) visitReading(v *grid.Visit, no registry.DeviceNo, r *grid.Reading, out *grid.VisitFrame) {
	value := r.Value
	switch r.Signal {
	case grid.RSSI:
		out.RSSIdBm = &value
		return
	case grid.SNR:
		out.SNRdB = &value
		return
	case grid.BatteryLevel:
		out.Battery = &value
	}
	pt, ok := b.pointOf(no, r)
	if r.Suspect || !ok || b.e.memory.PointAt(pt).ID != v.Point {
		return
	}
	kept := grid.VisitReading{Signal: r.Signal, Value: value}
	if r.History {
		kept.At = r.At.UTC()
	}
	out.Readings = append(out.Readings, kept)
}

// lookBack brings a visit the frames that were handled before we heard of it: the technician
// had no network, the device had.
func (e *Engine) lookBack(ctx context.Context, v *grid.Visit) (grid.Visit, error) {
	frames, err := e.journal.ByDevice(ctx, v.Device, v.Started, v.Opened.Add(clockRoom), maxLookBack)
	if err != nil {
		return *v, grid.Errorf(grid.Unavailable, "frames of %s since %s cannot be read: %w", v.Device, v.Started, err)
	}
	slices.Reverse(frames) // oldest first
	read := make([]decoded, 0, len(frames))
	for i := range frames {
		if frames[i].Pos.Seq > v.From[frames[i].Pos.Lane] {
			continue // it came to the visit by itself
		}
		read = append(read, decoded{frame: frames[i]})
		e.dec.decode(&read[len(read)-1])
	}
	return as[grid.Visit](e.do(ctx, &command{name: "visit past", registry: true, act: visitAct(v), do: func(b *batch) (any, error) {
		return b.pastOfVisit(v.ID, read)
	}}))
}

func (b *batch) pastOfVisit(id string, read []decoded) (grid.Visit, error) {
	v, err := b.visit(id)
	if err != nil || v.Looked || !v.Live() {
		return v, err
	}
	e := b.e
	b.changeVisit(id).Looked = true
	for i := range read {
		d := &read[i]
		no, known := e.memory.Device(d.frame.Identity)
		if !known || d.profile == nil || d.decodeErr != nil || d.envelopeErr != nil || d.panicked != "" || d.frame.Kind.Ignored() || d.out.Answer {
			continue
		}
		if v := e.visits.all[id]; v.Live() {
			b.feedVisit(v, no, d)
		}
	}
	if v := e.visits.all[id]; v != nil {
		return *v, nil
	}
	return v, fmt.Errorf("visit %s is gone", id)
}
