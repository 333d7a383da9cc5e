package serial

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

func gbOrder(do, object string, minutes int) *grid.Downlink {
	return &grid.Downlink{ID: "1", Device: "gb26875:4711", Order: grid.Order{GB26875: &grid.GB26875Order{Do: do, Object: object, Minutes: minutes}}}
}

func TestTransmitterIsOrderedAndItsAnswersAreShownInWords(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	var in gatetest.Inbox
	tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875, Now: func() time.Time { return now }}, &in)
	if _, err := tr.Downlink(t.Context(), gbOrder("initialize", "", 0), grid.Frame{}); grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) {
		t.Errorf("before it was heard: %v: want it to wait until then", err)
	}
	d := call(t, tr, "tcp")
	d.send(t, gbFrame(1, ""))
	in.Wait(t, 1)
	d.obey(t, func(o gb26875.Frame) []gb26875.Frame {
		a := o.Answer(gb26875.Confirm, now, gb26875.Encoding{})
		for order, response := range map[string]string{
			"510100": "150108023a091a090c", "550100": "19010203", "560100": "1a0102d6f7", "580100": "1c01023a091a090c",
		} {
			if hex.EncodeToString(o.Unit) == order {
				a.Command = gb26875.Response
				a.Unit, _ = hex.DecodeString(response)
			}
		}
		if o.Unit[0] == 89 {
			a.Command = gb26875.Deny
		}
		return []gb26875.Frame{a}
	})
	for _, c := range []struct {
		order *grid.Downlink
		want  string
	}{
		{gbOrder("duty_check", "", 10), "confirmed"},
		{gbOrder("set_clock", "", 0), "confirmed"},
		{gbOrder("read", "state", 0), `{"type":21,"name":"device","objects":[{"state":["test","main_power_fault"],"time":"2012-09-26T09:58:02+08:00","hex":"08023a091a090c"}]}`},
		{gbOrder("read", "version", 0), `{"type":25,"name":"device_version","objects":[{"version":"2.3","hex":"0203"}]}`},
		{gbOrder("read", "configuration", 0), `{"type":26,"name":"device_configuration","objects":[{"text":"主","hex":"02d6f7"}]}`},
		{gbOrder("read", "time", 0), `{"type":28,"name":"device_time","objects":[{"time":"2012-09-26T09:58:02+08:00","hex":"023a091a090c"}]}`},
	} {
		sent, err := tr.Downlink(t.Context(), c.order, grid.Frame{})
		if err != nil || sent.State != grid.DownlinkAcknowledged || sent.NoAck || sent.Answer != c.want {
			t.Errorf("%v: got %+v, %v: want %s", c.order.Order, sent, err, c.want)
		}
	}
	var units []string
	for _, f := range d.answers()[1:] {
		units = append(units, fmt.Sprintf("%d:%x", byte(f.Command), f.Unit))
	}
	if got, want := strings.Join(units, " "), "1:5b010a 1:5a01000010160b1a 4:510100 4:550100 4:560100 4:580100"; got != want {
		t.Errorf("ordered %s: want %s", got, want)
	}
	if _, err := tr.Downlink(t.Context(), gbOrder("initialize", "", 0), grid.Frame{}); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "gb26875:4711 denies control") {
		t.Errorf("denied: %v", err)
	}
	if _, err := tr.Downlink(t.Context(), modbusOrder("gb26875:4711", "coil", 1, 1), grid.Frame{}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a write: %v", err)
	}
}

func TestOrderWithoutAnAnswerMayHaveBeenSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := New(Config{Name: "a", Protocol: GBT26875}, nil)
		asked := 0
		p := &peer{t: tr, reply: func([]byte) error { asked++; return nil }}
		tr.centre.heard(&gb26875.Frame{Source: 4711, Destination: 1}, p)
		if _, err := tr.Downlink(t.Context(), gbOrder("duty_check", "", 1), grid.Frame{}); !mayHaveBeenSent(err) || asked != 3 {
			t.Errorf("asked %d times: %v", asked, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := tr.Downlink(ctx, gbOrder("duty_check", "", 1), grid.Frame{}); !mayHaveBeenSent(err) {
			t.Errorf("no more time: %v", err)
		}
		tr.centre.gone(p)
		tr.centre.seen[4711].peer = nil
		if _, err := tr.Downlink(t.Context(), gbOrder("duty_check", "", 1), grid.Frame{}); grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) {
			t.Errorf("not connected: %v", err)
		}
	})
}

func payloadOrder(id grid.Identity, text string) *grid.Downlink {
	return &grid.Downlink{ID: "1", Device: id, Order: grid.Order{Payload: &grid.PayloadOrder{Hex: hex.EncodeToString([]byte(text))}}}
}

