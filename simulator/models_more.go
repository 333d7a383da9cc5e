package simulator

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"gridgate/internal/grid"
)

// moreModels are those that a city is made of beside the first: well-known models of
// every kind. An encoder is given the device's own time.
var moreModels = [...]Model{
	{Profile: "milesight/em300-mcs", Name: "EM300-MCS", Kind: grid.Door, Interval: 10 * time.Minute, encode: em300mcs},
	{Profile: "dragino/lds03a", Name: "LDS03A", Kind: grid.Door, Interval: 2 * time.Hour, encode: lds03a},
	{Profile: "netvox/r311a", Name: "R311A", Kind: grid.Door, Interval: time.Hour, encode: netvoxDoor(0x02)},
	{Profile: "netvox/r718f", Name: "R718F", Kind: grid.Door, Interval: time.Hour, encode: netvoxDoor(0x1D)},
	{Profile: "browan/tbdw100", Name: "TBDW100", Kind: grid.Door, Interval: 24 * time.Hour, encode: tbdw100},
	{Profile: "mclimate/open-close", Name: "Open/Close Sensor", Kind: grid.Door, Interval: 4 * time.Hour, encode: mclimateDoor},
	{Profile: "sensative/strips", Name: "Strips", Kind: grid.Door, Interval: 24 * time.Hour, encode: strips},
	{Profile: "zigbee2mqtt/contact", Name: "contact sensor", Kind: grid.Door, Interval: 24 * time.Hour, Zigbee: true, encode: zigbeeContact},

	{Profile: "bosch/tps110-0.39", Name: "TPS110", Kind: grid.Parking, Interval: 24 * time.Hour, encode: tps110fw39},
	{Profile: "pni/placepod", Name: "PlacePod", Kind: grid.Parking, Interval: 12 * time.Hour, encode: placepod},
	{Profile: "libelium/smart-parking", Name: "Smart Parking", Kind: grid.Parking, Interval: 12 * time.Hour, encode: libelium},
	{Profile: "dingtek/do201", Name: "DO201", Kind: grid.Parking, Interval: 24 * time.Hour, encode: do201},
	{Profile: "cicicom/s-lg-i3", Name: "S-LG-I3", Kind: grid.Parking, Interval: 24 * time.Hour, encode: cicicom},
	{Profile: "netvox/r719a", Name: "R719A", Kind: grid.Parking, Interval: time.Hour, encode: r719a},

	{Profile: "dingtek/dc413", Name: "DC413", Kind: grid.Manhole, Interval: 6 * time.Hour, encode: dc410},
	{Profile: "milesight/em500-swl", Name: "EM500-SWL", Kind: grid.Manhole, Interval: 10 * time.Minute, encode: em500swl},
	{Profile: "milesight/em310-udl", Name: "EM310-UDL", Kind: grid.Manhole, Interval: time.Hour, encode: em310udl},
	{Profile: "milesight/em400-mud", Name: "EM400-MUD", Kind: grid.Manhole, Interval: 10 * time.Hour, encode: em400mud},
	{Profile: "dragino/ldds75", Name: "LDDS75", Kind: grid.Manhole, Interval: 20 * time.Minute, encode: ldds75},
	{Profile: "dragino/lwl03a", Name: "LWL03A", Kind: grid.Manhole, Interval: 2 * time.Hour, encode: lwl03a},
	{Profile: "decentlab/dl-ctd10", Name: "DL-CTD10", Kind: grid.Manhole, Interval: 10 * time.Minute, encode: ctd10},
	{Profile: "elsys/elt-ultrasonic", Name: "ELT Ultrasonic", Kind: grid.Manhole, Interval: 2 * time.Hour, encode: eltUltrasonic},
	{Profile: "browan/tbwl100", Name: "TBWL100", Kind: grid.Manhole, Interval: 24 * time.Hour, encode: tbwl100},
	{Profile: "zigbee2mqtt/leak", Name: "leak sensor", Kind: grid.Manhole, Interval: 24 * time.Hour, Zigbee: true, encode: zigbeeLeak},

	{Profile: "milesight/gs524n", Name: "GS524N", Kind: grid.Smoke, Interval: 24 * time.Hour, encode: gs524n},
	{Profile: "yobiiq/sd-1001", Name: "SD-1001", Kind: grid.Smoke, Interval: 24 * time.Hour, encode: sd1001},
	{Profile: "hager/tg563a", Name: "TG563A", Kind: grid.Smoke, Interval: 24 * time.Hour, encode: tg563a},
	{Profile: "nexelec/insafe-origin", Name: "Insafe+ Origin", Kind: grid.Smoke, Interval: 24 * time.Hour, encode: insafe},
	{Profile: "dingtek/df702", Name: "DF702", Kind: grid.Smoke, Interval: 24 * time.Hour, encode: df702},

	{Profile: "gridgate/json", Name: "JSON", Kind: grid.Smoke, Interval: 24 * time.Hour, Form: JSON, also: []grid.Kind{grid.Door, grid.Parking, grid.Manhole}, encode: ownJSON},
	{Profile: "senml/door", Name: "SenML", Kind: grid.Door, Interval: 24 * time.Hour, Form: SenML, encode: senML},
	{Profile: "senml/parking", Name: "SenML", Kind: grid.Parking, Interval: 24 * time.Hour, Form: SenML, encode: senML},
	{Profile: "senml/manhole", Name: "SenML", Kind: grid.Manhole, Interval: 24 * time.Hour, Form: SenML, encode: senML},
	{Profile: "senml/smoke", Name: "SenML", Kind: grid.Smoke, Interval: 24 * time.Hour, Form: SenML, encode: senML},
}

