package coap

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// withKey is what a client with a pre-shared key says.
func withKey(identity, psk string) []piondtls.ClientOption {
	return []piondtls.ClientOption{
		piondtls.WithPSK(func([]byte) ([]byte, error) { return hex.DecodeString(psk) }),
		piondtls.WithPSKIdentityHint([]byte(identity)),
		piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8),
	}
}

// movable is a socket whose owner can change its port under a session.
type movable struct {
	mu sync.Mutex
	net.PacketConn
}

func (m *movable) now() net.PacketConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.PacketConn
}

func (m *movable) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		c := m.now()
		n, from, err := c.ReadFrom(p)
		if err == nil || m.now() == c {
			return n, from, err
		}
	}
}

func (m *movable) WriteTo(p []byte, to net.Addr) (int, error) { return m.now().WriteTo(p, to) }

func (m *movable) move(t testing.TB) {
	t.Helper()
	c := socket(t, "127.0.0.1:0")
	m.mu.Lock()
	old := m.PacketConn
	m.PacketConn = c
	m.mu.Unlock()
	_ = old.Close()
}

func socket(t testing.TB, addr string) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// secure makes a session over a socket of its own.
func secure(t testing.TB, addr string, opts ...piondtls.ClientOption) (*device, *movable) {
	t.Helper()
	m := &movable{PacketConn: socket(t, "127.0.0.1:0")}
	d, err := secureOver(t, m, addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return d, m
}

// patience is longer than any handshake takes, but some have to fail.
const patience = 3 * time.Second

func secureOver(t testing.TB, c net.PacketConn, addr string, opts ...piondtls.ClientOption) (*device, error) {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := piondtls.ClientWithOptions(c, to, opts...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &device{t: t, conn: conn}, nil
}

func of(path string, m msg) msg {
	m.path = path
	return m
}

func TestDeviceSpeaksForItselfAloneWithItsKey(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{DTLS: keyed(t, t.TempDir()), UDP: "127.0.0.1:0", TCP: "127.0.0.1:0"}, &in)
	one, _ := secure(t, tr.Addr("dtls"), withKey("sn:1", pskOne)...)
	two, _ := secure(t, tr.Addr("dtls"), withKey("two", pskTwo)...)
	one.ask(of("up/sn:1", report(1, "x")), codes.Changed)
	two.ask(of("up/sn:2", report(1, "x")), codes.Changed)
	one.ask(of("up/sn:2", report(2, "spoofed")), codes.Forbidden)
	one.ask(of("up/sn:3", report(3, "spoofed")), codes.Forbidden)
	plain := dial(t, tr.Addr("udp"))
	plain.ask(of("up/sn:1", report(1, "spoofed")), codes.Unauthorized)
	plain.ask(of("up/SN:1", report(2, "spoofed")), codes.Unauthorized)
	plain.ask(of("up/sn:3", report(3, "of one without a key")), codes.Changed)
	for _, f := range in.Frames() {
		if string(f.Raw) == "spoofed" {
			t.Errorf("taken: %+v", f)
		}
	}
	if s := tr.Status(); s.Denied != 4 || s.Keys != 2 || s.Handshakes != 2 {
		t.Errorf("status %+v", s)
	}
}

func TestReplayedRecordMovesNothing(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{DTLS: keyed(t, t.TempDir())}, &in)
	tap := &tapped{PacketConn: socket(t, "127.0.0.1:0")}
	d, err := secureOver(t, tap, tr.Addr("dtls"), withKey("sn:1", pskOne)...)
	if err != nil {
		t.Fatal(err)
	}
	d.ask(report(1, "x"), codes.Changed)
	record := tap.last()
	to, _ := net.ResolveUDPAddr("udp", tr.Addr("dtls"))
	for _, c := range []net.PacketConn{tap.PacketConn, socket(t, "127.0.0.1:0")} { // from its own address, and from another
		if _, err := c.WriteTo(record, to); err != nil {
			t.Fatal(err)
		}
	}
	d.ask(report(2, "y"), codes.Changed)
	if got := ends(&in); len(got) != 2 || tr.Status().Repeated != 0 {
		t.Errorf("taken: %q, repeated %d", got, tr.Status().Repeated)
	}
}

// tapped keeps the last datagram that was sent.
type tapped struct {
	net.PacketConn
	mu   sync.Mutex
	sent []byte
}

