package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/audit"
	"gridgate/internal/auth"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/people"
	"gridgate/internal/state"
)

// AuditConfig is the log of who did what.
type AuditConfig struct {
	KeyFile  string `yaml:"key_file"`  // seals the head, made at the first start; "" : <data_dir>/audit.key
	KeepDays int    `yaml:"keep_days"` // six months at least
}

// minAuditDays is six months, whichever.
const minAuditDays = 184

func defaultAudit() AuditConfig { return AuditConfig{KeepDays: 365} }

func (c *AuditConfig) validate(v *problems) {
	v.want(c.KeepDays >= minAuditDays, "audit.keep_days is %d: want %d or more, six months", c.KeepDays, minAuditDays)
}

// AuditDir is where the log of who did what lies, AuditKeyPath what seals it.
func (c *Config) AuditDir() string { return filepath.Join(c.DataDir, "audit") }

func (c *Config) AuditKeyPath() string {
	return orElse(c.Audit.KeyFile, filepath.Join(c.DataDir, "audit.key"))
}

// proxies are those whose word about an address is taken; the list is valid.
func (c *Config) proxies() []netip.Prefix { return networks(c.HTTP.TrustedProxies) }

func networks(all []string) (out []netip.Prefix) {
	for _, s := range all {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func validProxies(v *problems, all []string) { validNetworks(v, "http.trusted_proxies", all) }

func validNetworks(v *problems, name string, all []string) {
	for i, s := range all {
		_, err := netip.ParsePrefix(s)
		v.want(err == nil, "%s[%d] is %q: want a network such as 10.1.0.0/16, or 10.1.0.5/32", name, i, s)
	}
}

// openAudit opens the log against what the state knows of it.
func (g *Gateway) openAudit(ctx context.Context) error {
	key, err := auth.TokenFile(g.cfg.AuditKeyPath())
	if err != nil {
		return fmt.Errorf("audit.key_file: %w", err)
	}
	anchors, err := anchorsOf(ctx, g.store)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	g.audit, err = audit.Open(g.cfg.AuditDir(), audit.Options{
		Key: []byte(key), Keep: time.Duration(g.cfg.Audit.KeepDays) * 24 * time.Hour, Anchors: anchors, Now: g.clock.Now, Log: g.log,
	})
	if err != nil {
		return err
	}
	g.closers = append(g.closers, g.audit.Close)
	return nil
}

// anchorsOf reads what the state knows of the audit log.
func anchorsOf(ctx context.Context, store *state.Store) (out []audit.Anchor, err error) {
	q := state.Query{Type: engine.ActAnchor, Limit: 1000}
	for {
		page, err := store.ListAudit(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, row := range page.Items {
			n, err := strconv.ParseUint(row.Subject, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("anchor %s: line is %q: %w", row.ID, row.Subject, err)
			}
			out = append(out, audit.Anchor{N: n, Hash: row.Detail, At: row.At})
		}
		if q.Cursor = page.Next; page.Next == "" {
			return out, nil
		}
	}
}

// anchorEvery is how often the state and the gateway's log are told what the audit is.
const anchorEvery = time.Hour

// anchorAudit tells, while there is something new.
func (g *Gateway) anchorAudit(ctx context.Context) error {
	select {
	case <-g.engine.Ready():
	case <-ctx.Done():
		return nil
	}
	tick := time.NewTicker(anchorEvery)
	defer tick.Stop()
	for last := uint64(0); ; {
		if head := g.audit.Stats().Head; head.N > last {
			if err := g.engine.Anchor(ctx, head.N, head.Hash); err != nil {
				if ctx.Err() == nil {
					g.log.Error("audit is not anchored", "err", err)
				}
			} else {
				last = head.N
				g.log.Info("audit anchor", "line", head.N, "hash", head.Hash)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// withAudit gives the API the log.
func (g *Gateway) withAudit(d *api.Deps) {
	d.Audit, d.VerifyAudit, d.HideNumbers, d.Proxies = g.audit, g.verifyAudit, people.HideNumbers, g.cfg.proxies()
	d.Erase, d.Private = g.erase, func(p *grid.Point) bool { return g.privacy.Of(p.Privacy).Audited }
}

func (g *Gateway) verifyAudit(ctx context.Context) (audit.Report, error) {
	return g.cfg.verifyAudit(ctx, g.store)
}

// VerifyAudit reads the audit log in the data folder, of a gateway that runs or not, and holds
// it against its sealed head and the anchors in the state.
func (c *Config) VerifyAudit(ctx context.Context, log *slog.Logger) (audit.Report, error) {
	store, err := state.OpenReadOnly(ctx, c.StatePath(), log)
	if err != nil {
		return audit.Report{}, fmt.Errorf("audit: %w", err)
	}
	defer store.Close()
	return c.verifyAudit(ctx, store)
}

func (c *Config) verifyAudit(ctx context.Context, store *state.Store) (audit.Report, error) {
	anchors, err := anchorsOf(ctx, store)
	if err != nil {
		return audit.Report{}, fmt.Errorf("audit: %w", err)
	}
	key, err := os.ReadFile(c.AuditKeyPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return audit.Report{}, fmt.Errorf("audit.key_file: %w", err)
	}
	return audit.Verify(ctx, c.AuditDir(), audit.VerifyOptions{Key: trimmed(key), Anchors: anchors})
}
