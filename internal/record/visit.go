// Package record draws what people sign and file: one page A4 for each commissioning.
package record

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"gridgate/internal/commission"
	"gridgate/internal/grid"
	"gridgate/internal/pdf"
)

// Visit is what stands in the record of a commissioning.
type Visit struct {
	grid.Visit
	Place  grid.Point
	Device grid.Device
	Kept   []Photo
	Unit   string // the name of the unit whose technician signed
}

// Photo is a photo of the visit. File is nil where it cannot be shown.
type Photo struct {
	grid.PointPhoto
	File []byte
}

// shanghai is the time that people write.
var shanghai = time.FixedZone("UTC+8", 8*3600)

// Margins and sizes in millimetres.
const (
	left   = 16.0
	right  = pdf.A4Width - 16
	width  = right - left
	hash   = 5.5 * pdf.Point
	small  = 8.5 * pdf.Point
	normal = 10 * pdf.Point
	large  = 18 * pdf.Point
	bottom = pdf.A4Height - 16
)

type sheet struct {
	*pdf.Document
	v  *Visit
	en bool
	y  float64
}

// Draw makes the page. lang is "en", else Chinese. font nil is the reader's own.
func Draw(v *Visit, lang string, font *pdf.Font, at time.Time) ([]byte, error) {
	s := &sheet{v: v, en: lang == "en"}
	s.Document = pdf.New(pdf.Options{Title: s.say("调试记录 ", "Commissioning record ") + v.Point, Lang: s.say("zh-CN", "en"), Font: font, At: at})
	s.Page(pdf.A4Width, pdf.A4Height)
	s.head()
	s.facts()
	s.steps()
	s.reasons()
	s.photos()
	s.signature()
	s.foot(at)
	return s.Bytes()
}

func (s *sheet) say(zh, en string) string {
	if s.en {
		return en
	}
	return zh
}

func (s *sheet) text(t grid.Text) string { return s.say(t.ZH, t.EN) }

func when(at time.Time) string {
	if at.IsZero() {
		return "—"
	}
	return at.In(shanghai).Format("2006-01-02 15:04:05")
}

// head is the title, the verdict and the code of the visit.
func (s *sheet) head() {
	const code = 26.0
	s.QR(right-code+2, 12, code, s.v.ID)
	s.Bold(left, 23, large, s.say("调试记录", "Commissioning record"))
	zh, en, r, g, b := verdict(s.v.State)
	s.Colour(r, g, b)
	s.Rect(left, 28, 42, 10, 0)
	s.Gray(1)
	words := s.say(zh, en)
	s.Bold(left+21-s.Width(13*pdf.Point, words)/2, 34.7, 13*pdf.Point, words)
	s.Gray(0.35)
	x := left + 46
	s.Text(x, 32, small, s.say("编号 ", "Visit ")+s.v.ID)
	note := s.say("结论依据设备报文，人不能代替设备判为合格", "What the device has to show was judged by its frames alone")
	s.Text(x, 36.5, small, s.Fit(right-code-x, small, note))
	if s.v.Gateway {
		s.Colour(0.7, 0.1, 0.1)
		s.Bold(left, 43.5, normal, s.say("需要加装网关", "A gateway is needed here"))
	}
	s.Gray(0)
	s.y = 50
}

func verdict(v grid.VisitState) (zh, en string, r, g, b float64) {
	switch v {
	case grid.VisitPassed:
		return "合格", "PASSED", 0.08, 0.45, 0.2
	case grid.VisitFailed:
		return "不合格", "FAILED", 0.7, 0.1, 0.1
	case grid.VisitPending:
		return "待验证", "PENDING", 0.6, 0.38, 0
	}
	return "进行中", "OPEN", 0.3, 0.3, 0.3
}

