package gatetest_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mqtt "github.com/eclipse/paho.mqtt.golang/packets"
	piondtls "github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// What somebody tries who has a device, or none. The table of docs/PROOF.md names these.

// newClosedGateway has no user that anybody knows.
func newClosedGateway(t *testing.T, lines ...string) *gateway {
	t.Helper()
	g := newGateway(t, lines...)
	b, err := os.ReadFile(g.config)
	must(t, err)
	write(t, g.config, strings.Replace(string(b), "anonymous: true", "anonymous: false", 1))
	g.start(t)
	g.put(t, keyRegistry)
	return g
}

// login says what became of a CONNECT.
func login(t *testing.T, addr, user, password string, more func(*paho.ClientOptions)) (device, error) {
	t.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("attack-" + fmt.Sprint(time.Now().UnixNano())).
		SetUsername(user).SetPassword(password).SetConnectTimeout(20 * time.Second).SetAutoReconnect(false).SetConnectRetry(false)
	if more != nil {
		more(o)
	}
	c := paho.NewClient(o)
	tok := c.Connect()
	if !tok.WaitTimeout(20 * time.Second) {
		t.Fatal("CONNECT is not answered")
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return device{c}, tok.Error()
}

func TestAttackWrongAndMissingCredentialsOpenNoWire(t *testing.T) {
	dtls, plain := gatetest.FreeAddr(t), gatetest.FreeAddr(t)
	g := newClosedGateway(t, "coap: {listen: "+plain+", dtls: {listen: "+dtls+"}}")
	password := g.give(t, passwordDevice, api.CredentialAsk{Kind: grid.MQTTPassword}).Secret
	g.give(t, keyDevice, hexKey("the right key 12"))
	g.give(t, keyDevice, api.CredentialAsk{Kind: grid.MQTTPassword})

	for what, who := range map[string][2]string{
		"nobody": {"", ""}, "an unknown user": {"root", "root"}, "the user of the gateway with a guess": {"gridgate", "gridgate"},
		"no password": {passwordDevice, ""}, "a wrong password": {passwordDevice, password + "x"}, "a device that has none": {"sn:nobody", password},
		"another device with this one's password": {keyDevice, password},
	} {
		if _, err := login(t, g.broker, who[0], who[1], nil); err == nil {
			t.Errorf("mqtt: %s is let in", what)
		}
	}
	// Who has no right key gets no answer, and waits until the end of his patience: all at once.
	t.Run("dtls", func(t *testing.T) {
		for what, who := range map[string][2]string{"a wrong key": {keyDevice, "the wrong key 12"}, "an unknown device": {"imei:867723030000025", "the right key 12"}, "no key": {keyDevice, "\x00"}} {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				if shakes(t, dtls, who[0], []byte(who[1])) {
					t.Error("is let in")
				}
			})
		}
	})
	if !shakes(t, dtls, keyDevice, []byte("the right key 12")) {
		t.Error("dtls: the right key is not let in")
	}
	if code := postsPlain(t, plain, keyDevice); code != codes.Unauthorized {
		t.Errorf("coap: a device with a key speaks without one: %v", code)
	}
	for what, token := range map[string]string{"no token": "", "a guessed token": "admin", "a device's password": password} {
		if _, err := getJSON[any](t.Context(), g.api.URL+"/api/v1/devices", token); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("http: %s: %v", what, err)
		}
	}
	if _, _, _, _, accepted := sum(g.balanced(t)); accepted != 0 {
		t.Errorf("%d frames of those who were not let in are taken", accepted)
	}
	if _, err := login(t, g.broker, passwordDevice, password, nil); err != nil {
		t.Error("who may is not let in after all that: ", err)
	}
}

