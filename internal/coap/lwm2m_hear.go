package coap

import (
	"bytes"
	"fmt"
	"net/url"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"

	"gridgate/internal/grid"
)

// answerOf is what of a device's answer or notification concerns us.
type answerOf struct {
	token      string
	code       codes.Code
	format     uint16
	hasFormat  bool
	observe    uint32
	hasObserve bool
	block      block
	etag       string
	part       block // Block1: how far the device has what we send it
	hasPart    bool
	payload    []byte
}

// hear takes what is no request: acknowledgements, answers to what we asked, notifications.
// go-coap does not see them: it would acknowledge a notification before it is durable.
func (s *lwm2m) hear(p *peer, m *pool.Message) (taken bool) {
	w, ok := p.wire.(asker)
	if !ok || p.stream && (m.Code() == codes.Empty || m.Code() >= codes.CSM) { // of the connection itself
		return false
	}
	defer func() {
		if e := recover(); e != nil {
			taken = true
			s.t.tally.Fault("answer failed", grid.Errorf(grid.Internal, "coap %s: an answer made the gateway panic: %v", s.t.cfg.Name, e))
		}
	}()
	p.on.heard(p, s.t.cfg.Now())
	key := exchangeKey{addr: p.addr, session: p.session, id: uint16(m.MessageID())}
	if m.Code() == codes.Empty {
		return s.acknowledged(key, m.Type())
	}
	body, err := m.ReadBody()
	if err != nil || m.Code() < codes.Created {
		return true
	}
	v := readAnswer(m, bytes.Clone(body))
	s.mu.Lock()
	o := s.byToken[v.token]
	known := o != nil && !o.reg.gone
	again := false
	if known && !p.stream && m.Type() == message.Acknowledgement {
		a := o.pending()
		again = a == nil || a.key.id != key.id
	}
	s.mu.Unlock()
	if again {
		return true // the same answer once more: our request was repeated
	}
	if !known || s.t.keys.permit(p.who, o.reg.identity) != nil {
		if m.Type() != message.Acknowledgement {
			_ = w.signal(message.Reset, m.MessageID()) // RFC 7641, 3.6: the device need not go on
		}
		return true
	}
	x := &exchange{p: p, con: !p.stream && m.Type() == message.Confirmable, id: m.MessageID(), token: m.Token(), control: m.ControlMessage(), heard: true}
	s.answer(x, o, &v, key)
	return true
}

func readAnswer(m *pool.Message, body []byte) answerOf {
	v := answerOf{token: string(m.Token()), code: m.Code(), payload: body}
	for _, o := range m.Options() {
		n, _, err := message.DecodeUint32(o.Value)
		if err != nil {
			n = 0
		}
		switch o.ID {
		case message.ContentFormat:
			v.format, v.hasFormat = uint16(n), true
		case message.Observe:
			v.observe, v.hasObserve = n, true
		case message.Block2:
			v.block = readBlock(n)
		case message.Block1:
			v.part, v.hasPart = readBlock(n), true
		case message.ETag:
			v.etag = string(o.Value)
		}
	}
	return v
}

// acknowledged takes an empty message: the device has our request and answers later, or
// does not know what we mean.
func (s *lwm2m) acknowledged(key exchangeKey, typ message.Type) bool {
	s.mu.Lock()
	a := s.byID[key]
	switch {
	case a == nil || typ != message.Acknowledgement && typ != message.Reset:
		s.mu.Unlock()
		return typ != message.Confirmable // a ping is go-coap's
	case typ == message.Acknowledgement:
		a.acked, a.due = true, s.t.cfg.Now().Add(answerTimeout)
		delete(s.byID, a.key)
	case a.order != nil:
		s.finish(a, outcome{err: grid.Errorf(grid.Unavailable, "coap %s: %s does not know what is meant (reset): it may have begun anew", s.t.cfg.Name, a.obs.reg.identity)})
	default:
		s.done(a, false)
	}
	s.mu.Unlock()
	s.pump(a.obs.reg)
	return true
}

// answer takes an answer or notification of a known token.
func (s *lwm2m) answer(x *exchange, o *observation, v *answerOf, key exchangeKey) {
	now := s.t.cfg.Now()
	if x.con {
		// A repeated one is answered as the first was, or not yet.
		x.key = key
		r := request{code: v.code, format: v.format, payload: v.payload, path: []string{fmt.Sprint(v.observe, v.block)}}
		seen, reply, first := s.t.exchanges.take(x.key, r.hash(s.t.seed, x.token), now)
		if !first {
			s.t.repeated.Add(1)
			if reply != nil {
				_ = x.p.answer(x, reply)
			}
			return
		}
		x.seen = seen
	}
	x.done = &reply{code: codes.Empty, format: -1}
	if !x.p.allow(now, 1) {
		s.t.limited.Add(1)
		s.t.turnAway(x, s.t.later("too many notifications"))
		return
	}
	s.mu.Lock()
	a := o.pending()
	s.speaks(o.reg, x, a)
	var value []byte
	switch {
	case a != nil && a.order != nil:
		s.ordered(a, v)
	case v.code >= codes.BadRequest:
		s.refused(o, a, v)
	case a != nil:
		value = s.answered(a, v)
	default:
		value = s.notified(o, v, now)
	}
	reg, path := o.reg, o.path
	s.mu.Unlock()
	if len(value) == 0 {
		s.t.finish(x, x.done)
	} else {
		s.deliver(x, reg, path, v, value)
	}
	s.pump(reg)
}

