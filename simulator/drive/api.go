package drive

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator/scenario"
)

//go:embed page
var page embed.FS

// policy lets the page do nothing but speak with us.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Server serves the page and the API of a drive.
type Server struct {
	d        *Drive
	listener net.Listener
	token    string // in the address of everything: who does not know it drives nothing
	areas    []byte // of the gateway; they do not change while we play
	done     <-chan struct{}
}

// Listen opens the page's address; Run serves.
func (d *Drive) Listen(address string) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return &Server{d: d, listener: l, token: rand.Text()}, nil
}

// URL of the page.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + "/" + s.token + "/" }

// Run serves until ctx is done.
func (s *Server) Run(ctx context.Context) error {
	s.done = ctx.Done()
	if err := s.d.gateway.ask(ctx, http.MethodGet, "/api/v1/map/areas", "", nil, &s.areas); err != nil {
		s.areas = []byte(`{"type":"FeatureCollection","features":[]}`) // a map without borders is one as well
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("page: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close()
	}
	<-failed
	return nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for path, file := range map[string]string{"{$}": "index.html", "drive.js": "drive.js", "words.js": "words.js", "map.js": "map.js", "drive.css": "drive.css"} {
		mux.HandleFunc("GET /"+path, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, page, "page/"+file) })
	}
	mux.HandleFunc("GET /api/world", func(w http.ResponseWriter, _ *http.Request) { write(w, s.d.world()) })
	mux.HandleFunc("GET /api/live", func(w http.ResponseWriter, _ *http.Request) { write(w, s.d.live()) })
	mux.HandleFunc("GET /api/areas", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/geo+json")
		w.Write(s.areas)
	})
	mux.HandleFunc("GET /api/log", func(w http.ResponseWriter, r *http.Request) {
		write(w, map[string]any{"items": s.d.linesAfter(after(r))})
	})
	mux.HandleFunc("GET /api/stream", s.stream)
	mux.HandleFunc("POST /api/points/{id}/act", do(func(r *http.Request, in struct {
		Do string `json:"do"`
	}) error {
		return s.d.Act(r.Context(), r.PathValue("id"), in.Do)
	}))
	mux.HandleFunc("POST /api/units/{id}", do(func(r *http.Request, in struct {
		Be string `json:"be"`
	}) error {
		return s.d.Behave(r.PathValue("id"), in.Be)
	}))
	mux.HandleFunc("POST /api/faults/{name}", do(func(r *http.Request, in struct {
		On *bool `json:"on"`
	}) error {
		if in.On == nil {
			return grid.Errorf(grid.Invalid, "on is missing: want true or false")
		}
		return s.d.Break(r.Context(), r.PathValue("name"), *in.On)
	}))
	return s.guard(mux)
}

// guard lets in who knows the token, comes from our own page or from no page at all, and
// asked for us by our own address: a name that somebody else made point here is refused.
func (s *Server) guard(next http.Handler) http.Handler {
	_, port, _ := net.SplitHostPort(s.listener.Addr().String()) // ours
	inner := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		name, at, err := net.SplitHostPort(r.Host)
		if err != nil || at != port || name != "localhost" && net.ParseIP(name) == nil {
			refuse(w, grid.Errorf(grid.Forbidden, "host is %q: want an address with port %s", r.Host, port))
			return
		}
		if from := r.Header.Get("Origin"); from != "" && from != "http://"+r.Host {
			refuse(w, grid.Errorf(grid.Forbidden, "origin is %q: want http://%s", from, r.Host))
			return
		}
		token, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1 {
			refuse(w, grid.Errorf(grid.NotFound, "there is nothing here: want the whole address that gridsim serve has printed"))
			return
		}
		if !ok {
			http.Redirect(w, r, "/"+s.token+"/", http.StatusSeeOther)
			return
		}
		r2 := r.Clone(r.Context())
		r2.URL.Path, r2.URL.RawPath = "/"+rest, ""
		inner.ServeHTTP(w, r2)
	})
}

