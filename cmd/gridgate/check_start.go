package main

import (
	"context"

	"gridgate/internal/gateway"
)

// preflight looks at what the gateway stands on. Where its data is not on this machine that
// says nothing.
func (r *report) preflight(ctx context.Context, cfg *gateway.Config, running bool) {
	if running && r.Recount == nil { // it is another machine's
		return
	}
	r.Findings = cfg.Preflight(ctx, running)
	for _, f := range r.Findings {
		if f.Wrong {
			r.Problems = append(r.Problems, f.String())
		} else {
			r.Warnings = append(r.Warnings, f.String())
		}
	}
	if !running {
		r.checkInflux(ctx, cfg)
	}
}
