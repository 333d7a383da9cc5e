package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/auth"
	"gridgate/internal/grid"
)

// AuthConfig is how people sign on.
type AuthConfig struct {
	SessionIdle    time.Duration `yaml:"session_idle"`    // a session that nothing uses ends; an open stream uses it
	SessionLongest time.Duration `yaml:"session_longest"` // and every session after so long
	DeskNetworks   []string      `yaml:"desk_networks"`   // of the desks: tries from elsewhere never slow them
	PlainHTTP      bool          `yaml:"plain_http"`      // sign on over plain HTTP from other machines too
	OIDC           []OIDCConfig  `yaml:"oidc"`            // identity providers that people may sign on through
}

// OIDCConfig is one identity provider.
type OIDCConfig struct {
	ID           string       `yaml:"id"`    // stands in addresses
	Label        string       `yaml:"label"` // stands on the button
	Issuer       string       `yaml:"issuer"`
	ClientID     string       `yaml:"client_id"`
	SecretFile   string       `yaml:"client_secret_file"`
	Scopes       []string     `yaml:"scopes"`        // beside openid
	NameClaim    string       `yaml:"name_claim"`    // names the account; "" : preferred_username
	DisplayClaim string       `yaml:"display_claim"` // "" : name
	Roles        []RoleConfig `yaml:"roles"`         // the first that fits; who fits none is not let in
}

// RoleConfig gives a role to those whose claim has a value.
type RoleConfig struct {
	Claim      string    `yaml:"claim"`
	Value      string    `yaml:"value"`
	Role       grid.Role `yaml:"role"`
	Unit       string    `yaml:"unit"`
	grid.Scope `yaml:",inline"`
}

func (c *OIDCConfig) validate(v *problems, at string) {
	v.want(c.ID != "" && url.PathEscape(c.ID) == c.ID && c.ID != "password" && c.ID != "passkey", "%s.id is %q: want a word of letters and digits", at, c.ID)
	u, err := url.Parse(c.Issuer)
	v.want(err == nil && u.Host != "" && (u.Scheme == "https" || loopback(u.Host)), "%s.issuer is %q: want https://…", at, c.Issuer)
	v.want(c.ClientID != "", "%s.client_id is empty: want what the provider calls this gateway", at)
	v.want(len(c.Roles) > 0, "%s.roles is empty: want who gets which role", at)
}

// issuers reads the secrets of the providers.
func (c *AuthConfig) issuers() (out []*auth.Issuer, err error) {
	for _, o := range c.OIDC {
		i := &auth.Issuer{ID: o.ID, Label: cmp.Or(o.Label, o.ID), URL: o.Issuer, ClientID: o.ClientID, Scopes: o.Scopes, Name: cmp.Or(o.NameClaim, "preferred_username"), Display: cmp.Or(o.DisplayClaim, "name")}
		if o.SecretFile != "" {
			b, err := os.ReadFile(o.SecretFile)
			if err != nil {
				return nil, fmt.Errorf("auth.oidc %s: client_secret_file: %w", o.ID, err)
			}
			i.Secret = string(trimmed(b))
		}
		for _, r := range o.Roles {
			cr := auth.ClaimRole{Claim: r.Claim, Value: r.Value, Role: r.Role, Scope: r.Scope}
			if r.Unit != "" {
				cr.Units = []string{r.Unit}
			}
			i.Roles = append(i.Roles, cr)
		}
		out = append(out, i)
	}
	return out, nil
}

func defaultAuth() AuthConfig {
	return AuthConfig{SessionIdle: 12 * time.Hour, SessionLongest: 7 * 24 * time.Hour}
}

func (c *AuthConfig) validate(v *problems) {
	v.want(c.SessionIdle >= time.Minute && c.SessionIdle <= c.SessionLongest, "auth.session_idle is %s: want 1m to session_longest", c.SessionIdle)
	v.want(c.SessionLongest >= time.Hour && c.SessionLongest <= 90*24*time.Hour, "auth.session_longest is %s: want 1h to 2160h", c.SessionLongest)
	for i := range c.OIDC {
		c.OIDC[i].validate(v, fmt.Sprintf("auth.oidc[%d]", i))
	}
	for i, s := range c.DeskNetworks {
		_, err := netip.ParsePrefix(s)
		v.want(err == nil, "auth.desk_networks[%d] is %q: want a network such as 10.1.0.0/16", i, s)
	}
}

// desks are the networks of desks, and the machine itself; the list is valid.
func (c *AuthConfig) desks() []netip.Prefix {
	out := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, s := range c.DeskNetworks {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// AccountsPath is where users, sessions and tokens are kept, FirstPasswordPath where the first
// admin's one-time password waits.
func (c *Config) AccountsPath() string { return filepath.Join(c.DataDir, "accounts.db") }

func (c *Config) FirstPasswordPath() string { return filepath.Join(c.DataDir, "first-password") }

// openAccounts opens users, sessions and tokens, and makes the first admin.
func (g *Gateway) openAccounts(ctx context.Context) error {
	issuers, err := g.cfg.Auth.issuers()
	if err != nil {
		return err
	}
	a, err := auth.OpenAccounts(ctx, g.cfg.AccountsPath(), auth.Options{
		Idle: g.cfg.Auth.SessionIdle, Longest: g.cfg.Auth.SessionLongest, Desks: g.cfg.Auth.desks(), Issuers: issuers, Keys: g.credentials.vault.Keys, Log: g.log,
	})
	if err != nil {
		return err
	}
	g.accounts = a
	g.closers = append(g.closers, a.Close)
	first, err := a.First(ctx)
	if err != nil || first == "" {
		return err
	}
	path := g.cfg.FirstPasswordPath()
	if err := os.WriteFile(path, []byte(first+"\n"), 0o600); err != nil {
		return fmt.Errorf("first password: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil { // of a file that was there
		return fmt.Errorf("first password: %w", err)
	}
	g.log.Info("first start: sign on as admin with the one-time password in the file, which goes when it is changed", "file", path)
	g.firstPassword = first
	return nil
}

// FirstPassword is the first admin's one-time password where this start has made it, "" else.
func (g *Gateway) FirstPassword() string { return g.firstPassword }

// withAccounts gives the API the accounts.
func (g *Gateway) withAccounts(d *api.Deps) {
	d.Accounts, d.PlainSignOn = g.accounts, g.cfg.Auth.PlainHTTP
	d.PasswordChanged = func(u auth.User) {
		if u.Name != "admin" {
			return
		}
		if err := os.Remove(g.cfg.FirstPasswordPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			g.log.Error("the file with the first password could not be removed: remove it", "err", err)
		}
	}
}

// accountsEvery is how often ended sessions go, and what was used is written.
const accountsEvery = time.Minute

// keepAccounts does what time asks of accounts.
func (g *Gateway) keepAccounts(ctx context.Context) error {
	tick := time.NewTicker(accountsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := g.accounts.Upkeep(ctx); err != nil && ctx.Err() == nil {
				g.log.Error("accounts could not be written", "err", err)
			}
		}
	}
}
