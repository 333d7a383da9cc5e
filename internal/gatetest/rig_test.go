package gatetest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// These tests run the real programs, as a user would: gridgate, gridsim, mosquitto and
// influxd are children with folders and ports of their own.

// bin is where gridgate and gridsim are built, once per run of the tests; with
// GRIDGATE_TEST_RACE=1 by the race detector.
var bin string

var build = sync.OnceValue(func() error {
	args := []string{"build", "-o", bin + "/", "gridgate/cmd/..."}
	if os.Getenv("GRIDGATE_TEST_RACE") == "1" {
		args = slices.Insert(args, 1, "-race")
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	profile.RunWorker()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gridgate-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	return m.Run()
}

// program is the path of one of our own programs.
func program(t testing.TB, name string) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(bin, name)
}

// eventually waits for what other processes on a busy machine do.
func eventually(t testing.TB, within time.Duration, what string, is func() error) {
	t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		err := is()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s: %v", within, what, err)
		}
	}
}

// gateway is a real gridgate with a folder of its own.
type gateway struct {
	*gatetest.Program
	dir    string
	config string
	api    *api.Client
	broker string // address of the embedded broker
	ready  time.Duration
}

// newGateway writes a configuration. lines are added to it; DIR in them is its folder.
// The embedded broker is open, there is no InfluxDB, webhooks may go to this machine.
func newGateway(t testing.TB, lines ...string) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{dir: dir, config: filepath.Join(dir, "g.yaml"), broker: gatetest.FreeAddr(t)}
	listen := gatetest.FreeAddr(t)
	g.api = &api.Client{URL: "http://" + listen}
	text := strings.Join(append([]string{
		"data_dir: data",
		"http: {listen: " + listen + "}",
		"broker: {listen: " + g.broker + ", anonymous: true}",
		"engine: {checkpoint_every: 1s}",
	}, lines...), "\n") + "\n"
	if !strings.Contains(text, "\ninflux:") {
		text += "influx: {managed: false}\n"
	}
	if !strings.Contains(text, "\ndispatch:") {
		text += "dispatch: {allow_cidrs: [127.0.0.0/8]}\n"
	}
	write(t, g.config, strings.ReplaceAll(text, "DIR", dir))
	g.Program = gatetest.NewProgram(t, "gridgate", program(t, "gridgate"), "serve", "--config", g.config)
	return g
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts the gateway and waits until it takes frames.
func (g *gateway) start(t testing.TB) {
	t.Helper()
	began := time.Now()
	g.Start(t)
	g.wait(t)
	g.ready = time.Since(began)
}

// wait waits until the gateway answers.
func (g *gateway) wait(t testing.TB) {
	t.Helper()
	eventually(t, time.Minute, "the gateway to take frames", func() error {
		if g.Ended() {
			t.Fatal("the gateway has ended")
		}
		res, err := http.Get(g.api.URL + "/healthz")
		if err != nil {
			return err
		}
		return res.Body.Close()
	})
	token, err := os.ReadFile(filepath.Join(g.dir, "data", "token"))
	if err != nil {
		t.Fatal(err)
	}
	g.api.Token = strings.TrimSpace(string(token))
}