func (c *tapped) WriteTo(p []byte, to net.Addr) (int, error) {
	c.mu.Lock()
	c.sent = append([]byte(nil), p...)
	c.mu.Unlock()
	return c.PacketConn.WriteTo(p, to)
}

func (c *tapped) last() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

func TestHandshakeWithoutTheKeyFails(t *testing.T) {
	cfg := keyed(t, t.TempDir())
	cfg.HandshakeTimeout = 500 * time.Millisecond
	tr, _ := start(t, Config{DTLS: cfg}, &gatetest.Inbox{})
	for name, opts := range map[string][]piondtls.ClientOption{
		"WrongKey":  withKey("sn:1", pskTwo),
		"NoSuchKey": withKey("sn:9", pskOne),
	} {
		t.Run(name, func(t *testing.T) {
			before := tr.Status().FailedHandshakes
			if _, err := secureOver(t, socket(t, "127.0.0.1:0"), tr.Addr("dtls"), opts...); err == nil {
				t.Fatal("it is in")
			}
			gatetest.Eventually(t, "the failure to be counted", func() bool { return tr.Status().FailedHandshakes > before })
		})
	}
	if s := tr.Status(); strings.Contains(s.LastError, pskOne) || s.LastError == "" || s.Handshakes != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestSessionSurvivesAnAddressChange(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{DTLS: keyed(t, t.TempDir())}, &in)
	d, m := secure(t, tr.Addr("dtls"), append(withKey("sn:1", pskOne), piondtls.WithConnectionIDGenerator(piondtls.OnlySendCIDGenerator()))...)
	d.ask(report(1, "x"), codes.Changed)
	m.move(t)
	d.askAgain(report(1, "x"), codes.Changed) // the same message by another address
	d.ask(report(2, "y"), codes.Changed)
	if got := ends(&in); len(got) != 2 {
		t.Errorf("taken: %q", got)
	}
	if s := tr.Status(); s.Handshakes != 1 || s.Repeated == 0 {
		t.Errorf("status %+v", s)
	}
	if p := tr.Peers("coap.dtls"); p[0].Address != m.now().LocalAddr().String() {
		t.Errorf("peer is at %s", p[0].Address)
	}
}

// TestMessageBeforeAndAfterAPortChangeWithoutDTLS shows what is left to the engine: the
// same device and content from another address are two frames of one device here.
func TestMessageBeforeAndAfterAPortChangeHasOneIdentity(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{}, &in)
	for range 2 {
		dial(t, tr.Addr("udp")).ask(report(7, "x"), codes.Changed)
	}
	f := in.Frames()
	if len(f) != 2 || f[0].Identity != f[1].Identity || string(f[0].Raw) != string(f[1].Raw) || f[0].Address != f[1].Address {
		t.Errorf("frames %+v", f)
	}
}

func TestDeviceThatRestartsWithTheSamePortGetsIn(t *testing.T) {
	for name, opts := range map[string][]piondtls.ClientOption{
		"Plain":            withKey("sn:1", pskOne),
		"WithConnectionID": append(withKey("sn:1", pskOne), piondtls.WithConnectionIDGenerator(piondtls.OnlySendCIDGenerator())),
	} {
		t.Run(name, func(t *testing.T) {
			tr, _ := start(t, Config{DTLS: keyed(t, t.TempDir())}, &gatetest.Inbox{})
			c := socket(t, "127.0.0.1:0")
			addr := c.LocalAddr().String()
			for i := range 3 {
				d, err := secureOver(t, silentClose{c}, tr.Addr("dtls"), opts...)
				if err != nil {
					t.Fatalf("start %d: %v", i+1, err)
				}
				d.ask(report(1, "x"), codes.Changed)
				_ = c.Close() // the power is gone: nothing is said
				c = socket(t, addr)
			}
			if s := tr.Status(); name == "Plain" && s.Listeners[0].Peers != 1 {
				gatetest.Eventually(t, "the old sessions to be forgotten", func() bool { return tr.Status().Listeners[0].Peers == 1 })
			}
		})
	}
}

