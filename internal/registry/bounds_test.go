package registry

import (
	"strings"
	"testing"

	"gridgate/internal/grid"
)

func TestAFileThatCostsMoreThanItsSizeIsRefusedBeforeItIsParsed(t *testing.T) {
	for what, text := range map[string]string{
		"lists": "points: " + strings.Repeat("[", 2_000_000), "maps": strings.Repeat(`{"a":`, 1000), "in lines": strings.Repeat("[\n", 1000),
		"spaced": strings.Repeat("{ a : ", 1000), "entries": strings.Repeat("- ", 2_000_000), "keys": strings.Repeat("? ", 1000),
		"after a text": `{"name":"a \" [","b":` + strings.Repeat("[", 1000), "after a comment": "# it's \"so\"\na: " + strings.Repeat("[", 1000),
		"aliases": "a: &a x\nb: [" + strings.Repeat("*a,", 5000) + "]", "aliases by line": "a: &a x\nb:\n" + strings.Repeat("  - *a\n", 5000),
	} {
		if _, err := Parse([]byte(text)); grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), "more than 100") {
			t.Errorf("%s: %.200v", what, err)
		}
	}
	for what, text := range map[string]string{
		"names": strings.Repeat("- {id: p, name: \"a [\", note: '{ it''s'}\n", 1000), "plain names": strings.Repeat("- name: a [ b, [ c-[ d:[ {\n", 1000),
		"many rows": `[` + strings.Repeat(`{"a":[1,{"b":2}]},`, 1000) + `1]`, "an end in a text": `{"a":"[[[`, "nothing": "", "stars": strings.Repeat("- name: 5*3 ** a\n", 5000),
		"comments": strings.Repeat("a: 1 # [[[ \"\n", 1000),
	} {
		if err := bounded([]byte(text)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
