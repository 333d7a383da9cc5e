package serial

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	rtu "github.com/goburrow/modbus"

	"gridgate/internal/grid"
)

// maxWritesInARow is how many writes go before a poll that is due.
const maxWritesInARow = 4

// write is one request that changes something in a slave.
type write struct {
	slave   *slave
	order   grid.ModbusOrder
	request []byte
	done    chan outcome // of one
}

// outcome is what became of a write.
type outcome struct {
	answer    string // an echo that is right, in words
	exception byte
	err       error
}

func (w *write) end(o outcome) { w.done <- o }

// newWrite makes the request, with its checksum: for one value by function 5 or 6, for more,
// or where many says so, by 15 or 16.
func newWrite(s *slave, o grid.ModbusOrder, many bool) (*write, error) {
	coil := o.Write == "coil"
	count := uint16(len(o.Values))
	pdu := rtu.ProtocolDataUnit{Data: binary.BigEndian.AppendUint16(nil, o.Address)}
	switch {
	case count == 1 && !many && coil:
		pdu.FunctionCode = rtu.FuncCodeWriteSingleCoil
		pdu.Data = binary.BigEndian.AppendUint16(pdu.Data, 0xff00*o.Values[0])
	case count == 1 && !many:
		pdu.FunctionCode = rtu.FuncCodeWriteSingleRegister
		pdu.Data = binary.BigEndian.AppendUint16(pdu.Data, o.Values[0])
	case coil:
		pdu.FunctionCode = rtu.FuncCodeWriteMultipleCoils
		bits := make([]byte, (count+7)/8)
		for i, v := range o.Values {
			bits[i/8] |= byte(v) << (i % 8)
		}
		pdu.Data = append(binary.BigEndian.AppendUint16(pdu.Data, count), byte(len(bits)))
		pdu.Data = append(pdu.Data, bits...)
	default:
		pdu.FunctionCode = rtu.FuncCodeWriteMultipleRegisters
		pdu.Data = append(binary.BigEndian.AppendUint16(pdu.Data, count), byte(2*count))
		for _, v := range o.Values {
			pdu.Data = binary.BigEndian.AppendUint16(pdu.Data, v)
		}
	}
	h := rtu.NewRTUClientHandler("")
	h.SlaveId = s.Address
	request, err := h.Encode(&pdu)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "modbus: %w", err)
	}
	return &write{slave: s, order: o, request: request, done: make(chan outcome, 1)}, nil
}

// writeAnswer is the size of every answer to a write, exceptions apart.
const writeAnswer = 8

// answer finds the answer in what came, by its first six bytes: unit, function, address,
// and the value or the count. echoes says that the line gives back what we write, and that
// is to be found before it: a single write and its answer are the same bytes.
func (w *write) answer(got []byte, echoes bool) []byte {
	if echoes {
		at := bytes.Index(got, w.request)
		if at < 0 {
			return nil
		}
		got = got[at+len(w.request):]
	}
	var h rtu.RTUClientHandler
	for ; len(got) >= 5; got = got[1:] {
		n := 5
		switch {
		case got[0] != w.request[0]:
			continue
		case got[1] == w.request[1]:
			if n = writeAnswer; len(got) < n || !bytes.Equal(got[:6], w.request[:6]) {
				continue
			}
		case got[1] != w.request[1]|0x80:
			continue
		}
		if _, err := h.Decode(got[:n]); err == nil {
			return bytes.Clone(got[:n])
		}
	}
	return nil
}

// other finds a sound answer of the slave that is not the one that was due.
func (w *write) other(got []byte) []byte {
	var h rtu.RTUClientHandler
	for ; len(got) >= writeAnswer; got = got[1:] {
		if !bytes.Equal(got[:2], w.request[:2]) || bytes.Equal(got[:6], w.request[:6]) {
			continue
		}
		if _, err := h.Decode(got[:writeAnswer]); err == nil {
			return got[:writeAnswer]
		}
	}
	return nil
}

