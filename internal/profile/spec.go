package profile

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// The types of this file are the profile language, key by key. docs/profiles.md explains
// it to people; a key that is not here is an error.

type profileSpec struct {
	Profile  string        `yaml:"profile"`        // "<vendor>/<model>", the folder it lies in
	Extends  string        `yaml:"extends"`        // another profile that this one changes: keys given here replace its keys, signals are added
	Version  string        `yaml:"version"`        // of this file; a frame names the version that decoded it
	Vendor   string        `yaml:"vendor"`         // as people write it
	Model    string        `yaml:"model"`          // as people write it
	Firmware string        `yaml:"firmware"`       // which firmware this layout holds for, in words
	Range    *firmwareSpec `yaml:"firmware_range"` // the same for the gateway, where the layout changed with a version
	Kinds    []string      `yaml:"kinds"`          // door, parking, manhole, smoke
	Source   string        `yaml:"source"`         // where the layout comes from, in words
	Interval string        `yaml:"interval"`       // longest time between two reports of a healthy device

	Counter  counterSpec  `yaml:"counter"`  // the frame counter of the device
	Time     *timeSpec    `yaml:"time"`     // the clock of the device
	Restart  *testSpec    `yaml:"restart"`  // fields that say: this is a start-up frame
	History  *testSpec    `yaml:"history"`  // fields that say: this frame is of the past
	Identify identifySpec `yaml:"identify"` // by what devices of the model are recognised; helps to guess, decides nothing

	Codec       string `yaml:"codec"`        // which kind of payload it is
	Order       string `yaml:"order"`        // big (default) or little: byte order of fields that do not say
	UnknownPort string `yaml:"unknown_port"` // error (default) or ignore

	Layouts []layoutSpec `yaml:"layouts"` // binary; tlv: frames that are no records
	Ports   []int        `yaml:"ports"`   // where reports come; none: anywhere
	Key     keySpec      `yaml:"key"`     // tlv
	Header  []itemSpec   `yaml:"header"`  // tlv: what stands before the first record
	Records []recordSpec `yaml:"records"` // tlv: by key; json: by array
	Fields  []fieldSpec  `yaml:"fields"`  // json, senml, lwm2m
	Format  string       `yaml:"format"`  // senml, lwm2m: of payloads whose content format nobody says
	Path    string       `yaml:"path"`    // lwm2m: what a payload is the value of, where nobody says it
	Ignore  []string     `yaml:"ignore"`  // senml, lwm2m: names that are no news
	LwM2M   *lwm2mSpec   `yaml:"lwm2m"`   // other codecs: the payload comes inside a resource

	GBT26875 *gbt26875Spec `yaml:"gbt26875"` // gbt26875: how the maker departs from the standard
	Modbus   *modbusSpec   `yaml:"modbus"`   // modbus: what is read, and where the fields are

	Lines       []lineSpec `yaml:"lines"`        // text: the kinds of lines, the first that matches reads a line
	Encoding    string     `yaml:"encoding"`     // text: utf-8 (default) or gb18030
	UnknownLine string     `yaml:"unknown_line"` // text: warn (default), error or ignore: a line of no kind

	JavaScript *javascriptSpec `yaml:"javascript"` // javascript: the code of a device maker

	Signals map[string]rulesSpec `yaml:"signals"` // signal → the rules that make it of fields
}

// firmwareSpec is a range of versions: 0.9 is before 0.29, which is before 0.29.2.
type firmwareSpec struct {
	From  string `yaml:"from"`  // this version and later ones
	Below string `yaml:"below"` // only versions before this one
}

type counterSpec struct {
	Source string `yaml:"source"` // network, payload, none (default)
	Field  string `yaml:"field"`  // payload: which field
	Bits   int    `yaml:"bits"`   // where it wraps
}

