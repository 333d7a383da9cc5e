package profile_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"gridgate/internal/profile"
)

const (
	plainText = 0
	octets    = 42
	plainCBOR = 60
	omaTLV    = 11542
	oldJSON   = 11543
)

// tlvOf writes one TLV of LwM2M: kind 0 to 3, as its first two bits.
func tlvOf(kind, id int, value string) string {
	head := []byte{byte(kind << 6)}
	if id > 0xff {
		head[0] |= 0x20
		head = append(head, byte(id>>8))
	}
	head = append(head, byte(id))
	switch n := len(value); {
	case n < 8:
		head[0] |= byte(n)
	case n < 1<<8:
		head[0] |= 1 << 3
		head = append(head, byte(n))
	case n < 1<<16:
		head[0] |= 2 << 3
		head = binary.BigEndian.AppendUint16(head, uint16(n))
	default:
		head[0] |= 3 << 3
		head = append(head, byte(n>>16), byte(n>>8), byte(n))
	}
	return string(head) + value
}

func object(id int, parts ...string) string  { return tlvOf(0, id, strings.Join(parts, "")) }
func value1(id int, value string) string     { return tlvOf(1, id, value) }
func several(id int, parts ...string) string { return tlvOf(2, id, strings.Join(parts, "")) }
func resource(id int, value string) string   { return tlvOf(3, id, value) }

const lwm2mThing = `
codec: lwm2m
fields:
  - {name: battery, path: 3/0/9, type: int}
  - {name: low, path: 3/0/11/#, type: int, any_of: [1]}
  - {name: millivolt, path: 3/0/7/0, type: int, scale: 0.001}
  - {name: warmth, path: "3303/#/5700", type: float}
  - {name: rssi, path: 4/0/2, type: int}
  - {name: state, path: 3/0/16, type: text, enum: {U: udp, UQ: queue}}
ignore: ["3/0/13", "5"]
signals:
  battery.level: battery
  battery.low: low
  battery.voltage: millivolt
  temperature: warmth
  rssi: rssi
  fault: {field: state, is: queue}
`

func TestLwM2MTLVIsReadAtEveryLevel(t *testing.T) {
	p := parse(t, lwm2mThing)
	for _, c := range []struct{ path, payload, want string }{
		{"/3", object(0, resource(9, "\x5f")), "battery.level=95"},
		{"/3", resource(9, "\x5f"), "battery.level=95"}, // the only instance needs no wrapper
		{"/3/0", resource(9, "\x5f"), "battery.level=95"},
		{"/3/0", object(0, resource(9, "\x5f")), "battery.level=95"},
		{"/3/0/9", resource(9, "\x5f"), "battery.level=95"},
		{"3/0/9/", resource(9, "\x5f"), "battery.level=95"},
		{"/3/0", several(7, value1(0, "\x0e\xd8"), value1(1, "\x13\x88")) + resource(9, "\x64"), "battery.level=100\nbattery.voltage=3.8"},
		{"/3/0/7", several(7, value1(0, "\x0e\xd8")), "battery.voltage=3.8"},
		{"/3/0/7", value1(0, "\x0e\xd8"), "battery.voltage=3.8"},
		{"/3/0/7/0", value1(0, "\x0e\xd8"), "battery.voltage=3.8"},
		{"/3/0", several(11, value1(0, "\x04"), value1(1, "\x01")), "battery.low=1"},
		{"/3/0", several(11, value1(0, "\x01"), value1(1, "\x04")), "battery.low=1"},
		{"/3/0", several(11, value1(0, "\x00")), "battery.low=0"},
		{"/4/0", resource(2, "\xa1"), "rssi=-95"},
		{"/4/0", resource(2, "\xff\xa1"), "rssi=-95"},
		{"/4/0", resource(2, "\xff\xff\xff\xa1"), "rssi=-95"},
		{"/4/0", resource(2, "\xff\xff\xff\xff\xff\xff\xff\xa1"), "rssi=-95"},
		{"/3303/2", resource(5700, "\x41\xa4\x00\x00"), "temperature=20.5"},
		{"/3303", object(2, resource(5700, "\x40\x34\x80\x00\x00\x00\x00\x00")), "temperature=20.5"},
		{"/3303", object(300, resource(5700, "\x41\xa4\x00\x00")), "temperature=20.5"},
		{"/3/0", resource(16, "UQ") + resource(0, strings.Repeat("maker", 100)), "fault=1"},
		{"/3/0", resource(16, "U") + resource(0, strings.Repeat("maker", 20000)), ""},
		{"/3/0", resource(13, "\x69\x00\x00\x00"), ""}, // ignored
		{"/5/0", resource(3, "\x00") + resource(5, "\x00"), ""},
	} {
		if len(c.payload) > 64<<10 {
			wantError(t, p, formatted(omaTLV, c.path, c.payload), "want at most 65536")
			continue
		}
		var want []string
		if c.want != "" {
			want = strings.Split(c.want, "\n")
		} else if strings.HasPrefix(c.payload, "\xc1\x10U") {
			want = []string{"fault=0"}
		}
		wantTold(t, p, formatted(omaTLV, c.path, c.payload), want...)
	}
	f := formatted(1542, "/3/0", resource(9, "\x5f")) // as early clients number it
	wantTold(t, p, f, "battery.level=95")
}

