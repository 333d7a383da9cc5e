package mqtt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"
)

// An inspection asks a broker what it can do for us, before we rely on it: on connections of its
// own, under client ids of its own, by messages to itself under $gridgate/check/. It subscribes to
// the configured topics too, and lets go of what comes.

const (
	inspectWithin = 40 * time.Second
	echoWithin    = 3 * time.Second
	takenWithin   = 5 * time.Second // whoever is thrown out by us is back by then: see Config.MaxBackoff
	wantedSession = 24 * time.Hour
	headroom      = 512 // of topic and header around a payload
)

// Finding is what a person should know of a broker, with what to do.
type Finding struct {
	Wrong bool // else it is a warning
	What  string
	Fix   string
}

// inspection is one look at a broker.
type inspection struct {
	t     *Transport
	id    string
	topic string        // of our messages to ourselves
	echo  time.Duration // how long one is waited for
	small bool          // the broker has said itself that packets must be
	found []Finding
}

func (i *inspection) wrong(fix, what string, args ...any) {
	i.found = append(i.found, Finding{true, fmt.Sprintf(what, args...), fix})
}

func (i *inspection) warn(fix, what string, args ...any) {
	i.found = append(i.found, Finding{false, fmt.Sprintf(what, args...), fix})
}

// Inspect looks at the broker of c. alone: no gateway runs by this configuration now, so that its
// queue is measured and its client id tried, which throws out whoever has it.
func Inspect(ctx context.Context, c Config, alone bool) []Finding {
	ctx, cancel := context.WithTimeout(ctx, inspectWithin)
	defer cancel()
	t := New(c, slog.New(slog.DiscardHandler))
	i := &inspection{t: t, id: t.cfg.ClientID + "-check", echo: echoWithin}
	i.topic = ownTopics + "check/" + t.cfg.ClientID
	if err := t.cfg.check(); err != nil {
		i.wrong("mend the entry", "%v", err)
		return i.found
	}
	if !i.hello(ctx) {
		return i.found
	}
	i.keepsSessions(ctx)
	i.messages(ctx)
	if alone {
		i.queue(ctx)
		i.taken(ctx)
	}
	return i.found
}

// hello connects by MQTT 5, whose broker tells its limits. One that has only 3.1.1 tells none.
func (i *inspection) hello(ctx context.Context) bool {
	c := &i.t.cfg
	ack, err := i.connack(ctx)
	switch {
	case err != nil && ack == nil:
		i.wrong("start it, or mend mqtt.url and the way to it (firewall, certificate)", "the broker at %s does not answer: %v", c.URL, err)
		return false
	case slices.Contains([]byte{packets.ErrBadUsernameOrPassword.Code, packets.ErrNotAuthorized.Code, packets.Err3NotAuthorized.Code, 4}, ack.ReasonCode):
		i.wrong("mend username and password_file, or let this user in at the broker", "the broker at %s refuses user %q", c.URL, c.Username)
		return false
	case ack.ReasonCode != 0:
		return true // by 3.1.1 it may be another matter: what follows tries it
	}
	p := &ack.Properties
	if p.MaximumQosFlag && p.MaximumQos < 1 {
		i.wrong("allow QoS 1 (Mosquitto: max_qos)", "the broker takes no message at QoS 1: what comes while the gateway is away or slow is lost")
	}
	if p.RetainAvailableFlag && p.RetainAvailable == 0 {
		i.warn("allow retained messages (Mosquitto: retain_available true)", "the broker keeps no retained messages: a status that was said before a connect is not known")
	}
	if most := p.MaximumPacketSize; most != 0 && int(most) < c.MaxPayload+headroom {
		i.small = true
		i.wrong(fmt.Sprintf("raise it to %d (Mosquitto: max_packet_size)", c.MaxPayload+headroom), "the broker takes packets of %d bytes, and frames may have %d", most, c.MaxPayload)
	}
	if p.SessionExpiryIntervalFlag && time.Duration(p.SessionExpiryInterval)*time.Second < wantedSession {
		i.wrong("raise it to a day or more (Mosquitto: persistent_client_expiration)", "the broker keeps a session for %s: what comes in a longer absence is lost", time.Duration(p.SessionExpiryInterval)*time.Second)
	}
	return true
}

