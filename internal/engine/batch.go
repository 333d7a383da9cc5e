package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// batch is one turn of the state goroutine: what it reads changes memory through an
// undo log, and what it decides is collected in rows. Only the commit of the rows
// makes the turn real; if it fails, memory is rolled back and the turn is taken again.
type batch struct {
	e       *Engine
	cursors cursors   // after this batch
	time    time.Time // engine time after this batch
	rows    state.Batch

	// Ids of rows changed in memory, oldest change first and perhaps twice; the rows
	// themselves are taken from memory at the commit.
	alarms, incidents, tickets, deliveries, downlinks, windows, hazards, rounds []string

	visits []string // likewise
	seats  []string // likewise

	enough time.Time // from then on bulk frames end where there is much to write

	undo   []func() // puts back changes of the maps
	after  []func() // run after the commit: replies
	series []byte   // encoded points for InfluxDB

	cause string    // what ids are made from: a journal position, a command key, a timer
	made  int       // how many ids the cause has given
	now   time.Time // engine time of the input in hand
	quiet bool      // a replay of the past: readings are applied, nothing is raised yet

	filling bool // it fills a gap: a queue that is full ends it
	careful bool // a timer's panic harms no other

	buckets map[registry.DeviceNo]int64 // what frames took of the limits of their devices
}

// mark is a place in a batch to roll back to.
type mark struct {
	soft                                                           softMark
	undo, after, series                                            int
	alarms, incidents, tickets, deliveries, downlinks              int
	events, moves, attempts, quarantine, cases, files, keys, audit int
	versions, rollouts, credentials, windows, postures             int
	contacts, rosters, shifts, hazards                             int
	rounds, contracts, handed, noEntries                           int
	visits                                                         int
	seats, handovers                                               int
	ledger                                                         []grid.LedgerRow
	cursors                                                        cursors
	time                                                           time.Time
	hotspots, labels, ignored                                      int
	imports, pieces                                                int
	regions, regionsGone                                           int
	points, devices, installations, units, sites, buildings        int
	changes, photos                                                int
	gonePoints, goneDevices, goneInstallations, goneBuildings      int
}

func (b *batch) mark() mark {
	r := &b.rows
	return mark{
		soft: b.e.soft.mark(), undo: len(b.undo), after: len(b.after), series: len(b.series),
		alarms: len(b.alarms), incidents: len(b.incidents), tickets: len(b.tickets), deliveries: len(b.deliveries), downlinks: len(b.downlinks), hazards: len(b.hazards),
		events: len(r.Events), moves: len(r.Moves), attempts: len(r.Attempts),
		quarantine: len(r.Quarantine), cases: len(r.Evidence), files: len(r.Files), keys: len(r.Commands), audit: len(r.Audit),
		points: len(r.Points), devices: len(r.Devices), installations: len(r.Installations), units: len(r.Units),
		sites: len(r.Sites), buildings: len(r.Buildings), changes: len(r.Changes), photos: len(r.Photos),
		gonePoints: len(r.Gone.Points), goneDevices: len(r.Gone.Devices), goneInstallations: len(r.Gone.Installations), goneBuildings: len(r.Gone.Buildings),
		regions: len(r.Regions), regionsGone: len(r.RegionsGone),
		hotspots: len(r.Hotspots), labels: len(r.Labels), ignored: len(r.Ignored), imports: len(r.Imports), pieces: len(r.ImportPieces),
		versions: len(r.Versions), rollouts: len(r.Rollouts), credentials: len(r.Credentials), windows: len(b.windows), postures: len(r.Postures), visits: len(b.visits),
		contacts: len(r.Contacts), rosters: len(r.Rosters), shifts: len(r.Shifts),
		seats: len(b.seats), handovers: len(r.Handovers),
		rounds: len(b.rounds), contracts: len(r.Contracts), handed: len(r.Handed), noEntries: len(r.NoEntries),
		ledger: slices.Clone(r.Ledger), cursors: b.cursors, time: b.time,
	}
}

