package serial

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// The protocols of a line.
const (
	ModbusRTU = "modbus-rtu" // we ask, by a plan
	GBT26875  = "gbt26875"   // GB/T 26875.3: we are the monitoring centre
	Lines     = "lines"      // lines of text
	STXETX    = "stx-etx"    // text between a start and an end character
	Block     = "block"      // start, length, data, checksum, end
)

// protocols are the envelopes in which frames of a protocol go to the journal.
var protocols = map[string]string{ModbusRTU: "modbus", GBT26875: "gb26875", Lines: "lines", STXETX: "lines", Block: "lines"}

// Config of a line. Zero fields take the default.
type Config struct {
	Name string `yaml:"name"` // the source in the ledger, and a part of identities: do not rename lightly

	// Where the line is; one of them.
	Path    string `yaml:"path"`    // a serial port, best of all /dev/serial/by-id/…: it stays the same
	Connect string `yaml:"connect"` // tcp://host:port of a serial server
	Listen  string `yaml:"listen"`  // tcp://host:port or udp://host:port, where devices come to us

	Baud     int    `yaml:"baud"`      // default 9600
	DataBits int    `yaml:"data_bits"` // 7 or 8; default 8
	Parity   string `yaml:"parity"`    // none (default), even, odd
	StopBits int    `yaml:"stop_bits"` // 1 (default) or 2

	Protocol string        `yaml:"protocol"`  // modbus-rtu, gbt26875, lines, stx-etx, block
	Gap      time.Duration `yaml:"gap"`       // a frame whose rest stays away this long is broken off; default 1s
	MaxFrame int           `yaml:"max_frame"` // bytes of a line, text or block; default 1024

	Identity grid.Identity `yaml:"identity"` // who speaks lines, texts or blocks; default line:<name>
	Identify string        `yaml:"identify"` // or: a regular expression whose group is the name of the device
	Kind     string        `yaml:"kind"`     // of an identity by identify; default sn
	GBT26875 GBSettings    `yaml:"gbt26875"`
	Lines    LineSettings  `yaml:"lines"`
	STXETX   MarkSettings  `yaml:"stx_etx"`
	Block    BlockSettings `yaml:"block"`

	ResponseTimeout time.Duration `yaml:"response_timeout"` // of modbus-rtu: how long a slave may take; default 500ms
	Heartbeat       time.Duration `yaml:"heartbeat"`        // of modbus-rtu: an answer that stays the same is a frame this often; default the profile's interval
	Register        string        `yaml:"register"`         // of modbus-rtu that listens: a regular expression whose group is what a serial server calls itself
	Slaves          []Slave       `yaml:"-"`                // of modbus-rtu

	MaxPeers int           `yaml:"max_peers"` // of a listener; default 5000, a quarter of them from one address
	Idle     time.Duration `yaml:"idle"`      // a listener's connection that brings nothing this long is closed; default 5m

	GiveUp     time.Duration    `yaml:"-"` // a listener's connection whose frames cannot be stored this long is closed; default 30s
	MaxBackoff time.Duration    `yaml:"-"` // longest pause before the port is opened again; default 3s
	Waiting    int              `yaml:"-"` // frames that wait for the journal; default 4096
	Now        func() time.Time `yaml:"-"` // default time.Now
}

// GBSettings are how we speak to a maker's devices.
type GBSettings struct {
	Time     string `yaml:"time"`      // of our answers: binary (default) or bcd
	Zone     string `yaml:"zone"`      // of the device's clock; default +08:00
	Commands []int  `yaml:"commands"`  // the maker's own that we confirm, 0 or 7 to 255; others are denied
	SetClock bool   `yaml:"set_clock"` // of devices whose clock is off by more than a minute
}

// LineSettings are of the protocol lines.
type LineSettings struct {
	Start string `yaml:"start"` // every line begins so; what comes before is noise
}

// MarkSettings are of the protocol stx-etx.
type MarkSettings struct {
	Start    string `yaml:"start"`     // hexadecimal; default "02"
	End      string `yaml:"end"`       // hexadecimal; default "03"
	Check    string `yaml:"check"`     // a byte behind the end: none (default), sum, xor; over all from behind the start to the end
	EightBit bool   `yaml:"eight_bit"` // characters from 80 up are text, not noise
}

