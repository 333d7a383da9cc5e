package profile_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

const baseProfile = `
profile: acme/base
version: "2"
vendor: Acme
model: Base
kinds: [door]
source: invented for a test
interval: 1h
order: big
codec: binary
layouts:
  - {name: a, fields: [{name: x, type: u16}, {name: open}]}
signals: {temperature: x, door.open: open}
`

func family(child string) fstest.MapFS {
	return fstest.MapFS{
		"acme/base/profile.yaml":  {Data: []byte(baseProfile)},
		"acme/child/profile.yaml": {Data: []byte(child)},
	}
}

func TestProfileExtendsAnotherOfTheFamily(t *testing.T) {
	set, err := profile.Load(family(`
profile: acme/child
extends: acme/base
version: "1"
model: Child
order: little
signals: {tamper: open, door.open: {field: open, is: 0}}
`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Get("acme/child")
	if err != nil {
		t.Fatal(err)
	}
	d, err := decode(t, p, 1, "0100 01")
	if err != nil || value(t, d, grid.Temperature) != 1 || value(t, d, grid.Tamper) != 1 || value(t, d, grid.DoorOpen) != 0 {
		t.Errorf("got %+v, %v", d, err)
	}
	if d.Profile != "acme/child@1+2" || p.Vendor != "Acme" || p.Model != "Child" || p.Extends != "acme/base" {
		t.Errorf("got %s of %+v: want a version that names the base's as well", d.Profile, p)
	}
	base, _ := set.Get("acme/base")
	if d, err := decode(t, base, 1, "0100 01"); err != nil || value(t, d, grid.Temperature) != 256 || value(t, d, grid.DoorOpen) != 1 || len(d.Readings) != 2 {
		t.Errorf("the base has changed: got %+v, %v", d, err)
	}
}

func TestAnotherCodecDropsTheLayoutsOfTheBase(t *testing.T) {
	set, err := profile.Load(family(`
profile: acme/child
extends: acme/base
version: "1"
model: Child
codec: json
fields: [{name: x}, {name: open}]
`))
	if err != nil {
		t.Fatal(err)
	}
	p, _ := set.Get("acme/child")
	if d, err := p.DecodePayload(-1, []byte(`{"open":1}`)); err != nil || value(t, d, grid.DoorOpen) != 1 {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestBaseIsFoundInAnEarlierFolderAndByLint(t *testing.T) {
	both := family("profile: acme/child\nextends: acme/base\nversion: \"1\"\nmodel: Child\n")
	own := fstest.MapFS{"acme/child/profile.yaml": both["acme/child/profile.yaml"], "acme/child/cases.yaml": {Data: []byte(`
cases:
  - {name: open, hex: "000101", want: {readings: {temperature: 1, door.open: true}}}
  - {name: shut, hex: "000100", want: {readings: {temperature: 1, door.open: false}}}
`)}}
	delete(both, "acme/child/profile.yaml")
	if _, err := profile.Load(both, own); err != nil {
		t.Error(err)
	}
	for _, err := range profile.Lint(own, "acme/child", both) {
		t.Error(err)
	}
	if errs := profile.Lint(own, "acme/child"); len(errs) != 1 || !strings.Contains(errs[0].Error(), `extends is "acme/base": no profile is called so`) {
		t.Errorf("got %v", errs)
	}
}

func TestExtendsIsOneLevelAndOfAnother(t *testing.T) {
	for child, want := range map[string]string{
		"profile: acme/child\nextends: acme/child\nversion: \"1\"\n": "want another profile",
		"profile: acme/child\nextends: acme/bse\nversion: \"1\"\n":   "no profile is called so",
		"profile: acme/child\nextends: acme/base\n":                  "version is missing",
		"profile: acme/child\nextends: ../../etc\nversion: \"1\"\n":  "want <vendor>/<model>",
	} {
		if _, err := profile.Load(family(child)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v: want %s", err, want)
		}
	}
	fsys := family("profile: acme/child\nextends: acme/base\nversion: \"1\"\nmodel: Child\n")
	fsys["acme/third/profile.yaml"] = &fstest.MapFile{Data: []byte("profile: acme/third\nextends: acme/child\nversion: \"1\"\n")}
	if _, err := profile.Load(fsys); err == nil || !strings.Contains(err.Error(), "want one level") {
		t.Errorf("got %v", err)
	}
	if _, err := profile.Parse([]byte("profile: acme/child\nextends: acme/base\n")); err == nil || !strings.Contains(err.Error(), "beside the profile it extends") {
		t.Errorf("got %v", err)
	}
}

// versions are the profiles of one model under several firmwares.
func versions(t *testing.T, ranges map[string]string) *profile.Set {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, r := range ranges {
		text := strings.Replace(baseProfile, "acme/base", "acme/"+name, 1)
		if r != "" {
			text += "firmware_range: " + r + "\n"
		}
		fsys["acme/"+name+"/profile.yaml"] = &fstest.MapFile{Data: []byte(text)}
	}
	set, err := profile.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestFirmwareChoosesBetweenProfilesOfOneModel(t *testing.T) {
	set := versions(t, map[string]string{"old": `{below: "0.39"}`, "new": `{from: "0.39"}`})
	for firmware, want := range map[string]string{
		"0.29.2": "acme/old", "0.9": "acme/old", "v0.38.99": "acme/old", "0.39": "acme/new", "0.39.0": "acme/new", "V1": "acme/new", "0.100": "acme/new",
	} {
		if p, err := set.ForModel("ACME", "base", firmware); err != nil || p.ID != want {
			t.Errorf("%s: got %v, %v: want %s", firmware, p, err, want)
		}
	}
	if p, err := set.ForModel("", "base", ""); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "acme/new (from 0.39), acme/old (below 0.39)") {
		t.Errorf("got %v, %v: want to be asked for the firmware", p, err)
	}
	if p, err := set.ForModel("", "other", ""); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("got %v, %v", p, err)
	}
	if p, err := set.ForModel("other", "base", "1"); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("got %v, %v", p, err)
	}
	if wrong := set.Overlaps(); len(wrong) != 0 {
		t.Errorf("got %v: want ranges that only touch not to overlap", wrong)
	}
	set = versions(t, map[string]string{"old": `{below: "0.39"}`, "new": `{from: "1.0", below: "2"}`})
	if p, err := set.ForModel("acme", "base", "0.5"); err != nil || p.ID != "acme/old" {
		t.Errorf("got %v, %v", p, err)
	}
	if p, err := set.ForModel("acme", "base", "0.40"); grid.CodeOf(err) != grid.NotFound || !strings.Contains(err.Error(), `firmware "0.40"`) {
		t.Errorf("got %v, %v: want no profile between the ranges", p, err)
	}
}

func TestProfilesOfOneModelAndFirmwareOverlap(t *testing.T) {
	for title, ranges := range map[string]map[string]string{
		"no ranges":   {"a": "", "b": ""},
		"one without": {"a": `{from: "1"}`, "b": ""},
		"crossing":    {"a": `{from: "1", below: "3"}`, "b": `{from: "2"}`},
		"one within":  {"a": `{from: "1", below: "9"}`, "b": `{from: "2", below: "3"}`},
	} {
		wrong := versions(t, ranges).Overlaps()
		if len(wrong) != 2 || !strings.Contains(wrong["acme/a"].Error(), "acme/a is for the same Acme Base as acme/b: want firmware_range") {
			t.Errorf("%s: got %v", title, wrong)
		}
	}
	for r, want := range map[string]string{"{}": "want from, below or both", `{from: "2", below: "1.9"}`: "nothing is from 2 and below 1.9"} {
		if _, err := profile.Parse([]byte(baseProfile + "firmware_range: " + r + "\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %s", r, err, want)
		}
	}
}

func TestCommittedProfilesDoNotOverlap(t *testing.T) {
	for _, err := range loadAll(t).Overlaps() {
		t.Error(err)
	}
}
