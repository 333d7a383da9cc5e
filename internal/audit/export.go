package audit

import (
	"bufio"
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"gridgate/internal/grid"
)

// WriteJSONL writes the lines that fit, oldest first, byte for byte as they stand in the log: a
// whole export can be checked by anybody, without the key.
func (l *Log) WriteJSONL(ctx context.Context, w io.Writer, q Query) error {
	b := bufio.NewWriter(w)
	err := l.Each(ctx, q, func(raw []byte, _ *Line) error {
		b.Write(raw)
		return b.WriteByte('\n')
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

// csvHead are the columns, in Chinese and in English.
var csvHead = [...][2]string{
	{"序号", "line"}, {"时间", "at"}, {"操作人", "who"}, {"角色", "role"}, {"单位", "unit"}, {"会话", "session"}, {"来源地址", "from"},
	{"操作", "act"}, {"对象", "object"}, {"理由", "why"}, {"请求", "asked"}, {"之前", "before"}, {"之后", "after"}, {"结果", "outcome"}, {"代码", "code"}, {"哈希", "hash"},
}

// WriteCSV writes the lines that fit for a spreadsheet, which runs no text of it as a formula.
func (l *Log) WriteCSV(ctx context.Context, w io.Writer, q Query, zh bool) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil { // or a spreadsheet takes Chinese for something else
		return err
	}
	out := csv.NewWriter(w)
	row := make([]string, 0, len(csvHead))
	for _, h := range csvHead {
		if zh {
			row = append(row, h[0])
		} else {
			row = append(row, h[1])
		}
	}
	if err := out.Write(row); err != nil {
		return err
	}
	err := l.Each(ctx, q, func(_ []byte, e *Line) error {
		row = append(row[:0], strconv.FormatUint(e.N, 10), e.At.Format(time.RFC3339Nano))
		for _, text := range []string{e.Who, string(e.Role), e.Unit, e.Session, e.From, e.Act, e.Object, e.Why, string(e.Asked), string(e.Before), string(e.After), string(e.Outcome), e.Code, e.Hash} {
			row = append(row, grid.SheetText(text))
		}
		return out.Write(row)
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}
