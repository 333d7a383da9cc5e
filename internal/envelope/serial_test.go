package envelope

import (
	"testing"

	"gridgate/internal/grid"
)

func TestWhatComesOverALineIsThePayloadItself(t *testing.T) {
	for _, name := range []string{GB26875, Modbus, Lines} {
		f := grid.Frame{Identity: "line:a", Envelope: name, Raw: []byte{1, 2, 3}}
		if err := Open(&f); err != nil || string(f.Payload) != "\x01\x02\x03" || f.Port != -1 {
			t.Errorf("%s: got payload %x, port %d, %v", name, f.Payload, f.Port, err)
		}
	}
}