// rollback undoes everything since m, in memory and in the rows.
func (b *batch) rollback(m mark) {
	for i := len(b.undo) - 1; i >= m.undo; i-- {
		b.undo[i]()
	}
	b.e.soft.rollback(m.soft)
	b.undo, b.after, b.series = b.undo[:m.undo], b.after[:m.after], b.series[:m.series]
	b.alarms, b.tickets, b.deliveries = b.alarms[:m.alarms], b.tickets[:m.tickets], b.deliveries[:m.deliveries]
	b.incidents, b.downlinks = b.incidents[:m.incidents], b.downlinks[:m.downlinks]
	b.hazards = b.hazards[:m.hazards]
	b.visits = b.visits[:m.visits]
	b.seats, b.rows.Handovers = b.seats[:m.seats], b.rows.Handovers[:m.handovers]
	r := &b.rows
	r.Events, r.Moves, r.Attempts = r.Events[:m.events], r.Moves[:m.moves], r.Attempts[:m.attempts]
	r.Quarantine, r.Evidence, r.Commands = r.Quarantine[:m.quarantine], r.Evidence[:m.cases], r.Commands[:m.keys]
	r.Audit, r.Versions, r.Rollouts = r.Audit[:m.audit], r.Versions[:m.versions], r.Rollouts[:m.rollouts]
	r.Credentials, r.Files = r.Credentials[:m.credentials], r.Files[:m.files]
	r.Hotspots, r.Labels, r.Ignored = r.Hotspots[:m.hotspots], r.Labels[:m.labels], r.Ignored[:m.ignored]
	r.Regions, r.RegionsGone = r.Regions[:m.regions], r.RegionsGone[:m.regionsGone]
	r.Imports, r.ImportPieces = r.Imports[:m.imports], r.ImportPieces[:m.pieces]
	r.Points, r.Devices, r.Installations, r.Units = r.Points[:m.points], r.Devices[:m.devices], r.Installations[:m.installations], r.Units[:m.units]
	r.Sites, r.Buildings, r.Changes, r.Photos = r.Sites[:m.sites], r.Buildings[:m.buildings], r.Changes[:m.changes], r.Photos[:m.photos]
	r.Gone.Points, r.Gone.Devices, r.Gone.Installations = r.Gone.Points[:m.gonePoints], r.Gone.Devices[:m.goneDevices], r.Gone.Installations[:m.goneInstallations]
	r.Gone.Buildings = r.Gone.Buildings[:m.goneBuildings]
	r.Contacts, r.Rosters, r.Shifts = r.Contacts[:m.contacts], r.Rosters[:m.rosters], r.Shifts[:m.shifts]
	b.windows, r.Postures = b.windows[:m.windows], r.Postures[:m.postures]
	b.rounds, r.Contracts, r.Handed, r.NoEntries = b.rounds[:m.rounds], r.Contracts[:m.contracts], r.Handed[:m.handed], r.NoEntries[:m.noEntries]
	r.Ledger, b.cursors, b.time = m.ledger, m.cursors, m.time
}

// begin makes an empty batch.
func (e *Engine) begin(now time.Time) *batch {
	b := &batch{e: e, cursors: e.cursors, time: e.engineTime, now: now, series: e.spareSeries[:0]}
	b.rows.Ledger = e.spareLedger[:0]
	return b
}

// because sets what the next ids are made from, and the engine time of the input.
func (b *batch) because(cause string, now time.Time) {
	b.cause, b.made, b.now = cause, 0, now
}

// id makes the next identifier of the input in hand.
func (b *batch) id() string {
	b.made++
	return grid.NewID(b.now, b.cause, b.made)
}

// count adds n frames like f to the ledger.
func (b *batch) count(f *grid.Frame, o grid.Outcome, n int64) {
	rows := b.rows.Ledger
	for k := len(rows) - 1; k >= 0; k-- {
		if rows[k].Source == f.Source && rows[k].Lane == f.Pos.Lane && rows[k].Transport == f.Transport {
			rows[k].Counts[o] += n
			return
		}
	}
	row := grid.LedgerRow{Transport: f.Transport, Source: f.Source, Lane: f.Pos.Lane}
	row.Counts[o] = n
	b.rows.Ledger = append(rows, row)
}

// empty reports whether the batch has nothing to commit.
func (b *batch) empty() bool {
	r := &b.rows
	return b.cursors == b.e.cursors && len(r.Regions)+len(r.RegionsGone) == 0 && len(r.Imports)+len(r.ImportPieces) == 0 && !b.touchesRegistry() && len(b.alarms)+len(b.incidents)+len(b.tickets)+len(b.deliveries)+len(b.downlinks)+len(b.windows)+len(b.hazards)+len(b.visits)+len(r.Postures) == 0 &&
		len(r.Sites)+len(r.Buildings)+len(r.Changes)+len(r.Photos) == 0 &&
		len(r.Labels)+len(r.Ignored) == 0 &&
		len(b.seats)+len(r.Handovers) == 0 &&
		len(b.rounds)+len(r.Contracts)+len(r.Handed)+len(r.NoEntries) == 0 &&
		len(r.Events)+len(r.Moves)+len(r.Attempts)+len(r.Quarantine)+len(r.Commands)+len(r.Ledger) == 0 &&
		len(r.Points)+len(r.Devices)+len(r.Installations)+len(r.Units)+len(r.Down)+len(r.Suspects)+len(r.Meta)+len(r.Audit)+len(r.Files)+len(r.Rollouts)+len(r.Credentials)+len(r.Contacts)+len(r.Rosters)+len(r.Shifts) == 0
}