// volts of a lithium cell pair by its charge: 2.1 when empty, 3 when full.
func (s State) volts() float64 { return 2.1 + 0.009*float64(s.Battery) }

func (s State) batteryLow() bool { return s.Battery < lowBattery }

// lowBattery is where devices that decide it themselves say so, percent.
const lowBattery = 20

func (s State) levelM() float64 { return float64(max(pitMM-s.LevelMM, 0)) / 1000 } // above the bottom

func tenths(v float64) uint16 { return uint16(int16(math.Round(v * 10))) }

func le16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }
func be16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func be32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// em300mcs, Milesight: 01 75 battery %, 03 67 temperature in tenths, 04 68 humidity in
// half per cents, 06 00 door.
func em300mcs(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	b := le16([]byte{0x01, 0x75, byte(s.Battery), 0x03, 0x67}, tenths(s.Celsius))
	return 85, append(b, 0x04, 0x68, 110, 0x06, 0x00, bit(s.Open, 0))
}

// lds03a, Dragino: flags (0 open, 1 too long), times opened (3), minutes of the last
// opening (3), its clock.
func lds03a(s State, m memory, _ Why, now time.Time) (int, []byte) {
	p := make([]byte, 7, 11)
	p[0] = bit(s.Open, 0) | bit(s.Open && now.Sub(m.changed) > 30*time.Minute && !m.changed.IsZero(), 1)
	put24(p[1:], m.opens)
	put24(p[4:], int(m.lastOpen/time.Minute))
	return 2, be32(p, uint32(now.Unix()))
}

// netvoxDoor: version, type, report 1, battery in 0.1 V under the low bit, contact (1
// open). Report 0 is the start-up: versions and date code.
func netvoxDoor(kind byte) func(State, memory, Why, time.Time) (int, []byte) {
	return func(s State, _ memory, why Why, _ time.Time) (int, []byte) {
		if why == Startup {
			return 6, []byte{0x01, kind, 0x00, 100, 12, 0x20, 0x23, 0x07, 0x14, 0, 0}
		}
		return 6, []byte{0x01, kind, 0x01, netvoxBattery(s), bit(s.Open, 0), 0, 0, 0, 0, 0, 0}
	}
}

