package broker

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gridgate/internal/auth"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// vaulted is the registry's credentials, and a device that may be taken out.
type vaulted struct {
	*auth.Vault
	out atomic.Pointer[grid.Identity]
}

func newVault(t testing.TB) *vaulted {
	t.Helper()
	keys, err := auth.OpenKeys(filepath.Join(t.TempDir(), "secret.key"), false)
	if err != nil {
		t.Fatal(err)
	}
	v := &vaulted{}
	v.Vault = &auth.Vault{Keys: keys, TakenOut: func(id grid.Identity) bool { out := v.out.Load(); return out != nil && *out == id }}
	return v
}

func (v *vaulted) give(t testing.TB, id, device, password string) grid.Credential {
	t.Helper()
	c := grid.Credential{ID: id, Device: grid.Identity(device), Kind: grid.MQTTPassword, Created: time.Now()}
	var err error
	if c.Sealed, err = v.Keys.Check([]byte(password), auth.Owner(&c)); err != nil {
		t.Fatal(err)
	}
	v.Put(c)
	return c
}

func TestDeviceLogsInByItsCredentialAndSpeaksForItselfAlone(t *testing.T) {
	v := newVault(t)
	v.give(t, "1", "sn:a", "password of a")
	v.give(t, "2", "sn:b", "password of b")
	var in gatetest.Inbox
	b, _ := start(t, Config{Credentials: v, Users: []User{{Name: "sn:a", Password: "configured"}, {Name: "shared", Password: "shared"}}}, &in)
	for i, c := range []struct {
		user, pass string
		code       byte
	}{
		{"sn:a", "password of a", 0}, {"SN:A", "password of a", 0}, {"shared", "shared", 0},
		{"sn:a", "password of b", 4}, {"sn:a", "", 4}, {"sn:c", "password of a", 4}, {"", "password of a", 4},
		{"sn:a", "configured", 4}, // the registry wins
	} {
		if _, code := dialRaw(t, b.Addr(), rawConnect{version: 4, id: fmt.Sprint(i), user: c.user, pass: c.pass}); (code == 0) != (c.code == 0) {
			t.Errorf("%q with %q: code %d, want %d", c.user, c.pass, code, c.code)
		}
	}
	if h := b.Links()[0]; !strings.Contains(h.LastError, "sn:a") || strings.Contains(h.LastError, "configured") {
		t.Errorf("last error is %q: want the device, and no password", h.LastError)
	}
	d := dial(t, b, rawConnect{version: 5, id: "topics", user: "sn:a", pass: "password of a"})
	for i, c := range []struct {
		topic string
		may   bool
	}{{"gridgate/up/sn:a", true}, {"gridgate/up/sn:b", false}, {"zigbee2mqtt/lamp", false}} {
		before := len(in.Frames())
		d.write(t, publishPacket(5, 1, false, false, c.topic, uint16(i+1), "x"))
		gatetest.Eventually(t, "the PUBACK", func() bool { return len(d.Acked()) == i+1 })
		if came := len(in.Frames()) > before; came != c.may {
			t.Errorf("%s: a frame came: %t", c.topic, came)
		}
	}
	for i, c := range []struct {
		filter string
		may    bool
	}{{"gridgate/down/sn:a/#", true}, {"gridgate/down/sn:b/#", false}, {"gridgate/down/#", false}} {
		d.write(t, subscribePacket5(c.filter, 1))
		gatetest.Eventually(t, "the SUBACK", func() bool { return len(d.got(9)) == i+1 })
		if body := d.got(9)[i].body; (body[len(body)-1] < 0x80) != c.may {
			t.Errorf("%s: code %#x", c.filter, body[len(body)-1])
		}
	}
}

// subscribePacket5 is a SUBSCRIBE of MQTT 5 without properties.
func subscribePacket5(filter string, id uint16) []byte {
	return packet(0x82, append(str([]byte{byte(id >> 8), byte(id), 0}, filter), 1))
}

func TestDeviceThatIsTakenOutLosesItsConnectionAtOnce(t *testing.T) {
	v := newVault(t)
	v.give(t, "1", "sn:a", "password of a")
	c := v.give(t, "2", "sn:b", "password of b")
	b, _ := start(t, Config{Credentials: v}, &gatetest.Inbox{})
	one := dial(t, b, rawConnect{version: 4, id: "a", user: "sn:a", pass: "password of a"})
	two := dial(t, b, rawConnect{version: 5, id: "b", user: "sn:b", pass: "password of b"})
	connected := func() int { return b.Status().Clients }
	b.Recheck()
	if n := connected(); n != 2 {
		t.Fatalf("%d clients, though nothing has changed", n)
	}
	id := grid.Identity("sn:a")
	v.out.Store(&id)
	b.Recheck()
	gatetest.Eventually(t, "the barred device to be gone", func() bool { return one.Closed() && connected() == 1 })
	if _, code := dialRaw(t, b.Addr(), rawConnect{version: 4, id: "a", user: "sn:a", pass: "password of a"}); code == 0 {
		t.Error("it comes back")
	}
	c.Ended = time.Now()
	v.Put(c)
	b.Recheck()
	gatetest.Eventually(t, "the device whose password has ended to be gone", func() bool { return two.Closed() && connected() == 0 })
	n := 0
	b.devices.by.Range(func(any, any) bool { n++; return true })
	if n != 0 {
		t.Errorf("%d logins are still remembered", n)
	}
}

func TestPinnedCertificateLogsADeviceIn(t *testing.T) {
	pub := gatetest.FindPeer(t, "mosquitto_pub", "GRIDGATE_TEST_MOSQUITTO_PUB", false)
	dir := t.TempDir()
	ca, caKey := gatetest.Issue(t, dir, "ca", nil, nil)
	gatetest.Issue(t, dir, "broker", ca, caKey)
	pinned, _ := gatetest.Issue(t, dir, "pinned", ca, caKey)
	gatetest.Issue(t, dir, "sn:a", ca, caKey)
	sum := sha256.Sum256(pinned.Raw)
	v := newVault(t)
	v.Put(grid.Credential{ID: "1", Device: "sn:a", Kind: grid.Certificate, Fingerprint: hex.EncodeToString(sum[:]), Created: time.Now()})
	file := func(name string) string { return filepath.Join(dir, name) }
	var in gatetest.Inbox
	b, _ := start(t, Config{ListenTLS: "127.0.0.1:0", TLS: TLS{Cert: file("broker.pem"), Key: file("broker.key"), ClientCA: file("ca.pem")}, Credentials: v}, &in)
	_, port, _ := net.SplitHostPort(b.AddrTLS())
	for _, c := range []struct {
		as, topic string
		may       bool
	}{{"pinned", "gridgate/up/sn:a", true}, {"pinned", "gridgate/up/sn:b", false}, {"sn:a", "gridgate/up/sn:a", false}} {
		before := len(in.Frames())
		_ = exec.Command(pub, "-h", "127.0.0.1", "-p", port, "--cafile", file("ca.pem"), "--cert", file(c.as+".pem"), "--key", file(c.as+".key"),
			"-q", "1", "-t", c.topic, "-m", "x").Run()
		if got := len(in.Frames()) - before; (got == 1) != c.may {
			t.Errorf("certificate %q, %s: %d frames", c.as, c.topic, got)
		}
	}
}
