package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Step is one line of a ticket's timeline.
type Step struct {
	At     time.Time `json:"at"`
	What   string    `json:"what" enum:"frame,decoded,event,alarm,ticket,move,delivery,answer,closed"`
	Detail string    `json:"detail" doc:"A sentence for a person."`
	Data   any       `json:"data,omitempty"`
}

// Explanation is a ticket's way from raw bytes to closure.
type Explanation struct {
	Ticket   grid.Ticket `json:"ticket"`
	Timeline []Step      `json:"timeline"`
}

// explain puts together everything that is stored about a ticket.
func (s *Server) explain(ctx context.Context, by grid.Actor, in *idInput) (*body[Explanation], error) {
	t, err := s.ticketFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	s.lookedAtPlace(ctx, t.Point)
	c := caseFile{ticket: t, traceOf: s.traceOf}
	if c.evidence, err = s.Store.EvidenceOf(ctx, t.ID); err != nil {
		return nil, err
	}
	if c.events, err = everything(ctx, s.Store.ListEvents, t.ID); err != nil {
		return nil, err
	}
	if c.deliveries, err = everything(ctx, s.Store.ListDeliveries, t.ID); err != nil {
		return nil, err
	}
	if c.moves, err = s.Store.Moves(ctx, t.ID); err != nil {
		return nil, err
	}
	c.tries = map[string][]grid.Attempt{}
	for _, d := range c.deliveries {
		if c.tries[d.ID], err = s.Store.Attempts(ctx, d.ID); err != nil {
			return nil, err
		}
	}
	if c.files, err = s.Store.Files(ctx, t.ID); err != nil {
		return nil, err
	}
	if t.Alarm != "" {
		a, err := s.Store.Alarm(ctx, t.Alarm)
		switch {
		case err == nil:
			c.alarm = &a
		case grid.CodeOf(err) != grid.NotFound: // a ticket may outlive its alarm
			return nil, err
		}
	}
	if by.Role == grid.RoleUnit {
		c.narrow(by.Unit)
	}
	return &body[Explanation]{Explanation{t, c.timeline()}}, nil
}

// everything reads all pages of what belongs to a ticket.
func everything[T any](ctx context.Context, from func(context.Context, Query) (Page[T], error), ticket string) ([]T, error) {
	var all []T
	q := Query{Ticket: ticket, Limit: 1000}
	for {
		page, err := from(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return all, nil
		}
	}
}

// caseFile is everything that is known about a ticket.
type caseFile struct {
	ticket     grid.Ticket
	alarm      *grid.Alarm
	evidence   []Evidence
	events     []grid.Event
	moves      []grid.MoveRecord
	files      []grid.EvidenceFile
	deliveries []grid.Delivery
	tries      map[string][]grid.Attempt
	traceOf    func(grid.Pos) string
}

// causal is the order of steps of the same instant: what causes comes before what follows.
var causal = []string{"frame", "decoded", "event", "alarm", "ticket", "move", "delivery", "answer", "closed"}

// timeline tells the case in order of time, causes before consequences.
func (c *caseFile) timeline() []Step {
	var steps []Step
	add := func(at time.Time, what string, data any, format string, args ...any) {
		steps = append(steps, Step{at, what, fmt.Sprintf(format, args...), data})
	}
	for i := range c.evidence {
		c.tellEvidence(&c.evidence[i], add)
	}
	for _, e := range c.events {
		add(e.Received, "event", e, "%s %s at %s (%s, %s)%s", e.Type, e.Action, orNone(e.Point), e.Priority, e.Mode, after(": ", e.Detail))
	}
	if a := c.alarm; a != nil {
		add(a.Raised, "alarm", a, "%s: episode %s of %s begins", a.Type, a.ID, a.Point)
		if !a.Returned.IsZero() {
			add(a.Returned, "alarm", nil, "%s: the sensor is back to normal", a.Type)
		}
	}
	t := &c.ticket
	add(t.Opened, "ticket", nil, "ticket %s (%s) opened: %s%s", t.ID, t.Case, t.Title, after(", ", t.Place))
	for _, m := range c.moves {
		add(m.At, "move", m, "%s%s: %s, by %s%s%s", m.Verb, after(" ", m.Assignment), m.Step(), who(m.By), after(": ", m.Reason), after(" — ", m.Detail))
	}
	for _, d := range c.deliveries {
		add(d.Created, "delivery", d, "%s for %s by %s: %s", d.Type, d.Unit, d.Connector, d.State)
		for _, a := range c.tries[d.ID] {
			add(a.At.Add(a.Took), "answer", a, "%s to %s, try %d: %s", d.Type, d.Unit, a.N, outcome(a))
		}
	}
	steps = append(steps, erasedSteps(c.files)...)
	if !t.Closed.IsZero() {
		add(t.Closed, "closed", nil, "ticket %s is %s", t.ID, t.State)
	}
	slices.SortStableFunc(steps, func(a, b Step) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(slices.Index(causal, a.What), slices.Index(causal, b.What)))
	})
	return steps
}

// tellEvidence adds a raw frame and what its profile made of it.
func (c *caseFile) tellEvidence(e *Evidence, add func(time.Time, string, any, string, ...any)) {
	f := viewFrame(&e.Frame)
	f.Pos, f.Trace = e.Pos.String(), c.traceOf(e.Pos)
	add(e.Frame.Received, "frame", f, "%d bytes from %s by %s %s %s: %s%s", f.Bytes, f.Device, f.Transport, f.Source, f.Address, shorten(f.Raw, 160), after(", trace ", f.Trace))
	if len(e.Decoded) > 0 {
		add(e.Frame.Received, "decoded", e.Decoded, "%s%s", readings(e.Decoded), after(", configuration ", e.Config))
	}
}

// readings words what a profile made of a frame; the shape is that of "gridgate profile decode".
func readings(decoded json.RawMessage) string {
	var d struct {
		Profile  string `json:"profile"`
		Readings []struct {
			Signal  string `json:"signal"`
			Channel string `json:"channel"`
			Value   any    `json:"value"`
			UOM     string `json:"uom"`
		} `json:"readings"`
	}
	if json.Unmarshal(decoded, &d) != nil || len(d.Readings) == 0 {
		return shorten(string(decoded), 300)
	}
	words := make([]string, len(d.Readings))
	for i, r := range d.Readings {
		words[i] = fmt.Sprintf("%s%s = %v%s", r.Signal, after("@", r.Channel), r.Value, after(" ", r.UOM))
	}
	return strings.TrimSpace(d.Profile + " says " + strings.Join(words, ", "))
}

func outcome(a grid.Attempt) string {
	switch {
	case a.Error != "":
		return strings.TrimSpace(fmt.Sprintf("failed after %s: %s", round(a.Took), a.Error))
	case a.Status != 0:
		return fmt.Sprintf("answered %d after %s%s", a.Status, round(a.Took), after(": ", shorten(a.Detail, 160)))
	}
	return fmt.Sprintf("taken after %s%s", round(a.Took), after(": ", a.Detail))
}

func who(a grid.Actor) string {
	if string(a.Role) == a.Name || a.Name == "" {
		return string(a.Role)
	}
	return string(a.Role) + " " + a.Name
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

func orNone(s string) string { return cmp.Or(s, "no point") }

// after gives s with its separator, or nothing.
func after(sep, s string) string {
	if s == "" {
		return ""
	}
	return sep + s
}

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
