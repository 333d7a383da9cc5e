package coap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/grid"
)

// keysFile is the file of keys. Its errors never show a key.
type keysFile struct {
	Devices []keyEntry `yaml:"devices"`
}

// keyEntry is one key or certificate and the devices it may speak for.
type keyEntry struct {
	Device      string   `yaml:"device"`       // an identity: eui:…, imei:…, sn:…
	Also        []string `yaml:"also"`         // more of them, behind a concentrator
	PSKIdentity string   `yaml:"psk_identity"` // what the device says; "" : the text of device
	PSK         secret   `yaml:"psk"`          // hexadecimal, 16 to 64 bytes
	Certificate string   `yaml:"certificate"`  // common name, DNS name, or sha256:<fingerprint>
}

// secret is not shown when something prints it.
type secret string

func (secret) String() string   { return "(secret)" }
func (secret) GoString() string { return "(secret)" }

// grant is what a key or certificate is good for.
type grant struct {
	psk     []byte
	devices []grid.Identity
}

func (g *grant) covers(id grid.Identity) bool { return g != nil && slices.Contains(g.devices, id) }

// keyTable is the keys at one time.
type keyTable struct {
	byPSK   map[string]*grant
	byCert  map[string]*grant // by name or fingerprint
	secured map[grid.Identity]bool

	certs []tls.Certificate // the gateway's own
	cas   *x509.CertPool
}

// principal is whom a session has proved to be.
type principal struct {
	psk   string   // the identity of a pre-shared key
	names []string // of a certificate: fingerprint, common name, DNS names

	credential string        // of the registry, that it was proved by; "" : none
	device     grid.Identity // whose that is
}

func (p *principal) same(o *principal) bool {
	switch {
	case p == nil || o == nil:
		return false
	case p.credential != "":
		return p.device == o.device
	}
	return o.credential == "" && p.psk == o.psk && slices.Equal(p.names, o.names)
}

// keyring is the present keys, read again when their files change. Sessions go on; what a
// key is good for is looked up at each message.
type keyring struct {
	cfg   Config
	table atomic.Pointer[keyTable]
	sum   [sha256.Size]byte // of the files; watch's alone, after load
	turns turns
}

func (k *keyring) init(cfg Config) {
	k.cfg, k.turns = cfg, newTurns()
	k.table.Store(&keyTable{})
}

func (k *keyring) len() int { return len(k.table.Load().secured) }

// load reads the files.
func (k *keyring) load() error {
	if k.cfg.DTLS.Listen == "" && k.cfg.DTLS.KeysFile == "" {
		return nil
	}
	files, sum, err := k.read()
	if err != nil {
		return err
	}
	return k.use(files, sum)
}

// exposed reports whether everybody on this machine can read the keys.
func (k *keyring) exposed() bool {
	info, err := os.Stat(k.cfg.DTLS.KeysFile)
	return err == nil && info.Mode().Perm()&0o004 != 0
}

// read reads all files at once: certificate and key, changed one after the other, must fit.
func (k *keyring) read() (map[string][]byte, [sha256.Size]byte, error) {
	d := k.cfg.DTLS
	files := make(map[string][]byte)
	h := sha256.New()
	for _, path := range []string{d.KeysFile, d.Cert, d.Key, d.ClientCA} {
		if path == "" {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, [sha256.Size]byte{}, grid.Errorf(grid.Invalid, "coap %s: dtls: %w", k.cfg.Name, err)
		}
		files[path] = b
		fmt.Fprintf(h, "%d ", len(b))
		h.Write(b)
	}
	return files, [sha256.Size]byte(h.Sum(nil)), nil
}

func (k *keyring) use(files map[string][]byte, sum [sha256.Size]byte) error {
	t, err := k.parse(files)
	if err != nil {
		return err
	}
	k.table.Store(t)
	k.sum = sum
	return nil
}

func (k *keyring) parse(files map[string][]byte) (*keyTable, error) {
	d := k.cfg.DTLS
	t := &keyTable{byPSK: make(map[string]*grant), byCert: make(map[string]*grant), secured: make(map[grid.Identity]bool)}
	if d.KeysFile != "" {
		var f keysFile
		err := yaml.NewDecoder(bytes.NewReader(files[d.KeysFile]), yaml.Strict()).Decode(&f)
		if err != nil && !errors.Is(err, io.EOF) {
			// The library quotes the lines around the mistake, and they hold keys.
			return nil, grid.Errorf(grid.Invalid, "coap %s: keys_file %s: %s", k.cfg.Name, d.KeysFile, withoutSource(err))
		}
		for i, e := range f.Devices {
			if err := k.add(t, e); err != nil {
				return nil, grid.Errorf(grid.Invalid, "coap %s: keys_file %s: devices[%d]: %w", k.cfg.Name, d.KeysFile, i, err)
			}
		}
	}
	if d.Cert != "" {
		pair, err := tls.X509KeyPair(files[d.Cert], files[d.Key])
		if err != nil {
			return nil, grid.Errorf(grid.Invalid, "coap %s: dtls: cert and key: %w", k.cfg.Name, err)
		}
		t.certs = []tls.Certificate{pair}
	}
	if d.ClientCA != "" {
		t.cas = x509.NewCertPool()
		if !t.cas.AppendCertsFromPEM(files[d.ClientCA]) {
			return nil, grid.Errorf(grid.Invalid, "coap %s: dtls.client_ca %s holds no certificate", k.cfg.Name, d.ClientCA)
		}
	}
	return t, nil
}

