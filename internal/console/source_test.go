package console

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// runs is how a page would take a text for a page or for a script. What the browser has for
// that stands beside the framework's own word.
var runs = regexp.MustCompile(`\{@html|\b(innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|srcdoc|parseFromString|createContextualFragment)\b|` +
	`document\.write|\beval\s*\(|\bnew Function\b|\bset(Timeout|Interval)\(\s*['"` + "`" + `]|(?i:javascript:)|\bvbscript:|<svelte:element|\{\.\.\.(JSON|await)`)

func TestNoPageTakesATextForAPage(t *testing.T) {
	for _, known := range []string{"{@html x}", "a.innerHTML = b", "eval (x)", `setTimeout('x')`, "href='JavaScript:x'", "new Function(x)"} {
		if !runs.MatchString(known) {
			t.Errorf("%q is not found: the test can see nothing", known)
		}
	}
	pages := 0
	err := filepath.WalkDir("ui", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n == "node_modules" || n == "e2e" || n == "shots" || n == "scripts" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".svelte") && !strings.HasSuffix(path, ".ts") && !strings.HasSuffix(path, ".html") || strings.HasSuffix(path, ".test.ts") || strings.HasSuffix(path, ".config.ts") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pages++
		for i, line := range strings.Split(string(b), "\n") {
			if found := runs.FindString(line); found != "" {
				t.Errorf("%s:%d: %q: want the text as a text", path, i+1, found)
			}
		}
		return nil
	})
	if err != nil || pages < 100 {
		t.Errorf("%d pages and scripts were read (%v)", pages, err)
	}
}
