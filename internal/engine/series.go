package engine

import (
	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/registry"
)

// What goes to InfluxDB: one point per measurement, place and time of a frame, with
// battery, rssi and snr riding on it, and one per event. Everything in it is a function
// of the frame and the registration, so that writing it again overwrites and never doubles.

// seriesLine is a point in the making.
type seriesLine struct {
	point       registry.PointNo
	measurement string
	at          int64
	line        influx.Line
}

// seriesReading adds a reading to the frame's points.
func (b *batch) seriesReading(pt registry.PointNo, d *decoded, r *grid.Reading) {
	e := b.e
	if e.series == nil || d.frame.Flags&grid.Retained != 0 && r.At.IsZero() {
		return // the time of a retained value is not known
	}
	row := e.memory.PointAt(pt)
	m := grid.Signals[r.Signal].Measurement
	if m == "" {
		m = string(row.Kind())
	}
	at := influx.Stamp(b.timeOf(d, r), d.frame.Pos.Seq)
	for i := range e.lines {
		if l := &e.lines[i]; l.point == pt && l.measurement == m && l.at == at {
			l.line.Signal(r.Signal, r.Value)
			return
		}
	}
	l := e.newLine()
	l.point, l.measurement, l.at = pt, m, at
	l.line.Reset(m, at)
	l.line.Point, l.line.Cell, l.line.Street = row.ID, e.memory.Cell(row), e.memory.Scope(row).Street
	l.line.Signal(r.Signal, r.Value)
}

// newLine takes the next line, whose fields keep their memory from frame to frame.
func (e *Engine) newLine() *seriesLine {
	if len(e.lines) < cap(e.lines) {
		e.lines = e.lines[:len(e.lines)+1]
	} else {
		e.lines = append(e.lines, seriesLine{})
	}
	return &e.lines[len(e.lines)-1]
}

// seriesFlush encodes the frame's points.
func (b *batch) seriesFlush(d *decoded) {
	e, f := b.e, &d.frame
	for i := range e.lines {
		l := &e.lines[i]
		if f.HasRSSI {
			l.line.Float("rssi_dbm", float64(f.RSSIdBm))
		}
		if f.HasSNR {
			l.line.Float("snr_db", float64(f.SNRdB))
		}
		l.line.Text("profile", d.out.Profile)
		out, err := influx.AppendLine(b.series, &l.line)
		if err != nil {
			e.log.Error("point cannot be stored", "point", l.line.Point, "frame", f.Pos.String(), "err", err)
			b.keep(d, nil, grid.QuarantinedFrame{Reason: grid.RejectedPoint, Detail: err.Error(), Channel: l.measurement})
			continue
		}
		b.series = out
	}
}

// seriesEvent adds an event.
func (b *batch) seriesEvent(ev *grid.Event) {
	e := b.e
	if e.series == nil || ev.Point == "" {
		return
	}
	l := &e.eventLine
	l.Reset(influx.GridEvent, influx.Stamp(ev.Received, uint64(b.made)))
	l.Point, l.Cell, l.Street = ev.Point, ev.Cell, ev.Street
	l.Type, l.Priority = string(ev.Type), ev.Priority.String()
	l.Text("action", ev.Action)
	l.Text("id", ev.ID)
	l.Text("mode", string(ev.Mode))
	l.Float("value", ev.Value)
	if out, err := influx.AppendLine(b.series, l); err == nil {
		b.series = out
	} else {
		e.log.Error("event cannot be stored in influxdb", "point", ev.Point, "err", err)
	}
}

// recordGap notes that the points of this batch did not fit into the queue: the journal
// holds them, and they are written when there is room.
func (b *batch) recordGap() {
	e := b.e
	for lane := range e.gap {
		if e.cursors[lane].Seq == b.cursors[lane].Seq {
			continue
		}
		g := &e.gap[lane]
		if g.From == 0 {
			g.From = e.cursors[lane].Seq + 1
		}
		g.To = b.cursors[lane].Seq
	}
	b.putMeta(metaGap, e.gap.String())
}
