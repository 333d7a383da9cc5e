// Package envelope knows what wraps a payload on its way to us: the form of a native
// topic, and the messages of network servers and bridges.
//
// It is asked twice. At intake, Identify reads only who sent a message; the raw bytes go
// to the journal as they came, also where this fails. When the frame is decoded, Open
// reads the rest: port, counter, time, signal strength and the payload itself. So a better
// reader can be run over old frames.
package envelope

import (
	"fmt"
	"strings"

	"gridgate/internal/grid"
)

// The names of envelopes, as they stand in Frame.Envelope.
const (
	Native      = "native"      // the payload alone; the address says who, and perhaps the port
	ChirpStack  = "chirpstack"  // ChirpStack v4, JSON
	Zigbee2MQTT = "zigbee2mqtt" // JSON; the topic is the identity
)

// maxEnvelope bounds what Open reads. An uplink of our kinds of device has a few hundred
// bytes, with its envelope a few thousand.
const maxEnvelope = 256 << 10

// Identify reads who sent a message and how it is wrapped. It looks at the topic (for
// CoAP: the path with its query) and at the payload only where the topic cannot tell.
// Where no identity can be read, id is "" and note says why; the frame is kept all the same.
func Identify(topic string, payload []byte) (id grid.Identity, envelope string, note string) {
	switch {
	case strings.HasPrefix(topic, nativeTopic), strings.HasPrefix(topic, nativePath):
		id, note = identifyNative(topic)
		return id, Native, note
	case strings.HasPrefix(topic, chirpStackTopic):
		id, note = identifyChirpStack(topic)
		return id, ChirpStack, note
	case strings.HasPrefix(topic, zigbee2MQTTTopic):
		id, note = identifyZigbee2MQTT(topic)
		return id, Zigbee2MQTT, note
	}
	return "", "", fmt.Sprintf("topic %q is of no known envelope", truncate(topic))
}

// Open fills f.Uplink from f.Envelope, f.Address and f.Raw. Payload may alias Raw. An
// error is permanent and says what is wrong with the envelope; f.Uplink then holds what
// could be read, for guessing.
func Open(f *grid.Frame) error {
	f.Uplink = grid.Uplink{Port: -1}
	if f.Flags&grid.Refused != 0 {
		return grid.Errorf(grid.Invalid, "envelope %s: the frame was refused at intake: %s", f.Envelope, f.Note)
	}
	if len(f.Raw) > maxEnvelope {
		return grid.Errorf(grid.Invalid, "envelope %s: has %d bytes: want at most %d", f.Envelope, len(f.Raw), maxEnvelope)
	}
	var err error
	switch f.Envelope {
	case Native:
		err = openNative(f)
	case ChirpStack:
		err = openChirpStack(f)
	case Zigbee2MQTT:
		err = openZigbee2MQTT(f)
	default:
		return grid.Errorf(grid.Invalid, "envelope is %q: want %s, %s or %s", f.Envelope, Native, ChirpStack, Zigbee2MQTT)
	}
	if err != nil {
		return grid.Errorf(grid.Invalid, "envelope %s: %w", f.Envelope, err)
	}
	return nil
}

// truncate keeps a hostile topic out of notes and logs.
func truncate(s string) string {
	if len(s) <= 80 {
		return strings.ToValidUTF8(s, "�")
	}
	return strings.ToValidUTF8(s[:80], "�") + "…"
}
