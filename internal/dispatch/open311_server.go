package dispatch

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
)

// Services311 says as data which services the server face has.
type Services311 struct {
	Jurisdiction string       `yaml:"jurisdiction_id"`
	Services     []Service311 `yaml:"services"`
}

// Service311 is one service.
type Service311 struct {
	Code     string           `yaml:"code"`
	Name     string           `yaml:"name"`
	Group    string           `yaml:"group"`
	Keywords []string         `yaml:"keywords"`
	Events   []grid.EventType `yaml:"events"`
	Files    grid.EventType   `yaml:"files"` // what a request of it is filed as; "" cannot be filed
}

// ParseServices311 reads strict YAML.
func ParseServices311(name string, file []byte) (*Services311, error) {
	var s Services311
	if err := yaml.NewDecoder(bytes.NewReader(file), yaml.Strict()).Decode(&s); err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", name, err)
	}
	seen := map[string]bool{}
	for _, v := range s.Services {
		if v.Code == "" || v.Name == "" || seen[v.Code] || strings.ContainsAny(v.Code, "/., ") {
			return nil, grid.Errorf(grid.Invalid, "%s: service %q: want a code of its own without / . , and space, and a name", name, v.Code)
		}
		seen[v.Code] = true
	}
	if !seen["default"] {
		return nil, grid.Errorf(grid.Invalid, "%s: service default is missing: want it for events that have none", name)
	}
	return &s, nil
}

func (s *Services311) of(e grid.EventType) Service311 {
	i := slices.IndexFunc(s.Services, func(v Service311) bool { return slices.Contains(v.Events, e) })
	if i < 0 {
		i = slices.IndexFunc(s.Services, func(v Service311) bool { return v.Code == "default" })
	}
	return s.Services[i]
}

// Server311Config of a Server311.
type Server311Config struct {
	Services *Services311
	// Ticket and Tickets read what a unit may see; unit "" may see all. Tickets gives the
	// newest first, at most a thousand, open, ended or, for "", both.
	Ticket  func(ctx context.Context, unit, id string) (grid.Ticket, error)
	Tickets func(ctx context.Context, unit, state string, since, until time.Time) ([]grid.Ticket, error)
	Point   func(ctx context.Context, id string) (grid.Point, error)
	// File is the engine's: an event that people report. nil: POST answers 501.
	File func(context.Context, grid.Filing) (grid.Filed, error)
	Now  func() time.Time
}

// Server311 is the server face of Open311 GeoReport v2 at /open311/v2: services, requests
// and tokens, in XML and JSON. Requests are our tickets; a POST files an event.
type Server311 struct{ cfg Server311Config }

// NewServer311 makes the face.
func NewServer311(cfg Server311Config) *Server311 {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server311{cfg}
}

// span311 is how far back requests are listed that nobody gives a start for.
const span311 = 90 * 24 * time.Hour

// Refuse answers a request without a good API key.
func (*Server311) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	_, form := resource311(r.URL.Path)
	if grid.CodeOf(err) != grid.Unauthorized {
		fail311(w, form, http.StatusServiceUnavailable, "api_key cannot be looked up now")
		return
	}
	fail311(w, form, http.StatusForbidden, "api_key is missing or unknown")
}

// resource311 takes a path apart into resource and form.
func resource311(path string) (resource, form string) {
	resource = strings.TrimPrefix(path, "/open311/v2/")
	for _, f := range []string{"json", "xml"} {
		if r, ok := strings.CutSuffix(resource, "."+f); ok {
			return r, f
		}
	}
	return resource, "xml"
}

// ServeHTTP answers for by.
func (s *Server311) ServeHTTP(w http.ResponseWriter, r *http.Request, by grid.Actor) {
	resource, form := resource311(r.URL.Path)
	kind, id, _ := strings.Cut(resource, "/")
	q := r.URL.Query()
	if j := s.cfg.Services.Jurisdiction; j != "" && r.Method == http.MethodGet && q.Get("jurisdiction_id") != j {
		status, why := http.StatusNotFound, "jurisdiction_id was not found"
		if q.Get("jurisdiction_id") == "" {
			status, why = http.StatusBadRequest, "jurisdiction_id is missing"
		}
		fail311(w, form, status, why)
		return
	}
	switch {
	case r.Method == http.MethodPost && resource == "requests":
		s.create(w, r, by, form)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		fail311(w, form, http.StatusMethodNotAllowed, r.Method+" is not known here")
	case resource == "services":
		list := s.services()
		write311(w, form, http.StatusOK, list, services311{Items: list})
	case kind == "services":
		fail311(w, form, http.StatusNotFound, "service_code "+id+" has no definition: no service has metadata")
	case resource == "requests":
		s.list(w, r, by.Unit, form, q)
	case kind == "requests":
		s.one(w, r, by.Unit, form, id)
	case kind == "tokens":
		fail311(w, form, http.StatusNotFound, "token was not found: this server gives ids at once")
	default:
		fail311(w, form, http.StatusNotFound, "no such resource: want services, requests or tokens")
	}
}

