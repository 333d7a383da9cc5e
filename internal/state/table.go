package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// table describes how one kind of row is written and read: bind and scan go through
// the columns in the order in which cols (and reads) name them.
type table[T any] struct {
	name  string
	key   string            // columns of the primary key
	cols  string            // columns that bind writes
	reads string            // columns that scan reads; "" : cols
	sets  map[string]string // what an upsert does with a column, if not to take the new value
	once  bool              // an upsert leaves a row that is there as it is
	bind  func(a *args, v *T)
	scan  func(r *row) T

	// A row that hangs on another copies columns from it: bind adds the other's key last.
	parent    string // the other's table
	parentKey string // its key
	copies    string // columns, of the same name in both
}

const (
	scopeCols = "district, street, community, compound, contractor"
	allScope  = scopeCols + ", cell, mode"
	frameCols = "lane, epoch, seq, identity, transport, source, address, envelope, flags, note, received, raw"
)

func columns(list string) []string {
	if list == "" {
		return nil
	}
	cols := strings.Split(list, ",")
	for i := range cols {
		cols[i] = strings.TrimSpace(cols[i])
	}
	return cols
}

func (t *table[T]) selects() string {
	if t.reads != "" {
		return t.reads
	}
	return t.cols
}

// upsert is the statement that writes one row.
func (t *table[T]) upsert() string {
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(columns(t.cols))), ", ")
	into, values := t.cols, "VALUES ("+marks+")"
	if t.parent != "" {
		into += ", " + t.copies
		values = "SELECT " + marks
		for _, c := range columns(t.copies) {
			values += ", coalesce(p." + c + ", '')"
		}
		values += " FROM (SELECT 1) LEFT JOIN " + t.parent + " p ON p." + t.parentKey + " = ? WHERE true"
	}
	return "INSERT INTO " + t.name + " (" + into + ") " + values + " ON CONFLICT (" + t.key + ") DO " + t.onConflict(columns(into))
}

func (t *table[T]) onConflict(written []string) string {
	if t.once {
		return "NOTHING"
	}
	var set []string
	for _, c := range written {
		expr, special := t.sets[c]
		switch {
		case slices.Contains(columns(t.key), c):
		case special && expr == "":
			// keeps its value
		case special:
			set = append(set, c+" = "+expr)
		default:
			set = append(set, c+" = excluded."+c)
		}
	}
	return "UPDATE SET " + strings.Join(set, ", ")
}

var pointTable = table[grid.Point]{
	name: "points", key: "id",
	cols: "id, name, kind, " + allScope + ", component, building, floor, room, address, lon, lat, crs, rules, site, owner, privacy, state, notes, given_lon, given_lat, given_crs, placed",
	bind: func(a *args, p *grid.Point) {
		a.text(p.ID, p.Name, string(p.Kind))
		a.scope(p.Scope)
		a.text(p.Cell, string(p.Mode), p.Component, p.Building, p.Floor, p.Room, p.Address)
		a.real(p.Lon)
		a.real(p.Lat)
		a.text(p.CRS, p.Rules, p.Site, p.Owner, string(p.Privacy), string(p.State), p.Notes)
		a.real(p.Given.Lon)
		a.real(p.Given.Lat)
		a.text(p.Given.CRS, p.Placed)
	},
	scan: func(r *row) grid.Point {
		return grid.Point{
			ID: r.text(), Name: r.text(), Kind: grid.Kind(r.text()), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
			Component: r.text(), Building: r.text(), Floor: r.text(), Room: r.text(), Address: r.text(),
			Lon: r.real(), Lat: r.real(), CRS: r.text(), Rules: r.text(),
			Site: r.text(), Owner: r.text(), Privacy: grid.Privacy(r.text()), State: grid.PointState(r.text()), Notes: r.text(),
			Given: grid.Position{Lon: r.real(), Lat: r.real(), CRS: r.text()}, Placed: r.text(),
		}
	},
}

