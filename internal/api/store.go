package api

import (
	"context"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Query, Page and Evidence are the store's shapes; the API hands them through.
type (
	Query       = state.Query
	Page[T any] = state.Page[T]
	Evidence    = state.Evidence
)

// Store is what the API reads: what has been committed.
type Store interface {
	WindowStore
	RegistryStore
	RoundStore
	MapStore
	UnitStore
	ListPoints(context.Context, Query) (Page[grid.Point], error)
	ListDevices(context.Context, Query) (Page[grid.Device], error)
	ListInstallations(context.Context, Query) (Page[grid.Installation], error)
	ListUnits(context.Context, Query) (Page[grid.Unit], error)
	ListImports(context.Context, Query) (Page[grid.Import], error)
	ListEvents(context.Context, Query) (Page[grid.Event], error)
	ListAlarms(context.Context, Query) (Page[grid.Alarm], error)
	File(ctx context.Context, id string) (grid.EvidenceFile, error)
	Files(ctx context.Context, ticket string) ([]grid.EvidenceFile, error)
	ListIncidents(context.Context, Query) (Page[grid.Incident], error)
	Incident(ctx context.Context, id string) (grid.Incident, error)
	ListTickets(context.Context, Query) (Page[grid.Ticket], error)
	ListDeliveries(context.Context, Query) (Page[grid.Delivery], error)
	ListQuarantine(context.Context, Query) (Page[grid.QuarantinedFrame], error)
	ListDownlinks(context.Context, Query) (Page[grid.Downlink], error)
	ListHotspots(context.Context, Query) (Page[grid.Hotspot], error)

	Point(ctx context.Context, id string) (grid.Point, error)
	ClaimLabels(ctx context.Context, device grid.Identity) ([]grid.ClaimLabel, error)
	Device(ctx context.Context, id grid.Identity) (grid.Device, error)
	Alarm(ctx context.Context, id string) (grid.Alarm, error)
	Ticket(ctx context.Context, id string) (grid.Ticket, error)
	Delivery(ctx context.Context, id string) (grid.Delivery, error)
	Downlink(ctx context.Context, id string) (grid.Downlink, error)
	Moves(ctx context.Context, ticket string) ([]grid.MoveRecord, error)
	Attempts(ctx context.Context, delivery string) ([]grid.Attempt, error)
	EvidenceOf(ctx context.Context, ticket string) ([]Evidence, error)
	AlarmQueue(ctx context.Context, q Query, since time.Time) (state.AlarmQueue, error)
	AlarmTurns(ctx context.Context, q Query, most int) ([]state.AlarmTurn, error)
	AuditOf(ctx context.Context, subject string) ([]state.Audit, error)
	ListAudit(context.Context, Query) (Page[state.Audit], error)
	EventsAfter(ctx context.Context, id string, limit int) ([]grid.Event, error) // in the order of their commits
}

// Engine is what changes things. Each call is durable when it returns nil.
type Engine interface {
	WindowEngine
	RegistryEngine
	LabelEngine
	RoundEngine
	Move(ctx context.Context, m grid.Move) (grid.Ticket, error)
	Put(ctx context.Context, points []grid.Point, devices []grid.Device, installations []grid.Installation, units []grid.Unit) error
	Replay(ctx context.Context, ids []string, by grid.Actor) (int, error)
	Discard(ctx context.Context, ids []string, by grid.Actor, reason string) (int, error)
	Resend(ctx context.Context, delivery string, by grid.Actor) error
	Ack(ctx context.Context, alarm, comment string, by grid.Actor) (grid.Alarm, error)
	AckAll(ctx context.Context, all []alarm.Seen, comment string, by grid.Actor) (alarm.AckedAll, error)
	Comment(ctx context.Context, alarm, comment string, by grid.Actor) (grid.Alarm, error)
	// AddFile is idempotent by ticket and bytes.
	AddFile(ctx context.Context, f grid.EvidenceFile) (grid.EvidenceFile, error)
	// Downlink is idempotent by the ID.
	Downlink(ctx context.Context, d grid.Downlink) (grid.Downlink, error)
	CancelDownlink(ctx context.Context, id string, by grid.Actor, reason string) (grid.Downlink, error)

	// What lives in memory.
	LivePoint(ctx context.Context, id string) ([]grid.LiveValue, error)
	LiveDevice(ctx context.Context, id grid.Identity) (grid.DeviceHealth, error)

	// Ledger counts what the journal took against where it ended.
	Ledger(ctx context.Context) (grid.Ledger, error)
}

// Frames is the journal as the API reads it, newest first.
type Frames interface {
	ByDevice(ctx context.Context, id grid.Identity, since, until time.Time, limit int) ([]grid.Frame, error)
	Recent(ctx context.Context, lane grid.Lane, limit int) ([]grid.Frame, error)
}

// HistoryQuery asks for the past of one signal of a point.
type HistoryQuery struct {
	Point    grid.Point
	Signal   grid.Signal
	From, To time.Time
	Limit    int
}

// Sample is one past value.
type Sample struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}
