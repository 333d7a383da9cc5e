package coap

import (
	"context"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// lamp is a device by hand that has registered with nothing that is read or observed.
func lamp(t testing.TB, tr *Transport, query string) *device {
	t.Helper()
	d := dial(t, tr.Addr("udp"))
	d.registers("ep=sn:1&"+query, "</1/0>,</3311/0>,</19/1>")
	return d
}

func TestOrdersOfLwM2MReachADevice(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	d := lamp(t, tr, "b=U")
	opaque := lwm2mOrder("sn:1", "write", "/3311/0/5750", "00ff")
	opaque.Order.LwM2M.Type = "opaque"
	for _, c := range []struct {
		order   *grid.Downlink
		asks    string
		code    codes.Code
		payload string
		format  int
		want    string
	}{
		{lwm2mOrder("sn:1", "read", "/3/0/9", ""), "GET /3/0/9", codes.Content, "88", 0, `"88"`},
		{lwm2mOrder("sn:1", "read", "/3/0", ""), "GET /3/0", codes.Content, "\xc1\x09\x58", 11542, `{"9":{"hex":"58","integer":88}}`},
		{lwm2mOrder("sn:1", "write", "/3311/0/5850", "true"), "PUT /3311/0/5850 ct=0 true", codes.Changed, "", -1, "2.04 changed"},
		{opaque, "PUT /3311/0/5750 ct=42 x00ff", codes.Changed, "", -1, "2.04 changed"},
		{lwm2mOrder("sn:1", "write", "/3/0/15", ""), "PUT /3/0/15 ct=0", codes.Changed, "", -1, "2.04 changed"},
		{lwm2mOrder("sn:1", "execute", "/3/0/4", ""), "POST /3/0/4", codes.Changed, "", -1, "2.04 changed"},
		{lwm2mOrder("sn:1", "execute", "/5/0/2", "0='now'"), "POST /5/0/2 ct=0 0='now'", codes.Changed, "", -1, "2.04 changed"},
		{payloadOrder("sn:1", "open"), "PUT /19/1/0 ct=42 open", codes.Changed, "", -1, "2.04 changed"},
	} {
		got := tell(t, tr, c.order)
		q := d.asked()
		if s := shape(q); s != c.asks || q.Type != message.Confirmable {
			t.Errorf("%s: asked %q, want %q", c.order.Order, s, c.asks)
		}
		var options []message.Option
		if c.format >= 0 {
			options = append(options, option(message.ContentFormat, uint32(c.format)))
		}
		d.answers(q, c.code, c.payload, options...)
		if out := outcomeOf(t, got); out.err != nil || out.sent.State != grid.DownlinkAcknowledged || out.sent.Answer != c.want {
			t.Errorf("%s: %+v %v, want %q", c.order.Order, out.sent, out.err, c.want)
		}
	}
}

func TestAnOrderIsNoReading(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{}, &in)
	d := lamp(t, tr, "b=U")
	before := len(in.Frames())
	for _, do := range []string{"read", "write"} {
		got := tell(t, tr, lwm2mOrder("sn:1", do, "/3311/0/5850", "1"))
		d.answers(d.asked(), codes.Content, "1")
		if out := outcomeOf(t, got); out.err != nil {
			t.Fatal(out.err)
		}
	}
	if f := in.Frames()[before:]; len(f) != 0 {
		t.Errorf("frames %+v", f)
	}
	if len(tr.lwm2m.byToken) != 0 || len(tr.lwm2m.byID) != 0 || len(tr.lwm2m.inFlight) != 0 {
		t.Errorf("%d tokens, %d ids, %d on the way are left", len(tr.lwm2m.byToken), len(tr.lwm2m.byID), len(tr.lwm2m.inFlight))
	}
}

func TestAWriteIsSaidInAnotherFormWhenADeviceDoesNotTakeTheFirst(t *testing.T) {
	opaque := lwm2mOrder("sn:1", "write", "/3311/0/5750", "00ff")
	opaque.Order.LwM2M.Type = "opaque"
	for name, c := range map[string]struct {
		version string
		order   *grid.Downlink
		refuses codes.Code
		asks    []string
	}{
		"number":         {"1.0", lwm2mOrder("sn:1", "write", "/1/0/1", "300"), codes.UnsupportedMediaType, []string{"PUT /1/0/1 ct=0 300", "PUT /1/0/1 ct=11542 xc201012c"}},
		"flag":           {"1.1", lwm2mOrder("sn:1", "write", "/3311/0/5850", "false"), codes.NotAcceptable, []string{"PUT /3311/0/5850 ct=0 false", "PUT /3311/0/5850 ct=11542 xe116da00", `PUT /3311/0/5850 ct=110 [{"n":"/3311/0/5850","vb":false}]`}},
		"text":           {"1.1", lwm2mOrder("sn:1", "write", "/3/0/15", "UTC"), codes.UnsupportedMediaType, []string{"PUT /3/0/15 ct=0 UTC", "PUT /3/0/15 ct=11542 xc30f555443", `PUT /3/0/15 ct=110 [{"n":"/3/0/15","vs":"UTC"}]`}},
		"opaque":         {"1.0", opaque, codes.UnsupportedMediaType, []string{"PUT /3311/0/5750 ct=42 x00ff", "PUT /3311/0/5750 ct=11542 xe2167600ff"}},
		"its own frames": {"1.1", payloadOrder("sn:1", "op"), codes.UnsupportedMediaType, []string{"PUT /19/1/0 ct=42 op", "PUT /19/1/0 ct=11542 x840042006f70", `PUT /19/1/0 ct=110 [{"n":"/19/1/0/0","vd":"b3A"}]`}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
			d := lamp(t, tr, "lwm2m="+c.version)
			got := tell(t, tr, c.order)
			for i, want := range c.asks {
				q := d.asked()
				if s := shape(q); s != want {
					t.Errorf("asked %q, want %q", s, want)
				}
				if i < len(c.asks)-1 {
					d.answers(q, c.refuses, "")
				} else {
					d.answers(q, codes.Changed, "")
				}
			}
			if out := outcomeOf(t, got); out.err != nil {
				t.Error(out.err)
			}
			got = tell(t, tr, c.order)
			for range c.asks {
				d.answers(d.asked(), c.refuses, "")
			}
			if out := outcomeOf(t, got); out.err == nil || grid.CodeOf(out.err) != grid.Invalid {
				t.Errorf("takes no form: %+v %v", out.sent, out.err)
			}
		})
	}
}

func TestADeviceThatRefusesAnOrderIsQuoted(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	d := lamp(t, tr, "b=U")
	for _, c := range []struct {
		code    codes.Code
		payload string
		as      grid.Code
		want    string
	}{
		{codes.NotFound, "", grid.NotFound, "sn:1 refuses /9/9/9: 4.04 not found"},
		{codes.MethodNotAllowed, "read only", grid.Invalid, "4.05 method not allowed: read only"},
		{codes.BadRequest, "\x00\xff", grid.Invalid, "4.00 bad request"},
		{codes.Unauthorized, "", grid.Forbidden, "4.01 unauthorized"},
		{codes.InternalServerError, "", grid.Invalid, "5.00 internal server error"},
		{codes.ServiceUnavailable, "", grid.Unavailable, "5.03 service unavailable"},
		{codes.Code(4<<5 | 22), "", grid.Invalid, "4.22"},
	} {
		got := tell(t, tr, lwm2mOrder("sn:1", "execute", "/9/9/9", ""))
		d.answers(d.asked(), c.code, c.payload)
		out := outcomeOf(t, got)
		if out.err == nil || grid.CodeOf(out.err) != c.as || !strings.HasSuffix(out.err.Error(), c.want) || errors.Is(out.err, grid.ErrMayHaveBeenSent) {
			t.Errorf("%v: %v, want %s %q", c.code, out.err, c.as, c.want)
		}
	}
}

func TestALongValueIsReadInBlocks(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	d := lamp(t, tr, "b=U")
	whole := text(600)
	got := tell(t, tr, lwm2mOrder("sn:1", "read", "/3/0/0", ""))
	for n := range 3 {
		q := d.asked()
		if s, want := shape(q), []string{"GET /3/0/0", "GET /3/0/0 want=1", "GET /3/0/0 want=2"}[n]; s != want {
			t.Fatalf("asked %q, want %q", s, want)
		}
		end := min(len(whole), 256*(n+1))
		d.answers(q, codes.Content, whole[256*n:end], option(message.ContentFormat, 0), option(message.Block2, block{number: uint32(n), more: n < 2, szx: 4}.value()))
	}
	if out := outcomeOf(t, got); out.err != nil || out.sent.Answer != `"`+whole+`"` {
		t.Errorf("%+v %v", out.sent, out.err)
	}

	got = tell(t, tr, lwm2mOrder("sn:1", "read", "/3/0/0", ""))
	d.answers(d.asked(), codes.Content, whole[:256], option(message.Block2, block{more: true, szx: 4}.value()))
	d.answers(d.asked(), codes.Content, whole[:256], option(message.Block2, block{number: 5, more: true, szx: 4}.value()))
	if out := outcomeOf(t, got); out.err == nil || !strings.Contains(out.err.Error(), "block 5 does not follow") {
		t.Errorf("%+v %v", out.sent, out.err)
	}
}

