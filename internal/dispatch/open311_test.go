package dispatch_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/configs"
	"gridgate/internal/dispatch"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// city is a GeoReport v2 server as a city runs one.
type city struct {
	*httptest.Server
	t      *testing.T
	mu     sync.Mutex
	reqs   []cityRequest
	posts  int
	tokens bool // ids come later
	broken func(w http.ResponseWriter, r *http.Request) bool
}

type cityRequest struct {
	XMLName     xml.Name   `json:"-" xml:"request"`
	ID          any        `json:"service_request_id,omitempty" xml:"service_request_id,omitempty"`
	Token       string     `json:"token,omitempty" xml:"token,omitempty"`
	Status      string     `json:"status,omitempty" xml:"status,omitempty"`
	StatusNotes *string    `json:"status_notes" xml:"status_notes"`
	Code        string     `json:"service_code,omitempty" xml:"service_code,omitempty"`
	Description string     `json:"description,omitempty" xml:"description,omitempty"`
	form        url.Values // as posted
}

func newCity(t *testing.T) *city {
	c := &city{t: t}
	c.Server = serve(t, c.handle)
	return c
}

func (c *city) unit(settings ...string) grid.Unit {
	u := grid.Unit{URL: c.URL + "/open311/v2/", Secret: "the-key", Connector: "open311", Settings: map[string]string{"service.default": "other", "service.smoke.alarm": "FIRE"}}
	for i := 0; i < len(settings); i += 2 {
		u.Settings[settings[i]] = settings[i+1]
	}
	return u
}

func (c *city) answer(w http.ResponseWriter, path string, status int, list []cityRequest) {
	if strings.HasSuffix(path, ".json") {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(list)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, xml.Header+"<service_requests>")
	xml.NewEncoder(w).Encode(list)
	io.WriteString(w, "</service_requests>")
}

func (c *city) handle(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil && c.broken(w, r) {
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/open311/v2/")
	bare := strings.TrimSuffix(strings.TrimSuffix(path, ".json"), ".xml")
	switch {
	case r.Method == "POST" && bare == "requests":
		if err := r.ParseForm(); err != nil || r.PostForm.Get("api_key") != "the-key" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(403)
			io.WriteString(w, `[{"code":403,"description":"api_key is unknown"}]`)
			return
		}
		c.posts++
		q := cityRequest{ID: 1000 + len(c.reqs), Status: "open", Code: r.PostForm.Get("service_code"), Description: r.PostForm.Get("description"), form: r.PostForm}
		c.reqs = append(c.reqs, q)
		said := cityRequest{ID: q.ID}
		if c.tokens {
			said = cityRequest{Token: fmt.Sprint("tok-", q.ID)}
		}
		c.answer(w, path, 201, []cityRequest{said})
	case strings.HasPrefix(bare, "tokens/"):
		if c.tokens { // not yet
			w.WriteHeader(404)
			return
		}
		c.answer(w, path, 200, []cityRequest{{ID: strings.TrimPrefix(bare, "tokens/tok-"), Token: strings.TrimPrefix(bare, "tokens/")}})
	case bare == "requests":
		q := r.URL.Query()
		var list []cityRequest
		for _, x := range c.reqs {
			ids := q.Get("service_request_id")
			if (ids == "" || slices.Contains(strings.Split(ids, ","), fmt.Sprint(x.ID))) && (q.Get("service_code") == "" || q.Get("service_code") == x.Code) {
				list = append(list, x)
			}
		}
		c.answer(w, path, 200, list)
	default:
		w.WriteHeader(404)
	}
}

func open311(t *testing.T, u grid.Unit) *dispatch.Open311 {
	o := dispatch.NewOpen311(reach(u))
	t.Cleanup(o.Close)
	return o
}