func netvoxBattery(s State) byte { return byte(math.Round(s.volts()*10)) | bit(s.batteryLow(), 7) }

// r719a, Netvox: as the doors; 1 is a car.
func r719a(s State, m memory, why Why, now time.Time) (int, []byte) {
	s.Open = s.Occupied
	return netvoxDoor(0x59)(s, m, why, now)
}

// browanHead: a step of 0.1 V over 2.5 V, and degrees over -32.
func browanHead(s State) (battery, degrees byte) {
	step := math.Round((s.volts() - 2.5) * 10)
	return byte(min(max(step, 1), 14)), byte(min(max(math.Round(s.Celsius)+32, 0), 127))
}

// tbdw100, Browan: bit 0 open, battery, degrees, minutes since (2, low byte first),
// events (3, low byte first).
func tbdw100(s State, m memory, _ Why, now time.Time) (int, []byte) {
	battery, degrees := browanHead(s)
	since := 0
	if !m.changed.IsZero() {
		since = int(min(max(now.Sub(m.changed)/time.Minute, 0), 0xffff))
	}
	b := le16([]byte{bit(s.Open, 0), battery, degrees}, uint16(since))
	n := m.opens + 1 // of zeros alone there is none: an empty payload
	return 100, append(b, byte(n), byte(n>>8), byte(n>>16))
}

// tbwl100, Browan: flags (0 wet, 4 water event), battery, degrees of the board, humidity,
// degrees.
func tbwl100(s State, _ memory, why Why, _ time.Time) (int, []byte) {
	battery, degrees := browanHead(s)
	return 106, []byte{bit(s.flooded(), 0) | bit(why == Edge, 4), battery, degrees, 60, degrees}
}

// mclimateDoor: why (01 keep-alive, 20 switch, 21 button), battery in 8 mV over 1.6 V,
// temperature in tenths of 10 bits with the sign in bit 11, events (3), open.
func mclimateDoor(s State, m memory, why Why, _ time.Time) (int, []byte) {
	p := make([]byte, 8)
	p[0] = 0x01
	switch {
	case s.Test:
		p[0] = 0x21
	case why == Edge:
		p[0] = 0x20
	}
	p[1] = byte(math.Round((s.volts() - 1.6) / 0.008))
	binary.BigEndian.PutUint16(p[2:], uint16(math.Round(math.Abs(s.Celsius)*10))&0x3ff)
	p[2] |= bit(s.Celsius < 0, 3) | bit(s.Fault, 2)
	put24(p[4:], m.opens)
	p[7] = bit(s.Open, 0)
	return 2, p
}

// strips, Sensative: a number (2), then type and value: 89 door (0 open) when it changes,
// 09 when it is told, 01 battery, 02 temperature in tenths, 0B tamper.
func strips(s State, m memory, why Why, _ time.Time) (int, []byte) {
	b := be16(nil, m.frames)
	if why == Edge {
		b = append(b, 0x89, bit(!s.Open, 0))
		if s.Tamper {
			b = append(b, 0x8B, 1)
		}
		return 1, b
	}
	b = append(b, 0x09, bit(!s.Open, 0), 0x01, byte(s.Battery), 0x02)
	return 1, append(be16(b, tenths(s.Celsius)), 0x0B, bit(s.Tamper, 0))
}

// zigbeeContact is a contact as Zigbee2MQTT publishes it: contact true is closed.
func zigbeeContact(s State, m memory, _ Why, _ time.Time) (int, []byte) {
	return -1, plainJSON(struct {
		Battery     int     `json:"battery"`
		BatteryLow  bool    `json:"battery_low"`
		Contact     bool    `json:"contact"`
		Temperature float64 `json:"device_temperature"`
		LinkQuality int     `json:"linkquality"`
		Tamper      bool    `json:"tamper"`
		Voltage     int     `json:"voltage"`
	}{s.Battery, s.batteryLow(), !s.Open, math.Round(s.Celsius), 60 + int(m.frames)%180, s.Tamper, 2100 + 9*s.Battery})
}

