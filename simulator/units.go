package simulator

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	cryptorand "crypto/rand"

	"gridgate/internal/grid"
)

// Behaviour is how a unit's system takes messages.
type Behaviour string

const (
	Good  Behaviour = "good"
	Slow  Behaviour = "slow"  // answers after three seconds
	Deaf  Behaviour = "deaf"  // answers 503 and does nothing
	Flaky Behaviour = "flaky" // by the seed: refuses, hangs up, or takes the message and hangs up all the same
)

// Delays of what a unit's people do, each counted from the step before.
type Delays struct {
	Accept, Arrive, Clear, Resolve, Confirm time.Duration
}

// Unit is one simulated unit.
type Unit struct {
	grid.Unit
	Behaviour Behaviour
	People    *People // nil: they work by UnitsConfig.Delays
}

// unitKinds are the units that can be played, in the order they are made.
var unitKinds = map[grid.UnitKind]struct {
	name string
	tier int
}{
	grid.FireUnit:        {"演示消防救援站 / Demo fire unit", 3},
	grid.UrbanManagement: {"演示城管中队 / Demo urban-management unit", 3},
	grid.MicroStation:    {"演示微型消防站 / Demo micro fire station", 2},
	grid.Property:        {"演示物业 / Demo property management", 2},
	grid.Maintenance:     {"演示设备维护 / Demo maintenance", 2},
	grid.Utility:         {"演示排水养护 / Demo utility", 3},
	grid.Committee:       {"演示居委会 / Demo residents' committee", 1},
}

// NewUnits makes one unit of each kind, with secrets and tokens from the seed, or from
// the system's random source if seed is 0. Their URLs are known once Units listens.
func NewUnits(kinds []grid.UnitKind, seed uint64) ([]Unit, error) {
	fill := func(b []byte) { cryptorand.Read(b) }
	if seed != 0 {
		var key [32]byte
		copy(key[:], "gridsim units")
		binary.BigEndian.PutUint64(key[24:], seed)
		src := rand.NewChaCha8(key)
		fill = func(b []byte) { src.Read(b) }
	}
	var out []Unit
	for i, k := range kinds {
		spec, ok := unitKinds[k]
		if !ok {
			return nil, grid.Errorf(grid.Invalid, "unit kind is %q: want fire, urban_management, micro_fire_station, property, maintenance, utility or residents_committee", k)
		}
		random := make([]byte, 56)
		fill(random)
		u := grid.Unit{
			ID: fmt.Sprintf("sim-%s-%d", strings.ReplaceAll(string(k), "_", "-"), i+1), Name: spec.name, Kind: k, Tier: spec.tier,
			Scope: grid.Scope{District: district}, Mode: grid.Simulated, Connector: "webhook",
			Secret: "whsec_" + base64.StdEncoding.EncodeToString(random[:32]),
			Token:  "sim_" + base64.RawURLEncoding.EncodeToString(random[32:]),
		}
		if k == grid.FireUnit {
			u.Entry = "auto"
		}
		out = append(out, Unit{Unit: u, Behaviour: Good})
	}
	return out, nil
}

// UnitsConfig of Units.
type UnitsConfig struct {
	Units  []Unit
	Host   string // to listen on; 127.0.0.1
	Port   int    // of the first unit, the others follow; 0: any free ones
	API    string // base URL of the gateway; "" uses the callback_url of each message
	Delays Delays
	Clock  Clock                    // of units with People; the zero value is real time
	Look   func(point string) Truth // what people find there; nil: nothing
	// Nearest finds a point by its place, for people who are told no more; nil: they cannot.
	Nearest func(lon, lat float64) string
	Seed    uint64 // of flaky units, and of people's times
	// Restore puts a point back to normal when the leading unit's people have been there.
	// nil: they cannot.
	Restore func(ctx context.Context, point, by string) error
	Notes   Notes
}

// Units plays units: real HTTP servers that take signed webhooks and answer by the
// gateway's API.
type Units struct {
	cfg     UnitsConfig
	crews   []*crew
	client  *http.Client
	working sync.WaitGroup
}

// crew is one unit with its server and what it has received.
type crew struct {
	Unit
	all      *Units
	hook     *webhooks.Webhook
	listener net.Listener

	mu       sync.Mutex
	rng      *rand.Rand
	received map[string]*Received
	order    []string
	refused  int
	jobs     map[string]context.CancelFunc // by ticket
	base     context.Context
	reports  []*report // of a GeoReport server
	requests int       // made there
}

