package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
)

func sum(file string) (string, error) {
	b, err := os.ReadFile(file)
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:]), err
}

// licenceFile is a table of all parts, and after it the words of each.
func licenceFile(c contents, _ string) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "gridgate carries the work of others, %d parts in all. They are named here with their\nlicences, and the words of each licence follow.\n\n", len(c.parts))
	for _, p := range c.parts {
		fmt.Fprintf(&b, "%-64s %s\n", p.title(), p.licence)
	}
	b.WriteString("\nzxing-wasm holds zxing-cpp, compiled, under Apache-2.0. The roots of certificate authorities in\ngolang.org/x/crypto/x509roots/fallback are data of Mozilla's, under MPL-2.0.\n")
	for _, p := range c.parts {
		for _, t := range p.texts {
			fmt.Fprintf(&b, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("-", 72), p.title(), t.file, t.body)
		}
	}
	return b.Bytes(), nil
}

func (p part) title() string {
	if p.kind == "npm" {
		return "npm " + p.name + " " + p.version
	}
	return p.name + " " + p.version
}

// purl is the name of a part that all such lists share.
func (p part) purl() string {
	name := p.name
	if p.kind == "npm" {
		name = strings.Replace(name, "@", "%40", 1)
	}
	return "pkg:" + p.kind + "/" + name + "@" + url.PathEscape(p.version)
}

// sbom is the list as CycloneDX 1.6. It has no serial number and no time, so that the same
// program gives the same list.
func sbom(c contents, version string) ([]byte, error) {
	type hash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	type property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	type component struct {
		Type       string              `json:"type"`
		Ref        string              `json:"bom-ref"`
		Name       string              `json:"name"`
		Version    string              `json:"version"`
		Hashes     []hash              `json:"hashes,omitempty"`
		Licences   []map[string]string `json:"licenses,omitempty"`
		PURL       string              `json:"purl,omitempty"`
		Properties []property          `json:"properties,omitempty"`
	}
	type dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn,omitempty"`
	}
	self := component{Type: "application", Ref: "gridgate", Name: "gridgate", Version: version, Hashes: []hash{{"SHA-256", c.sha256}}}
	for _, s := range c.program.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "GOARM", "GOAMD64", "CGO_ENABLED", "vcs.revision", "vcs.time", "vcs.modified":
			self.Properties = append(self.Properties, property{"build:" + s.Key, s.Value})
		}
	}
	var components []component
	whole := dependency{Ref: "gridgate"}
	dependencies := []dependency{}
	for _, p := range c.parts {
		one := component{Type: "library", Ref: p.purl(), Name: p.name, Version: p.version, PURL: p.purl(), Licences: []map[string]string{{"expression": p.licence}}}
		if p.sum != "" {
			one.Properties = []property{{"go:sum", p.sum}}
		}
		components = append(components, one)
		whole.DependsOn = append(whole.DependsOn, p.purl())
		dependencies = append(dependencies, dependency{Ref: p.purl()})
	}
	b, err := json.MarshalIndent(map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"metadata":   map[string]any{"component": self},
		"components": components, "dependencies": append([]dependency{whole}, dependencies...),
	}, "", "  ")
	return append(b, '\n'), err
}
