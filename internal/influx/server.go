package influx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"gridgate/internal/grid"
)

// ServerConfig says how to run an InfluxDB of our own.
type ServerConfig struct {
	Bin      string // influxd 1.8.10; "": influxd beside our own binary, in .tools/bin, or on the PATH
	Dir      string // its data, and influxd.log
	HTTPAddr string // default "127.0.0.1:0": a free port of the loopback
}

// Server runs influxd 1.8 as a child process, not as a library: a runaway query or a full
// disk takes it alone. It dies with us, and is started again when it dies by itself.
type Server struct {
	cfg   ServerConfig
	log   *slog.Logger
	env   []string      // beside its own, for tests
	ready chan struct{} // closed when it first answers
	once  sync.Once
}

const (
	firstRestart = 100 * time.Millisecond
	maxRestart   = 10 * time.Second
	settledAfter = 30 * time.Second // a child that ran so long is started again at once
	stopWithin   = 2 * time.Second  // between SIGTERM and SIGKILL
	readyWithin  = 30 * time.Second
	pingEvery    = 10 * time.Millisecond
	maxServerLog = 10 << 20
)

// OpenServer looks for the binary, makes the directory and picks the port, so that URL
// can be given to a client before Run. There is nothing to close.
func OpenServer(cfg ServerConfig, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	bin, err := findServer(cfg.Bin)
	if err != nil {
		return nil, err
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err == nil {
		err = os.MkdirAll(cfg.Dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("influxd: %w", err)
	}
	cfg.Bin = bin
	if cfg.HTTPAddr, err = freeAddr(cmp.Or(cfg.HTTPAddr, "127.0.0.1:0")); err != nil {
		return nil, fmt.Errorf("influxd: http address: %w", err)
	}
	return &Server{cfg: cfg, log: log, ready: make(chan struct{})}, nil
}

func findServer(bin string) (string, error) {
	places := []string{bin}
	if bin == "" {
		places = []string{filepath.Join(".tools", "bin", "influxd"), "influxd"}
		if self, err := os.Executable(); err == nil {
			places = append([]string{filepath.Join(filepath.Dir(self), "influxd")}, places...)
		}
	}
	for _, p := range places {
		if found, err := exec.LookPath(p); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", grid.Errorf(grid.NotFound, "influxd is not at %s: run \"make influxd\" to build it, or give the address of an InfluxDB", strings.Join(places, " or "))
}

// freeAddr replaces port 0 by a free port.
func freeAddr(addr string) (string, error) {
	if _, port, err := net.SplitHostPort(addr); err != nil || port != "0" {
		return addr, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// URL is where the server answers, once Ready.
func (s *Server) URL() string { return "http://" + s.cfg.HTTPAddr }

// Ready is closed when the server has answered for the first time.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run keeps the server running until ctx is done, and has then ended it.
func (s *Server) Run(ctx context.Context) error {
	pause := firstRestart
	for {
		began := time.Now()
		err := s.runOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > settledAfter {
			pause = firstRestart
		}
		s.log.Error("influxd ended: starting it again", "err", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(pause*2, maxRestart)
	}
}

// runOnce runs one child to its end.
func (s *Server) runOnce(ctx context.Context) error {
	out, err := s.openLog()
	if err != nil {
		return err
	}
	defer out.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.cfg.Bin, "run", "-config", os.DevNull) // not /etc/influxdb's
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.cfg.Dir, s.environ(), out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWithin
	cmd.SysProcAttr = childAttr()
	runtime.LockOSThread() // the child is bound to the life of the thread that starts it
	defer runtime.UnlockOSThread()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	var pinging sync.WaitGroup
	defer pinging.Wait()
	defer cancel()
	pinging.Go(func() { s.awaitReady(ctx, began, cmd.Process.Pid) })
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, s.lastWords(out.Name()))
	}
	return errors.New("influxd ended by itself")
}

func (s *Server) environ() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "INFLUXDB_") {
			env = append(env, v)
		}
	}
	env = append(env,
		"INFLUXDB_REPORTING_DISABLED=true", // else it phones home
		"INFLUXDB_BIND_ADDRESS=127.0.0.1:0",
		"INFLUXDB_META_DIR="+filepath.Join(s.cfg.Dir, "meta"),
		"INFLUXDB_DATA_DIR="+filepath.Join(s.cfg.Dir, "data"),
		"INFLUXDB_DATA_WAL_DIR="+filepath.Join(s.cfg.Dir, "wal"),
		"INFLUXDB_DATA_INDEX_VERSION=tsi1",
		"INFLUXDB_HTTP_BIND_ADDRESS="+s.cfg.HTTPAddr,
		"INFLUXDB_HTTP_FLUX_ENABLED=false", // slow to start, and one query may take all memory
		"INFLUXDB_HTTP_LOG_ENABLED=false",
		"INFLUXDB_MONITOR_STORE_ENABLED=false",
	)
	return append(env, s.env...)
}

// openLog opens the child's log; a large one is set aside first.
func (s *Server) openLog() (*os.File, error) {
	path := filepath.Join(s.cfg.Dir, "influxd.log")
	if info, err := os.Stat(path); err == nil && info.Size() > maxServerLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
}

// lastWords is the last line of the child's log, which says why it ended.
func (s *Server) lastWords(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-4096), 4096))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return brief(lines[len(lines)-1], maxReason)
}

// awaitReady pings the child until it answers.
func (s *Server) awaitReady(ctx context.Context, began time.Time, pid int) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for !ping(ctx, s.URL()) {
		select {
		case <-time.After(pingEvery):
		case <-ctx.Done():
			return
		}
	}
	s.log.Info("influxd is ready", "url", s.URL(), "pid", pid, "took_ms", time.Since(began).Milliseconds())
	s.once.Do(func() { close(s.ready) })
}

func ping(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/ping", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusNoContent
}