// commit makes the turn real: the points for InfluxDB first, whose queue length is
// stored with the rest, then one transaction. On an error memory is as it was before
// the batch.
func (b *batch) commit(ctx context.Context) error {
	e := b.e
	if err := b.write(ctx); err != nil {
		b.rollback(mark{cursors: e.cursors, time: e.engineTime})
		return err
	}
	e.cursors, e.engineTime = b.cursors, b.time
	if b.touchesRegistry() {
		e.registryNo.Add(1)
	}
	if m := influx.Mark(b.rows.InfluxMark); m != e.influxMark {
		e.influxMark = m
		e.series.Publish(m)
	}
	e.soft.forget()
	e.dropEnded(b.tickets)
	e.dropIncidents(b.incidents)
	e.dropDelivered(b.deliveries)
	e.dropDownlinks(b.downlinks)
	e.dropHazards(b.hazards)
	e.dropRounds(b.rounds)
	e.dropVisits(b.visits)
	e.dropWindows(b.windows)
	e.keepBuckets(b)
	e.spareSeries, e.spareLedger = b.series, b.rows.Ledger
	for _, f := range b.after {
		f()
	}
	return nil
}

func (b *batch) write(ctx context.Context) error {
	e := b.e
	if err := b.appendSeries(); err != nil {
		return err
	}
	b.watchAlarms()
	b.rows.Cursors, b.rows.EngineTime = b.cursors, b.time
	if e.Clock.Simulated() {
		b.putMeta(metaClock, e.Clock.Mark().String())
	}
	b.rows.Alarms = collect(b.alarms, e.alarms)
	b.rows.Incidents = collect(b.incidents, e.incidents)
	b.rows.Tickets = collect(b.tickets, e.tickets)
	b.rows.Deliveries = collect(b.deliveries, e.deliveries)
	b.rows.Downlinks = collect(b.downlinks, e.downlinks)
	b.rows.Hazards = collect(b.hazards, e.hazards)
	b.askVisits()
	b.rows.Visits = collect(b.visits, e.visits.all)
	b.rows.Windows = collect(b.windows, e.windows.all)
	b.rows.Rounds = collect(b.rounds, e.rounds.all)
	b.rows.Seats = collect(b.seats, e.seats.all)
	err := e.store.Commit(ctx, &b.rows)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("commit a batch: %w", err)
	if influx.Mark(b.rows.InfluxMark) != e.influxMark {
		if cutErr := e.series.Cut(e.influxMark); cutErr != nil {
			err = errors.Join(err, fmt.Errorf("%w: %w", errQueueBroken, cutErr))
		}
	}
	return err
}

// errQueueBroken says that the end of the InfluxDB queue is not known any more.
var errQueueBroken = errors.New("influxdb queue can no longer be trusted: exit and start again")

// appendSeries hands the batch's points to the InfluxDB queue. A full queue is a gap to
// be filled later, not a failure.
func (b *batch) appendSeries() error {
	e := b.e
	b.rows.InfluxMark = state.InfluxMark(e.influxMark)
	if len(b.series) == 0 || e.series == nil {
		return nil
	}
	m, err := e.series.Append(b.series)
	if errors.Is(err, influx.ErrQueueFull) && !b.filling {
		b.recordGap()
		return nil
	}
	if errors.Is(err, influx.ErrQueueFull) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errQueueBroken, err)
	}
	b.rows.InfluxMark = state.InfluxMark(m)
	return nil
}

// collect takes the newest state of each changed row, each once.
func collect[T any](ids []string, from map[string]*T) []T {
	if len(ids) == 0 {
		return nil
	}
	out := make([]T, 0, len(ids))
	done := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if _, ok := done[id]; ok {
			continue
		}
		done[id] = struct{}{}
		if row := from[id]; row != nil {
			out = append(out, *row)
		}
	}
	return out
}

// change gives a copy of a row to change, or a new one, and remembers the old.
func change[K comparable, T any](b *batch, rows map[K]*T, id K) *T {
	old, had := rows[id]
	row := new(T)
	if had {
		*row = *old
	}
	rows[id] = row
	b.undo = append(b.undo, func() {
		if had {
			rows[id] = old
		} else {
			delete(rows, id)
		}
	})
	return row
}

// set changes one entry of a map and remembers the old.
func set[K comparable, V any](b *batch, m map[K]V, k K, v V) {
	old, had := m[k]
	m[k] = v
	b.undo = append(b.undo, func() {
		if had {
			m[k] = old
		} else {
			delete(m, k)
		}
	})
}

// unset removes one entry of a map and remembers it.
func unset[K comparable, V any](b *batch, m map[K]V, k K) {
	old, had := m[k]
	if !had {
		return
	}
	delete(m, k)
	b.undo = append(b.undo, func() { m[k] = old })
}

func (b *batch) changeAlarm(id string) *grid.Alarm {
	b.alarms = append(b.alarms, id)
	return change(b, b.e.alarms, id)
}

// changeTicket copies the assignments and clocks too, since moves write into them.
func (b *batch) changeTicket(id string) *grid.Ticket {
	b.tickets = append(b.tickets, id)
	t := change(b, b.e.tickets, id)
	t.Assignments = slices.Clone(t.Assignments)
	t.Clocks = slices.Clone(t.Clocks)
	return t
}

func (b *batch) changeDelivery(id string) *grid.Delivery {
	b.deliveries = append(b.deliveries, id)
	return change(b, b.e.deliveries, id)
}
