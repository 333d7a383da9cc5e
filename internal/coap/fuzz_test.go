package coap

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"gridgate/internal/envelope"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// FuzzAddress holds that a frame's address says to package envelope what the message said.
func FuzzAddress(f *testing.F) {
	f.Add("sn:1", "", "port=1", "path=/3/0/9", uint16(50))
	f.Add("sn:a/b?c#d%41", "7", "path=%2F&x=1", "port=", uint16(0))
	f.Add("eui:24e124136b502217", "65536", "port=-1", "", uint16(11542))
	f.Add("..", "\x00", "\xff=\xfe", "ct=1", uint16(65535))
	f.Fuzz(func(t *testing.T, identity, port, query1, query2 string, format uint16) {
		r := request{code: codes.POST, path: []string{"up", identity}, query: []string{query1, query2}, format: format, hasFormat: true}
		if port != "" {
			r.path = append(r.path, port)
		}
		address, bad := r.address()
		if bad != nil {
			if bad.text == "" || bad.code < codes.BadRequest {
				t.Fatalf("refused without a reason: %+v", bad)
			}
			return
		}
		id, name, note := envelope.Identify(address, []byte("x"))
		if name != envelope.Native {
			t.Fatalf("address %q is of envelope %q", address, name)
		}
		if note != "" {
			return
		}
		if want, _, _ := envelope.Identify("/up/"+strings.NewReplacer("%", "%25", "/", "%2F", "?", "%3F").Replace(identity), nil); id != want {
			t.Fatalf("identity %q became %q, want %q", identity, id, want)
		}
		fr := grid.Frame{Address: address, Envelope: name, Raw: []byte("x")}
		if err := envelope.Open(&fr); err != nil {
			t.Fatalf("address %q identifies and cannot be opened: %v", address, err)
		}
		_, path, _ := r.queries()
		if fr.Format != format || !fr.HasFormat || fr.Path != path {
			t.Fatalf("address %q says format %d, path %q: want %d, %q", address, fr.Format, fr.Path, format, path)
		}
	})
}

// FuzzDatagram holds that no datagram makes the entry panic, wait, or take a frame that it
// does not acknowledge.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x40, 0x02, 0, 1})
	f.Add(report(1, "x").bytes(f))
	for _, b := range blocks(text(40), 0) {
		f.Add(blockOf(1, text(40), b).bytes(f))
	}
	m := report(1, "x")
	m.options = []message.Option{option(message.NoResponse, 26), option(message.Size1, 1<<31), option(requestTag, 1)}
	f.Add(m.bytes(f))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		defer time.AfterFunc(5*time.Second, func() { panic("waits") }).Stop()
		var in gatetest.Inbox
		tr := New(Config{UDP: "127.0.0.1:0", Identify: envelope.Identify}, nil)
		tr.in, tr.ctx = &in, t.Context()
		w := &heard{}
		p := &peer{wire: w}
		tr.on("udp").join(p)
		msg := pool.New(0, 0).AcquireMessage(t.Context())
		if _, err := msg.UnmarshalWithDecoder(coder.DefaultCoder, datagram); err != nil {
			return
		}
		tr.take(p, msg)
		tr.workers.Wait()
		s := tr.Status()
		if strings.Contains(s.LastError, "panic") {
			t.Fatal(s.LastError)
		}
		if n := len(in.Frames()); n > 1 || s.Waiting != 0 || n != w.changed() && w.quiet == 0 && msg.Type() == message.Confirmable && n > 0 && in.Frames()[0].Flags&grid.Refused == 0 && !msg.HasOption(message.NoResponse) {
			t.Fatalf("%d frames, answers %v, status %+v", n, w.codes, s)
		}
	})
}

// heard is a wire that keeps the codes of its answers.
type heard struct {
	codes []codes.Code
	quiet int
}

func (w *heard) reply(x *exchange, r *reply) error {
	m := pool.New(0, 0).AcquireMessage(x.p.t.ctx)
	r.fill(m, x)
	m.SetType(message.Acknowledgement)
	m.SetMessageID(x.id)
	b, err := m.MarshalWithEncoder(coder.DefaultCoder)
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return err
	}
	w.codes = append(w.codes, r.code)
	return nil
}

func (w *heard) changed() (n int) {
	for _, c := range w.codes {
		if c == codes.Changed {
			n++
		}
	}
	return n
}

func (w *heard) address() string { return "192.0.2.1:5683" }
func (w *heard) close()          {}
