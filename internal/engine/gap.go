package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/registry"
)

// When the InfluxDB queue is full, points are not written: the journal range is noted as
// a gap, the operator is told, and the points are made anew from the journal once there
// is room. Points are functions of their frames, so making one twice overwrites it.

// gaps are journal ranges, by lane, whose points are still to be written to InfluxDB.
type gaps [grid.Lanes]gapRange

type gapRange struct {
	From uint64 `json:"from"` // 0: no gap
	To   uint64 `json:"to"`
}

func (g gaps) open() bool { return g != gaps{} }

func (g gaps) String() string {
	b, err := json.Marshal(g)
	if err != nil {
		panic(fmt.Sprint("gaps are numbers: ", err))
	}
	return string(b)
}

// gapSlice is how many frames of a gap a turn makes points of.
const gapSlice = 256

// recordGap notes that the points of this batch did not fit into the queue.
func (b *batch) recordGap() {
	e := b.e
	g := e.gap
	for lane := range g {
		if e.cursors[lane].Seq == b.cursors[lane].Seq {
			continue
		}
		if g[lane].From == 0 {
			g[lane].From = e.cursors[lane].Seq + 1
		}
		g[lane].To = b.cursors[lane].Seq
	}
	first := !e.gap.open() && g.open()
	b.setGap(g)
	if first {
		b.tellGap("raised")
	}
}

// reopenGap makes a gap of all that the journal keeps: nobody knows which points were in
// the part of the queue that is gone. Those that InfluxDB has are written over.
func (b *batch) reopenGap() {
	e := b.e
	var g gaps
	for lane := range g {
		if first, last := e.journal.First(grid.Lane(lane)), e.cursors[lane].Seq; first <= last {
			g[lane] = gapRange{From: max(first, 1), To: last}
		}
	}
	if g.open() {
		b.setGap(g)
		b.tellGap("raised")
	}
}

func (b *batch) setGap(g gaps) {
	e, old := b.e, b.e.gap
	e.gap = g
	b.undo = append(b.undo, func() { e.gap = old })
	b.putMeta(metaGap, g.String())
}

func (b *batch) tellGap(action string) {
	e := b.e
	if e.gapRule == nil {
		return
	}
	b.because(fmt.Sprintf("gap/%s/%s/%v", action, e.gap, b.cursors), b.now)
	s := site{point: registry.PointNo(registry.None), where: "path:influxdb", rule: e.gapRule, device: "path:influxdb", mode: grid.Live}
	s.detail = "points of journal range " + e.gap.String() + " are perhaps not in InfluxDB yet: its queue was full, or part of it was lost"
	ep := e.episode(s.where, e.gapRule.Type)
	switch {
	case action == "raised" && (ep == nil || !ep.Active):
		b.raise(s, nil, b.now)
	case action == "cleared" && ep != nil && ep.Active:
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
	}
}

// fillGap makes the points of some frames of a gap, in a batch of their own, when the
// queue has room for them.
func (e *Engine) fillGap(ctx context.Context) error {
	if !e.gapHasRoom() {
		return nil
	}
	b := e.begin(e.Now())
	b.filling = true
	for lane := range e.gap {
		if e.gap[lane].From != 0 {
			b.fillLane(grid.Lane(lane))
			break
		}
	}
	err := e.finish(ctx, b)
	switch {
	case errors.Is(err, influx.ErrQueueFull):
		e.gapPause = e.Now().Add(e.Clock.City(time.Second))
		return nil
	case unsure(err):
		return err
	case err != nil && ctx.Err() == nil:
		e.log.Error("gap is filled later", "err", err)
		e.gapPause = e.Now().Add(e.Clock.City(time.Second))
	}
	return nil
}

func (e *Engine) gapHasRoom() bool {
	return e.gap.open() && e.series != nil && !e.Now().Before(e.gapPause) && e.series.Depth().Bytes <= e.GapRoom
}

func (b *batch) fillLane(lane grid.Lane) {
	e := b.e
	g := e.gap
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	frames, err := e.journal.Next(ctx, lane, g[lane].From-1, gapSlice)
	if err != nil {
		e.log.Error("gap cannot be read from the journal", "in", lane.String(), "err", err)
		return
	}
	until := e.Now().Add(e.Clock.City(bulkSlice))
	for i := range frames {
		if frames[i].Pos.Seq > g[lane].To || i > 0 && !e.Now().Before(until) {
			break // with a slow codec the rest is for another turn
		}
		g[lane].From = frames[i].Pos.Seq + 1
		d := &decoded{frame: frames[i]}
		e.dec.decode(d)
		if d.profile != nil && d.decodeErr == nil && d.panicked == "" {
			b.gapPoints(d)
		}
	}
	if len(frames) == 0 || g[lane].From > g[lane].To {
		g[lane] = gapRange{}
	}
	b.setGap(g)
	if !g.open() {
		clear(e.gapSeen)
		b.tellGap("cleared")
	}
}

// gapPoints makes the points of one frame, unless the gap had it before.
func (b *batch) gapPoints(d *decoded) {
	e := b.e
	no, ok := e.memory.Device(d.frame.Identity)
	if !ok {
		return
	}
	seen := e.gapSeen[d.frame.Identity]
	if seen == nil {
		seen = &deviceSoft{}
		e.gapSeen[d.frame.Identity] = seen
	}
	old := *seen
	b.undo = append(b.undo, func() { *seen = old })
	if seen.see(e.arrival(no, d)) == duplicate {
		return
	}
	e.lines = e.lines[:0]
	for i := range d.out.Readings {
		if pt, ok := b.pointOf(no, &d.out.Readings[i]); ok {
			b.seriesReading(pt, d, &d.out.Readings[i])
		}
	}
	b.seriesFlush(d)
}
