package profile_test

import "testing"

// What a person sees of a codec is its own: as JSON.stringify would write it, and with no
// warning of ours among its warnings.
func TestOutputOfACodecIsThatOfJSONStringify(t *testing.T) {
	c := openCodec(t, `function decodeUplink(input) {
	  var list = [NaN, undefined, 1, function () {}];
	  list.push(-Infinity);
	  return {
	    data: {
	      nan: 0 / 0, inf: 1 / 0, nothing: undefined, none: null, list: list, zero: -0, far: 1e21, near: 1e-7,
	      when: new Date(0), never: new Date(NaN), f: function () {}, deep: {nan: NaN, list: [[NaN]]},
	      bytes: new Uint8Array(input.bytes), boxed: new Number(NaN)
	    },
	    warnings: ["its own"]
	  };
	}`)
	wantOutput(t, c, frame(t, 1, "01 02"), `{"data": {
	  "nan": null, "inf": null, "none": null, "list": [null, null, 1, null, null], "zero": 0, "far": 1e21, "near": 1e-7,
	  "when": "1970-01-01T00:00:00.000Z", "never": null, "deep": {"nan": null, "list": [[null]]},
	  "bytes": {"0": 1, "1": 2}, "boxed": null
	}, "warnings": ["its own"], "errors": []}`)
}

// Libraries compiled from TypeScript add functions to the prototype of every object; they
// are no values of a result.
func TestFunctionsThatACodecAddsToEveryObjectAreNoValues(t *testing.T) {
	c := openCodec(t, `"use strict";
	Object.prototype.readUInt16BE = function (at) { return this[at] << 8 | this[at + 1]; };
	if (typeof module !== "undefined") { module.exports = codec; }
	if (typeof process !== "undefined" && process.env.NODE_ENV === "test") { global.codec = codec; }
	var codec;
	(function (codec) { codec.decode = function (b) { return {a: b.readUInt16BE(0)}; }; })(codec || (codec = {}));
	function decodeUplink(input) { return {data: {bytes: codec.decode(input.bytes)}, warnings: [], errors: []}; }`)
	wantOutput(t, c, frame(t, 1, "01 02"), `{"data": {"bytes": {"a": 258}}, "warnings": [], "errors": []}`)
}
