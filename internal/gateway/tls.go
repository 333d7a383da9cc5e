package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"gridgate/internal/api"
	"gridgate/internal/auth"
	"gridgate/internal/cert"
)

// HTTPTLSConfig is the listener of HTTPS: with the certificate of two files, with those of
// an ACME server, or with the certificate "gateway" of the local authority (gridgate cert).
type HTTPTLSConfig struct {
	Listen   string        `yaml:"listen"` // "": none
	Cert     string        `yaml:"cert"`   // PEM with its chain; both "": <data_dir>/ca/server/gateway.pem and .key
	Key      string        `yaml:"key"`
	ACME     ACMEConfig    `yaml:"acme"`
	Redirect bool          `yaml:"redirect"` // who comes to http.listen from elsewhere is sent here
	HSTS     time.Duration `yaml:"hsts"`     // browsers come by TLS alone for so long; 0s: 180 days with acme, else not at all
}

// ACMEConfig is a server of RFC 8555. Naming domains is agreeing to its terms.
type ACMEConfig struct {
	Domains   []string `yaml:"domains"`
	Email     string   `yaml:"email"`
	Directory string   `yaml:"directory"` // "": Let's Encrypt
	Cache     string   `yaml:"cache"`     // "": <data_dir>/acme
	CA        string   `yaml:"ca"`        // PEM, of a directory within the house
}

const (
	publicHSTS       = 180 * 24 * time.Hour
	certificatesLook = time.Hour // renewal, and what ends soon
	localName        = "gateway" // of the certificate that is taken where none is named
)

// CADir is the local authority's folder.
func (c *Config) CADir() string { return filepath.Join(c.DataDir, "ca") }

func (c *HTTPTLSConfig) files() []*string {
	return []*string{&c.Cert, &c.Key, &c.ACME.Cache, &c.ACME.CA}
}

func (c *HTTPTLSConfig) validate(v *problems) {
	if c.Listen == "" {
		return
	}
	v.listen("http.tls.listen", c.Listen)
	v.want((c.Cert == "") == (c.Key == ""), "http.tls: want cert and key together")
	v.want(c.Cert == "" || len(c.ACME.Domains) == 0, "http.tls: want cert and key, or acme.domains, not both")
	v.want(c.HSTS >= 0, "http.tls.hsts is %s: want 0s or more", c.HSTS)
	for i, d := range c.ACME.Domains {
		_, err := netip.ParseAddr(d)
		v.want(err != nil && strings.Contains(d, ".") && !strings.ContainsAny(d, "/:* "), "http.tls.acme.domains[%d] is %q: want a name such as gridgate.example.org", i, d)
	}
	if d := c.ACME.Directory; d != "" {
		u, err := url.Parse(d)
		v.want(err == nil && u.Host != "" && u.Scheme == "https", "http.tls.acme.directory is %q: want https://…", d)
	}
}

func (c *HTTPTLSConfig) hsts() time.Duration {
	if c.HSTS == 0 && len(c.ACME.Domains) > 0 {
		return publicHSTS
	}
	return c.HSTS
}

// pair is the files in force where acme has no part.
func (c *Config) pair() (certFile, keyFile string) {
	if t := c.HTTP.TLS; t.Cert != "" {
		return t.Cert, t.Key
	}
	base := filepath.Join(c.CADir(), string(cert.ForServer), localName)
	return base + ".pem", base + ".key"
}

// Authority opens the local authority. Its key is sealed as the secrets of devices are.
func (c *Config) Authority(now func() time.Time) (*cert.Authority, error) {
	keys, err := c.sealing(false)
	if err != nil {
		return nil, err
	}
	return cert.Open(c.CADir(), keys, now)
}

// MakeAuthority makes it.
func (c *Config) MakeAuthority(name string, permit []string, now func() time.Time) (*cert.Authority, error) {
	keys, err := c.sealing(true)
	if err != nil {
		return nil, err
	}
	return cert.Make(c.CADir(), keys, name, permit, now)
}

// sealing opens the key file. It is made only where no gateway has been: another would hide
// that the first is lost.
func (c *Config) sealing(mayMake bool) (*auth.Keys, error) {
	if _, err := os.Stat(c.StatePath()); err == nil {
		mayMake = false
	}
	return auth.OpenKeys(c.KeyFilePath(), !mayMake)
}

