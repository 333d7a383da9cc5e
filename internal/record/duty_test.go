package record

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/duty"
	"gridgate/internal/grid"
)

var madeAt = time.Date(2026, 11, 22, 8, 0, 0, 0, shanghai)

// textOf is what poppler reads in a document. GRIDGATE_KEEP=<folder> keeps the document for looking at.
func textOf(t *testing.T, name string, file []byte) string {
	t.Helper()
	dir := t.TempDir()
	if keep := os.Getenv("GRIDGATE_KEEP"); keep != "" {
		dir = keep
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("poppler is not installed")
	}
	out, err := exec.CommandContext(t.Context(), "pdftotext", "-layout", path, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func sampleHandover() *grid.Handover {
	h := &grid.Handover{ID: "01HANDOVER", Why: "shift", Shift: "night", Next: "day", Made: madeAt, Posture: grid.PostureTyphoon, Digest: strings.Repeat("ab", 32)}
	for _, key := range []string{"untaken", "urgent", "overdue", "protection", "silent", "shelved", "permits", "exercises", "notes"} {
		s := grid.HandoverSection{Key: key, Title: grid.Text{ZH: "分项 " + key, EN: "Part " + key}, Count: 3}
		if key == "silent" {
			s.Count = 0
		}
		for i := range s.Count {
			s.Lines = append(s.Lines, grid.HandoverLine{
				Kind: "ticket", ID: fmt.Sprintf("01TICKET%s%d", key, i), Priority: grid.Priority(1 + i), What: "20261122-AB12C" + fmt.Sprint(i) + " 烟感报警 / Smoke alarm",
				Place: "愚园路 1 号, 三号楼, 3F, 301 室, 公共走道末端靠近消防通道的一处很长很长的安装位置说明", State: "dispatched", Who: "micro-1", Since: madeAt.Add(-time.Hour),
				Until: madeAt.Add(time.Hour), Mode: []grid.Mode{grid.Live, grid.Exercise, grid.Simulated}[i],
			})
		}
		h.Sections = append(h.Sections, s)
	}
	h.Outgoing = &grid.HandoverSign{By: grid.Actor{Name: "值班员甲"}, At: madeAt, Note: "3 号楼烟感待换，已通知维保。"}
	return h
}

func TestAHandoverShowsEveryPartWhatIsNotLiveAndWhoSigned(t *testing.T) {
	for lang, want := range map[string][]string{
		"zh": {"值班交接单", "防台", "night → day", "烟感报警", "【演练】", "【模拟】", "已派遣", "值班员甲", "尚未签字", "分项 silent", "01HANDOVER"},
		"en": {"Handover sheet", "typhoon", "Smoke alarm", "[exercise]", "dispatched", "not signed yet", "Part silent"},
	} {
		file, err := Handover(sampleHandover(), lang, nil, madeAt)
		if err != nil {
			t.Fatal(err)
		}
		text := textOf(t, "handover-"+lang+".pdf", file)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is not on the sheet:\n%s", lang, w, text)
			}
		}
		if lang == "en" && strings.Contains(text, "烟感报警") {
			t.Error("the English sheet has titles in Chinese too")
		}
	}
}

func TestADutySheetHasDesksTicketsAndEveryPointAndNoNumberOfAPerson(t *testing.T) {
	s := &duty.Sheet{Made: madeAt, Street: "310105006", Name: "江苏路街道", Posture: grid.PostureNormal, Points: 80}
	s.Units = []grid.Unit{{ID: "fire-1", Name: "江苏路消防救援站", Kind: grid.FireUnit, Tier: 3, Phone: "021-0000-0119", Mode: grid.Live}, {ID: "prop", Name: "物业值班室", Kind: grid.Property, Tier: 1, Mode: grid.Live}}
	s.Tickets = []grid.Ticket{{ID: "t1", Case: "20261122-AB12C3", Title: "烟感报警 / Smoke alarm", Place: "愚园路 1 号", Priority: 1, State: grid.TicketAccepted, Opened: madeAt, Mode: grid.Live}}
	st := duty.SheetStreet{Code: "310105006", Name: "江苏路街道"}
	for b := range 2 {
		bd := duty.SheetBuilding{Name: fmt.Sprintf("%d 号楼", b+1), Contacts: []duty.SheetContact{{ID: "c", Role: grid.KeyHolder, Channel: grid.Voice}}}
		for i := range 40 {
			bd.Points = append(bd.Points, duty.SheetPoint{ID: fmt.Sprintf("p-%d-%03d", b, i), Name: "走道烟感", Kind: grid.Smoke, Address: "愚园路 1 号", Floor: "3F", Room: "301", Mode: grid.Live,
				Contacts: []duty.SheetContact{{ID: "o", Role: grid.Occupant, Channel: grid.Voice}}})
		}
		st.Buildings = append(st.Buildings, bd)
	}
	s.Streets = []duty.SheetStreet{st}
	file, err := DutySheet(s, "zh", nil, madeAt)
	if err != nil {
		t.Fatal(err)
	}
	text := textOf(t, "duty-zh.pdf", file)
	for _, w := range []string{"值班应急单", "江苏路街道", "021-0000-0119", "20261122-AB12C3", "p-0-000", "p-1-039", "1 号楼", "（续）", "住户", "钥匙保管人", "电话须凭事由查阅"} {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not on the sheet", w)
		}
	}
	s.Reason, s.By = "screens are dark", "值班长"
	s.Contacts()[0].Number = "00000000042"
	if file, err = DutySheet(s, "zh", nil, madeAt); err != nil {
		t.Fatal(err)
	}
	text = textOf(t, "duty-numbers.pdf", file)
	if !strings.Contains(text, "00000000042") || !strings.Contains(text, "用后销毁") || !strings.Contains(text, "screens are dark") {
		t.Error("a sheet with numbers does not say that it has some, or why")
	}
}
