package coap

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"

	"gridgate/internal/gatetest"
)

func TestLinkListIsReadAsDevicesWriteIt(t *testing.T) {
	for list, want := range map[string]string{
		"":                                   "",
		"</1/0>,</3/0>":                      " 1/0 3/0",
		"</3/0>, </1/0>,\t</3/0>":            " 1/0 3/0",
		"<3/0>,</>":                          " 3/0",
		"</1>,</3342/0>;ver=1.1;x":           " 3342/0",
		`</>;rt="oma.lwm2m";ct=11543,</3/0>`: " 3/0",
		`</lwm2m>;rt="oma.lwm2m" ;ct="112 110",</lwm2m/3/0>,</lwm2m/19/1>;ver=2`: "lwm2m 3/0 19/1",
		`</3/0>;title="a, <b>; c",</4/0>`:                                        " 3/0 4/0",
		"</3/0/9>,</65535/65535>,</65536/0>,</a/b>":                              " 65535/65535",
	} {
		o, err := readObjects(list)
		got := o.root
		for _, i := range o.instances {
			got += " " + i.String()
		}
		if err != nil || strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%q: %q %v, want %q", list, got, err, want)
		}
	}
	for _, list := range []string{"3/0", "</3/0", "</3/0> </4/0>", "</3/0>x", `</3/0>;t="`, "</3/0>;,x", strings.Repeat("</3/0>,", 3000)} {
		if o, err := readObjects(list); err == nil {
			t.Errorf("%.40q: %+v, want an error", list, o)
		}
	}
}

func TestEndpointNameBecomesAnIdentity(t *testing.T) {
	for endpoint, want := range map[string]string{
		"imei:490154203237518":                          "imei:490154203237518",
		"urn:imei:490154203237518":                      "imei:490154203237518",
		"URN:IMEI-IMSI:490154203237518-460001234567890": "imei:490154203237518",
		"urn:imei-msisdn:490154203237518-8613800000000": "imei:490154203237518",
		"490154203237518":                               "imei:490154203237518",
		"490154203237518;460001234567890":               "imei:490154203237518",
		"490154203237519":                               "ep:490154203237519", // its last digit proves nothing
		"urn:dev:mac:0024BEFFFE804FF1":                  "eui:0024befffe804ff1",
		"24e124136d490175":                              "eui:24e124136d490175",
		"EUI:24e124136d490175":                          "eui:24e124136d490175",
		"sn:7":                                          "sn:7",
		"urn:dev:os:32473-123456":                       "ep:urn:dev:os:32473-123456",
		"Lamp-7":                                        "ep:lamp-7",
		"modbus:port1/1":                                "ep:modbus:port1/1", // of another wire nobody speaks here
		"ep:x":                                          "ep:x",
	} {
		if got := identityText(endpoint); got != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
	}
}

func TestProfileSaysWhatIsObserved(t *testing.T) {
	has, err := readObjects("</1/0>,</3/0>,</4/0>,</19/0>,</19/1>,</3342/0>,</3342/1>,</3303/0>,</9999/0>")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ profile, read, observe string }{
		{"", "3/0 4/0", "19/0/0 3303/0 3342/0 3342/1"},
		{"3342/# 3/0/9 4/0 3408/#", "3/0 4/0", "3342/0 3342/1 3/0/9"},
		{"3342/1", "", "3342/1"},
		{"19/0/0", "", "19/0/0"},
		{"9999/# 4/0", "4/0", "9999/0"},
	} {
		read, observe := wanted(has, strings.Fields(c.profile))
		if strings.Join(read, " ") != c.read || strings.Join(observe, " ") != c.observe {
			t.Errorf("%q: reads %q, observes %q, want %q and %q", c.profile, read, observe, c.read, c.observe)
		}
	}
}

func FuzzLinkList(f *testing.F) {
	for _, s := range []string{"</1/0>,</3/0>;ver=1.1", `</x>;rt="oma.lwm2m";ct=11543,</x/3/0>`, `</3/0>;t="a,b"`, "<>,<", ";=\"", "</3/0> ,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		o, err := readObjects(list)
		if err != nil {
			return
		}
		if len(o.instances) > maxInstances || len(o.root) > maxRoot || strings.ContainsAny(o.root, "<>?#") {
			t.Fatalf("%+v", o)
		}
		// What was understood can be said again.
		var b strings.Builder
		b.WriteString("</" + o.root + `>;rt="oma.lwm2m"`)
		for _, i := range o.instances {
			b.WriteString(",</" + strings.Trim(o.root+"/"+i.String(), "/") + ">")
		}
		if again, err := readObjects(b.String()); err != nil || again.root != o.root || !slices.Equal(again.instances, o.instances) {
			t.Fatalf("%q read again as %+v %v, was %+v", b.String(), again, err, o)
		}
		read, observe := wanted(o, nil)
		if len(read)+len(observe) > maxAsked {
			t.Fatalf("asks %d times", len(read)+len(observe))
		}
	})
}

