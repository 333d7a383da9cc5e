package broker

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/envelope"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func TestDeviceWithAnAccountOfItsOwnSpeaksForItselfAlone(t *testing.T) {
	users := []User{
		{Name: "a", Password: "a", Identities: []grid.Identity{"sn:a", "modbus:p/1"}},
		{Name: "bridge", Password: "b", Identities: []grid.Identity{"sn:bridge"}, Publish: []string{"zigbee2mqtt/#"}, Subscribe: []string{"zigbee2mqtt/+/set"}},
	}
	for _, c := range []struct {
		user, topic string
		may         bool
	}{
		{"a", "gridgate/up/sn:a", true},
		{"a", "gridgate/up/sn:a/85", true},
		{"a", "gridgate/up/SN:A", true}, // the same identity
		{"a", "gridgate/status/sn:a", true},
		{"a", "gridgate/up/modbus:p%2F1", true},
		{"a", "gridgate/up/sn:b", false},
		{"a", "gridgate/up/sn:ab", false},
		{"a", "gridgate/up/sn:%62", false},
		{"a", "gridgate/up/sn:a%2F..%2Fsn:b", false},
		{"a", "gridgate/status/sn:b", false},
		{"a", "gridgate/down/sn:a", false},
		{"a", "zigbee2mqtt/lamp", false},
		{"a", "application/1/device/24e124136b502217/event/up", false},
		{"bridge", "zigbee2mqtt/lamp", true},
		{"bridge", "gridgate/up/sn:bridge", true},
		{"bridge", "gridgate/up/sn:a", false},
	} {
		var in gatetest.Inbox
		b, stop := start(t, Config{Users: users, Uplinks: envelope.Topics(), Identify: envelope.NewRouter(10).Identify}, &in)
		d := dial(t, b, rawConnect{version: 5, user: c.user, pass: c.user[:1]})
		d.write(t, publishPacket(5, 1, false, false, c.topic, 1, "online"))
		gatetest.Eventually(t, "the PUBACK of "+c.user+" at "+c.topic, func() bool { return len(d.Acked()) > 0 })
		if came := len(in.Frames()) == 1; came != c.may {
			t.Errorf("%s at %s: a frame came: %v", c.user, c.topic, came)
		}
		if s := b.Status(); (s.TurnedAway == 0) != c.may || !c.may && !strings.Contains(s.LastError, c.topic) {
			t.Errorf("%s at %s: %+v", c.user, c.topic, s)
		}
		stop()
	}
}

func TestDeviceHearsWhatIsForItAlone(t *testing.T) {
	b, _ := start(t, Config{Users: []User{{Name: "a", Password: "a", Identities: []grid.Identity{"sn:a"}}}}, &gatetest.Inbox{})
	d := dial(t, b, rawConnect{user: "a", pass: "a"})
	for i, c := range []struct {
		filter string
		may    bool
	}{{"gridgate/down/sn:a", true}, {"gridgate/down/sn:a/#", true}, {"gridgate/down/sn:b", false}, {"gridgate/down/#", false}, {"gridgate/down/+", false}, {"#", false}, {"gridgate/up/sn:b", false}} {
		d.write(t, subscribePacket(c.filter, 1))
		gatetest.Eventually(t, "the SUBACK", func() bool { return len(d.got(9)) == i+1 })
		if code := d.got(9)[i].body[2]; (code < 0x80) != c.may {
			t.Errorf("%s: code %#x", c.filter, code)
		}
	}
}

func TestSessionOfAnotherUserCannotBeTakenOver(t *testing.T) {
	b, _ := start(t, Config{Users: []User{{Name: "a", Password: "a"}, {Name: "b", Password: "b"}}}, &gatetest.Inbox{})
	first := dial(t, b, rawConnect{id: "same", user: "a", pass: "a"})
	if _, code := dialRaw(t, b.Addr(), rawConnect{version: 4, id: "same", user: "b", pass: "b"}); code == 0 {
		t.Error("user b took over the session of user a")
	}
	if first.Closed() {
		t.Error("user a was thrown out")
	}
	dial(t, b, rawConnect{id: "same", user: "a", pass: "a"})
	gatetest.Eventually(t, "the old connection of the same user to end", first.Closed)
}

