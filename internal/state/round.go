package state

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"time"

	"gridgate/internal/grid"
)

// fromDoc reads a row that is kept as a document.
func fromDoc[T any](r *row) (v T) {
	if err := json.Unmarshal(r.json(), &v); err != nil && r.err == nil {
		r.err = err
	}
	return v
}

var contractTable = table[grid.Contract]{
	name: "contracts", key: "id",
	cols:  "id, kind, given, done, ended, doc, " + allScope,
	reads: "doc",
	bind: func(a *args, c *grid.Contract) {
		a.text(c.ID, string(c.Kind))
		a.time(c.Given)
		a.time(c.Done)
		a.time(c.Ended)
		a.doc(c)
		a.scope(c.Scope)
		a.text(c.Cell, string(c.Mode))
	},
	scan: fromDoc[grid.Contract],
}

var contractList = list{
	order: []string{"given", "id"}, newest: true,
	time: "given",
	text: []string{"id", "contractor"},
	filters: map[string]string{
		"id": "id = ?", "cell": "cell = ?", "kind": "kind = ?",
		"state": "CASE ended WHEN 0 THEN 'open' ELSE 'ended' END = ?", "state=open": "ended = 0",
	},
}

// OpenContracts gives every contract that holds, oldest first.
func (s *Store) OpenContracts(ctx context.Context) ([]grid.Contract, error) {
	return readAll(ctx, s, &contractTable, "WHERE ended = 0 ORDER BY given, id")
}

// ListContracts lists contracts, newest first.
func (s *Store) ListContracts(ctx context.Context, q Query) (Page[grid.Contract], error) {
	return pageOf(ctx, s, &contractTable, &contractList, q)
}

var roundTable = table[grid.Round]{
	name: "rounds", key: "id",
	cols:  "id, unit, day, state, ended, made, doc, " + allScope,
	reads: "doc",
	bind: func(a *args, d *grid.Round) {
		a.text(d.ID, d.Unit, d.Day, string(d.State))
		a.time(d.Ended)
		a.time(d.Made)
		a.doc(d)
		a.scope(d.Scope)
		a.text(d.Cell, string(d.Mode))
	},
	scan: fromDoc[grid.Round],
}

// jobsOf are the jobs of a round's document.
const jobsOf = "json_each(doc, '$.stops') s, json_each(s.value, '$.jobs') j"

var roundList = list{
	order: []string{"day", "id"}, newest: true,
	time: "made",
	unit: "unit = ?",
	text: []string{"id", "unit", "day"},
	filters: map[string]string{
		"id": "id = ?", "cell": "cell = ?", "state": "state = ?", "state=open": "ended = 0", "state=ended": "ended > 0",
		"ticket": "EXISTS (SELECT 1 FROM " + jobsOf + " WHERE json_extract(j.value, '$.ticket') = ?)",
		"point":  "EXISTS (SELECT 1 FROM " + jobsOf + " WHERE json_extract(j.value, '$.point') = ?)",
	},
}

// Round gives one round by its id, ended ones too.
func (s *Store) Round(ctx context.Context, id string) (grid.Round, error) {
	return one(ctx, s, &roundTable, "round", "id", id)
}

// OpenRounds gives every round that has not ended.
func (s *Store) OpenRounds(ctx context.Context) ([]grid.Round, error) {
	return readAll(ctx, s, &roundTable, "WHERE ended = 0 ORDER BY id")
}

// ListRounds lists rounds, the last day first. State "open" and "ended" stand for all such.
func (s *Store) ListRounds(ctx context.Context, q Query) (Page[grid.Round], error) {
	return pageOf(ctx, s, &roundTable, &roundList, q)
}

var noEntryTable = table[grid.NoEntry]{
	name: "no_entries", key: "id",
	cols:  "id, round, unit, place, next, at, approved, doc, " + allScope,
	reads: "doc",
	bind: func(a *args, n *grid.NoEntry) {
		a.text(n.ID, n.Round, n.Unit, n.Key, n.Next)
		a.time(n.At)
		a.time(n.Approved)
		a.doc(n)
		a.scope(n.Scope)
		a.text(n.Cell, string(n.Mode))
	},
	scan: fromDoc[grid.NoEntry],
}

var noEntryList = list{
	order: []string{"at", "id"}, newest: true,
	time: "at",
	unit: "unit = ?",
	text: []string{"id", "place", "unit"},
	filters: map[string]string{
		"id": "id = ?", "cell": "cell = ?",
		"state": "CASE approved WHEN 0 THEN 'waiting' ELSE 'approved' END = ?", "state=waiting": "approved = 0",
		"ticket": "EXISTS (SELECT 1 FROM json_each(doc, '$.tickets') j WHERE j.value = ?)",
	},
}

// ListNoEntries lists visits at which nobody opened, newest first. State is waiting or approved.
func (s *Store) ListNoEntries(ctx context.Context, q Query) (Page[grid.NoEntry], error) {
	return pageOf(ctx, s, &noEntryTable, &noEntryList, q)
}

// NoEntriesAt gives a unit's visits to one building at which nobody opened, oldest first.
func (s *Store) NoEntriesAt(ctx context.Context, unit, place string, since time.Time) ([]grid.NoEntry, error) {
	return readAll(ctx, s, &noEntryTable, "WHERE unit = ? AND place = ? AND at >= ? ORDER BY at, id", unit, place, nanos(since))
}

// NoEntry gives one by its id.
func (s *Store) NoEntry(ctx context.Context, id string) (grid.NoEntry, error) {
	return one(ctx, s, &noEntryTable, "no entry", "id", id)
}

// Handed gives points into other hands.
type Handed struct {
	Points     []string
	Contractor string
}

const handSQL = "UPDATE points SET contractor = ? WHERE id IN (SELECT value FROM json_each(?)) AND contractor <> ?"

// hand writes the contractor of points, and what takes its scope from them.
func (w *writer) hand(all []Handed) {
	for i := range all {
		var list args
		list.doc(all[i].Points)
		w.exec(handSQL, all[i].Contractor, list.vals[0].Value, all[i].Contractor)
		w.exec(settleInstallations, list.vals[0].Value)
		w.exec(settleDevices, list.vals[0].Value)
	}
}

// FigureNoEntries hands out a unit's live visits at which nobody opened, oldest first.
func (s *Store) FigureNoEntries(ctx context.Context, unit string, since, until time.Time, f func(n *grid.NoEntry)) error {
	all, err := readAll(ctx, s, &noEntryTable, "WHERE unit = ? AND at >= ? AND at < ? AND "+isLiveMode+" ORDER BY at, id", unit, nanos(since), nanos(until))
	for i := range all {
		f(&all[i])
	}
	return err
}

// FigureVisits counts the live visits of a unit's technicians that were decided in a period.
func (s *Store) FigureVisits(ctx context.Context, unit string, since, until time.Time) (passed, failed int, err error) {
	const sql = "SELECT coalesce(sum(state = 'passed'), 0), coalesce(sum(state = 'failed'), 0) FROM visits WHERE decided >= ? AND decided < ? " +
		"AND json_extract(doc, '$.by.unit') = ? AND " // the period is narrow: no index by unit is needed
	err = s.streamed(ctx, "visits", sql+isLiveMode, []driver.Value{nanos(since), nanos(until), unit}, func(r *row) error {
		passed, failed = int(r.num()), int(r.num())
		return r.err
	})
	return passed, failed, err
}
