//go:build linux

package serial

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

func byName(peers []grid.LinkHealth) map[string]grid.LinkHealth {
	out := map[string]grid.LinkHealth{}
	for _, p := range peers {
		out[p.Name] = p
	}
	return out
}

func TestHealthOfALineNamesTheSlaveThatIsSilent(t *testing.T) {
	b := startBus(t)
	b.set(7, 0, 1)
	var in gatetest.Inbox
	tr, _ := start(t, Config{Name: "riser", Connect: b.url(), Protocol: ModbusRTU, ResponseTimeout: 20 * time.Millisecond, Slaves: []Slave{one(7), one(8)}}, &in)
	in.Wait(t, 1)
	var got map[string]grid.LinkHealth
	gatetest.Eventually(t, "unit 8 to be silent", func() bool {
		got = byName(tr.Peers(""))
		return !got["modbus:riser/8"].Since.IsZero()
	})
	well, silent := got["modbus:riser/7"], got["modbus:riser/8"]
	if !well.Up || well.Kind != grid.SlavePeer || well.Source != "riser" || well.Address != "7" || well.Frames == 0 || well.PerMinute == 0 || well.LastFrame.IsZero() || !strings.HasPrefix(well.Detail, "asked ") {
		t.Errorf("unit 7 is %+v", well)
	}
	if silent.Up || silent.LastError != "no answer" || silent.LastErrorAt.IsZero() || silent.Frames != 0 {
		t.Errorf("unit 8 is %+v", silent)
	}
	h := tr.Links()[0]
	if h.Name != "serial.riser" || h.Kind != grid.PortLink || h.Transport != "serial" || !h.Up || h.Problem != "" || h.Frames == 0 || h.Peers != 2 || h.PeersUp != 1 {
		t.Errorf("the line is %+v", h)
	}
}

func TestHealthOfAPortThatHangsUpTakesDownWhoIsBehindIt(t *testing.T) {
	c := plug(t)
	var in gatetest.Inbox
	tr, _ := start(t, Config{Path: c.path, Protocol: GBT26875}, &in)
	isUp(t, tr)
	c.write(gbFrame(1, "\x15\x01a"))
	in.Wait(t, 1)
	gatetest.Eventually(t, "the device to be up", func() bool { return tr.Links()[0].PeersUp == 1 })
	c.pull()
	gatetest.Eventually(t, "the reason", func() bool { return strings.Contains(tr.Links()[0].LastError, "is not there") })
	if h := tr.Links()[0]; h.Up || h.PeersUp != 0 || h.Peers != 1 || !strings.HasPrefix(h.Problem, "not open since ") || !strings.Contains(h.Problem, "is not there") || h.LastErrorAt.IsZero() {
		t.Errorf("the port that is gone is %+v", h)
	}
	c.plugIn()
	isUp(t, tr)
	c.write(gbFrame(2, "\x15\x01b"))
	in.Wait(t, 2)
	gatetest.Eventually(t, "the device to be up again", func() bool { return tr.Links()[0].PeersUp == 1 })
	if h := tr.Links()[0]; h.Problem != "" || h.Frames != 2 {
		t.Errorf("the port that is back is %+v", h)
	}
}

