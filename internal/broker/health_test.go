package broker

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func TestHealthOfTheBrokerNamesEachClientAndWhatWasRefusedIt(t *testing.T) {
	var in gatetest.Inbox
	b := New(Config{Name: "hall", Identify: identify}, nil)
	if h := b.Links()[0]; h.Up || h.Problem == "" || h.Since.IsZero() {
		t.Errorf("before it runs: %+v", h)
	}
	b, _ = start(t, Config{Name: "hall"}, &in)
	c, other := dial(t, b, rawConnect{id: "gate"}), dial(t, b, rawConnect{id: "idle"})
	c.write(t, publishPacket(4, 1, false, false, "gridgate/up/sn:1", 7, "x"))
	c.write(t, publishPacket(4, 0, false, false, "gridgate/up/sn:2", 0, "y"))
	in.Wait(t, 2)
	c.write(t, publishPacket(4, 0, false, false, "gridgate/down/sn:1", 0, "z")) // at QoS 1 the connection would be closed
	peers := func() map[string]grid.LinkHealth {
		out := map[string]grid.LinkHealth{}
		for _, p := range b.Peers("") {
			out[p.Name] = p
		}
		return out
	}
	gatetest.Eventually(t, "the refusal", func() bool { return peers()["gate"].LastError != "" })
	gate, idle := peers()["gate"], peers()["idle"]
	if !gate.Up || gate.Kind != grid.ClientPeer || gate.Source != "hall" || gate.Device != "sn:2" || gate.Frames != 2 || gate.PerMinute == 0 || gate.LastFrame.IsZero() || gate.Since.IsZero() ||
		!strings.Contains(gate.LastError, `may not publish "gridgate/down/sn:1"`) || gate.LastErrorAt.IsZero() || gate.Detail != "user gridgate" || !strings.HasPrefix(gate.Address, "127.0.0.1:") {
		t.Errorf("gate is %+v", gate)
	}
	if !idle.Up || idle.Frames != 0 || idle.LastError != "" {
		t.Errorf("idle is %+v", idle)
	}
	h := b.Links()[0]
	if h.Name != "broker" || h.Kind != grid.EmbeddedLink || !h.Up || h.Problem != "" || h.Peers != 2 || h.PeersUp != 2 || h.Frames != 2 || h.Address != b.Addr() || time.Since(h.Since) > time.Minute {
		t.Errorf("broker is %+v", h)
	}
	_ = other.Conn.Close()
	gatetest.Eventually(t, "idle to be gone", func() bool { return len(peers()) == 1 && b.Links()[0].Peers == 1 })
}
