package serial

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	rtu "github.com/goburrow/modbus"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

const (
	// silentAfter is how many requests in a row may go unanswered before a slave is silent.
	silentAfter = 2
	// maxSilence is the longest pause between two tries of a silent slave that has the line
	// to itself.
	maxSilence = 30 * time.Second
	// probeShare: of the time of a line at most one part in so many goes to silent slaves.
	probeShare = 5
	// probeLate is how long a silent slave is put off by those that answer.
	probeLate = 5 * time.Second
	// maxNoise is how long a line that is never silent puts a request off.
	maxNoise = 500 * time.Millisecond
	// exceptionEvery is how often an exception that stays the same is a frame.
	exceptionEvery = 10 * time.Minute
)

// SlaveStatus is the health of one Modbus unit.
type SlaveStatus struct {
	Identity   grid.Identity `json:"identity"`
	DTU        string        `json:"dtu,omitempty"` // the serial server behind which it is
	Address    int           `json:"address"`
	Up         bool          `json:"up"` // it answers
	Since      time.Time     `json:"since,omitzero"`
	Asked      uint64        `json:"asked"`
	Answered   uint64        `json:"answered"`
	Exceptions uint64        `json:"exceptions"`
	LastError  string        `json:"last_error,omitempty"`

	LastErrorAt time.Time `json:"last_error_at,omitzero"`
}

// slave is a unit that is asked. Only the master changes it, its status under the
// transport's mutex.
type slave struct {
	Slave
	bus     *bus
	polls   []*poll
	plan    atomic.Pointer[plan] // to be taken over before the next request
	fails   int                  // requests in a row that went unanswered
	next    time.Time            // it is not asked before
	late    time.Time            // nor written to before: an answer may still come that was due earlier
	status  SlaveStatus
	traffic intake.Traffic // its answers
}

type poll struct {
	Poll
	slave   *slave
	request []byte
	due     time.Time
	said    []byte    // the last answer that went to the journal
	saidAt  time.Time // when
}

func newSlaves(c *Config) []*slave {
	var out []*slave
	for _, s := range c.Slaves {
		sl := &slave{Slave: s}
		sl.Identity = s.identity(c.Name)
		sl.status = SlaveStatus{Identity: sl.Identity, DTU: s.DTU, Address: int(s.Address)}
		var slowest time.Duration
		for _, p := range s.Polls {
			orElse(&p.Address, s.Address)
			slowest = max(slowest, p.Every)
			sl.polls = append(sl.polls, &poll{Poll: p, slave: sl, request: p.encode()})
		}
		orElse(&sl.Heartbeat, c.Heartbeat)
		orElse(&sl.Heartbeat, slowest)
		out = append(out, sl)
	}
	return out
}

// encode makes the request, with its checksum.
func (p *Poll) encode() []byte {
	h := rtu.NewRTUClientHandler("")
	h.SlaveId = p.Address
	data := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, p.Start), p.Count)
	adu, err := h.Encode(&rtu.ProtocolDataUnit{FunctionCode: p.Function, Data: data})
	if err != nil {
		panic(err) // four bytes of data always fit
	}
	return adu
}

// bytes is how much data the answer has.
func (p *Poll) bytes() int {
	if p.Function <= rtu.FuncCodeReadDiscreteInputs {
		return (int(p.Count) + 7) / 8
	}
	return 2 * int(p.Count)
}

// master asks the slaves of a line, one after the other, and writes to them in between.
type master struct {
	t     *Transport
	bus   *bus
	line  *line
	char  time.Duration // one character on the line
	heard time.Time     // the last byte, ours or theirs
	probe time.Time     // no silent slave is asked before

	learned  bool      // a request was made, so that echoes is known
	echoes   bool      // the line gives back what we write
	inARow   int       // writes, without a poll between
	came     time.Time // their last byte
	unframed int       // bytes since the last answer
}

