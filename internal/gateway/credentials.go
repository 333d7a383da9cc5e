package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/api"
	"gridgate/internal/auth"
	"gridgate/internal/engine"
	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// CredentialsConfig is how the keys and passwords of devices are kept.
type CredentialsConfig struct {
	KeyFile string        `yaml:"key_file"` // what they are sealed under; made at the first start; "" : <data_dir>/secret.key
	Grace   time.Duration `yaml:"grace"`    // a key holds so long after it was replaced, if its successor is not used
}

const (
	maxGrace       = 90 * 24 * time.Hour
	recheckEvery   = 10 * time.Second // credentials expire
	maxUses        = 4096             // that wait to be noted
	usesOfCommand  = 256
	madeKeyLen     = 16 // bytes of a key that is made
	minPassword    = 16 // characters: a password is tried over the network alone, but by anyone
	maxPassword    = 128
	shortestKeyLen = 16
	longestKeyLen  = 64
)

func defaultCredentials() CredentialsConfig { return CredentialsConfig{Grace: 7 * 24 * time.Hour} }

func (c *CredentialsConfig) validate(v *problems) {
	v.want(c.Grace >= 0 && c.Grace <= maxGrace, "credentials.grace is %s: want 0s to %s", c.Grace, maxGrace)
}

// KeyFilePath is what secrets of devices are sealed under. A backup does not have it.
func (c *Config) KeyFilePath() string {
	if c.Credentials.KeyFile != "" {
		return c.Credentials.KeyFile
	}
	return filepath.Join(c.DataDir, "secret.key")
}

// credentials are the devices' keys and passwords: it gives them out, and keeps those who
// check them up to date.
type credentials struct {
	g       *Gateway
	vault   *auth.Vault
	uses    chan grid.CredentialUse
	changed chan struct{} // something may hold no more
	aged    chan engine.Reseal

	rotating sync.Mutex
}

// openCredentials reads those of the state into memory.
func (g *Gateway) openCredentials(ctx context.Context) error {
	c := &credentials{g: g, uses: make(chan grid.CredentialUse, maxUses), changed: make(chan struct{}, 1), aged: make(chan engine.Reseal, maxAged)}
	vault, err := loadVault(ctx, g.store, g.cfg.KeyFilePath(), true)
	if err != nil {
		return err
	}
	c.vault = vault
	vault.Now = g.clock.Now
	vault.Aged = c.aging
	vault.TakenOut = func(id grid.Identity) bool { return g.engine.TakenOut(id) }
	vault.Used = func(u grid.CredentialUse) bool {
		select {
		case c.uses <- u:
			return true
		default:
			return false
		}
	}
	g.credentials = c
	g.sealUnits(ctx)
	if n, err := vault.Unreadable(); n > 0 {
		g.log.Error("credentials of devices cannot be read", "in", n, "err", err)
	}
	return nil
}

// loadVault reads all credentials. The key file is made, if it may be and nothing is sealed
// under one that is lost.
func loadVault(ctx context.Context, store *state.Store, keyFile string, mayMake bool) (*auth.Vault, error) {
	v, sealed := &auth.Vault{TakenOut: func(grid.Identity) bool { return false }}, false
	err := store.AllCredentials(ctx, func(c *grid.Credential) {
		v.Put(*c)
		sealed = sealed || c.Ended.IsZero() && len(c.Sealed) > 0
	})
	if err == nil {
		err = store.SealedContacts(ctx, func([]byte) { sealed = true })
	}
	if err == nil {
		err = store.EachSealedOfUnits(ctx, func(string, []byte) { sealed = true })
	}
	if err == nil {
		v.Keys, err = auth.OpenKeys(keyFile, sealed || !mayMake)
	}
	return v, err
}

// change takes what was committed.
func (c *credentials) change(changed []grid.Credential) {
	c.vault.Put(changed...)
	select {
	case c.changed <- struct{}{}:
	default: // it will look anyway
	}
}

// run notes uses, and closes what holds no more.
func (c *credentials) run(ctx context.Context) error {
	select {
	case <-c.g.engine.Ready():
	case <-ctx.Done():
		return nil
	}
	look := time.NewTicker(recheckEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-c.uses:
			c.note(ctx, u)
		case r := <-c.aged:
			c.reseal(ctx, r)
		case <-c.changed:
			c.recheck()
		case <-look.C:
			c.recheck()
		}
	}
}

// note tells the engine of uses, many at once when many devices come back.
func (c *credentials) note(ctx context.Context, first grid.CredentialUse) {
	uses := []grid.CredentialUse{first}
	for len(uses) < usesOfCommand && len(c.uses) > 0 {
		uses = append(uses, <-c.uses)
	}
	if err := c.g.engine.CredentialsUsed(ctx, uses); err != nil && ctx.Err() == nil {
		c.g.log.Error("use of credentials is not noted", "in", len(uses), "err", err)
	}
}

