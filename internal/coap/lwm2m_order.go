package coap

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/grid"
)

// order is a request whose outcome somebody waits for. It gets one try, with its
// retransmissions: whether there is another is for whoever gave it.
type order struct {
	code   codes.Code
	query  []string
	body   []byte
	format int    // of body; -1: there is none
	others []form // of body, for a device that does not take this one

	at   int // bytes of body that the device has
	szx  uint8
	sent bool // once at least

	done chan outcome // room for the one
}

// form is one way to say what an order says.
type form struct {
	format message.MediaType
	body   []byte
}

// outcome is what became of an order.
type outcome struct {
	sent grid.Sent
	err  error
}

// partSize is the exponent of the largest part of a body: 1024 bytes.
const partSize = 6

func newOrder(code codes.Code, body []byte, format message.MediaType) *order {
	o := &order{code: code, body: body, format: int(format), szx: partSize, done: make(chan outcome, 1)}
	if len(body) == 0 && code != codes.PUT {
		o.format = -1
	}
	return o
}

// fill makes the question of what comes next. It is called when that is sent.
func (o *order) fill(q *question) {
	o.sent = true
	q.code, q.query, q.format = o.code, o.query, o.format
	part := block{szx: o.szx}
	part.number = uint32(o.at / part.size())
	end := min(len(o.body), o.at+part.size())
	part.more = end < len(o.body)
	q.body = o.body[o.at:end]
	q.part, q.inParts, q.size = part, part.more || o.at > 0, len(o.body)
}

// give puts an order before a device and waits for its outcome. One for a device that does
// not listen is given back at once, or after a while if it is just waking up: that its word is
// in the journal is known to others before it is known here.
func (s *lwm2m) give(ctx context.Context, reg *registration, path string, o *order) (grid.Sent, error) {
	if err := s.hearsAlone(reg); err != nil {
		return grid.Sent{}, err
	}
	a, err := s.line(reg, path, o)
	if err != nil {
		return grid.Sent{}, err
	}
	s.pump(reg)
	if why := s.deaf(a); why != "" {
		return s.takeBack(a, why)
	}
	patience := time.NewTicker(s.t.cfg.Wake)
	defer patience.Stop()
	for {
		select {
		case out := <-o.done:
			return out.sent, out.err
		case <-ctx.Done():
			return s.takeBack(a, "no answer in time")
		case <-s.t.ctx.Done():
			return s.takeBack(a, "the gateway stops")
		case <-patience.C:
			if why := s.deaf(a); why != "" {
				return s.takeBack(a, why)
			}
		}
	}
}

// hearsAlone makes sure that the peer by which a device spoke may still speak for it: the
// device may have got a key since, or lost it.
func (s *lwm2m) hearsAlone(reg *registration) error {
	s.mu.Lock()
	p := reg.peer
	s.mu.Unlock()
	if p == nil || s.t.keys.permit(p.who, reg.identity) == nil {
		return nil
	}
	return grid.Errorf(grid.Unavailable, "coap %s: %s may not be spoken for by %s any more: it is told when it comes with its key", s.t.cfg.Name, reg.identity, p.wire.address())
}

// line puts an order in a device's line, before what we read by ourselves.
func (s *lwm2m) line(reg *registration, path string, o *order) (*asked, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case reg.gone:
		return nil, grid.Errorf(grid.Unavailable, "coap %s: %s is not registered any more", s.t.cfg.Name, reg.identity)
	case len(reg.asks) >= maxAsked:
		return nil, grid.Errorf(grid.Unavailable, "coap %s: %s has %d requests to answer first", s.t.cfg.Name, reg.identity, maxAsked)
	}
	if !reg.queue {
		reg.asleep = false // it was silent once; somebody wants to know
	}
	at := 0
	for at < len(reg.asks) && (reg.asks[at].sent > 0 || reg.asks[at].order != nil) {
		at++
	}
	return s.insert(reg, at, path, false, o), nil
}

// deaf says why an order that has not been sent cannot be; "": it was, or can.
func (s *lwm2m) deaf(a *asked) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	reg, now := a.obs.reg, s.t.cfg.Now()
	switch {
	case a.order.sent || len(a.order.done) > 0 || reg.listens(s.t.cfg.City()) || now.Sub(reg.stirs) < s.t.cfg.Wake:
		return ""
	case reg.peer == nil:
		return "it has not spoken since the gateway started; it is told when it does"
	}
	return "it sleeps, or does not answer, since " + reg.heard.Format(time.RFC3339) + "; it is told when it speaks"
}

// takeBack ends an order that nobody waits for any more, unless its outcome has come.
func (s *lwm2m) takeBack(a *asked, why string) (grid.Sent, error) {
	s.mu.Lock()
	select {
	case out := <-a.order.done:
		s.mu.Unlock()
		return out.sent, out.err
	default:
	}
	out := s.unanswered(a, why)
	s.done(a, false)
	s.mu.Unlock()
	s.pump(a.obs.reg)
	return out.sent, out.err
}