// placeTable reads of a point what tells where its tickets go.
var placeTable = table[grid.Point]{
	name: "points", key: "id",
	cols: "id, kind, " + allScope + ", building, rules, state",
	scan: func(r *row) grid.Point {
		return grid.Point{
			ID: r.text(), Kind: grid.Kind(r.text()), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
			Building: r.text(), Rules: r.text(), State: grid.PointState(r.text()),
		}
	},
}

var deviceTable = table[grid.Device]{
	name: "devices", key: "identity",
	cols: "identity, profile, state, mode, interval, installed, source, serial, label, firmware, hardware, battery_type, battery_cells, " +
		"battery_fitted, bought, warranty, owner, notes, why, since, stolen, replaced_by, last_point",
	bind: func(a *args, d *grid.Device) {
		a.text(string(d.Identity), d.Profile, string(d.State), string(d.Mode))
		a.num(int64(d.Interval))
		a.time(d.Installed)
		a.text(d.Source, d.Serial, d.Label, d.Firmware, d.Hardware, d.Battery.Type)
		a.num(int64(d.Battery.Cells))
		a.time(d.Battery.Fitted)
		a.time(d.Bought)
		a.time(d.Warranty)
		a.text(d.Owner, d.Notes, d.Why)
		a.time(d.Since)
		a.flag(d.Stolen)
		a.text(string(d.ReplacedBy), d.LastPoint)
	},
	scan: func(r *row) grid.Device {
		return grid.Device{
			Identity: grid.Identity(r.text()), Profile: r.text(), State: grid.DeviceState(r.text()), Mode: grid.Mode(r.text()),
			Interval: time.Duration(r.num()), Installed: r.time(), Source: r.text(),
			Serial: r.text(), Label: r.text(), Firmware: r.text(), Hardware: r.text(),
			Battery: grid.Battery{Type: r.text(), Cells: int(r.num()), Fitted: r.time()}, Bought: r.time(), Warranty: r.time(),
			Owner: r.text(), Notes: r.text(), Why: r.text(), Since: r.time(), Stolen: r.flag(), ReplacedBy: grid.Identity(r.text()), LastPoint: r.text(),
		}
	},
}

var installationTable = table[grid.Installation]{
	name: "installations", key: "device, channel, started",
	cols:   "device, channel, started, ended, point",
	sets:   map[string]string{"district": "", "street": "", "community": "", "compound": "", "contractor": "", "cell": "", "mode": ""}, // settle sees to them
	parent: "points", parentKey: "id", copies: allScope,
	bind: func(a *args, in *grid.Installation) {
		a.text(string(in.Device), in.Channel)
		a.time(in.From)
		a.time(in.To)
		a.text(in.Point, in.Point)
	},
	scan: func(r *row) grid.Installation {
		return grid.Installation{Device: grid.Identity(r.text()), Channel: r.text(), From: r.time(), To: r.time(), Point: r.text()}
	},
}

// unitTable keeps the token as its hash only: reading a unit gives none, and writing a
// unit without one leaves the stored hash.
var unitTable = table[grid.Unit]{
	name: "units", key: "id",
	cols:  "id, name, kind, tier, " + scopeCols + ", mode, connector, url, secret, entry, settings, phone, quiet, digest, backup, test, term_from, term_to, token_hash",
	reads: "id, name, kind, tier, " + scopeCols + ", mode, connector, url, secret, entry, settings, phone, quiet, digest, backup, test, term_from, term_to",
	sets:  map[string]string{"token_hash": "CASE excluded.token_hash WHEN '' THEN token_hash ELSE excluded.token_hash END"},
	bind: func(a *args, u *grid.Unit) {
		a.text(u.ID, u.Name, string(u.Kind))
		a.num(int64(u.Tier))
		a.scope(u.Scope)
		a.text(string(u.Mode), u.Connector, u.URL, u.Secret, u.Entry, settingsText(u.Settings), u.Phone, u.Quiet)
		a.flag(u.Digest)
		a.text(u.Backup, u.Test)
		a.time(u.Term.From)
		a.time(u.Term.To)
		a.text(tokenHash(u.Token))
	},
	scan: func(r *row) grid.Unit {
		return grid.Unit{
			ID: r.text(), Name: r.text(), Kind: grid.UnitKind(r.text()), Tier: int(r.num()), Scope: r.scope(),
			Mode: grid.Mode(r.text()), Connector: r.text(), URL: r.text(), Secret: r.text(), Entry: r.text(),
			Settings: settingsOf(r.text()), Phone: r.text(), Quiet: r.text(), Digest: r.flag(), Backup: r.text(), Test: r.text(),
			Term: grid.Term{From: r.time(), To: r.time()},
		}
	},
}

