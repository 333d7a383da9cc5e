package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// The parts as they run.

// group runs the parts; the first failure ends the others.
type group struct {
	wg     sync.WaitGroup
	cancel context.CancelFunc
	mu     sync.Mutex
	errs   []error
}

func newGroup(cancel context.CancelFunc) *group { return &group{cancel: cancel} }

func (r *group) start(ctx context.Context, name string, run func(context.Context) error) {
	r.wg.Go(func() {
		err := run(ctx)
		if err == nil || errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		r.errs = append(r.errs, fmt.Errorf("%s: %w", name, err))
		r.mu.Unlock()
		r.cancel()
	})
}

func (r *group) wait() error {
	r.wg.Wait()
	return errors.Join(r.errs...)
}
