package dispatch

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
)

// Template delivers by a connector that is data.
type Template struct {
	spec   atomic.Pointer[TemplateSpec]
	reach  Reach
	client *http.Client
	now    func() time.Time
	nonce  func() string

	mu     sync.Mutex
	tokens map[string]heldToken // by unit
	sent   map[string]*window   // by address
}

type heldToken struct {
	token string
	until time.Time
}

// NewTemplate makes the connector of a spec. Close frees its connections.
func NewTemplate(s *TemplateSpec, r Reach) *Template {
	t := &Template{reach: r, client: newClient(r.Allow, r.TLS), now: time.Now, nonce: rand.Text,
		tokens: map[string]heldToken{}, sent: map[string]*window{}}
	t.spec.Store(s)
	return t
}

// Replace sends by another spec of that name from the next message on.
func (t *Template) Replace(s *TemplateSpec) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spec.Store(s)
	clear(t.tokens)
}

// Close frees idle connections.
func (t *Template) Close() { t.client.CloseIdleConnections() }

// Asks reports whether units by this connector are asked for their answers.
func (t *Template) Asks() bool { return t.spec.Load().Poll != nil }

// Check says what is wrong with a unit's entry in the registry.
func (t *Template) Check(u grid.Unit) error {
	s := t.spec.Load()
	errs := []error{onlySettings(u, slices.Concat(s.Settings.Required, s.Settings.Optional)...)}
	for _, n := range s.Settings.Required {
		if u.Settings[n] == "" {
			errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: setting %s is missing: connector %s wants it", u.ID, n, s.Name))
		}
	}
	if s.URL == "required" {
		_, err := webAddress(u)
		errs = append(errs, err)
	} else if u.URL != "" {
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: url is set: connector %s wants none", u.ID, s.Name))
	}
	switch {
	case s.Secret == "required" && u.Secret == "":
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: secret is missing: connector %s wants it", u.ID, s.Name))
	case s.Secret == "none" && u.Secret != "":
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: secret is set: connector %s uses none", u.ID, s.Name))
	}
	return errors.Join(errs...)
}

// Deliver sends the request and reads what the answer means.
func (t *Template) Deliver(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
	u, err := t.reach.addressee(ctx, d)
	if err != nil {
		return grid.Receipt{}, err
	}
	if err := t.Check(u); err != nil {
		return grid.Receipt{}, fmt.Errorf("%w: %w", errOurs, err)
	}
	if len(t.spec.Load().Sends) > 0 && !slices.Contains(t.spec.Load().Sends, d.Type) {
		return grid.Receipt{}, fmt.Errorf("%w: connector %s does not send %s", ErrWithheld, t.spec.Load().Name, d.Type)
	}
	if err := t.turn(cmp.Or(u.URL, u.ID), d.Priority); err != nil { // the limit is the room's, not the name's
		return grid.Receipt{}, fmt.Errorf("%w: unit %s: %w", errOurs, u.ID, err)
	}
	v, err := t.spec.Load().values(u, d, t.now(), t.nonce())
	if err != nil {
		return grid.Receipt{}, err
	}
	r, rule, err := t.exchange(ctx, u, &t.spec.Load().Request, v)
	if err != nil {
		return r.receipt311(), err
	}
	return t.read(u, r, rule)
}

// exchange makes a request, with a fresh token once where the answer says that the old one
// does not do.
func (t *Template) exchange(ctx context.Context, u grid.Unit, q *TemplateRequest, v templateValues) (r reply, rule *TemplateRule, err error) {
	for fresh := false; ; fresh = true {
		if v.Token, err = t.token(ctx, u, v, fresh); err != nil {
			return r, nil, err
		}
		if r, err = t.call(ctx, u, q, v); err != nil {
			return r, nil, err
		}
		if rule = t.spec.Load().Answer.rule(r); rule == nil || rule.Means != "token" || fresh {
			return r, rule, nil
		}
	}
}

