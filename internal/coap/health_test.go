package coap

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func TestHealthOfAListenerIsItsOwnAndNotThatOfTheOthers(t *testing.T) {
	var in gatetest.Inbox
	tr := New(Config{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", Identify: identify}, nil)
	var broken atomic.Bool
	servers := make(chan server, 8)
	l := tr.on("udp")
	open := l.open
	l.open = func(addr string) (server, error) {
		if broken.Load() {
			return nil, errors.New("no such interface")
		}
		s, err := open(addr)
		servers <- s
		return s, err
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() {
		if err := tr.Run(ctx, &in); err != nil {
			t.Error(err)
		}
	})
	defer run.Wait()
	defer cancel()
	<-tr.Ready()
	d := dial(t, tr.Addr("udp"))
	d.ask(report(1, "x"), codes.Changed)
	d.ask(report(2, "y"), codes.Changed)
	udp, tcp := tr.Links()[0], tr.Links()[1]
	if udp.Name != "coap.udp" || udp.Kind != grid.ListenerLink || !udp.Up || udp.Frames != 2 || udp.PerMinute == 0 || udp.LastFrame.IsZero() || udp.Peers != 1 || udp.Address != tr.Addr("udp") {
		t.Errorf("udp is %+v", udp)
	}
	if tcp.Name != "coap.tcp" || !tcp.Up || tcp.Frames != 0 || !tcp.LastFrame.IsZero() || tcp.Peers != 0 {
		t.Errorf("tcp is %+v", tcp)
	}

	broken.Store(true)
	(<-servers).stop()
	gatetest.Eventually(t, "udp to be down", func() bool { return strings.Contains(tr.Links()[0].LastError, "no such interface") })
	udp, tcp = tr.Links()[0], tr.Links()[1]
	if udp.Up || !strings.HasPrefix(udp.Problem, "not listening since ") || !strings.Contains(udp.Problem, "no such interface") || udp.Peers != 0 || udp.LastErrorAt.IsZero() {
		t.Errorf("udp is %+v", udp)
	}
	if !tcp.Up || tcp.Problem != "" || tcp.LastError != "" {
		t.Errorf("tcp has caught it: %+v", tcp)
	}
	broken.Store(false)
	gatetest.Eventually(t, "udp to be back", func() bool { return tr.Links()[0].Up })
	if h := tr.Links()[0]; h.Problem != "" || h.Frames != 2 {
		t.Errorf("udp is back and %+v", h)
	}
}
