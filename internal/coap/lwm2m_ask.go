package coap

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	coapnet "github.com/plgd-dev/go-coap/v3/net"

	"gridgate/internal/grid"
)

// How a request is repeated (RFC 7252, 4.8), and how often in all.
const (
	ackTimeout    = 3 * time.Second // NB-IoT needs more than the usual 2 s
	maxRetransmit = 4
	answerTimeout = 60 * time.Second // an acknowledged request may be answered later
	maxTries      = 5                // times that a device wakes up
)

// asked is a request for a device. One at a time is on its way to each.
type asked struct {
	obs     *observation
	observe bool
	order   *order // somebody waits for its outcome; nil: we read by ourselves

	key   exchangeKey // of the message on its way
	sent  int         // times; 0: it waits for its turn
	due   time.Time   // when it is sent again, or given up
	acked bool        // the answer comes later
	tries int
	block uint32 // of a value in blocks, the one that is asked for
	szx   uint8
	etag  string
	value []byte
}

// knownObjects are those whose values our profiles of objects understand; which of them
// a profile uses it says itself.
var knownObjects = []uint16{
	502, 503, 3200, 3302, 3303, 3313, 3314, 3320, 3330, 3342, 3347, 3407, 3408, 3411, 3427, 3429, 3431, 3435, 3451, 10281, 10285, 10351,
}

const (
	deviceObject     = 3
	connectionObject = 4
	containerObject  = 19 // its resource 0 carries the frames of a maker's own
)

// wanted is what is asked of a device: read once, and observed. Of a device without a
// profile it is what we know.
//
// Objects 3 and 4 hold a clock and the strength of the radio, which change all the time.
// They are read when the device registers and twice a day at most with its updates; of 3
// what the profile names is observed by itself.
func wanted(has objects, profile []string) (read, observe []string) {
	add := func(to *[]string, path string) {
		if !slices.Contains(*to, path) && len(read)+len(observe) < maxAsked {
			*to = append(*to, path)
		}
	}
	names := func(object int) bool {
		return len(profile) == 0 || slices.ContainsFunc(profile, func(path string) bool {
			return strings.HasPrefix(strings.TrimPrefix(path, "/"), strconv.Itoa(object)+"/")
		})
	}
	for _, i := range has.instances {
		switch {
		case i.object == deviceObject || i.object == connectionObject:
			if names(int(i.object)) {
				add(&read, i.String())
			}
		case i.object == containerObject && len(profile) == 0 && i.id == 0:
			add(&observe, i.String()+"/0")
		case len(profile) == 0 && slices.Contains(knownObjects, i.object):
			add(&observe, i.String())
		}
	}
	for _, want := range profile {
		object, rest, _ := strings.Cut(strings.Trim(want, "/"), "/")
		id, resource, whole := strings.Cut(rest, "/")
		if object == strconv.Itoa(connectionObject) || object == strconv.Itoa(deviceObject) && !whole {
			continue
		}
		for _, i := range has.instances {
			if object != strconv.Itoa(int(i.object)) || id != "#" && id != strconv.Itoa(int(i.id)) {
				continue
			}
			if path := i.String(); whole {
				add(&observe, path+"/"+resource)
			} else {
				add(&observe, path)
			}
		}
	}
	return read, observe
}

// plan asks a device for what it is not asked for yet.
func (s *lwm2m) plan(reg *registration) {
	var profile []string
	if f := s.t.cfg.LwM2M.Resources; f != nil {
		profile = f(reg.identity)
	}
	read, observe := wanted(reg.objects, profile)
	now := s.t.cfg.Now()
	s.mu.Lock()
	if reg.gone {
		s.mu.Unlock()
		return
	}
	have := make(map[string]bool)
	for _, o := range reg.observed {
		have[o.path] = true
	}
	for _, path := range observe {
		if !have["/"+path] && !reg.refused["/"+path] {
			s.ask(reg, "/"+path, true)
		}
	}
	if now.Sub(reg.read) > readAgain {
		reg.read = now.UTC()
		for _, path := range read {
			if !have["/"+path] {
				s.ask(reg, "/"+path, false)
			}
		}
	}
	s.mu.Unlock()
	s.pump(reg)
}

