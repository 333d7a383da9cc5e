// Package profile turns payloads into readings by firmware profiles: one YAML file a
// model and firmware range, with its cases beside it. A profile is data. It is read
// strictly, compiled once at load, and then decodes without touching the YAML again.
//
// A profile has two halves. The codec half (binary, tlv or json) names the fields of a
// payload. The signals half says what those fields mean, as canonical signals. The codec
// kinds differ only in how they fill fields; records, signals, ranges, times and
// counters are the same for all of them.
//
//	payload ─▶ codec ─▶ fields (one scope a frame, one more for each record) ─▶ signals ─▶ readings
package profile
