package bulk

import (
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// column is one column of a sheet: data, of which headers, cells, templates and exports are made.
type column struct {
	key    string
	zh, en string   // headers that are written
	also   []string // headers that are understood beside key, zh and en
	of     part     // what it says something of
	form   form
	hint   grid.Text
	sample string // of the template
}

// part is what a column says something of.
type part uint8

const (
	ofPoint part = 1 << iota
	ofDevice
	ofInstallation
	ofBuilding
	key  // it names the row, and is no property
	told // it is written and compared, and cannot be changed by a sheet
)

// Keys that the code asks for by name.
const (
	keyPoint    = "point_id"
	keyDevice   = "identity"
	keyChannel  = "channel"
	keyFrom     = "from"
	keyState    = "device_state"
	keyBuilding = "building_id"
)

// columns are all there are, in the order in which they are written.
func columns() []column {
	return slices.Concat(pointColumns(), deviceColumns(), installationColumns(), buildingColumns())
}

func pointColumns() []column {
	return []column{
		{key: keyPoint, zh: "点位编号", en: "point id", also: []string{"point", "点位", "点位号", "点位id", "安装点位"}, of: ofPoint | ofInstallation | key,
			form: text(func(l *line) *string { return &l.point.ID }, 128), hint: grid.Text{ZH: "必填，全区唯一", EN: "unique"}, sample: "JA-0001"},
		{key: "point_name", zh: "点位名称", en: "point name", also: []string{"名称", "name"}, of: ofPoint,
			form: text(func(l *line) *string { return &l.point.Name }, 200), sample: "3号楼2单元楼道烟感"},
		{key: "kind", zh: "点位类型", en: "kind", also: []string{"类型", "类别", "point kind", "type"}, of: ofPoint,
			form: name(func(l *line) *grid.Kind { return &l.point.Kind }, kindNames), hint: grid.Text{ZH: "门、车位、井盖或烟感", EN: "door, parking, manhole or smoke"}, sample: "烟感"},
		{key: "address", zh: "地址", en: "address", also: []string{"详细地址", "安装地址"}, of: ofPoint, form: text(func(l *line) *string { return &l.point.Address }, 300), sample: "示例路 7 弄 3 号"},
		{key: "building", zh: "楼栋", en: "building", also: []string{"楼号", "楼栋号", "幢"}, of: ofPoint, form: text(func(l *line) *string { return &l.point.Building }, 128), sample: "3号楼"},
		{key: "floor", zh: "楼层", en: "floor", also: []string{"层"}, of: ofPoint, form: text(func(l *line) *string { return &l.point.Floor }, 40), sample: "2"},
		{key: "room", zh: "房间", en: "room", also: []string{"房间号", "室号", "室"}, of: ofPoint, form: text(func(l *line) *string { return &l.point.Room }, 80), sample: "楼道"},
		{key: "lon", zh: "经度", en: "longitude", also: []string{"lng", "long", "x"}, of: ofPoint, form: degrees(func(l *line) *float64 { return &l.point.Lon }, 180),
			hint: grid.Text{ZH: "十进制度数，须与纬度、坐标系同填", EN: "decimal degrees, with latitude and crs"}, sample: "121.4328"},
		{key: "lat", zh: "纬度", en: "latitude", also: []string{"y"}, of: ofPoint, form: degrees(func(l *line) *float64 { return &l.point.Lat }, 90), sample: "31.2207"},
		{key: "crs", zh: "坐标系", en: "crs", also: []string{"坐标系统", "coordinate system"}, of: ofPoint, form: system(func(l *line) *string { return &l.point.CRS }),
			hint: grid.Text{ZH: "WGS84、CGCS2000、GCJ02 或 BD09", EN: "WGS84, CGCS2000, GCJ02 or BD09"}, sample: "WGS84"},
		{key: "cell", zh: "单元网格编码", en: "cell", also: []string{"网格编码", "网格", "网格号", "单元网格", "grid cell", "cell code"}, of: ofPoint,
			form: code(func(l *line) *string { return &l.point.Cell }, 15), hint: grid.Text{ZH: "15 位，列格式须为文本", EN: "15 digits, as text"}, sample: "310106001001001"},
		{key: "component", zh: "部件编码", en: "component", also: []string{"部件号", "component code"}, of: ofPoint,
			form: code(func(l *line) *string { return &l.point.Component }, 16), hint: grid.Text{ZH: "16 位，列格式须为文本", EN: "16 digits, as text"}},
		{key: "district", zh: "区代码", en: "district", also: []string{"区", "district code"}, of: ofPoint, form: code(func(l *line) *string { return &l.point.District }, 6)},
		{key: "street", zh: "街道代码", en: "street", also: []string{"街道", "street code"}, of: ofPoint, form: code(func(l *line) *string { return &l.point.Street }, 9)},
		{key: "community", zh: "居委代码", en: "community", also: []string{"居委", "社区", "社区代码", "community code"}, of: ofPoint, form: code(func(l *line) *string { return &l.point.Community }, 12)},
		{key: "compound", zh: "小区", en: "compound", also: []string{"小区代码", "住宅小区"}, of: ofPoint, form: text(func(l *line) *string { return &l.point.Compound }, 128)},
		{key: "contractor", zh: "维保单位", en: "contractor", also: []string{"维保", "维护单位"}, of: ofPoint, form: text(func(l *line) *string { return &l.point.Contractor }, 128)},
		{key: "rules", zh: "规则集", en: "rules", also: []string{"规则", "rule set"}, of: ofPoint, form: text(func(l *line) *string { return &l.point.Rules }, 80)},
		{key: "point_mode", zh: "点位模式", en: "point mode", also: []string{"模式", "mode"}, of: ofPoint, form: name(func(l *line) *grid.Mode { return &l.point.Mode }, modeNames)},
		{key: "site", zh: "场所", en: "site", of: ofPoint, form: text(func(l *line) *string { return &l.point.Site }, 128)},
		{key: "owner", zh: "产权单位", en: "owner", also: []string{"权属单位", "业主"}, of: ofPoint, form: text(func(l *line) *string { return &l.point.Owner }, 128)},
		{key: "privacy", zh: "隐私类别", en: "privacy", also: []string{"隐私", "privacy class"}, of: ofPoint, form: name(func(l *line) *grid.Privacy { return &l.point.Privacy }, privacyNames),
			hint: grid.Text{ZH: "公共空间、楼内公共部位或住宅内", EN: "public_space, shared_building or dwelling"}},
		{key: "point_notes", zh: "点位备注", en: "point notes", also: []string{"备注", "notes"}, of: ofPoint, form: text(func(l *line) *string { return &l.point.Notes }, 1000)},
	}
}

func deviceColumns() []column {
	return []column{
		{key: keyDevice, zh: "设备标识", en: "device identity", also: []string{"device", "设备", "设备编号", "设备号", "deveui", "dev eui", "eui", "imei"}, of: ofDevice | ofInstallation | key,
			form: identity(func(l *line) *grid.Identity { return &l.device.Identity }), hint: grid.Text{ZH: "16 位 EUI、15 位 IMEI 或 <类型>:<名称>，列格式须为文本", EN: "EUI of 16, IMEI of 15 digits, or <kind>:<name>, as text"}, sample: "24E124136D490175"},
		{key: "profile", zh: "设备型号", en: "profile", also: []string{"型号", "固件配置", "model", "device profile"}, of: ofDevice,
			form: text(func(l *line) *string { return &l.device.Profile }, 128), hint: grid.Text{ZH: "厂商/型号，见 gridgate profile list", EN: "vendor/model, see gridgate profile list"}, sample: "milesight/gs524n"},
		{key: "interval", zh: "上报间隔", en: "interval", also: []string{"上报周期", "心跳间隔", "reporting interval"}, of: ofDevice, form: span(func(l *line) *time.Duration { return &l.device.Interval }),
			hint: grid.Text{ZH: "例如 20m、2h；空为型号默认值", EN: "for example 20m; empty: the profile's"}},
		{key: "device_mode", zh: "设备模式", en: "device mode", also: []string{"模式", "mode"}, of: ofDevice, form: name(func(l *line) *grid.Mode { return &l.device.Mode }, modeNames)},
		{key: keyState, zh: "设备状态", en: "device state", also: []string{"状态", "state"}, of: ofDevice | told, form: name(func(l *line) *grid.DeviceState { return &l.device.State }, stateNames)},
		{key: "serial", zh: "序列号", en: "serial number", also: []string{"sn", "出厂编号", "serial"}, of: ofDevice, form: serial(func(l *line) *string { return &l.device.Serial })},
		{key: "label", zh: "标签", en: "label", of: ofDevice, form: text(func(l *line) *string { return &l.device.Label }, 300)},
		{key: "firmware", zh: "固件版本", en: "firmware", also: []string{"固件"}, of: ofDevice, form: text(func(l *line) *string { return &l.device.Firmware }, 80)},
		{key: "hardware", zh: "硬件版本", en: "hardware", also: []string{"硬件"}, of: ofDevice, form: text(func(l *line) *string { return &l.device.Hardware }, 80)},
		{key: "battery", zh: "电池型号", en: "battery", also: []string{"电池", "battery type"}, of: ofDevice, form: text(func(l *line) *string { return &l.device.Battery.Type }, 80)},
		{key: "battery_cells", zh: "电池节数", en: "battery cells", of: ofDevice, form: number(func(l *line) *int { return &l.device.Battery.Cells }, 100)},
		{key: "battery_fitted", zh: "电池更换日期", en: "battery fitted", also: []string{"换电池日期"}, of: ofDevice, form: moment(func(l *line) *time.Time { return &l.device.Battery.Fitted })},
		{key: "bought", zh: "采购日期", en: "bought", of: ofDevice, form: moment(func(l *line) *time.Time { return &l.device.Bought })},
		{key: "warranty", zh: "质保到期", en: "warranty end", also: []string{"质保", "保修到期", "warranty"}, of: ofDevice, form: moment(func(l *line) *time.Time { return &l.device.Warranty })},
		{key: "device_owner", zh: "设备产权", en: "device owner", also: []string{"产权单位", "owner"}, of: ofDevice, form: text(func(l *line) *string { return &l.device.Owner }, 128)},
		{key: "device_notes", zh: "设备备注", en: "device notes", also: []string{"备注", "notes"}, of: ofDevice, form: text(func(l *line) *string { return &l.device.Notes }, 1000)},
	}
}

func installationColumns() []column {
	return []column{
		{key: keyChannel, zh: "通道", en: "channel", also: []string{"通道号", "端口"}, of: ofInstallation | key, form: text(func(l *line) *string { return &l.in.Channel }, 80),
			hint: grid.Text{ZH: "空为 main", EN: "empty: main"}},
		{key: keyFrom, zh: "安装时间", en: "installed from", also: []string{"安装日期", "installed", "from date"}, of: ofInstallation, form: moment(func(l *line) *time.Time { return &l.in.From }),
			hint: grid.Text{ZH: "空为导入时间", EN: "empty: now"}},
	}
}

func buildingColumns() []column {
	return []column{
		{key: keyBuilding, zh: "楼栋编号", en: "building id", also: []string{"编号", "id"}, of: ofBuilding | key, form: text(func(l *line) *string { return &l.building.ID }, 128), sample: "ja-3"},
		{key: "building_name", zh: "楼栋名称", en: "building name", also: []string{"名称", "name"}, of: ofBuilding, form: text(func(l *line) *string { return &l.building.Name }, 200), sample: "3号楼"},
		{key: "building_site", zh: "所属场所", en: "building site", also: []string{"场所", "site"}, of: ofBuilding, form: text(func(l *line) *string { return &l.building.Site }, 128)},
		{key: "building_address", zh: "楼栋地址", en: "building address", also: []string{"地址", "address"}, of: ofBuilding, form: text(func(l *line) *string { return &l.building.Address }, 300), sample: "示例路 7 弄 3 号"},
		{key: "entrances", zh: "出入口", en: "entrances", of: ofBuilding, form: words(func(l *line) *[]string { return &l.building.Entrances }), hint: grid.Text{ZH: "多个用分号隔开，先写最常用的", EN: "several by semicolons, the one to take first"}},
		{key: "key_holder", zh: "钥匙保管", en: "key holder", of: ofBuilding, form: text(func(l *line) *string { return &l.building.KeyHolder }, 80), hint: grid.Text{ZH: "写岗位，不写姓名", EN: "a role, no name"}},
		{key: "floors", zh: "层数", en: "floors", of: ofBuilding, form: number(func(l *line) *int { return &l.building.Floors }, 200), sample: "6"},
		{key: "building_district", zh: "楼栋区代码", en: "building district", also: []string{"区代码", "区", "district"}, of: ofBuilding, form: code(func(l *line) *string { return &l.building.District }, 6)},
		{key: "building_street", zh: "楼栋街道代码", en: "building street", also: []string{"街道代码", "街道", "street"}, of: ofBuilding, form: code(func(l *line) *string { return &l.building.Street }, 9)},
		{key: "building_community", zh: "楼栋居委代码", en: "building community", also: []string{"居委代码", "居委", "community"}, of: ofBuilding, form: code(func(l *line) *string { return &l.building.Community }, 12)},
		{key: "building_compound", zh: "楼栋小区", en: "building compound", also: []string{"小区", "compound"}, of: ofBuilding, form: text(func(l *line) *string { return &l.building.Compound }, 128)},
		{key: "building_cell", zh: "楼栋网格编码", en: "building cell", also: []string{"单元网格编码", "网格编码", "cell"}, of: ofBuilding, form: code(func(l *line) *string { return &l.building.Cell }, 15)},
		{key: "building_lon", zh: "楼栋经度", en: "building longitude", also: []string{"经度", "longitude", "lon", "lng"}, of: ofBuilding, form: degrees(func(l *line) *float64 { return &l.building.Lon }, 180)},
		{key: "building_lat", zh: "楼栋纬度", en: "building latitude", also: []string{"纬度", "latitude", "lat"}, of: ofBuilding, form: degrees(func(l *line) *float64 { return &l.building.Lat }, 90)},
		{key: "building_crs", zh: "楼栋坐标系", en: "building crs", also: []string{"坐标系", "crs"}, of: ofBuilding, form: system(func(l *line) *string { return &l.building.CRS })},
		{key: "building_owner", zh: "楼栋产权单位", en: "building owner", also: []string{"产权单位", "owner"}, of: ofBuilding, form: text(func(l *line) *string { return &l.building.Owner }, 128)},
		{key: "building_notes", zh: "楼栋备注", en: "building notes", also: []string{"备注", "notes"}, of: ofBuilding, form: text(func(l *line) *string { return &l.building.Notes }, 1000)},
	}
}

// parts says what a sheet of a kind is about.
func parts(k grid.ImportKind) part {
	switch k {
	case grid.ImportPoints:
		return ofPoint
	case grid.ImportDevices:
		return ofDevice | ofInstallation
	case grid.ImportInstallations:
		return ofInstallation
	case grid.ImportBuildings:
		return ofBuilding
	}
	return ofPoint | ofDevice | ofInstallation
}

// ParseKind reads what a sheet is said to be.
func ParseKind(s string) (grid.ImportKind, error) {
	switch k := grid.ImportKind(s); k {
	case "":
		return grid.ImportAuto, nil
	case grid.ImportAuto, grid.ImportPoints, grid.ImportDevices, grid.ImportInstallations, grid.ImportBuildings:
		return k, nil
	}
	return "", grid.Errorf(grid.Invalid, "kind is %q: want points, devices, installations, buildings or auto", s)
}

var headerMarks = strings.NewReplacer(" ", "", "_", "", "-", "", "*", "", "：", "", ":", "", "\n", "", "\r", "", "\t", "", "　", "")

// bare is a header without what people put around it: case, spaces, stars, units in brackets.
func bare(header string) string {
	h := strings.ToLower(narrow(clean(header)))
	if i := strings.IndexByte(h, '('); i > 0 {
		h = h[:i]
	}
	return headerMarks.Replace(h)
}

// names are the headers of a column that are understood, as bare gives them.
func (c *column) names() []string {
	out := []string{bare(c.key), bare(c.zh), bare(c.en)}
	for _, a := range c.also {
		out = append(out, bare(a))
	}
	return out
}

// layout says which column stands at which place of a sheet.
type layout struct {
	all  []column
	kind grid.ImportKind
	at   []int  // of each place of the sheet: its column, -1: none
	set  uint64 // which columns the sheet has
	bits map[string]uint64
	by   map[string][]int // columns by the names that are understood
	says map[part]uint64  // which columns say something of a part, without keys

	titles map[int]string // of a column, as the sheet writes it
}

func newLayout(all []column, kind grid.ImportKind) layout {
	l := layout{all: all, kind: kind, titles: map[int]string{}, bits: make(map[string]uint64, len(all)), by: map[string][]int{}, says: map[part]uint64{}}
	for i := range all {
		l.bits[all[i].key] = 1 << i
		for _, n := range all[i].names() {
			l.by[n] = append(l.by[n], i)
		}
	}
	for _, p := range []part{ofPoint, ofDevice, ofInstallation, ofBuilding} {
		l.says[p] = bitsOf(all, p)
	}
	return l
}

// readHeader finds the columns of a sheet by its header row.
func readHeader(all []column, kind grid.ImportKind, cells []string) (layout, []grid.ImportProblem) {
	l := newLayout(all, kind)
	var problems []grid.ImportProblem
	wrong := func(cell string, w *grid.Text) {
		problems = append(problems, grid.ImportProblem{Row: 1, Column: shown(cell), Value: shown(cell), Problem: *w})
	}
	if len(cells) > maxColumns {
		if extra := first(cells[maxColumns:]); extra != "" {
			wrong(extra, say("超过 %d 列：多余的列不读取", "stands behind %d columns: want fewer, what is behind them is not read", maxColumns))
		}
		cells = cells[:maxColumns]
	}
	for _, cell := range cells {
		l.at = append(l.at, -1)
		if bare(cell) == "" {
			continue
		}
		n := l.find(cell)
		switch {
		case n < 0:
			near := l.nearest(cell)
			if near == nil {
				wrong(cell, say("不认识这个表头：请看模板中的列名（gridgate device import template）", "is no known header: want one of the template (gridgate device import template)"))
			} else {
				wrong(cell, say("不认识这个表头：是否为“%s”（%s）？", "is no known header: is %[2]q (%[1]s) meant?", near.zh, near.en))
			}
		case l.set&(1<<n) != 0:
			wrong(cell, say("表头重复：“%s”已在前面出现", "stands twice: %[1]s is there already", all[n].zh))
		default:
			l.at[len(l.at)-1] = n
			l.set |= 1 << n
			l.titles[n] = shown(clean(cell))
		}
	}
	return l, problems
}

func (l *layout) find(cell string) int {
	again, want := -1, parts(l.kind)
	for _, i := range l.by[bare(cell)] {
		switch {
		case l.all[i].of&want == 0:
		case l.set&(1<<i) == 0:
			return i
		case again < 0:
			again = i // it is there a second time
		}
	}
	return again
}

// longestHeader is what may be a column's name with a mistake in it.
const longestHeader = 60

// nearest is the column whose name is most like it, if one is.
func (l *layout) nearest(cell string) *column {
	name := bare(cell)
	length := len([]rune(name))
	if length > longestHeader {
		return nil // and it would be compared letter by letter, however long it is
	}
	var best *column
	least := max(1, length/3) + 1
	for i := range l.all {
		c := &l.all[i]
		if c.of&parts(l.kind) == 0 {
			continue
		}
		for _, n := range c.names() {
			if d := distance(name, n); d < least && d < max(length, len([]rune(n))) {
				best, least = c, d
			}
		}
	}
	return best
}

// has tells whether the sheet has a column.
func (l *layout) has(key string) bool { return l.set&l.bit(key) != 0 }

func (l *layout) bit(key string) uint64 { return l.bits[key] }

// title is how the sheet writes a column, or how it would.
func (l *layout) title(key string) string {
	for i := range l.all {
		if l.all[i].key == key {
			if t, ok := l.titles[i]; ok {
				return t
			}
			return l.all[i].zh
		}
	}
	return key
}

// bitsOf are the columns that say something of p, without keys.
func bitsOf(all []column, p part) (out uint64) {
	for i := range all {
		if all[i].of&p != 0 && all[i].of&key == 0 {
			out |= 1 << i
		}
	}
	return out
}

// header is how a column is written.
func (c *column) header(lang string) string {
	if lang == "en" {
		return c.en
	}
	return c.zh
}
