package simulator

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// run runs a link for the length of a test.
func run(t *testing.T, l Link) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// drain waits until all has ended.
func drain(t *testing.T, l Link) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := l.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

// coapServer answers each datagram by what a function says; nil is silence.
func coapServer(t *testing.T, answer func(n int, m coapMessage) []coapMessage) (addr string, all func() []coapMessage) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []coapMessage
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			m, err := decodeCoAP(append([]byte(nil), buf[:n]...))
			if err != nil {
				t.Errorf("%x: %v", buf[:n], err)
				continue
			}
			mu.Lock()
			got = append(got, m)
			k := len(got) - 1
			mu.Unlock()
			for _, a := range answer(k, m) {
				if _, err := conn.WriteTo(a.encode(), from); err != nil {
					t.Error(err)
				}
			}
		}
	})
	t.Cleanup(func() {
		conn.Close()
		wg.Wait()
	})
	return conn.LocalAddr().String(), func() []coapMessage {
		mu.Lock()
		defer mu.Unlock()
		return append([]coapMessage(nil), got...)
	}
}

func frame() Message {
	return Message{Wire: CoAP, Identity: "imei:1", Topic: "/up/imei:1?port=85", Format: octetStream, Payload: []byte{1, 2, 3}}
}

func TestWhatIsLostOnTheWayIsRepeatedWithTheSameNumberAndABusyGatewayIsAskedLater(t *testing.T) {
	addr, all := coapServer(t, func(n int, m coapMessage) []coapMessage {
		ack := coapMessage{kind: coapACK, code: codeChanged, id: m.id, token: m.token}
		switch n {
		case 0:
			return nil // lost
		case 1:
			ack.code = codeUnavailable
			ack.add(optMaxAge, []byte{0})
		}
		return []coapMessage{ack}
	})
	acked := 0
	l := NewCoAP(CoAPConfig{Addr: addr, Told: Told{Acked: func(Message) { acked++ }}})
	run(t, l)
	if err := l.Publish(t.Context(), frame()); err != nil {
		t.Fatal(err)
	}
	drain(t, l)
	got := all()
	if len(got) != 3 || acked != 1 {
		t.Fatalf("%d datagrams, %d acknowledged: want one lost, one refused for now, one taken", len(got), acked)
	}
	if got[0].id != got[1].id || !bytes.Equal(got[0].token, got[1].token) {
		t.Errorf("repeated as %d, was %d: want the same message", got[1].id, got[0].id)
	}
	if got[2].id == got[1].id {
		t.Error("after 5.03 it comes with the number that is answered already")
	}
	if m := got[2]; m.path(optUriPath) != "/up/imei:1" || m.path(optUriQuery) != "/port=85" || !bytes.Equal(m.payload, []byte{1, 2, 3}) {
		t.Errorf("POST %s?%s %x", m.path(optUriPath), m.path(optUriQuery), m.payload)
	}
}

