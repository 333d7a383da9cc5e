package mqtt

import (
	"strings"
	"testing"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func TestHealthOfABrokerThatGoesAndComesBack(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	tr, _ := start(t, Config{Name: "city", URL: m.url()}, &in)
	connected(t, tr)
	publish(t, m.publisher(t), topic, 1, false, "a")
	acked(t, tr, 1)
	up := tr.Links()[0]
	if up.Name != "mqtt.city" || up.Kind != grid.BrokerLink || !up.Up || up.Problem != "" || up.Frames != 1 || up.PerMinute == 0 || up.LastFrame.IsZero() || !strings.Contains(m.url(), up.Address) || !strings.HasPrefix(up.Detail, "5 topics") {
		t.Errorf("connected: %+v", up)
	}
	m.kill()
	gatetest.Eventually(t, "the loss to be seen", func() bool { return !tr.Links()[0].Up })
	gatetest.Eventually(t, "the reason", func() bool { return strings.Contains(tr.Links()[0].LastError, "refused") })
	down := tr.Links()[0]
	if !down.Since.After(up.Since) || !strings.HasPrefix(down.Problem, "not connected since ") || down.LastErrorAt.IsZero() || down.Frames != 1 {
		t.Errorf("not connected: %+v", down)
	}
	m.start(t)
	connected(t, tr)
	if back := tr.Links()[0]; !back.Up || !strings.Contains(back.Problem, "came back without our session") || !back.Since.After(down.Since) || back.LastError == "" {
		t.Errorf("connected again: %+v", back)
	}
}