func TestHealthOfAListenerNamesTransmittersThatHaveGone(t *testing.T) {
	tr, _ := start(t, Config{Name: "fires", Listen: "tcp://127.0.0.1:0", Protocol: GBT26875}, &gatetest.Inbox{})
	a, b := call(t, tr, "tcp"), call(t, tr, "tcp")
	a.barrier(t) // device 1
	b.send(t, gb26875.Append(nil, gb26875.Frame{Serial: 1, Source: 2, Sent: gb26875.Time{1, 1, 1, 1, 1, 26}, Command: gb26875.Send}))
	gatetest.Eventually(t, "two transmitters", func() bool { return tr.Links()[0].PeersUp == 2 })
	h := tr.Links()[0]
	if h.Kind != grid.ListenerLink || h.Transport != "tcp" || h.Name != "serial.fires" || !strings.Contains(h.Detail, "2 connections") || h.Frames != 2 || h.PerMinute != 2 {
		t.Errorf("the listener is %+v", h)
	}
	before := byName(tr.Peers(""))["gb26875:2"]
	if !before.Up || before.Kind != grid.TransmitterPeer || before.Device != "gb26875:2" || before.Address != "127.0.0.1" || before.Frames != 1 {
		t.Errorf("device 2 is %+v", before)
	}
	_ = b.Close()
	gatetest.Eventually(t, "device 2 to be gone", func() bool { return !byName(tr.Peers(""))["gb26875:2"].Up })
	got := byName(tr.Peers(""))
	if two := got["gb26875:2"]; !two.Since.After(before.Since) || two.LastFrame.IsZero() || !got["gb26875:1"].Up {
		t.Errorf("devices are %+v", got)
	}
	bad := gb26875.Append(nil, gb26875.Frame{Serial: 9, Source: 1, Sent: gb26875.Time{1, 1, 1, 1, 1, 26}, Command: gb26875.Send})
	bad[len(bad)-3]++
	a.send(t, bad)
	gatetest.Eventually(t, "the damaged frame to be told of", func() bool { return byName(tr.Peers(""))["gb26875:1"].LastError != "" })
	if h := tr.Links()[0]; h.LastError == "" || !strings.Contains(h.Detail, "1 damaged") || h.Problem != "" {
		t.Errorf("the listener is %+v", h)
	}
}

func TestTransmitterOverUDPIsDownWhenItIsSilentForIdle(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	tr, _ := start(t, Config{Listen: "udp://127.0.0.1:0", Protocol: GBT26875, Idle: time.Minute, Now: now}, &gatetest.Inbox{})
	c := call(t, tr, "udp")
	c.barrier(t)
	first := byName(tr.Peers(""))["gb26875:1"]
	ahead.Store(int64(59 * time.Second))
	if p := byName(tr.Peers(""))["gb26875:1"]; !p.Up {
		t.Errorf("after 59 s: %+v", p)
	}
	ahead.Store(int64(2 * time.Minute))
	if p := byName(tr.Peers(""))["gb26875:1"]; p.Up || !p.Since.Equal(first.LastFrame.Add(time.Minute)) {
		t.Errorf("after 2 minutes: %+v", p)
	}
	c.barrier(t)
	if p := byName(tr.Peers(""))["gb26875:1"]; !p.Up || p.Since.Before(first.Since.Add(time.Minute)) || p.Frames != 2 {
		t.Errorf("after its return: %+v", p)
	}
}

func TestHealthOfAListenerForTextNamesItsConnections(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: Lines, Identify: `^id=(\w+)`, Kind: "meter"}, &in)
	c := call(t, tr, "tcp")
	c.send(t, []byte("id=a1 open=1\n"))
	in.Wait(t, 1)
	peers := tr.Peers("")
	if len(peers) != 1 || !peers[0].Up || peers[0].Kind != grid.ConnectionPeer || peers[0].Name != c.LocalAddr().String() || peers[0].Device != "meter:a1" || peers[0].Frames != 1 || peers[0].Since.IsZero() {
		t.Errorf("connections are %+v", peers)
	}
	_ = c.Close()
	gatetest.Eventually(t, "the connection to be gone", func() bool { return tr.Links()[0].Peers == 0 })
}

func TestSlavesBehindALineThatHangsUpAreDownWithIt(t *testing.T) {
	b := &fieldBus{values: map[byte][]byte{}, asked: map[byte]int{}}
	b.set(7, 0, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	tr, _ := start(t, Config{Connect: "tcp://" + ln.Addr().String(), Protocol: ModbusRTU, Slaves: []Slave{one(7)}}, &gatetest.Inbox{})
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	go b.serve(c)
	gatetest.Eventually(t, "the unit to answer", func() bool { return tr.Peers("")[0].Up })
	_ = c.Close()
	gatetest.Eventually(t, "the line to be down", func() bool { return !tr.Links()[0].Up })
	if h, p := tr.Links()[0], tr.Peers("")[0]; p.Up || !p.Since.Equal(h.Since) || h.PeersUp != 0 || p.Frames == 0 {
		t.Errorf("line %+v, unit %+v", h, p)
	}
}
