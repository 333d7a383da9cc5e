package broker

import (
	"io"
	"net"
	"testing"
	"time"

	"gridgate/internal/envelope"
	"gridgate/internal/gatetest"
)

// FuzzConnection: whatever bytes a client sends, before its login or after, the broker takes
// the next one's frame.
func FuzzConnection(f *testing.F) {
	up := "gridgate/up/sn:1"
	for _, b := range [][]byte{
		{}, {0x10}, {0xff, 0xff, 0xff, 0xff, 0x7f}, {0x10, 0xff, 0xff, 0xff, 0xff}, {0xc0, 0}, {0xe0, 0}, {0x40, 2, 0, 1}, {0x82, 0},
		publishPacket(4, 1, false, false, up, 1, "x"), publishPacket(5, 1, true, true, up, 1, ""), publishPacket(4, 2, false, false, up, 1, "x"),
		publishPacket(4, 0, false, false, "", 0, ""), publishPacket(4, 1, false, false, "a/#", 0, "x"), subscribePacket("$share//#", 1), subscribePacket("#", 2),
		connectPacket(rawConnect{version: 5, id: "x", user: "u", pass: "p", willTopic: "#", will: "x", receiveMaximum: 1}), packet(0x30, []byte{0, 9, 'x'}),
	} {
		f.Add(b, true, false)
		f.Add(b, true, true)
		f.Add(b, false, false)
	}
	var in gatetest.Inbox
	b, _ := start(f, Config{MaxPacket: 64 << 10, Flapping: 1 << 20, Users: []User{{Name: "u", Password: "p"}, {Name: "well", Password: "p"}}, Uplinks: envelope.Topics(),
		Identify: envelope.NewRouter(1000).Identify, Remember: envelope.NewMemory().Remember}, &in)
	f.Fuzz(func(t *testing.T, raw []byte, login, five bool) {
		c, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if login {
			version := byte(4)
			if five {
				version = 5
			}
			_, _ = c.Write(connectPacket(rawConnect{version: version, id: "fuzz", user: "u", pass: "p"}))
		}
		_, _ = c.Write(raw)
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && !ended(err) {
			t.Fatalf("the broker does not end a connection that has ended: %v", err)
		}
		well := dial(t, b, rawConnect{version: 4, id: "well", user: "well", pass: "p"})
		well.write(t, publishPacket(4, 1, false, false, "gridgate/up/sn:well", 1, "x"))
		gatetest.Eventually(t, "the PUBACK", func() bool { return len(well.Acked()) == 1 })
		_ = well.Close()
	})
}

// ended says that the other side ended the connection, by whatever means.
func ended(err error) bool {
	ne, ok := err.(net.Error)
	return !ok || !ne.Timeout()
}