// said is an answer that is right, for people.
func (w *write) said(answer []byte) string {
	return fmt.Sprintf("unit %d, function %d: %s", answer[0], answer[1], written(&w.order, answer))
}

func written(o *grid.ModbusOrder, answer []byte) string {
	if len(o.Values) == 1 {
		return fmt.Sprintf("%s %d is %d (%x)", o.Write, o.Address, o.Values[0], answer)
	}
	return fmt.Sprintf("%ss %d to %d are written (%x)", o.Write, o.Address, int(o.Address)+len(o.Values)-1, answer)
}

// seenBy reports whether a poll reads something of what was written.
func (w *write) seenBy(p *poll) bool {
	reads := byte(rtu.FuncCodeReadHoldingRegisters)
	if w.order.Write == "coil" {
		reads = rtu.FuncCodeReadCoils
	}
	from, to := int(w.order.Address), int(w.order.Address)+len(w.order.Values)
	return p.Function == reads && p.Address == w.slave.Address && int(p.Start) < to && from < int(p.Start)+int(p.Count)
}

// writes takes the write whose turn it is, if there is one. done says that time went by.
// wait is how long there is nothing to write, if it is less than that of the polls.
func (m *master) writes(ctx context.Context, pollDue bool) (done bool, wait time.Duration, err error) {
	w, wait := m.bus.first(time.Now())
	switch {
	case w == nil || pollDue && m.inARow >= maxWritesInARow:
		m.inARow = 0
		return false, wait, nil
	case w.slave.fails >= silentAfter:
		// It would take time from the others: it is for the polls to find out that it is back.
		if m.bus.take(w) {
			w.end(outcome{err: grid.Errorf(grid.Unavailable, "%s does not answer: it is written to when it does", w.slave.Identity)})
		}
		return true, 0, nil
	case !m.learned:
		// Whether the line gives back what we write is known after the first request that
		// cannot be taken for its answer.
		return true, 0, m.ask(ctx, w.slave.polls[0])
	}
	m.inARow++
	return true, 0, m.write(ctx, w)
}

// write sends a request that changes something, once, and brings its outcome to whoever
// waits for it. The error is the line's end.
func (m *master) write(ctx context.Context, w *write) error {
	if err := m.turnaround(ctx); err != nil || ctx.Err() != nil {
		return err // it waits on, and is told that the line is gone
	}
	if !m.bus.take(w) {
		return nil // given up
	}
	asked := time.Now()
	if err := m.line.write(w.request); err != nil {
		if !errors.Is(err, errBusyLine) {
			err = fmt.Errorf("%w: %w", err, grid.ErrMayHaveBeenSent)
		}
		w.end(outcome{err: grid.Errorf(grid.Unavailable, "%s: %w", w.slave.Identity, err)})
		m.missed(w.slave, asked, err.Error())
		return m.line.why()
	}
	m.wrote(w.request)
	answer, got, err := m.wait(ctx, w.request, writeAnswer, func(got []byte) []byte { return w.answer(got, m.echoes) })
	switch {
	case answer != nil:
		m.heardOf(w.slave, exceptionIn(answer))
		w.end(m.outcome(w, answer))
	case err != nil || ctx.Err() != nil:
		w.end(outcome{err: grid.Errorf(grid.Unavailable, "the line went away after the request: %w", grid.ErrMayHaveBeenSent)})
	default:
		problem := noAnswer(got)
		m.missed(w.slave, asked, problem)
		w.end(outcome{err: w.unanswered(got, problem)})
	}
	return err
}

// outcome reads an answer, and has the polls that see what was written go next.
func (m *master) outcome(w *write, answer []byte) outcome {
	if e := exceptionIn(answer); e != nil {
		return outcome{exception: e.ExceptionCode, err: e}
	}
	for _, p := range w.slave.polls {
		if w.seenBy(p) {
			p.due = time.Time{}
		}
	}
	return outcome{answer: w.said(answer)}
}