// withoutSource is the first line of an error of the YAML library: place and reason.
func withoutSource(err error) string {
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil && y.GetToken().Position != nil {
		return fmt.Sprintf("line %d cannot be read: want only device, also, psk_identity, psk, certificate, as in docs/coap.md", y.GetToken().Position.Line)
	}
	return "cannot be read: want YAML as in docs/coap.md"
}

func (k *keyring) add(t *keyTable, e keyEntry) error {
	g := &grant{}
	for _, name := range append([]string{e.Device}, e.Also...) {
		id, _, note := k.cfg.Identify("/up/"+url.PathEscape(name), nil)
		if note != "" {
			return fmt.Errorf("device: %s", note)
		}
		g.devices = append(g.devices, id)
		t.secured[id] = true
	}
	if (e.PSK == "") == (e.Certificate == "") {
		return fmt.Errorf("device %s: want psk or certificate", e.Device)
	}
	if e.Certificate != "" {
		name := strings.ToLower(e.Certificate)
		if t.byCert[name] != nil {
			return fmt.Errorf("certificate %q comes twice", e.Certificate)
		}
		t.byCert[name] = g
		return nil
	}
	psk, err := hex.DecodeString(string(e.PSK))
	if err != nil || len(psk) < 16 || len(psk) > 64 {
		return fmt.Errorf("device %s: psk cannot be used: want 32 to 128 hexadecimal digits", e.Device)
	}
	g.psk = psk
	name := e.PSKIdentity
	if name == "" {
		name = e.Device
	}
	if t.byPSK[name] != nil {
		return fmt.Errorf("psk_identity %q comes twice", name)
	}
	t.byPSK[name] = g
	return nil
}

// watch reads the files again when they change. A file that cannot be used changes nothing.
func (k *keyring) watch(ctx context.Context, t *Transport) {
	tick := time.NewTicker(k.cfg.DTLS.ReloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if k.cfg.DTLS.Listen == "" && k.cfg.DTLS.KeysFile == "" {
			continue
		}
		files, sum, err := k.read()
		if err == nil && sum == k.sum {
			continue
		}
		if err == nil {
			err = k.use(files, sum)
		}
		if err != nil {
			t.tally.Fault("keys are not read again, the present ones stay", err)
			continue
		}
		t.log.Info("keys read again", "in", k.len())
	}
}

// permit says whether a peer may speak for a device; nil is yes.
func (k *keyring) permit(who *principal, id grid.Identity) *reply {
	t := k.table.Load()
	managed := k.managed(id)
	switch {
	case who == nil:
		if t.secured[id] || managed {
			return refuse(codes.Unauthorized, "this device has a key: want coaps")
		}
		return nil
	case who.credential != "":
		if device, ok := k.cfg.Credentials.Holds(who.credential); !ok {
			return refuse(codes.Unauthorized, "this key is not valid any more")
		} else if device != id {
			return refuse(codes.Forbidden, "this key is not the device's")
		}
		return nil
	case managed:
		return refuse(codes.Unauthorized, "the registry has keys of this device: want one of them")
	case who.names == nil:
		g := t.byPSK[who.psk]
		if g == nil {
			return refuse(codes.Unauthorized, "this key is not valid any more")
		}
		if !g.covers(id) {
			return refuse(codes.Forbidden, "this key is not the device's")
		}
		return nil
	}
	for _, name := range who.names {
		if t.byCert[name].covers(id) {
			return nil
		}
	}
	if !t.secured[id] && slices.ContainsFunc(who.names, func(name string) bool { return k.names(name, id) }) {
		return nil
	}
	return refuse(codes.Forbidden, "this certificate is not the device's")
}

// only is the identity of the device that a peer's key is of; "": it has none, or a
// certificate.
func (k *keyring) only(who *principal) string {
	if who != nil && who.credential != "" {
		return string(who.device)
	}
	if who == nil || who.names != nil {
		return ""
	}
	if g := k.table.Load().byPSK[who.psk]; g != nil {
		return string(g.devices[0])
	}
	return ""
}

// names reports whether a certificate's name is the identity itself.
func (k *keyring) names(name string, id grid.Identity) bool {
	if strings.HasPrefix(name, fingerprint) {
		return false
	}
	got, _, note := k.cfg.Identify("/up/"+url.PathEscape(name), nil)
	return note == "" && got == id
}

const fingerprint = "sha256:"

// holder reads a verified certificate.
func holder(der []byte) (*principal, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	p := &principal{names: []string{fingerprint + hex.EncodeToString(sum[:])}}
	for _, name := range append([]string{c.Subject.CommonName}, c.DNSNames...) {
		if name != "" {
			p.names = append(p.names, strings.ToLower(name))
		}
	}
	return p, nil
}
