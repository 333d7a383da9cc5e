package envelope

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"gridgate/internal/grid"
)

// nativeDown begins gridgate/down/<identity>[/<port>]. The identity has the form it has
// everywhere, in lower case, with %2F for a slash within it.
const nativeDown = "gridgate/down/"

// maxLoRaWAN is the longest payload of a LoRaWAN frame, at the best data rate of any region.
const maxLoRaWAN = 242

// Downlink says how a payload order travels to its device: what is to be published on which
// topic, by the envelope and the topic of the newest frame that came from the device. Of a
// device that was never heard there is no envelope: it is taken for a native one.
//
// ref is what the answers to it will name (grid.DownAnswer), "" where no answer names it.
// Errors are final: they say what the order lacks.
func Downlink(d *grid.Downlink, way grid.Frame) (topic string, payload []byte, ref string, err error) {
	return downlink(d, &way, "")
}

// Downlink answers as the function Downlink does, by the rules first: they say where
// downlinks go of envelopes that have no topic of their own.
func (r *Router) Downlink(d *grid.Downlink, way grid.Frame) (topic string, payload []byte, ref string, err error) {
	heardOn, _, _ := strings.Cut(way.Address, "?")
	for _, rule := range r.rules {
		if filterMatches(rule.Topic, heardOn) {
			return downlink(d, &way, rule.Down)
		}
	}
	return downlink(d, &way, "")
}

// downlink builds the message; to, when set, is the topic in place of the envelope's own.
func downlink(d *grid.Downlink, way *grid.Frame, to string) (topic string, payload []byte, ref string, err error) {
	o := d.Order.Payload
	if o == nil {
		return "", nil, "", grid.Errorf(grid.Invalid, "order is %s, and the device is reached by MQTT: want payload", d.Order.Kind())
	}
	down := downMessage{Downlink: d, way: way, order: o, data: o.Bytes(), to: to}
	down.heardOn, _, _ = strings.Cut(way.Address, "?")
	name := way.Envelope
	if name == "" {
		name = Native
	}
	if err := down.build(name); err != nil {
		return "", nil, "", grid.Errorf(grid.Invalid, "envelope %s: %w", name, err)
	}
	if topic := down.topic; topic == "" || len(topic) > maxTopic || strings.ContainsAny(topic, "+#\x00") || !utf8.ValidString(topic) {
		return "", nil, "", grid.Errorf(grid.Invalid, "envelope %s: %q is no topic for a downlink", name, truncate(topic))
	}
	return down.topic, down.payload, down.ref, nil
}

// downMessage is a downlink on its way to be a message.
type downMessage struct {
	*grid.Downlink
	way     *grid.Frame
	heardOn string // the topic of the way, without what Memory added
	order   *grid.PayloadOrder
	data    []byte
	to      string // a configured topic

	topic   string
	payload []byte
	ref     string
}

func (m *downMessage) build(name string) error {
	switch name {
	case Native:
		return m.native()
	case ChirpStack:
		return m.chirpStack()
	case TheThings:
		return m.theThings()
	case Milesight:
		return m.milesight()
	case LORIOT:
		return m.loriot()
	case Zigbee2MQTT:
		return m.zigbee2MQTT()
	case Tasmota:
		return m.tasmota()
	}
	return fmt.Errorf("takes no downlinks: want a device behind %s", strings.Join([]string{Native, ChirpStack, TheThings, Milesight, LORIOT, Zigbee2MQTT, Tasmota}, ", "))
}

// native: the payload alone. What a device does with it, it says in its own uplinks.
func (m *downMessage) native() error {
	m.topic, m.payload = nativeDown+strings.ReplaceAll(string(m.Device), "/", "%2F"), m.data
	if m.order.Port > 0 {
		m.topic += fmt.Sprintf("/%d", m.order.Port)
	}
	return nil
}

// loRaWAN checks what every network server wants, and gives the EUI.
func (m *downMessage) loRaWAN() (eui string, err error) {
	if m.order.Port == 0 {
		return "", fmt.Errorf("payload.port is missing: want the FPort at which the device takes it, 1 to 223")
	}
	if len(m.data) > maxLoRaWAN {
		return "", fmt.Errorf("payload.hex is %d bytes long: want at most %d, what a LoRaWAN frame takes", len(m.data), maxLoRaWAN)
	}
	eui, _ = strings.CutPrefix(string(m.Device), "eui:")
	return eui, nil
}