// timeSpec says which field is the device's clock, for a frame or for a record.
type timeSpec struct {
	Field string   `yaml:"field"` // of the record, or of the frame around it
	Parts []string `yaml:"parts"` // instead of field: the fields of year (of the century or whole), month, day, hour, minute and, where there is one, second
	Unit  string   `yaml:"unit"`  // s (default), ms, min or h
	Since string   `yaml:"since"` // what it counts from, a day or an RFC 3339 time; default: 1970 UTC
	Zone  string   `yaml:"zone"`  // what the device's clock is ahead of UTC, for example +08:00
	Ago   bool     `yaml:"ago"`   // it counts back from when the frame came
	Now   anyList  `yaml:"now"`   // values that mean: when the frame came
	Step  string   `yaml:"step"`  // from one record to the next, for example -10m
}

// testSpec is a question about one field.
type testSpec struct {
	Field string  `yaml:"field"` // the field that is asked; a field that is not there answers no
	Is    anyList `yaml:"is"`    // yes for these words or numbers; without is and not: yes unless 0
	Not   anyList `yaml:"not"`   // yes for all but these

	Above *float64 `yaml:"above"` // yes for greater values
	Below *float64 `yaml:"below"` // yes for smaller values; with above: for what lies between
}

type identifySpec struct {
	Models []string `yaml:"models"` // other names of the model in envelopes
	EUI    []string `yaml:"eui"`    // how EUIs of this maker or model begin
	Names  []string `yaml:"names"`  // words in a Zigbee2MQTT name; with a kind of identity before it, in the names of those: tasmota:leak

	Schemes []string `yaml:"schemes"` // kinds of identity that only such devices have, for example gb26875
}

type layoutSpec struct {
	Name    string     `yaml:"name"`    // what it is, for messages
	When    whenSpec   `yaml:"when"`    // the frames it is for; all that is given must fit
	Check   string     `yaml:"check"`   // how the bytes are proved: sum8, add8, xor8, crc8, crc16_modbus, crc16_ccitt
	Restart bool       `yaml:"restart"` // a start-up frame
	Answer  bool       `yaml:"answer"`  // answers a downlink: carries no reading
	Rest    string     `yaml:"rest"`    // warn (default) or ignore: bytes after the last field
	Fields  []itemSpec `yaml:"fields"`  // one after the other
}

type whenSpec struct {
	Port    intList          `yaml:"port"`    // one of these ports
	Length  intList          `yaml:"length"`  // one of these numbers of bytes
	Longer  int              `yaml:"longer"`  // more bytes than this
	Shorter int              `yaml:"shorter"` // fewer bytes than this
	Byte    map[int]byteSpec `yaml:"byte"`    // offset (negative: from the end) → its values, or {mask, is, not}
}

// byteSpec is what a byte must be: a value, a list of them, or a part of it.
type byteSpec struct {
	Mask int     `yaml:"mask"` // these bits of it, shifted down to the lowest; default: all
	Is   intList `yaml:"is"`   // one of these
	Not  intList `yaml:"not"`  // none of these
}

func (b *byteSpec) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&b.Is) == nil {
		return nil
	}
	type plain byteSpec // without this method
	return unmarshal((*plain)(b))
}

// itemSpec is one step of a binary layout: a field, or `flags`, `skip`, `if` or `repeat`.
type itemSpec struct {
	Field  fieldSpec      `yaml:",inline"`
	Flags  map[int]string `yaml:"flags"`  // bit → name: a field of one bit each; type, at and order as for a field
	Skip   int            `yaml:"skip"`   // this many bytes
	If     *testSpec      `yaml:"if"`     // the fields are there only then
	Repeat *repeatSpec    `yaml:"repeat"` // the fields come again and again
	Items  []itemSpec     `yaml:"fields"` // of if and repeat
}

type repeatSpec struct {
	Count   int       `yaml:"count"`    // fixed
	CountOf string    `yaml:"count_of"` // a field says how many; neither: to the end
	Size    int       `yaml:"size"`     // bytes of one; default: to where its last field ends
	History bool      `yaml:"history"`  // the records are of the past
	Time    *timeSpec `yaml:"time"`     // of each record
	Channel string    `yaml:"channel"`  // # is the record's number from 1
}

