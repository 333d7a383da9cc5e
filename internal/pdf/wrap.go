package pdf

import (
	"strings"
	"unicode"
)

// Wrap draws text in a width, from line y on, and says the y of the line after it. Chinese
// breaks after any sign that may end a line, other text at spaces.
func (d *Document) Wrap(x, y, width, size float64, s string) float64 {
	for _, line := range d.Lines(width, size, s) {
		d.Text(x, y, size, line)
		y += size * 1.35
	}
	return y
}

// Lines says how Wrap breaks the text.
func (d *Document) Lines(width, size float64, s string) []string {
	var lines []string
	for part := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		lines = append(lines, d.fold(width, size, part)...)
	}
	return lines
}

// Fit shortens the text to one line of that width.
func (d *Document) Fit(width, size float64, s string) string {
	if d.Width(size, s) <= width {
		return s
	}
	letters := []rune(s)
	for len(letters) > 0 && d.Width(size, string(letters)+"…") > width {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}

func (d *Document) fold(width, size float64, s string) []string {
	var lines []string
	letters := []rune(strings.TrimSpace(s))
	for len(letters) > 0 {
		n, used := 0, 0.0
		for n < len(letters) {
			w := d.Width(size, string(letters[n]))
			if n > 0 && used+w > width {
				break
			}
			used += w
			n++
		}
		if n < len(letters) {
			n = breakBefore(letters, n)
		}
		lines = append(lines, strings.TrimRightFunc(string(letters[:n]), unicode.IsSpace))
		for letters = letters[n:]; len(letters) > 0 && unicode.IsSpace(letters[0]); {
			letters = letters[1:]
		}
	}
	if lines == nil {
		return []string{""}
	}
	return lines
}

// breakBefore is the last good place to break at or before n: never none of the line, at worst
// in the middle of a long word.
func breakBefore(letters []rune, n int) int {
	for i := n; i > 0; i-- {
		before, after := letters[i-1], letters[i]
		if strings.ContainsRune("，。、；：！？）》」』】”’,.;:!?)%", after) || strings.ContainsRune("（《「『【“‘(", before) {
			continue
		}
		if unicode.IsSpace(before) || unicode.IsSpace(after) || before == '-' || wide(before) || wide(after) {
			return i
		}
	}
	return n
}

// wide letters stand alone: a line may end after each.
func wide(r rune) bool { return r >= 0x2E80 }
