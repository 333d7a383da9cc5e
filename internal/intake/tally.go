package intake

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
)

// Tally counts what went through the queues of one transport. Its zero value is ready;
// Log may be nil.
type Tally struct {
	Log *slog.Logger
	Now func() time.Time // the city's; nil is time.Now

	traffic                               Traffic
	stored, acked, retried, refused, lost atomic.Uint64

	mu        sync.Mutex
	failing   int // queues that cannot store at present
	since     time.Time
	lastErr   string
	lastErrAt time.Time
}

// Counts is a transport's part of the health view.
type Counts struct {
	LastFrame     time.Time `json:"last_frame,omitzero"`
	LastError     string    `json:"last_error,omitempty"`
	LastErrorAt   time.Time `json:"last_error_at,omitzero"`
	FailingSince  time.Time `json:"failing_since,omitzero"` // Ingest fails; zero when it does not
	Received      uint64    `json:"received"`               // frames off the wire
	Stored        uint64    `json:"stored"`                 // durable
	Acked         uint64    `json:"acked"`                  // durable, and acknowledged to the peer
	Retried       uint64    `json:"retried"`                // frames given to Ingest again
	Refused       uint64    `json:"refused"`                // payloads over the limit
	LostUnackable uint64    `json:"lost_unackable"`         // not stored, and the wire has no way to refuse
}

func (t *Tally) now() time.Time {
	if t.Now == nil {
		return time.Now().UTC()
	}
	return t.Now().UTC()
}

// Counts reads the tally.
func (t *Tally) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Counts{
		LastError: t.lastErr, LastErrorAt: t.lastErrAt, FailingSince: t.since,
		LastFrame: t.traffic.Last(), Received: t.traffic.Frames(), Stored: t.stored.Load(), Acked: t.acked.Load(),
		Retried: t.retried.Load(), Refused: t.refused.Load(), LostUnackable: t.lost.Load(),
	}
}

// Arrived counts a frame off the wire.
func (t *Tally) Arrived(f *grid.Frame) {
	t.traffic.Frame(f.Received)
	if f.Flags&grid.Refused != 0 {
		t.refused.Add(1)
	}
}

// Acked counts frames acknowledged to the peer.
func (t *Tally) Acked(n int) { t.acked.Add(uint64(n)) }

// Lost counts frames that are gone for good. The first of a row is logged.
func (t *Tally) Lost(n int) {
	if n == 0 {
		return
	}
	if t.lost.Add(uint64(n)) == uint64(n) && t.Log != nil {
		t.Log.Error("frames lost that the wire cannot send again")
	}
}

// Fault records an error for the health view; one that differs from the last is logged.
func (t *Tally) Fault(msg string, err error) {
	t.mu.Lock()
	changed := t.lastErr != err.Error()
	t.lastErr, t.lastErrAt = err.Error(), t.now()
	t.mu.Unlock()
	if changed && t.Log != nil {
		t.Log.Warn(msg, "err", err)
	}
}

// fails notes that one queue went from storing to failing.
func (t *Tally) fails(err error) {
	t.Fault("frames cannot be stored", err)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failing++; t.failing == 1 {
		t.since = t.now()
	}
}

// recovers notes that one queue has stopped failing, because it stores again or has given up.
func (t *Tally) recovers() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failing--; t.failing == 0 {
		t.since = time.Time{}
	}
}
