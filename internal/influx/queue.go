package influx

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// Mark is a length of the queue: the end of a block. The engine keeps the mark of its
// last committed batch in the same transaction as the batch.
type Mark struct {
	Segment uint64
	Offset  int64
}

func (m Mark) String() string { return fmt.Sprintf("%d:%d", m.Segment, m.Offset) }

// Compare orders marks.
func (m Mark) Compare(o Mark) int {
	return cmp.Or(cmp.Compare(m.Segment, o.Segment), cmp.Compare(m.Offset, o.Offset))
}

// ErrQueueFull says: nothing was kept of this block. The engine records its journal
// range as a gap and refills it later.
var ErrQueueFull = grid.Errorf(grid.Unavailable, "influx queue is full: record a gap")

// LostError says that the disk has less of the queue than the state remembers, and that
// InfluxDB has not been given what is missing.
type LostError struct {
	From, To Mark
}

func (e *LostError) Error() string {
	return fmt.Sprintf("influx queue ends at %s and not at %s: blocks between them are lost", e.From, e.To)
}

// QueueOptions with zero fields mean the defaults.
type QueueOptions struct {
	MaxBytes     int64            // not yet written; default 2 GiB
	SegmentBytes int64            // a segment is closed at this size; default 16 MiB
	MemoryBytes  int64            // newest blocks also kept in memory; default 8 MiB
	CursorEvery  time.Duration    // how often the read cursor is stored; default 1 s
	Disk         disk.FS          // default: the machine's
	Now          func() time.Time //
	Log          *slog.Logger     //
}

