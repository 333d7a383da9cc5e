package coap

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
	"github.com/plgd-dev/go-coap/v3/message"
)

// Kinds of TLV records (LwM2M 1.0, 6.4.3).
const (
	tlvObject   = 0x00
	tlvInstance = 0x40 // of a resource
	tlvMultiple = 0x80
	tlvResource = 0xc0
)

const (
	maxDepth  = 4       // of TLV: object instance, resource, its instance
	maxAnswer = 8 << 10 // bytes of a value for a person
)

// tlvRecord writes one record.
func tlvRecord(kind byte, id uint16, value []byte) []byte {
	out := []byte{kind, byte(id)}
	if id > 0xff {
		out = []byte{kind | 0x20, byte(id >> 8), byte(id)}
	}
	switch n := len(value); {
	case n < 8:
		out[0] |= byte(n)
	case n < 1<<8:
		out[0] |= 0x08
		out = append(out, byte(n))
	case n < 1<<16:
		out[0] |= 0x10
		out = append(out, byte(n>>8), byte(n))
	default:
		out[0] |= 0x18
		out = append(out, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, value...)
}

// tlvOf is a value for the resource, or instance of one, that a path names.
func tlvOf(path string, value []byte) []byte {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	id, _ := strconv.ParseUint(parts[len(parts)-1], 10, 16) // checked by Order.Check
	if len(parts) == 4 {
		return tlvRecord(tlvInstance, uint16(id), value)
	}
	return tlvRecord(tlvResource, uint16(id), value)
}

// tlvValue makes a value of a text. TLV does not say of which type a value is, and nor do
// we know: what looks like a number or a flag is one.
func tlvValue(text string) []byte {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		b := binary.BigEndian.AppendUint64(nil, uint64(n))
		switch {
		case n == int64(int8(n)):
			return b[7:]
		case n == int64(int16(n)):
			return b[6:]
		case n == int64(int32(n)):
			return b[4:]
		}
		return b
	}
	switch text {
	case "true":
		return []byte{1}
	case "false":
		return []byte{0}
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
		return binary.BigEndian.AppendUint64(nil, math.Float64bits(f))
	}
	return []byte(text)
}

// senmlOf is a value for a path, in SenML JSON.
func senmlOf(path, key string, value any) []byte {
	if b, is := value.([]byte); is {
		value = base64.RawURLEncoding.EncodeToString(b)
	}
	b, err := json.Marshal([]map[string]any{{"n": path, key: value}})
	if err != nil {
		return nil // of text, numbers and flags there is none
	}
	return b
}

// senmlValue makes a value of a text, as tlvValue does.
func senmlValue(text string) (key string, value any) {
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) && json.Valid([]byte(text)) {
		return "v", json.RawMessage(text)
	}
	if text == "true" || text == "false" {
		return "vb", text == "true"
	}
	return "vs", text
}

// render is a value for a person, as JSON: text as a string, TLV by its ids with every
// reading of each value that makes sense, JSON as it is, CBOR as JSON, all else as
// hexadecimal.
func render(format uint16, hasFormat bool, value []byte) string {
	var v any
	ok := false
	switch f := message.MediaType(format); {
	case !hasFormat, f == message.TextPlain:
		v, ok = string(value), printable(string(value))
	case f == message.AppLwm2mTLV || f == 1542: // as early devices call it
		v, ok = readTLV(value, maxDepth)
	case f == message.AppJSON || f == message.AppSenmlJSON || f == message.AppLwm2mJSON:
		v, ok = json.RawMessage(value), json.Valid(value)
	case f == message.AppCBOR || f == message.AppSenmlCbor:
		v, ok = readCBOR(value, f == message.AppSenmlCbor)
	}
	if !ok {
		v = map[string]any{"hex": hex.EncodeToString(value)}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil || b.Len() > maxAnswer {
		return fmt.Sprintf(`{"bytes":%d,"begins":"%x"}`, len(value), value[:min(len(value), 64)])
	}
	return strings.TrimSpace(b.String())
}

// readTLV reads records by their ids; false: it is no TLV.
func readTLV(b []byte, depth int) (map[string]any, bool) {
	out := make(map[string]any)
	for len(b) > 0 {
		kind, id, value, rest, ok := cutTLV(b)
		if !ok || depth == 0 {
			return nil, false
		}
		b = rest
		var v any = readings(value)
		if kind == tlvObject || kind == tlvMultiple {
			if v, ok = readTLV(value, depth-1); !ok {
				return nil, false
			}
		}
		out[strconv.Itoa(id)] = v
	}
	return out, true
}

// cutTLV takes the first record off.
func cutTLV(b []byte) (kind byte, id int, value, rest []byte, ok bool) {
	kind, idLen, lenLen := b[0]&0xc0, 1+int(b[0]>>5&1), int(b[0]>>3&3)
	n, at := int(b[0]&7), 1+idLen+lenLen
	if len(b) < at {
		return 0, 0, nil, nil, false
	}
	for _, c := range b[1 : 1+idLen] {
		id = id<<8 | int(c)
	}
	if lenLen > 0 {
		n = 0
		for _, c := range b[1+idLen : at] {
			n = n<<8 | int(c)
		}
	}
	if len(b)-at < n {
		return 0, 0, nil, nil, false
	}
	return kind, id, b[at : at+n], b[at+n:], true
}

// readings is what a value of unknown type may say.
func readings(b []byte) map[string]any {
	out := map[string]any{"hex": hex.EncodeToString(b)}
	float := math.NaN()
	switch len(b) {
	case 1:
		out["integer"] = int8(b[0])
	case 2:
		out["integer"] = int16(binary.BigEndian.Uint16(b))
	case 4:
		out["integer"] = int32(binary.BigEndian.Uint32(b))
		float = float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 8:
		out["integer"] = int64(binary.BigEndian.Uint64(b))
		float = math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	if size := math.Abs(float); size > 1e-6 && size < 1e12 { // of others no sensor speaks
		out["float"] = float
	}
	if len(b) > 1 && printable(string(b)) {
		out["text"] = string(b)
	}
	return out
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' && r != '\r' })
}

// senmlNames are the names of SenML's fields that CBOR numbers, from -6 (RFC 8428, 6).
var senmlNames = [...]string{"bs", "bv", "bu", "bt", "bn", "", "n", "u", "v", "vs", "vb", "s", "t", "ut", "vd"}

// readCBOR makes of CBOR what JSON can say; false: it is none, or says more.
func readCBOR(b []byte, senml bool) (any, bool) {
	mode, err := cbor.DecOptions{MaxArrayElements: 4096, MaxMapPairs: 4096, MaxNestedLevels: 8}.DecMode()
	if err != nil {
		return nil, false
	}
	var v any
	if err := mode.Unmarshal(b, &v); err != nil {
		return nil, false
	}
	return plainJSON(v, senml), true
}

// plainJSON is a value with text for keys. With senml the numbers of its fields are named.
func plainJSON(v any, senml bool) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plainJSON(v[i], senml)
		}
		return out
	case map[any]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[keyText(key, senml)] = plainJSON(value, senml)
		}
		return out
	case []byte:
		return map[string]any{"hex": hex.EncodeToString(v)}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
		return v
	case string, bool, nil, int64, uint64:
		return v
	}
	return fmt.Sprint(v)
}

func keyText(key any, senml bool) string {
	text := fmt.Sprint(key)
	if n, err := strconv.Atoi(text); senml && err == nil && n >= -6 && n <= 8 && n != -1 {
		return senmlNames[n+6]
	}
	return text
}
