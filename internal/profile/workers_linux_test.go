package profile

import (
	"errors"
	"runtime"
	"syscall"
	"testing"

	"gridgate/internal/grid"
)

func TestFrameIsNotBlamedForWorkersThatWereKilledTogether(t *testing.T) {
	p := newWorkers()
	defer p.close()
	s, err := p.script("codec.js", "function decodeUplink(i) { return {data: {n: i.bytes[0]}} }", "")
	if err != nil {
		t.Fatal(err)
	}
	var all []*worker
	for n := range 3 {
		w, err := p.take(n > 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	for _, w := range all {
		p.put(w)
		// It is lost, and its death not heard of yet.
		if err := errors.Join(w.cmd.Process.Signal(syscall.SIGSTOP), w.in.Close()); err != nil {
			t.Fatal(err)
		}
	}
	f := grid.Frame{Uplink: grid.Uplink{Payload: []byte{7}}}
	if err := s.decode(opDecode, 1, &f, func([]byte) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestWorkerWhoseThreadEndedIsReplaced is of Pdeathsig, which goes by the thread that
// started a worker: a goroutine that keeps its thread for itself takes it along.
func TestWorkerWhoseThreadEndedIsReplaced(t *testing.T) {
	p := newWorkers()
	defer p.close()
	s, err := p.script("codec.js", "function decodeUplink(i) { return {data: {n: i.bytes[0]}} }", "")
	if err != nil {
		t.Fatal(err)
	}
	var w *worker
	onAThreadThatEnds(func() { w, err = p.take(true) })
	if err != nil {
		t.Fatal(err)
	}
	<-w.ended
	p.put(w)
	f := grid.Frame{Uplink: grid.Uplink{Payload: []byte{7}}}
	if err := s.decode(opDecode, 1, &f, func([]byte) error { return nil }); err != nil {
		t.Error(err)
	}
}

// onAThreadThatEnds runs do on a thread that ends soon after: that of a goroutine which
// never lets it go. The first thread of a process is kept by the runtime, whatever was
// locked to it: then another is taken, while the first is held.
func onAThreadThatEnds(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if syscall.Gettid() == syscall.Getpid() {
			defer runtime.UnlockOSThread()
			onAThreadThatEnds(do)
			return
		}
		do()
	}()
	<-done
}
