package mqtt

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/gatetest"
)

// mosquitto is a real broker, a child of the test.
type mosquitto struct {
	addr string
	dir  string
	bin  string
	cmd  *exec.Cmd
	out  bytes.Buffer
}

// findMosquitto skips the test when there is no mosquitto, unless peers are required.
func findMosquitto(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if bin, err := exec.LookPath(name); err == nil {
			return bin
		}
	}
	if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" {
		t.Fatal("mosquitto is not installed, and GRIDGATE_REQUIRE_PEERS=1")
	}
	t.Skip("mosquitto is not installed")
	return ""
}

// startMosquitto runs mosquitto with lines added to its configuration.
func startMosquitto(t testing.TB, lines ...string) *mosquitto {
	t.Helper()
	m := newMosquitto(t, lines...)
	m.start(t)
	return m
}

// newMosquitto prepares it; DIR in the lines is its directory.
func newMosquitto(t testing.TB, lines ...string) *mosquitto {
	t.Helper()
	m := &mosquitto{bin: findMosquitto(t), dir: t.TempDir(), addr: freeAddr(t)}
	_, port, _ := net.SplitHostPort(m.addr)
	conf := "listener " + port + " 127.0.0.1\npersistence false\nlog_dest stderr\n"
	if os.Geteuid() == 0 {
		conf += "user root\n"
	}
	anonymous := "allow_anonymous true\n"
	for _, line := range lines {
		if line == "allow_anonymous false" {
			anonymous = ""
		}
		conf += string(bytes.ReplaceAll([]byte(line), []byte("DIR"), []byte(m.dir))) + "\n"
	}
	m.write(t, "mosquitto.conf", conf+anonymous)
	t.Cleanup(m.kill)
	return m
}

// findPlugin finds mosquitto's dynamic security, the only way to have it refuse a subscription.
func findPlugin(t testing.TB) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/*/mosquitto_dynamic_security.so", "/usr/lib/mosquitto_dynamic_security.so", "/usr/local/lib/mosquitto_dynamic_security.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" {
		t.Fatal("mosquitto's dynamic security plugin is not installed, and GRIDGATE_REQUIRE_PEERS=1")
	}
	t.Skip("mosquitto's dynamic security plugin is not installed")
	return ""
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (m *mosquitto) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m *mosquitto) start(t testing.TB) {
	t.Helper()
	m.cmd = exec.Command(m.bin, "-c", filepath.Join(m.dir, "mosquitto.conf"))
	m.cmd.Stderr = &m.out
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gatetest.Eventually(t, "mosquitto to listen", func() bool {
		c, err := net.Dial("tcp", m.addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// kill ends the broker as a power cut does.
func (m *mosquitto) kill() {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

func (m *mosquitto) reload() { _ = m.cmd.Process.Signal(syscall.SIGHUP) }

func (m *mosquitto) url() string { return "mqtt://" + m.addr }

// publisher is a client beside the transport.
func (m *mosquitto) publisher(t testing.TB) paho.Client {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(m.url()).SetClientID("publisher"))
	if tok := c.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatalf("publisher: %v\n%s", tok.Error(), m.out.String())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func publish(t testing.TB, c paho.Client, topic string, qos byte, retained bool, payload string) {
	t.Helper()
	if tok := c.Publish(topic, qos, retained, payload); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatalf("publish: %v", tok.Error())
	}
}

// proxy stands between transport and broker, and can go silent without closing anything,
// as a dead router does.
type proxy struct {
	l      net.Listener
	to     string
	mu     sync.Mutex
	silent bool
	closed bool
	conns  []net.Conn
}

func startProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to}
	go p.run()
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.conns {
			_ = c.Close()
		}
	})
	return p
}

func (p *proxy) run() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		closed := p.closed
		p.mu.Unlock()
		out, err := net.Dial("tcp", p.to)
		if err != nil || closed {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.silent = false // a new connection gets through
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		go p.copy(in, out)
		go p.copy(out, in)
	}
}

func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		silent := p.silent
		p.mu.Unlock()
		if silent {
			_, _ = from.Read(make([]byte, 1)) // until it is closed
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// close cuts all connections and takes no more, until it is opened again.
func (p *proxy) close(closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = closed
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
}

func (p *proxy) url() string { return fmt.Sprint("mqtt://", p.l.Addr()) }
