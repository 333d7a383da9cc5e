//go:build unix

package main

import (
	"os"
	"syscall"
)

// Signals that the service takes beside those that end it.
var (
	reloadSignals = []os.Signal{syscall.SIGHUP}
	reopenSignals = []os.Signal{syscall.SIGUSR1}
)
