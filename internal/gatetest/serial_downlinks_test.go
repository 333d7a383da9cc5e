package gatetest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// fieldSlave is a unit of pymodbus at the far end of a line by socat.
type fieldSlave struct {
	near, far, address string
	in                 io.Writer
	out                *bufio.Reader
	kill               func()
}

func modbusSlave(t *testing.T, address int) *fieldSlave {
	t.Helper()
	socat := gatetest.FindPeer(t, "socat", "", false)
	dir := t.TempDir()
	s := &fieldSlave{near: filepath.Join(dir, "near"), far: filepath.Join(dir, "far"), address: fmt.Sprint(address)}
	wire := exec.Command(socat, "pty,raw,echo=0,link="+s.near, "pty,raw,echo=0,link="+s.far)
	if err := wire.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = wire.Process.Kill(); _ = wire.Wait() })
	eventually(t, 10*time.Second, "socat's port", func() error { _, err := os.Stat(s.far); return err })
	s.start(t)
	return s
}

func (s *fieldSlave) start(t *testing.T) {
	t.Helper()
	python := gatetest.FindPeer(t, "/usr/bin/python3", "", false)
	if exec.Command(python, "-c", "import pymodbus.server, serial, serial_asyncio").Run() != nil {
		gatetest.FindPeer(t, "pymodbus", "", false)
	}
	cmd := exec.Command(python, filepath.Join(gatetest.Root(t), "internal/serial/testdata/slave.py"), s.far, s.address)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(s.kill)
	s.in, s.out = in, bufio.NewReader(out)
	if said := s.heard(t); said != "ready" {
		t.Fatalf("pymodbus said %q", said)
	}
}

// tell sets what the slave holds: input 2 1.
func (s *fieldSlave) tell(what string) { fmt.Fprintln(s.in, what) }

// ask shows what it holds: coil 3 1.
func (s *fieldSlave) ask(t *testing.T, what string) string {
	t.Helper()
	s.tell("show " + what)
	return s.heard(t)
}

func (s *fieldSlave) heard(t *testing.T) string {
	t.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		t.Fatalf("pymodbus said %q, %v", line, err)
	}
	return strings.TrimSpace(line)
}

// relayProfile reads a coil so rarely that only a write makes it be read in a test.
const relayProfile = `profile: test/relay
version: "1"
vendor: Test
model: Door relay
firmware: any
kinds: [door]
source: this test
interval: 2h
codec: modbus
modbus:
  polls: [{name: relay, function: 1, start: 3, count: 1, every: 1h}]
  fields: [{name: open, bit: 3}]
signals:
  door.open: open
`

// relayCases are of its second version, that reads the cover too.
const relayCases = `cases:
  - {name: open, hex: "090101019228", want: {readings: {door.open: true}}}
  - {name: closed, hex: "0901010053e8", want: {readings: {door.open: false}}}
  - {name: cover off, hex: "090201016228", want: {readings: {tamper: true}}}
  - {name: cover on, hex: "09020100a3e8", want: {readings: {tamper: false}}}
  - {name: illegal data address, hex: "0981024053", error: exception}
`

