package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// docPages are the README, the pages, the Chinese ones and the decisions.
func docPages(t *testing.T) []string {
	t.Helper()
	pages := []string{"../../README.md"}
	for _, folder := range []string{"docs", "docs/zh", "docs/decisions"} {
		found, err := filepath.Glob("../../" + folder + "/*.md")
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d pages, %v", folder, len(found), err)
		}
		pages = append(pages, found...)
	}
	return pages
}

// split takes the blocks of code out of a page: what is prose, and what is code.
func split(page []byte) (prose, code []string) {
	inside := false
	for line := range strings.Lines(string(page)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			inside = !inside
			continue
		}
		if inside {
			code = append(code, line)
		} else {
			prose = append(prose, line)
		}
	}
	return prose, code
}

// TestTheDocsAreThereInBothLanguages: what a user reads stands in both, with the same chapters.
func TestTheDocsAreThereInBothLanguages(t *testing.T) {
	for _, page := range []string{"README", "quickstart", "install", "provisioning", "operating", "units", "profiles", "rules", "api", "security", "backup", "upgrade", "standby", "troubleshooting", "compliance",
		"technician", "console", "alarms", "duty", "access", "hazards", "windows", "tickets", "labels", "import", "tls", "audit", "privacy", "operations", "configuration", "events", "people"} {
		chapters := map[string]int{}
		for _, folder := range []string{"docs", "docs/zh"} {
			text, err := os.ReadFile("../../" + folder + "/" + page + ".md")
			if err != nil {
				t.Error(err)
				continue
			}
			prose, _ := split(text)
			for _, line := range prose {
				if strings.HasPrefix(line, "## ") {
					chapters[folder]++
				}
			}
			if lines := bytes.Count(text, []byte("\n")); folder == "docs/zh" && lines > 140 {
				t.Errorf("docs/zh/%s.md: %d lines: want 140 or fewer", page, lines)
			}
		}
		if chapters["docs"] != chapters["docs/zh"] {
			t.Errorf("%s: %d chapters in English, %d in Chinese", page, chapters["docs"], chapters["docs/zh"])
		}
	}
}

// TestLinksOfTheDocsLeadSomewhere: to a file that is there, and to a heading of it.
func TestLinksOfTheDocsLeadSomewhere(t *testing.T) {
	link, seen := regexp.MustCompile(`\]\(([^)\s]+)\)`), 0
	for _, page := range docPages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		prose, _ := split(text)
		for _, m := range link.FindAllStringSubmatch(strings.Join(prose, "\n"), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			seen++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link %s: no such file", page, m[1])
			} else if anchor != "" && !slices.Contains(anchors(t, target), anchor) {
				t.Errorf("%s: link %s: no such heading", page, m[1])
			}
		}
	}
	if seen < 150 {
		t.Errorf("only %d links were found", seen)
	}
}

// anchors are the headings of a page as a link names them.
func anchors(t *testing.T, page string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	prose, _ := split(text)
	for _, line := range prose {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(strings.TrimLeft(line, "#"))))
	}
	return all
}

// TestEveryMakeOfTheDocsExists: each `make …` names a target of the Makefile.
func TestEveryMakeOfTheDocsExists(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`).FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	for _, name := range included(t, string(makefile)) {
		targets[name] = true
	}
	inProse, seen := regexp.MustCompile("`(?:[A-Z_]+=\\S+ )*make ([^`]*)`"), 0
	inCode := regexp.MustCompile(`^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*make (.*)`)
	for _, page := range docPages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		prose, code := split(text)
		var written []string
		for _, m := range inProse.FindAllStringSubmatch(strings.Join(prose, "\n"), -1) {
			written = append(written, m[1])
		}
		for _, line := range append(code, slices.DeleteFunc(prose, func(l string) bool { return !strings.HasPrefix(l, "    ") })...) {
			if m := inCode.FindStringSubmatch(line); m != nil {
				written = append(written, m[1])
			}
		}
		for _, line := range written {
			target, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			seen++
			if !targets[target] {
				t.Errorf("%s: make %s: no such target", page, line)
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d were found", seen)
	}
}

// included are the targets of the files that the Makefile takes in.
func included(t *testing.T, makefile string) (names []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^-?include (.+)$`).FindAllStringSubmatch(makefile, -1) {
		for _, file := range strings.Fields(m[1]) {
			text, err := os.ReadFile("../../" + file)
			if err != nil {
				continue
			}
			for _, n := range regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`).FindAllStringSubmatch(string(text), -1) {
				names = append(names, n[1])
			}
		}
	}
	return names
}

// TestEachFaultThatIsNamedHasItsLine: what check and /readyz can call wrong stands in the
// troubleshooting pages, by the names that the code gives.
func TestEachFaultThatIsNamedHasItsLine(t *testing.T) {
	sources, err := filepath.Glob("../../internal/gateway/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatalf("%d sources, %v", len(sources), err)
	}
	named := regexp.MustCompile(`\b(?:wrong|warn)\("([a-z_]+)"|parts\["([a-z_]+)"\]|error\{("[a-z_]+": .*)\}`)
	parts := map[string]bool{"journal": true}
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			parts[m[1]+m[2]] = true
			for _, key := range regexp.MustCompile(`"([a-z_]+)": [a-z]`).FindAllStringSubmatch(m[3], -1) {
				parts[key[1]] = true
			}
		}
	}
	delete(parts, "")
	if len(parts) < 13 {
		t.Errorf("only %d parts were found: %v", len(parts), parts)
	}
	for _, page := range []string{"docs", "docs/zh"} {
		text, err := os.ReadFile("../../" + page + "/troubleshooting.md")
		if err != nil {
			t.Fatal(err)
		}
		for part := range parts {
			if !regexp.MustCompile("(?m)^\\| .*`" + part + "[.`]").Match(text) {
				t.Errorf("%s/troubleshooting.md: no line for the part %q, which check or /readyz can name", page, part)
			}
		}
	}
}

// TestPicturesOfTheDocsAreSmallAndShown: each is on a page of its language, and a clone does not
// pay for them. What makes them is make docs-pictures.
func TestPicturesOfTheDocsAreSmallAndShown(t *testing.T) {
	pictures, err := filepath.Glob("../../docs/pictures/*")
	if err != nil || len(pictures) < 14 {
		t.Fatalf("%d pictures, %v", len(pictures), err)
	}
	pages := map[string]string{}
	for _, page := range docPages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		lang := "en"
		if strings.Contains(page, "/zh/") {
			lang = "zh"
		}
		pages[lang] += string(text)
	}
	var all int64
	for _, picture := range pictures {
		name := filepath.Base(picture)
		info, err := os.Stat(picture)
		if err != nil {
			t.Fatal(err)
		}
		if all += info.Size(); info.Size() > 100<<10 {
			t.Errorf("%s: %d bytes: want 100 KiB or fewer", name, info.Size())
		}
		lang := strings.TrimSuffix(name[strings.LastIndex(name, "-")+1:], ".webp")
		if !strings.Contains(pages[lang], "pictures/"+name) {
			t.Errorf("%s is on no page in %q", name, lang)
		}
	}
	if all > 1_200_000 {
		t.Errorf("%d bytes of pictures: want 1.2 MB or fewer", all)
	}
}
