package simulator

import (
	"fmt"
	"io"
	"path/filepath"
)

// CityLine is a serial line of a city: Modbus slaves, or a panel that prints.
type CityLine struct {
	Name   string
	Wire   Wire
	Slaves []LineSlave
}

// LineSlave is one Modbus slave of a line.
type LineSlave struct {
	Address int
	Profile string
}

// SerialLines lists the lines of the city.
func (c *City) SerialLines() (out []CityLine) {
	for k := range c.parts {
		p := &c.parts[k]
		if p.Wire != Modbus && p.Wire != Lines {
			continue
		}
		for i := p.first; i < p.first+p.Count; i++ {
			if p.member(i) == 0 {
				out = append(out, CityLine{Name: c.lineName(p, i), Wire: p.Wire})
			}
			if last := &out[len(out)-1]; p.Wire == Modbus {
				last.Slaves = append(last.Slaves, LineSlave{p.member(i) + 1, c.version(p, i).model.Profile})
			}
		}
	}
	return out
}

// Ends says where the gateway listens, and where the city's lines are.
type Ends struct {
	CoAP     string // host:port of UDP, for CoAP and LwM2M
	CoAPS    string // host:port of DTLS, for CoAP, and for LwM2M where it is secured
	Keys     string // file of the keys of those that speak CoAPS
	GBT26875 string // host:port of TCP
	Lines    string // folder with a link for each serial line
	// Open opens our end of a line; nil: a pseudo-terminal with its link in Lines.
	Open func(name string) (io.ReadWriteCloser, error)
}

// Line is the path of a line.
func (e Ends) Line(name string) string { return filepath.Join(e.Lines, name) }

// has reports whether some device speaks by a wire.
func (c *City) has(w Wire) bool {
	for k := range c.parts {
		if c.parts[k].Wire == w && c.parts[k].Count > 0 {
			return true
		}
	}
	return false
}

// WriteConfig writes what must stand in the gateway's configuration for the wires of this
// city, MQTT apart.
func (c *City) WriteConfig(w io.Writer, e Ends) error {
	var b []byte
	secure := c.has(CoAPS) || c.cfg.Secured && c.has(LwM2M)
	plain := c.has(CoAP) || !c.cfg.Secured && c.has(LwM2M)
	if plain || secure {
		b = append(b, "coap:\n"...)
		if plain {
			b = fmt.Appendf(b, "  listen: %s\n  open: true\n", e.CoAP)
		}
		if c.has(LwM2M) {
			b = append(b, "  lwm2m: true\n"...)
		}
		if secure {
			b = fmt.Appendf(b, "  dtls: {listen: %s, keys_file: %q}\n", e.CoAPS, e.Keys)
		}
	}
	lines := c.SerialLines()
	if c.has(GBT26875) || len(lines) > 0 {
		b = append(b, "serial:\n"...)
	}
	if c.has(GBT26875) {
		b = fmt.Appendf(b, "  - {name: sim-transmitters, listen: \"tcp://%s\", protocol: gbt26875}\n", e.GBT26875)
	}
	for _, l := range lines {
		if l.Wire == Lines {
			b = fmt.Appendf(b, "  - {name: %s, path: %q, baud: 9600, protocol: lines}\n", l.Name, e.Line(l.Name))
			continue
		}
		b = fmt.Appendf(b, "  - {name: %s, path: %q, baud: 9600, protocol: modbus-rtu, slaves: [", l.Name, e.Line(l.Name))
		for k, s := range l.Slaves {
			if k > 0 {
				b = append(b, ", "...)
			}
			b = fmt.Appendf(b, "{address: %d, profile: %s}", s.Address, s.Profile)
		}
		b = append(b, "]}\n"...)
	}
	_, err := w.Write(b)
	return err
}

// Links makes a link for each wire of the city but MQTT, ready to Run.
func (c *City) Links(e Ends, window int, told Told) map[Wire]Link {
	out := map[Wire]Link{}
	names := map[Wire][]string{}
	for _, l := range c.SerialLines() {
		names[l.Wire] = append(names[l.Wire], l.Name)
	}
	open := e.Open
	if open == nil {
		open = func(name string) (io.ReadWriteCloser, error) { return OpenPTY(e.Line(name)) }
	}
	for _, w := range Wires {
		if !c.has(w) {
			continue
		}
		switch w {
		case CoAP:
			out[w] = NewCoAP(CoAPConfig{Addr: e.CoAP, Window: window, Told: told})
		case CoAPS:
			out[w] = NewCoAPS(CoAPConfig{Addr: e.CoAPS, Window: window, Told: told, Key: c.Key})
		case LwM2M:
			l := LwM2MConfig{Addr: e.CoAP, Window: window, Told: told, Obey: c.Obey}
			if c.cfg.Secured {
				l.Addr, l.Key = e.CoAPS, c.Key
			}
			out[w] = NewLwM2M(l)
		case GBT26875:
			out[w] = NewGBT26875(GBT26875Config{Addr: e.GBT26875, Window: window, Told: told})
		case Modbus:
			out[w] = NewModbus(LinesConfig{Open: open, Names: names[w], Window: window, Told: told, Obey: c.obeySlave})
		case Lines:
			out[w] = NewLines(LinesConfig{Open: open, Names: names[w], Window: window, Told: told})
		}
	}
	return out
}
