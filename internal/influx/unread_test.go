package influx

import (
	"io/fs"
	"syscall"
	"testing"

	"gridgate/internal/disk"
)

// blindDisk does not read while it is blind.
type blindDisk struct {
	disk.Machine
	blind bool
}

type blindFile struct {
	disk.File
	of *blindDisk
}

func (d *blindDisk) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	f, err := d.Machine.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return blindFile{f, d}, nil
}

func (f blindFile) Read(b []byte) (int, error) {
	if f.of.blind {
		return 0, syscall.EIO
	}
	return f.File.Read(b)
}

// Found by chaos, seed 3: the whole queue was taken for one that had never got its header.
func TestADiskThatDoesNotReadAtTheStartCutsNothing(t *testing.T) {
	dir, d := t.TempDir(), &blindDisk{}
	q := openCut(t, dir, QueueOptions{Disk: d}, Mark{})
	mark := mustAppend(t, q, "block")
	q.Publish(mark)
	q.Close()

	d.blind = true
	q, err := OpenQueue(dir, QueueOptions{Disk: d})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Cut(mark); err == nil {
		t.Error("a queue that cannot be read was cut")
	}
	d.blind = false
	q = openCut(t, dir, QueueOptions{Disk: d}, mark)
	wantBlocks(t, q, "block")
	q.Close()
}