func TestSessionOutlivesTheLongestReportingInterval(t *testing.T) {
	c := newClock()
	tr, _ := start(t, Config{DTLS: keyed(t, t.TempDir()), UDP: "127.0.0.1:0", Now: c.now}, &gatetest.Inbox{})
	d, _ := secure(t, tr.Addr("dtls"), withKey("sn:1", pskOne)...)
	d.ask(report(1, "x"), codes.Changed)
	dial(t, tr.Addr("udp")).ask(of("up/sn:3", report(1, "x")), codes.Changed)
	for kind, idle := range map[string]time.Duration{"udp": 250 * time.Second, "dtls": 25 * time.Hour} {
		conn := tr.on(kind).latest(1)[0].wire.(datagrams).conn
		conn.CheckExpirations(time.Now().Add(idle)) // as go-coap does every few seconds
		if conn.Context().Err() != nil {
			t.Errorf("%s: go-coap has closed it after %v", kind, idle)
		}
	}
	c.move(25 * time.Hour)
	tr.on("dtls").sweep(c.now())
	d.ask(report(2, "y"), codes.Changed)
	if n := tr.Status().Handshakes; n != 1 {
		t.Errorf("%d handshakes", n)
	}
	c.move(27 * time.Hour)
	tr.on("dtls").sweep(c.now())
	if n := tr.on("dtls").status().Peers; n != 0 {
		t.Errorf("%d sessions after a longer silence", n)
	}
}

func TestOneKeyHasFewSessions(t *testing.T) {
	tr, _ := start(t, Config{DTLS: keyed(t, t.TempDir())}, &gatetest.Inbox{})
	opts := append(withKey("sn:1", pskOne), piondtls.WithConnectionIDGenerator(piondtls.OnlySendCIDGenerator()))
	two, _ := secure(t, tr.Addr("dtls"), withKey("two", pskTwo)...)
	two.ask(of("up/sn:2", report(1, "x")), codes.Changed)
	var last *device
	for range 10 { // it restarts at ever new ports
		last, _ = secure(t, tr.Addr("dtls"), opts...)
		last.ask(report(1, "x"), codes.Changed)
	}
	if n := tr.Status().Listeners[0].Peers; n != maxSessions+1 {
		t.Errorf("%d sessions", n)
	}
	d := tr.on("dtls").server.(*dtlsServer).d
	gatetest.Eventually(t, "the flows of the others to end", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.byCID) == maxSessions+1
	})
	last.ask(report(2, "y"), codes.Changed)
	two.ask(of("up/sn:2", report(2, "x")), codes.Changed)
}

type silentClose struct{ net.PacketConn }

func (silentClose) Close() error { return nil }

func TestForgedHandshakeDoesNotEndASession(t *testing.T) {
	tr, _ := start(t, Config{DTLS: keyed(t, t.TempDir())}, &gatetest.Inbox{})
	tap := &tapped{PacketConn: socket(t, "127.0.0.1:0")}
	// The first message of a handshake, as anyone may send it under the device's address.
	c, err := piondtls.ClientWithOptions(tap, socket(t, "127.0.0.1:0").LocalAddr(), withKey("sn:1", pskOne)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_ = c.HandshakeContext(ctx)
	hello := tap.last()
	d, m := secure(t, tr.Addr("dtls"), withKey("sn:1", pskOne)...)
	d.ask(report(1, "x"), codes.Changed)
	to, _ := net.ResolveUDPAddr("udp", tr.Addr("dtls"))
	if _, err := m.WriteTo(hello, to); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		d.ask(report(int32(i+2), "x"), codes.Changed)
	}
}

func TestHandshakesThatNeverEndAreBounded(t *testing.T) {
	cfg := keyed(t, t.TempDir())
	cfg.MaxHandshakes = 5
	tr, _ := start(t, Config{DTLS: cfg}, &gatetest.Inbox{})
	tap := &tapped{PacketConn: socket(t, "127.0.0.1:0")}
	c, err := piondtls.ClientWithOptions(tap, socket(t, "127.0.0.1:0").LocalAddr(), withKey("sn:1", pskOne)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_ = c.HandshakeContext(ctx)
	to, _ := net.ResolveUDPAddr("udp", tr.Addr("dtls"))
	for range 50 {
		if _, err := socket(t, "127.0.0.1:0").WriteTo(tap.last(), to); err != nil {
			t.Fatal(err)
		}
	}
	d, _ := secure(t, tr.Addr("dtls"), withKey("sn:1", pskOne)...)
	d.ask(report(1, "x"), codes.Changed)
	s := tr.on("dtls").server.(*dtlsServer).d
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) > 5 || len(s.order) > 10 {
		t.Errorf("%d handshakes are under way, %d are kept", len(s.fresh), len(s.order))
	}
}

