package profile

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/grid"
)

// The JSON schemas for editors are made of the spec types: their keys by reflection, their
// descriptions from the comments beside them, so that each is written once.

var updateSchemas = flag.Bool("update", false, "write firmware-profiles/*.schema.json anew")

type schema = map[string]any

// schemaFiles are the committed schemas and the types they are of.
var schemaFiles = map[string]struct {
	root        reflect.Type
	title, glob string
}{
	"profile.schema.json": {reflect.TypeFor[profileSpec](), "gridgate firmware profile (profile.yaml)", "*/*/profile.yaml"},
	"cases.schema.json":   {reflect.TypeFor[casesSpec](), "cases of a gridgate firmware profile (cases.yaml)", "*/*/cases.yaml"},
}

func TestSchemasAreThoseOfTheSpecTypes(t *testing.T) {
	for name, s := range schemaFiles {
		made := makeSchema(t, s.root, s.title)
		file := filepath.Join("../../firmware-profiles", name)
		if *updateSchemas {
			if err := os.WriteFile(file, made, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		committed, err := os.ReadFile(file)
		if err != nil || string(committed) != string(made) {
			t.Errorf("%s is out of date (%v): want go test ./internal/profile -run Schemas -update", name, err)
		}
	}
}

func TestCommittedProfilesAndCasesFitTheSchemas(t *testing.T) {
	for name, s := range schemaFiles {
		compiled := compileSchema(t, name)
		files, err := fs.Glob(firmwareprofiles.FS, s.glob)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: got %d files, %v", s.glob, len(files), err)
		}
		for _, file := range files {
			raw, err := fs.ReadFile(firmwareprofiles.FS, file)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(compiled, raw); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func TestSchemaRefusesWhatTheLanguageRefuses(t *testing.T) {
	compiled := compileSchema(t, "profile.schema.json")
	good := "profile: a/b\nversion: '1'\nvendor: A\nmodel: B\nkinds: [door]\nsource: s\ninterval: 1h\ncodec: binary\nlayouts: [{name: a, when: {port: [1], byte: {-1: 0x81, 0: {mask: 0x0F, is: [1, 2]}}}, fields: [{name: x, type: u16, enum: {0: a}}, {flags: {7: y}}]}]\nsignals: {door.open: [{field: x, is: a}], tamper: y, battery.level: {field: x, curve: li-ion}}\n"
	if err := validate(compiled, []byte(good)); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range [][2]string{
		{"codec: binary", "codec: base64"}, {"kinds: [door]", "kinds: [window]"}, {"door.open", "dor.open"}, {"type: u16", "type: u17"}, {"type: u16", "tpye: u16"}, {"version: '1'\n", ""},
		{"codec: binary", "codec: json"}, {"curve: li-ion", "curve: lead"}, {"name: a, when", "when"}, {"interval: 1h", "interval: often"}, {"mask: 0x0F", "mask: no"}, {"{0: a}", "{0: [a]}"}, {"port: [1]", "port: x"},
	} {
		bad := strings.Replace(good, wrong[0], wrong[1], 1)
		if err := validate(compiled, []byte(bad)); err == nil {
			t.Errorf("%s for %s: want it refused", wrong[1], wrong[0])
		}
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s for %s: want the language to refuse it as well", wrong[1], wrong[0])
		}
	}
}

func compileSchema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	raw, err := fs.ReadFile(firmwareprofiles.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile(name)
}

func validate(s *jsonschema.Schema, raw []byte) error {
	asJSON, err := yaml.YAMLToJSON(raw)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(asJSON)))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// schemaMaker collects the definitions of the types on its way.
type schemaMaker struct {
	t        *testing.T
	comments map[string]string // "type" or "type.field" → what it is
	defs     schema
}

func makeSchema(t *testing.T, root reflect.Type, title string) []byte {
	t.Helper()
	m := &schemaMaker{t: t, comments: readComments(t), defs: schema{}}
	m.of(root)
	out := schema{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title,
		"$ref": "#/$defs/" + root.Name(), "$defs": m.defs,
	}
	b, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// readComments reads what stands beside the types and fields of this package.
func readComments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				commentsOf(spec.(*ast.TypeSpec), gen.Doc, out)
			}
		}
	}
	return out
}

