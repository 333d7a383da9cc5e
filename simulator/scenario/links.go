package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/fault"
)

// links is what can be broken between the programs of a run. What a scenario does not break
// has nothing in its way.
type links struct {
	of       map[string]fault.Link  // mqtt, coap, coaps, gbt26875, broker, influx, answers, unit:<id>
	influx   *fault.HTTP            // before InfluxDB
	units    map[string]*fault.HTTP // before each unit's system
	messages *fault.Messages        // what devices say over MQTT
	lines    *fault.Lines           // serial lines
}

func newMessages(to simulator.Sink, seed uint64) *fault.Messages { return fault.NewMessages(to, seed) }

// breaks reports whether the timeline has a fault whose name begins so.
func (s *Scenario) breaks(prefix string) bool {
	return slices.ContainsFunc(s.Timeline, func(t Step) bool { return t.Fault != nil && strings.HasPrefix(t.Fault.Name, prefix) })
}

// linkNames are the links that a city of ours may have; "units" stands for all of unit:<id>.
var linkNames = [...]string{"mqtt", "coap", "coaps", "gbt26875", "broker", "influx", "answers", "units"}

// datagrams are those of UDP.
func datagrams(name string) bool { return name == "coap" || name == "coaps" }

// tcp puts a link before an address.
func (l *links) tcp(name, to string, seed uint64) (addr string, err error) {
	link, err := fault.OpenTCP(to, seed)
	if err != nil {
		return "", err
	}
	l.of[name] = link
	return link.Addr(), nil
}

// beforeDevices puts links between the city and the gateway.
func (r *run) beforeDevices() error {
	if r.own != nil {
		maps.Copy(r.links.of, r.own.links.of)
		r.links.influx, r.links.lines = r.own.links.influx, r.own.links.lines
	}
	if !r.s.breaks("link.") {
		return nil
	}
	broker, err := url.Parse(r.o.Broker.URL)
	if err != nil {
		return err
	}
	if broker.Scheme == "mqtt" || broker.Scheme == "tcp" { // a certificate would not be that of a link
		host := broker.Host
		if broker.Port() == "" {
			host = net.JoinHostPort(broker.Hostname(), "1883")
		}
		if _, err := r.links.tcp("mqtt", host, r.o.Seed); err != nil {
			return err
		}
	}
	if r.own == nil {
		return nil
	}
	speaks := map[string]bool{}
	for w := range r.city.Links(r.own.ends, 1, simulator.Told{}) {
		speaks[string(w)] = true
	}
	if speaks["gbt26875"] {
		if _, err := r.links.tcp("gbt26875", r.own.ends.GBT26875, r.o.Seed); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"coap": r.own.ends.CoAP, "coaps": r.own.ends.CoAPS} {
		if !speaks[name] && !(name == "coap" && speaks["lwm2m"]) {
			continue
		}
		if r.links.of[name], err = fault.OpenUDP(to, r.o.Seed); err != nil {
			return err
		}
	}
	return nil
}

// beforeUnits puts what can be broken before each unit's system, and gives the units as the
// gateway is to know them.
func (r *run) beforeUnits() ([]grid.Unit, error) {
	all := r.units.Registry()
	for i := range all {
		u := &all[i]
		at, err := url.Parse(u.URL)
		if err != nil || at.Host == "" {
			continue // it has no system: an inbox
		}
		if r.s.breaks("unit.") {
			h, err := fault.OpenHTTP("http://" + at.Host)
			if err != nil {
				return nil, err
			}
			r.links.units[u.ID], at.Host = h, h.Addr()
		}
		if r.s.breaks("link.") {
			if at.Host, err = r.links.tcp("unit:"+u.ID, at.Host, r.o.Seed); err != nil {
				return nil, err
			}
		}
		u.URL = at.String()
	}
	return all, nil
}

