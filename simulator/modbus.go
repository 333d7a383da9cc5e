package simulator

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// slavesPerLine is how many Modbus slaves share a line.
const slavesPerLine = 16

// lineModels are what hangs on lines: Modbus slaves and panels that print.
var lineModels = [...]Model{
	{Profile: "modbus/smoke", Name: "Smoke detector with RS-485", Kind: grid.Smoke, Interval: time.Minute, Form: Register, Wire: Modbus, encode: modbusSmoke},
	{Profile: "modbus/pit-alarm", Name: "Pit alarm", Kind: grid.Manhole, Interval: time.Minute, Form: Register, Wire: Modbus, encode: modbusPit},
	{Profile: "gridgate/lines", Name: "Fire panel", Kind: grid.Smoke, Interval: 24 * time.Hour, Form: Text, Wire: Lines, encode: panelLine},
}

// registers are what a slave answers to one request: function, first address, count, data.
func registers(function byte, start, count uint16, data ...byte) []byte {
	return append(be16(be16([]byte{function}, start), count), data...)
}

// modbusSmoke: holding register 3 is 1 with smoke.
func modbusSmoke(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	return -1, registers(3, 3, 1, 0, bit(s.Smoke, 0))
}

// modbusPit: input 0 closes in high water, input 1 is closed when the cover is.
func modbusPit(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	return -1, registers(2, 0, 2, bit(s.flooded(), 0)|bit(!s.Open, 1))
}

// panelLine is what a panel prints of a detector: loop 1, its number, and what it is.
func panelLine(s State, m memory, _ Why, now time.Time) (int, []byte) {
	word := "RESTORE"
	switch {
	case s.Smoke:
		word = "FIRE"
	case s.Heat:
		word = "HEAT"
	case s.Removed:
		word = "REMOVED"
	case s.Test:
		word = "TEST"
	case s.Fault:
		word = "FAULT"
	}
	return -1, fmt.Appendf(nil, "%s L1-%03d %s", word, m.member+1, now.In(time.FixedZone("", 8*3600)).Format("2006/01/02 15:04:05"))
}

// fromExchange takes a request and its answer, as cases of Modbus profiles have them,
// for what a slave holds; false: it is none.
func fromExchange(spaced string) (image []byte, ok bool) {
	request, answer, two := strings.Cut(strings.TrimSpace(spaced), " ")
	a, err := hex.DecodeString(request)
	b, err2 := hex.DecodeString(strings.ReplaceAll(answer, " ", ""))
	if !two || err != nil || err2 != nil || len(a) != 8 || len(b) < 6 || b[1] != a[1] || int(b[2])+5 != len(b) {
		return nil, false
	}
	return append(append([]byte{a[1]}, a[2:6]...), b[3:len(b)-2]...), true
}

// LinesConfig says where lines are.
type LinesConfig struct {
	// Open opens a line by its name, for example a new pseudo-terminal.
	Open   func(name string) (io.ReadWriteCloser, error)
	Names  []string // lines that are there from the beginning; others come with their first message
	Window int
	Told   Told
	// Obey, if not nil, takes what is written to registers of a Modbus slave.
	Obey func(line string, address byte, o Order) error
}

// NewLines makes a Link that prints lines: written is all that can be known.
func NewLines(cfg LinesConfig) *Lanes {
	key := func(m Message) string { return m.Topic }
	l := newLanes(max(window(cfg.Window), len(cfg.Names)), cfg.Told, key, func(name string) carrier {
		p := &printer{cfg: &cfg, name: name}
		p.line, _ = cfg.Open(name) // it is tried again with the first line
		return p
	})
	for _, name := range cfg.Names {
		l.begin(name)
	}
	return l
}

type printer struct {
	cfg  *LinesConfig
	name string
	line io.ReadWriteCloser
}

func (p *printer) close() {
	if p.line != nil {
		p.line.Close()
		p.line = nil
	}
}

func (p *printer) carry(_ context.Context, m Message) (err error) {
	if p.line == nil {
		if p.line, err = p.cfg.Open(p.name); err != nil {
			return err
		}
	}
	if _, err = p.line.Write(append(append([]byte(nil), m.Payload...), '\r', '\n')); err != nil {
		p.close()
	}
	return err
}

// ModbusLines is a Link whose slaves hold what the messages say, and answer when they are
// asked. A message is acknowledged when what it says has been read.
type ModbusLines struct {
	cfg LinesConfig

	mu      sync.Mutex
	lines   map[string]*bus
	started chan *bus
	pending int
}

// bus is one line with its slaves.
type bus struct {
	name   string
	mu     sync.Mutex
	slaves map[byte]*slave
}

// slave is one address.
type slave struct {
	image []byte // as registers makes it
	open  []Message
}

// NewModbus makes lines of Modbus RTU slaves.
func NewModbus(cfg LinesConfig) *ModbusLines {
	if cfg.Told.Acked == nil {
		cfg.Told.Acked = func(Message) {}
	}
	l := &ModbusLines{cfg: cfg, lines: map[string]*bus{}, started: make(chan *bus, max(1024, len(cfg.Names)))}
	for _, name := range cfg.Names {
		b := &bus{name: name, slaves: map[byte]*slave{}}
		l.lines[name] = b
		l.started <- b
	}
	return l
}

