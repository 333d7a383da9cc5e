package state

import (
	"context"
	"time"

	"gridgate/internal/grid"
)

// fileTable writes a file's row once: it does not change.
var fileTable = table[grid.EvidenceFile]{
	name: "evidence_files", key: "id", once: true,
	cols: "id, ticket, " + allScope + ", sha256, bytes, type, shows, note, by_role, by_name, by_unit, at",
	bind: func(a *args, f *grid.EvidenceFile) {
		a.text(f.ID, f.Ticket)
		a.scope(f.Scope)
		a.text(f.Cell, string(f.Mode), f.SHA256)
		a.num(f.Bytes)
		a.text(f.Type, f.Shows, f.Note)
		a.actor(f.By)
		a.time(f.At)
	},
	scan: func(r *row) grid.EvidenceFile {
		return grid.EvidenceFile{
			ID: r.text(), Ticket: r.text(), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()), SHA256: r.text(), Bytes: r.num(),
			Type: r.text(), Shows: r.text(), Note: r.text(), By: r.actor(), At: r.time(),
		}
	},
}

// File gives the row of a file.
func (s *Store) File(ctx context.Context, id string) (grid.EvidenceFile, error) {
	return one(ctx, s, &fileTable, "file", "id", id)
}

// Files gives the files of a ticket, oldest first.
func (s *Store) Files(ctx context.Context, ticket string) ([]grid.EvidenceFile, error) {
	return readAll(ctx, s, &fileTable, "WHERE ticket = ? ORDER BY at, id", ticket)
}

// FalseAlarms counts the tickets of a type at a point, opened since then, that were for
// nothing by somebody's word; one is left out, and so is what people filed.
func (s *Store) FalseAlarms(ctx context.Context, point string, typ grid.EventType, since time.Time, but string) (n int, err error) {
	tickets, err := readAll(ctx, s, &ticketTable, "WHERE point = ? AND type = ? AND opened >= ? AND id <> ? AND device NOT LIKE 'filed:%'", point, string(typ), nanos(since), but)
	for i := range tickets {
		t := &tickets[i]
		if t.Verification == grid.VerifiedFalse || t.State == grid.TicketCancelled || t.State == grid.TicketNotFiled {
			n++
		}
	}
	return n, err
}