// configured puts the message on the topic that is configured for downlinks.
func (m *downMessage) configured() error {
	if m.to == "" {
		return fmt.Errorf("topic %q does not tell where downlinks go: name the topic as down beside the envelope", truncate(m.heardOn))
	}
	_, name, _ := strings.Cut(string(m.Device), ":")
	m.topic = strings.ReplaceAll(m.to, deviceInTopic, url.PathEscape(name))
	return nil
}

// toDevice ends the note of a message that nobody sent to us.
const toDevice = "is a command to a device"

// isCommand knows by its topic a message to a device. A subscription such as application/#
// brings those too, our own among them.
func isCommand(way route, topic string) bool {
	switch way.envelope {
	case Native:
		return strings.HasPrefix(topic, nativeDown)
	case ChirpStack:
		level := strings.Split(topic, "/")
		return strings.HasPrefix(topic, chirpStackTopic) && len(level) == 6 && level[4] == "command"
	case TheThings:
		return (strings.HasSuffix(topic, "/down/push") || strings.HasSuffix(topic, "/down/replace")) && isTheThingsTopic(topic)
	case Zigbee2MQTT:
		name := strings.TrimPrefix(topic, way.base)
		for _, verb := range []string{"/set", "/get"} {
			if !isBridge(name) && (strings.HasSuffix(name, verb) || strings.Contains(name, verb+"/")) {
				return true
			}
		}
	case Tasmota:
		return strings.HasPrefix(topic, "cmnd/")
	}
	return false
}

// deviceInTopic stands in Rule.Down for the device's identity without its kind.
const deviceInTopic = "{device}"

// chirpStack: version 4 in the form in which it sends itself, for it reads no other; version 3
// in JSON. The queue item of version 4 gets an id that is ours in another spelling, so that
// its events name the downlink, and the same one is not queued twice. Version 3 names none.
func (m *downMessage) chirpStack() error {
	eui, err := m.loRaWAN()
	if err != nil {
		return err
	}
	v3 := false
	if level := strings.Split(m.heardOn, "/"); strings.HasPrefix(m.heardOn, chirpStackTopic) && len(level) == 6 {
		eui, v3 = level[3], strings.Trim(level[1], "0123456789") == ""
		m.topic = strings.Join(level[:4], "/") + "/command/down"
	} else if isJSON(m.way.Raw) {
		v3 = strings.Contains(string(m.way.Raw[:min(len(m.way.Raw), maxEnvelope)]), `"devEUI"`)
	} else {
		_, event, _ := splitChirpStack(m.heardOn)
		v3 = isV3(event, m.way.Raw)
	}
	if m.topic == "" || m.to != "" {
		if err := m.configured(); err != nil {
			return err
		}
	}
	if v3 {
		m.payload, err = json.Marshal(map[string]any{"confirmed": m.Confirm, "fPort": m.order.Port, "data": m.data})
		return err
	}
	item, ref := chirpStackItem(m.ID)
	m.ref = ref
	if len(m.way.Raw) > 0 && !isJSON(m.way.Raw) {
		m.payload = chirpStackCommand(item, eui, m.Confirm, m.order.Port, m.data)
		return nil
	}
	m.payload, err = json.Marshal(map[string]any{"id": item, "devEui": eui, "confirmed": m.Confirm, "fPort": m.order.Port, "data": m.data})
	return err
}

// chirpStackItem gives the id of a downlink's queue item, and what is read of it later. It is
// the downlink's own in another spelling, or made of one that is no ULID.
func chirpStackItem(id string) (item, ref string) {
	if item, ok := uuidOf(id); ok {
		return item, id
	}
	sum := sha256.Sum256([]byte(id))
	item = uuid(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16]))
	ref, _ = ulidOf(item)
	return item, ref
}

// chirpStackCommand is a DownlinkCommand of integration.proto.
func chirpStackCommand(item, eui string, confirmed bool, port int, data []byte) []byte {
	text := func(b []byte, num protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
	}
	b := text(text(nil, 1, item), 2, eui)
	if confirmed {
		b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), 1)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.VarintType), uint64(port))
	return protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), data)
}

