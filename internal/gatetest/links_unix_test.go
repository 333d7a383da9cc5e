//go:build unix

package gatetest_test

import (
	"io/fs"
	"syscall"
)

// links is under how many names a file is there.
func links(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}
