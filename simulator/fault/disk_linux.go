package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gridgate/internal/grid"
)

// Disk is a small disk of its own under a folder: a tmpfs. It needs the right to mount.
type Disk struct {
	dir string

	mu    sync.Mutex
	heavy *os.File // somebody else's data that fills it
	stop  context.CancelFunc
	work  sync.WaitGroup
}

// OpenDisk puts a disk of so many bytes under an empty folder, which it makes. Without the
// right to do so the error has the code forbidden.
func OpenDisk(dir string, size int64) (*Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	err := unix.Mount("gridsim", dir, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, fmt.Sprintf("size=%d,mode=0700", size))
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, grid.Errorf(grid.Forbidden, "a disk of its own under %s: %w: want the right to mount", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("disk under %s: %w", dir, err)
	}
	return &Disk{dir: dir}, nil
}

// Free is how many bytes are left.
func (d *Disk) Free() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(d.dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// Fill fills it up but for so many bytes, with somebody else's data.
func (d *Disk) Fill(leave int64) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.heavy == nil {
		if d.heavy, err = os.OpenFile(filepath.Join(d.dir, "somebody-elses"), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600); err != nil {
			return err
		}
	}
	at, err := d.heavy.Seek(0, 2)
	if err != nil {
		return err
	}
	if leave > 0 {
		free, err := d.Free()
		if err != nil || free <= leave {
			return err
		}
		return noRoom(unix.Fallocate(int(d.heavy.Fd()), 0, at, free-leave))
	}
	for block := int64(1 << 20); block >= 4096; {
		switch err := unix.Fallocate(int(d.heavy.Fd()), 0, at, block); {
		case err == nil:
			at += block
		case errors.Is(err, unix.ENOSPC):
			block /= 2
		case !errors.Is(err, unix.EINTR):
			return err
		}
	}
	return nil
}

func noRoom(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return nil // full is what is wanted
	}
	return err
}

// Hold fills it and keeps it so: room that a program makes is taken at once.
func (d *Disk) Hold(leave int64) error {
	if err := d.Fill(leave); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		cancel()
		return grid.Errorf(grid.Conflict, "disk %s is held already", d.dir)
	}
	d.stop = cancel
	d.work.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
				d.Fill(leave) // it was done before: what fails now fails for want of room
			}
		}
	})
	return nil
}

// Clear takes somebody else's data away.
func (d *Disk) Clear() error {
	d.mu.Lock()
	stop := d.stop
	d.stop = nil
	d.mu.Unlock()
	if stop != nil {
		stop()
		d.work.Wait()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.heavy == nil {
		return nil
	}
	err := errors.Join(os.Remove(d.heavy.Name()), d.heavy.Close())
	d.heavy = nil
	return err
}

// Close takes the disk away with all that is on it.
func (d *Disk) Close() error {
	return errors.Join(d.Clear(), unix.Unmount(d.dir, unix.MNT_DETACH))
}
