package profile_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// packProfiles are all profiles whose values carry names, and one in a resource of LwM2M.
func packProfiles(t testing.TB) []*profile.Profile {
	out := []*profile.Profile{parse(t, lwm2mOpaque), parse(t, lwm2mDoors), parse(t, lwm2mThing)}
	for _, p := range loadAll(t).List() {
		if p.Codec == "senml" || p.Codec == "lwm2m" {
			out = append(out, p)
		}
	}
	return out
}

// FuzzDecodePacks: whatever a payload holds, in whatever format and of whatever resource,
// it gives finite readings or a permanent error that names the profile.
func FuzzDecodePacks(f *testing.F) {
	f.Add([]byte(`[{"bn":"urn:dev:ow:1:","bt":-60,"n":"open","vb":true},{"n":"seq","v":1e3,"t":5}]`), uint16(senmlJSON), "")
	f.Add([]byte(`[{"bver":26,"bs":1,"bv":1e308,"n":"battery","v":1e308,"u":"/"},{"n":"tilt","vd":"AA"}]`), uint16(senmlJSON), "/")
	f.Add([]byte(`{"bn":"/3342/","bt":1e12,"e":[{"n":"0/5500","bv":true},{"n":"1/5500","sv":"1","t":-1}]}`), uint16(oldJSON), "/3342")
	f.Add([]byte(pack(f, map[any]any{-2: "/", -3: -1.5, 0: "3408/0/3", 4: true}, map[any]any{0: "3/0/9", 2: 50})), uint16(senmlCBOR), "")
	f.Add([]byte("\x81\xa2\x00\x64open\x02\xc4\x82\x21\x19\x0a\xab"), uint16(senmlCBOR), "")
	f.Add([]byte(object(0, resource(5500, "\x01"), several(11, value1(0, "\x01")))), uint16(omaTLV), "/3342")
	f.Add([]byte(resource(0, "\xa5\x01")), uint16(omaTLV), "/19/0")
	f.Add([]byte("-97"), uint16(plainText), "/4/0/2")
	f.Add([]byte("\xc1\x1a\x69\xa4\x2a\x80"), uint16(plainCBOR), "/3342/0/5518")
	f.Add([]byte{0xa5, 1}, uint16(octets), "/19/0/0")
	all := packProfiles(f)
	f.Fuzz(func(t *testing.T, payload []byte, format uint16, path string) {
		frame := formatted(format, path, string(payload))
		for _, p := range all {
			d, err := p.Decode(frame)
			if err != nil {
				if grid.CodeOf(err) != grid.Invalid || !strings.HasPrefix(err.Error(), "profile "+p.ID+": ") {
					t.Fatalf("%s: got %v", p.ID, err)
				}
				continue
			}
			if err := finite(d); err != nil {
				t.Fatalf("%s: %v", p.ID, err)
			}
		}
	})
}

// monsters are payloads of 64 KiB that ask for as much as they can.
func monsters(t testing.TB) map[string]grid.Frame {
	const most = 64 << 10
	fill := func(before, part, after string) string {
		return before + strings.Repeat(part, (most-len(before)-len(after))/len(part)) + after
	}
	numbered := func(n int, part func(int) string, join string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = part(i)
		}
		return strings.Join(parts, join)
	}
	records := make([]map[any]any, 1024)
	for i := range records {
		records[i] = map[any]any{0: fmt.Sprintf("/3342/%d/5500", i%200), 4: i%2 == 0, 6: -i}
	}
	return map[string]grid.Frame{
		"json depth":     formatted(senmlJSON, "", fill("", "[", "")),
		"json numbers":   formatted(senmlJSON, "", fill("[", "1,", "1]")),
		"json objects":   formatted(senmlJSON, "", fill("[", "{},", "{}]")),
		"json keys":      formatted(senmlJSON, "", fill("[{", `"a":1,`, `"n":"open","vb":true}]`)),
		"json times":     formatted(senmlJSON, "", "["+numbered(1024, func(i int) string { return fmt.Sprintf(`{"n":"open","vb":true,"t":-%d}`, i) }, ",")+"]"),
		"json names":     formatted(senmlJSON, "", fill(`[{"bn":"`, "a", `"},{"n":"open","v":1}]`)),
		"json channels":  formatted(senmlJSON, "", "["+numbered(1024, func(i int) string { return fmt.Sprintf(`{"n":"/3342/%d/5500","vb":true}`, i) }, ",")+"]"),
		"cbor empty":     formatted(senmlCBOR, "", "\x99\x08\x00"+strings.Repeat("\xa0", 2048)),
		"cbor nested":    formatted(senmlCBOR, "", "\x99\x07\xf0"+strings.Repeat("\xa1\x02\x98\x1c"+strings.Repeat("\xa0", 28), 0x7f0)),
		"cbor values":    formatted(senmlCBOR, "", "\x99\x04\x00"+strings.Repeat("\xa1\x02\x98\x39"+strings.Repeat("\x00", 57), 1024)),
		"cbor promises":  formatted(senmlCBOR, "", "\x9b\x00\x00\x7f\xff\xff\xff\xff\xff"+strings.Repeat("\xa0", 100)),
		"cbor bytes":     formatted(senmlCBOR, "", "\x81\xa1\x08\x5b\x00\x00\x00\x7f\xff\xff\xff\xff"),
		"cbor channels":  formatted(senmlCBOR, "", pack(t, records...)),
		"cbor value":     formatted(plainCBOR, "/3342/0/5500", fill("\x9f", "\x81\x80", "\xff")),
		"tlv instances":  formatted(omaTLV, "/3342", fill("", object(7, resource(5500, "\x01")), "")),
		"tlv resources":  formatted(omaTLV, "/3342/0", fill("", resource(5500, "\x01"), "")),
		"tlv empty":      formatted(omaTLV, "/3342", fill("", "\x00\x00", "")),
		"tlv multiple":   formatted(omaTLV, "/3/0", fill("", several(11, value1(0, "\x01"), value1(1, "\x01")), "")),
		"tlv channels":   formatted(omaTLV, "/3342", numbered(250, func(i int) string { return object(i, resource(5500, "\x01"), resource(5502, "\x01")) }, "")),
		"old json":       formatted(oldJSON, "", fill(`{"bn":"/","e":[`, `{"n":"3342/1/5500","bv":true},`, `{}]}`)),
		"one long text":  formatted(plainText, "/3342/0/5500", fill("", "1", "")),
		"opaque in cbor": formatted(plainCBOR, "/19/0/0", "\x59\xff\x00"+strings.Repeat("\xa5", 0xff00)),
	}
}

func TestNoPackCostsMoreThan16MiB(t *testing.T) {
	all := packProfiles(t)
	for name, f := range monsters(t) {
		if len(f.Payload) > 64<<10 {
			t.Fatalf("%s has %d bytes", name, len(f.Payload))
		}
		for _, p := range all {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d, err := p.Decode(f)
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
				t.Errorf("%s: %s takes %d MiB", p.ID, name, grown>>20)
			}
			if err != nil && grid.CodeOf(err) != grid.Invalid || err == nil && finite(d) != nil {
				t.Errorf("%s: %s: got %v", p.ID, name, err)
			}
		}
	}
}
