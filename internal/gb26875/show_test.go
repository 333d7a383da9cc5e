package gb26875_test

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"gridgate/internal/gb26875"
)

func TestUnitIsShownInWords(t *testing.T) {
	for unit, want := range map[string]string{
		"150108023a091a090c":   `{"type":21,"name":"device","objects":[{"state":["test","main_power_fault"],"time":"2012-09-26T09:58:02+08:00","hex":"08023a091a090c"}]}`,
		"1501c3023a091a090c":   `{"type":21,"name":"device","objects":[{"state":["normal","fire","line_fault","bit 7"],"time":"2012-09-26T09:58:02+08:00","hex":"c3023a091a090c"}]}`,
		"19010101":             `{"type":25,"name":"device_version","objects":[{"version":"1.1","hex":"0101"}]}`,
		"1a0104d6f7bbfa":       `{"type":26,"name":"device_configuration","objects":[{"text":"主机","hex":"04d6f7bbfa"}]}`,
		"1c01023a091a090c":     `{"type":28,"name":"device_time","objects":[{"time":"2012-09-26T09:58:02+08:00","hex":"023a091a090c"}]}`,
		"1c01ffffffffffff":     `{"type":28,"name":"device_time","objects":[{"hex":"ffffffffffff"}]}`,
		"18012001023a091a090c": `{"type":24,"name":"device_operation","objects":[{"done":["duty_answer"],"time":"2012-09-26T09:58:02+08:00","hex":"2001023a091a090c"}]}`,
		"1502080102":           `{"type":21,"name":"device","rest":"080102"}`,
		"9601aabb":             `{"type":150,"rest":"aabb"}`,
		"15":                   `{"type":0,"rest":"15"}`,
	} {
		raw, err := hex.DecodeString(strings.ReplaceAll(unit, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(gb26875.Show(raw, standardTime))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v: want %s", unit, got, err, want)
		}
	}
}

// FuzzShow: whatever a device answers is shown, with every byte of it.
func FuzzShow(f *testing.F) {
	f.Add([]byte("\x15\x01\x08\x02\x3a\x09\x1a\x09\x0c"))
	f.Add([]byte("\x1a\x02\x04\xb5\xc6\xc1\xfa\x01a"))
	f.Add([]byte("\x06\x01\x01\x02\x03abc"))
	f.Fuzz(func(t *testing.T, unit []byte) {
		u := gb26875.Show(unit, standardTime)
		n := len(u.Rest)
		for _, o := range u.Objects {
			n += len(o.Hex)
		}
		if want := 2 * len(unit); len(unit) >= 2 && n != want-4 || len(unit) < 2 && n != want {
			t.Fatalf("%x: %d digits are shown: %+v", unit, n, u)
		}
		if _, err := json.Marshal(u); err != nil {
			t.Fatal(err)
		}
	})
}
