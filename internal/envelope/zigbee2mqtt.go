package envelope

import (
	"fmt"
	"net/url"
	"strings"

	"gridgate/internal/grid"
)

// zigbee2MQTTTopic begins zigbee2mqtt/<name>; a name may have slashes in it. Another base
// topic can be configured: then it is part of the identity, since two bridges may each
// have a "kitchen".
const zigbee2MQTTTopic = "zigbee2mqtt/"

const (
	availability  = "/availability"
	bridgeDevices = "bridge/devices"

	ofBridge = "is of the bridge, not of a device"
)

func identifyZigbee2MQTT(base, topic string) (grid.Identity, string) {
	name := strings.TrimPrefix(topic, base)
	if isBridge(name) {
		return "", fmt.Sprintf("topic %q %s", truncate(topic), ofBridge)
	}
	name = strings.TrimSuffix(name, availability)
	if base != zigbee2MQTTTopic && name != "" {
		name = base + name
	}
	return makeIdentity("z2m", name)
}

func isBridge(name string) bool { return name == "bridge" || strings.HasPrefix(name, "bridge/") }

// openZigbee2MQTT: the payload is the message itself; its profile reads it as JSON. What
// the bridge says of the model stands in the address (see Memory).
func openZigbee2MQTT(f *grid.Frame) error {
	topic, query, _ := strings.Cut(f.Address, "?")
	switch {
	case strings.HasSuffix(topic, availability):
		f.Kind = grid.Status
		f.NotHeard = !strings.Contains(string(f.Raw[:min(len(f.Raw), 64)]), "online")
		f.Gone = f.NotHeard && len(f.Raw) > 0
	case len(f.Raw) == 0:
		f.Kind = grid.Status
	default:
		f.Payload = f.Raw
	}
	if said, err := url.ParseQuery(query); err == nil {
		f.Model = said.Get("model")
	}
	return nil
}
