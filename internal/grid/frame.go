package grid

import (
	"strconv"
	"time"
)

// Identity is who sent a frame, as the hardware is known: "eui:24e124…", "imei:86…",
// "sn:…", "z2m:<name>", "modbus:<port>/<unit>", "gb26875:<address>". Lower case.
type Identity string

// Lane is one of the two ways through the gateway. Safety goes first.
type Lane uint8

const (
	Safety Lane = iota // smoke, and what may be smoke
	Bulk               // everything else
	Lanes  = 2         // how many there are
)

func (l Lane) String() string {
	if l == Safety {
		return "safety"
	}
	return "bulk"
}

// ParseLane is the inverse of String.
func ParseLane(s string) (Lane, error) {
	switch s {
	case "safety":
		return Safety, nil
	case "bulk":
		return Bulk, nil
	}
	return 0, Errorf(Invalid, "lane is %q: want safety or bulk", s)
}

// Pos is a place in the journal. Sequences count from 1 within a lane and are never
// used twice; a restore from backup raises the epoch.
type Pos struct {
	Lane  Lane
	Epoch uint32
	Seq   uint64
}

func (p Pos) String() string {
	return p.Lane.String() + "/" + strconv.FormatUint(uint64(p.Epoch), 10) + "/" + strconv.FormatUint(p.Seq, 10)
}

// IsZero reports whether the frame has not been through the journal.
func (p Pos) IsZero() bool { return p.Seq == 0 }

// Mode tells live work from everything that only looks like it. It comes from the
// registration or a running exercise, never from a payload. What is not Live never
// reaches a live endpoint or a figure.
type Mode string

const (
	Live      Mode = "live"
	Test      Mode = "test"
	Exercise  Mode = "exercise"
	Simulated Mode = "simulated"
)

// ParseMode reads a mode; the empty string is Live.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case "":
		return Live, nil
	case Live, Test, Exercise, Simulated:
		return m, nil
	}
	return "", Errorf(Invalid, "mode is %q: want live, test, exercise or simulated", s)
}

// FrameFlags are facts of the wire that are not in the payload.
type FrameFlags uint8

const (
	// Retained: the broker held this message and sent it on subscribing. It is state, not an event.
	Retained FrameFlags = 1 << iota
	// Redelivered: the peer says it may have sent this before (MQTT DUP).
	Redelivered
	// Unacknowledged: the wire has no acknowledgement (QoS 0, CoAP NON).
	Unacknowledged
	// Refused: too large or otherwise not kept whole; Raw holds its beginning and Note says why.
	Refused
	// Marker: of no device and without a reading: written by the gateway itself, or by a
	// bridge about itself.
	Marker
)

// Frame is one uplink exactly as it came off the wire, with who sent it, by which
// transport, and when we received it.
//
// The first block is what the journal keeps. The second is filled by envelope.Open
// from Address and Raw when the frame is decoded, so that a better envelope reader
// can be run over old frames.
type Frame struct {
	Pos       Pos        // set by the journal
	Identity  Identity   // "" when the envelope could not be read
	Transport string     // "mqtt", "coap", "serial"
	Source    string     // which one: the configured name of the broker, listener or port
	Address   string     // where on it: MQTT topic, CoAP path with query, serial slave
	Envelope  string     // how Raw is wrapped: a name of package envelope; "" unknown
	Flags     FrameFlags //
	Note      string     // why Refused, or why no identity could be read
	Received  time.Time  // by our clock, UTC; stamped by Ingest if zero
	Raw       []byte     // as received, whole

	Uplink
}

// Uplink is what an envelope says beside the payload. Absent is absent: the Has flags
// tell zero from not said.
type Uplink struct {
	Kind       UplinkKind
	Port       int       // LoRaWAN FPort or the like; -1 when not said
	Format     uint16    // CoAP content format of the payload, if HasFormat
	HasFormat  bool      // 0 is a format of its own: text
	Path       string    // LwM2M path that the payload is the value of, for example /3/0; "" when not said
	Counter    uint32    // frame counter of the network
	HasCounter bool      //
	At         time.Time // when a gateway or network server heard it; zero when not said
	RSSIdBm    float32   //
	SNRdB      float32   //
	HasRSSI    bool      //
	HasSNR     bool      //
	Gateway    string    // the best gateway that heard it
	NotHeard   bool      // the network speaks of the device, which did not speak itself
	Gone       bool      // its will: the broker or the network says that its connection ended
	// Lapsed: it promised to be heard again within so long, and was not. 0: nothing was promised.
	Lapsed     time.Duration
	BatteryPct float32     // what the network server says of the device's battery, if HasBattery
	HasBattery bool        //
	Model      string      // what the envelope says of the model, for guessing a profile
	Payload    []byte      // for the profile; may alias Raw
	Down       *DownAnswer // of an Answer: to which downlink, if it says so
}

// UplinkKind says what a message of a network server is about.
type UplinkKind uint8

const (
	Report UplinkKind = iota // carries a payload for the profile
	Join                     // the device (re)joined: its counters start anew
	Status                   // health of the device as the network sees it; no payload
	Answer                   // answers a downlink; no reading
)

// Ignored reports whether the frame is counted as ignored: it has no payload to decode.
func (k UplinkKind) Ignored() bool { return k != Report }
