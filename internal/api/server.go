// Package api is gridgate's HTTP face: /api/v1 with its OpenAPI document, the live stream,
// health and metrics, and the Go client that the command line uses.
//
// Every handler gets who is asking as an argument; an administrator's token reaches
// everything, a unit's token its own tickets and deliveries alone.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/alarm"
	"gridgate/internal/audit"
	"gridgate/internal/auth"
	"gridgate/internal/commission"
	"gridgate/internal/contractor"
	"gridgate/internal/duty"
	"gridgate/internal/figures"
	"gridgate/internal/grid"
	"gridgate/internal/label"
	"gridgate/internal/pdf"
)

const (
	maxBody       = 1 << 20
	maxImport     = 20 << 20
	answerWithin  = 15 * time.Second // reads and commands
	importWithin  = 60 * time.Second
	stopWithin    = time.Second // for requests under way when the gateway stops
	maxHeader     = 16 << 10
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
)

// Deps is what the API stands on. Optional ones say so; the rest must be set.
type Deps struct {
	Store  Store
	Engine Engine
	Frames Frames
	// Workbench tries and rolls out versions of profiles.
	Workbench Workbench

	// Imports takes sheets of the registry in and out. Optional.
	Imports Imports
	// Files keeps photos and documents behind tickets.
	Files Files

	// Accounts are users, sessions and tokens; PlainSignOn lets people sign on over plain HTTP from
	// elsewhere; PasswordChanged hears when a person has changed the own password. Optional.
	Accounts        Accounts
	PlainSignOn     bool
	PasswordChanged func(auth.User)
	// Who says for whom a bearer token stands; its error is Unauthorized.
	Who func(ctx context.Context, token string) (grid.Actor, error)
	// Parse reads a registry file (YAML or JSON, strict).
	Parse func(file []byte) (grid.Registration, error)
	// History reads past values back from InfluxDB, oldest first. Optional.
	History func(ctx context.Context, q HistoryQuery) ([]Sample, error)
	// Backup writes a consistent copy of everything into an empty folder. Optional.
	Backup func(ctx context.Context, dir string) error
	// Standby gives copies to a second machine. Optional.
	Standby Standby
	// Ready names each part and what is wrong with it (nil: nothing). Optional.
	Ready func(ctx context.Context) map[string]error
	// AlarmRules say when a queue is grouped, and what counts as a nuisance. Optional.
	AlarmRules *alarm.Rules
	// Work says what technicians do and bring, and which batteries devices have. Optional.
	Work *contractor.Rules
	// Scores makes the scoreboard of a contractor. Optional.
	Scores func(ctx context.Context, unit string, from, to time.Time) (contractor.Scoreboard, error)
	// Credentials gives devices their keys. Optional.
	Credentials Credentials
	// People is who can be called, and who is on duty. Optional.
	People People
	// Duty is of the operators' desk, DutyRules what it goes by. Optional.
	Duty      Duty
	DutyRules *duty.Rules
	// Filer takes what people report, and Hazards gives the hazards among it. Optional.
	Filer   Filer
	Hazards Hazards
	// Visits changes commissionings, VisitStore gives them, Commission is what they go by. Optional.
	Visits     Visits
	VisitStore VisitStore
	Commission *commission.Plans
	// Links is the health of each transport, Peers of who is behind a link. Optional.
	Links func() []grid.LinkHealth
	Peers func(link string) ([]grid.LinkHealth, error)
	// Figures makes the KPI board. Optional.
	Figures func(ctx context.Context, a figures.Ask) (figures.Board, error)
	// FigureTables makes what stands beside it. Optional.
	FigureTables FigureTables
	// Faces are served beside /api/v1. Optional.
	Faces []Face
	// Pages are the web's files by pattern, served without a token: nothing secret is in them. Optional.
	Pages map[string]http.Handler
	// Around is put around everything that is served. Optional.
	Around func(http.Handler) http.Handler
	// Caller is told who asks; the context is that of the request. TraceOf gives the id of the trace of a
	// frame, if its way is told. Optional.
	Caller  func(ctx context.Context, by grid.Actor)
	TraceOf func(p grid.Pos) (id string, ok bool)
	// Audit keeps who did what, VerifyAudit reads all of it. Proxies are ours: their word is taken for
	// where a request comes from. HideNumbers takes telephone numbers out of what people write. Optional.
	Audit       Audit
	VerifyAudit func(context.Context) (audit.Report, error)
	Proxies     []netip.Prefix
	HideNumbers func(string) string
	// Erase takes away what is known of a person or a home; Private says whether a look at a point's readings
	// stands in the audit. Optional.
	Erase   func(ctx context.Context, e Erase, by grid.Actor) (Erased, error)
	Private func(p *grid.Point) bool
	// Channels is how the tests of units' channels go. Optional.
	Channels func() []grid.ChannelHealth
	// Regions are the areas that points lie in. Optional.
	Regions Regions
	// Tiles are the points of the map. Optional.
	Tiles Tiles
	// System is how the gateway itself is, Effective its configuration in force. Optional.
	System    func() System
	Effective func() (map[string]any, error)
	// Reload reads the configuration again; RulesNow are the rules in force, where AlarmRules are those of
	// the start. Optional.
	Reload   func(ctx context.Context) (Reload, error)
	RulesNow func() *alarm.Rules
	// Simulation is whether simulators may drive this gateway; nil: they may not.
	Simulation func() Simulation
	// Codes reads what is scanned; nil reads the standards alone. Font draws labels; nil: the reader's
	// own. GuessLabel says which profiles may fit an identity and what a label calls its model. Optional.
	Codes      *label.Reader
	Font       *pdf.Font
	GuessLabel func(id grid.Identity, model string) []grid.ProfileGuess
	// Metrics is served at /metrics: without a token to who comes straight from MetricsFrom. Optional.
	Metrics     prometheus.Gatherer
	MetricsFrom []netip.Prefix

	Heartbeat time.Duration    // of the stream; 0 is 15 s
	Now       func() time.Time // nil is time.Now
	Log       *slog.Logger     // nil discards
	Version   string
}

