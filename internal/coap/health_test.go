package coap

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

func TestRegistrationsAreLinesOfTheHealthView(t *testing.T) {
	clock := newClock()
	cfg := Config{UDP: freeUDP(t), TCP: "127.0.0.1:0", Now: clock.now, LwM2M: LwM2M{On: true, StateFile: filepath.Join(t.TempDir(), "lwm2m.json")}}
	tr, stop := start(t, cfg, &gatetest.Inbox{})
	d := dial(t, tr.Addr("udp"))
	d.registers("ep=urn:imei:490154203237518&lt=600&lwm2m=1.1&b=U&Q", "</1/0>")
	call(t, tr.Addr("tcp")).registers("ep=sn:2&b=T", "</1/0>")
	one := func(link string) grid.LinkHealth {
		t.Helper()
		var found []grid.LinkHealth
		for _, p := range tr.Peers(link) {
			if p.Kind == grid.LwM2MPeer {
				found = append(found, p)
			}
		}
		if len(found) != 1 {
			t.Fatalf("%s has %+v, want one registration", link, found)
		}
		return found[0]
	}
	h := one("coap.udp")
	if h.Name != "urn:imei:490154203237518" || h.Device != "imei:490154203237518" || !h.Up || h.Address != d.conn.LocalAddr().String() || h.Frames != 1 || h.LastFrame.IsZero() || h.Since.IsZero() || h.Transport != "coap" || h.Source != "coap" {
		t.Errorf("%+v", h)
	}
	if want := "LwM2M 1.1; sleeps between its reports; listens; lifetime 600 s, offline in "; !strings.HasPrefix(h.Detail, want) || !strings.HasSuffix(h.Detail, "; observed 0; waiting requests 0") {
		t.Errorf("detail %q, want %s…", h.Detail, want)
	}
	clock.move(awakeFor + time.Second)
	if h = one("coap.udp"); !strings.Contains(h.Detail, "; asleep; lifetime 600 s, offline in 7") || !h.Up {
		t.Errorf("detail %q", h.Detail)
	}
	if h = one("coap.tcp"); h.Name != "sn:2" || !strings.Contains(h.Detail, "LwM2M 1.0; listens;") {
		t.Errorf("%+v", h)
	}
	for _, l := range tr.Links() {
		if l.Detail != "2 devices registered by LwM2M" {
			t.Errorf("%s: %q", l.Name, l.Detail)
		}
	}
	stop()
	tr, _ = start(t, cfg, &gatetest.Inbox{})
	if h = one("coap.tcp"); h.Name != "sn:2" || h.Address != "" || !strings.Contains(h.Detail, "not heard since the gateway started") {
		t.Errorf("after a restart %+v", h)
	}
}