// zigbeeLeak is a water sensor as Zigbee2MQTT publishes it.
func zigbeeLeak(s State, m memory, _ Why, _ time.Time) (int, []byte) {
	return -1, plainJSON(struct {
		Battery     int     `json:"battery"`
		BatteryLow  bool    `json:"battery_low"`
		Temperature float64 `json:"device_temperature"`
		LinkQuality int     `json:"linkquality"`
		Tamper      bool    `json:"tamper"`
		Voltage     int     `json:"voltage"`
		Water       bool    `json:"water_leak"`
	}{s.Battery, s.batteryLow(), math.Round(s.Celsius), 60 + int(m.frames)%180, s.Tamper, 2100 + 9*s.Battery, s.flooded()})
}

// tps110fw39, Bosch, firmware 0.39: as before; the start-up has the high byte first, where
// the order shows: time, debug code, number, then version, cause and state.
func tps110fw39(s State, m memory, why Why, now time.Time) (int, []byte) {
	if why != Startup {
		return tps110(s, m, why, now)
	}
	p := []byte{0, 0, 0, 0x1e, 0, 0, 0, 0xd1, 0, 1, 0, 0, 0, 39, 2, 1, bit(s.Occupied, 0)}
	return 3, p
}

// placepod, PNI: channel, type, value: 15 66 bay on a change, 37 66 on a keep-alive, 02 67
// temperature in tenths, 03 02 hundredths of a volt.
func placepod(s State, _ memory, why Why, _ time.Time) (int, []byte) {
	b := []byte{0x37, 0x66, bit(s.Occupied, 0), 0x02, 0x67}
	if why == Edge {
		b[0] = 0x15
	}
	b = append(be16(b, tenths(s.Celsius)), 0x03, 0x02)
	return 1, be16(b, uint16(math.Round(s.volts()*100)))
}

// libelium, firmware 2: flags (7 occupied, 6 battery low) over the kind (0 change, 1
// keep-alive), frames, then temperature, or hour, minute and temperature.
func libelium(s State, m memory, why Why, now time.Time) (int, []byte) {
	flags := bit(s.Occupied, 7) | bit(s.batteryLow(), 6)
	t := byte(int8(math.Round(s.Celsius)))
	if why == Edge {
		return 1, []byte{flags, byte(m.frames), t, 0x01, 0x23, 0xff, 0x10, 0x04, 0x56, 0, 0}
	}
	now = now.UTC()
	return 1, []byte{flags | 1, byte(m.frames), byte(now.Hour()), byte(now.Minute()), t, 0x01, 0x23, 0xff, 0x10, 0x04, 0x56}
}

// do201, Dingtek: 80 00 31, report, length, distance mm (2), car over object, low battery,
// hundredths of a volt (2), magnetic field (6), degrees, humidity, frame counter (2), 0, 81.
func do201(s State, m memory, why Why, _ time.Time) (int, []byte) {
	p := []byte{0x80, 0x00, 0x31, 0x02, 23}
	if why == Edge {
		p[3] = 0x01
	}
	distance, field := uint16(2000), uint16(0x10)
	if s.Occupied {
		distance, field = 250, 0x40
	}
	p = append(be16(p, distance), bit(s.Occupied, 4)|bit(s.Occupied, 0), bit(s.batteryLow(), 0))
	p = be16(p, uint16(math.Round(s.volts()*100)))
	p = be16(be16(be16(p, field), 0xffc0), 0x20)
	p = append(p, byte(int8(math.Round(s.Celsius))), 55)
	return 3, append(be16(p, m.frames), 0, 0x81)
}