// master runs the poll plans and the writes until the line is gone, which is the error, or
// ctx is done.
func (t *Transport) master(ctx context.Context, l *line, b *bus) error {
	if err := b.enter(ctx, l); err != nil {
		return err
	}
	defer b.leave(l)
	m := &master{t: t, bus: b, line: l, char: 11 * time.Second / time.Duration(t.cfg.Baud), came: time.Now()}
	for ctx.Err() == nil {
		if err := m.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step makes one request, or waits for the time of the next.
func (m *master) step(ctx context.Context) error {
	if err := m.stranger(); err != nil {
		return err
	}
	for _, s := range m.bus.slaves {
		s.replan()
	}
	p, wait := m.pick(time.Now())
	done, soon, err := m.writes(ctx, p != nil)
	switch {
	case done || err != nil:
		return err
	case p == nil:
		return m.rest(ctx, min(wait, soon))
	}
	return m.ask(ctx, p)
}

// pick finds the poll that has been due for longest; those of silent slaves come last,
// rarely, and one at a time. Without one it says how long to wait.
func (m *master) pick(now time.Time) (*poll, time.Duration) {
	var due, probe *poll
	wait := time.Second
	for _, s := range m.bus.slaves {
		silent := s.fails >= silentAfter
		for _, p := range s.polls {
			at := p.due
			if s.next.After(at) {
				at = s.next
			}
			if silent {
				at = s.next
				if m.probe.After(at) {
					at = m.probe
				}
			}
			switch {
			case at.After(now):
				wait = min(wait, at.Sub(now))
			case silent && (probe == nil || s.next.Before(probe.slave.next) || s == probe.slave && p.due.Before(probe.due)):
				probe = p
			case !silent && (due == nil || p.due.Before(due.due)):
				due = p
			}
		}
	}
	if probe != nil && (due == nil || now.Sub(probe.slave.next) > probeLate) {
		return probe, 0
	}
	return due, wait
}

// rest waits, but not longer than until something is to be written. What comes meanwhile
// answers nothing.
func (m *master) rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case <-m.bus.wake:
			return nil
		case <-ctx.Done():
			return nil
		case b, ok := <-m.line.in:
			if !ok {
				return m.line.why()
			}
			m.received(b)
		}
	}
}

func (m *master) received(b []byte) {
	m.heard = time.Now()
	m.came = m.heard
	m.unframed += len(b)
	m.t.bytesIn.Add(uint64(len(b)))
}

func (m *master) wrote(b []byte) {
	m.heard = time.Now()
	m.t.bytesOut.Add(uint64(len(b)))
}