// pending is the request that waits for an answer with this token.
func (o *observation) pending() *asked {
	for _, a := range o.reg.asks {
		if a.obs == o && !o.lasts {
			return a
		}
	}
	return nil
}

// refused takes an answer that is an error. It ends an observation, too. It wants s.mu.
func (s *lwm2m) refused(o *observation, a *asked, v *answerOf) {
	s.t.log.Debug("device refuses", "device", o.reg.identity, "path", o.path, "code", v.code)
	if a == nil {
		s.forget(o)
		return
	}
	if a.observe && v.code < codes.InternalServerError {
		o.reg.refused[o.path] = true // until it registers again
	}
	s.done(a, false)
}

// answered takes the answer to a request, or a block of it, and gives the value when it is
// whole. It wants s.mu.
func (s *lwm2m) answered(a *asked, v *answerOf) []byte {
	if v.block.more || a.block > 0 {
		return s.blockOf(a, v)
	}
	s.done(a, a.observe && v.hasObserve)
	if a.obs.lasts {
		a.obs.seq, a.obs.at = v.observe, s.t.cfg.Now()
	}
	return v.payload
}

// blockOf takes a block of a value (RFC 7959, Block2). It wants s.mu.
func (s *lwm2m) blockOf(a *asked, v *answerOf) []byte {
	if v.block.more && a.block == 0 && a.observe {
		// The value is fetched as one: a notification may come between its blocks.
		s.done(a, v.hasObserve)
		if a.obs.lasts {
			a.obs.seq, a.obs.at = v.observe, s.t.cfg.Now()
		}
		s.ask(a.obs.reg, a.obs.path, false)
		return nil
	}
	whole, err := s.nextBlock(a, v)
	if err != nil {
		s.t.tally.Fault("value is not whole", err)
		s.done(a, false)
		return nil
	}
	if !whole {
		return nil
	}
	s.done(a, false)
	return a.value
}

// nextBlock adds a block to a value; unless that makes it whole, the next one is asked for.
// It wants s.mu.
func (s *lwm2m) nextBlock(a *asked, v *answerOf) (whole bool, err error) {
	n := len(v.payload) / v.block.size() // several over TCP
	follows := v.block.offset() == len(a.value) && (a.block == 0 || v.etag == a.etag)
	even := len(v.payload)%v.block.size() == 0 && (n == 1 || n > 1 && v.block.szx == badBlock)
	if !follows || len(a.value)+len(v.payload) > s.t.cfg.MaxPayload || v.block.more && !even {
		return false, grid.Errorf(grid.Invalid, "coap %s: %s%s: block %d does not follow, or the value has more than %d bytes", s.t.cfg.Name, a.obs.reg.identity, a.obs.path, v.block.number, s.t.cfg.MaxPayload)
	}
	a.value, a.etag = append(a.value, v.payload...), v.etag
	if !v.block.more {
		return true, nil
	}
	s.landed(a)
	a.block, a.szx, a.tries = v.block.number+uint32(n), v.block.szx, 0
	return false, nil
}

// notified takes a notification. One that was overtaken is taken too, for it may be the
// alarm, and the resource is read once more, so that what holds now comes last. It wants s.mu.
func (s *lwm2m) notified(o *observation, v *answerOf, now time.Time) []byte {
	if !v.hasObserve { // the last word: the device notifies no more (RFC 7641, 3.2)
		s.forget(o)
		s.ask(o.reg, o.path, true)
		return v.payload
	}
	if o.at.IsZero() || newer(o.seq, v.observe) || now.Sub(o.at) > freshFor {
		o.seq, o.at = v.observe, now
	} else if v.observe != o.seq {
		s.ask(o.reg, o.path, false)
	}
	if v.block.more {
		s.ask(o.reg, o.path, false)
		return nil
	}
	return v.payload
}

const freshFor = 128 * time.Second

// newer compares numbers of notifications, which wrap (RFC 7641, 3.4).
func newer(was, is uint32) bool {
	return was < is && is-was < 1<<23 || was > is && was-is > 1<<23
}

// deliver puts a value on its way to the journal; a notification is acknowledged when it is there.
func (s *lwm2m) deliver(x *exchange, reg *registration, path string, v *answerOf, value []byte) {
	address := "/up/" + url.PathEscape(string(reg.identity)) + "?"
	if v.hasFormat {
		address += fmt.Sprintf("ct=%d&", v.format)
	}
	var flags grid.FrameFlags
	if !x.con {
		flags = grid.Unacknowledged
	}
	x.frame = s.t.wire.Frame(address+"path="+url.QueryEscape(path), value, flags)
	reg.traffic.Frame(x.frame.Received)
	s.t.enqueue(x)
}
