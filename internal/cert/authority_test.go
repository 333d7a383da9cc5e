package cert_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/auth"
	"gridgate/internal/cert"
)

// site is an authority with a clock of its own.
type site struct {
	*cert.Authority
	dir  string
	keys *auth.Keys
	now  time.Time
}

func newSite(t *testing.T, permit ...string) *site {
	t.Helper()
	s := &site{dir: filepath.Join(t.TempDir(), "ca"), now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	var err error
	if s.keys, err = auth.OpenKeys(filepath.Join(filepath.Dir(s.dir), "secret.key"), false); err != nil {
		t.Fatal(err)
	}
	if s.Authority, err = cert.Make(s.dir, s.keys, "a district", permit, func() time.Time { return s.now }); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) issue(t *testing.T, w cert.Wish) cert.Issued {
	t.Helper()
	i, err := s.Issue(w)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// trusts verifies what a browser that has installed the authority would.
func (s *site) trusts(t *testing.T, path, host string) error {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.Cert)
	return verify(t, roots, path, host, s.now)
}

func verify(t *testing.T, roots *x509.CertPool, path, host string, now time.Time) error {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now})
	return err
}

func TestAServerOfTheSiteIsTrustedByItsNamesAndAddresses(t *testing.T) {
	s := newSite(t)
	i := s.issue(t, cert.Wish{For: cert.ForServer, Name: "gateway", Hosts: []string{"Gridgate.lan", "192.168.1.20"}})
	for _, host := range []string{"gridgate.lan", "192.168.1.20"} {
		if err := s.trusts(t, i.Cert, host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if s.trusts(t, i.Cert, "other.lan") == nil {
		t.Error("a name that was not asked for is trusted")
	}
	if _, err := tls.LoadX509KeyPair(i.Cert, i.Key); err != nil {
		t.Error(err)
	}
}

func TestTheAuthorityVouchesForNoOneElse(t *testing.T) {
	s := newSite(t)
	for _, host := range []string{"bank.example", "8.8.8.8", "notlan", "evil-lan.example", "2001:db8::1", "a b.lan"} {
		if _, err := s.Issue(cert.Wish{For: cert.ForServer, Name: "x", Hosts: []string{host}}); err == nil {
			t.Errorf("it vouches for %s", host)
		}
	}
	// Who has its key may sign what he likes: those who look refuse it, by the constraints.
	for what, permit := range map[string][]string{"bank.example": {"lan"}, "8.8.8.8": {"lan"}, "gridgate.lan": {"10.0.0.0/8"}} {
		thief := newSite(t, permit...)
		loose := *thief.Cert
		loose.PermittedDNSDomains, loose.PermittedIPRanges = []string{"bank.example", "lan"}, newSite(t, "0.0.0.0/0").Cert.PermittedIPRanges
		real := thief.Cert
		thief.Cert = &loose // the command's own check is out of the way
		i, err := thief.Issue(cert.Wish{For: cert.ForServer, Name: "x", Hosts: []string{what}})
		if err != nil {
			t.Fatal(err)
		}
		thief.Cert = real
		if thief.trusts(t, i.Cert, what) == nil {
			t.Errorf("with %v a browser trusts %s", permit, what)
		}
	}
}

func TestTheKeyOfTheAuthorityIsSealedAndReadableByItsOwnerAlone(t *testing.T) {
	s := newSite(t)
	path := filepath.Join(s.dir, "ca.key.sealed")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x509.ParsePKCS8PrivateKey(b); err == nil || strings.Contains(string(b), "PRIVATE") {
		t.Error("it lies open")
	}
	other, err := auth.OpenKeys(filepath.Join(t.TempDir(), "other.key"), false)
	if err != nil {
		t.Fatal(err)
	}
	a, err := cert.Open(s.dir, other, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Issue(cert.Wish{For: cert.ForServer, Name: "gateway", Hosts: []string{"a.lan"}}); err == nil {
		t.Error("it signs with another key file")
	}
	if _, err := cert.Make(s.dir, s.keys, "again", nil, time.Now); err == nil {
		t.Error("an authority that people have installed is made anew")
	}
	i := s.issue(t, cert.Wish{For: cert.ForDevice, Name: "sn:panel/3"})
	if info, err := os.Stat(i.Key); err != nil || info.Mode().Perm() != 0o600 || filepath.Dir(i.Key) != filepath.Join(s.dir, "device") {
		t.Errorf("key of a device: %v, %v", i.Key, err)
	}
}

func TestWhatIsIssuedIsRenewedInTheLastThirdOfItsTime(t *testing.T) {
	s := newSite(t)
	first := s.issue(t, cert.Wish{For: cert.ForServer, Name: "gateway", Hosts: []string{"gridgate.lan", "10.0.0.2"}})
	s.issue(t, cert.Wish{For: cert.ForDevice, Name: "sn:1", Lasts: 30 * 24 * time.Hour})
	renew := func(after time.Duration, want int) {
		t.Helper()
		s.now = s.now.Add(after)
		got, err := s.Renew(false)
		if err != nil || len(got) != want {
			t.Fatalf("on %s: %d renewed, %v: want %d", s.now.Format(time.DateOnly), len(got), err, want)
		}
	}
	renew(59*24*time.Hour, 0)
	renew(2*24*time.Hour, 1)
	renew(0, 0)
	if err := s.trusts(t, first.Cert, "10.0.0.2"); err != nil {
		t.Error("the new one in the same file: ", err)
	}
	s.now = s.now.Add(40 * 24 * time.Hour) // past the end of the first
	if err := s.trusts(t, first.Cert, "gridgate.lan"); err != nil {
		t.Error("after the end of the first: ", err)
	}
	all, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, i := range all {
		states[i.Name+" "+i.Ends.Format(time.DateOnly)] = i.State
	}
	if len(all) != 3 || states["sn:1 2026-03-31"] != "ended" || states["gateway 2026-05-30"] != "ended" || states["gateway 2026-07-30"] != "holds" {
		t.Errorf("listed: %v", states)
	}
}

func TestARevokedCertificateStandsOnTheList(t *testing.T) {
	s := newSite(t)
	i := s.issue(t, cert.Wish{For: cert.ForServer, Name: "gateway", Hosts: []string{"gridgate.lan"}})
	if _, err := s.Revoke("", ""); err == nil {
		t.Error("no serial takes one back")
	}
	if got, err := s.Revoke(i.Serial[:8], "its key was seen"); err != nil || got.State != "revoked" {
		t.Fatalf("%+v, %v", got, err)
	}
	b, err := os.ReadFile(cert.CRLPath(s.dir))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(s.Cert); err != nil {
		t.Error(err)
	}
	if n := list.RevokedCertificateEntries; len(n) != 1 || n[0].SerialNumber.Text(16) != i.Serial {
		t.Errorf("on the list: %+v", n)
	}
	if got, err := s.Renew(true); err != nil || len(got) != 0 {
		t.Errorf("a revoked one is renewed: %v, %v", got, err)
	}
}

func TestFilesAreReadAgainAndBrokenOnesLeaveInForceWhatWas(t *testing.T) {
	s := newSite(t)
	i := s.issue(t, cert.Wish{For: cert.ForServer, Name: "gateway", Hosts: []string{"gridgate.lan"}})
	var faults []error
	f := &cert.Files{Cert: i.Cert, Key: i.Key, Fault: func(err error) { faults = append(faults, err) }}
	leaf := func() string {
		t.Helper()
		c, err := f.Current()
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.Text(16)
	}
	if leaf() != i.Serial {
		t.Error("another is in force")
	}
	second := s.issue(t, cert.Wish{For: cert.ForServer, Name: "gateway", Hosts: []string{"gridgate.lan"}})
	if leaf() != second.Serial {
		t.Error("a renewed one is not in force")
	}
	if err := os.WriteFile(i.Key, []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, once := leaf(), leaf() // asked twice, told once
	if again != second.Serial || once != second.Serial || len(faults) != 1 || f.Problem() == nil {
		t.Errorf("a broken key: %v", faults)
	}
	third := s.issue(t, cert.Wish{For: cert.ForServer, Name: "gateway", Hosts: []string{"gridgate.lan"}})
	if leaf() != third.Serial || f.Problem() != nil {
		t.Error("a mended one is not in force")
	}
	if _, err := (&cert.Files{Cert: "nowhere.pem", Key: "nowhere.key"}).Current(); err == nil {
		t.Error("files that are not there are in force")
	}
}

func TestThePageShowsTheFingerprintInBothLanguagesAndGivesTheCertificate(t *testing.T) {
	s := newSite(t)
	pages := http.NewServeMux()
	for pattern, h := range cert.Pages(func() (*x509.Certificate, error) { return s.Cert, nil }) {
		pages.Handle(pattern, h)
	}
	get := func(path string) (string, http.Header) {
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, w.Code)
		}
		return w.Body.String(), w.Header()
	}
	text, head := get("/ca")
	for _, want := range []string{cert.Fingerprint(s.Cert), "a district", "证书信任设置", "Certificate trust settings", "192.168.0.0/16"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
	if !strings.Contains(head.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("no policy")
	}
	if der, _ := get("/ca/gridgate-ca.crt"); der != string(s.Cert.Raw) {
		t.Error("another certificate")
	}
	if plist, _ := get("/ca/gridgate-ca.mobileconfig"); !strings.Contains(plist, "com.apple.security.root") {
		t.Error("no profile")
	}
}

func TestHowNearAnEndIs(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for _, c := range []struct {
		lasts, left time.Duration
		want        cert.Level
	}{
		{365 * day, 31 * day, cert.Fine}, {365 * day, 29 * day, cert.Soon}, {365 * day, 6 * day, cert.Next}, {365 * day, 0, cert.Ended},
		{90 * day, 29 * day, cert.Fine}, {90 * day, 22 * day, cert.Soon}, {90 * day, 7 * day, cert.Next}, {6 * day, 2 * day, cert.Fine}, {6 * day, day, cert.Soon},
	} {
		if got := cert.LevelOf(now.Add(c.left-c.lasts), now.Add(c.left), now); got != c.want {
			t.Errorf("of %v there are %v left: %s, want %s", c.lasts, c.left, got, c.want)
		}
	}
}
