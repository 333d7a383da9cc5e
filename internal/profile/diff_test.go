package profile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

var diffAt = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func whereNo(n int) Where {
	return Where{Pos: grid.Pos{Lane: grid.Bulk, Epoch: 1, Seq: uint64(n)}, Device: "eui:01", Received: diffAt}
}

func reads(readings ...grid.Reading) Result {
	return Result{Out: grid.Decoded{Readings: readings}}
}

func is(s grid.Signal, v float64) grid.Reading { return grid.Reading{Signal: s, Value: v} }

// fieldOf finds a field of a report by "signal" or "signal@channel".
func fieldOf(t *testing.T, d Diff, name string) FieldDiff {
	t.Helper()
	signal, channel, _ := strings.Cut(name, "@")
	for _, f := range d.Fields {
		if f.Field == signal && f.Channel == channel {
			return f
		}
	}
	t.Fatalf("no field %s in %+v", name, d.Fields)
	return FieldDiff{}
}

func TestComparisonTellsWhatBecomesOfEachField(t *testing.T) {
	c := NewComparison("acme/door7", "1", "2")
	c.Add(whereNo(1), reads(is(grid.DoorOpen, 0), is(grid.Temperature, 20)), reads(is(grid.DoorOpen, 0), is(grid.Temperature, 21), is(grid.BatteryLevel, 80)))
	c.Add(whereNo(2), reads(is(grid.DoorOpen, 1), is(grid.RSSI, -90)), reads(is(grid.DoorOpen, 1)))
	c.Add(whereNo(3), reads(is(grid.DoorOpen, 1)), reads(is(grid.DoorOpen, 1)))
	d := c.Report()
	if d.Profile != "acme/door7" || d.Old != "1" || d.New != "2" || d.Frames != 3 || d.Same != 1 || d.Changed != 2 {
		t.Errorf("report is %+v", d)
	}
	if f := fieldOf(t, d, "door.open"); f.Same != 3 || f.Differs() {
		t.Errorf("door.open: %+v", f)
	}
	if f := fieldOf(t, d, "temperature"); f.Changed != 1 || f.Examples[0] != (Example{"bulk/1/1", "eui:01", diffAt, "20", "21"}) {
		t.Errorf("temperature: %+v", f)
	}
	if f := fieldOf(t, d, "battery.level"); f.Appeared != 1 || f.Examples[0].New != "80" || f.Examples[0].Old != "" {
		t.Errorf("battery.level: %+v", f)
	}
	if f := fieldOf(t, d, "rssi"); f.Lost != 1 || f.Examples[0].Old != "-90" {
		t.Errorf("rssi: %+v", f)
	}
}

func TestComparisonPairsRecordsOfOneSignalInTheirOrder(t *testing.T) {
	at := func(v float64, min int) grid.Reading {
		return grid.Reading{Signal: grid.Temperature, Value: v, History: true, At: diffAt.Add(time.Duration(min) * time.Minute)}
	}
	c := NewComparison("p/q", "1", "2")
	c.Add(whereNo(1), reads(at(20, 1), at(21, 2), at(22, 3)), reads(at(20, 1), at(21, 5), at(22, 3)))
	if f := fieldOf(t, c.Report(), "temperature"); f.Same != 2 || f.Changed != 1 || !strings.Contains(f.Examples[0].New, "21 history at 2026-03-02T08:05:00Z") {
		t.Errorf("temperature: %+v: want the time of one record changed", f)
	}
}

func TestComparisonForgivesTheLastBitsAndTellsAMark(t *testing.T) {
	c := NewComparison("p/q", "1", "2")
	c.Add(whereNo(1), reads(is(grid.Temperature, 0.1+0.2)), reads(is(grid.Temperature, 0.3)))
	c.Add(whereNo(2), reads(is(grid.Temperature, 20)), reads(grid.Reading{Signal: grid.Temperature, Value: 20, Suspect: true}))
	c.Add(whereNo(3), reads(is(grid.DoorOpen, 1)), reads(grid.Reading{Signal: grid.DoorOpen, Channel: grid.MainChannel, Value: 1}))
	d := c.Report()
	if f := fieldOf(t, d, "temperature"); f.Same != 1 || f.Changed != 1 || f.Examples[0].New != "20 suspect" {
		t.Errorf("temperature: %+v", f)
	}
	if f := fieldOf(t, d, "door.open"); f.Same != 1 || f.Differs() {
		t.Errorf("door.open: %+v: the main channel has two names", f)
	}
}