// connack says hello by MQTT 5 and reads the answer. What the broker closes on without a word has
// no limits that it tells.
func (i *inspection) connack(ctx context.Context) (*packets.Packet, error) {
	c := &i.t.cfg
	conn, err := i.t.dial(ctx, func(error) {})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(c.ConnectTimeout)); err != nil {
		return nil, err
	}
	hello := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect}, ProtocolVersion: 5,
		Connect: packets.ConnectParams{
			ProtocolName: []byte("MQTT"), Clean: true, Keepalive: uint16(c.KeepAlive.Seconds()), ClientIdentifier: i.id,
			UsernameFlag: c.Username != "", Username: []byte(c.Username), PasswordFlag: c.Password != "", Password: []byte(c.Password),
		},
		Properties: packets.Properties{SessionExpiryInterval: uint32(7 * wantedSession / time.Second), SessionExpiryIntervalFlag: true},
	}
	var b bytes.Buffer
	if err := hello.ConnectEncode(&b); err != nil {
		return nil, err
	}
	if _, err := conn.Write(b.Bytes()); err != nil {
		return nil, err
	}
	var head [2]byte // of an answer that has less than 128 bytes
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return &packets.Packet{ReasonCode: packets.ErrUnsupportedProtocolVersion.Code}, err
	}
	body := make([]byte, head[1]&0x7f)
	if _, err := io.ReadFull(conn, body); err != nil || head[0] != packets.Connack<<4 || head[1] > 127 || len(body) < 2 {
		return &packets.Packet{ReasonCode: packets.ErrUnsupportedProtocolVersion.Code}, err
	}
	ack := &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connack, Remaining: len(body)}, ProtocolVersion: 5}
	if len(body) == 2 {
		ack.ProtocolVersion = 4
	}
	err = ack.ConnackDecode(body)
	return ack, err
}

// connect opens a connection by MQTT 3.1.1, as the gateway does. lost hears why it ended.
func (i *inspection) connect(ctx context.Context, id string, clean bool, take func(paho.Client, paho.Message)) (c paho.Client, kept bool, lost chan error, err error) {
	lost = make(chan error, 1)
	broken := func(err error) {
		select {
		case lost <- err:
		default:
		}
	}
	c = paho.NewClient(i.t.options(ctx, id, broken, func(*conn) {}).SetCleanSession(clean).SetDefaultPublishHandler(take))
	tok := c.Connect()
	if err := i.t.wait(ctx, lost, "connect", tok); err != nil {
		c.Disconnect(0)
		return nil, false, lost, err
	}
	return c, tok.(*paho.ConnectToken).SessionPresent(), lost, nil
}

func ignore(paho.Client, paho.Message) {}

// keepsSessions comes back to a session that was left.
func (i *inspection) keepsSessions(ctx context.Context) {
	for n := range 2 {
		c, kept, _, err := i.connect(ctx, i.id, false, ignore)
		if err != nil {
			i.wrong("look at the broker's log for why", "the broker does not let us in by MQTT 3.1.1: %v", err)
			return
		}
		c.Disconnect(100)
		if n == 1 && !kept {
			i.wrong("let it keep sessions (Mosquitto: persistent clients, and persistence true for its own restarts)", "the broker has forgotten a session that was left a moment ago: what comes while the gateway is away is lost")
		}
	}
}

// echo is what comes to us on one connection.
type echo struct {
	mu       sync.Mutex
	came     map[string]int  // by topic, the length of the last payload
	retained map[string]bool // it was kept for us
	news     chan struct{}
}

