package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"gridgate/configs"
	"gridgate/internal/dispatch"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func connectorData(t *testing.T) fs.FS {
	t.Helper()
	dir, err := fs.Sub(configs.FS, "connectors")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEveryConnectorThatIsDataDoesWhatItsCasesSay(t *testing.T) {
	reports, err := dispatch.TestTemplates(t.Context(), connectorData(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) < 7 {
		t.Errorf("%d connectors, want seven at least", len(reports))
	}
	for _, r := range reports {
		for _, f := range r.Failed {
			t.Errorf("%s: %s", r.Name, f)
		}
		if r.Cases == 0 || r.About == "" {
			t.Errorf("%s has %d cases and says of itself %q", r.Name, r.Cases, r.About)
		}
	}
}

// A case can fail: each part of one is changed in turn.
func TestCaseOfAConnectorFindsEachDifference(t *testing.T) {
	file := func(name string) string {
		b, err := fs.ReadFile(connectorData(t), name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	spec, cases := file("voice.yaml"), file("voice.cases.yaml")
	for _, change := range [][2]string{
		{"state: sent", "state: received"}, {"ref: C-7\n- name: all", "ref: C-8\n- name: all"}, {"too many calls\n    after", "too few calls\n    after"},
		{"after: 30s", "after: 31s"}, {"https://voice.example/v1/calls\n", "https://voice.example/v2/calls\n"}, {"method: POST", "method: PUT"},
		{"X-Sign: ", "X-Sign: 0"}, {"callee", "caller"}, {"verb: accept", "verb: arrive"}, {"finding: 'true'", "finding: unable"}, {"seen_by: 02112345678", "seen_by: x"},
	} {
		bad := strings.Replace(cases, change[0], change[1], 1)
		if bad == cases {
			t.Errorf("%q does not stand in the cases", change[0])
			continue
		}
		dir := fstest.MapFS{"voice.yaml": {Data: []byte(spec)}, "voice.cases.yaml": {Data: []byte(bad)}}
		if r, err := dispatch.TestTemplates(t.Context(), dir); err != nil || len(r[0].Failed) == 0 {
			t.Errorf("%q in place of %q is not found: %v", change[1], change[0], err)
		}
	}
	if r, err := dispatch.TestTemplates(t.Context(), fstest.MapFS{"voice.yaml": {Data: []byte(spec)}}); err != nil || len(r[0].Failed) != 1 {
		t.Errorf("without cases: %v, %v", r, err)
	}
}

const plainSpec = `
name: plain
about: for tests
settings: {optional: [room]}
request:
  url: "{{.URL}}/send"
  headers: {Content-Type: application/json, X-Id: "{{.Message.ID}}"}
  body: '{"id": {{json .Message.ID}}, "repeat": {{.Message.Repeat}}, "room": {{json .Settings.room}}}'
answer:
  rules:
    - {status: [200], where: {code: 0}, means: ok}
    - {status: [200], where: {code: 7}, means: seen, seen_by: "{who}"}
    - {status: [429], means: later, after: 3s}
    - {status: [410], means: never}
  ref: id
  reason: why
`

func specOf(t *testing.T, text string, change ...string) *dispatch.TemplateSpec {
	t.Helper()
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(text, change[i]) {
			t.Fatalf("%q does not stand in the connector", change[i])
		}
		text = strings.Replace(text, change[i], change[i+1], 1)
	}
	s, err := dispatch.ParseTemplate("plain.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func templateTo(t *testing.T, s *dispatch.TemplateSpec, u grid.Unit) *dispatch.Template {
	t.Helper()
	c := dispatch.NewTemplate(s, reach(u))
	t.Cleanup(c.Close)
	return c
}

func TestTemplateKeepsThePromiseOfAConnector(t *testing.T) {
	gatetest.TestConnector(t, func(t *testing.T) gatetest.ConnectorRig {
		var mu sync.Mutex
		var got []string
		var refuse, hang atomic.Bool
		done := make(chan struct{})
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case hang.Load():
				<-done
			case refuse.Load():
				io.WriteString(w, `{"code": 1, "why": "no"}`)
			default:
				mu.Lock()
				defer mu.Unlock()
				if id := r.Header.Get("X-Id"); !slices.Contains(got, id) {
					got = append(got, id)
				}
				io.WriteString(w, `{"code": 0}`)
			}
		})
		t.Cleanup(func() { close(done) })
		return gatetest.ConnectorRig{
			Connector: templateTo(t, specOf(t, plainSpec), grid.Unit{URL: s.URL}), Unit: "fire-1",
			Received: func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) },
			Refuse:   func() { refuse.Store(true) },
			Hang:     func() { hang.Store(true) },
		}
	})
}

