package grid

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// DownlinkState is how far a downlink has come.
//
//	queued ─▶ sent ─▶ acknowledged
//	   │        └──▶ failed (refused, not acknowledged in time)
//	   └─────────▶ failed (cannot be sent, expired, taken back)
type DownlinkState string

const (
	DownlinkQueued       DownlinkState = "queued"       // on disk here, to be sent, or sent again, at Next
	DownlinkSent         DownlinkState = "sent"         // the network or the wire has it; where no acknowledgement can come this is the end
	DownlinkAcknowledged DownlinkState = "acknowledged" // the device itself said that it has it, or has done it
	DownlinkFailed       DownlinkState = "failed"       // Error says why
)

// Check says what is wrong with a new downlink as such. Its ID is a ULID, since networks keep
// it in 128 bits; without one it is given one, and DownlinkID makes one of a client's key.
func (d *Downlink) Check() error {
	switch {
	case d.ID != "" && !isULID(d.ID):
		return Errorf(Invalid, "id is %.80q: want a ULID, 26 digits and capital letters", d.ID)
	case len(d.Reason) > maxReason:
		return Errorf(Invalid, "reason is %d bytes long: want at most %d", len(d.Reason), maxReason)
	}
	return d.Order.Check()
}

const maxReason = 1000

func isULID(s string) bool {
	return len(s) == 26 && s[0] <= '7' && strings.Trim(s, ulidDigits) == ""
}

// DownlinkID is the ID of the downlink that a client names by a key of its own: the same
// key for the same device is the same downlink.
func DownlinkID(device Identity, key string) string {
	return NewID(time.UnixMilli(0), "downlink/"+string(device)+"\x00"+key, 0)
}

// Ended reports whether nothing more will be heard of it. Sent is an end only where no
// acknowledgement can come.
func (d *Downlink) Ended() bool { return !d.EndedAt.IsZero() }

// Downlink is one order to one device, kept until it has ended and for a season after.
type Downlink struct {
	ID     string   `json:"id"`
	Device Identity `json:"device"`
	Order  Order    `json:"order"`
	// Confirm: it has failed if the device does not acknowledge it until Expires.
	Confirm bool `json:"confirm,omitempty"`
	// Once: never sent a second time when it is not known whether the first try went out.
	// Without it a downlink may come twice after a crash or a lost answer.
	Once bool `json:"once,omitempty"`

	State    DownlinkState `json:"state"`
	Created  time.Time     `json:"created"`
	Expires  time.Time     `json:"expires"`
	Next     time.Time     `json:"next,omitzero"` // while queued: not before
	SentAt   time.Time     `json:"sent_at,omitzero"`
	EndedAt  time.Time     `json:"ended_at,omitzero"`
	Attempts int           `json:"attempts"`
	Trying   bool          `json:"trying,omitempty"` // an attempt was begun and its outcome is not known yet
	Way      string        `json:"way,omitempty"`    // transport:source by which it went
	Ref      string        `json:"ref,omitempty"`    // what the network calls it
	Answer   string        `json:"answer,omitempty"` // what the network or the device said to it, also values read
	Error    string        `json:"error,omitempty"`  // of the last try, or why it failed

	By     Actor  `json:"by"`
	Reason string `json:"reason,omitempty"`
	Mode   Mode   `json:"mode,omitempty"` // the device's
}

// Order is what a device is told: exactly one of its parts.
type Order struct {
	Payload *PayloadOrder `json:"payload,omitempty"`
	LwM2M   *LwM2MOrder   `json:"lwm2m,omitempty"`
	Modbus  *ModbusOrder  `json:"modbus,omitempty"`
	GB26875 *GB26875Order `json:"gb26875,omitempty"`
}

// PayloadOrder is bytes for the device's own protocol: through a LoRaWAN network server,
// on the topic gridgate/down/<identity>, or by CoAP PUT to the device's path down.
type PayloadOrder struct {
	Hex  string `json:"hex" doc:"the bytes in hexadecimal"`
	Port int    `json:"port,omitempty" doc:"LoRaWAN FPort, 1 to 223"`
}

