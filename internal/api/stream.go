package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gridgate/internal/grid"
)

const (
	queueLength  = 1024 // messages a reader may lag behind before it is cut
	replayPage   = 256
	writeTimeout = 10 * time.Second
)

// Change is what one commit changed, as far as watchers care.
type Change struct {
	Events     []grid.Event
	Alarms     []grid.Alarm
	Tickets    []grid.Ticket
	Moves      []grid.MoveRecord
	Deliveries []grid.Delivery
	Downlinks  []grid.Downlink
	Windows    []grid.Window
	Postures   []grid.Posture
	Visits     []grid.Visit
	Seats      []grid.Seat
	Handovers  []grid.Handover
	Strangers  []grid.Discovered // heard for the first time
}

// Publish tells the stream's readers what has been committed. It never blocks: a reader
// whose queue is full is cut, and resumes from the store by its last event id.
func (s *Server) Publish(c Change) { s.hub.publish(c) }

// Message is one message of the stream.
type Message struct {
	ID   string          `json:"id,omitempty"` // of an event: resume after it
	Name string          `json:"event"`        // event, alarm, ticket, move, delivery, downlink, window, posture, seat, handover, discovered, gap
	Data json.RawMessage `json:"data"`
}

// note is a message before it is encoded: encoding is the reader's work, not the engine's.
type note struct {
	id   string
	name string
	data any
}

// notes flattens a change into messages, cause before consequence.
func (c Change) notes() []note {
	var out []note
	for _, e := range c.Events {
		out = append(out, note{e.ID, "event", e})
	}
	for _, a := range c.Alarms {
		out = append(out, note{"", "alarm", a})
	}
	for _, t := range c.Tickets {
		out = append(out, note{"", "ticket", t})
	}
	for _, m := range c.Moves {
		out = append(out, note{"", "move", m})
	}
	for _, d := range c.Deliveries {
		out = append(out, note{"", "delivery", d})
	}
	for _, d := range c.Downlinks {
		out = append(out, note{"", "downlink", d})
	}
	for _, w := range c.Windows {
		out = append(out, note{"", "window", shown(w)})
	}
	for _, p := range c.Postures {
		out = append(out, note{"", "posture", p})
	}
	for _, v := range c.Visits {
		out = append(out, note{"", "visit", v})
	}
	for _, v := range c.Seats {
		v.Session = ""
		out = append(out, note{"", "seat", v})
	}
	for _, h := range c.Handovers {
		out = append(out, note{"", "handover", h})
	}
	for _, d := range c.Strangers {
		out = append(out, note{"", "discovered", d})
	}
	return out
}

// visible reports whether by may see n: a unit its own tickets and deliveries, a maintenance
// contractor also the alarms that windows cover at the points in its hands.
func (n *note) visible(by grid.Actor, hands string) bool {
	if looksOn(by) {
		switch n.data.(type) {
		case grid.Event, grid.Alarm, grid.Ticket, grid.Delivery, grid.Window, grid.Posture, grid.Seat:
			return true
		}
		return false
	}
	if by.Role != grid.RoleUnit {
		return true
	}
	switch v := n.data.(type) {
	case grid.Ticket:
		return mayRead(by, &v)
	case grid.Delivery:
		return v.Unit == by.Unit
	case grid.Window:
		return v.Holder == by.Unit
	case grid.Visit:
		return hands != "" && v.Contractor == hands
	case grid.Alarm: // "is it you?" is asked of those who work there
		return v.Cover != nil && hands != "" && v.Contractor == hands
	}
	return false
}

// hub hands messages to readers.
type hub struct {
	mu      sync.Mutex
	readers map[*reader]struct{}
	closed  bool
}

// reader is one open stream. notes is closed when it is cut.
type reader struct {
	by    grid.Actor
	hands string     // the contractor in whose name by works, "" for none
	part  grid.Scope // that by is limited to; zero: the whole district
	notes chan note
}

func (r *reader) limited() bool { return r.part != grid.Scope{} }

// outside reports whether a message lies outside of a part for sure.
func (n *note) outside(part *grid.Scope) bool {
	in, sure := n.liesIn(part)
	return sure && !in
}

func newHub() *hub { return &hub{readers: map[*reader]struct{}{}} }

func (h *hub) publish(c Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.readers) == 0 {
		return
	}
	for _, n := range c.notes() {
		for r := range h.readers {
			if !n.visible(r.by, r.hands) || r.limited() && n.outside(&r.part) {
				continue
			}
			select {
			case r.notes <- n:
			default:
				h.cut(r)
			}
		}
	}
}

func (h *hub) subscribe(by grid.Actor, hands string) (*reader, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, grid.Errorf(grid.Unavailable, "the gateway is stopping")
	}
	r := &reader{by: by, hands: hands, part: partOf(by), notes: make(chan note, queueLength)}
	h.readers[r] = struct{}{}
	return r, nil
}

func (h *hub) unsubscribe(r *reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut(r)
}

// cut ends a reader's stream after what it still has queued. Call with mu held.
func (h *hub) cut(r *reader) {
	if _, there := h.readers[r]; there {
		delete(h.readers, r)
		close(r.notes)
	}
}