func commentsOf(spec *ast.TypeSpec, doc *ast.CommentGroup, out map[string]string) {
	name := spec.Name.Name
	out[name] = oneLine(strings.TrimPrefix(doc.Text(), name+" "))
	fields, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range fields.Fields.List {
		for _, n := range f.Names {
			text := f.Comment.Text()
			if text == "" {
				text = f.Doc.Text()
			}
			out[name+"."+n.Name] = oneLine(text)
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// of gives the schema of a type; of a struct, a reference to its definition.
func (m *schemaMaker) of(t reflect.Type) schema {
	if t.Kind() == reflect.Pointer {
		return m.of(t.Elem())
	}
	if shape, ok := m.shaped(t); ok {
		return shape
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.InterfaceUnmarshaler]()) {
		m.t.Fatalf("%s reads YAML in its own way: want its forms in shaped", t.Name())
	}
	switch t.Kind() {
	case reflect.String:
		return schema{"type": []string{"string", "number", "boolean"}} // YAML needs no quotes around 1.2
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.Int:
		return schema{"type": "integer"}
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return schema{"type": "integer", "minimum": 0}
	case reflect.Interface:
		return schema{}
	case reflect.Slice:
		return schema{"type": "array", "items": m.of(t.Elem())}
	case reflect.Map:
		out := schema{"type": "object", "additionalProperties": m.of(t.Elem())}
		if t.Key().Kind() == reflect.Int {
			out["propertyNames"] = schema{"pattern": "^-?(0[xX][0-9a-fA-F]+|[0-9]+)$"}
		}
		return out
	case reflect.Struct:
		return m.object(t)
	}
	m.t.Fatalf("%s: no schema for a %s", t, t.Kind())
	return nil
}

func (m *schemaMaker) object(t reflect.Type) schema {
	ref := schema{"$ref": "#/$defs/" + t.Name()}
	if m.defs[t.Name()] != nil {
		return ref
	}
	properties := schema{}
	def := schema{"type": "object", "additionalProperties": false, "properties": properties}
	m.defs[t.Name()] = def
	if text := m.comments[t.Name()]; text != "" {
		def["description"] = text
	}
	m.properties(t, properties)
	if keys := requiredKeys[t]; keys != nil {
		def["required"] = keys
	}
	if t == reflect.TypeFor[profileSpec]() {
		maps.Copy(def, codecRules())
	}
	return ref
}

func (m *schemaMaker) properties(t reflect.Type, into schema) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if rest == "inline" {
			m.properties(f.Type, into)
			continue
		}
		if key == "" || key == "-" {
			continue
		}
		s, known := keySchemas()[t.Name()+"."+key]
		if !known {
			s = m.of(f.Type)
		}
		s = maps.Clone(s)
		if text := m.comments[t.Name()+"."+f.Name]; text != "" {
			s["description"] = text
		}
		if key == "signals" && t == reflect.TypeFor[profileSpec]() {
			s["propertyNames"] = schema{"enum": signalNames()}
		}
		into[key] = s
	}
}

// shaped are the types that take more than one form.
func (m *schemaMaker) shaped(t reflect.Type) (schema, bool) {
	scalar := schema{"type": []string{"string", "number", "boolean"}}
	either := func(s ...schema) (schema, bool) { return schema{"anyOf": s}, true }
	listOf := func(s schema) schema { return schema{"type": "array", "items": s} }
	switch t {
	case reflect.TypeFor[anyList]():
		return either(scalar, listOf(scalar))
	case reflect.TypeFor[intList]():
		return either(schema{"type": "integer"}, listOf(schema{"type": "integer"}))
	case reflect.TypeFor[pathSpec]():
		return either(scalar, listOf(scalar))
	case reflect.TypeFor[rulesSpec]():
		rule := m.object(reflect.TypeFor[ruleSpec]())
		return either(schema{"type": []string{"string", "null"}}, rule, listOf(schema{"anyOf": []schema{{"type": "string"}, rule}}))
	case reflect.TypeFor[byteSpec]():
		return either(schema{"type": "integer"}, listOf(schema{"type": "integer"}), m.object(t))
	case reflect.TypeFor[gbCommandSpec]():
		return either(schema{"type": "string"}, m.object(t))
	case reflect.TypeFor[curveSpec]():
		points := listOf(schema{"type": "array", "items": schema{"type": "number"}, "minItems": 2, "maxItems": 2})
		return either(schema{"enum": slices.Sorted(maps.Keys(chemistries))}, points)
	}
	return nil, false
}

// requiredKeys are those without which a part means nothing.
var requiredKeys = map[reflect.Type][]string{
	reflect.TypeFor[profileSpec](): {"profile", "version"},
	reflect.TypeFor[layoutSpec]():  {"name"},
	reflect.TypeFor[lineSpec]():    {"name"},
	reflect.TypeFor[testSpec]():    {"field"},
	reflect.TypeFor[casesSpec]():   {"cases"},
	reflect.TypeFor[caseSpec]():    {"name"},
}

