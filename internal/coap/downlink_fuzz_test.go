package coap

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// FuzzOrder lets a device answer an order as it likes: it has one outcome, and leaves
// nothing behind.
func FuzzOrder(f *testing.F) {
	f.Add("read", uint8(2), uint8(69), uint16(0), uint32(0), uint32(0), []byte("88"), false)
	f.Add("write", uint8(2), uint8(143), uint16(0), uint32(0), uint32(0), []byte{}, false)
	f.Add("payload", uint8(2), uint8(95), uint16(0), uint32(0), uint32(0x0e), []byte{}, true)
	f.Add("payload", uint8(0), uint8(141), uint16(0), uint32(0), uint32(0x0d), []byte{}, false)
	f.Add("payload", uint8(2), uint8(106), uint16(0), uint32(0), uint32(0x0e), []byte{}, false) // 3.10 is nothing
	f.Add("read", uint8(2), uint8(69), uint16(11542), uint32(0x0f), uint32(0), []byte(strings.Repeat("x", 2048)), true)
	f.Fuzz(func(t *testing.T, do string, typ, code uint8, format uint16, block2, block1 uint32, payload []byte, stream bool) {
		var in gatetest.Inbox
		tr := New(Config{Identify: identify, LwM2M: LwM2M{On: true}}, nil)
		tr.in, tr.ctx = &in, t.Context()
		l := newListener(tr, "udp", "127.0.0.1:0", tr.openUDP)
		p := &peer{wire: &fuzzWire{}, stream: stream}
		l.join(p)
		s := tr.lwm2m
		reg := &registration{endpoint: "sn:1", identity: "sn:1", place: "x", lifetime: 60, version: "1.1", heard: time.Now(), peer: p, observed: map[string]*observation{}, refused: map[string]bool{}}
		s.admit(reg)
		var o *order
		switch do {
		case "read":
			o = newOrder(codes.GET, nil, 0)
		case "write":
			o = newOrder(codes.PUT, []byte("1"), message.TextPlain)
			o.others = forms(reg, tlvOf("/3/0/1", []byte("1")), senmlOf("/3/0/1", "v", 1))
		default:
			o = newOrder(codes.PUT, []byte(text(3000)), message.AppOctets)
		}
		a, err := s.line(reg, "/3/0/1", o)
		if err != nil {
			t.Fatal(err)
		}
		s.pump(reg)
		for range 200 {
			m := pool.NewMessage(t.Context())
			m.SetType(message.Type(typ % 4))
			m.SetMessageID(int32(a.key.id))
			m.SetCode(codes.Code(code))
			m.SetToken([]byte(a.obs.token))
			m.SetContentFormat(message.MediaType(format))
			m.SetOptionUint32(message.Block2, block2)
			m.SetOptionUint32(message.Block1, block1)
			m.SetBody(strings.NewReader(string(payload)))
			if code == 0 || code >= 32 {
				s.hear(p, m)
			}
			block2, block1 = block2+16, block1+16
		}
		var out outcome
		var outErr error
		if len(o.done) > 0 {
			out = <-o.done
			outErr = out.err
		} else {
			_, outErr = s.takeBack(a, "no answer in time")
		}
		if outErr == nil && (out.sent.State != grid.DownlinkAcknowledged || code < 64 || code >= 96) {
			t.Fatalf("%d is %+v", code, out.sent)
		}
		if len(in.Frames()) > 0 {
			t.Fatal("it is a reading")
		}
		if outErr == nil && o.code == codes.GET && !json.Valid([]byte(out.sent.Answer)) {
			t.Fatalf("answer %q", out.sent.Answer)
		}
		tr.workers.Wait()
		if len(reg.asks) > 0 || len(s.byToken) > 0 || len(reg.observed) > 0 || len(s.inFlight) > 0 || len(s.byID) > 0 {
			t.Fatalf("%d asks, %d tokens, %d on the way", len(reg.asks), len(s.byToken), len(s.inFlight))
		}
	})
}

// FuzzValue holds that every value can be shown, in bounds, and that TLV which we write is
// read as it was meant.
func FuzzValue(f *testing.F) {
	for _, format := range []uint16{0, 42, 50, 60, 110, 112, 11542, 11543} {
		f.Add(format, uint16(9), []byte("\x86\x06\x41\x00\x01\x41\x01\x05"))
		f.Add(format, uint16(5700), []byte(`[{"bn":"/3/0/","n":"9","v":100}]`))
		f.Add(format, uint16(256), []byte("\x81\xa3\x21e/3/0/\x00a9\x02\x18d"))
	}
	f.Fuzz(func(t *testing.T, format, id uint16, value []byte) {
		answer := render(format, true, value)
		if !json.Valid([]byte(answer)) || len(answer) > maxAnswer {
			t.Fatalf("%d bytes: %.200q", len(answer), answer)
		}
		b := tlvRecord(tlvResource, id, value)
		if len(value) >= 1<<24 {
			return
		}
		kind, gotID, got, rest, ok := cutTLV(append(b, 1, 2))
		if !ok || kind != tlvResource || gotID != int(id) || !slices.Equal(got, value) || len(rest) != 2 {
			t.Fatalf("%x is %x %d %x %v", b, kind, gotID, got, ok)
		}
		_ = tlvValue(string(value))
		if key, v := senmlValue(string(value)); !json.Valid(senmlOf("/3/0/0", key, v)) {
			t.Fatalf("%q is %s %v", value, key, v)
		}
	})
}
