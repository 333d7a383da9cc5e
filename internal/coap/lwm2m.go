package coap

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	coapnet "github.com/plgd-dev/go-coap/v3/net"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// LwM2M is the server for devices that speak LwM2M 1.0 or 1.1 over UDP, DTLS and TCP.
type LwM2M struct {
	On bool

	// Resources says what is observed on a device: paths of its profile, such as 3342/#,
	// 19/0/0, 3/0/9; # is any instance. None: what we know among its objects. May be nil.
	Resources func(grid.Identity) []string

	Registrations int    // most; past it a new device is answered 5.03; default 10,000
	StateFile     string // keeps registrations over a restart; "": devices register again
}

const (
	awakeFor      = 93 * time.Second       // a sleeping device listens so long after its last word (RFC 7252, MAX_TRANSMIT_WAIT)
	lifetimeGrace = 250 * time.Second      // a word sent in time may need so long (RFC 7252, EXCHANGE_LIFETIME)
	readAgain     = 12 * time.Hour         // battery and signal are read again with the next update after so long
	lwm2mTick     = 250 * time.Millisecond // of repeats
	saveEvery     = 2 * time.Second        // of the state file
	maxAsked      = 64                     // waiting for one device
)

// lwm2m is the registrations, and what is asked of their devices. A plain device that is
// sent an order has a registration of its own for that time, which nobody finds.
//
// A device is known by its endpoint name, wherever it comes from; what it sends later is
// known by its token, which only it was given.
type lwm2m struct {
	t *Transport

	mu       sync.Mutex
	byName   map[string]*registration        // by endpoint name
	byDevice map[grid.Identity]*registration // the newest one
	byPlace  map[string]*registration        // by location
	byToken  map[string]*observation
	byID     map[exchangeKey]*asked // requests that are not acknowledged yet
	inFlight map[*asked]struct{}
	changed  bool // since the state was saved

	expired, dropped, restored atomic.Uint64
}

// registration is a device that has registered.
type registration struct {
	endpoint string
	identity grid.Identity
	place    string // the last part of its location
	lifetime uint32 // seconds
	version  string
	queue    bool
	objects  objects

	since, heard time.Time
	traffic      intake.Traffic          // for the health view
	read         time.Time               // when battery and signal were read last
	listener     string                  // by which it spoke last
	peer         *peer                   // where it spoke last; nil: not since we started
	control      *coapnet.ControlMessage // to which of our addresses
	asleep       bool                    // it did not answer
	stirs        time.Time               // an update of it came, which is on its way to the journal
	asks         []*asked                // waiting, the first may be on its way
	observed     map[string]*observation
	refused      map[string]bool // paths that it will not have observed
	gone         bool
}

// observation is a resource whose value comes with a token.
type observation struct {
	reg   *registration
	token string
	path  string
	lasts bool // the device has said that it will notify; else one answer is expected
	seq   uint32
	at    time.Time // of seq
}

func newLwM2M(t *Transport) *lwm2m {
	if t.cfg.LwM2M.Registrations == 0 {
		t.cfg.LwM2M.Registrations = 10_000
	}
	return &lwm2m{
		t: t, byName: make(map[string]*registration), byDevice: make(map[grid.Identity]*registration), byPlace: make(map[string]*registration), byToken: make(map[string]*observation),
		byID: make(map[exchangeKey]*asked), inFlight: make(map[*asked]struct{}),
	}
}

// LwM2MStatus is the server's part of the health view.
type LwM2MStatus struct {
	Registrations int    `json:"registrations"`
	Observations  int    `json:"observations"`
	Waiting       int    `json:"waiting"`  // requests for devices that sleep or have not answered yet
	Expired       uint64 `json:"expired"`  // devices silent past their lifetime
	Dropped       uint64 `json:"dropped"`  // requests that no device ever answered
	Restored      uint64 `json:"restored"` // registrations from before the start
}