// facts are what was commissioned, where and by what, in two columns.
func (s *sheet) facts() {
	v := s.v
	p := &v.Place
	firmware := cmp.Or(v.Device.Firmware, "—")
	for i := len(v.Frames) - 1; i >= 0; i-- {
		if f := v.Frames[i].Profile; f != "" {
			firmware = strings.TrimPrefix(s.say("固件 ", "firmware ")+firmware+s.say("，解析 ", ", read as ")+f, " ")
			break
		}
	}
	link := fmt.Sprintf("%s, %s %s", v.Signal.Link, s.say("上报周期", "reports every"), interval(v.Interval))
	signal := cmp.Or(commission.SignalWords(&v.Signal), "—")
	if m := v.Signal.MarginDB; m != nil {
		signal += fmt.Sprintf(s.say("（余量 %.0f dB，%d 帧）", " (margin %.0f dB, %d frames)"), *m, v.Signal.Frames)
	}
	battery := "—"
	if b := v.Signal.BatteryPc; b != nil {
		battery = fmt.Sprintf("%.0f %%", *b)
	}
	ended := time.Time{}
	if v.Signed != nil {
		ended = v.Signed.At
	}
	mode := s.say("联网", "online")
	if v.Offline {
		mode = s.say("离线", "offline")
	}
	rows := [][4]string{
		{s.say("点位", "Point"), v.Point + " " + p.Name, s.say("设备", "Device"), string(v.Visit.Device)},
		{s.say("类型", "Kind"), s.kind(), s.say("型号", "Model"), v.Profile},
		{s.say("地点", "Place"), place(p), s.say("固件", "Firmware"), firmware},
		{s.say("网格", "Cell"), cmp.Or(v.Cell, "—"), s.say("链路", "Link"), link},
		{s.say("坐标", "Position"), position(p), s.say("信号", "Signal"), signal},
		{s.say("开始", "Began"), when(v.Started) + " " + mode, s.say("电池", "Battery"), battery},
		{s.say("结束", "Ended"), when(ended), s.say("判定", "Decided"), when(v.Decided)},
	}
	const label, half = 17.0, width / 2
	for _, r := range rows {
		one, two := s.Lines(half-label-3, normal, r[1]), s.Lines(half-label, normal, r[3])
		for i, x := range []float64{left, left + half} {
			s.Gray(0.4)
			s.Text(x, s.y, small, r[2*i])
			s.Gray(0)
			for n, line := range [][]string{one, two}[i] {
				s.Text(x+label, s.y+float64(n)*normal*1.3, normal, line)
			}
		}
		s.y += float64(max(len(one), len(two), 1))*normal*1.3 + 0.8
	}
	s.y += 2
}

// interval is seconds in the unit that people say.
func interval(s int) string {
	switch {
	case s >= 3600 && s%3600 == 0:
		return fmt.Sprintf("%d h", s/3600)
	case s >= 60 && s%60 == 0:
		return fmt.Sprintf("%d min", s/60)
	}
	return fmt.Sprintf("%d s", s)
}

func (s *sheet) kind() string {
	switch s.v.Kind {
	case grid.Door:
		return s.say("门磁", "door")
	case grid.Parking:
		return s.say("车位地磁", "parking")
	case grid.Manhole:
		return s.say("井盖", "manhole")
	case grid.Smoke:
		return s.say("烟感", "smoke")
	}
	return string(s.v.Kind)
}

func place(p *grid.Point) string {
	var words []string
	for _, w := range []string{p.Address, p.Building, p.Floor, p.Room} {
		if w != "" {
			words = append(words, w)
		}
	}
	return cmp.Or(strings.Join(words, " "), "—")
}

func position(p *grid.Point) string {
	if p.Lon == 0 && p.Lat == 0 {
		return "—"
	}
	return fmt.Sprintf("%.6f, %.6f (WGS84)", p.Lon, p.Lat)
}

// steps is the table: what had to be shown, how it went, by what, when.
func (s *sheet) steps() {
	const mark, title, at = 19.0, 50.0, 24.0
	x := [4]float64{left, left + mark, left + mark + title, right - at}
	s.Gray(0.92)
	s.Rect(left, s.y-4.2, width, 6, 0)
	s.Gray(0)
	for i, h := range []string{s.say("结果", "Result"), s.say("步骤", "Step"), s.say("依据", "What showed it"), s.say("时间", "Time")} {
		s.Bold(x[i]+1, s.y, small, h)
	}
	s.y += 6
	for i := range s.v.Steps {
		st := &s.v.Steps[i]
		shown := st.Value
		if d := s.text(st.Detail); d != "" {
			shown = strings.TrimPrefix(shown+s.say("，", ", ")+d, s.say("，", ", "))
		}
		lines := s.Lines(x[3]-x[2]-2, small, shown)
		if len(lines) > 4 {
			lines = append(lines[:3], s.Fit(x[3]-x[2]-2, small, strings.Join(lines[3:], "")))
		}
		name := s.Lines(title-2, small, s.text(st.Title)+s.must(st))
		s.Colour(stateColour(st.State))
		s.Bold(x[0]+1, s.y, small, s.text(commission.StateWords(st.State)))
		s.Gray(0)
		for n, line := range name {
			s.Text(x[1]+1, s.y+float64(n)*small*1.35, small, line)
		}
		for n, line := range lines {
			s.Text(x[2]+1, s.y+float64(n)*small*1.35, small, line)
		}
		if !st.At.IsZero() {
			s.Text(x[3]+1, s.y, small, st.At.In(shanghai).Format("01-02 15:04:05"))
		}
		s.y += float64(max(len(lines), len(name), 1))*small*1.35 + 1
		s.Gray(0.85)
		s.Line(left, s.y-3.4, right, s.y-3.4, 0.1)
		s.Gray(0)
	}
	s.y += 2
}

