package broker

import (
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// Config of the embedded broker. Zero fields take the default.
type Config struct {
	Name   string `yaml:"name"`   // grid.Frame.Source; default "broker"
	Listen string `yaml:"listen"` // default 127.0.0.1:1883, none where ListenTLS is set; port 0 takes a free one

	ListenTLS string `yaml:"listen_tls"` // "": no TLS
	TLS       TLS    `yaml:"tls"`

	// Users may connect. Without users and without Anonymous one user "gridgate" is made
	// with a random password: see Broker.Token.
	Users     []User `yaml:"users"`
	Anonymous bool   `yaml:"anonymous"` // anyone may connect, with a device's rights

	Uplinks    []string `yaml:"uplinks"`     // topic filters of what is journalled; default DefaultUplinks
	MaxClients int      `yaml:"max_clients"` // connections; default 10,000
	MaxPayload int      `yaml:"max_payload"` // bytes; larger ones end in quarantine; default 256 KiB
	MaxPacket  int      `yaml:"max_packet"`  // bytes; a larger packet breaks the connection; default 4 MiB

	Window      int           `yaml:"window"`       // unacknowledged frames of one connection; default 1024
	WindowBytes int           `yaml:"window_bytes"` // their payload; default 1 MiB
	Unacked     int           `yaml:"unacked"`      // QoS 0 frames of all connections that wait; default 8192
	Flapping    int           `yaml:"flapping"`     // logins of one account and client id within a minute, past which each waits; default 10
	GiveUp      time.Duration `yaml:"give_up"`      // after this long without a durable journal a connection is closed; default 30s

	FlapWait time.Duration `yaml:"-"` // how long one waits; default 2 s

	Credentials Credentials `yaml:"-"` // of the registry; nil: users alone

	Identify intake.Identify `yaml:"-"` // must be set
	Remember intake.Remember `yaml:"-"` // may be nil
	Downlink intake.Downlink `yaml:"-"` // nil: takes no downlinks
	// Listens is told who listens for its downlinks from now on; it must not wait. May be nil.
	Listens func(grid.Identity) `yaml:"-"`
	Now     func() time.Time    `yaml:"-"` // default time.Now
}

// DefaultUplinks are the topics of frames. All other topics are ordinary MQTT between the
// clients of this broker.
func DefaultUplinks() []string {
	return []string{"gridgate/up/#", "gridgate/status/+", "application/+/device/+/event/+", "zigbee2mqtt/+", "zigbee2mqtt/+/availability"}
}

// DevicePublish is what a device may publish: frames, and what network servers say beside them.
func DevicePublish() []string {
	return []string{"gridgate/up/#", "gridgate/status/+", "application/#", "zigbee2mqtt/#", "v3/#", "tele/#", "stat/#", "tasmota/#", "spBv1.0/#", "tylink/#"}
}

// DeviceSubscribe is what a device may subscribe to.
func DeviceSubscribe() []string {
	return []string{"gridgate/down/#", "application/#", "zigbee2mqtt/#", "v3/#", "cmnd/#", "spBv1.0/#"}
}

func (c Config) withDefaults() Config {
	text := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	number := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	text(&c.Name, "broker")
	if c.ListenTLS == "" {
		text(&c.Listen, "127.0.0.1:1883")
	}
	number(&c.MaxClients, 10_000)
	number(&c.MaxPayload, 256<<10)
	number(&c.MaxPacket, 4<<20)
	number(&c.Window, 1024)
	number(&c.WindowBytes, 1<<20)
	number(&c.Unacked, 8192)
	number(&c.Flapping, 10)
	if c.FlapWait == 0 {
		c.FlapWait = 2 * time.Second
	}
	if c.GiveUp == 0 {
		c.GiveUp = 30 * time.Second
	}
	if c.Uplinks == nil {
		c.Uplinks = DefaultUplinks()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
