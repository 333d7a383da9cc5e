package profile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
)

// How long the parent waits, by the clock. A worker that holds its own limits never lets
// it come to that: these are for one that is stuck or stopped.
const (
	helloWait  = 10 * time.Second
	loadWait   = 10 * time.Second
	decodeWait = time.Second
	closeWait  = time.Second
	lookEvery  = 200 * time.Millisecond
)

// A machine that is short of processes or memory may have some in a moment.
const (
	startAgain = 3
	startPause = 100 * time.Millisecond
)

// idleWait is how long a worker without work stays.
const idleWait = 30 * time.Second

// workers owns the codec workers of some profiles: none until the first frame, then as many
// as there are processors, and as many again while smoke has work for them.
type workers struct {
	slots [grid.Lanes]chan struct{} // a place for each worker that may be at work: no codec of the bulk lane keeps smoke waiting
	idle  time.Duration

	mu     sync.Mutex
	ready  []*worker // without work, the last one used at the end
	all    map[*worker]bool
	sweeps *time.Timer // looks for idle ones while there are any
	closed bool
	codecs uint64 // numbers given
}

func newWorkers() *workers {
	p := &workers{idle: idleWait, all: map[*worker]bool{}}
	for lane := range p.slots {
		p.slots[lane] = make(chan struct{}, runtime.GOMAXPROCS(0))
	}
	return p
}

// remoteScript is a maker's codec as its owner knows it: the source, and who runs it.
type remoteScript struct {
	id       uint64
	name     string
	function string // that it defines
	load     []byte // the request that hands it to a worker
	workers  *workers
}

// script hands a source to a worker, which compiles it. Its error is about the source.
func (p *workers) script(name, source, variables string) (*remoteScript, error) {
	p.mu.Lock()
	p.codecs++
	s := &remoteScript{id: p.codecs, name: name, workers: p}
	p.mu.Unlock()
	s.load = append(appendText(appendText(appendHead(newMessage(nil), opLoad, s.id), name), variables), source...)
	err := p.with(grid.Bulk, s, func(w *worker) error {
		reply, err := w.ask(s.load, loadWait)
		if err != nil {
			return err
		}
		function, err := done(reply)
		s.function = string(function)
		return err
	})
	return s, err
}

// decode runs the codec on the payload of a frame and gives its document to use, which
// must not keep it. Its errors are permanent.
func (s *remoteScript) decode(op byte, port int, f *grid.Frame, use func(document []byte) error) error {
	return s.workers.with(laneOf(f), s, func(w *worker) error {
		w.request = appendDecode(newMessage(w.request), op, s.id, port, f.Received, f.Payload)
		reply, err := w.ask(w.request, decodeWait)
		if err == nil && len(reply) > 0 && reply[0] == replyUnknown {
			if reply, err = w.ask(s.load, loadWait); err != nil {
				return err
			}
			if _, err = done(reply); err != nil {
				return err
			}
			reply, err = w.ask(w.request, decodeWait)
		}
		if err != nil {
			return err
		}
		document, err := done(reply)
		if err != nil {
			return err
		}
		return use(document)
	})
}

// laneOf is the lane of a frame that came through the journal; what a person tries out has
// time.
func laneOf(f *grid.Frame) grid.Lane {
	if f.Pos.IsZero() {
		return grid.Bulk
	}
	return f.Pos.Lane
}

// done takes a reply apart.
func done(reply []byte) ([]byte, error) {
	if len(reply) == 0 {
		return nil, errors.New("a codec worker gave an empty answer")
	}
	if reply[0] != replyDone {
		return nil, errors.New(string(reply[1:]))
	}
	return reply[1:], nil
}

// with lets f have a worker. A worker may be killed by anyone at any time: what was at work
// in it then is tried once more in a new one, so that this is no fault of the frame.
func (p *workers) with(lane grid.Lane, s *remoteScript, f func(*worker) error) error {
	p.slots[lane] <- struct{}{}
	defer func() { <-p.slots[lane] }()
	var ended *endedError
	for try := range 2 {
		w, err := p.take(try > 0)
		if err != nil {
			return fmt.Errorf("%s: no codec worker: %w", s.name, err)
		}
		if err = f(w); !errors.As(err, &ended) {
			p.put(w)
			return err
		}
		p.drop(w)
		if ended.verdict != nil {
			return fmt.Errorf("%s: %w", s.name, ended.verdict)
		}
	}
	return fmt.Errorf("%s: its worker ended twice: %w", s.name, ended)
}

