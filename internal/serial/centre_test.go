package serial

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// caller is a transmission device that has called a listener.
type caller struct {
	net.Conn
	mu     sync.Mutex
	got    []byte
	closed bool
	seen   int // answers that barrier has returned
}

func call(t testing.TB, tr *Transport, network string) *caller {
	t.Helper()
	isUp(t, tr)
	c, err := net.Dial(network, tr.Status().Port)
	if err != nil {
		t.Fatal(err)
	}
	out := &caller{Conn: c}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			out.mu.Lock()
			out.got = append(out.got, buf[:n]...)
			out.closed = out.closed || err != nil
			out.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return out
}

func (c *caller) send(t testing.TB, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Error(err)
	}
}

func (c *caller) answers() []gb26875.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return parseAll(c.got)
}

func (c *caller) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// barrier sends a heartbeat and waits for its confirmation: whatever was sent before has
// had its answer by then. It returns those answers.
func (c *caller) barrier(t testing.TB) []gb26875.Frame {
	t.Helper()
	before := c.seen
	c.send(t, gb26875.Append(nil, gb26875.Frame{Serial: 0xfefe, Source: 1, Sent: gb26875.Time{1, 1, 1, 1, 1, 26}, Command: gb26875.Send}))
	var got []gb26875.Frame
	gatetest.Eventually(t, "the heartbeat's confirmation", func() bool {
		got = c.answers()
		return len(got) > before && got[len(got)-1].Serial == 0xfefe
	})
	c.seen = len(got)
	return got[before : len(got)-1]
}

// published is one frame of a folder of published messages that lies beside the repository;
// it is not part of it.
type published struct {
	Protocol, Description, Hex string
	OK                         bool `json:"checksum_ok"`
	Expected                   struct {
		Serial, Src, Dst, Cmd int // of GB/T 26875.3
		Role                  string
		Address, Function     byte
		Start, Count          uint16
	}
}

// publishedFrames are those of a protocol; without them the test is skipped.
func publishedFrames(t *testing.T, protocol string) (out []published) {
	t.Helper()
	f, err := os.Open("../../../shared/vectors/serial.jsonl")
	if err != nil {
		t.Skip("no published frames at ../shared/vectors/serial.jsonl: skipped")
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var v published
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if v.Protocol == protocol {
			out = append(out, v)
		}
	}
	return out
}

func TestEveryPublishedFrameGetsItsAnswer(t *testing.T) {
	frames := publishedFrames(t, "GB/T 26875.3")
	var in gatetest.Inbox
	tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875}, &in)
	c := call(t, tr, "tcp")
	for _, v := range frames {
		raw, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		want, stored := gb26875.Command(0), false
		switch {
		case !v.OK:
			want = gb26875.Deny
		case v.Expected.Cmd == 2:
			want, stored = gb26875.Confirm, true
		case v.Expected.Cmd == 5:
			stored = true
		}
		before := len(in.Frames())
		c.send(t, raw)
		got := c.barrier(t)
		switch {
		case want == 0 && len(got) > 0, want != 0 && len(got) != 1, want != 0 && got[0].Command != want:
			t.Errorf("%s: answered %+v: want %v", v.Description, got, want)
		case want == gb26875.Confirm:
			if a := got[0]; int(a.Serial) != v.Expected.Serial || int(a.Source) != v.Expected.Dst || int(a.Destination) != v.Expected.Src || len(a.Unit) != 0 {
				t.Errorf("%s: answered %+v", v.Description, a)
			}
		}
		if stored {
			gatetest.Eventually(t, v.Description+" to be stored", func() bool {
				return slices.ContainsFunc(in.Frames()[before:], func(f grid.Frame) bool { return string(f.Raw) == string(raw) && f.Flags&grid.Refused == 0 })
			})
		}
	}
	if n := len(frames); n < 10 {
		t.Errorf("%d published frames: want all", n)
	}
}