// keySchemas are keys whose values are of a closed list or form.
func keySchemas() map[string]schema {
	oneOf := func(words ...string) schema { return schema{"enum": words} }
	duration := schema{"type": "string", "pattern": `^-?([0-9.]+(h|m|s|ms))+$`}
	return map[string]schema{
		"profileSpec.profile":      {"type": "string", "pattern": idForm.String()},
		"profileSpec.extends":      {"type": "string", "pattern": idForm.String()},
		"profileSpec.kinds":        {"type": "array", "minItems": 1, "items": oneOf(kindNames()...)},
		"profileSpec.interval":     duration,
		"profileSpec.codec":        oneOf(codecNames()...),
		"profileSpec.order":        oneOf("big", "little"),
		"profileSpec.unknown_port": oneOf("error", "ignore"),
		"profileSpec.encoding":     oneOf("utf-8", "gb18030"),
		"profileSpec.unknown_line": oneOf("warn", "error", "ignore"),
		"counterSpec.source":       oneOf("network", "payload", "none"),
		"timeSpec.unit":            oneOf("s", "ms", "min", "h"),
		"timeSpec.step":            duration,
		"layoutSpec.check":         oneOf(slices.Sorted(maps.Keys(checks))...),
		"layoutSpec.rest":          oneOf("warn", "ignore"),
		"keySpec.size":             {"enum": []int{1, 2}},
		"keySpec.length":           oneOf("none", "u8", "u16", "before"),
		"fieldSpec.name":           {"type": "string", "pattern": nameForm.String()},
		"fieldSpec.order":          oneOf("big", "little"),
		"fieldSpec.type":           {"type": "string", "pattern": fieldTypes},
		"fieldSpec.bits":           {"type": []string{"string", "integer"}, "pattern": "^[0-9]+(-[0-9]+)?$"},
		"fieldSpec.range":          {"type": "array", "items": schema{"type": "number"}, "minItems": 2, "maxItems": 2},
		"fieldSpec.enum":           {"type": "object", "additionalProperties": schema{"type": "string"}},
		"ruleSpec.range":           {"type": "array", "items": schema{"type": "number"}, "minItems": 2, "maxItems": 2},
	}
}

// fieldTypes are the types of bytes, then those of texts and named values.
const fieldTypes = "^((u|i|sm|bcd)(8|16|24|32|40|48|56|64)|f(32|64)|ascii[0-9]+|ymdhms|bcd_ymdhms|time|hex|int|uint|float|bool|text|opaque)$"

func codecNames() []string {
	var names []string
	for _, k := range codecKinds {
		names = append(names, k.name)
	}
	return names
}

func signalNames() []string {
	var names []string
	for _, s := range grid.Signals[grid.NoSignal+1:] {
		names = append(names, s.Name)
	}
	return names
}

func kindNames() []string {
	return []string{string(grid.Door), string(grid.Parking), string(grid.Manhole), string(grid.Smoke)}
}

// codecRules say which keys a codec kind understands, and what a profile must have that
// extends none.
func codecRules() schema {
	special := map[string]bool{}
	for _, k := range codecKinds {
		for _, key := range k.keys {
			special[key] = true
		}
	}
	all := []schema{{
		"if":   schema{"not": schema{"required": []string{"extends"}}},
		"then": schema{"required": []string{"vendor", "model", "kinds", "source", "interval", "codec", "signals"}},
	}}
	for _, k := range codecKinds {
		never := schema{}
		for key := range special {
			if !slices.Contains(k.keys, key) {
				never[key] = false
			}
		}
		all = append(all, schema{
			"if":   schema{"required": []string{"codec"}, "properties": schema{"codec": schema{"const": k.name}}},
			"then": schema{"properties": never},
		})
	}
	return schema{"allOf": all}
}

// TestEveryKeyIsDescribed: what an editor shows beside a key is its comment.
func TestEveryKeyIsDescribed(t *testing.T) {
	comments := readComments(t)
	var bare []string
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			if key, rest, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" && rest != "inline" && comments[typ.Name()+"."+f.Name] == "" {
				bare = append(bare, fmt.Sprintf("%s.%s", typ.Name(), f.Name))
			}
			walk(f.Type)
		}
	}
	for _, s := range schemaFiles {
		walk(s.root)
	}
	if len(bare) > 0 {
		t.Errorf("no comment beside %s", strings.Join(bare, ", "))
	}
}