func (c *credentials) recheck() {
	if c.g.broker != nil && c.g.broker.Addr()+c.g.broker.AddrTLS() != "" {
		c.g.broker.Recheck()
	}
	if c.g.coap != nil {
		c.g.coap.Recheck()
	}
}

// Add gives a device a credential.
func (c *credentials) Add(ctx context.Context, n api.NewCredential) (api.CredentialMade, error) {
	made := api.CredentialMade{DryRun: n.DryRun}
	grace, err := c.grace(n.Grace)
	if err != nil {
		return made, err
	}
	id, note := envelope.ParseIdentity(string(n.Device))
	if note != "" {
		return made, grid.Errorf(grid.Invalid, "device: %s", note)
	}
	now := c.g.clock.Now().UTC()
	row := grid.Credential{
		ID: grid.NewID(now, "credential/"+rand.Text(), 0), Device: id, Kind: n.Kind, Created: now, Expires: n.Expires, By: n.By, Reason: n.Reason,
	}
	secret, err := c.secretOf(&n, &row)
	if err != nil {
		return made, err
	}
	had, err := c.g.store.Credentials(ctx, id)
	if err != nil {
		return made, err
	}
	if old := c.same(had, &row, secret, n.Secret == ""); old != nil {
		made.CredentialView, made.Unchanged = c.view(*old), true
		return made, nil
	}
	if err := c.seal(&row, secret); err != nil {
		return made, err
	}
	if n.DryRun {
		made.CredentialView = c.view(row)
		return made, c.g.engine.CheckCredential(ctx, row, grace)
	}
	got, err := c.g.engine.PutCredential(ctx, row, grace, n.Key)
	if err != nil {
		return made, err
	}
	made.CredentialView, made.Unchanged = c.view(got), got.ID != row.ID
	if n.Secret == "" && !made.Unchanged {
		made.Secret = shown(n.Kind, secret)
	}
	return made, nil
}

func (c *credentials) grace(text string) (time.Duration, error) {
	if text == "" {
		return c.g.cfg.Credentials.Grace, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxGrace {
		return 0, grid.Errorf(grid.Invalid, "grace is %q: want a duration such as 72h, at most %s", text, maxGrace)
	}
	return d, nil
}

// secretOf gives the secret that is asked for, or makes one; of a certificate it fills in
// the fingerprint. Its errors do not show the secret.
func (c *credentials) secretOf(n *api.NewCredential, row *grid.Credential) ([]byte, error) {
	if n.Kind != grid.Certificate && n.Certificate+n.Fingerprint != "" {
		return nil, grid.Errorf(grid.Invalid, "kind is %q and a certificate is given: want x509", n.Kind)
	}
	switch n.Kind {
	case grid.CoAPKey:
		return keyOf(string(n.Secret))
	case grid.MQTTPassword:
		return passwordOf(string(n.Secret))
	case grid.Certificate:
		var err error
		if n.Secret != "" {
			return nil, grid.Errorf(grid.Invalid, "kind is x509 and a secret is given: want a certificate alone, its key stays with the device")
		}
		row.Fingerprint, err = fingerprintOf(n.Certificate, n.Fingerprint)
		return nil, err
	}
	return nil, grid.Errorf(grid.Invalid, "kind is %q: want coap_psk, mqtt_password or x509", n.Kind)
}

func keyOf(text string) ([]byte, error) {
	if text == "" {
		key := make([]byte, madeKeyLen)
		rand.Read(key) // never fails: crypto/rand ends the program instead
		return key, nil
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) < shortestKeyLen || len(key) > longestKeyLen {
		return nil, grid.Errorf(grid.Invalid, "secret cannot be used: want %d to %d hexadecimal digits", 2*shortestKeyLen, 2*longestKeyLen)
	}
	return key, nil
}

func passwordOf(text string) ([]byte, error) {
	if text == "" {
		return []byte(rand.Text()), nil // 130 bits
	}
	n := utf8.RuneCountInString(text)
	if !utf8.ValidString(text) || n < minPassword || n > maxPassword || strings.ContainsFunc(text, unicode.IsControl) {
		return nil, grid.Errorf(grid.Invalid, "secret cannot be used: want %d to %d characters", minPassword, maxPassword)
	}
	return []byte(text), nil
}

func fingerprintOf(text, fingerprint string) (string, error) {
	switch {
	case (text == "") == (fingerprint == ""):
		return "", grid.Errorf(grid.Invalid, "kind is x509: want certificate or fingerprint")
	case text != "":
		block, _ := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" {
			return "", grid.Errorf(grid.Invalid, "certificate cannot be read: want PEM that begins with BEGIN CERTIFICATE")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", grid.Errorf(grid.Invalid, "certificate: %w", err)
		}
		sum := sha256.Sum256(block.Bytes)
		return hex.EncodeToString(sum[:]), nil
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(fingerprint), "sha256:"), ":", ""))
	if err != nil || len(b) != sha256.Size {
		return "", grid.Errorf(grid.Invalid, "fingerprint is %.100q: want SHA-256 of the certificate, 64 hexadecimal digits", fingerprint)
	}
	return hex.EncodeToString(b), nil
}