// Received is one message as a unit has it.
type Received struct {
	ID     string    `json:"id"` // webhook-id
	Type   string    `json:"type"`
	Ticket string    `json:"ticket"`
	Event  string    `json:"event,omitempty"`
	Point  string    `json:"point,omitempty"`
	Count  int       `json:"count"` // how often it was sent and taken
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
}

// OpenUnits starts to listen; Run serves.
func OpenUnits(cfg UnitsConfig) (*Units, error) {
	if cfg.Host == "" {
		cfg.Host = "127.0.0.1"
	}
	u := &Units{cfg: cfg, client: &http.Client{Timeout: 10 * time.Second}}
	for i, unit := range cfg.Units {
		hook, err := webhooks.NewWebhook(unit.Secret)
		if err != nil {
			return nil, grid.Errorf(grid.Invalid, "unit %s: secret cannot be read: want whsec_ and base64", unit.ID)
		}
		port := 0
		if cfg.Port > 0 {
			port = cfg.Port + i
		}
		l, err := net.Listen("tcp", net.JoinHostPort(cfg.Host, fmt.Sprint(port)))
		if err != nil {
			u.Close()
			return nil, fmt.Errorf("unit %s: %w", unit.ID, err)
		}
		unit.URL = unit.endpoint(l.Addr().String())
		u.crews = append(u.crews, &crew{Unit: unit, all: u, hook: hook, listener: l,
			rng:      rand.New(rand.NewPCG(cfg.Seed, uint64(i))),
			received: map[string]*Received{}, jobs: map[string]context.CancelFunc{}})
	}
	return u, nil
}

// Close stops listening; after Run it does nothing.
func (u *Units) Close() {
	for _, c := range u.crews {
		c.listener.Close()
	}
}

// Registry lists the units with their addresses, secrets and tokens.
func (u *Units) Registry() []grid.Unit {
	var out []grid.Unit
	for _, c := range u.crews {
		out = append(out, c.Unit.Unit)
	}
	return out
}

// Run serves until ctx is done.
func (u *Units) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(u.crews))
	var wg sync.WaitGroup
	for i, c := range u.crews {
		wg.Go(func() {
			defer cancel() // one unit that cannot serve ends all
			errs[i] = c.serve(ctx)
		})
	}
	wg.Wait()
	u.working.Wait()
	return cmp.Or(errs...)
}

func (c *crew) serve(ctx context.Context) error {
	c.base = ctx
	server := &http.Server{Handler: c.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), BaseContext: func(net.Listener) context.Context { return ctx }}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(c.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("unit %s: %w", c.ID, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close()
	}
	<-failed
	return nil
}

// Received lists what the unit has, in the order it first came, and how many messages it
// refused because their signature was bad or old.
func (u *Units) Received(unit string) (all []Received, refused int) {
	for _, c := range u.crews {
		if c.ID == unit {
			return c.list()
		}
	}
	return nil, 0
}

func (c *crew) list() (all []Received, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all = []Received{}
	for _, id := range c.order {
		all = append(all, *c.received[id])
	}
	return all, c.refused
}

func (c *crew) handler() http.Handler {
	mux := http.NewServeMux()
	switch c.Connector {
	case faceOpen311:
		c.open311(mux)
	case faceCAP:
		mux.HandleFunc("POST /hook", c.tempered(c.takeCAP))
	default:
		mux.HandleFunc("POST /hook", c.take)
	}
	mux.HandleFunc("GET /received", func(w http.ResponseWriter, _ *http.Request) {
		all, refused := c.list()
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"unit": c.ID, "received": all, "refused": refused})
	})
	return mux
}

// message is the part of a delivery's body that a unit's system reads.
type message struct {
	Type string `json:"type"`
	Data struct {
		Ticket      string `json:"ticket"`
		Case        string `json:"case"` // for people; of a permit's question: the permit
		Assignment  string `json:"assignment"`
		Attempt     int    `json:"attempt"`
		Lead        bool   `json:"lead"`
		Event       string `json:"event"`
		Priority    string `json:"priority"`
		Mode        string `json:"mode"`
		Title       string `json:"title"`
		CallbackURL string `json:"callback_url"`
		Place       struct {
			Words string   `json:"words"`
			Point string   `json:"point"`
			Lon   *float64 `json:"lon"`
			Lat   *float64 `json:"lat"`
		} `json:"place"`
	} `json:"data"`
}