// cicicom is text: C a change, K a keep-alive, R a boot, E a malfunction; the bay, volts,
// degrees with their sign.
func cicicom(s State, _ memory, why Why, _ time.Time) (int, []byte) {
	tail := fmt.Sprintf("%d%.2f%+05.1f", bit(s.Occupied, 0), s.volts(), s.Celsius)
	switch {
	case s.Fault:
		return 1, fmt.Appendf(nil, "E%.2f", s.volts())
	case why == Startup:
		return 1, []byte("R" + tail + "V1.5.2")
	case why == Edge:
		return 1, fmt.Appendf(nil, "C%d", bit(s.Occupied, 0))
	}
	return 1, []byte("K" + tail)
}

// em500swl, Milesight: 01 75 battery %, 03 77 depth above the probe in cm; FFFF is a
// failed measurement.
func em500swl(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	depth := uint16(math.Round(s.levelM() * 100))
	if s.Fault {
		depth = 0xffff
	}
	return 85, le16([]byte{0x01, 0x75, byte(s.Battery), 0x03, 0x77}, depth)
}

func (s State) gapMM() uint16 { return uint16(min(max(s.LevelMM, 30), 4500)) }

// tipped says that a device which hangs under a cover no longer points down.
func (s State) tipped() bool { return s.Open || math.Abs(s.Tilt) > 20 }

// em310udl, Milesight: 01 75 battery %, 03 82 air in mm, 04 00 position (1 tilted).
func em310udl(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	b := le16([]byte{0x01, 0x75, byte(s.Battery), 0x03, 0x82}, s.gapMM())
	return 85, append(b, 0x04, 0x00, bit(s.tipped(), 0))
}

// em400mud, Milesight: 01 75 battery %, 03 67 temperature in tenths, 04 82 air in mm,
// 05 00 position, and 84 82 the alarm of its threshold, when it is crossed or released.
func em400mud(s State, _ memory, why Why, _ time.Time) (int, []byte) {
	b := le16([]byte{0x01, 0x75, byte(s.Battery), 0x03, 0x67}, tenths(s.Celsius))
	if why == Edge {
		b = append(le16(append(b, 0x84, 0x82), s.gapMM()), bit(s.flooded(), 0))
	} else {
		b = le16(append(b, 0x04, 0x82), s.gapMM())
	}
	return 85, append(b, 0x05, 0x00, bit(s.tipped(), 0))
}

// ldds75, Dragino: mV (2), air in mm (2; 0 no probe, 20 too near), interrupt.
func ldds75(s State, _ memory, why Why, _ time.Time) (int, []byte) {
	mm := uint16(max(s.LevelMM, 0))
	switch {
	case s.Fault:
		mm = 0
	case mm < 280:
		mm = 20
	}
	b := be16(nil, uint16(math.Round(s.volts()*1000)))
	return 2, append(be16(b, mm), bit(why == Edge, 0))
}

// lwl03a, Dragino: flags (0 wet), leaks (3), minutes of the last (3), its clock.
func lwl03a(s State, m memory, _ Why, now time.Time) (int, []byte) {
	p := make([]byte, 7, 11)
	p[0] = bit(s.flooded(), 0)
	put24(p[1:], m.opens)
	return 2, be32(p, uint32(now.Unix()))
}

// ctd10, Decentlab: protocol 2, number (2), which parts follow (2), depth in mm over
// -32768, tenths of a degree over -3276.8, conductivity, freezing, mV.
func ctd10(s State, m memory, _ Why, _ time.Time) (int, []byte) {
	b := be16([]byte{2}, uint16(m.index))
	b = be16(b, 3)
	b = be16(b, uint16(32768+int(math.Round(s.levelM()*1000))))
	b = be16(b, uint16(32768+int(math.Round(s.Celsius*10))))
	b = be16(be16(b, 250), uint16(bit(s.Fault, 0)))
	return 1, be16(b, uint16(math.Round(s.volts()*1000)))
}

