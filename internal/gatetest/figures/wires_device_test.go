package figures

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	piondtls "github.com/pion/dtls/v3"

	"gridgate/internal/gb26875"
)

// The lines of the field, in the order of their ports.
const transmitters, modbusLines, textLines = 3, 2, 3

// modbusUnits answer on each Modbus line.
const modbusUnits = 2

// door is the k-th report of a door contact; one in a hundred says open.
func door(i int, k uint32) []byte {
	open := byte(0)
	if (uint64(i)*7919+uint64(k)*104729)%10_000 < 100 {
		open = 1
	}
	return []byte{0x01, 0x75, byte(20 + k%80), 0x03, 0x00, open, 0x04, 0x00, 0x00}
}

// open connects everybody, some at a time, and lets the lines speak.
func (f *field) open(o *opening) error {
	mqtt, plain, keyed := &wire{name: "MQTT"}, &wire{name: "CoAP"}, &wire{name: "CoAP, DTLS"}
	err := errors.Join(
		f.dial(mqtt, o.MQTT, func(i int, id string) (device, error) { return dialMQTT(o.Broker, id, i) }),
		f.dial(plain, o.Plain, func(i int, id string) (device, error) {
			c, err := net.Dial("udp", o.UDP)
			return newCoAP(c, id, i), err
		}),
		f.dial(keyed, o.Keys, func(i int, id string) (device, error) {
			c, err := dialDTLS(o.DTLS, id, o.PSK)
			return newCoAP(c, id, i), err
		}))
	gb, modbus, text := &wire{name: "GB/T 26875.3", line: true}, &wire{name: "Modbus", line: true}, &wire{name: "text", line: true}
	for i, p := range f.ptys {
		switch {
		case i < transmitters:
			gb.devices = append(gb.devices, &transmitter{port: p, address: uint64(7001 + i)})
		case i < transmitters+modbusLines:
			units := newUnits(p)
			for u := range modbusUnits {
				modbus.devices = append(modbus.devices, &contact{units, u})
			}
		default:
			text.devices = append(text.devices, &talker{port: p, framed: i == len(f.ptys)-1})
		}
	}
	f.wires = append(f.wires, gb, modbus, text)
	return err
}

func (f *field) dial(w *wire, ids []string, dial func(i int, id string) (device, error)) error {
	w.devices = make([]device, len(ids))
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	at := make(chan struct{}, 16)
	for i, id := range ids {
		at <- struct{}{}
		wg.Go(func() {
			defer func() { <-at }()
			w.devices[i], errs[i] = dial(i, id)
		})
	}
	wg.Wait()
	f.wires = append(f.wires, w)
	return errors.Join(errs...)
}

// mqttDevice publishes at QoS 1, one message at a time, and holds a subscription to what it is told.
type mqttDevice struct {
	net.Conn
	i     int
	topic string
	id    uint16
}

func mqttPacket(first byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

func mqttString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func dialMQTT(addr, id string, i int) (device, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	connect := append(mqttString(nil, "MQTT"), 4, 2, 0x02, 0x58) // clean, keep alive 600 s
	subscribe := append(mqttString([]byte{0, 1}, "gridgate/down/"+id), 1)
	if _, err := c.Write(append(mqttPacket(0x10, mqttString(connect, id)), mqttPacket(0x82, subscribe)...)); err != nil {
		return nil, err
	}
	answers := make([]byte, 4+5)
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.ReadFull(c, answers); err != nil || answers[3] != 0 || answers[8] > 2 {
		return nil, fmt.Errorf("%s: CONNACK and SUBACK are %x: %w", id, answers, err)
	}
	return &mqttDevice{Conn: c, i: i, topic: "gridgate/up/" + id + "/85"}, nil
}

func (d *mqttDevice) report(k uint32) (int, error) {
	d.id = max(d.id+1, 1)
	body := binary.BigEndian.AppendUint16(mqttString(nil, d.topic), d.id)
	if _, err := d.Write(mqttPacket(0x32, append(body, door(d.i, k)...))); err != nil {
		return 0, err
	}
	ack := make([]byte, 4)
	_ = d.SetReadDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.ReadFull(d, ack); err != nil || ack[0] != 0x40 || binary.BigEndian.Uint16(ack[2:]) != d.id {
		return 0, fmt.Errorf("PUBACK is %x: %w", ack, err)
	}
	return 0, nil
}

// coapDevice sends confirmable messages and repeats them as RFC 7252 says, without its jitter.
type coapDevice struct {
	net.Conn
	i    int
	head []byte // with room for id and payload
	id   uint16
}

func newCoAP(c net.Conn, identity string, i int) device {
	head := []byte{0x42, 0x02, 0, 0, 0, 0, 0xB2, 'u', 'p'} // CON POST, token of two bytes, Uri-Path
	head = append(append(head, 0x0D, byte(len(identity)-13)), identity...)
	head = append(head, 0x11, 42, 0x37) // Content-Format: bytes; Uri-Query
	head = append(append(head, "port=85"...), 0xFF)
	return &coapDevice{Conn: c, i: 5000 + i, head: head}
}

func (d *coapDevice) report(k uint32) (repeats int, err error) {
	d.id++
	m := append(bytes.Clone(d.head), door(d.i, k)...)
	binary.BigEndian.PutUint16(m[2:], d.id)
	binary.BigEndian.PutUint16(m[4:], d.id)
	answer := make([]byte, 256)
	for wait := 2 * time.Second; wait < time.Minute; wait *= 2 {
		if _, err := d.Write(m); err != nil {
			return repeats, err
		}
		_ = d.SetReadDeadline(time.Now().Add(wait))
		for {
			n, err := d.Read(answer)
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				break
			}
			if err != nil {
				return repeats, err
			}
			if n >= 4 && binary.BigEndian.Uint16(answer[2:]) == d.id {
				if answer[1] != 0x44 {
					return repeats, fmt.Errorf("answer is %d.%02d: want 2.04", answer[1]>>5, answer[1]&31)
				}
				return repeats, nil
			}
		}
		repeats++
	}
	return repeats, fmt.Errorf("no answer after %d repeats", repeats)
}

func dialDTLS(addr, id, psk string) (net.Conn, error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c, err := piondtls.ClientWithOptions(socket, to,
		piondtls.WithPSK(func([]byte) ([]byte, error) { return hex.DecodeString(psk) }),
		piondtls.WithPSKIdentityHint([]byte(id)), piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return c, c.HandshakeContext(ctx)
}

// port is our end of a pseudo-terminal; the gateway opens the other.
type port struct{ *os.File }

// plug makes the ports and says what they are called.
func (f *field) plug() (names []string, err error) {
	for range transmitters + modbusLines + textLines {
		ours, theirs, err := pty.Open()
		if err != nil {
			return nil, err
		}
		fd, err := syscall.Dup(int(ours.Fd())) // a file whose reads know deadlines
		if err != nil {
			return nil, err
		}
		_ = ours.Close()
		if err := syscall.SetNonblock(fd, true); err != nil {
			return nil, err
		}
		names = append(names, theirs.Name())
		_ = theirs.Close()
		f.ptys = append(f.ptys, &port{os.NewFile(uintptr(fd), theirs.Name())})
	}
	return names, nil
}

// transmitter reports the state of a detector, and repeats what is not confirmed in 10 s.
type transmitter struct {
	*port
	address uint64
	serial  uint16
}

func (t *transmitter) report(uint32) (repeats int, err error) {
	t.serial++
	now := gb26875.Encoding{Zone: gb26875.Beijing}.Put(time.Now())
	unit := make([]byte, 2+46)
	copy(unit, []byte{gb26875.ComponentState, 1, 1, 3, 40, 12, 0, 7, 0, 1}) // normal
	copy(unit[42:], now[:])
	frame := gb26875.Append(nil, gb26875.Frame{Serial: t.serial, Version: 1, Sent: now, Source: t.address, Destination: 1, Command: gb26875.Send, Unit: unit})
	for ; repeats < 4; repeats++ {
		if _, err := t.Write(frame); err != nil {
			return repeats, err
		}
		answer := make([]byte, gb26875.MinSize)
		_ = t.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(t, answer); err != nil {
			continue
		}
		if f, err := gb26875.Parse(answer); err != nil || f.Command != gb26875.Confirm || f.Serial != t.serial {
			return repeats, fmt.Errorf("answered %x, %w: want a confirmation of %d", answer, err, t.serial)
		}
		return repeats, nil
	}
	return repeats, errors.New("not confirmed")
}

// talker writes JSON as a line, or between STX and ETX. Nothing is acknowledged.
type talker struct {
	*port
	framed bool
}

func (t *talker) report(k uint32) (int, error) {
	text := fmt.Sprintf(`{"seq":%d,"door.open":false,"battery.level":%d}`, k+1, 20+k%80)
	if t.framed {
		text = "\x02" + text + "\x03"
	} else {
		text += "\r\n"
	}
	_, err := io.Copy(t, strings.NewReader(text))
	return 0, err
}

// units answer on one Modbus line when they are asked for their inputs.
type units struct {
	port *port
	mu   sync.Mutex
	on   [modbusUnits]bool
	read [modbusUnits]chan struct{} // an answer was made
}

func newUnits(p *port) *units {
	u := &units{port: p}
	for i := range u.read {
		u.read[i] = make(chan struct{}, 1)
	}
	go u.serve() // ends with the process
	return u
}

func (u *units) serve() {
	ask := make([]byte, 8)
	for {
		n, err := io.ReadFull(u.port, ask)
		if err != nil && n == 0 { // nobody has it open yet
			time.Sleep(20 * time.Millisecond)
			continue
		}
		i := int(ask[0]) - 1
		if i < 0 || i >= modbusUnits {
			continue
		}
		answer := []byte{ask[0], ask[1], 1, 0}
		u.mu.Lock()
		if u.on[i] {
			answer[3] = 1
		}
		select {
		case u.read[i] <- struct{}{}:
		default:
		}
		u.mu.Unlock()
		_, _ = u.port.Write(binary.LittleEndian.AppendUint16(answer, crc16(answer)))
	}
}

// crc16 is that of Modbus RTU.
func crc16(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			low := crc & 1
			if crc >>= 1; low == 1 {
				crc ^= 0xA001
			}
		}
	}
	return crc
}

// contact is an input of a unit: its report is a change, and the master's next reading is the acknowledgement.
type contact struct {
	*units
	i int
}

func (c *contact) report(uint32) (int, error) {
	c.mu.Lock()
	c.on[c.i] = !c.on[c.i]
	select {
	case <-c.read[c.i]:
	default:
	}
	c.mu.Unlock()
	select {
	case <-c.read[c.i]:
		return 0, nil
	case <-time.After(20 * time.Second):
		return 0, fmt.Errorf("unit %d is not asked", c.i+1)
	}
}
