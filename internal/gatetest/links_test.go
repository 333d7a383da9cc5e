package gatetest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// link waits until the health of a link is as wanted.
func (g *gateway) link(t *testing.T, name, what string, is func(grid.LinkHealth) bool) grid.LinkHealth {
	t.Helper()
	var got grid.LinkHealth
	eventually(t, 30*time.Second, name+" to be "+what, func() error {
		page, err := g.api.Links(t.Context())
		if err != nil {
			return err
		}
		for _, l := range page.Items {
			if got = l; l.Name == name && is(l) {
				return nil
			}
		}
		return fmt.Errorf("links are %+v", page.Items)
	})
	return got
}

// subscribed waits until the gateway listens at a broker elsewhere. It is ready before that
// (a broker may be down for days), and what is published to nobody is gone.
func (g *gateway) subscribed(t *testing.T, broker string) {
	t.Helper()
	g.link(t, "mqtt."+broker, "up", func(l grid.LinkHealth) bool { return l.Up })
}

// deafBus is a serial server behind which nobody answers.
func deafBus(t *testing.T, addr string) (hangUp func()) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	context.AfterFunc(ctx, func() { _ = ln.Close() })
	t.Cleanup(cancel)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = c.Close() })
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
	}()
	return cancel
}

func TestBrokerAndLineThatGoDownAreSeenInHealthMetricsReadinessAndCheck(t *testing.T) {
	m := newMosquitto(t)
	m.start(t)
	dir, bus := t.TempDir(), gatetest.FreeAddr(t)
	folder := filepath.Join(dir, "test", "reed")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "profile.yaml"), reedProfile)
	hangUp := deafBus(t, bus)
	g := newGateway(t, "profiles: ["+dir+"]",
		"mqtt: [{name: city, url: mqtt://"+m.addr+", topics: [gridgate/up/#], skip_queue_check: true}]",
		"serial: [{name: riser, connect: tcp://"+bus+", protocol: modbus-rtu, response_timeout: 50ms, slaves: [{address: 9, profile: test/reed}]},",
		"  {name: texts, listen: tcp://127.0.0.1:0, protocol: lines}]",
		"coap: {listen: "+gatetest.FreeAddr(t)+"}")
	g.start(t)
	g.put(t, brokersRegistry)
	check := func() (string, error) {
		return gatetest.Run(t.Context(), program(t, "gridgate"), "--config", g.config, "check")
	}
	up := func(l grid.LinkHealth) bool { return l.Up }
	for _, name := range []string{"broker", "mqtt.city", "serial.riser", "serial.texts", "coap.udp"} {
		g.link(t, name, "up", up)
	}
	connect(t, m.addr).send(t, "gridgate/up/sn:door", []byte(`{"door.open":true}`))
	was := g.link(t, "mqtt.city", "heard", func(l grid.LinkHealth) bool { return l.Frames == 1 && l.PerMinute > 0 && !l.LastFrame.IsZero() })
	connect(t, g.broker).send(t, "gridgate/up/sn:door", []byte(`{"door.open":false}`))
	if peers, err := g.api.Peers(t.Context(), "broker", api.Query{}); err != nil || len(peers.Items) != 1 || peers.Items[0].Device != "sn:door" || peers.Items[0].Frames != 1 || !peers.Items[0].Up {
		t.Errorf("clients of the broker are %+v, %v", peers, err)
	}

	// A slave that we were told of and that does not answer is a finding, though the line is up.
	g.link(t, "serial.riser", "without its slave", func(l grid.LinkHealth) bool { return l.Up && l.Peers == 1 && l.PeersUp == 0 && l.Problem == "" })
	eventually(t, 20*time.Second, "the slave to be silent", func() error {
		out, err := check()
		if err == nil || !strings.Contains(out, "WRONG: serial.riser: modbus:riser/9 does not answer since ") {
			return fmt.Errorf("check says %v:\n%s", err, out)
		}
		return nil
	})
	if ready, err := g.api.Ready(t.Context()); err != nil || !ready.Ready || ready.Parts["serial.riser"] != "ok" || ready.Parts["coap.udp"] != "ok" {
		t.Errorf("readiness is %+v, %v", ready, err)
	}

	m.Stop(t)
	hangUp()
	gone := func(l grid.LinkHealth) bool {
		return !l.Up && strings.Contains(l.LastError, "refused") && strings.Contains(l.Problem, "since "+l.Since.Format(time.RFC3339))
	}
	city := g.link(t, "mqtt.city", "down", gone)
	if !city.Since.After(was.Since) || city.Frames != 1 {
		t.Errorf("the broker that is gone is %+v", city)
	}
	g.link(t, "serial.riser", "down", gone)
	ready, err := g.api.Ready(t.Context())
	if err != nil || ready.Ready || !strings.HasPrefix(ready.Parts["mqtt.city"], "not connected since ") || !strings.HasPrefix(ready.Parts["serial.riser"], "not open since ") {
		t.Errorf("readiness is %+v, %v", ready, err)
	}
	metrics(t, g, `gridgate_link_up{kind="broker",link="mqtt.city"} 0`, `gridgate_link_problem{link="mqtt.city"} 1`, `gridgate_link_received_frames_total{link="mqtt.city"} 1`,
		`gridgate_link_up{kind="port",link="serial.riser"} 0`, `gridgate_link_up{kind="embedded",link="broker"} 1`, `gridgate_link_peers{link="serial.riser"} 1`)
	out, err := check()
	if err == nil || !strings.Contains(out, "WRONG: mqtt.city: not connected since ") || !strings.Contains(out, "WRONG: serial.riser: not open since ") {
		t.Errorf("check says %v:\n%s", err, out)
	}
	for _, want := range [][]string{{"mqtt.city", "DOWN"}, {"serial.riser", "DOWN"}, {"serial.texts", "up"}, {"broker", "up"}, {"coap.udp", "up"}} {
		if !hasRow(out, want...) {
			t.Errorf("check has no row %v:\n%s", want, out)
		}
	}

	m.start(t)
	deafBus(t, bus)
	back := g.link(t, "mqtt.city", "back", up)
	if !back.Since.After(city.Since) {
		t.Errorf("the broker that is back is %+v", back)
	}
	g.link(t, "serial.riser", "back", up)
	g.balanced(t)
}

// hasRow reports whether a line of a table begins with words.
func hasRow(table string, words ...string) bool {
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) >= len(words) && strings.Join(f[:len(words)], " ") == strings.Join(words, " ") {
			return true
		}
	}
	return false
}
