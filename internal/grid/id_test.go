package grid

import (
	"testing"
	"time"
)

func TestNewIDIsAULIDMadeFromItsCause(t *testing.T) {
	at := time.UnixMilli(1469918176385)
	a := NewID(at, "bulk/1/7", 0)
	if a != NewID(at, "bulk/1/7", 0) {
		t.Error("the same cause gave two ids")
	}
	if a == NewID(at, "bulk/1/7", 1) || a == NewID(at, "bulk/1/8", 0) {
		t.Error("different causes gave one id")
	}
	// The time part is the one of the ULID specification's example.
	if got, want := a[:10], "01ARYZ6S41"; got != want || len(a) != 26 {
		t.Errorf("id is %q: want 26 characters beginning %q", a, want)
	}
	if later := NewID(at.Add(time.Millisecond), "x", 0); later <= a {
		t.Errorf("%q does not sort after %q", later, a)
	}
}
