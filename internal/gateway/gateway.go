// Package gateway is the configuration of gridgate and the wiring of its parts.
//
//	broker, mqtt, serial ──▶ intake ──▶ journal ──▶ engine ──▶ state ──▶ dispatch ──▶ units
//	                                          │  └────▶ influx queue ──▶ writer ──▶ InfluxDB
//	                                          └───────▶ api (stream), downlinks ──▶ broker, mqtt, coap, serial
//	api ──▶ engine (commands), state and journal (reads), influx (history)
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/api"
	"gridgate/internal/audit"
	"gridgate/internal/auth"
	"gridgate/internal/broker"
	"gridgate/internal/bulk"
	"gridgate/internal/calendar"
	"gridgate/internal/clock"
	"gridgate/internal/coap"
	"gridgate/internal/commission"
	"gridgate/internal/console"
	"gridgate/internal/contractor"
	"gridgate/internal/dispatch"
	"gridgate/internal/downlink"
	"gridgate/internal/duty"
	"gridgate/internal/engine"
	"gridgate/internal/evidence"
	"gridgate/internal/figures"
	"gridgate/internal/grid"
	"gridgate/internal/hazard"
	"gridgate/internal/influx"
	"gridgate/internal/journal"
	"gridgate/internal/label"
	"gridgate/internal/mqtt"
	"gridgate/internal/pdf"
	"gridgate/internal/people"
	"gridgate/internal/privacy"
	"gridgate/internal/profile"
	"gridgate/internal/serial"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
	"gridgate/internal/trace"
)

// Version is what this gridgate calls itself.
const Version = "0.1.0"

// Gateway is one running gridgate. New does no I/O; Run does everything.
type Gateway struct {
	cfg     Config
	log     *slog.Logger
	ready   chan struct{}
	started time.Time    // by the machine's clock
	clock   *clock.Clock // the city's; nil is the machine's

	store         *state.Store
	tiles         *tiles
	journal       *journal.Log
	queue         *influx.Queue
	unjournalled  atomic.Int64 // smoke alarms told from memory
	queueLost     bool         // part of it: after a restore, or a damaged disk
	server        *influx.Server
	client        *influx.Client
	writer        *influx.Writer
	profiles      *profile.Set
	calendars     *calendar.Calendars
	hazards       *hazard.Kinds
	commissioning *commission.Plans
	contractors   *contractor.Rules
	codes         *label.Reader
	font          *pdf.Font
	figures       *figures.Rules
	duty          *duty.Rules
	privacy       *privacy.Classes
	nightly       sync.Mutex    // held while sheets of a night are written
	boards        chan struct{} // as many as may be worked out at a time
	alarmRules    *alarm.Rules
	files         *evidence.Files
	imports       *bulk.Jobs
	engine        *engine.Engine
	dispatcher    *dispatch.Dispatcher
	connectors    map[string]grid.Connector
	faces         []api.Face
	poller        *dispatch.Poller
	tester        *dispatch.Tester
	heard         heardUnits
	outbox        *downlink.Outbox
	broker        *broker.Broker
	mqtt          []*mqtt.Transport
	serial        []*serial.Transport
	coap          *coap.Transport
	api           *api.Server
	listener      net.Listener
	token         string
	closers       []func() error

	secured   *secured // HTTPS; nil: none
	backups   backups
	standing  atomic.Pointer[standing]
	fenced    chan error // why another copy is the gateway now
	snapshots snapshots

	reloading reloading
	heart     heart
	who       func(ctx context.Context, token string) (grid.Actor, error)

	traces *trace.Tracer // nil: no collector is told

	run             *group // what runs
	early           *early
	lateCredentials atomic.Pointer[credentials] // g.credentials, for the broker, which may be there before
	steps           atomic.Uint64               // of the schema: done << 32 | all

	credentials *credentials
	accounts    *auth.Accounts

	firstPassword string // made by this start
	audit         *audit.Log
	routes        *ticket.Routes
	folk          *folk
}

// New makes a gateway of a valid configuration.
func New(cfg Config, log *slog.Logger) *Gateway {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Gateway{cfg: cfg, log: log, ready: make(chan struct{}), fenced: make(chan error, 1), early: new(early)}
}

// Ready is closed when frames are taken and the API answers.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }

// Run opens everything, serves until ctx is done, and returns when every part has ended.
// The first part that fails ends the others. Whatever was acknowledged is on disk, so
// there is nothing to drain.
func (g *Gateway) Run(ctx context.Context) (err error) {
	g.started = time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { err = errors.Join(err, g.close()) }()
	run := newGroup(cancel)
	g.run = run
	if err := g.open(ctx); err != nil {
		cancel()
		return errors.Join(err, run.wait())
	}
	run.start(ctx, "state", g.store.Run)
	if !g.early.open.Load() {
		run.start(ctx, "journal", g.journal.Run)
	}
	run.start(ctx, "engine", g.engine.Run)
	run.start(ctx, "dispatch", g.dispatcher.Run)
	run.start(ctx, "channel tests", g.testChannels)
	run.start(ctx, "answers", g.poll)
	if g.server != nil {
		run.start(ctx, "influxdb", g.server.Run)
	}
	if g.writer != nil {
		run.start(ctx, "influx writer", g.writer.Run)
	}
	run.start(ctx, "upkeep", g.upkeep)
	run.start(ctx, "figures", g.runFigures)
	run.start(ctx, "credentials", g.credentials.run)
	run.start(ctx, "accounts", g.keepAccounts)
	run.start(ctx, "audit", g.audit.Run)
	run.start(ctx, "audit anchors", g.anchorAudit)
	run.start(ctx, "privacy", g.runPrivacy)
	run.start(ctx, "certificates", g.runCertificates)
	run.start(ctx, "rosters", g.tellGaps)
	run.start(ctx, "backups", g.runBackups)
	run.start(ctx, "standing", g.watchPeers)
	run.start(ctx, "duty", g.runDuty)
	run.start(ctx, "pulse", g.feel)
	run.start(ctx, "watchdog", g.beat)
	run.start(ctx, "traces", g.runTraces)
	if err := g.serve(ctx, run); err != nil {
		cancel()
		return errors.Join(err, run.wait())
	}
	return run.wait()
}

// serve lets the world in, once the engine has its state.
func (g *Gateway) serve(ctx context.Context, run *group) error {
	select {
	case <-g.engine.Ready():
	case <-ctx.Done():
		return nil
	}
	if err := g.prepareRegions(ctx); err != nil {
		return err
	}
	if err := g.importRegistry(ctx); err != nil {
		return err
	}
	if err := g.engine.CheckRoutes(ctx); err != nil {
		return err
	}
	in := &intake{journal: g.journal, lane: g.laneOf, heard: g.outbox.Heard, refused: g.engine.Refused, traces: g.traces, stamps: g.clock == nil}
	g.early.full.Store(in)
	g.early.ready.Store(g.engine)
	g.replan()
	if !g.early.open.Load() {
		if err := g.runWires(ctx); err != nil {
			return err
		}
	}
	run.start(ctx, "downlinks", g.outbox.Run)
	run.start(ctx, "imports", g.imports.Run)
	if g.listener != nil {
		run.start(ctx, "api", func(ctx context.Context) error { return g.api.Run(ctx, api.Crowd(g.listener, g.cfg.proxies())) })
	}
	if g.secured != nil {
		run.start(ctx, "api over tls", func(ctx context.Context) error { return g.api.Run(ctx, g.secured.listener) })
	}
	g.checkFiles()
	g.log.Info("gateway is ready", "in", time.Since(g.started), "api", g.APIAddr(), "broker", g.BrokerAddr())
	close(g.ready)
	return nil
}

// open opens files and listeners, and makes the parts.
func (g *Gateway) open(ctx context.Context) error {
	c := &g.cfg
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	// What is acknowledged lies in it: its own name must outlive a power loss too.
	if err := syncDir(filepath.Dir(c.DataDir)); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if err := g.openStanding(ctx); err != nil {
		return err
	}
	token, err := auth.TokenFile(c.TokenPath())
	if err != nil {
		return err
	}
	g.token = token
	rules, plans, version, err := g.rules()
	if err != nil {
		return err
	}
	g.reloading.began(g)
	g.closers = append(g.closers, g.reloading.close)
	if err := g.openStores(ctx); err != nil {
		return err
	}
	if err := g.openCredentials(ctx); err != nil {
		return err
	}
	if err := g.checkApart(ctx); err != nil {
		return err
	}
	if err := g.openAccounts(ctx); err != nil {
		return err
	}
	if err := g.openAudit(ctx); err != nil {
		return err
	}
	if err := g.openTraces(); err != nil {
		return err
	}
	if err := g.openInflux(ctx); err != nil {
		return err
	}
	if err := g.makeEngine(rules, plans, version); err != nil {
		return err
	}
	if err := g.makeDispatcher(); err != nil {
		return err
	}
	if err := g.makeTransports(); err != nil {
		return err
	}
	g.makeOutbox()
	if err := g.makeImports(); err != nil {
		return err
	}
	return g.makeAPI()
}