// close ends every stream and lets no new one begin.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for r := range h.readers {
		h.cut(r)
	}
}

type streamInput struct {
	LastEventID string `header:"Last-Event-ID" doc:"Events after this one come first."`
}

func (s *Server) streamRoute(api huma.API) {
	op := get("/stream", "stream", "stream", "Server-sent events: what changes, as it is committed")
	op.Description = "Messages are named event, alarm, ticket, move, delivery, downlink, window, posture, seat and handover, with the same bodies as the lists. " +
		"Events carry ids: a reader that was cut (because it was slow, or the line broke) sends the last one as Last-Event-ID " +
		"and misses no event; if that one is not kept any more, a message named gap says so. The other messages tell that a row " +
		"has changed and are not repeated: after a break, read the lists."
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The stream; it ends only with the gateway or the reader.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	route(s, api, viewers|units|walls, 0, op, s.stream)
}

func (s *Server) stream(ctx context.Context, by grid.Actor, in *streamInput) (*huma.StreamResponse, error) {
	hands, err := s.hands(ctx, by)
	if err != nil {
		return nil, err
	}
	r, err := s.hub.subscribe(by, hands)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer s.hub.unsubscribe(r)
		_, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Accel-Buffering", "no") // or a proxy in front collects messages
		out := &sseWriter{w: w, ctl: http.NewResponseController(w)}
		if err := s.feed(ctx, out, r, in.LastEventID); err != nil && ctx.Err() == nil {
			s.Log.Debug("stream ended", "err", err)
		}
	}}, nil
}

// feed writes the past that the reader missed, then what comes, until it is cut. The
// reader was subscribed before the past is read, so nothing falls between the two; what
// is in both is sent once.
func (s *Server) feed(ctx context.Context, out *sseWriter, r *reader, after string) error {
	if err := out.comment("gridgate stream"); err != nil {
		return err
	}
	var told []string
	if after != "" && r.by.Role != grid.RoleUnit {
		var err error
		if told, err = s.replayEvents(ctx, out, r.by, after); err != nil {
			return err
		}
	}
	beat := time.NewTicker(s.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
			if err := out.comment("heartbeat"); err != nil {
				return err
			}
		case n, more := <-r.notes:
			if !more {
				return errors.New("cut: the queue was full, or the gateway stops")
			}
			if n.id != "" && slices.Contains(told, n.id) {
				continue
			}
			if r.limited() {
				var in bool
				if n, in = s.forPart(ctx, n, r.part); !in {
					continue
				}
			}
			if err := out.send(n.forEyes(r.by)); err != nil {
				return err
			}
		}
	}
}

// forEyes is n as by may see it.
func (n note) forEyes(by grid.Actor) note {
	if !looksOn(by) {
		return n
	}
	switch v := n.data.(type) {
	case grid.Event:
		n.data = bare(v)
	case grid.Alarm:
		n.data = bare(v)
	case grid.Ticket:
		n.data = bare(v)
	case grid.Delivery:
		n.data = bare(v)
	case grid.Window:
		n.data = bare(v)
	case grid.Posture:
		n.data = bare(v)
	case grid.Seat:
		n.data = bare(v)
	}
	return n
}

// replayEvents sends the events after the given one and returns the ids of the last of
// them: as many as can also wait in the reader's queue.
func (s *Server) replayEvents(ctx context.Context, out *sseWriter, by grid.Actor, after string) (told []string, err error) {
	for {
		page, cancel := context.WithTimeout(ctx, answerWithin)
		events, err := s.Store.EventsAfter(page, after, replayPage)
		cancel()
		if grid.CodeOf(err) == grid.NotFound { // too old to be kept: the reader must read the lists
			return told, out.send(note{"", "gap", struct{}{}})
		}
		if err != nil {
			return told, err
		}
		part := partOf(by)
		for _, e := range events {
			after = e.ID
			if !agrees(&e.Scope, &part) {
				continue
			}
			if err := out.send(note{e.ID, "event", e}.forEyes(by)); err != nil {
				return told, err
			}
			told = append(told, e.ID)
		}
		if extra := len(told) - queueLength; extra > 0 {
			told = slices.Delete(told, 0, extra)
		}
		if len(events) < replayPage {
			return told, nil
		}
	}
}

// sseWriter writes server-sent events, each within a deadline.
type sseWriter struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
}

func (o *sseWriter) send(n note) error {
	data, err := json.Marshal(n.data)
	if err != nil {
		return err
	}
	text := fmt.Appendf(nil, "event: %s\n", n.name)
	if n.id != "" {
		text = fmt.Appendf(text, "id: %s\n", n.id)
	}
	return o.write(fmt.Appendf(text, "data: %s\n\n", data))
}

func (o *sseWriter) comment(text string) error { return o.write([]byte(": " + text + "\n\n")) }

func (o *sseWriter) write(b []byte) error {
	if err := o.ctl.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := o.w.Write(b); err != nil {
		return err
	}
	return o.ctl.Flush()
}
