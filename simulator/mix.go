package simulator

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
)

// mixes are fleets by name: how many of a thousand devices a part has.
var mixes = map[string][]Part{
	// A district's: what it has by the thousand speaks LoRaWAN or Zigbee.
	"city": {
		{Model: "milesight/ws301", Count: 130}, {Model: "dragino/lds02", Count: 60}, {Model: "netvox/r311a", Count: 40},
		{Model: "browan/tbdw100", Count: 20, Envelope: TheThings}, {Model: "zigbee2mqtt/contact", Count: 50},
		{Model: "bosch/tps110", Count: 120}, {Model: "nwave/nps405", Count: 60}, {Model: "dingtek/do201", Count: 50}, {Model: "pni/placepod", Count: 20, Envelope: TheThings},
		{Model: "dingtek/dc410", Count: 80}, {Model: "milesight/em310-tilt", Count: 30}, {Model: "milesight/em310-udl", Count: 20}, {Model: "elsys/elt-ultrasonic", Count: 20},
		{Model: "netvox/ra02a", Count: 110}, {Model: "milesight/gs524n", Count: 60}, {Model: "yobiiq/sd-1001", Count: 30}, {Model: "hager/tg563a", Count: 20, Envelope: ChirpStackProtobuf},
		{Model: "zigbee2mqtt/smoke", Count: 60}, {Model: "gridgate/json", Count: 20},
	},
	// The same with something on every wire.
	"wires": {
		{Model: "milesight/ws301", Count: 200}, {Model: "bosch/tps110", Count: 150, Envelope: TheThings}, {Model: "dingtek/dc410", Count: 100, Envelope: Native},
		{Model: "netvox/ra02a", Count: 100, Envelope: ChirpStackProtobuf}, {Model: "zigbee2mqtt/smoke", Count: 50},
		{Model: "senml/smoke", Count: 50}, {Model: "dingtek/dc413", Wire: CoAP, Count: 50}, {Model: "gridgate/json", Wire: CoAPS, Count: 50},
		{Model: "oma/smoke", Count: 30}, {Model: "oma/door", Count: 20}, {Model: "oma/manhole", Count: 20}, {Model: "oma/parking", Count: 20},
		{Model: "gbt26875/transmitter", Count: 96}, {Model: "modbus/smoke", Count: 16}, {Model: "modbus/pit-alarm", Count: 16}, {Model: "gridgate/lines", Count: 32},
	},
}

// NewMix makes parts: by the name of a mix, by a YAML file of parts, or from text such as
// "milesight/ws301=100,oma/smoke=20,gridgate/json@coap=5,netvox/ra02a@thethings=7". Behind
// @ stands a wire or an envelope. devices, if not 0, is how many there are in all, in the
// mix's proportions; wire, if not "", leaves only what can speak by it, and does.
func NewMix(mix string, devices int, wire Wire) ([]Part, error) {
	parts, known := mixes[mix]
	parts = slices.Clone(parts)
	var err error
	switch {
	case known:
		if devices == 0 {
			devices = 1000
		}
	case strings.HasSuffix(mix, ".yaml"):
		parts, err = readMix(mix)
	default:
		parts, err = parseMix(mix)
	}
	if err == nil && wire != "" {
		parts, err = onWire(parts, wire)
	}
	if err != nil {
		return nil, err
	}
	return scale(parts, devices), nil
}

func readMix(file string) (parts []Part, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&parts); err != nil {
		return nil, grid.Errorf(grid.Invalid, "mix %s: %v", file, err)
	}
	return parts, nil
}

func parseMix(text string) (parts []Part, err error) {
	for _, item := range strings.Split(text, ",") {
		name, count, _ := strings.Cut(strings.TrimSpace(item), "=")
		p := Part{Count: 1}
		if count != "" {
			if p.Count, err = strconv.Atoi(count); err != nil || p.Count < 0 {
				return nil, grid.Errorf(grid.Invalid, "mix has %q: want model=count", item)
			}
		}
		by := ""
		p.Model, by, _ = strings.Cut(name, "@")
		if by != "" {
			var noEnvelope error
			if p.Envelope, noEnvelope = ParseEnvelope(by); noEnvelope != nil {
				if p.Wire, err = ParseWire(by); err != nil {
					return nil, grid.Errorf(grid.Invalid, "mix has %q: want a wire or an envelope behind @", item)
				}
			}
		}
		if _, err := ModelOf(p.Model); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// onWire leaves the parts that can speak by a wire.
func onWire(parts []Part, w Wire) (out []Part, err error) {
	for _, p := range parts {
		m, err := ModelOf(p.Model)
		if err != nil {
			return nil, err
		}
		if p.Wire == w || p.Wire == "" && slices.Contains(m.Wires(), w) {
			if p.Wire = w; w != MQTT {
				p.Envelope = ""
			}
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, grid.Errorf(grid.Invalid, "nothing of this mix speaks %s: want --mix wires, or models that do", w)
	}
	return out, nil
}

// scale makes the counts add up to so many, by largest remainder.
func scale(parts []Part, devices int) []Part {
	total := 0
	for _, p := range parts {
		total += p.Count
	}
	if devices <= 0 || total == 0 || total == devices {
		return parts
	}
	left := devices
	order := make([]int, len(parts))
	rest := make([]int, len(parts))
	for k := range parts {
		order[k] = k
		rest[k] = parts[k].Count * devices % total
		parts[k].Count = parts[k].Count * devices / total
		left -= parts[k].Count
	}
	slices.SortStableFunc(order, func(a, b int) int { return rest[b] - rest[a] })
	for _, k := range order[:left] {
		parts[k].Count++
	}
	return parts
}
