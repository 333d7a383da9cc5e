package audit

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/disk"
)

var testKey = []byte("a key of the tests, and of nothing else")

// kept is a log of n entries with two segments or more, closed, and what it was at its end.
func kept(t *testing.T, n int) (string, Anchor) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, dir, Options{SegmentBytes: 4096})
	for i := range n {
		l.Append(Entry{Who: "duty", Act: "change-point", Object: fmt.Sprintf("id=p-%d", i), Before: json.RawMessage(`{"name":"a"}`), After: json.RawMessage(`{"name":"b"}`)})
		l.drain()
	}
	head := l.Stats().Head
	shut(t, l)
	return dir, head
}

func open(t *testing.T, dir string, o Options) *Log {
	t.Helper()
	o.Key = testKey
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.shut() })
	return l
}

func shut(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func verify(t *testing.T, dir string, anchors ...Anchor) Report {
	t.Helper()
	r, err := Verify(t.Context(), dir, VerifyOptions{Key: testKey, Anchors: anchors})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rewrite changes the lines of the whole log and puts them back, segment by segment.
func rewrite(t *testing.T, dir string, change func(lines []string) []string) {
	t.Helper()
	names, err := segments(disk.Machine{}, dir)
	if err != nil || len(names) < 2 {
		t.Fatalf("%d segments, %v: want two or more", len(names), err)
	}
	var all []string
	ends := map[string]int{}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n")...)
		all[len(all)-1] += "\n"
		ends[name] = len(all)
	}
	all = change(all)
	from := 0
	for i, name := range names {
		to := min(ends[name], len(all))
		if i == len(names)-1 {
			to = len(all)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(all[min(from, to):to], "")), 0o600); err != nil {
			t.Fatal(err)
		}
		from = to
	}
}

// rehash makes the lines from i on hang together again, as who knows the format would.
func rehash(t *testing.T, lines []string, i int) []string {
	t.Helper()
	for ; i < len(lines); i++ {
		var l, before Line
		if err := errors.Join(json.Unmarshal([]byte(lines[i]), &l), json.Unmarshal([]byte(lines[i-1]), &before)); err != nil {
			t.Fatal(err)
		}
		b, _, err := appendLine(nil, before.N+1, before.Hash, &l.Entry)
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = string(b)
	}
	return lines
}

func TestALogThatNobodyTouchedVerifies(t *testing.T) {
	dir, head := kept(t, 40)
	r := verify(t, dir, head)
	if !r.OK || !r.Sealed || r.Lines != 41 || r.First != 1 || r.Last != 41 || r.Head.N != 41 || r.Segments < 2 || len(r.Notices) > 0 {
		t.Errorf("%+v: want 41 lines, sealed, in two segments or more, and nothing to say", r)
	}
}

