package gateway

import (
	"context"
	"fmt"
	"os"

	"gridgate/internal/cert"
	"gridgate/internal/influx"
)

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