// shakes reports whether a DTLS handshake succeeds.
func shakes(t *testing.T, addr, identity string, key []byte) bool {
	t.Helper()
	c, err := piondtls.ClientWithOptions(func() net.PacketConn {
		s, err := net.ListenPacket("udp", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}(), func() net.Addr {
		to, err := net.ResolveUDPAddr("udp", addr)
		must(t, err)
		return to
	}(), piondtls.WithPSK(func([]byte) ([]byte, error) { return key, nil }), piondtls.WithPSKIdentityHint([]byte(identity)), piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	return c.HandshakeContext(ctx) == nil
}

// postsPlain sends one report by plain CoAP and gives the answer's code.
func postsPlain(t *testing.T, addr string, id grid.Identity) codes.Code {
	t.Helper()
	c := dialUDP(t, addr)
	var opts message.Options
	for _, s := range []string{"up", string(id)} {
		opts = opts.Add(message.Option{ID: message.URIPath, Value: []byte(s)})
	}
	opts = opts.Add(message.Option{ID: message.ContentFormat, Value: []byte{50}})
	m := message.Message{Type: message.Confirmable, Code: codes.POST, MessageID: int32(time.Now().UnixNano() & 0xffff), Token: []byte("t"), Options: opts, Payload: []byte(`{"smoke.alarm":true}`)}
	buf := make([]byte, 1500)
	n, err := coder.DefaultCoder.Encode(m, buf)
	must(t, err)
	request := bytes.Clone(buf[:n])
	var code codes.Code
	eventually(t, 20*time.Second, "an answer", func() error {
		if _, err := c.Write(request); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		var answer message.Message
		answer.Options = make(message.Options, 0, 16)
		if _, err := coder.DefaultCoder.Decode(buf[:n], &answer); err != nil {
			return err
		}
		code = answer.Code
		return nil
	})
	return code
}

func TestAttackADeviceNeitherSpeaksNorListensAsAnother(t *testing.T) {
	g := newClosedGateway(t)
	mine := g.give(t, passwordDevice, api.CredentialAsk{Kind: grid.MQTTPassword}).Secret
	theirs := g.give(t, keyDevice, api.CredentialAsk{Kind: grid.MQTTPassword}).Secret
	other, err := login(t, g.broker, keyDevice, theirs, nil)
	must(t, err)
	var heard sync.Map
	if tok := other.Subscribe("gridgate/down/"+keyDevice, 1, func(_ paho.Client, m paho.Message) { heard.Store(string(m.Payload()), true) }); !tok.WaitTimeout(20*time.Second) || tok.Error() != nil {
		t.Fatal("the other cannot listen to what is for it: ", tok.Error())
	}
	for what, topic := range map[string]string{
		"another's topic": "gridgate/up/" + keyDevice, "its status": "gridgate/status/" + keyDevice, "orders for it": "gridgate/down/" + keyDevice,
		"in capitals": "gridgate/up/IMEI:867723030000017", "with an empty level": "gridgate/up//" + keyDevice, "a network server's": "application/1/device/24e124136d490175/event/up",
		"the broker's own": "$SYS/broker/x", "everyone's": "city",
	} {
		for _, retained := range []bool{false, true} {
			say := mqtt.NewControlPacket(mqtt.Publish).(*mqtt.PublishPacket)
			say.Qos, say.MessageID, say.TopicName, say.Retain, say.Payload = 1, 7, topic, retained, []byte(`{"smoke.alarm":true}`)
			for _, a := range tries(t, g.broker, passwordDevice, string(mine), say) {
				t.Errorf("%s: to what is for %s the broker answers %v", what, topic, a)
			}
		}
	}
	for what, filter := range map[string]string{"everything": "#", "all orders": "gridgate/down/#", "another's orders": "gridgate/down/" + keyDevice, "by plus": "gridgate/down/+", "in a group": "$share/g/gridgate/down/" + keyDevice, "the broker's own": "$SYS/#"} {
		say := mqtt.NewControlPacket(mqtt.Subscribe).(*mqtt.SubscribePacket)
		say.MessageID, say.Topics, say.Qoss = 7, []string{filter}, []byte{1}
		for _, a := range tries(t, g.broker, passwordDevice, string(mine), say) {
			if ack, ok := a.(*mqtt.SubackPacket); !ok || len(ack.ReturnCodes) != 1 || ack.ReturnCodes[0] < 0x80 {
				t.Errorf("%s: to a subscription to %s the broker answers %v", what, filter, a)
			}
		}
	}
	if _, err := login(t, g.broker, passwordDevice, mine, func(o *paho.ClientOptions) { o.SetWill("gridgate/up/"+keyDevice, `{"smoke.alarm":true}`, 1, true) }); err == nil {
		t.Error("a will in another's name is let in")
	}
	if _, err := login(t, g.broker, passwordDevice, mine, func(o *paho.ClientOptions) { r := other.OptionsReader(); o.SetClientID(r.ClientID()) }); err == nil {
		t.Error("another's session is taken over")
	}
	if !other.IsConnected() {
		t.Error("the other has lost its connection")
	}
	if _, _, _, _, accepted := sum(g.settled(t)); accepted != 0 {
		t.Errorf("%d frames in another's name are taken", accepted)
	}
	// What it may say it says, and an order reaches whom it is for.
	me, err := login(t, g.broker, passwordDevice, mine, nil)
	must(t, err)
	me.send(t, "gridgate/up/"+passwordDevice, []byte(`{"battery.level":80}`))
	_, err = g.api.SendDownlink(t.Context(), keyDevice, api.NewDownlink{Order: grid.Order{Payload: &grid.PayloadOrder{Hex: hex.EncodeToString([]byte("real"))}}}, "")
	must(t, err)
	eventually(t, 20*time.Second, "the order", func() error {
		if _, ok := heard.Load("real"); !ok {
			return fmt.Errorf("not heard")
		}
		return nil
	})
	heard.Range(func(text, _ any) bool {
		if text != "real" {
			t.Errorf("an order from another device: %v", text)
		}
		return true
	})
	g.balanced(t)
}

// tries says something as a device, by a connection of its own, and gives what the broker answers
// before the answer to a ping that comes after it: by then it has looked at what was said. It may
// close the connection, as MQTT 3.1.1 has no word for "you may not", or drop what was said without a
// word. A client library is of no use here: what it is told to say while it loses its connection
// may wait for ever.
func tries(t *testing.T, addr, user, password string, say mqtt.ControlPacket) (answers []mqtt.ControlPacket) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	hello := mqtt.NewControlPacket(mqtt.Connect).(*mqtt.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion, hello.CleanSession, hello.Keepalive = "MQTT", 4, true, 60
	hello.ClientIdentifier, hello.UsernameFlag, hello.Username, hello.PasswordFlag, hello.Password = fmt.Sprint("tries-", time.Now().UnixNano()), true, user, true, []byte(password)
	must(t, hello.Write(c))
	if a, err := mqtt.ReadPacket(c); err != nil || a.(*mqtt.ConnackPacket).ReturnCode != 0 {
		t.Fatalf("who tries is not let in: %v %v", a, err)
	}
	_ = say.Write(c)
	_ = mqtt.NewControlPacket(mqtt.Pingreq).Write(c) // it may have closed
	for {
		a, err := mqtt.ReadPacket(c)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%v is neither answered nor the connection closed", say)
		}
		if err != nil {
			return answers
		}
		switch a.(type) {
		case *mqtt.PingrespPacket, *mqtt.DisconnectPacket:
			return answers
		}
		answers = append(answers, a)
	}
}

// wiretap stands between a device and the gateway and keeps what the device sends.
type wiretap struct {
	net.PacketConn

	mu   sync.Mutex
	sent [][]byte
}

func (r *wiretap) WriteTo(p []byte, to net.Addr) (int, error) {
	r.mu.Lock()
	r.sent = append(r.sent, bytes.Clone(p))
	r.mu.Unlock()
	return r.PacketConn.WriteTo(p, to)
}

func (r *wiretap) all() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.sent...)
}