// The published frames of Modbus are a question and its answers: the question is what we
// ask, and each answer is taken for one.
func TestEveryPublishedModbusFrameIsAskedForOrTaken(t *testing.T) {
	frames := publishedFrames(t, "Modbus RTU")
	var asks *poll
	answers := 0
	for _, v := range frames {
		raw, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		e := v.Expected
		if e.Role == "request" {
			p := Poll{Function: e.Function, Start: e.Start, Count: e.Count, Every: time.Second, Address: e.Address}
			asks = &poll{Poll: p, request: p.encode()}
			if string(asks.request) != string(raw) {
				t.Errorf("%s: asked as %x: want %x", v.Description, asks.request, raw)
			}
			continue
		}
		answers++
		line := slices.Concat([]byte{0xff, 2}, asks.request, raw, []byte{0})
		if got := asks.answer(line); string(got) != string(raw) {
			t.Errorf("%s: found %x in %x: want %x", v.Description, got, line, raw)
		}
		var in gatetest.Inbox
		b := startBus(t)
		b.set(e.Address, raw[3:len(raw)-2]...)
		start(t, Config{Name: "pit", Connect: b.url(), Protocol: ModbusRTU, Slaves: []Slave{{Address: e.Address, Polls: []Poll{asks.Poll}}}}, &in)
		if f := in.Wait(t, 1)[0]; string(f.Raw) != string(asks.request)+string(raw) {
			t.Errorf("%s: stored %x", v.Description, f.Raw)
		}
	}
	if asks == nil || answers < 2 {
		t.Errorf("%d published frames: want all", len(frames))
	}
}

func TestDamagedAndForeignFramesAreDenied(t *testing.T) {
	whole := gbFrame(77, "\x15\x01\x02@@##\x03\x04")
	change := func(f func(b []byte) []byte) []byte { return f(append([]byte(nil), whole...)) }
	sum := func(b []byte) []byte {
		var s byte
		for _, c := range b[2 : len(b)-3] {
			s += c
		}
		b[len(b)-3] = s
		return b
	}
	for _, c := range []struct {
		name    string
		raw     []byte
		answers []gb26875.Command
		stored  int // frames, refused ones too
	}{
		{"whole", whole, []gb26875.Command{gb26875.Confirm}, 1},
		{"checksum", change(func(b []byte) []byte { b[len(b)-3]++; return b }), []gb26875.Command{gb26875.Deny}, 1},
		{"end mark", change(func(b []byte) []byte { b[len(b)-1] = '$'; return b }), []gb26875.Command{gb26875.Deny}, 1},
		{"a bit in the unit", change(func(b []byte) []byte { b[30] ^= 8; return b }), []gb26875.Command{gb26875.Deny}, 1},
		{"three bytes too many", change(func(b []byte) []byte { return slices.Insert(b, 32, 1, 2, 3) }), []gb26875.Command{gb26875.Deny}, 1},
		{"length over the limit", change(func(b []byte) []byte { b[25] = 5; return append(b, make([]byte, 1280)...) }), []gb26875.Command{gb26875.Deny}, 1},
		{"unknown command", sum(change(func(b []byte) []byte { b[26] = 9; return b })), []gb26875.Command{gb26875.Deny}, 1},
		{"command of the maker", sum(change(func(b []byte) []byte { b[26] = 7; return b })), []gb26875.Command{gb26875.Confirm}, 1},
		{"one inside of another, both damaged", func() []byte {
			in := gbFrame(78, "\x15\x01x")
			in[len(in)-3]++
			out := gbFrame(77, string(in)+"y")
			out[len(out)-3]++
			return out
		}(), []gb26875.Command{gb26875.Deny}, 1},
		{"noise that begins like a frame", append([]byte("@@\x01\x02"), make([]byte, 40)...), nil, 0},
		{"order", sum(change(func(b []byte) []byte { b[26] = 1; return b })), nil, 0},
		{"confirmation", sum(change(func(b []byte) []byte { b[26] = 3; return b })), nil, 0},
		{"damaged confirmation", change(func(b []byte) []byte { b[26] = 3; return b }), nil, 0},
		{"request", sum(change(func(b []byte) []byte { b[26] = 4; return b })), nil, 0},
		{"denial", sum(change(func(b []byte) []byte { b[26] = 6; return b })), nil, 0},
		{"response", sum(change(func(b []byte) []byte { b[26] = 5; return b })), nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in gatetest.Inbox
			tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875, GBT26875: GBSettings{Commands: []int{7}}}, &in)
			d := call(t, tr, "tcp")
			d.send(t, c.raw)
			var got []gb26875.Command
			for _, a := range d.barrier(t) {
				got = append(got, a.Command)
				if a.Serial != 77 || a.Source != 99 || a.Destination != 4711 {
					t.Errorf("answered %+v: want serial 77, from 99 to 4711", a)
				}
			}
			if !slices.Equal(got, c.answers) {
				t.Errorf("answered %v: want %v", got, c.answers)
			}
			for _, f := range in.Wait(t, c.stored+1) {
				if refused := f.Flags&grid.Refused != 0; refused != (f.Note != "") || refused && f.Identity != "" {
					t.Errorf("stored %+v", f)
				}
			}
			if n := len(in.Frames()); n != c.stored+1 {
				t.Errorf("stored %d frames: want %d and the heartbeat", n, c.stored)
			}
		})
	}
}

