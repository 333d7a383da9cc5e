package coap

import (
	"bytes"
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// maxExchanges bounds each generation of messages that are remembered.
const maxExchanges = 1 << 17

// Transport takes frames over CoAP.
type Transport struct {
	cfg       Config
	log       *slog.Logger
	wire      intake.Wire
	tally     intake.Tally
	keys      keyring
	exchanges *exchanges
	seed      maphash.Seed
	resources map[string]resource // by the first segment of the path
	lwm2m     *lwm2m              // without LwM2M it has no registrations, and still brings downlinks
	places    places
	unacked   *intake.Queue[struct{}]
	listeners []*listener
	ready     chan struct{}

	in      grid.Ingester // set by Run, as is ctx
	ctx     context.Context
	workers sync.WaitGroup

	told       atomic.Int64  // when a fault of a peer was recorded, Unix nanoseconds
	sessions   atomic.Uint64 // numbers of DTLS and TCP peers
	held       atomic.Int64  // frames that wait or are being stored
	heldBytes  atomic.Int64
	uploading  atomic.Int64 // bytes of unfinished uploads
	repeated   atomic.Uint64
	limited    atomic.Uint64
	refused    atomic.Uint64
	denied     atomic.Uint64
	unreadable atomic.Uint64
	evicted    atomic.Uint64
	handshakes atomic.Uint64
	failed     atomic.Uint64
}

// resource serves a request. It answers at once by a reply, or later with nil.
type resource func(x *exchange, r *request) *reply

// Status is what the transport knows of itself.
type Status struct {
	Listeners        []ListenerStatus `json:"listeners"`
	Waiting          int              `json:"waiting"`          // frames not yet durable
	Repeated         uint64           `json:"repeated"`         // messages that had come before
	Limited          uint64           `json:"limited"`          // over the rate of one peer
	RefusedRequests  uint64           `json:"refused_requests"` // answered 4.xx
	Denied           uint64           `json:"denied"`           // by a peer that may not speak for the device
	Unreadable       uint64           `json:"unreadable"`       // datagrams that are not CoAP
	Evicted          uint64           `json:"evicted"`          // idle peers that had to go for others
	Handshakes       uint64           `json:"handshakes"`       // DTLS sessions begun
	FailedHandshakes uint64           `json:"failed_handshakes"`
	Keys             int              `json:"keys"` // devices with a key or certificate of their own
	intake.Counts
}

// ListenerStatus is one listener's part of it.
type ListenerStatus struct {
	Listener string    `json:"listener"` // udp, dtls, tcp
	Address  string    `json:"address,omitempty"`
	Up       bool      `json:"up"`
	Since    time.Time `json:"since"` // up, or not, since then
	Peers    int       `json:"peers"`
}

// New makes a transport; Run listens.
func New(cfg Config, log *slog.Logger) *Transport {
	cfg = cfg.withDefaults()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t := &Transport{
		cfg: cfg, log: log.With("transport", cfg.Name),
		exchanges: newExchanges(maxExchanges), seed: maphash.MakeSeed(), ready: make(chan struct{}),
	}
	t.wire = intake.Wire{Transport: "coap", Source: cfg.Name, MaxPayload: cfg.MaxPayload, Identify: cfg.Identify, Now: cfg.City}
	t.tally.Log, t.tally.Now = t.log, cfg.City
	t.keys.init(cfg)
	t.resources = map[string]resource{"up": t.up, ".well-known": t.wellKnown}
	t.lwm2m = newLwM2M(t)
	if cfg.LwM2M.On {
		t.resources["rd"] = t.lwm2m.rd
	}
	t.places.max = maxPlaces
	t.unacked = intake.NewQueue(intake.Limits{Frames: cfg.Unacked, Bytes: 16 << 20, GiveUp: cfg.GiveUp}, &t.tally, func([]struct{}) {}, nil)
	for _, l := range [...]struct {
		kind, addr string
		open       func(string) (server, error)
	}{{"udp", cfg.UDP, t.openUDP}, {"dtls", cfg.DTLS.Listen, t.openDTLS}, {"tcp", cfg.TCP, t.openTCP}} {
		if l.addr != "" {
			t.listeners = append(t.listeners, newListener(t, l.kind, l.addr, l.open))
		}
	}
	return t
}

// Ready is closed when all listeners are open.
func (t *Transport) Ready() <-chan struct{} { return t.ready }

// Addr is where a listener (udp, dtls, tcp) listens, once Ready; "" if it does not.
func (t *Transport) Addr(kind string) string {
	for _, l := range t.listeners {
		if l.kind == kind {
			return l.status().Address
		}
	}
	return ""
}

// Status says how the transport is.
func (t *Transport) Status() Status {
	s := Status{
		Waiting: int(t.held.Load()) + t.unacked.Held(), Repeated: t.repeated.Load(), Limited: t.limited.Load(), RefusedRequests: t.refused.Load(),
		Denied: t.denied.Load(), Unreadable: t.unreadable.Load(), Evicted: t.evicted.Load(), Handshakes: t.handshakes.Load(), FailedHandshakes: t.failed.Load(),
		Keys: t.keys.len(), Counts: t.tally.Counts(),
	}
	for _, l := range t.listeners {
		s.Listeners = append(s.Listeners, l.status())
	}
	return s
}

// Run serves until ctx is done. It may run once. An address that cannot be opened at the
// start is an error; one that fails later is opened again.
func (t *Transport) Run(ctx context.Context, in grid.Ingester) error {
	if err := t.cfg.check(); err != nil {
		return err
	}
	if err := t.keys.load(); err != nil {
		return err
	}
	if t.keys.exposed() {
		t.log.Warn("keys can be read by every user of this machine: want mode 0600 or 0640", "in", t.cfg.DTLS.KeysFile)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.in, t.ctx = in, ctx
	for i, l := range t.listeners {
		if err := l.openNow(); err != nil {
			for _, opened := range t.listeners[:i] {
				opened.server.stop()
			}
			return grid.Errorf(grid.Unavailable, "coap %s: %s: listen on %s: %w", t.cfg.Name, l.kind, l.addr, err)
		}
	}
	t.workers.Go(func() { t.unacked.Run(ctx, in) })
	t.workers.Go(func() { t.keys.watch(ctx, t) })
	t.workers.Go(t.sweep)
	if t.cfg.LwM2M.On {
		t.lwm2m.load()
	}
	t.workers.Go(t.lwm2m.run)
	var serving sync.WaitGroup
	for _, l := range t.listeners {
		serving.Go(func() { l.run(ctx) })
	}
	close(t.ready)
	serving.Wait() // no request comes any more: the lanes only get shorter
	t.workers.Wait()
	t.storeRest()
	return nil
}

// sweep forgets peers and uploads that have been silent for too long.
func (t *Transport) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-tick.C:
			for _, l := range t.listeners {
				l.sweep(t.cfg.Now())
			}
		}
	}
}

