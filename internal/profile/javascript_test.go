package profile_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

const codecDir = "testdata/javascript/"

// openCodec gives a codec of a source, or of a file of testdata.
func openCodec(t testing.TB, source string) *profile.Codec {
	t.Helper()
	if strings.HasSuffix(source, ".js") {
		b, err := os.ReadFile(codecDir + source)
		if err != nil {
			t.Fatal(err)
		}
		source = string(b)
	}
	c, err := profile.OpenCodec("codec.js", []byte(source), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func frame(t testing.TB, port int, hex string) grid.Frame {
	t.Helper()
	b, err := profile.ParseHex(hex)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	return grid.Frame{Received: at, Uplink: grid.Uplink{Port: port, Payload: b}}
}

// wantOutput compares what a codec gives with a document of JSON.
func wantOutput(t *testing.T, c *profile.Codec, f grid.Frame, want string) {
	t.Helper()
	b, err := json.Marshal(c.Decode(f))
	if err != nil {
		t.Fatal(err)
	}
	var got, expected any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("port %d % x: want -, got +\n%s", f.Port, f.Payload, diff)
	}
}

func TestCodecOfManyFormsOfTheLanguageGivesWhatItsAuthorSays(t *testing.T) {
	c := openCodec(t, "vault.js")
	for _, test := range []struct {
		port      int
		hex, want string
	}{
		{2, "01 75 5c 03 67 eb 00 04 00 01", `{"data": {"received": "2026-01-01T08:00:00.000Z", "battery": 92, "temperature": 23.5, "lid": "open"}, "warnings": [], "errors": []}`},
		{12, "03 67 f6 ff 04 00 00", `{"data": {"received": "2026-01-01T08:00:00.000Z", "temperature": -1, "lid": "closed"}, "warnings": [], "errors": []}`},
		{2, "01 75 07 05 0d 03", `{"data": {"received": "2026-01-01T08:00:00.000Z", "battery": 7, "weak": true, "note": "battery is weak", "smoke": true, "tamper": true, "test": false}, "warnings": [], "errors": []}`},
		{2, "06 7d 10 27", `{"data": {"received": "2026-01-01T08:00:00.000Z", "distance": 10000, "fill": 0}, "warnings": [], "errors": []}`},
		{2, "06 7d ff ff", `{"data": {"received": "2026-01-01T08:00:00.000Z", "distance": null, "fill": 0}, "warnings": [], "errors": []}`},
		{2, "07 ef de ad 00 0f", `{"data": {"received": "2026-01-01T08:00:00.000Z", "serial": "DEAD000F"}, "warnings": [], "errors": []}`},
		{2, "08 20 02 00 f1 36 5f 2c 01 80 51 01 00 00 80", `{"data": {"received": "2026-01-01T08:00:00.000Z", "history": [
			{"at": "2020-08-14T20:16:00.000Z", "temperature": 30}, {"at": "1970-01-02T00:00:00.000Z", "temperature": -3276.8}]}, "warnings": [], "errors": []}`},
		{2, "04 00 01 99 99 01", `{"data": {"received": "2026-01-01T08:00:00.000Z", "lid": "open"}, "warnings": ["channel 9999 is unknown, 1 bytes are left"], "errors": []}`},
		{3, "54 3d 2d 35 2e 35 3b 42 3d 39 30", `{"data": {"received": "2026-01-01T08:00:00.000Z", "temperature": -5.5, "battery": 90}, "warnings": [], "errors": []}`},
		{3, "41 22", `{"data": null, "warnings": [], "errors": ["no text of this sensor: \"A\\\"\""]}`},
		{4, "00", `{"data": {}, "warnings": [], "errors": ["port 4 is unknown"]}`},
		{2, "03 67 01", `{"data": null, "warnings": [], "errors": ["codec.js: line 38: Error: the payload ends at byte 3, wanted 4"]}`},
	} {
		wantOutput(t, c, frame(t, test.port, test.hex), test.want)
	}
}

func TestCodecsOfAllFormsGiveTheSame(t *testing.T) {
	b, err := os.ReadFile(codecDir + "gate.js")
	if err != nil {
		t.Fatal(err)
	}
	whole := string(b)
	newest := strings.Index(whole, "function decodeUplink")
	older := strings.Index(whole, "// ChirpStack version 3")
	oldest := strings.Index(whole, "// The Things Network version 2")
	rest := strings.Index(whole, "function gateDecode")
	const want = `{"data": {"battery": 88, "temperature": -0.1, "magnet": "open", "sn": "0102030405060708"}, "warnings": [], "errors": []}`
	for _, test := range []struct{ function, source string }{
		{"decodeUplink", whole},
		{"decodeUplink", whole[newest:older] + whole[rest:]},
		{"Decode", whole[older:oldest] + whole[rest:]},
		{"Decoder", whole[oldest:]},
		{"decodeUplink", whole[rest:] + "\nconst decodeUplink = ({ bytes }) => ({ data: gateDecode(bytes) });"},
		{"decodeUplink", whole[rest:] + "\nmodule.exports = { decodeUplink: function (input) { return { data: gateDecode(input.bytes) }; } };"},
		{"Decode", whole[rest:] + "\nexports.Decode = function (fPort, bytes) { return gateDecode(bytes); };"},
		{"decodeUplink", "(function (root) {" + whole + "\nroot.decodeUplink = decodeUplink; })(this);"},
		{"decodeUplink", "if (typeof module !== 'undefined') { module.exports.decodeUplink = decodeUplink; }\n" + whole},
	} {
		c := openCodec(t, test.source)
		if c.Function() != test.function {
			t.Errorf("got %s: want %s", c.Function(), test.function)
		}
		wantOutput(t, c, frame(t, 85, "01 75 58 03 67 ff ff 06 00 01 ff 16 01 02 03 04 05 06 07 08"), want)
	}
}

func TestCodecGetsWhatTheFrameSays(t *testing.T) {
	c := openCodec(t, `function decodeUplink(input) {
		console.log("nobody reads this", input);
		return { data: { port: input.fPort, isArray: Array.isArray(input.bytes), bytes: input.bytes,
			date: input.recvTime instanceof Date, ms: input.recvTime.getTime(), same: input.recvTime === input.recvTime, keys: Object.keys(input).join(), hours: input.recvTime.getHours(), variables: input.variables } };
	}`)
	wantOutput(t, c, frame(t, 7, "00 7f 80 ff"), `{"data": {"port": 7, "isArray": true, "bytes": [0, 127, 128, 255], "date": true, "ms": 1767254400000, "same": true, "keys": "bytes,fPort,recvTime,variables", "hours": 8, "variables": {}}, "warnings": [], "errors": []}`)
	f := frame(t, -1, "00")
	f.Received = time.Time{}
	wantOutput(t, c, f, `{"data": {"isArray": true, "bytes": [0], "date": true, "ms": 0, "same": true, "keys": "bytes,fPort,recvTime,variables", "hours": 0, "variables": {}}, "warnings": [], "errors": []}`)
}

func TestCodecGetsItsVariables(t *testing.T) {
	c, err := profile.OpenCodec("codec.js", []byte("function Decode(fPort, bytes, v) { v.list.push(3); return { all: v, sum: v.list.map(x => x * v.deep.scale) }; }"),
		json.RawMessage(`{"list": [1, 2], "deep": {"scale": 0.5}, "none": null, "yes": true, "text": "ä"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 { // what a frame does to them is gone with it
		wantOutput(t, c, frame(t, 1, "00"), `{"data": {"all": {"list": [1, 2, 3], "deep": {"scale": 0.5}, "none": null, "yes": true, "text": "ä"}, "sum": [0.5, 1, 1.5]}, "warnings": [], "errors": []}`)
	}
	if _, err := profile.OpenCodec("codec.js", []byte("function Decode() {}"), json.RawMessage(`[1]`)); err == nil || !strings.Contains(err.Error(), "want a JSON object") {
		t.Errorf("got %v", err)
	}
}

func TestResultIsWrittenAsJSONStringifyDoes(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		{`{a: undefined, b: null, c: () => 1, d: Symbol("x"), e: [undefined, () => 1, null]}`, `{"b":null,"e":[null,null,null]}`},
		{`{a: -0, b: 1e21, c: 1e-7, d: 0.1 + 0.2, e: 123456789012, f: 2 ** 53}`, `{"a":0,"b":1e+21,"c":1e-07,"d":0.30000000000000004,"e":123456789012,"f":9007199254740992}`},
		{`{"": "\u0000\n\"\\ä\u{1F525}", "a.b": "\ud800"}`, `{"":"\u0000\u000a\"\\ä🔥","a.b":"` + "\uFFFD" + `"}`},
		{`{a: new Number(5), b: new String("x"), c: new Boolean(false), d: new Date(0), e: 12n}`, `{"a":5,"b":"x","c":false,"d":"1970-01-01T00:00:00.000Z","e":12}`},
		{`{a: {toJSON() { return {x: 1}; }}, b: {toJSON(key) { return key; }}, c: {toJSON() {}}, d: {toJSON: 5}}`, `{"a":{"x":1},"b":"b","d":{"toJSON":5}}`},
		{`{get a() { return 1; }, b: new Map([[1, 2]]), c: new Uint8Array([1, 2]), d: /x/}`, `{"a":1,"b":{},"c":{"0":1,"1":2},"d":{}}`},
		{`new Proxy({a: 1}, {get: (o, key) => typeof key === "string" && key.length === 1 ? 7 : undefined})`, `{"a":7}`},
		{`Object.create({inherited: 1}, {own: {value: 1, enumerable: true}, hidden: {value: 2}})`, `{"own":1}`},
		{`[1, [2], {a: 3}]`, `[1,[2],{"a":3}]`},
	} {
		out := openCodec(t, "function decodeUplink() { return {data: "+test.source+"}; }").Decode(frame(t, 1, "00"))
		if string(out.Data) != test.want || len(out.Errors) > 0 {
			t.Errorf("%s: got %s %q: want %s", test.source, out.Data, out.Errors, test.want)
		}
	}
}

// hostile are codecs that go wrong on port 66 and give {x: 1} on every other.
var hostile = []struct{ name, source, want string }{
	{"endless loop", `while (true);`, "ran longer than 10 ms"},
	{"endless loop that catches", `for (;;) { try { while (true); } catch (e) {} finally { continue; } }`, "ran longer than 10 ms"},
	{"giant array", `new Array(1e9).fill(0);`, "used more than 16 MiB|ran longer than 10 ms|more than"},
	{"giant array by parts", `var a = []; for (;;) a.push(new Array(1000).fill(a));`, "used more than 16 MiB|ran longer than 10 ms"},
	{"giant buffer", `new ArrayBuffer(2 ** 26).byteLength;`, "used more than 16 MiB"},
	{"string doubling", `var s = "x"; for (;;) s += s;`, "used more than 16 MiB|ran longer than 10 ms|invalid string length|Invalid string length"},
	{"long string", `"x".repeat(2 ** 30);`, "used more than 16 MiB|out of memory|Invalid"},
	{"garbage", `for (;;) JSON.stringify(new Array(10000).fill("xxxxxxxxxxxxxxxx"));`, "used more than 16 MiB|ran longer than 10 ms"},
	{"sparse length", `var a = []; a[4294967294] = 1; return {data: a};`, "more than 10000 values|ran longer than 10 ms"},
	{"JSON of deep nesting", `JSON.parse("[".repeat(100000) + "]".repeat(100000));`, "ran longer|used more|deep|SyntaxError"},
	{"recursion", `(function f() { return f() + 1; })();`, "deeper than 1000|ran longer than 10 ms"},
	{"recursion that catches", `(function f() { try { f(); } catch (e) { f(); } })();`, "deeper than 1000|ran longer"},
	{"recursion by natives", `var o = {toString() { return "" + o; }}; "" + o;`, "deeper than 1000|ran longer"},
	{"recursion by sort", `(function f() { [2, 1].sort(f); })();`, "deeper than 1000|ran longer"},
	{"deep source for eval", `eval("(".repeat(1000000));`, "ran longer|used more|deep|Error|ended twice"},
	{"catastrophic regular expression", `/^(a+)+\1$/.test("a".repeat(40) + "b");`, "ran longer than 10 ms"},
	{"catastrophic regular expression, looking ahead", `/^(?=(a+)+$)(a+)+$/.test("a".repeat(60) + "b");`, "ran longer than 10 ms"},
	{"throw", `throw new RangeError("no such thing");`, "line 2: RangeError: no such thing"},
	{"throw null", `throw null;`, "null"},
	{"throw undefined", `throw undefined;`, "undefined"},
	{"throw what cannot be shown", `throw {toString() { throw 1; }};`, "cannot be shown"},
	{"throw what shows itself for ever", `throw {toString() { for (;;); }};`, "ran longer than 10 ms"},
	{"throw a symbol", `throw Symbol("x");`, "line 2: x"},
	{"throw a long text", `throw "y".repeat(100000);`, "yyy… (100000)|ran longer than 10 ms"},
	{"reference", `nothing.at.all;`, "ReferenceError: nothing is not defined"},
	{"undefined", `return undefined;`, "decodeUplink gave nothing: want an object"},
	{"null", `return null;`, "decodeUplink gave null: want an object"},
	{"a number", `return 5;`, "decodeUplink gave a number: want an object"},
	{"no data", `return {warnings: []};`, "decodeUplink gave nothing as data: want an object"},
	{"data of text", `return {data: "x"};`, "decodeUplink gave a text as data: want an object"},
	{"a promise", `return Promise.resolve({data: {x: 1}});`, "decodeUplink gave nothing as data"},
	{"errors", `return {data: {x: 1}, errors: ["first", "second"]};`, "first; second"},
	{"an error of text", `return {errors: "all is lost"};`, "all is lost"},
	{"errors for ever", `return {errors: {length: 1e9, get 0() { for (;;); }, toString() { return "odd"; }}};`, "odd"},
	{"a million errors", `return {errors: new Array(1000).fill("e")};`, "e; e"},
	{"a getter that throws", `return {data: {get x() { throw new Error("mine"); }}};`, "Error: mine"},
	{"a getter for ever", `return {data: {get x() { for (;;); }}};`, "ran longer than 10 ms"},
	{"a proxy that throws", `return new Proxy({}, {get() { throw new Error("trap"); }});`, "Error: trap"},
	{"a proxy of endless keys", `return {data: new Proxy({}, {ownKeys() { for (;;); }})};`, "ran longer than 10 ms"},
	{"toJSON for ever", `return {data: {toJSON() { for (;;); }}};`, "ran longer than 10 ms"},
	{"toJSON that nests", `return {data: {toJSON() { return {y: this, x: 1}; }}};`, "deeper than 32|ran longer than 10 ms"},
	{"a circle", `var o = {}; o.o = o; return {data: o};`, "deeper than 32|ran longer than 10 ms"},
	{"a deep result", `var o = {}; for (var i = 0; i < 40; i++) o = {o}; return {data: o};`, "deeper than 32|ran longer than 10 ms"},
	{"many keys", `var o = {}; for (var i = 0; i < 1e6; i++) o["k" + i] = i; return {data: o};`, "ran longer|used more|more than 10000 values"},
	{"many values", `return {data: new Array(20000).fill(1)};`, "more than 10000 values|ran longer than 10 ms"},
	{"a long text", `return {data: {x: "y".repeat(300 << 10)}};`, "more than 256 KiB|ran longer than 10 ms"},
	{"long texts", `return {data: {list: new Array(100).fill("y".repeat(10000))}};`, "more than 256 KiB|ran longer than 10 ms"},
	{"frozen Object", `Object.prototype.x = 5; Array.prototype.push = null; throw new Error("polluted");`, "polluted"},
	{"lost globals", `helper = null; decodeUplink = null; JSON = null; Object = Array = Date = undefined; throw new Error("overwritten");`, "overwritten"},
}

func hostileSource(body string) string {
	return `function helper(v) { return {data: {x: v}}; } function decodeUplink(input) { if (input.fPort === 66) {
` + body + `
} return helper(1); }`
}

func TestHostileCodeEndsInAnErrorAndTheNextFrameIsDecoded(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			p := javascript(t, hostileSource(h.source))
			for range 2 {
				d, err := decode(t, p, 66, "00")
				switch {
				case err == nil:
					t.Fatalf("got %+v: want an error", d)
				case grid.CodeOf(err) != grid.Invalid || !strings.HasPrefix(err.Error(), "profile acme/one: "):
					t.Errorf("got %v: want a permanent error", err)
				case !containsAny(err.Error(), h.want):
					t.Errorf("got %q: want one with %q", err, h.want)
				case len(err.Error()) > 600:
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
				d, err = decode(t, p, 1, "00")
				if err != nil {
					t.Fatalf("the next frame: %v", err)
				}
				if x := value(t, d, grid.Temperature); x != 1 {
					t.Errorf("the next frame: got %v: want 1", x)
				}
			}
		})
	}
}

func containsAny(s, words string) bool {
	for word := range strings.SplitSeq(words, "|") {
		if strings.Contains(s, word) {
			return true
		}
	}
	return false
}

func TestSourceThatIsWrongFailsTheLoad(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		{"var a = 1;\nfunction decodeUplink( {", "codec.js: line 2: "},
		{"let a;\nlet b;\nlet a;", "codec.js: line 3: "},
		{"function encodeDownlink() {}", "codec.js: defines no decodeUplink, Decoder or Decode"},
		{"var decodeUplink = 5;", "codec.js: defines no decodeUplink, Decoder or Decode"},
		{"", "codec.js: defines no decodeUplink"},
		{"for (;;) {}", "codec.js: ran longer than 10 ms"},
		{"var a = []; for (;;) a.push(new Array(1000).fill(0));", "codec.js: "},
		{"\n\nthrow new Error('not today');", "codec.js: line 3: Error: not today"},
		{"function decodeUplink() {} null.x;", "codec.js: line 1: TypeError"},
		{strings.Repeat("(", 500_000), "codec.js: "},
		{strings.Repeat("[", 200_000), "codec.js: "},
		{strings.Repeat("{a:", 100_000), "codec.js: "},
		{"import x from 'fs'; function decodeUplink() {}", "codec.js: line 1: "},
		{"require('fs'); function decodeUplink() {}", "codec.js: line 1: ReferenceError: require is not defined"},
	} {
		c, err := profile.OpenCodec("codec.js", []byte(test.source), nil)
		if err == nil {
			c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.60q: got %v: want %q", test.source, err, test.want)
		}
	}
}

func TestCodecCannotNameAFileForUsToRead(t *testing.T) {
	missing := "//# sourceMappingURL=" + t.TempDir() + "/no-such-map.json\n"
	c := openCodec(t, "function decodeUplink() { return {data: {x: eval(\"1 + 1\\n"+strings.TrimSpace(missing)+"\")}}; }\n"+missing)
	wantOutput(t, c, frame(t, 1, "00"), `{"data": {"x": 2}, "warnings": [], "errors": []}`)
}

func TestNothingOfAFrameIsLeftInTheNext(t *testing.T) {
	for _, test := range []struct{ name, source string }{
		{"an object that is filled", `var out = {}; function decodeUplink(i) { if (i.bytes[0]) out.old = true; return {data: out}; }`},
		{"a binding", `let last; function decodeUplink(i) { var was = last; last = i.bytes[0]; return {data: {was}}; }`},
		{"a closure", `var decodeUplink = (function () { var n = 0; return function () { n++; return {data: n > 1 ? {n} : {}}; }; })();`},
		{"a global by mistake", `function decodeUplink(i) { var was = typeof left; left = 1; return {data: was === "undefined" ? {} : {was}}; }`},
		{"a table", `const T = {a: []}; function decodeUplink(i) { var d = T.a.length ? {T} : {}; T.a.push(1); return {data: d}; }`},
		{"a map", `const M = new Map(); function decodeUplink(i) { var d = M.size ? {s: M.size} : {}; M.set(1, 2); return {data: d}; }`},
		{"a prototype", `function decodeUplink(i) { var d = {}; if ("old" in d) return {data: {old: 1}}; d["__proto__"]["old"] = 1; return {data: d}; }`},
		{"a method", `function decodeUplink(i) { var d = [1].map(x => x).length === 1 ? {} : {lost: 1}; Array.prototype.map = () => []; return {data: d}; }`},
		{"a property of a function", `function decodeUplink(i) { var d = decodeUplink.n ? {n: 1} : {}; decodeUplink.n = 1; return {data: d}; }`},
		{"a regular expression", `const R = /a/g; function decodeUplink(i) { var d = R.lastIndex ? {n: 1} : {}; R.exec("aa"); return {data: d}; }`},
		{"a job", `function decodeUplink(i) { var d = globalThis.late ? {n: 1} : {}; Promise.resolve().then(() => { globalThis.late = 1; }); return {data: d}; }`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := openCodec(t, test.source)
			c.Decode(frame(t, 1, "01"))
			for range 3 {
				out := c.Decode(frame(t, 1, "00"))
				if string(out.Data) != "{}" || len(out.Errors) > 0 {
					t.Errorf("got %s %q: want {}", out.Data, out.Errors)
				}
			}
		})
	}
}

// javascript is a profile of a source, with the field x of its data as the temperature.
func javascript(t testing.TB, source string) *profile.Profile {
	t.Helper()
	return javascriptProfile(t, source, "fields: [{name: x}]\nsignals: {temperature: x}\n")
}

func javascriptProfile(t testing.TB, source, rest string) *profile.Profile {
	t.Helper()
	p := parse(t, "codec: javascript\njavascript:\n  source: |\n"+indented(source)+"\n"+rest)
	t.Cleanup(p.Close)
	return p
}

func indented(s string) string {
	var out strings.Builder
	for line := range strings.Lines(s) {
		out.WriteString("    " + line)
	}
	return out.String()
}

func TestSignalsAreMadeOfWhatTheCodeGives(t *testing.T) {
	b, err := os.ReadFile(codecDir + "vault.js")
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{
		"acme/one/codec.js": {Data: b},
		"acme/one/profile.yaml": {Data: []byte(head + `
codec: javascript
javascript: {file: codec.js}
ports: [2, 3]
unknown_port: ignore
time: {field: received}
fields:
  - {name: received, type: time}
  - {name: battery}
  - {name: temperature, range: [-40, 85]}
  - {name: lid, enum: {open: open, closed: closed}}
  - {name: tamper}
  - {name: mm, path: distance}
records:
  - {each: history, time: {field: at}, history: true, fields: [{name: at, type: time}, {name: past, path: temperature}]}
signals:
  battery.level: battery
  temperature: [{field: temperature}, {field: past}]
  manhole.open: {field: lid, is: open}
  manhole.level: {field: mm, scale: 0.001}
  tamper: tamper
`)},
		"acme/two/profile.yaml": {Data: []byte(strings.Replace(`
profile: acme/two
extends: acme/one
version: "1"
vendor: Acme
model: Two
source: invented for a test
signals: {battery.low: {field: battery, below: 10}}
`, "", "", 1))},
		"acme/one/cases.yaml": {Data: []byte(`
cases:
  - {name: open, port: 2, received: 2026-01-01T08:00:00Z, hex: 01755c 040001 050d02 067d1027, want: {time: 2026-01-01T08:00:00Z, readings: {battery.level: 92, manhole.open: true, tamper: true, manhole.level: 10}}}
  - {name: closed, port: 2, received: 2026-01-01T08:00:00Z, hex: 040000 050d00 0367f4ff, want: {time: 2026-01-01T08:00:00Z, readings: {manhole.open: false, tamper: false, temperature: -1.2}}}
  - {name: no level, port: 2, received: 2026-01-01T08:00:00Z, hex: 040000 067dffff, want: {time: 2026-01-01T08:00:00Z, readings: {manhole.open: false}, warnings: ['field "mm": is no number']}}
  - {name: past, port: 2, received: 2026-01-01T08:00:00Z, hex: 082001 805101 00 2c01, want: {time: 2026-01-01T08:00:00Z, history: [{signal: temperature, value: 30, at: 1970-01-02T00:00:00Z}]}}
  - {name: text, port: 3, received: 2026-01-01T08:00:00Z, text: T=200;B=9, want: {time: 2026-01-01T08:00:00Z, readings: {temperature: 200, battery.level: 9}, suspect: [temperature]}}
  - {name: unknown channel, port: 2, received: 2026-01-01T08:00:00Z, hex: 040000 9999, want: {time: 2026-01-01T08:00:00Z, readings: {manhole.open: false}, warnings: ["codec.js: channel 9999 is unknown"]}}
  - {name: cut short, port: 2, hex: "0367", error: "codec.js: line 38: Error: the payload ends at byte 2, wanted 4"}
  - {name: no such text, port: 3, text: hello, error: "codec.js: no text of this sensor"}
  - {name: another port, port: 9, hex: "00", want: {}}
`)},
	}
	for _, err := range profile.Lint(fsys, "acme/one") {
		t.Error(err)
	}
	set, err := profile.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	two, err := set.Get("acme/two")
	if err != nil {
		t.Fatal(err)
	}
	d, err := two.Decode(frame(t, 2, "01 75 05"))
	if err != nil || value(t, d, grid.BatteryLow) != 1 || value(t, d, grid.BatteryLevel) != 5 {
		t.Errorf("the profile that extends it: got %+v, %v", d, err)
	}
}

func TestPortThatNobodySaidIsTheOnlyOneOfTheProfile(t *testing.T) {
	const echo = "function decodeUplink(i) { return {data: {x: i.fPort}}; }"
	p := javascriptProfile(t, echo, "ports: [7]\nfields: [{name: x}]\nsignals: {temperature: x}\n")
	d, err := decode(t, p, -1, "00")
	if err != nil || value(t, d, grid.Temperature) != 7 {
		t.Errorf("got %+v, %v: want port 7", d, err)
	}
	if _, err := decode(t, p, 8, "00"); err == nil || !strings.Contains(err.Error(), "port 8 is unknown: want 7") {
		t.Errorf("got %v", err)
	}
}

func TestFireThatIsNoNumberIsAnError(t *testing.T) {
	for _, given := range []string{"NaN", "1 / 0", "-1 / 0", `"maybe"`, "{}", "[]"} {
		p := javascriptProfile(t, "function decodeUplink(i) { return {data: {fire: "+given+", t: 20}}; }",
			"fields: [{name: fire}, {name: t}]\nsignals: {smoke.alarm: fire, temperature: t}\n")
		if d, err := decode(t, p, 1, "00"); err == nil || !strings.Contains(err.Error(), `field "fire"`) {
			t.Errorf("%s: got %+v, %v: want an error about the field", given, d, err)
		}
	}
}

func TestJavaScriptProfileThatIsWrongFailsTheLoad(t *testing.T) {
	const rest = "fields: [{name: x}]\nsignals: {temperature: x}\n"
	for _, test := range []struct{ yaml, want string }{
		{rest, "javascript is missing"},
		{"javascript: {file: codec.js}\n" + rest, "want it in the folder of the profile"},
		{"javascript: {file: a.js, source: b}\n" + rest, "javascript: "},
		{"javascript: {}\n" + rest, "want one of file and source"},
		{"javascript: {source: \"function (\"}\n" + rest, "javascript: source: line 1: "},
		{"javascript: {source: \"1\"}\n" + rest, "javascript: source: defines no decodeUplink, Decoder or Decode"},
		{"javascript: {sauce: \"1\"}\n" + rest, `unknown key "sauce"`},
		{"javascript: {source: \"function Decode() {}\"}\nsignals: {temperature: x}\n", "fields: a javascript profile wants at least one"},
		{"javascript: {source: \"function Decode() {}\"}\nlayouts: [{name: a}]\n" + rest, "layouts has no place in a javascript profile"},
	} {
		p, err := profile.Parse([]byte(head + "codec: javascript\n" + test.yaml))
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v: want %q", test.yaml, err, test.want)
		}
	}
	for _, file := range []string{"../one/codec.js", "/etc/passwd", "no.js", ".", "sub/codec.js", "empty.js"} {
		fsys := fstest.MapFS{
			"acme/one/empty.js":     {Data: []byte("\n")},
			"acme/one/sub/codec.js": {Data: []byte("function Decode() {}")},
			"acme/one/profile.yaml": {Data: []byte(head + "codec: javascript\njavascript: {file: \"" + file + "\"}\n" + rest)},
		}
		if set, err := profile.Load(fsys); err == nil {
			set.Close()
			t.Errorf("file %s: got no error", file)
		}
	}
}

func TestProgramThatIsAWorkerStartsNone(t *testing.T) {
	t.Setenv(profile.WorkerEnv, "1")
	_, err := profile.OpenCodec("codec.js", []byte("function Decode() {}"), nil)
	if err == nil || !strings.Contains(err.Error(), "want profile.RunWorker() first in its main function") {
		t.Errorf("got %v", err)
	}
}

func TestClosedProfileDecodesNoMore(t *testing.T) {
	p := javascript(t, "function decodeUplink() { return {data: {x: 1}}; }")
	p.Close()
	if _, err := decode(t, p, 1, "00"); err == nil || !strings.Contains(err.Error(), "the profiles are closed") {
		t.Errorf("got %v", err)
	}
	p.Close()
}

// FuzzJavaScript: whatever a payload holds, a codec gives a document of JSON with finite
// numbers, or says what is wrong; and so for whatever a source holds.
func FuzzJavaScript(f *testing.F) {
	b, err := os.ReadFile(codecDir + "vault.js")
	if err != nil {
		f.Fatal(err)
	}
	vault, err := profile.OpenCodec("vault.js", b, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(vault.Close)
	set, err := profile.Load(fstest.MapFS{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(set.Close)
	f.Add([]byte("\x01\x75\x5c\x03\x67\xd2\x00\x04\x00\x01\x05\x0d\x02"), 2, "function decodeUplink(i) { return {data: {x: i.bytes[0] / 0}} }")
	f.Add([]byte("T=1;B=2"), 3, "exports.Decode = (p, b) => b.map(x => x ** p)")
	f.Add([]byte("\x08\x20\xff\x00"), 12, "/(a+)+\\1$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaab'); function Decoder() { return {} }")
	f.Add([]byte("\x06\x7d\xff\xff"), -1, "function* g() { yield* g() } class A { #x = 1; static { this.y = [...g()] } }")
	f.Fuzz(func(t *testing.T, payload []byte, port int, source string) {
		if len(payload) == 0 || len(payload) > 64<<10 || len(source) > 4096 {
			return
		}
		in := grid.Frame{Uplink: grid.Uplink{Port: port, Payload: payload}}
		checkOutput(t, vault.Decode(in))
		p, err := set.Compile(map[string]string{
			"codec.js":     source,
			"profile.yaml": head + "codec: javascript\njavascript: {file: codec.js}\nfields: [{name: x}]\nsignals: {temperature: x}\n",
		})
		if err != nil {
			return
		}
		if d, err := p.Decode(in); err == nil {
			if err := finite(d); err != nil {
				t.Fatal(err)
			}
		} else if grid.CodeOf(err) != grid.Invalid {
			t.Fatalf("got %v", err)
		}
	})
}

func checkOutput(t *testing.T, out profile.CodecOutput) {
	t.Helper()
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatalf("%s: %v", out.Data, err)
	}
	var back map[string]any
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if back["data"] == nil && len(out.Errors) == 0 {
		t.Fatalf("neither data nor an error: %s", b)
	}
	var numbers func(any) error
	numbers = func(v any) error {
		switch v := v.(type) {
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%v in %s", v, b)
			}
		case map[string]any:
			for _, item := range v {
				if err := numbers(item); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := numbers(back); err != nil {
		t.Fatal(err)
	}
}
