//go:build linux

package serial

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// cable is a pseudo-terminal behind a link, as /dev/serial/by-id has them: its far end is
// the test's, and it may be pulled out and plugged in again.
type cable struct {
	t    testing.TB
	path string

	mu  sync.Mutex
	far *os.File
	got []byte
}

func plug(t testing.TB) *cable {
	t.Helper()
	c := &cable{t: t, path: filepath.Join(t.TempDir(), "usb-panel-port0")}
	c.plugIn()
	t.Cleanup(c.pull)
	return c
}

func (c *cable) plugIn() {
	c.t.Helper()
	master, near, err := pty.Open()
	if err != nil {
		c.t.Skipf("no pseudo-terminals here: %v", err)
	}
	// A file whose reads Close ends.
	fd, err := syscall.Dup(int(master.Fd()))
	if err != nil {
		c.t.Fatal(err)
	}
	_ = master.Close()
	_ = syscall.SetNonblock(fd, true)
	far := os.NewFile(uintptr(fd), "far end")
	if err := os.Symlink(near.Name(), c.path); err != nil {
		c.t.Fatal(err)
	}
	_ = near.Close()
	c.mu.Lock()
	c.far = far
	c.mu.Unlock()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := far.Read(buf)
			c.mu.Lock()
			c.got = append(c.got, buf[:n]...)
			c.mu.Unlock()
			switch {
			case errors.Is(err, syscall.EIO): // nobody has it open
				time.Sleep(5 * time.Millisecond)
			case err != nil:
				return
			}
		}
	}()
}

// pull hangs the port up, and its name goes.
func (c *cable) pull() {
	_ = os.Remove(c.path)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.far != nil {
		_ = c.far.Close()
		c.far = nil
	}
}

