package simulator

import (
	"errors"
	"os"
)

// PTY is our end of a pseudo-terminal.
type PTY struct {
	*os.File
	far  *os.File
	path string
}

// Close ends the line, and takes its link away.
func (p *PTY) Close() error {
	if p.path != "" {
		os.Remove(p.path)
	}
	return errors.Join(p.File.Close(), p.far.Close())
}
