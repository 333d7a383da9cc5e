package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"gridgate/internal/disk"
)

// Problem is where a log is not what it says. Line is the number in the log, Row the line of the
// file.
type Problem struct {
	Line uint64 `json:"line"`
	File string `json:"file,omitempty"`
	Row  int    `json:"row,omitempty"`
	Why  string `json:"why"`
}

func (p Problem) String() string {
	if p.File == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Why)
	}
	return fmt.Sprintf("line %d (%s:%d): %s", p.Line, p.File, p.Row, p.Why)
}

// Report is what Verify found.
type Report struct {
	OK       bool      `json:"ok"`
	Lines    uint64    `json:"lines"`
	First    uint64    `json:"first"` // the oldest that is kept
	Last     uint64    `json:"last"`
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"`
	Segments int       `json:"segments"`
	Head     Anchor    `json:"head"`              // what can be kept elsewhere
	Sealed   bool      `json:"sealed"`            // the seal of the head was checked with the key, and holds
	Anchors  int       `json:"anchors"`           // kept elsewhere, that were checked
	Removed  uint64    `json:"removed,omitempty"` // lines that went by age
	Notices  []string  `json:"notices,omitempty"` // not wrong, and worth knowing
	Problems []Problem `json:"problems"`          // the first bad line first
	More     int       `json:"more,omitempty"`    // problems beyond those
}

// maxProblems bounds a report.
const maxProblems = 20

// VerifyOptions says what a log is held against.
type VerifyOptions struct {
	Key     []byte // of the seal; nil: the seal is not checked
	Anchors []Anchor
	Disk    disk.FS
}

// checker goes through a log.
type checker struct {
	Report
	links  []removed
	wants  map[uint64][]want // what lines must be
	misfit []want
	good   uint64 // the newest line that is what it must be
	seen   bool
	prev   string
	before string // the hash before the oldest line
}

// want is a line as the sealed head or an anchor has it.
type want struct {
	Anchor
	by string
}

func (c *checker) wrong(p Problem) {
	if len(c.Problems) < maxProblems {
		c.Problems = append(c.Problems, p)
	} else {
		c.More++
	}
}

