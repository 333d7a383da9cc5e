package gateway

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/grid"
	"gridgate/internal/serial"
)

// SerialConfig is one serial port, serial server, or listener for devices that speak as
// on a serial line.
type SerialConfig struct {
	serial.Config `yaml:",inline"`
	Slaves        []SlaveConfig `yaml:"slaves"` // of modbus-rtu: whom to ask
}

// SlaveConfig is one Modbus unit. What is asked of it stands in its profile.
type SlaveConfig struct {
	Address  int           `yaml:"address"`
	Profile  string        `yaml:"profile"`
	Identity grid.Identity `yaml:"identity"` // default modbus:<name of the line>/<address>
}

func (c *Config) validateSerial(v *problems) {
	seen := map[string]bool{}
	for i, s := range c.Serial {
		at := fmt.Sprintf("serial[%d]", i)
		err := s.Check()
		v.want(err == nil, "%s: %w", at, err)
		v.want(!seen[s.Name], "%s.name is %q again: want each line under its own name", at, s.Name)
		seen[s.Name] = true
		polls := s.Protocol == serial.ModbusRTU
		v.want(polls == (len(s.Slaves) > 0), "%s.slaves: want them for the protocol modbus-rtu, and for no other", at)
		for j, slave := range s.Slaves {
			v.want(slave.Address >= 1 && slave.Address <= 255, "%s.slaves[%d].address is %d: want 1 to 255", at, j, slave.Address)
			v.want(slave.Profile != "", "%s.slaves[%d].profile is empty: want one of the codec modbus", at, j)
		}
	}
}

// makeSerial makes the transports of lines, with the poll plans of their slaves' profiles.
func (g *Gateway) makeSerial() error {
	for _, s := range g.cfg.Serial {
		c := s.Config
		for _, slave := range s.Slaves {
			p, err := g.profiles.Get(slave.Profile)
			if err != nil {
				return fmt.Errorf("serial %s: slave %d: %w", s.Name, slave.Address, err)
			}
			out := serial.Slave{Address: byte(slave.Address), Identity: slave.Identity, Heartbeat: c.Heartbeat}
			if out.Heartbeat == 0 {
				out.Heartbeat = p.Interval
			} else if out.Heartbeat > 2*p.Interval {
				return grid.Errorf(grid.Invalid, "serial %s: heartbeat is %s: want at most %s, or a slave with the profile %s is offline in between", s.Name, c.Heartbeat, 2*p.Interval, p.ID)
			}
			for _, poll := range p.Polls() {
				out.Polls = append(out.Polls, serial.Poll{Function: poll.Function, Start: poll.Start, Count: poll.Count, Every: poll.Every, Address: poll.Address})
			}
			if len(out.Polls) == 0 {
				return grid.Errorf(grid.Invalid, "serial %s: slave %d: profile %s is not of the codec modbus: want one that says what to ask", s.Name, slave.Address, p.ID)
			}
			c.Slaves = append(c.Slaves, out)
		}
		if err := c.Check(); err != nil {
			return grid.Errorf(grid.Invalid, "serial %s: %w", s.Name, err)
		}
		g.serial = append(g.serial, serial.New(c, g.log))
	}
	return nil
}

func (g *Gateway) serialMetrics(send func(kind prometheus.ValueType, name, help string, v float64, labels ...string)) {
	count, gauge := prometheus.CounterValue, prometheus.GaugeValue
	for i, t := range g.serial {
		s, line := t.Status(), g.cfg.Serial[i].Name
		send(count, "serial_received_bytes_total", "Bytes off the line.", float64(s.BytesIn), "line", line)
		send(count, "serial_sent_bytes_total", "Bytes written to the line.", float64(s.BytesOut), "line", line)
		send(count, "serial_acknowledged_frames_total", "Frames durable and confirmed.", float64(s.Acked), "line", line)
		send(count, "serial_damaged_frames_total", "Frames that were noise, half or wrong.", float64(s.Damaged), "line", line)
		for _, slave := range s.Slaves {
			address := fmt.Sprint(slave.Address)
			send(gauge, "serial_slave_up", "1 while the Modbus unit answers.", flag(slave.Up), "line", line, "slave", address)
			send(count, "serial_slave_requests_total", "Requests to the Modbus unit.", float64(slave.Asked), "line", line, "slave", address)
			send(count, "serial_slave_answers_total", "Answers of the Modbus unit, exceptions too.", float64(slave.Answered), "line", line, "slave", address)
			send(count, "serial_slave_exceptions_total", "Exceptions of the Modbus unit.", float64(slave.Exceptions), "line", line, "slave", address)
		}
	}
}
