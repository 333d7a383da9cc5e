package intake

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestPayloadAtTheLimitIsKeptWholeAndOverItIsRefused(t *testing.T) {
	w := Wire{Transport: "mqtt", Source: "s", MaxPayload: 2000, Now: time.Now, Identify: func(string, []byte) (grid.Identity, string, string) {
		return "sn:1", "native", ""
	}}
	if f := w.Frame("a", make([]byte, 2000), 0); f.Flags != 0 || len(f.Raw) != 2000 {
		t.Errorf("at the limit: flags %b, %d bytes", f.Flags, len(f.Raw))
	}
	f := w.Frame("a", make([]byte, 2001), grid.Retained)
	if f.Flags != grid.Refused|grid.Retained || len(f.Raw) != 1024 || cap(f.Raw) > 1024 || !strings.Contains(f.Note, "2001") || f.Identity != "sn:1" {
		t.Errorf("over it: flags %b, %d of %d bytes, note %q, identity %q", f.Flags, len(f.Raw), cap(f.Raw), f.Note, f.Identity)
	}
	w.MaxPayload = 10
	if f := w.Frame("a", make([]byte, 11), 0); len(f.Raw) != 11 {
		t.Errorf("a small limit: %d bytes", len(f.Raw))
	}
}

func TestRememberSeesThePayloadWholeAndCompletesTheAddress(t *testing.T) {
	var seen int
	var asked string
	w := Wire{MaxPayload: 2000, Now: time.Now, Ask: func(topic string, _ []byte) { asked = topic }, Identify: func(string, []byte) (grid.Identity, string, string) {
		return "sn:1", "native", ""
	}}
	w.Remember = func(f *grid.Frame, ask Ask) {
		seen = len(f.Raw)
		f.Address += "?model=x"
		ask("down", nil)
	}
	f := w.Frame("a", make([]byte, 3000), 0)
	if seen != 3000 || f.Address != "a?model=x" || f.Flags != grid.Refused || asked != "down" {
		t.Errorf("saw %d bytes, made %+v, asked %q", seen, f, asked)
	}
}
