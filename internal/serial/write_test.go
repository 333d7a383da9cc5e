package serial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	rtu "github.com/goburrow/modbus"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func modbusOrder(id grid.Identity, what string, address uint16, values ...uint16) *grid.Downlink {
	return &grid.Downlink{ID: "1", Device: id, Order: grid.Order{Modbus: &grid.ModbusOrder{Write: what, Address: address, Values: values}}}
}

func mayHaveBeenSent(err error) bool {
	return grid.CodeOf(err) == grid.Unavailable && errors.Is(err, grid.ErrMayHaveBeenSent)
}

// relay is a Modbus unit that answers as a test says, on a line whose clock jumps.
type relay struct {
	mu    sync.Mutex
	got   [][]byte                      // requests
	when  []time.Time                   // they came
	reply func(request []byte) [][]byte // pieces
}

func (r *relay) serve(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 256)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		request := bytes.Clone(buf[:n])
		r.mu.Lock()
		r.got, r.when = append(r.got, request), append(r.when, time.Now())
		r.mu.Unlock()
		for _, piece := range r.reply(request) {
			time.Sleep(5 * time.Millisecond)
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
	}
}

// writes are the requests that change something.
func (r *relay) writes() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.got {
		if b[1] > 4 {
			out = append(out, fmt.Sprintf("%x", b[:len(b)-2]))
		}
	}
	return out
}

// right answers as a unit does that knows everything.
func right(request []byte) []byte {
	switch request[1] {
	case 1, 2, 3, 4:
		return reply(request, []byte{0, 0})
	case 5, 6:
		return request
	}
	return sealed(request[:6])
}

// sealed is an ADU with its checksum.
func sealed(b []byte) []byte {
	h := rtu.NewRTUClientHandler("")
	h.SlaveId = b[0]
	adu, _ := h.Encode(&rtu.ProtocolDataUnit{FunctionCode: b[1], Data: b[2:]})
	return adu
}

// withRelay runs a line a with the unit 7, whose register 3 is read every second.
func withRelay(t *testing.T, cfg Config, reply func(request []byte) [][]byte, test func(t *testing.T, tr *Transport, r *relay)) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		if cfg.Slaves == nil {
			cfg.Slaves = []Slave{{Address: 7, Polls: []Poll{{Function: 3, Start: 3, Count: 1, Every: time.Second}}}}
		}
		cfg.Name, cfg.Protocol, cfg.Connect = "a", ModbusRTU, "tcp://bus:1"
		tr := New(cfg, nil)
		tr.opened = func(context.Context) (Port, string, error) { return tcpPort{near}, "a pipe", nil }
		ctx, cancel := context.WithCancel(t.Context())
		r := &relay{reply: reply}
		var run sync.WaitGroup
		run.Go(func() { _ = tr.Run(ctx, &gatetest.Inbox{}) })
		run.Go(func() { r.serve(far) })
		synctest.Wait()
		test(t, tr, r)
		cancel()
		_ = far.Close()
		run.Wait()
	})
}

