package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// answer is the body of POST /api/v1/tickets/{id}/moves.
type answer struct {
	Verb       grid.Verb `json:"verb"`
	Assignment string    `json:"assignment,omitempty"`
	Attempt    int       `json:"attempt,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	OnSite     bool      `json:"on_site,omitempty"`
	Finding    string    `json:"finding,omitempty"`
	Evidence   string    `json:"evidence,omitempty"`
}

// work is what a unit's people do about a ticket: accept, drive there, put it right,
// report it done, and for P1 give their word for it.
func (c *crew) work(ctx context.Context, id string, m message) {
	d := c.all.cfg.Delays
	steps := []struct {
		after time.Duration
		do    func() error
	}{
		{d.Accept, func() error { return c.move(ctx, id, m, answer{Verb: grid.VerbAccept}) }},
		{d.Arrive, func() error { return c.move(ctx, id, m, answer{Verb: grid.VerbArrive, OnSite: true}) }},
		{0, func() error { return c.find(ctx, id, m) }},
		{d.Clear, func() error { return c.putRight(ctx, m) }},
		{d.Resolve, func() error {
			return c.move(ctx, id, m, answer{Verb: grid.VerbResolve, OnSite: true, Reason: "已处置 / put right"})
		}},
		{d.Confirm, func() error { return c.giveWord(ctx, id, m) }},
	}
	for _, s := range steps {
		select {
		case <-time.After(s.after):
		case <-ctx.Done():
			return
		}
		if err := s.do(); err != nil {
			if ctx.Err() == nil {
				c.say("stopped", m, "stops work on ticket %s: %v", m.Data.Ticket, err)
			}
			return
		}
	}
}

// find is the word of the first on site that it is a fire: it calls the fire unit.
func (c *crew) find(ctx context.Context, id string, m message) error {
	if !m.Data.Lead || !strings.HasPrefix(m.Data.Event, "smoke.") {
		return nil
	}
	return c.move(ctx, id, m, answer{Verb: grid.VerbVerify, Finding: string(grid.VerifiedTrue), OnSite: true,
		Reason: "现场核实：确有火情 / seen on site: there is a fire"})
}

// putRight is done by the leading unit only: one pair of hands closes a cover.
func (c *crew) putRight(ctx context.Context, m message) error {
	if !m.Data.Lead || c.all.cfg.Restore == nil || m.Data.Place.Point == "" {
		return nil
	}
	if err := c.all.cfg.Restore(ctx, m.Data.Place.Point, c.ID); err != nil {
		c.say("cannot", m, "cannot put %s right: %v", m.Data.Place.Point, err) // the check will show it
	}
	return nil
}

func (c *crew) giveWord(ctx context.Context, id string, m message) error {
	if !m.Data.Lead || m.Data.Priority != "P1" {
		return nil
	}
	return c.move(ctx, id, m, answer{Verb: grid.VerbConfirm, OnSite: true,
		Evidence: "现场核实：险情已排除，设备已复位 / seen on site: no danger, device reset"})
}

// move tells the gateway. It tries again while the gateway cannot answer, under the same
// key, and takes a refusal as final.
func (c *crew) move(ctx context.Context, id string, m message, a answer) error {
	a.Assignment, a.Attempt = m.Data.Assignment, m.Data.Attempt
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	pause := 200 * time.Millisecond
	for try := 1; ; try++ {
		status, detail, err := c.post(ctx, id, m, a.Verb, body)
		switch {
		case err == nil && status/100 == 2:
			c.say(string(a.Verb), m, "%s ticket %s: %s", past[a.Verb], m.Data.Ticket, m.Data.Title)
			return nil
		case err == nil && status != http.StatusTooManyRequests && status/100 == 4:
			return fmt.Errorf("%s is answered %d: %s", a.Verb, status, detail)
		case try == 20 && err != nil:
			return err
		case try == 20:
			return fmt.Errorf("%s is answered %d, %d times", a.Verb, status, try)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, 5*time.Second)
	}
}

var past = map[grid.Verb]string{
	grid.VerbAccept: "accepts", grid.VerbArrive: "is on site for", grid.VerbVerify: "says what it finds:", grid.VerbResolve: "reports done", grid.VerbConfirm: "confirms on site",
}

func (c *crew) post(ctx context.Context, id string, m message, v grid.Verb, body []byte) (status int, detail string, err error) {
	url := m.Data.CallbackURL
	if api := c.all.cfg.API; api != "" {
		url = strings.TrimSuffix(api, "/") + "/api/v1/tickets/" + m.Data.Ticket + "/moves"
	}
	if url == "" {
		return 0, "", grid.Errorf(grid.Invalid, "message has no callback_url: want one, or --api")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Idempotency-Key", id+"-"+string(v))
	resp, err := c.all.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // for a person; the status decides
	return resp.StatusCode, string(bytes.TrimSpace(text)), nil
}
