//go:build unix

package gateway

import "syscall"

// mostFiles is how many files this process may have open. Go has raised the soft limit to the
// hard one by the time that anybody asks.
func mostFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return int(min(uint64(l.Cur), 1<<30))
}
