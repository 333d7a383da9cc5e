package audit

import (
	"bytes"
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// Query says which lines are wanted; what is empty is not asked.
type Query struct {
	Who     string // as it stands there
	Role    grid.Role
	Act     string // as it stands there, or what it begins with if it ends in *
	Object  string // part of it
	From    string // the address, as it stands there
	Outcome Outcome
	Since   time.Time
	Until   time.Time
	Limit   int    // 100
	Cursor  string // the next of the page before
}

// Page is a part of the log, newest first. Next is for the rest, "" where there is none; a page
// may be short, or empty, and have a next: so far nothing was found.
type Page struct {
	Items []Line `json:"items"`
	Next  string `json:"next,omitempty"`
}

// maxScan bounds how much of the log one page reads.
const maxScan = 64 << 20

func (q *Query) fits(l *Line) bool {
	act := q.Act == "" || l.Act == q.Act
	if begin, open := strings.CutSuffix(q.Act, "*"); open {
		act = strings.HasPrefix(l.Act, begin)
	}
	return act && (q.Who == "" || l.Who == q.Who) && (q.Role == "" || l.Role == q.Role) && (q.From == "" || l.From == q.From) &&
		(q.Outcome == "" || l.Outcome == q.Outcome) && strings.Contains(l.Object, q.Object) &&
		(q.Since.IsZero() || !l.At.Before(q.Since)) && (q.Until.IsZero() || l.At.Before(q.Until))
}

// List reads lines, newest first.
func (l *Log) List(ctx context.Context, q Query) (Page, error) {
	before := l.Stats().Head.N + 1
	if q.Cursor != "" {
		n, err := strconv.ParseUint(q.Cursor, 10, 64)
		if err != nil {
			return Page{}, grid.Errorf(grid.Invalid, "cursor is %q: want the next of the page before", q.Cursor)
		}
		before = min(before, n)
	}
	names, err := segments(l.fs, l.dir)
	if err != nil {
		return Page{}, err
	}
	q.Limit = cmp.Or(q.Limit, 100)
	out, scanned := Page{Items: []Line{}}, int64(0)
	for _, name := range slices.Backward(names) {
		if first, _ := firstOf(name); first >= before {
			continue
		}
		if err := ctx.Err(); err != nil {
			return Page{}, err
		}
		if scanned > maxScan {
			out.Next = strconv.FormatUint(before, 10)
			return out, nil
		}
		lines, err := readSegment(l.fs, filepath.Join(l.dir, name))
		if err != nil {
			return Page{}, err
		}
		scanned += l.opts.SegmentBytes
		for _, line := range slices.Backward(lines) {
			if line.N >= before || !q.fits(&line) {
				continue
			}
			out.Items = append(out.Items, line)
			if len(out.Items) == q.Limit {
				if line.N > 1 {
					out.Next = strconv.FormatUint(line.N, 10)
				}
				return out, nil
			}
		}
		if len(lines) > 0 {
			before = lines[0].N
			if lines[len(lines)-1].At.Before(q.Since) { // entries are in order of time but for an instant
				break
			}
		}
	}
	return out, nil
}

// Each gives the lines that fit, oldest first, with their bytes as they stand there.
func (l *Log) Each(ctx context.Context, q Query, to func(raw []byte, line *Line) error) error {
	last := l.Stats().Head.N
	names, err := segments(l.fs, l.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := eachLine(l.fs, filepath.Join(l.dir, name), func(raw []byte) error {
			line, _, err := parseLine(raw)
			if err != nil || line.N > last || !q.fits(&line) {
				return nil // Verify names what cannot be read
			}
			return to(raw, &line)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachLine gives the whole lines of a segment, without their newlines.
func eachLine(f disk.FS, path string, to func(raw []byte) error) error {
	b, err := disk.ReadFile(f, path)
	if err != nil {
		return err
	}
	for raw := range bytes.Lines(b) {
		if line, whole := bytes.CutSuffix(raw, []byte("\n")); whole {
			if err := to(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// readSegment gives the lines of a segment that can be read.
func readSegment(f disk.FS, path string) (lines []Line, err error) {
	err = eachLine(f, path, func(raw []byte) error {
		if line, _, err := parseLine(raw); err == nil {
			lines = append(lines, line)
		}
		return nil
	})
	return lines, err
}
