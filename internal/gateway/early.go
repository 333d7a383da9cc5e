package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/auth"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// While the state takes the steps to a newer schema frames are taken all the same: the
// journal is open, and every wire runs. Who may come in, by which lane, and what is asked of
// LwM2M devices is read from the file as it was before; slaves are asked by the profiles of the
// gateway's files until the version in force is known.

// early is intake before there is an engine.
type early struct {
	was   state.Early
	vault *auth.Vault
	full  atomic.Pointer[intake]        // once there is one
	ready atomic.Pointer[engine.Engine] // once it has its state
	open  atomic.Bool                   // the wires run already
}

// Ingest keeps the promise of grid.Ingester.
func (e *early) Ingest(ctx context.Context, frames ...grid.Frame) error {
	return e.full.Load().Ingest(ctx, frames...)
}

// startEarly opens the journal and lets frames in.
func (g *Gateway) startEarly(ctx context.Context) error {
	was, err := state.EarlyOf(ctx, g.cfg.StatePath())
	if err != nil {
		g.log.Warn("frames are taken after the steps of the schema, not while they are made", "err", err)
		return nil
	}
	e := g.early
	e.was = was
	e.vault = &auth.Vault{TakenOut: func(id grid.Identity) bool { return was.Out[id] }, Used: func(grid.CredentialUse) bool { return true }, Now: g.clock.Now}
	for _, c := range was.Credentials {
		e.vault.Put(c)
	}
	if e.vault.Keys, err = auth.OpenKeys(g.cfg.KeyFilePath(), true); err != nil && len(was.Credentials) > 0 {
		g.log.Warn("frames are taken after the steps of the schema, not while they are made", "err", err)
		return nil
	}
	if err := g.openJournal(); err != nil {
		return err
	}
	g.run.start(ctx, "journal", g.journal.Run)
	if err := g.makeBroker(); err != nil {
		return err
	}
	if err := g.makeMQTT(); err != nil {
		return err
	}
	g.makeCoAP()
	if err := g.makeSerial(); err != nil {
		return err
	}
	e.full.Store(&intake{journal: g.journal, lane: e.lane(g), heard: func(grid.Identity) {}, refused: func([]grid.Frame) {}})
	e.open.Store(true)
	return g.runWires(ctx)
}

// resources are what is asked of an LwM2M device: by the engine once it has its state, before
// that by the profile that the older file names.
func (g *Gateway) resources(id grid.Identity) []string {
	if e := g.early.ready.Load(); e != nil {
		return e.Resources(id)
	}
	p, err := g.profiles.Get(g.early.was.Profiles[id])
	if err != nil {
		return nil
	}
	if named := p.Resources(); len(named) > 0 {
		return named
	}
	return []string{"19/0/0"}
}

// lane is what the engine would say.
func (e *early) lane(g *Gateway) func(grid.Identity) grid.Lane {
	return func(id grid.Identity) grid.Lane {
		name, known := e.was.Profiles[id]
		p, err := g.profiles.Get(name)
		if known && (e.was.AtSmoke[id] || err == nil && len(p.Kinds) == 1 && p.Kinds[0] == grid.Smoke) {
			return grid.Safety
		}
		if !known {
			if _, smoke := g.profiles.GuessIdentity(id); smoke {
				return grid.Safety
			}
		}
		return grid.Bulk
	}
}

// runWires runs the broker, the connections to brokers, the lines and CoAP.
func (g *Gateway) runWires(ctx context.Context) error {
	if g.broker != nil {
		g.run.start(ctx, "broker", func(ctx context.Context) error { return g.broker.Run(ctx, g.early) })
		select {
		case <-g.broker.Ready():
		case <-ctx.Done():
			return nil
		}
	}
	for _, t := range g.mqtt {
		g.run.start(ctx, "mqtt", func(ctx context.Context) error { return t.Run(ctx, g.early) })
	}
	for _, t := range g.serial {
		g.run.start(ctx, "serial", func(ctx context.Context) error { return t.Run(ctx, g.early) })
	}
	g.runCoAP(ctx)
	return nil
}

// lateVault is the devices' credentials for a wire that may be older than they are.
type lateVault struct{ g *Gateway }

func (l lateVault) now() *auth.Vault {
	if c := l.g.lateCredentials.Load(); c != nil {
		return c.vault
	}
	return l.g.early.vault
}

func (l lateVault) Manages(id grid.Identity, kind grid.CredentialKind) bool {
	return l.now().Manages(id, kind)
}
func (l lateVault) Login(id grid.Identity, password []byte) (string, error) {
	return l.now().Login(id, password)
}
func (l lateVault) CertificateOf(fingerprint string) (string, grid.Identity, bool) {
	return l.now().CertificateOf(fingerprint)
}
func (l lateVault) DeviceKeys(id grid.Identity) []grid.DeviceKey  { return l.now().DeviceKeys(id) }
func (l lateVault) Holds(credential string) (grid.Identity, bool) { return l.now().Holds(credential) }
func (l lateVault) Use(credential string)                         { l.now().Use(credential) }

// earlyPage says on the API's own address how far the steps are, until the API is there.
type earlyPage struct {
	ln   *net.TCPListener
	srv  *http.Server
	done chan struct{}
}

// keptOpen is a listener that one server stops using and the next takes.
type keptOpen struct{ *net.TCPListener }

// Close wakes who waits in Accept, and leaves the port open.
func (k keptOpen) Close() error { return k.SetDeadline(time.Unix(1, 0)) }

func (g *Gateway) startPage() (*earlyPage, error) {
	if g.cfg.HTTP.Listen == "" {
		return nil, nil
	}
	ln, err := net.Listen("tcp", g.cfg.HTTP.Listen)
	if err != nil {
		return nil, fmt.Errorf("http.listen: %w", err)
	}
	p := &earlyPage{ln: ln.(*net.TCPListener), done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		out := api.Readiness{Parts: map[string]string{"state": g.step()}, Simulation: api.Simulation{Speed: 1, Now: g.clock.Now().UTC()}}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		json.NewEncoder(w).Encode(out) // the client is gone if this fails
	})
	p.srv = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	go func() {
		defer close(p.done)
		_ = p.srv.Serve(keptOpen{p.ln}) // it ends by stop
	}()
	return p, nil
}

// stop gives the listener free for the API.
func (p *earlyPage) stop() (net.Listener, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := p.srv.Shutdown(ctx); err != nil {
		err = p.srv.Close()
		if err != nil && !errors.Is(err, http.ErrServerClosed) {
			return nil, err
		}
	}
	<-p.done
	return p.ln, p.ln.SetDeadline(time.Time{})
}

// step is how far the state is on its way to the present schema, in words.
func (g *Gateway) step() string {
	done, of := g.steps.Load()>>32, g.steps.Load()&0xffffffff
	return fmt.Sprintf("migrating %d of %d", min(done+1, of), of)
}
