package dispatch_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"gridgate/internal/dispatch"
	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// centre is a higher monitoring centre: it answers each frame as say does.
type centre struct {
	addr string
	mu   sync.Mutex
	got  []gb26875.Frame
	raw  [][]byte
}

var beijing = gb26875.Encoding{Zone: gb26875.Beijing}

func confirm(f gb26875.Frame) []byte {
	return gb26875.Append(nil, f.Answer(gb26875.Confirm, time.Now(), beijing))
}

func newCentre(t *testing.T, say func(c net.Conn, f gb26875.Frame, nth int)) *centre {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &centre{addr: "tcp://" + ln.Addr().String()}
	var wg sync.WaitGroup
	var conns sync.Map
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Store(c, true)
			wg.Go(func() {
				defer c.Close()
				for nth := 1; ; nth++ {
					raw := make([]byte, gb26875.MinSize+2+46)
					if _, err := io.ReadFull(c, raw); err != nil {
						return
					}
					f, err := gb26875.Parse(raw)
					if err != nil {
						t.Errorf("frame: %v", err)
						return
					}
					k.mu.Lock()
					k.got, k.raw = append(k.got, f), append(k.raw, raw)
					k.mu.Unlock()
					say(c, f, nth)
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		conns.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return k
}

func centreUnit(address string) grid.Unit {
	return grid.Unit{Connector: "gbt26875", URL: address, Settings: map[string]string{"source": "310105000001", "destination": "1"}}
}

func gbt(address string) *dispatch.GBT26875 {
	return dispatch.NewGBT26875Pause(reach(centreUnit(address)), 200*time.Millisecond)
}

func TestGBT26875KeepsThePromiseOfAConnector(t *testing.T) {
	gatetest.TestConnector(t, func(t *testing.T) gatetest.ConnectorRig {
		var refuse, hang atomic.Bool
		var mu sync.Mutex
		serials := map[uint16]bool{}
		k := newCentre(t, func(c net.Conn, f gb26875.Frame, _ int) {
			switch {
			case hang.Load():
			case refuse.Load():
				c.Write(gb26875.Append(nil, f.Answer(gb26875.Deny, time.Now(), beijing)))
			default:
				mu.Lock()
				serials[f.Serial] = true
				mu.Unlock()
				c.Write(confirm(f))
			}
		})
		return gatetest.ConnectorRig{
			Connector: dispatch.NewGBT26875(reach(centreUnit(k.addr))), Unit: "fire-1",
			Received: func() (ids []string) { // a frame says a serial and no id
				mu.Lock()
				defer mu.Unlock()
				for i := range 20 {
					id := fmt.Sprint("D", i)
					if serials[dispatch.SerialOf(id)] {
						ids = append(ids, id)
					}
				}
				return ids
			},
			Refuse: func() { refuse.Store(true) },
			Hang:   func() { hang.Store(true) },
		}
	})
}

func TestGBT26875FrameSaysAFireAndWhere(t *testing.T) {
	k := newCentre(t, func(c net.Conn, f gb26875.Frame, _ int) { c.Write(confirm(f)) })
	live := func(m *dispatch.Message) { m.Delivery.Mode = grid.Live }
	of := func(e grid.EventType) func(*dispatch.Message) {
		return func(m *dispatch.Message) { live(m); m.Ticket.Type = e }
	}
	unit := centreUnit(k.addr)
	c := dispatch.NewGBT26875(dispatch.Reach{Allow: loopback, Unit: func(context.Context, string) (grid.Unit, error) { u := unit; u.Mode = grid.Live; return u, nil }})
	for _, d := range []grid.Delivery{
		delivered("D1", "ticket.opened", live), delivered("D2", "ticket.opened", of(grid.EventSmokeFault)),
		delivered("D3", "ticket.closed", live), delivered("D4", "ticket.stand_down", live), delivered("D5", "ticket.escalated", live),
	} {
		r, err := c.Deliver(t.Context(), d)
		if err != nil || r.Ref == "" {
			t.Fatalf("%s: %+v, %v", d.ID, r, err)
		}
	}
	if _, err := gbt(k.addr).Deliver(t.Context(), delivered("D6", "ticket.opened")); err != nil { // simulated
		t.Fatal(err)
	}
	for i, want := range []uint16{3, 5, 1, 1, 3, 2} { // bit 0 normal, 1 fire, 2 fault
		f := k.got[i]
		if f.Command != gb26875.Send || f.Source != 310105000001 || f.Destination != 1 {
			t.Errorf("frame %d: %+v", i, f)
		}
		u := f.Unit
		if u[0] != gb26875.ComponentState || u[1] != 1 || u[2] != 1 || u[4] != 40 {
			t.Errorf("frame %d begins with %x", i, u[:5])
		}
		if state := binary.LittleEndian.Uint16(u[9:]); state != want {
			t.Errorf("frame %d: state is %b, want %b", i, state, want)
		}
		text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(bytes.TrimRight(u[11:42], "\x00"))
		if err != nil || !strings.HasPrefix("天山路 100 号, 12号楼, 3, 301", string(text)) || len(text) < 20 {
			t.Errorf("frame %d: text is %q, %v", i, text, err)
		}
		at, err := beijing.Time(gb26875.Time(u[42:48]))
		if err != nil || !at.Equal(time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC)) {
			t.Errorf("frame %d: time is %s, %v", i, at, err)
		}
	}
	if !slices.Equal(k.got[0].Unit[5:9], k.got[2].Unit[5:9]) {
		t.Error("one point has two addresses")
	}
}

func TestGBT26875SendsAgainUntilItIsConfirmed(t *testing.T) {
	k := newCentre(t, func(c net.Conn, f gb26875.Frame, nth int) {
		if nth == 3 {
			c.Write(confirm(f))
		}
	})
	if _, err := gbt(k.addr).Deliver(t.Context(), delivered("D1", "ticket.opened")); err != nil {
		t.Fatal(err)
	}
	if len(k.raw) != 3 || !bytes.Equal(k.raw[0], k.raw[1]) || !bytes.Equal(k.raw[1], k.raw[2]) {
		t.Errorf("%d frames, want three of the same", len(k.raw))
	}
}

func TestGBT26875FindsItsConfirmationAmongOtherWords(t *testing.T) {
	k := newCentre(t, func(c net.Conn, f gb26875.Frame, _ int) {
		other := f
		other.Serial++
		c.Write([]byte("noise@@@ @#"))
		c.Write(confirm(other))
		c.Write(gb26875.Append(nil, gb26875.Frame{Serial: f.Serial, Version: 1, Source: f.Destination, Destination: f.Source, Command: gb26875.Request, Unit: []byte{81, 1, 0}}))
		raw := confirm(f)
		c.Write(raw[:11])
		time.Sleep(10 * time.Millisecond)
		c.Write(append(raw[11:], '@'))
	})
	if _, err := gbt(k.addr).Deliver(t.Context(), delivered("D1", "ticket.opened")); err != nil {
		t.Fatal(err)
	}
}

func TestGBT26875RefusesTheHostile(t *testing.T) {
	for name, say := range map[string]func(net.Conn, gb26875.Frame, int){
		"silence":   func(net.Conn, gb26875.Frame, int) {},
		"a hang-up": func(c net.Conn, _ gb26875.Frame, _ int) { c.Close() },
		"a denial": func(c net.Conn, f gb26875.Frame, _ int) {
			c.Write(gb26875.Append(nil, f.Answer(gb26875.Deny, time.Now(), beijing)))
		},
		"its echo":            func(c net.Conn, f gb26875.Frame, _ int) { c.Write(gb26875.Append(nil, f)) },
		"a web page":          func(c net.Conn, _ gb26875.Frame, _ int) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") },
		"another's":           func(c net.Conn, f gb26875.Frame, _ int) { f.Serial++; c.Write(confirm(f)) },
		"another's address":   func(c net.Conn, f gb26875.Frame, _ int) { f.Destination++; c.Write(confirm(f)) },
		"a wrong checksum":    func(c net.Conn, f gb26875.Frame, _ int) { raw := confirm(f); raw[len(raw)-3]++; c.Write(raw) },
		"half a confirmation": func(c net.Conn, f gb26875.Frame, _ int) { c.Write(confirm(f)[:20]) },
		"endless noise": func(c net.Conn, _ gb26875.Frame, _ int) {
			for range 64 {
				if _, err := c.Write(bytes.Repeat([]byte("@@"), 2048)); err != nil {
					return
				}
			}
		},
	} {
		k := newCentre(t, say)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if r, err := gbt(k.addr).Deliver(ctx, delivered("D1", "ticket.opened")); err == nil || ctx.Err() != nil {
			t.Errorf("%s counts as a confirmation: %+v, %v", name, r, err)
		}
		cancel()
	}
	k := newCentre(t, func(net.Conn, gb26875.Frame, int) { t.Error("an internal address was reached") })
	r := reach(centreUnit(k.addr))
	r.Allow = nil
	if _, err := dispatch.NewGBT26875(r).Deliver(t.Context(), delivered("D1", "ticket.opened")); err == nil {
		t.Error("an internal address counts as a success")
	}
}

func TestGBT26875WithholdsWhatIsNoFire(t *testing.T) {
	c := gbt("tcp://127.0.0.1:1")
	for _, d := range []grid.Delivery{
		delivered("D1", "ticket.opened", func(m *dispatch.Message) { m.Ticket.Type = grid.EventParkingOverstay }), delivered("D2", "ticket.updated"),
	} {
		if _, err := c.Deliver(t.Context(), d); !errors.Is(err, dispatch.ErrWithheld) {
			t.Errorf("%s: %v", d.ID, err)
		}
	}
}

func TestGBT26875CheckNamesWhatIsWrong(t *testing.T) {
	c := dispatch.NewGBT26875(dispatch.Reach{})
	if err := c.Check(centreUnit("tcp://centre.example:5000")); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*grid.Unit){
		"url is":              func(u *grid.Unit) { u.URL = "http://centre.example:5000" },
		"setting source":      func(u *grid.Unit) { u.Settings["source"] = "281474976710656" },
		"setting destination": func(u *grid.Unit) { delete(u.Settings, "destination") },
		"binary or bcd":       func(u *grid.Unit) { u.Settings["time"] = "utc" },
		`"sources"`:           func(u *grid.Unit) { u.Settings["sources"] = "1" },
	} {
		u := centreUnit("tcp://centre.example:5000")
		change(&u)
		if err := c.Check(u); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one that says %q", err, want)
		}
	}
}
