package profile

import (
	wire "encoding/binary" // binary is a codec of this package
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/encoding/simplifiedchinese"

	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// gbt26875 is the codec of GB/T 26875.3: the payload is one whole frame. Each object in
// it is a record of its own: the channel is the address of what it is about, the time
// that of the event. A dialect is settings, never guessed from the bytes.
type gbt26875 struct {
	times    gb26875.Encoding
	testIs   uint16 // what bit 0 of a state is in a test: 0 or 1
	objects  [256]*gbObject
	commands map[gb26875.Command]gbCommand
	classes  [256]float64 // of a component type
	slots    gbSlots
	event    *clock
}

// gbObject is the layout of one object type.
type gbObject struct {
	gb26875.Layout
	bits  [16]int // slots of the bits of its state; -1: reserved
	flags [8]int  // slots of its operation flags
	items []op    // fields of its own
}

// gbCommand is what a frame with a command means.
type gbCommand struct {
	means      gbMeaning
	objectType int // -1: any
	length     int // of the application unit; -1: any
}

type gbMeaning uint8

const (
	gbData         gbMeaning = iota // objects
	gbHeartbeat                     // the device is there; what else it says is not read
	gbRegistration                  // the device began anew
	gbAnswer                        // of either side to the other, or an order to the device: no report
)

// gbSlots are the fields that the codec itself fills.
type gbSlots struct {
	serial, sendTime, command               int // of the frame
	eventTime, object, class                int // of the object
	systemType, systemAddress               int
	componentType, zone, position           int
	quantity, value                         int
	state, normal, test, testMode, operator int
}

// Numbers of the classes that are not of a component type.
const (
	gbOther  = 0 // a component whose type is in no class
	gbSystem = 1
	gbDevice = 2
)

func (c *gbt26875) decode(r *run, f *grid.Frame) error {
	fr, err := gb26875.Parse(f.Payload)
	if err != nil {
		return err
	}
	means, err := c.meaning(&fr)
	if err != nil {
		return err
	}
	r.contentKey = contentKey(&fr)
	r.top.set(c.slots.serial, float64(fr.Serial))
	r.top.set(c.slots.command, float64(fr.Command))
	sent, sentErr := c.times.Time(fr.Sent)
	if sentErr == nil {
		r.top.set(c.slots.sendTime, float64(sent.Unix()))
	}
	r.report, r.answer, r.restart = means != gbAnswer, means == gbAnswer, means == gbRegistration
	if means != gbData {
		return nil
	}
	if err := c.unit(r, f.Payload, fr.Unit); err != nil {
		return err
	}
	if sentErr != nil && len(r.readings) > 0 {
		r.warn("send time: %v", sentErr)
	}
	return nil
}

// meaning says what the frame is for, by its command and the dialect.
func (c *gbt26875) meaning(fr *gb26875.Frame) (gbMeaning, error) {
	if own, ok := c.commands[fr.Command]; ok {
		switch {
		case own.length >= 0 && len(fr.Unit) != own.length:
			return 0, fmt.Errorf("%v: the application unit has %d bytes: want %d", fr.Command, len(fr.Unit), own.length)
		case own.objectType >= 0 && (len(fr.Unit) == 0 || int(fr.Unit[0]) != own.objectType):
			return 0, fmt.Errorf("%v: want objects of type %d", fr.Command, own.objectType)
		}
		return own.means, nil
	}
	switch fr.Command {
	case gb26875.Send:
		if fr.Heartbeat() {
			return gbHeartbeat, nil
		}
		return gbData, nil
	case gb26875.Response:
		return gbData, nil
	case gb26875.Control, gb26875.Confirm, gb26875.Request, gb26875.Deny:
		return gbAnswer, nil
	}
	return 0, fmt.Errorf("command is %d: want 1 to 6, or one that the profile names under gbt26875: commands", fr.Command)
}

// contentKey is of all that stays the same when a device sends a frame again because no
// confirmation came: the send time does not, and so the checksum does not either. It must
// be the same after a restart, since it is kept.
func contentKey(fr *gb26875.Frame) uint32 {
	var head [9]byte
	wire.LittleEndian.PutUint64(head[:], fr.Source|uint64(fr.Serial)<<48)
	head[8] = byte(fr.Command)
	h := fnv.New32a()
	h.Write(head[:])
	h.Write(fr.Unit)
	return max(h.Sum32(), 1) // 0 says: there is none
}

// unit reads the objects of an application unit, the end of payload but for its last
// three bytes.
func (c *gbt26875) unit(r *run, payload, unit []byte) error {
	if len(unit) < 2 {
		return fmt.Errorf("the application unit has %d bytes: want a type, a count and objects", len(unit))
	}
	kind, count := unit[0], int(unit[1])
	o := c.objects[kind]
	switch {
	case o == nil:
		return fmt.Errorf("object type %d is unknown: want one of the standard that goes up to the centre, or one that the profile has under gbt26875: objects", kind)
	case count == 0:
		return fmt.Errorf("object count is 0: want 1 or more")
	case !o.Variable && len(unit) != 2+count*o.Size:
		return fmt.Errorf("the application unit has %d bytes: want %d, for %d objects of type %d with %d bytes", len(unit), 2+count*o.Size, count, kind, o.Size)
	}
	at, end := gb26875.HeadSize+2, gb26875.HeadSize+len(unit)
	for n := 1; n <= count; n++ {
		size := o.Size
		if o.Variable && at+size <= end {
			size += int(payload[at+o.Text])
		}
		if at+size > end {
			return fmt.Errorf("object %d: bytes %d to %d are outside an application unit that ends at %d", n, at, at+size-1, end-1)
		}
		w := window{payload: payload, start: at, end: at + size}
		if err := c.read(r, o, kind, &w, n); err != nil {
			return fmt.Errorf("object %d: %w", n, err)
		}
		at += size
	}
	if at < end {
		return fmt.Errorf("bytes %d to %d are behind the last of %d objects", at, end-1, count)
	}
	return nil
}

// read reads one object into fields and makes readings of them.
func (c *gbt26875) read(r *run, o *gbObject, kind byte, w *window, n int) error {
	r.rec.clear()
	s, b := &r.rec, w.payload[w.start:w.end]
	s.set(c.slots.object, float64(kind))
	rec := record{own: true, clock: c.event, channel: c.address(s, o, b)}
	if o.State != gb26875.None {
		c.state(s, o, b)
	}
	if o.Analog != gb26875.None {
		c.analog(s, b[o.Analog:])
	}
	if o.Operation != gb26875.None {
		c.operation(s, o, b[o.Operation:])
	}
	if _, err := r.exec(o.items, w, s, w.start); err != nil {
		return err
	}
	var timeErr error
	if o.Time != gb26875.None {
		at, err := c.times.Time(gb26875.Time(b[o.Time:]))
		if timeErr = err; err == nil {
			s.set(c.slots.eventTime, float64(at.Unix()))
		}
	}
	before := len(r.readings)
	r.emit(s, &rec, n)
	if timeErr != nil && len(r.readings) > before {
		r.warn("event %v", timeErr)
	}
	if o.Text != gb26875.None {
		r.label(rec.channel, o.text(b))
	}
	return nil
}

// address reads who an object is about and gives the channel: "1.1" for system 1.1,
// "1.1/10.2" for the component at zone 10, position 2 of it, "" for the device itself.
// The type of a component is no part of it: a detector keeps its address.
func (c *gbt26875) address(s *scope, o *gbObject, b []byte) string {
	if o.System == gb26875.None {
		s.set(c.slots.class, gbDevice)
		return ""
	}
	var buf [24]byte
	kind, number := b[o.System], b[o.System+1]
	s.set(c.slots.systemType, float64(kind))
	s.set(c.slots.systemAddress, float64(number))
	name := strconv.AppendUint(buf[:0], uint64(kind), 10)
	name = strconv.AppendUint(append(name, '.'), uint64(number), 10)
	if o.Component == gb26875.None {
		s.set(c.slots.class, gbSystem)
		return string(name)
	}
	kind = b[o.Component]
	zone, position := wire.LittleEndian.Uint16(b[o.Component+1:]), wire.LittleEndian.Uint16(b[o.Component+3:])
	s.set(c.slots.class, c.classes[kind])
	s.set(c.slots.componentType, float64(kind))
	s.set(c.slots.zone, float64(zone))
	s.set(c.slots.position, float64(position))
	name = strconv.AppendUint(append(name, '/'), uint64(zone), 10)
	name = strconv.AppendUint(append(name, '.'), uint64(position), 10)
	return string(name)
}

// state reads the bits of a state. Many devices leave bit 0 as it is in a test while they
// report a fire or a fault: test_mode says something only where no other bit is set.
func (c *gbt26875) state(s *scope, o *gbObject, b []byte) {
	state := uint16(b[o.State])
	if o.System != gb26875.None {
		state |= uint16(b[o.State+1]) << 8
	}
	s.set(c.slots.state, float64(state))
	normal := state&1 ^ c.testIs
	s.set(c.slots.normal, float64(normal))
	s.set(c.slots.test, float64(1-normal))
	if normal == 1 || state>>1 == 0 {
		s.set(c.slots.testMode, float64(1-normal))
	}
	for i, slot := range o.bits {
		if slot >= 0 {
			s.set(slot, float64(state>>i&1))
		}
	}
}

func (c *gbt26875) analog(s *scope, b []byte) {
	quantity, per := b[0], 1.0
	if int(quantity) < len(gb26875.Quantities) && quantity > 0 {
		per = gb26875.Quantities[quantity].Per
	}
	s.set(c.slots.quantity, float64(quantity))
	s.set(c.slots.value, float64(int16(wire.LittleEndian.Uint16(b[1:])))/per)
}

// operation reads what was done. A flag is there only where it is set: that nobody
// silenced the panel at 8:00 does not say that it is not silent.
func (c *gbt26875) operation(s *scope, o *gbObject, b []byte) {
	s.set(c.slots.operator, float64(b[1]))
	for i, slot := range o.flags {
		if slot >= 0 && b[0]>>i&1 == 1 {
			s.set(slot, 1)
		}
	}
}

// text is what an object calls itself, in GB 18030 and padded with zeros or blanks.
func (o *gbObject) text(b []byte) []byte {
	if o.Variable {
		return b[o.Size:]
	}
	return b[o.Text : o.Text+o.TextSize]
}

// label keeps what the device calls a channel. Blank texts are the rule and cost nothing.
func (r *run) label(channel string, text []byte) {
	for len(text) > 0 && (text[len(text)-1] == 0 || text[len(text)-1] == ' ') {
		text = text[:len(text)-1]
	}
	if len(text) == 0 {
		return
	}
	utf8, err := simplifiedchinese.GB18030.NewDecoder().Bytes(text)
	if err != nil {
		return
	}
	clean := strings.TrimSpace(strings.Map(func(c rune) rune {
		if c == unicode.ReplacementChar || !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, string(utf8)))
	if clean == "" {
		return
	}
	if channel == "" {
		channel = grid.MainChannel
	}
	if r.labels == nil {
		r.labels = map[string]string{}
	}
	r.labels[channel] = clean
}