func TestOpen311KeepsThePromiseOfAConnector(t *testing.T) {
	for _, format := range []string{"json", "xml"} {
		t.Run(format, func(t *testing.T) {
			gatetest.TestConnector(t, func(t *testing.T) gatetest.ConnectorRig {
				c := newCity(t)
				var refuse, hang atomic.Bool
				done := make(chan struct{})
				inner := c.Config.Handler
				c.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case hang.Load():
						<-done
					case refuse.Load():
						w.WriteHeader(503)
					default:
						inner.ServeHTTP(w, r)
					}
				})
				t.Cleanup(func() { close(done) })
				return gatetest.ConnectorRig{
					Connector: open311(t, c.unit("format", format)), Unit: "fire-1",
					Received: func() (ids []string) {
						c.mu.Lock()
						defer c.mu.Unlock()
						for _, r := range c.reqs {
							_, id, _ := strings.Cut(r.Description, "[gridgate ")
							ids = append(ids, strings.TrimSuffix(id, "]"))
						}
						return ids
					},
					Refuse: func() { refuse.Store(true) },
					Hang:   func() { hang.Store(true) },
				}
			})
		})
	}
}

func TestOpen311RequestSaysWhatTheTicketSays(t *testing.T) {
	c := newCity(t)
	r, err := open311(t, c.unit("jurisdiction_id", "cn.changning")).Deliver(t.Context(), delivered("D1", "ticket.opened"))
	if err != nil || r.Ref != "1000" || r.Status != 201 {
		t.Fatal(r, err)
	}
	f := c.reqs[0].form
	for k, want := range map[string]string{"service_code": "FIRE", "lat": "31.210000", "long": "121.400000", "jurisdiction_id": "cn.changning",
		"address_string": "天山路 100 号, 12号楼, 3, 301"} {
		if f.Get(k) != want {
			t.Errorf("%s is %q, want %q", k, f.Get(k), want)
		}
	}
	for _, part := range []string{"NO REAL INCIDENT (simulated)", "Smoke alarm", "P1", "[gridgate D1]"} {
		if !strings.Contains(f.Get("description"), part) {
			t.Errorf("description %q does not say %q", f.Get("description"), part)
		}
	}
}

func TestOpen311AnswerThatIsLostMakesNoSecondRequest(t *testing.T) {
	c := newCity(t)
	o := open311(t, c.unit())
	inner := c.Config.Handler
	var lose atomic.Bool
	lose.Store(true)
	c.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" && lose.Load() {
			inner.ServeHTTP(httptest.NewRecorder(), r) // it has it, and dies before it says so
			panic(http.ErrAbortHandler)
		}
		inner.ServeHTTP(w, r)
	})
	d := delivered("D1", "ticket.opened")
	if _, err := o.Deliver(t.Context(), d); err == nil {
		t.Fatal("no answer counts as a success")
	}
	lose.Store(false)
	if r, err := o.Deliver(t.Context(), d); err != nil || r.Ref != "1000" {
		t.Errorf("sent again: %+v, %v, want the request that is there", r, err)
	}
	if c.posts != 1 {
		t.Errorf("%d requests were made, want 1", c.posts)
	}
}

func TestOpen311ServerWithoutAListIsSentToAllTheSame(t *testing.T) {
	c := newCity(t)
	c.broken = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "GET" {
			w.WriteHeader(404)
		}
		return r.Method == "GET"
	}
	if r, err := open311(t, c.unit()).Deliver(t.Context(), delivered("D1", "ticket.opened")); err != nil || r.Ref != "1000" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestOpen311MessagesThatItHasNoFormForAreWithheld(t *testing.T) {
	c := newCity(t)
	o := open311(t, c.unit())
	for typ, posts := range map[string]int{"ticket.updated": 0, "ticket.closed": 0, "ticket.rework": 1, "ticket.escalated": 1, "ticket.stand_down": 1, "ticket.cancelled": 1} {
		before := c.posts
		_, err := o.Deliver(t.Context(), delivered("D-"+strings.TrimPrefix(typ, "ticket."), typ))
		if errors.Is(err, dispatch.ErrWithheld) != (posts == 0) || c.posts-before != posts {
			t.Errorf("%s: %v and %d requests, want %d", typ, err, c.posts-before, posts)
		}
	}
}

func TestOpen311ErrorSaysWhatTheServerSays(t *testing.T) {
	c := newCity(t)
	u := c.unit()
	u.Secret = "wrong"
	_, err := open311(t, u).Deliver(t.Context(), delivered("D1", "ticket.opened"))
	if err == nil || !strings.Contains(err.Error(), "403 Forbidden: api_key is unknown") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("err = %v", err)
	}
}