func TestModbusWriteByTheAPIIsAcknowledgedHeldByTheSlaveAndSeenAtOnce(t *testing.T) {
	slave := modbusSlave(t, 9)
	profiles := filepath.Join(t.TempDir(), "profiles")
	folder := filepath.Join(profiles, "test", "relay")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "profile.yaml"), relayProfile)
	g := newGateway(t, "profiles: ["+profiles+"]",
		"serial: [{name: riser, path: "+slave.near+", baud: 19200, protocol: modbus-rtu, slaves: [{address: 9, profile: test/relay}]}]")
	g.start(t)
	g.put(t, `
points: [{id: door-9, name: a door, kind: door, mode: simulated}]
devices: [{identity: "modbus:riser/9", profile: test/relay, point: door-9, mode: simulated}]
`)
	is := func(signal grid.Signal, want float64) {
		t.Helper()
		eventually(t, 30*time.Second, fmt.Sprintf("%s to be %v", signal, want), func() error {
			v, err := g.live(t, "door-9", signal)
			if err == nil && v.Value != want {
				err = fmt.Errorf("it is %v", v.Value)
			}
			return err
		})
	}
	order := func(what string, address uint16, values ...uint16) api.NewDownlink {
		return api.NewDownlink{Order: grid.Order{Modbus: &grid.ModbusOrder{Write: what, Address: address, Values: values}}, Confirm: true}
	}
	d := g.becomes(t, g.tell(t, "modbus:riser/9", order("coil", 3, 1)).ID, grid.DownlinkAcknowledged, 30*time.Second)
	if d.Way != "serial:riser" || !strings.HasPrefix(d.Answer, "unit 9, function 5: coil 3 is 1 ") || !d.Ended() {
		t.Errorf("it went %+v", d)
	}
	if held := slave.ask(t, "coil 3 1"); held != "coil 3 1" {
		t.Errorf("the slave holds %q", held)
	}
	is(grid.DoorOpen, 1)
	g.becomes(t, g.tell(t, "modbus:riser/9", order("register", 2, 513, 7)).ID, grid.DownlinkAcknowledged, 30*time.Second)
	if held := slave.ask(t, "register 2 2"); held != "register 2 513 7" {
		t.Errorf("the slave holds %q", held)
	}
	refused := g.tell(t, "modbus:riser/9", order("register", 900, 1))
	eventually(t, 30*time.Second, "the exception", func() error {
		d, err := g.api.Downlink(t.Context(), refused.ID)
		if err == nil && (d.State != grid.DownlinkFailed || !strings.Contains(d.Error, "illegal data address")) {
			err = fmt.Errorf("it is %s: %s", d.State, d.Error)
		}
		return err
	})

	// A version that reads an input too is followed from its roll-out on, without a restart.
	slave.tell("input 2 1")
	version := strings.NewReplacer(`version: "1"`, `version: "2"`, "every: 1h}]", "every: 1h}, {name: cover, function: 2, start: 2, count: 1, every: 1h}]",
		"bit: 3}]", "bit: 3, poll: relay}, {name: lid, bit: 2, poll: cover}]", "door.open: open\n", "door.open: open\n  tamper: lid\n").Replace(relayProfile)
	if _, err := g.api.StartRollout(t.Context(), "test/relay", api.RolloutWish{Files: api.ProfileFiles{"profile.yaml": version, "cases.yaml": relayCases}, Stage: grid.RolloutAll, Reason: "the cover counts too"}, ""); err != nil {
		t.Fatal(err)
	}
	is(grid.Tamper, 1)
	g.Kill()
	slave.tell("input 2 0")
	g.start(t)
	is(grid.Tamper, 0)
}

// A slave that is silent says nothing, not even that all is well: what it said last stays
// with its time, it is offline, and what it is told waits for its return.
func TestSilentSlaveIsOfflineAndItsOrderWaitsForItsReturn(t *testing.T) {
	slave := modbusSlave(t, 9)
	profiles := filepath.Join(t.TempDir(), "profiles")
	folder := filepath.Join(profiles, "test", "reed")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "profile.yaml"), reedProfile)
	line := "serial: [{name: riser, path: " + slave.near + ", baud: 19200, response_timeout: 100ms, protocol: modbus-rtu, slaves: [{address: 9, profile: test/reed}]}]"
	g := newGateway(t, "profiles: ["+profiles+"]", line)
	g.start(t)
	g.put(t, `
points: [{id: door-9, name: a door, kind: door, mode: simulated}]
devices: [{identity: "modbus:riser/9", profile: test/reed, point: door-9, mode: simulated}]
`)
	slave.tell("input 2 1")
	open := func() (grid.LiveValue, error) {
		v, err := g.live(t, "door-9", grid.DoorOpen)
		if err == nil && v.Value != 1 {
			err = fmt.Errorf("door.open is %v", v.Value)
		}
		return v, err
	}
	eventually(t, 30*time.Second, "the door to be open", func() error { _, err := open(); return err })
	slave.kill()
	eventually(t, 60*time.Second, "device.offline", func() error {
		for _, e := range all[grid.Event](t, g, "events", api.Query{}) {
			if e.Type == "device.offline" && e.Point == "door-9" {
				return nil
			}
		}
		return fmt.Errorf("not yet")
	})
	last, err := open()
	if err != nil {
		t.Errorf("silence has closed the door: %v", err)
	}
	order := api.NewDownlink{Order: grid.Order{Modbus: &grid.ModbusOrder{Write: "coil", Address: 3, Values: []uint16{1}}}, Once: true}
	d := g.tell(t, "modbus:riser/9", order)
	eventually(t, 30*time.Second, "the reason why it waits", func() error {
		now, err := g.api.Downlink(t.Context(), d.ID)
		if err == nil && (now.State != grid.DownlinkQueued || !strings.Contains(now.Error, "modbus:riser/9 does not answer")) {
			err = fmt.Errorf("it is %s: %s", now.State, now.Error)
		}
		return err
	})

	second := newGateway(t, "profiles: ["+profiles+"]", line)
	second.start(t)
	eventually(t, 30*time.Second, "the refusal of the port", func() error {
		ready, err := second.api.Ready(t.Context())
		if err == nil && (ready.Ready || !strings.Contains(ready.Parts["serial.riser"], "is in use by process ")) {
			err = fmt.Errorf("%+v", ready)
		}
		return err
	})
	second.Kill()

	slave.start(t)
	slave.tell("input 2 1")
	g.becomes(t, d.ID, grid.DownlinkAcknowledged, 60*time.Second)
	if held := slave.ask(t, "coil 3 1"); held != "coil 3 1" {
		t.Errorf("the slave holds %q", held)
	}
	eventually(t, 30*time.Second, "the slave to be heard again", func() error {
		v, err := open()
		if err == nil && !v.Received.After(last.Received) {
			err = fmt.Errorf("last heard %s", v.Received)
		}
		return err
	})
}

