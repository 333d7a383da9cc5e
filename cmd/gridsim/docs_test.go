package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryGridsimOfTheDocsExists: each `gridsim …` of a page is a command of ours, and has
// the flags that the page gives it.
func TestEveryGridsimOfTheDocsExists(t *testing.T) {
	written := regexp.MustCompile(`(?m)(?:^(?:    )?(?:\$ )?(?:bin/|\./)?|; ?|&& ?)gridsim ([^\n]*)|` + "`gridsim ([^`]+)`")
	seen := 0
	for _, glob := range []string{"../../README.md", "../../docs/*.md", "../../docs/zh/*.md"} {
		pages, err := filepath.Glob(glob)
		if err != nil || len(pages) == 0 {
			t.Fatalf("%s: %d pages, %v", glob, len(pages), err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range written.FindAllStringSubmatch(string(text), -1) {
				line := strings.ReplaceAll(m[1]+m[2], "\n", " ")
				for _, wrong := range unknown(line) {
					t.Errorf("%s: gridsim %s: %s", filepath.Base(page), line, wrong)
				}
				seen++
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d commands were found on the pages", seen)
	}
}

// unknown says what of a line the command line does not know.
func unknown(line string) (wrong []string) {
	line, _, _ = strings.Cut(line, " # ")
	root := &cobra.Command{Use: "gridsim"}
	root.PersistentFlags().Bool("json", false, "")
	root.AddCommand(runCommand(), serveCommand(), playCommand(), fleetCommand(), unitsCommand(), benchCommand())
	words := strings.Fields(line)
	cmd, rest, err := root.Find(words)
	if err != nil {
		return []string{err.Error()}
	}
	if cmd == root && !strings.HasPrefix(words[0], "-") {
		return []string{"no command " + words[0]}
	}
	cmd.InitDefaultHelpFlag()
	for _, w := range rest {
		name, ok := strings.CutPrefix(strings.Trim(w, "[]().,;"), "--")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, "=")
		if cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
			wrong = append(wrong, "no flag --"+name)
		}
	}
	return wrong
}
