package mqtt

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"gridgate/internal/envelope"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// message is one as the broker delivers it.
type message struct {
	topic              string
	payload            []byte
	qos                byte
	retained, repeated bool
}

func (m message) Duplicate() bool   { return m.repeated }
func (m message) Qos() byte         { return m.qos }
func (m message) Retained() bool    { return m.retained }
func (m message) Topic() string     { return m.topic }
func (m message) MessageID() uint16 { return 7 }
func (m message) Payload() []byte   { return m.payload }
func (m message) Ack()              {}

// FuzzMessage: whatever topic and payload come, there is one frame with the payload as it
// came or, over the limit, its beginning; our own topics make none; and every message at
// QoS 1 is acknowledged.
func FuzzMessage(f *testing.F) {
	for _, topic := range []string{
		topic, "gridgate/status/sn:1", "gridgate/up/modbus:p%2F1/85", "gridgate/up/", "gridgate/up/%zz", "", "$", "$SYS/broker/publish/messages/dropped",
		"$gridgate/count/gridgate-mqtt", "gridgate/canary/gridgate-mqtt", "gridgate/canary/x", "application/1/device/24e124136b502217/event/up",
		"zigbee2mqtt/bridge/devices", "spBv1.0/g/DDATA/n/d", "tele/x/LWT", "v3/a@t/devices/d/up", "\xff/\x00",
	} {
		for _, payload := range []string{"", "7", "online", `{"door.open":true}`, "x 1", "\x00\xff", strings.Repeat("x", 3000)} {
			f.Add(topic, []byte(payload), byte(1), false, false)
		}
	}
	var in gatetest.Inbox
	tr := New(Config{URL: "mqtt://x", MaxPayload: 2048, Identify: envelope.NewRouter(1000).Identify, Remember: envelope.NewMemory().Remember}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	f.Cleanup(cancel)
	go tr.window.Run(ctx, &in)
	go tr.unacked.Run(ctx, &in)
	ours, broker := net.Pipe()
	defer ours.Close()
	pubacks := make(chan []byte)
	go func() {
		for {
			b := make([]byte, 4)
			if _, err := io.ReadFull(broker, b); err != nil {
				return
			}
			pubacks <- b
		}
	}()
	l := tr.newLink(ctx)
	l.conn.Store(&conn{Conn: ours, broken: l.broken})
	seen := 0
	f.Fuzz(func(t *testing.T, topic string, payload []byte, qos byte, retained, repeated bool) {
		m := message{topic, bytes.Clone(payload), qos % 2, retained, repeated}
		l.receive(nil, m)
		if m.qos > 0 {
			if got := <-pubacks; !bytes.Equal(got, []byte{0x40, 2, 0, 7}) {
				t.Fatalf("PUBACK is %x", got)
			}
		}
		own := strings.HasPrefix(topic, "$") || strings.HasPrefix(topic, "gridgate/canary/")
		if own {
			if n := len(in.Frames()); n != seen {
				t.Fatalf("%q made a frame", topic)
			}
			return
		}
		seen++
		frame := in.Wait(t, seen)[seen-1]
		kept := payload
		if len(payload) > 2048 {
			kept = payload[:1024]
		}
		if !bytes.Equal(frame.Raw, kept) || (frame.Flags&grid.Refused != 0) != (len(payload) > 2048) || !strings.HasPrefix(frame.Address, topic) && frame.Identity != "" && frame.Flags&grid.Marker == 0 {
			t.Fatalf("frame of %q %q is %+v", topic, payload, frame)
		}
		if frame.Identity == "" && frame.Note == "" && frame.Flags&grid.Marker == 0 {
			t.Fatalf("%q: neither an identity nor a reason", topic)
		}
	})
}