// same finds what is asked for where the device has it: an import may be repeated.
func (c *credentials) same(had []grid.Credential, row *grid.Credential, secret []byte, made bool) *grid.Credential {
	for i := range had {
		o := &had[i]
		if o.Kind != row.Kind || o.State(c.g.clock.Now()) != "holds" || !o.Expires.Equal(row.Expires) {
			continue
		}
		equal := false
		switch o.Kind {
		case grid.Certificate:
			equal = o.Fingerprint == row.Fingerprint
		case grid.CoAPKey:
			old, err := c.vault.Keys.Open(o.Sealed, auth.Owner(o))
			equal = err == nil && !made && bytes.Equal(old, secret)
		case grid.MQTTPassword:
			match, err := c.vault.Keys.Matches(o.Sealed, secret, auth.Owner(o))
			equal = err == nil && !made && match
		}
		if equal {
			return o
		}
	}
	return nil
}

// seal hides a key, which DTLS must have back, and makes a check of a password.
func (c *credentials) seal(row *grid.Credential, secret []byte) (err error) {
	switch row.Kind {
	case grid.CoAPKey:
		row.Sealed, err = c.vault.Keys.Seal(secret, auth.Owner(row))
	case grid.MQTTPassword:
		row.Sealed, err = c.vault.Keys.Check(secret, auth.Owner(row))
	}
	return err
}

func shown(kind grid.CredentialKind, secret []byte) string {
	switch kind {
	case grid.CoAPKey:
		return hex.EncodeToString(secret)
	case grid.MQTTPassword:
		return string(secret)
	}
	return ""
}

func (c *credentials) view(row grid.Credential) api.CredentialView {
	v := api.CredentialView{Credential: row, State: row.State(c.g.clock.Now())}
	if row.Kind != grid.Certificate {
		v.Login = string(row.Device)
	}
	return v
}

// List gives all that a device has had, oldest first.
func (c *credentials) List(ctx context.Context, device grid.Identity) ([]api.CredentialView, error) {
	if _, err := c.g.store.Device(ctx, device); err != nil {
		return nil, err
	}
	rows, err := c.g.store.Credentials(ctx, device)
	out := make([]api.CredentialView, len(rows))
	for i := range rows {
		out[i] = c.view(rows[i])
	}
	return out, err
}

// End ends a credential of a device.
func (c *credentials) End(ctx context.Context, device grid.Identity, id string, by grid.Actor, reason string) (api.CredentialView, error) {
	row, err := c.g.store.Credential(ctx, id)
	if err != nil {
		return api.CredentialView{}, err
	}
	if row.Device != device {
		return api.CredentialView{}, grid.Errorf(grid.NotFound, "credential %q is not one of device %s", id, device)
	}
	row, err = c.g.engine.EndCredential(ctx, id, by, reason)
	return c.view(row), err
}

// problem is what is wrong with them, for the health view.
func (c *credentials) problem() error {
	n, err := c.vault.Unreadable()
	if n == 0 {
		return nil
	}
	return grid.Errorf(grid.Unavailable, "%d credentials of devices cannot be read, these devices do not come in: %w", n, err)
}

func (g *Gateway) credentialMetrics(send sender) {
	n, _ := g.credentials.vault.Unreadable()
	send(prometheus.GaugeValue, "credentials", "Keys, passwords and certificates of devices that have not ended.", float64(g.credentials.vault.Count()))
	send(prometheus.GaugeValue, "credentials_unreadable", "Of these, sealed under a key that the key file does not have.", float64(n))
}

// CheckCredentials says whether the key file fits what is sealed in the data folder: n
// cannot be opened, and err is why.
func (c *Config) CheckCredentials(ctx context.Context, log *slog.Logger) (n int, err error) {
	store, err := state.OpenReadOnly(ctx, c.StatePath(), log)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	v, err := loadVault(ctx, store, c.KeyFilePath(), false)
	if err != nil {
		return 0, err
	}
	n, err = v.Unreadable()
	contacts := store.SealedContacts(ctx, func(sealed []byte) {
		if bad := v.Keys.Has(sealed); bad != nil {
			n, err = n+1, bad
		}
	})
	units := store.EachSealedOfUnits(ctx, func(_ string, sealed []byte) {
		if bad := v.Keys.Has(sealed); bad != nil {
			n, err = n+1, bad
		}
	})
	return n, errors.Join(err, contacts, units)
}
