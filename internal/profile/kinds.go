package profile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// codecKind is one way to read a payload: its name, the keys of a profile that only some
// kinds understand, and how it is compiled.
type codecKind struct {
	name    string
	keys    []string
	compile func(c *compiler, s *profileSpec) (codec, []int, error)
}

// codecKinds are all the kinds there are, each in a file of its own name.
var codecKinds = []codecKind{
	{"binary", []string{"layouts"}, (*compiler).binary},
	{"tlv", []string{"records", "layouts", "key", "header", "ports"}, (*compiler).tlv},
	{"json", []string{"fields", "records", "ports"}, (*compiler).json},
	{"senml", []string{"fields", "format", "ignore"}, (*compiler).senml},
	{"lwm2m", []string{"fields", "records", "format", "path", "ignore"}, (*compiler).lwm2m},
	{"text", []string{"lines", "encoding", "unknown_line", "ports"}, (*compiler).text},
	{"gbt26875", []string{"gbt26875"}, (*compiler).gbt26875},
	{"modbus", []string{"modbus"}, (*compiler).modbus},
	{"javascript", []string{"javascript", "fields", "records", "ports"}, (*compiler).javascript},
}

// codecKindOf finds the kind of a profile and refuses keys that only other kinds
// understand: they would be read by nobody.
func codecKindOf(s *profileSpec) (*codecKind, error) {
	names := make([]string, len(codecKinds))
	var found *codecKind
	for i := range codecKinds {
		names[i] = codecKinds[i].name
		if codecKinds[i].name == s.Codec {
			found = &codecKinds[i]
		}
	}
	if found == nil {
		return nil, fmt.Errorf("codec is %q: want one of %s", s.Codec, strings.Join(names, ", "))
	}
	spec := reflect.ValueOf(s).Elem()
	for i := range spec.NumField() {
		key, _, _ := strings.Cut(spec.Type().Field(i).Tag.Get("yaml"), ",")
		if spec.Field(i).IsZero() || slices.Contains(found.keys, key) {
			continue
		}
		if slices.ContainsFunc(codecKinds, func(k codecKind) bool { return slices.Contains(k.keys, key) }) {
			return nil, fmt.Errorf("%s has no place in a %s profile", key, s.Codec)
		}
	}
	return found, nil
}
