package envelope

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// parsers lends parsers, which keep their memory, to whoever opens a JSON envelope. It
// holds nothing of any message.
var parsers fastjson.ParserPool

// parse reads a JSON object. fastjson reads 1 kB in 1.2 µs without allocating, a sixth of
// what encoding/json takes, and ends at a nesting of 300.
func parse(p *fastjson.Parser, raw []byte) (*fastjson.Value, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("is not UTF-8")
	}
	v, err := p.ParseBytes(raw)
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "; unparsed tail")
		return nil, fmt.Errorf("is no JSON: %s", truncate(line))
	}
	if v.Type() != fastjson.TypeObject {
		return nil, fmt.Errorf("is a JSON %s: want an object", v.Type())
	}
	return v, nil
}