// do reads a small JSON body, strictly, and answers with nothing or with what is wrong.
func do[T any](f func(*http.Request, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/json" {
			refuse(w, grid.Errorf(grid.Invalid, "content type is %q: want application/json", kind))
			return
		}
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			refuse(w, grid.Errorf(grid.Invalid, "body: %v", err))
			return
		}
		if err := f(r, in); err != nil {
			refuse(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func refuse(w http.ResponseWriter, err error) {
	status := map[grid.Code]int{grid.Invalid: 400, grid.NotFound: 404, grid.Conflict: 409, grid.Forbidden: 403, grid.Unavailable: 503}[grid.CodeOf(err)]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"status": status, "code": grid.CodeOf(err), "detail": err.Error()})
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// after is the number of the last line that a reader has.
func after(r *http.Request) int {
	n, err := strconv.Atoi(cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after")))
	if err != nil {
		return 0 // all of them
	}
	return n
}

// World is what does not change while it is played.
type World struct {
	Console   string         `json:"console"`
	TokenFile string         `json:"token_file,omitempty"`
	Own       bool           `json:"own"`
	Missing   []string       `json:"missing,omitempty"`
	Speed     float64        `json:"speed"`
	Hold      bool           `json:"hold"`
	Points    []Point        `json:"points"`
	Acts      []Offer        `json:"acts"`
	Manners   []Offer        `json:"manners"`
	Scenarios []ScenarioHint `json:"scenarios"`
}

// Offer is something that may be chosen.
type Offer struct {
	Name  string `json:"name"`
	Label Text   `json:"label"`
	Then  Text   `json:"then"`
}

// ScenarioHint is a scenario that `gridsim run` plays, with a verdict.
type ScenarioHint struct {
	Name    string  `json:"name"`
	Title   Text    `json:"title"`
	About   Text    `json:"about"`
	Seconds float64 `json:"seconds"` // of real time
}

func (d *Drive) world() World {
	w := World{Console: d.Console(), TokenFile: d.TokenFile(), Own: d.stage != nil, Missing: d.Missing(), Speed: d.clock.Speed, Hold: d.cfg.Hold, Points: []Point{}}
	for _, a := range d.acts {
		w.Acts = append(w.Acts, Offer{a.name, a.label, a.then})
	}
	for _, m := range d.manners {
		w.Manners = append(w.Manners, Offer{m.name, m.label, m.then})
	}
	for _, name := range scenario.List() {
		s, err := scenario.Load(name)
		if err != nil {
			continue // a test of theirs loads all
		}
		w.Scenarios = append(w.Scenarios, ScenarioHint{name, Text{s.Name.ZH, s.Name.EN}, Text{s.About.ZH, s.About.EN}, time.Duration(s.Length).Seconds() / s.Speed})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.points {
		w.Points = append(w.Points, *p)
	}
	return w
}

// Live is what changes.
type Live struct {
	Now     time.Time         `json:"now"`     // the city's time
	Gateway bool              `json:"gateway"` // it answers
	Doing   map[string]string `json:"doing"`   // by point: what was done there and still is so
	Alarms  []Alarm           `json:"alarms"`
	Tickets []Ticket          `json:"tickets"` // that are not over, the newest 200
	Units   []Unit            `json:"units"`
	Faults  []Fault           `json:"faults"`
	Sent    int64             `json:"sent"`    // frames handed to the wire
	Acked   uint64            `json:"acked"`   // by the broker
	Pending int64             `json:"pending"` // sent and not acknowledged
	Ledger  Ledger            `json:"ledger"`  // of the gateway, since we came
	Log     int               `json:"log"`     // number of the newest line
}

func (d *Drive) live() Live {
	l := Live{Now: d.clock.Now().UTC(), Doing: map[string]string{}, Alarms: []Alarm{}, Tickets: []Ticket{}, Acked: d.pub.Acked.Load()}
	l.Sent = d.frames.Load()
	l.Pending = max(0, l.Sent-int64(l.Acked))
	d.mu.Lock()
	defer d.mu.Unlock()
	l.Gateway, l.Log, l.Ledger = d.up, d.lines, d.ledger.minus(d.before)
	l.Units = slices.Clone(d.units)
	for _, p := range d.points {
		if p.Now != "" {
			l.Doing[p.ID] = p.Now
		}
	}
	for _, f := range d.faults.list {
		l.Faults = append(l.Faults, *f)
	}
	for _, a := range d.alarms {
		if a.Active {
			l.Alarms = append(l.Alarms, a)
		}
	}
	for _, t := range d.tickets {
		if !slices.Contains(over, grid.TicketState(t.State)) {
			l.Tickets = append(l.Tickets, t)
		}
	}
	slices.SortFunc(l.Alarms, func(a, b Alarm) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), b.Raised.Compare(a.Raised), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(l.Tickets, func(a, b Ticket) int {
		return cmp.Or(b.Opened.Compare(a.Opened), cmp.Compare(a.ID, b.ID))
	})
	l.Tickets = l.Tickets[:min(len(l.Tickets), 200)]
	return l
}

func (l Ledger) minus(o Ledger) Ledger {
	l.Accepted, l.Processed, l.Duplicate, l.Ignored = l.Accepted-o.Accepted, l.Processed-o.Processed, l.Duplicate-o.Duplicate, l.Ignored-o.Ignored
	l.Quarantined, l.Discarded, l.Lost = l.Quarantined-o.Quarantined, l.Discarded-o.Discarded, l.Lost-o.Lost
	return l
}

// linesAfter are the lines of the log behind n that are kept.
func (d *Drive) linesAfter(n int) []Line {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, _ := slices.BinarySearchFunc(d.log, n+1, func(l Line, n int) int { return cmp.Compare(l.N, n) })
	return append([]Line{}, d.log[k:]...)
}

// stream sends `log` for each line, with its number as id, and `live` when something has
// changed, at most four times a second.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	n := after(r)
	last := ""
	for {
		s.d.mu.Lock()
		wake := s.d.wake
		s.d.mu.Unlock()
		var err error
		for _, l := range s.d.linesAfter(n) {
			n = l.N
			b, _ := json.Marshal(l) // plain values
			_, e := fmt.Fprintf(w, "id: %d\nevent: log\ndata: %s\n\n", l.N, b)
			err = errors.Join(err, e)
		}
		live := s.d.live()
		b, _ := json.Marshal(live)
		live.Now = time.Time{} // time alone is no change
		if same, _ := json.Marshal(live); string(same) != last {
			last = string(same)
			_, e := fmt.Fprintf(w, "event: live\ndata: %s\n\n", b)
			err = errors.Join(err, e)
		} else if _, e := io.WriteString(w, ": still here\n\n"); e != nil {
			err = errors.Join(err, e)
		}
		out.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if errors.Join(err, out.Flush()) != nil {
			return
		}
		select { // at least a quarter of a second between two
		case <-time.After(250 * time.Millisecond):
		case <-s.done:
			return
		}
		select {
		case <-wake:
		case <-time.After(15 * time.Second):
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}
