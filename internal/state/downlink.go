package state

import (
	"context"
	"encoding/json"

	"gridgate/internal/grid"
)

// downlinkTable gives a downlink the place of its device, as it is when the row is written.
var downlinkTable = table[grid.Downlink]{
	name: "downlinks", key: "id",
	cols: "id, device, doc, confirm, once, state, created, expires, next, sent, ended, attempts, trying, way, ref, answer, error, " +
		"by_role, by_name, by_unit, reason, mode",
	parent: "devices", parentKey: "identity", copies: scopeCols + ", cell",
	bind: func(a *args, d *grid.Downlink) {
		a.text(d.ID, string(d.Device))
		a.doc(d.Order)
		a.flag(d.Confirm)
		a.flag(d.Once)
		a.text(string(d.State))
		a.time(d.Created)
		a.time(d.Expires)
		a.time(d.Next)
		a.time(d.SentAt)
		a.time(d.EndedAt)
		a.num(int64(d.Attempts))
		a.flag(d.Trying)
		a.text(d.Way, d.Ref, d.Answer, d.Error)
		a.actor(d.By)
		a.text(d.Reason, string(d.Mode), string(d.Device))
	},
	scan: func(r *row) grid.Downlink {
		d := grid.Downlink{ID: r.text(), Device: grid.Identity(r.text())}
		if err := json.Unmarshal(r.json(), &d.Order); err != nil && r.err == nil {
			r.err = err
		}
		d.Confirm, d.Once, d.State = r.flag(), r.flag(), grid.DownlinkState(r.text())
		d.Created, d.Expires, d.Next, d.SentAt, d.EndedAt = r.time(), r.time(), r.time(), r.time(), r.time()
		d.Attempts, d.Trying = int(r.num()), r.flag()
		d.Way, d.Ref, d.Answer, d.Error = r.text(), r.text(), r.text(), r.text()
		d.By, d.Reason, d.Mode = r.actor(), r.text(), grid.Mode(r.text())
		return d
	},
}

var downlinkList = list{
	order: []string{"created", "id"}, newest: true,
	time: "created",
	text: []string{"id", "device", "by_name", "reason", "error"},
	filters: map[string]string{
		"id": "id = ?", "cell": "cell = ?", "device": "device = ?", "state": "state = ?",
		"state=open": "ended = 0", "state=ended": "ended <> 0",
	},
}

// Downlink gives one downlink by its id, whoever asks.
func (s *Store) Downlink(ctx context.Context, id string) (grid.Downlink, error) {
	return one(ctx, s, &downlinkTable, "downlink", "id", id)
}

// OpenDownlinks gives every downlink that has not ended, in the order in which they were made.
func (s *Store) OpenDownlinks(ctx context.Context) ([]grid.Downlink, error) {
	return readAll(ctx, s, &downlinkTable, "WHERE ended = 0 ORDER BY created, id")
}

// ListDownlinks lists downlinks, newest first. State "open" and "ended" stand for all such states.
func (s *Store) ListDownlinks(ctx context.Context, q Query) (Page[grid.Downlink], error) {
	return pageOf(ctx, s, &downlinkTable, &downlinkList, q)
}