func (w *write) unanswered(got []byte, problem string) error {
	if other := w.other(got); other != nil {
		return grid.Errorf(grid.Conflict, "%s answers %x: want %x, the echo of the order; look at what it holds now", w.slave.Identity, other, w.request[:6])
	}
	return grid.Errorf(grid.Unavailable, "%s: %s: %w", w.slave.Identity, problem, grid.ErrMayHaveBeenSent)
}

// exceptionIn is the exception that an answer is; nil: it is none.
func exceptionIn(answer []byte) *rtu.ModbusError {
	if answer[1]&0x80 == 0 {
		return nil
	}
	return &rtu.ModbusError{FunctionCode: answer[1] &^ 0x80, ExceptionCode: answer[2]}
}

// modbus writes what an order says to a slave of the line.
func (t *Transport) modbus(ctx context.Context, id grid.Identity, o *grid.ModbusOrder) (grid.Sent, error) {
	s := t.slave(id)
	switch {
	case s == nil:
		return grid.Sent{}, grid.Errorf(grid.Invalid, "line %s: %s is no slave of it: want one under slaves", t.cfg.Name, id)
	case s.Address == 0:
		return grid.Sent{}, grid.Errorf(grid.Invalid, "line %s: %s has the address 0, to which nobody answers", t.cfg.Name, id)
	}
	out := s.write(ctx, o, false)
	if out.exception == rtu.ExceptionCodeIllegalFunction && len(o.Values) == 1 {
		out = s.write(ctx, o, true) // many slaves know but the functions for several
	}
	return sentTo(s, out)
}

// sentTo says what an outcome means. An exception is the slave's own word, and final but
// for those that ask for patience.
func sentTo(s *slave, out outcome) (grid.Sent, error) {
	acknowledged := grid.Sent{State: grid.DownlinkAcknowledged, Answer: out.answer}
	switch out.exception {
	case 0:
		if out.err != nil {
			return grid.Sent{}, out.err
		}
		return acknowledged, nil
	case rtu.ExceptionCodeAcknowledge:
		acknowledged.Answer = fmt.Sprintf("unit %d has taken it, and takes a while to do it", s.Address)
		return acknowledged, nil
	case rtu.ExceptionCodeServerDeviceBusy, rtu.ExceptionCodeGatewayPathUnavailable:
		return grid.Sent{}, grid.Errorf(grid.Unavailable, "%s: %s", s.Identity, inWords(out.err))
	case rtu.ExceptionCodeGatewayTargetDeviceFailedToRespond:
		return grid.Sent{}, grid.Errorf(grid.Unavailable, "%s: %s: %w", s.Identity, inWords(out.err), grid.ErrMayHaveBeenSent)
	}
	return grid.Sent{}, grid.Errorf(grid.Conflict, "%s refuses: %s", s.Identity, inWords(out.err))
}

// inWords is an exception without the library's name before it.
func inWords(exception error) string { return strings.TrimPrefix(exception.Error(), "modbus: ") }

// write has the slave's master send a request, and waits for its outcome. One whose turn
// does not come while ctx lasts is not sent; one that was begun ends soon, as polls do.
func (s *slave) write(ctx context.Context, o *grid.ModbusOrder, many bool) outcome {
	w, err := newWrite(s, *o, many)
	if err != nil {
		return outcome{err: err}
	}
	if err := s.bus.put(w); err != nil {
		return outcome{err: grid.Errorf(grid.Unavailable, "%s: %w", s.Identity, err)}
	}
	select {
	case out := <-w.done:
		return out
	case <-ctx.Done():
	}
	if s.bus.take(w) {
		return outcome{err: grid.Errorf(grid.Unavailable, "%s: it was not the turn of the write in time", s.Identity)}
	}
	return <-w.done
}
