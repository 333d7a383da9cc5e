package profile

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"gridgate/internal/grid"
)

const beepProfile = `
profile: acme/beep
version: "1"
vendor: Acme
model: Beep
kinds: [door]
source: made for this test
interval: 1h
counter: {source: none}
codec: binary
layouts:
  - name: report
    fields: [{name: open, type: u8}]
signals:
  door.open: open
`

const beepCases = `
cases:
  - {name: open, hex: "01", want: {readings: {door.open: true}}}
  - {name: closed, hex: "00", want: {readings: {door.open: false}}}
`

func beepSet(t *testing.T) *Set {
	t.Helper()
	s, err := Load(fstest.MapFS{
		"acme/beep/profile.yaml": {Data: []byte(beepProfile)}, "acme/beep/cases.yaml": {Data: []byte(beepCases)}, "acme/beep/notes.txt": {Data: []byte("x")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCandidateIsCheckedAsAFileWouldBe(t *testing.T) {
	s := beepSet(t)
	sound := map[string]string{"profile.yaml": strings.Replace(beepProfile, `"1"`, `"2"`, 1), "cases.yaml": beepCases}
	p, err := s.Candidate(sound)
	if err != nil || p.ID != "acme/beep" || p.Version != "2" {
		t.Fatalf("candidate is %+v, %v", p, err)
	}
	for name, test := range map[string]struct {
		change func(map[string]string)
		want   string
	}{
		"no profile":    {func(f map[string]string) { delete(f, "profile.yaml") }, "profile.yaml is missing"},
		"no cases":      {func(f map[string]string) { delete(f, "cases.yaml") }, "no cases"},
		"a wrong case":  {func(f map[string]string) { f["cases.yaml"] = strings.ReplaceAll(beepCases, "true", "false") }, `case "open"`},
		"a wrong key":   {func(f map[string]string) { f["profile.yaml"] += "colour: red\n" }, "colour"},
		"an id that is": {func(f map[string]string) { f["profile.yaml"] = "profile: ../x\n" }, `profile is "../x"`},
		"a path":        {func(f map[string]string) { f["../cases.yaml"] = "" }, `file "../cases.yaml"`},
		"no YAML":       {func(f map[string]string) { f["profile.yaml"] = "{" }, "profile.yaml"},
		"too large":     {func(f map[string]string) { f["profile.yaml"] += strings.Repeat("#", maxFileSize) }, "bytes: want at most"},
	} {
		files := maps.Clone(sound)
		test.change(files)
		if _, err := s.Candidate(files); grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v: want invalid with %q", name, err, test.want)
		}
		if _, wrong := s.LintFiles(files); len(wrong) == 0 {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
	if got, _ := s.Get("acme/beep"); got.Version != "1" {
		t.Errorf("a candidate changed the set: version %s", got.Version)
	}
}

func TestCandidateMayExtendAProfileOfTheSet(t *testing.T) {
	s := beepSet(t)
	child := "profile: acme/beep2\nversion: \"7\"\nextends: acme/beep\nmodel: Beep 2\n"
	p, err := s.Candidate(map[string]string{"profile.yaml": child, "cases.yaml": beepCases})
	if err != nil || p.ID != "acme/beep2" {
		t.Fatalf("candidate is %+v, %v", p, err)
	}
	if r := p.Try(grid.Frame{Uplink: grid.Uplink{Port: -1, Payload: []byte{1}}}); r.Err != nil || !r.Out.Readings[0].Bool() {
		t.Errorf("it decodes to %+v", r)
	}
}

func TestSetWithAnotherVersionLeavesTheFirstAlone(t *testing.T) {
	s := beepSet(t)
	p, err := s.Compile(map[string]string{"profile.yaml": strings.Replace(beepProfile, `"1"`, `"2"`, 1)})
	if err != nil {
		t.Fatal(err)
	}
	other := s.With(p)
	if a, _ := s.Get("acme/beep"); a.Version != "1" {
		t.Errorf("the first set has version %s", a.Version)
	}
	if b, _ := other.Get("acme/beep@1"); b != p || len(other.List()) != 1 {
		t.Errorf("the other has %+v", other.List())
	}
	files, err := s.Files("acme/beep")
	if err != nil || len(files) != 2 || files["profile.yaml"] != beepProfile || files["cases.yaml"] != beepCases {
		t.Errorf("files are %v, %v", files, err)
	}
}
