package cert

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Sealer hides the key of the authority, as it hides the secrets of devices.
type Sealer interface {
	Seal(secret []byte, owner string) ([]byte, error)
	Open(sealed []byte, owner string) ([]byte, error)
}

// Authority is a local certificate authority in a folder:
//
//	ca.pem              its certificate, which people install
//	ca.key.sealed       its key, sealed under the key file of the data folder, 0600
//	issued/SERIAL.pem   each certificate that it has issued
//	revoked/SERIAL      those that hold no more: when, and why
//	crl.pem             the same as a revocation list, for other programs
//	server/NAME.pem, server/NAME.key, device/…
//
// There is no index that could disagree: what is issued says itself for whom and until when.
type Authority struct {
	dir  string
	seal Sealer
	now  func() time.Time

	Cert *x509.Certificate
}

// Purpose is what a certificate of the authority is for; the folder of its files.
type Purpose string

// The purposes.
const (
	ForServer Purpose = "server"
	ForDevice Purpose = "device"
)

const (
	keyOwner     = "certificate authority"
	rootYears    = 10
	ServerLasts  = 90 * 24 * time.Hour
	DeviceLasts  = 2 * 365 * 24 * time.Hour
	longestLasts = 825 * 24 * time.Hour // iOS and macOS take no server certificate that lasts longer
	crlLasts     = 365 * 24 * time.Hour
	slack        = time.Hour // clocks of those who look may be behind
)

// Private is what an authority may vouch for unless it is told: names and networks that no
// public authority has anything to say about.
func Private() []string {
	return []string{"lan", "local", "internal", "home.arpa", "localhost", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"}
}

// RootPath and CRLPath are where an authority in dir keeps what is public of it.
func RootPath(dir string) string { return filepath.Join(dir, "ca.pem") }
func CRLPath(dir string) string  { return filepath.Join(dir, "crl.pem") }

// Make makes an authority in dir, which has none. It vouches for the names and networks of
// permit and no others, so that who steals its key cannot speak for the rest of the world.
func Make(dir string, seal Sealer, name string, permit []string, now func() time.Time) (*Authority, error) {
	if _, err := os.Stat(RootPath(dir)); err == nil {
		return nil, grid.Errorf(grid.Conflict, "%s is there already: an authority is made once, as people have installed it", RootPath(dir))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name, Organization: []string{"gridgate"}},
		NotBefore: now().Add(-slack), NotAfter: now().AddDate(rootYears, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	if err := constrain(c, permit); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	a := &Authority{dir: dir, seal: seal, now: now}
	if err := a.storeKey(key); err != nil {
		return nil, err
	}
	if err := place(RootPath(dir), pemOf("CERTIFICATE", der), 0o644); err != nil {
		return nil, err
	}
	return Open(dir, seal, now)
}

// constrain writes for what the authority may vouch.
func constrain(c *x509.Certificate, permit []string) error {
	if len(permit) == 0 {
		permit = Private()
	}
	for _, p := range permit {
		p = strings.TrimPrefix(strings.TrimSpace(p), ".")
		if net4, err := netip.ParsePrefix(p); err == nil {
			_, n, err := net.ParseCIDR(net4.Masked().String())
			if err != nil {
				return err
			}
			c.PermittedIPRanges = append(c.PermittedIPRanges, n)
			continue
		}
		if ip, err := netip.ParseAddr(p); err == nil {
			ip = ip.Unmap()
			c.PermittedIPRanges = append(c.PermittedIPRanges, &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())})
			continue
		}
		if !isName(p) {
			return grid.Errorf(grid.Invalid, "permit is %q: want a domain such as lan or district.example, or a network such as 10.1.0.0/16", p)
		}
		c.PermittedDNSDomains = append(c.PermittedDNSDomains, strings.ToLower(p))
	}
	// A list that names no networks would permit all of them, and the other way round.
	if len(c.PermittedIPRanges) == 0 {
		c.ExcludedIPRanges = []*net.IPNet{{IP: make(net.IP, 4), Mask: make(net.IPMask, 4)}, {IP: make(net.IP, 16), Mask: make(net.IPMask, 16)}}
	}
	if len(c.PermittedDNSDomains) == 0 {
		c.PermittedDNSDomains = []string{"invalid"}
	}
	c.PermittedDNSDomainsCritical = true
	return nil
}