func TestGatewayRestartLeadsToASessionWithinTheNextReport(t *testing.T) {
	dir := t.TempDir()
	var in gatetest.Inbox
	cfg := keyed(t, dir)
	tr, stop := start(t, Config{DTLS: cfg}, &in)
	cfg.Listen = tr.Addr("dtls")
	d, m := secure(t, cfg.Listen, withKey("sn:1", pskOne)...)
	d.ask(report(1, "before"), codes.Changed)
	m.deaf(t, stop) // the farewell is lost, as after a power cut
	tr, _ = start(t, Config{DTLS: cfg}, &in)
	d.send(report(2, "after")) // the new gateway does not know the session
	if got, ok := d.receive(300 * time.Millisecond); ok {
		t.Fatalf("answered %v", got.Code)
	}
	// The device repeats in a new session, from the port it had.
	addr := m.now().LocalAddr().String()
	_ = m.now().Close()
	d, err := secureOver(t, socket(t, addr), cfg.Listen, withKey("sn:1", pskOne)...)
	if err != nil {
		t.Fatal(err)
	}
	d.ask(report(2, "after"), codes.Changed)
	if got := ends(&in); len(got) != 2 || tr.Status().Handshakes != 1 {
		t.Errorf("taken: %q", got)
	}
}

// deaf closes the socket while do runs, and opens it again with the same port.
func (m *movable) deaf(t testing.TB, do func()) {
	t.Helper()
	addr := m.now().LocalAddr().String()
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.PacketConn.Close()
	do()
	m.PacketConn = socket(t, addr)
}

func TestGatewayThatStopsSaysGoodBye(t *testing.T) {
	tr, stop := start(t, Config{DTLS: keyed(t, t.TempDir())}, &gatetest.Inbox{})
	d, _ := secure(t, tr.Addr("dtls"), withKey("sn:1", pskOne)...)
	d.ask(report(1, "x"), codes.Changed)
	stop()
	_ = d.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := d.conn.Read(make([]byte, 100)); err == nil || os.IsTimeout(err) {
		t.Errorf("error is %v, want the end of the session", err)
	}
}

func TestKeysAreRotatedWithoutRestartAndWithoutDroppingSessions(t *testing.T) {
	dir := t.TempDir()
	var in gatetest.Inbox
	tr, _ := start(t, Config{DTLS: keyed(t, dir)}, &in)
	one, _ := secure(t, tr.Addr("dtls"), withKey("sn:1", pskOne)...)
	two, _ := secure(t, tr.Addr("dtls"), withKey("two", pskTwo)...)
	one.ask(of("up/sn:1", report(1, "x")), codes.Changed)
	two.ask(of("up/sn:2", report(1, "x")), codes.Changed)

	fresh := strings.Repeat("ab", 16)
	path := filepath.Join(dir, "keys.yaml")
	writeKeys(t, path, "devices:\n  - {device: \"sn:1\", psk: \""+fresh+"\"}\n  - {device: \"sn:3\", psk: \""+pskTwo+"\"}\n")
	gatetest.Eventually(t, "the new keys", func() bool { return tr.keys.table.Load().secured["sn:3"] })
	one.ask(of("up/sn:1", report(2, "same session, key changed")), codes.Changed)
	two.ask(of("up/sn:2", report(2, "its key was withdrawn")), codes.Unauthorized)
	if _, err := secureOver(t, socket(t, "127.0.0.1:0"), tr.Addr("dtls"), withKey("sn:1", pskOne)...); err == nil {
		t.Error("the old key still opens a session")
	}
	d, _ := secure(t, tr.Addr("dtls"), withKey("sn:1", fresh)...)
	d.ask(of("up/sn:1", report(3, "x")), codes.Changed)

	writeKeys(t, path, "devices:\n  - {device: \"sn:1\", psk: \"tooshort"+fresh[:8]+"\"}\n")
	gatetest.Eventually(t, "the mistake to be told", func() bool { return strings.Contains(tr.Status().LastError, "psk cannot be used") })
	d.ask(of("up/sn:1", report(4, "x")), codes.Changed)
	if e := tr.Status().LastError; strings.Contains(e, "tooshort") {
		t.Errorf("a key is shown: %s", e)
	}
}

