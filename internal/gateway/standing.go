package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/backup"
	"gridgate/internal/grid"
)

// Of a data folder there are copies: backups, a standby's. One of them at a time is the
// gateway. A copy that takes over raises the term; who sees a higher term than its own stops
// taking frames and telling units, and does not start again.

// standing is which copy of a data folder this is.
type standing struct {
	Lineage string   `json:"lineage"` // the same in all copies
	Term    uint32   `json:"term"`    // how often one copy has followed another
	Holder  string   `json:"holder"`  // this copy
	Fenced  *fencing `json:"fenced,omitempty"`
	// Copied is of when the state was that this copy began with; zero: it is no copy.
	Copied time.Time `json:"copied,omitzero"`
}

// fencing is why this copy is no longer the gateway.
type fencing struct {
	Term uint32    `json:"term"` // of the one that is
	By   string    `json:"by"`   // where it was seen
	At   time.Time `json:"at"`
}

func (c *Config) standingPath() string { return filepath.Join(c.DataDir, "fence.json") }

// readStanding reads it; nil when the folder has none yet.
func (c *Config) readStanding() (*standing, error) {
	b, err := os.ReadFile(c.standingPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s := &standing{}
	if err == nil {
		err = json.Unmarshal(b, s)
	}
	if err != nil {
		return nil, fmt.Errorf("data_dir: fence.json: %w", err)
	}
	return s, nil
}

func (c *Config) writeStanding(s *standing) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return backup.Replace(c.standingPath(), append(b, '\n'))
}

// succeed is the standing of a copy that follows another.
func succeed(lineage string, term uint32) *standing {
	if lineage == "" {
		lineage = rand.Text()
	}
	return &standing{Lineage: lineage, Term: term + 1, Holder: rand.Text()}
}

// openStanding refuses a folder whose place another copy has taken.
func (g *Gateway) openStanding(ctx context.Context) error {
	s, err := g.cfg.readStanding()
	if err != nil {
		return err
	}
	if s == nil {
		if _, bad := ReadFollowed(g.cfg.DataDir); bad == nil {
			return grid.Errorf(grid.Conflict, "data_dir %s is a standby's copy: `gridgate promote` makes it the gateway", g.cfg.DataDir)
		}
		s = succeed("", 0)
		if err := g.cfg.writeStanding(s); err != nil {
			return fmt.Errorf("data_dir: %w", err)
		}
	}
	g.standing.Store(s)
	if s.Fenced != nil {
		return s.refusal(&g.cfg)
	}
	return g.askPeers(ctx)
}

func (s *standing) refusal(c *Config) error {
	return grid.Errorf(grid.Conflict, "data_dir %s is not the gateway any more: at %s a copy of it with term %d was seen at %s, this one has term %d. "+
		"First bring over what it has beyond the copy: `gridgate standby recover --api %s %s`, with a token of an admin there. Then start this machine as the standby of that one, "+
		"with an empty folder; if that one is gone for good, `gridgate promote` here takes the place back",
		c.DataDir, s.Fenced.At.Format(time.RFC3339), s.Fenced.Term, s.Fenced.By, s.Term, s.Fenced.By, c.DataDir)
}

// StandbyConfig is who else has a copy of this gateway's data.
type StandbyConfig struct {
	Peers []string      `yaml:"peers"` // addresses of their APIs: whoever of them has a higher term is the gateway
	Every time.Duration `yaml:"every"` // how often they are asked
}

func defaultStandby() StandbyConfig { return StandbyConfig{Every: 5 * time.Second} }

func (c *StandbyConfig) validate(v *problems) {
	v.want(c.Every >= 100*time.Millisecond && c.Every <= time.Minute, "standby.every is %s: want 100ms to 1m", c.Every)
	for i, p := range c.Peers {
		u, err := url.Parse(p)
		v.want(err == nil && u.Host != "" && oneOf(u.Scheme, "http", "https"), "standby.peers[%d] is %q: want an address such as https://other:8080", i, p)
	}
}

// askPeers asks each peer which term it has; one that does not answer says nothing.
func (g *Gateway) askPeers(ctx context.Context) error {
	for _, p := range g.cfg.Standby.Peers {
		ask, cancel := context.WithTimeout(ctx, 2*time.Second)
		other, err := (&api.Client{URL: p}).Standing(ask)
		cancel()
		own := g.standing.Load()
		if err != nil || other.Lineage != own.Lineage || other.Holder == own.Holder {
			continue
		}
		if other.Term > own.Term || other.Term == own.Term && other.Holder > own.Holder {
			return g.fence(other.Term, p)
		}
	}
	return nil
}

// fence notes that another copy is the gateway, and says so by its error: the process ends.
func (g *Gateway) fence(term uint32, by string) error {
	s := *g.standing.Load()
	s.Fenced = &fencing{Term: term, By: by, At: time.Now().UTC()}
	g.standing.Store(&s)
	return errors.Join(s.refusal(&g.cfg), g.cfg.writeStanding(&s))
}

// watchPeers ends the gateway when a peer has taken its place.
func (g *Gateway) watchPeers(ctx context.Context) error {
	tick := time.NewTicker(g.cfg.Standby.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-g.fenced:
			return err
		case <-tick.C:
			if err := g.askPeers(ctx); err != nil {
				return err
			}
		}
	}
}

// Standing is which copy this gateway is: for its peers, without a token.
func (g *Gateway) apiStanding() api.Standing {
	s := g.standing.Load()
	return api.Standing{Lineage: s.Lineage, Term: s.Term, Holder: s.Holder}
}

// fencedBy is a copy's word that it takes over.
func (g *Gateway) fencedBy(term uint32, lineage, by string) error {
	own := g.standing.Load()
	if lineage != own.Lineage {
		return grid.Errorf(grid.Conflict, "fence: lineage is %q: this gateway's data is of another", lineage)
	}
	if term <= own.Term {
		return grid.Errorf(grid.Conflict, "fence: term is %d: want more than this gateway's %d", term, own.Term)
	}
	why := g.fence(term, by)
	select {
	case g.fenced <- why: // after the answer has left: Run ends the API with a second's grace
	default:
	}
	return nil
}
