package influx

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"

	"gridgate/internal/disk"
)

// findPeer finds a server program: in the environment, in .tools/bin of the module, or
// on the PATH.
func findPeer(t testing.TB, name, env string) string {
	t.Helper()
	if p := os.Getenv(env); p != "" {
		return p
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if p := filepath.Join(dir, ".tools", "bin", name); fileExists(p) {
			return p
		}
		if fileExists(filepath.Join(dir, "go.mod")) {
			break
		}
	}
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" && name == "influxd" {
		t.Fatalf("%s is not there: run \"make influxd\" or set %s", name, env)
	}
	t.Skipf("%s is not there: set %s to test against it", name, env)
	return ""
}

func fileExists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

// peer is a real InfluxDB for one test.
type peer struct {
	Config
	v2    bool
	start func() (stop func())
	stop  func()
}

// onBoth runs a test against InfluxDB 1.8 and 2.x.
func onBoth(t *testing.T, test func(t *testing.T, p *peer)) {
	t.Run("1.8", func(t *testing.T) { test(t, start18(t)) })
	t.Run("2.x", func(t *testing.T) { test(t, start2(t)) })
}

func (p *peer) restart(t testing.TB) {
	t.Helper()
	p.stop = sync.OnceFunc(p.start())
	t.Cleanup(p.stop)
}

func start18(t testing.TB, env ...string) *peer {
	t.Helper()
	s, err := OpenServer(ServerConfig{Bin: findPeer(t, "influxd", "GRIDGATE_INFLUXD"), Dir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.env = env
	p := &peer{Config: Config{URL: s.URL(), Bucket: "gridgate", Timeout: 10 * time.Second}}
	p.start = func() func() {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		waitFor(t, "influxd", func() bool { return ping(ctx, s.URL()) })
		return func() { cancel(); wg.Wait() }
	}
	p.restart(t)
	return p
}

func start2(t testing.TB) *peer {
	t.Helper()
	bin := findPeer(t, "influxd2", "GRIDGATE_INFLUXD2")
	dir := t.TempDir()
	addr, err := freeAddr("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{v2: true, Config: Config{URL: "http://" + addr, Token: "a-token", Org: "district", Bucket: "gridgate", Timeout: 10 * time.Second}}
	p.start = func() func() {
		cmd := exec.Command(bin, "run", "--reporting-disabled", "--http-bind-address", addr, "--bolt-path", filepath.Join(dir, "bolt"),
			"--sqlite-path", filepath.Join(dir, "sqlite"), "--engine-path", filepath.Join(dir, "engine"), "--log-level", "error")
		cmd.SysProcAttr = childAttr()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "influxd 2", func() bool { return ping(t.Context(), p.URL) })
		return func() {
			cmd.Process.Signal(syscall.SIGTERM)
			kill := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
			defer kill.Stop()
			cmd.Wait()
		}
	}
	p.restart(t)
	c := influxdb2.NewClient(p.URL, "")
	defer c.Close()
	if _, err := c.SetupWithToken(t.Context(), "admin", "a-password", p.Org, p.Bucket, 0, p.Token); err != nil {
		t.Fatalf("set up influxd 2: %v", err)
	}
	return p
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30 s for %s", what)
		}
	}
}

// rig is a queue and a running writer.
type rig struct {
	*Writer
	client  *Client
	queue   *Queue
	mu      sync.Mutex
	refused []Rejected
	stop    func()
}

func newRig(t testing.TB, cfg Config, dir string, o WriterOptions) *rig {
	t.Helper()
	return newRigOn(t, cfg, dir, QueueOptions{}, o)
}

func newRigOn(t testing.TB, cfg Config, dir string, qo QueueOptions, o WriterOptions) *rig {
	t.Helper()
	q, err := OpenQueue(dir, qo)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Cut(endOf(t, dir)); err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{client: c, queue: q}
	o.Linger = cmp.Or(o.Linger, time.Millisecond)
	o.FirstPause = cmp.Or(o.FirstPause, time.Millisecond)
	o.MaxPause = cmp.Or(o.MaxPause, 20*time.Millisecond)
	r.Writer = NewWriter(c, q, func(_ context.Context, rejected Rejected) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.refused = append(r.refused, rejected)
		return nil
	}, o)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Errorf("writer ended with %v", err)
		}
	})
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait(); q.Close(); c.Close() })
	t.Cleanup(r.stop)
	return r
}

// endOf is the mark a state would remember that committed everything in dir.
func endOf(t testing.TB, dir string) Mark {
	t.Helper()
	segments, err := listSegments(disk.Machine{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(segments) == 0 {
		return Mark{}
	}
	s := segments[len(segments)-1]
	return Mark{s.id, s.size}
}

// put appends and publishes.
func (r *rig) put(t testing.TB, lines ...string) {
	t.Helper()
	m, err := r.queue.Append([]byte(strings.Join(lines, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	r.queue.Publish(m)
}

func (r *rig) drain(t testing.TB) {
	t.Helper()
	waitFor(t, "an empty queue", func() bool { return r.Status().QueueBytes == 0 })
}

func (r *rig) rejected() []Rejected {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.refused)
}

// points counts the points of a measurement by one of its fields.
func (p *peer) points(t testing.TB, measurement, field string) int64 {
	t.Helper()
	res := p.query(t, fmt.Sprintf(`SELECT count(%q) FROM %q`, field, measurement))
	if len(res.Series) == 0 {
		return 0
	}
	n, err := res.Series[0].Values[0][1].(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (p *peer) query(t testing.TB, statement string) result {
	t.Helper()
	c, err := NewClient(p.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	res, err := c.query(t.Context(), http.MethodPost, statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return res
}

// faults stands between the writer and the server and does what it is told to a request.
// It returns true when the request has been dealt with.
type faults struct {
	*httptest.Server
	mu   sync.Mutex
	next func(w http.ResponseWriter, r *http.Request, body []byte, pass func() *http.Response) bool
}

func newFaults(t testing.TB, target string) *faults {
	f := &faults{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		pass := func() *http.Response {
			req, err := http.NewRequest(r.Method, target+r.URL.RequestURI(), strings.NewReader(string(body)))
			if err != nil {
				t.Error(err)
				return nil
			}
			req.Header = r.Header.Clone()
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return nil
			}
			return resp
		}
		f.mu.Lock()
		fault := f.next
		f.mu.Unlock()
		if fault != nil && fault(w, r, body, pass) {
			return
		}
		resp := pass()
		if resp == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	}))
	t.Cleanup(f.Close)
	return f
}