// turnaround waits for the silence between two frames, from which slaves know that one
// begins.
func (m *master) turnaround(ctx context.Context) error {
	silence := max(7*m.char/2, 1750*time.Microsecond)
	// A line that is never silent is asked all the same, for its slaves may still hear.
	for end := time.Now().Add(maxNoise); time.Now().Before(end); {
		left := time.Until(m.heard.Add(silence))
		if left <= 0 && len(m.line.in) == 0 {
			break
		}
		if err := m.rest(ctx, max(left, time.Millisecond)); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// ask sends one request and handles its answer. The error is the line's end.
func (m *master) ask(ctx context.Context, p *poll) error {
	if err := m.turnaround(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	asked := time.Now()
	p.due = asked.Add(p.Every)
	if err := m.line.write(p.request); err != nil {
		m.missed(p.slave, asked, err.Error())
		return m.line.why()
	}
	m.wrote(p.request)
	answer, got, err := m.wait(ctx, p.request, 5+p.bytes(), p.answer)
	if err != nil || ctx.Err() != nil {
		return err
	}
	m.learned, m.echoes = true, m.echoes || bytes.Contains(got, p.request)
	if answer == nil {
		m.missed(p.slave, asked, noAnswer(got))
		if p.due.After(p.slave.next) {
			p.due = p.slave.next // what is read once an hour is not missed for an hour
		}
		return nil
	}
	m.heardOf(p.slave, exceptionIn(answer))
	m.answered(p, asked, answer)
	return nil
}

// noAnswer says what came instead of an answer.
func noAnswer(got []byte) string {
	if len(got) == 0 {
		return "no answer"
	}
	return fmt.Sprintf("%d bytes came that are no answer: %x", len(got), got[:min(len(got), 16)])
}

// wait collects bytes until they hold the answer of about that length, or the time is up.
// What came is returned as well.
func (m *master) wait(ctx context.Context, request []byte, length int, find func(got []byte) []byte) (answer, got []byte, err error) {
	timer := time.NewTimer(m.t.cfg.ResponseTimeout + time.Duration(len(request)+length)*m.char)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, got, nil
		case <-timer.C:
			return nil, got, nil
		case b, ok := <-m.line.in:
			if !ok {
				return nil, got, m.line.why()
			}
			m.received(b)
			got = append(got, b...)
			if answer := find(got); answer != nil {
				m.unframed = 0
				return answer, got, nil
			}
			if len(got) > 1024 {
				got = append(got[:0], got[len(got)-512:]...)
			}
		}
	}
}

// answer finds the answer in what came: behind noise, behind our own request where the
// line gives that back, behind the late answer of another slave.
func (p *poll) answer(got []byte) []byte {
	var h rtu.RTUClientHandler
	for ; len(got) >= 5; got = got[1:] {
		n := 5
		switch {
		case got[0] != p.Address:
			continue
		case got[1] == p.Function && int(got[2]) == p.bytes():
			n += p.bytes()
		case got[1] != p.Function|0x80:
			continue
		}
		if len(got) < n {
			continue
		}
		if _, err := h.Decode(got[:n]); err == nil {
			return bytes.Clone(got[:n])
		}
	}
	return nil
}

// answered makes a frame of an answer that is new, or due again.
func (m *master) answered(p *poll, asked time.Time, answer []byte) {
	s := p.slave
	every := s.Heartbeat
	if exceptionIn(answer) != nil {
		every = exceptionEvery
	}
	if bytes.Equal(answer, p.said) && asked.Sub(p.saidAt) < every {
		return
	}
	f := grid.Frame{
		Identity: s.Identity, Transport: m.t.transport, Source: m.t.cfg.Name, Address: strconv.Itoa(int(p.Address)), Envelope: protocols[ModbusRTU],
		Received: m.t.cfg.Now().UTC(), Raw: append(bytes.Clone(p.request), answer...),
	}
	if m.t.offer(f) {
		p.said, p.saidAt = answer, asked
	} else {
		p.said = nil // the next answer is news
	}
}

// heardOf notes that a slave answered.
func (m *master) heardOf(s *slave, exception *rtu.ModbusError) {
	s.fails, s.next = 0, time.Time{}
	now := m.t.cfg.Now().UTC()
	s.traffic.Frame(now)
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	st := &s.status
	st.Asked++
	st.Answered++
	if exception != nil {
		st.Exceptions++
		st.LastError, st.LastErrorAt = exception.Error(), now
	}
	if st.Up {
		return
	}
	st.Up, st.Since = true, now
	for _, p := range s.polls {
		p.said = nil // that it is back is news
	}
}

// missed notes that a slave did not answer. Nothing is said in its name: what it said
// last grows old, and its supervision sees that. Its next request waits until a late
// answer would have come, for that could be taken for the next.
func (m *master) missed(s *slave, asked time.Time, problem string) {
	s.fails++
	took := time.Since(asked)
	pause := 2 * took
	s.late = time.Now().Add(pause)
	if s.fails >= silentAfter {
		pause = max(pause, min(time.Second<<min(s.fails-silentAfter, 10), maxSilence))
		m.probe = time.Now().Add((probeShare - 1) * took)
	}
	s.next = time.Now().Add(pause)
	m.t.mu.Lock()
	st := &s.status
	st.Asked++
	st.LastError, st.LastErrorAt = problem, m.t.cfg.Now().UTC()
	lost := s.fails == silentAfter
	if lost {
		st.Up, st.Since = false, m.t.cfg.Now().UTC()
	}
	m.t.mu.Unlock()
	if lost {
		m.t.log.Warn("modbus unit does not answer", "device", s.Identity, "err", problem)
	}
}
