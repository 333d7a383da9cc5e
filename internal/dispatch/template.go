package dispatch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
)

// TemplateSpec is a connector as data: requests as templates, and what their answers mean.
type TemplateSpec struct {
	Name     string   `yaml:"name"`     // what a unit names as its connector
	About    string   `yaml:"about"`    // a line for a person
	Audience string   `yaml:"audience"` // "unit" (default), or "group": a room whose readers are not all of the unit; they get a link, and no place, name or room
	Carrier  bool     `yaml:"carrier"`  // a good answer says that a carrier has it: "sent", not "received"
	Secret   string   `yaml:"secret"`   // of the unit: "none" (default), "optional", "required"
	URL      string   `yaml:"url"`      // of the unit: "required" (default), "none"
	Sends    []string `yaml:"sends"`    // types of messages; none: all. The others are withheld
	Settings struct { // of the unit
		Required []string `yaml:"required"`
		Optional []string `yaml:"optional"`
	} `yaml:"settings"`
	Limit   *TemplateLimit  `yaml:"limit"`
	Token   *TemplateToken  `yaml:"token"`
	Request TemplateRequest `yaml:"request"`
	Answer  TemplateAnswer  `yaml:"answer"`
	Poll    *TemplatePoll   `yaml:"poll"`
}

// TemplateLimit is how many messages a unit takes in a span; Urgent of them are kept for P1.
type TemplateLimit struct {
	Count  int           `yaml:"count"`
	Per    time.Duration `yaml:"per"`
	Urgent int           `yaml:"urgent"`
}