// ask puts a request at the end of a device's. It wants s.mu.
func (s *lwm2m) ask(reg *registration, path string, observe bool) {
	if len(reg.asks) >= maxAsked {
		return
	}
	s.insert(reg, len(reg.asks), path, observe, nil)
}

// insert puts a request in a device's line. It wants s.mu.
func (s *lwm2m) insert(reg *registration, at int, path string, observe bool, order *order) *asked {
	o := &observation{reg: reg, token: string(randomBytes(message.MaxTokenSize)), path: path}
	reg.observed[o.token], s.byToken[o.token], s.changed = o, o, true
	a := &asked{obs: o, observe: observe, order: order}
	reg.asks = slices.Insert(reg.asks, at, a)
	return a
}

// pump sends the next request of a device, if it listens.
func (s *lwm2m) pump(reg *registration) {
	s.mu.Lock()
	now := s.t.cfg.Now()
	if !reg.listens(s.t.cfg.City()) || len(reg.asks) == 0 || reg.asks[0].sent > 0 {
		s.mu.Unlock()
		return
	}
	a, p := reg.asks[0], reg.peer
	w, ok := p.wire.(asker)
	if !ok || p.session != 0 && !p.on.remembers(p) { // an address is good without a peer, a session is not
		reg.asleep = true
		s.mu.Unlock()
		return
	}
	a.tries++
	a.acked = p.stream // which loses nothing: the answer comes, or the connection ends
	a.key = exchangeKey{addr: p.addr, session: p.session, id: uint16(w.nextID())}
	s.inFlight[a] = struct{}{}
	if !p.stream {
		s.byID[a.key] = a
	}
	q := s.send(a, now)
	s.mu.Unlock()
	if err := w.ask(q); err != nil && p.stream { // of a datagram: what is lost is sent again
		s.left(p)
	}
}

// listens reports whether the device can be asked now. It wants the lock of lwm2m.
func (r *registration) listens(now time.Time) bool {
	return !r.gone && r.peer != nil && !r.asleep && (!r.queue || now.Sub(r.heard) <= awakeFor)
}

// send counts a transmission and gives what to transmit. It wants s.mu.
func (s *lwm2m) send(a *asked, now time.Time) question {
	wait := ackTimeout << a.sent
	if a.acked {
		wait = answerTimeout
	}
	a.sent++
	a.due = now.Add(wait + rand.N(wait/2))
	q := question{
		id: int32(a.key.id), token: []byte(a.obs.token), code: codes.GET, path: a.obs.reg.objects.root + a.obs.path, format: -1,
		observe: a.observe && a.block == 0, block: a.block, szx: a.szx, control: a.obs.reg.control,
	}
	if a.order != nil {
		a.order.fill(&q)
	}
	return q
}

// repeat sends again what is not acknowledged. A device that does not answer sleeps: the
// request waits until it speaks.
func (s *lwm2m) repeat(now time.Time) {
	type again struct {
		w asker
		q question
	}
	var out []again
	s.mu.Lock()
	for a := range s.inFlight {
		if now.Before(a.due) {
			continue
		}
		reg := a.obs.reg
		if w, ok := reg.peer.wire.(asker); ok && !a.acked && a.sent <= maxRetransmit {
			out = append(out, again{w, s.send(a, now)})
			continue
		}
		s.landed(a)
		reg.asleep = true
		a.block, a.value, a.etag = 0, nil, ""
		if a.order != nil {
			s.finish(a, s.unanswered(a, "no answer"))
		} else if a.tries >= maxTries {
			s.done(a, false)
			s.dropped.Add(1)
		}
	}
	s.mu.Unlock()
	for _, o := range out {
		_ = o.w.ask(o.q)
	}
}

// landed takes a request off its way. It wants s.mu.
func (s *lwm2m) landed(a *asked) {
	if s.byID[a.key] == a {
		delete(s.byID, a.key)
	}
	delete(s.inFlight, a)
	a.sent = 0
}