func (t *Template) call(ctx context.Context, u grid.Unit, q *TemplateRequest, v templateValues) (reply, error) {
	out, err := q.render(v)
	if err != nil {
		return reply{}, fmt.Errorf("%w: connector %s: %w", errOurs, t.spec.Load().Name, err)
	}
	var body io.Reader
	if len(out.body) > 0 {
		body = bytes.NewReader(out.body)
	}
	req, err := http.NewRequestWithContext(ctx, out.method, out.url, body)
	if err != nil {
		return reply{}, fmt.Errorf("%w: connector %s: request: %w", errOurs, t.spec.Load().Name, bare(err))
	}
	req.Header = out.header
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "gridgate")
	}
	r, err := call(t.client, req)
	if err != nil {
		return r, fmt.Errorf("unit %s: %w", u.ID, err)
	}
	return r, nil
}

// token gives the unit's token, from memory while it lasts.
func (t *Template) token(ctx context.Context, u grid.Unit, v templateValues, fresh bool) (string, error) {
	spec := t.spec.Load().Token
	if spec == nil {
		return "", nil
	}
	t.mu.Lock()
	held := t.tokens[u.ID]
	t.mu.Unlock()
	if !fresh && held.token != "" && t.now().Before(held.until) {
		return held.token, nil
	}
	r, err := t.call(ctx, u, &spec.Request, v)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	answer := r.fields()
	token, _ := textAt(answer, spec.Path)
	if r.status/100 != 2 || token == "" || !fits(answer, spec.Where) {
		return "", fmt.Errorf("unit %s gives no token: %s %s", u.ID, r.text, t.spec.Load().Answer.reason(answer))
	}
	life := spec.For
	if s, ok := textAt(answer, spec.Expires); ok && spec.Expires != "" {
		if n, err := strconv.ParseFloat(s, 64); err == nil && n > 0 && n < 1e7 {
			life = time.Duration(n * float64(time.Second))
		}
	}
	t.mu.Lock()
	t.tokens[u.ID] = heldToken{token, t.now().Add(life * 9 / 10)} // not up to the last second
	t.mu.Unlock()
	return token, nil
}

// read says what an answer means for the delivery.
func (t *Template) read(u grid.Unit, r reply, rule *TemplateRule) (grid.Receipt, error) {
	answer := r.fields()
	out := r.receipt()
	why := strings.TrimSpace(r.text + " " + t.spec.Load().Answer.reason(answer))
	if rule == nil {
		return out, fmt.Errorf("unit %s answers %s", u.ID, why)
	}
	switch rule.Means {
	case "ok", "seen":
		out.Carried = t.spec.Load().Carrier
		out.Ref = ""
		if ref, ok := textAt(answer, t.spec.Load().Answer.Ref); ok {
			out.Ref = printable(ref, 64)
		}
		if rule.Means == "seen" {
			out.SeenBy = printable(fill(rule.SeenBy, answer), 64)
			if out.SeenBy == "" {
				out.SeenBy = "somebody"
			}
		}
		return out, nil
	case "later":
		out.RetryHint = max(out.RetryHint, rule.After)
		return out, fmt.Errorf("unit %s asks to come later: %s", u.ID, why)
	case "never":
		return out, fmt.Errorf("%w: unit %s answers %s", ErrNever, u.ID, why)
	}
	return out, fmt.Errorf("unit %s answers %s", u.ID, why)
}

// rule is the first that fits, nil where none does.
func (a *TemplateAnswer) rule(r reply) *TemplateRule {
	answer := r.fields()
	for i := range a.Rules {
		rule := &a.Rules[i]
		if (len(rule.Status) == 0 || slices.Contains(rule.Status, r.status)) && fits(answer, rule.Where) {
			return rule
		}
	}
	return nil
}

func (a *TemplateAnswer) reason(answer any) string {
	s, _ := textAt(answer, a.Reason)
	return printable(s, detailLimit)
}

// Words asks about each delivery, the newest first, until the time is over.
func (t *Template) Words(ctx context.Context, u grid.Unit, open []grid.Delivery) (words []Word, err error) {
	p := t.spec.Load().Poll
	if p == nil {
		return nil, nil
	}
	var errs []error
	for _, d := range open {
		if ctx.Err() != nil {
			return words, errors.Join(append(errs, ctx.Err())...)
		}
		v, err := t.spec.Load().values(u, d, t.now(), t.nonce())
		if err != nil {
			continue
		}
		v.Ref = d.Ref
		r, rule, err := t.exchange(ctx, u, &p.Request, v)
		if err != nil {
			return words, errors.Join(append(errs, err)...) // the next would fare no better
		}
		answer := r.fields()
		if r.status != http.StatusOK || rule != nil && rule.Means == "token" || !fits(answer, p.Where) {
			errs = append(errs, fmt.Errorf("unit %s: what became of %s: %s %s", u.ID, d.ID, r.text, t.spec.Load().Answer.reason(answer)))
			continue
		}
		if w, ok := p.word(d, answer); ok {
			words = append(words, w)
		}
	}
	return words, errors.Join(errs...)
}

