package profile

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// Bounds of what a codec may give for one frame.
const (
	maxResultDepth = 32
	maxValues      = 10_000
	maxResult      = 256 << 10 // bytes of JSON
	maxText        = 300       // bytes of an error or a warning
	maxTexts       = 16        // errors, and warnings
)

// document appends {"data":…,"warnings":[…],"errors":[…]} of what the function gave.
func (s *script) document(vm *goja.Runtime, result goja.Value, plain bool, out []byte) ([]byte, error) {
	data, warnings, errs := result, []string(nil), []string(nil)
	if s.function.ts {
		o, ok := result.(*goja.Object)
		if !ok {
			return nil, fmt.Errorf("%s gave %s: want an object", s.function.name, kindOf(result))
		}
		data, warnings, errs = o.Get("data"), texts(o.Get("warnings")), texts(o.Get("errors"))
		if _, ok := data.(*goja.Object); !ok && len(errs) == 0 {
			return nil, fmt.Errorf("%s gave %s as data: want an object", s.function.name, kindOf(data))
		}
	} else if _, ok := data.(*goja.Object); !ok {
		return nil, fmt.Errorf("%s gave %s: want an object", s.function.name, kindOf(data))
	}
	e := encoder{vm: vm, out: append(out, `{"data":`...), limit: len(out) + maxResult, plain: plain}
	said, err := e.value(data, "data", 0)
	if err != nil {
		return nil, err
	}
	if !said {
		e.out = append(e.out, "null"...)
	}
	e.out = appendTexts(append(e.out, `,"warnings":`...), warnings)
	e.out = appendTexts(append(e.out, `,"errors":`...), errs)
	return append(e.out, '}'), nil
}

func kindOf(v goja.Value) string {
	switch {
	case v == nil || goja.IsUndefined(v):
		return "nothing"
	case goja.IsNull(v):
		return "null"
	case goja.IsString(v):
		return "a text"
	case goja.IsNumber(v):
		return "a number"
	}
	return "a " + v.ExportType().String()
}

// texts reads what a codec calls warnings or errors: a list, or one text.
func texts(v goja.Value) []string {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return nil
	}
	o, ok := v.(*goja.Object)
	if !ok || o.ClassName() != "Array" {
		if v.String() == "" {
			return nil
		}
		return []string{v.String()}
	}
	var list []string
	for i := range min(o.Get("length").ToInteger(), maxTexts) {
		if item := o.Get(strconv.FormatInt(i, 10)); item != nil {
			list = append(list, item.String())
		}
	}
	return list
}

func appendTexts(out []byte, list []string) []byte {
	out = append(out, '[')
	for i, text := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendJSONText(out, truncate(text, maxText))
	}
	return append(out, ']')
}

// encoder writes JavaScript values as JSON.stringify does, but within bounds, and with nan
// and inf where that writes null.
type encoder struct {
	vm     *goja.Runtime
	out    []byte
	limit  int
	values int

	plain bool // null, as JSON.stringify, for numbers that are none
}

// value appends a value; said is false for what JSON leaves out.
func (e *encoder) value(v goja.Value, key string, depth int) (said bool, err error) {
	if e.values++; e.values > maxValues {
		return false, fmt.Errorf("the result has more than %d values", maxValues)
	}
	if len(e.out) > e.limit {
		return false, fmt.Errorf("the result has more than %d KiB", maxResult>>10)
	}
	if v == nil {
		return false, nil
	}
	if o, ok := v.(*goja.Object); ok {
		return e.object(o, key, depth)
	}
	if _, ok := v.(*goja.Symbol); ok {
		return false, nil
	}
	switch x := v.Export().(type) {
	case bool:
		e.out = strconv.AppendBool(e.out, x)
	case int64:
		e.out = strconv.AppendInt(e.out, x, 10)
	case float64:
		if e.plain && (math.IsNaN(x) || math.IsInf(x, 0)) {
			e.out = append(e.out, "null"...)
			return true, nil
		}
		e.out = appendFloat(e.out, x)
	case string:
		if len(x) > maxResult {
			return false, fmt.Errorf("the result has more than %d KiB", maxResult>>10)
		}
		e.out = appendJSONText(e.out, x)
	case *big.Int:
		e.out = x.Append(e.out, 10)
	default:
		if !goja.IsNull(v) {
			return false, nil // undefined
		}
		e.out = append(e.out, "null"...)
	}
	return true, nil
}

func (e *encoder) object(o *goja.Object, key string, depth int) (said bool, err error) {
	if depth > maxResultDepth {
		return false, fmt.Errorf("the result is deeper than %d", maxResultDepth)
	}
	if toJSON, ok := goja.AssertFunction(o.Get("toJSON")); ok {
		v, err := toJSON(o, e.vm.ToValue(key))
		if err != nil {
			return false, err
		}
		if o, ok = v.(*goja.Object); !ok {
			return e.value(v, key, depth)
		}
	}
	if _, ok := goja.AssertFunction(o); ok {
		return false, nil
	}
	switch o.ClassName() {
	case "Array":
		return true, e.array(o, depth)
	case "Number":
		return e.value(o.ToNumber(), key, depth)
	case "String":
		return e.value(o.ToString(), key, depth)
	case "Boolean":
		return e.value(e.vm.ToValue(o.Export()), key, depth)
	}
	e.out = append(e.out, '{')
	first := true
	for _, key := range o.Keys() {
		mark := len(e.out)
		if !first {
			e.out = append(e.out, ',')
		}
		e.out = append(appendJSONText(e.out, key), ':')
		said, err := e.value(o.Get(key), key, depth+1)
		if err != nil {
			return false, err
		}
		if !said {
			e.out = e.out[:mark]
			continue
		}
		first = false
	}
	e.out = append(e.out, '}')
	return true, nil
}

func (e *encoder) array(o *goja.Object, depth int) error {
	e.out = append(e.out, '[')
	n := o.Get("length").ToInteger()
	if n > maxValues {
		return fmt.Errorf("the result has more than %d values", maxValues)
	}
	for i := range n {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		key := strconv.FormatInt(i, 10)
		said, err := e.value(o.Get(key), key, depth+1)
		if err != nil {
			return err
		}
		if !said {
			e.out = append(e.out, "null"...)
		}
	}
	e.out = append(e.out, ']')
	return nil
}

func appendFloat(out []byte, x float64) []byte {
	switch {
	case math.IsNaN(x):
		return append(out, "nan"...)
	case math.IsInf(x, 1):
		return append(out, "inf"...)
	case math.IsInf(x, -1):
		return append(out, "-inf"...)
	case x == 0:
		return append(out, '0') // also where it is negative
	}
	form := byte('f')
	if abs := math.Abs(x); abs < 1e-6 || abs >= 1e21 {
		form = 'e'
	}
	return strconv.AppendFloat(out, x, form, -1, 64)
}

// appendJSONText appends a text as JSON; what is no UTF-8 in it becomes U+FFFD.
func appendJSONText(out []byte, text string) []byte {
	const digits = "0123456789abcdef"
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	out = append(out, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
