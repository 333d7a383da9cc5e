package broker

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// rawClient speaks MQTT byte by byte, so that a test sees exactly what is on the wire.
type rawClient struct {
	net.Conn
	version byte
	topic   string

	mu       sync.Mutex
	sent     map[uint16]string // payloads by packet id
	next     uint16
	acked    []string
	ackedIDs []uint16
	others   []rawPacket
	closed   bool
}

type rawPacket struct {
	first byte
	body  []byte
}

type rawConnect struct {
	version        byte
	id, user, pass string
	keepAlive      uint16
	keepSession    bool
	willTopic      string
	will           string
	receiveMaximum uint16 // MQTT 5; 0: not said
}

// dialRaw connects, and returns the CONNACK's code.
func dialRaw(t testing.TB, addr string, c rawConnect) (*rawClient, byte) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if _, err := nc.Write(connectPacket(c)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReaderSize(nc, 64<<10)
	_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	p, err := readRaw(r)
	_ = nc.SetReadDeadline(time.Time{})
	if err != nil {
		t.Fatalf("no CONNACK: %v", err)
	}
	rc := &rawClient{Conn: nc, version: c.version, topic: "gridgate/up/sn:" + c.id, sent: make(map[uint16]string)}
	if p.body[1] == 0 {
		go rc.read(r)
	}
	return rc, p.body[1]
}

func connectPacket(c rawConnect) []byte {
	flags := byte(0)
	body := str(nil, "MQTT")
	if !c.keepSession {
		flags |= 0x02
	}
	if c.willTopic != "" {
		flags |= 0x04
	}
	if c.user != "" {
		flags |= 0xC0
	}
	body = append(body, c.version, flags, byte(c.keepAlive>>8), byte(c.keepAlive))
	if c.version == 5 {
		props := []byte{0x11, 0, 0, 0, 60} // session expiry
		if c.receiveMaximum > 0 {
			props = append(props, 0x21, byte(c.receiveMaximum>>8), byte(c.receiveMaximum))
		}
		body = append(append(body, byte(len(props))), props...)
	}
	body = str(body, c.id)
	if c.willTopic != "" {
		if c.version == 5 {
			body = append(body, 0)
		}
		body = str(str(body, c.willTopic), c.will)
	}
	if c.user != "" {
		body = str(str(body, c.user), c.pass)
	}
	return packet(0x10, body)
}

func str(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func packet(first byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

func publishPacket(version, qos byte, dup, retain bool, topic string, id uint16, payload string) []byte {
	first := 0x30 | qos<<1
	if dup {
		first |= 8
	}
	if retain {
		first |= 1
	}
	body := str(nil, topic)
	if qos > 0 {
		body = binary.BigEndian.AppendUint16(body, id)
	}
	if version == 5 {
		body = append(body, 0)
	}
	return packet(first, append(body, payload...))
}

func readRaw(r *bufio.Reader) (rawPacket, error) {
	first, err := r.ReadByte()
	if err != nil {
		return rawPacket{}, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return rawPacket{}, err
	}
	body := make([]byte, n)
	_, err = io.ReadFull(r, body)
	return rawPacket{first, body}, err
}

func (c *rawClient) read(r *bufio.Reader) {
	for {
		p, err := readRaw(r)
		c.mu.Lock()
		switch {
		case err != nil:
			c.closed = true
			c.mu.Unlock()
			return
		case p.first>>4 == 4:
			id := binary.BigEndian.Uint16(p.body)
			c.acked = append(c.acked, c.sent[id])
			c.ackedIDs = append(c.ackedIDs, id)
		default:
			c.others = append(c.others, p)
		}
		c.mu.Unlock()
	}
}

// Send, Acked and Closed make it a gatetest.Peer.
func (c *rawClient) Send(t testing.TB, payload string) {
	c.mu.Lock()
	c.next++
	id := c.next
	c.sent[id] = payload
	c.mu.Unlock()
	c.write(t, publishPacket(c.version, 1, false, false, c.topic, id, payload))
}

func (c *rawClient) Acked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.acked...)
}

func (c *rawClient) AckedIDs() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.ackedIDs)
}

func (c *rawClient) Closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// got counts packets of a type other than PUBACK.
func (c *rawClient) got(kind byte) (ps []rawPacket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.others {
		if p.first>>4 == kind {
			ps = append(ps, p)
		}
	}
	return ps
}

func (c *rawClient) write(t testing.TB, b []byte) {
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(b); err != nil {
		t.Errorf("write: %v", err)
	}
}
