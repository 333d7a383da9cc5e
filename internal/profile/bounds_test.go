package profile_test

import (
	"fmt"
	"runtime/metrics"
	"strings"
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// bombs are files that are small and would cost much.
func bombs() map[string]struct{ yaml, want string } {
	deepIf := strings.Repeat("{if: {field: x}, fields: [", 200) + "{name: y}" + strings.Repeat("]}", 200)
	return map[string]struct{ yaml, want string }{
		"aliases":           {"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "anchors and aliases"},
		"merge":             {"a: {x: 1}\nb: {<<: {y: 1}}\n", "anchors and aliases"},
		"tags":              {"profile: !!binary aGVsbG8=\n", "tags and directives"},
		"brackets":          {strings.Repeat("[", 50_000), "more than 24 deep"},
		"braces":            {"a: " + strings.Repeat("{a: ", 20_000), "more than 24 deep"},
		"dashes":            {strings.Repeat("- ", 50_000), "more than 24 deep"},
		"question marks":    {strings.Repeat("? ", 50_000), "more than 24 deep"},
		"stairs":            {stairs(1_000), "more than 24 deep"},
		"nested ifs":        {head + oneField("{name: x}, "+deepIf), "more than 24 deep"},
		"many fields":       {head + oneField("{name: x}"+strings.Repeat(", {name: x, at: 0}", 3_000)), "more than 2000 fields"},
		"many rules":        {head + strings.Replace(oneField("{name: x}"), "temperature: x", "temperature: [{field: x}"+strings.Repeat(", {field: x}", 600)+"]", 1), "more than 500 rules"},
		"a long expression": {head + strings.Replace(oneField("{name: x}"), "temperature: x", `temperature: {expr: "x`+strings.Repeat("+x", 2_000)+`"}`, 1), "want at most 2000"},
		"a giant count":     {head + oneField("{name: x}, {repeat: {count: 1000000000}, fields: [{name: y}]}"), "want count within 1-256"},
		"many words":        {"a: [" + strings.Repeat("1,", 60_000) + "1]\n", "words and signs: want at most 100000"},
		"a giant file":      {strings.Repeat("#", 2<<20), "want at most 1048576"},
	}
}

func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String()
}

func TestFilesThatWouldCostMoreThanTheirSizeAreRefused(t *testing.T) {
	set := loadAll(t)
	for title, bomb := range bombs() {
		_, err := profile.Parse([]byte(bomb.yaml))
		if err == nil || !strings.Contains(err.Error(), bomb.want) || len(err.Error()) > 500 {
			t.Errorf("%s: got %.300v: want %s", title, err, bomb.want)
		}
		if _, err := set.Candidate(map[string]string{"profile.yaml": bomb.yaml}); err == nil || len(err.Error()) > 500 {
			t.Errorf("%s handed in: got %.300v: want it refused", title, err)
		}
	}
}

func TestAFrameMayCostOnlySoManySteps(t *testing.T) {
	again := strings.Repeat(", {repeat: {count: 256, channel: \"#\"}, fields: [{name: x}]}, {name: y, at: 0}", 300)
	p := parse(t, oneField("{name: y}"+again))
	payload := make([]byte, 60_000)
	if d, err := p.DecodePayload(1, payload); err == nil || !strings.Contains(err.Error(), "takes more than 50000 steps") {
		t.Errorf("got %d readings, %v", len(d.Readings), err)
	}
	p = parse(t, "codec: tlv\nkey: {size: 1}\nrecords: [{keys: [\"00\"], channel: \"#\", fields: [{name: x}]}]\nsignals: {temperature: x}\n")
	if d, err := p.DecodePayload(1, payload[:10_000]); err == nil || !strings.Contains(err.Error(), "more than 2048 readings") {
		t.Errorf("got %d readings, %v", len(d.Readings), err)
	}
}

// maxDecodeBytes is what one Decode may allocate.
const maxDecodeBytes = 16 << 20

func TestNoProfileTakesMoreThan16MiBForAFrame(t *testing.T) {
	set := loadAll(t)
	for _, f := range awkwardFrames(t) {
		for _, p := range set.List() {
			if used := allocated(func() { p.Decode(f) }); used > maxDecodeBytes {
				t.Errorf("%s: %d bytes for a payload of %d beginning %.16x: want at most %d", p.ID, used, len(f.Payload), f.Payload, maxDecodeBytes)
			}
		}
	}
}

// awkwardFrames are seeds of the fuzzers and payloads of the greatest length.
func awkwardFrames(t testing.TB) []grid.Frame {
	var out []grid.Frame
	for _, seed := range seeds {
		out = append(out, grid.Frame{Uplink: grid.Uplink{Port: seed.port, Payload: []byte(seed.payload)}})
		if seed.payload == "" {
			continue
		}
		long := strings.Repeat(seed.payload, 64<<10/len(seed.payload))
		out = append(out, grid.Frame{Uplink: grid.Uplink{Port: seed.port, Payload: []byte(long)}})
	}
	return out
}

// allocated says how many bytes f asks for, as the runtime counts them: whole spans, so a
// small use may show as nothing and a great one within a few kilobytes.
func allocated(f func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}
