// Package broker is the embedded MQTT broker. Frames published to it go to Ingest, and the
// PUBACK waits until they are durable without holding up the connection; all other topics
// are ordinary MQTT between its clients.
//
// What it promises to a publisher of frames, on MQTT 3.1.1 and 5 alike:
//   - a PUBACK means durable, and PUBACKs come in the order of the PUBLISHes;
//   - a connection has a window of frames that wait for theirs. Until it is full, pings and
//     subscriptions are answered however slow the journal is. When it is full the connection
//     is not read (on MQTT 5 the window is the receive maximum, and more is an error);
//   - when a frame cannot be made durable in 30 s (a setting), the connection is closed, so
//     that the publisher sends again;
//   - QoS 0 cannot be refused: it waits in one buffer, and past it is counted as lost;
//   - QoS 2 is refused: the connection is closed with the reason;
//   - subscribers of uplink topics see a frame after it is durable.
//
// Sessions and retained messages live in memory.
package broker

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

const (
	lastTry     = time.Second    // bounds the last attempt to store QoS 0 frames when the broker stops
	keepSession = 24 * time.Hour // for a client that is away
	maxInflight = 1024           // messages to one client that it has not acknowledged
	maxOutgoing = 4096           // stored frames that wait for subscribers
)

// Broker is the embedded MQTT broker.
type Broker struct {
	cfg    Config
	token  string
	users  map[string]*User
	anyone User // one who may connect without an account
	log    *slog.Logger
	wire   intake.Wire
	tally  intake.Tally
	ready  chan struct{}

	in       grid.Ingester // set by Run, as is all below
	ctx      context.Context
	flaps    flaps
	addr     atomic.Pointer[string]
	addrTLS  atomic.Pointer[string]
	server   *mochi.Server
	inline   *mochi.Client // by which frames go out to subscribers of uplink topics
	unacked  *intake.Queue[*packets.Packet]
	outgoing chan *packets.Packet // stored, for subscribers
	workers  sync.WaitGroup

	devices  deviceLogins
	refused  atomic.Uint64
	began    atomic.Int64 // when it was made, then when it listens, Unix nanoseconds
	guests   sync.Map     // *mochi.Client → *guest
	sessions sync.Map     // *mochi.Client → *session
	fanOut   atomic.Bool  // someone has subscribed to uplink topics
	mu       sync.Mutex
	tails    map[string]*session // by client id: the last session that has a window
	handed   sync.Map            // handover → chan byte: the reason code of the PUBACK to a downlink
}

// New makes a broker; Run opens its port.
func New(cfg Config, log *slog.Logger) *Broker {
	cfg = cfg.withDefaults()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{
		cfg:   cfg,
		log:   log.With("transport", cfg.Name),
		users: make(map[string]*User),
		ready: make(chan struct{}),
		tails: make(map[string]*session),
	}
	b.wire = intake.Wire{
		Transport: "mqtt", Source: cfg.Name, MaxPayload: cfg.MaxPayload, Identify: cfg.Identify, Remember: cfg.Remember, Ask: b.ask, Now: cfg.Now,
	}
	b.tally.Log, b.tally.Now = b.log, cfg.Now
	b.began.Store(cfg.Now().UnixNano())
	if len(cfg.Users) == 0 && !cfg.Anonymous {
		b.token = rand.Text()
		cfg.Users = []User{{Name: "gridgate", Password: b.token}}
	}
	b.anyone = cfg.withRights(User{Name: "anyone"})
	for _, u := range cfg.Users {
		u = cfg.withRights(u)
		b.users[u.Name] = &u
	}
	return b
}

// Token is the generated password of user "gridgate"; "" when users are configured or
// anyone may connect.
func (b *Broker) Token() string { return b.token }

// Ready is closed when clients can connect.
func (b *Broker) Ready() <-chan struct{} { return b.ready }

// Addr is where it listens without TLS, once Ready; "" when it does not.
func (b *Broker) Addr() string { return loaded(&b.addr) }

// AddrTLS is where it listens with TLS.
func (b *Broker) AddrTLS() string { return loaded(&b.addrTLS) }

func loaded(p *atomic.Pointer[string]) string {
	if a := p.Load(); a != nil {
		return *a
	}
	return ""
}

// Status is what the broker knows of itself.
type Status struct {
	Listening    string `json:"listening,omitempty"`
	ListeningTLS string `json:"listening_tls,omitempty"`
	Clients      int    `json:"clients"`
	MaxClients   int    `json:"max_clients"`
	Waiting      int    `json:"waiting_unacked"` // QoS 0 frames not yet stored
	Slowed       uint64 `json:"slowed_logins"`   // of clients that come and go
	TurnedAway   uint64 `json:"refused_clients"` // by wrong passwords, rights, or the limit
	intake.Counts
}

// Status says how the broker is.
func (b *Broker) Status() Status {
	s := Status{Listening: b.Addr(), ListeningTLS: b.AddrTLS(), MaxClients: b.cfg.MaxClients, TurnedAway: b.refused.Load(), Slowed: b.flaps.slowed.Load(), Counts: b.tally.Counts()}
	if s.Listening != "" || s.ListeningTLS != "" {
		s.Clients = int(atomic.LoadInt64(&b.server.Info.ClientsConnected))
		s.Waiting = b.unacked.Held()
	}
	return s
}

