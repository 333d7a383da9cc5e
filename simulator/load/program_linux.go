package load

import "syscall"

// tied has the kernel end the child when we end in whatever way; Ctrl-C in the terminal
// reaches us alone.
func tied() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
