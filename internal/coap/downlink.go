package coap

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/grid"
)

var _ grid.Downlinker = (*Transport)(nil)

// downPath is where a device takes payloads.
const downPath = "/down"

// containerPath is where a device with LwM2M takes payloads, by the custom of NB-IoT:
// 19/0/0 is up, 19/1/0 is down.
const (
	containerDown = 1
	containerPath = "/19/1/0"
)

// Downlink brings an order to a device: LwM2M orders, and payloads by 19/1/0, to one that
// is registered; payloads by PUT to the path down of any other, at the address, session or
// connection from which it spoke last. What it answers is final; a device that sleeps or
// is silent is Unavailable. A value that is read answers the order and is no frame.
func (t *Transport) Downlink(ctx context.Context, d *grid.Downlink, way grid.Frame) (grid.Sent, error) {
	select {
	case <-t.ready:
	default:
		return grid.Sent{}, grid.Errorf(grid.Unavailable, "coap %s: does not listen yet", t.cfg.Name)
	}
	switch {
	case d.Order.LwM2M != nil:
		return t.lwm2mOrder(ctx, d.Device, d.Order.LwM2M)
	case d.Order.Payload != nil:
		return t.payloadOrder(ctx, d, way)
	}
	return grid.Sent{}, grid.Errorf(grid.Invalid, "coap %s: order is %s: want payload or lwm2m", t.cfg.Name, d.Order.Kind())
}

func (t *Transport) lwm2mOrder(ctx context.Context, id grid.Identity, want *grid.LwM2MOrder) (grid.Sent, error) {
	if !t.cfg.LwM2M.On {
		return grid.Sent{}, grid.Errorf(grid.Invalid, "coap %s: %s: LwM2M is off: want coap.lwm2m true", t.cfg.Name, id)
	}
	reg := t.lwm2m.registered(id)
	if reg == nil {
		return grid.Sent{}, t.notRegistered(id)
	}
	var o *order
	switch value := []byte(want.Value); {
	case want.Do == "read":
		o = newOrder(codes.GET, nil, 0)
	case want.Do == "execute":
		o = newOrder(codes.POST, value, message.TextPlain)
	case want.Type == "opaque":
		value, _ = hex.DecodeString(want.Value) // checked by Order.Check
		o = newOrder(codes.PUT, value, message.AppOctets)
		o.others = forms(reg, tlvOf(want.Path, value), senmlOf(want.Path, "vd", value))
	default:
		o = newOrder(codes.PUT, value, message.TextPlain)
		key, said := senmlValue(want.Value)
		o.others = forms(reg, tlvOf(want.Path, tlvValue(want.Value)), senmlOf(want.Path, key, said))
	}
	return t.lwm2m.give(ctx, reg, want.Path, o)
}

// forms are those that a device may understand: TLV every one of LwM2M 1.0, SenML one of 1.1.
func forms(reg *registration, tlv, senml []byte) []form {
	out := []form{{message.AppLwm2mTLV, tlv}}
	if reg.version != "1" && reg.version != "1.0" {
		out = append(out, form{message.AppSenmlJSON, senml})
	}
	return out
}

func (t *Transport) notRegistered(id grid.Identity) error {
	return grid.Errorf(grid.Unavailable, "coap %s: %s is not registered: it is told when it registers", t.cfg.Name, id)
}

// registered gives a device's registration; nil: it has none.
func (s *lwm2m) registered(id grid.Identity) *registration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byDevice[id]
}

func (t *Transport) payloadOrder(ctx context.Context, d *grid.Downlink, way grid.Frame) (grid.Sent, error) {
	payload := d.Order.Payload.Bytes()
	if reg := t.lwm2m.registered(d.Device); reg != nil {
		if !t.lwm2m.has(reg, instance{containerObject, containerDown}) {
			return grid.Sent{}, grid.Errorf(grid.Invalid, "coap %s: %s has no object instance 19/1, which takes payloads: want an order of lwm2m", t.cfg.Name, d.Device)
		}
		o := newOrder(codes.PUT, payload, message.AppOctets)
		o.others = forms(reg, tlvRecord(tlvMultiple, 0, tlvRecord(tlvInstance, 0, payload)), senmlOf(containerPath+"/0", "vd", payload))
		return t.lwm2m.give(ctx, reg, containerPath, o)
	}
	p := t.places.find(d.Device)
	switch {
	case p == nil && strings.Contains(way.Address, "?event="): // a registration, an update or its end
		return grid.Sent{}, t.notRegistered(d.Device)
	case p == nil:
		return grid.Sent{}, grid.Errorf(grid.Unavailable, "coap %s: %s has not spoken lately: it is told when it does", t.cfg.Name, d.Device)
	}
	o := newOrder(codes.PUT, payload, message.AppOctets)
	o.query = []string{"device=" + string(d.Device)}
	if port := d.Order.Payload.Port; port > 0 {
		o.query = append(o.query, "port="+strconv.Itoa(port))
	}
	return t.lwm2m.give(ctx, t.plain(d.Device, p), downPath, o)
}

// plain is a registration for a device that has none, for one order.
func (t *Transport) plain(id grid.Identity, p *peer) *registration {
	p.mu.Lock()
	control := p.control
	p.mu.Unlock()
	return &registration{identity: id, listener: p.on.kind, peer: p, control: control, heard: t.cfg.City().UTC(), observed: make(map[string]*observation), refused: make(map[string]bool)}
}

// has reports whether a device has an instance of an object.
func (s *lwm2m) has(reg *registration, i instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range reg.objects.instances {
		if o == i {
			return true
		}
	}
	return false
}
