package load

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// program is one that runs beside us while something is measured.
type program struct {
	name string
	cmd  *exec.Cmd
	log  string // path
	done chan struct{}
}

// startProgram starts one whose output goes to dir/name.log.
func startProgram(dir, name string, cmd *exec.Cmd) (*program, error) {
	p := &program{name: name, cmd: cmd, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = tied()
	started := make(chan error, 1)
	go func() {
		// The tie is to the thread that starts it: it has to live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // how it ended is in its log
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// tail is the end of its log, for an error.
func (p *program) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-1500):])
}

// close asks it to end, and kills it if it does not.
func (p *program) close() {
	if p == nil {
		return
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.cmd.Process.Kill()
	}
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// use is what a program has used of the machine.
type use struct {
	cpu  time.Duration
	peak float64 // bytes resident at most
}

func (p *program) use() use { return useOf(fmt.Sprint(p.cmd.Process.Pid)) }

// useOf reads /proc; zero where there is none.
func useOf(pid string) (u use) {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return u
	}
	if f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])); len(f) > 12 {
		var user, system int64
		fmt.Sscan(f[11], &user)
		fmt.Sscan(f[12], &system)
		u.cpu = time.Duration(user+system) * 10 * time.Millisecond // ticks of 1/100 s, on every Linux
	}
	if b, err = os.ReadFile("/proc/" + pid + "/status"); err == nil {
		if _, after, found := strings.Cut(string(b), "VmHWM:"); found {
			fmt.Sscan(after, &u.peak)
			u.peak *= 1024
		}
	}
	return u
}

// machineBusy is the processor time of the whole machine that was not idle.
func machineBusy() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var total int64
	for i, f := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // the name, idle, waiting for disks; guests are counted as user
			continue
		}
		var n int64
		fmt.Sscan(f, &n)
		total += n
	}
	return time.Duration(total) * 10 * time.Millisecond
}

// freeAddr is a loopback address that nobody listens on, below the ports that the system
// gives to whoever asks for any.
func freeAddr() (string, error) {
	for try := 0; ; try++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+mathrand.IntN(20_000)))
		if err != nil && try < 100 {
			continue
		}
		if err != nil {
			return "", err
		}
		return l.Addr().String(), l.Close()
	}
}

// dialable waits until something listens.
func dialable(ctx context.Context, addr string, p *program) error {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at once; its log:\n%s", p.name, p.tail())
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
