package disk

import (
	"errors"
	"io/fs"
	"os"
)

// Machine is the file system of this machine.
type Machine struct{}

// file is *os.File with the syncs that package os does not have.
type file struct{ *os.File }

func (Machine) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

func (Machine) ReadDir(name string) ([]fs.DirEntry, error)   { return os.ReadDir(name) }
func (Machine) Stat(name string) (fs.FileInfo, error)        { return os.Stat(name) }
func (Machine) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (Machine) Rename(from, to string) error                 { return os.Rename(from, to) }
func (Machine) Remove(name string) error                     { return os.Remove(name) }

func (Machine) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("locked by another process")

func (f file) SyncData() error { return syncData(f.File) }

func (f file) Allocate(off, size int64) error { return allocate(f.File, off, size) }
