package trace

import (
	"crypto/sha256"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	otel "go.opentelemetry.io/otel/trace"

	"gridgate/internal/grid"
)

// What is told, and all that is told of it. A name of a person, an address, a telephone number,
// a device or a point is none of it, nor the words of an error, which may have one.

const failed = codes.Error

// threshold is the number below which a share of all numbers lies.
func threshold(share float64) uint64 {
	switch {
	case share >= 1:
		return math.MaxUint64
	case share <= 0:
		return 0
	}
	return uint64(share * math.MaxUint64)
}

// Follows reports whether a frame is one whose way is told. It is the same at each asking, and
// after a restart.
func (t *Tracer) Follows(p grid.Pos) bool {
	if t == nil {
		return false
	}
	most := t.bulk
	if p.Lane == grid.Safety {
		most = t.safety
	}
	return most != 0 && mixed(p) <= most
}

// mixed spreads positions evenly (the finalizer of splitmix64).
func mixed(p grid.Pos) uint64 {
	z := p.Seq + uint64(p.Epoch)<<40 + uint64(p.Lane)<<63 + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// some reports whether one of what is told by its share is.
func (t *Tracer) some(took time.Duration, wrong bool) bool {
	return wrong || took >= slow || t.bulk != 0 && rand.Uint64() <= t.bulk
}

// named makes the ids of a trace and its first span out of a name.
func (t *Tracer) named(what, id string) otel.SpanContext {
	sum := sha256.Sum256([]byte(what + "\x00" + t.cfg.Instance + "\x00" + id))
	return otel.NewSpanContext(otel.SpanContextConfig{TraceID: otel.TraceID(sum[:16]), SpanID: otel.SpanID(sum[16:24]), TraceFlags: otel.FlagsSampled})
}

// TraceOf is the id of the trace of a frame; ok: its way is told.
func (t *Tracer) TraceOf(p grid.Pos) (id string, ok bool) {
	if !t.Follows(p) {
		return "", false
	}
	return t.named("frame", p.String()).TraceID().String(), true
}

// Accepted is told of frames that the journal has made durable, so that they are acknowledged;
// began is when they were handed to it. stamps: the times at which they came are by the same clock.
func (t *Tracer) Accepted(frames []grid.Frame, began time.Time, stamps bool) {
	if t == nil {
		return
	}
	var ended time.Time
	for i := range frames {
		f := &frames[i]
		if !t.Follows(f.Pos) {
			continue
		}
		if ended.IsZero() {
			ended = t.Now()
		}
		came := began
		if stamps && f.Received.Before(began) {
			came = f.Received
		}
		own := t.named("frame", f.Pos.String())
		t.tell(span{name: "frame", kind: otel.SpanKindConsumer, began: came, ended: ended, own: own, attributes: []attribute.KeyValue{
			attribute.String("gridgate.frame", f.Pos.String()), attribute.String("gridgate.lane", f.Pos.Lane.String()),
			attribute.String("gridgate.transport", f.Transport), attribute.String("gridgate.source", f.Source),
			attribute.Int("gridgate.bytes", len(f.Raw)), attribute.Bool("gridgate.redelivered", f.Flags&grid.Redelivered != 0),
		}})
		t.tell(span{name: "journal", began: began, ended: ended, parent: own, attributes: []attribute.KeyValue{attribute.Int("gridgate.frames", len(frames))}})
	}
}

// Decoded is told what a profile made of a frame that is followed.
func (t *Tracer) Decoded(p grid.Pos, began time.Time, profile string, readings int, well bool) {
	if t == nil {
		return
	}
	t.tell(span{name: "decode", began: began, ended: t.Now(), parent: t.named("frame", p.String()), failed: !well, attributes: []attribute.KeyValue{
		attribute.String("gridgate.profile", profile), attribute.Int("gridgate.readings", readings),
	}})
}

// Turn is one commit of the engine.
type Turn struct {
	Began, Decided   time.Time // it is over now
	Frames, Commands int
	Followed         []grid.Pos // of the frames
	Events           []grid.Event
	Tickets          int
	Deliveries       []grid.Delivery
	SeriesBytes      int
}

// Turn tells a turn, and what became of the frames in it that are followed.
func (t *Tracer) Turn(turn Turn) {
	if t == nil {
		return
	}
	ended := t.Now()
	var links []otel.Link
	if t.some(ended.Sub(turn.Began), false) {
		of := t.tell(span{name: "engine turn", began: turn.Began, ended: ended, attributes: []attribute.KeyValue{
			attribute.Int("gridgate.frames", turn.Frames), attribute.Int("gridgate.commands", turn.Commands), attribute.Int("gridgate.events", len(turn.Events)),
			attribute.Int("gridgate.tickets", turn.Tickets), attribute.Int("gridgate.deliveries", len(turn.Deliveries)), attribute.Int("gridgate.series_bytes", turn.SeriesBytes),
			attribute.Float64("gridgate.commit_seconds", ended.Sub(turn.Decided).Seconds()),
		}})
		links = []otel.Link{{SpanContext: of}}
	}
	tickets := map[string]otel.SpanContext{} // the span that each was told by
	for _, p := range turn.Followed {
		state := t.tell(span{name: "state", began: turn.Began, ended: ended, parent: t.named("frame", p.String()), links: links})
		t.eventsOf(p.String(), state, turn, ended, tickets)
	}
	for i := range turn.Deliveries {
		t.opened(&turn.Deliveries[i], tickets[turn.Deliveries[i].Ticket], turn.Decided)
	}
}

// eventsOf tells what a frame has raised, and which ticket that led to.
func (t *Tracer) eventsOf(frame string, state otel.SpanContext, turn Turn, ended time.Time, tickets map[string]otel.SpanContext) {
	for i := range turn.Events {
		e := &turn.Events[i]
		if e.Frame != frame {
			continue
		}
		event := t.tell(span{name: "event", began: turn.Decided, ended: ended, parent: state, attributes: []attribute.KeyValue{
			attribute.String("gridgate.event", e.ID), attribute.String("gridgate.type", string(e.Type)), attribute.String("gridgate.action", e.Action),
			attribute.Int("gridgate.priority", int(e.Priority)), attribute.String("gridgate.mode", string(e.Mode)),
		}})
		if e.Ticket == "" {
			continue
		}
		if _, told := tickets[e.Ticket]; !told {
			tickets[e.Ticket] = t.tell(span{name: "ticket", began: turn.Decided, ended: ended, parent: event, attributes: []attribute.KeyValue{attribute.String("gridgate.ticket", e.Ticket)}})
		}
	}
}

// delivery is one that has not met its fate.
type delivery struct {
	own, parent                  otel.SpanContext
	began                        time.Time
	ticket, unit, connector, typ string
	priority                     int
}

// opened remembers a delivery that is new, with the ticket's span that it follows from.
func (t *Tracer) opened(d *grid.Delivery, parent otel.SpanContext, began time.Time) {
	if d.State != grid.DeliveryPending || d.Attempts != 0 || t.open.Contains(d.ID) {
		return
	}
	own := t.named("delivery", d.ID)
	if parent.IsValid() {
		own = own.WithTraceID(parent.TraceID())
	}
	t.open.Add(d.ID, delivery{own, parent, began, d.Ticket, d.Unit, d.Connector, d.Type, int(d.Priority)})
}

// Attempt tells an attempt at a delivery that is over now; state is what has become of the
// delivery, which is told with it once no more will be tried.
func (t *Tracer) Attempt(id string, a grid.Attempt, state grid.DeliveryState) {
	if t == nil {
		return
	}
	now := t.Now()
	d, known := t.open.Get(id)
	if !known { // made before this start
		d = delivery{own: t.named("delivery", id), began: now.Add(-a.Took)}
		t.open.Add(id, d)
	}
	wrong := a.Error != ""
	said := []attribute.KeyValue{attribute.String("gridgate.delivery", id), attribute.Int("gridgate.attempt", a.N)}
	if a.Status != 0 {
		said = append(said, attribute.Int("http.response.status_code", a.Status))
	}
	if wrong {
		said = append(said, attribute.String("error.type", errorType(a)))
	}
	t.tell(span{name: "delivery attempt", kind: otel.SpanKindClient, began: now.Add(-a.Took), ended: now, parent: d.own, failed: wrong, attributes: said})
	if state == grid.DeliveryPending {
		return
	}
	t.open.Remove(id)
	t.tell(span{name: "delivery", kind: otel.SpanKindProducer, began: d.began, ended: now, own: d.own, parent: d.parent, failed: state == grid.DeliveryDead, attributes: []attribute.KeyValue{
		attribute.String("gridgate.delivery", id), attribute.String("gridgate.ticket", d.ticket), attribute.String("gridgate.unit", d.unit),
		attribute.String("gridgate.connector", d.connector), attribute.String("gridgate.type", d.typ), attribute.Int("gridgate.priority", d.priority),
		attribute.String("gridgate.state", string(state)), attribute.Int("gridgate.attempts", a.N),
	}})
}

// errorType is the kind of a failure, without its words.
func errorType(a grid.Attempt) string {
	if a.Status != 0 {
		return strconv.Itoa(a.Status)
	}
	return "not_reached"
}

// Wrote tells a write to InfluxDB that is over now.
func (t *Tracer) Wrote(began time.Time, lines, bytes int, well bool) {
	if t == nil {
		return
	}
	ended := t.Now()
	if !t.some(ended.Sub(began), !well) {
		return
	}
	t.tell(span{name: "influxdb write", kind: otel.SpanKindClient, began: began, ended: ended, failed: !well, attributes: []attribute.KeyValue{
		attribute.String("db.system.name", "influxdb"), attribute.Int("gridgate.lines", lines), attribute.Int("gridgate.bytes", bytes),
	}})
}

// Request is an HTTP request that was answered.
type Request struct {
	Method string
	Route  string // its pattern: ids are not in it
	Role   string // of who asked
	Code   int
	Began  time.Time
}

// Answered tells a request that is over now.
func (t *Tracer) Answered(r Request) {
	if t == nil {
		return
	}
	ended := t.Now()
	if !t.some(ended.Sub(r.Began), r.Code >= 500) {
		return
	}
	t.tell(span{name: "HTTP " + r.Route, kind: otel.SpanKindServer, began: r.Began, ended: ended, failed: r.Code >= 500, attributes: []attribute.KeyValue{
		attribute.String("http.request.method", r.Method), attribute.String("http.route", r.Route),
		attribute.Int("http.response.status_code", r.Code), attribute.String("gridgate.role", r.Role),
	}})
}