// scripted is a transmission device that obeys: it answers orders by what they order.
func scripted(t *testing.T, addr string) (hang func()) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	hang = func() { _ = c.Close(); <-done }
	t.Cleanup(hang)
	now := gb26875.Encoding{Zone: gb26875.Beijing}.Put(time.Now())
	if _, err := c.Write(gb26875.Append(nil, gb26875.Frame{Serial: 1, Version: 1, Sent: now, Source: 88021, Destination: 1, Command: gb26875.Send})); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(done)
		for head := make([]byte, gb26875.HeadSize-1); ; {
			if _, err := io.ReadFull(c, head); err != nil {
				return
			}
			n, err := gb26875.Length(head)
			if err != nil {
				return
			}
			raw := append(make([]byte, 0, n), head...)[:n]
			if _, err := io.ReadFull(c, raw[len(head):]); err != nil {
				return
			}
			f, err := gb26875.Parse(raw)
			if err != nil || f.Command != gb26875.Control && f.Command != gb26875.Request {
				continue
			}
			a := f.Answer(gb26875.Confirm, time.Now(), gb26875.Encoding{Zone: gb26875.Beijing})
			switch f.Unit[0] {
			case gb26875.DeviceState + 60:
				a.Command, a.Unit = gb26875.Response, append([]byte{gb26875.DeviceState, 1, 0x09}, now[:]...)
			case 89:
				a.Command = gb26875.Deny
			}
			if _, err := c.Write(gb26875.Append(nil, a)); err != nil {
				return
			}
		}
	}()
	return hang
}

func TestTransmitterThatIsAwayGetsItsOrdersWhenItIsHeard(t *testing.T) {
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "serial: [{name: transmitters, listen: tcp://"+addr+", protocol: gbt26875}]")
	g.start(t)
	g.put(t, transmitterRegistry)
	order := func(do, object string, minutes int) string {
		return g.tell(t, "gb26875:88021", api.NewDownlink{Order: grid.Order{GB26875: &grid.GB26875Order{Do: do, Object: object, Minutes: minutes}}}).ID
	}
	duty, read, anew := order("duty_check", "", 10), order("read", "state", 0), order("initialize", "", 0)
	if d := g.becomes(t, duty, grid.DownlinkQueued, 10*time.Second); d.Ended() {
		t.Fatalf("nobody is there: %+v", d)
	}
	hang := scripted(t, addr)
	if d := g.becomes(t, duty, grid.DownlinkAcknowledged, 30*time.Second); d.Way != "tcp:transmitters" || d.Answer != "confirmed" {
		t.Errorf("duty check: %+v", d)
	}
	if d := g.becomes(t, read, grid.DownlinkAcknowledged, 30*time.Second); !strings.Contains(d.Answer, `"state":["normal","main_power_fault"]`) {
		t.Errorf("state: %+v", d)
	}
	if d := g.becomes(t, anew, grid.DownlinkFailed, 30*time.Second); !strings.Contains(d.Error, "denies control") {
		t.Errorf("denied: %+v", d)
	}
	hang()
	late := order("set_clock", "", 0)
	scripted(t, addr)
	g.becomes(t, late, grid.DownlinkAcknowledged, 30*time.Second)
}