func TestAnAnswerThatComesByItselfIsWaitedForAndAcknowledged(t *testing.T) {
	addr, all := coapServer(t, func(n int, m coapMessage) []coapMessage {
		if m.kind == coapACK {
			return nil
		}
		return []coapMessage{{kind: coapACK, id: m.id}, {kind: coapCON, code: codeChanged, id: 77, token: m.token}}
	})
	l := NewCoAP(CoAPConfig{Addr: addr})
	run(t, l)
	if err := l.Publish(t.Context(), frame()); err != nil {
		t.Fatal(err)
	}
	drain(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for len(all()) < 2 && ctx.Err() == nil {
		_ = sleep(ctx, 10*time.Millisecond)
	}
	if got := all(); len(got) != 2 || got[1].kind != coapACK || got[1].id != 77 {
		t.Errorf("got %+v: want the request and an acknowledgement of the answer", got)
	}
}

func TestWhatTheGatewayDoesNotWantIsToldAndNotRepeated(t *testing.T) {
	addr, all := coapServer(t, func(n int, m coapMessage) []coapMessage {
		return []coapMessage{{kind: coapACK, code: 0x81, id: m.id, token: m.token, payload: []byte("this device has a key")}}
	})
	var why error
	l := NewCoAP(CoAPConfig{Addr: addr, Told: Told{Refused: func(_ Message, err error) { why = err }}})
	run(t, l)
	if err := l.Publish(t.Context(), frame()); err != nil {
		t.Fatal(err)
	}
	drain(t, l)
	if len(all()) != 1 || why == nil || why.Error() != "4.01 this device has a key" {
		t.Errorf("%d datagrams, %v", len(all()), why)
	}
}

func TestCoAPOptionsOfAnyLengthComeBack(t *testing.T) {
	m := coapMessage{kind: coapCON, code: codePOST, id: 9, token: []byte("t")}
	m.add(optUriPath, bytes.Repeat([]byte("a"), 12))
	m.add(optUriPath, bytes.Repeat([]byte("b"), 13))
	m.add(optUriQuery, bytes.Repeat([]byte("c"), 300))
	m.add(2000, []byte{1})
	m.payload = []byte("x")
	got, err := decodeCoAP(m.encode())
	if err != nil || len(got.options) != 4 || got.options[2].number != optUriQuery || len(got.options[2].value) != 300 || got.options[3].number != 2000 || string(got.payload) != "x" {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range len(m.encode()) {
		_, _ = decodeCoAP(m.encode()[:n]) // does not panic
	}
}

func TestATransmitterRepeatsUntilItsFrameIsConfirmed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var serials []uint16
	served := make(chan struct{})
	go func() {
		defer close(served)
		for n := range 2 {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			head := make([]byte, 27+48+3)
			if _, err := c.Read(head); err != nil {
				t.Error(err)
			}
			serial := uint16(head[2]) | uint16(head[3])<<8
			serials = append(serials, serial)
			if n == 0 {
				c.Close() // the line breaks before the confirmation
				continue
			}
			if _, err := c.Write(fireFrame(serial, time.Now(), 1, 3, nil, false)); err != nil {
				t.Error(err)
			}
			defer c.Close()
		}
	}()
	l := NewGBT26875(GBT26875Config{Addr: listener.Addr().String()})
	run(t, l)
	_, unit := fireComponent(Normal(), memory{}, Edge, time.Now())
	if err := l.Publish(t.Context(), Message{Wire: GBT26875, Topic: "500000000", Payload: unit, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	drain(t, l)
	<-served
	if len(serials) != 2 || l.Acked.Load() != 1 || l.Retried.Load() != 1 {
		t.Errorf("frames %v, %d acknowledged, %d tried again", serials, l.Acked.Load(), l.Retried.Load())
	}
}

func TestAModbusSlaveAnswersWhatItsProfileAsksAndRefusesTheRest(t *testing.T) {
	var acked int
	l := NewModbus(LinesConfig{Told: Told{Acked: func(Message) { acked++ }}})
	_, image := modbusSmoke(State{Smoke: true}, memory{}, Edge, time.Now())
	if err := l.Publish(t.Context(), Message{Topic: "bus/5", Payload: image}); err != nil {
		t.Fatal(err)
	}
	b := l.lines["bus"]
	ask := func(hex ...byte) []byte { return l.reply(b, le16(hex, modbusCRC(hex))) }
	// A request and its answer as a public register map has them.
	if got := ask(5, 3, 0, 3, 0, 1); !bytes.Equal(got, []byte{5, 3, 2, 0, 1, 0x88, 0x44}) || acked != 1 || l.Pending() != 0 {
		t.Errorf("answered %x, %d acknowledged, %d pending", got, acked, l.Pending())
	}
	if got := ask(5, 3, 0, 9, 0, 1); len(got) != 5 || got[1] != 0x83 || got[2] != 2 {
		t.Errorf("another address: %x", got)
	}
	if got := ask(6, 3, 0, 3, 0, 1); got != nil {
		t.Errorf("another slave: %x", got)
	}
}
