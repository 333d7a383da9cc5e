package grid

import (
	"regexp"
	"strings"
)

// begins are the signs with which a formula begins, the full-width ones included, which the
// spreadsheets of East Asia take for the narrow; skipped is what they pass over before one.
const (
	formulaBegins  = "=+-@\t\r\n＝＋－＠"
	formulaSkipped = " \u00a0\u3000\ufeff\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\x00"
)

// SheetText is a text as a cell of a sheet, CSV or workbook: one that a spreadsheet would run as
// a formula has an apostrophe before it. Every text of every sheet that leaves the gateway comes
// from here or from SheetCell.
func SheetText(s string) string {
	begins := strings.TrimLeft(s, formulaSkipped)
	if begins == "" || !strings.ContainsRune(formulaBegins, []rune(begins)[0]) {
		return s
	}
	return "'" + s
}

var plainNumber = regexp.MustCompile(`^[+-]?\d+(\.\d+)?$`)

// SheetCell is SheetText in a sheet of figures, where a number is one to compute with.
func SheetCell(s string) string {
	if plainNumber.MatchString(s) {
		return s
	}
	return SheetText(s)
}
