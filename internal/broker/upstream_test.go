package broker

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/mqtt"
)

// Another gateway may subscribe to this one's broker, as to any.
func TestAnotherGatewayHearsTheEmbeddedBroker(t *testing.T) {
	own := []string{"gridgate/canary/#", "$gridgate/#"}
	var here, there gatetest.Inbox
	b, _ := start(t, Config{Users: []User{
		{Name: "gateway", Password: "g", Publish: own, Subscribe: append([]string{"gridgate/up/#"}, own...)},
		{Name: "dev", Password: "d"},
	}}, &here)
	tr := mqtt.New(mqtt.Config{URL: "mqtt://" + b.Addr(), Username: "gateway", Password: "g", Topics: []string{"gridgate/up/#"}, Identify: identify}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = tr.Run(ctx, &there) })
	t.Cleanup(func() { cancel(); running.Wait() })
	gatetest.Eventually(t, "the canary", func() bool { s := tr.Status(); return s.Connected && s.CanaryRTT > 0 })
	gatetest.Eventually(t, "the queue to be measured", func() bool { return tr.Status().Queue.Measured || tr.Status().Queue.Note != "" })
	d := dial(t, b, rawConnect{user: "dev", pass: "d"})
	for i := range 200 {
		d.Send(t, fmt.Sprint(i))
	}
	for i, f := range there.Wait(t, 200) {
		if string(f.Raw) != fmt.Sprint(i) {
			t.Fatalf("frame %d is %q", i, f.Raw)
		}
	}
	gatetest.Eventually(t, "their acknowledgement", func() bool { return tr.Status().Acked == 200 })
	if s := tr.Status(); s.Problem(time.Now()) != nil || !s.Queue.Measured {
		t.Errorf("%+v", s)
	}
}
