package record

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/commission"
	"gridgate/internal/grid"
	"gridgate/internal/pdf"
)

var t0 = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// sample is a door that was commissioned: passed, or with an inverted contact.
func sample(t *testing.T, right bool) *Visit {
	t.Helper()
	file, err := configs.FS.ReadFile("commissioning.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plans, err := commission.Parse("commissioning.yaml", file)
	if err != nil {
		t.Fatal(err)
	}
	v := &Visit{
		Visit: grid.Visit{
			ID: "0f3c9a5d7b214e62a1d4c5b6e7f80912", Device: "eui:24e124535b123456", Point: "cn-door-0017", Kind: grid.Door, Started: t0, Opened: t0, Profile: "milesight/ws301",
			Cell: "310105006001003", At: &grid.VisitPosition{Lon: 121.4241, Lat: 31.2203},
		},
		Place:  grid.Point{ID: "cn-door-0017", Name: "地下室消防通道门", Address: "愚园路 1234 弄 5 号", Building: "5 号楼", Floor: "B1", Room: "配电间", Lon: 121.4241, Lat: 31.2203, CRS: "WGS84"},
		Device: grid.Device{Identity: "eui:24e124535b123456", Firmware: "1.4"},
		Unit:   "长宁维保一队",
	}
	if err := plans.Begin(&v.Visit, []grid.Signal{grid.DoorOpen, grid.BatteryLevel, grid.Tamper}, 18*time.Hour); err != nil {
		t.Fatal(err)
	}
	frame := func(sec int, open bool, more ...grid.VisitReading) {
		rssi, snr, pct := -92.0, 7.5, 98.0
		value := 0.0
		if open == right {
			value = 1
		}
		at := t0.Add(time.Duration(sec) * time.Second)
		plans.Keep(&v.Visit, grid.VisitFrame{N: sec, At: at, Received: at, Link: "lorawan", RSSIdBm: &rssi, SNRdB: &snr, Battery: &pct, Profile: "milesight/ws301@2",
			Readings: append(more, grid.VisitReading{Signal: grid.DoorOpen, Value: value})})
		v.Heard++
	}
	by := grid.Actor{Role: grid.RoleUnit, Name: "李工", Unit: "u-weibao-1"}
	word := func(sec int, step string, w grid.VisitWord) {
		w.Step, w.Result, w.At, w.By = step, grid.StepPassed, t0.Add(time.Duration(sec)*time.Second), by
		plans.Judge(&v.Visit, w.At)
		if err := plans.Say(&v.Visit, w); err != nil {
			t.Fatal(err)
		}
	}
	frame(12, false)
	word(20, "rest", grid.VisitWord{})
	frame(45, true)
	frame(63, false)
	word(80, "position", grid.VisitWord{Position: &grid.VisitPosition{Lon: 121.42415, Lat: 31.22033, AccuracyM: 8}})
	word(100, "photo", grid.VisitWord{Photo: "ph-1"})
	v.Signed = &grid.VisitSignature{Verdict: commission.Pass, By: by, At: t0.Add(2 * time.Minute), Signed: t0.Add(2*time.Minute + time.Second)}
	plans.Judge(&v.Visit, t0.Add(2*time.Minute))
	v.Decided = v.Signed.Signed
	v.Kept = []Photo{
		{PointPhoto: grid.PointPhoto{ID: "ph-1", SHA256: strings.Repeat("a1b2", 16), Type: "image/png"}, File: picture(t)},
		{PointPhoto: grid.PointPhoto{ID: "ph-2", SHA256: strings.Repeat("c3d4", 16), Type: "image/heic"}},
	}
	return v
}

func picture(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 160, 120))
	for x := range 160 {
		for y := range 120 {
			img.Set(x, y, color.RGBA{uint8(x), uint8(2 * y), 120, 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// shown is the words of a page as a reader finds them. With GRIDGATE_KEEP the page is kept to
// be looked at.
func shown(t *testing.T, name string, file []byte) string {
	t.Helper()
	dir := t.TempDir()
	if keep := os.Getenv("GRIDGATE_KEEP"); keep != "" {
		dir = keep
	}
	path := filepath.Join(dir, name+".pdf")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := exec.CommandContext(t.Context(), "pdfinfo", path).CombinedOutput()
	if err != nil || !strings.Contains(string(info), "Pages:           1") || !strings.Contains(string(info), "A4") {
		t.Errorf("%s: %v\n%s", name, err, info)
	}
	words, err := exec.CommandContext(t.Context(), "pdftotext", "-layout", path, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(words)
}

func TestTheRecordSaysWhatWasShownAndWhoSignedInBothLanguages(t *testing.T) {
	font, _ := pdf.FindFont("")
	for name, c := range map[string]struct {
		right bool
		lang  string
		want  []string
	}{
		"passed-en": {true, "en", []string{"Commissioning record", "PASSED", "cn-door-0017", "eui:24e124535b123456", "Open it", "door.open true", "every 18 h", "-92 dBm", "margin 14 dB", "98 %", "李工", "2026-11-22 17:02:00", "a1b2a1b2a1b2", "Remarks", "no preview"}},
		"passed-zh": {true, "zh", []string{"调试记录", "合格", "开门", "愚园路", "信号余量", "签署：李工", "备注"}},
		"failed-zh": {false, "zh", []string{"不合格", "接线方向反了", "原因"}},
		"failed-en": {false, "en", []string{"FAILED", "the wrong way round", "Reasons"}},
	} {
		v := sample(t, c.right)
		if want := map[bool]grid.VisitState{true: grid.VisitPassed, false: grid.VisitFailed}[c.right]; v.State != want {
			t.Fatalf("%s: the sample is %s because of %v", name, v.State, v.Reasons)
		}
		file, err := Draw(v, c.lang, font, t0.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		words := shown(t, name, file)
		for _, w := range c.want {
			if !strings.Contains(words, w) {
				t.Errorf("%s does not say %q:\n%s", name, w, words)
			}
		}
	}
}
