package main

import (
	"debug/buildinfo"
	"encoding/json"
	"strings"
	"testing"
)

func TestAPartWithoutAKnownLicenceIsRefused(t *testing.T) {
	p := part{name: "example.org/x", version: "v1.0.0", texts: []text{{"LICENSE", "All yours, dear reader."}}}
	if err := p.classify(); err == nil || !strings.Contains(err.Error(), "example.org/x v1.0.0") {
		t.Errorf("got %v: want the part named", err)
	}
	p.texts[0].body = "Permission is hereby granted, free\nof charge, to any person obtaining a copy"
	if err := p.classify(); err != nil || p.licence != "MIT" {
		t.Errorf("got %q, %v", p.licence, err)
	}
}

func TestPackagesOfTheWebPagesHaveLicences(t *testing.T) {
	parts, err := webPackages("../../internal/console/dist/m/licences.txt")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, p := range parts {
		found[p.name] = true
		if p.licence == "" || p.version == "" || p.texts[0].body == "" && p.licence != "ISC" {
			t.Errorf("%+v", p)
		}
	}
	if !found["svelte"] || !found["maplibre-gl"] || !found["echarts"] {
		t.Errorf("got %v: want svelte, maplibre-gl, echarts among them", found)
	}
}

func TestTheListIsCycloneDXAndTheSameEachTime(t *testing.T) {
	c := contents{program: &buildinfo.BuildInfo{}, sha256: strings.Repeat("a", 64), parts: []part{
		{kind: "golang", name: "example.org/x", version: "v2.1.0+incompatible", licence: "MIT AND ISC", sum: "h1:abc="},
		{kind: "npm", name: "@scope/y", version: "1.0.0", licence: "0BSD"},
	}}
	b, err := sbom(c, "0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := sbom(c, "0.1.0")
	if string(b) != string(again) {
		t.Error("it differs the second time")
	}
	var bom struct {
		BOMFormat, SpecVersion string
		Metadata               struct {
			Component struct{ Name, Version string }
		}
		Components []struct {
			PURL     string
			Licenses []struct{ Expression string }
		}
		Dependencies []struct {
			Ref       string
			DependsOn []string
		}
	}
	if err := json.Unmarshal(b, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion != "1.6" || bom.Metadata.Component.Version != "0.1.0" || len(bom.Components) != 2 || len(bom.Dependencies[0].DependsOn) != 2 {
		t.Fatalf("got %+v", bom)
	}
	if got := bom.Components[1].PURL; got != "pkg:npm/%40scope/y@1.0.0" {
		t.Errorf("purl is %s", got)
	}
	if got := bom.Components[0].Licenses[0].Expression; got != "MIT AND ISC" {
		t.Errorf("licence is %s", got)
	}
}
