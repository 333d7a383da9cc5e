package scenario

import (
	"encoding/json"
	"reflect"
	"strings"

	"gridgate/internal/grid"
)

// Schema is the JSON schema of scenario files, made from the types that read them.
func Schema() []byte {
	s := schemaOf(reflect.TypeFor[Scenario]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "gridsim scenario"
	s["required"] = []string{"name", "about", "start", "length", "city", "expect"}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("scenario: plain values: " + err.Error())
	}
	return append(b, '\n')
}

const spanPattern = `^([0-9]+d)?([0-9.]+(h|m|s|ms))*$|^0$`

func schemaOf(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[Span]():
		return map[string]any{"type": "string", "pattern": spanPattern, "description": "90s, 1h30m, 2d"}
	case reflect.TypeFor[Names]():
		return map[string]any{"oneOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "array", "items": map[string]any{"type": "string"}}}}
	case reflect.TypeFor[grid.UnitKind]():
		return map[string]any{"enum": []string{"fire", "urban_management", "micro_fire_station", "property", "maintenance", "utility", "residents_committee"}}
	case reflect.TypeFor[Expect]():
		return expectSchema()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object"}
	case reflect.Struct:
		return structSchema(t)
	}
	return map[string]any{"type": "string"}
}

func structSchema(t reflect.Type) map[string]any {
	props := map[string]any{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		name, rest, _ := strings.Cut(tag, ",")
		switch {
		case rest == "inline":
			for k, v := range structSchema(f.Type)["properties"].(map[string]any) {
				props[k] = v
			}
		case f.IsExported() && name != "" && name != "-":
			props[name] = schemaOf(f.Type)
		}
	}
	return map[string]any{"type": "object", "properties": props, "additionalProperties": false}
}

// expectSchema has the keys of an expectation and those of each subject.
func expectSchema() map[string]any {
	out := structSchema(reflect.TypeFor[Expect]())
	props := out["properties"].(map[string]any)
	for name, s := range subjects() {
		keys := map[string]any{}
		for k, spec := range s.keys {
			v := map[kindOf]map[string]any{flag: {"type": "boolean"}, path: {"type": "array", "items": map[string]any{"type": "string"}},
				number: {"type": []string{"integer", "string"}}}[spec.kind]
			if v == nil {
				v = map[string]any{"type": "string"}
			}
			if spec.doc != "" {
				v["description"] = spec.doc
			}
			keys[k] = v
		}
		props[name] = map[string]any{"type": []string{"object", "null"}, "properties": keys, "additionalProperties": false}
	}
	props["count"] = map[string]any{"type": []string{"integer", "string"}}
	out["required"] = []string{"id", "zh", "en"}
	return out
}