func isName(s string) bool {
	return s != "" && len(s) < 254 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r == '-' || r == '.' || r == '*' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	})
}

func (a *Authority) storeKey(key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	sealed, err := a.seal.Seal(der, keyOwner)
	if err != nil {
		return err
	}
	return place(a.keyPath(), sealed, 0o600)
}

func (a *Authority) keyPath() string { return filepath.Join(a.dir, "ca.key.sealed") }

// Open opens the authority in dir; its key is unsealed only when it signs.
func Open(dir string, seal Sealer, now func() time.Time) (*Authority, error) {
	c, err := readFirst(RootPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, grid.Errorf(grid.NotFound, "no authority in %s: make one with gridgate cert ca", dir)
	}
	if err != nil {
		return nil, err
	}
	return &Authority{dir: dir, seal: seal, now: now, Cert: c}, nil
}

// Reseal seals the key anew, after the key file has got another.
func (a *Authority) Reseal() error {
	key, err := a.key()
	if err != nil {
		return err
	}
	return a.storeKey(key)
}

// Sealed is the sealed key, to know under what it is.
func (a *Authority) Sealed() ([]byte, error) { return os.ReadFile(a.keyPath()) }

func (a *Authority) key() (*ecdsa.PrivateKey, error) {
	sealed, err := os.ReadFile(a.keyPath())
	if err != nil {
		return nil, err
	}
	der, err := a.seal.Open(sealed, keyOwner)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, grid.Errorf(grid.Internal, "key of the authority is a %T: want ECDSA", key)
	}
	return ec, nil
}

// Wish is a certificate that is asked for.
type Wish struct {
	For   Purpose
	Name  string        // of its files; of a device its identity
	Hosts []string      // names and addresses of a server
	Lasts time.Duration // 0: the usual
}

// Issued is a certificate of the authority.
type Issued struct {
	Serial      string    `json:"serial"`
	For         Purpose   `json:"for"`
	Name        string    `json:"name"`
	Hosts       []string  `json:"hosts,omitempty"`
	From        time.Time `json:"from"`
	Ends        time.Time `json:"ends"`
	Fingerprint string    `json:"fingerprint"`
	State       string    `json:"state"` // holds, replaced (by one of the same name), ended, revoked
	Why         string    `json:"why,omitempty"`
	Cert        string    `json:"cert,omitempty"` // files; of the one that holds
	Key         string    `json:"key,omitempty"`

	raw []byte
}

// Issue makes a certificate and its key.
func (a *Authority) Issue(w Wish) (Issued, error) {
	if err := a.check(&w); err != nil {
		return Issued{}, err
	}
	signer, err := a.key()
	if err != nil {
		return Issued{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Issued{}, err
	}
	c := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: w.Name, OrganizationalUnit: []string{string(w.For)}},
		NotBefore: a.now().Add(-slack), NotAfter: a.now().Add(w.Lasts),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if w.For == ForServer {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	if c.NotAfter.After(a.Cert.NotAfter) {
		c.NotAfter = a.Cert.NotAfter
	}
	for _, h := range w.Hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			c.IPAddresses = append(c.IPAddresses, ip.Unmap().AsSlice())
		} else {
			c.DNSNames = append(c.DNSNames, strings.ToLower(h))
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.Cert, &key.PublicKey, signer)
	if err != nil {
		return Issued{}, err
	}
	return a.keep(&w, der, key)
}

func (a *Authority) check(w *Wish) error {
	switch w.For {
	case ForServer:
		w.Lasts = cmp.Or(w.Lasts, ServerLasts)
		if len(w.Hosts) == 0 {
			return grid.Errorf(grid.Invalid, "no name and no address: want those by which the server is reached, such as gridgate.lan 192.168.1.20")
		}
		if w.Name == "" || strings.ContainsAny(w.Name, "/\\") || strings.HasPrefix(w.Name, ".") {
			return grid.Errorf(grid.Invalid, "name is %q: want one for the files, such as gateway", w.Name)
		}
		if w.Lasts > longestLasts {
			return grid.Errorf(grid.Invalid, "it is to last %s: want %s at most, telephones take no more", w.Lasts, longestLasts)
		}
	case ForDevice:
		w.Lasts = cmp.Or(w.Lasts, DeviceLasts)
		if w.Name == "" {
			return grid.Errorf(grid.Invalid, "no identity: want the device's, such as sn:panel-3")
		}
	}
	if w.Lasts < 0 {
		return grid.Errorf(grid.Invalid, "it is to last %s: want more than 0", w.Lasts)
	}
	for _, h := range w.Hosts {
		if err := a.mayVouch(h); err != nil {
			return err
		}
	}
	return nil
}