func TestOpen311RefusesTheHostile(t *testing.T) {
	connect := func(lookup string) func(string, func(grid.Unit) dispatch.Reach) grid.Connector {
		return func(u string, r func(grid.Unit) dispatch.Reach) grid.Connector {
			s := map[string]string{"service.default": "x"}
			if lookup != "" {
				s["lookup"] = lookup
			}
			return dispatch.NewOpen311(r(grid.Unit{URL: u, Secret: "k", Settings: s}))
		}
	}
	d := delivered("D1", "ticket.opened")
	refusesTheHostile(t, d, connect(""))
	refusesTheHostile(t, d, connect("never"))
	for name, h := range map[string]http.HandlerFunc{
		"a login page": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<html><body>please log in</body></html>")
		},
		"not JSON":     typed("application/json", "service_request_id=1"),
		"not XML":      typed("text/xml", "<service_requests><request>"),
		"nothing made": typed("application/json", "[]"),
		"two made":     typed("application/json", `[{"service_request_id":1},{"service_request_id":2}]`),
		"an odd id":    typed("application/json", `[{"service_request_id":{"a":1}}]`),
		"endless":      typed("application/json", "["+strings.Repeat(`{"service_request_id":1},`, 50_000)+"{}]"),
		"breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "999")
			typed("application/json", `[{"service_`)(w, nil)
			panic(http.ErrAbortHandler)
		},
		"XML with bomb": typed("text/xml", `<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><service_requests><request><service_request_id>&b;</service_request_id></request></service_requests>`),
	} {
		s := serve(t, h)
		if r, err := connect("never")(s.URL, reach).Deliver(t.Context(), d); err == nil {
			t.Errorf("%s counts as a success: %+v", name, r)
		}
	}
}

func typed(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, body)
	}
}

func TestOpen311CheckNamesWhatIsMissing(t *testing.T) {
	good := grid.Unit{ID: "u", Connector: "open311", URL: "https://city.example/v2", Secret: "k", Settings: map[string]string{"service.default": "x"}}
	o := dispatch.NewOpen311(dispatch.Reach{})
	if err := o.Check(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*grid.Unit){
		"url cannot":      func(u *grid.Unit) { u.URL = "ftp://x" },
		"API key":         func(u *grid.Unit) { u.Secret = "" },
		"service.default": func(u *grid.Unit) { u.Settings = nil },
		`"servce.x"`:      func(u *grid.Unit) { u.Settings = map[string]string{"service.default": "x", "servce.x": "y"} },
		"json or xml":     func(u *grid.Unit) { u.Settings = map[string]string{"service.default": "x", "format": "yaml"} },
	} {
		u := good
		change(&u)
		if err := o.Check(u); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one that says %q", err, want)
		}
	}
}

// desk is the engine as the poller sees it.
type desk struct {
	mu     sync.Mutex
	moves  []string
	t      grid.Ticket
	keys   map[string]bool
	fail   error
	failOf grid.Verb // "": of any
	seen   []string
}

func newDesk(state grid.TicketState) *desk {
	return &desk{keys: map[string]bool{}, t: grid.Ticket{ID: "01T", Assignments: []grid.Assignment{{ID: "01T.1", Unit: "fire-1", State: state, Attempt: 1}}}}
}

func (k *desk) move(_ context.Context, m grid.Move) (grid.Ticket, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil && (k.failOf == "" || k.failOf == m.Verb) {
		return k.t, k.fail
	}
	if k.keys[m.Key] {
		return k.t, nil
	}
	k.keys[m.Key] = true
	k.moves = append(k.moves, fmt.Sprintf("%s by %s: %s", m.Verb, m.By.Unit, m.Reason))
	if to, ok := map[grid.Verb]grid.TicketState{grid.VerbAccept: grid.TicketAccepted, grid.VerbArrive: grid.TicketInProgress, grid.VerbResolve: grid.TicketResolved}[m.Verb]; ok {
		k.t.Assignments[0].State = to
	}
	return k.t, nil
}

func (k *desk) said() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.moves)
}

