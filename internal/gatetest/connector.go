// Package gatetest holds what tests of several packages share: the conformance suites
// that state a contract's promise once for all its implementations.
package gatetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// ConnectorRig is a connector with its far side, as TestConnector needs it.
type ConnectorRig struct {
	Connector grid.Connector
	Unit      string // an addressee that the connector can reach
	// Received lists the ids that the far side holds, each as often as it holds it. nil: it cannot be asked.
	Received func() []string
	// Refuse makes the far side refuse from now on. nil: it never refuses.
	Refuse func()
	// Hang makes the far side take requests and never answer. nil: it has no way to.
	Hang func()
}

// TestConnector proves the promise of grid.Connector: nil says that the unit has it, and
// sending again with the same id is harmless. open makes a fresh rig.
func TestConnector(t *testing.T, open func(t *testing.T) ConnectorRig) {
	t.Run("NilSaysThatTheUnitHasIt", func(t *testing.T) {
		rig := open(t)
		deliver(t, rig, delivery(rig.Unit, 1))
		holds(t, rig, "D1")
	})
	t.Run("SendingAgainIsHarmless", func(t *testing.T) {
		rig := open(t)
		for range 3 {
			deliver(t, rig, delivery(rig.Unit, 1))
		}
		holds(t, rig, "D1")
	})
	t.Run("ManyAtOnceAllArrive", func(t *testing.T) {
		rig := open(t)
		var wg sync.WaitGroup
		var want []string
		for i := range 20 {
			d := delivery(rig.Unit, i)
			want = append(want, d.ID)
			wg.Go(func() { deliver(t, rig, d) })
		}
		wg.Wait()
		holds(t, rig, want...)
	})
	t.Run("RefusedIsAnError", func(t *testing.T) {
		rig := open(t)
		if rig.Refuse == nil {
			t.Skip("this connector's far side never refuses")
		}
		rig.Refuse()
		if _, err := rig.Connector.Deliver(t.Context(), delivery(rig.Unit, 1)); err == nil {
			t.Error("the unit refused, and the connector says that it has it")
		}
		holds(t, rig)
	})
	t.Run("EndsWithItsContext", func(t *testing.T) {
		rig := open(t)
		if rig.Hang != nil {
			rig.Hang()
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if rig.Hang == nil {
			cancel()
		}
		if _, err := rig.Connector.Deliver(ctx, delivery(rig.Unit, 1)); err == nil {
			t.Error("ended by its context, and the connector says that the unit has it")
		}
	})
}

func delivery(unit string, n int) grid.Delivery {
	id := fmt.Sprintf("D%d", n)
	return grid.Delivery{ID: id, N: int64(n), Ticket: "T", Unit: unit, Type: "ticket.opened", Priority: 1,
		Mode: grid.Simulated, Lane: grid.Safety, State: grid.DeliveryPending, Body: json.RawMessage(`{"id":"` + id + `"}`)}
}

func deliver(t *testing.T, rig ConnectorRig, d grid.Delivery) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := rig.Connector.Deliver(ctx, d); err != nil {
		t.Errorf("delivery %s: %v", d.ID, err)
	}
}

func holds(t *testing.T, rig ConnectorRig, want ...string) {
	t.Helper()
	if rig.Received == nil {
		return
	}
	got := slices.Sorted(slices.Values(rig.Received()))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the unit holds %v, want %v", got, want)
	}
}
