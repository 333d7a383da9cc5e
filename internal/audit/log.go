package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// Options of a log. Zero values mean what stands beside them.
type Options struct {
	Key          []byte        // seals the head; wanted
	SegmentBytes int64         // 4 MiB
	SegmentAge   time.Duration // 31 days
	Keep         time.Duration // how old the oldest entries may become; 0: for ever
	Queue        int           // entries that may wait for the disk; 8,192
	Anchors      []Anchor      // of this log, as it was: kept elsewhere

	Now  func() time.Time // time.Now
	Disk disk.FS          // the machine's
	Log  *slog.Logger     // discards
}

const (
	suffix     = ".jsonl"
	retryEvery = time.Second
	pruneEvery = time.Hour
	maxGroup   = 512
	waitAtMost = 2 * time.Second
)

// Log is the audit log. Any goroutine may append; one writes.
type Log struct {
	dir  string
	opts Options
	fs   disk.FS
	lock io.Closer

	mu      sync.Mutex
	queue   []item
	missed  int64 // since something was written last
	lost    int64 // since start
	failing error // why nothing is written now
	head    Anchor
	pulse   chan struct{} // to the writer, of length 1
	closed  bool

	// The writer's own; without Run, of whoever opens and closes.
	segment disk.File
	size    int64 // of what is durable in it
	began   time.Time
	file    disk.File // the head
	group   []item    // taken from the queue, and not durable
}

type item struct {
	e    Entry
	done chan error // told once it is durable; nil: nobody waits
}

// Stats is how the log is.
type Stats struct {
	Head    Anchor
	Waiting int
	Lost    int64 // entries that could not be kept, since start
	Failing error // why nothing is written; nil: all is well
}

// Open opens the log in dir, which is made. What is not as it was left does not hinder: the
// log goes on, and says so in a line of its own that Verify will always name.
func Open(dir string, o Options) (*Log, error) {
	if len(o.Key) == 0 {
		return nil, grid.Errorf(grid.Invalid, "audit: no key: want one, it seals the head")
	}
	o.SegmentBytes, o.SegmentAge, o.Queue = cmp.Or(o.SegmentBytes, 4<<20), cmp.Or(o.SegmentAge, 31*24*time.Hour), cmp.Or(o.Queue, 8192)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Log{dir: dir, opts: o, fs: disk.Or(o.Disk), pulse: make(chan struct{}, 1)}
	if err := l.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("audit: %w", err), l.shut())
	}
	return l, nil
}

func (l *Log) open() (err error) {
	if err := l.fs.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	if l.lock, err = l.fs.Lock(filepath.Join(l.dir, "lock")); err != nil {
		return err
	}
	end, err := l.findEnd()
	if err != nil {
		return err
	}
	var broken []string
	sealedHead, err := l.readHead()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if end.N > 0 {
			broken = append(broken, "the sealed head is missing")
		}
	case err != nil:
		broken = append(broken, err.Error())
	default:
		broken = append(broken, l.compare(sealedHead, end)...)
	}
	next := max(end.N, sealedHead.N)
	for _, a := range l.opts.Anchors {
		if a.N > end.N {
			broken = append(broken, fmt.Sprintf("an anchor kept elsewhere knows line %d, the log ends at line %d", a.N, end.N))
			next = max(next, a.N)
		}
	}
	if l.file, err = l.fs.OpenFile(filepath.Join(l.dir, headName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	unsealed := end.N - min(end.N, sealedHead.N)
	l.head = Anchor{N: next, Hash: end.Hash}
	switch {
	case len(broken) > 0:
		l.opts.Log.Error("audit log is not what it was", "err", strings.Join(broken, "; "))
		return l.self(Entry{Act: ActBroken, After: note(map[string]any{"why": broken, "sealed": sealedHead, "found": end.Anchor})})
	case unsealed > 0:
		return l.self(Entry{Act: ActUnsealed, After: note(map[string]any{"from": sealedHead.N + 1, "through": end.N})})
	case end.N == 0:
		return l.self(Entry{Act: ActBegin})
	}
	return nil
}

// self writes an entry of the log's own at once.
func (l *Log) self(e Entry) error {
	e.Role, e.Who = grid.RoleSystem, "audit"
	return l.commit([]item{{e: e}})
}

// end is where a log ends.
type end struct {
	Anchor
	hashes map[uint64]string // of the last segment's lines, and of the one before them
}

// findEnd reads the last segment, cuts off what a crash left half written, and opens it.
func (l *Log) findEnd() (end, error) {
	e := end{Anchor: Anchor{Hash: noHash}, hashes: map[uint64]string{}}
	names, err := segments(l.fs, l.dir)
	if err != nil {
		return e, err
	}
	for _, name := range slices.Backward(names) {
		path := filepath.Join(l.dir, name)
		b, err := disk.ReadFile(l.fs, path)
		if err != nil {
			return e, err
		}
		whole := b[:bytes.LastIndexByte(b, '\n')+1]
		for raw := range bytes.Lines(whole) {
			line, _, err := parseLine(bytes.TrimSuffix(raw, []byte("\n")))
			if err != nil { // Verify names it
				continue
			}
			if len(e.hashes) == 0 {
				e.hashes[line.N-1] = line.Prev
				l.began = line.At
			}
			e.hashes[line.N] = line.Hash
			e.Anchor = Anchor{N: line.N, Hash: line.Hash, At: line.At}
		}
		if l.segment == nil {
			if l.segment, err = l.fs.OpenFile(path, os.O_RDWR, 0o600); err != nil {
				return e, err
			}
			if l.size = int64(len(whole)); len(whole) < len(b) {
				if err := errors.Join(l.segment.Truncate(l.size), l.segment.Sync()); err != nil {
					return e, err
				}
			}
		}
		if e.N > 0 {
			break
		}
	}
	return e, nil
}

// compare says in what a log is not the one whose head was sealed.
func (l *Log) compare(head Anchor, e end) (broken []string) {
	if head.N > e.N {
		return []string{fmt.Sprintf("the sealed head is line %d, the log ends at line %d", head.N, e.N)}
	}
	if hash, known := e.hashes[head.N]; !known || hash != head.Hash {
		broken = append(broken, fmt.Sprintf("line %d is not the one that was sealed", head.N))
	}
	return broken
}

func (l *Log) readHead() (Anchor, error) {
	b, err := disk.ReadFile(l.fs, filepath.Join(l.dir, headName))
	if err != nil {
		return Anchor{}, err
	}
	return readHead(b, l.opts.Key)
}

// segments are the names of the segments, oldest first.
func segments(f disk.FS, dir string) (names []string, err error) {
	all, err := f.ReadDir(dir)
	for _, d := range all {
		if _, is := firstOf(d.Name()); is {
			names = append(names, d.Name())
		}
	}
	return names, err
}

// firstOf is the number of a segment's first line.
func firstOf(name string) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimSuffix(name, suffix), 10, 64)
	return n, err == nil && strings.HasSuffix(name, suffix) && len(name) == 20+len(suffix)
}

