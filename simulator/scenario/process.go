package scenario

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is a program that the scenario owns, can end in any way and start again.
type process struct {
	name string
	make func() *exec.Cmd
	log  *os.File

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // of the present one
}

// newProcess makes one whose output goes to dir/name.log; nothing runs yet.
func newProcess(dir, name string, command func() *exec.Cmd) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &process{name: name, make: command, log: log}, nil
}

// start starts it; it must not run.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := p.make()
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = tied()
	done, started := make(chan struct{}), make(chan error, 1)
	go func() {
		// The tie is to the thread that starts it: it has to live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // how it ended is in its log
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.cmd, p.done = cmd, done
	return nil
}

// signal sends one to it; an error says that it does not run.
func (p *process) signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return fmt.Errorf("%s does not run", p.name)
	}
	return p.cmd.Process.Signal(s)
}

// ended is closed when the present one has ended.
func (p *process) ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return p.done
}

// kill ends it as a power cut would.
func (p *process) kill() error {
	err := p.signal(os.Kill)
	<-p.ended()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// stop asks it to end, and kills it if it does not.
func (p *process) stop() error {
	if err := p.signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended():
		return nil
	case <-time.After(10 * time.Second):
		return p.kill()
	}
}

// close ends it whatever it does.
func (p *process) close() {
	p.thaw() // a frozen one does not hear
	if p.stop() != nil {
		p.kill()
	}
	p.log.Close()
}
