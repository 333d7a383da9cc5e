//go:build unix

package cert

import (
	"os"
	"syscall"
)

// own gives a file to the owner of a folder, if it is root who writes it.
func own(path, folder string) error {
	info, err := os.Stat(folder)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	if of, ok := info.Sys().(*syscall.Stat_t); ok {
		return os.Chown(path, int(of.Uid), int(of.Gid))
	}
	return nil
}