// pipe runs a transport over a line of the test's, in a bubble whose clock jumps. The
// answers are those that have come so far.
func pipe(t *testing.T, protocol string, in grid.Ingester, test func(tr *Transport, write func([]byte), answers func() []gb26875.Frame)) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		tr := New(Config{Name: "a", Connect: "tcp://panel:1", Protocol: protocol}, nil)
		tr.opened = func(context.Context) (Port, string, error) { return tcpPort{near}, "a pipe", nil }
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { _ = tr.Run(ctx, in) })
		var got []byte
		run.Go(func() {
			buf := make([]byte, 4096)
			for {
				n, err := far.Read(buf)
				if got = append(got, buf[:n]...); err != nil {
					return
				}
			}
		})
		test(tr, func(b []byte) {
			if _, err := far.Write(b); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}, func() []gb26875.Frame { synctest.Wait(); return parseAll(got) })
		cancel()
		_ = far.Close()
		run.Wait()
	})
}

func refused(in *gatetest.Inbox) (out []grid.Frame) {
	for _, f := range in.Frames() {
		if f.Flags&grid.Refused != 0 {
			out = append(out, f)
		}
	}
	return out
}

func damaged(serial uint16) []byte {
	bad := gbFrame(serial, "\x15\x01y")
	bad[len(bad)-3]++
	return bad
}

// A device whose frames cannot be read is not silent: a person sees one of them in time.
func TestDamagedFrameThatIsNotSentAgainIsKeptAsItsDevicesOwn(t *testing.T) {
	var in gatetest.Inbox
	pipe(t, GBT26875, &in, func(tr *Transport, write func([]byte), answers func() []gb26875.Frame) {
		write(gbFrame(1, "\x15\x01x"))
		for range 5 {
			write(damaged(2))
		}
		if got := answers(); len(got) != 6 || got[5].Command != gb26875.Deny {
			t.Errorf("answered %+v: want a confirmation and five denials", got)
		}
		time.Sleep(7 * time.Second)
		if n := len(refused(&in)); n != 0 {
			t.Errorf("%d kept while the device may send it again", n)
		}
		time.Sleep(3 * time.Second)
		got := refused(&in)
		if len(got) != 1 || got[0].Identity != "gb26875:4711" || !strings.Contains(got[0].Note, "checksum is") {
			t.Errorf("kept %+v: want one, of gb26875:4711", got)
		}
		if s := tr.Status(); s.Damaged < 5 || !strings.Contains(s.LastDamage, "checksum is") {
			t.Errorf("status %+v", s)
		}
		for range 60 {
			write(damaged(3))
			time.Sleep(time.Second)
		}
		if n := len(refused(&in)); n < 4 || n > 8 {
			t.Errorf("%d kept after a minute of them: want about one in 10 s", n)
		}
	})
}

