package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

// script is a maker's codec as a worker knows it.
//
// Each frame gets a fresh runtime, as with the network servers that these codecs are
// written for: a codec that fills a global object would else hand the values of one device
// to the next. Only the compiled program is kept.
type script struct {
	name      string
	program   *goja.Program
	find      *goja.Program
	function  function
	variables string // JSON; "" none
	console   bool   // the source speaks of it
	module    bool
}

// function is one of the functions that codecs define.
type function struct {
	name string
	ts   bool // takes {bytes, fPort, recvTime} and gives {data, warnings, errors}
	args func(in *codecInput) []goja.Value
}

// codecInput is what there is to hand to a codec.
type codecInput struct {
	vm                     *goja.Runtime
	bytes, port, variables goja.Value
	received               goja.Value // makes a Date
}

// functions are the forms of codec there are, the best first.
func functions() []function {
	return []function{
		{"decodeUplink", true, func(in *codecInput) []goja.Value { // LoRa Alliance TS013
			o := in.vm.NewObject()
			set(o, "bytes", in.bytes)
			set(o, "fPort", in.port)
			_ = o.DefineAccessorProperty("recvTime", in.received, nil, goja.FLAG_TRUE, goja.FLAG_TRUE)
			set(o, "variables", in.variables)
			return []goja.Value{o}
		}},
		{"Decoder", false, func(in *codecInput) []goja.Value { // The Things Network, version 2
			return []goja.Value{in.bytes, in.port}
		}},
		{"Decode", false, func(in *codecInput) []goja.Value { // ChirpStack, version 3
			return []goja.Value{in.port, in.bytes, in.variables}
		}},
	}
}

// set gives a new object a property, which cannot fail.
func set(o *goja.Object, key string, v goja.Value) { _ = o.Set(key, v) }

// loadScript compiles a source and finds its function. Its errors are about the source.
func loadScript(w *watch, name, variables, source string) (*script, error) {
	s := &script{
		name: name, variables: variables,
		console: strings.Contains(source, "console"),
		module:  strings.Contains(source, "module") || strings.Contains(source, "exports"),
	}
	if err := s.compile(w, source); err != nil {
		return nil, err
	}
	var known []string
	for _, f := range functions() {
		known = append(known, f.name)
		s.function = f
		// Bindings of let and const are no properties of the global object: they have to be
		// asked for by name.
		s.find = goja.MustCompile("", fmt.Sprintf(`typeof %[1]s === "function" ? %[1]s : typeof module === "object" && module !== null && module.exports ? module.exports.%[1]s : undefined`, f.name), false)
		found := false
		if err := s.run(w, func(vm *goja.Runtime) error {
			_, err := s.open(vm)
			found = !errors.Is(err, errNoFunction)
			if !found {
				err = nil
			}
			return err
		}); err != nil {
			return nil, err
		}
		if found {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s: defines no %s or %s", name, strings.Join(known[:len(known)-1], ", "), known[len(known)-1])
}

// compile compiles the source. Source maps would let a codec name a file for us to read.
func (s *script) compile(w *watch, source string) error {
	w.begin(goja.New(), limits{loadTime, loadMemory})
	ast, err := parser.ParseFile(nil, s.name, source, 0, parser.WithDisableSourceMaps)
	if err == nil {
		s.program, err = goja.CompileAST(ast, false)
	}
	if over := w.end(); over != nil {
		return fmt.Errorf("%s: is too large to compile", s.name)
	}
	var list parser.ErrorList
	var one *goja.CompilerSyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &list) && len(list) > 0:
		return fmt.Errorf("%s: line %d: %s", s.name, list[0].Position.Line, truncate(list[0].Message, maxText))
	case errors.As(err, &one) && one.File != nil:
		return fmt.Errorf("%s: line %d: %s", s.name, one.File.Position(one.Offset).Line, truncate(one.Message, maxText))
	}
	return fmt.Errorf("%s: %s", s.name, truncate(err.Error(), maxText))
}

var errNoFunction = errors.New("defines no such function")

// open runs the global code in a new runtime and gives the function.
func (s *script) open(vm *goja.Runtime) (goja.Callable, error) {
	if s.console {
		set(vm.GlobalObject(), "console", silentConsole(vm))
	}
	if s.module {
		module, exports := vm.NewObject(), vm.NewObject()
		set(module, "exports", exports)
		set(vm.GlobalObject(), "module", module)
		set(vm.GlobalObject(), "exports", exports)
	}
	if _, err := vm.RunProgram(s.program); err != nil {
		return nil, err
	}
	if f, ok := goja.AssertFunction(vm.GlobalObject().Get(s.function.name)); ok {
		return f, nil
	}
	v, err := vm.RunProgram(s.find)
	if err != nil {
		return nil, err
	}
	f, ok := goja.AssertFunction(v)
	if !ok {
		return nil, errNoFunction
	}
	return f, nil
}

