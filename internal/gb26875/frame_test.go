package gb26875_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

var standardTime = gb26875.Encoding{Zone: gb26875.Beijing}

func sample() gb26875.Frame {
	return gb26875.Frame{
		Serial: 0x2301, Version: 1, UserVersion: 4,
		Sent:   gb26875.Time{5, 6, 7, 8, 9, 24},
		Source: 0x0102030405a6, Destination: 77, Command: gb26875.Send,
		Unit: []byte("\x15\x01\x01\x40\x40\x23\x23\x09\x18"),
	}
}

func TestFrameIsReadAsItWasWritten(t *testing.T) {
	want := sample()
	raw := gb26875.Append([]byte("before"), want)[6:]
	if got, want := hex.EncodeToString(raw), "404001230104050607080918a605040302014d00000000000900021501014040232309186f2323"; got != want {
		t.Errorf("got %s: want %s", got, want)
	}
	got, err := gb26875.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n, err := gb26875.Length(append(raw, "more"...)); n != len(raw) || err != nil {
		t.Errorf("got length %d, %v: want %d", n, err, len(raw))
	}
}

func TestEveryByteOfAFrameIsCovered(t *testing.T) {
	raw := gb26875.Append(nil, sample())
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 0x10
		if f, err := gb26875.Parse(bad); err == nil {
			t.Errorf("byte %d may be anything: got %+v", i, f)
		}
	}
}

func TestFrameThatIsNoneSaysWhy(t *testing.T) {
	raw := gb26875.Append(nil, sample())
	change := func(at int, b ...byte) []byte {
		c := bytes.Clone(raw)
		copy(c[at:], b)
		return c
	}
	for _, c := range []struct {
		name, want string
		raw        []byte
	}{
		{"empty", "has 0 bytes: want at least 30", nil},
		{"one byte of another", "begins with 68: want 4040", []byte{0x68}},
		{"another start", "begins with 4041: want 4040", change(1, 0x41)},
		{"head alone", "has 20 bytes: want at least 30", raw[:20]},
		{"truncated", "has 38 bytes: want 39, for it declares an application unit of 9", raw[:38]},
		{"bytes behind it", "has 42 bytes: want 39", append(bytes.Clone(raw), 1, 2, 3)},
		{"too long a unit", "unit has 1025 bytes: want at most 1024", change(24, 0x01, 0x04)},
		{"another end", "ends with 2324: want 2323", change(38, 0x24)},
		{"checksum", "checksum is 0x00: want 0x" + hex.EncodeToString(raw[36:37]), change(36, 0)},
	} {
		_, err := gb26875.Parse(c.raw)
		if err == nil || !strings.Contains(err.Error(), c.want) || grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%s: got %v: want %q", c.name, err, c.want)
		}
	}
}

func TestConfirmSwapsAddressesAndEchoesTheSerial(t *testing.T) {
	f := sample()
	now := time.Date(2024, 9, 7, 23, 6, 9, 0, time.UTC)
	for _, command := range []gb26875.Command{gb26875.Confirm, gb26875.Deny} {
		got, err := gb26875.Parse(gb26875.Append(nil, f.Answer(command, now, standardTime)))
		if err != nil {
			t.Fatal(err)
		}
		want := gb26875.Frame{
			Serial: f.Serial, Version: 1, UserVersion: 4, Sent: gb26875.Time{9, 6, 7, 8, 9, 24},
			Source: 77, Destination: f.Source, Command: command, Unit: []byte{},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTimesAreBinaryOrBCDAsTheMakerSays(t *testing.T) {
	bcd := gb26875.Encoding{BCD: true, Zone: gb26875.Beijing}
	at := time.Date(2021, 11, 29, 17, 48, 33, 0, time.UTC)
	for e, wire := range map[gb26875.Encoding]gb26875.Time{
		standardTime: {33, 48, 1, 30, 11, 21},
		bcd:          {0x33, 0x48, 0x01, 0x30, 0x11, 0x21},
	} {
		if got := e.Put(at); got != wire {
			t.Errorf("%+v: got %x: want %x", e, got, wire)
		}
		if got, err := e.Time(wire); err != nil || !got.Equal(at) {
			t.Errorf("%+v: got %v, %v: want %v", e, got, err, at)
		}
	}
	for _, c := range []struct {
		e    gb26875.Encoding
		t    gb26875.Time
		want string
	}{
		{standardTime, gb26875.Time{0, 0, 0, 1, 0x12, 20}, "month is 18: want 1 to 12"},
		{standardTime, gb26875.Time{}, "day is 0: want 1 to 31"},
		{standardTime, gb26875.Time{0, 0, 0, 29, 2, 21}, "month 2 of 2021 has no day 29"},
		{standardTime, gb26875.Time{60, 0, 0, 1, 1, 21}, "second is 60: want 0 to 59"},
		{bcd, gb26875.Time{0x3a, 0, 0, 1, 1, 21}, "second is 0x3a: want two decimal digits"},
		{bcd, gb26875.Time{0, 0, 0x24, 1, 1, 21}, "hour is 24: want 0 to 23"},
	} {
		if got, err := c.e.Time(c.t); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%x: got %v, %v: want %q", c.t, got, err, c.want)
		}
	}
}

// FuzzParse: what parses is written back byte for byte, and Length agrees with Parse.
func FuzzParse(f *testing.F) {
	f.Add(gb26875.Append(nil, sample()))
	f.Add([]byte("@@"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, lengthErr := gb26875.Length(b)
		fr, err := gb26875.Parse(b)
		if err != nil {
			return
		}
		if lengthErr != nil || n != len(b) {
			t.Fatalf("length is %d, %v: want %d", n, lengthErr, len(b))
		}
		if again := gb26875.Append(nil, fr); !bytes.Equal(again, b) {
			t.Fatalf("written back: got %x: want %x", again, b)
		}
		for _, e := range []gb26875.Encoding{standardTime, {BCD: true}} {
			if at, err := e.Time(fr.Sent); err == nil && e.Put(at) != fr.Sent {
				t.Fatalf("time %x: written back as %x", fr.Sent, e.Put(at))
			}
		}
	})
}