// mayVouch asks the constraints, before a browser does.
func (a *Authority) mayVouch(host string) error {
	wish := grid.Errorf(grid.Invalid, "%q is outside what this authority may vouch for: want %s", host, strings.Join(a.Permits(), ", "))
	if ip, err := netip.ParseAddr(host); err == nil {
		if !slices.ContainsFunc(a.Cert.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(ip.AsSlice()) }) {
			return wish
		}
		return nil
	}
	if !isName(host) {
		return grid.Errorf(grid.Invalid, "%q: want a name or an address", host)
	}
	host = "." + strings.ToLower(host)
	if !slices.ContainsFunc(a.Cert.PermittedDNSDomains, func(d string) bool { return strings.HasSuffix(host, "."+d) }) {
		return wish
	}
	return nil
}

// Permits is what it may vouch for.
func (a *Authority) Permits() []string {
	out := slices.Clone(a.Cert.PermittedDNSDomains)
	for _, n := range a.Cert.PermittedIPRanges {
		out = append(out, n.String())
	}
	return out
}

// keep writes what was issued: first what lists it, so that nothing is out that is not listed.
func (a *Authority) keep(w *Wish, der []byte, key *ecdsa.PrivateKey) (Issued, error) {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Issued{}, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return Issued{}, err
	}
	text := pemOf("CERTIFICATE", der)
	base := filepath.Join(a.dir, string(w.For), fileName(w.Name))
	chain := append(slices.Clone(text), pemOf("CERTIFICATE", a.Cert.Raw)...)
	err = errors.Join(place(filepath.Join(a.dir, "issued", serialOf(c)+".pem"), text, 0o644),
		place(base+".key", pemOf("PRIVATE KEY", keyDER), 0o600), place(base+".pem", chain, 0o644))
	out := a.describe(c)
	out.State, out.Cert, out.Key = "holds", base+".pem", base+".key"
	return out, err
}

// fileName is a name of a device as that of a file.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
}

func (a *Authority) describe(c *x509.Certificate) Issued {
	sum := sha256.Sum256(c.Raw)
	i := Issued{Serial: serialOf(c), Name: c.Subject.CommonName, From: c.NotBefore.UTC(), Ends: c.NotAfter.UTC(), Fingerprint: hex.EncodeToString(sum[:]), raw: c.Raw}
	if len(c.Subject.OrganizationalUnit) > 0 {
		i.For = Purpose(c.Subject.OrganizationalUnit[0])
	}
	i.Hosts = hostsOf(c)
	return i
}

