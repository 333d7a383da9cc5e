package simulator

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"gridgate/internal/grid"
)

// fireModels are detectors behind a transmission device of GB/T 26875.3.
var fireModels = [...]Model{
	{Profile: "gbt26875/transmitter", Name: "User information transmission device", Kind: grid.Smoke, Interval: 10 * time.Minute, Form: Fire, Wire: GBT26875,
		also: []grid.Kind{grid.Door}, encode: fireComponent},
	{Profile: "gbt26875/bcd", Name: "Transmission device with BCD times", Kind: grid.Smoke, Interval: 10 * time.Minute, Form: Fire, Wire: GBT26875, bcd: true,
		also: []grid.Kind{grid.Door}, encode: fireComponentBCD},
	{Profile: "gbt26875/dahua", Name: "Transmission device of Dahua", Kind: grid.Smoke, Interval: 10 * time.Minute, Form: Fire, Wire: GBT26875, bcd: true,
		also: []grid.Kind{grid.Door}, encode: fireComponentDahua},
}

// detectorsPerTransmitter share an address.
const detectorsPerTransmitter = 32

// Component types of the standard's table.
const (
	fireSmokeDetector = 40
	fireDoor          = 102
)

// fireComponent is a data unit with the state of one component: type 2, one object; system
// 1 at 1, component type, address (loop, number), 16 bits of state, 31 bytes of words, and
// when: second, minute, hour, day, month, year, in Beijing. State: 0 normal operation, 1
// fire, 2 fault, 3 shielded, 5 started, 8 power fault.
func fireComponent(s State, m memory, _ Why, now time.Time) (int, []byte) {
	kind := byte(fireSmokeDetector)
	state := uint16(1)
	if s.Test {
		state = 0
	}
	if m.kind == grid.Door {
		kind = fireDoor
		state |= uint16(bit(s.Open, 5))
	} else {
		state |= uint16(bit(s.Smoke || s.Heat, 1))
	}
	state |= uint16(bit(s.Fault || s.Removed, 2)) | uint16(bit(s.Mute, 3))
	if s.batteryLow() {
		state |= 1 << 8
	}
	b := make([]byte, 2+46)
	copy(b, []byte{2, 1, 1, 1, kind, 1, 0, byte(m.member + 1), 0})
	binary.LittleEndian.PutUint16(b[9:], state)
	copy(b[42:], beijing(now))
	return -1, b
}

// fireComponentBCD has its time in BCD.
func fireComponentBCD(s State, m memory, why Why, now time.Time) (int, []byte) {
	port, b := fireComponent(s, m, why, now)
	copy(b[42:], toBCD(b[42:]))
	return port, b
}

// fireComponentDahua: bit 0 is 1 in a test, bit 12 says that the detector is off its base, which
// is no fault of it.
func fireComponentDahua(s State, m memory, why Why, now time.Time) (int, []byte) {
	off := s.Removed
	s.Removed = false
	port, b := fireComponentBCD(s, m, why, now)
	state := binary.LittleEndian.Uint16(b[9:]) ^ 1
	if off {
		state |= 1 << 12
	}
	binary.LittleEndian.PutUint16(b[9:], state)
	return port, b
}

// toBCD writes each byte as two decimal digits.
func toBCD(b []byte) []byte {
	out := make([]byte, len(b))
	for i, n := range b {
		out[i] = n/10<<4 | n%10
	}
	return out
}

// beijing writes a time as GB/T 26875.3 does, in binary.
func beijing(at time.Time) []byte {
	at = at.In(time.FixedZone("", 8*3600))
	return []byte{byte(at.Second()), byte(at.Minute()), byte(at.Hour()), byte(at.Day()), byte(at.Month()), byte(at.Year() % 100)}
}

// GBT26875Config says how transmission devices reach the monitoring centre.
type GBT26875Config struct {
	Addr   string // host:port, TCP
	Window int
	Told   Told
	Now    func() time.Time // what their clocks show; nil: the message's time
}

// NewGBT26875 makes a Link of transmission devices, each with a connection of its own.
func NewGBT26875(cfg GBT26875Config) *Lanes {
	key := func(m Message) string { return m.Topic }
	return newLanes(window(cfg.Window), cfg.Told, key, func(address string) carrier {
		return &transmitter{cfg: &cfg, address: address}
	})
}

// transmitter is one transmission device.
type transmitter struct {
	cfg     *GBT26875Config
	address string
	conn    net.Conn
	serial  uint16
}

func (t *transmitter) close() {
	if t.conn != nil {
		t.conn.Close()
		t.conn = nil
	}
}

// confirmWait is how long a device waits for its confirmation before it repeats.
const confirmWait = 10 * time.Second

// carry sends a frame up to three times, as the standard has it.
func (t *transmitter) carry(ctx context.Context, m Message) error {
	if t.conn == nil {
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", t.cfg.Addr)
		if err != nil {
			return err
		}
		t.conn = conn
	}
	defer context.AfterFunc(ctx, func() { t.conn.SetDeadline(time.Unix(1, 0)) })()
	t.serial++
	source, err := strconv.ParseUint(t.address, 10, 48)
	if err != nil {
		return refused{err}
	}
	frame := fireFrame(t.serial, m.At, source, 2, m.Payload, m.bcd)
	for range 3 {
		t.conn.SetDeadline(time.Now().Add(confirmWait))
		if _, err = t.conn.Write(frame); err != nil {
			break
		}
		if err = t.confirmed(); err == nil {
			return nil
		}
		if !errors.Is(err, errNoConfirmation) {
			break
		}
	}
	t.close()
	return err
}

var errNoConfirmation = errors.New("no confirmation")

// confirmed reads until the answer to the newest frame comes.
func (t *transmitter) confirmed() error {
	for {
		command, serial, err := readFireFrame(t.conn)
		var late net.Error
		switch {
		case errors.As(err, &late) && late.Timeout():
			return errNoConfirmation
		case err != nil:
			return err
		case serial != t.serial:
			continue
		case command == 3:
			return nil
		case command == 6:
			return refused{fmt.Errorf("transmitter %s: frame %d is denied", t.address, serial)}
		}
	}
}

// fireFrame: @@, serial, version 1.1, when, source, destination 1, length of the unit,
// command, unit, sum, ##; numbers with the low byte first, the time by some makers in BCD.
func fireFrame(serial uint16, at time.Time, source uint64, command byte, unit []byte, bcd bool) []byte {
	b := append(le16([]byte{'@', '@'}, serial), 1, 1)
	when := beijing(at)
	if bcd {
		when = toBCD(when)
	}
	b = append(b, when...)
	for _, a := range []uint64{source, 1} {
		b = append(b, binary.LittleEndian.AppendUint64(nil, a)[:6]...)
	}
	b = append(append(le16(b, uint16(len(unit))), command), unit...)
	sum := byte(0)
	for _, c := range b[2:] {
		sum += c
	}
	return append(b, sum, '#', '#')
}

// readFireFrame reads one frame of the centre.
func readFireFrame(r io.Reader) (command byte, serial uint16, err error) {
	head := make([]byte, 27)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, 0, err
	}
	if head[0] != '@' || head[1] != '@' {
		return 0, 0, errors.New("the centre's answer begins with no @@")
	}
	_, err = io.ReadFull(r, make([]byte, int(binary.LittleEndian.Uint16(head[24:]))+3))
	return head[26], binary.LittleEndian.Uint16(head[2:]), err
}
