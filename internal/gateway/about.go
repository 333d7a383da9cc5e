package gateway

import (
	"context"
	"fmt"

	"gridgate/internal/state"
)

// About is what a configuration makes of a gateway: for whoever is asked for help.
type About struct {
	Schema   Schema            `json:"schema"`
	Paths    map[string]string `json:"paths"`
	Features []string          `json:"features"` // what is switched on
	Profiles int               `json:"profiles"`
}

// Schema is the version of the data: what this gridgate makes, and what lies in the folder.
type Schema struct {
	Makes   int64  `json:"makes"`
	Has     int64  `json:"has,omitempty"`     // 0: nothing is there yet
	Pending int    `json:"pending,omitempty"` // steps that the folder has not had
	Fault   string `json:"fault,omitempty"`   // why it cannot be used
}

// About reads no secret and changes nothing.
func (c *Config) About(ctx context.Context) About {
	a := About{
		Schema: Schema{Makes: state.LatestVersion()},
		Paths: map[string]string{
			"data": c.DataDir, "state": c.StatePath(), "journal": c.JournalDir(), "evidence": c.EvidenceDir(),
			"token": c.TokenPath(), "device_keys": c.KeyFilePath(),
		},
		Features: c.features(),
	}
	has, err := state.SchemaOf(ctx, c.StatePath())
	if err != nil {
		a.Schema.Fault = err.Error()
	}
	a.Schema.Has, a.Schema.Pending = has.Have, has.Pending
	if set, err := c.profiles(); err == nil {
		a.Profiles = len(set.List())
	}
	return a
}

// features names what is switched on, in the words of the configuration.
func (c *Config) features() []string {
	out := []string{}
	add := func(on bool, format string, args ...any) {
		if on {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(c.HTTP.Listen != "", "http %s", c.HTTP.Listen)
	add(c.Broker.Enabled && c.Broker.Listen != "", "broker %s", c.Broker.Listen)
	add(c.Broker.Enabled && c.Broker.ListenTLS != "", "broker tls %s", c.Broker.ListenTLS)
	add(len(c.MQTT) > 0, "mqtt brokers: %d", len(c.MQTT))
	add(len(c.Serial) > 0, "serial lines: %d", len(c.Serial))
	add(c.CoAP.Listen != "", "coap %s", c.CoAP.Listen)
	add(c.CoAP.TCP != "", "coap tcp %s", c.CoAP.TCP)
	add(c.CoAP.DTLS.Listen != "", "coaps %s", c.CoAP.DTLS.Listen)
	add(c.CoAP.LwM2M, "lwm2m")
	switch {
	case c.Influx.URL != "" && c.Influx.Org != "":
		add(true, "influxdb 2.x")
	case c.Influx.URL != "":
		add(true, "influxdb 1.8")
	case c.Influx.Managed:
		add(true, "influxdb managed")
	}
	add(c.Dispatch.Mail.Server != "", "mail")
	add(len(c.Dispatch.Connectors) > 0, "connector folders: %d", len(c.Dispatch.Connectors))
	add(c.Simulation.Allowed, "simulation")
	return out
}