func TestDamagedFrameThatIsSentAgainTroublesNobody(t *testing.T) {
	var in gatetest.Inbox
	pipe(t, GBT26875, &in, func(_ *Transport, write func([]byte), answers func() []gb26875.Frame) {
		write(gbFrame(1, "\x15\x01x"))
		write(damaged(2))
		write(gbFrame(2, "\x15\x01y"))
		time.Sleep(time.Minute)
		if n := len(refused(&in)); n != 0 || len(answers()) != 3 {
			t.Errorf("%d kept, %d answers", n, len(answers()))
		}
		write(damaged(3))
		write(gbFrame(4, "")) // a heartbeat is no repeat
		time.Sleep(time.Minute)
		if n := len(refused(&in)); n != 1 {
			t.Errorf("%d kept: want the one that did not come again", n)
		}
	})
}

func TestAnswersHaveTheTimeOfTheMakersDevices(t *testing.T) {
	now := time.Date(2026, 11, 30, 15, 4, 5, 0, time.UTC)
	for name, want := range map[string]gb26875.Time{"binary": {5, 4, 23, 30, 11, 26}, "bcd": {0x05, 0x04, 0x23, 0x30, 0x11, 0x26}} {
		tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875, GBT26875: GBSettings{Time: name}, Now: func() time.Time { return now }}, &gatetest.Inbox{})
		d := call(t, tr, "tcp")
		d.send(t, gbFrame(1, "\x15\x01x"))
		gatetest.Eventually(t, "an answer", func() bool { return len(d.answers()) == 1 })
		if got := d.answers()[0].Sent; got != want {
			t.Errorf("%s: got %x: want %x", name, got, want)
		}
	}
}

// gbPeer is a device of the conformance suite: what it sends is the unit of a frame.
type gbPeer struct {
	*caller
	mu   sync.Mutex
	sent map[uint16]string
}

func (p *gbPeer) Send(t testing.TB, payload string) {
	p.mu.Lock()
	serial := uint16(len(p.sent) + 1)
	p.sent[serial] = payload
	p.mu.Unlock()
	p.send(t, gbFrame(serial, payload))
}

func (p *gbPeer) Acked() (out []string) {
	for _, f := range p.answers() {
		p.mu.Lock()
		out = append(out, p.sent[f.Serial])
		p.mu.Unlock()
	}
	return out
}

func (p *gbPeer) Closed() bool { return p.isClosed() }

// units gives the units of frames for the frames themselves.
type units struct{ grid.Ingester }

func (u units) Ingest(ctx context.Context, frames ...grid.Frame) error {
	frames = slices.Clone(frames)
	for i := range frames {
		f, err := gb26875.Parse(frames[i].Raw)
		if err != nil {
			return err
		}
		frames[i].Raw = f.Unit
	}
	return u.Ingester.Ingest(ctx, frames...)
}

func TestListenerKeepsThePromiseOfATransport(t *testing.T) {
	gatetest.TestTransport(t, func(t *testing.T, in grid.Ingester, giveUp time.Duration) gatetest.Peer {
		tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875, GiveUp: giveUp}, units{in})
		return &gbPeer{caller: call(t, tr, "tcp"), sent: map[uint16]string{}}
	})
}

func TestDatagramsAreConfirmed(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{Name: "u", Listen: "udp://127.0.0.1:0", Protocol: GBT26875}, &in)
	a, b := call(t, tr, "udp"), call(t, tr, "udp")
	a.send(t, append(append([]byte("\x00@@"), gbFrame(1, "\x15\x01a")...), gbFrame(2, "\x15\x01b")...))
	gatetest.Eventually(t, "two confirmations", func() bool { return len(a.answers()) == 2 })
	b.send(t, gbFrame(3, "")[:29]) // half of one does not wait for the next
	b.send(t, gbFrame(4, ""))
	gatetest.Eventually(t, "a confirmation", func() bool { return len(b.answers()) == 1 })
	if got := b.answers()[0]; got.Serial != 4 || got.Command != gb26875.Confirm {
		t.Errorf("answered %+v", got)
	}
	if f := in.Wait(t, 3)[0]; f.Transport != "udp" || f.Source != "u" || f.Address != "127.0.0.1" || f.Identity != "gb26875:4711" {
		t.Errorf("got %+v", f)
	}
}

