package broker

import (
	"errors"
	"fmt"
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"gridgate/internal/grid"
)

// hook is where the MQTT server asks us.
type hook struct {
	mochi.HookBase
	b *Broker
}

func (h *hook) ID() string { return "gridgate" }

func (h *hook) Provides(what byte) bool {
	switch what {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPacketRead, mochi.OnPublish,
		mochi.OnSessionEstablished, mochi.OnSubscribe, mochi.OnSubscribed, mochi.OnDisconnect, mochi.OnWillSent, mochi.OnClientExpired, mochi.OnQosComplete:
		return true
	}
	return false
}

// OnConnectAuthenticate lets users in. The server never asks whether a will may be
// published, so that is asked here; nor whose the session is that a client takes over by its
// client id, with the messages that wait in it.
func (h *hook) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	h.b.calm(cl, pk.Connect.Username)
	u, err := h.b.account(cl, pk.Connect.Username, pk.Connect.Password)
	if err != nil {
		h.b.refuse("login refused", fmt.Errorf("client %q from %s: %w", cl.ID, cl.Net.Remote, err))
		return false
	}
	if pk.Connect.WillFlag && !h.b.mayPublish(u, pk.Connect.WillTopic) {
		h.b.refuse("login refused", fmt.Errorf("client %q: its will is for %q, which user %q may not publish", cl.ID, pk.Connect.WillTopic, u.Name))
		return false
	}
	if u != &h.b.anyone {
		cl.Properties.Username = []byte(u.Name) // a certificate's may come without
	}
	if other, ok := h.b.server.Clients.Get(cl.ID); ok && string(other.Properties.Username) != string(cl.Properties.Username) {
		h.b.refuse("login refused", fmt.Errorf("client id %q from %s: is in use by user %q, not %q: want a client id of its own", cl.ID, cl.Net.Remote, other.Properties.Username, u.Name))
		return false
	}
	return true
}

// OnACLCheck is asked before a publish, a subscription, and each delivery.
func (h *hook) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	u := h.b.user(cl.Properties.Username)
	if u == nil {
		return false
	}
	if write {
		may := h.b.mayPublish(u, topic)
		if !may {
			err := grid.Errorf(grid.Forbidden, "client %q: user %q may not publish %q", cl.ID, u.Name, topic)
			h.b.refuse("publish refused", err)
			h.b.faulted(cl, err)
		}
		return may
	}
	return anyMatches(u.Subscribe, unshared(topic))
}

// OnPacketRead refuses QoS 2. Here the packet still has the QoS it came with; the server
// then lowers it to 1 without a word, and the client would wait for a PUBREC for ever.
func (h *hook) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Type == packets.Publish && pk.FixedHeader.Qos == 2 {
		h.b.tally.Fault("publish refused", grid.Errorf(grid.Invalid, "client %q publishes %q at QoS 2: want 0 or 1", cl.ID, pk.TopicName))
		if cl.Properties.ProtocolVersion == 5 {
			_ = h.b.server.DisconnectClient(cl, packets.ErrQosNotSupported)
		}
		return pk, packets.ErrRejectPacket
	}
	return pk, nil
}

// OnPublish takes frames out of the server's hands. The server has made a fresh copy of
// the packet's bytes, so the frame may keep them.
func (h *hook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline || !anyMatches(h.b.cfg.Uplinks, pk.TopicName) {
		return pk, nil
	}
	if pk.FixedHeader.Qos == 0 {
		h.b.takeUnacked(cl, &pk)
		return pk, packets.CodeSuccessIgnore
	}
	h.b.session(cl).take(&pk)
	// Any other error is acknowledged on MQTT 3.1.1.
	return pk, packets.ErrRejectPacket
}

// OnSessionEstablished notes who is there, and switches off the server's count of what an
// MQTT 5 client still takes. What it does with the count takes a read lock twice, and hangs
// when someone publishes to that client in between.
func (h *hook) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	cl.State.Inflight.ResetSendQuota(0)
	h.b.enters(cl)
	h.b.recheck(cl)
	for filter := range cl.State.Subscriptions.GetAll() { // of a session that it takes up again
		h.b.listens(filter)
	}
}

// OnSubscribe gives QoS 0 to a client that takes fewer messages at a time than we may send,
// but for downlinks: of those we know how many it has not acknowledged.
func (h *hook) OnSubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	if most := cl.Properties.Props.ReceiveMaximum; most > 0 && most < maxInflight {
		for i, f := range pk.Filters {
			if !strings.HasPrefix(unshared(f.Filter), nativeDown) {
				pk.Filters[i].Qos = 0
			}
		}
	}
	return pk
}

// OnQosComplete is told of each PUBACK to what the broker sent.
func (h *hook) OnQosComplete(cl *mochi.Client, pk packets.Packet) { h.b.acknowledged(cl, &pk) }

// OnSubscribed looks whether anyone listens to uplinks. It never goes back: asking the
// server for subscribers costs more than the rest of the way of a frame.
func (h *hook) OnSubscribed(_ *mochi.Client, pk packets.Packet, reasons []byte) {
	for i, s := range pk.Filters {
		if reasons[i] >= packets.ErrUnspecifiedError.Code {
			continue
		}
		h.b.listens(s.Filter)
		for _, u := range h.b.cfg.Uplinks {
			if overlap(u, unshared(s.Filter)) {
				h.b.fanOut.Store(true)
			}
		}
	}
}

// OnWillSent journals a will on an uplink topic, unless it is we who are leaving. The server
// itself has brought it to subscribers.
func (h *hook) OnWillSent(cl *mochi.Client, pk packets.Packet) {
	if h.b.ctx.Err() == nil && anyMatches(h.b.cfg.Uplinks, pk.TopicName) {
		h.b.enqueueUnacked(cl, &pk, nil)
	}
}

func (h *hook) OnDisconnect(cl *mochi.Client, err error, _ bool) {
	if errors.Is(err, packets.ErrPacketTooLarge) {
		h.b.tally.Fault("connection closed", grid.Errorf(grid.Invalid, "client %q sends a packet of more than %d bytes: raise max_packet or make it stop", cl.ID, h.b.cfg.MaxPacket))
	}
	h.b.ended(cl)
	h.b.leaves(cl)
	h.b.devices.by.Delete(cl)
}

// OnClientExpired takes away the subscriptions that the server leaves behind.
func (h *hook) OnClientExpired(cl *mochi.Client) { h.b.server.UnsubscribeClient(cl) }