// word is the first that fits the last item that any fits.
func (p *TemplatePoll) word(d grid.Delivery, answer any) (Word, bool) {
	items := []any{answer}
	if p.List != "" {
		list, _ := at(answer, p.List)
		items, _ = list.([]any)
	}
	for _, item := range slices.Backward(items) {
		for _, w := range p.Words {
			if !fits(item, w.Where) {
				continue
			}
			said, _ := textAt(item, p.Reason)
			out := Word{Delivery: d, Finding: grid.Verification(w.Finding), SeenBy: printable(fill(w.SeenBy, item), 64), Said: printable(strings.TrimSpace(d.Ref+": "+said), 1000)}
			if w.Means != "nothing" {
				out.Verb = grid.Verb(w.Means)
			}
			return out, out.Verb != "" || out.SeenBy != ""
		}
	}
	return Word{}, false
}

// fields is the answer's body as a tree, nil where it is neither JSON nor XML.
func (r reply) fields() any {
	body := bytes.TrimSpace(r.body)
	if len(body) > 0 && body[0] == '<' {
		v, err := xmlTree(body)
		if err != nil {
			return nil
		}
		return v
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil || dec.More() {
		return nil
	}
	return v
}

// xmlTree makes of each element a text, or a map of its children; the root's name is left out.
func xmlTree(b []byte) (any, error) {
	dec := xml.NewDecoder(bytes.NewReader(b))
	type level struct {
		name string
		kids map[string]any
		text strings.Builder
	}
	stack := []*level{{kids: map[string]any{}}}
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch tok := tok.(type) {
		case xml.StartElement:
			if len(stack) > 32 {
				return nil, errors.New("elements are nested too deeply")
			}
			stack = append(stack, &level{name: tok.Name.Local, kids: map[string]any{}})
		case xml.CharData:
			top.text.Write(tok)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
			var v any = top.kids
			if len(top.kids) == 0 {
				v = strings.TrimSpace(top.text.String())
			}
			up := stack[len(stack)-1].kids
			switch old := up[top.name].(type) {
			case nil:
				up[top.name] = v
			case []any:
				up[top.name] = append(old, v)
			default:
				up[top.name] = []any{old, v}
			}
		}
	}
	for _, v := range stack[0].kids {
		return v, nil
	}
	return nil, errors.New("no element")
}

// at walks a path like "data.records.0.key".
func at(v any, path string) (any, bool) {
	if path == "" {
		return nil, false
	}
	for _, step := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, v != nil
}

// textAt is the text, number or boolean at a path.
func textAt(v any, path string) (string, bool) {
	v, ok := at(v, path)
	if !ok {
		return "", false
	}
	return text(v)
}

func text(v any) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case json.Number:
		return x.String(), true
	case bool, int, int64, uint64, float64:
		return fmt.Sprint(x), true
	}
	return "", false
}

// fits reports whether every path holds its value, or one of its values.
func fits(v any, where map[string]any) bool {
	for path, want := range where {
		got, ok := textAt(v, path)
		if !ok || !fitsOne(got, want) {
			return false
		}
	}
	return true
}

func fitsOne(got string, want any) bool {
	if list, ok := want.([]any); ok {
		return slices.ContainsFunc(list, func(w any) bool { return fitsOne(got, w) })
	}
	w, ok := text(want)
	return ok && (w == got || w == "*" && got != "")
}

// fill puts what stands at {path} into a text.
func fill(s string, v any) string {
	for {
		before, rest, ok := strings.Cut(s, "{")
		path, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			return s
		}
		got, _ := textAt(v, path)
		s = before + strings.NewReplacer("{", "", "}", "").Replace(got) + after
	}
}
