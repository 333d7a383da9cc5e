package alarm

import (
	"math"
	"strings"
	"testing"

	"gridgate/internal/grid"
)

func manholeReport() grid.Filing {
	return grid.Filing{Source: grid.FromHotline, External: "20260302-0017", Type: grid.EventManholeOpen, Place: "愚园路 1088 弄口", Cell: "310105006001001"}
}

func TestAFilingIsRefusedWithItsNameAndTheWish(t *testing.T) {
	rule := &Rule{Type: grid.EventManholeOpen, Kind: grid.KindAlarm, Priority: 2}
	for _, k := range []struct {
		change func(*grid.Filing)
		want   string
	}{
		{func(f *grid.Filing) { f.Source = "press" }, `source is "press": want hotline, patrol, video, department or public`},
		{func(f *grid.Filing) { f.Source = "" }, `source is ""`},
		{func(f *grid.Filing) { f.External = "" }, `external is "": want that system's own case number`},
		{func(f *grid.Filing) { f.External = "a b" }, `external is "a b"`},
		{func(f *grid.Filing) { f.External = strings.Repeat("7", 65) }, `up to 64`},
		{func(f *grid.Filing) { f.Priority = 1 }, `priority is P1: want P2 to P4 for manhole.open`},
		{func(f *grid.Filing) { f.Cell = "310105" }, `cell is "310105": want 15 digits`},
		{func(f *grid.Filing) { f.Lon, f.Lat = 121.4, 31.2 }, `crs is "": want WGS84`},
		{func(f *grid.Filing) { f.Lon, f.Lat, f.CRS = 121.4, 31.2, "GCJ02" }, `crs is "GCJ02": want WGS84`},
		{func(f *grid.Filing) { f.CRS = "BD09" }, `crs is "BD09": want WGS84`},
		{func(f *grid.Filing) { f.Lon, f.Lat, f.CRS = 221.4, 31.2, "WGS84" }, `position is lon 221.4`},
		{func(f *grid.Filing) { f.Lon, f.Lat, f.CRS = math.NaN(), 31.2, "WGS84" }, `position is lon NaN`},
		{func(f *grid.Filing) { f.Place, f.Cell = "", "" }, `place is missing`},
		{func(f *grid.Filing) { f.Text = strings.Repeat("字", 4001) }, `too long`},
	} {
		f := manholeReport()
		k.change(&f)
		if err := CheckFiling(&f, rule); err == nil || !strings.Contains(err.Error(), k.want) || grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%+v: %v, want %q", f, err, k.want)
		}
	}
	f := manholeReport()
	if err := CheckFiling(&f, rule); err != nil || f.Priority != 2 {
		t.Errorf("priority %s, error %v: want the event's own and none", f.Priority, err)
	}
}

func TestOnlyWhatPeopleSeeMayBeFiled(t *testing.T) {
	for typ, kind := range map[grid.EventType]grid.EventKind{
		grid.EventSmokeLate: grid.KindAlarm, grid.EventSmokeConfirmed: grid.KindAlarm, grid.EventDeviceOffline: grid.KindFault,
		grid.EventGatewaySilent: grid.KindFault, grid.EventTest: grid.KindTest, grid.EventBatteryLow: grid.KindBattery,
	} {
		if MayFile(&Rule{Type: typ, Kind: kind}) {
			t.Errorf("%s may be filed", typ)
		}
	}
	if MayFile(nil) || !MayFile(&Rule{Type: grid.EventSmokeFault, Kind: grid.KindFault}) || !MayFile(&Rule{Type: grid.EventDeviceTamper, Kind: grid.KindTamper}) {
		t.Error("an unknown event may be filed, or a broken detector not")
	}
}

func TestSmokeIsP1WhoeverSawIt(t *testing.T) {
	f := manholeReport()
	f.Type, f.Priority = grid.EventSmokeAlarm, 3
	if err := CheckFiling(&f, &Rule{Type: grid.EventSmokeAlarm, Kind: grid.KindAlarm, Priority: 1}); err == nil || !strings.Contains(err.Error(), "want P1 to P1") {
		t.Errorf("smoke of P3: %v", err)
	}
}

func TestNobodyCanBeReachedByWhatIsStored(t *testing.T) {
	for text, want := range map[string]string{
		"联系人电话13800138000，井盖缺失":            "联系人电话***，井盖缺失",
		"call +86 138-0013-8000 now":       "call *** now",
		"021-62345678 请回电":                 "*** 请回电",
		"身份证310105198001011234":            "身份证***",
		"mail a.b@example.cn, please":      "mail ***, please",
		"12345 工单 20260302-0017，3 号楼 1102": "12345 工单 20260302-0017，3 号楼 1102",
		"井深 2.5 m，宽 0.7 m，路灯 310105006":    "井深 2.5 m，宽 0.7 m，路灯 310105006",
	} {
		if got := Masked(text); got != want {
			t.Errorf("%q is kept as %q, want %q", text, got, want)
		}
	}
}
