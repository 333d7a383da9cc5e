package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// contents is what a program is made of.
type contents struct {
	program *buildinfo.BuildInfo
	sha256  string
	parts   []part // Go's own library, Go modules, npm packages; each kind by name
}

// part is one module or package of others in the program.
type part struct {
	kind    string // golang, npm
	name    string
	version string
	sum     string // of go.sum: h1:…
	licence string // SPDX expression
	texts   []text
}

type text struct{ file, body string }

// read gathers the parts of a program. A part without a licence that is known is an error:
// nothing is given away whose terms nobody has read.
func read(program, web string) (contents, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return contents{}, err
	}
	c := contents{program: info}
	if c.sha256, err = sum(program); err != nil {
		return c, err
	}
	std := part{kind: "golang", name: "std", version: strings.TrimPrefix(info.GoVersion, "go")}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return c, fmt.Errorf("go env GOROOT: %w", err)
	}
	if std.texts, err = licences(strings.TrimSpace(string(root))); err != nil {
		return c, err
	}
	c.parts = append(c.parts, std)
	modules, err := modules(info)
	if err != nil {
		return c, err
	}
	c.parts = append(c.parts, modules...)
	for i := range c.parts {
		if err := c.parts[i].classify(); err != nil {
			return c, err
		}
	}
	packages, err := webPackages(web)
	c.parts = append(c.parts, packages...)
	return c, err
}

// modules finds the folder of each module of a program in the module cache.
func modules(info *buildinfo.BuildInfo) ([]part, error) {
	var out []part
	args := []string{"mod", "download", "-json"}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		out = append(out, part{kind: "golang", name: m.Path, version: m.Version, sum: m.Sum})
		args = append(args, m.Path+"@"+m.Version)
	}
	if len(out) == 0 {
		return nil, nil
	}
	said, err := exec.Command("go", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	dirs := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(said)); d.More(); {
		var m struct{ Path, Version, Dir string }
		if err := d.Decode(&m); err != nil {
			return nil, err
		}
		dirs[m.Path+"@"+m.Version] = m.Dir
	}
	for i := range out {
		if out[i].texts, err = licences(dirs[out[i].name+"@"+out[i].version]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

var licenceName = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|notice|copyright|patents)([-._].*)?$`)

// licences reads the files of a module's root that say under what terms it is given.
func licences(dir string) (out []text, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.IsDir() || !licenceName.MatchString(f.Name()) || strings.HasSuffix(f.Name(), ".go") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, text{f.Name(), strings.TrimSpace(strings.ReplaceAll(string(b), "\r", ""))})
	}
	return out, nil
}

// marks are words that only one licence has, in the order in which they are looked for.
var marks = []struct{ id, words string }{
	{"Apache-2.0", "Apache License Version 2.0"},
	{"Apache-2.0", "Licensed under the Apache License, Version 2.0"},
	{"MPL-2.0", "Mozilla Public License Version 2.0"},
	{"MPL-2.0", "Mozilla Public License, version 2.0"},
	{"EPL-2.0", "Eclipse Public License - v 2.0"},
	{"EDL-1.0", "Eclipse Distribution License - v 1.0"},
	{"CC0-1.0", "CC0 1.0 Universal"},
	{"Unlicense", "This is free and unencumbered software released into the public domain"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"},
	{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose with or without fee"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"BSD-3-Clause", "endorse or promote products derived from"},
	{"BSD-2-Clause", "Redistributions in binary form must reproduce the above copyright"},
}

// classify finds the licence in the texts.
func (p *part) classify() error {
	var found []string
	for _, t := range p.texts {
		if strings.HasPrefix(strings.ToLower(t.file), "notice") || strings.HasPrefix(strings.ToLower(t.file), "patents") {
			continue
		}
		body := strings.Join(strings.Fields(t.body), " ")
		for _, m := range marks {
			if strings.Contains(body, m.words) && !slices.Contains(found, m.id) {
				if m.id == "BSD-2-Clause" && slices.Contains(found, "BSD-3-Clause") {
					continue // says the same and more
				}
				found = append(found, m.id)
			}
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("%s %s: no licence that is known among its files: want one read by a person, and its words in marks", p.name, p.version)
	}
	p.licence = strings.Join(found, " AND ")
	return nil
}

var webHead = regexp.MustCompile(`^(\S+) (\d\S*) \(([^)]+)\)$`)

// webPackages reads what the build of the pages has written: parts between lines of
// dashes, each headed "name version (licence)".
func webPackages(file string) ([]part, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []part
	for _, section := range strings.Split(string(b), "\n"+strings.Repeat("-", 72)+"\n")[1:] {
		head, body, _ := strings.Cut(strings.TrimSpace(section), "\n")
		m := webHead.FindStringSubmatch(head)
		if m == nil {
			return nil, fmt.Errorf("%s: %q: want name version (licence)", file, head)
		}
		out = append(out, part{kind: "npm", name: m[1], version: m[2], licence: m[3], texts: []text{{"LICENSE", strings.TrimSpace(body)}}})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s names no package", file)
	}
	slices.SortStableFunc(out, func(a, b part) int { return strings.Compare(a.name+" "+a.version, b.name+" "+b.version) })
	return slices.CompactFunc(out, func(a, b part) bool { return a.name == b.name && a.version == b.version }), nil
}