func settingsText(s map[string]string) string {
	if len(s) == 0 {
		return ""
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic("state: settings of a unit: " + err.Error()) // a map of strings: cannot fail
	}
	return string(b)
}

// settingsOf reads what settingsText wrote; a row that was tampered with has none.
func settingsOf(s string) (out map[string]string) {
	if s != "" {
		_ = json.Unmarshal([]byte(s), &out)
	}
	return out
}

func tokenHash(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

var eventTable = table[grid.Event]{
	name: "events", key: "id", once: true,
	cols: "id, type, kind, action, point, device, channel, alarm, ticket, priority, " + allScope +
		", at, received, frame, value, signal, profile, detail",
	bind: func(a *args, e *grid.Event) {
		a.text(e.ID, string(e.Type), string(e.Kind), e.Action, e.Point, string(e.Device), e.Channel, e.Alarm, e.Ticket)
		a.num(int64(e.Priority))
		a.scope(e.Scope)
		a.text(e.Cell, string(e.Mode))
		a.time(e.At)
		a.time(e.Received)
		a.text(e.Frame)
		a.real(e.Value)
		a.text(e.Signal, e.Profile, e.Detail)
	},
	scan: func(r *row) grid.Event {
		return grid.Event{
			ID: r.text(), Type: grid.EventType(r.text()), Kind: grid.EventKind(r.text()), Action: r.text(), Point: r.text(),
			Device: grid.Identity(r.text()), Channel: r.text(), Alarm: r.text(), Ticket: r.text(), Priority: grid.Priority(r.num()),
			Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()), At: r.time(), Received: r.time(), Frame: r.text(),
			Value: r.real(), Signal: r.text(), Profile: r.text(), Detail: r.text(),
		}
	},
}

var alarmTable = table[grid.Alarm]{
	name: "alarms", key: "id",
	cols:  "id, type, point, device, priority, " + allScope + ", active, acked, raised, at, returned, count, ticket, previous, late, incident, building, detail, queued",
	reads: "id, type, point, device, priority, " + allScope + ", active, acked, raised, at, returned, count, ticket, previous, late, incident, building, detail",
	bind: func(a *args, al *grid.Alarm) {
		a.text(al.ID, string(al.Type), al.Point, string(al.Device))
		a.num(int64(al.Priority))
		a.scope(al.Scope)
		a.text(al.Cell, string(al.Mode))
		a.flag(al.Active)
		a.flag(al.Acked)
		a.time(al.Raised)
		a.time(al.At)
		a.time(al.Returned)
		a.num(int64(al.Count))
		a.text(al.Ticket, al.Previous)
		a.flag(al.Late)
		a.text(al.Incident, al.Building)
		a.detail(al.AlarmDetail)
		a.flag(al.InQueue())
	},
	scan: func(r *row) grid.Alarm {
		al := grid.Alarm{
			ID: r.text(), Type: grid.EventType(r.text()), Point: r.text(), Device: grid.Identity(r.text()),
			Priority: grid.Priority(r.num()), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()), Active: r.flag(),
			Acked: r.flag(), Raised: r.time(), At: r.time(), Returned: r.time(), Count: int(r.num()), Ticket: r.text(),
			Previous: r.text(), Late: r.flag(), Incident: r.text(), Building: r.text(),
		}
		if doc := r.text(); doc != "" {
			if err := json.Unmarshal([]byte(doc), &al.AlarmDetail); err != nil && r.err == nil {
				r.err = err
			}
		}
		return al
	},
}

