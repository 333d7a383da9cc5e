package bulk

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"gridgate/internal/grid"
)

// say makes a sentence in both languages of the same values.
func say(zh, en string, args ...any) *grid.Text {
	if len(args) == 0 {
		return &grid.Text{ZH: zh, EN: en}
	}
	return &grid.Text{ZH: fmt.Sprintf(zh, args...), EN: fmt.Sprintf(en, args...)}
}

// The bounds of a sheet.
const (
	MaxBytes   = 64 << 20 // of the file
	MaxRows    = 300_000
	maxColumns = 200
	maxCell    = 2000 // characters
	maxShown   = 120  // of a value in a problem
)

// clean takes off what a spreadsheet or a hand leaves around a text: spaces of any width, marks
// that nobody sees, and the apostrophe or formula by which numbers are kept as text.
func clean(s string) string {
	s = strings.TrimFunc(s, blank)
	if n := len(s); n > 3 && s[:2] == `="` && s[n-1] == '"' && !strings.ContainsRune(s[2:n-1], '"') {
		s = s[2 : n-1]
	} else if strings.HasPrefix(s, "'") {
		return s[1:]
	}
	return s
}

func blank(r rune) bool {
	return unicode.IsSpace(r) || r == '\ufeff' || r == '\u200b' || r == '\u200e' || r == '\u200f' || r == '\u2060'
}

// narrow turns full-width letters, digits and signs into those of ASCII.
func narrow(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '！' && r <= '～' {
			return r - '！' + '!'
		}
		if r == '　' {
			return ' '
		}
		return r
	}, s)
}

// guarded keeps a spreadsheet from running a text as a formula or changing a code; clean reads it back.
func guarded(s string) string {
	if strings.HasPrefix(s, "'") || cleared(s) || scientific.MatchString(s) {
		return "'" + s
	}
	return grid.SheetText(s)
}

// cleared is what a person writes to empty a field; an empty cell leaves it as it is.
func cleared(s string) bool { return s == "-" || s == "—" || s == "－" }

var scientific = regexp.MustCompile(`^\d(\.\d+)?[eE]\+?\d{2,3}$`)

// rounded says what a spreadsheet has done to a long number.
func rounded(l *line, s string) *grid.Text {
	if l.quoted {
		return nil
	}
	if n := len(s); n >= 12 && strings.HasSuffix(s, "000000") && strings.Trim(s, "0123456789") == "" {
		return say("末尾全是 0：电子表格可能已丢失数字，请先把该列设为“文本”格式，再重新填写完整编码",
			"ends in zeros, the spreadsheet has probably lost its last digits: want the column formatted as text and the whole code typed again")
	}
	if !scientific.MatchString(s) {
		return nil
	}
	return say("电子表格已把这个长编码改写成科学计数法“%s”，末尾数字已丢失：请先把该列设为“文本”格式，再重新填写完整编码",
		"the spreadsheet has turned a long code into the number %s and its last digits are lost: want the column formatted as text and the whole code typed again", s)
}

func shown(s string) string {
	r := []rune(s)
	if len(r) <= maxShown {
		return s
	}
	return string(r[:maxShown]) + "…"
}

// distance is how many letters must change to make b of a.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(y)]
}
