package simulator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// OpenPTY makes a pseudo-terminal in raw mode, and a link at path to the end that the
// gateway opens. Both ends stay open, so that the gateway may come and go.
func OpenPTY(path string) (*PTY, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var n int
	raw, err := master.SyscallConn()
	if err == nil {
		e := raw.Control(func(fd uintptr) { // not Fd: it would make a Read that Close does not end
			if n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err == nil {
				err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
			}
		})
		err = errors.Join(err, e)
	}
	if err != nil {
		master.Close()
		return nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	far, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		master.Close()
		return nil, err
	}
	p := &PTY{File: master, far: far, path: path}
	if err := p.raw(); err != nil {
		p.Close()
		return nil, err
	}
	if path != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			p.Close()
			return nil, err
		}
		os.Remove(path)
		if err := os.Symlink(name, path); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

func (p *PTY) raw() error {
	t, err := unix.IoctlGetTermios(int(p.far.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(int(p.far.Fd()), unix.TCSETS, t)
}