// gridgate runs a command of the command line against this gateway.
func (g *gateway) gridgate(t testing.TB, args ...string) string {
	t.Helper()
	out, err := gatetest.Run(t.Context(), program(t, "gridgate"), append([]string{"--config", g.config}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// put registers.
func (g *gateway) put(t testing.TB, registry string) {
	t.Helper()
	if _, err := g.api.Import(t.Context(), []byte(registry), false); err != nil {
		t.Fatal(err)
	}
}

// settled waits until nothing waits in the journal, and returns the ledger.
func (g *gateway) settled(t testing.TB) api.Ledger {
	t.Helper()
	var l api.Ledger
	eventually(t, time.Minute, "the engine to have taken everything", func() (err error) {
		if l, err = g.api.Ledger(t.Context()); err != nil {
			return err
		}
		for _, lane := range l.Lanes {
			if lane.Waiting > 0 {
				return fmt.Errorf("%s: %d frames wait", lane.Lane, lane.Waiting)
			}
		}
		return nil
	})
	return l
}

// balanced waits until everything is counted, and checks the count as the gateway keeps
// it and as gridgate check works it out anew from the files.
func (g *gateway) balanced(t testing.TB) api.Ledger {
	t.Helper()
	l := g.settled(t)
	if !l.Balanced || l.Lost > 0 {
		t.Errorf("the ledger does not balance: %+v", l)
	}
	var report struct {
		Recount *struct {
			Problems []string `json:"problems"`
			Lanes    []struct {
				Accepted, Ended int64
			} `json:"lanes"`
		} `json:"recount"`
	}
	out, err := gatetest.Run(t.Context(), program(t, "gridgate"), "--config", g.config, "--json", "check")
	if jsonErr := json.Unmarshal([]byte(out), &report); jsonErr != nil {
		t.Fatalf("gridgate check: %v, %v: %s", err, jsonErr, out)
	}
	if report.Recount == nil || len(report.Recount.Problems) > 0 {
		t.Errorf("gridgate check finds another count: %s", out)
	}
	return l
}

// sum adds up the outcomes of all rows.
func sum(l api.Ledger) (processed, duplicate, ignored, quarantined, accepted int64) {
	for _, r := range l.Rows {
		processed, duplicate, ignored, quarantined = processed+r.Processed, duplicate+r.Duplicate, ignored+r.Ignored, quarantined+r.Quarantined
	}
	for _, lane := range l.Lanes {
		accepted += lane.Accepted
	}
	return processed, duplicate, ignored, quarantined, accepted
}

// all reads every page of a list.
func all[T any](t testing.TB, g *gateway, what string, q api.Query) []T {
	t.Helper()
	var out []T
	for q.Limit = 1000; ; {
		page, err := api.List[T](t.Context(), g.api, what, q)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return out
		}
	}
}

// live is the newest value of a signal at a point.
func (g *gateway) live(t testing.TB, point string, signal grid.Signal) (grid.LiveValue, error) {
	t.Helper()
	values, err := getJSON[[]grid.LiveValue](t.Context(), g.api.URL+"/api/v1/points/"+point+"/live", g.api.Token)
	if err != nil {
		return grid.LiveValue{}, err
	}
	for _, v := range values {
		if v.Signal == signal {
			return v, nil
		}
	}
	return grid.LiveValue{}, fmt.Errorf("%s has no %s yet", point, signal)
}

// getJSON reads a JSON document; token may be empty.
func getJSON[T any](ctx context.Context, url, token string) (out T, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return out, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s: %s", url, res.Status, b)
	}
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

// mosquitto is a real broker that keeps its sessions over a restart.
type mosquitto struct {
	*gatetest.Program
	addr string
}

func newMosquitto(t testing.TB) *mosquitto {
	t.Helper()
	dir, addr := t.TempDir(), gatetest.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	conf := "listener " + port + " 127.0.0.1\nallow_anonymous true\nlog_dest stderr\nlog_type error\nlog_type warning\n" +
		"persistence true\npersistence_location " + dir + "/\n" +
		"max_inflight_messages 1000\nmax_queued_messages 0\n"
	if os.Geteuid() == 0 {
		conf += "user root\n"
	}
	write(t, filepath.Join(dir, "mosquitto.conf"), conf)
	m := &mosquitto{addr: addr}
	m.Program = gatetest.NewProgram(t, "mosquitto", gatetest.FindPeer(t, "mosquitto", "GRIDGATE_TEST_MOSQUITTO", false), "-c", filepath.Join(dir, "mosquitto.conf"))
	return m
}

func (m *mosquitto) start(t testing.TB) {
	t.Helper()
	m.Start(t)
	eventually(t, 20*time.Second, "mosquitto to listen", func() error {
		c, err := net.Dial("tcp", m.addr)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// influxd is a real InfluxDB 1.8 that the test runs, so that it can be stopped.
type influxd struct {
	*gatetest.Program
	url string
}

func newInfluxd(t testing.TB, env ...string) *influxd {
	t.Helper()
	dir, addr := t.TempDir(), gatetest.FreeAddr(t)
	i := &influxd{url: "http://" + addr}
	i.Program = gatetest.NewProgram(t, "influxd", gatetest.FindPeer(t, "influxd", "GRIDGATE_INFLUXD", false), "run", "-config", os.DevNull)
	i.Env = append([]string{
		"INFLUXDB_META_DIR=" + dir + "/meta", "INFLUXDB_DATA_DIR=" + dir + "/data", "INFLUXDB_DATA_WAL_DIR=" + dir + "/wal",
		"INFLUXDB_HTTP_BIND_ADDRESS=" + addr, "INFLUXDB_BIND_ADDRESS=127.0.0.1:0", "INFLUXDB_REPORTING_DISABLED=true",
		"INFLUXDB_MONITOR_STORE_ENABLED=false", "INFLUXDB_HTTP_LOG_ENABLED=false", "INFLUXDB_DATA_QUERY_LOG_ENABLED=false",
		"INFLUXDB_LOGGING_LEVEL=error", "INFLUXDB_CONTINUOUS_QUERIES_ENABLED=false",
	}, env...)
	return i
}

func (i *influxd) start(t testing.TB) {
	t.Helper()
	i.Start(t)
	i.wait(t)
}

func (i *influxd) wait(t testing.TB) {
	t.Helper()
	eventually(t, time.Minute, "influxd to answer", func() error {
		res, err := http.Get(i.url + "/ping")
		if err == nil {
			res.Body.Close()
		}
		return err
	})
}

// series is one series of an answer of InfluxDB; times are nanoseconds.
type series struct {
	Name    string            `json:"name"`
	Tags    map[string]string `json:"tags"`
	Columns []string          `json:"columns"`
	Values  [][]any           `json:"values"`
}

// query asks InfluxDB by its own HTTP API.
func query(ctx context.Context, server, db, token, q string) ([]series, error) {
	type answer struct {
		Results []struct {
			Series []series `json:"series"`
			Error  string   `json:"error"`
		} `json:"results"`
	}
	v := url.Values{"db": {db}, "q": {q}, "epoch": {"ns"}}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/query?"+v.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Token "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	dec := json.NewDecoder(res.Body)
	dec.UseNumber()
	var a answer
	if err := dec.Decode(&a); err != nil {
		return nil, err
	}
	if len(a.Results) != 1 || a.Results[0].Error != "" {
		return nil, fmt.Errorf("query %q: %+v", q, a)
	}
	return a.Results[0].Series, nil
}

// device is an MQTT client of a test.
type device struct{ paho.Client }

func connect(t testing.TB, addr string) device {
	t.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("test-" + filepath.Base(t.TempDir()) + fmt.Sprint(time.Now().UnixNano())).
		SetConnectTimeout(20 * time.Second).SetAutoReconnect(false).SetOrderMatters(false)
	c := paho.NewClient(o)
	if tok := c.Connect(); !tok.WaitTimeout(20*time.Second) || tok.Error() != nil {
		t.Fatalf("connect to %s: %v", addr, tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return device{c}
}

// send publishes at QoS 1 and waits for the acknowledgement.
func (d device) send(t testing.TB, topic string, payload []byte, retain ...bool) {
	t.Helper()
	tok := d.Publish(topic, 1, len(retain) > 0 && retain[0], payload)
	if !tok.WaitTimeout(20 * time.Second) {
		t.Fatalf("%s: no acknowledgement", topic)
	}
	if tok.Error() != nil {
		t.Fatalf("%s: %v", topic, tok.Error())
	}
}
