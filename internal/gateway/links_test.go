package gateway

import (
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestPathOfSeveralListenersIsUpWhileAllOfThemAre(t *testing.T) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	listener := func(name string, up bool, minute int) grid.LinkHealth {
		return grid.LinkHealth{Name: name, Transport: "coap", Source: "coap", Up: up, Since: at.Add(time.Duration(minute) * time.Minute)}
	}
	for name, c := range map[string]struct {
		links []grid.LinkHealth
		up    bool
		since int
	}{
		"both up: since the later":      {[]grid.LinkHealth{listener("udp", true, 5), listener("dtls", true, 1)}, true, 5},
		"the first down":                {[]grid.LinkHealth{listener("udp", false, 2), listener("dtls", true, 3)}, false, 2},
		"the second down":               {[]grid.LinkHealth{listener("udp", true, 3), listener("dtls", false, 2)}, false, 2},
		"alone":                         {[]grid.LinkHealth{listener("udp", false, 7)}, false, 7},
		"others are paths of their own": {[]grid.LinkHealth{listener("udp", true, 1), {Transport: "mqtt", Source: "coap", Since: at}}, true, 1},
	} {
		got := paths(c.links)["coap:coap"]
		if got.Up != c.up || !got.Since.Equal(at.Add(time.Duration(c.since)*time.Minute)) {
			t.Errorf("%s: up %v since %v", name, got.Up, got.Since)
		}
	}
}
