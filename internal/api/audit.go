package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gridgate/internal/audit"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Audit is the log of who did what.
type Audit interface {
	Append(audit.Entry)
	// Keep returns once the entry is durable, or says why it cannot be, within two seconds.
	Keep(ctx context.Context, e audit.Entry) error
	List(ctx context.Context, q audit.Query) (audit.Page, error)
	WriteJSONL(ctx context.Context, w io.Writer, q audit.Query) error
	WriteCSV(ctx context.Context, w io.Writer, q audit.Query, zh bool) error
}

// noChange are the operations that change nothing though they are no GET: they ask, or say that
// somebody is still there.
var noChange = map[string]bool{
	"beat-seat": true, "find-similar": true, "convert-positions": true, "lint-profile": true, "decode-payload": true, "read-code": true,
	"touch-window": true, "touch-visit": true, "route-ticket": true,
}

// personalReads are the operations whose every answer is personal. Others find out as they
// answer, and say so by audit.Personal.
var personalReads = map[string]bool{
	"list-contacts": true, "list-contact-reads": true, "get-photo": true, "list-point-photos": true, "get-evidence": true,
	"list-audit": true, "verify-audit": true, "export-audit": true, "get-field-pack": true, "get-visit-record": true,
}

// marked is what the document says of an operation beyond its form: who reaches it, and whether
// each of its answers is personal.
func marked(op *huma.Operation, who access) map[string]any {
	out := map[string]any{"x-access": who.String()}
	maps.Copy(out, op.Extensions)
	if personalReads[op.OperationID] {
		out["x-personal"] = true
	}
	return out
}

// trail is what is known of one request for the audit.
type trail struct {
	s      *Server
	op     *huma.Operation
	notes  *audit.Notes
	entry  audit.Entry
	change bool
	kept   bool
}

type trailKey struct{}

// trailOf is the trail of a request; nil: nobody keeps one.
func trailOf(ctx context.Context) *trail {
	t, _ := ctx.Value(trailKey{}).(*trail)
	return t
}

// follow begins the trail of a request; nil: nobody keeps one.
func (s *Server) follow(hc huma.Context, op *huma.Operation) (huma.Context, *trail) {
	if s.Audit == nil || op.Extensions["x-audit"] == false {
		return hc, nil
	}
	ctx, notes := audit.WithNotes(hc.Context())
	t := &trail{s: s, op: op, notes: notes, change: op.Method != http.MethodGet && op.Method != http.MethodHead && !noChange[op.OperationID]}
	r, _ := humago.Unwrap(hc)
	t.entry = audit.Entry{Act: op.OperationID, Object: objectOf(hc, op), From: From(r, s.Proxies)}
	return huma.WithContext(hc, context.WithValue(ctx, trailKey{}, t)), t
}

// objectOf names what a request is about: the words of its path, and for a look those of its
// query that narrow it.
func objectOf(hc huma.Context, op *huma.Operation) string {
	var words []string
	for part := range strings.SplitSeq(op.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			words = append(words, name+"="+hc.Param(name))
		}
	}
	u := hc.URL()
	asked := u.Query()
	for _, key := range slices.Sorted(maps.Keys(asked)) {
		if key != "limit" && key != "cursor" && !secretKey(key) {
			words = append(words, key+"="+strings.Join(asked[key], ","))
		}
	}
	return strings.Join(words, " ")
}

// by says who it was.
func (t *trail) by(by grid.Actor) {
	if t == nil {
		return
	}
	t.entry.Who, t.entry.Role, t.entry.Unit, t.entry.Session = by.Name, by.Standing(), by.Unit, by.Session
	if by.Token != "" {
		t.entry.Session = "token " + by.Token
	}
}

// asked takes what was wished for, and what is there before it is done.
func (t *trail) asked(ctx context.Context, in any) {
	if t == nil || !t.change {
		return
	}
	wish := fieldOf(in, "Body")
	if !t.silent() {
		t.entry.Asked = t.s.withoutSecrets(wish)
	}
	var said struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(t.entry.Asked, &said) == nil {
		t.entry.Why = said.Reason
	}
	id, ok := fieldOf(in, "ID").(string)
	if !ok { // what is put says its id itself
		id, ok = fieldOf(wish, "ID").(string)
	}
	if ok {
		if was := t.s.standing(ctx, t.op.OperationID, id); was != nil {
			t.entry.Before = t.s.withoutSecrets(was)
		}
	}
}

