package gateway

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	piondtls "github.com/pion/dtls/v3"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const keysRegistry = `
points: [{id: door-1, name: a door, kind: door, mode: test}]
devices: [{identity: "sn:door-1", profile: gridgate/json, point: door-1, mode: test}]
units: [{id: property-1, name: Property, kind: property, tier: 2, mode: test, connector: inbox, token: property-token}]
`

const keysDevice = grid.Identity("sn:door-1")

// said is all that a gateway has logged.
type said struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(p)
}

func (s *said) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.String()
}

// keysGateway is a gateway with a device, and everything that it says.
func keysGateway(t *testing.T) (*Gateway, *api.Client, *said) {
	t.Helper()
	cfg := Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.HTTP.Listen, cfg.Broker.Listen, cfg.CoAP.DTLS.Listen, cfg.Influx.Managed = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", false
	cfg.Journal.ReserveBytes = 1 << 20
	log := &said{}
	g := New(cfg, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Errorf("gateway: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-g.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("the gateway is not ready after 30 s")
	}
	c := &api.Client{URL: "http://" + g.APIAddr(), Token: g.Token()}
	if _, err := c.Import(t.Context(), []byte(keysRegistry), false); err != nil {
		t.Fatal(err)
	}
	return g, c, log
}

func TestSecretsAreInNoLogAnswerOrStream(t *testing.T) {
	g, c, log := keysGateway(t)
	ctx := t.Context()
	stream := &said{}
	streaming, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = c.Stream(streaming, func(m api.Message) error { _, err := stream.Write(m.Data); return err })
	})
	var secrets []string
	for _, kind := range []grid.CredentialKind{grid.CoAPKey, grid.MQTTPassword} {
		made, err := c.AddCredential(ctx, keysDevice, api.CredentialAsk{Kind: kind}, "once "+string(kind), false)
		if err != nil || made.Secret == "" {
			t.Fatalf("%s: %+v, %v", kind, made, err)
		}
		secrets = append(secrets, made.Secret)
		again, err := c.AddCredential(ctx, keysDevice, api.CredentialAsk{Kind: kind}, "once "+string(kind), false)
		if err != nil || again.ID != made.ID || again.Secret != "" || !again.Unchanged {
			t.Errorf("%s asked for again: %+v, %v: want the first, without its secret", kind, again, err)
		}
	}
	key, password := secrets[0], secrets[1]
	given := strings.Repeat("ab", 20)
	for _, body := range []string{ // refused, with a secret in it
		`{"kind":"coap_psk","secret":"` + given + `x"}`, `{"kind":"mqtt_password","secret":"` + given + strings.Repeat("y", 128) + `"}`,
		`{"kind":"x509","secret":"` + given + `"}`, `{"kind":"door","secret":"` + given + `"}`, `{"kind":"coap_psk","secret":"` + given + `","grace":"soon"}`,
	} {
		if status, answer := ask(t, c, "POST", "", body); status != 422 || strings.Contains(answer, given) {
			t.Errorf("%.40s…: %d %s: want 422, and nothing of the secret", body, status, answer)
		}
	}
	shake(t, g, keysDevice, key)
	shake(t, g, keysDevice, strings.Repeat("cd", 16))
	for _, p := range []string{password, "wrong" + given} {
		m := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + g.BrokerAddr()).SetClientID(p[:5]).SetUsername(string(keysDevice)).SetPassword(p))
		if tok := m.Connect(); tok.Wait() && (tok.Error() == nil) != (p == password) {
			t.Errorf("login: %v", tok.Error())
		}
		m.Disconnect(0)
	}
	_, list := ask(t, c, "GET", "", "")
	_, metrics := ask(t, c, "GET", "/metrics", "")
	if !strings.Contains(metrics, "gridgate_credentials 2\n") || !strings.Contains(metrics, "gridgate_credentials_unreadable 0\n") {
		t.Error("the metrics do not count 2 credentials")
	}
	links, err := json.Marshal(g.links())
	if err != nil {
		t.Fatal(err)
	}
	stop()
	wg.Wait()
	raw, _ := hex.DecodeString(key)
	for _, secret := range append(secrets, string(raw), given) {
		for where, text := range map[string]string{"log": log.all(), "list": list, "metrics": metrics, "health": string(links), "stream": stream.all()} {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in the %s", where)
			}
		}
	}
	if !strings.Contains(log.all(), "login refused") {
		t.Error("the log does not tell of the refused login")
	}
}

