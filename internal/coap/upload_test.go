package coap

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// blockOf is one block of an upload, with a token of its own, as libcoap sends it.
func blockOf(id int32, whole string, b block) msg {
	m := report(id, whole[b.offset():min(b.offset()+b.size(), len(whole))])
	m.options = []message.Option{option(message.Block1, b.value())}
	return m
}

// blocks cuts a payload.
func blocks(whole string, szx uint8) (out []block) {
	for n := uint32(0); ; n++ {
		b := block{number: n, szx: szx}
		b.more = b.offset()+b.size() < len(whole)
		if out = append(out, b); !b.more {
			return out
		}
	}
}

func text(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d ", i)
	}
	return b.String()[:n]
}

func TestUploadInBlocksIsOneFrame(t *testing.T) {
	for szx := range uint8(7) {
		var in gatetest.Inbox
		tr, _ := start(t, Config{Burst: 1000}, &in)
		d := dial(t, tr.Addr("udp"))
		whole, id := text(2500), int32(1)
		for _, b := range blocks(whole, szx) {
			want := codes.Continue
			if !b.more {
				want = codes.Changed
			}
			for range 2 { // each block comes twice
				got := d.ask(blockOf(id, whole, b), want)
				if v := uintOption(t, got, message.Block1); v != b.value() {
					t.Fatalf("block %+v is answered with %+v", b, readBlock(v))
				}
			}
			id++
		}
		if got := ends(&in); len(got) != 1 || got[0] != whole {
			t.Fatalf("size exponent %d: taken: %d frames", szx, len(got))
		}
		if tr.uploading.Load() != 0 {
			t.Errorf("%d bytes are held", tr.uploading.Load())
		}
	}
}

func TestUploadInManyBlocksIsWithinTheRate(t *testing.T) {
	var in gatetest.Inbox
	now := time.Now()
	tr, _ := start(t, Config{Now: func() time.Time { return now }}, &in)
	d := dial(t, tr.Addr("udp"))
	whole := text(64 << 10)
	for i, b := range blocks(whole, 0) {
		want := codes.Continue
		if !b.more {
			want = codes.Changed
		}
		d.ask(blockOf(int32(i), whole, b), want)
	}
	if got := ends(&in); len(got) != 1 || got[0] != whole {
		t.Errorf("%d frames", len(got))
	}
	loose := blockOf(9000, whole, block{number: 7, more: true})
	for i := range 100 { // blocks of nothing are messages like others
		loose.id++
		d.send(loose)
		m, ok := d.receive(10 * time.Second)
		if !ok {
			t.Fatal("no answer")
		}
		if m.Code == codes.TooManyRequests {
			return
		}
		if i == 99 {
			t.Error("loose blocks are without a limit")
		}
	}
}

func TestBlockThatDoesNotFollowIsRefused(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{}, &in)
	d := dial(t, tr.Addr("udp"))
	whole := text(64)
	bs := blocks(whole, 0)
	d.ask(blockOf(1, whole, bs[0]), codes.Continue)
	d.ask(blockOf(2, whole, bs[2]), codes.RequestEntityIncomplete)
	d.ask(blockOf(3, whole, bs[3]), codes.RequestEntityIncomplete) // the last alone is no frame
	d.ask(blockOf(4, whole, bs[1]), codes.Continue)                // the upload itself goes on
	wrong := blockOf(5, whole, bs[2])
	wrong.payload = wrong.payload[:15]
	d.ask(wrong, codes.BadRequest)
	if len(in.Frames()) != 0 {
		t.Errorf("taken: %q", ends(&in))
	}
}

func TestUploadBeginsAnewWithBlockZero(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{}, &in)
	d := dial(t, tr.Addr("udp"))
	whole := text(48)
	bs := blocks(whole, 0)
	d.ask(blockOf(1, "old old old old old old", block{more: true}), codes.Continue)
	for i, b := range bs {
		want := codes.Continue
		if !b.more {
			want = codes.Changed
		}
		d.ask(blockOf(int32(i+2), whole, b), want)
	}
	if got := ends(&in); len(got) != 1 || got[0] != whole {
		t.Errorf("taken: %q", got)
	}
}

