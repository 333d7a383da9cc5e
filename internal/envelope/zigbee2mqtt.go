package envelope

import (
	"fmt"
	"strings"

	"gridgate/internal/grid"
)

// zigbee2MQTTTopic begins zigbee2mqtt/<name>; a name may have slashes in it.
const zigbee2MQTTTopic = "zigbee2mqtt/"

const availability = "/availability"

func identifyZigbee2MQTT(topic string) (grid.Identity, string) {
	name := strings.TrimPrefix(topic, zigbee2MQTTTopic)
	if name == "bridge" || strings.HasPrefix(name, "bridge/") {
		return "", fmt.Sprintf("topic %q is of the bridge, not of a device", truncate(topic))
	}
	for _, suffix := range []string{"/set", "/get"} {
		if strings.HasSuffix(name, suffix) || strings.Contains(name, suffix+"/") {
			return "", fmt.Sprintf("topic %q is a command to a device", truncate(topic))
		}
	}
	return makeIdentity("z2m", strings.TrimSuffix(name, availability))
}

// openZigbee2MQTT: the payload is the message itself; its profile reads it as JSON.
func openZigbee2MQTT(f *grid.Frame) error {
	name := strings.TrimPrefix(f.Address, zigbee2MQTTTopic)
	switch {
	case strings.HasPrefix(name, "bridge/"), strings.HasSuffix(name, availability), len(f.Raw) == 0:
		f.Kind = grid.Status
	default:
		f.Payload = f.Raw
	}
	return nil
}
