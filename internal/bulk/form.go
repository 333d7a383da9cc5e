package bulk

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// line is a row of a sheet with its cells read: what each of its columns says of one point,
// one device and one installation. set says which columns say anything.
type line struct {
	n        int
	point    grid.Point
	device   grid.Device
	in       grid.Installation
	building grid.Building
	set      uint64
	quoted   bool // the cell in hand is kept as text by an apostrophe
}

// form is how the cells of a column are read, written and taken over.
type form struct {
	read  func(l *line, s string) *grid.Text
	write func(l *line) string
	copy  func(to, from *line)
	code  bool // digits that a spreadsheet may have spoiled
	date  bool // may be a date
}

// text is a form of free words.
func text(at func(*line) *string, most int) form {
	return form{
		read: func(l *line, s string) *grid.Text {
			if len([]rune(s)) > most {
				return say("超过 %d 个字：请缩短", "is longer than %d characters: want it shorter", most)
			}
			*at(l) = s
			return nil
		},
		write: func(l *line) string { return *at(l) },
		copy:  func(to, from *line) { *at(to) = *at(from) },
	}
}

// code is a form of so many digits.
func code(at func(*line) *string, digits int) form {
	f := text(at, digits)
	f.code = true
	f.read = func(l *line, s string) *grid.Text {
		s = narrow(s)
		if w := rounded(l, s); w != nil {
			return w
		}
		if len(s) != digits || strings.Trim(s, "0123456789") != "" {
			return say("应为 %d 位数字，实际为 %d 位", "want %d digits, it has %d characters", digits, len([]rune(s)))
		}
		*at(l) = s
		return nil
	}
	return f
}

// name is a form of words that stand for values, in both languages.
func name[T ~string](at func(*line) *T, values []value[T]) form {
	return form{
		read: func(l *line, s string) *grid.Text {
			key := strings.ToLower(strings.TrimSpace(narrow(s)))
			var zh, en []string
			for _, v := range values {
				for i, word := range v.words {
					if key == word {
						*at(l) = v.is
						return nil
					}
					if i == 0 {
						en = append(en, word)
					} else if i == 1 {
						zh = append(zh, word)
					}
				}
			}
			return &grid.Text{ZH: "应为 " + strings.Join(zh, "、") + " 之一", EN: "want one of " + strings.Join(en, ", ")}
		},
		write: func(l *line) string { return string(*at(l)) },
		copy:  func(to, from *line) { *at(to) = *at(from) },
	}
}

// value is what a word stands for: its name first, then in Chinese, then others.
type value[T ~string] struct {
	is    T
	words []string
}

var kindNames = []value[grid.Kind]{
	{grid.Door, []string{"door", "门", "门磁", "消防门", "大门"}},
	{grid.Parking, []string{"parking", "车位", "停车位", "泊位", "地磁"}},
	{grid.Manhole, []string{"manhole", "井盖", "窨井", "窨井盖"}},
	{grid.Smoke, []string{"smoke", "烟感", "感烟", "烟雾", "烟雾报警器"}},
}

var modeNames = []value[grid.Mode]{
	{grid.Live, []string{"live", "正式", "运行"}},
	{grid.Test, []string{"test", "测试"}},
	{grid.Exercise, []string{"exercise", "演练"}},
	{grid.Simulated, []string{"simulated", "模拟"}},
}

var stateNames = []value[grid.DeviceState]{
	{grid.Registered, []string{"registered", "已登记", "登记"}},
	{grid.Installed, []string{"installed", "已安装", "安装"}},
	{grid.Barred, []string{"barred", "已禁用", "禁用"}},
	{grid.Retired, []string{"retired", "已退役", "退役"}},
}

var privacyNames = []value[grid.Privacy]{
	{grid.PublicSpace, []string{"public_space", "公共空间", "public space", "公共"}},
	{grid.SharedBuilding, []string{"shared_building", "楼内公共部位", "shared building", "公共部位", "楼道"}},
	{grid.Dwelling, []string{"dwelling", "住宅内", "户内", "入户"}},
}

