package simulator

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// arrival is a PUBLISH as a broker sees it.
type arrival struct {
	topic   string
	payload string
	dup     bool
}

// testBroker is as much of a broker as a publisher sees.
type testBroker struct {
	refuse     byte // CONNACK code
	breakAfter int  // hangs up at every n-th PUBLISH, without acknowledging it; 0: never

	mu      sync.Mutex
	arrived []arrival
}

func (b *testBroker) start(t *testing.T) Broker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); b.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return Broker{URL: "mqtt://" + l.Addr().String()}
}

func (b *testBroker) serve(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		kind, body, err := readWhole(r)
		if err != nil {
			return
		}
		switch kind & 0xF0 {
		case 0x10:
			c.Write([]byte{0x20, 2, 0, b.refuse})
		case 0x30:
			n := int(binary.BigEndian.Uint16(body))
			if !b.file(arrival{string(body[2 : 2+n]), string(body[4+n:]), kind&8 != 0}) {
				return
			}
			c.Write([]byte{0x40, 2, body[2+n], body[3+n]})
		}
	}
}

// file keeps an arrival; false: hang up.
func (b *testBroker) file(a arrival) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrived = append(b.arrived, a)
	return b.breakAfter == 0 || len(b.arrived)%b.breakAfter != 0
}

func (b *testBroker) all() []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.arrived)
}

// readWhole reads a packet of any size.
func readWhole(r *bufio.Reader) (kind byte, body []byte, err error) {
	if kind, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(r) // the same form as MQTT's remaining length
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return kind, body, err
}

// publishing runs a publisher for the length of a test.
func publishing(t *testing.T, b Broker, window int, acked func(Message)) *Publisher {
	t.Helper()
	p := NewPublisher(b, "test", window, acked, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

func number(n int) Message {
	return Message{Identity: grid.Identity(fmt.Sprint("n:", n)), Counter: uint32(n), Topic: fmt.Sprint("t/", n), Payload: []byte(fmt.Sprint(n))}
}

func publishAll(t *testing.T, p *Publisher, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for i := range n {
		if err := p.Publish(ctx, number(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotAcknowledgedIsSentAgainAndMarked(t *testing.T) {
	b := testBroker{breakAfter: 97}
	var mu sync.Mutex
	acked := map[uint32]int{}
	p := publishing(t, b.start(t), 20, func(m Message) { mu.Lock(); acked[m.Counter]++; mu.Unlock() })
	const n = 500
	publishAll(t, p, n)
	seen, again := map[string]bool{}, 0
	for _, a := range b.all() {
		if seen[a.topic] && !a.dup {
			t.Errorf("%s was sent again and is not marked", a.topic)
		}
		if a.dup {
			again++
		}
		seen[a.topic] = true
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != n || len(acked) != n {
		t.Errorf("%d of %d arrived, %d were acknowledged", len(seen), n, len(acked))
	}
	for c, times := range acked {
		if times != 1 {
			t.Errorf("message %d counts as acknowledged %d times", c, times)
		}
	}
	if again == 0 {
		t.Error("nothing was sent again: the test proves nothing")
	}
}

func TestAPublisherKeepsOrderAndItsWindow(t *testing.T) {
	b := testBroker{}
	p := publishing(t, b.start(t), 5, nil)
	publishAll(t, p, 200)
	for i, a := range b.all() {
		if a.payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, a.payload)
		}
	}
	if p.Sent.Load() != 200 || p.Acked.Load() != 200 || p.Resent.Load() != 0 {
		t.Errorf("sent %d, acknowledged %d, again %d", p.Sent.Load(), p.Acked.Load(), p.Resent.Load())
	}
}

func TestAWindowThatIsFullHoldsThePublisherBack(t *testing.T) {
	p := NewPublisher(Broker{URL: "mqtt://127.0.0.1:1"}, "test", 3, nil, nil) // nobody runs it
	for i := range 3 {
		if err := p.Publish(t.Context(), number(i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Publish(ctx, number(3)); err == nil {
		t.Error("a fourth message went into a window of three")
	}
}

func TestARefusedLoginIsSaidAtOnce(t *testing.T) {
	b := testBroker{refuse: 5}
	err := NewPublisher(b.start(t), "test", 1, nil, nil).Run(t.Context())
	if grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("err = %v, want unauthorized", err)
	}
	if err := NewPublisher(Broker{URL: "http://x"}, "test", 1, nil, nil).Run(t.Context()); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("err = %v, want invalid", err)
	}
}

func TestPublishingToARealMosquitto(t *testing.T) {
	broker := mosquitto(t)
	p := publishing(t, broker, 100, nil)
	publishAll(t, p, 2000)
	if p.Acked.Load() != 2000 {
		t.Errorf("%d acknowledged", p.Acked.Load())
	}
	res, err := (&Load{Broker: broker, Profile: "netvox/ra02a", Envelope: "chirpstack", Devices: 100, Conns: 2, Window: 50, Alarms: 0.01, Count: 3001}).Run(t.Context())
	if err != nil || res.Acked != 3001 || res.Sent != 3001 {
		t.Errorf("bench: %+v, %v", res, err)
	}
}

// mosquitto starts a broker of its own on a free port.
func mosquitto(t *testing.T) Broker {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path = "/usr/sbin/mosquitto"; !exists(path) {
			if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" {
				t.Fatal("mosquitto is not installed")
			}
			t.Skip("mosquitto is not installed")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	conf := t.TempDir() + "/mosquitto.conf"
	if err := os.WriteFile(conf, fmt.Appendf(nil, "listener %d 127.0.0.1\nallow_anonymous true\n", addr.Port), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 100 {
		if c, err := net.Dial("tcp", addr.String()); err == nil {
			c.Close()
			return Broker{URL: "mqtt://" + addr.String()}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("mosquitto did not start")
	return Broker{}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }
