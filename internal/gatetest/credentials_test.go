package gatetest_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const keyRegistry = `
points:
  - {id: smoke-1, name: a hall, kind: smoke, mode: simulated}
  - {id: door-1, name: a door, kind: door, mode: simulated}
devices:
  - {identity: "imei:867723030000017", profile: gridgate/json, point: smoke-1, mode: simulated}
  - {identity: "sn:door-1", profile: gridgate/json, point: door-1, mode: simulated}
`

const (
	keyDevice      = "imei:867723030000017"
	passwordDevice = "sn:door-1"
)

// give gives a device a credential.
func (g *gateway) give(t testing.TB, device grid.Identity, ask api.CredentialAsk) api.CredentialMade {
	t.Helper()
	made, err := g.api.AddCredential(t.Context(), device, ask, "", false)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// state is how a credential stands.
func (g *gateway) state(t testing.TB, device grid.Identity, id string) string {
	t.Helper()
	page, err := g.api.Credentials(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range page.Items {
		if c.ID == id {
			return c.State
		}
	}
	t.Fatalf("credential %s is not there", id)
	return ""
}

// hexKey is a key that libcoap's client takes as text.
func hexKey(text string) api.CredentialAsk {
	return api.CredentialAsk{Kind: grid.CoAPKey, Secret: grid.Secret(hex.EncodeToString([]byte(text)))}
}

// posts runs libcoap's client once, and says whether it got 2.04.
func posts(t testing.TB, addr, key string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, gatetest.FindPeer(t, "coap-client-openssl", "", false), "-v", "7", "-B", "3", "-u", keyDevice, "-k", key,
		"-m", "post", "-t", "50", "-e", `{"battery.level":80}`, "coaps://"+addr+"/up/"+keyDevice).CombinedOutput()
	if strings.Contains(string(out), "2.04") {
		return nil
	}
	return errors.New("no 2.04")
}

func TestKeyOfADeviceIsRotatedWithoutARestart(t *testing.T) {
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {dtls: {listen: "+addr+"}}")
	g.start(t)
	g.put(t, keyRegistry)
	if posts(t, addr, "the first key 11") == nil {
		t.Fatal("a device without a key comes in")
	}
	first := g.give(t, keyDevice, hexKey("the first key 11"))
	if first.Secret != "" {
		t.Error("a secret that was given is shown")
	}
	if err := posts(t, addr, "the first key 11"); err != nil {
		t.Fatal("the first key: ", err)
	}

	// A successor that the device never gets: the first key holds for its grace, and ends.
	never := hexKey("it never has this")
	never.Grace = "8s"
	g.give(t, keyDevice, never)
	if err := posts(t, addr, "the first key 11"); err != nil {
		t.Error("within its grace: ", err)
	}
	if s := g.state(t, keyDevice, first.ID); s != "replaced" {
		t.Errorf("within its grace it is %s", s)
	}
	eventually(t, time.Minute, "the grace to end", func() error {
		if s := g.state(t, keyDevice, first.ID); s != "expired" {
			return fmt.Errorf("it is %s", s)
		}
		return nil
	})
	if posts(t, addr, "the first key 11") == nil {
		t.Error("the key comes in after its grace")
	}

	// Another, which it gets: the one before ends with the first use.
	second := g.give(t, keyDevice, hexKey("the second key 2"))
	eventually(t, time.Minute, "the device to come in by the new key", func() error { return posts(t, addr, "the second key 2") })
	eventually(t, time.Minute, "the one before to end", func() error {
		page, err := g.api.Credentials(t.Context(), keyDevice)
		if err != nil {
			return err
		}
		for _, c := range page.Items {
			if holds := c.State == "holds" || c.State == "replaced"; holds != (c.ID == second.ID) {
				return fmt.Errorf("%s is %s", c.ID, c.State)
			}
		}
		return nil
	})
	if posts(t, addr, "it never has this") == nil {
		t.Error("a key that was replaced comes in")
	}
	g.Kill()
	g.start(t)
	if err := posts(t, addr, "the second key 2"); err != nil {
		t.Error("after kill -9: ", err)
	}
	g.balanced(t)
}

func TestBarredDeviceLosesItsSessionAtOnce(t *testing.T) {
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {dtls: {listen: "+addr+"}}")
	g.start(t)
	g.put(t, keyRegistry)
	key, err := hex.DecodeString(g.give(t, keyDevice, api.CredentialAsk{Kind: grid.CoAPKey}).Secret)
	if err != nil || len(key) != 16 {
		t.Fatalf("a key of %d bytes was made, %v", len(key), err)
	}
	dial := func() (*piondtls.Conn, error) {
		to, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			return nil, err
		}
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = socket.Close() })
		c, err := piondtls.ClientWithOptions(socket, to, piondtls.WithPSK(func([]byte) ([]byte, error) { return key, nil }),
			piondtls.WithPSKIdentityHint([]byte(keyDevice)), piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8))
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return c, c.HandshakeContext(ctx)
	}
	c, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	tell(t, c, 7, `{"battery.level":80}`)
	g.put(t, strings.ReplaceAll(keyRegistry, "point: smoke-1", "state: barred, point: smoke-1"))
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := c.Read(make([]byte, 100)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the session of a barred device goes on: %d bytes, %v", n, err)
	}
	if _, err := dial(); err == nil {
		t.Error("a barred device makes another session")
	}
	g.put(t, strings.ReplaceAll(keyRegistry, "point: smoke-1", "state: installed, point: smoke-1"))
	if c, err := dial(); err != nil {
		t.Error("it is let in again, and does not come in: ", err)
	} else {
		tell(t, c, 8, `{"battery.level":81}`)
	}
	g.balanced(t)
}

