package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// client asks the gateway by its public API, as any program would. It has no code in
// common with the gateway's own.
type client struct {
	url   string
	token string
	http  *http.Client
}

func newClient(url, token string) *client {
	return &client{strings.TrimSuffix(url, "/"), token, &http.Client{Timeout: 20 * time.Second}}
}

// problem is an answer that is no.
type problem struct {
	status int
	detail string
}

func (p *problem) Error() string { return fmt.Sprintf("answered %d: %s", p.status, p.detail) }

// do sends body, as JSON unless it is bytes, and reads the answer into out unless it is nil.
func (c *client) do(ctx context.Context, method, path string, body, out any) error {
	kind := "application/json"
	var send io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		send, kind = bytes.NewReader(b), "application/yaml"
	default:
		j, err := json.Marshal(b)
		if err != nil {
			return err
		}
		send = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, send)
	if err != nil {
		return err
	}
	if send != nil {
		req.Header.Set("Content-Type", kind)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 && !(path == "/readyz" && res.StatusCode == http.StatusServiceUnavailable) {
		return fmt.Errorf("%s %s: %w", method, path, &problem{res.StatusCode, short(string(bytes.TrimSpace(answer)), 400)})
	}
	if out == nil || len(answer) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: answer: %w", method, path, err)
	}
	return nil
}

func short(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// list reads all pages of a list, at most 20,000 rows.
func (c *client) list(ctx context.Context, what string, q url.Values) ([]map[string]any, error) {
	if q == nil {
		q = url.Values{}
	}
	q.Set("limit", "1000")
	var all []map[string]any
	for len(all) < 20_000 {
		var page struct {
			Items []map[string]any `json:"items"`
			Next  string           `json:"next"`
		}
		if err := c.do(ctx, http.MethodGet, "/api/v1/"+what+"?"+q.Encode(), nil, &page); err != nil {
			return all, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		q.Set("cursor", page.Next)
	}
	return all, nil
}

// readiness is what /readyz says.
type readiness struct {
	Ready      bool              `json:"ready"`
	Parts      map[string]string `json:"parts"`
	Simulation struct {
		Allowed bool      `json:"allowed"`
		Speed   float64   `json:"speed"`
		Now     time.Time `json:"now"`
	} `json:"simulation"`
}

func (c *client) ready(ctx context.Context) (readiness, error) {
	var r readiness
	err := c.do(ctx, http.MethodGet, "/readyz", nil, &r)
	return r, err
}

// waitReady waits until every part of the gateway is up.
func (c *client) waitReady(ctx context.Context, ended <-chan struct{}) (readiness, error) {
	for {
		r, err := c.ready(ctx)
		if err == nil && r.Ready {
			return r, nil
		}
		if err == nil {
			err = fmt.Errorf("not ready: %v", r.Parts)
		}
		select {
		case <-ended:
			return r, grid.Errorf(grid.Unavailable, "gateway ended before it was ready: %w", err)
		case <-ctx.Done():
			return r, grid.Errorf(grid.Unavailable, "gateway %s: %w", c.url, err)
		case <-time.After(30 * time.Millisecond):
		}
	}
}
