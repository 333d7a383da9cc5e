package mqtt

import (
	"fmt"
	"sync/atomic"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

func TestWhatRememberAsksIsPublishedAndTheFrameIsKeptAsItLeftIt(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	n := 0 // frames are shown to Remember one after another
	remember := func(f *grid.Frame, ask intake.Ask) {
		if n++; n%100 == 1 {
			ask("spBv1.0/g/NCMD/n", []byte(fmt.Sprint(n)))
		}
		f.Address += "?known"
	}
	tr, _ := start(t, Config{URL: m.url(), Remember: remember}, &in)
	connected(t, tr)
	p := m.publisher(t)
	var heard atomic.Int64
	if tok := p.Subscribe("spBv1.0/+/NCMD/+", 0, func(paho.Client, paho.Message) { heard.Add(1) }); tok.Wait() && tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	for i := range 300 {
		publish(t, p, topic, 1, false, fmt.Sprint(i))
	}
	for _, f := range in.Wait(t, 300) {
		if f.Address != topic+"?known" || f.Identity != "sn:1" {
			t.Fatalf("frame is %+v", f)
		}
	}
	gatetest.Eventually(t, "three questions", func() bool { return heard.Load() == 3 })
}