// fieldSpec names one value of a payload.
type fieldSpec struct {
	Name   string         `yaml:"name"`   // of the field: a-z, 0-9 and _
	At     *int           `yaml:"at"`     // byte offset (negative: from the end); default: after the last one
	Type   string         `yaml:"type"`   // of bytes: u8 (default) … u64, i, sm, f, bcd, ascii, ymdhms; json, text: time, hex, else by what is there; lwm2m: int, uint, float, bool, text, time, opaque
	Order  string         `yaml:"order"`  // big or little; default: the profile's
	Bits   string         `yaml:"bits"`   // "7" or "0-13"; 0 is the lowest
	Mask   uint64         `yaml:"mask"`   // instead of bits; shifted down to its lowest bit
	Scale  float64        `yaml:"scale"`  // value = raw × scale + offset
	Offset float64        `yaml:"offset"` // added after scale
	Absent anyList        `yaml:"absent"` // raw values that mean "not said"
	Enum   map[any]string `yaml:"enum"`   // raw value → word; anything else is a warning and not said
	Range  []float64      `yaml:"range"`  // outside: kept and marked
	Path   pathSpec       `yaml:"path"`   // json; senml, lwm2m: the name, with * or # for what may be anything
	UOM    string         `yaml:"uom"`    // senml, lwm2m: what the value must be measured in; units of its kind are converted
	AnyOf  anyList        `yaml:"any_of"` // senml, lwm2m: true when one of its values is one of these
	Invert string         `yaml:"invert"` // senml, lwm2m: a field that turns this one round when it is true
	Match  string         `yaml:"match"`  // json, javascript: what of a text is the value, a regular expression or its group; any other text says nothing
	Group  string         `yaml:"group"`  // text: a group of match, or a key of pairs; default: the name
}

type keySpec struct {
	Size   int    `yaml:"size"`   // bytes before the value: 1 or 2 (default: channel and type)
	Length string `yaml:"length"` // none (default), u8 or u16: the length of the value follows the key; before: a byte before the key says how many bytes it and the value have
}

// recordSpec is a TLV record (keys) or each element of a JSON array (each). A record with
// history, time or channel has fields of its own, as every element of an array has: they
// become readings apart from the frame's.
type recordSpec struct {
	Name    string     `yaml:"name"`    // what it is, for messages
	Keys    []string   `yaml:"keys"`    // hex: ["0175"]
	Each    pathSpec   `yaml:"each"`    // json: path of the array whose elements are the records
	Skip    *int       `yaml:"skip"`    // bytes of a value nobody needs; 0: the key is all there is
	Restart bool       `yaml:"restart"` // comes with a start-up
	Answer  bool       `yaml:"answer"`  // answers a downlink
	History bool       `yaml:"history"` // of the past
	Time    *timeSpec  `yaml:"time"`    // with its own time
	Channel string     `yaml:"channel"` // of its own; # is the record's number from 1, {field} what a field says
	Fields  []itemSpec `yaml:"fields"`  // one after the other
}

// ruleSpec says how one signal is made: from a field, or by an expression of fields.
type ruleSpec struct {
	Field   string     `yaml:"field"`   // what the signal is made of
	When    *testSpec  `yaml:"when"`    // only then; else the rule says nothing
	Is      anyList    `yaml:"is"`      // condition: true for these
	Clear   anyList    `yaml:"clear"`   // condition: false for these only; else anything not in is
	Not     anyList    `yaml:"not"`     // condition: true for all but these
	Above   *float64   `yaml:"above"`   // condition: true for greater values
	Below   *float64   `yaml:"below"`   // condition: true for smaller values
	Scale   float64    `yaml:"scale"`   // of a value: field × scale + offset
	Offset  float64    `yaml:"offset"`  // of a value, added after scale
	Curve   *curveSpec `yaml:"curve"`   // of a value: points [value, result], or the chemistry of a battery whose volts it is
	Cells   int        `yaml:"cells"`   // of the battery, one behind the other; default: 1
	Expr    string     `yaml:"expr"`    // arithmetic on fields, instead of field; not said where one of them is not
	Range   []float64  `yaml:"range"`   // outside: kept and marked
	Channel string     `yaml:"channel"` // of the device, where it has several
}

