package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/coap"
	"gridgate/internal/downlink"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/serial"
)

// ordersOnAPort is how many orders wait at one serial port at a time: it carries them one
// after the other, and each must have its turn within the deadline of a try.
const ordersOnAPort = 8

// makeOutbox makes the sender of downlinks over every transport that can carry one.
func (g *Gateway) makeOutbox() {
	c := downlink.Config{Fixed: make(map[grid.Identity]string), Seed: uint64(time.Now().UnixNano()), Clock: g.clock}
	for _, w := range g.wires() {
		links := w.Links()
		if len(links) == 0 {
			continue // it listens nowhere
		}
		out := downlink.Wire{Path: links[0].Path(), Kinds: carries(w)}
		out.Downlinker, _ = w.(grid.Downlinker)
		if links[0].Kind == grid.PortLink {
			out.AtOnce = ordersOnAPort
		}
		c.Wires = append(c.Wires, out)
		if line, is := w.(*serial.Transport); is {
			for _, id := range line.Slaves() { // the configuration says where they are
				c.Fixed[id] = out.Path
			}
		}
		if links[0].Kind == grid.EmbeddedLink { // it knows who is connected, heard or not
			c.Unheard = append(c.Unheard, out.Path)
		}
	}
	g.outbox = downlink.New(c, g.store.OpenDownlinks, g.journal, steps{g.engine}, g.log)
}

// carries is the kinds of orders that a transport can carry.
func carries(w wire) []string {
	switch t := w.(type) {
	case *coap.Transport:
		if _, on := t.LwM2M(); on {
			return []string{"payload", "lwm2m"}
		}
	case *serial.Transport:
		return t.Orders()
	}
	return []string{"payload"}
}

// steps brings the outcome of attempts to the engine.
type steps struct{ engine *engine.Engine }

func (s steps) DownlinkResult(ctx context.Context, id string, step downlink.Step) (grid.Downlink, error) {
	return s.engine.DownlinkResult(ctx, id, engine.DownlinkStep(step))
}

// outboxProblem says what keeps downlinks from being sent.
func (g *Gateway) outboxProblem(parts map[string]error) {
	parts["downlinks"] = nil
	if problem := g.outbox.Stats().Problem; problem != "" {
		parts["downlinks"] = errors.New(problem)
	}
}

func (g *Gateway) downlinkMetrics(send sender) {
	count, gauge := prometheus.CounterValue, prometheus.GaugeValue
	s := g.outbox.Stats()
	send(gauge, "downlinks_queued", "Downlinks that are to be sent, those under way too.", float64(s.Queued))
	send(gauge, "downlinks_trying", "Downlinks that a wire has in hand at this moment.", float64(s.Trying))
	send(count, "downlinks_tries_total", "Attempts since start.", float64(s.Tries))
	send(count, "downlinks_sent_total", "Downlinks that a wire took.", float64(s.Sent))
	send(count, "downlinks_acknowledged_total", "Downlinks that the device has acknowledged.", float64(s.Acknowledged))
	send(count, "downlinks_failed_total", "Downlinks that have failed: refused, expired, taken back.", float64(s.Failed))
	send(gauge, "downlinks_problem", "1 while outcomes cannot be recorded; /readyz names it.", flag(s.Problem != ""))
}