// Publish puts what a message says into its slave.
func (l *ModbusLines) Publish(ctx context.Context, m Message) error {
	name, address, _ := strings.Cut(m.Topic, "/")
	var n byte
	if _, err := fmt.Sscan(address, &n); err != nil || len(m.Payload) < 6 {
		return grid.Errorf(grid.Invalid, "topic is %q with %d bytes: want line/address, and registers", m.Topic, len(m.Payload))
	}
	l.mu.Lock()
	b := l.lines[name]
	fresh := b == nil
	if fresh {
		b = &bus{name: name, slaves: map[byte]*slave{}}
		l.lines[name] = b
	}
	l.pending++
	l.mu.Unlock()
	b.mu.Lock()
	s := b.slaves[n]
	if s == nil {
		s = &slave{}
		b.slaves[n] = s
	}
	s.image = m.Payload
	s.open = append(s.open, m)
	b.mu.Unlock()
	if fresh {
		select {
		case l.started <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Pending counts what has not been read.
func (l *ModbusLines) Pending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending
}

// Drain waits until everything has been read.
func (l *ModbusLines) Drain(ctx context.Context) error {
	for l.Pending() > 0 {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return grid.Errorf(grid.Unavailable, "%d messages have not been read", l.Pending())
		}
	}
	return nil
}

// Run answers until ctx is done.
func (l *ModbusLines) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case b := <-l.started:
			wg.Go(func() { l.serve(ctx, b) })
		}
	}
}

// serve keeps a line open.
func (l *ModbusLines) serve(ctx context.Context, b *bus) {
	for ctx.Err() == nil {
		line, err := l.cfg.Open(b.name)
		if err == nil {
			stop := context.AfterFunc(ctx, func() { line.Close() })
			err = l.answer(line, b)
			stop()
			line.Close()
		}
		if err != nil && sleep(ctx, 500*time.Millisecond) != nil {
			return
		}
	}
}

// requestLen is how long a request is: of writing many registers (16) it says so itself; 0: more
// of it must come.
func requestLen(got []byte) int {
	switch {
	case len(got) < 8:
		return 0
	case got[1] != 16:
		return 8
	case len(got) < 9+int(got[6]):
		return 0
	}
	return 9 + int(got[6])
}

// answer reads requests and answers them; anything else is skipped byte by byte.
func (l *ModbusLines) answer(line io.ReadWriter, b *bus) error {
	var got []byte
	buf := make([]byte, 256)
	for {
		n, err := line.Read(buf)
		if err != nil {
			return err
		}
		got = append(got, buf[:n]...)
		for n := requestLen(got); n > 0; n = requestLen(got) {
			if binary.LittleEndian.Uint16(got[n-2:]) != modbusCRC(got[:n-2]) {
				got = got[1:]
				continue
			}
			if out := l.reply(b, got[:n]); out != nil {
				if _, err := line.Write(out); err != nil {
					return err
				}
			}
			got = got[n:]
		}
	}
}

// reply is what a slave says to a request; nil: there is none with this address.
func (l *ModbusLines) reply(b *bus, request []byte) []byte {
	b.mu.Lock()
	s := b.slaves[request[0]]
	if s == nil {
		b.mu.Unlock()
		return nil
	}
	if request[1] == 6 || request[1] == 16 {
		b.mu.Unlock()
		return l.write(b, request)
	}
	var read []Message
	out := []byte{request[0], request[1] | 0x80, 2} // illegal data address
	if string(s.image[:5]) == string(request[1:6]) {
		data := s.image[5:]
		out = append([]byte{request[0], request[1], byte(len(data))}, data...)
		read, s.open = s.open, nil
	}
	b.mu.Unlock()
	for _, m := range read {
		l.cfg.Told.Acked(m)
	}
	l.mu.Lock()
	l.pending -= len(read)
	l.mu.Unlock()
	return le16(out, modbusCRC(out))
}

// write has a slave do what is written to its registers, and echoes it.
func (l *ModbusLines) write(b *bus, request []byte) []byte {
	o := Order{Register: int(binary.BigEndian.Uint16(request[2:]))}
	if request[1] == 6 {
		o.Values = []uint16{binary.BigEndian.Uint16(request[4:])}
	} else {
		for data := request[7 : len(request)-2]; len(data) >= 2; data = data[2:] {
			o.Values = append(o.Values, binary.BigEndian.Uint16(data))
		}
	}
	out := append([]byte(nil), request[:6]...)
	if l.cfg.Obey == nil || o.Values == nil || l.cfg.Obey(b.name, request[0], o) != nil {
		out = []byte{request[0], request[1] | 0x80, 2} // illegal data address
	}
	return le16(out, modbusCRC(out))
}

// modbusCRC is CRC-16 of Modbus: polynomial A001, from FFFF.
func modbusCRC(b []byte) uint16 {
	crc := uint16(0xffff)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xa001
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}