// Append hands an entry to the writer, and never waits: what the queue does not hold is
// counted as lost, and the log will say so.
func (l *Log) Append(e Entry) { l.put(e, nil) }

// Keep appends an entry and waits until it is durable, two seconds at most; an error is for
// the log of the gateway, whoever acts is not to be hindered. While the disk takes nothing it
// does not wait.
func (l *Log) Keep(ctx context.Context, e Entry) error {
	done := make(chan error, 1)
	if failing := l.put(e, done); failing != nil {
		return failing
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), waitAtMost)
	defer cancel()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return grid.Errorf(grid.Unavailable, "audit: not durable within %s", waitAtMost)
	}
}

func (l *Log) put(e Entry, done chan error) error {
	e.tidy(l.opts.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.queue) >= l.opts.Queue {
		l.missed++
		l.lost++
		return grid.Errorf(grid.Unavailable, "audit: an entry could not be kept: %w", cmp.Or(l.failing, error(errFull)))
	}
	if l.failing != nil { // it waits, but nobody waits for it
		done = nil
	}
	l.queue = append(l.queue, item{e, done})
	select {
	case l.pulse <- struct{}{}:
	default:
	}
	return l.failing
}

var errFull = errors.New("too many wait for the disk")

// Stats says how the log is.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{Head: l.head, Waiting: len(l.queue) + len(l.group), Lost: l.lost, Failing: l.failing}
}

// Fault is why entries are not kept now, or were not since start; nil: all is well.
func (l *Log) Fault() error {
	s := l.Stats()
	switch {
	case s.Failing != nil:
		return fmt.Errorf("nothing can be written, %d entries wait: %w", s.Waiting, s.Failing)
	case s.Lost > 0:
		return grid.Errorf(grid.Internal, "%d entries could not be kept since start", s.Lost)
	}
	return nil
}

// Run writes until ctx is done. What comes later, Close writes.
func (l *Log) Run(ctx context.Context) error {
	retry, prune := time.NewTicker(retryEvery), time.NewTicker(pruneEvery)
	defer retry.Stop()
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.pulse:
			if l.Stats().Failing == nil {
				l.drain()
			}
		case <-retry.C:
			if l.Stats().Failing != nil {
				l.drain()
			}
		case <-prune.C:
			if err := l.prune(); err != nil {
				l.opts.Log.Error("oldest part of the audit log cannot be removed", "err", err)
			}
		}
	}
}

