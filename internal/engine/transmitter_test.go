package engine

import (
	"encoding/binary"
	"testing"
	"time"

	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// transmitter sends frames of a fire alarm system with one smoke detector.
const transmitter grid.Identity = "gb26875:88021"

func (r *rig) placeTransmitter() {
	r.t.Helper()
	reg := placed(grid.Smoke, "ceiling", transmitter, r.now())
	reg.Devices[0].Profile, reg.Devices[0].Interval = "gbt26875/transmitter", 90*time.Second
	reg.Installations[0].Channel = "1.3/12.7"
	r.put(reg)
}

// component is a frame that says in which state the detector has been since the event.
func (r *rig) component(serial, state uint16, event time.Time) {
	r.t.Helper()
	times := gb26875.Encoding{Zone: gb26875.Beijing}
	unit := make([]byte, 2+46)
	copy(unit, []byte{gb26875.ComponentState, 1, 1, 3, 40, 12, 0, 7, 0})
	binary.LittleEndian.PutUint16(unit[9:], state)
	at := times.Put(event)
	copy(unit[42:], at[:])
	raw := gb26875.Append(nil, gb26875.Frame{
		Serial: serial, Version: 1, UserVersion: 1, Sent: times.Put(r.now()), Source: 88021, Destination: 1, Command: gb26875.Send, Unit: unit,
	})
	r.send(frame(transmitter, string(raw)))
}

func TestFireSentAgainAfterALostConfirmIsOneFrame(t *testing.T) {
	r := newRig(t)
	r.placeTransmitter()
	event := r.now().Add(-2 * time.Second)
	r.component(7, 3, event)
	for range 3 { // each with a later send time
		r.after(10 * time.Second)
		r.component(7, 3, event)
	}
	if got := r.ledger(); got[grid.Processed] != 1 || got[grid.Duplicate] != 3 {
		t.Errorf("got %v: want 1 processed and 3 duplicates", got)
	}
	if got := r.events("smoke.alarm"); len(got) != 1 {
		t.Errorf("got %d smoke alarms: want 1", len(got))
	}
}

func TestTransmitterThatBeginsItsSerialsAnewIsHeard(t *testing.T) {
	r := newRig(t)
	r.placeTransmitter()
	for serial := range uint16(20) {
		r.component(serial, 1, r.now())
		r.after(5 * time.Second)
	}
	r.component(3, 3, r.now()) // after a restart of the device
	if got := r.ledger(); got[grid.Processed] != 21 || got[grid.Duplicate] != 0 {
		t.Errorf("got %v: want 21 processed", got)
	}
	if got := r.events("smoke.alarm"); len(got) != 1 {
		t.Errorf("got %d smoke alarms: want 1", len(got))
	}
}
