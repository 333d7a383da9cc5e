package profile

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
	"github.com/valyala/fastjson"
)

// entry is one value of a pack, with what the records before it say of it.
type entry struct {
	name  []byte // valid only while it is handed over
	at    int64  // µs since 1970; 0: now
	unit  string
	value said
}

// packReader reads packs and resolves their records.
type packReader struct {
	cbor    cbor.DecMode
	parsers fastjson.ParserPool
}

// newPackReader gives a reader whose cost is bounded by the length of what it reads.
func newPackReader() (*packReader, error) {
	mode, err := cbor.DecOptions{
		MaxArrayElements: 2 * maxEntries,
		MaxMapPairs:      64,
		MaxNestedLevels:  5,
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
	}.DecMode()
	return &packReader{cbor: mode}, err
}

// senmlRecord is a record as it is written, before the base fields of earlier ones are
// added. JSON and CBOR call its keys differently and mean the same.
type senmlRecord struct {
	baseName, name   string
	baseTime, time   float64
	baseUnit, unit   string
	baseValue        float64
	value            said
	hasBaseName      bool
	hasBaseTime      bool
	hasBaseUnit      bool
	hasBaseValue     bool
	hasUnit, hasBase bool
	sum              bool
}

// senmlPack is what carries on from record to record.
type senmlPack struct {
	r          *run
	p          *pack
	name, unit string
	time, add  float64
	tell       func(*entry) error
}

// next resolves one more record and tells what it says.
func (s *senmlPack) next(rec *senmlRecord) error {
	if rec.hasBaseName {
		s.name = rec.baseName
	}
	if rec.hasBaseTime {
		s.time = rec.baseTime
	}
	if rec.hasBaseUnit {
		s.unit = rec.baseUnit
	}
	if rec.hasBaseValue {
		s.add = rec.baseValue
	}
	if rec.value.kind == saidNothing && !rec.sum && rec.hasBase {
		return nil // it is there for its base fields
	}
	if err := s.p.count(); err != nil {
		return err
	}
	at, err := s.p.timeOf(s.r, s.time+rec.time)
	if err != nil {
		return err
	}
	if rec.value.kind == saidNothing && !rec.sum {
		rec.value.kind = saidOther
	}
	if rec.value.kind == saidNumber {
		rec.value.num += s.add
	}
	e := entry{at: at, unit: s.unit, value: rec.value}
	if rec.hasUnit {
		e.unit = rec.unit
	}
	s.p.name = append(append(s.p.name[:0], s.name...), rec.name...)
	e.name = s.p.name
	return s.tell(&e)
}

// read resolves the records of a pack in the given content format.
func (x *packReader) read(r *run, p *pack, payload []byte, format int, tell func(*entry) error) error {
	s := &senmlPack{r: r, p: p, tell: tell}
	switch format {
	case formatSenMLCBOR:
		return x.readCBOR(s, payload)
	case formatOldJSON:
		return x.withJSON(payload, func(root *fastjson.Value) error { return readOldJSON(s, root) })
	}
	return x.withJSON(payload, func(root *fastjson.Value) error { return readSenMLJSON(s, root) })
}

func (x *packReader) withJSON(payload []byte, do func(*fastjson.Value) error) error {
	if !utf8.Valid(payload) {
		return fmt.Errorf("the payload is not UTF-8")
	}
	parser := x.parsers.Get()
	defer x.parsers.Put(parser)
	root, err := parser.ParseBytes(payload)
	if err != nil {
		return fmt.Errorf("the payload is no JSON: %s", firstLine(err))
	}
	return do(root)
}

func readSenMLJSON(s *senmlPack, root *fastjson.Value) error {
	list, err := root.Array()
	if err != nil {
		return fmt.Errorf("the payload is a JSON %s: want an array of records", root.Type())
	}
	for i, item := range list {
		object, err := item.Object()
		if err != nil {
			return fmt.Errorf("record %d is a JSON %s: want an object", i+1, item.Type())
		}
		var rec senmlRecord
		object.Visit(func(key []byte, v *fastjson.Value) {
			if err == nil {
				err = rec.set(string(key), saidOfJSON(v))
			}
		})
		if err == nil {
			err = s.next(&rec)
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", i+1, err)
		}
	}
	return nil
}

func saidOfJSON(v *fastjson.Value) said {
	switch v.Type() {
	case fastjson.TypeNumber:
		if x, err := v.Float64(); err == nil {
			return said{kind: saidNumber, num: x}
		}
	case fastjson.TypeString:
		text, _ := v.StringBytes()
		return said{kind: saidText, text: string(text)}
	case fastjson.TypeTrue:
		return saidFlag(true)
	case fastjson.TypeFalse:
		return saidFlag(false)
	}
	return said{kind: saidOther}
}