func TestLwM2MTLVThatIsNotWhatItsPathSaysIsAnError(t *testing.T) {
	p := parse(t, lwm2mThing)
	for _, c := range []struct{ path, payload, want string }{
		{"", resource(9, "\x5f"), "does not say its object"},
		{"/3/x", resource(9, "\x5f"), `path "/3/x" is none of LwM2M`},
		{"/3/0/9/0/1", resource(9, "\x5f"), "is none of LwM2M"},
		{"/3/70000", resource(9, "\x5f"), "is none of LwM2M"},
		{"/3/1", object(0, resource(9, "\x5f")), "3/0/9 is there, which is no part of 3/1"},
		{"/3/0/16", resource(9, "\x5f"), "3/0/9 is there, which is no part of 3/0/16"},
		{"/3", object(0, object(0, resource(9, "\x5f"))), "an instance of an object within another"},
		{"/3/0", several(7, resource(0, "\x5f")), "holds something else than its instances"},
		{"/3/0", value1(0, "\x5f"), "a resource that is not named"},
		{"/3/0", "\xc1", "bytes 0 to 1 are outside 1"},
		{"/3/0", "\xc1\x09", "bytes 2 to 2 are outside 2"},
		{"/3/0", "\xd8\x09\xff\xff", "bytes 0 to 4 are outside 4"},
		{"/3/0", "\xd8\x09\xff\xff\xff", "are outside 5"},
		{"/3/0", several(7, "\x41"), "TLV at byte 0: TLV at byte 0: bytes 0 to 1 are outside 1"},
		{"/3/0", resource(9, "\x5f") + "\x00", "TLV at byte 3"},
		{"/3/0", resource(1, "\x5f"), "none of its 1 values is known: the first is \"3/0/1\""},
		{"/3/0", resource(9, ""), "has 0 bytes: want 1, 2, 4 or 8"},
		{"/3/0", resource(9, "\x01\x02\x03"), "has 3 bytes: want 1, 2, 4 or 8"},
		{"/3303/0", resource(5700, "\x01"), "has 1 bytes: want 4 or 8"},
		{"/3303/0", resource(5700, "\x7f\xc0\x00\x00"), "is no number"}, // NaN
		{"/3303", object(0, resource(5700, "\x41\xa4\x00\x00")) + object(1, resource(5700, "\x41\xa8\x00\x00")) + object(2), ""},
		{"/3/0", resource(16, "\xff"), "is not UTF-8"},
		{"/3/0", resource(16, "SMS"), `"SMS" is none of queue, udp`},
		{"/3/0", strings.Repeat(resource(9, "\x5f"), 1025), "more than 1024 values"},
	} {
		if c.want != "" {
			wantError(t, p, formatted(omaTLV, c.path, c.payload), c.want)
			continue
		}
		d, err := p.Decode(formatted(omaTLV, c.path, c.payload))
		if err != nil || told(d) != "temperature=20.5" || len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "said twice") {
			t.Errorf("%x: got %s, %q, %v: want the first, and a warning", c.payload, told(d), d.Warnings, err)
		}
	}
}

