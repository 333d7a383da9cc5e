package simulator

import (
	"context"

	"gridgate/internal/grid"
)

// Wire is how a message reaches the gateway.
type Wire string

const (
	MQTT     Wire = "mqtt"     // Topic and Payload, QoS 1
	CoAP     Wire = "coap"     // POST Topic, with Format
	CoAPS    Wire = "coaps"    // the same over DTLS with the device's key
	LwM2M    Wire = "lwm2m"    // a notification of what is observed; Payload is SenML JSON
	GBT26875 Wire = "gbt26875" // Payload is the data unit of a frame, Topic the transmitter's address
	Modbus   Wire = "modbus"   // Payload is what the slave's registers hold from now on
	Lines    Wire = "lines"    // Payload is a line without its end
)

// Wires lists all.
var Wires = [...]Wire{MQTT, CoAP, CoAPS, LwM2M, GBT26875, Modbus, Lines}

// ParseWire reads the name of a wire.
func ParseWire(s string) (Wire, error) {
	for _, w := range Wires {
		if string(w) == s {
			return w, nil
		}
	}
	return "", grid.Errorf(grid.Invalid, "wire is %q: want mqtt, coap, coaps, lwm2m, gbt26875, modbus or lines", s)
}

// Link is a Sink with a connection that must be kept.
type Link interface {
	Sink
	Run(ctx context.Context) error   // keeps the connections until ctx is done
	Drain(ctx context.Context) error // waits until all that was handed over is acknowledged
	Pending() int                    // handed over, and not acknowledged
}

// Router is a Sink that hands each message to the sink of its wire.
type Router map[Wire]Sink

// Publish hands m over.
func (r Router) Publish(ctx context.Context, m Message) error {
	w := m.Wire
	if w == "" {
		w = MQTT
	}
	s := r[w]
	if s == nil {
		return grid.Errorf(grid.Invalid, "wire is %q: want one that is connected", w)
	}
	return s.Publish(ctx, m)
}
