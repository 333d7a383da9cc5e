package profile

import (
	wire "encoding/binary" // binary is a codec of this package
	"fmt"
	"strings"
	"time"

	rtu "github.com/goburrow/modbus"

	"gridgate/internal/grid"
)

// Poll is one read request that a poller sends to a Modbus unit, again and again.
type Poll struct {
	Name     string        `json:"name"`
	Function byte          `json:"function"` // 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers
	Start    uint16        `json:"start"`    // as on the wire, from 0
	Count    uint16        `json:"count"`    // bits or registers
	Every    time.Duration `json:"every_ns"`
	Address  byte          `json:"address,omitempty"` // of the unit; 0: that of the device
}

// bits reports whether the poll reads single bits.
func (p *Poll) bits() bool {
	return p.Function == rtu.FuncCodeReadCoils || p.Function == rtu.FuncCodeReadDiscreteInputs
}

// bytes is how much data the answer has.
func (p *Poll) bytes() int {
	if p.bits() {
		return (int(p.Count) + 7) / 8
	}
	return 2 * int(p.Count)
}

// Polls are what has to be read from a unit with this profile; none where it is not of
// Modbus. The payload of a frame is the request as it was sent, with its checksum, and
// the response behind it; or the response alone.
func (p *Profile) Polls() []Poll {
	m, ok := p.codec.(*modbusCodec)
	if !ok {
		return nil
	}
	polls := make([]Poll, len(m.polls))
	for i := range m.polls {
		polls[i] = m.polls[i].Poll
	}
	return polls
}

// modbusCodec is the codec of what a poller read from a Modbus unit. An answer does not
// say what it answers: the request before it does, or its function and length, where
// only one poll has them.
type modbusCodec struct {
	polls []modbusPoll
	rtu   rtu.Packager
}

type modbusPoll struct {
	Poll
	fields []modbusField
}

// modbusField is a field at a bit or register of its poll's answer.
type modbusField struct {
	field
	at          int  // bit or register, from the poll's start
	littleWords bool // the low register comes first
	littleBytes bool // the low byte of a register comes first
}

const (
	modbusRequest   = 8   // bytes of a read request
	modbusMin       = 5   // bytes of the shortest answer, an exception
	modbusMax       = 256 // bytes of the longest
	modbusException = 0x80
)

func (c *modbusCodec) decode(r *run, f *grid.Frame) error {
	request, response, err := c.split(f.Payload)
	if err != nil {
		return err
	}
	poll, err := c.poll(request, response)
	if err != nil {
		return err
	}
	r.report = true
	data := response[3 : len(response)-2]
	for i := range poll.fields {
		x := &poll.fields[i]
		raw, ok := x.raw(data, poll.bits())
		if err := x.put(r, &r.top, raw, ok); err != nil {
			return err
		}
	}
	return nil
}

// split finds the request, if there is one, and a response that is whole.
func (c *modbusCodec) split(b []byte) (request, response []byte, err error) {
	alone := c.whole(b)
	switch {
	case alone == nil:
		return nil, b, nil
	case len(b) < modbusRequest || b[1] < 1 || b[1] > 4 || c.sum(b[:modbusRequest]) != nil:
		return nil, nil, alone
	case len(b) == modbusRequest:
		return nil, nil, fmt.Errorf("the payload is a request alone: want the response behind it")
	}
	request, response = b[:modbusRequest], b[modbusRequest:]
	if err := c.whole(response); err != nil {
		return nil, nil, err
	}
	switch asked := request[1]; {
	case response[0] != request[0]:
		return nil, nil, fmt.Errorf("the response is of unit %d: want %d, as asked", response[0], request[0])
	case response[1]&^modbusException != asked:
		return nil, nil, fmt.Errorf("the response is of function %d: want %d, as asked", response[1]&^modbusException, asked)
	}
	return request, response, nil
}

// whole reports what is wrong with a response as it came: its length, function or checksum.
func (c *modbusCodec) whole(b []byte) error {
	if len(b) < modbusMin || len(b) > modbusMax {
		return fmt.Errorf("the response has %d bytes: want %d to %d", len(b), modbusMin, modbusMax)
	}
	want := modbusMin
	switch function := b[1]; {
	case function >= 1 && function <= 4:
		want += int(b[2])
	case function&modbusException == 0:
		return fmt.Errorf("function is %d: want 1, 2, 3 or 4", function)
	}
	if len(b) != want {
		return fmt.Errorf("the response has %d bytes: want %d", len(b), want)
	}
	return c.sum(b)
}

// sum verifies the checksum of an ADU.
func (c *modbusCodec) sum(adu []byte) error {
	if _, err := c.rtu.Decode(adu); err == nil {
		return nil
	}
	end := len(adu) - 2
	h := rtu.NewRTUClientHandler("")
	h.SlaveId = adu[0]
	good, err := h.Encode(&rtu.ProtocolDataUnit{FunctionCode: adu[1], Data: adu[2:end]})
	if err != nil {
		return err
	}
	return fmt.Errorf("checksum is %x: want %x", adu[end:], good[end:])
}

// poll finds the poll that a response answers, and refuses exceptions.
func (c *modbusCodec) poll(request, response []byte) (*modbusPoll, error) {
	if response[1]&modbusException != 0 {
		return nil, fmt.Errorf("unit %d answers: %w", response[0], &rtu.ModbusError{FunctionCode: response[1] &^ modbusException, ExceptionCode: response[2]})
	}
	var found []*modbusPoll
	for i := range c.polls {
		p := &c.polls[i]
		if p.Function != response[1] || p.Address != 0 && p.Address != response[0] {
			continue
		}
		if request != nil {
			if p.Start == wire.BigEndian.Uint16(request[2:]) && p.Count == wire.BigEndian.Uint16(request[4:]) {
				found = append(found[:0], p)
			}
		} else if p.bytes() == int(response[2]) {
			found = append(found, p)
		}
	}
	switch {
	case len(found) == 0 && request != nil:
		return nil, fmt.Errorf("the request is for %d from %d by function %d of unit %d: no poll of the profile is",
			wire.BigEndian.Uint16(request[4:]), wire.BigEndian.Uint16(request[2:]), request[1], request[0])
	case len(found) == 0:
		return nil, fmt.Errorf("unit %d answers function %d with %d bytes of data: no poll of the profile asks for that", response[0], response[1], response[2])
	case len(found) > 1:
		names := make([]string, len(found))
		for i, p := range found {
			names[i] = p.Name
		}
		return nil, fmt.Errorf("the response may be of the polls %s: want its request before it", strings.Join(names, ", "))
	case int(response[2]) != found[0].bytes():
		return nil, fmt.Errorf("poll %q: the response has %d bytes of data: want %d, as asked", found[0].Name, response[2], found[0].bytes())
	}
	return found[0], nil
}

// raw takes the field out of the data of an answer, which holds all of it.
func (x *modbusField) raw(data []byte, bits bool) (float64, bool) {
	if bits {
		return float64(data[x.at/8] >> (x.at % 8) & 1), true
	}
	var b [8]byte
	words := x.size / 2
	for i := range words {
		from := 2 * (x.at + i)
		if x.littleWords {
			from = 2 * (x.at + words - 1 - i)
		}
		b[2*i], b[2*i+1] = data[from], data[from+1]
		if x.littleBytes {
			b[2*i], b[2*i+1] = b[2*i+1], b[2*i]
		}
	}
	return x.field.raw(b[:x.size])
}