func (e *echo) take(_ paho.Client, m paho.Message) {
	if !strings.HasPrefix(m.Topic(), "$") {
		m.Ack() // a frame for somebody: this session is ours alone, it is no loss
		return
	}
	e.mu.Lock()
	e.came[m.Topic()] = len(m.Payload())
	e.retained[m.Topic()] = e.retained[m.Topic()] || m.Retained()
	e.mu.Unlock()
	m.Ack()
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// kept reports whether the broker had kept what came on a topic.
func (e *echo) kept(topic string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.retained[topic]
}

// await waits until something of that length has come on a topic.
func (e *echo) await(ctx context.Context, lost <-chan error, within time.Duration, topic string, n int) bool {
	patience := time.NewTimer(within)
	defer patience.Stop()
	for {
		e.mu.Lock()
		length, came := e.came[topic]
		e.mu.Unlock()
		if came && (n < 0 || length == n) {
			return true
		}
		select {
		case <-e.news:
		case <-lost:
			return false
		case <-patience.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// messages tries rights, QoS, retained messages and sizes.
func (i *inspection) messages(ctx context.Context) {
	e := &echo{came: map[string]int{}, retained: map[string]bool{}, news: make(chan struct{}, 1)}
	c, _, lost, err := i.connect(ctx, i.id, true, e.take)
	if err != nil {
		return // keepsSessions has said so
	}
	defer func() { c.Disconnect(100) }()
	i.subscriptions(ctx, c, lost)
	if i.t.cfg.SkipQueueCheck { // nothing may be said under $
		return
	}
	i.ownCount(ctx, c, lost, e)
	began, tok := time.Now(), c.Subscribe(i.topic, 1, nil)
	if err := i.t.wait(ctx, lost, "subscribe", tok); err != nil || tok.(*paho.SubscribeToken).Result()[i.topic] != 1 || !i.sent(ctx, c, lost, e, 16) {
		i.wrong(fmt.Sprintf("let user %q read and write %s# (Mosquitto: topic readwrite %s#)", i.t.cfg.Username, ownTopics, ownTopics), "what is published on %s does not come back: the gateway cannot see when the broker loses messages", i.topic)
		return
	}
	took := time.Since(began)
	i.keepsRetained(ctx, c, lost, e)
	i.sizes(ctx, took)
}

// subscriptions asks for what is configured, and looks at what is granted.
func (i *inspection) subscriptions(ctx context.Context, c paho.Client, lost <-chan error) {
	for _, topic := range i.t.cfg.Topics {
		tok := c.Subscribe(topic, 1, nil)
		if err := i.t.wait(ctx, lost, "subscribe", tok); err != nil {
			i.wrong("mend mqtt.topics, or let the user read it", "the subscription to %q ended in: %v", topic, err)
			return
		}
		switch code := tok.(*paho.SubscribeToken).Result()[topic]; code {
		case 1, 2:
		case 0:
			i.wrong("grant QoS 1 (Mosquitto: max_qos 1 or 2)", "the broker grants %q at QoS 0 alone: what comes while the gateway is away or slow is lost", topic)
		default:
			i.wrong(fmt.Sprintf("let user %q read it", i.t.cfg.Username), "the broker refuses the subscription to %q", topic)
		}
	}
}

// ownCount looks whether the broker tells what it drops.
func (i *inspection) ownCount(ctx context.Context, c paho.Client, lost <-chan error, e *echo) {
	tok := c.Subscribe(sysDropped, 0, nil)
	if err := i.t.wait(ctx, lost, "subscribe", tok); err != nil || !e.await(ctx, lost, echoWithin, sysDropped, -1) {
		i.warn(fmt.Sprintf("let user %q read $SYS/# (Mosquitto: topic read $SYS/#; sys_interval above 0); other brokers have no such count", i.t.cfg.Username), "the broker does not tell under %s what it drops", sysDropped)
	}
}

// sent publishes n bytes to ourselves and waits for them.
func (i *inspection) sent(ctx context.Context, c paho.Client, lost <-chan error, e *echo, n int) bool {
	tok := c.Publish(i.topic, 1, false, bytes.Repeat([]byte{'.'}, n))
	return i.t.wait(ctx, lost, "publish", tok) == nil && e.await(ctx, lost, i.echo, i.topic, n)
}

func (i *inspection) keepsRetained(ctx context.Context, c paho.Client, lost <-chan error, e *echo) {
	topic := i.topic + "/kept"
	if err := i.t.wait(ctx, lost, "publish", c.Publish(topic, 1, true, "kept")); err != nil {
		return
	}
	defer func() { _ = i.t.wait(ctx, lost, "publish", c.Publish(topic, 1, true, "")) }() // takes it away again
	if err := i.t.wait(ctx, lost, "subscribe", c.Subscribe(topic, 1, nil)); err != nil || !e.await(ctx, lost, echoWithin, topic, 4) || !e.kept(topic) {
		i.warn("allow retained messages (Mosquitto: retain_available true)", "the broker keeps no retained messages: a status that was said before a connect is not known")
	}
}

// sizes looks whether the largest frame gets through, and where it does not, how large one may be.
// A broker may end the connection over one, so that each try has its own. took is how long a small
// one took.
func (i *inspection) sizes(ctx context.Context, took time.Duration) {
	most := i.t.cfg.MaxPayload
	if i.small || i.passes(ctx, most) {
		return
	}
	i.echo = min(echoWithin, max(20*took, echoWithin/6))
	least := most / 2
	for least > 16 && ctx.Err() == nil && !i.passes(ctx, least) {
		most, least = least, least/2
	}
	i.wrong(fmt.Sprintf("raise it to %d (Mosquitto: message_size_limit 0, max_packet_size)", i.t.cfg.MaxPayload+headroom),
		"the broker takes a message of %d bytes and throws away one of %d, and frames may have %d", least, most, i.t.cfg.MaxPayload)
}

func (i *inspection) passes(ctx context.Context, n int) bool {
	e := &echo{came: map[string]int{}, retained: map[string]bool{}, news: make(chan struct{}, 1)}
	c, _, lost, err := i.connect(ctx, i.id, true, e.take)
	if err != nil {
		return false
	}
	defer c.Disconnect(100)
	if err := i.t.wait(ctx, lost, "subscribe", c.Subscribe(i.topic, 1, nil)); err != nil {
		return false
	}
	return i.sent(ctx, c, lost, e, n)
}

// queue measures what the broker keeps for us, as a gateway does once it runs.
func (i *inspection) queue(ctx context.Context) {
	if i.t.cfg.SkipQueueCheck {
		return
	}
	found, own, err := i.t.probe(ctx)
	i.t.measured(found, own, err)
	if note := i.t.Status().Queue.Note; note != "" {
		i.warn("docs/mqtt.md has the settings of Mosquitto", "%s", note)
	}
}

// taken connects under the gateway's own client id, and sees whether somebody throws us out.
func (i *inspection) taken(ctx context.Context) {
	c, _, lost, err := i.connect(ctx, i.t.cfg.ClientID, false, func(paho.Client, paho.Message) {}) // without a PUBACK it stays with the broker
	if err != nil {
		return
	}
	defer c.Disconnect(100)
	patience := time.NewTimer(takenWithin)
	defer patience.Stop()
	select {
	case <-lost:
		i.wrong("give each gateway a client_id of its own, and stop the other program", "somebody else connects to the broker as %q: each throws the other out, and frames go to one or the other", i.t.cfg.ClientID)
	case <-patience.C:
	case <-ctx.Done():
	}
}