func TestAnAnswerThatComesTwiceIsNotThatOfTheNextPart(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	d := lamp(t, tr, "b=U")
	got := tell(t, tr, lwm2mOrder("sn:1", "write", "/3/0/15", "UTC"))
	q := d.asked()
	d.answers(q, codes.UnsupportedMediaType, "")
	second := d.asked()
	d.answers(q, codes.UnsupportedMediaType, "")
	d.answers(second, codes.Changed, "")
	if out := outcomeOf(t, got); out.err != nil {
		t.Error(out.err)
	}
}

func TestALongPayloadIsSentInBlocksAsLargeAsTheDeviceTakes(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	d := lamp(t, tr, "b=U")
	part := func(n int, more bool, szx uint8) message.Option {
		return option(message.Block1, block{number: uint32(n), more: more, szx: szx}.value())
	}
	for name, steps := range map[string][]struct {
		asks   string
		code   codes.Code
		answer message.Option
	}{
		"as they are": {
			{"PUT /19/1/0 ct=42 block=0/1024+ of 1024 bytes", codes.Continue, part(0, true, 6)},
			{"PUT /19/1/0 ct=42 block=1/1024+ of 1024 bytes", codes.Continue, part(1, true, 6)},
			{"PUT /19/1/0 ct=42 block=2/1024 of 452 bytes", codes.Changed, part(2, false, 6)},
		},
		"smaller from the second on": {
			{"PUT /19/1/0 ct=42 block=0/1024+ of 1024 bytes", codes.Continue, part(0, true, 5)},
			{"PUT /19/1/0 ct=42 block=2/512+ of 512 bytes", codes.Continue, part(2, true, 5)},
			{"PUT /19/1/0 ct=42 block=3/512+ of 512 bytes", codes.Continue, part(3, true, 5)},
			{"PUT /19/1/0 ct=42 block=4/512 of 452 bytes", codes.Changed, part(4, false, 5)},
		},
		"the first was too large": {
			{"PUT /19/1/0 ct=42 block=0/1024+ of 1024 bytes", codes.RequestEntityTooLarge, part(0, true, 5)},
			{"PUT /19/1/0 ct=42 block=0/512+ of 512 bytes", codes.Changed, part(0, true, 5)}, // stored one by one
			{"PUT /19/1/0 ct=42 block=1/512+ of 512 bytes", codes.Changed, part(1, true, 5)},
			{"PUT /19/1/0 ct=42 block=2/512+ of 512 bytes", codes.Changed, part(2, true, 5)},
			{"PUT /19/1/0 ct=42 block=3/512+ of 512 bytes", codes.Changed, part(3, true, 5)},
			{"PUT /19/1/0 ct=42 block=4/512 of 452 bytes", codes.Changed, part(4, false, 5)},
		},
	} {
		got := tell(t, tr, payloadOrder("sn:1", text(2500)))
		whole := ""
		for _, s := range steps {
			q := d.asked()
			if shape(q) != s.asks {
				t.Fatalf("%s: asked %q, want %q", name, shape(q), s.asks)
			}
			if s.code != codes.RequestEntityTooLarge {
				whole += string(q.Payload)
			}
			d.answers(q, s.code, "", s.answer)
		}
		if out := outcomeOf(t, got); out.err != nil || whole != text(2500) {
			t.Errorf("%s: %v, %d bytes came", name, out.err, len(whole))
		}
	}

	got := tell(t, tr, payloadOrder("sn:1", text(2500)))
	d.answers(d.asked(), codes.Changed, "") // it took the first for all
	if out := outcomeOf(t, got); grid.CodeOf(out.err) != grid.Invalid || !strings.Contains(out.err.Error(), "in parts") {
		t.Errorf("%+v %v", out.sent, out.err)
	}
}