func TestLwM2MFormatsSayTheSame(t *testing.T) {
	p := parse(t, lwm2mThing)
	for _, c := range []struct {
		format        uint16
		path, payload string
		want          string
	}{
		{senmlJSON, "", `[{"bn":"/3/0/","n":"9","v":95},{"n":"11/0","v":1},{"n":"16","vs":"U"}]`, "fault=0\nbattery.level=95\nbattery.low=1"},
		{senmlJSON, "", `[{"bn":"/","n":"3/0/9","v":95},{"n":"4/0/2","v":-95}]`, "battery.level=95\nrssi=-95"},
		{senmlJSON, "/3/0/9", `[{"bn":"/3/0/9","v":95}]`, "battery.level=95"},
		{senmlJSON, "/3/0", `[{"n":"9","v":95}]`, "battery.level=95"},
		{senmlJSON, "/3/0/9", `[{"v":95}]`, "battery.level=95"},
		{senmlJSON, "", `[{"n":"3/0/9","v":95}]`, "battery.level=95"},
		{senmlJSON, "", `[{"bn":"/3/0/9","bt":-10,"v":96},{"v":95,"t":5}]`, "battery.level=96 at 2026-03-01T11:59:50Z history\nbattery.level=95 at 2026-03-01T11:59:55Z"},
		{senmlCBOR, "", pack(t, map[any]any{-2: "/3/0/", 0: "9", 2: 95}, map[any]any{0: "7/0", 2: 3700}), "battery.level=95\nbattery.voltage=3.7"},
		{oldJSON, "", `{"bn":"/3/0/","e":[{"n":"9","v":95},{"n":"16","sv":"UQ"},{"n":"22","ov":"10:1"}]}`, "fault=1\nbattery.level=95"},
		{oldJSON, "/3/0", `{"e":[{"n":"9","v":95}]}`, "battery.level=95"},
		{1543, "/3303/0/5700", `{"bt":1772366400,"e":[{"n":"","v":20.5,"t":-30},{"n":"","v":21}]}`, "temperature=20.5 at 2026-03-01T11:59:30Z history\ntemperature=21 at 2026-03-01T12:00:00Z"},
		{plainText, "/3/0/9", "95", "battery.level=95"},
		{plainText, "/3/0/16", "UQ", "fault=1"},
		{plainText, "/3303/0/5700", "-2.5", "temperature=-2.5"},
		{plainCBOR, "/3/0/9", "\x18\x5f", "battery.level=95"},
		{plainCBOR, "/4/0/2", "\x38\x5e", "rssi=-95"},
		{plainCBOR, "/3303/0/5700", "\xf9\x4d\x20", "temperature=20.5"},
		{plainCBOR, "/3/0/16", "\x61U", "fault=0"},
	} {
		wantTold(t, p, formatted(c.format, c.path, c.payload), strings.Split(c.want, "\n")...)
	}
	for _, c := range []struct {
		format              uint16
		path, payload, want string
	}{
		{plainText, "/3/0", "95", `path "3/0" names no resource`},
		{plainText, "/3/0/9", "full", `"full" is no number`},
		{plainText, "/3/0/16", "\xff", "not UTF-8"},
		{plainCBOR, "/3/0/9", "\x18", "no CBOR"},
		{plainCBOR, "/3/0/9", "\x18\x5f\x00", "no CBOR"},
		{octets, "/3/0/9", "\x5f", "no number"},
		{senmlJSON, "", `[{"n":"9","v":95}]`, "none of its 1 values is known"},
		{senmlJSON, "", `[{"n":"/3/0/#","v":95}]`, "none of its 1 values is known"},
		{senmlJSON, "/3/0", `[{"n":"3/0/9","v":95}]`, "none of its 1 values is known"},
		{oldJSON, "", `{"bn":"/3/0/"}`, "e is no array"},
		{oldJSON, "", `[]`, "want an object with e"},
		{oldJSON, "", `{"bn":7,"e":[]}`, "bn is no text"},
		{oldJSON, "", `{"e":[]}`, "no values"},
		{40, "/3/0/9", "95", "content format 40 is none of LwM2M"},
	} {
		wantError(t, p, formatted(c.format, c.path, c.payload), c.want)
	}
	f := formatted(omaTLV, "", resource(9, "\x5f"))
	f.HasFormat = false
	wantError(t, p, f, "the content format is not said")
	wantTold(t, parse(t, "format: tlv\npath: 3/0"+lwm2mThing), f, "battery.level=95")
}

const lwm2mDoors = `
codec: lwm2m
fields:
  - {name: battery, path: 3/0/9, type: int}
records:
  - each: "3342/#"
    channel: "3342/#"
    time: {field: at}
    fields:
      - {name: open, path: "5500", type: bool, invert: reversed}
      - {name: reversed, path: "5502", type: bool}
      - {name: at, path: "5518", type: time}
signals:
  door.open: open
  battery.level: battery
`

