package gatetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Root is the folder of this module, above the test's own.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod above the test's folder")
	return ""
}

// FindPeer finds a program that this repository does not build: in the environment, in
// .tools/bin, on the PATH, beside the system's servers. Without it the test is skipped,
// or fails if peers are required and this one is not optional.
func FindPeer(t testing.TB, name, env string, optional bool) string {
	t.Helper()
	for _, path := range []string{os.Getenv(env), filepath.Join(Root(t), ".tools", "bin", name), name, "/usr/sbin/" + name} {
		if path == "" {
			continue
		}
		if bin, err := exec.LookPath(path); err == nil {
			return bin
		}
	}
	if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" && !optional {
		t.Fatalf("%s is not there, and GRIDGATE_REQUIRE_PEERS=1", name)
	}
	t.Skipf("%s is not there", name)
	return ""
}

// FreeAddr is a loopback address that nobody listens on, by TCP or UDP. It is below the ports
// that systems hand out: one of those would be somebody's outgoing connection by the time that
// a program is there to listen, or is started again.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(20_000))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		defer l.Close()
		c, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		defer c.Close()
		return addr
	}
	t.Fatal("no port is free")
	return ""
}

// Program is a child process of a test: one of our own programs, or a real peer. It may
// be ended and started again; its output goes on in one log, which is shown if the test
// fails. It ends with the test.
type Program struct {
	Name string
	Path string
	Args []string
	Env  []string // beside the test's own

	mu   sync.Mutex
	log  *os.File
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how, once done is closed
}

// NewProgram prepares a program; Start starts it.
func NewProgram(t testing.TB, name, path string, args ...string) *Program {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{Name: name, Path: path, Args: args, log: log}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("last words of %s:\n%s", name, p.lastWords())
		}
		log.Close()
	})
	return p
}

// Start starts it, once more if it ran before.
func (p *Program) Start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env = append(environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = childAttr()
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	done := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.done, p.err = cmd, done, nil
	p.mu.Unlock()
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(done)
	}()
}

// environ is the test's own environment without settings of gridgate: what a person has
// set for theirs must not reach ours.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "GRIDGATE_") || strings.HasPrefix(kv, "GRIDSIM_")
	})
}

func (p *Program) running() (*exec.Cmd, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd, p.done
}

// Signal sends it a signal.
func (p *Program) Signal(s os.Signal) error {
	cmd, _ := p.running()
	return cmd.Process.Signal(s)
}

// Kill ends it at once (kill -9). What has ended stays so.
func (p *Program) Kill() {
	if cmd, done := p.running(); cmd != nil {
		cmd.Process.Kill()
		<-done
	}
}

// Stop asks it to end (SIGTERM) and returns how long that took. One that does not is killed.
func (p *Program) Stop(t testing.TB) time.Duration {
	t.Helper()
	cmd, _ := p.running()
	began := time.Now()
	cmd.Process.Signal(syscall.SIGTERM)
	if err := p.Wait(patience); err != nil {
		t.Errorf("%s, told to stop: %v", p.Name, err)
	}
	return time.Since(began)
}

// Wait waits for its end; an exit code other than 0 is an error.
func (p *Program) Wait(within time.Duration) error {
	_, done := p.running()
	select {
	case <-done:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.err
	case <-time.After(within):
		p.Kill()
		return fmt.Errorf("%s did not end within %v", p.Name, within)
	}
}

// Ended reports whether it has ended.
func (p *Program) Ended() bool {
	_, done := p.running()
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// Output is everything that it has printed, over all its lives.
func (p *Program) Output(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (p *Program) lastWords() string {
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(string(b), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "")
}

// Run runs a program to its end and returns what it printed on standard output. An exit
// code other than 0 is an error with what it printed on standard error.
func Run(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = environ(), &out, &errOut, childAttr()
	if err := cmd.Run(); err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(path), strings.Join(args, " "), err, errOut.String())
		return out.String(), errors.Join(err, ctx.Err())
	}
	return out.String(), nil
}