func TestTemplateRefusesTheHostile(t *testing.T) {
	connect := func(u string, r func(grid.Unit) dispatch.Reach) grid.Connector {
		return dispatch.NewTemplate(specOf(t, plainSpec), r(grid.Unit{URL: u}))
	}
	d := delivered("D1", "ticket.opened")
	refusesTheHostile(t, d, connect)
	for name, h := range map[string]http.HandlerFunc{
		"a login page":      typed("text/html", "<html><body>log in</body></html>"),
		"an empty answer":   typed("application/json", ""),
		"another code":      typed("application/json", `{"code": 12, "why": "<script>"}`),
		"half a JSON":       typed("application/json", `{"code": 0`),
		"two JSONs":         typed("application/json", `{"code": 0} {"code": 0}`),
		"deep":              typed("application/json", strings.Repeat("[", 100_000)),
		"deep XML":          typed("text/xml", strings.Repeat("<a>", 10_000)),
		"endless":           typed("application/json", `{"code": 0, "x": "`+strings.Repeat("x", 300<<10)+`"}`),
		"a list for a code": typed("application/json", `{"code": [0]}`),
	} {
		s := serve(t, h)
		if r, err := connect(s.URL, reach).Deliver(t.Context(), d); err == nil {
			t.Errorf("%s counts as a success: %+v", name, r)
		}
	}
}

func TestTemplateAnswersMeanWhatItsRulesSay(t *testing.T) {
	for body, want := range map[string]string{
		`200 {"code":0,"id":55}`:           "ok ref=55 seen=",
		`200 {"code":7,"who":"duty"}`:      "ok ref= seen=duty",
		`429 {"why":"slow down"}`:          "again 3s",
		`410 {}`:                           "never",
		`200 {"code":3,"why":"no such a"}`: "again 0s",
		`500 {"code":0}`:                   "again 0s",
	} {
		code, said, _ := strings.Cut(body, " ")
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			var n int
			fmt.Sscan(code, &n)
			w.WriteHeader(n)
			io.WriteString(w, said)
		})
		r, err := templateTo(t, specOf(t, plainSpec), grid.Unit{URL: s.URL}).Deliver(t.Context(), delivered("D1", "ticket.opened"))
		got := fmt.Sprintf("ok ref=%s seen=%s", r.Ref, r.SeenBy)
		if errors.Is(err, dispatch.ErrNever) {
			got = "never"
		} else if err != nil {
			got = fmt.Sprint("again ", r.RetryHint)
		}
		if got != want {
			t.Errorf("%s: %s, want %s (%v)", body, got, want, err)
		}
	}
}

func TestTemplateThatIsSentAgainSaysSo(t *testing.T) {
	var got []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, string(b))
		io.WriteString(w, `{"code":0}`)
	})
	c := templateTo(t, specOf(t, plainSpec), grid.Unit{URL: s.URL})
	now := func(m *dispatch.Message) { m.Delivery.Created = time.Now() }
	first := delivered("D1", "ticket.opened", now)
	again := delivered("D1", "ticket.opened", now)
	again.Attempts = 1
	old := delivered("D1", "ticket.opened") // may have been cut off by a crash
	for _, d := range []grid.Delivery{first, again, old} {
		if _, err := c.Deliver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{`"repeat": false`, `"repeat": true`, `"repeat": true`} {
		if !strings.Contains(got[i], want) {
			t.Errorf("message %d is %s, want %s", i+1, got[i], want)
		}
	}
}

func TestGroupsGetALinkAndNeverANameOrARoom(t *testing.T) {
	var said []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		said = append(said, r.URL.String()+" "+string(b))
		io.WriteString(w, `{"errcode":0,"code":0}`)
	})
	specs, err := dispatch.LoadTemplates(connectorData(t))
	if err != nil {
		t.Fatal(err)
	}
	d := delivered("D1", "ticket.opened", func(m *dispatch.Message) {
		m.Point.Name, m.Point.Room, m.Point.Floor, m.Note, m.Ticket.Place = "PERSONNAME", "ROOM301", "FLOOR3", "NOTETEXT", "PLACEWORDS"
	})
	for _, name := range []string{"dingtalk", "wecom", "feishu"} {
		u := grid.Unit{URL: s.URL + "/?a=b"}
		if name != "wecom" {
			u.Secret = "s"
		}
		if r, err := templateTo(t, specs[name], u).Deliver(t.Context(), d); err != nil || !r.Carried {
			t.Errorf("%s: %+v, %v, want one that a carrier has", name, r, err)
		}
	}
	for _, b := range said {
		for _, secret := range []string{"PERSONNAME", "ROOM301", "FLOOR3", "NOTETEXT", "PLACEWORDS", "121.4"} {
			if strings.Contains(b, secret) {
				t.Errorf("%s stands in %s", secret, b)
			}
		}
		if !strings.Contains(b, "https://gridgate.example/tickets/01T") {
			t.Errorf("no link in %s", b)
		}
	}
	for _, field := range []string{"Place", "Room", "Floor", "Name", "Note", "Lon", "Point"} {
		bad := strings.Replace(strings.Replace(plainSpec, "about:", "audience: group\nabout:", 1), ".Message.ID}}\"", "."+"Message."+field+"}}\"", 1)
		if _, err := dispatch.ParseTemplate("plain.yaml", []byte(bad)); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("a group's connector may name %s: %v", field, err)
		}
	}
}

func TestRobotIsNeverSentMoreThanItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		spec := specOf(t, plainSpec, "about:", "limit: {count: 20, per: 1m, urgent: 5}\nabout:")
		c := dispatch.NewTemplate(spec, reach(grid.Unit{URL: "http://robot.example"}))
		c.SetTransport(roundTrip(func(*http.Request) (*http.Response, error) {
			at = append(at, time.Now())
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"code":0}`))}, nil
		}))
		for i := range 600 {
			d := delivered(fmt.Sprint("D", i), "ticket.opened", func(m *dispatch.Message) { m.Delivery.Priority = grid.Priority(2 - i%7/6) })
			before := len(at)
			_, err := c.Deliver(t.Context(), d)
			if refused := err != nil; refused == (len(at) > before) {
				t.Fatalf("message %d: %v, sent %v", i, err, len(at) > before)
			}
			time.Sleep(time.Duration(i%5) * time.Second)
		}
		for i := 20; i < len(at); i++ {
			if at[i].Sub(at[i-20]) < time.Minute {
				t.Fatalf("21 messages in %s", at[i].Sub(at[i-20]))
			}
		}
		if len(at) < 300 {
			t.Errorf("only %d messages in %s", len(at), at[len(at)-1].Sub(at[0]))
		}
	})
}

func TestRobotKeepsPlacesForP1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := specOf(t, plainSpec, "about:", "limit: {count: 20, per: 1m, urgent: 5}\nabout:")
		c := dispatch.NewTemplate(spec, reach(grid.Unit{URL: "http://robot.example"}))
		c.SetTransport(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"code":0}`))}, nil
		}))
		send := func(n int, p grid.Priority) (ok int) {
			for i := range n {
				d := delivered(fmt.Sprint("D", i), "ticket.opened", func(m *dispatch.Message) { m.Delivery.Priority = p })
				if _, err := c.Deliver(t.Context(), d); err == nil {
					ok++
				}
			}
			return ok
		}
		if low, high := send(40, 3), send(40, 1); low != 15 || high != 5 {
			t.Errorf("%d of P3 and %d of P1 were sent, want 15 and 5", low, high)
		}
		time.Sleep(time.Minute)
		if high := send(40, 1); high != 20 {
			t.Errorf("%d of P1 a minute later, want 20", high)
		}
	})
}