// drain writes what waits, in groups, until nothing does or the disk takes nothing.
func (l *Log) drain() {
	for {
		if !l.take() {
			return
		}
		err := l.commit(l.group)
		l.mu.Lock()
		if err != nil && l.failing == nil {
			l.opts.Log.Error("audit log cannot be written", "err", err)
		}
		l.failing = err
		var told []item
		for i := range l.group {
			if it := &l.group[i]; it.done != nil { // once: when it fails its caller goes on, and it is tried again
				told = append(told, *it)
				it.done = nil
			}
		}
		if err == nil {
			l.group = nil
		}
		l.mu.Unlock()
		for _, it := range told {
			it.done <- err
		}
		if err != nil {
			return
		}
	}
}

// take moves what waits into the group; false: nothing does.
func (l *Log) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.group) > 0 {
		return true // it failed before
	}
	if l.missed > 0 {
		e := Entry{Who: "audit", Role: grid.RoleSystem, Act: ActMissed, Outcome: Failed, After: note(map[string]int64{"entries": l.missed})}
		e.tidy(l.opts.Now())
		l.group, l.missed = append(l.group, item{e: e}), 0
	}
	n := min(len(l.queue), maxGroup)
	l.group = append(l.group, l.queue[:n]...)
	l.queue = append(l.queue[:0], l.queue[n:]...)
	return len(l.group) > 0
}

// commit writes a group and seals the head. On an error nothing of it counts, and the file is
// cut back before the next.
func (l *Log) commit(group []item) error {
	now := l.opts.Now()
	l.mu.Lock()
	head := l.head
	l.mu.Unlock()
	head.Hash = cmp.Or(head.Hash, noHash)
	if err := l.roll(head.N+1, now); err != nil {
		return err
	}
	var b []byte
	for i := range group {
		e := &group[i].e
		e.tidy(now)
		var err error
		if b, head.Hash, err = appendLine(b, head.N+1, head.Hash, e); err != nil {
			return err
		}
		head.N++
	}
	head.At = now.UTC().Truncate(time.Microsecond)
	if err := l.segment.Truncate(l.size); err != nil {
		return err
	}
	if _, err := l.segment.WriteAt(b, l.size); err != nil {
		return err
	}
	if err := l.segment.Sync(); err != nil {
		return err
	}
	if _, err := l.file.WriteAt(headFile(l.opts.Key, head), 0); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.size += int64(len(b))
	l.mu.Lock()
	l.head = head
	l.mu.Unlock()
	return nil
}

// roll begins a new segment where there is none, or the one there is full or old.
func (l *Log) roll(first uint64, now time.Time) error {
	if l.segment != nil && l.size < l.opts.SegmentBytes && (l.size == 0 || now.Sub(l.began) < l.opts.SegmentAge) {
		return nil
	}
	f, err := l.fs.OpenFile(filepath.Join(l.dir, fmt.Sprintf("%020d%s", first, suffix)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return errors.Join(err, f.Close())
	}
	if l.segment != nil {
		err = l.segment.Close()
	}
	l.segment, l.size, l.began = f, 0, now
	return err
}

// prune removes segments whose newest line is older than is kept. What goes is named first,
// with its last hash, so that the rest still verifies.
func (l *Log) prune() error {
	if l.opts.Keep <= 0 {
		return nil
	}
	names, err := segments(l.fs, l.dir)
	if err != nil {
		return err
	}
	limit := l.opts.Now().Add(-l.opts.Keep)
	var gone []string
	var from, until Line
	for i, name := range names {
		if i == len(names)-1 {
			break // the one that is written to
		}
		lines, err := readSegment(l.fs, filepath.Join(l.dir, name))
		if err != nil {
			return err
		}
		if len(lines) > 0 {
			last := lines[len(lines)-1]
			if !last.At.Before(limit) {
				break
			}
			if len(gone) == 0 {
				from = lines[0]
			}
			until = last
		}
		gone = append(gone, name)
	}
	if len(gone) == 0 {
		return nil
	}
	if err := l.self(Entry{Act: ActRemoved, After: note(removed{From: from.N, Through: until.N, Hash: until.Hash, Since: from.At, Until: until.At, Segments: len(gone)})}); err != nil {
		return err
	}
	for _, name := range gone {
		if err := l.fs.Remove(filepath.Join(l.dir, name)); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}

// removed is what an entry of ActRemoved says.
type removed struct {
	From     uint64    `json:"from"`
	Through  uint64    `json:"through"`
	Hash     string    `json:"hash"` // of the last line that was removed
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Segments int       `json:"segments"`
}

// Close writes what still waits and ends the log; Run must have ended.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.drain()
	err := l.Stats().Failing
	if s := l.Stats(); s.Waiting > 0 {
		err = errors.Join(err, grid.Errorf(grid.Internal, "audit: %d entries could not be written", s.Waiting))
	}
	return errors.Join(err, l.shut())
}

func (l *Log) shut() (err error) {
	for _, f := range []io.Closer{l.segment, l.file, l.lock} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
