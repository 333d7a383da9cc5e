package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Commands are the other input beside frames: moves by people and units, delivery
// results, registry changes, claims, replays. Each is a function that runs in the state
// goroutine on the batch of the turn; its answer is given after the commit.
type command struct {
	name   string
	key    string // makes it idempotent; "" : it is by nature, or may be done again
	do     func(b *batch) (any, error)
	answer chan answer

	// registry: it looks at the registry in memory and changes it, so it is the last command of
	// its turn. act is whose change that is, for the history.
	registry bool
	act      grid.Act
}

type answer struct {
	value any
	err   error
}

func (c *command) reply(v any, err error) { c.answer <- answer{v, err} }

// do hands a command to the state goroutine and waits until it is durable.
func (e *Engine) do(ctx context.Context, c *command) (any, error) {
	c.answer = make(chan answer, 1)
	select {
	case e.cmds <- c:
	case <-ctx.Done():
		return nil, grid.Errorf(grid.Unavailable, "%s: engine is busy: %w", c.name, ctx.Err())
	}
	select {
	case a := <-c.answer:
		return a.value, a.err
	case <-ctx.Done():
		return nil, grid.Errorf(grid.Unavailable, "%s: no answer yet, it may still be done: %w", c.name, ctx.Err())
	}
}

// command runs one command of the turn. What fails leaves no trace in the batch.
func (b *batch) command(c *command) {
	cause := "cmd/" + c.name + "/" + c.key
	if c.key == "" { // one of many of this instant
		b.e.commandNo++
		cause += strconv.FormatUint(b.e.commandNo, 10)
	}
	b.because(cause, b.e.Now())
	if c.key != "" {
		done, ok, err := b.applied(c.key)
		if ok || err != nil {
			b.after = append(b.after, func() { c.reply(done, err) })
			return
		}
	}
	m := b.mark()
	v, err := c.do(b)
	if err == nil {
		act := c.act
		if act.Via == "" && act.By.Role == "" {
			act.Via = c.name
		}
		err = b.logRegistry(&m, act, cause)
	}
	if err != nil {
		b.rollback(m)
		b.after = append(b.after, func() { c.reply(nil, err) })
		return
	}
	if c.key != "" {
		if raw, err := json.Marshal(v); err == nil {
			b.rows.Commands = append(b.rows.Commands, state.Applied{Key: c.key, At: b.now, Result: raw})
		}
	}
	b.after = append(b.after, func() { c.reply(v, nil) })
}

// applied finds what a command with this key answered before.
func (b *batch) applied(key string) (any, bool, error) {
	for _, a := range b.rows.Commands {
		if a.Key == key {
			return json.RawMessage(a.Result), true, nil
		}
	}
	a, ok, err := b.e.store.Applied(context.Background(), key)
	if err != nil {
		return nil, false, grid.Errorf(grid.Unavailable, "whether %s was done before cannot be read: %w", key, err)
	}
	return json.RawMessage(a.Result), ok, nil
}

// refuseCommands answers those who still wait when the engine stops.
func (e *Engine) refuseCommands() {
	for {
		select {
		case c := <-e.cmds:
			c.reply(nil, grid.Errorf(grid.Unavailable, "%s: gateway is stopping", c.name))
		default:
			return
		}
	}
}

// refuse answers those whose turn was given up when the engine stopped.
func (t *turn) refuse() {
	for _, c := range t.cmds {
		select {
		case c.answer <- answer{nil, grid.Errorf(grid.Unavailable, "%s: gateway is stopping, it was not done", c.name)}:
		default: // it has its answer
		}
	}
}

// as turns an answer, fresh or stored, into its type.
func as[T any](v any, err error) (T, error) {
	var out T
	if err != nil {
		return out, err
	}
	if raw, ok := v.(json.RawMessage); ok {
		if err := json.Unmarshal(raw, &out); err != nil {
			return out, fmt.Errorf("stored answer: %w", err)
		}
		return out, nil
	}
	out, _ = v.(T)
	return out, nil
}

func (b *batch) audit(action, subject string, by grid.Actor, a *grid.Alarm) {
	row := state.Audit{ID: b.id(), At: b.now, By: by, Action: action, Subject: subject, Mode: grid.Live}
	if a != nil {
		row.Scope, row.Cell, row.Mode = a.Scope, a.Cell, a.Mode
	}
	b.rows.Audit = append(b.rows.Audit, row)
}

// Down notes a span in which a transport source could not hear; zero To: it still lasts.
// Silence in it is nobody's fault behind that source.
func (e *Engine) Down(ctx context.Context, source string, from, to time.Time) error {
	_, err := e.do(ctx, &command{name: "down", do: func(b *batch) (any, error) {
		span := state.DownSpan{Source: source, From: from, To: to}
		old := e.down
		for i := range old {
			if old[i].Source == source && old[i].From.Equal(from) {
				next := append([]state.DownSpan{}, old...)
				next[i].To = to
				e.down = next
				b.undo = append(b.undo, func() { e.down = old })
				b.rows.Down = append(b.rows.Down, span)
				return nil, nil
			}
		}
		b.addDown(span)
		return nil, nil
	}})
	return err
}
