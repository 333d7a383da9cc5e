package registry

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

// An identity that no frame can have would be registered and silent for ever.
func TestIdentityThatCannotBeHeardIsRefused(t *testing.T) {
	parse := func(id string) error {
		_, err := Parse(fmt.Appendf(nil, "devices: [{identity: %q, profile: v/m}]\n", id))
		return err
	}
	for _, id := range []string{
		"eui:24e124535b123456", "imei:860000000000001", "sn:a-17", "z2m:kitchen 烟感", "modbus:ttyusb0/17", "gb26875:1.2.3.4.5.6",
	} {
		if err := parse(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []string{
		"", "24e124535b123456", "eui:24e124535b12345", "eui:24E124535B123456", "eui:24e124535b12345g", "IMEI:86", "sn:", "sn:A",
		"sn:a\tb", "sn:a/+", "sn:#", ":x", "1n:x", "sn:" + strings.Repeat("x", 126),
	} {
		if err := parse(id); grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), "device") || !strings.Contains(err.Error(), "want") {
			t.Errorf("%q: error is %v: want invalid, with the wish", id, err)
		}
	}
}

func TestPlaceIsFilledFromTheLowestCode(t *testing.T) {
	full := grid.Scope{District: "310105", Street: "310105002", Community: "310105002003"}
	for text, want := range map[string]grid.Scope{
		`cell: "310105002003004"`:                          full,
		`community: "310105002003"`:                        full,
		`street: "310105002"`:                              {District: "310105", Street: "310105002"},
		`district: "310105"`:                               {District: "310105"},
		`cell: "310105002003004", street: "310105002"`:     full,
		`compound: yuyuan, contractor: anfang`:             {Compound: "yuyuan", Contractor: "anfang"},
		`cell: "310105002003004", community: 310105002003`: full,
	} {
		r, err := Parse([]byte("points: [{id: a, kind: door, " + text + "}]\n"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d := cmp.Diff(want, r.Points[0].Scope); d != "" {
			t.Errorf("%s:\n%s", text, d)
		}
	}
}

func TestPlaceOutsideItselfIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		`cell: "310105002003004", street: "310105009"`:       `cell is "310105002003004", not in street "310105009"`,
		`cell: "310105002003004", district: "310106"`:        `not in district "310106"`,
		`community: "310105002003", street: "310106002"`:     `community is "310105002003", not in street "310106002"`,
		`street: "31010500"`:                                 `street is "31010500": want 9 digits`,
		`district: changning`:                                `district is "changning": want 6 digits`,
		`cell: "31010500200300"`:                             `cell is "31010500200300": want 15 digits`,
		`cell: "31010500200300x", community: "310105002003"`: `want 15 digits`,
	} {
		_, err := Parse([]byte("points: [{id: a, kind: door, " + text + "}]\n"))
		if grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "point a") {
			t.Errorf("%s: error is %v\nwant one that names point a and says %s", text, err, says)
		}
	}
	if _, err := Parse([]byte(`units: [{id: u, kind: fire, tier: 3, street: "1"}]`)); err == nil || !strings.Contains(err.Error(), "unit u: street") {
		t.Errorf("a unit's street: error is %v", err)
	}
}

func TestDeviceWithManyChannelsIsOneLine(t *testing.T) {
	r, err := Parse([]byte(`devices: [{identity: "gb26875:1", profile: v/m, points: {loop2: b, loop1: a}, from: 2026-03-01T08:00:00Z}]`))
	from := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	want := []grid.Installation{
		{Device: "gb26875:1", Channel: "loop1", Point: "a", From: from}, {Device: "gb26875:1", Channel: "loop2", Point: "b", From: from},
	}
	if d := cmp.Diff(want, r.Installations); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	if _, err := Parse([]byte(`devices: [{identity: "gb26875:1", profile: v/m, point: a, points: {main: b}}]`)); err == nil {
		t.Error("the main channel at two points was taken")
	}
}

func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	const n = 10_000
	text.WriteString("points:\n")
	for i := range n {
		fmt.Fprintf(&text, "  - {id: P%d, kind: door, name: 门 %d, cell: \"310105002003%03d\", lon: 121.4, lat: 31.2, crs: WGS84}\n", i, i, i%1000)
	}
	text.WriteString("devices:\n")
	for i := range n {
		fmt.Fprintf(&text, "  - {identity: \"eui:%016x\", profile: milesight/ws301, point: P%d}\n", i, i)
	}
	file := []byte(text.String())
	for b.Loop() {
		if _, err := Parse(file); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/device")
}