// roundTrip is an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestMessagesThatWaitForARobotAllArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := specOf(t, plainSpec, "about:", "limit: {count: 20, per: 1m, urgent: 5}\nabout:")
		c := dispatch.NewTemplate(spec, reach(grid.Unit{URL: "http://robot.example"}))
		c.SetTransport(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"code":0}`))}, nil
		}))
		b := newBook()
		for i := range 400 {
			d := delivered(fmt.Sprint("D", i), "ticket.opened", func(m *dispatch.Message) { m.Delivery.Priority = 3 })
			d.Ticket, d.Connector, d.Lane = fmt.Sprint("T", i), "plain", grid.Bulk
			b.commit(d)
		}
		p := dispatch.New(dispatch.Config{}, b.pending, b, map[string]grid.Connector{"plain": c}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		p.Run(ctx)
		if s := p.Stats().Lanes[grid.Bulk]; s.Delivered != 400 || s.Failed != 0 || len(s.Deaf) != 0 || len(b.attempts) != 400 {
			t.Errorf("%+v, %d attempts: want 400 of each and no failure, at 15 a minute", s, len(b.attempts))
		}
	})
}

func TestTemplateTokenIsKeptUntilItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tokens, sent int
		spec := specOf(t, plainSpec, "about:", "token: {request: {url: \"{{.URL}}/token\"}, path: t, expires: s}\nabout:", "X-Id: \"{{.Message.ID}}\"", "X-Id: \"{{.Token}}\"")
		c := dispatch.NewTemplate(spec, reach(grid.Unit{URL: "http://platform.example"}))
		c.SetTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
			said := `{"code":0}`
			if r.URL.Path == "/token" {
				tokens++
				said = fmt.Sprintf(`{"t":"tok%d","s":600}`, tokens)
			} else if sent++; r.Header.Get("X-Id") != fmt.Sprint("tok", tokens) {
				t.Errorf("token is %s, want the %dth", r.Header.Get("X-Id"), tokens)
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(said))}, nil
		}))
		for i := range 12 { // two minutes apart; a token does for nine
			if _, err := c.Deliver(t.Context(), delivered(fmt.Sprint("D", i), "ticket.opened")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
		}
		if tokens != 3 || sent != 12 {
			t.Errorf("%d tokens for %d messages, want 3 for 12", tokens, sent)
		}
	})
}

func TestTemplateErrorsShowNoSecret(t *testing.T) {
	spec := specOf(t, plainSpec, "about:", "secret: required\nabout:", `"{{.URL}}/send"`, `"{{.URL}}/send?key={{.Secret}}"`)
	for _, address := range []string{"http://127.0.0.1:1", serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }).URL} {
		_, err := templateTo(t, spec, grid.Unit{URL: address, Secret: "TOPSECRET"}).Deliver(t.Context(), delivered("D1", "ticket.opened"))
		if err == nil || strings.Contains(err.Error(), "TOPSECRET") {
			t.Errorf("err = %v", err)
		}
	}
}

func TestTemplateIsStrict(t *testing.T) {
	for want, change := range map[string][2]string{
		"unknown field":   {"about:", "abuot:"},
		"Titel":           {".Message.Repeat", ".Message.Titel"},
		"room2":           {".Settings.room", ".Settings.room2"},
		"function":        {"json .Message.ID", "jsn .Message.ID"},
		"no JSON":         {`{{json .Message.ID}}`, `{{.Message.ID}}`},
		"means is":        {"means: later", "means: wait"},
		"no rule means":   {"    - {status: [200], where: {code: 0}, means: ok}\n    - {status: [200], where: {code: 7}, means: seen, seen_by: \"{who}\"}\n", ""},
		"fits everything": {"{status: [410], means: never}", "{means: never}"},
		"name is":         {"name: plain", "name: webhook"},
		"begin with http": {`"{{.URL}}/send"`, `"file:///etc/passwd"`},
		"audience is":     {"about:", "audience: all\nabout:"},
		"method is":       {"request:", "request:\n  method: TRACE"},
		"sends is":        {"about:", "sends: [ticket.open]\nabout:"},
		"urgent":          {"about:", "limit: {count: 5, per: 1m, urgent: 5}\nabout:"},
		"there is none":   {"means: never}", "means: token}"},
		"answer.ref":      {"  ref: id\n", ""},
		"more than":       {`{"id":`, `{{range 100000}}0123456789{{end}}{"id":`},
	} {
		text := plainSpec
		if want == "answer.ref" {
			text += "poll: {request: {url: \"{{.URL}}\"}, words: [{where: {a: b}, means: accept}]}\n"
		}
		bad := strings.Replace(text, change[0], change[1], 1)
		if bad == text {
			t.Errorf("%q does not stand in the connector", change[0])
		}
		if _, err := dispatch.ParseTemplate("plain.yaml", []byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q in place of %q: %v, want an error that says %q", change[1], change[0], err, want)
		}
	}
}

func TestTemplateCheckNamesWhatAUnitLacks(t *testing.T) {
	specs, err := dispatch.LoadTemplates(connectorData(t))
	if err != nil {
		t.Fatal(err)
	}
	v := dispatch.NewTemplate(specs["voice"], dispatch.Reach{})
	good := grid.Unit{ID: "u", Connector: "voice", URL: "https://v.example", Secret: "k", Settings: map[string]string{"app_id": "a", "number": "1", "template_id": "t"}}
	if err := v.Check(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*grid.Unit){
		"setting number":    func(u *grid.Unit) { u.Settings = map[string]string{"app_id": "a", "template_id": "t"} },
		"secret is missing": func(u *grid.Unit) { u.Secret = "" },
		"url cannot":        func(u *grid.Unit) { u.URL = "voice" },
		`"nmber"`:           func(u *grid.Unit) { u.Settings = map[string]string{"nmber": "1"} },
	} {
		u := good
		change(&u)
		if err := v.Check(u); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one that says %q", err, want)
		}
	}
}
