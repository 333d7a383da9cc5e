package influx

import "syscall"

// childAttr ties the child to us: it is killed when we die, whatever way, and a Ctrl-C
// in the terminal reaches us alone, so that the writer ends before it.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
