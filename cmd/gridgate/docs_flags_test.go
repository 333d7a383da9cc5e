package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestEveryCommandOfTheDocsExists: each `gridgate …` in a block or in a line of a page is a
// command of ours, and has the flags that the page gives it.
func TestEveryCommandOfTheDocsExists(t *testing.T) {
	written := regexp.MustCompile(`(?m)(?:^(?:    )?(?:\$ )?(?:bin/|\./)?|\$\(|; ?|&& ?)gridgate ([^\n]*)|` + "`gridgate ([^`]+)`")
	seen := 0
	for _, page := range docPages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range written.FindAllStringSubmatch(string(text), -1) {
			line := m[1] + m[2]
			for _, wrong := range unknown(strings.ReplaceAll(line, "\n", " ")) {
				t.Errorf("%s: gridgate %s: %s", filepath.Base(page), line, wrong)
			}
			seen++
		}
	}
	if seen < 100 {
		t.Errorf("only %d commands were found on the pages", seen)
	}
}

// unknown says what of a line the command line does not know.
func unknown(line string) (wrong []string) {
	line, _, _ = strings.Cut(line, " # ")
	line, _, _ = strings.Cut(line, " | ")
	var words []string
	for _, w := range regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`).FindAllString(line, -1) {
		words = append(words, strings.Trim(w, "[]().,;"))
	}
	a := &app{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, in: strings.NewReader("")}
	cmd, rest, err := a.command().Find(words)
	if err != nil {
		return []string{err.Error()}
	}
	if cmd.HasSubCommands() && len(rest) > 0 && regexp.MustCompile(`^[a-z]+$`).MatchString(rest[0]) && !strings.ContainsAny(cmd.Use, "<[") {
		return []string{"no command " + rest[0]}
	}
	cmd.InitDefaultHelpFlag()
	for _, w := range rest {
		name, ok := strings.CutPrefix(w, "--")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, "=")
		var f *pflag.Flag
		if f = cmd.Flags().Lookup(name); f == nil {
			f = cmd.InheritedFlags().Lookup(name)
		}
		if f == nil && name != "version" {
			wrong = append(wrong, "no flag --"+name)
		}
	}
	return wrong
}