func (c *cable) write(b []byte) {
	c.t.Helper()
	c.mu.Lock()
	far := c.far
	c.mu.Unlock()
	if _, err := far.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// answers are the frames of GB/T 26875.3 that have come back.
func (c *cable) answers() (out []gb26875.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return parseAll(c.got)
}

func TestFrameOverAPortIsConfirmedWhenItIsDurableAndNotBefore(t *testing.T) {
	c := plug(t)
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	tr, _ := start(t, Config{Name: "panel", Path: c.path, Protocol: GBT26875}, &in)
	isUp(t, tr)
	raw := gbFrame(513, "\x15\x01\x02@@##\x03\x04")
	c.write(raw)
	gatetest.Eventually(t, "Ingest to be called", func() bool { return len(in.Calls()) == 1 })
	time.Sleep(50 * time.Millisecond)
	if got := c.answers(); len(got) != 0 {
		t.Fatalf("answered before it was durable: %+v", got)
	}
	release()
	gatetest.Eventually(t, "an answer", func() bool { return len(c.answers()) == 1 })
	got := c.answers()[0]
	if got.Command != gb26875.Confirm || got.Serial != 513 || got.Source != 99 || got.Destination != 4711 {
		t.Errorf("answered %+v: want a confirmation of 513 from 99 to 4711", got)
	}
	f := in.Frames()[0]
	if string(f.Raw) != string(raw) || f.Identity != "gb26875:4711" || f.Transport != "serial" || f.Source != "panel" || f.Envelope != "gb26875" || f.Flags != 0 || f.Received.IsZero() {
		t.Errorf("got frame %+v", f)
	}
	if s := tr.Status(); s.Stored != 1 || s.Acked != 1 || s.Received != 1 || s.BytesIn != uint64(len(raw)) || s.BytesOut != 30 || !strings.HasPrefix(s.Port, "/dev/pts/") {
		t.Errorf("status %+v", s)
	}
}

func TestDeviceIsNotAnsweredWhileTheJournalRefusesAndIsConfirmedOnceAfterwards(t *testing.T) {
	c := plug(t)
	var in gatetest.Inbox
	in.Fail(grid.ErrOverloaded)
	tr, _ := start(t, Config{Path: c.path, Protocol: GBT26875}, &in)
	isUp(t, tr)
	first := gbFrame(3, "\x15\x01fire")
	c.write(first)
	gatetest.Eventually(t, "a second try", func() bool { return len(in.Calls()) >= 2 })
	again := append([]byte(nil), first...) // ten seconds later
	again[6], again[len(again)-3] = again[6]+10, again[len(again)-3]+10
	c.write(again)
	gatetest.Eventually(t, "the repeat", func() bool { return tr.Status().Received == 2 })
	if got := c.answers(); len(got) != 0 {
		t.Fatalf("answered %+v", got)
	}
	in.Fail(nil)
	gatetest.Eventually(t, "an answer", func() bool { return len(c.answers()) == 1 })
	if got := in.Frames(); len(got) != 1 {
		t.Errorf("%d frames: want one, for the second is its repeat", len(got))
	}
	if n := tr.Status().LostUnackable; n != 0 {
		t.Errorf("%d lost", n)
	}
}

func TestFireThatComesBackWhileTheJournalRefusesIsNoRepeat(t *testing.T) {
	c := plug(t)
	var in gatetest.Inbox
	in.Fail(grid.ErrOverloaded)
	tr, _ := start(t, Config{Path: c.path, Protocol: GBT26875}, &in)
	isUp(t, tr)
	for _, unit := range []string{"fire", "normal", "fire"} { // its serial is always 0
		c.write(gbFrame(0, unit))
		gatetest.Eventually(t, "the refusal", func() bool { return !tr.Status().FailingSince.IsZero() })
	}
	gatetest.Eventually(t, "all three", func() bool { return tr.Status().Received == 3 })
	in.Fail(nil)
	if got := in.Wait(t, 3); !strings.Contains(string(got[2].Raw), "fire") {
		t.Errorf("the last is %q", got[2].Raw)
	}
	gatetest.Eventually(t, "three answers", func() bool { return len(c.answers()) == 3 })
}

func TestPortThatHangsUpIsOpenAgainAfterItsReturn(t *testing.T) {
	c := plug(t)
	var in gatetest.Inbox
	tr, _ := start(t, Config{Path: c.path, Protocol: GBT26875}, &in)
	isUp(t, tr)
	c.write(gbFrame(1, "\x15\x01a"))
	in.Wait(t, 1)
	first := tr.Status().Port
	c.pull()
	gatetest.Eventually(t, "the hang-up to be seen", func() bool { return !tr.Status().Up })
	gatetest.Eventually(t, "the reason", func() bool { return strings.Contains(tr.Status().LastError, "is not there") })
	c.plugIn()
	isUp(t, tr)
	c.write(gbFrame(2, "\x15\x01b"))
	in.Wait(t, 2)
	// Had the old one been held on to, the name would be another.
	if again := tr.Status().Port; again != first {
		t.Errorf("port was %s and is %s: the old one was not closed first", first, again)
	}
}

func TestPortThatIsAwayCostsNoTime(t *testing.T) {
	c := plug(t)
	var tries atomic.Int64
	reads := &atomic.Int64{}
	tr := New(Config{Name: "a", Path: c.path, Protocol: GBT26875}, nil)
	tr.opened = func(ctx context.Context) (Port, string, error) {
		tries.Add(1)
		p, really, err := tr.cfg.open(ctx)
		if err != nil {
			return nil, really, err
		}
		return countedPort{p, reads}, really, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = tr.Run(ctx, &gatetest.Inbox{}) }()
	defer func() { cancel(); <-ended }()
	isUp(t, tr)
	// The name stays: what is opened again is gone.
	c.mu.Lock()
	_ = c.far.Close()
	c.mu.Unlock()
	gatetest.Eventually(t, "the hang-up to be seen", func() bool { return !tr.Status().Up })
	before := tries.Load()
	time.Sleep(2 * time.Second)
	// Pauses of 250 ms, 500 ms, 1 s and more, half of it chance.
	if n := tries.Load() - before; n > 8 {
		t.Errorf("opened %d times in two seconds", n)
	}
	if n := reads.Load(); n > 100 {
		t.Errorf("read %d times: the port that has hung up is read on and on", n)
	}
}

// countedPort counts reads.
type countedPort struct {
	Port
	n *atomic.Int64
}

func (p countedPort) Read(b []byte) (int, error) {
	p.n.Add(1)
	return p.Port.Read(b)
}

func TestSecondGatewayOnAPortIsRefusedWithTheNameOfTheFirst(t *testing.T) {
	c := plug(t)
	var in gatetest.Inbox
	first, stop := start(t, Config{Name: "first", Path: c.path, Protocol: GBT26875}, &in)
	isUp(t, first)
	probe, err := unix.Open(c.path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if os.Geteuid() != 0 && !errors.Is(err, unix.EBUSY) {
		t.Errorf("another program may open it: %v", err)
	}
	if err == nil { // root always may
		if set, err := unix.IoctlGetInt(probe, unix.TIOCGEXCL); err != nil || set == 0 {
			t.Errorf("TIOCEXCL is not set: %d, %v", set, err)
		}
		_ = unix.Close(probe)
	}
	second, _ := start(t, Config{Name: "second", Path: c.path, Protocol: GBT26875}, &in)
	gatetest.Eventually(t, "a refusal", func() bool { return second.Status().LastError != "" })
	s := second.Status()
	for _, want := range []string{"serial second", c.path, "is in use by", "this gateway itself"} {
		if !strings.Contains(s.LastError, want) {
			t.Errorf("refused with %q: want %q in it", s.LastError, want)
		}
	}
	if s.Up {
		t.Error("the second has the port too")
	}
	c.write(gbFrame(1, "\x15\x01a"))
	in.Wait(t, 1)
	stop()
	isUp(t, second)
}

func TestPortThatIsNoneSaysSo(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:                       "is no serial port",
		"/dev/null":                "is no serial port",
		filepath.Join(dir, "away"): "is not there",
	} {
		cfg := Config{Name: "a", Path: path, Protocol: Lines}.withDefaults()
		if _, _, err := cfg.open(t.Context()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v: want %q", path, err, want)
		}
	}
	if err := explain("/dev/ttyS0", &os.PathError{Op: "open", Path: "/dev/ttyS0", Err: syscall.EACCES}); !strings.Contains(err.Error(), "add the user to group dialout") || grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("got %v", err)
	}
}