func TestComparisonOfErrorsAndWarnings(t *testing.T) {
	bad := Result{Err: errors.New("byte 3 is missing")}
	good := reads(is(grid.DoorOpen, 0))
	warned := Result{Out: grid.Decoded{Readings: good.Out.Readings, Warnings: []string{"w"}}}
	c := NewComparison("p/q", "1", "2")
	c.Add(whereNo(1), bad, bad)
	c.Add(whereNo(2), good, bad)
	c.Add(whereNo(3), bad, good)
	c.Add(whereNo(4), good, warned)
	c.Add(whereNo(5), warned, good)
	d := c.Report()
	if d.BothFail != 1 || d.NewErrors != 1 || d.Mended != 1 || d.MoreWarnings != 1 || d.LessWarnings != 1 || d.Same != 2 {
		t.Errorf("report is %+v", d)
	}
	if len(d.Errors) != 1 || d.Errors[0].Frame != "bulk/1/2" || d.Errors[0].New != "byte 3 is missing" || d.Errors[0].Old != "door.open false" || len(d.Mends) != 1 || d.Mends[0].Frame != "bulk/1/3" || d.Mends[0].New != "door.open false" {
		t.Errorf("errors %+v, mends %+v", d.Errors, d.Mends)
	}
}

func TestLostAlarmsAreThoseOfTheSameChannel(t *testing.T) {
	on := func(s grid.Signal, channel string) grid.Reading {
		return grid.Reading{Signal: s, Channel: channel, Value: 1}
	}
	for name, test := range map[string]struct {
		old, new Result
		lost     int64
		gained   int64
	}{
		"both say it":               {reads(is(grid.SmokeAlarm, 1)), reads(is(grid.SmokeAlarm, 1)), 0, 0},
		"the new one denies it":     {reads(is(grid.SmokeAlarm, 1)), reads(is(grid.SmokeAlarm, 0)), 1, 0},
		"the new one is silent":     {reads(is(grid.ManholeOpen, 1)), reads(), 1, 0},
		"the new one cannot read":   {reads(is(grid.Tamper, 1)), Result{Err: errors.New("x")}, 1, 0},
		"the old one could not":     {Result{Err: errors.New("x")}, reads(is(grid.HeatAlarm, 1)), 0, 1},
		"of another channel":        {reads(on(grid.DoorOpen, "1")), reads(on(grid.DoorOpen, "2")), 1, 1},
		"a value is no alarm":       {reads(is(grid.Temperature, 1)), reads(), 0, 0},
		"occupied is no alarm":      {reads(is(grid.ParkingOccupied, 1)), reads(), 0, 0},
		"one of two records is had": {reads(is(grid.SmokeAlarm, 1), is(grid.SmokeAlarm, 1)), reads(is(grid.SmokeAlarm, 1)), 0, 0},
		"two of a frame":            {reads(is(grid.SmokeAlarm, 1), is(grid.Tamper, 1)), reads(), 2, 0},
	} {
		c := NewComparison("p/q", "1", "2")
		c.Add(whereNo(1), test.old, test.new)
		if d := c.Report(); d.LostAlarms != test.lost || d.NewAlarms != test.gained || len(d.Alarms) != int(test.lost) {
			t.Errorf("%s: %d lost, %d new: want %d, %d", name, d.LostAlarms, d.NewAlarms, test.lost, test.gained)
		}
	}
	c := NewComparison("p/q", "1", "2")
	c.Alarming = func(r grid.Reading) bool { return r.Signal == grid.ManholeTilt && r.Value > 30 }
	c.Add(whereNo(1), reads(is(grid.ManholeTilt, 45)), reads(is(grid.ManholeTilt, 4.5)))
	if d := c.Report(); d.LostAlarms != 1 || d.Alarms[0].Old != "45" || d.Alarms[0].New != "4.5" {
		t.Errorf("a tilt past the limit: %+v", d)
	}
}

