package profile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// javascriptSpec is the code of a device maker, unchanged, and what it may ask for.
type javascriptSpec struct {
	File      string         `yaml:"file"`      // beside profile.yaml
	Source    string         `yaml:"source"`    // or here
	Variables map[string]any `yaml:"variables"` // what the code finds as input.variables

	text string // of the file
}

// maxSource bounds the code of one codec.
const maxSource = 1 << 20

// javascriptCodec runs the code of a device maker and takes values out of what it calls
// data, by path, as the json kind does.
type javascriptCodec struct {
	jsonCodec // ports, fields and records
	script    *remoteScript
}

func (c *javascriptCodec) decode(r *run, f *grid.Frame) error {
	if !portFits(c.ports, f.Port, len(c.ports) == 1) {
		return otherPort(r, f.Port, c.ports, c.ignoreOther)
	}
	port := f.Port
	if port < 0 && len(c.ports) == 1 {
		port = c.ports[0]
	}
	return c.script.decode(opDecode, port, f, func(document []byte) error { return c.read(r, document) })
}

// read takes the fields out of the document {data, warnings, errors} of the code.
func (c *javascriptCodec) read(r *run, document []byte) error {
	parser := c.parsers.Get()
	defer c.parsers.Put(parser)
	root, err := parser.ParseBytes(document)
	if err != nil {
		return fmt.Errorf("%s: its result is no JSON: %s", c.script.name, firstLine(err))
	}
	if errs := root.GetArray("errors"); len(errs) > 0 {
		return fmt.Errorf("%s: %s", c.script.name, strings.Join(textsOf(errs), "; "))
	}
	for _, w := range root.GetArray("warnings") {
		r.warn("%s: %s", c.script.name, w.GetStringBytes())
	}
	r.report = true
	return c.readValues(r, root.Get("data"))
}

func textsOf(list []*fastjson.Value) []string {
	var all []string
	for _, v := range list {
		all = append(all, string(v.GetStringBytes()))
	}
	return all
}

func (c *compiler) javascript(s *profileSpec) (codec, []int, error) {
	code := s.JavaScript
	switch {
	case code == nil:
		return nil, nil, fmt.Errorf("javascript is missing: want {file: codec.js}, or source")
	case code.File != "" && code.text == "":
		return nil, nil, fmt.Errorf("javascript: file is %q: want it in the folder of the profile, or source", code.File)
	case (code.File == "") == (code.Source == ""):
		return nil, nil, fmt.Errorf("javascript: want one of file and source")
	}
	out := &javascriptCodec{}
	if err := c.jsonValues(&out.jsonCodec, s); err != nil {
		return nil, nil, err
	}
	variables := ""
	if len(code.Variables) > 0 {
		b, err := json.Marshal(code.Variables)
		if err != nil {
			return nil, nil, fmt.Errorf("javascript: variables: %w", err)
		}
		variables = string(b)
	}
	var err error
	if out.script, err = c.workers.script(cmp.Or(code.File, "source"), cmp.Or(code.text, code.Source), variables); err != nil {
		return nil, nil, fmt.Errorf("javascript: %w", err)
	}
	return out, s.Ports, nil
}

// resolve reads the file that a spec names, beside the profile it stands in.
func (s *javascriptSpec) resolve(fsys fs.FS, dir string) error {
	if s == nil || s.File == "" {
		return nil
	}
	if !fs.ValidPath(s.File) || s.File == "." || strings.Contains(s.File, "/") {
		return fmt.Errorf("javascript: file is %q: want the name of a file beside %s", s.File, profileFile)
	}
	b, err := fs.ReadFile(fsys, path.Join(dir, s.File))
	switch {
	case err != nil:
		return fmt.Errorf("javascript: %w", err)
	case len(b) > maxSource:
		return fmt.Errorf("javascript: %s has %d bytes: want at most %d", s.File, len(b), maxSource)
	case strings.TrimSpace(string(b)) == "":
		return fmt.Errorf("javascript: %s is empty: want the code of the device maker", s.File)
	}
	s.text = string(b)
	return nil
}

// Codec is the code of a device maker by itself, without a profile.
type Codec struct{ script *remoteScript }

// CodecOutput is what the code made of a payload, in the form of TS013.
type CodecOutput struct {
	Data     json.RawMessage `json:"data"` // null where it failed
	Warnings []string        `json:"warnings"`
	Errors   []string        `json:"errors"` // none: it did not
}

// OpenCodec hands the code to a codec worker, which compiles it. variables is a JSON
// object, or empty. Close ends the worker.
func OpenCodec(name string, source []byte, variables json.RawMessage) (*Codec, error) {
	if len(variables) > 0 {
		var given map[string]any
		if err := json.Unmarshal(variables, &given); err != nil {
			return nil, grid.Errorf(grid.Invalid, "variables: want a JSON object: %w", err)
		}
	}
	pool := newWorkers()
	script, err := pool.script(name, string(source), string(variables))
	if err != nil {
		pool.close()
		return nil, grid.Errorf(grid.Invalid, "%w", err)
	}
	return &Codec{script}, nil
}

// Function names the function of the code that is called.
func (c *Codec) Function() string { return c.script.function }

// Close ends the worker and waits for it.
func (c *Codec) Close() { c.script.workers.close() }

// Decode runs the code on the payload of a frame. Numbers that are none are null, as
// JSON.stringify has them.
func (c *Codec) Decode(f grid.Frame) CodecOutput {
	out := CodecOutput{Warnings: []string{}, Errors: []string{}}
	err := c.script.decode(opShow, f.Port, &f, func(document []byte) error {
		return json.Unmarshal(document, &out)
	})
	if err != nil {
		out.Errors = append(out.Errors, err.Error())
	}
	return out
}
