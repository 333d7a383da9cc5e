//go:build linux

package gatetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Disk is a file system of its own that can lose power. Killing a process loses nothing
// of what it wrote, since the kernel keeps it: only losing power tells a program that
// syncs from one that does not.
type Disk struct {
	t     testing.TB
	image string
	dir   string
}

// PowerLossDisk makes an ext4 file system of 256 MiB in a file and mounts it for the
// length of the test. It needs root and a loop device; without them the test is skipped,
// or fails where root has GRIDGATE_REQUIRE_PEERS=1.
func PowerLossDisk(t testing.TB) *Disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("power loss: mounting a disk to cut off needs root")
	}
	tmp := t.TempDir()
	d := &Disk{t: t, image: filepath.Join(tmp, "disk.img"), dir: filepath.Join(tmp, "disk")}
	err := os.Mkdir(d.dir, 0o755)
	if err == nil {
		err = os.WriteFile(d.image, nil, 0o600)
	}
	if err == nil {
		err = os.Truncate(d.image, 256<<20)
	}
	if err == nil {
		err = command("mkfs.ext4", "-q", "-F", d.image)
	}
	if err == nil {
		err = d.mount()
	}
	if err != nil {
		if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" {
			t.Fatalf("power loss: %v", err)
		}
		t.Skipf("power loss: no disk to cut off: %v", err)
	}
	t.Cleanup(func() {
		if err := d.unmount(); err != nil {
			t.Errorf("power loss: %v", err)
			_ = command("umount", "-l", d.dir)
		}
	})
	return d
}

// Dir is where the disk is mounted, before and after a crash.
func (d *Disk) Dir() string { return d.dir }

// Crash cuts the power and brings the disk up again: what was written and not synced is
// gone. No process may have a file open on it.
func (d *Disk) Crash() {
	d.t.Helper()
	d.Cut()
	d.Restore()
}

// Cut cuts the power: from now on every write and sync on the disk fails.
func (d *Disk) Cut() {
	d.t.Helper()
	if err := cutPower(d.dir); err != nil {
		d.t.Fatalf("power loss: %v", err)
	}
}

// Restore brings the disk up again after Cut.
func (d *Disk) Restore() {
	d.t.Helper()
	err := d.unmount()
	if err == nil {
		err = d.mount()
	}
	if err != nil {
		d.t.Fatalf("power loss: %v", err)
	}
}

// ReadOnly has ext4 find an error, upon which the kernel makes the disk read-only, open files
// included. It stays so until Mend.
func (d *Disk) ReadOnly() {
	d.t.Helper()
	source, err := exec.Command("findmnt", "-n", "-o", "SOURCE", d.dir).Output()
	if err == nil {
		err = command("mount", "-o", "remount,errors=remount-ro", d.dir)
	}
	if err == nil {
		device := filepath.Base(strings.TrimSpace(string(source)))
		err = os.WriteFile(filepath.Join("/sys/fs/ext4", device, "trigger_fs_error"), []byte("1"), 0)
	}
	if err != nil {
		d.t.Fatalf("read-only disk: %v", err)
	}
}

// Mend brings the disk up again after ReadOnly, checked. No process may have a file open on it.
func (d *Disk) Mend() {
	d.t.Helper()
	if err := d.unmount(); err != nil {
		d.t.Fatalf("read-only disk: %v", err)
	}
	_ = command("e2fsck", "-fy", d.image) // says 1 when it has mended something
	if err := d.mount(); err != nil {
		d.t.Fatalf("read-only disk: %v", err)
	}
}

func (d *Disk) mount() error { return command("mount", "-o", "loop", d.image, d.dir) }

// unmount tries for a while: the files of a killed process close a little after it.
func (d *Disk) unmount() error {
	var err error
	for range 100 {
		if err = unix.Unmount(d.dir, 0); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("unmount %s: %w", d.dir, err)
}

// cutPower makes ext4 drop everything it has not written, its own log included.
func cutPower(dir string) error {
	const shutdown, noLogFlush = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutdown, noLogFlush); err != nil {
		return fmt.Errorf("cut power of %s: %w", dir, err)
	}
	return nil
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
