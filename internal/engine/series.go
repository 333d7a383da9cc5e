package engine

import (
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/privacy"
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
	if row.Kind() == grid.Door {
		if doors := e.Privacy.Of(row.Privacy()).Doors; doors != privacy.Exact {
			b.seriesCoarse(row, doors, d, r)
			return
		}
	}
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

// seriesCoarse adds of a door that is kept coarse that it was opened, in which hour, and nothing
// else of the frame. Within the hour its time is a hash of the frame's place in the journal: two
// openings do not meet, the same one always does, and neither minute nor order can be read off.
func (b *batch) seriesCoarse(row *registry.PointRow, doors privacy.Detail, d *decoded, r *grid.Reading) {
	e := b.e
	if doors != privacy.Coarse || r.Signal != grid.DoorOpen || r.Value == 0 {
		return
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %s", row.ID, d.frame.Pos)
	l := &e.eventLine
	l.Reset(influx.Dwelling, privacy.Hour(b.timeOf(d, r)).UnixNano()+int64(h.Sum64()%uint64(time.Hour)))
	l.Point, l.Cell, l.Street = row.ID, e.memory.Cell(row), e.memory.Scope(row).Street
	l.Float("opened", 1)
	b.addLine(l)
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
	b.addLine(l)
}

// seriesTicket adds the state of a ticket after a change.
func (b *batch) seriesTicket(t *grid.Ticket) {
	e := b.e
	if e.series == nil || t.Point == "" {
		return
	}
	l := &e.eventLine
	l.Reset(influx.Ticket, influx.Stamp(b.now, uint64(t.Revision)))
	l.Point, l.Cell, l.Street = t.Point, t.Cell, t.Street
	l.Type, l.Priority = string(t.Type), t.Priority.String()
	l.Text("id", t.ID)
	l.Text("state", string(t.State))
	l.Text("mode", string(t.Mode))
	l.Float("tier", float64(t.Tier))
	l.Float("rework", float64(t.Rework))
	b.addLine(l)
}

// seriesHealth adds how a device is: once in each hour in which it is heard, and when it
// goes or comes back.
func (b *batch) seriesHealth(no registry.DeviceNo, online bool, at time.Time) {
	e := b.e
	pt, ok := e.memory.AnyPoint(no)
	if e.series == nil || !ok {
		return
	}
	soft, row := &e.soft.devs[no], e.memory.PointAt(pt)
	if row.Kind() == grid.Door && e.Privacy.Of(row.Privacy()).Doors != privacy.Exact {
		at = privacy.Hour(at) // when it is first heard in an hour is when the door moved
	}
	l := &e.eventLine
	l.Reset(influx.DeviceHealth, influx.Stamp(at, 0))
	l.Point, l.Cell, l.Street = row.ID, e.memory.Cell(row), e.memory.Scope(row).Street
	l.Text("device", string(e.memory.DeviceAt(no).Identity))
	l.Bool("online", online)
	l.Float("frames", float64(soft.frames))
	l.Float("duplicates", float64(soft.dups))
	if v, ok := e.soft.points[pt].value(grid.BatteryLevel); ok {
		l.Float("battery_pct", v)
	}
	if days, known := soft.battery.DaysLeft(); known {
		l.Float("battery_days", math.Round(days))
	}
	b.addLine(l)
}

func (b *batch) addLine(l *influx.Line) {
	out, err := influx.AppendLine(b.series, l)
	if err != nil {
		b.e.log.Error("point cannot be stored in influxdb", "point", l.Point, "err", err)
		return
	}
	b.series = out
}