// silentConsole is for codecs that were written at a desk: what they print goes nowhere.
func silentConsole(vm *goja.Runtime) *goja.Object {
	console := vm.NewObject()
	nothing := vm.ToValue(func(goja.FunctionCall) goja.Value { return goja.Undefined() })
	for _, name := range []string{"log", "info", "warn", "error", "debug", "trace", "dir", "table", "assert", "time", "timeEnd", "group", "groupEnd"} {
		set(console, name, nothing)
	}
	return console
}

// scriptFrame is what a worker knows of a frame.
type scriptFrame struct {
	port       int
	receivedMs int64
	payload    []byte
	plain      bool // null for numbers that are none; else they are nan and inf
}

// decode runs the codec on one payload and appends the document
// {"data":…,"warnings":[…],"errors":[…]} to out. Numbers that JSON cannot write are nan and
// inf in it, so that whoever needs them can tell them from what is absent.
func (s *script) decode(w *watch, f scriptFrame, out []byte) ([]byte, error) {
	err := s.run(w, func(vm *goja.Runtime) error {
		call, err := s.open(vm)
		if err != nil {
			return err
		}
		in, err := s.input(vm, f.port, f.receivedMs, f.payload)
		if err != nil {
			return err
		}
		result, err := call(goja.Undefined(), s.function.args(in)...)
		if err != nil {
			return err
		}
		out, err = s.document(vm, result, f.plain, out)
		return err
	})
	return out, err
}

func (s *script) input(vm *goja.Runtime, port int, receivedMs int64, payload []byte) (*codecInput, error) {
	in := &codecInput{vm: vm, port: goja.Undefined()}
	bytes := make([]any, len(payload))
	for i, b := range payload {
		bytes[i] = vm.ToValue(b)
	}
	in.bytes = vm.NewArray(bytes...)
	if port >= 0 {
		in.port = vm.ToValue(port)
	}
	if s.variables == "" {
		in.variables = vm.NewObject()
	} else {
		var given map[string]any
		if err := json.Unmarshal([]byte(s.variables), &given); err != nil {
			return nil, fmt.Errorf("variables: %w", err)
		}
		in.variables = plainValue(vm, given)
	}
	// Most codecs do not ask for the time, and a Date brings much with it into a new runtime.
	var date *goja.Object
	in.received = vm.ToValue(func(goja.FunctionCall) goja.Value {
		if date == nil {
			var err error
			if date, err = vm.New(vm.GlobalObject().Get("Date"), vm.ToValue(receivedMs)); err != nil {
				panic(err)
			}
		}
		return date
	})
	return in, nil
}

// plainValue makes JavaScript of what encoding/json reads; ToValue would wrap it.
func plainValue(vm *goja.Runtime, v any) goja.Value {
	switch v := v.(type) {
	case map[string]any:
		o := vm.NewObject()
		for key, item := range v {
			set(o, key, plainValue(vm, item))
		}
		return o
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = plainValue(vm, item)
		}
		return vm.NewArray(list...)
	}
	return vm.ToValue(v)
}

// run lets f use a fresh runtime within the limits. Its error is for a person.
func (s *script) run(w *watch, f func(*goja.Runtime) error) error {
	vm := goja.New()
	vm.SetMaxCallStackSize(maxCalls)
	vm.SetParserOptions(parser.WithDisableSourceMaps)
	w.begin(vm, limits{runTime, runMemory})
	err := catch(vm, func() error { return f(vm) })
	if err != nil {
		err = s.explain(vm, err)
	}
	if over := w.end(); over != nil {
		return fmt.Errorf("%s: %w", s.name, over)
	}
	return err
}

// catch turns whatever leaves f into an error.
func catch(vm *goja.Runtime, f func() error) (err error) {
	defer func() {
		if x := recover(); x != nil {
			var ok bool
			if err, ok = x.(error); !ok {
				err = fmt.Errorf("the JavaScript engine failed: %v", x)
			}
		}
	}()
	var inner error
	if ex := vm.Try(func() { inner = f() }); ex != nil {
		return ex
	}
	return inner
}

// explain says what a codec did wrong. To show what it threw may run more of its code.
func (s *script) explain(vm *goja.Runtime, err error) error {
	var thrown *goja.Exception
	var deep *goja.StackOverflowError
	switch {
	case errors.As(err, &deep):
		return fmt.Errorf("%s: its functions call each other deeper than %d", s.name, maxCalls)
	case !errors.As(err, &thrown):
		return fmt.Errorf("%s: %s", s.name, truncate(err.Error(), maxText))
	}
	text := "threw something that cannot be shown"
	_ = catch(vm, func() error {
		if thrown.Value() != nil {
			text = truncate(strings.ToValidUTF8(thrown.Value().String(), "\uFFFD"), maxText)
		}
		return nil
	})
	for _, frame := range thrown.Stack() {
		if line := frame.Position().Line; line > 0 {
			return fmt.Errorf("%s: line %d: %s", s.name, line, text)
		}
	}
	return fmt.Errorf("%s: %s", s.name, text)
}
