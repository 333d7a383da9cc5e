package simulator

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Faces of a unit's system: Connector of its entry in the registry says which it has.
const (
	faceOpen311 = "open311" // GeoReport v2, as a city's request system has it
	faceCAP     = "cap"     // takes CAP 1.2
)

// endpoint is where the gateway finds a unit's system that listens at addr.
func (u *Unit) endpoint(addr string) string {
	if u.Connector != faceOpen311 {
		return "http://" + addr + "/hook"
	}
	if u.Settings == nil {
		u.Settings = map[string]string{"service.default": "other"}
		for _, e := range services311 {
			u.Settings["service."+e] = e
		}
	}
	return "http://" + addr + "/open311/v2"
}

// services311 are the services of the city's request system that have a code of their own:
// it calls them as the gateway calls its events.
var services311 = [...]string{"smoke.alarm", "smoke.late", "manhole.open", "parking.fire_lane_blocked", "door.fire_door_open"}

// report is one request of a GeoReport server.
type report struct {
	ID        string    `json:"service_request_id"`
	Status    string    `json:"status"`
	Notes     string    `json:"status_notes"`
	Code      string    `json:"service_code"`
	Text      string    `json:"description"`
	Requested time.Time `json:"requested_datetime"`
	Updated   time.Time `json:"updated_datetime"`
	Address   string    `json:"address"`
	Lat       float64   `json:"lat,omitempty"`
	Long      float64   `json:"long,omitempty"`
}

// open311 is a GeoReport v2 server: JSON alone, with the unit's secret as its API key.
func (c *crew) open311(mux *http.ServeMux) {
	const at = "/open311/v2/"
	mux.HandleFunc("GET "+at+"services.json", func(w http.ResponseWriter, _ *http.Request) {
		var list []map[string]any
		for _, s := range append([]string{"other"}, services311[:]...) {
			list = append(list, map[string]any{"service_code": s, "service_name": s, "description": s, "metadata": false, "type": "realtime", "keywords": "", "group": "gridsim"})
		}
		answer311(w, http.StatusOK, list)
	})
	mux.HandleFunc("POST "+at+"requests.json", c.tempered(c.file311))
	mux.HandleFunc("GET "+at+"requests.json", c.tempered(c.list311))
	mux.HandleFunc("GET "+at+"requests/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimSuffix(r.PathValue("id"), ".json")
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, x := range c.reports {
			if x.ID == id {
				answer311(w, http.StatusOK, []report{*x})
				return
			}
		}
		fail311(w, http.StatusNotFound, "service_request_id was not found")
	})
}

func answer311(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func fail311(w http.ResponseWriter, status int, words string) {
	answer311(w, status, []map[string]any{{"code": status, "description": words}})
}

// tempered is a handler with the mood of the unit's system.
func (c *crew) tempered(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch c.mood() {
		case "deaf", "refuse":
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case "hang up":
			panic(http.ErrAbortHandler)
		case "take and hang up":
			next(unheard{w.Header().Clone()}, r)
			panic(http.ErrAbortHandler)
		case "slow":
			if sleep(r.Context(), 3*time.Second) != nil {
				return
			}
		}
		next(w, r)
	}
}

// unheard is an answer that nobody gets.
type unheard struct{ h http.Header }

func (u unheard) Header() http.Header       { return u.h }
func (unheard) Write(b []byte) (int, error) { return len(b), nil }
func (unheard) WriteHeader(int)             {}

// mostReports bounds what a city's system keeps; the oldest are forgotten.
const mostReports = 10_000

// file311 takes a request. It does not know the gateway: the same again is another request.
func (c *crew) file311(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		fail311(w, http.StatusBadRequest, "body cannot be read")
		return
	}
	f := r.PostForm
	lat, errLat := strconv.ParseFloat(f.Get("lat"), 64)
	long, errLong := strconv.ParseFloat(f.Get("long"), 64)
	placed := errLat == nil && errLong == nil
	switch {
	case f.Get("api_key") != c.Secret:
		c.mu.Lock()
		c.refused++
		c.mu.Unlock()
		fail311(w, http.StatusForbidden, "api_key is not valid")
		return
	case f.Get("service_code") == "":
		fail311(w, http.StatusBadRequest, "service_code was not provided")
		return
	case !placed && f.Get("address_string") == "" && f.Get("address_id") == "":
		fail311(w, http.StatusBadRequest, "want lat and long, address_string or address_id")
		return
	}
	now := c.all.cfg.now()
	c.mu.Lock()
	c.requests++
	x := &report{ID: fmt.Sprintf("%s-%06d", c.ID, c.requests), Status: "open", Code: f.Get("service_code"), Text: f.Get("description"),
		Requested: now, Updated: now, Address: f.Get("address_string"), Lat: lat, Long: long}
	c.reports = append(c.reports, x)
	if len(c.reports) > mostReports {
		c.reports = c.reports[1:]
	}
	c.mu.Unlock()
	m := x.message(c.all.cfg.Nearest)
	c.keep(x.ID, m)
	if kind := short(m.Type); kind == "ticket.stand_down" || kind == "ticket.cancelled" {
		c.write311(x.ID, "closed", "已知悉 / noted")
	}
	answer311(w, http.StatusCreated, []map[string]string{{"service_request_id": x.ID, "service_notice": ""}})
}

