package envelope

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// Tasmota sends on tele/<topic>/<kind> and stat/<topic>/<kind>; a full topic of another
// order (%topic%/%prefix%/) is read too. A device's topic is its identity. A Zigbee
// bridge sends what its devices say within ZbReceived: each of them is a device of its
// own, known below the bridge by the name it was given there, else by its short address,
// which may change when it joins again: give it a name.

// splitTasmota takes a topic apart; verb is tele or stat.
func splitTasmota(topic string) (name, verb, kind, note string) {
	part := strings.Split(topic, "/")
	last := len(part) - 1
	for i, p := range part[:last] {
		if p == "tele" || p == "stat" {
			rest := append(append([]string{}, part[:i]...), part[i+1:last]...)
			return strings.Join(rest, "/"), p, part[last], ""
		}
	}
	return "", "", "", fmt.Sprintf("topic %q: want tele/<topic>/SENSOR or the like", truncate(topic))
}

func isTasmotaTopic(topic string) bool {
	return strings.HasPrefix(topic, "tele/") || strings.HasPrefix(topic, "stat/") || strings.HasPrefix(topic, "cmnd/")
}

// zbReceived is the key, or with SetOption118 the kind, of what a device of a bridge says.
const zbReceived = "ZbReceived"

func identifyTasmota(topic string, payload []byte) (id grid.Identity, note string, lasting bool) {
	name, verb, kind, note := splitTasmota(topic)
	if note != "" {
		return "", note, false
	}
	if !mayHoldZigbee(verb, kind) {
		id, note = makeIdentity("tasmota", name)
		return id, note, true
	}
	if kind != zbReceived && !bytes.Contains(payload, []byte(`"`+zbReceived+`"`)) {
		id, note = makeIdentity("tasmota", name)
		return id, note, false
	}
	id, note = identifyJSON(payload, func(root *fastjson.Value) (grid.Identity, string) {
		device, _, err := zigbeeDevice(root, kind)
		if err != nil {
			return "", err.Error()
		}
		return makeIdentity("tasmota", strings.TrimSuffix(name, "/"+device)+"/"+device)
	})
	return id, note, false
}

func mayHoldZigbee(verb, kind string) bool {
	return verb == "tele" && (kind == "SENSOR" || kind == zbReceived)
}

// zigbeeDevice finds who speaks within ZbReceived, and what it says. With SetOption118
// the word stands in the topic, with SetOption119 the address does not stand around.
func zigbeeDevice(root *fastjson.Value, kind string) (name string, says *fastjson.Value, err error) {
	received := root
	if kind != zbReceived {
		received = root.Get(zbReceived)
	}
	if address := stringAt(received, "Device"); address != "" {
		if given := stringAt(received, "Name"); given != "" {
			address = given
		}
		return address, received, nil
	}
	object := received.GetObject()
	if object == nil || object.Len() != 1 {
		return "", nil, fmt.Errorf("ZbReceived holds messages of several devices or of none: want one")
	}
	object.Visit(func(key []byte, v *fastjson.Value) { name, says = string(key), v })
	if says.Type() != fastjson.TypeObject {
		return "", nil, fmt.Errorf("ZbReceived: %s is a JSON %s: want an object", truncate(name), says.Type())
	}
	if given := stringAt(says, "Name"); given != "" {
		name = given
	}
	return name, says, nil
}

func openTasmota(f *grid.Frame) error {
	_, verb, kind, note := splitTasmota(f.Address)
	if note != "" {
		return fmt.Errorf("%s", note)
	}
	if kind == "LWT" {
		f.Kind, f.NotHeard = grid.Status, !bytes.EqualFold(f.Raw, []byte("Online"))
		f.Gone = f.NotHeard && len(f.Raw) > 0
		return nil
	}
	isData := mayHoldZigbee(verb, kind)
	if !isData && kind != "STATE" && kind != "RESULT" {
		f.Kind = grid.Status // INFO1, UPTIME, POWER, …
		if verb == "stat" {
			f.Kind = grid.Answer
		}
		return nil
	}
	parser := parsers.Get()
	defer parsers.Put(parser)
	root, err := parse(parser, f.Raw)
	if err != nil {
		return err
	}
	f.At = parseTime(root.GetStringBytes("Time")) // usually without a zone, which is no time
	switch {
	case kind == zbReceived, isData && root.Get(zbReceived) != nil:
		return openZigbeeDevice(f, root, kind)
	case isData, kind == "RESULT" && hasSwitch(root):
		report(f, f.Raw)
	case kind == "RESULT":
		f.Kind = grid.Answer
	default:
		f.Kind = grid.Status
		f.RSSIdBm, f.HasRSSI = floatAt(root.Get("Wifi"), "Signal") // dBm; RSSI is a percentage there
	}
	return nil
}

// openZigbeeDevice takes what the one device says as the payload, whatever its name.
func openZigbeeDevice(f *grid.Frame, root *fastjson.Value, kind string) error {
	_, says, err := zigbeeDevice(root, kind)
	if err != nil {
		return err
	}
	if pct, ok := floatAt(says, "BatteryPercentage"); ok {
		setBattery(f, pct)
	}
	f.Model = stringAt(says, "ModelId")
	report(f, says.MarshalTo(nil))
	return nil
}

// hasSwitch reports whether a RESULT is no answer to a command but the word of a switch or
// button that has changed, such as a door contact on an input.
func hasSwitch(root *fastjson.Value) bool {
	found := false
	root.GetObject().Visit(func(key []byte, _ *fastjson.Value) {
		for _, prefix := range []string{"Switch", "Button"} {
			digits, ok := strings.CutPrefix(string(key), prefix)
			if ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
				found = true
			}
		}
	})
	return found
}