func TestASleepingDeviceGetsItsDownlinkWhenItWakes(t *testing.T) {
	for _, terms := range []string{"lwm2m=1.0&b=UQ", "lwm2m=1.1&b=U&Q"} {
		var in gatetest.Inbox
		clock := newClock()
		tr := serveLwM2M(t, Config{Now: clock.now, Wake: time.Hour}, &in)
		d := lamp(t, tr, "lt=86400&"+terms)
		clock.move(awakeFor + time.Second)
		out := outcomeOf(t, tell(t, tr, lwm2mOrder("sn:1", "write", "/1/0/1", "60")))
		if grid.CodeOf(out.err) != grid.Unavailable || errors.Is(out.err, grid.ErrMayHaveBeenSent) || !strings.Contains(out.err.Error(), "it sleeps") {
			t.Errorf("%+v %v", out.sent, out.err)
		}
		d.silent()
		r, _ := tr.Registration("sn:1")
		if r.Waiting != 0 {
			t.Errorf("%d requests wait", r.Waiting)
		}

		d.send(msg{typ: message.Confirmable, code: codes.POST, id: 2, token: "u", path: d.place})
		if m := d.asked(); m.Code != codes.Changed {
			t.Fatalf("update: %v", m)
		}
		got := tell(t, tr, lwm2mOrder("sn:1", "write", "/1/0/1", "60"))
		d.answers(d.asked(), codes.Changed, "")
		if out := outcomeOf(t, got); out.err != nil {
			t.Error(out.err)
		}
	}
}

// What wakes the order wakes the outbox too, and it may be there before the device is known
// to listen.
func TestAnOrderWaitsAWhileForADeviceThatIsJustWakingUp(t *testing.T) {
	var in gatetest.Inbox
	clock := newClock()
	tr := serveLwM2M(t, Config{Now: clock.now, Wake: time.Minute}, &in)
	d := lamp(t, tr, "lwm2m=1.0&b=UQ")
	clock.move(awakeFor + time.Second)
	release := d.wakes(tr, &in)
	got := tell(t, tr, lwm2mOrder("sn:1", "execute", "/3/0/4", ""))
	gatetest.Eventually(t, "the order to wait", func() bool { r, _ := tr.Registration("sn:1"); return r.Waiting == 1 })
	d.silent()
	release()
	if m := d.asked(); m.Code != codes.Changed {
		t.Fatalf("update: %v", m)
	}
	d.answers(d.asked(), codes.Changed, "")
	if out := outcomeOf(t, got); out.err != nil {
		t.Error(out.err)
	}
}

func TestADeviceThatIsSilentMayHaveHeardItsOrder(t *testing.T) {
	for do, mayBe := range map[string]bool{"read": false, "write": true, "execute": true} {
		clock := newClock()
		tr := serveLwM2M(t, Config{Now: clock.now}, &gatetest.Inbox{})
		d := lamp(t, tr, "b=U")
		got := tell(t, tr, lwm2mOrder("sn:1", do, "/3/0/4", "1"))
		first := d.asked()
		for range maxRetransmit {
			clock.move(2 * time.Minute)
			tr.lwm2m.repeat(clock.now())
			if again := d.asked(); again.MessageID != first.MessageID || string(again.Token) != string(first.Token) {
				t.Errorf("%s: repeated as %v, was %v", do, again, first)
			}
		}
		clock.move(2 * time.Minute)
		tr.lwm2m.repeat(clock.now())
		out := outcomeOf(t, got)
		if grid.CodeOf(out.err) != grid.Unavailable || errors.Is(out.err, grid.ErrMayHaveBeenSent) != mayBe || !strings.Contains(out.err.Error(), "no answer") {
			t.Errorf("%s: %v", do, out.err)
		}

		// It is always on: the next order is tried all the same.
		got = tell(t, tr, lwm2mOrder("sn:1", do, "/3/0/4", "1"))
		d.answers(d.asked(), codes.Changed, "")
		if out := outcomeOf(t, got); out.err != nil {
			t.Errorf("%s: %v", do, out.err)
		}
	}
}

