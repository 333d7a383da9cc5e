package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

var errEnough = errors.New("enough")

// publishUntil publishes a ticket again and again until the reader has said that it is there.
func (w *world) publishUntil(there <-chan struct{}) {
	w.Helper()
	deadline := time.After(10 * time.Second)
	for {
		w.server.Publish(Change{Tickets: []grid.Ticket{ticket("T-fire", "fire-1")}})
		select {
		case <-there:
			return
		case <-deadline:
			w.Fatal("no message came")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func event(n int) grid.Event {
	return grid.Event{ID: fmt.Sprintf("E%04d", n), Type: grid.EventTest, Kind: grid.KindTest, Priority: 4, Mode: grid.Live, At: t0, Received: t0.Add(time.Duration(n) * time.Second)}
}

func (w *world) commitEvents(from, to int) {
	w.Helper()
	var b state.Batch
	for n := from; n <= to; n++ {
		b.Events = append(b.Events, event(n))
	}
	w.commit(&b)
}

// read gives the ids of the events that come after the given one, until the last one wished for.
func (w *world) read(after, last string) []string {
	w.Helper()
	var ids []string
	_, err := w.client(admin).streamOnce(w.Context(), &after, func(m Message) error {
		if m.Name != "event" {
			return nil
		}
		ids = append(ids, m.ID)
		if m.ID == last {
			return errEnough
		}
		return nil
	})
	var stop *stopped
	if !errors.As(err, &stop) {
		w.Fatalf("stream ended: %v", err)
	}
	return ids
}

func ids(from, to int) (out []string) {
	for n := from; n <= to; n++ {
		out = append(out, event(n).ID)
	}
	return out
}

func TestStreamResumesAfterTheLastEventWithoutLossOrRepetition(t *testing.T) {
	w := newWorld(t)
	w.commitEvents(1, replayPage*2+10) // more than two pages
	if got, want := w.read("E0003", "E0522"), ids(4, 522); !slices.Equal(got, want) {
		t.Errorf("got %d events, %v …, want %d", len(got), got[:min(5, len(got))], len(want))
	}
}

func TestEventCommittedDuringTheReplayIsSentOnce(t *testing.T) {
	w := newWorld(t)
	w.commitEvents(1, 3)
	r, err := w.server.hub.subscribe(grid.Actor{Role: grid.RoleSupervisor}, "")
	if err != nil {
		t.Fatal(err)
	}
	// Committed after the subscription: in the store and in the queue.
	w.commitEvents(4, 5)
	w.server.Publish(Change{Events: []grid.Event{event(4), event(5)}})
	w.commitEvents(6, 6)
	w.server.Publish(Change{Events: []grid.Event{event(6)}})
	w.server.Publish(Change{Events: []grid.Event{event(7)}}) // only in the queue
	w.server.hub.unsubscribe(r)                              // feed ends when the queue is empty

	rec := newRecorder()
	w.server.feed(t.Context(), rec.writer(), r, "E0002")
	if got, want := rec.ids(), ids(3, 7); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSlowReaderIsCutAndTheGatewayNeverWaits(t *testing.T) {
	w := newWorld(t)
	slow, _ := w.server.hub.subscribe(grid.Actor{Role: grid.RoleSupervisor}, "")
	other, _ := w.server.hub.subscribe(grid.Actor{Role: grid.RoleUnit, Unit: "fire-1"}, "")
	for n := range queueLength + 5 { // returns although nobody reads
		w.server.Publish(Change{Events: []grid.Event{event(n)}})
	}
	rec := newRecorder()
	if err := w.server.feed(t.Context(), rec.writer(), slow, ""); err == nil {
		t.Error("the slow reader was not cut")
	}
	if got := len(rec.ids()); got != queueLength {
		t.Errorf("it got %d events before the cut, want %d", got, queueLength)
	}
	w.server.hub.mu.Lock()
	defer w.server.hub.mu.Unlock()
	if _, there := w.server.hub.readers[other]; !there || len(w.server.hub.readers) != 1 {
		t.Errorf("another reader was cut with it")
	}
}

func TestUnitStreamCarriesItsOwnTicketsAlone(t *testing.T) {
	w := newWorld(t)
	r, _ := w.server.hub.subscribe(grid.Actor{Role: grid.RoleUnit, Unit: "fire-1"}, "")
	w.server.Publish(Change{
		Events: []grid.Event{event(1)}, Alarms: []grid.Alarm{{ID: "A"}}, Moves: []grid.MoveRecord{{Ticket: "T-city"}},
		Tickets:    []grid.Ticket{ticket("T-city", "city-1"), ticket("T-fire", "fire-1")},
		Deliveries: []grid.Delivery{{ID: "D-city", Unit: "city-1"}, {ID: "D-fire", Unit: "fire-1"}},
	})
	w.commitEvents(1, 2)
	w.server.hub.unsubscribe(r)
	rec := newRecorder()
	w.server.feed(t.Context(), rec.writer(), r, "E0001") // no replay for a unit either
	var got []string
	for _, m := range rec.messages() {
		var v struct{ ID string }
		json.Unmarshal(m.Data, &v)
		got = append(got, m.Name+" "+v.ID)
	}
	if want := []string{"ticket T-fire", "delivery D-fire"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestResumeAfterAForgottenEventSaysThereIsAGap(t *testing.T) {
	w := newWorld(t)
	r, _ := w.server.hub.subscribe(grid.Actor{Role: grid.RoleSupervisor}, "")
	w.server.hub.unsubscribe(r)
	rec := newRecorder()
	w.server.feed(t.Context(), rec.writer(), r, "long-gone")
	if m := rec.messages(); len(m) != 1 || m[0].Name != "gap" {
		t.Errorf("got %v, want a gap", m)
	}
}

func TestStreamBeatsWhileNothingHappens(t *testing.T) {
	w := newWorld(t)
	w.server.Heartbeat = time.Millisecond
	r, _ := w.server.hub.subscribe(grid.Actor{Role: grid.RoleSupervisor}, "")
	rec := newRecorder()
	rec.onWrite = func(s string) {
		if s == ": heartbeat\n\n" {
			w.server.hub.unsubscribe(r)
		}
	}
	w.server.feed(t.Context(), rec.writer(), r, "") // ends only by the heartbeat
}

func TestClientFollowsAcrossABrokenLine(t *testing.T) {
	w := newWorld(t)
	w.commitEvents(1, 1)
	there, n := make(chan struct{}), 0
	var got []string
	done := make(chan error, 1)
	go func() {
		done <- w.client(admin).Stream(t.Context(), func(m Message) error {
			if m.Name == "ticket" {
				if n++; n == 1 {
					close(there)
				}
				return nil
			}
			if got = append(got, m.ID); m.ID == "E0005" {
				return errEnough
			}
			return nil
		})
	}()
	w.publishUntil(there)
	w.server.Publish(Change{Events: []grid.Event{event(1)}})
	w.commitEvents(2, 4)
	w.cutAll() // before it heard of 2 to 4
	w.commitEvents(5, 5)
	if err := <-done; !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	if want := ids(1, 5); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func (w *world) cutAll() {
	w.server.hub.mu.Lock()
	defer w.server.hub.mu.Unlock()
	for r := range w.server.hub.readers {
		w.server.hub.cut(r)
	}
}