func TestWriteIsAcknowledgedByItsEchoAlone(t *testing.T) {
	change := func(at int) func([]byte) []byte {
		return func(request []byte) []byte {
			b := bytes.Clone(right(request))
			b[at]++
			return sealed(b[:6])
		}
	}
	for _, c := range []struct {
		name   string
		answer func(request []byte) []byte
		pieces int
		values []uint16
		ok     bool
		want   string
	}{
		{"right", right, 0, []uint16{9}, true, "register 3 is 9"},
		{"right for several", right, 0, []uint16{9, 8}, true, "registers 3 to 4 are written"},
		{"byte by byte", right, 1, []uint16{9}, true, "register 3 is 9"},
		{"behind noise", func(b []byte) []byte { return append([]byte{0xff, 7, 6, 0}, right(b)...) }, 0, []uint16{9}, true, "register 3 is 9"},
		{"behind a late one", func(b []byte) []byte { return append(change(5)(b), right(b)...) }, 0, []uint16{9}, true, "register 3 is 9"},
		{"another value", change(5), 0, []uint16{9}, false, "answers 07060003000a"},
		{"another address", change(3), 0, []uint16{9}, false, "answers 070600040009"},
		{"another count", change(5), 0, []uint16{9, 8}, false, "answers 071000030003"},
		{"another function", change(1), 0, []uint16{9}, false, "came that are no answer"},
		{"another unit", change(0), 0, []uint16{9}, false, "came that are no answer"},
		{"checksum", func(b []byte) []byte { b = bytes.Clone(right(b)); b[7]++; return b }, 0, []uint16{9}, false, "came that are no answer"},
		{"half", func(b []byte) []byte { return right(b)[:7] }, 0, []uint16{9}, false, "7 bytes came that are no answer"},
		{"nothing", func([]byte) []byte { return nil }, 0, []uint16{9}, false, "no answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			withRelay(t, Config{}, func(request []byte) [][]byte {
				b := right(request)
				if request[1] > 4 {
					b = c.answer(request)
				}
				if c.pieces > 0 {
					return slices.Collect(slices.Chunk(b, c.pieces))
				}
				return [][]byte{b}
			}, func(t *testing.T, tr *Transport, _ *relay) {
				sent, err := tr.Downlink(t.Context(), modbusOrder("modbus:a/7", "register", 3, c.values...), grid.Frame{})
				switch {
				case c.ok && (err != nil || sent.State != grid.DownlinkAcknowledged || sent.NoAck || !strings.Contains(sent.Answer, c.want)):
					t.Errorf("got %+v, %v: want %s", sent, err, c.want)
				case !c.ok && (err == nil || !strings.Contains(err.Error(), c.want)):
					t.Errorf("got %+v, %v: want %s", sent, err, c.want)
				case !c.ok && strings.HasPrefix(c.want, "answers") && grid.CodeOf(err) != grid.Conflict, !c.ok && !strings.HasPrefix(c.want, "answers") && !mayHaveBeenSent(err):
					t.Errorf("code %s: %v", grid.CodeOf(err), err)
				}
			})
		})
	}
}

// The echo of function 5 and 6 is the request itself: on a line of two wires that gives
// back what we write a unit that is off would seem to obey.
func TestLineThatGivesBackWhatWeWriteAcknowledgesNothing(t *testing.T) {
	on := true
	var mu sync.Mutex
	withRelay(t, Config{}, func(request []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if !on {
			return [][]byte{request}
		}
		return [][]byte{request, right(request)}
	}, func(t *testing.T, tr *Transport, _ *relay) {
		if sent, err := tr.Downlink(t.Context(), modbusOrder("modbus:a/7", "coil", 3, 1), grid.Frame{}); err != nil || sent.State != grid.DownlinkAcknowledged {
			t.Errorf("a unit that obeys: %+v, %v", sent, err)
		}
		mu.Lock()
		on = false
		mu.Unlock()
		if sent, err := tr.Downlink(t.Context(), modbusOrder("modbus:a/7", "coil", 3, 0), grid.Frame{}); !mayHaveBeenSent(err) {
			t.Errorf("a unit that is off: %+v, %v", sent, err)
		}
	})
}