func TestAnOrderThatIsTakenBackIsNotSent(t *testing.T) {
	var in gatetest.Inbox
	clock := newClock()
	tr := serveLwM2M(t, Config{Now: clock.now, Wake: time.Minute}, &in)
	d := lamp(t, tr, "b=UQ")
	clock.move(awakeFor + time.Second)
	release := d.wakes(tr, &in)
	ctx, cancel := context.WithCancel(t.Context())
	got := tellFor(ctx, tr, lwm2mOrder("sn:1", "execute", "/3/0/4", ""))
	gatetest.Eventually(t, "the order to wait", func() bool { r, _ := tr.Registration("sn:1"); return r.Waiting == 1 })
	cancel()
	if out := outcomeOf(t, got); grid.CodeOf(out.err) != grid.Unavailable || errors.Is(out.err, grid.ErrMayHaveBeenSent) {
		t.Errorf("%v", out.err)
	}
	release()
	if m := d.asked(); m.Code != codes.Changed {
		t.Fatalf("update: %v", m)
	}
	d.silent()

	ctx, cancel = context.WithCancel(t.Context())
	got = tellFor(ctx, tr, lwm2mOrder("sn:1", "execute", "/3/0/4", ""))
	q := d.asked()
	cancel()
	if out := outcomeOf(t, got); !errors.Is(out.err, grid.ErrMayHaveBeenSent) {
		t.Errorf("it was on its way: %v", out.err)
	}
	d.answers(q, codes.Changed, "")
	clock.move(time.Minute)
	tr.lwm2m.repeat(clock.now())
	d.silent()
	if len(tr.lwm2m.byToken) != 0 || len(tr.lwm2m.inFlight) != 0 {
		t.Error("something is left of it")
	}
}

func TestAnOrderGoesBeforeWhatIsReadByItself(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	d := dial(t, tr.Addr("udp"))
	d.registers("ep=sn:1", "</3/0>,</4/0>,</3342/0>")
	first := d.asked()
	got := tell(t, tr, lwm2mOrder("sn:1", "execute", "/3/0/4", ""))
	gatetest.Eventually(t, "the order to wait", func() bool { r, _ := tr.Registration("sn:1"); return r.Waiting == 4 })
	d.answers(first, codes.Content, "x", option(message.Observe, 2))
	q := d.asked()
	if shape(q) != "POST /3/0/4" {
		t.Errorf("asked %q", shape(q))
	}
	d.answers(q, codes.Changed, "")
	if out := outcomeOf(t, got); out.err != nil {
		t.Error(out.err)
	}
	if s := shape(d.asked()); s != "GET /3/0" {
		t.Errorf("asked %q after it", s)
	}
}

func TestAnAnswerThatComesLaterEndsAnOrder(t *testing.T) {
	clock := newClock()
	tr := serveLwM2M(t, Config{Now: clock.now}, &gatetest.Inbox{})
	d := lamp(t, tr, "b=U")
	got := tell(t, tr, lwm2mOrder("sn:1", "execute", "/5/0/2", ""))
	q := d.asked()
	d.write([]byte{0x60, 0, byte(q.MessageID >> 8), byte(q.MessageID)})
	gatetest.Eventually(t, "acknowledgement", func() bool {
		tr.lwm2m.mu.Lock()
		defer tr.lwm2m.mu.Unlock()
		return tr.lwm2m.byName["sn:1"].asks[0].acked
	})
	clock.move(20 * time.Second)
	tr.lwm2m.repeat(clock.now())
	d.silent()
	d.send(msg{typ: message.Confirmable, code: codes.Changed, id: 77, token: string(q.Token)})
	if ack := d.asked(); ack.Type != message.Acknowledgement || ack.MessageID != 77 || ack.Code != codes.Empty {
		t.Errorf("answered %v", ack)
	}
	if out := outcomeOf(t, got); out.err != nil || out.sent.Answer != "2.04 changed" {
		t.Errorf("%+v %v", out.sent, out.err)
	}
}

func TestADeviceThatKnowsNothingOfAnOrderIsToldAgainLater(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	d := lamp(t, tr, "b=U")
	got := tell(t, tr, lwm2mOrder("sn:1", "execute", "/3/0/4", ""))
	q := d.asked()
	d.write([]byte{0x70, 0, byte(q.MessageID >> 8), byte(q.MessageID)})
	if out := outcomeOf(t, got); grid.CodeOf(out.err) != grid.Unavailable || errors.Is(out.err, grid.ErrMayHaveBeenSent) {
		t.Errorf("%v", out.err)
	}
}

