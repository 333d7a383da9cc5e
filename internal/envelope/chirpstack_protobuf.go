package envelope

import (
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"gridgate/internal/grid"
)

// chirpStackMessage is what we need of an integration event of ChirpStack in protobuf.
// Field numbers are those of integration.proto and gw.proto, version 4 in
// chirpstack/chirpstack, api/proto, version 3 in brocaar/chirpstack-api, protobuf/as.
type chirpStackMessage struct {
	eui, model string
	at         time.Time
	counter    uint64
	port       uint64
	data       []byte
	heard      [maxHeard][]byte // rx_info
	gateways   int
	v3         bool

	margin                int32
	external, unavailable bool
	battery               float32
	acknowledged          bool
	item, detail          string // of the queue, and what is said of it
	lost                  bool   // a log event says so
}

// maxHeard bounds how many gateways of one message are looked at; a city has no more in
// one place.
const maxHeard = 64

// The numbers of the fields we read. Zero: the version has no such field.
type chirpStackFields struct{ at, info, eui, counter, port, data, rx int32 }

func chirpStackLayout(event string, v3 bool) chirpStackFields {
	switch {
	case v3 && event == "up":
		return chirpStackFields{eui: 4, counter: 9, port: 10, data: 11, rx: 5}
	case v3 && event == "join":
		return chirpStackFields{eui: 4, rx: 6}
	case v3:
		return chirpStackFields{eui: 4}
	case event == "up":
		return chirpStackFields{at: 2, info: 3, counter: 7, port: 8, data: 10, rx: 12}
	case event == "log":
		return chirpStackFields{at: 1, info: 2}
	}
	return chirpStackFields{at: 2, info: 3}
}

// isV3 decides by the first byte. Version 3 begins with the application's number, a
// varint; version 4 with a text or a time. Only its txack begins with a number too: there
// the fourth field tells, the EUI's eight bytes in version 3, the queue item's text in 4.
func isV3(event string, message []byte) bool {
	if len(message) == 0 || message[0] != 0x08 || event != "txack" {
		return len(message) > 0 && message[0] == 0x08
	}
	v3 := false
	_ = eachField(message, func(f wireField) error {
		v3 = v3 || f.num == 4 && len(f.b) == 8
		return nil
	})
	return v3
}

func (m *chirpStackMessage) read(event string, message []byte) error {
	if len(message) == 0 {
		return fmt.Errorf("is empty: want JSON or protobuf")
	}
	m.v3 = isV3(event, message)
	layout := chirpStackLayout(event, m.v3)
	return eachField(message, func(f wireField) error {
		switch num := int32(f.num); {
		case f.isBytes() && num == layout.at:
			m.at = wireTime(f.b)
		case f.isBytes() && num == layout.info:
			return m.info(f.b)
		case f.isBytes() && num == layout.eui:
			m.eui = hex.EncodeToString(f.b)
		case f.isBytes() && num == layout.data:
			m.data = f.b
		case f.isBytes() && num == layout.rx && m.gateways < maxHeard:
			m.heard[m.gateways] = f.b
			m.gateways++
		case f.isVarint() && num == layout.counter:
			m.counter = f.n
		case f.isVarint() && num == layout.port:
			m.port = f.n
		case event == "status":
			m.status(f)
		case event == "ack" && num == 5:
			m.acknowledged = f.n != 0
		case !m.v3:
			return m.answer(event, f)
		}
		return nil
	})
}

// info reads DeviceInfo.
func (m *chirpStackMessage) info(message []byte) error {
	return eachField(message, func(f wireField) error {
		switch {
		case f.num == 6 && f.isBytes():
			m.model = label(f.b)
		case f.num == 8 && f.isBytes():
			m.eui = label(f.b)
		}
		return nil
	})
}

// status reads the fields of StatusEvent, whose numbers are the same in both versions.
func (m *chirpStackMessage) status(f wireField) {
	switch f.num {
	case 5:
		m.margin = int32(f.n)
	case 6:
		m.external = f.n != 0
	case 7:
		m.unavailable = f.n != 0
	case 8:
		m.battery = f.float32()
	}
}

func openChirpStackProtobuf(f *grid.Frame, event string) error {
	var m chirpStackMessage
	if err := m.read(event, f.Raw); err != nil {
		return err
	}
	f.At, f.Model = m.at, m.model
	for _, rx := range m.heard[:m.gateways] {
		if err := heardByProtobuf(f, rx, m.v3); err != nil {
			return fmt.Errorf("rx_info: %w", err)
		}
	}
	switch {
	case event == "status":
		if !m.external && !m.unavailable {
			setBattery(f, m.battery)
		}
		f.SNRdB, f.HasSNR = float32(m.margin), true
	case event == "ack":
		f.NotHeard = !m.acknowledged
	}
	answered(f, m.said(event))
	if f.Kind != grid.Report {
		return nil
	}
	if m.counter > math.MaxUint32 || m.port > 255 {
		return fmt.Errorf("f_cnt is %d and f_port is %d: want at most %d and 255", m.counter, m.port, uint32(math.MaxUint32))
	}
	f.Port, f.Counter, f.HasCounter = int(m.port), uint32(m.counter), true
	report(f, m.data)
	return nil
}

// heardByProtobuf keeps what the gateway with the strongest signal said. What is zero is
// left out, so that a gateway that says no RSSI says 0 dBm: no device is heard so.
func heardByProtobuf(f *grid.Frame, message []byte, v3 bool) error {
	var gateway string
	var rssi, snr float32
	var at time.Time
	err := eachField(message, func(w wireField) error {
		switch {
		case w.num == 1 && w.isBytes() && v3:
			gateway = hex.EncodeToString(w.b)
		case w.num == 1 && w.isBytes():
			gateway = label(w.b)
		case w.isVarint() && (v3 && w.num == 5 || !v3 && w.num == 6):
			rssi = w.signed32()
		case v3 && w.num == 6:
			snr = float32(w.float64())
		case !v3 && w.num == 7:
			snr = w.float32()
		case w.isBytes() && (v3 && w.num == 2 || !v3 && (w.num == 17 || w.num == 3 && at.IsZero())):
			at = wireTime(w.b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if f.At.IsZero() {
		f.At = at
	}
	hasRSSI := rssi != 0 && math.Abs(float64(rssi)) < 1e6
	if !isBetter(f, rssi, hasRSSI) {
		return nil
	}
	f.Gateway, f.HasRSSI, f.HasSNR = gateway, hasRSSI, hasRSSI && math.Abs(float64(snr)) < 1e6
	f.RSSIdBm, f.SNRdB = 0, 0
	if f.HasRSSI {
		f.RSSIdBm = rssi
	}
	if f.HasSNR {
		f.SNRdB = snr
	}
	return nil
}