// ask calls the API by hand: a path, or the credentials of the device.
func ask(t *testing.T, c *api.Client, method, path, body string) (int, string) {
	t.Helper()
	if path == "" {
		path = "/api/v1/devices/" + string(keysDevice) + "/credentials"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// shake tries a DTLS handshake with a key.
func shake(t *testing.T, g *Gateway, id grid.Identity, key string) {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", g.CoAPAddr("dtls"))
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	c, err := piondtls.ClientWithOptions(socket, to, piondtls.WithPSK(func([]byte) ([]byte, error) { return hex.DecodeString(key) }),
		piondtls.WithPSKIdentityHint([]byte(id)), piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_ = c.HandshakeContext(ctx)
	_ = c.Close()
}

func TestCredentialsAreTheAdministratorsAlone(t *testing.T) {
	_, c, _ := keysGateway(t)
	made, err := c.AddCredential(t.Context(), keysDevice, api.CredentialAsk{Kind: grid.CoAPKey}, "", false)
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{"property-token": 403, "nobody's": 401} {
		other := &api.Client{URL: c.URL, Token: token}
		for _, r := range [][2]string{{"GET", ""}, {"POST", ""}, {"DELETE", "/api/v1/devices/" + string(keysDevice) + "/credentials/" + made.ID}} {
			if status, answer := ask(t, other, r[0], r[1], `{"kind":"coap_psk"}`); status != want {
				t.Errorf("%s with token %q: %d %s: want %d", r[0], token, status, answer, want)
			}
		}
	}
	page, err := c.Credentials(t.Context(), keysDevice)
	if err != nil || len(page.Items) != 1 || page.Items[0].State != "holds" {
		t.Errorf("credentials: %+v, %v: want the one that holds", page.Items, err)
	}
}

func TestCertificateIsTakenAsAFileOrAFingerprint(t *testing.T) {
	_, c, _ := keysGateway(t)
	ctx := t.Context()
	dir := t.TempDir()
	cert, _ := gatetest.Issue(t, dir, "device", nil, nil)
	pem, key := string(must(os.ReadFile(filepath.Join(dir, "device.pem")))), string(must(os.ReadFile(filepath.Join(dir, "device.key"))))
	made, err := c.AddCredential(ctx, keysDevice, api.CredentialAsk{Kind: grid.Certificate, Certificate: pem}, "", false)
	if err != nil || len(made.Fingerprint) != 64 || made.Secret != "" {
		t.Fatalf("made %+v, %v", made, err)
	}
	var colons []string
	for _, b := range must(hex.DecodeString(made.Fingerprint)) { // as openssl prints it
		colons = append(colons, fmt.Sprintf("%02X", b))
	}
	for _, text := range []string{made.Fingerprint, "sha256:" + made.Fingerprint, strings.Join(colons, ":")} {
		again, err := c.AddCredential(ctx, keysDevice, api.CredentialAsk{Kind: grid.Certificate, Fingerprint: text}, "", false)
		if err != nil || !again.Unchanged || again.ID != made.ID {
			t.Errorf("%s: %+v, %v: want the same", text, again, err)
		}
	}
	for name, wrong := range map[string]api.CredentialAsk{
		"nothing": {}, "both": {Certificate: pem, Fingerprint: made.Fingerprint}, "no PEM": {Certificate: string(cert.Raw)},
		"its key": {Certificate: key}, "half": {Fingerprint: made.Fingerprint[:32]}, "of a key": {Kind: grid.CoAPKey, Fingerprint: made.Fingerprint},
	} {
		if wrong.Kind == "" {
			wrong.Kind = grid.Certificate
		}
		_, err := c.AddCredential(ctx, keysDevice, wrong, "", false)
		if grid.CodeOf(err) != grid.Invalid || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: %v: want invalid", name, err)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
