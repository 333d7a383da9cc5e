package grid

import (
	"context"
	"time"
)

// Ingester is the gateway's only way in.
type Ingester interface {
	// Ingest returns nil once every frame is durable, and not before. The
	// transport then acknowledges them to its peer; on an error it must not.
	// ErrOverloaded says: ask the peer to come back later (CoAP 5.03, hold the PUBACK).
	// Frames may be kept: their Raw must not be changed afterwards.
	Ingest(ctx context.Context, frames ...Frame) error
}

// Transport takes frames off one kind of wire.
type Transport interface {
	// Run serves until ctx is done and returns after each of its goroutines has ended.
	Run(ctx context.Context, in Ingester) error
}

// Decoder turns the payload of a frame into readings.
type Decoder interface {
	// Decode does no I/O, has a bound on time and memory, and its errors are permanent.
	// It reads Frame.Uplink (Payload, Port) and does not keep or change the frame.
	Decode(f Frame) (Decoded, error)
}

// Connector brings a ticket message to a unit. nil: the unit has it. It may be called
// again with the same Delivery.ID. Webhook, inbox and CAP are idempotent by id; Open311
// looks up our id first; voice, chat and mail send again marked "repeat", outcome unknown.
type Connector interface {
	Deliver(ctx context.Context, d Delivery) (Receipt, error)
}

// Receipt is what the unit's system said when it took a delivery.
type Receipt struct {
	Status    int           // HTTP status or the like; 0 when there is none
	Ref       string        // the unit's own number for it, if it gave one
	Detail    string        // first bytes of the answer, for a person
	Took      time.Duration //
	SeenBy    string        // a person, where the channel can tell
	Carried   bool          // only a carrier has it, which does not say whether the unit does
	RetryHint time.Duration // the unit asked for this pause (Retry-After); 0 when not said
}