func TestKeysFileIsStrictAndShowsNoKey(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"Unknown":    {"devices:\n  - {device: \"sn:1\", pks: \"" + pskOne + "\"}\n", "line 2 cannot be read"},
		"NotYAML":    {"devices: [" + pskOne, "cannot be read"},
		"Identity":   {"devices:\n  - {device: nobody, psk: \"" + pskOne + "\"}\n", `devices[0]: device: identity "nobody" has no kind`},
		"NoKey":      {"devices:\n  - {device: \"sn:1\"}\n", "devices[0]: device sn:1: want psk or certificate"},
		"Both":       {"devices:\n  - {device: \"sn:1\", psk: \"" + pskOne + "\", certificate: x}\n", "want psk or certificate"},
		"ShortKey":   {"devices:\n  - {device: \"sn:1\", psk: \"" + pskOne[:30] + "\"}\n", "want 32 to 128 hexadecimal digits"},
		"Twice":      {"devices:\n  - {device: \"sn:1\", psk: \"" + pskOne + "\"}\n  - {device: \"sn:1\", psk: \"" + pskOne + "\"}\n", `psk_identity "sn:1" comes twice`},
		"TwiceCert":  {"devices:\n  - {device: \"sn:1\", certificate: a}\n  - {device: \"sn:2\", certificate: A}\n", `certificate "A" comes twice`},
		"NotAString": {"devices:\n  - {device: \"sn:1\", psk: [" + pskOne + "]}\n", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := keyed(t, dir)
			writeKeys(t, cfg.KeysFile, c.text)
			err := New(Config{DTLS: cfg, Identify: identify}, nil).Run(t.Context(), &gatetest.Inbox{})
			if grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), pskOne[:16]) {
				t.Errorf("a key is shown: %v", err)
			}
		})
	}
}