// eltUltrasonic, Elsys: 01 tenths of a degree, 02 humidity, 07 mV, 0E air in mm (0 no echo).
func eltUltrasonic(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	mm := uint16(max(s.LevelMM, 1))
	if s.Fault {
		mm = 0
	}
	b := append(be16([]byte{0x01}, tenths(s.Celsius)), 0x02, 60, 0x07)
	b = append(be16(b, uint16(math.Round(s.volts()*1000))), 0x0E)
	return 5, be16(b, mm)
}

// gs524n, Milesight: 22, sensor 1 over what the message is about, battery %, density,
// degrees, what makes the sum of all 0.
func gs524n(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	about, density := byte(7), byte(0)
	switch {
	case s.Smoke && s.Mute:
		about, density = 2, 40
	case s.Smoke:
		about, density = 1, 40
	case s.Removed:
		about = 10
	case s.Test && s.batteryLow():
		about = 15
	case s.Test:
		about = 14
	case s.Fault:
		about = 5
	case s.batteryLow():
		about = 4
	}
	b := []byte{0x22, 0x10 | about, byte(s.Battery), density, byte(int8(math.Round(s.Celsius)))}
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	return 85, append(b, -sum)
}

// sd1001, Yobiiq: channel, type, value: 01 75 battery %, 02 0B mains, 03 low battery, 04
// fault, 05 smoke, 06 another detector, 07 test button.
func sd1001(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	return 8, []byte{0x01, 0x75, byte(s.Battery), 0x02, 0x0B, 1, 0x03, 0x00, bit(s.batteryLow(), 0), 0x04, 0x00, bit(s.Fault, 0),
		0x05, 0x00, bit(s.Smoke, 0), 0x06, 0x00, 0, 0x07, 0x00, bit(s.Test, 0)}
}

// tg563a, Hager: kind (1 smoke, 2 status), settings, degrees, mounted and covered, smoke
// and what is wrong.
func tg563a(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	kind := byte(2)
	if s.Smoke {
		kind = 1
	}
	return 1, []byte{kind, 0x7e, byte(int8(math.Round(s.Celsius))), bit(!s.Removed, 0) | bit(s.Tamper, 5),
		bit(s.Smoke, 0) | bit(s.batteryLow(), 1) | bit(s.Fault, 2)}
}

// insafe, Nexelec: A2 03: smoke, ended by the button, test. A2 00 the status of the
// device: months left, what is wrong, voltages, state of the battery, frames, clock.
func insafe(s State, m memory, why Why, now time.Time) (int, []byte) {
	if why != Startup {
		return 56, []byte{0xA2, 0x03, bit(s.Smoke, 7) | bit(s.Mute, 6) | bit(s.Test, 5), 5, 0x20}
	}
	v := byte(math.Round((s.volts() - 2) / 0.005))
	battery := byte(0)
	if s.batteryLow() {
		battery = 2
	}
	now = now.UTC()
	clock := uint32(now.Year()%100)<<26 | uint32(now.Month())<<22 | uint32(now.Day())<<17 | uint32(now.Hour())<<12 | uint32(now.Minute())<<6 | uint32(now.Second())
	b := be16([]byte{0xA2, 0x00, 1, 1, 96, bit(s.Fault, 7), v, v, battery << 6}, m.frames)
	return 56, be32(b, clock)
}

// df702, Dingtek: as dc410, with fire under the full bin.
func df702(s State, m memory, why Why, _ time.Time) (int, []byte) {
	p := []byte{0x80, 0x00, 0x01, 0x02, 17, 0x04, 0xb0, 0x00, byte(int8(math.Round(s.Celsius))), 0, 2, bit(s.Heat, 0), bit(s.Tamper, 4) | bit(s.batteryLow(), 0), 0, 0, 0, 0x81}
	if why == Edge {
		p[3] = 0x01
	}
	binary.BigEndian.PutUint16(p[13:], m.frames)
	return 3, p
}