// serial is a form of a number that is a name: a spreadsheet may have spoiled it.
func serial(at func(*line) *string) form {
	f := text(at, 128)
	words := f.read
	f.code = true
	f.read = func(l *line, s string) *grid.Text {
		if w := rounded(l, s); w != nil {
			return w
		}
		return words(l, s)
	}
	return f
}

// words is a form of a list.
func words(at func(*line) *[]string) form {
	return form{
		read: func(l *line, s string) *grid.Text {
			*at(l) = nil
			for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r == ';' || r == '；' || r == '\n' }) {
				if w = strings.TrimSpace(w); w != "" {
					*at(l) = append(*at(l), w)
				}
			}
			if len(*at(l)) > 20 {
				return say("最多 20 项", "has more than 20: want fewer")
			}
			return nil
		},
		write: func(l *line) string { return strings.Join(*at(l), "; ") },
		copy:  func(to, from *line) { *at(to) = *at(from) },
	}
}

// degrees is a form of a longitude or latitude.
func degrees(at func(*line) *float64, most float64) form {
	return form{
		read: func(l *line, s string) *grid.Text {
			s = strings.TrimRight(narrow(s), "°度 ENen东北")
			v, err := strconv.ParseFloat(s, 64)
			switch {
			case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
				return say("不是数字：请填十进制度数，例如 121.4328", "is no number: want decimal degrees, for example 121.4328")
			case math.Abs(v) > most && math.Abs(v) <= 180:
				return say("超出 ±%g 度：经度和纬度可能填反了", "is beyond ±%g degrees: longitude and latitude may be the wrong way round", most)
			case math.Abs(v) > most:
				return say("超出 ±%g 度", "is beyond ±%g degrees", most)
			}
			*at(l) = v
			return nil
		},
		write: func(l *line) string {
			if v := *at(l); v != 0 {
				return strconv.FormatFloat(v, 'f', -1, 64)
			}
			return ""
		},
		copy: func(to, from *line) { *at(to) = *at(from) },
	}
}

// number is a form of a count.
func number(at func(*line) *int, most int) form {
	return form{
		read: func(l *line, s string) *grid.Text {
			v, err := strconv.Atoi(narrow(s))
			if err != nil || v < 0 || v > most {
				return say("应为 0 到 %d 的整数", "want a whole number from 0 to %d", most)
			}
			*at(l) = v
			return nil
		},
		write: func(l *line) string {
			if v := *at(l); v != 0 {
				return strconv.Itoa(v)
			}
			return ""
		},
		copy: func(to, from *line) { *at(to) = *at(from) },
	}
}

var chineseTimes = strings.NewReplacer("分钟", "m", "小时", "h", "分", "m", "时", "h", "秒", "s", " ", "")

// span is a form of how long.
func span(at func(*line) *time.Duration) form {
	return form{
		read: func(l *line, s string) *grid.Text {
			s = chineseTimes.Replace(narrow(s))
			d, err := time.ParseDuration(s)
			if _, bare := strconv.ParseFloat(s, 64); bare == nil && s != "0" {
				return say("没有单位：请写成 20m、2h 或 20分钟", "has no unit: want 20m, 2h or the like")
			}
			if err != nil || d < 0 || d > 366*24*time.Hour || d%time.Second != 0 {
				return say("不是时长：请写成 20m、2h 或 20分钟", "is no length of time: want 20m, 2h or the like")
			}
			*at(l) = d
			return nil
		},
		write: func(l *line) string {
			d := *at(l)
			switch {
			case d == 0:
				return ""
			case d%time.Hour == 0:
				return strconv.Itoa(int(d/time.Hour)) + "h"
			case d%time.Minute == 0:
				return strconv.Itoa(int(d/time.Minute)) + "m"
			}
			return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
		},
		copy: func(to, from *line) { *at(to) = *at(from) },
	}
}

// china is the zone of times without one: there is only one.
var china = time.FixedZone("+08:00", 8*3600)

