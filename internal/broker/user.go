package broker

import (
	"slices"
	"strings"

	"gridgate/internal/grid"
)

// User is one account: of one device, of a bridge or network server that speaks for many,
// or of all devices that share it.
type User struct {
	Name     string `yaml:"name"`
	Password string `yaml:"password"` // "": by a client certificate alone

	// Identities, when set, are the devices that this account is for: it publishes under
	// them and no other, and hears what is for them. Publish and Subscribe then add to that.
	Identities []grid.Identity `yaml:"identities"`

	// Topic filters; without identities both default to a device's rights, DevicePublish with
	// the uplinks, and DeviceSubscribe.
	Publish   []string `yaml:"publish"`
	Subscribe []string `yaml:"subscribe"`
}

func (c *Config) withRights(u User) User {
	if len(u.Identities) > 0 {
		u.Subscribe = slices.Clone(u.Subscribe)
		for _, id := range u.Identities {
			u.Subscribe = append(u.Subscribe, nativeDown+strings.ReplaceAll(string(id), "/", "%2F")+"/#")
		}
		return u
	}
	if u.Publish == nil {
		u.Publish = append(DevicePublish(), c.Uplinks...)
	}
	if u.Subscribe == nil {
		u.Subscribe = DeviceSubscribe()
	}
	return u
}

// mayPublish asks the account's filters, and then who a native topic names: the identity is
// read as it will be read for the frame, so that no way of writing it gets past.
func (b *Broker) mayPublish(u *User, topic string) bool {
	if anyMatches(u.Publish, topic) {
		return true
	}
	if len(u.Identities) == 0 || !strings.HasPrefix(topic, "gridgate/up/") && !strings.HasPrefix(topic, "gridgate/status/") {
		return false
	}
	id, _, note := b.cfg.Identify(topic, nil)
	return note == "" && slices.Contains(u.Identities, id)
}