const sweepEvery = 5 * time.Second

// take serves one message, if it is a request. It does not wait: it runs in the goroutine
// that reads for every peer.
func (t *Transport) take(p *peer, m *pool.Message) (taken bool) {
	code := m.Code()
	if code == codes.Empty || code >= 32 {
		return t.lwm2m.hear(p, m)
	}
	x := &exchange{p: p, con: p.stream || m.Type() == message.Confirmable, id: m.MessageID(), token: m.Token(), control: m.ControlMessage()}
	if !p.stream && !x.con && m.Type() != message.NonConfirmable {
		return true // an answer with the code of a request
	}
	defer func() {
		if e := recover(); e != nil {
			taken = true
			t.tally.Fault("request failed", grid.Errorf(grid.Internal, "coap %s: a request made the gateway panic: %v", t.cfg.Name, e))
			t.finish(x, refuse(codes.InternalServerError, "internal error"))
		}
	}()
	body, err := m.ReadBody()
	if err != nil {
		return true
	}
	r, bad := readRequest(code, m.Options(), bytes.Clone(body))
	t.serve(x, &r, bad)
	return true
}

func (t *Transport) serve(x *exchange, r *request, bad *reply) {
	now := t.cfg.Now()
	p := x.p
	p.on.heard(p, now)
	x.noResponse, x.block, x.hasBlock = r.noResponse, r.block, r.hasBlock
	if !p.stream && r.code != codes.GET {
		x.key = exchangeKey{addr: p.addr, session: p.session, id: uint16(x.id)}
		seen, answer, first := t.exchanges.take(x.key, r.hash(t.seed, x.token), now)
		if !first {
			t.repeated.Add(1)
			if answer != nil && x.con {
				_ = p.answer(x, answer)
			}
			return
		}
		x.seen = seen
	}
	cost := 1.0
	if p.continues(r) {
		cost = blockCost
	}
	if !p.allow(now, cost) {
		t.limited.Add(1)
		answer := refuse(codes.TooManyRequests, "more than %d requests a second", t.cfg.Rate)
		answer.maxAge = uint32(t.cfg.RetryAfter.Seconds())
		t.turnAway(x, answer)
		return
	}
	if bad == nil {
		bad = t.route(x, r)
	}
	if bad != nil {
		t.finish(x, bad)
	}
}