func (g *Gateway) makeEngine(rules *alarm.Rules, plans *ticket.Plans, version string) (err error) {
	c := engine.Config{
		Dir: g.cfg.DataDir, Journal: g.journal, Store: g.store, Profiles: g.profiles, Rules: rules, Plans: plans, Hazards: g.hazards, Commission: g.commissioning, Contractors: g.contractors, Duty: g.duty, Privacy: g.privacy,
		Routes: g.routes, People: people.NewBook(g.calendars),
		Body: g.body, Digest: g.digest, Calendars: g.calendars, Committed: g.committed, Discover: g.discovered, Unwritten: g.unwritten, CredentialsChanged: g.credentials.change, Decoders: g.cfg.Engine.Decoders, CheckpointEvery: g.cfg.Engine.CheckpointEvery, SessionSilent: g.cfg.Engine.SessionSilent,
		ConfigVersion: version, SeriesLost: g.queueLost, Traces: g.engineTraces(), Clock: g.clock, Admit: g.admits, Log: g.log,
		Limit: engine.Limit{Rate: g.cfg.Limits.DeviceRate, Burst: g.cfg.Limits.DeviceBurst},
		Guard: engine.Guard{Frames: g.cfg.Rollout.MinFrames, Percent: g.cfg.Rollout.MaxWorsePercent},
	}
	if g.queue != nil {
		c.Series = &series{Queue: g.queue, disk: func() journal.Space { return g.journal.Stats().Disk }, mark: int64(g.cfg.Journal.MinFreeInflux)}
	}
	g.engine, err = engine.New(c)
	return err
}

func (g *Gateway) makeTransports() error {
	g.lateCredentials.Store(g.credentials)
	if g.early.open.Load() {
		return nil
	}
	if err := errors.Join(g.makeBroker(), g.makeMQTT()); err != nil {
		return err
	}
	g.makeCoAP()
	return g.makeSerial()
}

func (g *Gateway) makeAPI() error {
	g.who = (&auth.Keeper{Admin: g.token, Unit: g.store.UnitByToken, Accounts: g.accounts}).Who
	d := api.Deps{
		Imports: g.imports, Files: g.files, Store: g.store, Engine: faces{g.engine, g}, Frames: g.journal, Workbench: g.engine, Parse: g.parseRegistry, Faces: g.faces, Pages: withPages(withPages(console.Pages(), g.caPages()), g.profiling()), Around: func(next http.Handler) http.Handler { return g.traced(g.around(next)) }, Caller: asksAs, TraceOf: g.traces.TraceOf, Backup: g.backupInto, Standby: copies{g}, Ready: g.health,
		Regions: regions{g}, Channels: g.channels, Filer: g.engine, Hazards: g.store, Visits: g.engine, VisitStore: g.store, Commission: g.commissioning, Links: g.links, Peers: g.peers, Credentials: g.credentials, Figures: g.board, FigureTables: figureTables{g}, Work: g.contractors, Scores: g.scoreboard, People: g.folk, AlarmRules: g.alarmRules,
		Who:     g.who,
		Metrics: g.metrics(), MetricsFrom: networks(g.cfg.HTTP.MetricsFrom), Log: g.log, Version: Version, Now: g.clock.Now, Simulation: g.simulation,
	}
	if g.client != nil {
		d.History = g.history
	}
	g.withAudit(&d)
	g.withAccounts(&d)
	d.Duty, d.DutyRules = desk{g.engine, g}, g.duty
	d.Codes, d.Font, d.GuessLabel = g.codes, g.font, g.guessLabel
	d.Tiles, d.System, d.Effective, d.Reload, d.RulesNow = g.tiles, g.system, g.effective, g.Reload, g.reloading.rules.now
	if err := g.openTLS(); err != nil {
		return err
	}
	g.api = api.New(d)
	if g.cfg.HTTP.Listen == "" {
		return nil
	}
	if g.listener != nil { // it told of the steps of the state
		return nil
	}
	ln, err := net.Listen("tcp", g.cfg.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	g.listener = ln
	return nil
}

// importRegistry puts the configured registry files.
func (g *Gateway) importRegistry(ctx context.Context) error {
	for _, path := range g.cfg.Registry {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("registry: %w", err)
		}
		r, err := g.parseRegistry(b)
		if err != nil {
			return fmt.Errorf("registry %s: %w", path, err)
		}
		if err := g.engine.PutAs(ctx, r, grid.Act{By: grid.Actor{Role: grid.RoleSystem, Name: "registry file"}, Via: "import"}); err != nil {
			return fmt.Errorf("registry %s: %w", path, err)
		}
		for _, w := range r.Warnings {
			g.log.Warn("registry file", "file", path, "warning", w)
		}
		g.log.Info("registry file imported", "file", path, "points", len(r.Points), "devices", len(r.Devices), "units", len(r.Units))
	}
	return nil
}

func (g *Gateway) close() error {
	var errs []error
	for i := len(g.closers) - 1; i >= 0; i-- {
		errs = append(errs, g.closers[i]())
	}
	if g.listener != nil {
		if err := g.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// APIAddr, BrokerAddr and InfluxURL say where they listen; "" when they do not.
func (g *Gateway) APIAddr() string {
	if g.listener == nil {
		return ""
	}
	return g.listener.Addr().String()
}

func (g *Gateway) BrokerAddr() string {
	if g.broker == nil {
		return ""
	}
	return g.broker.Addr()
}

func (g *Gateway) InfluxURL() string {
	if g.server == nil {
		return g.cfg.Influx.URL
	}
	return g.server.URL()
}

// Token is the administrator's.
func (g *Gateway) Token() string { return g.token }
