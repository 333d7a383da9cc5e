package influx

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// pids are those of the children that were ready, in order.
func (l *logBuffer) pids() (out []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range regexp.MustCompile(`influxd is ready.* pid=(\d+)`).FindAllStringSubmatch(l.b.String(), -1) {
		n, _ := strconv.Atoi(m[1])
		out = append(out, n)
	}
	return out
}

// alive tells whether a process runs; one that only waits to be reaped does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestServerIsStartedAgainAndEndsWithUs(t *testing.T) {
	bin := findPeer(t, "influxd", "GRIDGATE_INFLUXD")
	var log logBuffer
	dir := t.TempDir()
	s, err := OpenServer(ServerConfig{Bin: bin, Dir: dir}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	waitFor(t, "the first start", func() bool { return len(log.pids()) == 1 })
	first := log.pids()[0]
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the second start", func() bool { return len(log.pids()) == 2 })
	second := log.pids()[1]
	cancel()
	if err := <-ended; err != nil || alive(first) || alive(second) {
		t.Errorf("run ended with %v, children alive: %v %v", err, alive(first), alive(second))
	}
	if b, err := os.ReadFile(filepath.Join(dir, "influxd.log")); err != nil || len(b) == 0 {
		t.Errorf("log of the child: %d bytes, %v", len(b), err)
	}
}

func TestServerThatDoesNotListenToSIGTERMIsKilled(t *testing.T) {
	stubborn := filepath.Join(t.TempDir(), "influxd")
	if err := os.WriteFile(stubborn, []byte("#!/bin/sh\ntrap '' TERM\necho $$ > pid\nwhile :; do sleep 0.1; done\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s, err := OpenServer(ServerConfig{Bin: stubborn, Dir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var pid int
	waitFor(t, "the child", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "pid"))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return pid > 0
	})
	cancel()
	if err := <-ended; err != nil || alive(pid) {
		t.Errorf("run ended with %v, child alive: %v", err, alive(pid))
	}
}

func TestServerDiesWithAParentThatIsKilled(t *testing.T) {
	findPeer(t, "influxd", "GRIDGATE_INFLUXD")
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperServerToBeOrphaned$")
	cmd.Env = append(os.Environ(), "INFLUX_HELPER_SERVER="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "pid %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	waitFor(t, "the orphan's end", func() bool { return !alive(pid) })
}

// TestHelperServerToBeOrphaned is the parent process of the test above.
func TestHelperServerToBeOrphaned(t *testing.T) {
	dir := os.Getenv("INFLUX_HELPER_SERVER")
	if dir == "" {
		t.Skip("helper of another test")
	}
	var log logBuffer
	s, err := OpenServer(ServerConfig{Bin: findPeer(t, "influxd", "GRIDGATE_INFLUXD"), Dir: dir}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	go s.Run(t.Context())
	waitFor(t, "the child", func() bool { return len(log.pids()) == 1 })
	fmt.Printf("pid %d\n", log.pids()[0])
	time.Sleep(time.Minute)
}

func TestMissingServerNamesTheWayToBuildIt(t *testing.T) {
	_, err := OpenServer(ServerConfig{Bin: filepath.Join(t.TempDir(), "influxd"), Dir: t.TempDir()}, nil)
	if grid.CodeOf(err) != grid.NotFound || !strings.Contains(err.Error(), "make influxd") {
		t.Errorf("got %v", err)
	}
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "influxd")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho run: open server: no room >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := OpenServer(ServerConfig{Bin: broken, Dir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.runOnce(t.Context()); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("got %v: want the child's last words", err)
	}
}