func TestConfigThatLetsNobodyInIsAnError(t *testing.T) {
	for name, d := range map[string]DTLS{
		"NoKeys":  {Listen: "127.0.0.1:0"},
		"NoKey":   {Listen: "127.0.0.1:0", Cert: "x", ClientCA: "x"},
		"NoCert":  {Listen: "127.0.0.1:0", ClientCA: "x"},
		"NoPort":  {Listen: "127.0.0.1", KeysFile: "x"},
		"Missing": {Listen: "127.0.0.1:0", KeysFile: filepath.Join(t.TempDir(), "none")},
	} {
		t.Run(name, func(t *testing.T) {
			if err := New(Config{DTLS: d, Identify: identify}, nil).Run(t.Context(), &gatetest.Inbox{}); grid.CodeOf(err) != grid.Invalid {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// authority signs certificates into dir.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.issue(t, name)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// issue writes name.pem and name.key; the first is the authority itself.
func (a *authority) issue(t testing.TB, name string, dns ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: dns,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	base := strings.ReplaceAll(name, ":", "_")
	for file, b := range map[string]*pem.Block{base + ".pem": {Type: "CERTIFICATE", Bytes: der}, base + ".key": {Type: "PRIVATE KEY", Bytes: pkcs}} {
		if err := os.WriteFile(a.file(file), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		a.key = key
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func withCertificate(a *authority, c ...tls.Certificate) []piondtls.ClientOption {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	opts := []piondtls.ClientOption{piondtls.WithRootCAs(roots), piondtls.WithServerName("127.0.0.1")}
	if len(c) > 0 {
		opts = append(opts, piondtls.WithCertificates(c...))
	}
	return opts
}

func TestDeviceSpeaksForItselfAloneWithItsCertificate(t *testing.T) {
	a := newAuthority(t, "ca")
	a.issue(t, "gateway")
	named, other := a.issue(t, "sn:5"), a.issue(t, "a meter", "sn6.example")
	printed := a.issue(t, "no name that counts")
	sum := sha256.Sum256(printed.Certificate[0])
	cfg := keyed(t, a.dir)
	cfg.Cert, cfg.Key, cfg.ClientCA = a.file("gateway.pem"), a.file("gateway.key"), a.file("ca.pem")
	writeKeys(t, cfg.KeysFile, "devices:\n"+
		"  - {device: \"sn:1\", psk: \""+pskOne+"\"}\n"+
		"  - {device: \"sn:6\", also: [\"sn:7\"], certificate: sn6.example}\n"+
		"  - {device: \"sn:8\", certificate: \"sha256:"+hex.EncodeToString(sum[:])+"\"}\n")
	var in gatetest.Inbox
	tr, _ := start(t, Config{DTLS: cfg, UDP: "127.0.0.1:0"}, &in)
	d, _ := secure(t, tr.Addr("dtls"), withCertificate(a, named)...)
	d.ask(of("up/sn:5", report(1, "by its name")), codes.Changed)
	d.ask(of("up/sn:6", report(2, "spoofed")), codes.Forbidden)
	d.ask(of("up/sn:1", report(3, "spoofed")), codes.Forbidden)
	d, _ = secure(t, tr.Addr("dtls"), withCertificate(a, other)...)
	d.ask(of("up/sn:6", report(1, "by the file")), codes.Changed)
	d.ask(of("up/sn:7", report(2, "by the file")), codes.Changed)
	d.ask(of("up/sn:5", report(3, "spoofed")), codes.Forbidden)
	d, _ = secure(t, tr.Addr("dtls"), withCertificate(a, printed)...)
	d.ask(of("up/sn:8", report(1, "by its fingerprint")), codes.Changed)
	d, _ = secure(t, tr.Addr("dtls"), withKey("sn:1", pskOne)...) // a key does as well
	d.ask(of("up/sn:1", report(1, "by key")), codes.Changed)
	dial(t, tr.Addr("udp")).ask(of("up/sn:8", report(1, "spoofed")), codes.Unauthorized)

	for name, opts := range map[string][]piondtls.ClientOption{
		"NoCertificate":    withCertificate(a),
		"UnknownAuthority": withCertificate(a, newAuthority(t, "another").issue(t, "sn:5")),
	} {
		t.Run(name, func(t *testing.T) {
			d, err := secureOver(t, socket(t, "127.0.0.1:0"), tr.Addr("dtls"), opts...)
			if err != nil {
				return
			}
			d.send(of("up/sn:5", report(1, "spoofed")))
			if m, ok := d.receive(300 * time.Millisecond); ok {
				t.Errorf("answered %v", m.Code)
			}
		})
	}
	for _, f := range in.Frames() {
		if string(f.Raw) == "spoofed" {
			t.Errorf("taken: %+v", f)
		}
	}
}

func TestRenewedCertificateOfTheGatewayIsUsed(t *testing.T) {
	a := newAuthority(t, "ca")
	a.issue(t, "gateway")
	dev := a.issue(t, "sn:5")
	cfg := DTLS{Listen: "127.0.0.1:0", ReloadEvery: 10 * time.Millisecond, Cert: a.file("gateway.pem"), Key: a.file("gateway.key"), ClientCA: a.file("ca.pem")}
	tr, _ := start(t, Config{DTLS: cfg}, &gatetest.Inbox{})
	first := tr.keys.table.Load().certs[0].Certificate[0]
	a.issue(t, "gateway")
	gatetest.Eventually(t, "the new one", func() bool { return string(tr.keys.table.Load().certs[0].Certificate[0]) != string(first) })
	d, _ := secure(t, tr.Addr("dtls"), withCertificate(a, dev)...)
	d.ask(of("up/sn:5", report(1, "x")), codes.Changed)
	state, _ := d.conn.(*piondtls.Conn).ConnectionState()
	if string(state.PeerCertificates[0]) == string(first) {
		t.Error("the old certificate is still shown")
	}
}

func TestUploadOverDTLSGoesOnAfterAnAddressChange(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{DTLS: keyed(t, t.TempDir())}, &in)
	d, m := secure(t, tr.Addr("dtls"), append(withKey("sn:1", pskOne), piondtls.WithConnectionIDGenerator(piondtls.OnlySendCIDGenerator()))...)
	whole := text(200)
	for i, b := range blocks(whole, 2) {
		want := codes.Continue
		if !b.more {
			want = codes.Changed
		}
		d.askAgain(blockOf(int32(i+1), whole, b), want)
		m.move(t)
	}
	if got := ends(&in); len(got) != 1 || got[0] != whole {
		t.Errorf("taken: %q", got)
	}
}