func TestAnOrderEndsWhenItsDeviceRegistersAnewOrComesByAnotherAddress(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	d := lamp(t, tr, "b=U")
	got := tell(t, tr, lwm2mOrder("sn:1", "execute", "/3/0/4", ""))
	d.asked()
	again := lamp(t, tr, "b=U")
	if out := outcomeOf(t, got); !errors.Is(out.err, grid.ErrMayHaveBeenSent) {
		t.Errorf("registered anew: %v", out.err)
	}
	got = tell(t, tr, lwm2mOrder("sn:1", "execute", "/3/0/4", ""))
	again.asked()
	moved := dial(t, tr.Addr("udp"))
	update := msg{typ: message.Confirmable, code: codes.POST, id: 3, token: "u", path: again.place}
	moved.ask(update, codes.Changed)
	if out := outcomeOf(t, got); !errors.Is(out.err, grid.ErrMayHaveBeenSent) {
		t.Errorf("another address: %v", out.err)
	}

	got = tell(t, tr, lwm2mOrder("sn:1", "execute", "/3/0/4", ""))
	q := moved.asked()
	once := dial(t, tr.Addr("udp")) // the answer itself comes by another address
	once.send(msg{typ: message.NonConfirmable, code: codes.Changed, id: 4, token: string(q.Token)})
	if out := outcomeOf(t, got); out.err != nil {
		t.Errorf("answered from another address: %v", out.err)
	}
}

func TestAnOrderForADeviceThatIsNotThereWaits(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	for name, d := range map[string]*grid.Downlink{"of LwM2M": lwm2mOrder("sn:9", "read", "/3/0", ""), "a payload": payloadOrder("sn:9", "x")} {
		if out := outcomeOf(t, tell(t, tr, d)); grid.CodeOf(out.err) != grid.Unavailable || errors.Is(out.err, grid.ErrMayHaveBeenSent) {
			t.Errorf("%s: %v", name, out.err)
		}
	}
	off, _ := start(t, Config{}, &gatetest.Inbox{})
	if out := outcomeOf(t, tell(t, off, lwm2mOrder("sn:9", "read", "/3/0", ""))); grid.CodeOf(out.err) != grid.Invalid {
		t.Errorf("LwM2M is off: %v", out.err)
	}
	if out := outcomeOf(t, tell(t, tr, &grid.Downlink{Device: "sn:9", Order: grid.Order{Modbus: &grid.ModbusOrder{}}})); grid.CodeOf(out.err) != grid.Invalid {
		t.Errorf("of another wire: %v", out.err)
	}
	if _, err := New(Config{Identify: identify}, nil).Downlink(t.Context(), payloadOrder("sn:9", "x"), grid.Frame{}); grid.CodeOf(err) != grid.Unavailable {
		t.Errorf("before it runs: %v", err)
	}
	d := dial(t, tr.Addr("udp"))
	d.registers("ep=sn:1", "</1/0>,</19/0>")
	if out := outcomeOf(t, tell(t, tr, payloadOrder("sn:1", "x"))); grid.CodeOf(out.err) != grid.Invalid || !strings.Contains(out.err.Error(), "19/1") {
		t.Errorf("without object 19/1: %v", out.err)
	}
}

func TestADownlinkAfterARestartReachesADeviceThatUpdates(t *testing.T) {
	cfg := Config{UDP: freeUDP(t), LwM2M: LwM2M{On: true, StateFile: filepath.Join(t.TempDir(), "lwm2m.json")}}
	tr, stop := start(t, cfg, &gatetest.Inbox{})
	d := lamp(t, tr, "b=UQ")
	stop()
	tr, _ = start(t, cfg, &gatetest.Inbox{})
	if out := outcomeOf(t, tell(t, tr, payloadOrder("sn:1", "x"))); grid.CodeOf(out.err) != grid.Unavailable || !strings.Contains(out.err.Error(), "since the gateway started") {
		t.Errorf("%v", out.err)
	}
	d.ask(msg{typ: message.Confirmable, code: codes.POST, id: 2, token: "u", path: d.place}, codes.Changed)
	got := tell(t, tr, payloadOrder("sn:1", "x"))
	if q := d.asked(); shape(q) != "PUT /19/1/0 ct=42 x" {
		t.Errorf("asked %q", shape(q))
	} else {
		d.answers(q, codes.Changed, "")
	}
	if out := outcomeOf(t, got); out.err != nil {
		t.Error(out.err)
	}
}

