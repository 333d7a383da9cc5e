package scenario

import (
	"context"
	"sync"
	"sync/atomic"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// valve stands between the city and the wire: it can hold back what a device says, and say
// its last word again.
type valve struct {
	to     simulator.Sink
	frames atomic.Uint64 // that went through

	mu   sync.Mutex
	held map[grid.Identity][]simulator.Message // of devices that are held; nil: not held
	last map[grid.Identity]simulator.Message   // of devices that are watched
}

// mostHeld bounds what one device's network keeps for it.
const mostHeld = 1000

// Publish passes a message on, or keeps it.
func (v *valve) Publish(ctx context.Context, m simulator.Message) error {
	v.mu.Lock()
	if _, watched := v.last[m.Identity]; watched {
		v.last[m.Identity] = m
	}
	if kept, held := v.held[m.Identity]; held {
		if len(kept) < mostHeld {
			v.held[m.Identity] = append(kept, m)
		}
		v.mu.Unlock()
		return nil
	}
	v.mu.Unlock()
	v.frames.Add(1)
	return v.to.Publish(ctx, m)
}

// hold keeps back what a device says from now on.
func (v *valve) hold(id grid.Identity) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.held[id] == nil {
		v.held[id] = []simulator.Message{}
	}
}

// release passes on what was kept, in order.
func (v *valve) release(ctx context.Context, id grid.Identity) error {
	v.mu.Lock()
	kept := v.held[id]
	delete(v.held, id)
	v.mu.Unlock()
	for _, m := range kept {
		if err := v.Publish(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// watch keeps the last word of a device, for again.
func (v *valve) watch(id grid.Identity) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, is := v.last[id]; !is {
		v.last[id] = simulator.Message{}
	}
}

// again sends the last word of a device once more, bit by bit the same.
func (v *valve) again(ctx context.Context, id grid.Identity) error {
	v.mu.Lock()
	m := v.last[id]
	v.mu.Unlock()
	if m.Topic == "" {
		return grid.Errorf(grid.NotFound, "%s has said nothing yet", id)
	}
	v.frames.Add(1)
	return v.to.Publish(ctx, m)
}
