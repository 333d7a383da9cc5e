package simulator

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// State is what is true at a point and in its device: the world, before any encoding.
type State struct {
	Open     bool    // the door is open, or the manhole cover is off
	Occupied bool    // a car stands in the bay
	Tilt     float64 // of the cover, degrees
	LevelMM  int     // from the cover down to the water
	Water    bool    // a probe lies in water, whatever the level says
	Smoke    bool
	Heat     bool
	Test     bool    // somebody holds the test button
	Mute     bool    // somebody has silenced it
	Removed  bool    // it is off its base
	Fault    bool    // it says itself that it is broken
	Tamper   bool    //
	Battery  int     // percent
	Celsius  float64 //
}

// pitMM is how deep the pits are that probes lie in, from the cover to the bottom.
const pitMM = 2000

// floodedMM: water that is so near to the cover is a flood to whoever decides that by
// itself. What only measures is judged by the gateway.
const floodedMM = 300

// flooded says what a float switch or a probe at the mouth of a pit says.
func (s State) flooded() bool { return s.Water || s.LevelMM < floodedMM }

// Normal is a point at rest.
func Normal() State { return State{LevelMM: 1700, Battery: 96, Celsius: 18} }

// Why a device sends.
type Why string

const (
	Startup   Why = "startup"
	Heartbeat Why = "heartbeat"
	Edge      Why = "edge" // something has changed
)

// memory is what a device remembers beside the present state.
type memory struct {
	frames   uint16        // its own frame counter
	opens    int           // times the door was opened
	changed  time.Time     // when the present state began
	lastOpen time.Duration // how long it stood open the last time
	lastSpan time.Duration // how long the state before the present one lasted
	index    int           // of the device in its fleet
	kind     grid.Kind     // of its point
	count    uint32        // of all frames
	member   int           // which of those behind its transmitter or at its panel it is
}

// Model is a device as its maker sells it: how it encodes what it sees. The encoders are
// written from the makers' layouts and share no code with the gateway's profiles, so that
// the one can prove the other.
type Model struct {
	Profile  string        // "<vendor>/<model>", as the gateway calls it
	Name     string        // as a network server shows it
	Kind     grid.Kind     //
	Interval time.Duration // between heartbeats, as shipped
	Zigbee   bool          // speaks through Zigbee2MQTT; else LoRaWAN through ChirpStack
	Wire     Wire          // it speaks by; "" is MQTT
	Form     Form          // what its payloads are
	also     []grid.Kind   // what else it may watch
	bcd      bool          // of GB/T 26875.3: times in BCD
	played   *playable     // cases of its profile, in place of an encoder
	encode   func(s State, m memory, why Why, now time.Time) (port int, payload []byte)
}

// Models of the fleet, one of each in turn.
var models = [...]Model{
	{Profile: "milesight/ws301", Name: "WS301", Kind: grid.Door, Interval: 18 * time.Hour, encode: ws301},
	{Profile: "dragino/lds02", Name: "LDS02", Kind: grid.Door, Interval: 24 * time.Hour, encode: lds02},
	{Profile: "bosch/tps110", Name: "TPS110", Kind: grid.Parking, Interval: 24 * time.Hour, encode: tps110},
	{Profile: "nwave/nps405", Name: "NPS405", Kind: grid.Parking, Interval: 24 * time.Hour, encode: nps405},
	{Profile: "dingtek/dc410", Name: "DC410", Kind: grid.Manhole, Interval: 6 * time.Hour, encode: dc410},
	{Profile: "milesight/em310-tilt", Name: "EM310-TILT", Kind: grid.Manhole, Interval: time.Hour, encode: em310tilt},
	{Profile: "netvox/ra02a", Name: "RA02A", Kind: grid.Smoke, Interval: time.Hour, encode: ra02a},
	{Profile: "zigbee2mqtt/smoke", Name: "smoke sensor", Kind: grid.Smoke, Interval: 24 * time.Hour, Zigbee: true, encode: zigbeeSmoke},
}

// Models lists the models that the simulator has encoders for.
func Models() []Model { return slices.Concat(modelLists()...) }

func modelLists() [][]Model {
	return [][]Model{models[:], moreModels[:], omaModels[:], fireModels[:], lineModels[:]}
}

// ModelOf finds a model by its profile: with an encoder, or one that plays its profile's
// cases.
func ModelOf(profile string) (*Model, error) {
	for _, list := range modelLists() {
		for i := range list {
			if list[i].Profile == profile {
				return &list[i], nil
			}
		}
	}
	return modelFromCases(profile)
}

func bit(b bool, n int) byte {
	if b {
		return 1 << n
	}
	return 0
}

// ws301, Milesight: channel, type, value. 01 75 battery %, 03 00 door (1 open), 04 00
// installed (1 not).
func ws301(s State, _ memory, why Why, _ time.Time) (int, []byte) {
	door := []byte{0x03, 0x00, bit(s.Open, 0), 0x04, 0x00, bit(s.Tamper, 0)}
	if why == Edge && s.Battery > 15 {
		return 85, door
	}
	return 85, append([]byte{0x01, 0x75, byte(s.Battery)}, door...)
}

// lds02, Dragino, mode 1: battery in mV (14 bits) under the door bit, mode, times opened
// (3), minutes of the last opening (3), alarm.
func lds02(s State, m memory, _ Why, _ time.Time) (int, []byte) {
	p := make([]byte, 10)
	binary.BigEndian.PutUint16(p, uint16(2100+9*s.Battery)&0x3FFF|uint16(bit(s.Open, 7))<<8)
	p[2] = 1
	put24(p[3:], m.opens)
	put24(p[6:], int(m.lastOpen/time.Minute))
	return 10, p
}