// Server serves the API. Make one with New.
type Server struct {
	Deps
	hub     *hub
	handler http.Handler
	openapi *huma.OpenAPI

	strangers strangers
}

// New builds the server; it does no I/O.
func New(d Deps) *Server {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Codes == nil {
		d.Codes = &label.Reader{}
	}
	if d.Heartbeat == 0 {
		d.Heartbeat = 15 * time.Second
	}
	s := &Server{Deps: d, hub: newHub()}
	s.Who = s.inTerm(d.Who)

	mux := http.NewServeMux()
	api := humago.New(mux, describe(d.Version))
	s.openapi = api.OpenAPI()
	s.routes(api)
	exemplify(s.openapi)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /standing", s.whichCopy)
	for _, f := range d.Faces {
		mux.Handle(f.Path, s.face(f))
	}
	for pattern, h := range d.Pages {
		mux.Handle(pattern, h)
	}
	if d.Metrics != nil {
		mux.Handle("GET /metrics", s.figuresOfGateway())
	}
	s.handler = s.recovered(plainly(http.NewCrossOriginProtection().Handler(mux)))
	if d.Around != nil {
		s.handler = d.Around(s.handler)
	}
	return s
}

// describe is the head of the OpenAPI document.
func describe(version string) huma.Config {
	c := huma.DefaultConfig("gridgate", version)
	c.Info.Description = "Sensor-mesh ingestion gateway of a city district: points, devices, events, alarms and closed-loop tickets. " +
		"Errors are RFC 9457 problem details whose type is urn:gridgate:problem:<code>."
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "The administrator's token, or a unit's."},
	}
	c.DocsPath = ""    // its page would load scripts from elsewhere
	c.SchemasPath = "" // the schemas stand in the document
	c.CreateHooks = nil
	c.Transformers = []huma.Transformer{nameProblem}
	c.RejectUnknownQueryParameters = true
	return c
}

// Handler serves everything; for tests and for those who bring their own server.
func (s *Server) Handler() http.Handler { return s.handler }

// OpenAPI is the document that /openapi.json serves.
func (s *Server) OpenAPI() *huma.OpenAPI { return s.openapi }

// Run serves on ln until ctx is done. Streams end at once, other requests get a second.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       importWithin,
		WriteTimeout:      importWithin + answerWithin, // the stream sets its own, write by write
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		s.hub.close()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		err := srv.Shutdown(grace)
		if err != nil {
			err = srv.Close()
		}
		stopped <- err
	}()
	err := srv.Serve(ln)
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("api: %w", err)
	}
	return <-stopped
}

// recovered turns a panic in a handler into a 500 and a log line; the gateway goes on.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.Log.Error("request panicked", "err", fmt.Sprint(p), "path", r.URL.Path)
				writeProblem(w, grid.Errorf(grid.Internal, "the request failed inside the gateway"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
