package state

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"time"

	"gridgate/internal/grid"
)

// args collects the values of one row in the order of its table's columns. It is used
// again for each row.
type args struct {
	vals []driver.NamedValue
	err  error
}

func (a *args) reset() { a.vals, a.err = a.vals[:0], nil }

func (a *args) add(v driver.Value) {
	a.vals = append(a.vals, driver.NamedValue{Ordinal: len(a.vals) + 1, Value: v})
}

func (a *args) text(s ...string) {
	for _, s := range s {
		a.add(s)
	}
}

func (a *args) num(n int64)      { a.add(n) }
func (a *args) time(t time.Time) { a.add(nanos(t)) }
func (a *args) scope(s grid.Scope) {
	a.text(s.District, s.Street, s.Community, s.Compound, s.Contractor)
}
func (a *args) actor(by grid.Actor) { a.text(string(by.Role), by.Name, by.Unit) }

func (a *args) flag(b bool) {
	if b {
		a.add(int64(1))
	} else {
		a.add(int64(0))
	}
}

// real keeps out what no column and no JSON can hold: one odd value must not make a
// commit fail for ever.
func (a *args) real(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	a.add(f)
}

func (a *args) blob(b []byte) {
	if b == nil {
		b = []byte{}
	}
	a.add(b)
}

// doc adds v as JSON.
// detail writes a document that is mostly empty: then as nothing.
func (a *args) detail(v grid.AlarmDetail) {
	if reflect.ValueOf(v).IsZero() {
		a.text("")
		return
	}
	a.doc(v)
}

func (a *args) doc(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		a.err = err
	}
	a.text(string(b))
}

func (a *args) pos(p grid.Pos) {
	a.text(p.Lane.String())
	a.num(int64(p.Epoch))
	a.num(int64(p.Seq))
}

// frame writes frameCols.
func (a *args) frame(f *grid.Frame) {
	a.pos(f.Pos)
	a.text(string(f.Identity), f.Transport, f.Source, f.Address, f.Envelope)
	a.num(int64(f.Flags))
	a.text(f.Note)
	a.time(f.Received)
	a.blob(f.Raw)
}

// The years that fit into nanoseconds. A device's clock may say anything; what lies
// outside is kept as the nearest time that can be told.
var (
	firstTime = time.Unix(0, math.MinInt64)
	lastTime  = time.Unix(0, math.MaxInt64)
)

// nanos is how a time is stored: 0 is none, so 1970-01-01 itself becomes its first nanosecond.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(firstTime):
		return math.MinInt64
	case t.After(lastTime):
		return math.MaxInt64
	}
	if n := t.UnixNano(); n != 0 {
		return n
	}
	return 1
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// row reads the values of one row in the order of its table's columns. The first value
// of an unexpected type is kept in err; the rest read as zero.
type row struct {
	vals []driver.Value
	i    int
	err  error
}

func (r *row) next() driver.Value {
	if r.i >= len(r.vals) {
		r.fail("a value")
		return nil
	}
	r.i++
	return r.vals[r.i-1]
}

func (r *row) fail(want string) {
	if r.err == nil {
		r.err = fmt.Errorf("column %d: want %s", r.i, want)
	}
}

func (r *row) text() string {
	s, ok := r.next().(string)
	if !ok {
		r.fail("text")
	}
	return s
}

func (r *row) num() int64 {
	n, ok := r.next().(int64)
	if !ok {
		r.fail("an integer")
	}
	return n
}

func (r *row) real() float64 {
	f, ok := r.next().(float64)
	if !ok {
		r.fail("a real number")
	}
	return f
}

// blob gives nil for an empty or absent one.
func (r *row) blob() []byte {
	switch b := r.next().(type) {
	case nil:
	case []byte:
		if len(b) > 0 {
			return b
		}
	default:
		r.fail("a blob")
	}
	return nil
}

func (r *row) json() []byte {
	if s := r.text(); s != "" {
		return []byte(s)
	}
	return nil
}

func (r *row) flag() bool      { return r.num() != 0 }
func (r *row) time() time.Time { return fromNanos(r.num()) }

func (r *row) scope() grid.Scope {
	return grid.Scope{District: r.text(), Street: r.text(), Community: r.text(), Compound: r.text(), Contractor: r.text()}
}

func (r *row) actor() grid.Actor {
	return grid.Actor{Role: grid.Role(r.text()), Name: r.text(), Unit: r.text()}
}

func (r *row) lane() grid.Lane {
	l, err := grid.ParseLane(r.text())
	if err != nil {
		r.fail("a lane")
	}
	return l
}

func (r *row) outcome() grid.Outcome {
	name := r.text()
	for o := range grid.Outcome(grid.Outcomes) {
		if o.String() == name {
			return o
		}
	}
	r.fail("an outcome")
	return 0
}

func (r *row) pos() grid.Pos {
	return grid.Pos{Lane: r.lane(), Epoch: uint32(r.num()), Seq: uint64(r.num())}
}

func (r *row) frame() grid.Frame {
	return grid.Frame{
		Pos: r.pos(), Identity: grid.Identity(r.text()), Transport: r.text(), Source: r.text(), Address: r.text(),
		Envelope: r.text(), Flags: grid.FrameFlags(r.num()), Note: r.text(), Received: r.time(), Raw: r.blob(),
	}
}