// BlockSettings are of the protocol block.
type BlockSettings struct {
	Start      string `yaml:"start"`       // hexadecimal, such as "68"
	End        string `yaml:"end"`         // hexadecimal, such as "16"; "": there is none
	LengthAt   int    `yaml:"length_at"`   // first byte of the length
	LengthSize int    `yaml:"length_size"` // 1 (default) or 2 bytes
	Order      string `yaml:"order"`       // of the length: big (default) or little
	Adds       int    `yaml:"adds"`        // bytes of a block that its length does not count
	Check      string `yaml:"check"`       // before the end: none, sum (default), xor, crc16
	CheckFrom  int    `yaml:"check_from"`  // first byte that the check covers; default 0
}

// Slave is a Modbus unit that is asked.
type Slave struct {
	Address   byte          // on the line
	DTU       string        // the serial server behind which it is, where several call us
	Identity  grid.Identity // default modbus:<name>/<address>, or modbus:<name>/<dtu>/<address>
	Polls     []Poll
	Heartbeat time.Duration // default that of the line, else the longest period of its polls
}

// Poll is one request to a slave.
type Poll struct {
	Function byte   // 1 to 4
	Start    uint16 // from 0
	Count    uint16 // bits or registers
	Every    time.Duration
	Address  byte // of the unit; 0: that of the slave
}