// RegistrationStatus is one device's part of it.
type RegistrationStatus struct {
	Endpoint string        `json:"endpoint"`
	Device   grid.Identity `json:"device"`
	Version  string        `json:"lwm2m"`
	Queue    bool          `json:"queue"`
	Since    time.Time     `json:"since"`
	Heard    time.Time     `json:"heard"`
	Expires  time.Time     `json:"expires"`
	Address  string        `json:"address,omitempty"` // "": not heard since we started
	Observed []string      `json:"observed"`
	Waiting  int           `json:"waiting"`
}

// LwM2M says how the server is; false: it is off.
func (t *Transport) LwM2M() (LwM2MStatus, bool) {
	s := t.lwm2m
	if !t.cfg.LwM2M.On {
		return LwM2MStatus{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := LwM2MStatus{Registrations: len(s.byName), Expired: s.expired.Load(), Dropped: s.dropped.Load(), Restored: s.restored.Load()}
	for _, r := range s.byName {
		out.Waiting += len(r.asks)
		for _, o := range r.observed {
			if o.lasts {
				out.Observations++
			}
		}
	}
	return out, true
}

// Registration is the state of a device; false: it has not registered.
func (t *Transport) Registration(endpoint string) (RegistrationStatus, bool) {
	s := t.lwm2m
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byName[endpoint]
	if r == nil {
		return RegistrationStatus{}, false
	}
	out := RegistrationStatus{
		Endpoint: r.endpoint, Device: r.identity, Version: r.version, Queue: r.queue, Since: r.since, Heard: r.heard,
		Expires: r.expires(), Waiting: len(r.asks), Observed: []string{},
	}
	if r.peer != nil {
		out.Address = r.peer.wire.address()
	}
	for _, o := range r.observed {
		if o.lasts {
			out.Observed = append(out.Observed, o.path)
		}
	}
	return out, true
}

// expires is when a device that stays silent is offline.
func (r *registration) expires() time.Time {
	return r.heard.Add(time.Duration(r.lifetime)*time.Second + lifetimeGrace)
}

// rd serves /rd: registration, update, de-registration (LwM2M 1.0, 5.3 and 8.2.3).
func (s *lwm2m) rd(x *exchange, r *request) *reply {
	switch {
	case r.code == codes.POST && len(r.path) == 1:
		return s.register(x, r)
	case r.code == codes.POST && len(r.path) == 2, r.code == codes.PUT && len(r.path) == 2: // PUT: early clients
		return s.update(x, r)
	case r.code == codes.DELETE && len(r.path) == 2:
		return s.deregister(x, r)
	case len(r.path) > 2:
		return refuse(codes.NotFound, "want /rd or the location that the registration was given")
	}
	return refuse(codes.MethodNotAllowed, "want POST, or DELETE of a location")
}

// body gives the link list of a request, put together from blocks.
func (s *lwm2m) body(x *exchange, r *request) (objects, *reply) {
	if r.hasBlock {
		if bad := s.t.assemble(x.p, r, s.t.cfg.Now()); bad != nil {
			return objects{}, bad
		}
	}
	if r.hasFormat && r.format != uint16(message.AppLinkFormat) && len(r.payload) > 0 {
		return objects{}, refuse(codes.UnsupportedMediaType, "content format is %d: want 40, a link list", r.format)
	}
	o, err := readObjects(string(r.payload))
	if err != nil {
		return o, refuse(codes.BadRequest, "%s", err)
	}
	return o, nil
}

func (s *lwm2m) register(x *exchange, r *request) *reply {
	terms, bad := readTerms(r.query)
	if bad != nil {
		return bad
	}
	if terms.endpoint == "" {
		if terms.endpoint = s.t.keys.only(x.p.who); terms.endpoint == "" {
			return refuse(codes.BadRequest, "want ep, the name of the device")
		}
	}
	id, note := s.t.identityOf(terms.endpoint)
	if note != "" {
		return refuse(codes.BadRequest, "%s", note)
	}
	if bad := s.permit(x.p, id); bad != nil {
		return bad
	}
	list, bad := s.body(x, r)
	if bad != nil {
		return bad
	}
	now := s.t.cfg.City()
	reg := &registration{
		endpoint: terms.endpoint, identity: id, place: randomText(8), lifetime: terms.lifetime, version: terms.version, queue: terms.queue,
		objects: list, since: now.UTC(), heard: now.UTC(), listener: x.p.on.kind, peer: x.p, control: x.control,
		observed: make(map[string]*observation), refused: make(map[string]bool),
	}
	s.mu.Lock()
	full := s.byName[reg.endpoint] == nil && len(s.byName) >= s.t.cfg.LwM2M.Registrations
	s.mu.Unlock()
	if full {
		return s.t.later("too many devices are registered")
	}
	x.done = &reply{code: codes.Created, format: -1, location: []string{"rd", reg.place}}
	s.said(x, r, id, "register", func(answer func()) {
		reg.traffic.Frame(x.frame.Received)
		s.admit(reg)
		answer() // the device must know its location before it is asked
		s.plan(reg)
	})
	return nil
}

// admit puts a registration in the place of an older one of its name. What the device was
// asked before does not hold any more.
func (s *lwm2m) admit(reg *registration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byName[reg.endpoint]; old != nil {
		s.remove(old)
	}
	s.byName[reg.endpoint], s.byDevice[reg.identity], s.byPlace[reg.place], s.changed = reg, reg, reg, true
}

// remove wants s.mu.
func (s *lwm2m) remove(reg *registration) {
	reg.gone, s.changed = true, true
	delete(s.byName, reg.endpoint)
	delete(s.byPlace, reg.place)
	if s.byDevice[reg.identity] == reg {
		delete(s.byDevice, reg.identity)
	}
	for token := range reg.observed {
		delete(s.byToken, token)
	}
	for _, a := range slices.Clone(reg.asks) {
		if a.order != nil {
			s.finish(a, s.unanswered(a, "it has registered anew or left"))
		}
		s.landed(a)
	}
	reg.asks = nil
}

// find gives the registration of a location, if the peer may speak for it.
func (s *lwm2m) find(x *exchange, r *request) (*registration, *reply) {
	s.mu.Lock()
	reg := s.byPlace[r.path[1]]
	s.mu.Unlock()
	if reg == nil {
		return nil, refuse(codes.NotFound, "no such registration: register again")
	}
	if bad := s.permit(x.p, reg.identity); bad != nil {
		return nil, bad
	}
	s.mu.Lock()
	reg.stirs = s.t.cfg.Now()
	s.mu.Unlock()
	return reg, nil
}

func (s *lwm2m) permit(p *peer, id grid.Identity) *reply {
	bad := s.t.keys.permit(p.who, id)
	if bad != nil {
		s.t.denied.Add(1)
		s.t.tally.Fault("peer may not speak for the device", grid.Errorf(grid.Forbidden, "coap %s: %s for %s: %s", s.t.cfg.Name, p.wire.address(), id, bad.text))
	}
	return bad
}

func (s *lwm2m) update(x *exchange, r *request) *reply {
	reg, bad := s.find(x, r)
	if bad != nil {
		return bad
	}
	terms, bad := readTerms(r.query)
	if bad != nil {
		return bad
	}
	list, bad := s.body(x, r)
	if bad != nil {
		return bad
	}
	x.done = &reply{code: codes.Changed, format: -1}
	s.said(x, r, reg.identity, "update", func(answer func()) {
		reg.traffic.Frame(x.frame.Received)
		s.mu.Lock()
		if terms.hasLifetime {
			reg.lifetime = terms.lifetime
		}
		if terms.hasBinding {
			reg.queue = terms.queue
		}
		if len(list.instances) > 0 {
			reg.objects = list
		}
		s.changed = true
		if x.p.stream && reg.peer != x.p {
			s.unobserve(reg) // what it promised, it did on a connection that has ended
		}
		s.speaks(reg, x, nil)
		s.mu.Unlock()
		answer()
		s.plan(reg)
	})
	return nil
}

func (s *lwm2m) deregister(x *exchange, r *request) *reply {
	reg, bad := s.find(x, r)
	if bad != nil {
		return bad
	}
	x.done = &reply{code: codes.Deleted, format: -1}
	s.said(x, r, reg.identity, "deregister", func(answer func()) {
		s.mu.Lock()
		if !reg.gone {
			s.remove(reg)
		}
		s.mu.Unlock()
		answer()
	})
	return nil
}

// said puts in the journal that a device has registered, updated or left: it was heard.
// Only then it is answered, and what follows is done.
func (s *lwm2m) said(x *exchange, r *request, id grid.Identity, event string, then func(answer func())) {
	raw := strings.Join(r.query, "&")
	if len(r.payload) > 0 {
		raw += "\n" + string(r.payload)
	}
	x.then = then
	x.frame = s.t.wire.Frame("/up/"+url.PathEscape(string(id))+"?event="+event, []byte(raw), 0)
	if !x.con {
		x.frame.Flags |= grid.Unacknowledged
	}
	s.t.enqueue(x)
}

// speaks notes that a device was heard, and where: it may have come back by another
// address, where what is on its way does not reach it, unless this is the answer to it.
// It wants s.mu.
func (s *lwm2m) speaks(reg *registration, x *exchange, answers *asked) {
	p := x.p
	if len(reg.asks) > 0 && reg.asks[0].sent > 0 && reg.peer != p {
		a := reg.asks[0]
		s.landed(a)
		if a.order != nil && a != answers {
			s.finish(a, s.unanswered(a, "it has come back by another address before it answered"))
		}
	}
	reg.listener, reg.peer, reg.control, reg.heard, reg.asleep = p.on.kind, p, x.control, s.t.cfg.City().UTC(), false
}

// unobserve forgets what is observed; plan asks for it anew. It wants s.mu.
func (s *lwm2m) unobserve(reg *registration) {
	for _, o := range reg.observed {
		if o.lasts {
			s.forget(o)
		}
	}
}

// expire ends registrations whose device is silent past its lifetime, and says so in the
// journal: the device is offline until it is heard again.
func (s *lwm2m) expire(now time.Time) {
	var over []*registration
	s.mu.Lock()
	for _, reg := range s.byName {
		if now.After(reg.expires()) {
			s.remove(reg)
			over = append(over, reg)
		}
	}
	s.mu.Unlock()
	for _, reg := range over {
		s.expired.Add(1)
		raw := fmt.Sprintf("heard last %s, lifetime %d s", reg.heard.Format(time.RFC3339), reg.lifetime)
		f := s.t.wire.Frame("/up/"+url.PathEscape(string(reg.identity))+"?event=expired&lifetime="+fmt.Sprint(reg.lifetime), []byte(raw), grid.Unacknowledged)
		s.t.tally.Arrived(&f)
		if !s.t.unacked.Offer(f, struct{}{}) {
			s.t.tally.Lost(1)
		}
	}
}

// run repeats what is not answered, ends what has expired and saves the rest, until the
// transport stops.
func (s *lwm2m) run() {
	tick := time.NewTicker(lwm2mTick)
	defer tick.Stop()
	var swept, saved time.Time
	for {
		select {
		case <-s.t.ctx.Done():
			s.save()
			return
		case <-tick.C:
		}
		now := s.t.cfg.Now()
		s.repeat(now)
		if now.Sub(swept) > sweepEvery {
			swept = now
			s.expire(s.t.cfg.City())
		}
		if now.Sub(saved) > saveEvery {
			saved = now
			s.save()
		}
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}

func randomText(n int) string { return base64.RawURLEncoding.EncodeToString(randomBytes(n)) }
