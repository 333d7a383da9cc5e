package profile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

var beijing = gb26875.Encoding{Zone: gb26875.Beijing}

// gbFrame is a frame of a transmitter with this application unit.
func gbFrame(serial uint16, sent time.Time, unit string) []byte {
	return gb26875.Append(nil, gb26875.Frame{
		Serial: serial, Version: 1, UserVersion: 1, Sent: beijing.Put(sent), Source: 88021, Destination: 1, Command: gb26875.Send, Unit: []byte(unit),
	})
}

var gbSent = time.Date(2024, 5, 16, 22, 30, 11, 0, time.UTC)

// gbComponent is a component of type 40 at zone 12, position 7, with a state and a text.
func gbComponent(state byte, text string) string {
	at := beijing.Put(gbSent)
	return "\x01\x03\x28\x0c\x00\x07\x00" + string([]byte{state, 0}) + (text + strings.Repeat("\x00", 31))[:31] + string(at[:])
}

const gbHead = `
profile: acme/panel
version: "1"
vendor: Acme
model: Panel
kinds: [smoke]
source: invented for a test
interval: 90s
codec: gbt26875
`

func gbProfile(t testing.TB, body string) *profile.Profile {
	t.Helper()
	p, err := profile.Parse([]byte(gbHead + body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFieldsOfAnObjectAreThoseOfTheStandard(t *testing.T) {
	for field, want := range map[string]float64{
		"object": 2, "system_type": 1, "system_address": 3, "component_type": 40, "zone": 12, "position": 7,
		"state": 0xa2, "fire": 1, "fault": 0, "shielded": 0, "supervisory": 0, "started": 1, "feedback": 0, "delay": 1, "power_fault": 0,
		"normal": 0, "test": 1, "event_time": float64(gbSent.Unix()),
	} {
		p := gbProfile(t, "signals: {temperature: "+field+"}\n")
		d, err := p.DecodePayload(-1, gbFrame(1, gbSent, "\x02\x01"+gbComponent(0xa2, "")))
		if err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		if got := value(t, d, grid.Temperature); got != want {
			t.Errorf("%s: got %v: want %v", field, got, want)
		}
	}
}

func TestAnalogValuesAreInUnits(t *testing.T) {
	p := gbProfile(t, "signals: {temperature: value}\n")
	at := beijing.Put(gbSent)
	for quantity, want := range map[byte]float64{1: -250, 2: -2.5, 3: -25, 4: -25, 5: -25, 6: -25, 7: -250, 8: -25, 9: -25, 10: -25, 11: -25, 12: -250, 0: -250, 13: -250, 200: -250} {
		d, err := p.DecodePayload(-1, gbFrame(1, gbSent, "\x03\x01\x0b\x01\x5c\x01\x00\x02\x00"+string([]byte{quantity, 0x06, 0xff})+string(at[:])))
		if err != nil {
			t.Fatal(err)
		}
		if got := value(t, d, grid.Temperature); got != want {
			t.Errorf("quantity %d: got %v: want %v", quantity, got, want)
		}
	}
}

func TestTextsOfComponentsAreLabelsInUTF8(t *testing.T) {
	p := gbProfile(t, "signals: {fault: fault}\n")
	for text, want := range map[string]map[string]string{
		"":                                      nil,
		"          ":                            nil,
		"\x00\x00 \x00":                         nil,
		"FT 1  ":                                {"1.3/12.7": "FT 1"},
		"\xa3\xc1\xc7\xf8\xb2\xe3":              {"1.3/12.7": "Ａ区层"},
		"\xc7\xf8\x1b[31m\x07":                  {"1.3/12.7": "区[31m"},
		strings.Repeat("\xb2\xe3", 15) + "\xb2": {"1.3/12.7": strings.Repeat("层", 15)}, // cut within a character
		"\xff\xff\xff":                          nil,
	} {
		d, err := p.DecodePayload(-1, gbFrame(1, gbSent, "\x02\x01"+gbComponent(1, text)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, d.Labels); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestContentKeyIsThatOfAllButTheSendTime(t *testing.T) {
	p := gbProfile(t, "signals: {fault: fault}\n")
	key := func(serial uint16, sent time.Time, unit string) uint32 {
		t.Helper()
		d, err := p.DecodePayload(-1, gbFrame(serial, sent, unit))
		if err != nil || d.ContentKey == 0 {
			t.Fatalf("got key %d, %v", d.ContentKey, err)
		}
		return d.ContentKey
	}
	first := key(1, gbSent, "\x02\x01"+gbComponent(2, ""))
	if again := key(1, gbSent.Add(10*time.Second), "\x02\x01"+gbComponent(2, "")); again != first {
		t.Error("a repeat with a later send time has another key")
	}
	if key(2, gbSent, "\x02\x01"+gbComponent(2, "")) == first || key(1, gbSent, "\x02\x01"+gbComponent(1, "")) == first || key(1, gbSent, "") == first {
		t.Error("news has the key of a frame before it")
	}
}

func TestSettingsOfADialectThatCannotBeAreErrors(t *testing.T) {
	for body, want := range map[string]string{
		"gbt26875: {time: bc}":                                     `gbt26875: time is "bc": want binary or bcd`,
		"gbt26875: {zone: Shanghai}":                               `gbt26875: zone is "Shanghai": want what the device's clock is ahead of UTC`,
		"gbt26875: {test_bit: 1}":                                  `gbt26875: test_bit is "1": want standard or inverted`,
		"gbt26875: {tme: bcd}":                                     `unknown key "tme": want time?`,
		"gbt26875: {bits: {component: {8: dust}}}":                 "gbt26875: bits: component: bit 8 is not free",
		"gbt26875: {bits: {device: {9: dust}}}":                    "gbt26875: bits: device: bit 9 is not free",
		"gbt26875: {bits: {component: {9: Dust}}}":                 `gbt26875: bits: component: "Dust": want a name`,
		"gbt26875: {classes: {smoke: [40-4]}}":                     "gbt26875: classes: smoke: 40-4: want a number of 0 to 255, or lowest-highest",
		"gbt26875: {classes: {smoke: [40-44], heat: [44]}}":        "gbt26875: classes: component type 44 is in two classes",
		"gbt26875: {classes: {device: [40]}}":                      `gbt26875: classes: "device": want a word`,
		"gbt26875: {commands: {2: heartbeat}}":                     "gbt26875: commands: 2: want one that the standard leaves free: 0 or 7 to 255",
		"gbt26875: {commands: {7: alive}}":                         `gbt26875: commands: 7: means is "alive": want data, heartbeat, registration or answer`,
		"gbt26875: {commands: {7: {mean: heartbeat}}}":             `unknown key "mean"`,
		"gbt26875: {commands: {7: {means: answer, length: 2000}}}": "gbt26875: commands: 7: length is 2000: want 0 to 1024",
		"gbt26875: {objects: {2: {}}}":                             "gbt26875: objects: 2: size is 0: want how many bytes one object has",
		"gbt26875: {objects: {300: {size: 2}}}":                    "gbt26875: objects: 300: want a type of 0 to 255",
		"gbt26875: {objects: {2: {size: 10, system: 0, time: 5}}}": "gbt26875: objects: 2: time is at 5 with 6 bytes: want it within an object of 10",
		"gbt26875: {objects: {2: {size: 10, component: 0}}}":       "gbt26875: objects: 2: component: want system beside it",
		"gbt26875: {objects: {2: {size: 2, fields: [{name: X}]}}}": `gbt26875: objects: 2: field "X": want a name`,
		"layouts: [{name: a}]":                                     "layouts has no place in a gbt26875 profile",
	} {
		_, err := profile.Parse([]byte(gbHead + body + "\nsignals: {fault: fault}\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %q", body, err, want)
		}
	}
}

func TestObjectsOfAMakerHaveFieldsOfTheirOwn(t *testing.T) {
	p := gbProfile(t, `
gbt26875:
  zone: "+09:00"
  objects:
    0x81: {size: 9, system: 0, time: 3, fields: [{name: load, at: 2, scale: 0.5}]}
signals: {temperature: load}
`)
	at := gb26875.Encoding{Zone: 9 * time.Hour}.Put(gbSent)
	object := func(system, load byte) string { return string([]byte{7, system, load}) + string(at[:]) }
	d, err := p.DecodePayload(-1, gbFrame(1, gbSent, "\x81\x02"+object(1, 9)+object(2, 11)))
	if err != nil {
		t.Fatal(err)
	}
	want := []grid.Reading{
		{Signal: grid.Temperature, Channel: "7.1", Value: 4.5, At: gbSent},
		{Signal: grid.Temperature, Channel: "7.2", Value: 5.5, At: gbSent},
	}
	if diff := cmp.Diff(want, d.Readings); diff != "" {
		t.Error(diff)
	}
}

func TestFireOfAnyComponentTypeIsNeverLost(t *testing.T) {
	p, err := loadAll(t).Get("gbt26875/transmitter")
	if err != nil {
		t.Fatal(err)
	}
	for kind := range 256 {
		for _, others := range []byte{0, 1, 4, 8, 0xfd} {
			object := []byte(gbComponent(2|others, ""))
			object[2] = byte(kind)
			d, err := p.DecodePayload(-1, gbFrame(1, gbSent, "\x02\x01"+string(object)))
			if err != nil {
				t.Fatal(err)
			}
			fire := false
			for _, r := range d.Readings {
				fire = fire || r.Bool() && (r.Signal == grid.SmokeAlarm || r.Signal == grid.HeatAlarm)
			}
			if !fire {
				t.Errorf("component type %d, state 0x%02x: no fire in %+v", kind, 2|others, d.Readings)
			}
		}
	}
}

func TestUnknownTransmitterGoesTheWayOfSmoke(t *testing.T) {
	set := loadAll(t)
	if id, smoke := set.GuessIdentity("gb26875:88021"); !smoke || id != "" {
		t.Errorf("got %q, %t: want no one profile, and smoke", id, smoke)
	}
	guesses := set.Guess(grid.Frame{Identity: "gb26875:88021", Uplink: grid.Uplink{Port: -1, Payload: gbFrame(1, gbSent, "\x02\x01"+gbComponent(2, ""))}})
	if len(guesses) == 0 || guesses[0].Profile != "gbt26875/transmitter" || !guesses[0].Fire {
		t.Errorf("got %+v: want gbt26875/transmitter first, with a fire", guesses)
	}
}

// FuzzGBT26875 gives the application unit to every dialect in a frame that is whole, so
// that the objects are reached.
func FuzzGBT26875(f *testing.F) {
	var dialects []*profile.Profile
	for _, p := range loadAll(f).List() {
		if p.Codec == "gbt26875" {
			dialects = append(dialects, p)
		}
	}
	f.Add(byte(2), []byte("\x02\x01"+gbComponent(2, "\xa3\xc1\xc7\xf8")))
	f.Add(byte(5), []byte("\x15\x01\x08\x02\x3a\x09\x1a\x09\x0c"))
	f.Add(byte(2), []byte("\x06\x02\x01\x03\x02ab\x01\x04\x00"))
	f.Add(byte(2), []byte("\x96\x01\x00\x03\x5b\x01\x00\x00\x00\x02\x00\x00\x0f\x22\x0e\x19\x07\x13"))
	f.Add(byte(0), make([]byte, 110))
	f.Fuzz(func(t *testing.T, command byte, unit []byte) {
		payload := gb26875.Append(nil, gb26875.Frame{Serial: 1, Version: 1, Source: 5, Command: gb26875.Command(command), Unit: unit})
		for _, p := range dialects {
			d, err := p.DecodePayload(-1, payload)
			if err != nil {
				if grid.CodeOf(err) != grid.Invalid {
					t.Fatalf("%s: got %v", p.ID, err)
				}
				continue
			}
			if err := finite(d); err != nil {
				t.Fatalf("%s: %v", p.ID, err)
			}
			for channel, label := range d.Labels {
				if channel == "" || label == "" || strings.ContainsFunc(label, func(c rune) bool { return c < ' ' || c == '\uFFFD' }) {
					t.Fatalf("%s: label %q of %q", p.ID, label, channel)
				}
			}
		}
	})
}
