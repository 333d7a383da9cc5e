package profile

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// workerData bounds how much memory a worker may map beyond what it begins with. The
// limit of a single run is far lower; this one holds where a single operation asks for a
// gigabyte, before anything could look.
const workerData = 192 << 20

// workerProgram is the program to run again as a worker: the very file that runs here, also
// when another version of it has taken its place on disk.
func workerProgram() (string, error) {
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err == nil {
		return self, nil
	}
	return os.Executable()
}

// workerAttr ties a worker to us: it is killed when we die in whatever way. A Ctrl-C in the
// terminal is not for it. The system goes by the thread that started it, and those of Go
// stay, unless a goroutine locks one and ends: such a worker is lost, and the next one
// takes its work.
func workerAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// confine narrows what this worker can take from the machine. It is a second line: a limit
// that cannot be set is none.
func confine() {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // when memory is short: this one first
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return
	}
	if f := strings.Fields(string(statm)); len(f) > 5 {
		if pages, err := strconv.ParseUint(f[5], 10, 64); err == nil {
			limit := pages*uint64(os.Getpagesize()) + workerData
			_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit})
		}
	}
}

// cpuTime is the processor time that this process has taken so far.
func cpuTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