func (t *Transport) route(x *exchange, r *request) *reply {
	if len(r.path) > 0 {
		if serve := t.resources[r.path[0]]; serve != nil {
			return serve(x, r)
		}
	}
	return refuse(codes.NotFound, "want /up/<identity>")
}

// finish answers a request and remembers the answer for when it is repeated.
func (t *Transport) finish(x *exchange, r *reply) {
	if x.seen != nil {
		t.exchanges.answered(x.key, x.seen, r)
	}
	if c := r.code; c >= codes.BadRequest && c < codes.InternalServerError {
		t.refused.Add(1)
	}
	if x.p.answer(x, r) == nil && r == x.done && r.code < codes.BadRequest && x.frame.Raw != nil && x.con {
		t.tally.Acked(1)
	}
}

// turnAway refuses a request for want of room. What cannot be refused is lost.
func (t *Transport) turnAway(x *exchange, r *reply) {
	if x.con {
		t.finish(x, r)
		return
	}
	if x.seen != nil {
		t.exchanges.answered(x.key, x.seen, r)
	}
	t.tally.Lost(1)
}

// peerFault records a fault that anyone can cause from outside: one a second, so that nobody
// fills the log.
func (t *Transport) peerFault(on *listener, msg string, err error) {
	last, now := t.told.Load(), time.Now().UnixNano()
	if now-last >= int64(time.Second) && t.told.CompareAndSwap(last, now) {
		on.faulted(err)
		t.tally.Fault(msg, err)
	}
}

// wellKnown lists what is here (RFC 6690).
func (t *Transport) wellKnown(x *exchange, r *request) *reply {
	switch {
	case len(r.path) != 2 || r.path[1] != "core":
		return refuse(codes.NotFound, "want /.well-known/core")
	case r.code != codes.GET:
		return refuse(codes.MethodNotAllowed, "want GET")
	}
	text := links
	if t.cfg.LwM2M.On {
		text += `,</rd>;rt="core.rd"`
	}
	return &reply{code: codes.Content, text: text, format: int(message.AppLinkFormat)}
}

const links = `</up>;rt="gridgate.up";title="POST /up/<identity>?port=N";ct="0 42 50 60 110 112 11542 11543"`

// up takes a frame.
func (t *Transport) up(x *exchange, r *request) *reply {
	address, bad := r.address()
	if bad != nil {
		return bad
	}
	if r.code != codes.POST && r.code != codes.PUT {
		return refuse(codes.MethodNotAllowed, "want POST or PUT")
	}
	id, _, note := t.cfg.Identify(address, r.payload)
	if note != "" {
		return refuse(codes.BadRequest, "%s", note)
	}
	if bad := t.keys.permit(x.p.who, id); bad != nil {
		t.denied.Add(1)
		t.peerFault(x.p.on, "peer may not speak for the device", grid.Errorf(grid.Forbidden, "coap %s: %s for %s: %s", t.cfg.Name, x.p.wire.address(), id, bad.text))
		return bad
	}
	var flags grid.FrameFlags
	if !x.con {
		flags = grid.Unacknowledged
	}
	x.done = &reply{code: codes.Changed, format: -1}
	if r.hasBlock {
		bad := t.assemble(x.p, r, t.cfg.Now())
		switch {
		case bad == nil:
		case bad.code == codes.RequestEntityTooLarge:
			x.done = bad // its beginning is kept for a person to see
		default:
			return bad
		}
	} else if len(r.payload) > t.cfg.MaxPayload {
		x.done = t.tooLarge(len(r.payload))
	}
	if len(r.payload) == 0 {
		return refuse(codes.BadRequest, "payload is empty")
	}
	x.frame = t.wire.Frame(address, r.payload, flags)
	t.places.note(id, x.p, x.control)
	if x.done.code != codes.Changed && x.frame.Flags&grid.Refused == 0 {
		x.frame.Flags |= grid.Refused
		x.frame.Note = x.done.text
		x.frame.Raw = bytes.Clone(r.payload[:min(refusedKeep, len(r.payload))])
	}
	t.enqueue(x)
	return nil
}

// refusedKeep is how much of an upload over the limit is kept.
const refusedKeep = 1024