var errClosed = errors.New("the profiles are closed")

// take gives a worker that is alive, as far as is known; a new one certainly is.
func (p *workers) take(anew bool) (*worker, error) {
	if !anew {
		if w, err := p.idler(); w != nil || err != nil {
			return w, err
		}
	}
	w, err := startWorker()
	for range startAgain {
		if err == nil || errors.Is(err, errNoWorker) {
			break
		}
		time.Sleep(startPause)
		w, err = startWorker()
	}
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		w.close()
		return nil, errClosed
	}
	p.all[w] = true
	return w, nil
}

// idler gives a worker without work, if there is one.
func (p *workers) idler() (*worker, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	for len(p.ready) > 0 {
		w := p.ready[len(p.ready)-1]
		p.ready = p.ready[:len(p.ready)-1]
		if !w.hasEnded() {
			return w, nil
		}
		delete(p.all, w)
		w.close()
	}
	return nil, nil
}

// put takes a worker back.
func (p *workers) put(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return // close ends it
	}
	w.since = time.Now()
	p.ready = append(p.ready, w)
	if p.sweeps == nil {
		p.sweeps = time.AfterFunc(p.idle, p.sweep)
	}
}

// drop ends a worker that no longer answers.
func (p *workers) drop(w *worker) {
	p.mu.Lock()
	delete(p.all, w)
	p.mu.Unlock()
	w.close()
}

// sweep ends the workers that had nothing to do for long.
func (p *workers) sweep() {
	p.mu.Lock()
	var tired []*worker
	for len(p.ready) > 0 && time.Since(p.ready[0].since) >= p.idle {
		tired = append(tired, p.ready[0])
		delete(p.all, p.ready[0])
		p.ready = p.ready[1:]
	}
	p.sweeps = nil
	if len(p.ready) > 0 && !p.closed {
		p.sweeps = time.AfterFunc(p.idle, p.sweep)
	}
	p.mu.Unlock()
	for _, w := range tired {
		w.close()
	}
}

// close ends all workers and waits for them; what is at work in one fails.
func (p *workers) close() {
	p.mu.Lock()
	p.closed = true
	if p.sweeps != nil {
		p.sweeps.Stop()
	}
	list := p.all
	p.all, p.ready = map[*worker]bool{}, nil
	p.mu.Unlock()
	for w := range list {
		w.close()
	}
}

// worker is one child. One request at a time.
type worker struct {
	cmd     *exec.Cmd
	in      *os.File // of the child
	out     *os.File // of the child
	stderr  *beginning
	ended   chan struct{} // closed when the child has been waited for
	timeout *time.Timer   // looks whether an answer is late
	looking atomic.Bool   // the timer is set
	due     atomic.Int64  // when an answer is late, in Unix nanoseconds; 0: none is due
	late    atomic.Bool   // it was, and the child is killed
	since   time.Time     // without work

	request []byte
	reply   []byte
}

// startWorker runs this program again as a codec worker.
func startWorker() (*worker, error) {
	if os.Getenv(workerEnv) != "" {
		// Else each worker of a program that forgot to become one would start the next.
		return nil, errNoWorker
	}
	program, err := workerProgram()
	if err != nil {
		return nil, err
	}
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close(), childIn.Close())
	}
	w := &worker{in: in, out: out, stderr: &beginning{}, ended: make(chan struct{})}
	w.cmd = &exec.Cmd{
		Path: program, Args: []string{os.Args[0], "codec-worker"}, Dir: "/",
		Env:   []string{workerEnv + "=1", "TZ=UTC", "GOGC=1000", "GOMEMLIMIT=128MiB", "GOTRACEBACK=single"},
		Stdin: childIn, Stdout: childOut, Stderr: w.stderr, SysProcAttr: workerAttr(), WaitDelay: closeWait,
	}
	err = w.cmd.Start()
	// The ends of the child are the child's alone: or its death would not be heard.
	_ = childIn.Close()
	_ = childOut.Close()
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	go w.wait()
	w.timeout = time.AfterFunc(time.Hour, w.look)
	w.expect(helloWait)
	w.reply, err = readMessage(w.out, w.reply)
	w.due.Store(0)
	if err != nil || string(w.reply) != hello {
		w.kill()
		w.close()
		if err == nil || errors.Is(err, errMessage) {
			return nil, errNoWorker
		}
		return nil, w.fate()
	}
	return w, nil
}