func TestFireIsLostUnlessTheChannelStillBurnsNow(t *testing.T) {
	past := is(grid.SmokeAlarm, 1)
	past.History = true
	for name, test := range map[string]struct {
		old, new Result
		want     bool
	}{
		"still said":        {reads(is(grid.SmokeAlarm, 1)), reads(is(grid.SmokeAlarm, 1)), false},
		"heat for smoke":    {reads(is(grid.SmokeAlarm, 1)), reads(is(grid.HeatAlarm, 1)), false},
		"denied":            {reads(is(grid.SmokeAlarm, 1)), reads(is(grid.SmokeAlarm, 0)), true},
		"unreadable":        {reads(is(grid.HeatAlarm, 1)), Result{Err: errors.New("x")}, true},
		"made history":      {reads(is(grid.SmokeAlarm, 1)), reads(past), true},
		"history made live": {reads(past), reads(is(grid.SmokeAlarm, 1)), false},
		"no fire before":    {reads(is(grid.SmokeAlarm, 0)), reads(), false},
		"unreadable before": {Result{Err: errors.New("x")}, reads(), false},
	} {
		if got := LosesFire(test.old, test.new); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

func TestComparisonSeesAnotherCounter(t *testing.T) {
	counted := func(n uint32) Result {
		return Result{Out: grid.Decoded{Sequence: n, HasSequence: true, DeviceTime: diffAt, Restart: true}}
	}
	c := NewComparison("p/q", "1", "2")
	c.Add(whereNo(1), counted(7), counted(7))
	if d := c.Report(); d.Recounts() || d.Same != 1 {
		t.Errorf("the same counter: %+v", d)
	}
	c.Add(whereNo(2), counted(7), counted(8))
	if d := c.Report(); !d.Recounts() || d.Changed != 1 {
		t.Errorf("another counter: %+v", d)
	}
}

func TestComparisonIsBounded(t *testing.T) {
	c := NewComparison("p/q", "1", "2")
	for i := range 1000 {
		r := grid.Reading{Signal: grid.SmokeAlarm, Channel: fmt.Sprint(i), Value: 1}
		c.Add(whereNo(i+1), reads(r), reads())
	}
	c.Add(whereNo(2000), reads(is(grid.Tamper, 1)), Result{Err: errors.New(strings.Repeat("long ", 1000))})
	d := c.Report()
	if len(d.Fields) > maxDiffFields+1 || len(d.Alarms) != maxDiffExamples || d.LostAlarms != 1001 {
		t.Errorf("%d fields, %d alarms of %d", len(d.Fields), len(d.Alarms), d.LostAlarms)
	}
	if f := fieldOf(t, d, "smoke.alarm@*"); f.Lost != 1000-maxDiffFields {
		t.Errorf("channels beyond the bound: %+v", f)
	}
	if n := len(d.Errors[0].New); n > 250 {
		t.Errorf("an example has %d bytes", n)
	}
	kept := len(d.Alarms)
	c.Add(whereNo(3000), reads(is(grid.Tamper, 1)), reads())
	if len(d.Alarms) != kept || d.LostAlarms != 1001 {
		t.Error("a report changed after it was made")
	}
}

// broken is a codec that panics.
type broken struct{}

func (broken) decode(*run, *grid.Frame) error { panic("index out of range") }

func TestTryMakesAPanicAnError(t *testing.T) {
	p := &Profile{ID: "p/q", codec: broken{}}
	r := p.Try(grid.Frame{Uplink: grid.Uplink{Payload: []byte{1}}})
	if r.Err == nil || !strings.Contains(r.Err.Error(), "index out of range") {
		t.Errorf("error is %v", r.Err)
	}
}
