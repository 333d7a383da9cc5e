package profile_test

import (
	"strings"
	"testing"

	"gridgate/internal/grid"
)

// BenchmarkMonsters is the dearest a payload can be.
func BenchmarkMonsters(b *testing.B) {
	p, err := loadAll(b).Get("oma/lwm2m")
	if err != nil {
		b.Fatal(err)
	}
	door, err := loadAll(b).Get("senml/door")
	if err != nil {
		b.Fatal(err)
	}
	for name, f := range monsters(b) {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = p.Decode(f)
				_, _ = door.Decode(f)
			}
		})
	}
}

// benchPacks are the benches of BenchmarkDecode whose frames say a content format.
func benchPacks(b *testing.B) {
	set := loadAll(b)
	for _, c := range []struct {
		name, id string
		frame    grid.Frame
	}{
		{"senml_json", "senml/door", formatted(senmlJSON, "", `[{"bn":"urn:dev:ow:10e2073a01080063:","n":"open","vb":true},{"n":"battery","u":"%EL","v":96},{"n":"seq","v":41}]`)},
		{"senml_cbor", "senml/door", formatted(senmlCBOR, "", pack(b, map[any]any{-2: "urn:dev:ow:10e2073a01080063:", 0: "open", 4: true}, map[any]any{0: "battery", 1: "%EL", 2: 96}, map[any]any{0: "seq", 2: 41}))},
		{"lwm2m_tlv", "oma/door", formatted(omaTLV, "/3342/0", resource(5500, "\x01")+resource(5501, "\x01\x2c")+resource(5852, "\x28"))},
		{"lwm2m_tlv_channels", "oma/lwm2m", formatted(omaTLV, "/3342", object(0, resource(5500, "\x01"))+object(1, resource(5500, "\x00")))},
		{"lwm2m_senml_cbor", "oma/smoke", formatted(senmlCBOR, "", pack(b, map[any]any{-2: "/", 0: "3407/0/6046", 4: true}, map[any]any{0: "3/0/9", 2: 54}, map[any]any{0: "4/0/2", 2: -104}))},
		{"lwm2m_json", "oma/smoke", formatted(oldJSON, "", `{"bn":"/3407/0/","e":[{"n":"6046","bv":true},{"n":"6044","v":40}]}`)},
		{"lwm2m_text", "oma/door", formatted(plainText, "/3200/0/5500", "1")},
	} {
		p, err := set.Get(c.id)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Decode(c.frame); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
		})
	}
}