// TemplateRequest is one HTTP request. Body is rendered first, then headers, then the URL,
// which may use what was rendered as .Body.
type TemplateRequest struct {
	Method  string            `yaml:"method"`
	URL     string            `yaml:"url"`
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`

	url, body *template.Template
	headers   map[string]*template.Template
}

// TemplateToken is fetched before the first request and kept until it expires.
type TemplateToken struct {
	Request TemplateRequest `yaml:"request"`
	Where   map[string]any  `yaml:"where"`   // what an answer with a token says
	Path    string          `yaml:"path"`    // of the token
	Expires string          `yaml:"expires"` // path of its life in seconds; "" or nothing there: For
	For     time.Duration   `yaml:"for"`     // 1 h
}

// TemplateAnswer says what an answer means: the first rule that fits. An answer that fits
// none is a failure, and the delivery is tried again.
type TemplateAnswer struct {
	Rules  []TemplateRule `yaml:"rules"`
	Ref    string         `yaml:"ref"`    // path of the unit's own number
	Reason string         `yaml:"reason"` // path of its word on an error
}

// TemplateRule fits an answer whose status and fields are these.
type TemplateRule struct {
	Status []int          `yaml:"status"` // none: any
	Where  map[string]any `yaml:"where"`  // path → value, or list of values; "*" is any but nothing
	Means  string         `yaml:"means"`  // ok, seen, again, later, token, never
	After  time.Duration  `yaml:"after"`  // later: the pause
	SeenBy string         `yaml:"seen_by"`
}

// TemplatePoll asks what became of a message whose Ref is known.
type TemplatePoll struct {
	Request TemplateRequest    `yaml:"request"`
	List    string             `yaml:"list"`  // path of the list of items; "": the answer is the item
	Where   map[string]any     `yaml:"where"` // what a good answer says
	Words   []TemplatePollWord `yaml:"words"` // the first that fits the newest item
	Reason  string             `yaml:"reason"`
}

// TemplatePollWord is what an item means.
type TemplatePollWord struct {
	Where   map[string]any `yaml:"where"`
	Means   string         `yaml:"means"` // accept, arrive, resolve, verify, nothing
	Finding string         `yaml:"finding"`
	SeenBy  string         `yaml:"seen_by"` // words, with {path} for what stands in the item
}

var (
	templateName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)
	messageTypes = strings.Fields("ticket.opened ticket.updated ticket.rework ticket.escalated ticket.closed ticket.cancelled ticket.stand_down")
	typesZH      = map[string]string{"ticket.opened": "新工单", "ticket.updated": "更新", "ticket.rework": "返工", "ticket.escalated": "升级",
		"ticket.closed": "已结案", "ticket.cancelled": "已取消", "ticket.stand_down": "停止处置", grid.DeliveryDigest: "班次汇总"}
	modesZH       = map[grid.Mode]string{grid.Test: "【测试】", grid.Exercise: "【演练】", grid.Simulated: "【模拟】"}
	builtInNames  = strings.Fields("webhook inbox cap open311 mail gbt26875")
	settingName   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	answerMeaning = strings.Fields("ok seen again later token never")
	wordMeaning   = strings.Fields("accept arrive resolve verify nothing")
)

// ParseTemplate reads strict YAML and renders every template once with sample values, so
// that a wrong name in one is found here and not at a fire.
func ParseTemplate(name string, file []byte) (*TemplateSpec, error) {
	var s TemplateSpec
	if err := yaml.NewDecoder(bytes.NewReader(file), yaml.Strict()).Decode(&s); err != nil {
		return nil, grid.Errorf(grid.Invalid, "connector %s: %w", name, err)
	}
	if err := s.check(); err != nil {
		return nil, grid.Errorf(grid.Invalid, "connector %s: %w", name, err)
	}
	if err := s.compile(); err != nil {
		return nil, grid.Errorf(grid.Invalid, "connector %s: %w", name, err)
	}
	return &s, nil
}

func (s *TemplateSpec) check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	among := func(what, v string, known ...string) {
		want(slices.Contains(known, v), "%s is %q: want one of %s", what, v, strings.Join(known, ", "))
	}
	s.Audience, s.Secret, s.URL = cmp.Or(s.Audience, "unit"), cmp.Or(s.Secret, "none"), cmp.Or(s.URL, "required")
	want(templateName.MatchString(s.Name) && !slices.Contains(builtInNames, s.Name), "name is %q: want small letters, digits and -, and none that is built in", s.Name)
	among("audience", s.Audience, "unit", "group")
	among("secret", s.Secret, "none", "optional", "required")
	among("url", s.URL, "none", "required")
	for _, t := range s.Sends {
		among("sends", t, messageTypes...)
	}
	for _, n := range slices.Concat(s.Settings.Required, s.Settings.Optional) {
		want(settingName.MatchString(n), "setting %q: want small letters, digits and _", n)
	}
	if l := s.Limit; l != nil {
		want(l.Count > 0 && l.Per > 0 && l.Urgent >= 0 && l.Urgent < l.Count, "limit is %d per %s, %d urgent: want a count and a span, and fewer urgent ones", l.Count, l.Per, l.Urgent)
	}
	if t := s.Token; t != nil {
		want(t.Path != "", "token: path is missing: want where the token stands in the answer")
		t.For = cmp.Or(t.For, time.Hour)
	}
	good := 0
	for i, r := range s.Answer.Rules {
		among(fmt.Sprintf("answer: rule %d: means", i+1), r.Means, answerMeaning...)
		want(r.Means != "token" || s.Token != nil, "answer: rule %d means token: there is none", i+1)
		want(r.After == 0 || r.Means == "later", "answer: rule %d: after is for later", i+1)
		want(len(r.Status) > 0 || len(r.Where) > 0, "answer: rule %d fits everything: want status or where", i+1)
		if r.Means == "ok" || r.Means == "seen" {
			good++
		}
	}
	want(good > 0, "answer: no rule means ok: want one at least")
	if p := s.Poll; p != nil {
		want(s.Answer.Ref != "", "poll: answer.ref is missing: want the path of the number to ask by")
		want(len(p.Words) > 0, "poll: words are missing")
		for i, w := range p.Words {
			among(fmt.Sprintf("poll: word %d: means", i+1), w.Means, wordMeaning...)
			want((w.Means == "verify") == (w.Finding != ""), "poll: word %d: finding goes with verify", i+1)
			if w.Finding != "" {
				among(fmt.Sprintf("poll: word %d: finding", i+1), w.Finding, "true", "false", "unable")
			}
		}
	}
	return errors.Join(errs...)
}

// compile parses every template and renders it with sample values.
func (s *TemplateSpec) compile() error {
	settings := map[string]string{}
	for _, n := range slices.Concat(s.Settings.Required, s.Settings.Optional) {
		settings[n] = "x"
	}
	u := grid.Unit{ID: "unit", Kind: grid.FireUnit, URL: "https://unit.example/path?key=x", Secret: "secret", Settings: settings}
	at := time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC)
	d := SampleDelivery("ticket.opened", at)
	v, err := s.values(u, d, at, "nonce")
	if err != nil {
		return err
	}
	v.Token, v.Ref = "token", "ref"
	compile := func(where string, r *TemplateRequest) error {
		if err := r.compile(); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if _, err := r.render(v); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		return nil
	}
	errs := []error{compile("request", &s.Request)}
	if s.Token != nil {
		errs = append(errs, compile("token", &s.Token.Request))
	}
	if s.Poll != nil {
		errs = append(errs, compile("poll", &s.Poll.Request))
	}
	return errors.Join(errs...)
}

func (r *TemplateRequest) compile() (err error) {
	r.Method = cmp.Or(r.Method, http.MethodPost)
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch}, r.Method) {
		return fmt.Errorf("method is %q: want GET, POST, PUT or PATCH", r.Method)
	}
	parse := func(name, text string) (*template.Template, error) {
		return template.New(name).Option("missingkey=error").Funcs(templateFuncs).Parse(text)
	}
	if r.url, err = parse("url", r.URL); err != nil {
		return err
	}
	if r.body, err = parse("body", r.Body); err != nil {
		return err
	}
	r.headers = map[string]*template.Template{}
	for k, v := range r.Headers {
		if r.headers[k], err = parse("header "+k, v); err != nil {
			return err
		}
	}
	return nil
}

// templateValues is what templates may name. A group's message has no more than this.
type templateValues struct {
	Message  any // *groupMessage or *unitMessage
	Unit     templateUnit
	URL      string // the unit's
	Secret   string
	Settings map[string]string
	Token    string
	Ref      string // poll: the unit's own number
	Body     string // in headers and url: the rendered body
	Now      time.Time
	Nonce    string
}

type templateUnit struct {
	ID   string
	Kind string
}

// groupMessage names no place smaller than a building, and nobody.
type groupMessage struct {
	ID, Type, Ticket, Case, Assignment string
	Attempt                            int
	Priority, Mode, Event, State       string
	TitleZH, TitleEN, TypeZH           string
	Mark                               string // 【…】 for what is not real, and for what may be there already
	Link, Street, Community, Cell      string
	Building                           string
	Live, Repeat, Lead                 bool
	Created, Opened, Due               time.Time
}

// unitMessage is all that the unit itself is told.
type unitMessage struct {
	groupMessage
	Place, Point, Name, Floor, Room, Note, CallbackURL string
	Placed                                             bool // Lon and Lat are known
	Lon, Lat                                           float64
}

// repeatAfter is the age from which a message that was not tried by this book may all the
// same have been sent: the attempt may have been cut off by a stop or a crash.
const repeatAfter = 2 * time.Minute

// values are those of one attempt.
func (s *TemplateSpec) values(u grid.Unit, d grid.Delivery, now time.Time, nonce string) (templateValues, error) {
	b, err := read(d)
	if err != nil {
		return templateValues{}, err
	}
	zh, en := languages(b.Title)
	g := groupMessage{
		ID: d.ID, Type: d.Type, Ticket: b.Ticket, Case: b.Case, Assignment: b.Assignment, Attempt: b.Attempt, Priority: b.Priority, Mode: string(d.Mode),
		Event: string(b.Event), State: string(b.State), TitleZH: zh, TitleEN: en, Link: b.Link, Street: b.Place.Street, Community: b.Place.Community,
		Cell: b.Place.Cell, Building: b.Place.Building, Live: d.Mode == grid.Live, Repeat: d.Attempts > 0 || now.Sub(d.Created) > repeatAfter,
		TypeZH: typesZH[d.Type], Lead: b.Lead, Created: d.Created, Opened: b.Times.Opened, Due: b.Times.Due,
	}
	if !g.Live {
		g.Mark = modesZH[d.Mode]
	}
	if g.Repeat {
		g.Mark += "【重复】"
	}
	v := templateValues{Message: &g, Unit: templateUnit{u.ID, string(u.Kind)}, URL: u.URL, Secret: u.Secret, Settings: map[string]string{}, Now: now, Nonce: nonce}
	if s.Audience == "unit" {
		m := &unitMessage{groupMessage: g, Place: b.Place.Words, Point: b.Place.Point, Name: b.Place.Name, Floor: b.Place.Floor, Room: b.Place.Room,
			Note: b.Note, CallbackURL: b.CallbackURL}
		if b.Place.Lon != nil && b.Place.Lat != nil {
			m.Placed, m.Lon, m.Lat = true, *b.Place.Lon, *b.Place.Lat
		}
		v.Message = m
	}
	for _, n := range s.Settings.Optional {
		v.Settings[n] = ""
	}
	maps.Copy(v.Settings, u.Settings)
	return v, nil
}

// rendered is a request as it goes out.
type rendered struct {
	method, url string
	header      http.Header
	body        []byte
}

// renderMost bounds what a template makes.
const renderMost = 64 << 10

func (r *TemplateRequest) render(v templateValues) (out rendered, err error) {
	out.method, out.header = r.Method, http.Header{}
	body, err := execute(r.body, v)
	if err != nil {
		return out, err
	}
	v.Body, out.body = body, []byte(body)
	for k, t := range r.headers {
		h, err := execute(t, v)
		if err != nil {
			return out, err
		}
		out.header.Set(k, h)
	}
	if strings.HasPrefix(out.header.Get("Content-Type"), "application/json") && !json.Valid(out.body) {
		return out, fmt.Errorf("body is no JSON: want each value by json, as in {\"title\": {{json .Message.TitleZH}}}")
	}
	if out.url, err = execute(r.url, v); err != nil {
		return out, err
	}
	out.url = strings.TrimSpace(out.url)
	if !strings.HasPrefix(out.url, "https://") && !strings.HasPrefix(out.url, "http://") {
		return out, fmt.Errorf("url does not begin with https:// or http://")
	}
	return out, nil
}

func execute(t *template.Template, v templateValues) (string, error) {
	var buf bounded
	if err := t.Execute(&buf, v); err != nil {
		return "", err
	}
	return buf.String(), nil
}

// bounded refuses to grow beyond renderMost.
type bounded struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > renderMost {
		return 0, fmt.Errorf("more than %d bytes", renderMost)
	}
	return b.Buffer.Write(p)
}

// SampleDelivery is a message about a smoke alarm for cases and dry runs; every field that
// a template may name is set.
func SampleDelivery(typ string, at time.Time) grid.Delivery {
	m := Message{
		Delivery: grid.Delivery{ID: "01J9ZSAMPLEDELIVERY0000001", N: 1, Ticket: "01J9ZSAMPLETICKET000000001", Assignment: "01J9ZSAMPLETICKET000000001.1", Unit: "unit",
			Type: typ, Priority: 1, Mode: grid.Simulated, Created: at},
		Ticket: grid.Ticket{ID: "01J9ZSAMPLETICKET000000001", Case: "20260301-000001", Type: grid.EventSmokeAlarm, State: grid.TicketDispatched,
			Title: "烟感报警 / Smoke alarm", Place: "演示路 1 号, 12号楼, 3层, 301室", Point: "smoke-1", Cell: "310105006001001", Opened: at, Due: at.Add(3 * time.Hour),
			Scope: grid.Scope{District: "310105", Street: "310105006", Community: "310105006001"}},
		Assignment: grid.Assignment{ID: "01J9ZSAMPLETICKET000000001.1", Unit: "unit", Lead: true, Attempt: 1},
		Unit:       grid.Unit{ID: "unit", Kind: grid.FireUnit},
		Point:      grid.Point{ID: "smoke-1", Name: "三楼走廊", Building: "12号楼", Floor: "3层", Room: "301室", Lon: 121.4, Lat: 31.21},
		Source:     "/gridgate", API: "https://gridgate.example", Note: "\"test\" & <sample>", Link: "https://gridgate.example/tickets/01J9ZSAMPLETICKET000000001",
	}
	d := m.Delivery
	d.Body = Body(m)
	return d
}