// Bytes is the payload itself.
func (o *PayloadOrder) Bytes() []byte {
	b, _ := hex.DecodeString(o.Hex) // checked by Order.Check
	return b
}

// LwM2MOrder reads, writes or executes a path of a registered device.
type LwM2MOrder struct {
	Do    string `json:"do" enum:"read,write,execute"`
	Path  string `json:"path" doc:"for example /3/0/14; a resource for write and execute"`
	Value string `json:"value,omitempty" doc:"of write, as text; of type opaque in hexadecimal; of execute its arguments"`
	Type  string `json:"type,omitempty" enum:"text,opaque" doc:"of write: text (numbers, flags and texts; the default) or opaque"`
}

// ModbusOrder writes coils or holding registers of a slave.
type ModbusOrder struct {
	Write   string   `json:"write" enum:"coil,register"`
	Address uint16   `json:"address" doc:"of the first, counted from 0"`
	Values  []uint16 `json:"values" doc:"of coils 0 or 1"`
}

// GB26875Order is what a monitoring centre tells a transmission device (GB/T 26875.3, table 4).
type GB26875Order struct {
	Do      string `json:"do" enum:"duty_check,read,set_clock,initialize"`
	Minutes int    `json:"minutes,omitempty" doc:"of duty_check: within how many somebody has to answer, 1 to 255"`
	Object  string `json:"object,omitempty" enum:"state,version,configuration,time" doc:"of read"`
}

// Kind names the part that is set, "" if it is not exactly one.
func (o *Order) Kind() string {
	kind, n := "", 0
	for _, k := range []struct {
		set  bool
		name string
	}{{o.Payload != nil, "payload"}, {o.LwM2M != nil, "lwm2m"}, {o.Modbus != nil, "modbus"}, {o.GB26875 != nil, "gb26875"}} {
		if k.set {
			kind = k.name
			n++
		}
	}
	if n != 1 {
		return ""
	}
	return kind
}

// maxDownlink is the longest payload in bytes: what fits a LoRaWAN frame at the best rate
// is 242; other wires take more.
const maxDownlink = 4 << 10

// Check says what is wrong with an order as such; whether the device can be told so is
// for its wire to say.
func (o *Order) Check() error {
	switch o.Kind() {
	case "payload":
		return o.Payload.check()
	case "lwm2m":
		return o.LwM2M.check()
	case "modbus":
		return o.Modbus.check()
	case "gb26875":
		return o.GB26875.check()
	}
	return Errorf(Invalid, "order: want exactly one of payload, lwm2m, modbus and gb26875")
}

func (o *PayloadOrder) check() error {
	b, err := hex.DecodeString(o.Hex)
	switch {
	case err != nil || len(b) == 0:
		return Errorf(Invalid, "payload.hex is %q: want bytes in hexadecimal, such as ff10ff", o.Hex)
	case len(b) > maxDownlink:
		return Errorf(Invalid, "payload.hex is %d bytes long: want at most %d", len(b), maxDownlink)
	case o.Port < 0 || o.Port > 223:
		return Errorf(Invalid, "payload.port is %d: want 1 to 223", o.Port)
	}
	return nil
}