func (x *packReader) readCBOR(s *senmlPack, payload []byte) error {
	var list []map[any]cbor.RawMessage
	if err := x.cbor.Unmarshal(payload, &list); err != nil {
		return fmt.Errorf("the payload is no CBOR array of records: %s", firstLine(err))
	}
	for i, item := range list {
		var rec senmlRecord
		for key, v := range item {
			if err := rec.set(labelOf(key), x.saidOfCBOR(v)); err != nil {
				return fmt.Errorf("record %d: %w", i+1, err)
			}
		}
		if err := s.next(&rec); err != nil {
			return fmt.Errorf("record %d: %w", i+1, err)
		}
	}
	return nil
}

// labelOf gives the JSON key that a CBOR key stands for (RFC 8428, table 4).
func labelOf(key any) string {
	switch key := key.(type) {
	case string:
		return key
	case int64:
		if labels := [...]string{"bver", "bn", "bt", "bu", "bv", "bs"}; key < 0 && -key <= int64(len(labels)) {
			return labels[-key-1]
		}
	case uint64:
		if labels := [...]string{"n", "u", "v", "vs", "vb", "s", "t", "ut", "vd"}; key < uint64(len(labels)) {
			return labels[key]
		}
	}
	return "" // a label that nobody has given a meaning yet: it may be left out
}

// Major types of CBOR (RFC 8949, 3.1).
const (
	cborUnsigned = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborSimple
)

// saidOfCBOR makes a value of one data item, which is well formed. Arrays and maps are
// none, and not looked into: that may take long.
func (x *packReader) saidOfCBOR(raw cbor.RawMessage) said {
	const mostOfTag = 32
	if len(raw) == 0 {
		return said{kind: saidOther}
	}
	switch major := raw[0] >> 5; {
	case major == cborArray || major == cborMap || major == cborTag && len(raw) > mostOfTag:
		return said{kind: saidOther}
	case major == cborUnsigned || major == cborNegative || major == cborText && raw[0]&31 < 24:
		return shortItem(raw)
	case raw[0] == 0xf4 || raw[0] == 0xf5:
		return saidFlag(raw[0] == 0xf5)
	}
	var v any
	if err := x.cbor.Unmarshal(raw, &v); err != nil {
		return said{kind: saidOther}
	}
	return saidOfItem(v)
}

// shortItem reads an integer, or a text of fewer than 24 bytes, without the parser's help.
func shortItem(raw []byte) said {
	if raw[0]>>5 == cborText {
		if !utf8.Valid(raw[1:]) {
			return said{kind: saidOther}
		}
		return said{kind: saidText, text: string(raw[1:])}
	}
	u := uint64(raw[0] & 31)
	if len(raw) > 1 {
		u = 0
		for _, c := range raw[1:] {
			u = u<<8 | uint64(c)
		}
	}
	if raw[0]>>5 == cborNegative {
		return said{kind: saidNumber, num: -1 - float64(u)}
	}
	return said{kind: saidNumber, num: float64(u)}
}

func saidOfItem(v any) said {
	switch v := v.(type) {
	case uint64:
		return said{kind: saidNumber, num: float64(v)}
	case int64:
		return said{kind: saidNumber, num: float64(v)}
	case float64:
		return said{kind: saidNumber, num: v}
	case bool:
		return saidFlag(v)
	case string:
		return said{kind: saidText, text: v}
	case []byte:
		return said{kind: saidData, text: string(v)}
	case time.Time:
		return said{kind: saidNumber, num: float64(v.UnixMicro()) / 1e6}
	case cbor.Tag:
		return decimalFraction(v)
	}
	return said{kind: saidOther}
}

// decimalFraction reads the numbers that SenML may also be written in: tag 4, mantissa ×
// 10 to the exponent.
func decimalFraction(t cbor.Tag) said {
	parts, _ := t.Content.([]any)
	if t.Number != 4 || len(parts) != 2 {
		return said{kind: saidOther}
	}
	exponent, mantissa := saidOfItem(parts[0]), saidOfItem(parts[1])
	if exponent.kind != saidNumber || mantissa.kind != saidNumber || math.Abs(exponent.num) > 300 {
		return said{kind: saidOther}
	}
	if exponent.num < 0 {
		return said{kind: saidNumber, num: mantissa.num / math.Pow(10, -exponent.num)}
	}
	return said{kind: saidNumber, num: mantissa.num * math.Pow(10, exponent.num)}
}