func TestExceptionIsInWordsAndFinalButWhereItAsksForPatience(t *testing.T) {
	for code, want := range map[byte]string{
		1:  "conflict: modbus:a/7 refuses: exception '1' (illegal function), function '16'",
		2:  "conflict: modbus:a/7 refuses: exception '2' (illegal data address), function '6'",
		3:  "conflict: modbus:a/7 refuses: exception '3' (illegal data value), function '6'",
		4:  "conflict: modbus:a/7 refuses: exception '4' (server device failure), function '6'",
		6:  "unavailable: modbus:a/7: exception '6' (server device busy), function '6'",
		11: "unavailable: modbus:a/7: exception '11' (gateway target device failed to respond), function '6': whether it arrived is not known",
		99: "conflict: modbus:a/7 refuses: exception '99' (unknown), function '6'",
	} {
		withRelay(t, Config{}, func(request []byte) [][]byte {
			if request[1] > 4 {
				return [][]byte{sealed([]byte{request[0], request[1] | 0x80, code})}
			}
			return [][]byte{right(request)}
		}, func(t *testing.T, tr *Transport, _ *relay) {
			_, err := tr.Downlink(t.Context(), modbusOrder("modbus:a/7", "register", 3, 9), grid.Frame{})
			if got := fmt.Sprintf("%s: %v", grid.CodeOf(err), err); got != want {
				t.Errorf("got %s: want %s", got, want)
			}
			if s := tr.Status().Slaves[0]; !s.Up || s.Exceptions == 0 {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestSlaveThatKnowsButTheFunctionForSeveralIsWrittenToByIt(t *testing.T) {
	withRelay(t, Config{}, func(request []byte) [][]byte {
		if request[1] == 5 || request[1] == 6 {
			return [][]byte{sealed([]byte{request[0], request[1] | 0x80, 1})}
		}
		return [][]byte{right(request)}
	}, func(t *testing.T, tr *Transport, r *relay) {
		for _, what := range []string{"register", "coil"} {
			if sent, err := tr.Downlink(t.Context(), modbusOrder("modbus:a/7", what, 3, 1), grid.Frame{}); err != nil || sent.State != grid.DownlinkAcknowledged {
				t.Errorf("%s: %+v, %v", what, sent, err)
			}
		}
		if got, want := fmt.Sprint(r.writes()), "[070600030001 071000030001020001 07050003ff00 070f000300010101]"; got != want {
			t.Errorf("written %s: want %s", got, want)
		}
	})
}

func TestWriteGoesBeforeTheNextPollAfterTheSilenceOfTheLine(t *testing.T) {
	withRelay(t, Config{Baud: 1200, Slaves: []Slave{one(7), one(8)}}, func(request []byte) [][]byte { return [][]byte{right(request)} },
		func(t *testing.T, tr *Transport, r *relay) {
			time.Sleep(5 * time.Second) // the line has no time to spare
			var all sync.WaitGroup
			for range 12 {
				all.Go(func() {
					if _, err := tr.Downlink(t.Context(), modbusOrder("modbus:a/8", "coil", 3, 1), grid.Frame{}); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			row, most := 0, 0
			for i := 1; i < len(r.when); i++ {
				if row++; r.got[i][1] < 5 {
					row = 0
				}
				most = max(most, row)
				// The answer of 8 bytes is sent at once in this test; then 3.5 characters of silence.
				if d := r.when[i].Sub(r.when[i-1]); d < 32*time.Millisecond {
					t.Errorf("request %d came %s after the one before", i, d)
				}
			}
			if most != maxWritesInARow {
				t.Errorf("%d writes in a row: want %d at most, and as many while polls are due", most, maxWritesInARow)
			}
		})
}

func TestWritesAreForSlavesOfTheLineAndBounded(t *testing.T) {
	silent := func([]byte) [][]byte { return nil }
	withRelay(t, Config{ResponseTimeout: 10 * time.Second}, silent, func(t *testing.T, tr *Transport, r *relay) {
		for id, d := range map[string]*grid.Downlink{
			"modbus:a/8 is no slave of it":   modbusOrder("modbus:a/8", "coil", 1, 1),
			"modbus:a/0 is no slave of it":   modbusOrder("modbus:a/0", "coil", 1, 1),
			"want an order of the kind modb": {Device: "modbus:a/7", Order: grid.Order{Payload: &grid.PayloadOrder{Hex: "00"}}},
		} {
			if _, err := tr.Downlink(t.Context(), d, grid.Frame{}); grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), id) {
				t.Errorf("got %v: want %s", err, id)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		outcomes := make(chan error, maxOrders)
		for range maxOrders {
			go func() {
				_, err := tr.Downlink(ctx, modbusOrder("modbus:a/7", "coil", 1, 1), grid.Frame{})
				outcomes <- err
			}()
		}
		synctest.Wait()
		if _, err := tr.Downlink(ctx, modbusOrder("modbus:a/7", "coil", 1, 1), grid.Frame{}); grid.CodeOf(err) != grid.Unavailable || !strings.Contains(err.Error(), "64 writes wait") {
			t.Errorf("one more: %v", err)
		}
		for range maxOrders {
			if err := <-outcomes; grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) || !strings.Contains(err.Error(), "not the turn") {
				t.Errorf("its turn did not come: %v", err)
			}
		}
		if got := r.writes(); len(got) > 0 {
			t.Errorf("written all the same: %v", got)
		}
	})
}

func TestWritesToASilentSlaveDoNotDelayTheOthersAndItIsWrittenToWhenItIsBack(t *testing.T) {
	var back atomic.Bool
	withRelay(t, Config{Slaves: []Slave{one(7), one(8)}}, func(request []byte) [][]byte {
		if request[0] == 8 && !back.Load() {
			return nil
		}
		return [][]byte{right(request)}
	}, func(t *testing.T, tr *Transport, r *relay) {
		time.Sleep(10 * time.Second)
		for range 1000 {
			if _, err := tr.Downlink(t.Context(), modbusOrder("modbus:a/8", "coil", 3, 1), grid.Frame{}); grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) {
				t.Fatalf("it is silent: %v", err)
			}
		}
		if got := r.writes(); len(got) > 0 {
			t.Errorf("%d writes took time from the others", len(got))
		}
		back.Store(true)
		time.Sleep(time.Minute)
		if _, err := tr.Downlink(t.Context(), modbusOrder("modbus:a/8", "coil", 3, 1), grid.Frame{}); err != nil {
			t.Errorf("it is back: %v", err)
		}
	})
}

func TestSlaveThatIsBackIsAFrameEvenWhenItSaysWhatItSaid(t *testing.T) {
	b := &fieldBus{values: map[byte][]byte{}, asked: map[byte]int{}}
	b.set(5, 0, 1)
	s := one(5)
	s.Heartbeat = 24 * time.Hour
	inBubble(t, Config{Slaves: []Slave{s}}, b, func(_ *Transport, in *gatetest.Inbox) {
		time.Sleep(time.Second)
		b.mu.Lock()
		delete(b.values, 5)
		b.mu.Unlock()
		time.Sleep(time.Minute)
		b.set(5, 0, 1)
		time.Sleep(time.Minute)
		if n := len(in.Frames()); n != 2 {
			t.Errorf("%d frames: want one at first and one when it is back", n)
		}
	})
}

func TestWriteThatWasBegunWhenTheLineWentMayHaveArrived(t *testing.T) {
	for _, begun := range []bool{true, false} {
		hang := make(chan struct{})
		near, far := net.Pipe()
		tr := New(Config{Name: "a", Connect: "tcp://bus:1", Protocol: ModbusRTU, ResponseTimeout: 10 * time.Second, Slaves: []Slave{one(7)}}, nil)
		tr.opened = func(context.Context) (Port, string, error) {
			if near == nil {
				return nil, "", errors.New("it is gone")
			}
			p := tcpPort{near}
			near = nil
			return p, "a pipe", nil
		}
		if _, err := tr.Downlink(t.Context(), modbusOrder("modbus:a/7", "coil", 1, 1), grid.Frame{}); grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) || !strings.Contains(err.Error(), "line is not open") {
			t.Errorf("before it is open: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r := &relay{reply: func(request []byte) [][]byte {
			if begun == (request[1] > 4) {
				<-hang
				return nil
			}
			return [][]byte{right(request)}
		}}
		var run sync.WaitGroup
		run.Go(func() { _ = tr.Run(ctx, &gatetest.Inbox{}) })
		run.Go(func() { r.serve(far) })
		gatetest.Eventually(t, "the line", func() bool { return tr.buses[0].serving() })
		outcome := make(chan error, 1)
		go func() {
			_, err := tr.Downlink(t.Context(), modbusOrder("modbus:a/7", "coil", 1, 1), grid.Frame{})
			outcome <- err
		}()
		gatetest.Eventually(t, "the request to hang", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.got) > 0 && begun == (r.got[len(r.got)-1][1] > 4)
		})
		close(hang)
		_ = far.Close()
		if err := <-outcome; grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) != begun {
			t.Errorf("begun %v: %v", begun, err)
		}
		cancel()
		run.Wait()
	}
}

func TestNewPlanIsFollowedWithoutARestart(t *testing.T) {
	withRelay(t, Config{}, func(request []byte) [][]byte { return [][]byte{right(request)} }, func(t *testing.T, tr *Transport, r *relay) {
		time.Sleep(10 * time.Second)
		asked := func(start byte) (n int) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, b := range r.got {
				if b[3] == start {
					n++
				}
			}
			return n
		}
		if err := tr.SetPolls("modbus:a/7", []Poll{{Function: 3, Start: 5, Count: 1, Every: time.Second}}, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		was := asked(3)
		time.Sleep(10 * time.Second)
		if asked(3) != was || asked(5) < 9 {
			t.Errorf("%d requests of the old plan after the new one came, %d of the new", asked(3)-was, asked(5))
		}
		if err := tr.SetPolls("modbus:a/8", []Poll{{Every: time.Second}}, 0); grid.CodeOf(err) != grid.NotFound {
			t.Errorf("of a stranger: %v", err)
		}
		if err := tr.SetPolls("modbus:a/7", nil, 0); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("nothing to ask: %v", err)
		}
	})
}

// FuzzWriteAnswer: whatever comes, an answer that is found is one to this write, and on a
// line that gives back what we write it is not our own request.
func FuzzWriteAnswer(f *testing.F) {
	f.Add([]byte(hexed("0706000300013a6c")), true, false)
	f.Add([]byte(hexed("07860270f3")), false, true)
	f.Add([]byte(hexed("ff070600")), false, false)
	f.Fuzz(func(t *testing.T, noise []byte, echoes, many bool) {
		values := []uint16{1}
		if many {
			values = []uint16{1, 2}
		}
		w, err := newWrite(&slave{Slave: Slave{Address: 7}}, grid.ModbusOrder{Write: "register", Address: 3, Values: values}, false)
		if err != nil {
			t.Fatal(err)
		}
		check := func(a []byte) {
			var h rtu.RTUClientHandler
			if _, err := h.Decode(a); err != nil || !bytes.Equal(a[:6], w.request[:6]) && (len(a) != 5 || a[0] != 7 || a[1] != w.request[1]|0x80) {
				t.Fatalf("found %x", a)
			}
		}
		if a := w.answer(noise, echoes); a != nil {
			check(a)
			if echoes && !bytes.Contains(noise, w.request) {
				t.Fatalf("found %x before our own request", a)
			}
			return
		}
		if other := w.other(noise); other != nil && bytes.Equal(other[:6], w.request[:6]) {
			t.Fatalf("%x is another answer", other)
		}
		if echoes {
			noise = append(bytes.Clone(noise), w.request...)
			if a := w.answer(noise, true); a != nil && !bytes.Contains(noise[:len(noise)-1], w.request) {
				t.Fatalf("%x is our own request", a)
			}
		}
		if a := w.answer(slices.Concat(noise, right(w.request)), echoes); a == nil {
			t.Fatalf("%x behind %x is not found", right(w.request), noise)
		} else {
			check(a)
		}
	})
}