func TestEachWayOfTamperingIsFoundAndItsLineNamed(t *testing.T) {
	for name, c := range map[string]struct {
		do       func(t *testing.T, lines []string) []string
		line     uint64
		why      string
		anchored bool // it takes an anchor kept elsewhere
		forge    bool // who does it has the key, too
	}{
		"a changed line": {do: func(_ *testing.T, s []string) []string {
			s[9] = strings.Replace(s[9], `"who":"duty"`, `"who":"dutz"`, 1)
			return s
		}, line: 10, why: "was changed"},
		"a changed line with its hash made anew": {do: func(t *testing.T, s []string) []string {
			tail := slices.Clone(s[10:])
			s[9] = strings.Replace(s[9], `"who":"duty"`, `"who":"dutz"`, 1)
			return append(rehash(t, s[:10], 9), tail...)
		}, line: 11, why: "line 10 was changed"},
		"a line taken out": {do: func(_ *testing.T, s []string) []string { return slices.Delete(s, 9, 10) }, line: 10, why: "lines 10 to 10 are missing"},
		"two lines swapped": {do: func(_ *testing.T, s []string) []string {
			s[9], s[10] = s[10], s[9]
			return s
		}, line: 10, why: "missing"},
		"a line put in twice":   {do: func(_ *testing.T, s []string) []string { return slices.Insert(s, 10, s[9]) }, line: 10, why: "moved or put in"},
		"the beginning cut off": {do: func(_ *testing.T, s []string) []string { return s[3:] }, line: 1, why: "lines 1 to 3 are missing"},
		"the tail cut off":      {do: func(_ *testing.T, s []string) []string { return s[:30] }, line: 31, why: "lines 31 to 41 are missing"},
		"a line taken out and all after it hashed anew": {do: func(t *testing.T, s []string) []string {
			return rehash(t, slices.Delete(s, 9, 10), 9)
		}, line: 41, why: "missing"},
		"the whole tail hashed anew": {do: func(t *testing.T, s []string) []string {
			s[9] = strings.Replace(s[9], `"who":"duty"`, `"who":"dutz"`, 1)
			return rehash(t, s, 9)
		}, line: 41, why: "lines 1 to 41 was written anew"},
		"the whole tail hashed anew by who has the key": {do: func(t *testing.T, s []string) []string {
			s[9] = strings.Replace(s[9], `"who":"duty"`, `"who":"dutz"`, 1)
			return rehash(t, s, 9)
		}, forge: true, anchored: true, line: 41, why: "anchored elsewhere"},
		"a forged line at the end": {do: func(t *testing.T, s []string) []string {
			return rehash(t, append(s, s[20]), 41)
		}, line: 0, why: ""},
		"a line that is no JSON": {do: func(_ *testing.T, s []string) []string {
			s[9] = "gone\n"
			return s
		}, line: 10, why: "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, head := kept(t, 40)
			rewrite(t, dir, func(s []string) []string { return c.do(t, s) })
			if c.forge {
				forgeHead(t, dir)
				if r := verify(t, dir); !r.OK {
					t.Fatalf("%+v: want it to show what a chain cannot: with the key and no anchor it verifies", r.Problems)
				}
			}
			var anchors []Anchor
			if c.anchored {
				anchors = append(anchors, head)
			}
			r := verify(t, dir, anchors...)
			if c.line == 0 { // not a break of the chain: told, as it may be a crash
				if len(r.Notices) != 1 || !strings.Contains(r.Notices[0], "not sealed") {
					t.Errorf("%+v: want it said that lines are not sealed", r)
				}
				return
			}
			if r.OK || len(r.Problems) == 0 || r.Problems[0].Line != c.line || !strings.Contains(r.Problems[0].Why, c.why) {
				t.Errorf("%+v: want line %d first, %q", r.Problems, c.line, c.why)
			}
		})
	}
}

