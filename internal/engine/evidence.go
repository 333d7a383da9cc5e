package engine

import (
	"context"
	"fmt"

	"gridgate/internal/grid"
	"gridgate/internal/ticket"
)

// AddFile puts a file that is kept behind a ticket and into its history. The same bytes for
// the same ticket, showing the same, are one file.
func (e *Engine) AddFile(ctx context.Context, f grid.EvidenceFile) (grid.EvidenceFile, error) {
	key := fmt.Sprintf("file/%s/%s/%s", f.Ticket, f.SHA256, f.Shows)
	return as[grid.EvidenceFile](e.do(ctx, &command{name: "file", key: key, do: func(b *batch) (any, error) { return b.addFile(f) }}))
}

func (b *batch) addFile(f grid.EvidenceFile) (any, error) {
	e := b.e
	if err := e.recall(f.Ticket); err != nil {
		return nil, err
	}
	t := e.tickets[f.Ticket]
	f.ID, f.At = b.id(), b.now
	f.Scope, f.Cell, f.Mode = t.Scope, t.Cell, t.Mode
	b.rows.Files = append(b.rows.Files, f)
	if t.State.Ended() { // a late photo is kept; the history has ended
		return f, nil
	}
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		return nil, err
	}
	row := b.changeTicket(t.ID)
	words := fmt.Sprintf("%s%s (%s %s)", grid.EvidencePrefix, f.ID, f.Shows, f.Type)
	res, err := ticket.Apply(row, grid.Move{Ticket: t.ID, Verb: grid.VerbNote, By: f.By, At: e.Now(), Reason: words, Evidence: f.Note}, plan, e.context(row))
	if err != nil {
		return nil, err
	}
	b.ticketChanged(row, res)
	return f, nil
}
