package main

import (
	"runtime"
	"syscall"
)

// childAttr ties gridsim to us: it is told to end when we die in whatever way, and a
// Ctrl-C in the terminal reaches us alone, so that it ends before the gateway.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// hold starts the child, reads its output, and waits for its end, all on one thread: the
// tie is to the thread that started it.
func (s *sim) hold(started chan<- error, read func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s.holdPlain(started, read)
}