func TestLwM2MInstancesOfAnObjectAreChannels(t *testing.T) {
	p := parse(t, lwm2mDoors)
	yes, no := "\x01", "\x00"
	for _, c := range []struct{ path, payload, want string }{
		{"/3342", object(0, resource(5500, yes)) + object(7, resource(5500, no)), "door.open@3342/0=1\ndoor.open@3342/7=0"},
		{"/3342/7", resource(5500, yes), "door.open@3342/7=1"},
		// Polarity turns the state of its own instance round, and of no other.
		{"/3342", object(0, resource(5500, yes), resource(5502, yes)) + object(1, resource(5500, yes), resource(5502, no)), "door.open@3342/0=0\ndoor.open@3342/1=1"},
		{"/3342", object(0, resource(5502, yes), resource(5500, no)), "door.open@3342/0=1"},
		{"/3342/0", resource(5502, yes), ""},
		// The time stamp of an instance is the device's time of it.
		{"/3342", object(0, resource(5500, yes), resource(5518, "\x69\xa4\x2b\x00")) + object(1, resource(5500, no)), "door.open@3342/0=1 at 2026-03-01T12:03:12Z\ndoor.open@3342/1=0"},
	} {
		var want []string
		if c.want != "" {
			want = strings.Split(c.want, "\n")
		} else {
			want = []string{""}
		}
		wantTold(t, p, formatted(omaTLV, c.path, c.payload), want...)
	}
	wantTold(t, p, formatted(senmlJSON, "", `[{"bn":"/","n":"3342/1/5500","vb":true},{"n":"3342/0/5500","vb":false},{"n":"3/0/9","v":80},{"n":"3342/1/5500","t":-9,"vb":false}]`),
		"door.open@3342/1=0 at 2026-03-01T11:59:51Z history", "door.open@3342/0=0", "door.open@3342/1=1", "battery.level=80")
	wantError(t, p, formatted(omaTLV, "/3342/0", resource(5500, "\x02")), "neither 00 nor 01")
	wantError(t, p, formatted(plainText, "/3342/0/5500", "2"), "neither true nor false")
	wantTold(t, p, formatted(plainText, "/3342/0/5500", "1"), "door.open@3342/0=1")
	many := make([]string, 257)
	for i := range many {
		many[i] = object(i, resource(5500, yes))
	}
	wantError(t, p, formatted(omaTLV, "/3342", strings.Join(many, "")), "more than 256 records")
}

func TestLwM2MSmokeThatCannotBeReadIsAnError(t *testing.T) {
	p := parse(t, "codec: lwm2m\nfields: [{name: smoke, path: \"3407/#/6046\", type: bool, invert: odd}, {name: odd, path: \"3407/#/5502\", type: bool}]\nsignals: {smoke.alarm: smoke}\n")
	wantTold(t, p, formatted(omaTLV, "/3407/0", resource(6046, "\x01")), "smoke.alarm=1")
	wantTold(t, p, formatted(omaTLV, "/3407/0", resource(6046, "\x00")+resource(5502, "\x01")), "smoke.alarm=1")
	wantError(t, p, formatted(omaTLV, "/3407/0", resource(6046, "\x07")), `field "smoke"`)
	wantError(t, p, formatted(omaTLV, "/3407/0", resource(6046, "\x00")+resource(5502, "\x07")), `field "odd"`)
	wantError(t, p, formatted(omaTLV, "/3407", object(0, resource(6046, "\x00"))+object(1, resource(6046, "\x01"))), "said twice")
}

const lwm2mOpaque = `
lwm2m:
  payload_of: 19/0/0
  fields: [{name: battery, path: 3/0/9, type: int}]
  ignore: [19/0/2]
codec: binary
layouts: [{name: all, when: {byte: {0: 0xa5}}, fields: [{skip: 1}, {name: open}]}]
signals: {door.open: open, battery.level: battery}
`