// take is the unit's webhook endpoint: verify, then keep by id, then answer, then work.
func (c *crew) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		http.Error(w, "body cannot be read", http.StatusBadRequest)
		return
	}
	if err := c.hook.Verify(body, r.Header); err != nil {
		c.mu.Lock()
		c.refused++
		c.mu.Unlock()
		c.say("refused", message{}, "refuses a message: %v", err)
		http.Error(w, "signature", http.StatusUnauthorized)
		return
	}
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		http.Error(w, "body is no JSON", http.StatusBadRequest)
		return
	}
	hangUp := false
	switch c.mood() {
	case "deaf", "refuse":
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case "hang up":
		panic(http.ErrAbortHandler)
	case "take and hang up":
		hangUp = true
	case "slow":
		select {
		case <-time.After(3 * time.Second):
		case <-r.Context().Done():
			return
		}
	}
	ref := c.keep(r.Header.Get(webhooks.HeaderWebhookID), m)
	if hangUp {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"ref":%q}`, ref)
}

// mood says how the unit's system behaves this time.
func (c *crew) mood() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Behaviour != Flaky {
		return string(c.Behaviour)
	}
	return []string{"good", "good", "good", "refuse", "hang up", "take and hang up"}[c.rng.IntN(6)]
}

// keep files a message by its id; the first time it also acts on it.
func (c *crew) keep(id string, m message) (ref string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if short(m.Type) == "channel.test" {
		c.say("test", m, "receives a test of its channel")
		return "test"
	}
	now := time.Now()
	if r := c.received[id]; r != nil {
		r.Count++
		r.Last = now
		c.say("again", m, "has %s already (sent %d times)", short(m.Type), r.Count)
		return c.ref(id)
	}
	c.received[id] = &Received{ID: id, Type: m.Type, Ticket: m.Data.Ticket, Event: m.Data.Event, Point: m.Data.Place.Point, Count: 1, First: now, Last: now}
	c.order = append(c.order, id)
	c.say("received", m, "receives %s: %s %s, %s", short(m.Type), m.Data.Priority, m.Data.Title, m.Data.Place.Words)
	c.act(id, m)
	return c.ref(id)
}

func (c *crew) ref(id string) string {
	return fmt.Sprintf("%s/%d", c.ID, slices.Index(c.order, id)+1)
}

func short(eventType string) string { return strings.TrimPrefix(eventType, "gridgate.") }

// act starts or stops work; c.mu is held.
func (c *crew) act(id string, m message) {
	kind := short(m.Type)
	stop := c.jobs[m.Data.Ticket]
	switch {
	case kind == "permit.question":
		if c.People != nil {
			p := *c.People
			c.all.working.Go(func() { c.guard(c.base, p, m) })
		}
	case strings.HasSuffix(kind, "closed"), strings.HasSuffix(kind, "close"), strings.HasSuffix(kind, "cancelled"),
		strings.HasSuffix(kind, "stand_down"), strings.HasSuffix(kind, "merged"):
		if stop != nil {
			stop()
			delete(c.jobs, m.Data.Ticket)
		}
	case strings.HasSuffix(kind, "opened"), strings.HasSuffix(kind, "assigned"), strings.HasSuffix(kind, "dispatched"),
		strings.HasSuffix(kind, "rework"), strings.HasSuffix(kind, "reopened"):
		if stop != nil {
			stop()
		}
		ctx, cancel := context.WithCancel(c.base)
		c.jobs[m.Data.Ticket] = cancel
		people := c.People
		c.all.working.Go(func() {
			defer cancel()
			if c.Connector == faceOpen311 {
				if people != nil {
					c.work311(ctx, *people, id, m)
				}
				return
			}
			if people != nil {
				c.workAs(ctx, *people, id, m)
				return
			}
			c.work(ctx, id, m)
		})
	}
}

func (c *crew) say(what string, m message, format string, args ...any) {
	c.all.cfg.Notes.say(Note{Who: c.ID, What: what, Text: fmt.Sprintf(format, args...), Ticket: m.Data.Ticket, Point: m.Data.Place.Point})
}
