package api

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// ErrUnreachable says that no gateway answered.
var ErrUnreachable = errors.New("the gateway cannot be reached")

// Client speaks to a gateway's API. Its errors carry the code that the gateway gave.
type Client struct {
	URL   string       // http://127.0.0.1:8080
	Token string       //
	HTTP  *http.Client // nil is http.DefaultClient; each call has a deadline of its own
}

// List reads one page of a list, for example List[grid.Ticket](ctx, c, "tickets", Query{State: "open"}).
func List[T any](ctx context.Context, c *Client, what string, q Query) (Page[T], error) {
	return call[Page[T]](ctx, c, http.MethodGet, "/api/v1/"+what, values(q), nil)
}

// values is a query as lists take it.
func values(q Query) url.Values {
	v := url.Values{}
	for key, value := range map[string]string{
		"district": q.Scope.District, "street": q.Scope.Street, "community": q.Scope.Community, "compound": q.Scope.Compound,
		"unit": q.Unit, "cell": q.Cell, "kind": q.Kind, "state": q.State, "point": q.Point, "device": q.Device,
		"ticket": q.Ticket, "type": q.Type, "q": q.Text, "cursor": q.Cursor, "profile": q.Profile,
		"since": stamp(q.Since), "until": stamp(q.Until),
	} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// Ticket reads one ticket.
func (c *Client) Ticket(ctx context.Context, id string) (grid.Ticket, error) {
	return call[grid.Ticket](ctx, c, http.MethodGet, "/api/v1/tickets/"+url.PathEscape(id), nil, nil)
}

// Moves reads a ticket's history.
func (c *Client) Moves(ctx context.Context, ticket string) (Page[grid.MoveRecord], error) {
	return call[Page[grid.MoveRecord]](ctx, c, http.MethodGet, "/api/v1/tickets/"+url.PathEscape(ticket)+"/moves", nil, nil)
}

// Move moves a ticket. key makes it safe to repeat; "" does not.
func (c *Client) Move(ctx context.Context, ticket string, m Move, key string) (grid.Ticket, error) {
	return call[grid.Ticket](ctx, c, http.MethodPost, "/api/v1/tickets/"+url.PathEscape(ticket)+"/moves", nil, &content{json: m, key: key})
}

// History reads past values of a signal at a point; zero times are the API's defaults.
func (c *Client) History(ctx context.Context, point string, signal grid.Signal, from, to time.Time) (History, error) {
	v := url.Values{"signal": {signal.String()}}
	for key, t := range map[string]time.Time{"from": from, "to": to} {
		if !t.IsZero() {
			v.Set(key, stamp(t))
		}
	}
	return call[History](ctx, c, http.MethodGet, "/api/v1/points/"+url.PathEscape(point)+"/history", v, nil)
}

// Explain reads a ticket's timeline.
func (c *Client) Explain(ctx context.Context, ticket string) (Explanation, error) {
	return call[Explanation](ctx, c, http.MethodGet, "/api/v1/tickets/"+url.PathEscape(ticket)+"/explain", nil, nil)
}

// WayIn reads how one gets in where a ticket is.
func (c *Client) WayIn(ctx context.Context, ticket string) (WayIn, error) {
	return call[WayIn](ctx, c, http.MethodGet, "/api/v1/tickets/"+url.PathEscape(ticket)+"/way-in", nil, nil)
}

// Device reads a device, where it is and how it is.
func (c *Client) Device(ctx context.Context, id grid.Identity) (DeviceView, error) {
	return call[DeviceView](ctx, c, http.MethodGet, "/api/v1/devices/"+url.PathEscape(string(id)), nil, nil)
}

// Claim makes a discovered device ours.
func (c *Client) Claim(ctx context.Context, id grid.Identity, claim Claim) (Claimed, error) {
	return call[Claimed](ctx, c, http.MethodPost, "/api/v1/devices/"+url.PathEscape(string(id))+"/claim", nil, &content{json: claim})
}

// Import puts a registry file.
func (c *Client) Import(ctx context.Context, file []byte, dryRun bool) (Imported, error) {
	return call[Imported](ctx, c, http.MethodPut, "/api/v1/registry", url.Values{"dry_run": {strconv.FormatBool(dryRun)}}, &content{raw: file})
}

// Frames reads raw frames, newest first: of a device, or of a lane.
func (c *Client) Frames(ctx context.Context, device grid.Identity, lane string, since time.Time, limit int) (Page[Frame], error) {
	v := url.Values{"limit": {strconv.Itoa(limit)}}
	if device != "" {
		v.Set("device", string(device))
	} else if lane != "" {
		v.Set("lane", lane)
	}
	if !since.IsZero() {
		v.Set("since", stamp(since))
	}
	return call[Page[Frame]](ctx, c, http.MethodGet, "/api/v1/frames", v, nil)
}

// Replay sends quarantined frames through the engine again.
func (c *Client) Replay(ctx context.Context, ids []string) (Replayed, error) {
	return call[Replayed](ctx, c, http.MethodPost, "/api/v1/quarantine/replay", nil, &content{json: map[string]any{"ids": ids}})
}

// Discard gives quarantined frames up.
func (c *Client) Discard(ctx context.Context, ids []string, reason string) (Discarded, error) {
	return call[Discarded](ctx, c, http.MethodPost, "/api/v1/quarantine/discard", nil, &content{json: map[string]any{"ids": ids, "reason": reason}})
}

// Ledger reads the count.
func (c *Client) Ledger(ctx context.Context) (Ledger, error) {
	return call[Ledger](ctx, c, http.MethodGet, "/api/v1/ledger", nil, nil)
}

// Links reads the health of each transport.
func (c *Client) Links(ctx context.Context) (Page[grid.LinkHealth], error) {
	return call[Page[grid.LinkHealth]](ctx, c, http.MethodGet, "/api/v1/transports", nil, nil)
}

// Peers reads one page of who is behind a link; of q it uses State, Text, Limit and Cursor.
func (c *Client) Peers(ctx context.Context, link string, q Query) (Page[grid.LinkHealth], error) {
	return List[grid.LinkHealth](ctx, c, "transports/"+url.PathEscape(link)+"/peers", q)
}

// Backup has the gateway write a backup into a folder of its own machine.
func (c *Client) Backup(ctx context.Context, dir string) error {
	_, err := do(ctx, c, http.MethodPost, "/api/v1/backup", nil, &content{json: map[string]string{"to": dir}}, time.Hour)
	return err
}

// Ready asks whether every part is up. A gateway that is not answers too.
func (c *Client) Ready(ctx context.Context) (Readiness, error) {
	var r Readiness
	res, err := c.send(ctx, http.MethodGet, "/readyz", nil, nil)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		return r, fmt.Errorf("gateway %s: readiness: %w", c.URL, err)
	}
	return r, nil
}

