package envelope

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// chirpStackTopic begins application/<application>/device/<eui>/event/<kind>, the same in
// versions 3 and 4. A configured topic may have another form: then its last level may be
// the kind of event, and the identity is in the message.
const chirpStackTopic = "application/"

func splitChirpStack(topic string) (eui, event, note string) {
	if !strings.HasPrefix(topic, chirpStackTopic) {
		event = topic[strings.LastIndexByte(topic, '/')+1:]
		if !slices.Contains([]string{"join", "ack", "txack", "status", "log", "error", "location", "integration"}, event) {
			event = "up" // a name of the user's own: a payload is never passed over for it
		}
		return "", event, ""
	}
	part := strings.Split(topic, "/")
	if len(part) != 6 || part[2] != "device" || part[4] != "event" {
		return "", "", fmt.Sprintf("topic %q: want application/<application>/device/<eui>/event/<kind>", truncate(topic))
	}
	return part[3], part[5], ""
}

func identifyChirpStack(topic string, payload []byte) (id grid.Identity, note string, lasting bool) {
	eui, event, note := splitChirpStack(topic)
	switch {
	case note != "":
		return "", note, false
	case eui != "" || strings.HasPrefix(topic, chirpStackTopic):
		id, note = makeIdentity("eui", eui)
		return id, note, true
	case isJSON(payload):
		id, note = identifyJSON(payload, func(root *fastjson.Value) (grid.Identity, string) {
			eui := stringAt(root, "deviceInfo", "devEui")
			if eui == "" {
				eui = hexOfBase64(stringAt(root, "devEUI"))
			}
			return makeIdentity("eui", eui)
		})
		return id, note, false
	}
	var m chirpStackMessage
	if err := m.read(event, payload); err != nil {
		return "", err.Error(), false
	}
	id, note = makeIdentity("eui", m.eui)
	return id, note, false
}

// isJSON decides between the two forms in which ChirpStack may send on one and the same
// topic, by the first byte alone: a JSON object begins with a brace. As protobuf a brace
// would begin field 15 as a group, which no message of ChirpStack has.
func isJSON(payload []byte) bool { return len(payload) > 0 && payload[0] == '{' }

// openChirpStack reads a message of ChirpStack: version 4 or 3, JSON or protobuf. All of
// them leave out what is zero or false: a missing fCnt is 0, a missing fPort is 0, missing
// data is none.
func openChirpStack(f *grid.Frame) error {
	_, event, note := splitChirpStack(f.Address)
	if note != "" {
		return errors.New(note)
	}
	f.Kind = chirpStackKind(event)
	// What the network says of a device is no word of the device itself.
	f.NotHeard = f.Kind == grid.Answer || f.Kind == grid.Status && event != "status"
	if isJSON(f.Raw) {
		return openChirpStackJSON(f, event)
	}
	return openChirpStackProtobuf(f, event)
}

func chirpStackKind(event string) grid.UplinkKind {
	switch event {
	case "up":
		return grid.Report
	case "join":
		return grid.Join
	case "ack", "txack":
		return grid.Answer
	}
	return grid.Status // status, log, error, location, integration, and what may come
}

func openChirpStackJSON(f *grid.Frame, event string) error {
	parser := parsers.Get()
	defer parsers.Put(parser)
	root, err := parse(parser, f.Raw)
	if err != nil {
		return err
	}
	f.At = parseTime(root.GetStringBytes("time"))
	if f.Model = stringAt(root, "deviceInfo", "deviceProfileName"); f.Model == "" {
		f.Model = stringAt(root, "deviceProfileName") // version 3
	}
	heardByJSON(f, root.GetArray("rxInfo"))
	switch {
	case event == "status":
		statusJSON(f, root)
		return nil
	case event == "ack":
		f.NotHeard = !root.GetBool("acknowledged")
		answered(f, chirpStackAnswerJSON(event, root))
		return nil
	case f.Kind != grid.Report:
		answered(f, chirpStackAnswerJSON(event, root))
		return nil
	}
	return reportJSON(f, root)
}

// answered makes an answer of a message that says something of a downlink.
func answered(f *grid.Frame, a *grid.DownAnswer) {
	if a != nil {
		f.Kind, f.Down = grid.Answer, a
	}
}

// heardByJSON keeps what the gateway with the strongest signal said. In version 3 the
// names are others, and identifiers are base64 or hexadecimal.
func heardByJSON(f *grid.Frame, heard []*fastjson.Value) {
	for _, rx := range heard {
		rssi, hasRSSI := floatAt(rx, "rssi")
		if f.At.IsZero() {
			f.At = rxTime(rx)
		}
		if !isBetter(f, rssi, hasRSSI) {
			continue
		}
		f.Gateway = stringAt(rx, "gatewayId")
		key := "snr"
		if f.Gateway == "" {
			f.Gateway, key = hexOfBase64(stringAt(rx, "gatewayID")), "loRaSNR"
		}
		f.RSSIdBm, f.HasRSSI = rssi, hasRSSI
		snr, said := floatAt(rx, key)
		f.SNRdB, f.HasSNR = snr, said || rx.Get(key) == nil && hasRSSI // a zero is left out
	}
}

func rxTime(rx *fastjson.Value) time.Time {
	for _, key := range []string{"nsTime", "gwTime", "time"} {
		if t := parseTime(rx.GetStringBytes(key)); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func statusJSON(f *grid.Frame, root *fastjson.Value) {
	if root.GetBool("externalPowerSource") || root.GetBool("batteryLevelUnavailable") {
		return
	}
	pct, said := floatAt(root, "batteryLevel")
	if said || root.Get("batteryLevel") == nil { // a zero is left out
		setBattery(f, pct)
	}
	f.SNRdB, f.HasSNR = floatAt(root, "margin")
}

// hexOfBase64 gives an EUI in hexadecimal: protobuf-JSON has it in base64, which for
// eight bytes is twelve characters and ends in "=".
func hexOfBase64(s string) string {
	if len(s) == 12 && strings.HasSuffix(s, "=") {
		if b, err := base64.StdEncoding.DecodeString(s); err == nil {
			return hex.EncodeToString(b)
		}
	}
	return s
}
