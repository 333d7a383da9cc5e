package audit

import (
	"context"
	"encoding/json"
	"sync"
)

// Notes is what a handler tells of the request it answers.
type Notes struct {
	mu            sync.Mutex
	personal      bool
	object        string
	before, after json.RawMessage
}

type notesKey struct{}

// WithNotes gives a request its notes.
func WithNotes(ctx context.Context) (context.Context, *Notes) {
	n := &Notes{}
	return context.WithValue(ctx, notesKey{}, n), n
}

// Note tells what was before a change and what is after it; nil is not said. It stands in the
// audit as JSON, so nothing secret may be in it.
func Note(ctx context.Context, before, after any) {
	n, ok := ctx.Value(notesKey{}).(*Notes)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if before != nil {
		n.before = note(before)
	}
	if after != nil {
		n.after = note(after)
	}
}

// Personal says that what is read is personal, of a dwelling above all: the look stands in the
// audit. of names it where the path does not.
func Personal(ctx context.Context, of string) {
	n, ok := ctx.Value(notesKey{}).(*Notes)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.personal, n.object = true, of
}

// Onto writes the notes over an entry, and says whether what was read is personal.
func (n *Notes) Onto(e *Entry) (personal bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.before != nil {
		e.Before = n.before
	}
	if n.after != nil {
		e.After = n.after
	}
	if n.object != "" {
		if e.Object != "" {
			e.Object += " "
		}
		e.Object += n.object
	}
	return n.personal
}
