package main

import (
	"context"
	"fmt"
	"time"

	"gridgate/internal/gateway"
)

// shortRetention is what is worth a word: figures of a season look back further.
const shortRetention = 30 * 24 * time.Hour

// checkInflux looks at the InfluxDB itself: its version, what the token may, how long it
// keeps points. The gateway works without it, so that nothing here stops a start.
func (r *report) checkInflux(ctx context.Context, cfg *gateway.Config) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	i, there, err := cfg.InspectInflux(ctx)
	if err != nil {
		r.wrong("influxdb: %v", err)
	}
	if !there || err != nil {
		return
	}
	for _, p := range i.Problems {
		r.wrong("%s", p)
	}
	r.Warnings = append(r.Warnings, i.Warnings...)
	if i.Retention > 0 && i.Retention < shortRetention {
		r.Warnings = append(r.Warnings, fmt.Sprintf("influxdb keeps points for %d days only", int(i.Retention.Hours()/24)))
	}
}
