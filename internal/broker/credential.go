package broker

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"gridgate/internal/grid"
)

// Credentials are the passwords and certificates of the registry. A device that they manage
// logs in under its identity and has the rights of an account of that device alone. All
// methods are safe for concurrent use.
type Credentials interface {
	Manages(id grid.Identity, kind grid.CredentialKind) bool
	// Login's error says why a device is not let in.
	Login(id grid.Identity, password []byte) (credential string, err error)
	CertificateOf(fingerprint string) (credential string, device grid.Identity, ok bool)
	// Holds says whose a credential is, as long as it lets its device in.
	Holds(credential string) (device grid.Identity, ok bool)
	// Use is told that a device came in by one.
	Use(credential string)
}

// deviceLogins are the devices that came in by a credential of the registry.
type deviceLogins struct {
	accounts sync.Map // string → *User: their rights, which outlive a connection
	by       sync.Map // *mochi.Client → string: the credential
}

// account finds whose a login is: a device's by the registry, a user's by a certificate or
// a password.
func (b *Broker) account(cl *mochi.Client, name, password []byte) (*User, error) {
	if u, managed, err := b.deviceLogin(cl, name, password); managed {
		return u, err
	}
	u := b.certified(cl)
	if u == nil {
		u = b.login(name, password)
	} else if len(name) > 0 && string(name) != u.Name {
		u = nil
	}
	if u == nil {
		return nil, fmt.Errorf("unknown user %q or wrong password", name)
	}
	return u, nil
}

// deviceLogin lets a device of the registry in.
func (b *Broker) deviceLogin(cl *mochi.Client, name, password []byte) (u *User, managed bool, err error) {
	of := b.cfg.Credentials
	if of == nil {
		return nil, false, nil
	}
	id := grid.Identity(strings.ToLower(string(name)))
	credential, device, pinned := of.CertificateOf(certificateOf(cl))
	if pinned && (id == "" || id == device) {
		id = device
	} else if managed = of.Manages(id, grid.MQTTPassword); !managed {
		return nil, false, nil
	} else if credential, err = of.Login(id, password); err != nil {
		return nil, true, err
	}
	b.devices.by.Store(cl, credential)
	of.Use(credential)
	return b.rightsOf(id), true, nil
}

// rightsOf gives the account of one device.
func (b *Broker) rightsOf(id grid.Identity) *User {
	u, ok := b.devices.accounts.Load(string(id))
	if !ok {
		account := b.cfg.withRights(User{Name: string(id), Identities: []grid.Identity{id}})
		u, _ = b.devices.accounts.LoadOrStore(string(id), &account)
	}
	return u.(*User)
}

// certificateOf is the fingerprint of a client's certificate; "": it has shown none.
func certificateOf(cl *mochi.Client) string {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return ""
	}
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return ""
	}
	shown := secure.ConnectionState().PeerCertificates
	if len(shown) == 0 {
		return ""
	}
	sum := sha256.Sum256(shown[0].Raw)
	return hex.EncodeToString(sum[:])
}

// Recheck closes the connections whose credential does not hold any more.
func (b *Broker) Recheck() {
	b.devices.by.Range(func(key, _ any) bool {
		b.recheck(key.(*mochi.Client))
		return true
	})
}

func (b *Broker) recheck(cl *mochi.Client) {
	credential, ok := b.devices.by.Load(cl)
	if !ok {
		return
	}
	if cl.Closed() { // it left in the midst of its login
		b.devices.by.Delete(cl)
		return
	}
	if _, ok := b.cfg.Credentials.Holds(credential.(string)); ok {
		return
	}
	b.tally.Fault("connection closed", grid.Errorf(grid.Unauthorized, "client %q: the credential of %s does not hold any more", cl.ID, cl.Properties.Username))
	if cl.Properties.ProtocolVersion == 5 {
		_ = b.server.DisconnectClient(cl, packets.ErrNotAuthorized)
	}
	cl.Stop(packets.ErrNotAuthorized)
}