func TestAPayloadGoesWhereAPlainDeviceSpokeLast(t *testing.T) {
	tr, _ := start(t, Config{UDP: "127.0.0.1:0", DTLS: keyed(t, t.TempDir())}, &gatetest.Inbox{})
	plain := dial(t, tr.Addr("udp"))
	session, _ := secure(t, tr.Addr("dtls"), withKey("sn:1", pskOne)...)
	for name, c := range map[string]struct {
		d  *device
		id string
	}{"UDP": {plain, "sn:3"}, "DTLS": {session, "sn:1"}} {
		if out := outcomeOf(t, tell(t, tr, payloadOrder(c.id, "x"))); grid.CodeOf(out.err) != grid.Unavailable {
			t.Errorf("%s: before it spoke: %v", name, out.err)
		}
		c.d.ask(of("up/"+c.id, report(1, "x")), codes.Changed)
		order := payloadOrder(c.id, "open")
		order.Order.Payload.Port = 7
		got := tell(t, tr, order)
		q := c.d.asked()
		if want := "PUT /down ?device=" + c.id + " ?port=7 ct=42 open"; shape(q) != want || q.Type != message.Confirmable {
			t.Errorf("%s: asked %q, want %q", name, shape(q), want)
		}
		c.d.answers(q, codes.Changed, "")
		if out := outcomeOf(t, got); out.err != nil || out.sent.State != grid.DownlinkAcknowledged {
			t.Errorf("%s: %+v %v", name, out.sent, out.err)
		}
		got = tell(t, tr, order)
		c.d.answers(c.d.asked(), codes.NotFound, "")
		if out := outcomeOf(t, got); grid.CodeOf(out.err) != grid.NotFound || !strings.Contains(out.err.Error(), "4.04") {
			t.Errorf("%s: takes none: %v", name, out.err)
		}
	}
	moved := dial(t, tr.Addr("udp"))
	moved.ask(of("up/sn:3", report(2, "y")), codes.Changed)
	got := tell(t, tr, payloadOrder("sn:3", "open"))
	moved.answers(moved.asked(), codes.Changed, "")
	if out := outcomeOf(t, got); out.err != nil {
		t.Error(out.err)
	}
	plain.silent()
}

func TestAPayloadForADeviceWithAKeyGoesToNobodyElse(t *testing.T) {
	cfg := keyed(t, t.TempDir())
	tr, _ := start(t, Config{UDP: "127.0.0.1:0", DTLS: cfg}, &gatetest.Inbox{})
	unavailable := func(id, when string) {
		t.Helper()
		if out := outcomeOf(t, tell(t, tr, payloadOrder(id, "secret"))); grid.CodeOf(out.err) != grid.Unavailable || errors.Is(out.err, grid.ErrMayHaveBeenSent) {
			t.Errorf("%s: %+v %v", when, out.sent, out.err)
		}
	}
	plain := dial(t, tr.Addr("udp"))
	other, _ := secure(t, tr.Addr("dtls"), withKey("two", pskTwo)...)
	plain.ask(report(1, "spoofed"), codes.Unauthorized)
	other.ask(of("up/sn:1", report(1, "spoofed")), codes.Forbidden)
	unavailable("sn:1", "spoofed by both")
	plain.silent()
	other.silent()

	plain.ask(of("up/sn:3", report(2, "x")), codes.Changed)
	writeKeys(t, cfg.KeysFile, "devices:\n  - {device: \"sn:3\", psk: \""+pskOne+"\"}\n")
	gatetest.Eventually(t, "the new keys", func() bool { return tr.Status().Keys == 1 })
	unavailable("sn:3", "it has a key now, and spoke without")
	plain.silent()
}

func TestAnOrderForARegisteredDeviceGoesToNobodyElseEither(t *testing.T) {
	cfg := keyed(t, t.TempDir())
	tr := serveLwM2M(t, Config{UDP: "127.0.0.1:0", DTLS: cfg}, &gatetest.Inbox{})
	plain := dial(t, tr.Addr("udp"))
	plain.registers("ep=sn:3", "</19/1>")
	writeKeys(t, cfg.KeysFile, "devices:\n  - {device: \"sn:3\", psk: \""+pskOne+"\"}\n")
	gatetest.Eventually(t, "the new keys", func() bool { return tr.Status().Keys == 1 })
	for _, d := range []*grid.Downlink{payloadOrder("sn:3", "secret"), lwm2mOrder("sn:3", "write", "/1/0/1", "secret")} {
		if out := outcomeOf(t, tell(t, tr, d)); grid.CodeOf(out.err) != grid.Unavailable || errors.Is(out.err, grid.ErrMayHaveBeenSent) {
			t.Errorf("%v", out.err)
		}
	}
	plain.silent()
	session, _ := secure(t, tr.Addr("dtls"), withKey("sn:3", pskOne)...)
	session.registers("ep=sn:3", "</19/1>")
	got := tell(t, tr, payloadOrder("sn:3", "secret"))
	session.answers(session.asked(), codes.Changed, "")
	if out := outcomeOf(t, got); out.err != nil {
		t.Error(out.err)
	}
}