// ticketTable writes columns for filters and reads the document; the assignments have
// their own table.
var ticketTable = table[grid.Ticket]{
	name: "tickets", key: "id",
	cols: "id, case_no, type, priority, " + allScope +
		", unit, point, device, alarm, state, ended, tier, opened, closed, due, overdue, title, place, tasks, doc",
	reads: "doc",
	bind: func(a *args, t *grid.Ticket) {
		a.text(t.ID, t.Case, string(t.Type))
		a.num(int64(t.Priority))
		a.scope(t.Scope)
		a.text(t.Cell, string(t.Mode), leadUnit(t), t.Point, string(t.Device), t.Alarm, string(t.State))
		a.flag(t.State.Ended())
		a.num(int64(t.Tier))
		a.time(t.Opened)
		a.time(t.Closed)
		a.time(t.Due)
		a.flag(t.Overdue)
		a.text(t.Title, t.Place)
		a.num(int64(openTasks(t)))
		bare := *t
		bare.Assignments = nil
		a.doc(bare)
	},
	scan: func(r *row) (t grid.Ticket) {
		if err := json.Unmarshal(r.json(), &t); err != nil && r.err == nil {
			r.err = err
		}
		return t
	},
}

func openTasks(t *grid.Ticket) (n int) {
	for i := range t.Tasks {
		if t.Tasks[i].Done.IsZero() {
			n++
		}
	}
	return n
}

func leadUnit(t *grid.Ticket) string {
	for i := range t.Assignments {
		if t.Assignments[i].Lead {
			return t.Assignments[i].Unit
		}
	}
	return ""
}

// placed is an assignment with its place in the ticket's list.
type placed struct {
	grid.Assignment
	n int
}

var assignmentTable = table[placed]{
	name: "assignments", key: "ticket, n",
	cols:   "ticket, n, id, unit, lead, tier, state, attempt, since, stand_down",
	parent: "tickets", parentKey: "id", copies: allScope,
	bind: func(a *args, as *placed) {
		a.text(as.Ticket)
		a.num(int64(as.n))
		a.text(as.ID, as.Unit)
		a.flag(as.Lead)
		a.num(int64(as.Tier))
		a.text(string(as.State))
		a.num(int64(as.Attempt))
		a.time(as.Since)
		a.flag(as.StandDown)
		a.text(as.Ticket)
	},
	scan: func(r *row) placed {
		ticket, n := r.text(), int(r.num())
		return placed{n: n, Assignment: grid.Assignment{
			Ticket: ticket, ID: r.text(), Unit: r.text(), Lead: r.flag(), Tier: int(r.num()), State: grid.TicketState(r.text()),
			Attempt: int(r.num()), Since: r.time(), StandDown: r.flag(),
		}}
	},
}

var moveTable = table[grid.MoveRecord]{
	name: "moves", key: "ticket, n",
	cols:   "ticket, n, assignment, verb, from_state, to_state, by_role, by_name, by_unit, at, reason, detail",
	parent: "tickets", parentKey: "id", copies: allScope,
	bind: func(a *args, m *grid.MoveRecord) {
		a.text(m.Ticket)
		a.num(int64(m.N))
		a.text(m.Assignment, m.Verb, string(m.From), string(m.To))
		a.actor(m.By)
		a.time(m.At)
		a.text(m.Reason, m.Detail, m.Ticket)
	},
	scan: func(r *row) grid.MoveRecord {
		return grid.MoveRecord{
			Ticket: r.text(), N: int(r.num()), Assignment: r.text(), Verb: r.text(), From: grid.TicketState(r.text()),
			To: grid.TicketState(r.text()), By: r.actor(), At: r.time(), Reason: r.text(), Detail: r.text(),
		}
	},
}