// answersTo is where units answer.
func (r *run) answersTo() (string, error) {
	if !r.s.breaks("link.") {
		return r.api.url, nil
	}
	at, err := url.Parse(r.api.url)
	if err != nil || at.Scheme != "http" || at.Port() == "" {
		return r.api.url, err
	}
	addr, err := r.links.tcp("answers", at.Host, r.o.Seed)
	return "http://" + addr, err
}

// beforeGateway puts what can be broken between the gateway and its broker and InfluxDB.
func (w *own) beforeGateway(s *Scenario, seed uint64) (broker, influx string, err error) {
	broker, influx = w.addrs["broker"], w.addrs["influx"]
	if w.influx != nil && slices.ContainsFunc(influxAnswers, s.breaks) {
		if w.links.influx, err = fault.OpenHTTP("http://" + influx); err != nil {
			return "", "", err
		}
		influx = w.links.influx.Addr()
	}
	if !s.breaks("link.") {
		return broker, influx, nil
	}
	if w.influx != nil {
		if influx, err = w.links.tcp("influx", influx, seed); err != nil {
			return "", "", err
		}
	}
	if w.mosquitto != nil {
		broker, err = w.links.tcp("broker", broker, seed)
	}
	return broker, influx, err
}

// mend makes the wires whole, so that what is under way arrives before the verdict. A server
// that was to be broken to the end is.
func (l *links) mend() {
	for _, link := range l.of {
		link.Change(func(c *fault.Conditions) { *c = fault.Conditions{} })
	}
	if l.messages != nil {
		l.messages.Change(func(c *fault.Conditions) { *c = fault.Conditions{} })
	}
}

func (l *links) servers() []*fault.HTTP {
	out := slices.Collect(maps.Values(l.units))
	if l.influx != nil {
		out = append(out, l.influx)
	}
	return out
}

func (l *links) close() {
	for _, link := range l.of {
		link.Close()
	}
	for _, h := range l.servers() {
		h.Close()
	}
	if l.lines != nil {
		l.lines.Close() // what is left of them stands in our folder
	}
}

// pick finds links by their names; none named: all, or all of datagrams.
func (l *links) pick(names Names, udp bool) (map[string]fault.Link, error) {
	out := map[string]fault.Link{}
	if len(l.of) == 0 {
		return nil, fmt.Errorf("no link is ours: %w", ErrNotPlayed)
	}
	for name, link := range l.of {
		kind, _, _ := strings.Cut(name, ":")
		wanted := slices.Contains(names, name) || kind == "unit" && slices.Contains(names, "units")
		if (wanted || len(names) == 0) && (datagrams(name) || !udp) {
			out[name] = link
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("link %s is not there: %w", cmp.Or(strings.Join(names, ", "), "of datagrams"), ErrNotPlayed)
	}
	return out, nil
}

// openDisk gives the gateway's data a small disk of its own, if the scenario fills it and
// this machine permits it.
func (w *own) openDisk(s *Scenario) error {
	if !s.breaks("disk.") {
		return nil
	}
	disk, err := fault.OpenDisk(w.dir+"/data", diskSize)
	if grid.CodeOf(err) == grid.Forbidden {
		return nil // disk.full is told as not played
	}
	w.disk = disk
	return err
}

// diskSize is room for a gateway, its reserve and a day.
const diskSize = 128 << 20

// openNetwork gives the broker a network of its own, if the scenario parts it and this
// machine permits it.
func (w *own) openNetwork(ctx context.Context, s *Scenario) error {
	if !s.breaks("net.") || s.Gateway.Broker != "mosquitto" {
		return nil
	}
	network, err := fault.OpenNetwork(ctx)
	if grid.CodeOf(err) == grid.Forbidden {
		return nil
	}
	if err != nil {
		return err
	}
	w.network = network
	_, port, err := net.SplitHostPort(w.addrs["broker"])
	w.addrs["broker"] = net.JoinHostPort(network.Far(), port)
	return err
}

// closePlaces takes disk and network away.
func (w *own) closePlaces() error {
	var err error
	if w.disk != nil {
		err = w.disk.Close()
	}
	if w.network != nil {
		err = errors.Join(err, w.network.Close())
	}
	return err
}
