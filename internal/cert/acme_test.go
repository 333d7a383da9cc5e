package cert_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"golang.org/x/crypto/acme"
	"golang.org/x/net/dns/dnsmessage"

	"gridgate/internal/cert"
)

// names answers each question for an address with this machine's.
func names(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = c.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
			if q.Type == dnsmessage.TypeA {
				answer.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			if b, err := answer.Pack(); err == nil {
				_, _ = c.WriteTo(b, from)
			}
		}
	}()
	return c.LocalAddr().String()
}

// pebble is Let's Encrypt's own small server, which looks at our listener for its challenge.
func pebble(t *testing.T, tlsPort int) (directory, root string) {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	t.Setenv("PEBBLE_AUTHZREUSE", "0")
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", 0, 1, map[string]ca.Profile{"default": {Description: "the only one", ValidityPeriod: 7 * 24 * 3600}})
	front := wfe.New(quiet, store, va.New(quiet, 0, tlsPort, false, names(t), store), issuer, false, false, 1, 1)
	s := httptest.NewTLSServer(front.Handler())
	t.Cleanup(s.Close)
	root = filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL + wfe.DirectoryPath, root
}

func TestACertificateComesFromAnACMEServerAndOutlivesARestart(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	directory, root := pebble(t, ln.Addr().(*net.TCPAddr).Port)
	c := &cert.ACME{Domains: []string{"gridgate.example.org"}, Email: "duty@example.org", Directory: directory, CA: root, Cache: filepath.Join(t.TempDir(), "acme")}
	m, err := c.Manager()
	if err != nil {
		t.Fatal(err)
	}
	secure := tls.NewListener(ln, cert.Server(m.GetCertificate, acme.ALPNProto))
	served := make(chan struct{})
	t.Cleanup(func() { _ = secure.Close(); <-served })
	go func() {
		defer close(served)
		for {
			conn, err := secure.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_ = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Warm(ctx, m, func(domain string, err error) {
		if err != nil {
			t.Errorf("%s: %v", domain, err)
			cancel()
		}
	}); err != nil || t.Failed() {
		t.Fatal(err)
	}
	shown := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{ServerName: "gridgate.example.org", InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		leaf := conn.ConnectionState().PeerCertificates[0]
		if leaf.VerifyHostname("gridgate.example.org") != nil || !strings.Contains(leaf.Issuer.CommonName, "Pebble") {
			t.Errorf("the certificate is for %v, by %s", leaf.DNSNames, leaf.Issuer)
		}
		return leaf.SerialNumber.Text(16)
	}
	first := shown()
	if info, err := os.Stat(c.Cache); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its folder: %v, %v", info.Mode(), err)
	}
	if conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{ServerName: "other.example.org", InsecureSkipVerify: true}); err == nil {
		_ = conn.Close()
		t.Error("a name that is not ours is answered: anyone could have us ask for certificates")
	}
	// After a restart the same is shown, and the server is not asked.
	c.Directory = "https://127.0.0.1:1/dir"
	if m, err = c.Manager(); err != nil {
		t.Fatal(err)
	}
	got, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: "gridgate.example.org", SupportedVersions: []uint16{tls.VersionTLS13}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}})
	if err != nil || got.Leaf.SerialNumber.Text(16) != first {
		t.Errorf("after a restart: %v", err)
	}
}
