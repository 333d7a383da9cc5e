package gateway

import (
	"context"
	"fmt"
	"os"

	"gridgate/internal/cert"
	"gridgate/internal/influx"
	"gridgate/internal/mqtt"
)

// config is the connection to a broker, with its password.
func (m *MQTTConfig) config() (mqtt.Config, error) {
	c := mqtt.Config{
		Name: m.Name, URL: m.URL, ClientID: m.ClientID, Username: m.Username, Topics: withTopics(m.Topics, m.Envelopes), TLS: m.TLS, SkipQueueCheck: m.SkipQueueCheck,
	}
	if m.PasswordFile != "" {
		password, err := os.ReadFile(m.PasswordFile)
		if err != nil {
			return c, fmt.Errorf("mqtt %s: password_file: %w", m.Name, err)
		}
		c.Password = string(trimmed(password))
	}
	return c, nil
}

// checkBrokers asks the brokers elsewhere what they can do for us. Those of a gateway that runs
// are not measured, nor is its client id tried.
func (c *Config) checkBrokers(ctx context.Context, f *findings, running bool) {
	for i := range c.MQTT {
		part := "mqtt." + c.MQTT[i].Name
		broker, err := c.MQTT[i].config()
		if err != nil {
			f.wrong(part, "mend the entry, or let the gateway's user read the file", "%v", err)
			continue
		}
		for _, said := range mqtt.Inspect(ctx, broker, !running) {
			*f = append(*f, Finding{Part: part, Wrong: said.Wrong, What: said.What, Fix: said.Fix})
		}
	}
}

// InspectInflux looks at the InfluxDB of influx.url and writes nothing to it; there is nothing
// to look at where none is named. One that the gateway runs itself is its own affair.
func (c *Config) InspectInflux(ctx context.Context) (i influx.Inspection, there bool, err error) {
	if c.Influx.URL == "" {
		return i, false, nil
	}
	cfg := influx.Config{URL: c.Influx.URL, Org: c.Influx.Org, Bucket: c.Influx.Bucket}
	if c.Influx.TokenFile != "" {
		token, err := os.ReadFile(c.Influx.TokenFile)
		if err != nil {
			return i, true, fmt.Errorf("influx.token_file: %w", err)
		}
		cfg.Token = string(trimmed(token))
	}
	if cfg.TLS, err = cert.Trusting(c.Influx.CA); err != nil {
		return i, true, fmt.Errorf("influx.ca: %w", err)
	}
	client, err := influx.NewClient(cfg)
	if err != nil {
		return i, true, err
	}
	defer client.Close()
	return client.Inspect(ctx), true, nil
}