func (o *LwM2MOrder) check() error {
	parts := strings.Split(strings.TrimPrefix(o.Path, "/"), "/")
	well := strings.HasPrefix(o.Path, "/") && len(parts) <= 4
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		well = well && err == nil && strconv.FormatUint(n, 10) == part // 00 is not 0, or object 0 is reached so
	}
	if _, err := hex.DecodeString(o.Value); o.Type == "opaque" && err != nil {
		return Errorf(Invalid, "lwm2m.value is %q: want bytes in hexadecimal for the type opaque", o.Value)
	}
	switch {
	case o.Do != "read" && o.Do != "write" && o.Do != "execute":
		return Errorf(Invalid, "lwm2m.do is %q: want read, write or execute", o.Do)
	case !well:
		return Errorf(Invalid, "lwm2m.path is %q: want one such as /3/0/14", o.Path)
	case len(parts) < 3 && o.Do != "read":
		return Errorf(Invalid, "lwm2m.path is %q: want a resource, such as /3/0/14, to %s", o.Path, o.Do)
	case parts[0] == "0":
		return Errorf(Invalid, "lwm2m.path is %q: object 0 holds the device's keys and is not reached this way", o.Path)
	case o.Type != "" && o.Type != "text" && o.Type != "opaque":
		return Errorf(Invalid, "lwm2m.type is %q: want text or opaque", o.Type)
	case len(o.Value) > maxDownlink:
		return Errorf(Invalid, "lwm2m.value is %d bytes long: want at most %d", len(o.Value), maxDownlink)
	}
	return nil
}

func (o *ModbusOrder) check() error {
	most := 123 // registers, and more coils than anybody has: one request each
	switch {
	case o.Write != "coil" && o.Write != "register":
		return Errorf(Invalid, "modbus.write is %q: want coil or register", o.Write)
	case len(o.Values) == 0 || len(o.Values) > most:
		return Errorf(Invalid, "modbus.values has %d: want 1 to %d", len(o.Values), most)
	case int(o.Address)+len(o.Values) > 1<<16:
		return Errorf(Invalid, "modbus.address is %d and %d values follow: want them to end by 65535", o.Address, len(o.Values))
	}
	for _, v := range o.Values {
		if o.Write == "coil" && v > 1 {
			return Errorf(Invalid, "modbus.values has %d: want 0 or 1 for a coil", v)
		}
	}
	return nil
}

func (o *GB26875Order) check() error {
	switch o.Do {
	case "duty_check":
		if o.Minutes < 1 || o.Minutes > 255 {
			return Errorf(Invalid, "gb26875.minutes is %d: want 1 to 255", o.Minutes)
		}
	case "read":
		switch o.Object {
		case "state", "version", "configuration", "time":
		default:
			return Errorf(Invalid, "gb26875.object is %q: want state, version, configuration or time", o.Object)
		}
	case "set_clock", "initialize":
	default:
		return Errorf(Invalid, "gb26875.do is %q: want duty_check, read, set_clock or initialize", o.Do)
	}
	return nil
}

// String is the order for people and logs.
func (o Order) String() string {
	b, err := json.Marshal(o)
	if err != nil {
		return o.Kind()
	}
	return string(b)
}

// DownAnswer is what a frame says of a downlink: the network that it sent or dropped it,
// or the device that it has it.
type DownAnswer struct {
	Ref    string        // what the network calls it, or the downlink's own ID where the network keeps that
	State  DownlinkState // queued: the network has it and it waits there; sent: it is on the air, the end of one without Confirm
	Detail string
}

// Sent is what a wire says of a downlink that it took.
type Sent struct {
	State  DownlinkState // DownlinkSent or DownlinkAcknowledged
	Ref    string        // by which a later DownAnswer will name it
	Answer string        // what was said to it, for a person; values read
	NoAck  bool          // nothing more will come: with Sent, that is the end
}

// Downlinker brings downlinks to devices by one source of one transport.
type Downlinker interface {
	// Downlink sends d. way is the newest frame that came from the device by this source: its
	// Address and Raw say where the device is. It has no Raw when the device was never heard.
	//
	// A grid.Unavailable error means: not now (asleep, not connected, no answer), and it is
	// tried again later, at once when the device is heard. Any other error is final. An error
	// wrapping ErrMayHaveBeenSent tells a try that may have reached the device.
	Downlink(ctx context.Context, d *Downlink, way Frame) (Sent, error)
}

// ErrMayHaveBeenSent says: it left us, and whether it arrived is not known.
var ErrMayHaveBeenSent = Errorf(Unavailable, "whether it arrived is not known")