// Run serves until ctx is done. It may run once.
func (b *Broker) Run(ctx context.Context, in grid.Ingester) error {
	ls, err := b.listen(func(addr string) (net.Listener, error) { return new(net.ListenConfig).Listen(ctx, "tcp", addr) })
	if err != nil {
		return err
	}
	b.in, b.ctx = in, ctx
	b.unacked = intake.NewQueue(intake.Limits{Frames: b.cfg.Unacked, Bytes: 16 << 20, GiveUp: b.cfg.GiveUp}, &b.tally, b.forwardAll, nil)
	b.outgoing = make(chan *packets.Packet, maxOutgoing)
	if err := b.serve(ls); err != nil {
		for _, l := range ls {
			l.Close(nil)
		}
		return grid.Errorf(grid.Internal, "broker %s: start: %w", b.cfg.Name, err)
	}
	b.workers.Go(func() { b.unacked.Run(ctx, in) })
	b.workers.Go(b.forwardStored)
	for _, l := range ls {
		addr := l.Address()
		if l.id == "tls" {
			b.addrTLS.Store(&addr)
		} else {
			b.addr.Store(&addr)
		}
		b.log.Info("broker listens", "in", addr, "tls", l.id == "tls")
	}
	b.began.Store(b.cfg.Now().UnixNano())
	close(b.ready)

	<-ctx.Done()
	b.unacked.Close()
	_ = b.server.Close()
	b.workers.Wait()
	b.storeRest()
	return nil
}

// serve starts the MQTT server on ls.
func (b *Broker) serve(ls []*listener) error {
	capabilities := mochi.NewDefaultServerCapabilities()
	capabilities.MaximumClients = int64(b.cfg.MaxClients)
	capabilities.MaximumPacketSize = uint32(b.cfg.MaxPacket)
	capabilities.MaximumClientWritesPending = 1024 // for each client: the server makes room for all of them at once
	capabilities.MaximumInflight = maxInflight
	capabilities.MaximumSessionExpiryInterval = uint32(keepSession.Seconds())
	capabilities.MaximumMessageExpiryInterval = 0 // none: the default throws retained messages away after a day
	capabilities.ReceiveMaximum = uint16(min(b.cfg.Window, 65535))
	capabilities.MaximumQos = 1
	capabilities.TopicAliasMaximum = 0
	b.server = mochi.New(&mochi.Options{
		Capabilities:            capabilities,
		ClientNetReadBufferSize: 8 << 10,
		SysTopicResendInterval:  3600,                          // each time it stops the world to read memory figures
		Logger:                  slog.New(slog.DiscardHandler), // it logs whole packets; we log what matters
	})
	b.inline = b.server.NewClient(nil, mochi.LocalListener, "gridgate", true)
	if err := b.server.AddHook(&hook{b: b}, nil); err != nil {
		return err
	}
	for _, l := range ls {
		if err := b.server.AddListener(l); err != nil {
			return err
		}
	}
	return b.server.Serve()
}

// refuse counts and says why a client was not let in or not obeyed.
func (b *Broker) refuse(msg string, err error) {
	b.refused.Add(1)
	b.tally.Fault(msg, err)
}

func (b *Broker) full() {
	b.refuse("connection refused", grid.Errorf(grid.Unavailable, "broker %s has %d connections: raise max_clients", b.cfg.Name, b.cfg.MaxClients))
}

// storeRest tries once more to store the QoS 0 frames that nobody will send again.
func (b *Broker) storeRest() {
	rest := b.unacked.Rest()
	if len(rest) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), lastTry)
	defer cancel()
	if err := b.in.Ingest(ctx, rest...); err != nil {
		b.tally.Lost(len(rest))
	}
}

// forward has a stored frame brought to subscribers of uplink topics. They only watch: what
// they do not take in time they miss, and no device waits for them.
func (b *Broker) forward(pk *packets.Packet) {
	if pk == nil {
		return
	}
	select {
	case b.outgoing <- pk:
	default:
		b.tally.Fault("subscribers are too slow", grid.Errorf(grid.Unavailable, "broker %s: %d stored frames wait for subscribers: those after them are not forwarded", b.cfg.Name, maxOutgoing))
	}
}

// ask brings a question of Remember to the device that is to answer it. Without room it is
// given up: it is asked again.
func (b *Broker) ask(topic string, payload []byte) {
	select {
	case b.outgoing <- &packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: topic, Payload: payload, ProtocolVersion: 4, Created: time.Now().Unix(),
	}:
	default:
	}
}

func (b *Broker) forwardAll(pks []*packets.Packet) {
	for _, pk := range pks {
		b.forward(pk)
	}
}

// forwardStored brings frames to subscribers, and keeps those that are to be retained.
func (b *Broker) forwardStored() {
	for {
		select {
		case pk := <-b.outgoing:
			_ = b.server.InjectPacket(b.inline, *pk)
		case <-b.ctx.Done():
			return
		}
	}
}

// login finds the account of a name and password, nil when there is none.
func (b *Broker) login(name, password []byte) *User {
	u := b.user(name)
	if u == nil || u != &b.anyone && u.Password == "" || u != &b.anyone && subtle.ConstantTimeCompare([]byte(u.Password), password) != 1 {
		return nil
	}
	return u
}

// user finds the account of one who is logged in.
func (b *Broker) user(name []byte) *User {
	if b.cfg.Credentials != nil {
		if u, ok := b.devices.accounts.Load(string(name)); ok {
			return u.(*User)
		}
	}
	if u, ok := b.users[string(name)]; ok {
		return u
	}
	if b.cfg.Anonymous {
		return &b.anyone
	}
	return nil
}
