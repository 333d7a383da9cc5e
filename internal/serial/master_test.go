package serial

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	rtu "github.com/goburrow/modbus"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// fieldBus is a serial server with Modbus units behind it.
type fieldBus struct {
	net.Listener
	mu     sync.Mutex
	values map[byte][]byte // data that a unit answers with; none: it is silent
	wrap   func(unit byte, adu []byte) [][]byte
	asked  map[byte]int
	when   []time.Time
}

func startBus(t testing.TB) *fieldBus {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &fieldBus{Listener: ln, values: map[byte][]byte{}, asked: map[byte]int{}}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go b.serve(c)
		}
	}()
	return b
}

func (b *fieldBus) serve(c net.Conn) {
	defer c.Close()
	req := make([]byte, 8)
	for {
		if _, err := readFull(c, req); err != nil {
			return
		}
		var h rtu.RTUClientHandler
		if _, err := h.Decode(req); err != nil {
			return // the master's requests are whole
		}
		b.mu.Lock()
		b.asked[req[0]]++
		b.when = append(b.when, time.Now())
		data, wrap := b.values[req[0]], b.wrap
		b.mu.Unlock()
		if data == nil {
			continue
		}
		adu := reply(req, data)
		if req[1] == rtu.FuncCodeWriteSingleCoil {
			adu = bytes.Clone(req)
		}
		pieces := [][]byte{adu}
		if wrap != nil {
			pieces = wrap(req[0], adu)
		}
		for _, p := range pieces {
			if _, err := c.Write(p); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func readFull(c net.Conn, b []byte) (n int, err error) {
	for n < len(b) {
		m, err := c.Read(b[n:])
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// reply is an answer with data, or the exception whose code data is, if it begins with 0xee.
func reply(req, data []byte) []byte {
	h := rtu.NewRTUClientHandler("")
	h.SlaveId = req[0]
	pdu := &rtu.ProtocolDataUnit{FunctionCode: req[1], Data: append([]byte{byte(len(data))}, data...)}
	if data[0] == 0xee {
		pdu = &rtu.ProtocolDataUnit{FunctionCode: req[1] | 0x80, Data: data[1:2]}
	}
	adu, _ := h.Encode(pdu)
	return adu
}

func (b *fieldBus) set(unit byte, data ...byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.values[unit] = data
}

func (b *fieldBus) count(unit byte) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[unit]
}

func (b *fieldBus) url() string { return "tcp://" + b.Addr().String() }

// one is a slave whose register 3 is read ten times a second.
func one(address byte) Slave {
	return Slave{Address: address, Polls: []Poll{{Function: 3, Start: 3, Count: 1, Every: 100 * time.Millisecond}}}
}

func TestAnswerThatChangesIsAFrameAndOneThatDoesNotIsSoAtTheHeartbeat(t *testing.T) {
	b := startBus(t)
	b.set(7, 0, 0)
	var in gatetest.Inbox
	s := one(7)
	s.Heartbeat = time.Hour
	start(t, Config{Name: "riser", Connect: b.url(), Protocol: ModbusRTU, Slaves: []Slave{s}}, &in)
	f := in.Wait(t, 1)[0]
	want := hexed("07 03 0003 0001 746c 07 03 02 0000 3044")
	if string(f.Raw) != want || f.Identity != "modbus:riser/7" || f.Envelope != "modbus" || f.Address != "7" || f.Transport != "serial" || f.Source != "riser" || f.Flags != grid.Unacknowledged {
		t.Errorf("got %+v with %x: want %x", f, f.Raw, want)
	}
	gatetest.Eventually(t, "more polls", func() bool { return b.count(7) > 4 })
	if n := len(in.Frames()); n != 1 {
		t.Errorf("%d frames of answers that are all the same", n)
	}
	b.set(7, 0, 1)
	if f := in.Wait(t, 2)[1]; f.Raw[12] != 1 {
		t.Errorf("got %x: want the alarm", f.Raw)
	}
	b.set(7, 0, 0)
	in.Wait(t, 3)

	var beating gatetest.Inbox
	s.Heartbeat = 0 // that of the slowest poll
	start(t, Config{Name: "riser", Connect: b.url(), Protocol: ModbusRTU, Slaves: []Slave{s}}, &beating)
	beating.Wait(t, 4)
}

// inBubble runs a master and its bus where the clock jumps.
func inBubble(t *testing.T, cfg Config, b *fieldBus, test func(tr *Transport, in *gatetest.Inbox)) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		cfg.Name, cfg.Protocol, cfg.Connect = "a", ModbusRTU, "tcp://bus:1"
		tr := New(cfg, nil)
		tr.opened = func(context.Context) (Port, string, error) { return tcpPort{near}, "a pipe", nil }
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		var in gatetest.Inbox
		run.Go(func() { _ = tr.Run(ctx, &in) })
		run.Go(func() { b.serve(far) })
		test(tr, &in)
		cancel()
		_ = far.Close()
		run.Wait()
	})
}

func TestSilentSlavesDoNotDelayTheOthers(t *testing.T) {
	b := &fieldBus{values: map[byte][]byte{}, asked: map[byte]int{}}
	b.set(1, 0, 0)
	slaves := []Slave{one(1)}
	for address := byte(2); address < 30; address++ {
		slaves = append(slaves, one(address))
	}
	silent := func() (n int) {
		for address := byte(2); address < 30; address++ {
			n += b.count(address)
		}
		return n
	}
	inBubble(t, Config{ResponseTimeout: 500 * time.Millisecond, Slaves: slaves}, b, func(tr *Transport, in *gatetest.Inbox) {
		time.Sleep(2 * time.Minute) // all are known to be silent
		was, tried := b.count(1), silent()
		time.Sleep(100 * time.Second)
		// A fifth of 100 s is time for 39 requests of 515 ms; meanwhile nobody else is asked.
		if tried = silent() - tried; tried < 30 || tried > 40 {
			t.Errorf("%d requests went to silent slaves in 100 s", tried)
		}
		if polls := b.count(1) - was; polls < 750 {
			t.Errorf("%d requests went to the slave that answers: want most of 1000", polls)
		}
		for _, f := range in.Frames() {
			if f.Identity != "modbus:a/1" {
				t.Errorf("a frame in the name of a silent slave: %+v", f)
			}
		}
		b.set(20, 0, 1)
		time.Sleep(2 * time.Minute)
		if !slices.ContainsFunc(in.Frames(), func(f grid.Frame) bool { return f.Identity == "modbus:a/20" }) {
			t.Error("the slave that is back is not asked")
		}
		if s := tr.Status().Slaves; !s[19].Up || s[18].Up || s[18].LastError != "no answer" || s[0].Answered == 0 {
			t.Errorf("status %+v", s)
		}
	})
}

// A line that has no time to spare still tries those that were silent.
func TestSilentSlaveOfABusyLineIsTriedAgain(t *testing.T) {
	b := &fieldBus{values: map[byte][]byte{}, asked: map[byte]int{}}
	var slaves []Slave
	for address := byte(1); address <= 20; address++ {
		slaves = append(slaves, one(address))
		b.set(address, 0, 0)
	}
	delete(b.values, 20)
	inBubble(t, Config{Baud: 1200, ResponseTimeout: 100 * time.Millisecond, Slaves: slaves}, b, func(tr *Transport, in *gatetest.Inbox) {
		time.Sleep(2 * time.Minute)
		was := b.count(20)
		time.Sleep(2 * time.Minute)
		if n := b.count(20) - was; n < 2 || n > 8 {
			t.Errorf("the silent one was tried %d times in 2 minutes: want every 30 s or so", n)
		}
		least, most := b.count(1), b.count(1)
		for address := byte(2); address < 20; address++ {
			least, most = min(least, b.count(address)), max(most, b.count(address))
		}
		if most-least > 3 {
			t.Errorf("the others were asked %d to %d times: want all alike", least, most)
		}
	})
}

func TestAnswersAreFoundInNoiseEchoAndPieces(t *testing.T) {
	req := []byte(hexed("050300030001")) // its echo gets its checksum below
	for name, wrap := range map[string]func(byte, []byte) [][]byte{
		"noise before": func(_ byte, adu []byte) [][]byte { return [][]byte{{0xff, 0x05, 0x00}, adu} },
		"noise behind": func(_ byte, adu []byte) [][]byte { return [][]byte{adu, {0xff, 0x05, 0x03}} },
		"byte by byte": func(_ byte, adu []byte) [][]byte { return slices.Collect(slices.Chunk(adu, 1)) },
		"echo": func(_ byte, adu []byte) [][]byte {
			return [][]byte{append(reply(req, []byte{0})[:0:0], append(echo(req), adu...)...)}
		},
		"another's answer": func(_ byte, adu []byte) [][]byte { return [][]byte{reply([]byte{6, 3}, []byte{9, 9}), adu} },
	} {
		t.Run(name, func(t *testing.T) {
			b := startBus(t)
			b.wrap = wrap
			b.set(5, 0x12, 0x34)
			var in gatetest.Inbox
			start(t, Config{Connect: b.url(), Protocol: ModbusRTU, Slaves: []Slave{one(5)}}, &in)
			for i, f := range in.Wait(t, 3) {
				if !bytes.HasSuffix(f.Raw, reply([]byte{5, 3}, []byte{0x12, 0x34})) || len(f.Raw) != 15 {
					t.Errorf("frame %d: got %x", i, f.Raw)
				}
			}
		})
	}
}

func echo(req []byte) []byte {
	h := rtu.NewRTUClientHandler("")
	h.SlaveId = req[0]
	adu, _ := h.Encode(&rtu.ProtocolDataUnit{FunctionCode: req[1], Data: req[2:]})
	return adu
}

func TestDamagedAnswerIsNone(t *testing.T) {
	for name, wrap := range map[string]func(byte, []byte) [][]byte{
		"checksum":     func(_ byte, adu []byte) [][]byte { adu[len(adu)-1] ^= 1; return [][]byte{adu} },
		"half":         func(_ byte, adu []byte) [][]byte { return [][]byte{adu[:5]} },
		"of another":   func(_ byte, adu []byte) [][]byte { return [][]byte{reply([]byte{6, 3}, []byte{0, 1})} },
		"too much":     func(_ byte, adu []byte) [][]byte { return [][]byte{reply([]byte{5, 3}, []byte{0, 1, 0, 1})} },
		"other answer": func(_ byte, adu []byte) [][]byte { return [][]byte{reply([]byte{5, 4}, []byte{0, 1})} },
	} {
		t.Run(name, func(t *testing.T) {
			b := startBus(t)
			b.wrap = wrap
			b.set(5, 0, 1)
			var in gatetest.Inbox
			tr, _ := start(t, Config{Connect: b.url(), Protocol: ModbusRTU, ResponseTimeout: 20 * time.Millisecond, Slaves: []Slave{one(5)}}, &in)
			gatetest.Eventually(t, "two requests", func() bool { return tr.Status().Slaves[0].Asked >= 2 })
			if got := in.Frames(); len(got) != 0 {
				t.Errorf("got a frame of it: %x", got[0].Raw)
			}
			if s := tr.Status().Slaves[0]; s.Up || !strings.Contains(s.LastError, "no answer") {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestPollThatIsDueOnceAnHourIsMadeAgainSoonWhenItWasNotAnswered(t *testing.T) {
	b := &fieldBus{values: map[byte][]byte{}, asked: map[byte]int{}}
	s := one(5)
	s.Polls[0].Every = time.Hour
	inBubble(t, Config{Slaves: []Slave{s}}, b, func(_ *Transport, in *gatetest.Inbox) {
		time.Sleep(100 * time.Millisecond)
		b.set(5, 0, 1) // it began with the second request
		time.Sleep(5 * time.Second)
		if n := len(in.Frames()); n != 1 || b.count(5) != 2 {
			t.Errorf("%d frames after %d requests", n, b.count(5))
		}
	})
}

func TestExceptionIsAFrameOnceAndSeenInHealth(t *testing.T) {
	b := startBus(t)
	b.set(5, 0xee, 2)
	var in gatetest.Inbox
	tr, _ := start(t, Config{Connect: b.url(), Protocol: ModbusRTU, Slaves: []Slave{one(5)}}, &in)
	if f := in.Wait(t, 1)[0]; !bytes.HasSuffix(f.Raw, reply([]byte{5, 3}, []byte{0xee, 2})) {
		t.Errorf("got %x", f.Raw)
	}
	gatetest.Eventually(t, "more exceptions", func() bool { return tr.Status().Slaves[0].Exceptions > 4 })
	if n := len(in.Frames()); n != 1 {
		t.Errorf("%d frames of an exception that stays the same", n)
	}
	if s := tr.Status().Slaves[0]; !s.Up || !strings.Contains(s.LastError, "illegal data address") {
		t.Errorf("status %+v", s)
	}
	b.set(5, 0, 1)
	in.Wait(t, 2)
}

func TestAnswerThatIsLostIsReadAgain(t *testing.T) {
	b := startBus(t)
	b.set(5, 0, 0)
	var in gatetest.Inbox
	in.Fail(errors.New("disk is gone"))
	s := one(5)
	s.Heartbeat = time.Hour
	tr, _ := start(t, Config{Connect: b.url(), Protocol: ModbusRTU, Waiting: 1, Slaves: []Slave{s}}, &in)
	gatetest.Eventually(t, "the first to wait", func() bool { return tr.Status().Waiting == 1 && !tr.Status().FailingSince.IsZero() })
	b.set(5, 0, 1)
	gatetest.Eventually(t, "the second to be lost", func() bool { return tr.Status().LostUnackable > 0 })
	in.Fail(nil)
	got := in.Wait(t, 2)
	if got[0].Raw[12] != 0 || got[1].Raw[12] != 1 {
		t.Errorf("got %x and %x: want the change, read again", got[0].Raw, got[1].Raw)
	}
}

func TestRequestsFollowASilenceOfThreeAndAHalfCharacters(t *testing.T) {
	b := &fieldBus{values: map[byte][]byte{}, asked: map[byte]int{}}
	b.set(5, 0, 0)
	s := one(5)
	for i := range 3 {
		p := s.Polls[0]
		p.Start += uint16(i + 1)
		s.Polls = append(s.Polls, p)
	}
	inBubble(t, Config{Baud: 1200, Slaves: []Slave{s}}, b, func(*Transport, *gatetest.Inbox) {
		time.Sleep(time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		for i := 1; i < len(b.when); i++ {
			// 3.5 characters of 11 bits at 1200 baud are 32.1 ms.
			if d := b.when[i].Sub(b.when[i-1]); d < 32*time.Millisecond {
				t.Errorf("request %d came %s after the one before", i, d)
			}
		}
		if n := len(b.when); n < 25 {
			t.Errorf("%d requests in a second: want about 30", n)
		}
	})
}

func TestSlavesThatCannotBeAskedAreRefused(t *testing.T) {
	for want, cfg := range map[string]Config{
		"slaves[0].address is 0":                      {Slaves: []Slave{one(0)}},
		"slaves[1]: modbus:a/1 is there already":      {Slaves: []Slave{one(1), one(1)}},
		"slaves[1].address is 1 again":                {Slaves: []Slave{one(1), {Address: 1, Identity: "sn:x", Polls: one(1).Polls}}},
		"slaves[0]: has nothing to ask":               {Slaves: []Slave{{Address: 1}}},
		"response_timeout is 1ms: want 20ms to 10s":   {ResponseTimeout: time.Millisecond, Slaves: []Slave{one(1)}},
		"slaves[0]: a poll is due every 0s: want":     {Slaves: []Slave{{Address: 1, Polls: []Poll{{}}}}},
		"want tcp://host:port for modbus-rtu":         {Listen: "udp://127.0.0.1:1", Connect: "-", Slaves: []Slave{one(1)}},
		"connect is \"udp://x:1\": want tcp://host:p": {Connect: "udp://x:1"},
	} {
		cfg.Name, cfg.Protocol = "a", ModbusRTU
		orElse(&cfg.Connect, "tcp://127.0.0.1:1")
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v: want %q", err, want)
		}
	}
}

// FuzzAnswer: whatever comes, an answer that is found is one to this request.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(hexed("0703020000b0440703020001")), []byte{0, 1})
	f.Add([]byte(hexed("07830270f3")), []byte{1, 2})
	f.Fuzz(func(t *testing.T, noise, data []byte) {
		p := &poll{Poll: Poll{Address: 7, Function: 3, Count: 1}}
		check := func(a []byte) {
			var h rtu.RTUClientHandler
			if pdu, err := h.Decode(a); err != nil || a[0] != 7 || pdu.FunctionCode&0x7f != 3 || a[1] == 3 && len(a) != 7 || a[1] == 0x83 && len(a) != 5 {
				t.Fatalf("found %x", a)
			}
		}
		if a := p.answer(noise); a != nil {
			check(a)
			return
		}
		if len(data) != 2 || data[0] == 0xee {
			return
		}
		whole := reply(binary.BigEndian.AppendUint16(nil, 0x0703), data)
		a := p.answer(slices.Concat(noise, whole))
		if a == nil {
			t.Fatalf("%x behind %x is not found", whole, noise)
		}
		check(a)
	})
}