func TestLwM2MCarriesTheFramesOfAnotherCodecInAResource(t *testing.T) {
	p := parse(t, lwm2mOpaque)
	inside := "\xa5\x01"
	for _, c := range []struct {
		format              uint16
		path, payload, want string
	}{
		{octets, "/19/0/0", inside, "door.open=1"},
		{octets, "", inside, "door.open=1"},
		{plainText, "/19/0/0", "pQE=", "door.open=1"},
		{plainCBOR, "/19/0/0", "\x42\xa5\x01", "door.open=1"},
		{omaTLV, "/19/0/0", resource(0, inside), "door.open=1"},
		{omaTLV, "/19/0", several(0, value1(0, inside)) + resource(2, "\x69\xa4\x2b\x00"), "door.open=1"},
		{omaTLV, "", resource(0, inside) + resource(2, "\x69\xa4\x2b\x00"), "door.open=1"},
		{omaTLV, "/19", object(0, several(0, value1(0, inside))), "door.open=1"},
		{senmlJSON, "", `[{"bn":"/","n":"19/0/0","vd":"pQE"},{"n":"3/0/9","v":80}]`, "door.open=1\nbattery.level=80"},
		{senmlCBOR, "", pack(t, map[any]any{-2: "/19/0/0/", 0: "0", 8: []byte(inside)}), "door.open=1"},
		{oldJSON, "/19/0", `{"e":[{"n":"0","sv":"pQE="}]}`, "door.open=1"},
		{omaTLV, "/3/0", resource(9, "\x50"), "battery.level=80"},
		// Kept frames that come together: each at its time, the older ones of the past.
		{senmlJSON, "", `[{"n":"/19/0/0","vd":"pQA","t":-5},{"n":"/19/0/0","vd":"pQE","t":-60},{"n":"/19/0/0","vd":"pQE","t":-90}]`,
			"door.open=1 at 2026-03-01T11:58:30Z history\ndoor.open=1 at 2026-03-01T11:59:00Z history\ndoor.open=0 at 2026-03-01T11:59:55Z"},
		{senmlJSON, "", `[{"n":"/19/0/0","vd":"pQE","t":-60},{"n":"/19/0/0","vd":"pQA"},{"n":"/3/0/9","v":80}]`,
			"door.open=1 at 2026-03-01T11:59:00Z history\ndoor.open=0\nbattery.level=80"},
	} {
		wantTold(t, p, formatted(c.format, c.path, c.payload), strings.Split(c.want, "\n")...)
	}
	f := formatted(octets, "", inside)
	f.HasFormat = false
	wantTold(t, p, f, "door.open=1")        // a platform took it out
	f.Payload = []byte(resource(0, inside)) // unless the profile says that none does
	wantTold(t, parse(t, strings.Replace(lwm2mOpaque, "lwm2m:", "lwm2m:\n  format: tlv", 1)), f, "door.open=1")
	for _, c := range []struct {
		format              uint16
		path, payload, want string
	}{
		{omaTLV, "/19/0", several(0, value1(0, inside), value1(1, inside)), "19/0/0 has 2 values: want one, or one for each time"},
		{senmlJSON, "", `[{"n":"/19/0/0","vd":"pQE","t":-5},{"n":"/19/0/0","vd":"pQA","t":-5}]`, "19/0/0 has 2 values"},
		{omaTLV, "/19/0", resource(0, ""), "19/0/0 is empty"},
		{plainText, "/19/0/0", "!", "is no base64"},
		{plainCBOR, "/19/0/0", "\x01", "is not opaque"},
		{octets, "/19/1/0", inside, "none of its 1 values is known"},
		{octets, "/19/0/0", "\x5a\x01", "no layout is for"},
	} {
		wantError(t, p, formatted(c.format, c.path, c.payload), c.want)
	}
}

func TestLwM2MOpaqueAndTimesAreReadByTheFieldsType(t *testing.T) {
	p := parse(t, `
codec: lwm2m
time: {field: at}
fields:
  - {name: code, path: 33000/0/1, type: opaque, enum: {"0a0b": open, "00": shut}}
  - {name: at, path: 33000/0/5518, type: time}
  - {name: n, path: 33000/0/2, type: uint}
counter: {source: payload, field: n, bits: 32}
signals: {door.open: {field: code, is: open}}
`)
	d, err := p.Decode(formatted(omaTLV, "/33000/0", resource(1, "\x0a\x0b")+resource(5518, "\x69\xa4\x2a\x80")+resource(2, "\xff\xff\xff\xfe")))
	if err != nil || told(d) != "door.open=1" || d.Sequence != 0xfffffffe || d.DeviceTime.Unix() != 0x69a42a80 {
		t.Errorf("got %+v, %v", d, err)
	}
	wantTold(t, p, formatted(octets, "/33000/0/1", "\x00"), "door.open=0")
	wantTold(t, p, formatted(plainText, "/33000/0/1", "Cgs="), "door.open=1")
	wantTold(t, p, formatted(plainCBOR, "/33000/0/1", "\x41\x00"), "door.open=0")
	stamp, err := cbor.Marshal(cbor.Tag{Number: 1, Content: 1772366464})
	if err != nil {
		t.Fatal(err)
	}
	if d, err = p.Decode(formatted(plainCBOR, "/33000/0/5518", string(stamp))); err != nil || d.DeviceTime.Unix() != 1772366464 {
		t.Errorf("got time %v, %v", d.DeviceTime, err)
	}
}

