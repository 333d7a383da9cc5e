package envelope

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// chirpStackTopic begins application/<application>/device/<eui>/event/<kind>.
const chirpStackTopic = "application/"

func splitChirpStack(topic string) (eui, event, note string) {
	part := strings.Split(topic, "/")
	if len(part) != 6 || part[2] != "device" || part[4] != "event" {
		return "", "", fmt.Sprintf("topic %q: want application/<application>/device/<eui>/event/<kind>", truncate(topic))
	}
	return part[3], part[5], ""
}

func identifyChirpStack(topic string) (grid.Identity, string) {
	eui, _, note := splitChirpStack(topic)
	if note != "" {
		return "", note
	}
	return makeIdentity("eui", eui)
}

// openChirpStack reads a message of ChirpStack v4. It leaves out what is zero or false:
// a missing fCnt is 0, a missing fPort is 0, missing data is none.
func openChirpStack(f *grid.Frame) error {
	_, event, note := splitChirpStack(f.Address)
	if note != "" {
		return fmt.Errorf("%s", note)
	}
	switch event {
	case "up":
		f.Kind = grid.Report
	case "join":
		f.Kind = grid.Join
	case "ack", "txack":
		f.Kind = grid.Answer
	default: // status, log, location, integration, and what may come
		f.Kind = grid.Status
	}
	parser := parsers.Get()
	defer parsers.Put(parser)
	root, err := parse(parser, f.Raw)
	if err != nil {
		return err
	}
	f.At = parseTime(root.GetStringBytes("time"))
	f.Model = string(root.GetStringBytes("deviceInfo", "deviceProfileName"))
	bestGateway(f, root.GetArray("rxInfo"))
	if f.Kind != grid.Report {
		return nil
	}
	if f.Counter, err = uint32At(root, "fCnt"); err != nil {
		return err
	}
	f.HasCounter = true
	port, err := uint32At(root, "fPort")
	if err != nil || port > 255 {
		return fmt.Errorf("fPort is %s: want 0 to 255", root.Get("fPort"))
	}
	f.Port = int(port)
	if f.Payload, err = base64At(root, "data"); err != nil {
		return err
	}
	if len(f.Payload) == 0 {
		f.Kind = grid.Status // the radio spoke, the device said nothing
	}
	return nil
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

// parseTime gives a time, zero where there is none that can be read: a malformed time is
// no reason to lose a frame.
func parseTime(text []byte) time.Time {
	if len(text) == 0 || len(text) > 40 {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// bestGateway keeps what the gateway with the strongest signal said.
func bestGateway(f *grid.Frame, heard []*fastjson.Value) {
	for _, rx := range heard {
		rssi, hasRSSI := floatAt(rx, "rssi")
		if f.Gateway != "" && !(hasRSSI && (!f.HasRSSI || rssi > f.RSSIdBm)) {
			continue
		}
		f.Gateway = string(rx.GetStringBytes("gatewayId"))
		f.RSSIdBm, f.HasRSSI = rssi, hasRSSI
		snr, said := floatAt(rx, "snr")
		f.SNRdB, f.HasSNR = snr, said || rx.Get("snr") == nil && hasRSSI // a zero is left out
		if f.At.IsZero() {
			f.At = parseTime(rx.GetStringBytes("nsTime"))
		}
	}
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
