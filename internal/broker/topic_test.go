package broker

import "testing"

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"gridgate/up/#", "gridgate/up/sn:1", true},
		{"gridgate/up/#", "gridgate/up/sn:1/85", true},
		{"gridgate/up/#", "gridgate/up", true},
		{"gridgate/up/#", "gridgate/uptime/x", false},
		{"gridgate/up/#", "gridgate", false},
		{"zigbee2mqtt/+", "zigbee2mqtt/door", true},
		{"zigbee2mqtt/+", "zigbee2mqtt/door/set", false},
		{"zigbee2mqtt/+", "zigbee2mqtt", false},
		{"zigbee2mqtt/+", "zigbee2mqtt/", true},
		{"application/+/device/+/event/+", "application/1/device/24e1/event/up", true},
		{"application/+/device/+/event/+", "application/1/device/24e1/command/down", false},
		{"#", "a/b", true},
		{"+", "a", true},
		{"a", "a/b", false},
		{"a/b", "a", false},
		// filters under filters
		{"gridgate/down/#", "gridgate/down/+", true},
		{"gridgate/down/#", "gridgate/#", false},
		{"gridgate/down/#", "#", false},
		{"gridgate/down/#", "+/down/x", false},
		{"+/+", "+/#", false},
		{"a/+", "a/+", true},
	} {
		if got := matches(c.filter, c.topic); got != c.want {
			t.Errorf("matches(%q, %q) is %v", c.filter, c.topic, got)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"gridgate/up/#", "#", true},
		{"gridgate/up/#", "gridgate/+/x", true},
		{"gridgate/up/#", "gridgate/up", true},
		{"gridgate/up/#", "gridgate/down/#", false},
		{"zigbee2mqtt/+", "zigbee2mqtt/+/availability", false},
		{"zigbee2mqtt/+", "zigbee2mqtt", false},
		{"zigbee2mqtt/+", "+/+", true},
	} {
		if overlap(c.a, c.b) != c.want || overlap(c.b, c.a) != c.want {
			t.Errorf("overlap(%q, %q) is not %v", c.a, c.b, c.want)
		}
	}
}
