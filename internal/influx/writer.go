package influx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// WriterOptions with zero fields mean the defaults.
type WriterOptions struct {
	BatchLines int           // lines in one write; default 5,000
	BatchBytes int           // bytes in one write, as far as whole lines allow; default 960 KiB, under the 1 MiB many proxies allow
	Linger     time.Duration // how long a batch waits for more; default 200 ms
	FirstPause time.Duration // after the first failure; it doubles from there; default 250 ms
	MaxPause   time.Duration // default 30 s
	Log        *slog.Logger  //

	// Told is called before each try of a write and gives what is called with its outcome; nil: nobody is told.
	Told func(lines, bytes int) func(error)
}

func (o WriterOptions) withDefaults() WriterOptions {
	o.BatchLines = cmp.Or(o.BatchLines, 5_000)
	o.BatchBytes = cmp.Or(o.BatchBytes, 960<<10)
	o.Linger = cmp.Or(o.Linger, 200*time.Millisecond)
	o.FirstPause = cmp.Or(o.FirstPause, 250*time.Millisecond)
	o.MaxPause = cmp.Or(o.MaxPause, 30*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Rejected is a line InfluxDB will never take, and why.
type Rejected struct {
	Line   string // without its newline
	Reason string // in the server's words
}

// Writer brings the queue to InfluxDB: at least once, in order, each line either stored
// or handed to rejects before the queue's cursor passes it. Whatever else goes wrong
// keeps everything, is tried again, and shows in Status.
type Writer struct {
	client  *Client
	queue   *Queue
	rejects func(context.Context, Rejected) error
	o       WriterOptions

	batch        []byte   // memory of the batch in hand
	lastRejected Rejected // of the batch in hand

	mu     sync.Mutex
	status Status
	failed string // the failure last logged
}

// Status is how the writer fares.
type Status struct {
	Up         bool      `json:"up"`
	Since      time.Time `json:"since"` // when Up last changed
	LastError  string    `json:"last_error,omitempty"`
	Written    int64     `json:"written"`  // lines since start
	Rejected   int64     `json:"rejected"` // lines since start
	QueueBytes int64     `json:"queue_bytes"`
	Oldest     time.Time `json:"oldest,omitzero"` // of what waits
	Damaged    int64     `json:"damaged_bytes,omitempty"`
}

// NewWriter makes a writer. rejects is called with a line that cannot be stored and
// returns nil once it is durable elsewhere; it may be called again with the same line.
func NewWriter(c *Client, q *Queue, rejects func(context.Context, Rejected) error, o WriterOptions) *Writer {
	return &Writer{client: c, queue: q, rejects: rejects, o: o.withDefaults(), status: Status{LastError: "not connected yet"}}
}

// Run writes until ctx is done. It never gives up by itself.
func (w *Writer) Run(ctx context.Context) error {
	w.queue.rewind()
	if w.persist(ctx, w.client.connect) != nil {
		return nil
	}
	w.report(nil)
	for {
		b, err := w.collect(ctx)
		if err == nil {
			err = w.store(ctx, b.lines)
		}
		if err != nil {
			return w.queue.storeCursor() // ctx is done
		}
		w.queue.advance(b.end)
	}
}

// Status tells how the writer fares.
func (w *Writer) Status() Status {
	d := w.queue.Depth()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.status
	s.QueueBytes, s.Oldest, s.Damaged = d.Bytes, d.Oldest, d.Damaged
	return s
}

// collect joins blocks until there are enough lines or none has come for a while.
func (w *Writer) collect(ctx context.Context) (block, error) {
	batch := block{lines: w.batch[:0]}
	defer func() { w.batch = batch.lines }() // its memory is used again
	n := 0
	var linger <-chan time.Time
	for n < w.o.BatchLines && len(batch.lines) < w.o.BatchBytes {
		b, ok, err := w.nextBlock(ctx, linger)
		if err != nil {
			return batch, err
		}
		if !ok {
			break
		}
		if linger == nil {
			linger = time.After(w.o.Linger)
		}
		batch.lines = append(batch.lines, b.lines...)
		batch.end = b.end
		n += countLines(b.lines)
	}
	return batch, nil
}

// nextBlock takes a block off the queue; a queue that cannot be read is tried again.
func (w *Writer) nextBlock(ctx context.Context, linger <-chan time.Time) (b block, ok bool, err error) {
	err = w.persist(ctx, func(ctx context.Context) error {
		b, ok, err = w.queue.next(ctx, linger)
		return err
	})
	return b, ok, err
}

// store writes lines, in as many writes as needed, and returns nil once each of them is
// stored or rejected.
func (w *Writer) store(ctx context.Context, lines []byte) error {
	n := countLines(lines)
	parts := max((n+w.o.BatchLines-1)/w.o.BatchLines, (len(lines)+w.o.BatchBytes-1)/w.o.BatchBytes)
	each := (n + parts - 1) / max(parts, 1)
	for len(lines) > 0 {
		var part []byte
		part, lines = cutLines(lines, each)
		if err := w.bisect(ctx, part); err != nil {
			return err
		}
		if r := w.lastRejected; r.Line != "" { // one word for the batch: each line is with rejects
			w.o.Log.Warn("influxdb refuses lines", "err", r.Reason, "line", brief(r.Line, maxReason))
			w.lastRejected = Rejected{}
		}
	}
	return nil
}

// bisect writes lines; where some are refused it halves them down to the culprits.
// InfluxDB 1.8 has then stored the good ones already and 2.x may have stored none:
// writing them again does no harm in either.
func (w *Writer) bisect(ctx context.Context, lines []byte) error {
	refused, err := w.write(ctx, lines)
	if err != nil {
		return err
	}
	n := countLines(lines)
	if refused == nil {
		w.count(n, 0)
		return nil
	}
	if n <= 1 {
		return w.reject(ctx, Rejected{Line: strings.TrimSuffix(string(lines), "\n"), Reason: refused.Error()})
	}
	head, tail := cutLines(lines, n/2)
	if err := w.bisect(ctx, head); err != nil {
		return err
	}
	return w.bisect(ctx, tail)
}

// write sends lines until the server judges them. refused says that it will not have
// some of them; err is ctx's.
func (w *Writer) write(ctx context.Context, lines []byte) (refused *refusal, err error) {
	text := string(lines)
	err = w.persist(ctx, func(ctx context.Context) error {
		err := w.send(ctx, text)
		if r, ok := errors.AsType[*refusal](err); ok {
			switch {
			case r.aboutLines():
				refused = r
				return nil
			case r.status == http.StatusNotFound: // the database is gone: make it again
				return cmp.Or(w.client.connect(ctx), err)
			}
		}
		return err
	})
	if err == nil {
		w.report(nil)
	}
	return refused, err
}

func (w *Writer) send(ctx context.Context, text string) error {
	if w.o.Told == nil {
		return w.client.send(ctx, text)
	}
	told := w.o.Told(strings.Count(text, "\n"), len(text))
	err := w.client.send(ctx, text)
	told(err)
	return err
}

func (w *Writer) reject(ctx context.Context, r Rejected) error {
	err := w.persist(ctx, func(ctx context.Context) error {
		if err := w.rejects(ctx, r); err != nil {
			return fmt.Errorf("influx: keep a rejected line: %w", err)
		}
		return nil
	})
	if err == nil {
		w.count(0, 1)
		w.lastRejected = r
	}
	return err
}

// persist calls f until it succeeds, pausing longer each time. Its error is ctx's.
func (w *Writer) persist(ctx context.Context, f func(context.Context) error) error {
	pause := w.o.FirstPause
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.report(err)
		wait := pause/2 + rand.N(pause/2+1)
		if r, ok := errors.AsType[*refusal](err); ok {
			wait = min(max(wait, r.after), w.o.MaxPause)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(pause*2, w.o.MaxPause)
	}
}

// report keeps the status, and logs when it changes and not each time.
func (w *Writer) report(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if up := err == nil; up != w.status.Up || w.status.Since.IsZero() {
		w.status.Up, w.status.Since = up, w.queue.o.Now()
		if up {
			w.o.Log.Info("influxdb takes points", "url", w.client.cfg.URL)
		}
	}
	if err == nil {
		w.status.LastError, w.failed = "", ""
		return
	}
	explained := w.client.explain(err)
	w.status.LastError = explained.Error()
	if kind := failureKind(err); kind != w.failed {
		w.failed = kind
		w.o.Log.Error("influxdb does not take points: keeping them", "err", explained)
	}
}

// failureKind is the same for the same failure: without what differs from try to try,
// such as our own port number.
func failureKind(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok && r.status != 0 {
		return r.Error()
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func (w *Writer) count(written, rejected int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Written += int64(written)
	w.status.Rejected += int64(rejected)
}