// Certificates are those that the configuration names, with how near their end is.
func (c *Config) Certificates(now time.Time) (out []cert.Ending) {
	add := func(what, path string) {
		if path != "" {
			out = append(out, cert.EndingsOf(what, path, now)...)
		}
	}
	if t := c.HTTP.TLS; t.Listen != "" && len(t.ACME.Domains) == 0 {
		path, _ := c.pair()
		add("http.tls.cert", path)
	}
	for _, d := range c.HTTP.TLS.ACME.Domains {
		if path := filepath.Join(c.acme().Cache, d); c.HTTP.TLS.Listen != "" && exists(path) {
			add("http.tls.acme", path)
		}
	}
	if c.Broker.Enabled && c.Broker.ListenTLS != "" {
		add("broker.tls.cert", c.Broker.TLS.Cert)
		add("broker.tls.client_ca", c.Broker.TLS.ClientCA)
	}
	if d := c.CoAP.DTLS; d.Listen != "" {
		add("coap.dtls.cert", d.Cert)
		add("coap.dtls.client_ca", d.ClientCA)
	}
	for _, m := range c.MQTT {
		add("mqtt "+m.Name+" tls.ca", m.TLS.CA)
		add("mqtt "+m.Name+" tls.cert", m.TLS.Cert)
	}
	if root := cert.RootPath(c.CADir()); exists(root) {
		add("local authority", root)
	}
	return out
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (c *Config) acme() *cert.ACME {
	a := c.HTTP.TLS.ACME
	if a.Cache == "" {
		a.Cache = filepath.Join(c.DataDir, "acme")
	}
	return &cert.ACME{Domains: a.Domains, Email: a.Email, Directory: a.Directory, Cache: a.Cache, CA: a.CA}
}

// secured is the listener of HTTPS, and who has its certificate.
type secured struct {
	g        *Gateway
	listener net.Listener
	files    *cert.Files       // nil with acme
	acme     *autocert.Manager // nil with files

	mu     sync.Mutex
	faults map[string]error // of acme, by domain
}

// openTLS opens the listener of HTTPS, if one is wanted.
func (g *Gateway) openTLS() error {
	c := &g.cfg.HTTP.TLS
	if c.Listen == "" {
		return nil
	}
	s := &secured{g: g, faults: map[string]error{}}
	var config *tls.Config
	if len(c.ACME.Domains) > 0 {
		m, err := g.cfg.acme().Manager()
		if err != nil {
			return fmt.Errorf("http.tls: %w", err)
		}
		s.acme, config = m, cert.Server(m.GetCertificate, acme.ALPNProto)
	} else {
		s.files = &cert.Files{Fault: func(err error) { g.log.Error("certificate of the API cannot be renewed", "err", err) }}
		s.files.Cert, s.files.Key = g.cfg.pair()
		if _, err := s.files.Current(); err != nil {
			return fmt.Errorf("http.tls: %w%s", err, c.wish())
		}
		config = cert.Server(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.files.Current() })
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("http.tls.listen: %w", err)
	}
	s.listener = tls.NewListener(api.Crowd(ln, g.cfg.proxies()), config)
	g.secured = s
	g.closers = append(g.closers, func() error {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// wish says how the certificate comes about that is taken where none is named.
func (c *HTTPTLSConfig) wish() string {
	if c.Cert != "" {
		return ""
	}
	return ": want http.tls.cert and key, acme.domains, or a certificate of your own authority: gridgate cert ca, then gridgate cert server <name or address>"
}

// around is put around everything that HTTP serves, on both listeners.
func (g *Gateway) around(next http.Handler) http.Handler {
	c := &g.cfg.HTTP.TLS
	if c.Listen == "" {
		return next
	}
	hsts := ""
	if d := c.hsts(); d > 0 {
		hsts = fmt.Sprintf("max-age=%d", int(d.Seconds()))
	}
	var outer http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.TLS != nil:
			if hsts != "" {
				w.Header().Set("Strict-Transport-Security", hsts)
			}
		case c.Redirect && !fromHere(r) && !openToAll(r.URL.Path):
			g.redirect(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
	if s := g.secured; s != nil && s.acme != nil {
		answers := s.acme.HTTPHandler(outer)
		plain := outer
		outer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.TLS == nil && strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
				answers.ServeHTTP(w, r)
				return
			}
			plain.ServeHTTP(w, r)
		})
	}
	return outer
}

// fromHere: the command line of this machine, or a proxy on it, needs no TLS.
func fromHere(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback()
}

// openToAll is what somebody needs who does not trust our certificate yet, and what watches
// ask who have no token.
func openToAll(path string) bool {
	return path == "/ca" || strings.HasPrefix(path, "/ca/") || path == "/healthz" || path == "/readyz"
}

// redirect sends a browser to TLS. What is not a page is refused: its token has been in the
// open once, and should not be a second time without a word.
func (g *Gateway) redirect(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Authorization") != "" {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintln(w, `{"type":"urn:gridgate:problem:forbidden","title":"Forbidden","status":403,"code":"forbidden","detail":"this gateway takes requests from elsewhere by https alone: what was sent was not read; give a token that came this way anew"}`)
		return
	}
	host, ours := g.askedFor(r)
	if !ours {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusMisdirectedRequest)
		fmt.Fprintf(w, "this gateway has no certificate for that name: want %s, or its address\n", g.baseURL())
		return
	}
	if _, port, err := net.SplitHostPort(g.TLSAddr()); err == nil && port != "443" {
		host = net.JoinHostPort(host, port)
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusTemporaryRedirect)
}