func TestDatagramIsNotAnsweredWhileTheJournalRefuses(t *testing.T) {
	var in gatetest.Inbox
	in.Fail(grid.ErrOverloaded)
	tr, _ := start(t, Config{Listen: "udp://127.0.0.1:0", Protocol: GBT26875, Waiting: 2}, &in)
	d := call(t, tr, "udp")
	for serial := range uint16(4) {
		d.send(t, gbFrame(serial, "\x15\x01a"))
	}
	gatetest.Eventually(t, "all four", func() bool { return tr.Status().Received == 4 })
	if got := d.answers(); len(got) != 0 {
		t.Fatalf("answered %+v", got)
	}
	in.Fail(nil)
	gatetest.Eventually(t, "the two that found room", func() bool { return len(d.answers()) == 2 })
	if s := tr.Status(); s.LostUnackable != 0 || s.Unanswered != 2 {
		t.Errorf("%d lost, %d without an answer: want 0 and 2, for their device sends them again", s.LostUnackable, s.Unanswered)
	}
}

func TestFrameOfADeviceThatHangsUpAtOnceIsStored(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875}, &in)
	d := call(t, tr, "tcp")
	d.send(t, gbFrame(1, "\x15\x01a"))
	d.send(t, gbFrame(2, "\x15\x01b"))
	_ = d.Close()
	gatetest.Eventually(t, "Ingest to be called", func() bool { return len(in.Calls()) == 1 })
	time.Sleep(20 * time.Millisecond)
	release()
	in.Wait(t, 2)
}

func TestOneDeviceCannotHoldUpAnother(t *testing.T) {
	var in gatetest.Inbox
	in.FailIf(func(frames []grid.Frame) error {
		for _, f := range frames {
			if f.Identity == "gb26875:4711" {
				return grid.ErrOverloaded
			}
		}
		return nil
	})
	tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875}, &in)
	busy, other := call(t, tr, "tcp"), call(t, tr, "tcp")
	for serial := range uint16(600) { // more than its window
		busy.send(t, gbFrame(serial, "\x15\x01a"))
	}
	other.barrier(t)
	if got := busy.answers(); len(got) != 0 {
		t.Errorf("answered %d of what is refused", len(got))
	}
}

func TestConnectionsAreCapped(t *testing.T) {
	tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875, MaxPeers: 8}, &gatetest.Inbox{})
	a, b := call(t, tr, "tcp"), call(t, tr, "tcp")
	a.barrier(t)
	b.barrier(t)
	c := call(t, tr, "tcp") // a quarter of all may come from one address
	gatetest.Eventually(t, "the third to be closed", c.isClosed)
	if s := tr.Status(); s.Peers != 2 || !strings.Contains(s.LastError, "max_peers") {
		t.Errorf("status %+v", s)
	}
	_ = a.Close()
	gatetest.Eventually(t, "room", func() bool { return tr.Status().Peers == 1 })
	call(t, tr, "tcp").barrier(t)
	b.barrier(t)
}

func TestIdleAndSenselessConnectionsAreClosed(t *testing.T) {
	tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875, Idle: time.Second, Gap: 50 * time.Millisecond}, &gatetest.Inbox{})
	idle, noisy := call(t, tr, "tcp"), call(t, tr, "tcp")
	go func() { _, _ = io.CopyN(noisy, zeros{}, 1<<20) }()
	gatetest.Eventually(t, "the noisy one to be closed", noisy.isClosed)
	gatetest.Eventually(t, "the idle one to be closed", idle.isClosed)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// A serial server is a port like another: we call it, and call again when it is gone.