var deliveryTable = table[grid.Delivery]{
	name: "deliveries", key: "id",
	cols: "id, n, ticket, assignment, unit, connector, type, priority, lane, created, state, attempts, next, status, " +
		"error, ref, done, body, mode, instead, over, " + scopeCols,
	parent: "tickets", parentKey: "id", copies: "cell",
	bind: func(a *args, d *grid.Delivery) {
		a.text(d.ID)
		a.num(d.N)
		a.text(d.Ticket, d.Assignment, d.Unit, d.Connector, d.Type)
		a.num(int64(d.Priority))
		a.text(d.Lane.String())
		a.time(d.Created)
		a.text(string(d.State))
		a.num(int64(d.Attempts))
		a.time(d.Next)
		a.num(int64(d.Status))
		a.text(d.Error, d.Ref)
		a.time(d.Done)
		a.text(string(d.Body), string(d.Mode), d.Instead, d.Over)
		a.scope(d.Scope)
		a.text(d.Ticket)
	},
	scan: func(r *row) grid.Delivery {
		return grid.Delivery{
			ID: r.text(), N: r.num(), Ticket: r.text(), Assignment: r.text(), Unit: r.text(), Connector: r.text(), Type: r.text(),
			Priority: grid.Priority(r.num()), Lane: r.lane(), Created: r.time(), State: grid.DeliveryState(r.text()),
			Attempts: int(r.num()), Next: r.time(), Status: int(r.num()), Error: r.text(), Ref: r.text(), Done: r.time(),
			Body: r.json(), Mode: grid.Mode(r.text()), Instead: r.text(), Over: r.text(), Scope: r.scope(),
		}
	},
}

var attemptTable = table[grid.Attempt]{
	name: "attempts", key: "delivery, n",
	cols:   "delivery, n, at, took, status, error, detail",
	parent: "deliveries", parentKey: "id", copies: "unit, " + allScope,
	bind: func(a *args, t *grid.Attempt) {
		a.text(t.Delivery)
		a.num(int64(t.N))
		a.time(t.At)
		a.num(int64(t.Took))
		a.num(int64(t.Status))
		a.text(t.Error, t.Detail, t.Delivery)
	},
	scan: func(r *row) grid.Attempt {
		return grid.Attempt{
			Delivery: r.text(), N: int(r.num()), At: r.time(), Took: time.Duration(r.num()), Status: int(r.num()),
			Error: r.text(), Detail: r.text(),
		}
	},
}

// quarantineTable writes the copy of a frame once; a discarded one gives its bytes back.
var quarantineTable = table[grid.QuarantinedFrame]{
	name: "quarantine", key: "id",
	cols:  "id, reason, detail, channel, guess, at, state, whole, " + scopeCols + ", bytes, " + frameCols,
	reads: "id, reason, detail, channel, guess, at, state, whole, " + scopeCols + ", " + frameCols,
	sets: map[string]string{
		"bytes": "CASE excluded.state WHEN 'discarded' THEN 0 ELSE bytes END",
		"raw":   "CASE excluded.state WHEN 'discarded' THEN x'' ELSE raw END",
		"at":    "", "lane": "", "epoch": "", "seq": "", "identity": "", "transport": "", "source": "", "address": "",
		"envelope": "", "flags": "", "note": "", "received": "",
	},
	parent: "devices", parentKey: "identity", copies: "cell, mode",
	bind: func(a *args, q *grid.QuarantinedFrame) {
		a.text(q.ID, string(q.Reason), q.Detail, q.Channel, q.Guess)
		a.time(q.At)
		a.text(q.State)
		a.flag(q.Whole)
		a.scope(q.Scope)
		a.num(int64(len(q.Frame.Raw)))
		a.frame(&q.Frame)
		a.text(string(q.Frame.Identity))
	},
	scan: func(r *row) grid.QuarantinedFrame {
		return grid.QuarantinedFrame{
			ID: r.text(), Reason: grid.QuarantineReason(r.text()), Detail: r.text(), Channel: r.text(), Guess: r.text(),
			At: r.time(), State: r.text(), Whole: r.flag(), Scope: r.scope(), Frame: r.frame(),
		}
	},
}

