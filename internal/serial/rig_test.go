package serial

import (
	"context"
	"sync"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// parseAll takes apart the frames of GB/T 26875.3 that b begins with.
func parseAll(b []byte) (out []gb26875.Frame) {
	for len(b) > 0 {
		n, err := gb26875.Length(b)
		if err != nil || n == 0 || n > len(b) {
			break
		}
		f, err := gb26875.Parse(b[:n])
		if err != nil {
			break
		}
		out, b = append(out, f), b[n:]
	}
	return out
}

// start runs a transport until the test ends, and returns how to end it before.
func start(t testing.TB, cfg Config, in grid.Ingester) (*Transport, func()) {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "a"
	}
	tr := New(cfg, nil)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tr.Run(ctx, in) }()
	stop := sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Run does not end")
		}
	})
	t.Cleanup(stop)
	return tr, stop
}

func isUp(t testing.TB, tr *Transport) {
	t.Helper()
	gatetest.Eventually(t, "the port to be open", func() bool { return tr.Status().Up })
}
