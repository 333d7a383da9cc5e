package simulator

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Form is what a model's payloads are, and so on which wires it can speak.
type Form string

const (
	Bytes     Form = ""          // a maker's bytes, by LoRaWAN port
	JSON      Form = "json"      // text for everyone
	SenML     Form = "senml"     // RFC 8428, JSON
	Objects   Form = "objects"   // LwM2M resources
	Resources Form = "resources" // LwM2M values by CoAP, each with its path
	Fire      Form = "fire"      // data units of GB/T 26875.3
	Register  Form = "register"  // of a Modbus slave
	Text      Form = "text"      // lines of a panel
)

// CoAP content formats (IANA).
const (
	octetStream uint16 = 42
	jsonFormat  uint16 = 50
	senmlFormat uint16 = 110
)

// wires that a form can go by, the usual one first.
var formWires = map[Form][]Wire{
	Bytes:     {MQTT, CoAP, CoAPS},
	JSON:      {MQTT, CoAP, CoAPS},
	SenML:     {CoAP, CoAPS, MQTT},
	Objects:   {LwM2M},
	Resources: {CoAP, CoAPS},
	Fire:      {GBT26875},
	Register:  {Modbus},
	Text:      {Lines},
}

// of reports whether the model can watch points of a kind.
func (m *Model) of(k grid.Kind) bool { return m.Kind == k || slices.Contains(m.also, k) }

// speaks completes how a part speaks, or says why its model cannot.
func (m *Model) speaks(p *Part) error {
	wires := formWires[m.Form]
	if m.Zigbee {
		wires = []Wire{MQTT}
	}
	if p.Wire == MQTT && m.Wire == "" && wires[0] != MQTT {
		p.Wire = wires[0]
	}
	if !slices.Contains(wires, p.Wire) {
		return grid.Errorf(grid.Invalid, "%s does not speak %s: want %s", m.Profile, p.Wire, join(wires))
	}
	if p.Wire != MQTT {
		if p.Envelope != "" {
			return grid.Errorf(grid.Invalid, "envelope of %s is %q on %s: want none but over mqtt", m.Profile, p.Envelope, p.Wire)
		}
		return nil
	}
	want := []Envelope{ChirpStack, ChirpStackProtobuf, TheThings, Native}
	switch {
	case m.Zigbee:
		want = []Envelope{Zigbee2MQTT}
	case m.Form != Bytes:
		want = []Envelope{Native}
	}
	if p.Envelope == "" {
		p.Envelope = want[0]
	}
	if !slices.Contains(want, p.Envelope) {
		return grid.Errorf(grid.Invalid, "envelope of %s is %q: want %s", m.Profile, p.Envelope, join(want))
	}
	return nil
}

func join[S ~string](list []S) string {
	var out []string
	for _, s := range list {
		out = append(out, string(s))
	}
	return strings.Join(out, " or ")
}

// said is what a device of a kind says of a state: signals of ours, for models that use
// our names.
func (s State) said(kind grid.Kind, yield func(name string, value any)) {
	switch kind {
	case grid.Door:
		yield("door.open", s.Open)
	case grid.Parking:
		yield("parking.occupied", s.Occupied)
	case grid.Manhole:
		yield("manhole.open", s.Open)
		yield("manhole.tilt", math.Abs(s.Tilt))
		yield("manhole.level", s.levelM())
		yield("manhole.flooded", s.flooded())
	case grid.Smoke:
		yield("smoke.alarm", s.Smoke)
		yield("heat.alarm", s.Heat)
		yield("smoke.hush", s.Mute)
		yield("removed", s.Removed)
	}
	yield("tamper", s.Tamper)
	yield("test", s.Test)
	yield("fault", s.Fault)
	yield("battery.level", s.Battery)
	yield("temperature", tenth(s.Celsius))
}

// ownJSON is gridgate/json: signals as keys, the device's counter and its time.
func ownJSON(s State, m memory, _ Why, now time.Time) (int, []byte) {
	out := map[string]any{"seq": m.count, "at": now.UTC().Format(time.RFC3339)}
	s.said(m.kind, func(name string, value any) { out[name] = value })
	return -1, plainJSON(out)
}

// senML is a pack of records, one a signal.
func senML(s State, m memory, _ Why, _ time.Time) (int, []byte) {
	type record struct {
		Base  string   `json:"bn,omitempty"`
		Name  string   `json:"n"`
		Unit  string   `json:"u,omitempty"`
		Value *float64 `json:"v,omitempty"`
		Bool  *bool    `json:"vb,omitempty"`
	}
	units := map[string]string{"battery.level": "%EL", "temperature": "Cel", "manhole.tilt": "deg", "manhole.level": "m"}
	var pack []record
	add := func(name string, value any) {
		r := record{Name: name, Unit: units[name]}
		switch v := value.(type) {
		case bool:
			r.Bool = &v
		case int:
			f := float64(v)
			r.Value = &f
		case float64:
			r.Value = &v
		}
		if name == "battery.level" { // the level of a manhole is another
			r.Name = "battery"
		}
		pack = append(pack, r)
	}
	s.said(m.kind, add)
	seq := float64(m.count)
	pack = append(pack, record{Name: "seq", Value: &seq})
	pack[0].Base = fmt.Sprintf("urn:dev:os:32473-%06d:", m.index)
	return -1, plainJSON(pack)
}

// Kinds are what the model can watch.
func (m *Model) Kinds() []grid.Kind { return append([]grid.Kind{m.Kind}, m.also...) }

// Wires are those that the model can speak, the usual one first.
func (m *Model) Wires() []Wire {
	if m.Zigbee {
		return []Wire{MQTT}
	}
	return slices.Clone(formWires[m.Form])
}

// Envelopes are those that the model comes in over MQTT, the usual one first. One that
// does not speak MQTT has the empty one alone.
func (m *Model) Envelopes() []Envelope {
	switch {
	case m.Wires()[0] != MQTT:
		return []Envelope{""}
	case m.Zigbee:
		return []Envelope{Zigbee2MQTT}
	case m.Form != Bytes:
		return []Envelope{Native}
	}
	return []Envelope{ChirpStack, ChirpStackProtobuf, TheThings, Native}
}