// told keeps the entry of a request that its handler has answered, durably, before the answer
// leaves. Who acts is not hindered by an audit that cannot be written.
func (t *trail) told(ctx context.Context, out any, err error) {
	if t == nil {
		return
	}
	if t.entry.Code == "" { // or its handler has refused it in its own way
		t.entry.Outcome = audit.Done
	}
	if err != nil {
		t.refused(grid.CodeOf(err))
	} else if t.change && !t.silent() {
		t.entry.After = t.s.withoutSecrets(fieldOf(out, "Body"))
	}
	t.keep(ctx)
}

func (t *trail) refused(code grid.Code) {
	if t == nil {
		return
	}
	t.entry.Code, t.entry.Outcome = string(code), audit.Refused
	if code == grid.Internal || code == grid.Unavailable {
		t.entry.Outcome = audit.Failed
	}
}

func (t *trail) keep(ctx context.Context) {
	t.kept = true
	if personal := t.notes.Onto(&t.entry); !t.change && !personal && (t.op == nil || t.op.Extensions["x-personal"] != true) {
		return
	}
	if t.entry.Code == string(grid.Unauthorized) && t.entry.Who == "" {
		t.s.strangers.append(t.s, t.entry)
		return
	}
	if err := t.s.Audit.Keep(ctx, t.entry); err != nil {
		t.s.Log.Error("audit entry is not durable", "err", err, "in", t.entry.Act)
	}
}

// end keeps what no handler saw: refused at the door, or for its form.
func (t *trail) end(hc huma.Context) {
	if t == nil || t.kept {
		return
	}
	if t.entry.Code == "" {
		switch status := hc.Status(); {
		case status == 0 || status >= http.StatusInternalServerError:
			t.refused(grid.Internal)
		default:
			t.refused(codeOf(status))
		}
	}
	t.keep(hc.Context())
}

// silent reports whether nothing of what is sent and answered may stand in the audit.
func (t *trail) silent() bool {
	for _, begin := range []string{"/api/v1/session", "/api/v1/users", "/api/v1/tokens", "/api/v1/oidc"} {
		if strings.HasPrefix(t.op.Path, begin) {
			return true
		}
	}
	return maySayASecret(t.op.Path) || strings.HasSuffix(t.op.Path, "/reveal")
}

// strangers bounds what requests without a valid token may write: a flood of them must not
// push the audit over its disk.
type strangers struct {
	mu     sync.Mutex
	minute time.Time
	count  int
}

const strangersAMinute = 60

func (f *strangers) append(s *Server, e audit.Entry) {
	f.mu.Lock()
	now := s.Now().Truncate(time.Minute)
	over := 0
	if !now.Equal(f.minute) {
		over = max(0, f.count-strangersAMinute)
		f.minute, f.count = now, 0
	}
	f.count++
	listed := f.count <= strangersAMinute
	f.mu.Unlock()
	if over > 0 {
		s.Audit.Append(audit.Entry{Who: "audit", Role: grid.RoleSystem, Act: "requests.unauthorized", Outcome: audit.Refused, Code: string(grid.Unauthorized), After: json.RawMessage(`{"not_listed":` + jsonText(over) + `}`)})
	}
	if listed {
		s.Audit.Append(e)
	}
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(b)
}