// done ends a request; unless its resource is observed now, its token is free. It wants s.mu.
func (s *lwm2m) done(a *asked, observed bool) {
	s.landed(a)
	reg := a.obs.reg
	reg.asks = slices.DeleteFunc(reg.asks, func(b *asked) bool { return a == b })
	if a.obs.lasts = observed; !observed {
		s.forget(a.obs)
	}
	s.changed = true
}

// forget ends an observation. It wants s.mu.
func (s *lwm2m) forget(o *observation) {
	delete(o.reg.observed, o.token)
	delete(s.byToken, o.token)
	s.changed = true
}

// left notes that the connection to a device has ended: what was on its way there waits
// until the device speaks, and an order may have arrived.
func (s *lwm2m) left(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.inFlight {
		if reg := a.obs.reg; reg.peer == p {
			s.landed(a)
			reg.asleep = true
			a.block, a.value, a.etag = 0, nil, ""
			if a.order != nil {
				s.finish(a, s.unanswered(a, "the connection ended before the answer"))
			}
		}
	}
}

// question is a request for a device.
type question struct {
	id      int32
	token   message.Token
	code    codes.Code
	path    string
	query   []string
	observe bool
	block   uint32 // of the answer
	szx     uint8
	body    []byte
	format  int   // of body; -1: there is none
	part    block // of body, if inParts
	inParts bool
	size    int // of the whole of it
	control *coapnet.ControlMessage
}

// fill writes a question into a message.
func (q *question) fill(m *pool.Message) error {
	m.SetCode(q.code)
	m.SetToken(q.token)
	if q.observe {
		m.SetObserve(0)
	}
	if err := m.SetPath(q.path); err != nil {
		return grid.Errorf(grid.Internal, "path %q: %w", q.path, err)
	}
	for _, text := range q.query {
		m.AddQuery(text)
	}
	if q.block > 0 {
		m.SetOptionUint32(message.Block2, block{number: q.block, szx: q.szx}.value())
	}
	if q.format >= 0 {
		m.SetContentFormat(message.MediaType(q.format))
	}
	if q.inParts {
		m.SetOptionUint32(message.Block1, q.part.value())
		if q.part.number == 0 {
			m.SetOptionUint32(message.Size1, uint32(q.size))
		}
	}
	if len(q.body) > 0 {
		m.SetBody(bytes.NewReader(q.body))
	}
	return nil
}

// asker is a wire on which devices can be asked.
type asker interface {
	nextID() int32
	ask(question) error
	signal(typ message.Type, id int32) error
}

func (w datagrams) nextID() int32 { return w.conn.GetMessageID() }

func (w datagrams) ask(q question) error {
	m := w.conn.AcquireMessage(context.Background())
	defer w.conn.ReleaseMessage(m)
	m.SetType(message.Confirmable)
	m.SetMessageID(q.id)
	answerFrom(m, q.control)
	if err := q.fill(m); err != nil {
		return err
	}
	return w.conn.Session().WriteMessage(m)
}

// signal sends an empty message: an acknowledgement, or the word that we know nothing of it.
func (w datagrams) signal(typ message.Type, id int32) error {
	m := w.conn.AcquireMessage(context.Background())
	defer w.conn.ReleaseMessage(m)
	m.SetType(typ)
	m.SetMessageID(id)
	m.SetCode(codes.Empty)
	return w.conn.Session().WriteMessage(m)
}

// Over TCP messages have no ids, and nothing is acknowledged (RFC 8323).
func (w stream) nextID() int32                    { return 0 }
func (w stream) signal(message.Type, int32) error { return nil }

func (w stream) ask(q question) error {
	m := w.conn.AcquireMessage(w.conn.Context())
	defer w.conn.ReleaseMessage(m)
	if err := q.fill(m); err != nil {
		return err
	}
	_ = w.conn.NetConn().SetWriteDeadline(time.Now().Add(writeWithin))
	return w.conn.Session().WriteMessage(m)
}
