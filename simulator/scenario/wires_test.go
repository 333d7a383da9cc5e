package scenario

import (
	"context"
	"testing"

	"gridgate/simulator"
)

// gate is a way out that takes nothing once its scenario is over.
type gate struct{}

func (gate) Publish(ctx context.Context, _ simulator.Message) error { return ctx.Err() }

func TestAFrameThatTheEndCutOffWasNotSent(t *testing.T) {
	c := &counted{to: gate{}}
	over, end := context.WithCancel(t.Context())
	if err := c.Publish(over, simulator.Message{}); err != nil {
		t.Fatal(err)
	}
	end()
	if err := c.Publish(over, simulator.Message{}); err == nil {
		t.Fatal("taken after the end")
	}
	if n := c.frames.Load(); n != 1 {
		t.Errorf("%d frames sent: want 1", n)
	}
}
