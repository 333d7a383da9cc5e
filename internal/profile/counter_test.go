package profile_test

import (
	"strings"
	"testing"

	"gridgate/internal/profile"
)

func TestAShortCounterIsRefused(t *testing.T) {
	const body = "counter: {source: payload, field: n, bits: 7}\ncodec: json\nfields: [{name: n}, {name: t}]\nsignals: {temperature: t}\n"
	_, err := profile.Parse([]byte(head + body))
	if want := "counter: bits is 7: want 8 or more"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v: want %s", err, want)
	}
	if _, err := profile.Parse([]byte(head + strings.Replace(body, "7}", "8}", 1))); err != nil {
		t.Error(err)
	}
}