func TestTLSClientsLogInByCertificateOrPassword(t *testing.T) {
	pub := gatetest.FindPeer(t, "mosquitto_pub", "GRIDGATE_TEST_MOSQUITTO_PUB", false)
	dir := t.TempDir()
	ca, caKey := gatetest.Issue(t, dir, "ca", nil, nil)
	gatetest.Issue(t, dir, "broker", ca, caKey)
	gatetest.Issue(t, dir, "gate-07", ca, caKey) // names a user
	gatetest.Issue(t, dir, "fleet", ca, caKey)   // names nobody
	stranger, strangerKey := gatetest.Issue(t, dir, "stranger-ca", nil, nil)
	gatetest.Issue(t, dir, "forged", stranger, strangerKey)
	file := func(name string) string { return filepath.Join(dir, name) }
	users := []User{{Name: "gate-07", Identities: []grid.Identity{"sn:7"}}, {Name: "shared", Password: "secret"}}
	var in gatetest.Inbox
	b, _ := start(t, Config{ListenTLS: "127.0.0.1:0", TLS: TLS{Cert: file("broker.pem"), Key: file("broker.key"), ClientCA: file("ca.pem")}, Users: users}, &in)
	_, port, _ := net.SplitHostPort(b.AddrTLS())
	send := func(as, topic string, more ...string) error {
		args := []string{"-h", "127.0.0.1", "-p", port, "--cafile", file("ca.pem"), "-q", "1", "-t", topic, "-m", "x"}
		if as != "" {
			args = append(args, "--cert", file(as+".pem"), "--key", file(as+".key"))
		}
		return exec.Command(pub, append(args, more...)...).Run()
	}
	for _, c := range []struct {
		as, topic string
		more      []string
		may       bool
	}{
		{"gate-07", "gridgate/up/sn:7", nil, true},
		{"gate-07", "gridgate/up/sn:7", []string{"-u", "gate-07"}, true},
		{"gate-07", "gridgate/up/sn:8", nil, false},
		{"gate-07", "gridgate/up/sn:8", []string{"-u", "shared", "-P", "secret"}, false},
		{"fleet", "gridgate/up/sn:8", []string{"-u", "shared", "-P", "secret"}, true},
		{"fleet", "gridgate/up/sn:8", nil, false},
		{"fleet", "gridgate/up/sn:7", []string{"-u", "gate-07", "-P", ""}, false}, // it has no password
		{"", "gridgate/up/sn:7", nil, false},
		{"forged", "gridgate/up/sn:7", nil, false},
	} {
		before := len(in.Frames())
		_ = send(c.as, c.topic, c.more...)
		if got := len(in.Frames()) - before; (got == 1) != c.may {
			t.Errorf("certificate %q, %s %v: %d frames", c.as, c.topic, c.more, got)
		}
	}

	// Renewed, without a restart: first only the certificate, which does not fit the old key.
	was := serial(t, b)
	next := t.TempDir()
	gatetest.Issue(t, next, "broker", ca, caKey)
	move := func(name string) {
		if err := os.Rename(filepath.Join(next, name), file(name)); err != nil {
			t.Fatal(err)
		}
	}
	move("broker.pem")
	if got := serial(t, b); got != was || !strings.Contains(b.Status().LastError, "private key does not match") {
		t.Errorf("half renewed, it shows %s, was %s; last error %q", got, was, b.Status().LastError)
	}
	move("broker.key")
	if got := serial(t, b); got == was {
		t.Error("the renewed certificate is not shown")
	}
}

func TestTLSListenerWithoutItsFilesIsAnError(t *testing.T) {
	b := New(Config{ListenTLS: "127.0.0.1:0", TLS: TLS{Cert: "none.pem", Key: "none.key"}, Identify: identify}, nil)
	if err := b.Run(t.Context(), &gatetest.Inbox{}); err == nil || !strings.Contains(err.Error(), "tls.cert none.pem") {
		t.Errorf("error is %v", err)
	}
}

// serial is the number of the certificate that the broker shows, also to one who has none.
func serial(t *testing.T, b *Broker) string {
	t.Helper()
	var shown string
	_, _ = tls.Dial("tcp", b.AddrTLS(), &tls.Config{InsecureSkipVerify: true, VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
		c, err := x509.ParseCertificate(raw[0])
		if err == nil {
			shown = c.SerialNumber.String()
		}
		return err
	}})
	return shown
}

func TestAccountWithoutAPasswordIsNotOpen(t *testing.T) {
	b, _ := start(t, Config{Users: []User{{Name: "certified"}}}, &gatetest.Inbox{})
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + b.Addr()).SetClientID("x").SetUsername("certified"))
	if tok := c.Connect(); tok.Wait() && tok.Error() == nil {
		c.Disconnect(0)
		t.Error("one logs in without a password to an account that has none")
	}
}