func TestSerialServerIsCalledAgain(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var in gatetest.Inbox
	tr, _ := start(t, Config{Connect: "tcp://" + ln.Addr().String(), Protocol: GBT26875}, &in)
	for i := range 2 {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		raw := gbFrame(uint16(i), "\x15\x01a")
		for _, b := range raw { // converters break frames up
			_, _ = c.Write([]byte{b})
		}
		answer := make([]byte, 30)
		if _, err := io.ReadFull(c, answer); err != nil {
			t.Fatal(err)
		}
		if f, err := gb26875.Parse(answer); err != nil || f.Command != gb26875.Confirm || f.Serial != uint16(i) {
			t.Errorf("answered %+v, %v", f, err)
		}
		_ = c.Close()
		gatetest.Eventually(t, "the loss to be seen", func() bool { return !tr.Status().Up || i == 1 })
	}
	if f := in.Frames()[0]; f.Transport != "serial" {
		t.Errorf("got %+v", f)
	}
}

// FuzzCentre: whatever comes over a line, what is answered is sound, each confirmation is
// of a frame that is stored, and nothing is answered that answers.
func FuzzCentre(f *testing.F) {
	f.Add(append(gbFrame(1, "\x15\x01x"), damaged(2)...))
	f.Add([]byte("@@\x01\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr := New(Config{Name: "a", Connect: "tcp://x:1", Protocol: GBT26875, GBT26875: GBSettings{Commands: []int{7}, SetClock: true}}, nil)
		var in gatetest.Inbox
		var got []byte
		p := &peer{t: tr, queue: tr.acked, reply: func(b []byte) error { got = append(got, b...); return nil }}
		c, _ := tr.cfg.cutter()
		s := stream{cutter: c}
		s.feed(b, true, p.take)
		tr.acked.Close()
		tr.acked.Run(t.Context(), &in)
		answers, confirmed := parseAll(got), 0
		if len(answers)*gb26875.MinSize != len(got) {
			t.Fatalf("answered %x", got)
		}
		for _, a := range answers {
			switch a.Command {
			case gb26875.Confirm:
				confirmed++
			case gb26875.Deny:
			default:
				t.Fatalf("answered %+v", a)
			}
		}
		if confirmed > len(in.Frames()) {
			t.Fatalf("%d confirmed, %d stored", confirmed, len(in.Frames()))
		}
	})
}

func TestTextOfDevicesThatCallIsStoredPeerByPeer(t *testing.T) {
	for protocol, frame := range map[string]string{
		Lines:  "id=a1 open=1\r\n",
		STXETX: "\x02id=a1 open=1\x03",
	} {
		var in gatetest.Inbox
		tr, _ := start(t, Config{Name: "callers", Listen: "tcp://127.0.0.1:0", Protocol: protocol, Identify: `^id=(\w+)`, Kind: "meter"}, &in)
		a, b := call(t, tr, "tcp"), call(t, tr, "tcp")
		a.send(t, []byte(frame[:5])) // halves of two devices do not become one
		b.send(t, []byte(frame))
		f := in.Wait(t, 1)[0]
		a.send(t, []byte(frame[5:]))
		in.Wait(t, 2)
		if f.Identity != "meter:a1" || string(f.Raw) != "id=a1 open=1" || f.Transport != "tcp" || f.Source != "callers" || f.Address != "127.0.0.1" || f.Flags != grid.Unacknowledged {
			t.Errorf("%s: got %+v", protocol, f)
		}
	}
}

func TestHalfALineIsNotTheBeginningOfTheNext(t *testing.T) {
	var in gatetest.Inbox
	pipe(t, Lines, &in, func(tr *Transport, write func([]byte), _ func() []gb26875.Frame) {
		time.Sleep(time.Minute)
		write([]byte("one\ntw"))
		time.Sleep(900 * time.Millisecond)
		write([]byte("o\nthr"))
		time.Sleep(1100 * time.Millisecond)
		write([]byte("four\n"))
		var got []string
		for _, f := range in.Frames() {
			got = append(got, string(f.Raw))
		}
		if want := []string{"one", "two", "four"}; !slices.Equal(got, want) || tr.Status().Damaged != 1 {
			t.Errorf("got %q, %d damaged: want %q and one", got, tr.Status().Damaged, want)
		}
	})
}