func TestLwM2MProfileRefusesWhatItCannotMean(t *testing.T) {
	for body, want := range map[string]string{
		"codec: lwm2m\nfields: [{name: x, path: 3/0/9}]\n":                            `type is "": want one of int, uint`,
		"codec: lwm2m\nfields: [{name: x, path: 3/0/9, type: objlnk}]\n":              `type is "objlnk"`,
		"codec: lwm2m\nfields: [{name: x, path: 3/0, type: int}]\n":                   `path is "3/0": want object/instance/resource`,
		"codec: lwm2m\nfields: [{name: x, path: \"3/0/#\", type: int}]\n":             "# stands for an instance",
		"codec: lwm2m\nfields: [{name: x, path: \"#/0/9\", type: int}]\n":             "want object/instance/resource",
		"codec: lwm2m\nfields: [{name: x, path: 3/0/16, type: text}]\n":               "a text wants an enum",
		"codec: lwm2m\nformat: xml\nfields: [{name: x, path: 3/0/9, type: int}]\n":    `format is "xml": want one of text, opaque`,
		"codec: lwm2m\npath: door\nfields: [{name: x, path: 3/0/9, type: int}]\n":     `path is "door"`,
		"codec: lwm2m\nignore: [door]\nfields: [{name: x, path: 3/0/9, type: int}]\n": `ignore: "door"`,
		"codec: lwm2m\n": "wants at least one",
		"codec: lwm2m\nrecords: [{each: \"3342/#\", channel: door, fields: [{name: x, path: \"5500\", type: bool}]}]\n": "want # in it",
		"codec: lwm2m\nrecords: [{each: \"3342\", channel: \"#\", fields: [{name: x, path: \"5500\", type: bool}]}]\n":  `each is "3342"`,
		"codec: lwm2m\nrecords: [{each: \"3342/#\", channel: \"#\", fields: [{skip: 1}]}]\n":                            "are for bytes",
		"codec: lwm2m\nlwm2m: {payload_of: 19/0/0}\nfields: [{name: x, path: 3/0/9, type: int}]\n":                      "payload_of is for a payload that is no lwm2m itself",
		"codec: json\nlwm2m: {payload_of: 19/0}\nfields: [{name: x}]\n":                                                 `payload_of is "19/0"`,
		"codec: lwm2m\nfields: [{name: x, path: 3/0/9, type: int, any_of: [1], scale: 2}]\n":                            "any_of stands alone",
	} {
		if _, err := profile.Parse([]byte(head + body + "signals: {temperature: x}\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %q", body, err, want)
		}
	}
}

func TestUnknownLwM2MDetectorIsGuessedByItsObject(t *testing.T) {
	set := loadAll(t)
	guesses := set.Guess(formatted(omaTLV, "/3407/0", resource(6046, "\x01")+resource(6044, "\x42\xa2\x00\x00")))
	var ids []string
	for _, g := range guesses {
		ids = append(ids, g.Profile)
		if !g.Fire || !g.Smoke {
			t.Errorf("%s: got fire %t, smoke %t: want both", g.Profile, g.Fire, g.Smoke)
		}
	}
	if !slices.Contains(ids, "oma/smoke") || !slices.Contains(ids, "oma/lwm2m") {
		t.Errorf("got %v: want oma/smoke and oma/lwm2m among them", ids)
	}
	// Nobody says the format: nothing is guessed from the bytes.
	f := formatted(omaTLV, "/3407/0", resource(6046, "\x01"))
	f.HasFormat = false
	for _, g := range set.Guess(f) {
		if strings.HasPrefix(g.Profile, "oma/") {
			t.Errorf("got %s without a content format", g.Profile)
		}
	}
}