// askedFor is the host that a request names, and whether it is one of ours: a name that the
// certificate is for, the address at which the request came in, or an address within a house,
// which may be that of a box before us. Whoever is sent on by a name that is none of ours, as by
// a cache or a DNS server that lies, would be sent to somebody else.
func (g *Gateway) askedFor(r *http.Request) (host string, ours bool) {
	host = r.Host
	if h, _, err := net.SplitHostPort(r.Host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		here, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if addr.Zone() == "" && (addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || here != nil && addrOf(here) == addr.Unmap()) {
			return host, true
		}
	}
	s := g.secured
	switch {
	case s == nil:
		return host, false
	case s.acme != nil:
		return host, slices.ContainsFunc(g.cfg.HTTP.TLS.ACME.Domains, func(d string) bool { return strings.EqualFold(d, host) })
	}
	c, err := s.files.Current()
	return host, err == nil && c.Leaf != nil && c.Leaf.VerifyHostname(host) == nil
}

func addrOf(a net.Addr) netip.Addr {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// TLSAddr says where HTTPS listens; "" when it does not.
func (g *Gateway) TLSAddr() string {
	if g.secured == nil {
		return ""
	}
	return g.secured.listener.Addr().String()
}

// baseURL is how units reach us.
func (g *Gateway) baseURL() string {
	s := g.secured
	if s == nil {
		return "http://" + g.APIAddr()
	}
	host, port, _ := net.SplitHostPort(s.listener.Addr().String())
	if d := g.cfg.HTTP.TLS.ACME.Domains; len(d) > 0 {
		host = d[0]
	} else if c, err := s.files.Current(); err == nil && c.Leaf != nil && len(c.Leaf.DNSNames) > 0 {
		host = c.Leaf.DNSNames[0]
	}
	if port == "443" {
		return "https://" + host
	}
	return "https://" + net.JoinHostPort(host, port)
}

// caPages are how people get the local authority's certificate.
func (g *Gateway) caPages() map[string]http.Handler {
	return cert.Pages(func() (*x509.Certificate, error) {
		a, err := cert.Open(g.cfg.CADir(), nil, time.Now)
		if err != nil {
			return nil, err
		}
		return a.Cert, nil
	})
}

// withPages adds pages to those that are there.
func withPages(pages, more map[string]http.Handler) map[string]http.Handler {
	out := maps.Clone(pages)
	maps.Copy(out, more)
	return out
}

// runCertificates gets, renews and watches certificates. They go by the machine's clock,
// like those who look at them.
func (g *Gateway) runCertificates(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if s := g.secured; s != nil && s.acme != nil {
		wg.Go(func() { _ = g.cfg.acme().Warm(ctx, s.acme, s.told) })
	}
	look := time.NewTicker(certificatesLook)
	defer look.Stop()
	for {
		g.renew(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

// renew issues again what the local authority issued and what nears its end, and says what
// nobody renews.
func (g *Gateway) renew(now time.Time) {
	if exists(cert.RootPath(g.cfg.CADir())) {
		a, err := g.cfg.Authority(time.Now)
		if err == nil {
			var renewed []cert.Issued
			renewed, err = a.Renew(false)
			for _, r := range renewed {
				g.log.Info("certificate is renewed", "name", r.Name, "until", r.Ends, "file", r.Cert)
			}
		}
		if err != nil {
			g.log.Error("certificates of the local authority cannot be renewed", "err", err)
		}
	}
	for _, e := range g.cfg.Certificates(now) {
		switch e.Level {
		case cert.Soon:
			g.log.Warn("certificate ends soon", "what", e.What, "file", e.Path, "ends", e.Ends)
		case cert.Next, cert.Ended:
			g.log.Error("certificate ends", "what", e.What, "file", e.Path, "ends", e.Ends, "err", e.Error)
		}
	}
}

// told notes how it went with a domain.
func (s *secured) told(domain string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[domain] = err
	if err != nil {
		s.g.log.Error("no certificate from the ACME server", "domain", domain, "err", err)
	}
}

// problem is what is wrong with the certificate of the API, for the health view.
func (s *secured) problem() error {
	if s.files != nil {
		if err := s.files.Problem(); err != nil {
			return err
		}
		if c, err := s.files.Current(); err == nil && c.Leaf != nil && time.Now().After(c.Leaf.NotAfter) {
			return fmt.Errorf("certificate %s ended on %s: want a new one in its place", s.files.Cert, c.Leaf.NotAfter.UTC().Format(time.DateOnly))
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, d := range slices.Sorted(maps.Keys(s.faults)) {
		if err := s.faults[d]; err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", d, err))
		}
	}
	return errors.Join(errs...)
}

func (g *Gateway) certificateMetrics(send sender) {
	first := map[string]time.Time{}
	for _, e := range g.cfg.Certificates(time.Now()) {
		if had, ok := first[e.What]; !ok || e.Ends.Before(had) {
			first[e.What] = e.Ends
		}
	}
	for _, what := range slices.Sorted(maps.Keys(first)) {
		ends := first[what]
		if ends.IsZero() {
			ends = time.Unix(0, 0)
		}
		send(prometheus.GaugeValue, "certificate_ends_seconds", "When the first certificate of a file ends, Unix time; 0: it cannot be read.", float64(ends.Unix()), "what", what)
	}
}
