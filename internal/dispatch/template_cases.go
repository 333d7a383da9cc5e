package dispatch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
)

// TemplateCase is one recorded exchange: what a message makes of requests, and what the
// answers make of the message.
type TemplateCase struct {
	Name      string               `yaml:"name"`
	Type      string               `yaml:"type"` // of the message; ticket.opened
	Attempts  int                  `yaml:"attempts"`
	Now       time.Time            `yaml:"now"` // the message is made then; default 2026-03-01 08:30 UTC+8
	Nonce     string               `yaml:"nonce"`
	URL       string               `yaml:"url"`
	Secret    string               `yaml:"secret"`
	Settings  map[string]string    `yaml:"settings"`
	Poll      bool                 `yaml:"poll"` // what became of it is asked, by ref
	Ref       string               `yaml:"ref"`
	Exchanges []TemplateExchange   `yaml:"exchanges"`
	Result    TemplateCaseResult   `yaml:"result"`
	Words     []TemplateCaseAnswer `yaml:"words"`
}

// TemplateExchange is a request that must come, and its answer. What of the request is
// empty here is not compared.
type TemplateExchange struct {
	Method  string            `yaml:"method"`
	URL     string            `yaml:"url"`
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"` // JSON is compared as such
	Answer  struct {
		Status  int               `yaml:"status"`
		Headers map[string]string `yaml:"headers"`
		Body    string            `yaml:"body"`
	} `yaml:"answer"`
}

// TemplateCaseResult is what comes of a message.
type TemplateCaseResult struct {
	State  grid.DeliveryState `yaml:"state"` // sent, received, seen_by_person, pending (again), dead, withheld
	Ref    string             `yaml:"ref"`
	SeenBy string             `yaml:"seen_by"`
	Error  string             `yaml:"error"` // a part of it
	After  time.Duration      `yaml:"after"` // the pause asked for
}

// TemplateCaseAnswer is a word that was fetched.
type TemplateCaseAnswer struct {
	Verb    grid.Verb         `yaml:"verb"`
	Finding grid.Verification `yaml:"finding"`
	SeenBy  string            `yaml:"seen_by"`
	Said    string            `yaml:"said"`
}

// CaseReport is how the cases of a connector fared.
type CaseReport struct {
	Name   string   `json:"name"`
	About  string   `json:"about"`
	Cases  int      `json:"cases"`
	Failed []string `json:"failed"` // a line each
}

// LoadTemplates reads every connector of folders, each in <name>.yaml beside its
// <name>.cases.yaml. A later folder overrides an earlier one.
func LoadTemplates(dirs ...fs.FS) (map[string]*TemplateSpec, error) {
	out := map[string]*TemplateSpec{}
	var errs []error
	for _, dir := range dirs {
		files, err := fs.Glob(dir, "*.yaml")
		errs = append(errs, err)
		for _, name := range files {
			if strings.HasSuffix(name, ".cases.yaml") {
				continue
			}
			s, err := loadTemplate(dir, name)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			out[s.Name] = s
		}
	}
	return out, errors.Join(errs...)
}

func loadTemplate(dir fs.FS, name string) (*TemplateSpec, error) {
	b, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	s, err := ParseTemplate(name, b)
	if err == nil && s.Name+".yaml" != path.Base(name) {
		err = grid.Errorf(grid.Invalid, "connector %s: name is %q: want that of its file", name, s.Name)
	}
	return s, err
}

// TestTemplates runs the cases of every connector of a folder, by name. A connector
// without cases fails.
func TestTemplates(ctx context.Context, dir fs.FS) ([]CaseReport, error) {
	specs, err := LoadTemplates(dir)
	if err != nil {
		return nil, err
	}
	var out []CaseReport
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		r := CaseReport{Name: name, About: specs[name].About, Failed: []string{}}
		cases, err := loadCases(dir, name)
		if err != nil {
			r.Failed = append(r.Failed, err.Error())
		}
		r.Cases = len(cases)
		for _, c := range cases {
			for _, wrong := range c.run(ctx, specs[name]) {
				r.Failed = append(r.Failed, c.Name+": "+wrong)
			}
		}
		out = append(out, r)
	}
	return out, nil
}

