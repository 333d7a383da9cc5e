package gateway

import (
	"context"
	"sync"
	"time"

	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// heardUnits remembers when each unit last received a message.
type heardUnits struct {
	mu sync.Mutex
	at map[string]time.Time
}

// note takes what a commit says of deliveries.
func (h *heardUnits) note(ds []grid.Delivery, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range ds {
		if d := &ds[i]; d.State == grid.DeliveryReceived || d.State == grid.DeliverySeen {
			if h.at == nil {
				h.at = map[string]time.Time{}
			}
			h.at[d.Unit] = now
		}
	}
}

func (h *heardUnits) last(unit string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at[unit]
}

// makeTester makes the worker that tests the channels to units.
func (g *Gateway) makeTester() {
	g.tester = dispatch.NewTester(dispatch.TestConfig{
		Units: g.unitsToTest, Connectors: g.connectors, Told: g.engine.UnitChannel, Heard: g.heard.last,
		Every: g.cfg.Dispatch.TestEvery, Deadline: g.cfg.Dispatch.Timeout, Clock: g.clock, Log: g.log,
	})
}

// allUnits reads every unit, without what is secret of it.
func (g *Gateway) allUnits(ctx context.Context) (all []grid.Unit, err error) {
	for q := (state.Query{Limit: 1000}); ; {
		page, err := g.store.ListUnits(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return all, nil
		}
	}
}

// channels is how the channels are, for the API.
func (g *Gateway) channels() []grid.ChannelHealth { return g.tester.Channels() }

// testChannels tests them once the engine can take how the tests went.
func (g *Gateway) testChannels(ctx context.Context) error {
	select {
	case <-g.engine.Ready():
		return g.tester.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}
