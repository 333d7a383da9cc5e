package verdict

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

// bait is a text that would be a script, or an address, if a page took it for one.
const bait = `"'><script>alert(1)</script><img src=x onerror=alert(2)><svg/onload=alert(3)>{{.}}`

// fill puts a text into every string of a value that a scenario or a gateway may have said.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() { // outcomes and the like are words of our own
			v.SetString(text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), text)
			}
		}
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), text)
		}
	}
}

func TestWhatAScenarioSaysIsTextOnEveryPage(t *testing.T) {
	r := sample()
	fill(reflect.ValueOf(&r).Elem(), bait)
	for what, page := range map[string]func(*bytes.Buffer) error{
		"the page": func(b *bytes.Buffer) error { return WriteHTML(b, r) }, "the index": func(b *bytes.Buffer) error { return WriteIndex(b, []string{bait}, r) },
	} {
		var b bytes.Buffer
		if err := page(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if !strings.Contains(text, "&lt;script&gt;alert(1)") {
			t.Errorf("%s does not show the text", what)
		}
		for _, runs := range []string{"<script>alert", "<img", "<svg/"} {
			if strings.Contains(text, runs) {
				at := strings.Index(text, runs)
				t.Errorf("%s takes a text for a page: %q", what, text[max(0, at-80):at+40])
			}
		}
	}
}