func (o QueueOptions) withDefaults() QueueOptions {
	o.Disk = disk.Or(o.Disk)
	o.MaxBytes = cmp.Or(o.MaxBytes, 2<<30)
	o.SegmentBytes = cmp.Or(o.SegmentBytes, 16<<20)
	o.MemoryBytes = cmp.Or(o.MemoryBytes, 8<<20)
	o.CursorEvery = cmp.Or(o.CursorEvery, time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Queue holds encoded lines on disk from the engine's batch until InfluxDB has them.
// There is one appender (the engine) and one reader (the Writer).
//
// The order of calls is: OpenQueue, Cut with the mark the state remembers, then for each
// batch Append, the state's transaction with the mark, Publish. A batch whose transaction
// failed is taken back by Cut. The reader sees published blocks only.
type Queue struct {
	dir string
	o   QueueOptions

	appending sync.Mutex // held by Append and Cut; taken before mu
	active    disk.File  // last segment, open for writing; nil: the next Append makes one
	filled    int64      // how far the active segment is filled with zeros
	nextID    uint64     // number of the next segment
	broken    error      // an fsync failed: what is on disk is unknown

	mu        sync.Mutex
	segments  []segment // oldest first
	cut       bool      // Cut has been called
	end       Mark      // after the last block
	published Mark      // after the last block the reader may see
	taken     Mark      // after the last block handed to the reader
	cursor    Mark      // after the last block InfluxDB has
	stored    Mark      // the cursor as it is on disk
	storedAt  time.Time //
	fresh     []block   // newest blocks, also in memory
	freshSize int64     //
	damaged   int64     // bytes skipped because they could not be read
	wake      chan struct{}

	reading   disk.File // reader only: the segment it reads
	readingID uint64    //
}

// block is what one Append put into the queue.
type block struct {
	start, end Mark
	at         time.Time
	lines      []byte
}

// OpenQueue opens the queue in dir, making it if need be. Nothing can be appended or
// read before Cut.
func OpenQueue(dir string, o QueueOptions) (*Queue, error) {
	q := &Queue{dir: dir, o: o.withDefaults(), wake: make(chan struct{}, 1)}
	if err := q.o.Disk.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("influx queue: %w", err)
	}
	var err error
	if q.segments, err = listSegments(q.o.Disk, dir); err != nil {
		return nil, fmt.Errorf("influx queue %s: %w", dir, err)
	}
	q.cursor = q.loadCursor()
	q.stored, q.storedAt, q.taken = q.cursor, q.o.Now(), q.cursor
	return q, nil
}

// Cut makes mark the end of the queue: blocks behind it belong to a batch that did not
// commit. It is called once at start, and again when a commit failed. After a *LostError
// the queue works on with what there is; its blocks after From are a gap.
func (q *Queue) Cut(mark Mark) error {
	q.appending.Lock()
	defer q.appending.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if mark.Compare(q.published) < 0 {
		return grid.Errorf(grid.Conflict, "influx queue: cut to %s: blocks up to %s are published", mark, q.published)
	}
	if q.active != nil {
		q.active.Close()
		q.active = nil
	}
	q.nextID = max(q.nextID, mark.Segment+1, q.cursor.Segment+1)
	if n := len(q.segments); n > 0 {
		q.nextID = max(q.nextID, q.segments[n-1].id+1)
	}
	end, err := q.cutFiles(mark)
	if err != nil {
		return fmt.Errorf("influx queue: cut to %s: %w", mark, err)
	}
	lost := end.Compare(mark) < 0 && q.cursor.Compare(mark) < 0
	q.end, q.published, q.cut = end, end, true
	if q.cursor.Compare(end) > 0 { // the state is older than the queue: restored from a backup
		q.cursor, q.taken = end, end
		if q.active != nil { // what follows is numbered past the cursor on disk, so that it is read
			q.active.Close()
			q.active = nil
		}
	}
	q.fresh = slices.DeleteFunc(q.fresh, func(b block) bool { return b.end.Compare(end) > 0 })
	q.signal()
	if lost {
		return &LostError{From: maxMark(end, q.cursor), To: mark}
	}
	return nil
}

// cutFiles removes everything behind mark and returns where the queue ends then: at
// mark, or before it if there is less. It leaves the active segment open if it ends at mark.
func (q *Queue) cutFiles(mark Mark) (Mark, error) {
	for n := len(q.segments); n > 0 && q.segments[n-1].id > mark.Segment; n = len(q.segments) {
		if err := q.o.Disk.Remove(segmentPath(q.dir, q.segments[n-1].id)); err != nil {
			return Mark{}, err
		}
		q.segments = q.segments[:n-1]
	}
	if len(q.segments) == 0 {
		return Mark{}, q.o.Disk.SyncDir(q.dir)
	}
	last := &q.segments[len(q.segments)-1]
	limit := last.size
	if last.id == mark.Segment {
		limit = min(limit, mark.Offset)
	}
	f, valid, err := truncateSegment(q.o.Disk, segmentPath(q.dir, last.id), limit)
	if err != nil {
		return Mark{}, err
	}
	last.size = valid
	end := Mark{last.id, valid}
	if end == mark {
		q.active, q.filled = f, valid
	} else {
		f.Close()
	}
	return end, q.o.Disk.SyncDir(q.dir)
}

// Append keeps a block of lines made by AppendLine and returns the queue's length with
// it. nil means: on disk, fsynced. ErrQueueFull (in the error's chain) means that
// nothing was kept and the next block may be tried; any other error is fatal.
func (q *Queue) Append(lines []byte) (Mark, error) {
	q.appending.Lock()
	defer q.appending.Unlock()
	q.mu.Lock()
	end, cut, depth := q.end, q.cut, q.depth()
	q.mu.Unlock()
	switch {
	case !cut:
		return Mark{}, grid.Errorf(grid.Internal, "influx queue: append before cut")
	case q.broken != nil:
		return Mark{}, q.broken
	case len(lines) == 0:
		return end, nil
	case lines[len(lines)-1] != '\n':
		return Mark{}, grid.Errorf(grid.Internal, "influx queue: block does not end in a newline")
	case depth+int64(len(lines)) > q.o.MaxBytes:
		return Mark{}, fmt.Errorf("%w: %d bytes wait, the limit is %d", ErrQueueFull, depth, q.o.MaxBytes)
	}
	b := block{at: q.o.Now(), lines: lines}
	record := appendRecord(make([]byte, 0, recordHeader+len(lines)), b.at, lines)
	b.lines = record[recordHeader:]
	if err := q.write(&b, end, record); err != nil {
		return Mark{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.segments[len(q.segments)-1].size = b.end.Offset
	q.end = b.end
	q.fresh = append(q.fresh, b)
	q.freshSize += int64(len(record))
	for q.freshSize > q.o.MemoryBytes {
		q.dropFresh()
	}
	return b.end, nil
}

// write puts a record at the end of the active segment, or of a new one.
func (q *Queue) write(b *block, end Mark, record []byte) error {
	if q.active == nil || end.Offset >= q.o.SegmentBytes {
		var err error
		if end, err = q.roll(); err != nil {
			return noSpace(fmt.Errorf("influx queue: new segment: %w", err))
		}
	}
	if err := q.place(record, end.Offset); err != nil {
		q.active.Truncate(end.Offset) // gives the space back; what stays is written over or cut
		q.filled = end.Offset
		return noSpace(fmt.Errorf("influx queue: append: %w", err))
	}
	if err := q.active.SyncData(); err != nil {
		q.broken = fmt.Errorf("influx queue: fsync: %w", err)
		return q.broken
	}
	b.start, b.end = end, Mark{end.Segment, end.Offset + int64(len(record))}
	return nil
}

// fillStep is how far the active segment is filled with zeros ahead of its records: a sync
// then has data to write and no new length, for which the file system would wait for
// everybody else's writes too.
const fillStep = 1 << 20

var zeros [fillStep]byte

// place writes a record where the file is filled already.
func (q *Queue) place(record []byte, off int64) error {
	for q.filled = max(q.filled, off); q.filled < off+int64(len(record)); q.filled += fillStep {
		if _, err := q.active.WriteAt(zeros[:], q.filled); err != nil {
			return err
		}
	}
	_, err := q.active.WriteAt(record, off)
	return err
}

// roll begins a new segment.
func (q *Queue) roll() (Mark, error) {
	f, err := createSegment(q.o.Disk, q.dir, q.nextID)
	if err != nil {
		return Mark{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.active != nil { // no zeros, nor what a failed write may have left, stay behind its records
		err = errors.Join(q.active.Truncate(q.end.Offset), q.active.Sync(), q.active.Close())
	}
	q.active, q.filled = f, segmentHeader
	q.segments = append(q.segments, segment{id: q.nextID, size: segmentHeader})
	q.end = Mark{q.nextID, segmentHeader}
	q.nextID++
	return q.end, err
}

// noSpace turns a full disk into a full queue.
func noSpace(err error) error {
	if disk.Full(err) {
		return fmt.Errorf("%w: %w", ErrQueueFull, err)
	}
	return err
}

// Publish lets the reader see the blocks up to mark: the state has committed them.
func (q *Queue) Publish(mark Mark) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if mark.Compare(q.published) > 0 {
		q.published = mark
		q.signal()
	}
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Depth is how much the queue holds that InfluxDB does not have yet.
type Depth struct {
	Bytes   int64     `json:"bytes"`
	Oldest  time.Time `json:"oldest,omitzero"`   // when the first of it was appended
	Damaged int64     `json:"damaged,omitempty"` // bytes that could not be read back since start
}

// Depth measures the queue.
func (q *Queue) Depth() Depth {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := Depth{Bytes: q.depth(), Damaged: q.damaged}
	if d.Bytes == 0 {
		return d
	}
	if len(q.fresh) > 0 {
		d.Oldest = q.fresh[0].at
	}
	if at, ok := q.locate(q.cursor); ok && (len(q.fresh) == 0 || at.Compare(q.fresh[0].start) < 0) {
		if t, err := recordTime(q.o.Disk, segmentPath(q.dir, at.Segment), at.Offset); err == nil {
			d.Oldest = t
		}
	}
	return d
}

func (q *Queue) depth() int64 {
	var n int64
	for _, s := range q.segments {
		switch {
		case s.id > q.cursor.Segment:
			n += s.size - segmentHeader
		case s.id == q.cursor.Segment:
			n += s.size - q.cursor.Offset
		}
	}
	return n
}

// Close stores the cursor. Writer.Run has ended before, and the queue is not used afterwards.
func (q *Queue) Close() error {
	q.appending.Lock()
	defer q.appending.Unlock()
	err := q.storeCursor()
	if q.active != nil {
		err = errors.Join(err, q.active.Truncate(q.end.Offset), q.active.Close())
	}
	if q.reading != nil {
		err = errors.Join(err, q.reading.Close())
	}
	return err
}

// rewind makes the reader begin again behind the last block InfluxDB is known to have.
func (q *Queue) rewind() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken = q.cursor
}

// next hands the next published block to the reader, waiting for one. It says false when
// timeout fires first. The block's lines must not be changed.
func (q *Queue) next(ctx context.Context, timeout <-chan time.Time) (block, bool, error) {
	for {
		b, ok, err := q.take()
		if ok || err != nil {
			return b, ok, err
		}
		select {
		case <-q.wake:
		case <-timeout:
			return block{}, false, nil
		case <-ctx.Done():
			return block{}, false, ctx.Err()
		}
	}
}

// take hands out the next published block if there is one. What cannot be read is
// counted and skipped, up to the end of its segment: where the next block begins is not known.
func (q *Queue) take() (block, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		at, ok := q.locate(q.taken)
		if !ok || at.Compare(q.published) >= 0 {
			return block{}, false, nil
		}
		if i, ok := slices.BinarySearchFunc(q.fresh, at, func(b block, m Mark) int { return b.start.Compare(m) }); ok {
			q.taken = q.fresh[i].end
			return q.fresh[i], true, nil
		}
		limit := q.segments[q.find(at.Segment)].size
		q.mu.Unlock()
		b, err := q.read(at, limit)
		q.mu.Lock()
		if err == nil {
			q.taken = b.end
			return b, true, nil
		}
		if !errors.Is(err, errDamaged) && !errors.Is(err, os.ErrNotExist) {
			return block{}, false, fmt.Errorf("influx queue: read at %s: %w", at, err)
		}
		q.taken = Mark{at.Segment, limit}
		if q.taken.Compare(q.published) > 0 {
			q.taken = q.published
		}
		q.damaged += q.taken.Offset - at.Offset
		q.o.Log.Error("influx queue is damaged: blocks are skipped", "err", err, "from", at.String(), "to", q.taken.String())
	}
}

// locate finds where the block that follows m begins: at m, or in the next segment.
func (q *Queue) locate(m Mark) (Mark, bool) {
	for _, s := range q.segments {
		switch {
		case s.id == m.Segment && m.Offset < s.size:
			return m, true
		case s.id > m.Segment:
			return Mark{s.id, segmentHeader}, true
		}
	}
	return Mark{}, false
}

// find gives the index of a segment that exists.
func (q *Queue) find(id uint64) int {
	return slices.IndexFunc(q.segments, func(s segment) bool { return s.id == id })
}

// read reads a block from a segment of the given size. Reader only.
func (q *Queue) read(at Mark, size int64) (block, error) {
	if q.reading == nil || q.readingID != at.Segment {
		if q.reading != nil {
			q.reading.Close()
			q.reading = nil
		}
		f, err := disk.Open(q.o.Disk, segmentPath(q.dir, at.Segment))
		if err != nil {
			return block{}, err
		}
		q.reading, q.readingID = f, at.Segment
	}
	t, lines, err := readRecord(io.NewSectionReader(q.reading, at.Offset, size-at.Offset), size-at.Offset)
	if err != nil {
		return block{}, err
	}
	return block{start: at, end: Mark{at.Segment, at.Offset + recordHeader + int64(len(lines))}, at: t, lines: lines}, nil
}

// advance says that InfluxDB has everything up to mark. Segments left behind are removed.
// The cursor on disk may lag by CursorEvery: what is written twice is stored once.
func (q *Queue) advance(mark Mark) {
	q.mu.Lock()
	q.cursor = mark
	for len(q.fresh) > 0 && q.fresh[0].end.Compare(mark) <= 0 {
		q.dropFresh()
	}
	due := q.segments[0].id < mark.Segment || q.o.Now().Sub(q.storedAt) >= q.o.CursorEvery
	q.mu.Unlock()
	if !due {
		return
	}
	if err := q.storeCursor(); err != nil {
		q.o.Log.Error("influx queue cursor is not stored", "err", err)
	}
	q.removeWritten()
}

func (q *Queue) dropFresh() {
	q.freshSize -= int64(len(q.fresh[0].lines) + recordHeader)
	q.fresh[0] = block{}
	q.fresh = q.fresh[1:]
}

// removeWritten removes the segments before the cursor's. A stale cursor on disk does no
// harm: reading begins at the oldest segment there is.
func (q *Queue) removeWritten() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.segments) > 0 && q.segments[0].id < q.cursor.Segment {
		if err := q.o.Disk.Remove(segmentPath(q.dir, q.segments[0].id)); err != nil && !errors.Is(err, os.ErrNotExist) {
			q.o.Log.Error("influx queue segment is not removed", "err", err)
			return
		}
		q.segments = q.segments[1:]
	}
}

func (q *Queue) storeCursor() error {
	q.mu.Lock()
	cursor, same := q.cursor, q.cursor == q.stored
	q.mu.Unlock()
	if same {
		return nil
	}
	b, err := json.Marshal(cursor)
	if err != nil {
		return err
	}
	if err := replaceFile(q.o.Disk, filepath.Join(q.dir, "cursor"), b); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stored, q.storedAt = cursor, q.o.Now()
	return nil
}

// loadCursor reads the stored cursor; without one reading begins at the oldest block.
func (q *Queue) loadCursor() Mark {
	var m Mark
	b, err := disk.ReadFile(q.o.Disk, filepath.Join(q.dir, "cursor"))
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		q.o.Log.Warn("influx queue cursor cannot be read: writing everything again", "err", err)
		return Mark{}
	}
	return m
}

func maxMark(a, b Mark) Mark {
	if a.Compare(b) > 0 {
		return a
	}
	return b
}