// message is a request as people read it.
func (x *report) message(nearest func(lon, lat float64) string) message {
	m := message{Type: "gridgate.ticket.opened"}
	for begins, kind := range map[string]string{"NOT FIXED": "ticket.rework", "URGENT": "ticket.escalated", "STAND DOWN": "ticket.stand_down", "CANCELLED": "ticket.cancelled"} {
		said := x.Text
		if _, after, ok := strings.Cut(said, "): "); ok && strings.HasPrefix(said, "NO REAL INCIDENT") {
			said = after
		}
		if strings.HasPrefix(said, begins) {
			m.Type = "gridgate." + kind
		}
	}
	lines := strings.Split(x.Text, "\n")
	m.Data.Title, m.Data.Event, m.Data.Place.Words, m.Data.Lead = lines[0], x.Code, x.Address, true
	for _, l := range lines {
		if priority, of, ok := strings.Cut(l, ", case "); ok {
			m.Data.Priority, m.Data.Ticket = priority, of
		}
	}
	if x.Lat != 0 {
		m.Data.Place.Lat, m.Data.Place.Lon = &x.Lat, &x.Long
		if nearest != nil {
			m.Data.Place.Point = nearest(x.Long, x.Lat)
		}
	}
	return m
}

// list311 answers by ids, or by service and time.
func (c *crew) list311(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var ids []string
	if s := q.Get("service_request_id"); s != "" {
		ids = strings.Split(s, ",")
	}
	since, _ := time.Parse(time.RFC3339, q.Get("start_date")) // none: from the beginning
	out := []report{}
	c.mu.Lock()
	for _, x := range slices.Backward(c.reports) { // newest first
		switch {
		case len(out) == 1000:
		case ids != nil && !slices.Contains(ids, x.ID):
		case ids == nil && (x.Requested.Before(since) || q.Get("service_code") != "" && q.Get("service_code") != x.Code):
		case q.Get("status") != "" && !slices.Contains(strings.Split(q.Get("status"), ","), x.Status):
		default:
			out = append(out, *x)
		}
	}
	c.mu.Unlock()
	answer311(w, http.StatusOK, out)
}

// write311 notes how far people are.
func (c *crew) write311(id, status, notes string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.reports {
		if x.ID == id && x.Status == "open" {
			x.Status, x.Notes, x.Updated = status, notes, c.all.cfg.now()
		}
	}
}

// work311 is what a city's people do about a request: all that is heard of them is its
// status.
func (c *crew) work311(ctx context.Context, p People, id string, m message) {
	err := func() error {
		clock := c.all.cfg.Clock
		if p.Silent {
			return nil
		}
		if err := clock.Sleep(ctx, c.about(p.Accept)); err != nil {
			return err
		}
		c.write311(id, "open", "已受理 / taken up")
		c.say("accept", m, "takes request %s up: %s", id, m.Data.Title)
		if p.Stops == grid.VerbAccept {
			return nil
		}
		if lies := p.Lies && short(m.Type) != "ticket.rework"; !lies {
			if err := cmp.Or(clock.Sleep(ctx, c.about(p.way(m))), clock.Sleep(ctx, c.about(p.Work))); err != nil {
				return err
			}
			if !p.Helpless && m.Data.Place.Point != "" && c.all.cfg.Restore != nil {
				if err := c.all.cfg.Restore(ctx, m.Data.Place.Point, c.ID); err != nil {
					c.say("cannot", m, "cannot put %s right: %v", m.Data.Place.Point, err)
				}
			}
		}
		if p.Stops == grid.VerbArrive {
			return nil
		}
		c.write311(id, "closed", "已处置 / put right")
		c.say("resolve", m, "closes request %s: %s", id, m.Data.Title)
		return nil
	}()
	if err != nil && ctx.Err() == nil {
		c.say("stopped", m, "stops work on request %s: %v", id, err)
	}
}

// now is the city's time.
func (cfg *UnitsConfig) now() time.Time {
	if cfg.Clock.Since.IsZero() {
		return time.Now()
	}
	return cfg.Clock.Now()
}