func pollerOf(k *desk, asker dispatch.Asker, u grid.Unit, ds ...*grid.Delivery) *dispatch.Poller {
	return dispatch.NewPoller(dispatch.PollConfig{
		Askers: map[string]dispatch.Asker{"open311": asker},
		Units:  func(context.Context, string) ([]string, error) { return []string{"fire-1"}, nil },
		Unit:   reach(u).Unit,
		Open: func(context.Context, string, string) (out []dispatch.Open, _ string, _ error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			for _, d := range ds {
				t := k.t
				t.Assignments = slices.Clone(t.Assignments)
				out = append(out, dispatch.Open{Ticket: t, Delivery: *d})
			}
			return out, "", nil
		},
		Move: k.move,
		Seen: func(_ context.Context, id, by string) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.seen = append(k.seen, id+" "+by)
			return nil
		},
	})
}

func TestOpen311StatusBecomesTheUnitsMoves(t *testing.T) {
	for _, format := range []string{"json", "xml"} {
		c := newCity(t)
		u := c.unit("format", format)
		o := open311(t, u)
		d := delivered("D1", "ticket.opened")
		r, err := o.Deliver(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		d.Ref = r.Ref
		k := newDesk(grid.TicketDispatched)
		p := pollerOf(k, o, u, &d)
		now := time.Now()
		round := func() { now = now.Add(time.Hour); p.Round(t.Context(), now) }
		set := func(status, notes string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.reqs[0].Status, c.reqs[0].StatusNotes = status, &notes
		}
		round() // open, without a word of anyone
		set("open", "crew on its way")
		round()
		round()
		set("open", "at the gate")
		round()
		set("closed", "fixed")
		round()
		round()
		want := []string{"accept by fire-1: Open311 1000: open crew on its way", "note by fire-1: Open311 1000: open at the gate",
			"arrive by fire-1: Open311 1000: closed fixed", "resolve by fire-1: Open311 1000: closed fixed"}
		if got := k.said(); !slices.Equal(got, want) {
			t.Errorf("%s: moves are\n%s\nwant\n%s", format, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestOpen311TokenBecomesAnIDLater(t *testing.T) {
	c := newCity(t)
	c.tokens = true
	u := c.unit()
	o := open311(t, u)
	d := delivered("D1", "ticket.opened")
	r, err := o.Deliver(t.Context(), d)
	if err != nil || r.Ref != "token:tok-1000" {
		t.Fatal(r, err)
	}
	d.Ref = r.Ref
	if words, err := o.Words(t.Context(), u, []grid.Delivery{d}); err != nil || len(words) != 0 {
		t.Errorf("before there is an id: %v, %v", words, err)
	}
	c.mu.Lock()
	c.tokens = false
	c.reqs[0].Status = "closed"
	c.mu.Unlock()
	words, err := o.Words(t.Context(), u, []grid.Delivery{d})
	if err != nil || len(words) != 1 || words[0].Verb != grid.VerbResolve {
		t.Errorf("%+v, %v, want the word that it is done", words, err)
	}
}

func TestOpen311HostileAnswersMoveNothing(t *testing.T) {
	d := delivered("D1", "ticket.opened")
	d.Ref = "7"
	u := grid.Unit{Secret: "k", Settings: map[string]string{"service.default": "x"}}
	for name, h := range map[string]http.HandlerFunc{
		"500": status(500), "another's request": typed("application/json", `[{"service_request_id":"8","status":"closed"}]`),
		"odd status": typed("application/json", `[{"service_request_id":"7","status":"deleted"}]`), "a login page": typed("text/html", "<html>"),
		"no status": typed("application/json", `[{"service_request_id":"7"}]`), "null": typed("application/json", "null"),
	} {
		u.URL = serve(t, h).URL
		k := newDesk(grid.TicketDispatched)
		pollerOf(k, open311(t, u), u, &d).Round(t.Context(), time.Now())
		if got := k.said(); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// mute is a connector whose far side says nothing, or errs.
type mute struct {
	asked atomic.Int32
	err   error
	word  *dispatch.Word
}

func (m *mute) Words(ctx context.Context, _ grid.Unit, open []grid.Delivery) ([]dispatch.Word, error) {
	m.asked.Add(1)
	if m.word != nil {
		w := *m.word
		w.Delivery = open[0]
		return []dispatch.Word{w}, m.err
	}
	return nil, m.err
}

func TestPollerAsksAUnitThatDoesNotAnswerLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mute{err: errors.New("no answer")}
		d := delivered("D1", "ticket.opened")
		p := pollerOf(newDesk(grid.TicketDispatched), m, grid.Unit{}, &d)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if n := m.asked.Load(); n < 48 || n > 60 { // twice an hour after the first half hour
			t.Errorf("asked %d times in a day, want about 52", n)
		}
	})
}

func TestPollerAfterARestartSaysNothingTwice(t *testing.T) {
	d := delivered("D1", "ticket.opened")
	k := newDesk(grid.TicketDispatched)
	for _, verb := range []grid.Verb{grid.VerbAccept, grid.VerbResolve} {
		m := &mute{word: &dispatch.Word{Verb: verb, Said: "a word"}}
		for range 3 {
			pollerOf(k, m, grid.Unit{}, &d).Round(t.Context(), time.Now()) // a new one each time
		}
	}
	if got := k.said(); len(got) != 3 {
		t.Errorf("moves %v, want accept, arrive and resolve", got)
	}
}

func TestPollerGoesOnWhereItsWayWasCutOff(t *testing.T) {
	m := &mute{word: &dispatch.Word{Verb: grid.VerbResolve, Said: "done"}}
	d := delivered("D1", "ticket.opened")
	k := newDesk(grid.TicketAccepted)
	k.fail, k.failOf = grid.Errorf(grid.Unavailable, "gateway is stopping"), grid.VerbResolve
	pollerOf(k, m, grid.Unit{}, &d).Round(t.Context(), time.Now())
	k.fail = nil
	pollerOf(k, m, grid.Unit{}, &d).Round(t.Context(), time.Now()) // after a restart
	if got := k.said(); len(got) != 2 || !strings.HasPrefix(got[0], "arrive") || !strings.HasPrefix(got[1], "resolve") {
		t.Errorf("moves %v, want arrive and resolve", got)
	}
}

func TestPollerTriesAMoveAgainThatCouldNotBeRecorded(t *testing.T) {
	m := &mute{word: &dispatch.Word{Verb: grid.VerbAccept, Said: "yes", SeenBy: "duty phone"}}
	d := delivered("D1", "ticket.opened")
	k := newDesk(grid.TicketDispatched)
	k.fail = grid.Errorf(grid.Unavailable, "engine is busy")
	p := pollerOf(k, m, grid.Unit{}, &d)
	now := time.Now()
	p.Round(t.Context(), now)
	k.fail = nil
	for range 3 {
		now = now.Add(2 * time.Minute)
		p.Round(t.Context(), now)
	}
	if got := k.said(); len(got) != 1 || !strings.HasPrefix(got[0], "accept") {
		t.Errorf("moves %v, want one acceptance", got)
	}
	if len(k.seen) != 2 || k.seen[0] != "D1 duty phone" { // once with the try that failed
		t.Errorf("seen %v", k.seen)
	}
}

// face serves our own GeoReport face to one unit.
func face311(t *testing.T, jurisdiction string) *httptest.Server {
	b, err := configs.FS.ReadFile("open311.yaml")
	if err != nil {
		t.Fatal(err)
	}
	services, err := dispatch.ParseServices311("open311.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	services.Jurisdiction = jurisdiction
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	own := []grid.Ticket{
		{ID: "T2", Type: grid.EventManholeOpen, State: grid.TicketClosed, Opened: at.Add(time.Hour), Closed: at.Add(2 * time.Hour), Title: "窨井盖 & <open>", Place: "somewhere"},
		{ID: "T1", Type: grid.EventSmokeAlarm, State: grid.TicketAccepted, Opened: at, Due: at.Add(3 * time.Hour), Title: "烟感报警", Place: "天山路 100 号", Point: "p",
			Assignments: []grid.Assignment{{Unit: "fire-1", Lead: true, Since: at.Add(time.Minute)}}},
	}
	s := dispatch.NewServer311(dispatch.Server311Config{
		Services: services, Now: func() time.Time { return at.Add(24 * time.Hour) },
		Ticket: func(_ context.Context, unit, id string) (grid.Ticket, error) {
			for _, t := range own {
				if t.ID == id && unit == "fire-1" {
					return t, nil
				}
			}
			return grid.Ticket{}, grid.Errorf(grid.NotFound, "no such ticket")
		},
		Tickets: func(_ context.Context, unit, state string, since, until time.Time) (out []grid.Ticket, _ error) {
			for _, t := range own {
				if unit == "fire-1" && (state == "" || (state == "ended") == t.State.Ended()) && !t.Opened.Before(since) && t.Opened.Before(until) {
					out = append(out, t)
				}
			}
			return out, nil
		},
		Point: func(context.Context, string) (grid.Point, error) { return grid.Point{Lon: 121.4, Lat: 31.21}, nil },
	})
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if dispatch.Key311(r) != "k" {
			s.Refuse(w, r, grid.Errorf(grid.Unauthorized, "unknown"))
			return
		}
		s.ServeHTTP(w, r, grid.Actor{Role: grid.RoleUnit, Unit: "fire-1"})
	})
}

func TestOpen311FaceAnswersInBothForms(t *testing.T) {
	s := face311(t, "")
	for path, want := range map[string]string{
		"GET services.json":                                 `200 "service_code":"manhole"`,
		"GET services.xml":                                  `200 <service_code>manhole</service_code>`,
		"GET services":                                      `200 <services>`,
		"GET services/manhole.json":                         `404 "code":"404"`,
		"GET requests.json":                                 `200 "service_request_id":"T1"`,
		"GET requests.xml":                                  `200 <service_request_id>T2</service_request_id>`,
		"GET requests/T1.json":                              `200 "expected_datetime":"2026-03-01T11:00:00Z"`,
		"GET requests/T1.xml":                               `200 <lat>31.21</lat><long>121.4</long>`,
		"GET requests/T2.xml":                               `200 <status>closed</status>`,
		"GET requests/T9.xml":                               `404 <errors><error><code>404</code>`,
		"GET requests.json?status=closed":                   `200 [{"service_request_id":"T2"`,
		"GET requests.json?status=open,closed":              `200 "service_request_id":"T1"`,
		"GET requests.json?status=open":                     `200 [{"service_request_id":"T1"`,
		"GET requests.json?status=broken":                   `400 want open or closed`,
		"GET requests.json?service_code=smoke":              `200 [{"service_request_id":"T1"`,
		"GET requests.json?service_request_id=T9,T2":        `200 [{"service_request_id":"T2"`,
		"GET requests.json?start_date=yesterday":            `400 start_date is`,
		"GET requests.json?start_date=2026-03-01T08:30:00Z": `200 [{"service_request_id":"T2"`,
		"GET requests.json?end_date=2026-02-01T08:30:00Z":   `200 []`,
		"GET tokens/x.json":                                 `404 token was not found`,
		"GET nonsense.xml":                                  `404 no such resource`,
		"DELETE requests/T1.xml":                            `405 DELETE`,
		"POST requests.xml":                                 `501 cannot be created here`,
	} {
		method, path, _ := strings.Cut(path, " ")
		code, said := fetch(t, method, s.URL+"/open311/v2/"+path, "k")
		wantCode, wantSaid, _ := strings.Cut(want, " ")
		if code != wantCode || !strings.Contains(said, wantSaid) {
			t.Errorf("%s %s: %s %s\nwant %s", method, path, code, said, want)
		}
	}
	if code, said := fetch(t, "GET", s.URL+"/open311/v2/requests.json", "bad"); code != "403" || !strings.Contains(said, `"code":"403"`) {
		t.Errorf("a wrong key: %s %s", code, said)
	}
	s = face311(t, "cn.changning")
	for q, want := range map[string]string{"": "400", "jurisdiction_id=other": "404", "jurisdiction_id=cn.changning": "200"} {
		if code, said := fetch(t, "GET", s.URL+"/open311/v2/services.json?"+q, "k"); code != want {
			t.Errorf("jurisdiction %q: %s %s, want %s", q, code, said, want)
		}
	}
}

func fetch(t *testing.T, method, address, key string) (code, body string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("api_key", key)
	u.RawQuery = q.Encode()
	req, _ := http.NewRequest(method, u.String(), nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode), string(b)
}

// Our client reads our face: the two were written against the standard, not each other, but
// must agree all the same.
func TestOpen311ClientReadsTheFace(t *testing.T) {
	s := face311(t, "")
	for _, format := range []string{"json", "xml"} {
		front := serve(t, func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			q.Set("api_key", "k")
			req, _ := http.NewRequest(r.Method, s.URL+r.URL.Path+"?"+q.Encode(), nil)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				panic(err)
			}
			defer resp.Body.Close()
			w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
			w.WriteHeader(resp.StatusCode)
			io.Copy(w, resp.Body)
		})
		u := grid.Unit{URL: front.URL + "/open311/v2", Secret: "k", Settings: map[string]string{"service.default": "x", "format": format}}
		one, two := delivered("D1", "ticket.opened"), delivered("D2", "ticket.opened")
		one.Ref, two.Ref = "T1", "T2"
		words, err := open311(t, u).Words(t.Context(), u, []grid.Delivery{one, two})
		if err != nil || len(words) != 2 {
			t.Fatalf("%s: %+v, %v", format, words, err)
		}
		for _, w := range words {
			if done := w.Delivery.Ref == "T2"; (w.Verb == grid.VerbResolve) != done {
				t.Errorf("%s: %s is %q", format, w.Delivery.Ref, w.Verb)
			}
		}
	}
}

func TestOpen311FaceFilesWhatIsPosted(t *testing.T) {
	b, _ := configs.FS.ReadFile("open311.yaml")
	services, err := dispatch.ParseServices311("open311.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	var got []grid.Filing
	var fail error
	s := dispatch.NewServer311(dispatch.Server311Config{Services: services, File: func(_ context.Context, f grid.Filing) (grid.Filed, error) {
		got = append(got, f)
		return grid.Filed{Ticket: grid.Ticket{ID: "T7"}, Duplicates: []grid.Suggestion{{Ticket: "T1"}}}, fail
	}})
	post := func(path, body string) (int, string) {
		r := httptest.NewRequest("POST", "/open311/v2/"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r, grid.Actor{Role: grid.RoleUnit, Name: "city", Unit: "city"})
		return w.Code, w.Body.String()
	}
	const good = "service_code=manhole&lat=31.21&long=121.4&address_string=road+1&description=cover+gone&attribute[external_id]=A-9&first_name=PERSON&phone=13800000000"
	code, said := post("requests.json", good)
	if code != 201 || said != `[{"service_request_id":"T7","service_notice":"it may be about the same as T1"}]`+"\n" {
		t.Errorf("%d %s", code, said)
	}
	want := grid.Filing{Source: grid.FromDepartment, External: "city/A-9", Type: grid.EventManholeOpen, Place: "road 1", Lon: 121.4, Lat: 31.21, CRS: "WGS84",
		Text: "cover gone", By: grid.Actor{Role: grid.RoleUnit, Name: "city", Unit: "city"}}
	if len(got) != 1 || got[0] != want {
		t.Errorf("filed %+v, want %+v", got, want)
	}
	if code, said := post("requests.xml", good); code != 201 || !strings.Contains(said, "<service_request_id>T7</service_request_id>") {
		t.Errorf("XML: %d %s", code, said)
	}
	n := len(got)
	for body, want := range map[string]string{
		"":                                      "400 service_code is missing",
		"service_code=nothing&address_string=x": "404 service_code was not found",
		"service_code=default&address_string=x": "400 cannot be reported",
		"service_code=smoke":                    "400 address_string or address_id is missing",
		"service_code=smoke&lat=31.2":           "400 must both be degrees",
		"service_code=smoke&lat=31.2&long=east": "400 must both be degrees",
	} {
		wantCode, wantSaid, _ := strings.Cut(want, " ")
		if code, said := post("requests.json", body); fmt.Sprint(code) != wantCode || !strings.Contains(said, wantSaid) {
			t.Errorf("%s: %d %s, want %s", body, code, said, want)
		}
	}
	if len(got) != n {
		t.Error("something was filed all the same")
	}
	for code, err := range map[int]error{400: grid.Errorf(grid.Invalid, "place is odd"), 404: grid.Errorf(grid.NotFound, "point: not found"), 503: errors.New("secret path /var/x")} {
		fail = err
		if c, said := post("requests.json", good); c != code || strings.Contains(said, "secret") {
			t.Errorf("%v: %d %s", err, c, said)
		}
	}
}
