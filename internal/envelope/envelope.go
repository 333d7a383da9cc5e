// Package envelope knows what wraps a payload on its way to us: the form of a native
// topic, and the messages of network servers and bridges.
//
// It is asked twice. At intake, Identify reads only who sent a message; the raw bytes go
// to the journal as they came, also where this fails. When the frame is decoded, Open
// reads the rest: port, counter, time, signal strength and the payload itself. So a better
// reader can be run over old frames. What only earlier messages of a wire can tell, Memory
// writes into the frame's address at intake.
package envelope

import (
	"fmt"
	"slices"
	"strings"

	"gridgate/internal/grid"
)

// The names of envelopes, as they stand in Frame.Envelope.
const (
	Native      = "native"      // the payload alone; the address says who, and perhaps the port
	ChirpStack  = "chirpstack"  // ChirpStack 3 and 4, JSON and protobuf
	TheThings   = "thethings"   // The Things Stack 3, JSON
	LORIOT      = "loriot"      // JSON
	Milesight   = "milesight"   // a Milesight gateway's own network server, JSON
	Zigbee2MQTT = "zigbee2mqtt" // JSON; the topic is the identity
	Tasmota     = "tasmota"     // JSON; the topic is the identity
	SparkplugB  = "sparkplug"   // protobuf; the topic is the identity
	OneNET      = "onenet"      // China Mobile's NB-IoT push, JSON
	CTWing      = "ctwing"      // China Telecom's NB-IoT push (AEP), JSON
	Tuya        = "tuya"        // property reports, JSON
)

// Names are the envelopes that a topic may be configured for.
func Names() []string {
	return []string{ChirpStack, TheThings, LORIOT, Milesight, Zigbee2MQTT, Tasmota, SparkplugB, OneNET, CTWing, Tuya}
}

// Topics are the topic filters of all envelopes that have topics of their own, and of
// those below gridgate/ for the others. All of them are uplinks.
func Topics() []string {
	return []string{
		"gridgate/up/#", "gridgate/status/+", "application/+/device/+/event/+",
		"zigbee2mqtt/+", "zigbee2mqtt/+/availability", "zigbee2mqtt/" + bridgeDevices,
		"v3/+/devices/+/up", "v3/+/devices/+/join", "v3/+/devices/+/down/ack", "v3/+/devices/+/down/nack",
		"v3/+/devices/+/down/queued", "v3/+/devices/+/down/sent", "v3/+/devices/+/down/failed", "v3/+/devices/+/service/data",
		"tele/+/SENSOR", "tele/+/+/SENSOR", "tele/+/ZbReceived", "tele/+/+/ZbReceived", "tele/+/STATE", "tele/+/LWT", "stat/+/RESULT",
		"spBv1.0/+/NBIRTH/+", "spBv1.0/+/NDATA/+", "spBv1.0/+/NDEATH/+",
		"spBv1.0/+/DBIRTH/+/+", "spBv1.0/+/DDATA/+/+", "spBv1.0/+/DDEATH/+/+",
		"tylink/+/thing/property/report",
		ownTopic + LORIOT + "/#", ownTopic + Milesight + "/#", ownTopic + OneNET + "/#", ownTopic + CTWing + "/#", ownTopic + Tuya + "/#",
	}
}

// ownTopic begins gridgate/<envelope>/…, for envelopes that have no topic of their own.
const ownTopic = "gridgate/"

// maxEnvelope bounds what Open reads. An uplink of our kinds of device has a few hundred
// bytes, with its envelope a few thousand.
const maxEnvelope = 256 << 10

// Identify reads who sent a message and how it is wrapped. It looks at the topic (for
// CoAP: the path with its query) and at the payload only where the topic cannot tell.
// Where no identity can be read, id is "" and note says why; the frame is kept all the same.
func Identify(topic string, payload []byte) (id grid.Identity, envelope string, note string) {
	way := classify(topic)
	if way.envelope == "" {
		return "", "", fmt.Sprintf("topic %q is of no known envelope: want one of its own, or one that is configured", truncate(topic))
	}
	id, note, _ = identify(way, topic, payload)
	return id, way.envelope, note
}