func orElse[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (c Config) withDefaults() Config {
	orElse(&c.Baud, 9600)
	orElse(&c.DataBits, 8)
	orElse(&c.Parity, "none")
	orElse(&c.StopBits, 1)
	orElse(&c.Gap, time.Second)
	orElse(&c.MaxFrame, 1024)
	if c.Identify == "" {
		orElse(&c.Identity, grid.Identity("line:"+c.Name))
	}
	orElse(&c.Kind, "sn")
	orElse(&c.GBT26875.Time, "binary")
	orElse(&c.GBT26875.Zone, "+08:00")
	orElse(&c.STXETX.Start, "02")
	orElse(&c.STXETX.End, "03")
	orElse(&c.STXETX.Check, CheckNone)
	orElse(&c.Block.LengthSize, 1)
	orElse(&c.Block.Order, "big")
	orElse(&c.Block.Check, CheckSum)
	if c.Listen != "" {
		orElse(&c.ResponseTimeout, 3*time.Second) // serial servers that call us do so by a mobile network
	}
	orElse(&c.ResponseTimeout, 500*time.Millisecond)
	orElse(&c.MaxPeers, 5000)
	orElse(&c.Idle, 5*time.Minute)
	orElse(&c.GiveUp, 30*time.Second)
	orElse(&c.MaxBackoff, 3*time.Second)
	orElse(&c.Waiting, 4096)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// bauds are the speeds that tarm/serial can set on Linux and people use.
var bauds = []int{300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600}

var (
	validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}$`)
	validDTU  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
)

// wishes collects what is wrong with a configuration.
type wishes []error

func (w *wishes) want(ok bool, format string, args ...any) {
	if !ok {
		*w = append(*w, fmt.Errorf(format, args...))
	}
}

// Check reports everything that is wrong, each naming the key and the wish.
func (c Config) Check() error {
	c = c.withDefaults()
	var w wishes
	w.want(validName.MatchString(c.Name), "name is %q: want small letters, digits, dots and dashes, at most 32: it is a part of identities", c.Name)
	c.checkPlace(&w)
	_, known := protocols[c.Protocol]
	w.want(known, "protocol is %q: want %s", c.Protocol, strings.Join(slices.Sorted(maps.Keys(protocols)), ", "))
	w.want(c.Gap >= 10*time.Millisecond && c.Gap <= time.Minute, "gap is %s: want 10ms to 1m", c.Gap)
	w.want(c.MaxFrame >= 8 && c.MaxFrame <= 65536, "max_frame is %d: want 8 to 65536", c.MaxFrame)
	w.want(c.MaxPeers >= 1 && c.MaxPeers <= 100_000, "max_peers is %d: want 1 to 100000", c.MaxPeers)
	w.want(c.Idle >= time.Second, "idle is %s: want 1s or more", c.Idle)
	c.checkProtocol(&w)
	return errors.Join(w...)
}

func (c *Config) checkPlace(w *wishes) {
	set := 0
	for _, s := range []string{c.Path, c.Connect, c.Listen} {
		if s != "" {
			set++
		}
	}
	w.want(set == 1, "want one of path, connect and listen")
	if c.Path != "" {
		w.want(slices.Contains(bauds, c.Baud), "baud is %d: want one of %v", c.Baud, bauds)
		w.want(c.DataBits == 7 || c.DataBits == 8, "data_bits is %d: want 7 or 8", c.DataBits)
		w.want(slices.Contains([]string{"none", "even", "odd"}, c.Parity), "parity is %q: want none, even or odd", c.Parity)
		w.want(c.StopBits == 1 || c.StopBits == 2, "stop_bits is %d: want 1 or 2", c.StopBits)
	}
	if c.Connect != "" {
		network, _, err := address(c.Connect)
		w.want(err == nil && network == "tcp", "connect is %q: want tcp://host:port", c.Connect)
	}
	if c.Listen != "" {
		network, _, err := address(c.Listen)
		w.want(err == nil, "listen is %q: want tcp://host:port or udp://host:port", c.Listen)
		w.want(c.Protocol != ModbusRTU || network != "udp", "listen is %q: want tcp://host:port for modbus-rtu", c.Listen)
	}
	w.want(c.Register == "" || c.Protocol == ModbusRTU && c.Listen != "", "register is for modbus-rtu on a line that listens")
}

// address takes tcp://host:port apart.
func address(s string) (network, host string, err error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", "", err
	}
	if u.Scheme != "tcp" && u.Scheme != "udp" || u.Path != "" {
		return "", "", fmt.Errorf("%q: want tcp://host:port or udp://host:port", s)
	}
	if _, _, err := net.SplitHostPort(u.Host); err != nil {
		return "", "", err
	}
	return u.Scheme, u.Host, nil
}

func (c *Config) checkProtocol(w *wishes) {
	switch c.Protocol {
	case GBT26875:
		_, err := c.GBT26875.encoding()
		w.want(err == nil, "gbt26875: %w", err)
		for _, n := range c.GBT26875.Commands {
			w.want(n == 0 || n >= 7 && n <= 255, "gbt26875.commands has %d: want what the standard leaves free: 0, 7 to 255", n)
		}
	case ModbusRTU:
		w.want(c.Heartbeat >= 0, "heartbeat is %s: want 0 (the profile's interval) or more", c.Heartbeat)
		w.want(c.ResponseTimeout >= 20*time.Millisecond && c.ResponseTimeout <= 10*time.Second, "response_timeout is %s: want 20ms to 10s", c.ResponseTimeout)
		c.checkSlaves(w)
	case STXETX, Block, Lines:
		_, err := c.cutter()
		w.want(err == nil, "%w", err)
	}
	if c.Identify != "" {
		re, err := regexp.Compile(c.Identify)
		w.want(err == nil && re.NumSubexp() == 1, "identify is %q: want a regular expression with one group", c.Identify)
		w.want(c.Identity == "", "identity and identify are both set: want one of them")
		w.want(c.Protocol == Lines || c.Protocol == STXETX, "identify is for lines and stx-etx")
	}
}

func (c *Config) checkSlaves(w *wishes) {
	seen, at := map[grid.Identity]bool{}, map[string]bool{}
	for i, s := range c.Slaves {
		id, place := s.identity(c.Name), fmt.Sprintf("%s/%d", s.DTU, s.Address)
		w.want(!seen[id], "slaves[%d]: %s is there already", i, id)
		w.want(!at[place] || seen[id], "slaves[%d].address is %d again: want one slave of an address", i, s.Address)
		seen[id], at[place] = true, true
		w.want(s.Address > 0, "slaves[%d].address is 0: want 1 to 255", i)
		w.want((s.DTU != "") == (c.Register != ""), "slaves[%d].dtu is %q: want the name of a serial server where register is set, and nowhere else", i, s.DTU)
		w.want(s.DTU == "" || validDTU.MatchString(s.DTU), "slaves[%d].dtu is %q: want small letters, digits, dots and dashes, at most 64", i, s.DTU)
		checkPolls(w, fmt.Sprintf("slaves[%d]", i), s.Polls)
	}
	if c.Register != "" {
		re, err := regexp.Compile(c.Register)
		w.want(err == nil && re.NumSubexp() == 1, "register is %q: want a regular expression with one group", c.Register)
	}
}

func checkPolls(w *wishes, of string, polls []Poll) {
	w.want(len(polls) > 0, "%s: has nothing to ask: want a profile with polls", of)
	for _, p := range polls {
		w.want(p.Every >= 100*time.Millisecond, "%s: a poll is due every %s: want 100ms or more", of, p.Every)
	}
}

func (s *Slave) identity(port string) grid.Identity {
	if s.Identity != "" {
		return s.Identity
	}
	if s.DTU != "" {
		return grid.Identity(fmt.Sprintf("modbus:%s/%s/%d", port, s.DTU, s.Address))
	}
	return grid.Identity(fmt.Sprintf("modbus:%s/%d", port, s.Address))
}

// encoding is how times are written in our answers.
func (s *GBSettings) encoding() (gb26875.Encoding, error) {
	e := gb26875.Encoding{BCD: s.Time == "bcd"}
	if s.Time != "bcd" && s.Time != "binary" {
		return e, fmt.Errorf("time is %q: want binary or bcd", s.Time)
	}
	zone, err := time.Parse("-07:00", s.Zone)
	if err != nil {
		return e, fmt.Errorf("zone is %q: want what the device's clock is ahead of UTC, for example +08:00", s.Zone)
	}
	_, ahead := zone.Zone()
	e.Zone = time.Duration(ahead) * time.Second
	return e, nil
}

// cutter makes the cutter of one stream.
func (c *Config) cutter() (cutter, error) {
	switch c.Protocol {
	case GBT26875:
		return new(gbCutter), nil
	case STXETX:
		return c.STXETX.cutter(c.MaxFrame)
	case Block:
		return c.Block.cutter(c.MaxFrame)
	}
	return newLineCutter(c.Lines.Start, c.MaxFrame), nil
}

func (s *MarkSettings) cutter(max int) (cutter, error) {
	start, err1 := hex.DecodeString(s.Start)
	end, err2 := hex.DecodeString(s.End)
	switch {
	case err1 != nil || err2 != nil || len(start) != 1 || len(end) != 1 || start[0] == end[0]:
		return nil, fmt.Errorf(`stx_etx: start is %q and end %q: want two characters in hexadecimal, "02" and "03"`, s.Start, s.End)
	case s.Check != CheckNone && s.Check != CheckSum && s.Check != CheckXOR:
		return nil, fmt.Errorf("stx_etx.check is %q: want none, sum or xor", s.Check)
	}
	return &markCutter{start: start[0], end: end[0], check: s.Check, eightBit: s.EightBit, max: max}, nil
}

func (s *BlockSettings) cutter(max int) (cutter, error) {
	start, err1 := hex.DecodeString(s.Start)
	end, err2 := hex.DecodeString(s.End)
	sum, known := checks[s.Check]
	c := &blockCutter{start: start, end: end, at: s.LengthAt, size: s.LengthSize, little: s.Order == "little", adds: s.Adds, check: sum, from: s.CheckFrom, max: max}
	switch {
	case err1 != nil || len(start) == 0 || len(start) > 4:
		return nil, fmt.Errorf(`block.start is %q: want 1 to 4 bytes in hexadecimal, such as "68"`, s.Start)
	case err2 != nil || len(end) > 4:
		return nil, fmt.Errorf(`block.end is %q: want at most 4 bytes in hexadecimal, such as "16"`, s.End)
	case s.LengthSize != 1 && s.LengthSize != 2:
		return nil, fmt.Errorf("block.length_size is %d: want 1 or 2", s.LengthSize)
	case s.LengthAt < len(start) || s.LengthAt > 64:
		return nil, fmt.Errorf("block.length_at is %d: want it behind the start, %d to 64", s.LengthAt, len(start))
	case s.Order != "big" && s.Order != "little":
		return nil, fmt.Errorf("block.order is %q: want big or little", s.Order)
	case !known:
		return nil, fmt.Errorf("block.check is %q: want none, sum, xor or crc16", s.Check)
	case s.CheckFrom < 0 || s.CheckFrom > s.LengthAt+s.LengthSize:
		return nil, fmt.Errorf("block.check_from is %d: want 0 to %d, the first byte behind the length", s.CheckFrom, s.LengthAt+s.LengthSize)
	case s.Adds < 0 || s.Adds > 64:
		return nil, fmt.Errorf("block.adds is %d: want 0 to 64", s.Adds)
	case c.min() > max:
		return nil, fmt.Errorf("max_frame is %d: want room for the %d bytes of an empty block", max, c.min())
	}
	return c, nil
}

// Peers is how many connections a listener takes at once.
func (c Config) Peers() int { return c.withDefaults().MaxPeers }
