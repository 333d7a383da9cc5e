package gateway

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/grid"
)

// wire is a transport as the health view sees it.
type wire interface {
	grid.Transport
	Links() []grid.LinkHealth
	Peers(link string) []grid.LinkHealth
}

func (g *Gateway) wires() []wire {
	var out []wire
	if g.broker != nil {
		out = append(out, g.broker)
	}
	for _, t := range g.mqtt {
		out = append(out, t)
	}
	for _, t := range g.serial {
		out = append(out, t)
	}
	if g.coap != nil {
		out = append(out, g.coap)
	}
	return out
}

// links is the health view of all transports.
func (g *Gateway) links() []grid.LinkHealth {
	var out []grid.LinkHealth
	for _, w := range g.wires() {
		out = append(out, w.Links()...)
	}
	return out
}

// peers is who is behind a link.
func (g *Gateway) peers(link string) ([]grid.LinkHealth, error) {
	for _, w := range g.wires() {
		for _, l := range w.Links() {
			if l.Name == link {
				return w.Peers(link), nil
			}
		}
	}
	return nil, grid.Errorf(grid.NotFound, "transport %s: not found: want one of the list of transports", link)
}

// paths is the links as the engine knows them, by name: silence behind one that is down is
// nobody's fault. One of several listeners is up while all of them are.
func paths(links []grid.LinkHealth) map[string]grid.LinkHealth {
	out := make(map[string]grid.LinkHealth)
	for _, l := range links {
		other, several := out[l.Path()]
		if !several || other.Up && !l.Up || other.Up == l.Up && l.Since.After(other.Since) {
			out[l.Path()] = l
		}
	}
	return out
}

// linkProblems says what is wrong with each link.
func (g *Gateway) linkProblems(parts map[string]error) {
	for _, l := range g.links() {
		parts[l.Name] = nil
		if l.Problem != "" {
			parts[l.Name] = errors.New(l.Problem)
		}
	}
}

func (g *Gateway) linkMetrics(send sender) {
	count, gauge := prometheus.CounterValue, prometheus.GaugeValue
	for _, l := range g.links() {
		send(gauge, "link_up", "1 while connected to the broker, the port is open, or it listens.", flag(l.Up), "link", l.Name, "kind", string(l.Kind))
		send(gauge, "link_since_seconds", "Up, or not, since then, Unix time.", float64(l.Since.UnixMilli())/1e3, "link", l.Name)
		send(gauge, "link_problem", "1 while /readyz names it.", flag(l.Problem != ""), "link", l.Name)
		send(count, "link_received_frames_total", "Frames that came.", float64(l.Frames), "link", l.Name)
		send(gauge, "link_frames_per_minute", "Frames of the last minute.", l.PerMinute, "link", l.Name)
		send(gauge, "link_peers", "Clients, slaves, transmitters and other peers that are known.", float64(l.Peers), "link", l.Name)
		send(gauge, "link_peers_up", "Those of them that are up.", float64(l.PeersUp), "link", l.Name)
		if !l.LastFrame.IsZero() {
			send(gauge, "link_last_frame_seconds", "When the last frame came, Unix time.", float64(l.LastFrame.UnixMilli())/1e3, "link", l.Name)
		}
		if !l.LastErrorAt.IsZero() {
			send(gauge, "link_last_error_seconds", "When the last error was, Unix time.", float64(l.LastErrorAt.UnixMilli())/1e3, "link", l.Name)
		}
	}
}
