package envelope

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// maxUnix is the end of the year 9999: what lies beyond is no time.
const maxUnix = 253402300799

// parseTime gives a time, zero where there is none that can be read: a malformed time is
// no reason to lose a frame. Besides RFC 3339 it knows the form in which Milesight gateways
// leave out a dash: 2020-0327T12:39:05.547336Z.
func parseTime(text []byte) time.Time {
	if len(text) == 0 || len(text) > 40 {
		return time.Time{}
	}
	s := string(text)
	for _, layout := range []string{time.RFC3339Nano, "2006-0102T15:04:05.999999999Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// unixMilli gives the time of milliseconds since 1970, zero where there is none.
func unixMilli(v *fastjson.Value) time.Time {
	if v == nil || v.Type() != fastjson.TypeNumber {
		return time.Time{}
	}
	ms, err := v.Float64()
	if err != nil || !(ms > 0 && ms < maxUnix*1000) {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// uint32At reads a whole number; absent is 0.
func uint32At(root *fastjson.Value, key string) (uint32, error) {
	v := root.Get(key)
	if v == nil || v.Type() == fastjson.TypeNull {
		return 0, nil
	}
	n, err := v.Uint64()
	if err != nil || n > math.MaxUint32 {
		return 0, fmt.Errorf("%s is %s: want 0 to %d", key, truncate(v.String()), uint32(math.MaxUint32))
	}
	return uint32(n), nil
}

// portAt reads a LoRaWAN port; absent is 0.
func portAt(root *fastjson.Value, key string) (int, error) {
	n, err := uint32At(root, key)
	if err != nil || n > 255 {
		return -1, fmt.Errorf("%s is %s: want 0 to 255", key, truncate(root.Get(key).String()))
	}
	return int(n), nil
}

// label makes a name of bytes that nobody has checked.
func label(b []byte) string { return strings.ToValidUTF8(string(b[:min(len(b), maxIdentity)]), "") }

// stringAt reads text; absent or of another type is "".
func stringAt(v *fastjson.Value, keys ...string) string { return string(v.GetStringBytes(keys...)) }

// base64At reads bytes; absent is none.
func base64At(root *fastjson.Value, key string) ([]byte, error) {
	v := root.Get(key)
	if v == nil || v.Type() == fastjson.TypeNull {
		return nil, nil
	}
	text, err := v.StringBytes()
	if err != nil {
		return nil, fmt.Errorf("%s is a JSON %s: want base64", key, v.Type())
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(out, text)
	if err != nil {
		return nil, fmt.Errorf("%s: want base64: %w", key, err)
	}
	return out[:n], nil
}

// hexAt reads bytes written in hexadecimal; absent is none.
func hexAt(root *fastjson.Value, key string) ([]byte, error) {
	v := root.Get(key)
	if v == nil || v.Type() == fastjson.TypeNull {
		return nil, nil
	}
	text, err := v.StringBytes()
	if err != nil {
		return nil, fmt.Errorf("%s is a JSON %s: want hexadecimal", key, v.Type())
	}
	out := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(out, text); err != nil {
		return nil, fmt.Errorf("%s: want hexadecimal: %w", key, err)
	}
	return out, nil
}

func floatAt(v *fastjson.Value, key string) (float32, bool) {
	n := v.Get(key)
	if n == nil || n.Type() != fastjson.TypeNumber {
		return 0, false
	}
	x, err := n.Float64()
	if err != nil || math.IsNaN(x) || math.Abs(x) > 1e6 {
		return 0, false
	}
	return float32(x), true
}

// isBetter reports whether a gateway is to be kept as the best: the first that is said, or
// one with a stronger signal.
func isBetter(f *grid.Frame, rssi float32, hasRSSI bool) bool {
	return f.Gateway == "" && !f.HasRSSI || hasRSSI && (!f.HasRSSI || rssi > f.RSSIdBm)
}

// setBattery takes the battery level that a network says, in percent.
func setBattery(f *grid.Frame, pct float32) {
	if pct >= 0 && pct <= 100 { // NaN is neither
		f.BatteryPct, f.HasBattery = pct, true
	}
}

// setDevStatus takes the battery byte of a LoRaWAN DevStatusAns (LoRaWAN 1.0.4 clause 5.5):
// 0 is external power, 255 not known, 1 to 254 the level.
func setDevStatus(f *grid.Frame, level float32) {
	if level >= 1 && level <= 254 {
		setBattery(f, level*100/254)
	}
}

// report says that a frame carries a payload, or, if it is empty, that the radio spoke and
// the device said nothing.
func report(f *grid.Frame, payload []byte) {
	f.Kind, f.Payload = grid.Report, payload
	if len(payload) == 0 {
		f.Kind, f.Payload = grid.Status, nil
	}
}

// reportJSON reads the report of a LoRaWAN device as ChirpStack, and gateways that have
// their form from it, write it in JSON.
func reportJSON(f *grid.Frame, root *fastjson.Value) (err error) {
	if f.Counter, err = uint32At(root, "fCnt"); err != nil {
		return err
	}
	f.HasCounter = true
	if f.Port, err = portAt(root, "fPort"); err != nil {
		return err
	}
	payload, err := base64At(root, "data")
	if err != nil {
		return err
	}
	report(f, payload)
	return nil
}