func TestHangUpIsToldFromATimeOutByItsHaste(t *testing.T) {
	slow := func(b []byte) (int, error) { time.Sleep(readTimeout); return 0, os.ErrDeadlineExceeded }
	r := patientReader{read: slow}
	if _, err := r.Read(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an error of its own is kept: got %v", err)
	}
	haste := true
	r.read = func(b []byte) (int, error) {
		if !haste {
			time.Sleep(readTimeout)
		}
		return 0, nil
	}
	if _, err := r.Read(nil); err != nil {
		t.Errorf("once may be chance: got %v", err)
	}
	haste = false
	if _, err := r.Read(nil); err != nil {
		t.Errorf("a time-out: got %v", err)
	}
	haste = true
	_, _ = r.Read(nil)
	if _, err := r.Read(nil); !errors.Is(err, errHungUp) {
		t.Errorf("twice is a hang-up: got %v", err)
	}
	for _, errno := range []error{syscall.EIO, syscall.ENODEV, syscall.ENXIO} {
		r.read = func([]byte) (int, error) { return 0, errno }
		if _, err := r.Read(nil); !errors.Is(err, errno) {
			t.Errorf("got %v: want %v", err, errno)
		}
	}
}

func TestLinesOverAPortAreFramesOfTheirDevice(t *testing.T) {
	c := plug(t)
	var in gatetest.Inbox
	tr, _ := start(t, Config{Path: c.path, Protocol: Lines, Identify: `^id=(\w+)`, Baud: 115200, Parity: "even", DataBits: 7, StopBits: 2}, &in)
	isUp(t, tr)
	c.write([]byte("id=Door7 open=1\r\nnobody\r\n\r\nid=door8 open=0\n"))
	got := in.Wait(t, 3)
	for i, want := range []grid.Frame{
		{Identity: "sn:door7", Raw: []byte("id=Door7 open=1")},
		{Identity: "", Raw: []byte("nobody"), Note: "no name of a device in it, as identify wants"},
		{Identity: "sn:door8", Raw: []byte("id=door8 open=0")},
	} {
		f := got[i]
		if f.Identity != want.Identity || string(f.Raw) != string(want.Raw) || f.Note != want.Note || f.Envelope != "lines" || f.Flags != grid.Unacknowledged {
			t.Errorf("frame %d: got %+v", i, f)
		}
	}
}

func TestLinesPastTheBufferAreCountedAsLost(t *testing.T) {
	c := plug(t)
	var in gatetest.Inbox
	in.Fail(errors.New("disk is gone"))
	tr, _ := start(t, Config{Path: c.path, Protocol: Lines, Waiting: 3}, &in)
	isUp(t, tr)
	c.write([]byte("1\n2\n3\n4\n5\n"))
	gatetest.Eventually(t, "the loss", func() bool { return tr.Status().LostUnackable == 2 })
	if s := tr.Status(); s.FailingSince.IsZero() || s.Waiting != 3 {
		t.Errorf("status %+v", s)
	}
	in.Fail(nil)
	in.Wait(t, 3)
}