var timeForms = []string{
	time.RFC3339Nano, "2006-1-2 15:04:05", "2006-1-2 15:04", "2006-1-2T15:04:05", "2006-1-2T15:04", "2006-1-2",
	"2006/1/2 15:04:05", "2006/1/2 15:04", "2006/1/2", "2006.1.2", "2006年1月2日 15:04", "2006年1月2日15:04", "2006年1月2日", "20060102",
}

func parseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(narrow(s))
	for _, f := range timeForms {
		if t, err := time.ParseInLocation(f, s, china); err == nil && t.Year() >= 2000 && t.Year() < 2100 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("no time")
}

// moment is a form of when.
func moment(at func(*line) *time.Time) form {
	return form{
		date: true,
		read: func(l *line, s string) *grid.Text {
			t, err := parseTime(s)
			if err != nil {
				return say("不是时间：请写成 2026-03-01 或 2026-03-01 08:00", "is no time: want 2026-03-01 or 2026-03-01 08:00")
			}
			*at(l) = t
			return nil
		},
		write: func(l *line) string {
			if t := *at(l); !t.IsZero() {
				return t.UTC().Format(time.RFC3339Nano)
			}
			return ""
		},
		copy: func(to, from *line) { *at(to) = *at(from) },
	}
}

var (
	bareEUI  = regexp.MustCompile(`^[0-9a-f]{16}$`)
	bareIMEI = regexp.MustCompile(`^[0-9]{15}$`)
	marks    = strings.NewReplacer("-", "", " ", "", ":", "")
)

// identity is a form of who a device is: also the bare EUI or IMEI of a label.
func identity(at func(*line) *grid.Identity) form {
	return form{
		code: true,
		read: func(l *line, s string) *grid.Text {
			s = narrow(s)
			if w := rounded(l, s); w != nil {
				return w
			}
			low := strings.ToLower(s)
			bare := marks.Replace(low)
			switch {
			case bareEUI.MatchString(bare):
				low = "eui:" + bare
			case bareIMEI.MatchString(bare):
				low = "imei:" + bare
			case strings.HasPrefix(low, "eui:"), strings.HasPrefix(low, "imei:"):
				low, _, _ = strings.Cut(low, ":")
				low += ":" + strings.TrimPrefix(bare, low)
			case !strings.Contains(s, ":"):
				return say("不是设备标识：请填 16 位 EUI、15 位 IMEI，或 <类型>:<名称>", "is no identity: want an EUI of 16 digits, an IMEI of 15, or <kind>:<name>")
			default:
				low = s
			}
			*at(l) = grid.Identity(low)
			return nil
		},
		write: func(l *line) string { return string(*at(l)) },
		copy:  func(to, from *line) { *at(to) = *at(from) },
	}
}

// system is a form of the coordinate system of a position.
func system(at func(*line) *string) form {
	known, signs := map[string]string{}, strings.NewReplacer("-", "", "_", "", " ", "")
	for is, words := range systems {
		for _, w := range words {
			known[w] = is
		}
	}
	return form{
		read: func(l *line, s string) *grid.Text {
			if is, ok := known[signs.Replace(strings.ToUpper(narrow(s)))]; ok {
				*at(l) = is
				return nil
			}
			return say("应为 WGS84、CGCS2000、GCJ02（高德、腾讯）或 BD09（百度）", "want WGS84, CGCS2000, GCJ02 (Amap, Tencent) or BD09 (Baidu)")
		},
		write: func(l *line) string { return *at(l) },
		copy:  func(to, from *line) { *at(to) = *at(from) },
	}
}

var systems = map[string][]string{
	"WGS84":    {"WGS84", "WGS1984", "EPSG:4326", "GPS"},
	"CGCS2000": {"CGCS2000", "国家2000", "2000国家大地坐标系", "EPSG:4490"},
	"GCJ02":    {"GCJ02", "火星坐标", "高德", "腾讯"},
	"BD09":     {"BD09", "百度", "百度坐标"},
}
