package engine

import (
	"context"
	"time"

	"gridgate/internal/people"
)

// Plan is who is on duty between two times. It is worked out beside the state goroutine.
func (e *Engine) Plan(ctx context.Context, from, to time.Time) ([]people.Watch, error) {
	d, err := as[*people.Duty](e.do(ctx, &command{name: "duty", do: func(*batch) (any, error) { return e.onDuty(), nil }}))
	if err != nil {
		return nil, err
	}
	return d.Plan(from, to), nil
}