func FuzzTerms(f *testing.F) {
	for _, s := range []string{"ep=urn:imei:490154203237518&lt=60&lwm2m=1.1&b=UQ&Q", "ep=&lt=4294967296", "b=Q&sms=5&ep=a;b"} {
		f.Add(s)
	}
	tr := New(Config{Identify: identify, LwM2M: LwM2M{On: true}}, nil)
	f.Fuzz(func(t *testing.T, query string) {
		terms, bad := readTerms(strings.Split(query, "&"))
		if bad != nil {
			if bad.code < codes.BadRequest || bad.text == "" {
				t.Fatalf("refused with %v %q", bad.code, bad.text)
			}
			return
		}
		if terms.lifetime == 0 || terms.lifetime > 1<<31-1 {
			t.Fatalf("lifetime %d", terms.lifetime)
		}
		if id, note := tr.identityOf(terms.endpoint); note == "" && !slices.ContainsFunc(endpointKinds, func(k string) bool { return strings.HasPrefix(string(id), k+":") }) {
			t.Fatalf("%q is %s", terms.endpoint, id)
		}
	})
}

// FuzzAnswer lets a device answer and notify what it likes.
func FuzzAnswer(f *testing.F) {
	f.Add(uint8(0), uint8(69), uint32(3), uint32(0), []byte("open"), true)
	f.Add(uint8(2), uint8(69), uint32(1), uint32(8), []byte(strings.Repeat("x", 16)), false)
	f.Add(uint8(1), uint8(132), uint32(0), uint32(0x1f), []byte{}, true)
	f.Fuzz(func(t *testing.T, typ, code uint8, observe, blockValue uint32, payload []byte, observed bool) {
		var in gatetest.Inbox
		tr := New(Config{Identify: identify, LwM2M: LwM2M{On: true}}, nil)
		tr.in, tr.ctx = &in, t.Context()
		l := newListener(tr, "udp", "127.0.0.1:0", tr.openUDP)
		p := &peer{wire: &fuzzWire{}}
		l.join(p)
		s := tr.lwm2m
		reg := &registration{endpoint: "sn:1", identity: "sn:1", place: "x", lifetime: 60, heard: time.Now(), peer: p, observed: map[string]*observation{}, refused: map[string]bool{}}
		s.admit(reg)
		s.mu.Lock()
		s.ask(reg, "/3342/0", true)
		o := reg.asks[0].obs
		if observed {
			s.done(reg.asks[0], true)
		}
		s.mu.Unlock()
		s.pump(reg)
		for range 3 {
			m := pool.NewMessage(t.Context())
			m.SetType(message.Type(typ % 4))
			m.SetMessageID(7)
			m.SetCode(codes.Code(code))
			m.SetToken([]byte(o.token))
			m.SetObserve(observe)
			m.SetOptionUint32(message.Block2, blockValue)
			m.SetBody(strings.NewReader(string(payload)))
			if code == 0 || code >= 32 {
				s.hear(p, m)
			}
		}
		tr.workers.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(reg.asks) > maxAsked || len(s.byToken) != len(reg.observed) || len(s.inFlight) > 1 || len(s.byID) > 1 {
			t.Fatalf("%d asks, %d tokens, %d on the way", len(reg.asks), len(s.byToken), len(s.inFlight))
		}
	})
}

// fuzzWire sends nowhere.
type fuzzWire struct{ ids int32 }

func (w *fuzzWire) reply(*exchange, *reply) error           { return nil }
func (w *fuzzWire) address() string                         { return "192.0.2.1:5683" }
func (w *fuzzWire) close()                                  {}
func (w *fuzzWire) nextID() int32                           { w.ids++; return w.ids & 0xffff }
func (w *fuzzWire) ask(question) error                      { return nil }
func (w *fuzzWire) signal(typ message.Type, id int32) error { return nil }
