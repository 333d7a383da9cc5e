package api

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/calendar"
	"gridgate/internal/contractor"
	"gridgate/internal/grid"
	"gridgate/internal/pdf"
	"gridgate/internal/state"
)

// longRound is a day with two buildings more than fit on a page, of each sort a stop.
func longRound() grid.Round {
	r := grid.Round{ID: "0f3c9a5d7b214e62", Unit: "fire-1", Day: "2026-11-26", State: grid.RoundUnderWay, LengthM: 5230, Made: t0, Until: time.Date(2026, 11, 26, 16, 0, 0, 0, time.UTC), Mode: grid.Live}
	types := []grid.EventType{grid.EventBatteryLow, grid.EventDeviceOffline, grid.EventDeviceTamper}
	for n := 1; n <= 12; n++ {
		s := grid.Stop{N: n, Key: fmt.Sprint(n), Place: fmt.Sprintf("愚园路 %d 弄 %d 号 长宁小区东门旁配电间二层平台及地下车库入口 %d 号楼", 1200+n, n, n), LegM: float64(n * 311), State: grid.StopOpen}
		for k := range 1 + n%3 {
			j := grid.Job{Ticket: fmt.Sprintf("T-%d-%d", n, k), Type: types[(n+k)%3], Point: fmt.Sprintf("p-%d-%d", n, k), Name: "地下室消防通道门", Floor: "B1", Room: "配电间", Device: "eui:24e124535b123456", State: grid.JobOpen,
				Due: time.Date(2026, 11, 26, 18, 30, 0, 0, time.UTC)}
			if j.Type != grid.EventDeviceTamper {
				j.Battery = "2 × ER17505"
			}
			s.Jobs = append(s.Jobs, j)
		}
		r.Stops = append(r.Stops, s)
	}
	r.Stops[0].State, r.Stops[0].Jobs[0].State, r.Stops[0].Jobs[1].State = grid.StopDone, grid.JobDone, grid.JobLeft
	r.Stops[0].Jobs[1].Why = "另约"
	r.Stops[1].State, r.Stops[1].Times, r.Stops[1].Note = grid.StopNoEntry, 1, "无人应答"
	r.Stops[2].Times = 2
	r.Stops[3].Jobs[0].Late = true
	return r
}

// sheetText is what a reader finds on the pages. With GRIDGATE_KEEP they are kept to be looked at.
func sheetText(t *testing.T, name string, file []byte) string {
	t.Helper()
	dir := t.TempDir()
	if keep := os.Getenv("GRIDGATE_KEEP"); keep != "" {
		dir = keep
	}
	path := filepath.Join(dir, name+".pdf")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	words, err := exec.CommandContext(t.Context(), "pdftotext", "-layout", path, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(words)
}

func TestTheListOfARoundSaysWhatToDoAndWhatToBringInBothLanguages(t *testing.T) {
	w := newWorld(t)
	read := func(name string) []byte {
		b, err := configs.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	calendars, err := calendar.Parse("calendars.yaml", read("calendars.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if w.server.Work, err = contractor.Parse("contractors.yaml", read("contractors.yaml"), calendars); err != nil {
		t.Fatal(err)
	}
	w.server.Font, _ = pdf.FindFont("")
	w.commit(&state.Batch{Rounds: []grid.Round{longRound()}})
	for lang, want := range map[string][]string{
		"zh": {"巡修单 2026-11-26", "站点 2/12", "5.2 km", "携带电池：30 × ER17505", "愚园路 1201 弄", "已完成", "无法入户", "已有 2 次无法入户", "更换电池", "到期 2026-11-27", "超期", "未完成：另约", "无人应答", "（续）", "技术员签名"},
		"en": {"Round of 2026-11-26", "stops 2/12", "batteries to bring: 30 × ER17505", "done", "no entry", "nobody opened 2 times before", "screwdriver", "due 2026-11-27", "late", "not done: 另约", "(continued)", "Technician"},
	} {
		status, header, file := w.do(admin, "GET", "/api/v1/rounds/0f3c9a5d7b214e62/list.pdf?lang="+lang, "")
		if status != 200 || header.Get("Content-Type") != "application/pdf" {
			t.Fatalf("%s: %d %s", lang, status, file)
		}
		words := sheetText(t, "round-"+lang, file)
		for _, s := range want {
			if !strings.Contains(words, s) {
				t.Errorf("%s does not say %q:\n%s", lang, s, words)
			}
		}
		if pages := strings.Count(words, "\f"); pages < 2 || pages > 4 {
			t.Errorf("%s has %d pages", lang, pages)
		}
	}
	if status, _, _ := w.do("city-token", "GET", "/api/v1/rounds/0f3c9a5d7b214e62/list.pdf", ""); status != 404 && status != 403 {
		t.Errorf("another unit reads the list: %d", status)
	}
}