// standing is what an operation is about to change, as it is; nil where the answer says it all.
func (s *Server) standing(ctx context.Context, operation, id string) any {
	var was any
	var err error
	switch operation {
	case "change-point", "retire-point":
		was, err = s.Store.Point(ctx, id)
	case "change-device", "move-device", "retire-device", "revive-device", "bar-device", "undo-replace-device":
		was, err = s.Store.Device(ctx, grid.Identity(id))
	case "move-ticket", "take-ticket", "give-back-ticket":
		var t grid.Ticket
		t, err = s.Store.Ticket(ctx, id)
		was = ticketBrief(&t)
	case "answer-alarm", "acknowledge-alarm", "take-alarm", "give-back-alarm":
		var a grid.Alarm
		a, err = s.Store.Alarm(ctx, id)
		was = viewOf(a).State
	case "put-site":
		was, err = s.Store.Site(ctx, id)
	case "put-building":
		was, err = s.Store.Building(ctx, id)
	case "extend-window", "end-window", "extend-permit", "end-permit", "extend-exercise", "end-exercise":
		was, err = s.Store.Window(ctx, id)
	case "put-contact", "verify-contact", "erase-contact", "put-roster", "end-roster", "put-shift", "end-shift":
		was = s.standingOfPeople(ctx, operation, id)
	}
	if err != nil {
		return nil
	}
	return was
}

// ticketBrief is of a ticket what a move changes.
func ticketBrief(t *grid.Ticket) any {
	type part struct {
		ID    string `json:"id"`
		Unit  string `json:"unit"`
		State any    `json:"state"`
	}
	out := struct {
		State       grid.TicketState `json:"state"`
		Revision    any              `json:"revision"`
		Assignments []part           `json:"assignments,omitempty"`
	}{State: t.State, Revision: t.Revision}
	for _, a := range t.Assignments {
		out.Assignments = append(out.Assignments, part{a.ID, a.Unit, a.State})
	}
	return out
}

// fieldOf is a field of a struct that v points to; nil where there is none, or nothing in it.
func fieldOf(v any, name string) any {
	r := reflect.ValueOf(v)
	for r.Kind() == reflect.Pointer && !r.IsNil() {
		r = r.Elem()
	}
	if r.Kind() != reflect.Struct {
		return nil
	}
	f := r.FieldByName(name)
	if !f.IsValid() || !f.CanInterface() || f.Kind() == reflect.Func || f.IsZero() {
		return nil
	}
	return f.Interface()
}

const hidden = "(secret)"

// withoutSecrets is v as JSON without what is secret: values of grid.Secret, and what stands
// under a key that names a secret. Numbers to be called by are hidden in what people write.
func (s *Server) withoutSecrets(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	if t, ok := v.(*grid.Ticket); ok {
		v = ticketBrief(t)
	} else if t, ok := v.(grid.Ticket); ok {
		v = ticketBrief(&t)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var plain any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&plain); err != nil {
		return nil
	}
	secrets := map[string]bool{}
	secretsOf(reflect.ValueOf(v), secrets)
	b, err = json.Marshal(s.scrub("", plain, secrets))
	if err != nil {
		return nil
	}
	return b
}

func (s *Server) scrub(key string, v any, secrets map[string]bool) any {
	switch v := v.(type) {
	case map[string]any:
		for k, in := range v {
			v[k] = s.scrub(k, in, secrets)
		}
	case []any:
		for i, in := range v {
			v[i] = s.scrub(key, in, secrets)
		}
	case string:
		switch {
		case v == "":
		case secrets[v] || secretKey(key):
			return hidden
		case s.HideNumbers != nil && slices.Contains([]string{"reason", "note", "notes", "comment", "text", "detail", "why"}, key):
			return s.HideNumbers(v)
		}
	}
	return v
}

// secretKey reports whether a key names what nobody may read later.
func secretKey(key string) bool {
	if slices.Contains([]string{"number", "code", "key", "sealed", "claim", "psk", "url"}, key) {
		return true
	}
	for _, word := range []string{"password", "secret", "token", "passphrase", "recovery"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}

// secretsOf collects the values of grid.Secret in v.
func secretsOf(v reflect.Value, to map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			secretsOf(v.Elem(), to)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			secretsOf(v.Field(i), to)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			secretsOf(v.Index(i), to)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			secretsOf(v.MapIndex(k), to)
		}
	case reflect.String:
		if v.Type() == reflect.TypeFor[grid.Secret]() {
			to[v.String()] = true
		}
	}
}