// forgeHead seals the log as it is now.
func forgeHead(t *testing.T, dir string) {
	t.Helper()
	names, err := segments(disk.Machine{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := readSegment(disk.Machine{}, filepath.Join(dir, names[len(names)-1]))
	if err != nil {
		t.Fatal(err)
	}
	last := lines[len(lines)-1]
	if err := os.WriteFile(filepath.Join(dir, headName), headFile(testKey, Anchor{last.N, last.Hash, last.At}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAHeadThatIsMissingOrSealedWithAnotherKeyIsNamed(t *testing.T) {
	dir, head := kept(t, 40)
	if err := os.WriteFile(filepath.Join(dir, headName), headFile([]byte("another key"), head), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir); r.OK || !strings.Contains(r.Problems[0].Why, "seal") {
		t.Errorf("%+v: want the seal named", r)
	}
	if err := os.Remove(filepath.Join(dir, headName)); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir); r.OK || !strings.Contains(r.Problems[0].Why, "head is missing") {
		t.Errorf("%+v: want the missing head named", r)
	}
}

func TestALogThatLostItsTailGoesOnAndIsNeverWholeAgain(t *testing.T) {
	dir, _ := kept(t, 40)
	rewrite(t, dir, func(s []string) []string { return s[:30] })
	l := open(t, dir, Options{})
	l.Append(Entry{Act: "move-ticket"})
	shut(t, l)
	r := verify(t, dir)
	if r.OK || r.Problems[0].Line != 31 || !strings.Contains(r.Problems[0].Why, "lines 31 to 41 are missing") || r.Last != 43 {
		t.Errorf("%+v: want lines 31 to 41 named as missing, and two after them", r)
	}
}

func TestAFolderTakenAwayIsMissedByAnAnchor(t *testing.T) {
	dir, head := kept(t, 40)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	shut(t, open(t, dir, Options{Anchors: []Anchor{head}}))
	if r := verify(t, dir, head); r.OK {
		t.Errorf("%+v: want the log that is gone to be missed", r)
	}
}

func TestALineThatACrashCutInHalfIsTakenOffAndTheLogIsWhole(t *testing.T) {
	dir, _ := kept(t, 40)
	names, err := segments(disk.Machine{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, names[len(names)-1]), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"hash":"00`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	l := open(t, dir, Options{})
	l.Append(Entry{Act: "move-ticket"})
	shut(t, l)
	if r := verify(t, dir); !r.OK || r.Last != 42 {
		t.Errorf("%+v: want 42 lines and no problem", r)
	}
}

func TestTheOldestGoByAgeAndTheRestVerifies(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, dir, Options{SegmentBytes: 2048, Keep: 200 * 24 * time.Hour, Now: func() time.Time { return now }})
	for range 300 {
		now = now.Add(24 * time.Hour)
		l.Append(Entry{Who: "duty", Act: "move-ticket"})
		l.drain()
	}
	first := l.Stats().Head
	for range 2 { // twice: nothing more goes
		if err := l.prune(); err != nil {
			t.Fatal(err)
		}
	}
	l.Append(Entry{Act: "move-ticket"})
	shut(t, l)
	r := verify(t, dir, first)
	if !r.OK || r.First < 50 || r.First > 102 || r.Removed != r.First-1 {
		t.Fatalf("%+v: want the first hundred days gone, and the rest whole", r)
	}
	if oldest := now.Sub(r.Since); oldest < 200*24*time.Hour {
		t.Errorf("the oldest line is %s old: want nothing younger than 200 days gone", oldest)
	}
	// One segment more taken out by hand is not by age.
	names, err := segments(disk.Machine{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, names[0])); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir); r.OK || !strings.Contains(r.Problems[0].Why, "no entry says that they were removed") {
		t.Errorf("%+v: want what was taken out by hand named", r)
	}
}

func TestManyAppendAndOneWritesInGroups(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, dir, Options{SegmentBytes: 64 << 10})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if err := l.Keep(t.Context(), Entry{Who: fmt.Sprint(g), Act: "move-ticket", Object: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if r := verify(t, dir); !r.OK || r.Last != 401 { // while it runs
		t.Errorf("%+v: want 401 lines", r)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	shut(t, l)
}

func TestAFullQueueLosesEntriesAndTheLogSaysSo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, dir, Options{Queue: 3})
	for range 5 {
		l.Append(Entry{Act: "move-ticket"})
	}
	if err := l.Fault(); err == nil || !strings.Contains(err.Error(), "2 entries could not be kept") {
		t.Errorf("fault is %v: want two that could not be kept", err)
	}
	shut(t, l)
	r := verify(t, dir)
	if !r.OK || r.Last != 5 || len(r.Notices) != 1 || !strings.Contains(r.Notices[0], `{"entries":2}`) {
		t.Errorf("%+v: want begin, missed and three, and a word of what was missed", r)
	}
}

// fullDisk takes nothing while it is full.
type fullDisk struct {
	disk.Machine
	full *bool
}

type fullFile struct {
	disk.File
	full *bool
}

var errNoSpace = errors.New("no space left on device")

func (d fullDisk) OpenFile(name string, flag int, perm os.FileMode) (disk.File, error) {
	f, err := d.Machine.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return fullFile{f, d.full}, nil
}

func (f fullFile) WriteAt(b []byte, at int64) (int, error) {
	if *f.full {
		n, err := f.File.WriteAt(b[:len(b)/2], at)
		return n, errors.Join(err, errNoSpace)
	}
	return f.File.WriteAt(b, at)
}

func TestWhatTheDiskDidNotTakeWaitsAndComesLater(t *testing.T) {
	full := false
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, dir, Options{Disk: fullDisk{full: &full}})
	full = true
	l.Append(Entry{Act: "first"})
	l.drain()
	l.Append(Entry{Act: "second"})
	if err := l.Keep(t.Context(), Entry{Act: "third"}); !errors.Is(err, errNoSpace) {
		t.Errorf("keeping said %v: want the disk's own word, at once", err)
	}
	if err := l.Fault(); err == nil || !strings.Contains(err.Error(), "3 entries wait") {
		t.Errorf("fault is %v: want three that wait", err)
	}
	full = false
	l.drain()
	if err := l.Fault(); err != nil {
		t.Errorf("fault is %v: want none", err)
	}
	shut(t, l)
	if r := verify(t, dir); !r.OK || r.Last != 4 {
		t.Errorf("%+v: want four whole lines", r)
	}
}

func TestTheLogIsReadByWhoWhatAndWhen(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := open(t, filepath.Join(t.TempDir(), "audit"), Options{SegmentBytes: 1024, Now: func() time.Time { return now }})
	for i := range 40 {
		now = now.Add(time.Hour)
		who, act := "duty", "move-ticket"
		if i%4 == 0 {
			who, act = "li", "session.on"
		}
		l.Append(Entry{Who: who, Act: act, Object: fmt.Sprintf("id=t-%d", i)})
		l.drain()
	}
	for name, c := range map[string]struct {
		q    Query
		want int
	}{
		"all": {Query{}, 41}, "who": {Query{Who: "li"}, 10}, "act": {Query{Act: "move-ticket"}, 30}, "begins with": {Query{Act: "session.*"}, 10},
		"object": {Query{Object: "t-39"}, 1}, "since": {Query{Since: now.Add(-3 * time.Hour)}, 4}, "until": {Query{Until: time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)}, 3}, "nobody": {Query{Who: "nobody"}, 0},
	} {
		var got []Line
		c.q.Limit = 7
		for {
			page, err := l.List(t.Context(), c.q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page.Items...)
			if c.q.Cursor = page.Next; page.Next == "" {
				break
			}
		}
		if len(got) != c.want || !slices.IsSortedFunc(got, func(a, b Line) int { return int(b.N) - int(a.N) }) {
			t.Errorf("%s: %d lines, want %d, newest first", name, len(got), c.want)
		}
	}
	if _, err := l.List(t.Context(), Query{Cursor: "x"}); err == nil {
		t.Error("a cursor that is none was taken")
	}
}

func TestAnExportIsTheLogAndASpreadsheetRunsNothingOfIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, dir, Options{})
	l.Append(Entry{Who: "=HYPERLINK(\"http://x\")", Act: "session.failed", Object: "@x", Why: "+1", From: "-1", Unit: "\t=1", Outcome: Refused})
	l.drain()
	var lines, sheet bytes.Buffer
	if err := errors.Join(l.WriteJSONL(t.Context(), &lines, Query{}), l.WriteCSV(t.Context(), &sheet, Query{Act: "session.*"}, true)); err != nil {
		t.Fatal(err)
	}
	names, err := segments(disk.Machine{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(filepath.Join(dir, names[0]))
	if err != nil || !bytes.Equal(stored, lines.Bytes()) {
		t.Errorf("the export is not the log byte for byte (%v)", err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(sheet.String(), "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 2 || rows[0][1] != "时间" {
		t.Fatalf("%v %v: want a head in Chinese and one row", rows, err)
	}
	for i, cell := range rows[1] {
		if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t") {
			t.Errorf("%s is %q: want it guarded", rows[0][i], cell)
		}
	}
}

func TestAnEntryIsBoundedAndNeverBreaksALine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, dir, Options{})
	long := strings.Repeat("长", 100_000)
	l.Append(Entry{Who: long, Act: "a\nb\x00\xff", Before: note(long), After: json.RawMessage("{not json"), Asked: json.RawMessage("{\n\"a\":\n1}")})
	shut(t, l)
	r := verify(t, dir)
	b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%020d%s", 1, suffix)))
	if !r.OK || r.Last != 2 || err != nil || len(b) > 4096 || !bytes.Contains(b, []byte(`"cut":true`)) || !bytes.Contains(b, []byte(`"asked":{"a":1}`)) {
		t.Errorf("%+v, %d bytes: want two whole lines, and what was too long cut", r, len(b))
	}
}

func BenchmarkKeep(b *testing.B) {
	l, err := Open(filepath.Join(b.TempDir(), "audit"), Options{Key: testKey})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Keep(ctx, Entry{Who: "duty", Act: "move-ticket", Object: "id=t-1"}); err != nil {
				b.Error(err)
			}
		}
	})
	stop()
	wg.Wait()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
