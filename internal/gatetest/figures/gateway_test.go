package figures

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
	"gridgate/internal/state"
	"gridgate/simulator"
)

// bin is where the programs are that are measured, built once.
var bin string

func TestMain(m *testing.M) {
	profile.RunWorker()
	if os.Getenv(playField) != "" {
		if err := runField(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "the field:", err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "gridgate-figures-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var build = sync.OnceValue(func() error {
	fmt.Fprintln(os.Stderr, "building gridgate and gridsim: minutes, where the machine is busy") // a table that does not come looks broken
	out, err := exec.Command("go", "build", "-trimpath", "-o", bin+"/", "gridgate/cmd/...").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
})

func program(b *testing.B, name string) string {
	b.Helper()
	if err := build(); err != nil {
		b.Fatal(err)
	}
	return filepath.Join(bin, name)
}

// gateway is a real gridgate with a folder, an InfluxDB and a unit of its own.
type gateway struct {
	*gatetest.Program
	b      *testing.B
	data   string
	broker string // where to publish
	api    api.Client
	pid    int
}

// newGateway prepares one that takes frames from its embedded broker, or from the broker
// at the given address. more is added to its configuration.
func newGateway(b *testing.B, subscribe string, more ...string) *gateway {
	dir := b.TempDir()
	listen := gatetest.FreeAddr(b)
	g := &gateway{b: b, data: filepath.Join(dir, "data"), broker: gatetest.FreeAddr(b), api: api.Client{URL: "http://" + listen}}
	config := []string{
		"data_dir: " + g.data,
		"http: {listen: " + listen + "}",
		"influx: {listen: " + gatetest.FreeAddr(b) + ", bin: " + gatetest.FindPeer(b, "influxd", "GRIDGATE_INFLUXD", false) + "}",
		"dispatch: {allow_cidrs: [127.0.0.0/8]}",
		"rules: " + alarmAtOnce(b, dir),
	}
	if subscribe == "" {
		config = append(config, "broker: {listen: "+g.broker+", anonymous: true}")
	} else {
		g.broker = subscribe
		config = append(config, "broker: {enabled: false}", "mqtt: [{name: city, url: mqtt://"+subscribe+", topics: [gridgate/up/#]}]")
	}
	path := filepath.Join(dir, "gridgate.yaml")
	if err := os.WriteFile(path, []byte(strings.Join(append(config, more...), "\n")), 0o600); err != nil {
		b.Fatal(err)
	}
	g.Program = gatetest.NewProgram(b, "gridgate", program(b, "gridgate"), "serve", "--config", path)
	return g
}

// alarmAtOnce is the built-in rules with one change: a door that opens is an alarm with a
// ticket there and then, not after ten minutes, so that alarms are part of what is measured.
func alarmAtOnce(b *testing.B, dir string) string {
	rules, err := configs.FS.ReadFile("rules.yaml")
	if err != nil {
		b.Fatal(err)
	}
	head, rule, found := strings.Cut(string(rules), "type: door.held_open\n")
	if !found {
		b.Fatal("rules.yaml has no rule door.held_open")
	}
	path := filepath.Join(dir, "rules.yaml")
	text := head + "type: door.held_open\n" + strings.Replace(rule, "on_delay: 10m", "on_delay: 0s", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// register puts rows straight into the state of a gateway that does not run: a million
// rows as a file would take longer to read than everything that is measured here.
func (g *gateway) register(registries ...simulator.Registry) {
	b := g.b
	b.Helper()
	if err := os.MkdirAll(g.data, 0o700); err != nil {
		b.Fatal(err)
	}
	store, err := state.Open(b.Context(), filepath.Join(g.data, "state.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	now := time.Now()
	for _, r := range registries {
		for points := range chunks(r.Points, 20_000) {
			g.commit(store, &state.Batch{Points: points})
		}
		for devices := range chunks(r.Devices, 20_000) {
			var batch state.Batch
			for _, d := range devices {
				batch.Devices = append(batch.Devices, grid.Device{Identity: d.Identity, Profile: d.Profile, State: grid.Installed, Mode: grid.Simulated, Interval: d.Interval, Installed: now})
				batch.Installations = append(batch.Installations, grid.Installation{Device: d.Identity, Channel: grid.MainChannel, Point: d.Point, From: now})
			}
			g.commit(store, &batch)
		}
		g.commit(store, &state.Batch{Units: r.Units})
	}
}

func (g *gateway) commit(s *state.Store, batch *state.Batch) {
	if err := s.Commit(g.b.Context(), batch); err != nil {
		g.b.Fatal(err)
	}
}

// chunks cuts a sequence into slices of n.
func chunks[T any](rows iter.Seq[T], n int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		if rows == nil {
			return
		}
		var some []T
		for r := range rows {
			if some = append(some, r); len(some) == n {
				if !yield(some) {
					return
				}
				some = nil
			}
		}
		if len(some) > 0 {
			yield(some)
		}
	}
}

// start starts it and returns how long it took until it takes frames.
func (g *gateway) start() time.Duration {
	g.b.Helper()
	before := len(g.Output(g.b))
	began := time.Now()
	g.Start(g.b)
	for !strings.Contains(g.Output(g.b)[before:], "\n  API") {
		if g.Ended() || time.Since(began) > 5*time.Minute {
			g.b.Fatal("the gateway is not ready")
		}
		time.Sleep(2 * time.Millisecond)
	}
	took := time.Since(began)
	said := g.Output(g.b)[before:]
	if _, err := fmt.Sscanf(said[strings.Index(said, "process "):], "process %d", &g.pid); err != nil {
		g.b.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(g.data, "token"))
	if err != nil {
		g.b.Fatal(err)
	}
	g.api.Token = strings.TrimSpace(string(token))
	g.until("InfluxDB takes points", func(m metrics) bool { return m["gridgate_influx_up"] == 1 })
	return took
}

// cpu is the processor time of the gateway alone, without InfluxDB, its child.
func (g *gateway) cpu() time.Duration {
	stat := read(fmt.Sprintf("/proc/%d/stat", g.pid))
	var user, system int64
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of 1/100 s, on every Linux
}

// rss is the gateway's memory in bytes.
func (g *gateway) rss() float64 {
	var kb float64
	fmt.Sscan(after(fmt.Sprintf("/proc/%d/status", g.pid), "VmRSS"), &kb)
	return kb * 1024
}

// peak is the most memory that the gateway has had, in bytes.
func (g *gateway) peak() float64 {
	var kb float64
	fmt.Sscan(after(fmt.Sprintf("/proc/%d/status", g.pid), "VmHWM"), &kb)
	return kb * 1024
}

// heap is what the last collection found live, in bytes: the next is due at twice that.
func (g *gateway) heap() float64 { return g.metrics()["go_memstats_next_gc_bytes"] / 2 }

// metrics are the gateway's own, summed over their labels.
type metrics map[string]float64

func (g *gateway) metrics() metrics {
	req, err := http.NewRequestWithContext(g.b.Context(), "GET", g.api.URL+"/metrics", nil)
	if err != nil {
		g.b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+g.api.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.b.Fatal(err)
	}
	defer resp.Body.Close()
	m := metrics{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		var v float64
		if _, err := fmt.Sscan(value, &v); err == nil {
			m[name] += v
		}
	}
	return m
}

// until waits until the metrics say so.
func (g *gateway) until(what string, is func(metrics) bool) metrics {
	g.b.Helper()
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if g.Ended() {
			g.b.Fatal("the gateway has ended")
		}
		if m := g.metrics(); is(m) {
			return m
		}
	}
	g.b.Fatalf("waited in vain until %s: %v", what, g.metrics())
	return nil
}

// drained waits until n frames since start are in InfluxDB, and nothing waits.
func (g *gateway) drained(n float64) metrics {
	g.b.Helper()
	return g.until("everything is in InfluxDB", func(m metrics) bool {
		return m["gridgate_journal_frames_total"] >= n && m["gridgate_engine_waiting_frames"] == 0 && m["gridgate_influx_queue_bytes"] == 0
	})
}

// balanced asks the API whether the ledger balances, with no frame in quarantine.
func (g *gateway) balanced() bool {
	l, err := g.api.Ledger(context.WithoutCancel(g.b.Context()))
	if err != nil {
		g.b.Fatal(err)
	}
	for _, r := range l.Rows {
		if r.Quarantined+r.Discarded > 0 {
			return false
		}
	}
	return l.Balanced && l.Lost == 0
}

// property is a unit that takes the tickets of doors, played by this process.
func property(b *testing.B) simulator.Registry {
	units, err := simulator.NewUnits([]grid.UnitKind{grid.Property}, 1)
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	b.Cleanup(server.Close)
	u := units[0].Unit
	u.URL = server.URL
	return simulator.Registry{Units: []grid.Unit{u}}
}