func loadCases(dir fs.FS, name string) ([]TemplateCase, error) {
	b, err := fs.ReadFile(dir, name+".cases.yaml")
	if err != nil {
		return nil, fmt.Errorf("no cases: want %s.cases.yaml beside it", name)
	}
	var file struct {
		Cases []TemplateCase `yaml:"cases"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&file); err != nil {
		return nil, fmt.Errorf("%s.cases.yaml: %w", name, err)
	}
	if len(file.Cases) == 0 {
		return nil, fmt.Errorf("%s.cases.yaml has no cases", name)
	}
	return file.Cases, nil
}

// run plays a case and gives what differs.
func (c *TemplateCase) run(ctx context.Context, s *TemplateSpec) (wrong []string) {
	now := c.Now
	if now.IsZero() {
		now = time.Date(2026, 3, 1, 8, 30, 0, 0, beijing)
	}
	u := grid.Unit{ID: "unit", Kind: grid.FireUnit, Mode: grid.Simulated, Connector: s.Name, URL: c.URL, Secret: c.Secret, Settings: c.Settings}
	player := &recorded{left: c.Exchanges}
	t := NewTemplate(s, Reach{Unit: func(context.Context, string) (grid.Unit, error) { return u, nil }})
	t.client, t.now, t.nonce = &http.Client{Transport: player}, func() time.Time { return now }, func() string { return cmp.Or(c.Nonce, "nonce") }
	d := SampleDelivery(cmp.Or(c.Type, "ticket.opened"), now)
	d.Connector, d.Attempts, d.Ref = s.Name, c.Attempts, c.Ref
	if c.Poll {
		wrong = c.ask(ctx, t, u, d)
	} else {
		wrong = c.deliver(ctx, t, d)
	}
	wrong = append(player.wrong, wrong...)
	if len(player.left) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d more requests were expected", len(player.left)))
	}
	return wrong
}

func (c *TemplateCase) deliver(ctx context.Context, t *Template, d grid.Delivery) (wrong []string) {
	receipt, err := t.Deliver(ctx, d)
	o := (Retry{Normal: []time.Duration{0, 0, 0}, MaxPause: 24 * time.Hour}).outcome(time.Now(), d, receipt, err)
	differs := func(what string, got, want any) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %v, want %v", what, got, want))
		}
	}
	differs("state", o.State, c.Result.State)
	differs("ref", o.Ref, c.Result.Ref)
	differs("seen_by", receipt.SeenBy, c.Result.SeenBy)
	differs("after", receipt.RetryHint, c.Result.After)
	if !strings.Contains(o.Error, c.Result.Error) || c.Result.Error == "" && err != nil {
		wrong = append(wrong, fmt.Sprintf("error is %q, want one with %q", o.Error, c.Result.Error))
	}
	return wrong
}

func (c *TemplateCase) ask(ctx context.Context, t *Template, u grid.Unit, d grid.Delivery) []string {
	words, err := t.Words(ctx, u, []grid.Delivery{d})
	got := []TemplateCaseAnswer{}
	for _, w := range words {
		got = append(got, TemplateCaseAnswer{w.Verb, w.Finding, w.SeenBy, w.Said})
	}
	if err == nil && c.Result.Error == "" || err != nil && c.Result.Error != "" && strings.Contains(err.Error(), c.Result.Error) {
		err = nil
	} else if err == nil {
		err = fmt.Errorf("no error, want one with %q", c.Result.Error)
	}
	if err != nil {
		return []string{err.Error()}
	}
	if !slices.Equal(got, c.Words) {
		return []string{fmt.Sprintf("words are %+v, want %+v", got, c.Words)}
	}
	return nil
}

// recorded plays the far side of a case.
type recorded struct {
	left  []TemplateExchange
	wrong []string
}

// RoundTrip implements http.RoundTripper.
func (p *recorded) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	if len(p.left) == 0 {
		p.wrong = append(p.wrong, fmt.Sprintf("%s %s was not expected", r.Method, r.URL))
		return nil, errors.New("nobody is there")
	}
	x := p.left[0]
	p.left = p.left[1:]
	differs := func(what, got, want string) {
		if want != "" && got != want {
			p.wrong = append(p.wrong, fmt.Sprintf("%s is\n    %s\n  want\n    %s", what, got, want))
		}
	}
	differs("method", r.Method, x.Method)
	differs("url", r.URL.String(), x.URL)
	for k, v := range x.Headers {
		differs("header "+k, r.Header.Get(k), v)
	}
	if !sameJSON(body, []byte(x.Body)) {
		differs("body", strings.TrimSpace(string(body)), strings.TrimSpace(x.Body))
	}
	h := http.Header{}
	for k, v := range x.Answer.Headers {
		h.Set(k, v)
	}
	status := cmp.Or(x.Answer.Status, http.StatusOK)
	return &http.Response{StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(x.Answer.Body)), Request: r}, nil
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