// Verify reads a whole log, of a gateway that runs or not, and names what does not hold.
func Verify(ctx context.Context, dir string, o VerifyOptions) (Report, error) {
	f := disk.Or(o.Disk)
	c := &checker{Report: Report{Problems: []Problem{}}, wants: map[uint64][]want{}}
	// The head first: what is written meanwhile comes after it.
	head, headErr := fileHead(f, dir, o.Key)
	c.Head = head
	if headErr == nil {
		c.wants[head.N] = append(c.wants[head.N], want{head, "sealed"})
	}
	for _, a := range o.Anchors {
		c.wants[a.N] = append(c.wants[a.N], want{a, "anchored elsewhere"})
	}
	c.Anchors = len(o.Anchors)
	names, err := segments(f, dir)
	if err != nil {
		return c.Report, fmt.Errorf("audit: %w", err)
	}
	c.Segments = len(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return c.Report, err
		}
		row := 0
		err := eachLine(f, filepath.Join(dir, name), func(raw []byte) error {
			row++
			c.line(name, row, raw)
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) { // removed by age meanwhile
			continue
		}
		if err != nil {
			return c.Report, fmt.Errorf("audit: %w", err)
		}
	}
	c.beginning()
	c.end(head, headErr, o.Key != nil)
	c.anchors(o.Anchors)
	slices.SortStableFunc(c.Problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	c.OK = len(c.Problems) == 0
	return c.Report, nil
}

func fileHead(f disk.FS, dir string, key []byte) (a Anchor, err error) {
	for range 3 { // it may be written just now
		var b []byte
		if b, err = disk.ReadFile(f, filepath.Join(dir, headName)); err != nil {
			return a, err
		}
		if a, err = readHead(b, key); err == nil {
			return a, nil
		}
	}
	return a, err
}

// line checks one line against the one before.
func (c *checker) line(file string, row int, raw []byte) {
	l, fits, err := parseLine(raw)
	at := Problem{Line: c.Last + 1, File: file, Row: row}
	if err != nil {
		at.Why = "it cannot be read: " + err.Error()
		c.wrong(at)
		return
	}
	if !c.seen {
		c.seen, c.First, c.Since, c.before = true, l.N, l.At, l.Prev
	} else if l.N != c.Last+1 || l.Prev != c.prev {
		c.follows(at, &l)
	}
	if at.Line = l.N; !fits {
		at.Why = "it was changed: its hash is not that of what it says"
		c.wrong(at)
	}
	for _, w := range c.wants[l.N] {
		if w.Hash != l.Hash {
			c.misfit = append(c.misfit, w)
		} else if len(c.misfit) == 0 {
			c.good = l.N
		}
	}
	c.Last, c.prev, c.Until = l.N, l.Hash, l.At
	c.Lines++
	c.own(at, &l)
}

// follows says in what a line does not follow on the one before.
func (c *checker) follows(at Problem, l *Line) {
	switch want := c.Last + 1; {
	case l.N > want:
		at.Line, at.Why = want, fmt.Sprintf("lines %d to %d are missing: after line %d comes line %d", want, l.N-1, c.Last, l.N)
	case l.N < want:
		at.Line, at.Why = l.N, fmt.Sprintf("it was moved or put in: it stands after line %d", c.Last)
	default:
		at.Line, at.Why = l.N, fmt.Sprintf("it does not follow on line %d as that is now: line %d was changed, or this one was put in its place", c.Last, c.Last)
	}
	c.wrong(at)
}

// own reads what the log says about itself.
func (c *checker) own(at Problem, l *Line) {
	switch l.Act {
	case ActRemoved:
		var r removed
		if json.Unmarshal(l.After, &r) == nil {
			c.links = append(c.links, r)
		}
	case ActBroken:
		at.Why = "here the gateway started and the log was not what it had been: " + string(l.After)
		c.wrong(at)
	case ActMissed:
		c.Notices = append(c.Notices, fmt.Sprintf("line %d: entries could not be kept before it: %s", l.N, l.After))
	case ActUnsealed:
		c.Notices = append(c.Notices, fmt.Sprintf("line %d: the lines before it were not sealed when the gateway started: it broke off just then, or somebody added them while it stood: %s", l.N, l.After))
	}
}

// beginning checks that what is missing before the oldest line went by age.
func (c *checker) beginning() {
	if !c.seen || c.First == 1 && c.before == noHash {
		return
	}
	for _, r := range c.links {
		if r.Through == c.First-1 && r.Hash == c.before {
			c.Removed = r.Through
			return
		}
	}
	c.wrong(Problem{Line: 1, Why: fmt.Sprintf("lines 1 to %d are missing, and no entry says that they were removed by age", c.First-1)})
}

// end holds the end against the sealed head.
func (c *checker) end(head Anchor, err error, keyed bool) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.wrong(Problem{Line: c.Last, Why: "the sealed head is missing: whether lines after it were cut off cannot be told"})
		return
	case err != nil:
		c.wrong(Problem{Line: c.Last, Why: err.Error()})
		return
	case head.N > c.Last:
		c.wrong(Problem{Line: c.Last + 1, Why: fmt.Sprintf("lines %d to %d are missing: the sealed head is line %d, the log ends at line %d", c.Last+1, head.N, head.N, c.Last)})
		return
	}
	if c.Sealed = keyed; !keyed {
		c.Notices = append(c.Notices, "the seal of the head was not checked: there is no key")
	}
	if head.N < c.Last {
		c.Notices = append(c.Notices, fmt.Sprintf("lines %d to %d are not sealed: they were written just now, the gateway broke off, or somebody added them", head.N+1, c.Last))
	}
}

// anchors names the first line that is not the one that was sealed or anchored: what hangs
// together may still have been written anew as a whole.
func (c *checker) anchors(all []Anchor) {
	if len(c.misfit) > 0 {
		w := c.misfit[0]
		c.wrong(Problem{Line: w.N, Why: fmt.Sprintf("it is not the one that was %s on %s: something in lines %d to %d was written anew", w.by, w.At.UTC().Format(time.RFC3339), c.good+1, w.N)})
	}
	for _, a := range all {
		if a.N > max(c.Last, c.Head.N) {
			c.wrong(Problem{Line: c.Last + 1, Why: fmt.Sprintf("an anchor kept elsewhere knows line %d, the log ends at line %d", a.N, c.Last)})
			return
		}
	}
}
