package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCommandsOfTheProfileDocsDoWhatThePageSays goes the way of docs/profiles.md as a
// reader would: the commands of each block, with the files of the page put in between.
func TestCommandsOfTheProfileDocsDoWhatThePageSays(t *testing.T) {
	page, err := os.ReadFile("../../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	files := []string{"profiles/acme/door7/profile.yaml", "profiles/acme/door7/cases.yaml"}
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```(yaml|sh)\n(.*?)```").FindAllSubmatch(page, -1) {
		text := string(block[2])
		if string(block[1]) == "yaml" {
			if len(files) == 0 {
				t.Fatalf("one file more than the page names:\n%s", text)
			}
			if _, err := os.Stat(files[0]); err != nil {
				t.Fatalf("the commands before it do not make %s: %v", files[0], err)
			}
			if err := os.WriteFile(files[0], []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			files = files[1:]
			continue
		}
		for line := range strings.Lines(text) {
			typeIn(t, strings.TrimSpace(line))
			commands++
		}
	}
	if commands < 6 || len(files) > 0 {
		t.Errorf("got %d commands, and %v not on the page", commands, files)
	}
}

// typeIn runs a line as a shell does that knows quotes, > and echo.
func typeIn(t *testing.T, line string) {
	t.Helper()
	command, file, toFile := strings.Cut(line, " > ")
	var argv []string
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(command, -1) {
		argv = append(argv, strings.Trim(word, "'"))
	}
	var out, errOut bytes.Buffer
	switch argv[0] {
	case "echo":
		out.WriteString(strings.Join(argv[1:], " ") + "\n")
	case "gridgate":
		if code := run(t.Context(), argv[1:], []string{"HOME=" + t.TempDir()}, strings.NewReader(""), &out, &errOut); code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", line, code, &out, &errOut)
		}
	default:
		t.Fatalf("%s: only gridgate and echo are tried here", line)
	}
	if toFile {
		if err := os.WriteFile(filepath.FromSlash(file), out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
