package gatetest

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// SheetHeader is that of the usual installer's sheet, as people here write it.
var SheetHeader = []string{
	"点位编号", "点位名称", "类型", "地址", "楼栋", "楼层", "房间", "经度", "纬度", "坐标系", "网格编码", "部件编码",
	"DevEUI", "设备型号", "上报间隔", "安装时间", "产权单位", "隐私类别", "模式", "电池节数",
}

// BadCell is one way in which a row goes wrong: what stands in a column of it instead.
type BadCell struct{ Column, Value string }

// BadCells are fifty ways to be wrong, each of another kind.
func BadCells() []BadCell {
	long := strings.Repeat("长", 300)
	return []BadCell{
		{"类型", "烟雾机"}, {"类型", ""}, {"类型", "smoke detector"},
		{"经度", "东经一百二十一"}, {"经度", "181"}, {"经度", "121,43"}, {"经度", "NaN"}, {"经度", ""},
		{"纬度", "95.2"}, {"纬度", "121.43"}, {"纬度", "31.2.3"}, {"纬度", ""},
		{"坐标系", ""}, {"坐标系", "WGS72"}, {"坐标系", "上海坐标"},
		{"网格编码", "31010"}, {"网格编码", "3101060010010012"}, {"网格编码", "3.10106E+14"}, {"网格编码", "310106OO1001001"}, {"网格编码", "310106000000000"},
		{"部件编码", "3.1010600100101E+15"}, {"部件编码", "123"}, {"部件编码", "31010600100100A1"},
		{"DevEUI", ""}, {"DevEUI", "3.10105E+14"}, {"DevEUI", "24E124136D4901"}, {"DevEUI", "GATEWAY-7"}, {"DevEUI", "eui:24e1"}, {"DevEUI", "设备七"},
		{"设备型号", ""}, {"设备型号", "milesight/nosuch"}, {"设备型号", "烟感"},
		{"上报间隔", "20"}, {"上报间隔", "20x"}, {"上报间隔", "-5m"}, {"上报间隔", "9600h"},
		{"安装时间", "昨天"}, {"安装时间", "2026-13-01"}, {"安装时间", "2099-01-01"}, {"安装时间", "1999-01-01"},
		{"楼层", long}, {"点位名称", long}, {"地址", "#REF!"}, {"房间", "二\ufffd三"},
		{"隐私类别", "保密"}, {"模式", "livee"}, {"电池节数", "-1"}, {"电池节数", "两节"},
		{"点位编号", ""}, {"点位编号", strings.Repeat("P", 200)},
	}
}

// Sheet makes the rows below the header: the same for the same seed. Of them, the last but some are
// bad, each in another way.
func Sheet(seed uint64, rows int, bad []BadCell) [][]string {
	rng := rand.New(rand.NewPCG(seed, 6))
	column := map[string]int{}
	for i, h := range SheetHeader {
		column[h] = i
	}
	kinds := [][2]string{{"门", "milesight/ws301"}, {"烟感", "milesight/gs524n"}, {"井盖", "milesight/em310-tilt"}, {"车位", "pni/placepod"}}
	out := make([][]string, rows)
	for i := range out {
		k := kinds[rng.IntN(len(kinds))]
		house := i / 40
		out[i] = []string{
			fmt.Sprintf("JA-%06d", i+1), fmt.Sprintf("%d号楼%d单元%s", house%60+1, i%4+1, k[0]), k[0], fmt.Sprintf("示例路 %d 弄 %d 号", house/60+1, house%60+1),
			fmt.Sprintf("ja-%d", house), fmt.Sprint(i%6 + 1), []string{"楼道", "电梯厅", "地下室", "=屋顶"}[rng.IntN(4)],
			fmt.Sprintf("%.6f", 121.43+rng.Float64()*0.03), fmt.Sprintf("%.6f", 31.21+rng.Float64()*0.06), "WGS84", fmt.Sprintf("310106%03d%03d%03d", house%9+1, house%20+1, i%90+1), "",
			fmt.Sprintf("24E1%012X", uint64(seed)<<20+uint64(i)), k[1], []string{"", "20m", "1小时"}[rng.IntN(3)], "2026-03-01 08:00", "示例物业", "公共部位", "", fmt.Sprint(rng.IntN(3) + 1),
		}
	}
	for i, b := range bad {
		out[rows*(i+1)/(len(bad)+1)][column[b.Column]] = b.Value
	}
	return out
}

// SheetCSV writes a sheet as spreadsheets here do: in GB18030, with semicolons or as UTF-8.
func SheetCSV(rows [][]string, gb bool) ([]byte, error) {
	var b bytes.Buffer
	var to io.Writer = &b
	if gb {
		to = simplifiedchinese.GB18030.NewEncoder().Writer(&b)
	}
	w := csv.NewWriter(to)
	err := w.Write(SheetHeader)
	if err == nil {
		err = w.WriteAll(rows)
	}
	return b.Bytes(), err
}

// SheetXLSX writes a sheet as a workbook of texts.
func SheetXLSX(rows [][]string) ([]byte, error) {
	f := excelize.NewFile()
	s, err := f.NewStreamWriter("Sheet1")
	if err != nil {
		return nil, err
	}
	cells := make([]any, len(SheetHeader))
	for i, row := range append([][]string{SheetHeader}, rows...) {
		for k := range row {
			cells[k] = row[k]
		}
		if err := s.SetRow(fmt.Sprintf("A%d", i+1), cells); err != nil {
			return nil, err
		}
	}
	if err := s.Flush(); err != nil {
		return nil, err
	}
	b, err := f.WriteToBuffer()
	if err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
