//go:build !linux

package simulator

import "errors"

// OpenPTY needs Linux.
func OpenPTY(string) (*PTY, error) {
	return nil, errors.New("this system has no pseudo-terminals for gridsim: want Linux")
}