func TestUploadsToSeveralResourcesDoNotMix(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{}, &in)
	d := dial(t, tr.Addr("udp"))
	one, two, id := strings.Repeat("1", 40), strings.Repeat("2", 40), int32(1)
	for _, b := range blocks(one, 0) {
		for _, whole := range []string{one, two} {
			m := blockOf(id, whole, b)
			m.path = "up/sn:" + whole[:1]
			want := codes.Continue
			if !b.more {
				want = codes.Changed
			}
			d.ask(m, want)
			id++
		}
	}
	for _, f := range in.Frames() {
		if string(f.Raw) != strings.Repeat(string(f.Identity[3:]), 40) {
			t.Errorf("frame of %s is %q", f.Identity, f.Raw)
		}
	}
}

func TestPauseBetweenBlocksMayBeLongButNotForEver(t *testing.T) {
	c := newClock()
	tr, _ := start(t, Config{Now: c.now}, &gatetest.Inbox{})
	d := dial(t, tr.Addr("udp"))
	whole := text(64)
	bs := blocks(whole, 0)
	d.ask(blockOf(1, whole, bs[0]), codes.Continue)
	c.move(50 * time.Second) // NB-IoT
	d.ask(blockOf(2, whole, bs[1]), codes.Continue)
	c.move(61 * time.Second)
	d.ask(blockOf(3, whole, bs[2]), codes.RequestEntityIncomplete)
	d.ask(blockOf(4, whole, bs[0]), codes.Continue)
	c.move(61 * time.Second)
	tr.on("udp").sweep(c.now())
	if n := tr.uploading.Load(); n != 0 {
		t.Errorf("%d bytes of dead uploads are held", n)
	}
}

func TestUploadsAreBounded(t *testing.T) {
	for name, cfg := range map[string]Config{"OfThePeer": {UploadsOfPeer: 2}, "Bytes": {UploadBytes: 35}} {
		t.Run(name, func(t *testing.T) {
			tr, _ := start(t, cfg, &gatetest.Inbox{})
			d := dial(t, tr.Addr("udp"))
			for i := range 3 {
				m := blockOf(int32(i+1), text(64), block{more: true})
				m.path = fmt.Sprint("up/sn:", i)
				want := codes.Continue
				if i == 2 {
					want = codes.ServiceUnavailable
				}
				d.ask(m, want)
			}
			tr.on("udp").forget(tr.on("udp").latest(1)[0])
			if n := tr.uploading.Load(); n != 0 {
				t.Errorf("%d bytes are held for a peer that is gone", n)
			}
		})
	}
}

func TestUploadOverTheLimitIsRefusedAndItsBeginningKept(t *testing.T) {
	t.Run("Declared", func(t *testing.T) {
		var in gatetest.Inbox
		tr, _ := start(t, Config{MaxPayload: 1000}, &in)
		d := dial(t, tr.Addr("udp"))
		m := blockOf(1, text(2000), block{more: true, szx: 5})
		m.options = append(m.options, option(message.Size1, 2000))
		if got := d.ask(m, codes.RequestEntityTooLarge); uintOption(t, got, message.Size1) != 1000 {
			t.Errorf("Size1 is %d", uintOption(t, got, message.Size1))
		}
		if f := in.Frames(); len(f) != 1 || f[0].Flags&grid.Refused == 0 || f[0].Note == "" {
			t.Errorf("kept: %+v", f)
		}
	})
	t.Run("Undeclared", func(t *testing.T) {
		var in gatetest.Inbox
		tr, _ := start(t, Config{MaxPayload: 1000}, &in)
		d := dial(t, tr.Addr("udp"))
		whole := text(2000)
		bs := blocks(whole, 5)
		d.ask(blockOf(1, whole, bs[0]), codes.Continue)
		d.ask(blockOf(2, whole, bs[1]), codes.RequestEntityTooLarge)
		if f := in.Frames(); len(f) != 1 || f[0].Flags&grid.Refused == 0 || string(f[0].Raw) != whole[:512] {
			t.Errorf("kept: %+v", f)
		}
		if tr.uploading.Load() != 0 {
			t.Errorf("%d bytes are held", tr.uploading.Load())
		}
	})
}
