package coap

import (
	"container/list"
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	tcp "github.com/plgd-dev/go-coap/v3/tcp/client"
	udp "github.com/plgd-dev/go-coap/v3/udp/client"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// peer is one far end: an address on UDP, a session on DTLS, a connection on TCP.
type peer struct {
	t       *Transport
	on      *listener
	wire    wire
	addr    netip.AddrPort // UDP: part of the key of its messages
	session uint64         // DTLS, TCP: the same
	stream  bool           // TCP: nothing is lost or repeated underneath
	who     *principal     // DTLS: whose key or certificate it has shown
	since   time.Time
	place   *list.Element // among the listener's peers, which guards it and heard
	heard   time.Time
	self    weak.Pointer[peer]

	mu      sync.Mutex
	uploads map[string]*upload
	tokens  float64 // requests that it may send now
	filled  time.Time
	waiting []*exchange
	held    int // waiting, or being stored
	running bool

	// For the health view.
	traffic intake.Traffic
	device  grid.Identity           // who spoke last
	control *coapnet.ControlMessage // to which of our addresses
	fault   string                  // what it was last told
	faultAt time.Time
}

// wire is how answers reach a peer.
type wire interface {
	reply(x *exchange, r *reply) error
	address() string
	close()
}

// exchange is a request that is being answered.
type exchange struct {
	p          *peer
	con        bool // the peer waits for an answer
	id         int32
	token      message.Token
	control    *coapnet.ControlMessage
	noResponse uint32
	key        exchangeKey
	seen       *seen
	block      block
	hasBlock   bool

	frame grid.Frame
	done  *reply              // once it is durable
	then  func(answer func()) // instead of the answer, once it is durable; nil: just the answer
	heard bool                // no request: it is acknowledged, or nothing is said
}

// allow takes cost from what the peer may send.
func (p *peer) allow(now time.Time, cost float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	burst := float64(p.t.cfg.Burst)
	if p.filled.IsZero() {
		p.tokens = burst
	} else {
		p.tokens = min(burst, p.tokens+now.Sub(p.filled).Seconds()*float64(p.t.cfg.Rate))
	}
	p.filled = now
	if p.tokens < cost {
		return false
	}
	p.tokens -= cost
	return true
}

// answer sends r unless the peer does not want to hear it. The peer's own word decides
// what it is told, never what we do.
func (p *peer) answer(x *exchange, r *reply) error {
	if r.code >= codes.BadRequest {
		p.mu.Lock()
		p.fault, p.faultAt = r.text, p.t.cfg.City().UTC()
		p.mu.Unlock()
	}
	if x.heard && (r.code != codes.Empty || !x.con) {
		return nil
	}
	if class := r.code >> 5; x.noResponse>>(class-1)&1 == 1 {
		if !x.con || p.stream {
			return nil
		}
		r = &reply{code: codes.Empty, format: -1}
	}
	return p.wire.reply(x, r)
}

// fill writes a reply into a message.
func (r *reply) fill(m *pool.Message, x *exchange) {
	m.SetCode(r.code)
	if r.code == codes.Empty {
		return
	}
	m.SetToken(x.token)
	b, has := r.block, r.hasBlock
	if !has && x.hasBlock {
		b, has = x.block, true
	}
	if r.format >= 0 {
		m.SetContentFormat(message.MediaType(r.format))
	}
	for _, part := range r.location {
		m.AddOptionString(message.LocationPath, part)
	}
	if r.maxAge > 0 {
		m.SetOptionUint32(message.MaxAge, r.maxAge)
	}
	if has {
		m.SetOptionUint32(message.Block1, b.value())
	}
	if r.size > 0 {
		m.SetOptionUint32(message.Size1, r.size)
	}
	if r.text != "" {
		m.SetBody(strings.NewReader(r.text))
	}
}

// datagrams is the wire over UDP and DTLS.
type datagrams struct{ conn *udp.Conn }

func (w datagrams) reply(x *exchange, r *reply) error {
	// Not the connection's context: it may have gone, and the address is still good.
	m := w.conn.AcquireMessage(context.Background())
	defer w.conn.ReleaseMessage(m)
	r.fill(m, x)
	if x.con {
		m.SetType(message.Acknowledgement)
		m.SetMessageID(x.id)
	} else {
		m.SetType(message.NonConfirmable)
		m.SetMessageID(w.conn.GetMessageID())
	}
	answerFrom(m, x.control)
	return w.conn.Session().WriteMessage(m)
}

// answerFrom makes a message come from the address that was spoken to.
func answerFrom(m *pool.Message, c *coapnet.ControlMessage) {
	if c != nil && !c.Dst.IsMulticast() {
		m.SetControlMessage(&coapnet.ControlMessage{IfIndex: c.IfIndex, Src: c.Dst})
	}
}

func (w datagrams) address() string { return w.conn.RemoteAddr().String() }

// closeFunc is where go-coap's UDP server keeps what forgets a connection at once. Without
// it a closed connection stays, goroutine and all, until the next round of its upkeep: a
// flood from ever new addresses would fill the memory in between.
const closeFunc = "gocoapCloseConnection"

func (w datagrams) close() {
	_ = w.conn.Close()
	if forget, ok := w.conn.Context().Value(closeFunc).(func()); ok {
		forget()
	}
}

// writeWithin bounds a write to a TCP peer that does not read.
const writeWithin = 5 * time.Second

// stream is the wire over TCP.
type stream struct{ conn *tcp.Conn }

func (w stream) reply(x *exchange, r *reply) error {
	m := w.conn.AcquireMessage(w.conn.Context())
	defer w.conn.ReleaseMessage(m)
	r.fill(m, x)
	_ = w.conn.NetConn().SetWriteDeadline(time.Now().Add(writeWithin))
	return w.conn.Session().WriteMessage(m)
}

func (w stream) address() string { return w.conn.RemoteAddr().String() }
func (w stream) close()          { _ = w.conn.Close() }