func put24(b []byte, v int) { b[0], b[1], b[2] = byte(v>>16), byte(v>>8), byte(v) }

// tps110, Bosch, firmware 0.29.2: the port is the kind. 1 status, 2 heartbeat with
// temperature, 3 start-up: 12 bytes of debug, version, reset cause, state.
func tps110(s State, _ memory, why Why, _ time.Time) (int, []byte) {
	switch why {
	case Startup:
		p := make([]byte, 17)
		p[12], p[13], p[14], p[15], p[16] = 0, 29, 2, 1, bit(s.Occupied, 0)
		return 3, p
	case Heartbeat:
		return 2, []byte{bit(s.Occupied, 0), byte(int8(s.Celsius))}
	default:
		return 1, []byte{bit(s.Occupied, 0)}
	}
}

// nps405, Nwave: the port is the kind. 1 status: the length of the state before over the
// state in bit 0, 2 heartbeat: health over the state, battery (4 mV over 2.5 V),
// temperature (half degrees from 10), 3 start-up: version, reset cause, state.
func nps405(s State, m memory, why Why, _ time.Time) (int, []byte) {
	switch why {
	case Startup:
		return 3, []byte{2, 4, 9, 2, bit(s.Occupied, 0)}
	case Heartbeat:
		return 2, []byte{bit(s.Occupied, 0), byte((2600 + 8*s.Battery - 2500) / 4), byte(int8(math.Round((s.Celsius - 10) * 2)))}
	default:
		return 1, []byte{squeeze(m.lastSpan)<<1 | bit(s.Occupied, 0)}
	}
}

// squeeze packs minutes into 7 bits: single ones below 90, fives below 240, hours below 660.
func squeeze(d time.Duration) byte {
	switch min := int(d / time.Minute); {
	case min < 90:
		return byte(max(min, 0))
	case min < 240:
		return byte(90 + (min-90)/5)
	case min < 660:
		return byte(120 + (min-240)/60)
	default:
		return 127
	}
}

// dc410, Dingtek: 80 00 01, report, length, level mm (2), no GPS, temperature, sign of the
// angle (0 positive), angle, full, moved over battery, frame counter (2), 0, 81.
func dc410(s State, m memory, why Why, _ time.Time) (int, []byte) {
	p := []byte{0x80, 0x00, 0x01, 0x02, 17, 0, 0, 0x00, byte(int8(s.Celsius)), 0, 0, 0, 0, 0, 0, 0, 0x81}
	if why == Edge {
		p[3] = 0x01
	}
	binary.BigEndian.PutUint16(p[5:], uint16(s.LevelMM))
	if s.Tilt < 0 {
		p[9] = 0x01
	}
	p[10] = byte(math.Round(math.Abs(s.Tilt)))
	p[11] = bit(s.LevelMM < 300, 4)
	p[12] = bit(s.Open || math.Abs(s.Tilt) > 20, 4) | bit(s.Battery < 20, 0)
	binary.BigEndian.PutUint16(p[13:], m.frames)
	return 3, p
}

// em310tilt, Milesight: 01 75 battery %, 03 CF angles x y z (hundredths, low byte first)
// and the axes beyond their threshold.
func em310tilt(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	p := []byte{0x01, 0x75, byte(s.Battery), 0x03, 0xCF, 0, 0, 0, 0, 0, 0, 0}
	over := math.Abs(s.Tilt) > 20
	binary.LittleEndian.PutUint16(p[5:], uint16(int16(math.Round(s.Tilt*100))))
	binary.LittleEndian.PutUint16(p[7:], uint16(int16(math.Round(s.Tilt*10))))
	binary.LittleEndian.PutUint16(p[9:], uint16(int16(math.Round((90-math.Abs(s.Tilt))*100))))
	p[11] = bit(over, 0) | bit(over, 2)
	return 85, p
}

// ra02a, Netvox: version, type 0A, report 1, battery in 0.1 V under the low bit, fire,
// heat, temperature in tenths. Report 0 is the start-up: versions and date code.
func ra02a(s State, _ memory, why Why, _ time.Time) (int, []byte) {
	if why == Startup {
		return 6, []byte{0x01, 0x0A, 0x00, 100, 21, 0x20, 0x20, 0x08, 0x11, 0, 0}
	}
	volt := byte(21 + s.Battery/10) // 2.1 to 3.1 V
	t := uint16(int16(math.Round(s.Celsius * 10)))
	return 6, []byte{0x01, 0x0A, 0x01, volt | bit(s.Battery < 20, 7), bit(s.Smoke, 0), bit(s.Heat, 0), byte(t >> 8), byte(t), 0, 0, 0}
}

// zigbeeSmoke is a battery smoke sensor as Zigbee2MQTT publishes it.
func zigbeeSmoke(s State, m memory, _ Why, _ time.Time) (int, []byte) {
	b, err := json.Marshal(struct {
		Battery     int  `json:"battery"`
		BatteryLow  bool `json:"battery_low"`
		LinkQuality int  `json:"linkquality"`
		Smoke       bool `json:"smoke"`
		Tamper      bool `json:"tamper"`
		Test        bool `json:"test"`
		Voltage     int  `json:"voltage"`
	}{s.Battery, s.Battery < 20, 60 + int(m.frames)%180, s.Smoke, s.Tamper, s.Test, 2100 + 9*s.Battery})
	if err != nil {
		panic("simulator: plain values: " + err.Error())
	}
	return -1, b
}
