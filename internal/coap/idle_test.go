package coap

import (
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/gatetest"
)

// go-coap looks for idle connections by a clock of its own, every second and a half.
func TestSessionThatReportsIsNotIdle(t *testing.T) {
	tr, _ := start(t, Config{DTLS: keyed(t, t.TempDir()), UDP: "127.0.0.1:0"}, &gatetest.Inbox{})
	d, _ := secure(t, tr.Addr("dtls"), withKey("sn:1", pskOne)...)
	plain := dial(t, tr.Addr("udp"))
	for kind, speak := range map[string]func(id int32){
		"dtls": func(id int32) { d.ask(report(id, "x"), codes.Changed) },
		"udp":  func(id int32) { plain.ask(of("up/sn:3", report(id, "x")), codes.Changed) },
	} {
		speak(1)
		conn := tr.on(kind).latest(1)[0].wire.(datagrams).conn
		idle := tr.cfg.Idle
		if kind == "dtls" {
			idle = tr.cfg.DTLS.Idle
		}
		begun := time.Now()
		time.Sleep(50 * time.Millisecond)
		speak(2)
		conn.CheckExpirations(begun.Add(idle + upkeepEvery + 25*time.Millisecond)) // idle since the first, not since the second
		if conn.Context().Err() != nil {
			t.Errorf("%s: closed although it reports", kind)
		}
		conn.CheckExpirations(time.Now().Add(idle + upkeepEvery + time.Second))
		if conn.Context().Err() == nil {
			t.Errorf("%s: open although it is idle", kind)
		}
	}
}
