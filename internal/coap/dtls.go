package coap

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"sync/atomic"
	"time"

	piondtls "github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/plgd-dev/go-coap/v3/dtls"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/options"
	udpclient "github.com/plgd-dev/go-coap/v3/udp/client"

	"gridgate/internal/grid"
)

// maxSessions is how many sessions one key or certificate may have: a device that restarts
// at ever new addresses leaves its old ones behind without a word.
const maxSessions = 4

// maxRecord is the largest DTLS record that is read: what a device sends in one datagram.
const maxRecord = 4096

var (
	errNoKey   = errors.New("no such key")
	errNoProof = errors.New("neither key nor certificate was shown")
)

// The suites that small devices have (RFC 7925) and their stronger kin.
var (
	pskSuites = [...]piondtls.CipherSuiteID{
		piondtls.TLS_PSK_WITH_AES_128_GCM_SHA256, piondtls.TLS_PSK_WITH_AES_128_CCM, piondtls.TLS_PSK_WITH_AES_128_CCM_8,
		piondtls.TLS_PSK_WITH_AES_256_CCM_8, piondtls.TLS_PSK_WITH_AES_128_CBC_SHA256,
	}
	certSuites = [...]piondtls.CipherSuiteID{
		piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, piondtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM, piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
		piondtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, piondtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	}
)

// dtlsServer is CoAP over DTLS.
type dtlsServer struct {
	d   *demux
	run func(*dtlsListener) error
	end func()
}

func (s *dtlsServer) addr() net.Addr { return s.d.pc.LocalAddr() }
func (s *dtlsServer) serve() error   { return s.run(&dtlsListener{s.d}) }
func (s *dtlsServer) stop()          { s.end(); s.d.close() }

func (t *Transport) openDTLS(addr string) (server, error) {
	d, err := newDemux(addr, t.cfg.DTLS.MaxHandshakes, t.handshake, t.handshakeFailed)
	if err != nil {
		return nil, err
	}
	t.workers.Go(d.read)
	l, conns := t.on("dtls"), &connections{}
	s := dtls.NewServer(
		options.WithContext(t.ctx),
		options.WithErrors(t.junk),
		options.WithPeriodicRunner(t.upkeep),
		options.WithReceivedMessageQueueSize(queueOfPeer),
		options.WithMTU(maxRecord),
		options.WithBlockwise(true, blockwise.SZX1024, t.cfg.BlockTimeout),
		options.WithInactivityMonitor(t.cfg.DTLS.Idle+upkeepEvery, func(c *udpclient.Conn) { _ = c.Close() }),
		options.WithOnNewConn(func(c *udpclient.Conn) {
			s, ok := c.NetConn().(*session)
			if !ok || s.who == nil { // it has not shown who it is
				_ = c.Close()
				return
			}
			p := &peer{wire: datagrams{c}, session: t.sessions.Add(1), who: s.who}
			conns.enter(l, c, p, c.AddOnClose)
			l.keepLatest(p, maxSessions)
		}),
		options.WithRequestMonitor(func(c *udpclient.Conn, m *pool.Message) (bool, error) { return conns.take(t, c, m) }),
	)
	return &dtlsServer{d, func(l *dtlsListener) error { return s.Serve(l) }, s.Stop}, nil
}

// dtlsListener hands sessions to go-coap as they begin, before their handshake.
type dtlsListener struct{ d *demux }

func (l *dtlsListener) AcceptWithContext(ctx context.Context) (net.Conn, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.d.done:
		return nil, coapnet.ErrListenerIsClosed
	case s := <-l.d.accept:
		return s, nil
	}
}

func (l *dtlsListener) Close() error { l.d.close(); return nil }

// session is one DTLS association.
type session struct {
	*piondtls.Conn
	t    *Transport
	flow *flow
	who  *principal // once the handshake is done
	done atomic.Bool

	key      atomic.Pointer[principal]  // whose key of the registry is tried
	patience atomic.Pointer[time.Timer] // ends a handshake with the wrong one of several
}

// handshake makes a session of a flow. It takes the keys of now.
func (t *Transport) handshake(f *flow) (net.Conn, error) {
	keys, s := t.keys.table.Load(), &session{t: t, flow: f}
	opts := []piondtls.ServerOption{
		piondtls.WithConnectionIDGenerator(func() []byte { return f.cid[:] }),
		piondtls.WithExtendedMasterSecret(piondtls.RequestExtendedMasterSecret),
		piondtls.WithLoggerFactory(&logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}),
		piondtls.WithVerifyConnection(func(s *piondtls.State) error {
			if len(s.IdentityHint) == 0 && len(s.PeerCertificates) == 0 {
				return errNoProof
			}
			return nil
		}),
	}
	var suites []piondtls.CipherSuiteID
	if len(keys.byPSK) > 0 || t.cfg.Credentials != nil {
		suites = append(suites, pskSuites[:]...)
		opts = append(opts, piondtls.WithPSK(func(identity []byte) ([]byte, error) { return s.keyFor(string(identity)) }))
	}
	if len(keys.certs) > 0 {
		suites = append(certSuites[:], suites...)
		opts = append(opts, piondtls.WithCertificates(keys.certs...))
	}
	if len(keys.certs) > 0 && (keys.cas != nil || t.cfg.Credentials != nil) {
		// Asked for, not demanded: a key does as well, and one of both is asked for above.
		opts = append(opts, piondtls.WithClientAuth(piondtls.RequestClientCert),
			piondtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error { return t.keys.verify(raw, keys.cas) }))
	}
	if suites == nil {
		return nil, errNoKey // the file of keys is empty
	}
	opts = append(opts, piondtls.WithCipherSuites(suites...))
	var err error
	if s.Conn, err = piondtls.ServerWithOptions(f, net.UDPAddrFromAddrPort(f.addr), opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// HandshakeContext is called by go-coap, first in a goroutine of the session and then
// before each read and write.
func (s *session) HandshakeContext(ctx context.Context) error {
	if s.done.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.t.cfg.DTLS.HandshakeTimeout, errors.New("handshake took too long"))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.flow.Close() })
	defer stop()
	err := s.prove(ctx)
	if t := s.patience.Load(); t != nil {
		t.Stop()
	}
	if err != nil {
		s.t.handshakeFailed(err)
		_ = s.flow.Close()
		return err
	}
	s.done.Store(true)
	s.t.handshakes.Add(1)
	s.flow.d.establish(s.flow, s.Conn)
	return nil
}

func (s *session) prove(ctx context.Context) error {
	if err := s.Conn.HandshakeContext(ctx); err != nil {
		return err
	}
	state, ok := s.ConnectionState()
	switch {
	case !ok:
		return errNoProof
	case len(state.PeerCertificates) > 0:
		who, err := holder(state.PeerCertificates[0])
		if err != nil {
			return err
		}
		s.who = who
		s.t.keys.pinned(who, state.PeerCertificates[0])
	case len(state.IdentityHint) > 0:
		s.who = s.keyProved(string(state.IdentityHint))
	default:
		return errNoProof
	}
	return nil
}

func (t *Transport) handshakeFailed(err error) {
	t.failed.Add(1)
	t.peerFault(t.on("dtls"), "handshake failed", grid.Errorf(grid.Unauthorized, "coap %s: handshake: %w", t.cfg.Name, err))
}