func TestAttackReplayedDTLSRecordsAndHandshakesBringNothing(t *testing.T) {
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {dtls: {listen: "+addr+"}}")
	g.start(t)
	g.put(t, keyRegistry)
	key, err := hex.DecodeString(g.give(t, keyDevice, api.CredentialAsk{Kind: grid.CoAPKey}).Secret)
	must(t, err)
	to, err := net.ResolveUDPAddr("udp", addr)
	must(t, err)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = socket.Close() })
	tap := &wiretap{PacketConn: socket}
	c, err := piondtls.ClientWithOptions(tap, to, piondtls.WithPSK(func([]byte) ([]byte, error) { return key, nil }),
		piondtls.WithPSKIdentityHint([]byte(keyDevice)), piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, c.HandshakeContext(ctx))
	tell(t, c, 7, `{"battery.level":80}`)
	captured := tap.all()
	if len(captured) < 4 {
		t.Fatalf("only %d datagrams were captured", len(captured))
	}
	// From the device's own address, as one who stands in the way can, and from elsewhere.
	elsewhere, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = elsewhere.Close() })
	for range 3 {
		for _, datagram := range captured {
			_, err := elsewhere.WriteTo(datagram, to)
			must(t, err)
		}
	}
	for range 3 {
		_, err := socket.WriteTo(captured[len(captured)-1], to) // the report itself
		must(t, err)
	}
	// The session goes on, and what it says next shows that the gateway has had all before it.
	tell(t, c, 8, `{"battery.level":79}`)
	l := g.balanced(t)
	if processed, duplicate, ignored, quarantined, accepted := sum(l); accepted != 2 || processed != 2 || duplicate+ignored+quarantined != 0 {
		t.Errorf("%d accepted, %d processed, %d duplicates: want the two reports of the device alone", accepted, processed, duplicate)
	}
	metrics(t, g, "gridgate_coap_handshakes_total 1")
}

