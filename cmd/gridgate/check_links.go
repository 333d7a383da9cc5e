package main

import (
	"context"
	"fmt"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// checkLinks reads the health of each transport. What is wrong with one stands in the
// readiness already; who is behind it is looked at only where the configuration names them:
// other peers come and go as they like, and their devices are supervised.
func (r *report) checkLinks(ctx context.Context, c *api.Client) error {
	links, err := c.Links(ctx)
	if err != nil {
		return err
	}
	r.Transports = links.Items
	for _, l := range links.Items {
		if l.Kind != grid.PortLink || !l.Up || l.PeersUp == l.Peers {
			continue
		}
		down, err := c.Peers(ctx, l.Name, api.Query{State: "down", Limit: 1000})
		if err != nil {
			return err
		}
		for _, p := range down.Items {
			if p.Kind == grid.SlavePeer && !p.Since.IsZero() { // else it has not been asked yet
				r.wrong("%s: %s does not answer since %s: %s", l.Name, p.Name, clock(p.Since), p.LastError)
			}
		}
	}
	return nil
}

func (a *app) printLinks(links []grid.LinkHealth) {
	var rows [][]string
	for _, l := range links {
		state, peers, fault := "up", "-", "-"
		if !l.Up {
			state = "DOWN"
		}
		if l.Peers > 0 {
			peers = fmt.Sprintf("%d/%d", l.PeersUp, l.Peers)
		}
		if l.LastError != "" {
			fault = clock(l.LastErrorAt) + " " + l.LastError
		}
		rows = append(rows, []string{l.Name, state, clock(l.Since), fmt.Sprint(l.Frames), fmt.Sprintf("%.0f", l.PerMinute), clock(l.LastFrame), peers, fault})
	}
	a.table("", []string{"LINK", "STATE", "SINCE", "FRAMES", "A MINUTE", "LAST FRAME", "PEERS UP", "LAST ERROR"}, rows)
}
