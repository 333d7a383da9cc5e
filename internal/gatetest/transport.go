package gatetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// patience bounds every wait of a test for something that must come.
const patience = 20 * time.Second

// Inbox is a grid.Ingester that keeps what it is given, and fails or stalls when told to.
// Its zero value takes everything.
type Inbox struct {
	mu     sync.Mutex
	frames []grid.Frame
	calls  [][]grid.Frame // also those refused
	fail   func([]grid.Frame) error
	gate   chan struct{}
}

// Ingest keeps the frames, unless told otherwise.
func (b *Inbox) Ingest(ctx context.Context, frames ...grid.Frame) error {
	b.mu.Lock()
	gate := b.gate
	b.calls = append(b.calls, append([]grid.Frame(nil), frames...))
	b.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		if err := b.fail(frames); err != nil {
			return err
		}
	}
	b.frames = append(b.frames, frames...)
	return nil
}

// Fail makes each Ingest return err; nil ends it.
func (b *Inbox) Fail(err error) {
	b.FailIf(func([]grid.Frame) error { return err })
}

// FailIf lets fail decide over each Ingest.
func (b *Inbox) FailIf(fail func([]grid.Frame) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = fail
}

// Stall makes each Ingest wait until the returned function is called, or its context ends.
func (b *Inbox) Stall() (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gate := make(chan struct{})
	b.gate = gate
	return sync.OnceFunc(func() {
		b.mu.Lock()
		b.gate = nil
		b.mu.Unlock()
		close(gate)
	})
}

// Frames returns what has been taken so far.
func (b *Inbox) Frames() []grid.Frame {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]grid.Frame(nil), b.frames...)
}

// Calls returns the frames of each Ingest so far, also of those that failed.
func (b *Inbox) Calls() [][]grid.Frame {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([][]grid.Frame(nil), b.calls...)
}

// Wait waits until n frames have been taken, and returns them.
func (b *Inbox) Wait(t testing.TB, n int) []grid.Frame {
	t.Helper()
	Eventually(t, fmt.Sprintf("%d frames", n), func() bool { return len(b.Frames()) >= n })
	return b.Frames()
}

// Eventually waits until is holds.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// Peer is the far side of a wire that acknowledges.
type Peer interface {
	// Send puts a frame with this payload on the wire and does not wait for the answer.
	Send(t testing.TB, payload string)
	// Acked returns the payloads acknowledged so far, in the order of the acknowledgements.
	Acked() []string
	// Closed reports whether the transport has closed the connection.
	Closed() bool
}

// Connect starts a transport that gives up after giveUp, with a peer; both end with the test.
type Connect func(t *testing.T, in grid.Ingester, giveUp time.Duration) Peer

// never is when a transport gives up that is not to.
const never = time.Hour

// TestTransport tests what every transport over an acknowledged wire promises.
func TestTransport(t *testing.T, connect Connect) {
	t.Run("AcknowledgesWhatIsDurable", func(t *testing.T) { acknowledgesWhatIsDurable(t, connect) })
	t.Run("AcknowledgesNothingBefore", func(t *testing.T) { acknowledgesNothingBefore(t, connect) })
	t.Run("TriesAgainAndAcknowledgesThen", func(t *testing.T) { triesAgainAndAcknowledgesThen(t, connect) })
	t.Run("KeepsTheOrder", func(t *testing.T) { keepsTheOrder(t, connect) })
	t.Run("CollectsWhatWaits", func(t *testing.T) { collectsWhatWaits(t, connect) })
	t.Run("GivesUpTheConnectionNotTheFrame", func(t *testing.T) { givesUpTheConnectionNotTheFrame(t, connect) })
}

func acknowledgesWhatIsDurable(t *testing.T, connect Connect) {
	var in Inbox
	p := connect(t, &in, never)
	p.Send(t, "a")
	Eventually(t, "an acknowledgement", func() bool { return len(p.Acked()) == 1 })
	if got := in.Frames(); len(got) != 1 || string(got[0].Raw) != "a" {
		t.Fatalf("acknowledged, and taken in were %v", got)
	}
}

func acknowledgesNothingBefore(t *testing.T, connect Connect) {
	var in Inbox
	release := in.Stall()
	defer release()
	p := connect(t, &in, never)
	p.Send(t, "a")
	Eventually(t, "Ingest to be called", func() bool { return len(in.Calls()) == 1 })
	quiet(t, p, 0)
	release()
	Eventually(t, "an acknowledgement", func() bool { return len(p.Acked()) == 1 })
}

func triesAgainAndAcknowledgesThen(t *testing.T, connect Connect) {
	var in Inbox
	in.Fail(errors.New("disk is gone"))
	p := connect(t, &in, never)
	p.Send(t, "a")
	Eventually(t, "a second try", func() bool { return len(in.Calls()) >= 2 })
	quiet(t, p, 0)
	in.Fail(nil)
	Eventually(t, "an acknowledgement", func() bool { return len(p.Acked()) == 1 })
	if got := in.Frames(); len(got) != 1 {
		t.Fatalf("one frame was sent, %d were taken", len(got))
	}
}

func keepsTheOrder(t *testing.T, connect Connect) {
	var in Inbox
	p := connect(t, &in, never)
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprint(i))
		p.Send(t, want[i])
	}
	Eventually(t, "all acknowledgements", func() bool { return len(p.Acked()) == len(want) })
	var got []string
	for _, f := range in.Frames() {
		got = append(got, string(f.Raw))
	}
	if w := strings.Join(want, " "); strings.Join(got, " ") != w || strings.Join(p.Acked(), " ") != w {
		t.Fatalf("order was lost:\ntaken        %v\nacknowledged %v", got, p.Acked())
	}
}

func collectsWhatWaits(t *testing.T, connect Connect) {
	var in Inbox
	release := in.Stall()
	defer release()
	p := connect(t, &in, never)
	p.Send(t, "first")
	Eventually(t, "Ingest to be called", func() bool { return len(in.Calls()) == 1 })
	for i := range 200 {
		p.Send(t, fmt.Sprint(i))
	}
	time.Sleep(100 * time.Millisecond) // for them to arrive; the test holds without
	release()
	in.Wait(t, 201)
	if n := len(in.Calls()); n > 100 {
		t.Errorf("201 frames took %d calls of Ingest", n)
	}
}

func givesUpTheConnectionNotTheFrame(t *testing.T, connect Connect) {
	var in Inbox
	in.Fail(errors.New("disk is gone"))
	p := connect(t, &in, 300*time.Millisecond)
	p.Send(t, "a")
	Eventually(t, "the connection to be closed", p.Closed)
	if got := p.Acked(); len(got) != 0 {
		t.Fatalf("acknowledged %v, which is not stored", got)
	}
}

// quiet fails when a further acknowledgement comes where none may.
func quiet(t *testing.T, p Peer, n int) {
	t.Helper()
	for range 20 {
		time.Sleep(5 * time.Millisecond)
		if got := p.Acked(); len(got) != n {
			t.Fatalf("acknowledged %v before it was durable", got)
		}
	}
}
