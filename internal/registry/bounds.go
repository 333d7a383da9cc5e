package registry

import (
	"bytes"

	"gridgate/internal/grid"
)

const (
	maxNesting = 100 // a file has four
	maxAliases = 100 // each may stand for much
)

// bounded refuses YAML or JSON that costs a parser more than its size: brackets one in another
// take the square of their depth in time, two megabytes of them minutes. It reads bytes alone.
func bounded(b []byte) error {
	depth, entries, aliases := 0, 0, 0
	begins := true // a value may begin here
	for i := 0; i < len(b); i++ {
		followed := i+1 == len(b) || bytes.IndexByte([]byte(" \t\r\n"), b[i+1]) >= 0
		switch c := b[i]; c {
		case ' ', '\t', '\r':
		case '\n':
			begins, entries = true, 0
		case ',':
			begins = depth > 0
		case ':':
			begins = depth > 0 || followed
		case '-', '?':
			if begins = begins && followed; begins {
				entries++
			}
		case '*':
			if begins {
				aliases++
			}
			begins = false
		case '[', '{':
			if begins {
				depth++
			}
		case ']', '}':
			depth, begins = max(depth-1, 0), false
		case '"', '\'':
			if begins {
				i = quoted(b, i)
			}
			begins = false
		case '#':
			if i == 0 || bytes.IndexByte([]byte(" \t\n"), b[i-1]) >= 0 {
				i = endOfLine(b, i) - 1
			}
		default:
			begins = false
		}
		if depth > maxNesting || entries > maxNesting {
			return grid.Errorf(grid.Invalid, "lists and tables lie more than %d deep: want fewer", maxNesting)
		}
		if aliases > maxAliases {
			return grid.Errorf(grid.Invalid, "more than %d aliases: want what they stand for written out", maxAliases)
		}
	}
	return nil
}

func endOfLine(b []byte, i int) int {
	if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(b)
}

// quoted is where the text that begins at i ends.
func quoted(b []byte, i int) int {
	mark := b[i]
	for i++; i < len(b); i++ {
		switch {
		case b[i] == '\\' && mark == '"', b[i] == mark && mark == '\'' && i+1 < len(b) && b[i+1] == mark:
			i++
		case b[i] == mark:
			return i
		}
	}
	return i
}
