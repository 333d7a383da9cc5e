package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gridgate/internal/grid"
)

// needs skips what this machine does not permit.
func needs(t *testing.T, err error) {
	t.Helper()
	if grid.CodeOf(err) == grid.Forbidden {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestADiskIsFullAndFreeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	d, err := OpenDisk(dir, 4<<20)
	needs(t, err)
	defer d.Close()
	file := filepath.Join(dir, "ours")
	if err := d.Fill(64 << 10); err != nil {
		t.Fatal(err)
	}
	if free, err := d.Free(); err != nil || free > 64<<10 || free < 32<<10 {
		t.Errorf("%d bytes are free (%v), want 64 KiB", free, err)
	}
	room := filepath.Join(dir, "reserve")
	if err := os.WriteFile(room, make([]byte, 16<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Hold(0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(room); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if free, err := d.Free(); err == nil && free == 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d bytes are free (%v): want room that is made taken at once", free, err)
		}
	}
	if err := os.WriteFile(file, []byte("x"), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("writing says %v, want no space", err)
	}
	if err := d.Clear(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Errorf("afterwards writing says %v", err)
	}
}

func TestALineIsUnpluggedAndComesBackAsAnother(t *testing.T) {
	dir := t.TempDir()
	lines := NewLines(func(name string) string { return filepath.Join(dir, name) }, 3)
	defer lines.Close()
	ours, err := lines.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a")
	before, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	say(t, ours, "FIRE\n")
	if got := string(read(t, gate, 5)); got != "FIRE\n" {
		t.Fatalf("the gateway reads %q", got)
	}
	if err := lines.Unplug("a"); err != nil {
		t.Fatal(err)
	}
	if n, err := gate.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("reading an unplugged line says %d, %v: want its end", n, err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its link is still there (%v)", err)
	}
	if _, err := lines.Open("a"); grid.CodeOf(err) != grid.Unavailable {
		t.Errorf("opening it says %v, want that it is unplugged", err)
	}
	if _, err := ours.Write([]byte("x")); err == nil {
		t.Error("writing to an unplugged line succeeds")
	}
	ours.Close()
	lines.Plug("a")
	again, err := lines.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	after, err := os.Readlink(path)
	if err != nil || after == before {
		t.Errorf("it is %s again (%v), want another", after, err)
	}
	back, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	lines.Noise("a", 1)
	say(t, again, "FIRE\n")
	if got := string(read(t, back, 5)); got == "FIRE\n" {
		t.Error("a line of noise alone brings it unchanged")
	}
	lines.Noise("a", 0)
	say(t, again, "FIRE\n")
	if got := string(read(t, back, 5)); got != "FIRE\n" {
		t.Errorf("a quiet line brings %q", got)
	}
}

// TestAPartitionIsSilentUntilTheCableIsInAgain talks to a program in a network of its own.
func TestAPartitionIsSilentUntilTheCableIsInAgain(t *testing.T) {
	n, err := OpenNetwork(t.Context())
	needs(t, err)
	defer n.Close()
	cmd := n.Command("socat", "TCP-LISTEN:7007,reuseaddr,fork", "PIPE")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	var conn net.Conn
	for deadline := time.Now().Add(10 * time.Second); conn == nil; time.Sleep(20 * time.Millisecond) {
		if conn, err = net.DialTimeout("tcp", n.Far()+":7007", time.Second); err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	defer conn.Close()
	fmt.Fprint(conn, "x")
	read(t, conn, 1)
	if err := n.Unplug(context.Background()); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "y")
	conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if k, err := conn.Read(make([]byte, 1)); !isTimeout(err) {
		t.Errorf("%d bytes and %v came over a cable that is out", k, err)
	}
	if err := n.Plug(context.Background()); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if got := read(t, conn, 1); got[0] != 'y' {
		t.Errorf("%q came, want y", got)
	}
}
