package serial

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	tarm "github.com/tarm/serial"
	"golang.org/x/sys/unix"

	"gridgate/internal/grid"
)

// device is a serial port that nobody else may use. tarm/serial keeps its file to itself,
// so that a second one holds the locks.
type device struct {
	patientReader
	port *tarm.Port
	lock int

	mu sync.Mutex // held while the port is written to or closed
}

// openDevice opens and locks a serial port: by flock against other gateways, by TIOCEXCL
// against all programs but those of root.
func openDevice(c *Config) (Port, string, error) {
	real, err := filepath.EvalSymlinks(c.Path)
	if err != nil {
		return nil, "", explain(c.Path, err)
	}
	fd, err := unix.Open(real, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.EBUSY) {
			return nil, real, taken(c.Path, real)
		}
		return nil, real, explain(c.Path, err)
	}
	d := &device{lock: fd}
	if err := d.claim(c, real); err != nil {
		_ = d.Close()
		return nil, real, err
	}
	d.read = d.port.Read
	return d, real, nil
}

func (d *device) claim(c *Config, real string) error {
	if err := unix.Flock(d.lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return taken(c.Path, real)
		}
		return explain(c.Path, err)
	}
	if _, err := unix.IoctlGetTermios(d.lock, unix.TCGETS); err != nil {
		return grid.Errorf(grid.Invalid, "path %s is no serial port: %w", c.Path, err)
	}
	port, err := tarm.OpenPort(&tarm.Config{
		Name: real, Baud: c.Baud, Size: byte(c.DataBits), Parity: parities[c.Parity], StopBits: tarm.StopBits(c.StopBits), ReadTimeout: readTimeout,
	})
	if err != nil {
		return explain(c.Path, err)
	}
	d.port = port
	if err := unix.IoctlSetInt(d.lock, unix.TIOCEXCL, 0); err != nil {
		return explain(c.Path, fmt.Errorf("TIOCEXCL: %w", err))
	}
	return nil
}

var parities = map[string]tarm.Parity{"none": tarm.ParityNone, "even": tarm.ParityEven, "odd": tarm.ParityOdd}

// Write does not begin what the port has no room for: a write that blocks cannot be ended.
func (d *device) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock < 0 {
		return 0, os.ErrClosed
	}
	poll := []unix.PollFd{{Fd: int32(d.lock), Events: unix.POLLOUT}}
	for end := time.Now().Add(readTimeout); ; {
		n, err := unix.Poll(poll, int(time.Until(end).Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, errBusyLine
		case poll[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
			return 0, errHungUp
		}
		return d.port.Write(b)
	}
}

// Close gives the port free. Whoever holds on to a port that was unplugged gets another
// name when it is plugged in again.
func (d *device) Close() (err error) {
	if !d.mu.TryLock() { // somebody writes, and perhaps nobody reads
		_ = unix.IoctlSetInt(d.lock, unix.TCFLSH, unix.TCOFLUSH)
		d.mu.Lock()
	}
	defer d.mu.Unlock()
	_ = unix.IoctlSetInt(d.lock, unix.TIOCNXCL, 0)
	if d.port != nil {
		err = d.port.Close()
	}
	err = errors.Join(err, unix.Close(d.lock))
	d.lock = -1
	return err
}

// taken says who has the port, where that can be known.
func taken(path, real string) error {
	who := "another program"
	if pid := holder(real); pid > 0 {
		who = "process " + strconv.Itoa(pid)
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
			who += " (" + string(bytes.TrimSpace(name)) + ")"
		}
		if pid == os.Getpid() {
			who = "this gateway itself, under another name"
		}
	}
	return grid.Errorf(grid.Conflict, "port %s is in use by %s: want it for one program alone, for two would split what comes", path, who)
}

// holder finds the process that has the port: by its lock, which anybody may see, else by
// its open files. 0: not known.
func holder(real string) int {
	if pid := lockHolder(real); pid > 0 {
		return pid
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == real {
			if pid, err := strconv.Atoi(strings.Split(l, "/")[2]); err == nil && pid != os.Getpid() {
				return pid
			}
		}
	}
	return 0
}

// lockHolder looks through /proc/locks for an flock on the port's inode.
func lockHolder(real string) int {
	info, err := os.Stat(real)
	if err != nil {
		return 0
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	want := fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), st.Ino)
	f, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		// 1: FLOCK  ADVISORY  WRITE 4711 00:05:1234 0 EOF
		if w := strings.Fields(s.Text()); len(w) >= 6 && w[1] == "FLOCK" && w[5] == want {
			pid, _ := strconv.Atoi(w[4])
			return pid
		}
	}
	return 0
}