func TestAttackAReplayedAnswerSpeaksForItsOwnQuestionOnce(t *testing.T) {
	type letter struct {
		head http.Header
		body []byte
	}
	letters := make(chan letter, 16)
	crew := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err == nil && bytes.Contains(b, []byte("permit.question")) {
			letters <- letter{r.Header.Clone(), b}
		}
	}))
	t.Cleanup(crew.Close)
	g := newGateway(t)
	g.start(t)
	g.put(t, fmt.Sprintf(windowRegistry, crew.URL))
	_, err := g.api.OpenWindow(t.Context(), api.NewWindow{Kind: grid.WindowPermit, Points: []string{"pit-1"}, For: "1h", Holder: "drains", By: &api.As{Name: "chen"}}, "")
	must(t, err)
	connect(t, g.broker).send(t, "gridgate/up/sn:pit-1", []byte(`{"manhole.open":true,"seq":1}`))
	var got letter
	select {
	case got = <-letters:
	case <-time.After(30 * time.Second):
		t.Fatal("the crew was not asked")
	}
	// The signature is over id, time and body: who replays the letter cannot make it younger.
	if got.head.Get("webhook-signature") != "" {
		hook, err := webhooks.NewWebhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		must(t, err)
		must(t, hook.Verify(got.body, got.head))
		for _, name := range []string{"webhook-timestamp", "webhook-id"} {
			forged := got.head.Clone()
			forged.Set(name, fmt.Sprint(time.Now().Add(time.Minute).Unix()))
			if hook.Verify(got.body, forged) == nil {
				t.Errorf("a letter with another %s is believed", name)
			}
		}
	} else {
		t.Error("the letter is not signed")
	}
	var e struct {
		Data map[string]any `json:"data"`
	}
	must(t, json.Unmarshal(got.body, &e))
	answer := func(token string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprint(e.Data["callback_url"]), strings.NewReader(`{"answer":"yes"}`))
		must(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "captured")
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	if code := answer("token-of-drains"); code != http.StatusOK {
		t.Fatalf("the answer: %d", code)
	}
	for range 5 {
		if code := answer("token-of-drains"); code != http.StatusOK { // the same word again is the same answer
			t.Errorf("a repeated answer: %d", code)
		}
	}
	if code := answer("another-token"); code != http.StatusUnauthorized {
		t.Errorf("a captured answer with another token: %d", code)
	}
	if n := len(all[grid.Ticket](t, g, "tickets", api.Query{})); n != 0 {
		t.Errorf("%d tickets, want none", n)
	}
	g.balanced(t)
}

