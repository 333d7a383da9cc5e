package coap

import (
	"errors"
	"maps"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// doorLinks is a contact sensor's list.
func (c *client) door() string { return c.has("/3/0", "device", "/4/0", "radio", "/3342/0", "closed") }

func serveLwM2M(t testing.TB, cfg Config, in grid.Ingester) *Transport {
	cfg.LwM2M.On = true
	tr, _ := start(t, cfg, in)
	return tr
}

func observes(tr *Transport, endpoint string, n int) func() bool {
	return func() bool {
		r, _ := tr.Registration(endpoint)
		return len(r.Observed) == n && r.Waiting == 0
	}
}

func TestDeviceThatRegistersIsReadAndObserved(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{}, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=urn:imei:490154203237518&lt=3600&lwm2m=1.0&b=U", c.door()+",</1/0>,</5>", codes.Created)
	if !strings.HasPrefix(c.location, "/rd/") || len(c.location) < 12 {
		t.Errorf("location %q", c.location)
	}
	want := []string{"/3342/0?observe", "/3/0", "/4/0"}
	if got := c.wait(3); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	in.Wait(t, 4)
	values := []string{
		"/up/imei:490154203237518?ct=11542&path=%2F3342%2F0 closed",
		"/up/imei:490154203237518?ct=11542&path=%2F3%2F0 device", "/up/imei:490154203237518?ct=11542&path=%2F4%2F0 radio",
	}
	if got := said(&in); !slices.Equal(got, values) {
		t.Errorf("frames %q, want %q", got, values)
	}
	if got := events(&in); !slices.Equal(got, []string{"/up/imei:490154203237518?event=register"}) {
		t.Errorf("events %q", got)
	}
	if err := c.notify("/3342/0", "open"); err != nil {
		t.Fatal(err)
	}
	f := in.Wait(t, 5)[4]
	if f.Address != "/up/imei:490154203237518?ct=11542&path=%2F3342%2F0" || string(f.Raw) != "open" || f.Identity != "imei:490154203237518" || f.Flags != 0 {
		t.Errorf("notification %+v", f)
	}
	if s, on := tr.LwM2M(); !on || s.Registrations != 1 || s.Observations != 1 || s.Waiting != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestNotificationIsAcknowledgedOnceItIsDurable(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{}, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", c.door(), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	in.Wait(t, 4)
	in.Fail(grid.ErrOverloaded)
	c.patience = time.Second
	if err := c.notify("/3342/0", "refused"); err == nil {
		t.Fatal("acknowledged, and not durable")
	}
	c.patience = 10 * time.Second
	in.Fail(errors.New("disk is gone"))
	done := make(chan error, 1)
	go func() { done <- c.notify("/3342/0", "open") }()
	gatetest.Eventually(t, "tries", func() bool {
		return slices.ContainsFunc(in.Calls(), func(f []grid.Frame) bool { return string(f[0].Raw) == "open" })
	})
	select {
	case err := <-done:
		t.Fatalf("answered before it is durable: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	in.Fail(nil)
	if err := <-done; err != nil {
		t.Errorf("not acknowledged: %v", err)
	}
	if got := said(&in); len(got) != 4 || !strings.HasSuffix(got[3], " open") {
		t.Errorf("frames %q, want the repeated one once", got)
	}
}

func TestRegistrationIsAnsweredOnceItIsDurable(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{}, &in)
	in.Fail(grid.ErrOverloaded)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", c.door(), codes.ServiceUnavailable)
	in.Fail(nil)
	if _, is := tr.Registration("sn:1"); is {
		t.Error("registered without a word in the journal")
	}
	c.register("ep=sn:1", c.door(), codes.Created)
	c.update("", "", codes.Changed)
}

func TestSleepingDeviceIsAskedWhenItSpeaks(t *testing.T) {
	for name, terms := range map[string]string{"LwM2M 1.0": "lwm2m=1.0&b=UQ", "LwM2M 1.1": "lwm2m=1.1&b=U&Q"} {
		t.Run(name, func(t *testing.T) {
			var in gatetest.Inbox
			clock := newClock()
			tr := serveLwM2M(t, Config{Now: clock.now}, &in)
			c := newClient(t)
			c.connect(tr.Addr("udp"))
			c.register("ep=sn:1&lt=86400&"+terms, c.door(), codes.Created)
			gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
			asked := len(c.wait(3))
			clock.move(13 * time.Hour)
			s := tr.lwm2m
			s.mu.Lock()
			s.ask(s.byName["sn:1"], "/3342/0", false)
			s.mu.Unlock()
			s.pump(s.byName["sn:1"])
			time.Sleep(20 * time.Millisecond)
			if got := c.heard(); len(got) != asked {
				t.Fatalf("asked %q while it sleeps", got[asked:])
			}
			c.update("", "", codes.Changed)
			if got := c.wait(asked + 3)[asked:]; !slices.Equal(got, []string{"/3342/0", "/3/0", "/4/0"}) {
				t.Errorf("asked %q after it woke up", got)
			}
		})
	}
}

func TestDeviceThatDoesNotAnswerIsAskedAgainWhenItSpeaks(t *testing.T) {
	var in gatetest.Inbox
	clock := newClock()
	tr := serveLwM2M(t, Config{Now: clock.now}, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1&b=U", "", codes.Created)
	c.close()
	s := tr.lwm2m
	s.mu.Lock()
	reg := s.byName["sn:1"]
	s.ask(reg, "/3342/0", true)
	s.mu.Unlock()
	s.pump(reg)
	for range maxRetransmit + 1 {
		clock.move(2 * time.Minute)
		s.repeat(clock.now())
	}
	s.mu.Lock()
	asleep, flying, waiting := reg.asleep, len(s.inFlight), len(reg.asks)
	s.mu.Unlock()
	if !asleep || flying != 0 || waiting != 1 {
		t.Fatalf("asleep %v, on the way %d, waiting %d", asleep, flying, waiting)
	}
	c.door()
	c.connect(tr.Addr("udp"))
	c.update("", "", codes.Changed)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
}

func TestRequestThatIsNeverAnsweredIsGivenUp(t *testing.T) {
	clock := newClock()
	tr := serveLwM2M(t, Config{Now: clock.now}, &gatetest.Inbox{})
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", "", codes.Created)
	c.close()
	s := tr.lwm2m
	s.mu.Lock()
	reg := s.byName["sn:1"]
	s.ask(reg, "/3342/0", true)
	s.mu.Unlock()
	for range maxTries {
		s.mu.Lock()
		s.speaks(reg, &exchange{p: reg.peer}, nil)
		s.mu.Unlock()
		s.pump(reg)
		for range maxRetransmit + 1 {
			clock.move(2 * time.Minute)
			s.repeat(clock.now())
		}
	}
	if got, _ := tr.LwM2M(); got.Waiting != 0 || got.Dropped != 1 || len(s.byToken) != 0 || len(s.byID) != 0 || len(s.inFlight) != 0 {
		t.Errorf("status %+v, %d tokens", got, len(s.byToken))
	}
}

func TestDeviceComesBackFromAnotherPort(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{}, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", c.door(), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	before, _ := tr.Registration("sn:1")
	c.connect(tr.Addr("udp"))
	if err := c.notify("/3342/0", "open"); err != nil {
		t.Fatal(err)
	}
	after, _ := tr.Registration("sn:1")
	if after.Address == before.Address || !after.Since.Equal(before.Since) {
		t.Errorf("address %s, was %s", after.Address, before.Address)
	}
	if got := said(&in); got[len(got)-1] != "/up/sn:1?ct=11542&path=%2F3342%2F0 open" {
		t.Errorf("frames %q", got)
	}
	c.connect(tr.Addr("udp"))
	c.update("lt=60", "", codes.Changed)
	if len(c.heard()) != 3 {
		t.Errorf("asked again: %q", c.heard())
	}
}

func TestDeviceThatRegistersAgainIsObservedAnew(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", c.door(), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	old, token := c.location, c.token("/3342/0")
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", c.door(), codes.Created)
	c.wait(6)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	if c.location == old || slices.Equal(c.token("/3342/0"), token) || len(tr.lwm2m.byPlace) != 1 || len(tr.lwm2m.byToken) != 1 {
		t.Errorf("location %s, %d registrations, %d tokens", c.location, len(tr.lwm2m.byPlace), len(tr.lwm2m.byToken))
	}
	c.location = old
	c.update("", "", codes.NotFound)
}

func TestDeviceThatLeavesIsForgotten(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{}, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", c.door(), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	got, err := c.conn.Delete(within(t), c.location)
	if err != nil || got.Code() != codes.Deleted {
		t.Fatalf("%v %v", got, err)
	}
	if s, _ := tr.LwM2M(); s.Registrations != 0 || len(tr.lwm2m.byToken) != 0 {
		t.Errorf("status %+v", s)
	}
	c.update("", "", codes.NotFound)
	if got := events(&in); !slices.Equal(got, []string{"/up/sn:1?event=register", "/up/sn:1?event=deregister"}) {
		t.Errorf("events %q", got)
	}
}

func TestSilencePastTheLifetimeIsSaidOnce(t *testing.T) {
	var in gatetest.Inbox
	clock := newClock()
	tr := serveLwM2M(t, Config{Now: clock.now}, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1&lt=3600", "", codes.Created)
	clock.move(time.Hour)
	c.update("", "", codes.Changed) // begins it anew
	clock.move(time.Hour)
	tr.lwm2m.expire(clock.now())
	if _, is := tr.Registration("sn:1"); !is {
		t.Fatal("ended while a last word may be on its way")
	}
	clock.move(lifetimeGrace + time.Second)
	tr.lwm2m.expire(clock.now())
	tr.lwm2m.expire(clock.now())
	in.Wait(t, 3)
	if got := events(&in); !slices.Equal(got, []string{"/up/sn:1?event=register", "/up/sn:1?event=update", "/up/sn:1?event=expired&lifetime=3600"}) {
		t.Errorf("events %q", got)
	}
	c.update("", "", codes.NotFound)
}

func TestRegistrationsAndObservationsOutliveARestart(t *testing.T) {
	var in gatetest.Inbox
	cfg := Config{UDP: freeUDP(t), LwM2M: LwM2M{On: true, StateFile: filepath.Join(t.TempDir(), "lwm2m.json")}}
	tr, stop := start(t, cfg, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1&lt=7200&b=UQ", c.door(), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	in.Wait(t, 4)
	stop()
	tr, _ = start(t, cfg, &in)
	if err := c.notify("/3342/0", "open"); err != nil {
		t.Fatal(err)
	}
	if got := said(&in); got[len(got)-1] != "/up/sn:1?ct=11542&path=%2F3342%2F0 open" {
		t.Errorf("frames %q", got)
	}
	c.update("", "", codes.Changed)
	if s, _ := tr.LwM2M(); s.Restored != 1 || s.Registrations != 1 || s.Observations != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestDeviceOfAForgottenRegistrationRegistersAgain(t *testing.T) {
	var in gatetest.Inbox
	cfg := Config{UDP: freeUDP(t), LwM2M: LwM2M{On: true}}
	tr, stop := start(t, cfg, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", c.door(), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	stop()
	tr, _ = start(t, cfg, &in)
	before := len(in.Frames())
	_ = c.notify("/3342/0", "of nobody")
	if n := len(in.Frames()); n != before {
		t.Errorf("taken, of nobody: %+v", in.Frames()[before:])
	}
	c.update("", "", codes.NotFound)
	c.register("ep=sn:1", c.door(), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	if err := c.notify("/3342/0", "open"); err != nil {
		t.Error(err)
	}
}

func TestEndpointBelongsToItsKey(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{UDP: "127.0.0.1:0", DTLS: keyed(t, t.TempDir())}, &in)
	one, two, plain := newClient(t), newClient(t), newClient(t)
	one.secure(tr.Addr("dtls"), "sn:1", pskOne)
	two.secure(tr.Addr("dtls"), "two", pskTwo)
	plain.connect(tr.Addr("udp"))
	one.register("ep=sn:1", one.door(), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	two.register("ep=sn:1", one.door(), codes.Forbidden)
	plain.register("ep=sn:1", one.door(), codes.Unauthorized)
	two.location, plain.location = one.location, one.location
	two.update("lt=1", "", codes.Forbidden)
	plain.update("lt=1", "", codes.Unauthorized)
	stolen := map[string]message.Token{"/3342/0": one.token("/3342/0")}
	two.tokens, plain.tokens = maps.Clone(stolen), stolen
	before := len(in.Frames())
	_, _ = two.notify("/3342/0", "spoofed"), plain.notify("/3342/0", "spoofed")
	if got := in.Frames()[before:]; len(got) != 0 {
		t.Errorf("taken: %+v", got)
	}
	two.register("lt=60", two.door(), codes.Created) // with a key the name may be left out
	if _, is := tr.Registration("sn:2"); !is {
		t.Error("not known by its key")
	}
	one.secure(tr.Addr("dtls"), "sn:1", pskOne) // a new session, from another port
	if err := one.notify("/3342/0", "open"); err != nil {
		t.Error(err)
	}
	if r, _ := tr.Registration("sn:1"); r.Heard.IsZero() || len(r.Observed) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestOvertakenNotificationIsTakenAndTheResourceReadAgain(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{}, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", c.has("/3342/0", "now"), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	if err := c.notifyAs("/3342/0", "old", 1<<24-1); err != nil {
		t.Fatal(err)
	}
	c.wait(2)
	gatetest.Eventually(t, "values", func() bool { return len(said(&in)) == 3 })
	if got := said(&in); !strings.HasSuffix(got[1], " old") || !strings.HasSuffix(got[2], " now") {
		t.Errorf("frames %q", got)
	}
}

func TestNumbersOfNotificationsWrap(t *testing.T) {
	for _, c := range []struct {
		was, is uint32
		want    bool
	}{{1, 2, true}, {2, 1, false}, {2, 2, false}, {1<<24 - 1, 0, true}, {0, 1<<24 - 1, false}, {0, 1<<23 - 1, true}, {0, 1 << 23, false}} {
		if newer(c.was, c.is) != c.want {
			t.Errorf("%d after %d: want newer %v", c.is, c.was, c.want)
		}
	}
}

func TestValueInBlocksIsOneFrame(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{}, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	whole := text(5000)
	c.register("ep=sn:1", c.has("/3/0", whole, "/3342/0", whole[:3000]), codes.Created)
	gatetest.Eventually(t, "values", func() bool { return len(said(&in)) >= 2 })
	got := said(&in)
	slices.Sort(got)
	if len(got) != 2 || got[0] != "/up/sn:1?ct=11542&path=%2F3%2F0 "+whole || got[1] != "/up/sn:1?ct=11542&path=%2F3342%2F0 "+whole[:3000] {
		for _, g := range got {
			t.Errorf("frame of %d bytes: %.60s", len(g), g)
		}
	}
}

func TestDeviceThatRefusesIsNotAskedAgain(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.set(func() { c.refuses = true })
	c.register("ep=sn:1", c.door(), codes.Created)
	c.wait(3)
	gatetest.Eventually(t, "answers", observes(tr, "sn:1", 0))
	c.update("", "", codes.Changed)
	time.Sleep(20 * time.Millisecond)
	if got := c.heard(); len(got) != 3 {
		t.Errorf("asked %q", got)
	}
	if s, _ := tr.LwM2M(); s.Registrations != 1 || len(tr.lwm2m.byToken) != 0 {
		t.Errorf("status %+v, %d tokens", s, len(tr.lwm2m.byToken))
	}
}

func TestRegistrationsAreBounded(t *testing.T) {
	tr := serveLwM2M(t, Config{LwM2M: LwM2M{Registrations: 2}}, &gatetest.Inbox{})
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", "", codes.Created)
	c.register("ep=sn:2", "", codes.Created)
	c.register("ep=sn:3", "", codes.ServiceUnavailable)
	c.register("ep=sn:1", "", codes.Created) // is there already
}

func TestWhatIsWrongWithARegistrationIsSaid(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	d := dial(t, tr.Addr("udp"))
	for i, c := range []struct {
		query   []string
		payload string
		code    codes.Code
		want    string
	}{
		{nil, "", codes.BadRequest, "want ep"},
		{[]string{"ep=x y"}, "", codes.Created, ""},
		{[]string{"ep=sn:1", "lt=0"}, "", codes.BadRequest, "lt is"},
		{[]string{"ep=sn:1", "lt=-5"}, "", codes.BadRequest, "lt is"},
		{[]string{"ep=sn:1", "lwm2m=2.0"}, "", codes.PreconditionFailed, "want 1.0 or 1.1"},
		{[]string{"ep=sn:1", "b=X"}, "", codes.BadRequest, "b is"},
		{[]string{"ep=sn:1"}, "3/0", codes.BadRequest, "where a link begins"},
		{[]string{"ep=sn:1", "sms=1", "new"}, "</3/0>;ver=1.2", codes.Created, ""},
	} {
		m := msg{typ: 0, code: codes.POST, id: int32(i + 1), token: "t", path: "rd", query: c.query, payload: c.payload}
		d.send(m)
		for {
			got, ok := d.receive(5 * time.Second)
			if !ok {
				t.Fatalf("%q: no answer", c.query)
			}
			if got.Code == codes.GET { // it has begun to ask
				continue
			}
			if got.Code != c.code || !strings.Contains(string(got.Payload), c.want) {
				t.Errorf("%q: %v %q, want %v %q", c.query, got.Code, got.Payload, c.code, c.want)
			}
			break
		}
	}
}

func TestWithoutLwM2MThereIsNoRd(t *testing.T) {
	tr, _ := start(t, Config{}, &gatetest.Inbox{})
	dial(t, tr.Addr("udp")).ask(msg{code: codes.POST, id: 1, token: "t", path: "rd", query: []string{"ep=sn:1"}}, codes.NotFound)
	if _, on := tr.LwM2M(); on {
		t.Error("is on")
	}
}

func TestRunWithDevicesLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	tr, stop := start(t, Config{LwM2M: LwM2M{On: true}}, &gatetest.Inbox{})
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", c.door(), codes.Created)
	c.wait(3)
	c.close()
	stop()
	gatetest.Eventually(t, "all goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

// freeUDP is an address that nobody listens on.
func freeUDP(t testing.TB) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

func TestRepeatedNotificationIsOneFrameAndAcknowledgedEachTime(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{}, &in)
	d := dial(t, tr.Addr("udp"))
	d.send(msg{code: codes.POST, id: 1, token: "r", path: "rd", query: []string{"ep=sn:1"}, payload: "</3342/0>"})
	created, _ := d.receive(10 * time.Second)
	question, ok := d.receive(10 * time.Second)
	if created.Code != codes.Created || !ok || question.Code != codes.GET {
		t.Fatalf("registration: %v, then %v", created, question)
	}
	said := func(typ message.Type, id int32, payload string, observe uint32) msg {
		return msg{typ: typ, code: codes.Content, id: id, token: string(question.Token), payload: payload, options: []message.Option{option(message.Observe, observe)}}
	}
	d.send(said(message.Acknowledgement, question.MessageID, "closed", 2))
	in.Wait(t, 2)
	for range 3 {
		d.send(said(message.Confirmable, 9, "open", 3))
		if got, ok := d.receive(10 * time.Second); !ok || got.Code != codes.Empty || got.Type != message.Acknowledgement || got.MessageID != 9 {
			t.Fatalf("answer %+v (came: %v), want an acknowledgement", got, ok)
		}
	}
	d.send(said(message.NonConfirmable, 10, "closed", 4))
	f := in.Wait(t, 4)
	if got := ends(&in); len(got) != 4 || got[2] != "open" || got[3] != "closed" || f[3].Flags != grid.Unacknowledged {
		t.Errorf("frames %q", got)
	}
	d.silent()
}

func TestAnswerThatComesLaterIsTakenAndAcknowledged(t *testing.T) {
	var in gatetest.Inbox
	clock := newClock()
	tr := serveLwM2M(t, Config{Now: clock.now}, &in)
	d := dial(t, tr.Addr("udp"))
	d.send(msg{code: codes.POST, id: 1, token: "r", path: "rd", query: []string{"ep=sn:1"}, payload: "</3342/0>"})
	_, _ = d.receive(10 * time.Second)
	question, ok := d.receive(10 * time.Second)
	if !ok || question.Code != codes.GET {
		t.Fatalf("question %v", question)
	}
	d.write([]byte{0x60, 0, byte(question.MessageID >> 8), byte(question.MessageID)}) // the empty acknowledgement
	gatetest.Eventually(t, "acknowledgement", func() bool {
		tr.lwm2m.mu.Lock()
		defer tr.lwm2m.mu.Unlock()
		return tr.lwm2m.byName["sn:1"].asks[0].acked
	})
	clock.move(ackTimeout * 4)
	tr.lwm2m.repeat(clock.now())
	d.silent() // the question is not repeated
	d.send(msg{typ: message.Confirmable, code: codes.Content, id: 5, token: string(question.Token), payload: "closed", options: []message.Option{option(message.Observe, 2)}})
	if got, ok := d.receive(10 * time.Second); !ok || got.Type != message.Acknowledgement || got.MessageID != 5 {
		t.Errorf("answer %+v", got)
	}
	if got := ends(&in); len(got) != 2 || got[1] != "closed" {
		t.Errorf("frames %q", got)
	}
	if !observes(tr, "sn:1", 1)() {
		t.Error("not observed")
	}
}

func TestUpdateMayBringALifetimeABindingAndObjects(t *testing.T) {
	tr := serveLwM2M(t, Config{}, &gatetest.Inbox{})
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1&lt=3600&b=U", c.has("/3342/0", "closed"), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	c.update("lt=60&b=UQ", "", codes.Changed)
	if r, _ := tr.Registration("sn:1"); !r.Queue || r.Expires.Sub(r.Heard) != time.Minute+lifetimeGrace {
		t.Errorf("%+v", r)
	}
	c.update("", c.has("/3342/0", "closed", "/3342/1", "closed"), codes.Changed)
	gatetest.Eventually(t, "the other observation", observes(tr, "sn:1", 2))
	if r, _ := tr.Registration("sn:1"); !r.Queue || len(c.heard()) != 2 {
		t.Errorf("%+v, asked %q", r, c.heard())
	}
	c.update("lt=x", "", codes.BadRequest)
	c.update("", "3342/2", codes.BadRequest)
}

func TestObservationThatADeviceEndsIsAskedForAgain(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{}, &in)
	c := newClient(t)
	c.connect(tr.Addr("udp"))
	c.register("ep=sn:1", c.has("/3342/0", "closed"), codes.Created)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	first := c.token("/3342/0")
	m := c.conn.AcquireMessage(within(t))
	defer c.conn.ReleaseMessage(m)
	m.SetType(message.Confirmable)
	m.SetMessageID(c.conn.GetMessageID())
	m.SetCode(codes.Content)
	m.SetToken(first)
	m.SetBody(strings.NewReader("last"))
	if err := c.conn.WriteMessage(m); err != nil {
		t.Fatal(err)
	}
	c.wait(2)
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	if slices.Equal(c.token("/3342/0"), first) || len(tr.lwm2m.byToken) != 1 {
		t.Errorf("token %x again, %d in all", first, len(tr.lwm2m.byToken))
	}
	gatetest.Eventually(t, "values", func() bool { return len(said(&in)) == 3 })
	if got := said(&in); got[1] != "/up/sn:1?path=%2F3342%2F0 last" {
		t.Errorf("frames %q", got)
	}
}
