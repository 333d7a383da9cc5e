package gateway

import (
	"cmp"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
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
	DTU      string        `yaml:"dtu"`      // the serial server behind which it is, where register is set
	Identity grid.Identity `yaml:"identity"` // default modbus:<name of the line>/<address>, or modbus:<name of the line>/<dtu>/<address>
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
		c.Now = g.clock.Now
		for _, slave := range s.Slaves {
			p, err := g.profiles.Get(slave.Profile)
			if err != nil {
				return fmt.Errorf("serial %s: slave %d: %w", s.Name, slave.Address, err)
			}
			out := serial.Slave{Address: byte(slave.Address), DTU: slave.DTU, Identity: slave.Identity}
			if out.Polls, out.Heartbeat, err = g.pollPlan(p, c.Heartbeat); err != nil {
				return grid.Errorf(grid.Invalid, "serial %s: slave %d: %w", s.Name, slave.Address, err)
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

// soonestPoll is how often a register is read at most, in the machine's time: a line carries no more.
const soonestPoll = 100 * time.Millisecond

// pollPlan is what a profile says to ask, and how often an answer that stays the same is a
// frame: every heartbeat of the line, or interval of the profile.
func (g *Gateway) pollPlan(p *profile.Profile, heartbeat time.Duration) ([]serial.Poll, time.Duration, error) {
	if heartbeat > 2*p.Interval {
		return nil, 0, grid.Errorf(grid.Invalid, "heartbeat is %s: want at most %s, or a slave with the profile %s is offline in between", heartbeat, 2*p.Interval, p.ID)
	}
	var polls []serial.Poll
	for _, poll := range p.Polls() {
		polls = append(polls, serial.Poll{Function: poll.Function, Start: poll.Start, Count: poll.Count, Every: max(g.clock.Real(poll.Every), min(poll.Every, soonestPoll)), Address: poll.Address})
	}
	if len(polls) == 0 {
		return nil, 0, grid.Errorf(grid.Invalid, "profile %s is not of the codec modbus: want one that says what to ask", p.ID)
	}
	return polls, g.clock.Real(cmp.Or(heartbeat, p.Interval)), nil
}

// replan has every slave asked by the version of its profile that is in force: that of the
// gateway's files is where it starts.
func (g *Gateway) replan() {
	for i, s := range g.cfg.Serial {
		if len(s.Slaves) == 0 {
			continue
		}
		for j, id := range g.serial[i].Slaves() { // in the order of the configuration
			if err := g.follow(g.serial[i], id, s.Slaves[j].Profile, s.Heartbeat); err != nil {
				g.log.Error("poll plan of the profile in force cannot be followed, the former one goes on", "in", s.Name, "device", id, "profile", s.Slaves[j].Profile, "err", err)
			}
		}
	}
}

func (g *Gateway) follow(t *serial.Transport, id grid.Identity, of string, heartbeat time.Duration) error {
	p, _, _, err := g.engine.Profile(of)
	if err != nil {
		return err
	}
	polls, heartbeat, err := g.pollPlan(p, heartbeat)
	if err != nil {
		return err
	}
	return t.SetPolls(id, polls, heartbeat)
}

func (g *Gateway) serialMetrics(send sender) {
	count, gauge := prometheus.CounterValue, prometheus.GaugeValue
	for i, t := range g.serial {
		s, line := t.Status(), g.cfg.Serial[i].Name
		send(count, "serial_received_bytes_total", "Bytes off the line.", float64(s.BytesIn), "line", line)
		send(count, "serial_sent_bytes_total", "Bytes written to the line.", float64(s.BytesOut), "line", line)
		send(count, "serial_acknowledged_frames_total", "Frames durable and confirmed.", float64(s.Acked), "line", line)
		send(count, "serial_damaged_frames_total", "Frames that were noise, half or wrong.", float64(s.Damaged), "line", line)
		for _, slave := range s.Slaves {
			address := fmt.Sprint(slave.Address)
			if slave.DTU != "" {
				address = slave.DTU + "/" + address
			}
			send(gauge, "serial_slave_up", "1 while the Modbus unit answers.", flag(slave.Up), "line", line, "slave", address)
			send(count, "serial_slave_requests_total", "Requests to the Modbus unit.", float64(slave.Asked), "line", line, "slave", address)
			send(count, "serial_slave_answers_total", "Answers of the Modbus unit, exceptions too.", float64(slave.Answered), "line", line, "slave", address)
			send(count, "serial_slave_exceptions_total", "Exceptions of the Modbus unit.", float64(slave.Exceptions), "line", line, "slave", address)
		}
	}
}
