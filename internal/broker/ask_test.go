package broker

import (
	"bytes"
	"testing"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

func TestWhatRememberAsksReachesTheDevice(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{Anonymous: true, Remember: func(f *grid.Frame, ask intake.Ask) {
		ask("gridgate/down/sn:node", []byte("say it again"))
		f.Address += "?known"
	}}, &in)
	c := dial(t, b, rawConnect{user: "x", pass: "y"})
	c.write(t, subscribePacket("gridgate/down/sn:node", 1))
	gatetest.Eventually(t, "a SUBACK", func() bool { return len(c.got(9)) == 1 })
	c.Send(t, "news")
	if f := in.Wait(t, 1)[0]; f.Address != "gridgate/up/sn:dev?known" {
		t.Errorf("frame is %+v", f)
	}
	gatetest.Eventually(t, "the question", func() bool {
		got := c.got(3)
		return len(got) == 1 && bytes.HasSuffix(got[0].body, []byte("say it again"))
	})
}
