package gatetest_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

const transmitterRegistry = `
points:
  - {id: ceiling, name: a ceiling, kind: smoke, cell: "310105001001001", mode: simulated}
devices:
  - {identity: "gb26875:88021", profile: gbt26875/transmitter, mode: simulated}
installations:
  - {device: "gb26875:88021", channel: "1.3/12.7", point: ceiling, from: 2026-01-01T00:00:00Z}
`

// component is a frame of a smoke detector behind a transmission device; state 2 is fire.
func component(serial, state uint16) []byte {
	now := gb26875.Encoding{Zone: gb26875.Beijing}.Put(time.Now())
	unit := make([]byte, 2+46)
	copy(unit, []byte{gb26875.ComponentState, 1, 1, 3, 40, 12, 0, 7, 0})
	binary.LittleEndian.PutUint16(unit[9:], state)
	copy(unit[42:], now[:])
	return gb26875.Append(nil, gb26875.Frame{Serial: serial, Version: 1, Sent: now, Source: 88021, Destination: 1, Command: gb26875.Send, Unit: unit})
}

// confirmed sends a frame and waits for its confirmation.
func confirmed(t testing.TB, c net.Conn, frame []byte) {
	t.Helper()
	if _, err := c.Write(frame); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, gb26875.MinSize)
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(c, answer); err != nil {
		t.Fatal(err)
	}
	if f, err := gb26875.Parse(answer); err != nil || f.Command != gb26875.Confirm || f.Destination != 88021 {
		t.Fatalf("answered %x, %v", answer, err)
	}
}

func TestFireOfATransmissionDeviceThatIsConfirmedOutlivesTheGateway(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			addr := gatetest.FreeAddr(t)
			g := newGateway(t, "serial: [{name: transmitters, listen: "+network+"://"+addr+", protocol: gbt26875}]")
			g.start(t)
			g.put(t, transmitterRegistry)
			dial := func() net.Conn {
				c, err := net.Dial(network, addr)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				return c
			}
			c := dial()
			confirmed(t, c, component(1, 1))
			fire := component(2, 2)
			confirmed(t, c, fire)
			g.Kill()
			g.start(t)
			eventually(t, 20*time.Second, "the fire", func() error {
				for _, e := range all[grid.Event](t, g, "events", api.Query{}) {
					if e.Type == "smoke.alarm" && e.Point == "ceiling" {
						return nil
					}
				}
				return fmt.Errorf("no smoke.alarm yet")
			})
			c = dial()
			confirmed(t, c, fire) // had the confirmation been lost
			processed, duplicate, _, _, _ := sum(g.balanced(t))
			if processed != 2 || duplicate != 1 {
				t.Errorf("%d processed, %d duplicates: want 2 and 1", processed, duplicate)
			}
		})
	}
}

func TestDamagedFrameOfATransmissionDeviceThatNeverComesAgainIsUnreadableSmoke(t *testing.T) {
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "serial: [{name: transmitters, listen: tcp://"+addr+", protocol: gbt26875}]")
	g.start(t)
	g.put(t, transmitterRegistry)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	confirmed(t, c, component(1, 1))
	bad := component(2, 2)
	bad[len(bad)-3]++
	if _, err := c.Write(bad); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, gb26875.MinSize)
	if _, err := io.ReadFull(c, answer); err != nil {
		t.Fatal(err)
	}
	if f, err := gb26875.Parse(answer); err != nil || f.Command != gb26875.Deny || f.Serial != 2 {
		t.Errorf("answered %x, %v: want a denial", answer, err)
	}
	eventually(t, 30*time.Second, "safety.unreadable", func() error {
		for _, e := range all[grid.Event](t, g, "events", api.Query{}) {
			if e.Type == "safety.unreadable" && e.Point == "ceiling" {
				return nil
			}
		}
		return fmt.Errorf("not yet")
	})
	if _, _, _, quarantined, _ := sum(g.balanced(t)); quarantined != 1 {
		t.Errorf("%d quarantined: want the damaged frame", quarantined)
	}
}

const reedProfile = `profile: test/reed
version: "1"
vendor: Test
model: Reed contact
firmware: any
kinds: [door]
source: this test
interval: 1s
codec: modbus
modbus:
  polls: [{name: inputs, function: 2, start: 2, count: 1, every: 500ms}]
  fields: [{name: open, bit: 2}]
signals:
  door.open: open
`

func TestDoorBehindAModbusSlaveOfPymodbusIsSeenToOpen(t *testing.T) {
	slave := modbusSlave(t, 9)
	dir := t.TempDir()
	folder := filepath.Join(dir, "profiles", "test", "reed")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "profile.yaml"), reedProfile)
	g := newGateway(t, "profiles: ["+filepath.Join(dir, "profiles")+"]",
		"serial: [{name: riser, path: "+slave.near+", baud: 19200, protocol: modbus-rtu, slaves: [{address: 9, profile: test/reed}]}]")
	g.start(t)
	g.put(t, `
points: [{id: door-9, name: a door, kind: door, mode: simulated}]
devices: [{identity: "modbus:riser/9", profile: test/reed, point: door-9, mode: simulated}]
`)
	is := func(want float64) {
		t.Helper()
		eventually(t, 30*time.Second, fmt.Sprintf("door.open to be %v", want), func() error {
			v, err := g.live(t, "door-9", grid.DoorOpen)
			if err == nil && v.Value != want {
				err = fmt.Errorf("door.open is %v", v.Value)
			}
			return err
		})
	}
	is(0)
	slave.tell("input 2 1")
	is(1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.api.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+g.api.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), `gridgate_serial_slave_up{line="riser",slave="9"} 1`) {
		t.Errorf("metrics do not say that the slave is up: %v", err)
	}
}