var evidenceTable = table[Evidence]{
	name: "evidence", key: "ticket, lane, epoch, seq",
	cols:   "ticket, decoded, config, " + frameCols,
	parent: "tickets", parentKey: "id", copies: allScope,
	bind: func(a *args, e *Evidence) {
		a.text(e.Ticket, string(e.Decoded), e.Config)
		f := e.Frame
		f.Pos = e.Pos
		a.frame(&f)
		a.text(e.Ticket)
	},
	scan: func(r *row) Evidence {
		e := Evidence{Ticket: r.text(), Decoded: r.json(), Config: r.text(), Frame: r.frame()}
		e.Pos = e.Frame.Pos
		return e
	},
}

var appliedTable = table[Applied]{
	name: "applied", key: "key", cols: "key, at, result",
	bind: func(a *args, p *Applied) {
		a.text(p.Key)
		a.time(p.At)
		a.blob(p.Result)
	},
	scan: func(r *row) Applied { return Applied{Key: r.text(), At: r.time(), Result: r.blob()} },
}

var downTable = table[DownSpan]{
	name: "down", key: "source, started", cols: "source, started, ended",
	bind: func(a *args, d *DownSpan) {
		a.text(d.Source)
		a.time(d.From)
		a.time(d.To)
	},
	scan: func(r *row) DownSpan { return DownSpan{Source: r.text(), From: r.time(), To: r.time()} },
}

var suspectTable = table[Suspect]{
	name: "suspects", key: "lane, epoch, seq", cols: "lane, epoch, seq, crashes",
	bind: func(a *args, s *Suspect) {
		a.pos(s.Pos)
		a.num(int64(s.Crashes))
	},
	scan: func(r *row) Suspect { return Suspect{Pos: r.pos(), Crashes: int(r.num())} },
}

var auditTable = table[Audit]{
	name: "audit", key: "id", once: true,
	cols: "id, at, by_role, by_name, by_unit, action, subject, detail, " + allScope,
	bind: func(a *args, e *Audit) {
		a.text(e.ID)
		a.time(e.At)
		a.actor(e.By)
		a.text(e.Action, e.Subject, e.Detail)
		a.scope(e.Scope)
		a.text(e.Cell, string(e.Mode))
	},
	scan: func(r *row) Audit {
		return Audit{
			ID: r.text(), At: r.time(), By: r.actor(), Action: r.text(), Subject: r.text(), Detail: r.text(),
			Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
		}
	},
}

// count is one number of the ledger; as a batch has it, a difference.
type count struct {
	transport, source string
	lane              grid.Lane
	outcome           grid.Outcome
	n                 int64
}

var ledgerTable = table[count]{
	name: "ledger", key: "transport, source, lane, outcome", cols: "transport, source, lane, outcome, count",
	sets: map[string]string{"count": "count + excluded.count"},
	bind: func(a *args, c *count) {
		a.text(c.transport, c.source, c.lane.String(), c.outcome.String())
		a.num(c.n)
	},
	scan: func(r *row) count {
		return count{transport: r.text(), source: r.text(), lane: r.lane(), outcome: r.outcome(), n: r.num()}
	},
}

type metaRow struct{ key, value string }

var metaTable = table[metaRow]{
	name: "meta", key: "key", cols: "key, value",
	bind: func(a *args, m *metaRow) { a.text(m.key, m.value) },
	scan: func(r *row) metaRow { return metaRow{r.text(), r.text()} },
}