// Versions of SenML: 10 is RFC 8428; 16 more says that secondary units are used (RFC 9100).
const (
	senmlVersion   = 10
	secondaryUnits = 16
)

// set puts the value of one key into the record. Keys that are not known are left out,
// but for those that must be understood: they end in _.
func (rec *senmlRecord) set(key string, v said) (err error) {
	number := func(to *float64, has *bool) error {
		if v.kind != saidNumber || math.IsNaN(v.num) || math.IsInf(v.num, 0) {
			return fmt.Errorf("%s is no number", key)
		}
		*to = v.num
		if has != nil {
			*has, rec.hasBase = true, true
		}
		return nil
	}
	text := func(to *string, has *bool) error {
		if v.kind != saidText {
			return fmt.Errorf("%s is no text", key)
		}
		*to, *has = v.text, true
		return nil
	}
	var ignored bool
	switch key {
	case "bn":
		rec.hasBase = true
		return text(&rec.baseName, &rec.hasBaseName)
	case "bt":
		return number(&rec.baseTime, &rec.hasBaseTime)
	case "bu":
		rec.hasBase = true
		return text(&rec.baseUnit, &rec.hasBaseUnit)
	case "bv":
		return number(&rec.baseValue, &rec.hasBaseValue)
	case "bs":
		rec.hasBase = true
	case "bver":
		rec.hasBase = true
		if v.kind != saidNumber || v.num != senmlVersion && v.num != senmlVersion+secondaryUnits {
			return fmt.Errorf("version (bver) is %v: want %d or %d", v.num, senmlVersion, senmlVersion+secondaryUnits)
		}
	case "n":
		return text(&rec.name, &ignored)
	case "u":
		return text(&rec.unit, &rec.hasUnit)
	case "t":
		return number(&rec.time, nil)
	case "s":
		rec.sum = true
	case "v", "vs", "vb", "vd":
		rec.value = valueOfKey(key, v)
	default:
		if strings.HasSuffix(key, "_") {
			return fmt.Errorf("%q must be understood, and is not known", truncate(key, 40))
		}
	}
	return nil
}

// valueOfKey checks that a value is of the kind its key promises.
func valueOfKey(key string, v said) said {
	switch {
	case key == "v" && v.kind == saidNumber, key == "vs" && v.kind == saidText, key == "vb" && v.kind == saidBool, key == "vd" && v.kind == saidData:
		return v
	case key == "vd" && v.kind == saidText: // JSON
		if b, err := base64.RawURLEncoding.DecodeString(v.text); err == nil {
			return said{kind: saidData, text: string(b)}
		}
	}
	return said{kind: saidOther}
}

// readOldJSON reads the JSON of LwM2M 1.0 (content format 11543): one base name and time,
// and the values under e. Its bv is no base value but true or false.
func readOldJSON(s *senmlPack, root *fastjson.Value) error {
	object, err := root.Object()
	if err != nil {
		return fmt.Errorf("the payload is a JSON %s: want an object with e", root.Type())
	}
	var base senmlRecord
	for _, key := range []string{"bn", "bt"} {
		if v := object.Get(key); v != nil {
			if err := base.set(key, saidOfJSON(v)); err != nil {
				return err
			}
		}
	}
	if base.hasBase { // it has no value, and is there for what follows
		if err := s.next(&base); err != nil {
			return err
		}
	}
	e := object.Get("e")
	if e == nil || e.Type() != fastjson.TypeArray {
		return fmt.Errorf("e is no array: want the values")
	}
	list, _ := e.Array()
	for i, item := range list {
		rec, err := oldJSONRecord(item)
		if err == nil {
			err = s.next(&rec)
		}
		if err != nil {
			return fmt.Errorf("value %d: %w", i+1, err)
		}
	}
	return nil
}

func oldJSONRecord(item *fastjson.Value) (rec senmlRecord, err error) {
	object, err := item.Object()
	if err != nil {
		return rec, fmt.Errorf("is a JSON %s: want an object", item.Type())
	}
	object.Visit(func(key []byte, v *fastjson.Value) {
		if err != nil {
			return
		}
		switch string(key) {
		case "sv":
			err = rec.set("vs", saidOfJSON(v))
		case "bv":
			err = rec.set("vb", saidOfJSON(v))
		case "n", "t", "v":
			err = rec.set(string(key), saidOfJSON(v))
		case "ov": // an object link: no field can read it
			rec.value = said{kind: saidOther}
		}
	})
	return rec, err
}
