// Package disk is the file system as the journal, the queue for InfluxDB and the engine's
// checkpoint need it: what can be written, what a sync makes durable, and what a directory
// holds. A gateway uses the machine's; a simulation has one of its own that loses what was
// not synced.
package disk

import (
	"io"
	"io/fs"
	"os"
)

// FS is a file system. Paths are those of package os, and so are its errors.
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	ReadDir(name string) ([]fs.DirEntry, error) // sorted by name
	Stat(name string) (fs.FileInfo, error)
	MkdirAll(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	SyncDir(name string) error // makes what was created, renamed and removed in it durable
	// Lock takes a lock for this process; it ends with Close. ErrLocked: another has it.
	Lock(name string) (io.Closer, error)
	Space(dir string) (Space, error)
}

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Seeker
	io.Closer
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
	SyncData() error                // the bytes and the length, without the times
	Allocate(off, size int64) error // a full disk says so now; a file system that cannot does nothing
}

// Space is what the disk of a directory has.
type Space struct {
	Free  int64 // bytes we may still write
	Total int64
}

// Or is f, or the machine's where there is none.
func Or(f FS) FS {
	if f == nil {
		return Machine{}
	}
	return f
}

// Open opens a file for reading.
func Open(f FS, name string) (File, error) { return f.OpenFile(name, os.O_RDONLY, 0) }

// ReadFile reads a whole file.
func ReadFile(f FS, name string) ([]byte, error) {
	file, err := Open(f, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// WriteFile makes or replaces a file, without a sync.
func WriteFile(f FS, name string, b []byte, perm fs.FileMode) error {
	file, err := f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	if _, err = file.Write(b); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