func hostsOf(c *x509.Certificate) []string {
	hosts := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

// List gives all that was issued, that which ends first first.
func (a *Authority) List() ([]Issued, error) {
	names, err := filepath.Glob(filepath.Join(a.dir, "issued", "*.pem"))
	if err != nil {
		return nil, err
	}
	var out []Issued
	newest := map[string]time.Time{}
	for _, name := range names {
		c, err := readFirst(name)
		if err != nil {
			return nil, err
		}
		i := a.describe(c)
		out = append(out, i)
		if who := string(i.For) + " " + i.Name; i.From.After(newest[who]) {
			newest[who] = i.From
		}
	}
	for n := range out {
		a.state(&out[n], newest)
	}
	slices.SortFunc(out, func(x, y Issued) int { return cmp.Or(x.Ends.Compare(y.Ends), cmp.Compare(x.Serial, y.Serial)) })
	return out, nil
}

func (a *Authority) state(i *Issued, newest map[string]time.Time) {
	base := filepath.Join(a.dir, string(i.For), fileName(i.Name))
	why, err := os.ReadFile(a.revokedPath(i.Serial))
	switch {
	case err == nil:
		i.State, i.Why = "revoked", strings.TrimSpace(string(why))
	case !i.Ends.After(a.now()):
		i.State = "ended"
	case inForce(base+".pem", i.raw):
		i.State, i.Cert, i.Key = "holds", base+".pem", base+".key"
	case i.From.Before(newest[string(i.For)+" "+i.Name]):
		i.State = "replaced"
	default:
		i.State = "holds"
	}
}

func inForce(path string, raw []byte) bool {
	c, err := readFirst(path)
	return err == nil && bytes.Equal(c.Raw, raw)
}

func (a *Authority) revokedPath(serial string) string {
	return filepath.Join(a.dir, "revoked", fileName(serial))
}

// Revoke takes a certificate back, by its serial or the beginning of it. Who looks at the
// list knows; a device of this gateway is out by its credential.
func (a *Authority) Revoke(serial, reason string) (Issued, error) {
	all, err := a.List()
	if err != nil {
		return Issued{}, err
	}
	var found []Issued
	for _, i := range all {
		if serial != "" && strings.HasPrefix(i.Serial, strings.ToLower(serial)) {
			found = append(found, i)
		}
	}
	if len(found) != 1 {
		return Issued{}, grid.Errorf(grid.NotFound, "serial %q fits %d certificates: want one of gridgate cert list", serial, len(found))
	}
	i := found[0]
	if i.State != "revoked" {
		i.State, i.Why = "revoked", a.now().UTC().Format(time.RFC3339)+" "+cmp.Or(reason, "no reason given")
		if err := place(a.revokedPath(i.Serial), []byte(i.Why+"\n"), 0o644); err != nil {
			return i, err
		}
	}
	return i, a.WriteCRL()
}

// WriteCRL writes the revocation list anew.
func (a *Authority) WriteCRL() error {
	key, err := a.key()
	if err != nil {
		return err
	}
	all, err := a.List()
	if err != nil {
		return err
	}
	list := &x509.RevocationList{Number: big.NewInt(a.now().UnixMilli()), ThisUpdate: a.now().Add(-slack), NextUpdate: a.now().Add(crlLasts)}
	for _, i := range all {
		if i.State != "revoked" {
			continue
		}
		at, _, _ := strings.Cut(i.Why, " ")
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			when = a.now()
		}
		n, _ := new(big.Int).SetString(i.Serial, 16)
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: when})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, key)
	if err != nil {
		return err
	}
	return place(CRLPath(a.dir), pemOf("X509 CRL", der), 0o644)
}

// Renew issues again, under the same names and into the same files, the server
// certificates that are in the last third of their time; of all of them with all told.
func (a *Authority) Renew(all bool) (renewed []Issued, err error) {
	list, err := a.List()
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		if i.For != ForServer || i.Cert == "" || i.State == "revoked" {
			continue
		}
		lasts := i.Ends.Sub(i.From) - slack
		if !all && i.Ends.Sub(a.now()) > lasts/3 {
			continue
		}
		n, err := a.Issue(Wish{For: i.For, Name: i.Name, Hosts: i.Hosts, Lasts: lasts})
		if err != nil {
			return renewed, err
		}
		renewed = append(renewed, n)
	}
	return renewed, nil
}

// Fingerprint is SHA-256 of a certificate as telephones show it.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return colons(sum[:])
}

// Thumbprint is SHA-1, which older ones show beside it.
func Thumbprint(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw)
	return colons(sum[:])
}

func colons(b []byte) string {
	parts := make([]string, len(b))
	for i := range b {
		parts[i] = strings.ToUpper(hex.EncodeToString(b[i : i+1]))
	}
	return strings.Join(parts, ":")
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	b[0] &= 0x7f
	b[0] |= 0x40 // always of the same length
	return new(big.Int).SetBytes(b)
}

func serialOf(c *x509.Certificate) string { return c.SerialNumber.Text(16) }

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// readFirst reads the first certificate of a PEM file.
func readFirst(path string) (*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, grid.Errorf(grid.Invalid, "%s holds no certificate: want PEM that begins with BEGIN CERTIFICATE", path)
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
}

// place writes a file beside its place and moves it there, whole and durable. It belongs to
// whom its folder belongs to, also when root writes it: the gateway must be able to read it.
func place(path string, content []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	if err := makeFolder(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err := errors.Join(err, f.Chmod(mode), own(f.Name(), dir), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func makeFolder(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return own(dir, filepath.Dir(dir))
}
