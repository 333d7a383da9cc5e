package serial

import (
	"context"
	"encoding/json"
	"errors"

	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// Path is the transport as frames and downlinks name it: transport:source.
func (t *Transport) Path() string { return t.transport + ":" + t.cfg.Name }

// Orders are the kinds of order that the line can carry.
func (t *Transport) Orders() []string {
	switch t.cfg.Protocol {
	case ModbusRTU:
		return []string{"modbus"}
	case GBT26875:
		return []string{"gb26875"}
	}
	return []string{"payload"}
}

// Slaves are the devices that are known to be on the line before they were heard: its
// Modbus units, or the one device of a line of text.
func (t *Transport) Slaves() []grid.Identity {
	var out []grid.Identity
	for _, s := range t.slaves {
		out = append(out, s.Identity)
	}
	if t.named() {
		out = append(out, t.cfg.Identity)
	}
	return out
}

// named reports whether the configuration says who speaks on the line.
func (t *Transport) named() bool {
	return t.slaves == nil && t.centre == nil && t.identify == nil && t.cfg.Listen == ""
}

// Downlink keeps the promise of grid.Downlinker. A write to a Modbus unit and an order to a
// transmission device are acknowledged by their answers; text has none.
func (t *Transport) Downlink(ctx context.Context, d *grid.Downlink, _ grid.Frame) (grid.Sent, error) {
	o := &d.Order
	switch {
	case o.Modbus != nil && t.cfg.Protocol == ModbusRTU:
		return t.modbus(ctx, d.Device, o.Modbus)
	case o.GB26875 != nil && t.centre != nil:
		return t.gb26875(ctx, d.Device, o.GB26875)
	case o.Payload != nil && t.centre == nil && t.cfg.Protocol != ModbusRTU:
		return t.payload(d.Device, o.Payload.Bytes())
	}
	return grid.Sent{}, grid.Errorf(grid.Invalid, "line %s speaks %s: want an order of the kind %s, not %s", t.cfg.Name, t.cfg.Protocol, t.Orders()[0], o.Kind())
}

// gb26875 gives a transmission device an order.
func (t *Transport) gb26875(ctx context.Context, to grid.Identity, o *grid.GB26875Order) (grid.Sent, error) {
	order, err := t.order(o)
	if err != nil {
		return grid.Sent{}, err
	}
	f, err := t.Order(ctx, to, order)
	if err != nil {
		return grid.Sent{}, err
	}
	sent := grid.Sent{State: grid.DownlinkAcknowledged, Answer: "confirmed"}
	if f.Command == gb26875.Response {
		b, err := json.Marshal(gb26875.Show(f.Unit, t.centre.times))
		if err != nil {
			return grid.Sent{}, grid.Errorf(grid.Internal, "answer of %s: %w", to, err)
		}
		sent.Answer = string(b)
	}
	return sent, nil
}

func (t *Transport) order(o *grid.GB26875Order) (Order, error) {
	objects := map[string]byte{
		"state": gb26875.DeviceState, "version": gb26875.DeviceVersion, "configuration": gb26875.DeviceConfiguration, "time": gb26875.DeviceTime,
	}
	switch o.Do {
	case "duty_check":
		return DutyCheck(byte(o.Minutes)), nil
	case "read":
		if object, ok := objects[o.Object]; ok {
			return Read(object), nil
		}
	case "set_clock":
		return t.setClock(t.cfg.Now()), nil
	case "initialize":
		return Initialize(), nil
	}
	return Order{}, grid.Errorf(grid.Invalid, "line %s: no order to %s %s", t.cfg.Name, o.Do, o.Object)
}

// payload writes text or a block to a device, framed as the device's own are.
func (t *Transport) payload(to grid.Identity, b []byte) (grid.Sent, error) {
	framed, err := t.cfg.frame(b)
	if err != nil {
		return grid.Sent{}, grid.Errorf(grid.Invalid, "line %s: payload: %w", t.cfg.Name, err)
	}
	p := t.ways.of(to)
	if p == nil {
		return grid.Sent{}, grid.Errorf(grid.Unavailable, "%s is not connected to line %s", to, t.cfg.Name)
	}
	if err := p.reply(framed); err != nil {
		return grid.Sent{}, lost(!errors.Is(err, errBusyLine), grid.Errorf(grid.Unavailable, "%s: %w", to, err))
	}
	return grid.Sent{State: grid.DownlinkSent, NoAck: true}, nil
}
