package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Commissioning reads the plans.
func (c *Client) Commissioning(ctx context.Context) (Commissioning, error) {
	return call[Commissioning](ctx, c, http.MethodGet, "/api/v1/commissioning", nil, nil)
}

// StartVisit begins a commissioning.
func (c *Client) StartVisit(ctx context.Context, n NewVisit) (grid.Visit, error) {
	return call[grid.Visit](ctx, c, http.MethodPost, "/api/v1/visits", nil, &content{json: n})
}

// Visit reads one.
func (c *Client) Visit(ctx context.Context, id string) (grid.Visit, error) {
	return call[grid.Visit](ctx, c, http.MethodGet, visitPath(id, ""), nil, nil)
}

// SayStep says how a step went. key makes it safe to repeat; "" does not.
func (c *Client) SayStep(ctx context.Context, id string, n NewStep, key string) (grid.Visit, error) {
	return call[grid.Visit](ctx, c, http.MethodPost, visitPath(id, "/steps"), nil, &content{json: n, key: key})
}

// FinishVisit signs the verdict.
func (c *Client) FinishVisit(ctx context.Context, id string, n NewVerdict, key string) (grid.Visit, error) {
	return call[grid.Visit](ctx, c, http.MethodPost, visitPath(id, "/finish"), nil, &content{json: n, key: key})
}

// TouchVisit says that the technician's session is there.
func (c *Client) TouchVisit(ctx context.Context, id, session string) (grid.Visit, error) {
	return call[grid.Visit](ctx, c, http.MethodPost, visitPath(id, "/touch"), nil, &content{json: map[string]string{"session": session}})
}

// AnswerVisit answers the question of its window.
func (c *Client) AnswerVisit(ctx context.Context, id string, n NewAnswer) (grid.Visit, error) {
	return call[grid.Visit](ctx, c, http.MethodPost, visitPath(id, "/answer"), nil, &content{json: n})
}

// VisitRecord gives the record of a visit, as PDF. lang is zh or en.
func (c *Client) VisitRecord(ctx context.Context, id, lang string) ([]byte, error) {
	return do(ctx, c, http.MethodGet, visitPath(id, "/record.pdf"), url.Values{"lang": {lang}}, nil, time.Minute)
}

// WatchVisit gives every message of a visit to fn until the visit is decided, ctx is done or
// fn returns an error.
func (c *Client) WatchVisit(ctx context.Context, id string, fn func(Message) error) error {
	res, err := c.send(ctx, http.MethodGet, visitPath(id, "/stream"), http.Header{"Accept": {"text/event-stream"}}, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return problemOf(c, res)
	}
	var m Message
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "event":
			m.Name = value
		case "data":
			m.Data = json.RawMessage(value)
		case "":
			if lines.Text() != "" || m.Name == "" {
				continue
			}
			if err := fn(m); err != nil {
				return err
			}
			m = Message{}
		}
	}
	return lines.Err()
}

func visitPath(id, what string) string { return "/api/v1/visits/" + url.PathEscape(id) + what }
