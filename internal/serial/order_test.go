package serial

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// obey lets a caller answer orders as answer says; it runs until the test ends.
func (c *caller) obey(t *testing.T, answer func(order gb26875.Frame) []gb26875.Frame) {
	done := make(chan struct{})
	var run sync.WaitGroup
	t.Cleanup(func() { close(done); run.Wait() })
	run.Go(func() {
		for seen := 0; ; time.Sleep(2 * time.Millisecond) {
			select {
			case <-done:
				return
			default:
			}
			got := c.answers()
			for ; seen < len(got); seen++ {
				if got[seen].Command != gb26875.Control && got[seen].Command != gb26875.Request {
					continue
				}
				for _, a := range answer(got[seen]) {
					_, _ = c.Write(gb26875.Append(nil, a))
				}
			}
		}
	})
}

func TestDeviceIsReadOrderedAndBelievedOnlyWithItsAnswer(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875}, &in)
	if _, err := tr.Order(t.Context(), "gb26875:4711", Read(21)); grid.CodeOf(err) != grid.Unavailable || !strings.Contains(err.Error(), "gb26875:4711 has not been heard") {
		t.Errorf("before it was heard: %v", err)
	}
	d := call(t, tr, "tcp")
	d.send(t, gbFrame(1, ""))
	in.Wait(t, 1)
	d.obey(t, func(o gb26875.Frame) []gb26875.Frame {
		if o.Source != 99 || o.Destination != 4711 || o.Version != 1 || o.UserVersion != 2 {
			t.Errorf("ordered by %+v", o)
		}
		other := o.Answer(gb26875.Confirm, time.Now(), gb26875.Encoding{})
		other.Serial++
		right := o.Answer(gb26875.Confirm, time.Now(), gb26875.Encoding{})
		wrong := o.Answer(gb26875.Confirm, time.Now(), gb26875.Encoding{})
		switch o.Unit[0] {
		case 81:
			right.Command, right.Unit = gb26875.Response, []byte("\x15\x01\x08\x02\x3a\x09\x1a\x09\x0c")
		case 89:
			right.Command = gb26875.Deny
			wrong.Command, wrong.Unit = gb26875.Response, []byte("\x15\x01\x08\x02\x3a\x09\x1a\x09\x0c")
		default:
			wrong.Command, wrong.Unit = gb26875.Response, []byte("\x15\x01\x08\x02\x3a\x09\x1a\x09\x0c")
		}
		return []gb26875.Frame{other, wrong, right}
	})
	f, err := tr.Order(t.Context(), "gb26875:4711", Read(21))
	if err != nil || f.Command != gb26875.Response || f.Unit[2] != 8 {
		t.Errorf("state: %+v, %v", f, err)
	}
	gatetest.Eventually(t, "the response to be stored", func() bool {
		for _, f := range in.Frames() {
			if bytes.Contains(f.Raw, []byte("\x15\x01\x08")) {
				return true
			}
		}
		return false
	})
	if f, err := tr.Order(t.Context(), "gb26875:4711", DutyCheck(10)); err != nil || f.Command != gb26875.Confirm {
		t.Errorf("duty check: %+v, %v", f, err)
	}
	if _, err := tr.Order(t.Context(), "gb26875:4711", Initialize()); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("denied: %v", err)
	}
	_ = d.Close()
	gatetest.Eventually(t, "the way to be gone", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := tr.Order(ctx, "gb26875:4711", DutyCheck(1))
		return err != nil && strings.Contains(err.Error(), "gb26875:4711 is not connected")
	})
}

func TestOrdersAreThoseOfPublishedFrames(t *testing.T) {
	now := time.Date(2012, 9, 26, 1, 58, 2, 0, time.UTC)
	tr := New(Config{Name: "a", Protocol: GBT26875}, nil)
	for want, o := range map[string]Order{
		"1 5a01023a091a090c": tr.setClock(now),
		"1 5b010a":           DutyCheck(10),
		"4 510100":           Read(gb26875.DeviceState),
		"4 550100":           Read(gb26875.DeviceVersion),
		"4 580100":           Read(gb26875.DeviceTime),
	} {
		if got := fmt.Sprintf("%d %x", byte(o.Command), o.Unit); got != want {
			t.Errorf("got %s: want %s", got, want)
		}
	}
}

