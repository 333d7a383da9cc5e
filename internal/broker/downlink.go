package broker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"gridgate/internal/grid"
)

const (
	nativeDown  = "gridgate/down/"
	ackedWithin = 10 * time.Second // bounds the wait for a client's PUBACK
	failed      = 0x80             // the first reason code of a PUBACK that says no (MQTT 5)
)

// Downlink hands d to the clients that are connected and subscribed to its topic, and waits
// for their PUBACKs. On gridgate/down/<identity> a PUBACK is the device's own: the downlink
// is acknowledged. On another topic a network server or bridge has it: it is sent.
//
// Nothing waits in the broker for a client that is away.
func (b *Broker) Downlink(ctx context.Context, d *grid.Downlink, way grid.Frame) (grid.Sent, error) {
	if b.cfg.Downlink == nil {
		return grid.Sent{}, grid.Errorf(grid.Invalid, "broker %s takes no downlinks", b.cfg.Name)
	}
	topic, payload, ref, err := b.cfg.Downlink(d, way)
	if err != nil {
		return grid.Sent{}, err
	}
	select {
	case <-b.ready:
	default:
		return grid.Sent{}, grid.Errorf(grid.Unavailable, "broker %s does not listen yet", b.cfg.Name)
	}
	native := strings.HasPrefix(topic, nativeDown)
	hearers := b.hearers(topic)
	if native {
		hearers = b.ofDevice(hearers, d.Device)
	}
	if len(hearers) == 0 {
		return grid.Sent{}, grid.Errorf(grid.Unavailable, "broker %s: nobody who is connected listens to %s: %s is not connected, or not subscribed", b.cfg.Name, topic, d.Device)
	}
	acks := !slices.ContainsFunc(hearers, func(h hearer) bool { return h.qos == 0 })
	switch {
	case d.Confirm && native && !acks:
		return grid.Sent{}, grid.Errorf(grid.Invalid, "broker %s: %s is subscribed at QoS 0 and cannot acknowledge: want QoS 1, or a downlink without confirm", b.cfg.Name, topic)
	case d.Confirm && !native && ref == "":
		return grid.Sent{}, grid.Errorf(grid.Invalid, "broker %s: nothing that comes back for %s says which downlink it acknowledges: want one without confirm", b.cfg.Name, topic)
	}
	if err := b.hand(ctx, hearers, topic, payload); err != nil {
		return grid.Sent{}, err
	}
	who := hearers[0].cl.ID
	switch {
	case native && acks:
		return grid.Sent{State: grid.DownlinkAcknowledged, Ref: ref, Answer: fmt.Sprintf("client %q acknowledged it", who), NoAck: true}, nil
	case acks:
		return grid.Sent{State: grid.DownlinkSent, Ref: ref, Answer: fmt.Sprintf("client %q has it, on %s", who, topic), NoAck: ref == ""}, nil
	}
	return grid.Sent{State: grid.DownlinkSent, Ref: ref, Answer: fmt.Sprintf("sent to client %q, on %s", who, topic), NoAck: ref == ""}, nil
}

// listens tells which device a subscription is of, if it is of one.
func (b *Broker) listens(filter string) {
	rest, ok := strings.CutPrefix(unshared(filter), nativeDown)
	name, _, _ := strings.Cut(rest, "/")
	device, err := url.PathUnescape(name)
	if ok && err == nil && b.cfg.Listens != nil && !strings.ContainsAny(name, "+#") {
		b.cfg.Listens(grid.Identity(device))
	}
}

// hearer is a connected client that is subscribed to a downlink's topic.
type hearer struct {
	cl  *mochi.Client
	g   *guest
	sub packets.Subscription
	qos byte
}

// hearers finds who is connected and subscribed to a topic, in order of client ids; of those
// who share a subscription, one.
func (b *Broker) hearers(topic string) (found []hearer) {
	subs := b.server.Topics.Subscribers(topic)
	for id, sub := range subs.Subscriptions {
		if h, ok := b.hearer(id, sub, topic); ok {
			found = append(found, h)
		}
	}
	for _, group := range subs.Shared {
		for id, sub := range group {
			if h, ok := b.hearer(id, sub, topic); ok {
				found = append(found, h)
				break
			}
		}
	}
	slices.SortFunc(found, func(a, b hearer) int { return strings.Compare(a.cl.ID, b.cl.ID) })
	return slices.CompactFunc(found, func(a, b hearer) bool { return a.cl == b.cl })
}

func (b *Broker) hearer(id string, sub packets.Subscription, topic string) (hearer, bool) {
	cl, ok := b.server.Clients.Get(id)
	if !ok || cl.Closed() || cl.Net.Inline {
		return hearer{}, false
	}
	g, ok := b.guests.Load(cl)
	u := b.user(cl.Properties.Username)
	if !ok || u == nil || !anyMatches(u.Subscribe, topic) {
		return hearer{}, false
	}
	return hearer{cl, g.(*guest), sub, min(1, sub.Qos)}, true
}

