package state

import (
	"context"
	"time"

	"gridgate/internal/grid"
)

// keptOnce is what an upsert does with the row of a file: it takes that it was erased, and nothing else.
func keptOnce(cols string) map[string]string {
	sets := map[string]string{}
	for _, c := range columns(cols) {
		sets[c] = ""
	}
	for _, c := range []string{"note", "erased", "erased_why"} {
		sets[c] = "CASE excluded.erased WHEN 0 THEN " + c + " ELSE excluded." + c + " END"
	}
	return sets
}

const fileCols = "id, ticket, " + allScope + ", sha256, bytes, type, shows, note, by_role, by_name, by_unit, at, erased, erased_why"

// fileTable writes a file's row once: it does not change, but that it is erased.
var fileTable = table[grid.EvidenceFile]{
	name: "evidence_files", key: "id", sets: keptOnce(fileCols),
	cols: fileCols,
	bind: func(a *args, f *grid.EvidenceFile) {
		a.text(f.ID, f.Ticket)
		a.scope(f.Scope)
		a.text(f.Cell, string(f.Mode), f.SHA256)
		a.num(f.Bytes)
		a.text(f.Type, f.Shows, f.Note)
		a.actor(f.By)
		a.time(f.At)
		a.time(f.Erased)
		a.text(f.Why)
	},
	scan: func(r *row) grid.EvidenceFile {
		return grid.EvidenceFile{
			ID: r.text(), Ticket: r.text(), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()), SHA256: r.text(), Bytes: r.num(),
			Type: r.text(), Shows: r.text(), Note: r.text(), By: r.actor(), At: r.time(), Erased: r.time(), Why: r.text(),
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