func (s *Server311) services() []service311 {
	out := []service311{}
	for _, v := range s.cfg.Services.Services {
		out = append(out, service311{Code: text311(v.Code), Name: text311(v.Name), Description: text311(v.Name), Type: "realtime",
			Keywords: text311(strings.Join(v.Keywords, ",")), Group: text311(v.Group)})
	}
	return out
}

func (s *Server311) one(w http.ResponseWriter, r *http.Request, unit, form, id string) {
	t, err := s.cfg.Ticket(r.Context(), unit, id)
	if err != nil {
		s.fail(w, form, err, "service_request_id "+id+" was not found")
		return
	}
	list := []request311{s.request(r.Context(), t)}
	write311(w, form, http.StatusOK, list, requests311{Items: list})
}

func (*Server311) fail(w http.ResponseWriter, form string, err error, notFound string) {
	if grid.CodeOf(err) == grid.NotFound {
		fail311(w, form, http.StatusNotFound, notFound)
		return
	}
	fail311(w, form, http.StatusServiceUnavailable, "requests cannot be read now")
}

// list answers GET requests, by ids or by the filters of the standard.
func (s *Server311) list(w http.ResponseWriter, r *http.Request, unit, form string, q url.Values) {
	f, err := s.filter(q)
	if err != nil {
		fail311(w, form, http.StatusBadRequest, err.Error())
		return
	}
	var tickets []grid.Ticket
	for _, id := range f.ids {
		t, err := s.cfg.Ticket(r.Context(), unit, id)
		if err != nil && grid.CodeOf(err) != grid.NotFound {
			s.fail(w, form, err, "")
			return
		}
		if err == nil {
			tickets = append(tickets, t)
		}
	}
	if len(f.ids) == 0 {
		if tickets, err = s.cfg.Tickets(r.Context(), unit, f.state, f.since, f.until); err != nil {
			s.fail(w, form, err, "")
			return
		}
	}
	list := []request311{}
	for _, t := range tickets {
		if len(f.services) == 0 || slices.Contains(f.services, s.cfg.Services.of(t.Type).Code) {
			list = append(list, s.request(r.Context(), t))
		}
	}
	write311(w, form, http.StatusOK, list, requests311{Items: list})
}

type filter311 struct {
	ids, services []string
	state         string
	since, until  time.Time
}

func (s *Server311) filter(q url.Values) (f filter311, err error) {
	list := func(name string) []string {
		return slices.DeleteFunc(strings.Split(q.Get(name), ","), func(v string) bool { return v == "" })
	}
	f.ids, f.services = list("service_request_id"), list("service_code")
	if len(f.ids) > 100 {
		return f, fmt.Errorf("service_request_id has %d ids: want at most 100", len(f.ids))
	}
	for _, v := range list("status") {
		state, ok := map[string]string{"open": "open", "closed": "ended"}[v]
		if !ok {
			return f, fmt.Errorf("status is %q: want open or closed", v)
		}
		if f.state != "" && f.state != state { // both
			f.state = ""
			break
		}
		f.state = state
	}
	at := func(name string, def time.Time) time.Time {
		v := q.Get(name)
		if v == "" || err != nil {
			return def
		}
		got, e := time.Parse(time.RFC3339, v)
		if e != nil {
			err = fmt.Errorf("%s is %q: want a time with its zone, 2026-01-02T15:04:05+08:00", name, v)
		}
		return got
	}
	f.until = at("end_date", s.cfg.Now().Add(time.Second))
	f.since = at("start_date", f.until.Add(-span311))
	return f, err
}

// request shows a ticket as a service request.
func (s *Server311) request(ctx context.Context, t grid.Ticket) request311 {
	v := s.cfg.Services.of(t.Type)
	stamp := func(at time.Time) text311 {
		if at.IsZero() {
			return ""
		}
		return text311(at.UTC().Format(time.RFC3339))
	}
	updated := t.Opened
	out := request311{
		ID: text311(t.ID), Status: "open", StatusNotes: text311(t.State), ServiceName: text311(v.Name), ServiceCode: text311(v.Code),
		Description: text311(t.Title), Requested: stamp(t.Opened), Expected: stamp(t.Due), Address: text311(t.Place), AddressID: text311(t.Point),
	}
	if t.Mode != grid.Live && t.Mode != "" {
		out.Description = text311("NO REAL INCIDENT (" + string(t.Mode) + "): " + t.Title)
	}
	if t.State.Ended() {
		out.Status = "closed"
	}
	for _, a := range t.Assignments {
		if a.Lead {
			out.Agency = text311(a.Unit)
		}
		updated = latest(updated, a.Since)
	}
	out.Updated = stamp(latest(updated, t.Resolved, t.Closed))
	if p, err := s.cfg.Point(ctx, t.Point); t.Point != "" && err == nil && (p.Lon != 0 || p.Lat != 0) {
		out.Lat, out.Long = &p.Lat, &p.Lon
	}
	return out
}

func latest(ts ...time.Time) time.Time { return slices.MaxFunc(ts, time.Time.Compare) }

// Key311 finds the API key of a caller.
func Key311(r *http.Request) string { return r.FormValue("api_key") }