func (s *sheet) must(st *grid.VisitStep) string {
	if st.Must {
		return ""
	}
	return s.say("（可选）", " (optional)")
}

func stateColour(s grid.StepState) (r, g, b float64) {
	switch s {
	case grid.StepPassed:
		return 0.08, 0.45, 0.2
	case grid.StepFailed:
		return 0.7, 0.1, 0.1
	}
	return 0.45, 0.35, 0
}

func (s *sheet) reasons() {
	if len(s.v.Reasons) == 0 {
		return
	}
	head := s.say("原因", "Reasons")
	if s.v.State == grid.VisitPassed {
		head = s.say("备注", "Remarks")
	}
	s.Bold(left, s.y, normal, head)
	s.y += 5
	for i, r := range s.v.Reasons {
		if s.y > bottom-70 {
			s.Text(left, s.y, small, fmt.Sprintf(s.say("另有 %d 条", "and %d more"), len(s.v.Reasons)-i))
			s.y += 5
			break
		}
		s.y = s.Wrap(left, s.y, width, small, "· "+s.text(r)) + 0.5
	}
	s.y += 2
}

// photos stand small, with the hash under which the gateway keeps them.
func (s *sheet) photos() {
	if len(s.v.Kept) == 0 {
		return
	}
	const w, h, most = 42.0, 32.0, 4
	room := min(h, bottom-38-s.y-9)
	if room < 10 {
		return
	}
	for i := range s.v.Kept[:min(len(s.v.Kept), most)] {
		p := &s.v.Kept[i]
		x := left + float64(i)*(w+3)
		if p.File == nil || s.Image(x, s.y, w, room, p.File) != nil {
			s.Gray(0.7)
			s.Rect(x, s.y, w, room, 0.2)
			s.Gray(0.3)
			s.Text(x+2, s.y+6, small, s.Fit(w-4, small, p.Type+s.say(" 无法预览", ": no preview")))
			s.Gray(0)
		}
		s.Wrap(x, s.y+room+3, w, hash, "SHA-256 "+p.SHA256[:min(32, len(p.SHA256))]+" "+p.SHA256[min(32, len(p.SHA256)):])
	}
	s.y += room + 12
}

func (s *sheet) signature() {
	y := max(s.y+2, bottom-26)
	s.Line(left, y, right, y, 0.2)
	sig := s.v.Signed
	if sig == nil {
		s.Text(left, y+7, normal, s.say("尚未签署", "Not signed"))
		return
	}
	verdict := s.say("合格", "pass")
	if sig.Verdict != commission.Pass {
		verdict = s.say("不合格", "fail")
	}
	who := sig.By.Name
	if u := cmp.Or(s.v.Unit, sig.By.Unit); u != "" && u != who {
		who += s.say("，", ", ") + u
	}
	s.Text(left, y+7, normal, fmt.Sprintf(s.say("签署：%s　意见：%s　现场时间：%s", "Signed by %s as %s on site at %s"), who, verdict, when(sig.At)))
	s.Text(left, y+13, small, fmt.Sprintf(s.say("网关收到签署：%s；网关收到的首次报告：%s；本次报文 %d 帧", "Signature received %s; first told of %s; %d frames of the device in this visit"), when(sig.Signed), when(s.v.Opened), s.v.Heard))
}

func (s *sheet) foot(at time.Time) {
	s.Gray(0.45)
	s.Text(left, bottom+2, small, fmt.Sprintf(s.say("时间均为北京时间 (UTC+8)　打印：%s", "Times are UTC+8. Printed %s"), when(at)))
	s.Gray(0)
}