func TestDeviceLogsInToTheBrokerByItsPassword(t *testing.T) {
	pub := gatetest.FindPeer(t, "mosquitto_pub", "GRIDGATE_TEST_MOSQUITTO_PUB", false)
	g := newGateway(t)
	g.start(t)
	g.put(t, keyRegistry)
	made := filepath.Join(t.TempDir(), "password")
	g.gridgate(t, "device", "key", "add", passwordDevice, "--kind", "mqtt_password", "--out", made)
	b, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSpace(string(b))
	host, port, _ := net.SplitHostPort(g.broker)
	publish := func(password, topic string) error {
		return exec.Command(pub, "-h", host, "-p", port, "-u", passwordDevice, "-P", password, "-q", "1", "-t", topic, "-m", `{"battery.level":80}`).Run()
	}
	if err := publish(password, "gridgate/up/"+passwordDevice); err != nil {
		t.Error("the right password: ", err)
	}
	_ = publish(password, "gridgate/up/"+keyDevice) // another's: the broker acknowledges and does not take it
	if publish("a wrong password", "gridgate/up/"+passwordDevice) == nil {
		t.Error("a wrong password lets it in")
	}
	broker := func(want string) {
		t.Helper()
		page, err := g.api.Links(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page.Items {
			if l.Name == "broker" && (!strings.Contains(l.LastError, want) || strings.Contains(l.LastError, password)) {
				t.Errorf("the health view says %q: want %q", l.LastError, want)
			}
		}
	}
	broker("wrong password of device " + passwordDevice)
	g.gridgate(t, "device", "retire", passwordDevice)
	if publish(password, "gridgate/up/"+passwordDevice) == nil {
		t.Error("a retired device comes in")
	}
	broker("device " + passwordDevice + " is barred or retired")
	l := g.balanced(t)
	if processed, _, _, quarantined, accepted := sum(l); processed != 1 || quarantined != 0 || accepted != 1 {
		t.Errorf("%d accepted, %d processed, %d quarantined: want the one frame of the right password", accepted, processed, quarantined)
	}
}