func TestAPayloadDoesNotGoToAPeerThatIsForgotten(t *testing.T) {
	tr, _ := start(t, Config{}, &gatetest.Inbox{})
	d := dial(t, tr.Addr("udp"))
	d.ask(report(1, "x"), codes.Changed)
	for _, p := range tr.on("udp").latest(1) {
		tr.on("udp").forget(p)
	}
	gatetest.Eventually(t, "the peer to go", func() bool { return len(tr.on("udp").latest(1)) == 0 })
	if out := outcomeOf(t, tell(t, tr, payloadOrder("sn:1", "x"))); grid.CodeOf(out.err) != grid.Unavailable {
		t.Errorf("%v", out.err)
	}
	d.silent()
}

func TestPlacesAreBoundedAndTheLatestAreKept(t *testing.T) {
	tr, _ := start(t, Config{}, &gatetest.Inbox{})
	tr.places.mu.Lock()
	tr.places.max = 2
	tr.places.mu.Unlock()
	d := dial(t, tr.Addr("udp"))
	for i, id := range []string{"sn:1", "sn:2", "sn:3", "sn:4", "sn:5", "sn:4"} {
		d.ask(of("up/"+id, report(int32(i), "x")), codes.Changed)
	}
	var known []string
	for _, id := range []grid.Identity{"sn:1", "sn:2", "sn:3", "sn:4", "sn:5"} {
		if tr.places.find(id) != nil {
			known = append(known, string(id))
		}
	}
	if !slices.Equal(known, []string{"sn:3", "sn:4", "sn:5"}) || len(tr.places.now) > 2 || len(tr.places.past) > 2 {
		t.Errorf("known %q, %d and %d", known, len(tr.places.now), len(tr.places.past))
	}
}

func TestTheGatewayThatStopsSaysWhatBecameOfAnOrder(t *testing.T) {
	tr, stop := start(t, Config{LwM2M: LwM2M{On: true}}, &gatetest.Inbox{})
	d := lamp(t, tr, "b=U")
	got := tell(t, tr, lwm2mOrder("sn:1", "execute", "/3/0/4", ""))
	d.asked()
	stop()
	if out := outcomeOf(t, got); !errors.Is(out.err, grid.ErrMayHaveBeenSent) {
		t.Errorf("%v", out.err)
	}
}

func TestValuesAreWrittenForPeople(t *testing.T) {
	for _, c := range []struct {
		format int
		value  string
		want   string
	}{
		{-1, "25", `"25"`},
		{0, "größer", `"größer"`},
		{0, "\xff", `{"hex":"ff"}`},
		{42, "open", `{"hex":"6f70656e"}`},
		{11542, "", `{}`},
		{11542, "\xc8\x00\x14Open Mobile Alliance", `{"0":{"hex":"4f70656e204d6f62696c6520416c6c69616e6365","text":"Open Mobile Alliance"}}`},
		{11542, "\x86\x06\x41\x00\x01\x41\x01\x05", `{"6":{"0":{"hex":"01","integer":1},"1":{"hex":"05","integer":5}}}`},
		{11542, "\xe4\x16\x44\x41\xb4\x00\x00", `{"5700":{"float":22.5,"hex":"41b40000","integer":1102315520}}`},
		{11542, "\xc8", `{"hex":"c8"}`},
		{110, `[{"bn":"/3/0/","n":"9","v":100}]`, `[{"bn":"/3/0/","n":"9","v":100}]`},
		{110, `[{"bn"`, `{"hex":"5b7b22626e22"}`},
		{112, "\x81\xa3\x21e/3/0/\x00a9\x02\x18d", `[{"bn":"/3/0/","n":"9","v":100}]`},
		{112, "\xa1", `{"hex":"a1"}`},
		{60, "\x18d", `100`},
		{60, "\xa1\x02\x42\x01\x02", `{"2":{"hex":"0102"}}`},
		{60, "\xf9\x7e\x00", `"NaN"`},
		{60000, "x", `{"hex":"78"}`},
		{42, strings.Repeat("\x01", 9000), `{"bytes":9000,"begins":"` + hex.EncodeToString([]byte(strings.Repeat("\x01", 64))) + `"}`},
	} {
		if got := render(uint16(c.format), c.format >= 0, []byte(c.value)); got != c.want {
			t.Errorf("%d %.40q: %.200s, want %s", c.format, c.value, got, c.want)
		}
	}
}
