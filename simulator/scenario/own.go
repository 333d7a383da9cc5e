package scenario

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/simulator"
	"gridgate/simulator/fault"
)

// startWithin is how long a program that we start has to be ready.
const startWithin = 30 * time.Second

// own is a gateway of our own with what stands around it, in a folder of its own.
type own struct {
	dir       string
	gateway   *process
	mosquitto *process // nil: the embedded broker
	influx    *process // nil: none
	api       *client
	broker    simulator.Broker
	addrs     map[string]string // api, broker, influx
	ends      simulator.Ends    // where the other wires find it
	links     links
	disk      *fault.Disk    // of its data; nil: this machine's
	network   *fault.Network // of mosquitto; nil: ours
}

// openOwn starts what the scenario wants in dir and waits until it is ready.
func openOwn(ctx context.Context, s *Scenario, speed float64, o *Options) (*own, error) {
	bin, err := simulator.FindProgram(o.Gridgate, "gridgate")
	if err != nil {
		return nil, err
	}
	w := &own{dir: o.dir, addrs: map[string]string{}, links: links{of: map[string]fault.Link{}}}
	ok := false
	defer func() {
		if !ok {
			w.close()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for _, what := range []string{"api", "broker", "influx"} {
		if w.addrs[what], err = freeAddr(); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.openDisk(s), w.openNetwork(ctx, s)); err != nil {
		return nil, err
	}
	if s.Gateway.Broker == "mosquitto" {
		if err := w.openMosquitto(ctx); err != nil {
			return nil, err
		}
	}
	if s.Gateway.Influx == "real" {
		if err := w.openInflux(ctx, o); err != nil {
			return nil, err
		}
	}
	config, err := w.configure(s, speed, o.Seed)
	if err != nil {
		return nil, err
	}
	w.gateway, err = newProcess(w.dir, "gateway", func() *exec.Cmd {
		cmd := exec.Command(bin, "serve", "--config", config)
		cmd.Env = append(environ(), "GOMEMLIMIT=512MiB")
		return cmd
	})
	if err != nil {
		return nil, err
	}
	if err := w.startGateway(ctx); err != nil {
		return nil, err
	}
	ok = true
	return w, nil
}

// startGateway starts it and waits until it is ready; again after a kill too.
func (w *own) startGateway(ctx context.Context) error {
	if err := w.gateway.start(); err != nil {
		return err
	}
	w.api = newClient("http://"+w.addrs["api"], "")
	if _, err := w.api.waitReady(ctx, w.gateway.ended()); err != nil {
		return fmt.Errorf("%w; its log:\n%s", err, tail(filepath.Join(w.dir, "gateway.log")))
	}
	token, err := os.ReadFile(filepath.Join(w.dir, "data", "token"))
	if err != nil {
		return err
	}
	w.api.token = string(trim(token))
	return nil
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

// tail is the end of a log.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

func (w *own) close() error {
	for _, p := range []*process{w.gateway, w.mosquitto, w.influx} {
		if p != nil {
			p.close()
		}
	}
	w.links.close()
	return w.closePlaces()
}

// configure writes the gateway's configuration: the scenario's settings over ours over the defaults.
func (w *own) configure(s *Scenario, speed float64, seed uint64) (path string, err error) {
	broker, influx, err := w.beforeGateway(s, seed)
	if err != nil {
		return "", err
	}
	password := rand.Text()
	c := map[string]any{
		"data_dir":   filepath.Join(w.dir, "data"),
		"http":       map[string]any{"listen": w.addrs["api"]},
		"simulation": map[string]any{"allowed": true, "speed": speed, "start": s.start.Format(time.RFC3339)},
		"dispatch":   map[string]any{"allow_cidrs": []string{"127.0.0.0/8"}},
		"influx":     map[string]any{"managed": false},
		"log":        map[string]any{"level": "info"},
		"broker":     map[string]any{"enabled": true, "listen": w.addrs["broker"], "users": []any{map[string]any{"name": "gridsim", "password": password}}},
	}
	w.broker = simulator.Broker{URL: "mqtt://" + w.addrs["broker"], User: "gridsim", Password: password}
	if w.mosquitto != nil {
		c["broker"] = map[string]any{"enabled": false}
		c["mqtt"] = []any{map[string]any{"name": "city", "url": "mqtt://" + broker, "client_id": "gridgate",
			"topics": []string{"gridgate/up/#", "application/+/device/+/event/+", "v3/+/devices/+/up", "zigbee2mqtt/+"}}}
		w.broker.User, w.broker.Password = "", ""
	}
	if w.influx != nil {
		c["influx"] = map[string]any{"managed": false, "url": "http://" + influx}
	}
	if err := w.listenFor(s, seed, c); err != nil {
		return "", err
	}
	lay(c, s.Gateway.Settings)
	b, err := yaml.Marshal(c)
	if err != nil {
		return "", err
	}
	path = filepath.Join(w.dir, "gridgate.yaml")
	return path, os.WriteFile(path, b, 0o600)
}

// lay puts settings over others, maps into maps.
func lay(under, over map[string]any) {
	for k, v := range over {
		a, ok1 := under[k].(map[string]any)
		b, ok2 := v.(map[string]any)
		if ok1 && ok2 {
			a = maps.Clone(a)
			lay(a, b)
			v = a
		}
		under[k] = v
	}
}

func (w *own) openMosquitto(ctx context.Context) error {
	bin, err := simulator.FindProgram("", "mosquitto", "/usr/sbin/mosquitto")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(w.addrs["broker"]) // ours
	host, command := "127.0.0.1", exec.Command
	if w.network != nil {
		host, command = w.network.Far(), w.network.Command
	}
	conf := fmt.Sprintf("listener %s %s\nallow_anonymous true\npersistence true\npersistence_location %s/\nautosave_interval 1\nmax_inflight_messages 1000\nmax_queued_messages 0\n", port, host, w.dir)
	if os.Geteuid() == 0 {
		conf += "user root\n" // else it becomes a user who may not write here, and forgets what it had to keep
	}
	path := filepath.Join(w.dir, "mosquitto.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return err
	}
	w.mosquitto, err = newProcess(w.dir, "mosquitto", func() *exec.Cmd { return command(bin, "-c", path) })
	if err != nil {
		return err
	}
	if err := w.mosquitto.start(); err != nil {
		return err
	}
	return dialable(ctx, w.addrs["broker"], w.mosquitto.ended())
}

func (w *own) openInflux(ctx context.Context, o *Options) error {
	bin, err := simulator.FindProgram(o.Influxd, "influxd", ".tools/bin/influxd")
	if err != nil {
		return err
	}
	w.influx, err = newProcess(w.dir, "influxd", func() *exec.Cmd {
		cmd := exec.Command(bin, "run", "-config", os.DevNull)
		at := filepath.Join(w.dir, "influx")
		cmd.Env = append(os.Environ(), "INFLUXDB_HTTP_BIND_ADDRESS="+w.addrs["influx"], "INFLUXDB_BIND_ADDRESS=127.0.0.1:0", "INFLUXDB_REPORTING_DISABLED=true",
			"INFLUXDB_META_DIR="+at+"/meta", "INFLUXDB_DATA_DIR="+at+"/data", "INFLUXDB_DATA_WAL_DIR="+at+"/wal", "INFLUXDB_MONITOR_STORE_ENABLED=false", "INFLUXDB_HTTP_LOG_ENABLED=false")
		return cmd
	})
	if err != nil {
		return err
	}
	return w.startInflux(ctx)
}

// startInflux starts it and makes the database; again after a stop too.
func (w *own) startInflux(ctx context.Context) error {
	if err := w.influx.start(); err != nil {
		return err
	}
	if err := dialable(ctx, w.addrs["influx"], w.influx.ended()); err != nil {
		return err
	}
	return newClient("http://"+w.addrs["influx"], "").do(ctx, "POST", "/query?q=CREATE+DATABASE+gridgate", nil, nil)
}

// dialable waits until something listens.
func dialable(ctx context.Context, addr string, ended <-chan struct{}) error {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ended:
			return fmt.Errorf("%s: the program ended at once", addr)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freeAddr is a loopback address that nobody listens on. It is below the ports that the
// system gives to whoever asks for any, and by chance: runs beside this one do the same.
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

// environ is ours without what would be settings of a gateway: those stand in its file.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GRIDGATE_") })
}
