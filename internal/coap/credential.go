package coap

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"gridgate/internal/grid"
)

// Credentials are the keys and certificates of the registry. A device that they manage comes
// in by them alone: the file of keys and names in certificates do not count for it. All
// methods are safe for concurrent use.
type Credentials interface {
	Manages(id grid.Identity, kind grid.CredentialKind) bool
	// DeviceKeys are those that hold, the likeliest first.
	DeviceKeys(id grid.Identity) []grid.DeviceKey
	CertificateOf(fingerprint string) (credential string, device grid.Identity, ok bool)
	// Holds says whose a credential is, as long as it lets its device in.
	Holds(credential string) (device grid.Identity, ok bool)
	// Use is told that a device came in by one.
	Use(credential string)
}

const (
	maxTurns = 4096 // of devices with more than one key, and where they spoke from

	// wrongKeyAfter is how long a device with more than one key may take to show that it has
	// the one that was tried: what shows it comes along with its name.
	wrongKeyAfter = 10 * time.Second
)

var errNotPinned = errors.New("certificate is not pinned to a device, and there is no client_ca")

// turns is which key was tried last of a device that has several, without success. A
// handshake has one try, as the name of the key is all that the device says of it; the next
// one from the same address tries the next key. Strangers elsewhere cannot confuse it.
type turns struct {
	tried *lru.Cache[turn, string]
}

type turn struct {
	device grid.Identity
	from   netip.Addr
}

func newTurns() turns {
	c, err := lru.New[turn, string](maxTurns)
	if err != nil {
		panic(err) // of its size alone
	}
	return turns{c}
}

func (t turns) next(keys []grid.DeviceKey, of turn) *grid.DeviceKey {
	if len(keys) == 0 {
		return nil
	}
	n := 0
	if last, again := t.tried.Get(of); again {
		n = (1 + slices.IndexFunc(keys, func(k grid.DeviceKey) bool { return k.ID == last })) % len(keys)
	}
	if len(keys) > 1 {
		t.tried.Add(of, keys[n].ID)
	}
	return &keys[n]
}

func (t turns) found(of turn) { t.tried.Remove(of) }

// managed reports whether the registry alone says who may speak for a device.
func (k *keyring) managed(id grid.Identity) bool {
	return k.cfg.Credentials != nil && k.cfg.Credentials.Manages(id, grid.CoAPKey)
}

// named finds the managed device that a PSK identity names: its identity, or that and the
// id of one credential, "imei:867723030000017#01J…".
func (k *keyring) named(hint string) (device grid.Identity, credential string, ok bool) {
	if id := grid.Identity(strings.ToLower(hint)); k.managed(id) {
		return id, "", true
	}
	at := strings.LastIndexByte(hint, '#')
	if at < 0 {
		return "", "", false
	}
	id := grid.Identity(strings.ToLower(hint[:at]))
	return id, hint[at+1:], k.managed(id)
}

// keyFor gives the key to try in a handshake.
func (s *session) keyFor(hint string) ([]byte, error) {
	k := &s.t.keys
	device, credential, ok := k.named(hint)
	if !ok {
		if g := k.table.Load().byPSK[hint]; g != nil {
			return g.psk, nil
		}
		return nil, errNoKey
	}
	keys := k.cfg.Credentials.DeviceKeys(device)
	if credential != "" {
		keys = slices.DeleteFunc(keys, func(d grid.DeviceKey) bool { return d.ID != credential })
	}
	key := k.turns.next(keys, turn{device, s.flow.addr.Addr()})
	if key == nil {
		return nil, errNoKey
	}
	s.key.Store(&principal{psk: hint, credential: key.ID, device: device})
	if len(keys) > 1 {
		s.patience.Store(time.AfterFunc(wrongKeyAfter, func() { _ = s.flow.Close() }))
	}
	return key.Secret, nil
}

// keyProved notes that the key that was tried is the device's.
func (s *session) keyProved(hint string) *principal {
	who := s.key.Load()
	if who == nil || who.psk != hint {
		return &principal{psk: hint}
	}
	s.t.keys.turns.found(turn{who.device, s.flow.addr.Addr()})
	s.t.keys.cfg.Credentials.Use(who.credential)
	return who
}

// verify accepts the certificate of a device: one that is pinned, or that the authority of
// devices has signed. That the device has its key is proved by then.
func (k *keyring) verify(raw [][]byte, cas *x509.CertPool) error {
	if len(raw) == 0 {
		return errNoProof
	}
	if k.cfg.Credentials != nil {
		if _, _, ok := k.cfg.Credentials.CertificateOf(printOf(raw[0])); ok {
			return nil
		}
	}
	if cas == nil {
		return errNotPinned
	}
	opts := x509.VerifyOptions{Roots: cas, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: k.cfg.Now()}
	leaf, err := x509.ParseCertificate(raw[0])
	if err != nil {
		return err
	}
	for _, der := range raw[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		opts.Intermediates.AddCert(c)
	}
	_, err = leaf.Verify(opts)
	return err
}

func printOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// pinned says of which device a certificate is, by the registry.
func (k *keyring) pinned(p *principal, der []byte) {
	if k.cfg.Credentials == nil {
		return
	}
	if credential, device, ok := k.cfg.Credentials.CertificateOf(printOf(der)); ok {
		p.credential, p.device = credential, device
		k.cfg.Credentials.Use(credential)
	}
}

// Recheck ends the sessions whose credential does not hold any more.
func (t *Transport) Recheck() {
	if t.cfg.Credentials == nil {
		return
	}
	for _, l := range t.listeners {
		for _, p := range l.withoutCredential() {
			l.forget(p)
		}
	}
}

// withoutCredential takes away the peers whose credential does not hold any more.
func (l *listener) withoutCredential() (out []*peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.peers.Front(); e != nil; e = e.Next() {
		p := e.Value.(*peer)
		if p.who == nil || p.who.credential == "" {
			continue
		}
		if _, ok := l.t.cfg.Credentials.Holds(p.who.credential); !ok {
			out = append(out, p)
		}
	}
	for _, p := range out {
		l.remove(p)
	}
	return out
}
