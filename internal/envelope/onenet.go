package envelope

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// OneNET pushes {"msg":…,"msg_signature":…,"nonce":…}. msg is an object, an array of
// them, or either as a JSON text. Its records are told apart by type.
const (
	oneNETData    = 1
	oneNETOnline  = 2
	oneNETCommand = 7 // the answer to a stored command
)

// Content formats of CoAP, as a profile sees them.
const (
	formatOctets    = 42
	formatSenMLJSON = 110
)

// readOneNET gives the records of a push to take.
func readOneNET(root *fastjson.Value, take func([]*fastjson.Value) error) error {
	msg := root.Get("msg")
	if msg == nil {
		if root.Get("enc_msg") != nil {
			return fmt.Errorf("msg is encrypted: choose plain text at the platform")
		}
		return fmt.Errorf("has no msg")
	}
	if msg.Type() == fastjson.TypeString {
		parser := parsers.Get()
		defer parsers.Put(parser)
		text, _ := msg.StringBytes()
		inner, err := parser.ParseBytes(text)
		if err != nil {
			return fmt.Errorf("msg is no JSON: %s", parseError(err))
		}
		msg = inner
	}
	records, err := objects(msg)
	if err != nil {
		return fmt.Errorf("msg %w", err)
	}
	if len(records) == 0 {
		return fmt.Errorf("msg has no records")
	}
	return take(records)
}

func identifyOneNET(payload []byte) (grid.Identity, string) {
	return identifyJSON(payload, func(root *fastjson.Value) (id grid.Identity, note string) {
		err := readOneNET(root, func(records []*fastjson.Value) error {
			id, note = oneIdentity(records, whoOneNET)
			return nil
		})
		if err != nil {
			return "", err.Error()
		}
		return id, note
	})
}

// whoOneNET knows a device by its IMEI, since NB-IoT devices change their address, else by
// the platform's number for it.
func whoOneNET(r *fastjson.Value) (grid.Identity, string) {
	if imei := textOf(r.Get("imei")); said(imei) {
		return makeIdentity("imei", imei)
	}
	if id := textOf(r.Get("dev_id")); said(id) {
		return makeIdentity("sn", id)
	}
	return "", "has neither imei nor dev_id"
}

func openOneNET(f *grid.Frame) error {
	parser := parsers.Get()
	defer parsers.Put(parser)
	root, err := parse(parser, f.Raw)
	if err != nil {
		return err
	}
	return readOneNET(root, func(records []*fastjson.Value) error {
		if _, note := oneIdentity(records, whoOneNET); note != "" {
			return fmt.Errorf("%s", note)
		}
		return openOneNETRecords(f, records)
	})
}

func openOneNETRecords(f *grid.Frame, records []*fastjson.Value) error {
	var data []*fastjson.Value
	f.Kind, f.NotHeard = grid.Status, true
	for _, r := range records {
		if at := unixMilli(r.Get("at")); at.After(f.At) {
			f.At = at
		}
		switch r.GetInt("type") {
		case oneNETData:
			data = append(data, r)
		case oneNETOnline:
			f.NotHeard = f.NotHeard && r.GetInt("status") != 1
		case oneNETCommand:
			f.Kind = grid.Answer
		}
	}
	if len(data) == 0 {
		return nil
	}
	f.NotHeard = false
	if len(data) == 1 && openOneNETBytes(f, data[0]) {
		return nil
	}
	payload, err := senMLOf(data)
	if err != nil {
		return err
	}
	f.Format, f.HasFormat = formatSenMLJSON, true
	report(f, payload)
	return nil
}

// openOneNETBytes takes a value that is the device's own frame in hexadecimal: all of
// object 19 (BinaryAppDataContainer), and elsewhere a text of four bytes or more.
func openOneNETBytes(f *grid.Frame, r *fastjson.Value) bool {
	path, err := resourcePath(r)
	text := r.GetStringBytes("value")
	if err != nil || len(text) == 0 || len(text) < 8 && !strings.HasPrefix(path, "/19/") {
		return false
	}
	raw := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(raw, text); err != nil {
		return false
	}
	f.Path, f.Format, f.HasFormat = path, formatOctets, true
	report(f, raw)
	return true
}

// resourcePath makes the path of a resource of ds_id, object_instance_resource.
func resourcePath(r *fastjson.Value) (string, error) {
	id := stringAt(r, "ds_id")
	part := strings.Split(id, "_")
	ok := len(part) == 3
	for _, p := range part {
		_, err := strconv.ParseUint(p, 10, 16)
		ok = ok && err == nil
	}
	if !ok {
		return "", fmt.Errorf("ds_id is %q: want object_instance_resource, for example 3200_0_5500", truncate(id))
	}
	return "/" + strings.Join(part, "/"), nil
}

// senMLOf writes records as SenML, so that one profile reads a device behind OneNET and
// one that speaks LwM2M with us.
func senMLOf(records []*fastjson.Value) ([]byte, error) {
	out := []byte{'['}
	for _, r := range records {
		path, err := resourcePath(r)
		if err != nil {
			return nil, err
		}
		out = appendText(append(out, `{"n":`...), path)
		if out, err = appendSenMLValue(out, path, r.Get("value")); err != nil {
			return nil, fmt.Errorf("ds_id %s: %w", path, err)
		}
		if at := milli(r.Get("at")); at != 0 {
			out = strconv.AppendFloat(append(out, `,"t":`...), float64(at)/1000, 'f', -1, 64)
		}
		out = append(out, "},"...)
	}
	return append(out[:len(out)-1], ']'), nil
}

func appendSenMLValue(out []byte, path string, v *fastjson.Value) ([]byte, error) {
	if v == nil {
		return out, fmt.Errorf("has no value")
	}
	switch v.Type() {
	case fastjson.TypeNumber:
		return append(append(out, `,"v":`...), plainJSON(v)...), nil
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return v.MarshalTo(append(out, `,"vb":`...)), nil
	case fastjson.TypeString:
		text, _ := v.StringBytes()
		if strings.HasPrefix(path, "/19/") {
			raw, err := hex.DecodeString(string(text))
			if err != nil {
				return out, fmt.Errorf("value: want hexadecimal: %w", err)
			}
			return appendText(append(out, `,"vd":`...), base64.RawURLEncoding.EncodeToString(raw)), nil
		}
		return appendText(append(out, `,"vs":`...), string(text)), nil
	}
	return out, fmt.Errorf("value is a JSON %s: want a number, a boolean or a text", v.Type())
}

// textOf gives a text or the digits of a number; platforms are of two minds about numbers
// that are names.
func textOf(v *fastjson.Value) string {
	if v == nil {
		return ""
	}
	switch v.Type() {
	case fastjson.TypeString:
		text, _ := v.StringBytes()
		return string(text)
	case fastjson.TypeNumber:
		return v.String()
	}
	return ""
}
