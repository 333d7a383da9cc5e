package profile_test

import (
	"testing"

	"gridgate/internal/grid"
)

func benchDecode(b *testing.B, id string, port int, payload string) {
	p, err := loadAll(b).Get(id)
	if err != nil {
		b.Fatal(err)
	}
	f := grid.Frame{Uplink: grid.Uplink{Port: port, Payload: []byte(payload)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Decode(f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}

// BenchmarkDecode is one core, one frame at a time.
func BenchmarkDecode(b *testing.B) {
	b.Run("binary10", func(b *testing.B) { // LDS02, 10 bytes
		benchDecode(b, "dragino/lds02", 10, "\x8b\x88\x01\x00\x00\x26\x00\x00\x01\x00")
	})
	b.Run("binary11_smoke", func(b *testing.B) { // RA02A, five readings
		benchDecode(b, "netvox/ra02a", 6, "\x01\x0a\x01\x1e\x01\x01\x04\xb0\x00\x00\x00")
	})
	b.Run("binary_expr", func(b *testing.B) { // NPS405 heartbeat
		benchDecode(b, "nwave/nps405", 2, "\x00\xd3\xd8")
	})
	b.Run("tlv", func(b *testing.B) { // WS301, three records
		benchDecode(b, "milesight/ws301", 85, "\x01\x75\x64\x03\x00\x01\x04\x00\x01")
	})
	b.Run("text", func(b *testing.B) { // a panel's line
		benchDecode(b, "gridgate/lines", -1, "FIRE L1-023 D420 2026/05/01 12:30:05 ROOM 3-201\r\n")
	})
	b.Run("json", func(b *testing.B) {
		benchDecode(b, "zigbee2mqtt/smoke", -1, `{"battery":100,"battery_low":false,"linkquality":120,"smoke":true,"tamper":false,"test":false,"voltage":3100}`)
	})
	benchPacks(b)
	b.Run("gbt26875", func(b *testing.B) { // a smoke detector with its place in words
		benchDecode(b, "gbt26875/transmitter", -1, string(gbFrame(1, gbSent, "\x02\x01"+gbComponent(2, "\xa3\xc1\xc7\xf8\xb2\xe3"))))
	})
	b.Run("gbt26875_blank", func(b *testing.B) {
		benchDecode(b, "gbt26875/transmitter", -1, string(gbFrame(1, gbSent, "\x02\x01"+gbComponent(2, ""))))
	})
	b.Run("modbus", func(b *testing.B) { // eight registers, behind their request
		request, response := adu(b, 3, 3, 0, 0, 0, 8), adu(b, 3, 3, 16, 0, 0, 0, 2, 0, 214, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		benchDecode(b, "modbus/greystone-cmd5", -1, string(append(request, response...)))
	})
	b.Run("javascript", benchJavaScript) // four readings
}

func BenchmarkGuess(b *testing.B) {
	set := loadAll(b)
	f := grid.Frame{Identity: "eui:24e124136b502217", Uplink: grid.Uplink{Port: 85, Model: "default", Payload: []byte("\x01\x75\x64\x03\x00\x01\x04\x00\x01")}}
	b.ReportAllocs()
	for b.Loop() {
		set.Guess(f)
	}
}

func BenchmarkGuessIdentity(b *testing.B) {
	set := loadAll(b)
	b.ReportAllocs()
	for b.Loop() {
		set.GuessIdentity("eui:24e124136b502217")
	}
}