// ofDevice leaves those who can speak for a device: the clients of the accounts that are for
// it, where there are any, by the configuration or the registry; else the one that last spoke as the device; else all, for a
// bridge listens for many.
func (b *Broker) ofDevice(all []hearer, device grid.Identity) []hearer {
	_, itself := b.devices.accounts.Load(string(device))
	if c := b.cfg.Credentials; c != nil && c.Manages(device, grid.MQTTPassword) {
		itself = true
	}
	accounts := map[string]bool{}
	if itself {
		accounts[string(device)] = true
	}
	for _, u := range b.users {
		if slices.Contains(u.Identities, device) {
			accounts[u.Name] = true
		}
	}
	var own, spoke []hearer
	for _, h := range all {
		if accounts[string(h.cl.Properties.Username)] {
			own = append(own, h)
		}
		if said := h.g.device.Load(); said != nil && *said == device {
			spoke = append(spoke, h)
		}
	}
	switch {
	case len(accounts) > 0:
		return own
	case len(spoke) > 0:
		return spoke
	}
	return all
}

// handover is a message to one connection that waits for its PUBACK.
type handover struct {
	cl *mochi.Client
	id uint16
}

// hand gives a message to each of the hearers, and waits until those who can have
// acknowledged it.
func (b *Broker) hand(ctx context.Context, to []hearer, topic string, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, ackedWithin)
	defer cancel()
	for i, h := range to {
		err := b.give(ctx, h, topic, payload)
		if err == nil {
			continue
		}
		if i > 0 && !errors.Is(err, grid.ErrMayHaveBeenSent) {
			err = fmt.Errorf("%w; %w", err, grid.ErrMayHaveBeenSent) // to those before
		}
		code := grid.CodeOf(err)
		return grid.Errorf(code, "broker %s: publish %s to client %q: %w", b.cfg.Name, topic, h.cl.ID, err)
	}
	return nil
}

func (b *Broker) give(ctx context.Context, h hearer, topic string, payload []byte) error {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: h.qos},
		TopicName:   topic, Payload: payload, ProtocolVersion: h.cl.Properties.ProtocolVersion, Created: time.Now().Unix(),
	}
	for _, n := range h.sub.Identifiers {
		pk.Properties.SubscriptionIdentifier = append(pk.Properties.SubscriptionIdentifier, n)
	}
	slices.Sort(pk.Properties.SubscriptionIdentifier)
	if h.qos == 0 {
		return written(h.cl.WritePacket(pk))
	}
	if most := int(h.cl.Properties.Props.ReceiveMaximum); most > 0 && h.cl.State.Inflight.Len() >= most {
		return grid.Errorf(grid.Unavailable, "it takes %d messages at a time, and has not acknowledged those", most)
	}
	id, err := h.cl.NextPacketID()
	if err != nil {
		return grid.Errorf(grid.Unavailable, "it has not acknowledged any of %d messages", h.cl.State.Inflight.Len())
	}
	pk.PacketID = uint16(id)
	return b.await(ctx, h, pk)
}

// await sends a message and waits for its PUBACK. Without one the message is taken back from
// what the server sends again to a client that returns: it is sent again from the outbox.
func (b *Broker) await(ctx context.Context, h hearer, pk packets.Packet) error {
	key, acked := handover{h.cl, pk.PacketID}, make(chan byte, 1)
	b.handed.Store(key, acked)
	defer b.handed.Delete(key)
	if h.cl.State.Inflight.Set(pk) {
		atomic.AddInt64(&b.server.Info.Inflight, 1)
	}
	why := ""
	if err := written(h.cl.WritePacket(pk)); err != nil {
		b.takeBack(h.cl, pk.PacketID)
		return err
	}
	select {
	case code := <-acked:
		return accepted(code)
	case <-h.g.gone:
		why = "it left before its PUBACK"
	case <-ctx.Done():
		why = "no PUBACK in time"
	case <-b.ctx.Done():
		why = "the broker stops"
	}
	b.takeBack(h.cl, pk.PacketID)
	select {
	case code := <-acked: // the last that it did
		return accepted(code)
	default:
	}
	return grid.Errorf(grid.Unavailable, "%s: %w", why, grid.ErrMayHaveBeenSent)
}

func accepted(code byte) error {
	if code >= failed {
		return grid.Errorf(grid.Invalid, "it refuses with reason code %#x", code)
	}
	return nil
}

func (b *Broker) takeBack(cl *mochi.Client, id uint16) {
	if cl.State.Inflight.Delete(id) {
		atomic.AddInt64(&b.server.Info.Inflight, -1)
	}
}

// written says what a failed write means.
func written(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, packets.ErrPacketTooLarge):
		return grid.Errorf(grid.Invalid, "it takes no packet of that size")
	case errors.Is(err, mochi.ErrConnectionClosed):
		return grid.Errorf(grid.Unavailable, "it is not connected")
	}
	return grid.Errorf(grid.Unavailable, "%w: %w", err, grid.ErrMayHaveBeenSent)
}

// acknowledged tells who waits for the PUBACK of a downlink.
func (b *Broker) acknowledged(cl *mochi.Client, pk *packets.Packet) {
	if acked, ok := b.handed.LoadAndDelete(handover{cl, pk.PacketID}); ok {
		acked.(chan byte) <- pk.ReasonCode
	}
}
