package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// Programs are where they lie; what is empty is looked for beside ours and on the PATH.
type Programs struct {
	Gridgate, Influxd, Mosquitto string
}

// RigConfig says what is to stand around a gateway of our own.
type RigConfig struct {
	Programs
	Dir       string    // where it keeps its data; "": a temporary folder, removed
	Mosquitto bool      // in place of the embedded broker
	Speed     float64   // of the city's time; 0 is 1
	Start     time.Time // of the city's time; zero: now
	Settings  string    // more of the gateway's configuration
}

// Rig is a gateway with a broker and an InfluxDB, all our own.
type Rig struct {
	Gateway
	Broker simulator.Broker
	Influx Influx

	dir                        string
	keep                       bool
	config                     string // of the gateway, but for its clock
	gateway, mosquitto, influx *program
}

// startWithin is how long a program has to be ready.
const startWithin = 60 * time.Second

// OpenRig starts all of it.
func OpenRig(ctx context.Context, cfg RigConfig) (*Rig, error) {
	r, err := openAround(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := r.startGateway(ctx, cfg); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// openAround starts what stands around a gateway.
func openAround(ctx context.Context, cfg RigConfig) (*Rig, error) {
	r := &Rig{dir: cfg.Dir, keep: cfg.Dir != ""}
	var err error
	if r.dir == "" {
		r.dir, err = os.MkdirTemp("", "gridsim-bench-")
	} else {
		r.dir, err = filepath.Abs(r.dir)
	}
	if err == nil {
		err = os.MkdirAll(r.dir, 0o755)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err = r.startInflux(ctx, cfg.Influxd); err == nil && cfg.Mosquitto {
		err = r.startMosquitto(ctx, cfg.Programs.Mosquitto)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close ends all of it.
func (r *Rig) Close() {
	r.gateway.close()
	r.mosquitto.close()
	r.influx.close()
	if !r.keep {
		os.RemoveAll(r.dir)
	}
}

func (r *Rig) startInflux(ctx context.Context, said string) error {
	bin, err := simulator.FindProgram(said, "influxd", ".tools/bin/influxd")
	if err != nil {
		return err
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	at := filepath.Join(r.dir, "influx")
	cmd := exec.Command(bin, "run", "-config", os.DevNull)
	cmd.Env = append(os.Environ(), "INFLUXDB_HTTP_BIND_ADDRESS="+addr, "INFLUXDB_BIND_ADDRESS=127.0.0.1:0", "INFLUXDB_REPORTING_DISABLED=true",
		"INFLUXDB_META_DIR="+at+"/meta", "INFLUXDB_DATA_DIR="+at+"/data", "INFLUXDB_DATA_WAL_DIR="+at+"/wal",
		"INFLUXDB_MONITOR_STORE_ENABLED=false", "INFLUXDB_HTTP_LOG_ENABLED=false", "INFLUXDB_DATA_QUERY_LOG_ENABLED=false")
	if r.influx, err = startProgram(r.dir, "influxd", cmd); err != nil {
		return err
	}
	r.Influx = Influx{URL: "http://" + addr}
	if err := dialable(ctx, addr, r.influx); err != nil {
		return err
	}
	return r.Influx.create(ctx, gatewayDatabase)
}

// gatewayDatabase is where our own gateway writes.
const gatewayDatabase = "gridgate"

func (r *Rig) startMosquitto(ctx context.Context, said string) error {
	bin, err := simulator.FindProgram(said, "mosquitto", "/usr/sbin/mosquitto")
	if err != nil {
		return err
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(addr) // ours
	conf := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence false\nmax_inflight_messages 1000\nmax_queued_messages 0\n", port)
	path := filepath.Join(r.dir, "mosquitto.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return err
	}
	if r.mosquitto, err = startProgram(r.dir, "mosquitto", exec.Command(bin, "-c", path)); err != nil {
		return err
	}
	r.Broker = simulator.Broker{URL: "mqtt://" + addr}
	return dialable(ctx, addr, r.mosquitto)
}

func (r *Rig) startGateway(ctx context.Context, cfg RigConfig) error {
	listen, err := freeAddr()
	if err != nil {
		return err
	}
	lines := []string{fmt.Sprintf("data_dir: %q", filepath.Join(r.dir, "data")), "http: {listen: " + listen + "}",
		"dispatch: {allow_cidrs: [127.0.0.0/8]}", "influx: {managed: false, url: " + r.Influx.URL + ", bucket: " + gatewayDatabase + "/autogen}"}
	if r.mosquitto != nil {
		lines = append(lines, "broker: {enabled: false}",
			"mqtt: [{name: city, url: "+r.Broker.URL+", client_id: gridgate, topics: [gridgate/up/#, application/+/device/+/event/+, v3/+/devices/+/up, zigbee2mqtt/+]}]")
	} else {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		r.Broker = simulator.Broker{URL: "mqtt://" + addr}
		lines = append(lines, "broker: {listen: "+addr+", anonymous: true}")
	}
	r.config = strings.Join(append(lines, cfg.Settings), "\n")
	r.Gateway = Gateway{URL: "http://" + listen}
	return r.launch(ctx, cfg)
}

// Restart starts the gateway anew on its data and its addresses, with another speed of the city's
// time, which goes on from where it was.
func (r *Rig) Restart(ctx context.Context, cfg RigConfig) error {
	r.gateway.close()
	return r.launch(ctx, cfg)
}

// launch starts the gateway's program with its configuration and waits until it is ready.
func (r *Rig) launch(ctx context.Context, cfg RigConfig) error {
	bin, err := simulator.FindProgram(cfg.Gridgate, "gridgate")
	if err != nil {
		return err
	}
	simulation := fmt.Sprintf("\nsimulation: {allowed: true, speed: %g", max(cfg.Speed, 1))
	if !cfg.Start.IsZero() {
		simulation += fmt.Sprintf(", start: %q", cfg.Start.Format(time.RFC3339))
	}
	path := filepath.Join(r.dir, "gridgate.yaml")
	if err := os.WriteFile(path, []byte(r.config+simulation+"}\n"), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(bin, "serve", "--config", path)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GRIDGATE_") { // those would be settings
			cmd.Env = append(cmd.Env, kv)
		}
	}
	if r.gateway, err = startProgram(r.dir, "gateway", cmd); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := r.ready(ctx, r.gateway); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(r.dir, "data", "token"))
	r.Token = strings.TrimSpace(string(token))
	return err
}

// Influx is an InfluxDB 1.8, or what speaks like it.
type Influx struct{ URL string }

func (i Influx) create(ctx context.Context, database string) error {
	_, err := i.query(ctx, "", "CREATE DATABASE "+database)
	return err
}

// Points counts what a database has: points is the sum over its measurements of each one's
// fullest field; most is the largest of these, which is the number of frames where each
// makes one point of a measurement.
func (i Influx) Points(ctx context.Context, database string) (points, most int64, err error) {
	series, err := i.query(ctx, database, "SELECT COUNT(*) FROM /.*/")
	if err != nil {
		return 0, 0, err
	}
	for _, s := range series {
		fullest := int64(0)
		for _, row := range s.Values {
			for _, v := range row[min(1, len(row)):] {
				if n, ok := v.(float64); ok {
					fullest = max(fullest, int64(n))
				}
			}
		}
		points += fullest
		most = max(most, fullest)
	}
	return points, most, nil
}

// written is how many points it has taken since it started, in all its databases. That costs
// it nothing, other than to count them.
func (i Influx) written(ctx context.Context) (n int64, err error) {
	var all map[string]json.RawMessage // of many shapes
	g := Gateway{URL: i.URL}
	if err := g.read(ctx, "/debug/vars", &all); err != nil {
		return 0, err
	}
	for name, raw := range all {
		if !strings.HasPrefix(name, "httpd:") && name != "httpd" {
			continue
		}
		var v struct {
			Values struct {
				Points int64 `json:"pointsWrittenOK"`
			} `json:"values"`
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return 0, fmt.Errorf("InfluxDB: /debug/vars: %s: %w", name, err)
		}
		n += v.Values.Points
	}
	return n, nil
}

type influxSeries struct {
	Name   string  `json:"name"`
	Values [][]any `json:"values"`
}

func (i Influx) query(ctx context.Context, database, q string) ([]influxSeries, error) {
	g := Gateway{URL: i.URL}
	method := http.MethodGet
	if strings.HasPrefix(q, "CREATE") {
		method = http.MethodPost
	}
	b, err := g.ask(ctx, method, "/query?"+url.Values{"db": {database}, "q": {q}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   string `json:"error"`
		Results []struct {
			Error  string         `json:"error"`
			Series []influxSeries `json:"series"`
		} `json:"results"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, err
	}
	var out []influxSeries
	for _, r := range answer.Results {
		if r.Error != "" {
			return nil, grid.Errorf(grid.Unavailable, "InfluxDB: %s", r.Error)
		}
		out = append(out, r.Series...)
	}
	return out, nil
}