// classify knows an envelope by the form of a topic.
func classify(topic string) route {
	switch {
	case strings.HasPrefix(topic, nativeTopic), strings.HasPrefix(topic, nativePath), strings.HasPrefix(topic, nativeStatus), strings.HasPrefix(topic, nativeDown):
		return route{envelope: Native}
	case strings.HasPrefix(topic, chirpStackTopic):
		return route{envelope: ChirpStack}
	case strings.HasPrefix(topic, zigbee2MQTTTopic):
		return route{envelope: Zigbee2MQTT, base: zigbee2MQTTTopic}
	case isTheThingsTopic(topic):
		return route{envelope: TheThings}
	case isTasmotaTopic(topic):
		return route{envelope: Tasmota}
	case strings.HasPrefix(topic, sparkplugTopic):
		return route{envelope: SparkplugB}
	case strings.HasPrefix(topic, tuyaTopic):
		return route{envelope: Tuya}
	case strings.HasPrefix(topic, ownTopic):
		name, _, _ := strings.Cut(topic[len(ownTopic):], "/")
		if slices.Contains([]string{LORIOT, Milesight, OneNET, CTWing, Tuya, TheThings}, name) {
			return route{envelope: name}
		}
	}
	return route{}
}

// identify reads who sent a message of a known envelope. lasting says that the topic
// alone tells, so that the answer holds for its other messages too.
func identify(way route, topic string, payload []byte) (id grid.Identity, note string, lasting bool) {
	if isCommand(way, topic) {
		return "", fmt.Sprintf("topic %q %s", truncate(topic), toDevice), false
	}
	switch way.envelope {
	case Native:
		id, note = identifyNative(topic)
		return id, note, true
	case ChirpStack:
		return identifyChirpStack(topic, payload)
	case TheThings:
		id, note = identifyTheThings(payload)
	case LORIOT:
		id, note = identifyLORIOT(payload)
	case Milesight:
		id, note = identifyMilesight(payload)
	case Zigbee2MQTT:
		id, note = identifyZigbee2MQTT(way.base, topic)
		return id, note, true
	case Tasmota:
		return identifyTasmota(topic, payload)
	case SparkplugB:
		id, note = identifySparkplug(topic)
		return id, note, true
	case OneNET:
		id, note = identifyOneNET(payload)
	case CTWing:
		id, note = identifyCTWing(payload)
	case Tuya:
		return identifyTuya(topic, payload)
	default:
		note = fmt.Sprintf("envelope is %q: want %s", way.envelope, strings.Join(Names(), ", "))
	}
	return id, note, false
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
	if err := open(f); err != nil {
		return grid.Errorf(grid.Invalid, "envelope %s: %w", f.Envelope, err)
	}
	return nil
}

func open(f *grid.Frame) error {
	switch f.Envelope {
	case Native:
		return openNative(f)
	case ChirpStack:
		return openChirpStack(f)
	case TheThings:
		return openTheThings(f)
	case LORIOT:
		return openLORIOT(f)
	case Milesight:
		return openMilesight(f)
	case Zigbee2MQTT:
		return openZigbee2MQTT(f)
	case Tasmota:
		return openTasmota(f)
	case SparkplugB:
		return openSparkplug(f)
	case OneNET:
		return openOneNET(f)
	case CTWing:
		return openCTWing(f)
	case Tuya:
		return openTuya(f)
	case GB26875, Modbus, Lines:
		return openBare(f)
	}
	return fmt.Errorf("is of no known name: want %s or %s", Native, strings.Join(Names(), ", "))
}

// truncate keeps a hostile topic out of notes and logs.
func truncate(s string) string {
	if len(s) <= 80 {
		return strings.ToValidUTF8(s, "�")
	}
	return strings.ToValidUTF8(s[:80], "�") + "…"
}