var errNoWorker = errors.New("this program is none: want profile.RunWorker() first in its main function")

// ask sends a request and gives the reply, which is good until the next one. An endedError
// says that the worker cannot be used any more.
func (w *worker) ask(request []byte, wait time.Duration) ([]byte, error) {
	w.expect(wait)
	err := writeMessage(w.in, request)
	if err == nil {
		w.reply, err = readMessage(w.out, w.reply)
	}
	w.due.Store(0)
	if err != nil {
		w.kill()
		<-w.ended
		return nil, w.fate()
	}
	return w.reply, nil
}

// expect sets when the next answer is due. The timer goes on by itself while there is
// work, so that a frame pays for no timer of its own.
func (w *worker) expect(wait time.Duration) {
	w.due.Store(time.Now().Add(wait).UnixNano())
	if !w.looking.Swap(true) {
		w.timeout.Reset(lookEvery)
	}
}

// look runs on the timer: it ends a worker that gave no answer in time.
func (w *worker) look() {
	w.looking.Store(false)
	due := w.due.Load()
	switch {
	case due == 0:
		return
	case time.Now().UnixNano() > due:
		w.late.Store(true)
		w.kill()
		return
	}
	if !w.looking.Swap(true) {
		w.timeout.Reset(lookEvery)
	}
}

func (w *worker) kill() { _ = w.cmd.Process.Kill() } // it may have ended: that is as well

func (w *worker) wait() {
	_ = w.cmd.Wait() // how it ended is in ProcessState
	close(w.ended)
}

func (w *worker) hasEnded() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

// close ends the worker, by the end of its input or else by force, and waits for it.
func (w *worker) close() {
	w.due.Store(0)
	_ = w.in.Close()
	select {
	case <-w.ended:
	case <-time.After(closeWait):
		w.kill()
		<-w.ended
	}
	_ = w.out.Close()
}

// endedError says how a worker ended. With a verdict the codec is to blame.
type endedError struct {
	verdict error
	how     string
}

func (e *endedError) Error() string { return e.how }

// fate reads how a worker ended.
func (w *worker) fate() *endedError {
	last := w.stderr.String()
	switch code := w.cmd.ProcessState.ExitCode(); {
	case code == exitTime:
		return &endedError{verdict: errTime, how: errTime.Error()}
	case code == exitMemory:
		return &endedError{verdict: errMemory, how: errMemory.Error()}
	case w.late.Load():
		return &endedError{how: "it gave no answer in time"}
	case diedOfMemory(last):
		return &endedError{how: errMemory.Error()}
	case strings.Contains(last, "stack overflow"), strings.Contains(last, "stack exceeds"):
		return &endedError{how: "too deep for the JavaScript engine"}
	case last != "":
		line, _, _ := strings.Cut(last, "\n")
		return &endedError{how: truncate(line, maxText)}
	}
	return &endedError{how: w.cmd.ProcessState.String()}
}

// diedOfMemory knows the ways in which the runtime of Go goes under when the system gives it
// no more: it says so, or cannot start a thread, or faults where its own books should be.
func diedOfMemory(last string) bool {
	for _, words := range []string{"out of memory", "cannot allocate memory", "failed to allocate", "pthread_create failed", "new OS thread"} {
		if strings.Contains(last, words) {
			return true
		}
	}
	return strings.HasPrefix(last, "SIGSEGV")
}

// beginning keeps the first lines of what a worker complains about.
type beginning struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *beginning) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(p[:min(len(p), 4096-b.buf.Len())])
	return len(p), nil
}

func (b *beginning) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.buf.String())
}