func TestPayloadIsFramedAsTheFramesOfTheLine(t *testing.T) {
	block := BlockSettings{Start: "68", End: "16", LengthAt: 1, LengthSize: 1, Adds: 4}
	sound, err := (&Config{Protocol: Block, Block: block}).blockOf("\x68\x02ab")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		cfg  Config
		say  string // what the device says first
		text string
		wire string // "": refused
	}{
		{"a line", Config{Protocol: Lines}, "hello\n", "OUT 1", "OUT 1\r\n"},
		{"a line with its start", Config{Protocol: Lines, Lines: LineSettings{Start: "$"}}, "$hello\n", "OUT 1", "$OUT 1\r\n"},
		{"a line that begins with the start", Config{Protocol: Lines, Lines: LineSettings{Start: "$"}}, "$hello\n", "$OUT 1", "$OUT 1\r\n"},
		{"two lines", Config{Protocol: Lines}, "hello\n", "OUT 1\r\nOUT 2", ""},
		{"two starts", Config{Protocol: Lines, Lines: LineSettings{Start: "$"}}, "$hello\n", "$a$b", ""},
		{"a text", Config{Protocol: STXETX}, "\x02hello\x03", "OUT 1", "\x02OUT 1\x03"},
		{"a text with a check byte", Config{Protocol: STXETX, STXETX: MarkSettings{Check: CheckXOR}}, "\x02hi\x03\x02", "OUT", "\x02OUT\x03" + string(rune('O'^'U'^'T'^3))},
		{"a text with a control character", Config{Protocol: STXETX}, "\x02hello\x03", "OUT\x01", ""},
		{"a text with the end inside", Config{Protocol: STXETX}, "\x02hello\x03", "OUT\x03x", ""},
		{"a block", Config{Protocol: Block, Block: block}, string(sound), string(sound), string(sound)},
		{"a block whose checksum is wrong", Config{Protocol: Block, Block: block}, string(sound), "\x68\x02ab\x00\x16", ""},
		{"half a block", Config{Protocol: Block, Block: block}, string(sound), string(sound[:4]), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in gatetest.Inbox
			c.cfg.Listen = "tcp://127.0.0.1:0"
			tr, _ := start(t, c.cfg, &in)
			order := payloadOrder("line:a", c.text)
			if _, err := tr.Downlink(t.Context(), order, grid.Frame{}); err == nil || c.wire != "" && grid.CodeOf(err) != grid.Unavailable {
				t.Errorf("before it was heard: %v", err)
			}
			d := call(t, tr, "tcp")
			d.send(t, []byte(c.say))
			in.Wait(t, 1)
			sent, err := tr.Downlink(t.Context(), order, grid.Frame{})
			if c.wire == "" {
				if grid.CodeOf(err) != grid.Invalid {
					t.Errorf("got %+v, %v: want it refused", sent, err)
				}
				return
			}
			if err != nil || sent.State != grid.DownlinkSent || !sent.NoAck {
				t.Fatalf("got %+v, %v", sent, err)
			}
			gatetest.Eventually(t, "the frame", func() bool {
				d.mu.Lock()
				defer d.mu.Unlock()
				return string(d.got) == c.wire
			})
		})
	}
}

// blockOf ends a block with its checksum and end.
func (c *Config) blockOf(head string) ([]byte, error) {
	for sum := range 256 {
		b := append([]byte(head), byte(sum), 0x16)
		full := c.withDefaults()
		if _, err := full.frame(b); err == nil {
			return b, nil
		}
	}
	return nil, errors.New("no checksum will do")
}

func TestTextGoesToTheConnectionByWhichTheDeviceWasHeard(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: Lines, Identify: `^id=(\w+)`}, &in)
	a, b := call(t, tr, "tcp"), call(t, tr, "tcp")
	a.send(t, []byte("id=A1 x\n"))
	b.send(t, []byte("id=B2 x\n"))
	in.Wait(t, 2)
	if sent, err := tr.Downlink(t.Context(), payloadOrder("sn:b2", "beep"), grid.Frame{}); err != nil || !sent.NoAck {
		t.Fatalf("%+v, %v", sent, err)
	}
	gatetest.Eventually(t, "the line at b", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return string(b.got) == "beep\r\n"
	})
	a.mu.Lock()
	if len(a.got) > 0 {
		t.Errorf("a got %q", a.got)
	}
	a.mu.Unlock()
	_ = b.Close()
	gatetest.Eventually(t, "the way to be gone", func() bool {
		_, err := tr.Downlink(t.Context(), payloadOrder("sn:b2", "beep"), grid.Frame{})
		return grid.CodeOf(err) == grid.Unavailable && strings.Contains(err.Error(), "sn:b2 is not connected to line a")
	})
}
