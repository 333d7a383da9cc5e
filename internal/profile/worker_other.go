//go:build !linux

package profile

import (
	"os"
	"syscall"
	"time"
)

func workerProgram() (string, error) { return os.Executable() }

func workerAttr() *syscall.SysProcAttr { return nil }

func confine() {}

// cpuTime stands still: where the processor time of a process is not known, the limit is
// that of the parent, which waits for an answer.
func cpuTime() time.Duration { return 0 }