// theThings: what the stack later says of the downlink carries our correlation id.
func (m *downMessage) theThings() error {
	if _, err := m.loRaWAN(); err != nil {
		return err
	}
	if level := strings.SplitN(m.heardOn, "/", 5); isTheThingsTopic(m.heardOn) && len(level) == 5 {
		m.topic = strings.Join(level[:4], "/") + "/down/push"
	}
	if m.topic == "" || m.to != "" {
		if err := m.configured(); err != nil {
			return err
		}
	}
	m.ref = m.ID
	var err error
	m.payload, err = json.Marshal(map[string]any{"downlinks": []map[string]any{{
		"f_port": m.order.Port, "frm_payload": m.data, "confirmed": m.Confirm, "priority": "NORMAL",
		"correlation_ids": []string{theThingsRef + m.ID},
	}}})
	return err
}

// milesight: a gateway takes what ChirpStack 3 does, on a topic that its owner chooses. Its
// answers name no downlink.
func (m *downMessage) milesight() error {
	eui, err := m.loRaWAN()
	if err == nil {
		err = m.configured()
	}
	if err != nil {
		return err
	}
	m.payload, err = json.Marshal(map[string]any{"devEUI": eui, "confirmed": m.Confirm, "fPort": m.order.Port, "data": m.data})
	return err
}

// loriot takes the command tx on a topic that its user chooses. Its answers name no downlink.
func (m *downMessage) loriot() error {
	eui, err := m.loRaWAN()
	if err == nil {
		err = m.configured()
	}
	if err != nil {
		return err
	}
	m.payload, err = json.Marshal(map[string]any{
		"cmd": "tx", "EUI": strings.ToUpper(eui), "port": m.order.Port, "confirmed": m.Confirm, "data": hex.EncodeToString(m.data),
	})
	return err
}

// zigbee2MQTT: the payload is the JSON that the bridge takes, such as {"state":"ON"}.
func (m *downMessage) zigbee2MQTT() error {
	if !json.Valid(m.data) || m.data[0] != '{' {
		return fmt.Errorf(`payload.hex is no JSON object: want for example %x, which is {"state":"ON"}`, `{"state":"ON"}`)
	}
	name := strings.TrimSuffix(m.heardOn, availability)
	if name == "" || strings.HasSuffix(name, "/") {
		return fmt.Errorf("topic %q names no device", truncate(m.heardOn))
	}
	m.topic, m.payload = name+"/set", m.data
	return nil
}

// tasmota: the payload is a command as on the device's console, such as Power1 ON.
func (m *downMessage) tasmota() error {
	command, argument, _ := strings.Cut(string(m.data), " ")
	if !utf8.Valid(m.data) || command == "" || strings.ContainsFunc(command, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	}) {
		return fmt.Errorf("payload.hex is no command: want for example %x, which is Power1 ON", "Power1 ON")
	}
	name, _, kind, note := splitTasmota(m.heardOn)
	switch {
	case note != "":
		return fmt.Errorf("%s", note)
	case kind == zbReceived || m.Device != grid.Identity("tasmota:"+strings.ToLower(name)):
		return fmt.Errorf("%s is behind a Zigbee bridge: send the bridge itself the command ZbSend", m.Device)
	}
	level := strings.Split(m.heardOn, "/")
	for i := range level[:len(level)-1] {
		if level[i] == "tele" || level[i] == "stat" {
			level[i] = "cmnd"
			break
		}
	}
	level[len(level)-1] = command
	m.topic, m.payload = strings.Join(level, "/"), []byte(argument)
	return nil
}

// digits are those of a ULID.
const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// uuidOf spells a ULID as a UUID: both are 128 bits.
func uuidOf(id string) (text string, ok bool) {
	if len(id) != 26 || id[0] > '7' {
		return "", false
	}
	var hi, lo uint64
	for i := range len(id) {
		v := strings.IndexByte(digits, id[i])
		if v < 0 {
			return "", false
		}
		hi, lo = hi<<5|lo>>59, lo<<5|uint64(v)
	}
	return uuid(hi, lo), true
}

func uuid(hi, lo uint64) string {
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}

// ulidOf is the inverse of uuidOf.
func ulidOf(text string) (id string, ok bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 || len(text) != 36 {
		return "", false
	}
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var out [26]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = digits[lo&31]
		hi, lo = hi>>5, lo>>5|hi<<59
	}
	return string(out[:]), true
}