// unanswered is the outcome of an order that has no answer.
func (s *lwm2m) unanswered(a *asked, why string) outcome {
	who := fmt.Sprintf("coap %s: %s: %s", s.t.cfg.Name, a.obs.reg.identity, why)
	if a.order.sent && a.order.code != codes.GET {
		return outcome{err: grid.Errorf(grid.Unavailable, "%s: %w", who, grid.ErrMayHaveBeenSent)}
	}
	return outcome{err: grid.Errorf(grid.Unavailable, "%s", who)}
}

// finish ends an order. It wants s.mu.
func (s *lwm2m) finish(a *asked, out outcome) {
	s.done(a, false)
	select {
	case a.order.done <- out:
	default: // it has one
	}
}

// ordered takes a device's answer to an order, or to a part of it. It wants s.mu.
func (s *lwm2m) ordered(a *asked, v *answerOf) {
	o := a.order
	last := o.at+block{szx: o.szx}.size() >= len(o.body)
	switch {
	case len(o.others) > 0 && (v.code == codes.UnsupportedMediaType || v.code == codes.NotAcceptable):
		next := o.others[0]
		o.body, o.format, o.others, o.at = next.body, int(next.format), o.others[1:], 0
		s.landed(a)
	case v.code == codes.RequestEntityTooLarge && v.hasPart && v.part.szx < o.szx && o.at == 0 && len(o.body) > (block{szx: v.part.szx}).size():
		o.szx = v.part.szx
		s.landed(a)
	case v.code>>5 != 2:
		s.finish(a, outcome{err: s.refusal(a, v)})
	case o.code == codes.GET:
		whole, err := s.nextBlock(a, v)
		switch {
		case err != nil:
			s.finish(a, outcome{err: err})
		case whole:
			s.finish(a, outcome{sent: grid.Sent{State: grid.DownlinkAcknowledged, Answer: render(v.format, v.hasFormat, a.value)}})
		}
	case last && v.code != codes.Continue:
		s.finish(a, outcome{sent: grid.Sent{State: grid.DownlinkAcknowledged, Answer: words(v)}})
	case last || !v.hasPart || v.part.number != uint32(o.at/block{szx: o.szx}.size()) || v.part.szx > o.szx:
		s.finish(a, outcome{err: grid.Errorf(grid.Invalid, "coap %s: %s does not take %d bytes in parts: it answers %s", s.t.cfg.Name, a.obs.reg.identity, len(o.body), words(v))})
	default:
		o.at += block{szx: o.szx}.size()
		o.szx = v.part.szx // smaller ones from here on, if it wants that
		s.landed(a)
	}
}

// refusal is the error of a device that refuses. Who is only busy may take it later.
func (s *lwm2m) refusal(a *asked, v *answerOf) error {
	code := grid.Invalid
	switch v.code {
	case codes.NotFound:
		code = grid.NotFound
	case codes.Unauthorized, codes.Forbidden:
		code = grid.Forbidden
	case codes.ServiceUnavailable, codes.TooManyRequests, codes.GatewayTimeout:
		code = grid.Unavailable
	}
	return grid.Errorf(code, "coap %s: %s refuses %s: %s", s.t.cfg.Name, a.obs.reg.identity, a.obs.path, words(v))
}

// words is an answer for a person: 4.04 not found, and what the device says of it.
func words(v *answerOf) string {
	name := map[codes.Code]string{
		codes.Created: "created", codes.Deleted: "deleted", codes.Valid: "valid", codes.Changed: "changed", codes.Content: "content", codes.Continue: "continue",
		codes.BadRequest: "bad request", codes.Unauthorized: "unauthorized", codes.BadOption: "bad option", codes.Forbidden: "forbidden",
		codes.NotFound: "not found", codes.MethodNotAllowed: "method not allowed", codes.NotAcceptable: "not acceptable",
		codes.RequestEntityIncomplete: "request entity incomplete", codes.PreconditionFailed: "precondition failed",
		codes.RequestEntityTooLarge: "request entity too large", codes.UnsupportedMediaType: "unsupported content format",
		codes.TooManyRequests: "too many requests", codes.InternalServerError: "internal server error", codes.NotImplemented: "not implemented",
		codes.BadGateway: "bad gateway", codes.ServiceUnavailable: "service unavailable", codes.GatewayTimeout: "gateway timeout",
	}[v.code]
	text := strings.TrimSpace(fmt.Sprintf("%d.%02d %s", v.code>>5, v.code&31, name))
	if said := string(v.payload); said != "" && printable(said) {
		text += ": " + said[:min(len(said), maxWords)]
	}
	return text
}

const maxWords = 200