// Stream gives every message of the live stream to fn, until ctx is done or fn returns an
// error. When the line breaks it connects again and resumes after the last event; only
// the first connection must succeed.
func (c *Client) Stream(ctx context.Context, fn func(Message) error) error {
	const shortest, longest = 250 * time.Millisecond, 10 * time.Second
	last, pause := "", shortest
	for first := true; ; first = false {
		opened, err := c.streamOnce(ctx, &last, fn)
		var stop *stopped
		switch {
		case errors.As(err, &stop):
			return stop.err
		case ctx.Err() != nil:
			return ctx.Err()
		case first && !opened:
			return err
		case opened:
			pause = shortest
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// stopped is fn's wish to end.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

// streamOnce reads one connection to its end.
func (c *Client) streamOnce(ctx context.Context, last *string, fn func(Message) error) (opened bool, err error) {
	h := http.Header{"Accept": {"text/event-stream"}}
	if *last != "" {
		h.Set("Last-Event-ID", *last)
	}
	res, err := c.send(ctx, http.MethodGet, "/api/v1/stream", h, nil)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false, problemOf(c, res)
	}
	var m Message
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "event":
			m.Name = value
		case "id":
			m.ID = value
		case "data":
			m.Data = json.RawMessage(value)
		case "":
			if lines.Text() != "" || m.Name == "" { // a comment, or the end of one
				continue
			}
			if err := fn(m); err != nil {
				return true, &stopped{err}
			}
			*last, m = cmp.Or(m.ID, *last), Message{}
		}
	}
	return true, lines.Err()
}

// content is the body of a request.
type content struct {
	json any
	raw  []byte // YAML
	key  string // Idempotency-Key
}

// call sends and reads an answer of type T.
func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, in *content) (T, error) {
	var out T
	b, err := do(ctx, c, method, path, query, in, importWithin)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

func do(ctx context.Context, c *Client, method, path string, query url.Values, in *content, within time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	h, b, err := in.encode()
	if err != nil {
		return nil, err
	}
	res, err := c.send(ctx, method, path, h, b)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return nil, problemOf(c, res)
	}
	return io.ReadAll(res.Body)
}

func (in *content) encode() (http.Header, []byte, error) {
	if in == nil {
		return nil, nil, nil
	}
	h := http.Header{}
	if in.key != "" {
		h.Set("Idempotency-Key", in.key)
	}
	switch {
	case in.raw != nil:
		h.Set("Content-Type", "application/yaml")
		return h, in.raw, nil
	case in.json != nil:
		h.Set("Content-Type", "application/json")
		b, err := json.Marshal(in.json)
		return h, b, err
	}
	return h, nil, nil
}

func (c *Client) send(ctx context.Context, method, path string, h http.Header, b []byte) (*http.Response, error) {
	var in io.Reader
	if b != nil {
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, in)
	if err != nil {
		return nil, fmt.Errorf("gateway %s: %w", c.URL, err)
	}
	if h != nil {
		req.Header = h
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	res, err := cmp.Or(c.HTTP, http.DefaultClient).Do(req)
	if err != nil {
		return nil, fmt.Errorf("gateway %s: %w: %w", c.URL, ErrUnreachable, err)
	}
	return res, nil
}

// problemOf turns problem details back into the error they were made of.
func problemOf(c *Client, res *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(res.Body, maxBody))
	var p huma.ErrorModel
	if json.Unmarshal(b, &p) != nil || p.Status == 0 {
		return grid.Errorf(codeOf(res.StatusCode), "gateway %s: %s: %s", c.URL, res.Status, shorten(string(b), 200))
	}
	detail := p.Detail
	for _, e := range p.Errors {
		detail += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	code, named := strings.CutPrefix(p.Type, problemType)
	if !named {
		code = string(codeOf(p.Status))
	}
	return grid.Errorf(grid.Code(code), "%s", detail)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
