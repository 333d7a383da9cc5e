package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gateway"
)

// checkOpenFiles compares how many files the running gateway may open with what its
// configuration lets in. It is a warning: all is well until so many come.
func (r *report) checkOpenFiles(ctx context.Context, c *api.Client, cfg *gateway.Config) {
	most, err := openFiles(ctx, c)
	if need := cfg.FilesNeeded(); err == nil && most > 0 && most < need {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the gateway may open %d files and its listeners let in peers for %d: raise the limit (LimitNOFILE, ulimit -Hn), or lower max_clients and max_peers", most, need))
	}
}

// openFiles reads from the gateway's metrics how many files it may open; 0 is not said.
func openFiles(ctx context.Context, c *api.Client) (most int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "process_max_fds "); ok {
			var n float64
			if _, err := fmt.Sscan(value, &n); err != nil {
				return 0, err
			}
			return int(min(n, 1<<30)), nil
		}
	}
	return 0, lines.Err()
}