func TestAStrangerIsOnlyDiscoveredOverMQTTAndCoAP(t *testing.T) {
	udp := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {listen: "+udp+"}")
	g.start(t)
	g.put(t, keyRegistry)
	wire := connect(t, g.broker)
	for i := range 300 {
		wire.send(t, fmt.Sprintf("gridgate/up/sn:stranger-%d", i), []byte(`{"door.open":true}`))
	}
	if code := postsPlain(t, udp, "sn:coap-stranger"); code != codes.Changed {
		t.Errorf("coap: %v", code)
	}
	g.settled(t)
	if n := len(all[grid.Device](t, g, "devices", api.Query{})); n != 2 {
		t.Errorf("%d devices: a stranger has become one of ours", n)
	}
	// One says fire: the operator is told, as nobody may be silent about that; no unit is.
	for _, k := range all[grid.Ticket](t, g, "tickets", api.Query{}) {
		if k.Type != grid.EventSafetyUnreadable || k.Point != "" {
			t.Errorf("a stranger has made a ticket %s at %q", k.Type, k.Point)
		}
	}
	for _, e := range all[grid.Event](t, g, "events", api.Query{}) {
		if e.Type != grid.EventSafetyUnreadable || e.Device != "sn:coap-stranger" {
			t.Errorf("the stranger %s has made the event %s", e.Device, e.Type)
		}
	}
	if n := len(all[grid.Delivery](t, g, "deliveries", api.Query{})); n != 0 {
		t.Errorf("strangers have made %d deliveries", n)
	}
	found := g.gridgate(t, "device", "list", "--discovered")
	if !strings.Contains(found, "sn:coap-stranger") || !strings.Contains(found, "sn:stranger-299") {
		t.Error("a stranger is not listed as discovered")
	}
	g.balanced(t)
}

// given is what looks like a secret that somebody has written down.
var given = regexp.MustCompile(`(?i)["']?\b(password|passwd|psk|token|api_?key|secret)["']?\s*[:=]\s*["']?([^\s"',}#]+)`)

// prose is a comment that is a sentence.
var prose = regexp.MustCompile(`^\s*#\s?[A-Z]`)

// TestNothingThatIsShippedHasAPassword: what is made at the first start is made by chance,
// and what a person sets a person sets.
func TestNothingThatIsShippedHasAPassword(t *testing.T) {
	looked := 0
	for _, dir := range []string{"../../configs", "../../deploy"} {
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".cases.yaml") {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			looked++
			for i, line := range strings.Split(string(b), "\n") {
				if prose.MatchString(line) {
					continue
				}
				for _, m := range given.FindAllStringSubmatch(line, -1) {
					if !placeholder(m[2]) {
						t.Errorf("%s:%d gives a %s: %s", path, i+1, m[1], strings.TrimSpace(line))
					}
				}
			}
			return nil
		}))
	}
	if looked < 10 {
		t.Errorf("only %d files were looked at", looked)
	}
	for _, known := range []string{"password: admin", `"secret": "s3cr3t"`, "TOKEN=abc123"} {
		if m := given.FindStringSubmatch(known); m == nil || placeholder(m[2]) {
			t.Errorf("%q would not be found", known)
		}
	}
}

// placeholder: a dash of the reader's own, a variable, a template, or a word that says what to do.
func placeholder(v string) bool {
	v = strings.TrimRight(v, ").;,")
	return v == "" || v == "…" || strings.ContainsAny(v, "${<(%") || v == "required" || v == "optional" || v == "true" || v == "false" || v == "none"
}