func TestDeviceThatDoesNotAnswerIsAskedThreeTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := New(Config{Name: "a", Protocol: GBT26875}, nil)
		var at []time.Duration
		began := time.Now()
		p := &peer{t: tr, reply: func([]byte) error { at = append(at, time.Since(began)); return nil }}
		tr.centre.heard(&gb26875.Frame{Source: 7, Destination: 1}, p)
		_, err := tr.Order(t.Context(), "gb26875:7", DutyCheck(1))
		if grid.CodeOf(err) != grid.Unavailable || fmt.Sprint(at) != "[0s 10s 20s]" || time.Since(began) != 30*time.Second {
			t.Errorf("asked at %v for %s: %v", at, time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := tr.Order(ctx, "gb26875:7", DutyCheck(1)); err == nil || len(tr.centre.waiting) != 0 {
			t.Errorf("got %v, %d wait", err, len(tr.centre.waiting))
		}
	})
}

func TestClockIsSetToTheTimeOfTheTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := New(Config{Name: "a", Protocol: GBT26875}, nil)
		began := time.Now()
		var late []time.Duration
		p := &peer{t: tr, reply: func(b []byte) error {
			f, err := gb26875.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			at, err := tr.centre.times.Time(gb26875.Time(f.Unit[2:8]))
			if err != nil {
				t.Fatal(err)
			}
			late = append(late, at.Sub(began))
			return nil
		}}
		tr.centre.heard(&gb26875.Frame{Source: 7, Destination: 1}, p)
		_, _ = tr.Order(t.Context(), "gb26875:7", tr.setClock(time.Now()))
		if fmt.Sprint(late) != "[0s 10s 20s]" {
			t.Errorf("set to %v after the order", late)
		}
	})
}

func TestClockThatIsWrongIsSetOnceAnHour(t *testing.T) {
	for off, want := range map[time.Duration]int{0: 0, 59 * time.Second: 0, -2 * time.Minute: 1, 400 * 24 * time.Hour: 1} {
		var in gatetest.Inbox
		now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
		times := gb26875.Encoding{Zone: gb26875.Beijing}
		tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875, GBT26875: GBSettings{SetClock: true}, Now: func() time.Time { return now }}, &in)
		d := call(t, tr, "tcp")
		for serial := range uint16(3) {
			d.send(t, gb26875.Append(nil, gb26875.Frame{Serial: serial, Sent: times.Put(now.Add(off)), Source: 4711, Destination: 99, Command: gb26875.Send}))
		}
		orders := func() (n int) {
			for _, f := range d.answers() {
				if f.Command == gb26875.Control && bytes.Equal(f.Unit[2:], []byte{0, 0, 16, 22, 11, 26}) {
					n++
				}
			}
			return n
		}
		gatetest.Eventually(t, "three confirmations and the order", func() bool { return len(d.answers()) >= 3+want })
		if n := orders(); n != want || len(d.answers()) != 3+want {
			t.Errorf("off by %s: %d orders to set the clock: want %d", off, n, want)
		}
	}
}

func TestAddressesFillNoMemory(t *testing.T) {
	c := newCentre(&Config{Now: time.Now, GBT26875: GBSettings{Time: "binary", Zone: "+08:00"}})
	var p peer
	for source := range uint64(maxSeen + 1000) {
		c.heard(&gb26875.Frame{Source: source, Destination: 1 << 40}, &p)
	}
	if len(c.seen) != maxSeen || len(p.sources) != maxSources {
		t.Errorf("%d devices are remembered, %d of one connection", len(c.seen), len(p.sources))
	}
	c.gone(&p)
	if c.route(p.sources[0]) != nil {
		t.Error("the way to a device is kept when it is closed")
	}
}