func (r *ruleSpec) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&r.Field) == nil {
		return nil
	}
	type plain ruleSpec // without this method
	return unmarshal((*plain)(r))
}

// rulesSpec is one rule or a list of them; a rule may be just a field's name.
type rulesSpec []ruleSpec

func (r *rulesSpec) UnmarshalYAML(unmarshal func(any) error) error {
	var name string
	if unmarshal(&name) == nil {
		*r = rulesSpec{{Field: name}}
		return nil
	}
	var list []ruleSpec
	if err := unmarshal(&list); err == nil {
		*r = list
		return nil
	} else if isUnknownKey(err) {
		return err
	}
	var one ruleSpec
	if err := unmarshal(&one); err != nil {
		return err
	}
	*r = rulesSpec{one}
	return nil
}

// anyList is a list of scalars, or one scalar.
type anyList []any

func (l *anyList) UnmarshalYAML(unmarshal func(any) error) error {
	var list []any
	if unmarshal(&list) == nil {
		*l = list
		return nil
	}
	var one any
	if err := unmarshal(&one); err != nil {
		return err
	}
	*l = anyList{one}
	return nil
}

type intList []int

func (l *intList) UnmarshalYAML(unmarshal func(any) error) error {
	var list []int
	if unmarshal(&list) == nil {
		*l = list
		return nil
	}
	var one int
	if err := unmarshal(&one); err != nil {
		return err
	}
	*l = intList{one}
	return nil
}

// pathSpec is a JSON path: "a.b.0", or a list where a key has a dot in it: ["door.open"].
type pathSpec []string

func (p *pathSpec) UnmarshalYAML(unmarshal func(any) error) error {
	var list []string
	if unmarshal(&list) == nil {
		*p = list
		return nil
	}
	var s string
	if err := unmarshal(&s); err != nil {
		return err
	}
	*p = strings.Split(s, ".")
	return nil
}

// parseStrict reads YAML into v; unknown keys are errors that name the line and a key
// that is meant.
func parseStrict(raw []byte, v any) (err error) {
	if len(raw) > maxFile {
		return fmt.Errorf("has %d bytes: want at most %d", len(raw), maxFile)
	}
	if err := boundYAML(raw); err != nil {
		return err
	}
	defer func() {
		// The parser panics on some malformed tags (found by FuzzParse).
		if p := recover(); p != nil {
			err = fmt.Errorf("is no YAML: %v", p)
		}
	}()
	if err = yaml.UnmarshalWithOptions(raw, v, yaml.Strict()); err == nil {
		return nil
	}
	var ye yaml.Error
	if !errors.As(err, &ye) || ye.GetToken() == nil {
		return err
	}
	at := ""
	if pos := ye.GetToken().Position; pos != nil {
		at = "line " + strconv.Itoa(pos.Line) + ": "
	}
	if isUnknownKey(err) {
		key := ye.GetToken().Value
		return fmt.Errorf("%sunknown key %q: %s", at, key, wish(key, keysOf(reflect.TypeOf(v))))
	}
	return fmt.Errorf("%s%s", at, ye.GetMessage())
}

func isUnknownKey(err error) bool {
	var e *yaml.UnknownFieldError
	return errors.As(err, &e)
}

// wish names the known key nearest to a misspelt one, or all of them.
func wish(key string, known []string) string {
	if strings.Contains(key, " ") {
		return "want quotes around a text that has a comma or a colon in it?"
	}
	best, bestDistance := "", 3
	for _, k := range known {
		if d := distance(key, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if best != "" {
		return "want " + best + "?"
	}
	return "want one of " + strings.Join(known, ", ")
}

// keysOf collects the YAML keys of a type and of what it holds.
func keysOf(t reflect.Type) []string {
	seen := map[reflect.Type]bool{}
	var keys []string
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || seen[t] {
			return
		}
		seen[t] = true
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
				keys = append(keys, name)
			}
			walk(f.Type)
		}
	}
	walk(t)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// distance is how many letters two words differ by (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