// auditInput is what the audit is asked by.
type auditInput struct {
	Limit   int           `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor  string        `query:"cursor" doc:"The next of the page before."`
	Who     string        `query:"who" doc:"User, unit or token, as it stands there."`
	Role    grid.Role     `query:"role"`
	Act     string        `query:"act" doc:"Id of an operation; session.* is all that begins with session."`
	Object  string        `query:"object" doc:"Part of it."`
	From    string        `query:"from" doc:"Network address."`
	Outcome audit.Outcome `query:"outcome" enum:"done,refused,failed"`
	Since   time.Time     `query:"since"`
	Until   time.Time     `query:"until"`
}

func (in *auditInput) query() audit.Query {
	return audit.Query{Who: in.Who, Role: in.Role, Act: in.Act, Object: in.Object, From: in.From, Outcome: in.Outcome, Since: in.Since, Until: in.Until, Limit: in.Limit, Cursor: in.Cursor}
}

// AuditInput is exported so that what embeds it has its parameters.
type AuditInput = auditInput

type auditExportInput struct {
	AuditInput
	Format string `query:"format" enum:"jsonl,csv" default:"jsonl"`
	Lang   string `query:"lang" enum:"zh,en" default:"zh" doc:"Of the columns of CSV."`
}

// auditRoutes: who did what, and whether the log of it is whole.
func (s *Server) auditRoutes(api huma.API) {
	route(s, api, admins, answerWithin, get("/audit", "list-audit", "audit", "Who did what, from where, with what before and after; newest first"), func(ctx context.Context, by grid.Actor, in *auditInput) (*body[audit.Page], error) {
		if err := s.auditFor(by); err != nil {
			return nil, err
		}
		return answer(s.Audit.List(ctx, in.query()))
	})
	route(s, api, admins, importWithin, get("/audit/verify", "verify-audit", "audit", "Read the whole log and name the first line that is not what it was"), func(ctx context.Context, by grid.Actor, _ *struct{}) (*body[audit.Report], error) {
		if err := s.auditFor(by); err != nil {
			return nil, err
		}
		return answer(s.VerifyAudit(ctx))
	})
	route(s, api, admins, importWithin, get("/audit/export", "export-audit", "audit", "The lines that fit, oldest first, as they stand there or for a spreadsheet"), s.exportAudit)
	list(s, api, supervisors, get("/deeds", "list-deeds", "audit", "Who did what beside the tickets' own histories, as the engine keeps it with what was done; newest first; type is the action"), func(ctx context.Context, q Query) (Page[state.Audit], error) {
		return s.Store.ListAudit(ctx, q)
	})
}

// auditFor refuses who is of a part of the city: the log is of all of it.
func (s *Server) auditFor(by grid.Actor) error {
	if s.Audit == nil || s.VerifyAudit == nil {
		return grid.Errorf(grid.Unavailable, "audit: %w", errors.ErrUnsupported)
	}
	if by.Scope != (grid.Scope{}) {
		return grid.Errorf(grid.Forbidden, "the audit is of the whole district: want an administrator of it")
	}
	return nil
}

func (s *Server) exportAudit(ctx context.Context, by grid.Actor, in *auditExportInput) (*huma.StreamResponse, error) {
	if err := s.auditFor(by); err != nil {
		return nil, err
	}
	q := in.query()
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Cache-Control", "no-store")
		hc.SetHeader("X-Content-Type-Options", "nosniff")
		hc.SetHeader("Content-Disposition", `attachment; filename="audit-`+s.Now().UTC().Format("20060102-150405")+`.`+cmp.Or(in.Format, "jsonl")+`"`)
		var err error
		if in.Format == "csv" {
			hc.SetHeader("Content-Type", "text/csv; charset=utf-8")
			err = s.Audit.WriteCSV(ctx, hc.BodyWriter(), q, in.Lang != "en")
		} else {
			hc.SetHeader("Content-Type", "application/jsonl")
			err = s.Audit.WriteJSONL(ctx, hc.BodyWriter(), q)
		}
		if err != nil {
			panic(http.ErrAbortHandler) // half an export must not look like a whole one
		}
	}}, nil
}
