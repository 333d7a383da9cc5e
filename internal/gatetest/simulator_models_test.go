package gatetest_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
	"gridgate/simulator"
)

// box is a sink that keeps the last message.
type box struct{ all []simulator.Message }

func (b *box) Publish(_ context.Context, m simulator.Message) error {
	b.all = append(b.all, m)
	return nil
}

// stateSigns are what a state must be read as, wherever it is read at all.
func stateSigns(s simulator.State) map[grid.Signal]float64 {
	flag := map[bool]float64{true: 1}
	low := s.Battery < 20
	return map[grid.Signal]float64{
		grid.DoorOpen: flag[s.Open], grid.ParkingOccupied: flag[s.Occupied], grid.ManholeOpen: flag[s.Open], grid.ManholeFlooded: flag[s.LevelMM < 300],
		grid.SmokeAlarm: flag[s.Smoke], grid.HeatAlarm: flag[s.Heat], grid.SmokeHush: flag[s.Mute], grid.DeviceRemove: flag[s.Removed],
		grid.Tamper: flag[s.Tamper], grid.TestPress: flag[s.Test], grid.Fault: flag[s.Fault], grid.BatteryLow: flag[low],
		grid.BatteryLevel: float64(s.Battery), grid.Temperature: s.Celsius, grid.ManholeTilt: math.Abs(s.Tilt),
		grid.ManholeLevel: float64(2000-s.LevelMM) / 1000, grid.ManholeGap: float64(s.LevelMM) / 1000,
	}
}

// near says how far a number may be off: models round as their makers do.
var near = map[grid.Signal]float64{grid.Temperature: 1, grid.ManholeTilt: 1, grid.ManholeLevel: 0.011, grid.ManholeGap: 0.002}

// mainSigns are what a device of a kind is there for.
var mainSigns = map[grid.Kind][]grid.Signal{
	grid.Door: {grid.DoorOpen}, grid.Parking: {grid.ParkingOccupied}, grid.Smoke: {grid.SmokeAlarm, grid.HeatAlarm},
	grid.Manhole: {grid.ManholeOpen, grid.ManholeFlooded, grid.ManholeLevel, grid.ManholeGap, grid.ManholeTilt},
}

// states of a kind that its models are put into.
func states(kind grid.Kind) []func(*simulator.State) {
	with := func(f func(*simulator.State)) func(*simulator.State) {
		return func(s *simulator.State) {
			*s = simulator.Normal()
			f(s)
		}
	}
	out := []func(*simulator.State){
		with(func(*simulator.State) {}),
		with(func(s *simulator.State) { s.Battery, s.Celsius = 9, -7 }),
		with(func(s *simulator.State) { s.Battery, s.Celsius = 71, 31.5 }),
	}
	switch kind {
	case grid.Door:
		out = append(out, with(func(s *simulator.State) { s.Open = true }), with(func(s *simulator.State) { s.Open, s.Battery = true, 12 }))
	case grid.Parking:
		out = append(out, with(func(s *simulator.State) { s.Occupied = true }), with(func(s *simulator.State) { s.Occupied, s.Celsius = true, -12 }))
	case grid.Manhole:
		out = append(out, with(func(s *simulator.State) { s.Open, s.Tilt = true, 75 }), with(func(s *simulator.State) { s.LevelMM = 250 }),
			with(func(s *simulator.State) { s.LevelMM = 900 }))
	case grid.Smoke:
		out = append(out, with(func(s *simulator.State) { s.Smoke, s.Heat, s.Celsius = true, true, 42 }))
	}
	return out
}

// readMessage opens and decodes a message as the gateway does.
func readMessage(t *testing.T, set *profile.Set, p string, m simulator.Message) grid.Decoded {
	t.Helper()
	topic := m.Topic
	if m.Wire != simulator.MQTT {
		sep := "?"
		if strings.Contains(topic, "?") {
			sep = "&"
		}
		topic += fmt.Sprintf("%sct=%d", sep, m.Format)
	}
	id, name, note := envelope.Identify(topic, m.Payload)
	if id != m.Identity {
		t.Fatalf("%s: topic %s is of %q (%s)", m.Identity, topic, id, note)
	}
	f := grid.Frame{Address: topic, Raw: m.Payload, Identity: id, Envelope: name, Received: m.At}
	if err := envelope.Open(&f); err != nil {
		t.Fatalf("%s: %v", m.Identity, err)
	}
	if strings.HasPrefix(string(id), "eui:") && m.Topic[0] != 'g' {
		if !f.HasRSSI || f.RSSIdBm > -30 || f.RSSIdBm < -140 || f.Gateway == "" || !f.HasCounter || f.Counter != m.Counter {
			t.Errorf("%s: radio %v %v dBm, gateway %q, counter %d: want %d", topic, f.HasRSSI, f.RSSIdBm, f.Gateway, f.Counter, m.Counter)
		}
		if d := f.At.Sub(m.At); d < -time.Second || d > time.Second {
			t.Errorf("%s: its time is %v, want %v", topic, f.At, m.At)
		}
	}
	q, err := set.Get(p)
	if err != nil {
		t.Fatal(err)
	}
	d, err := q.Decode(f)
	if err != nil {
		t.Fatalf("%s: payload %x of %s: %v", p, f.Payload, m.Kind, err)
	}
	return d
}

// checkReadings compares what is read with what is so.
func checkReadings(t *testing.T, name string, d grid.Decoded, s simulator.State, kind grid.Kind, mustSay bool) {
	t.Helper()
	want := stateSigns(s)
	said := map[grid.Signal]bool{}
	for _, r := range d.Readings {
		said[r.Signal] = true
		if w, known := want[r.Signal]; known && math.Abs(r.Value-w) > near[r.Signal]+1e-9 {
			t.Errorf("%s: %s is %v: want %v", name, grid.Signals[r.Signal].Name, r.Value, w)
		}
	}
	has := false
	for _, sign := range mainSigns[kind] {
		has = has || said[sign]
	}
	if mustSay && !has {
		t.Errorf("%s says nothing of its %s: %v", name, kind, d.Readings)
	}
}

func newSet(t *testing.T) *profile.Set {
	t.Helper()
	set, err := profile.Load(firmwareprofiles.FS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set
}

func TestWhatAModelOfTheSimulatorSaysIsWhatTheGatewayReads(t *testing.T) {
	t.Parallel()
	set := newSet(t)
	models := simulator.Models()
	if len(models) < 30 {
		t.Fatalf("%d models", len(models))
	}
	for _, m := range models {
		kinds := m.Kinds()
		for _, kind := range kinds {
			for _, e := range m.Envelopes() {
				sink := &box{}
				city, err := simulator.NewCity(simulator.CityConfig{Seed: 1, Sink: sink, Parts: []simulator.Part{
					{Model: m.Profile, Kind: kind, Wire: m.Wires()[0], Envelope: e, Count: 1, Name: "x"}},
					Rules: exactRules(t)})
				if err != nil {
					t.Fatal(err)
				}
				for k, change := range states(kind) {
					for _, why := range []simulator.Why{simulator.Edge, simulator.Heartbeat, simulator.Startup} {
						sink.all = nil
						if err := city.Act(t.Context(), 0, why, change); err != nil {
							t.Fatal(err)
						}
						if len(sink.all) != 1 {
							t.Fatalf("%s sent %d messages", m.Profile, len(sink.all))
						}
						if m.Wires()[0] == simulator.LwM2M || m.Wires()[0] == simulator.GBT26875 || m.Wires()[0] == simulator.Modbus || m.Wires()[0] == simulator.Lines {
							continue // these have tests over their wires
						}
						d := readMessage(t, set, m.Profile, sink.all[0])
						if len(d.Warnings) > 0 {
							t.Errorf("%s %s: %v", m.Profile, why, d.Warnings)
						}
						// GS524N says one thing a message, and what is nearer than 280 mm the
						// LDDS75 cannot measure.
						mustSay := why == simulator.Edge && !(m.Profile == "milesight/gs524n" && k == 1) && !(m.Profile == "dragino/ldds75" && k == 4)
						checkReadings(t, fmt.Sprintf("%s by %s, state %d, %s", m.Profile, e, k, why), d, city.Look(0), kind, mustSay)
					}
				}
			}
		}
	}
}

// exactRules are the city's without firmware mixes and wrong clocks.
func exactRules(t *testing.T) *simulator.CityRules {
	t.Helper()
	r := simulator.DefaultRules()
	r.Firmware, r.Clocks = nil, simulator.ClockRules{}
	return r
}

func TestEveryOtherProfileIsPlayedFromItsCasesOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	set := newSet(t)
	own := map[string]bool{}
	for _, m := range simulator.Models() {
		own[m.Profile] = true
	}
	played, words := 0, 0
	var not []string
	for _, p := range set.List() {
		if own[p.ID] {
			continue
		}
		m, err := simulator.ModelOf(p.ID)
		if err != nil {
			if grid.CodeOf(err) != grid.NotFound {
				t.Errorf("%s: %v", p.ID, err)
			}
			not = append(not, p.ID+" ("+err.Error()+")")
			continue
		}
		played++
		if m.Wires()[0] == simulator.Modbus || m.Wires()[0] == simulator.Lines {
			continue
		}
		for _, kind := range m.Kinds() {
			sink := &box{}
			city, err := simulator.NewCity(simulator.CityConfig{Seed: 1, Sink: sink, Rules: exactRules(t),
				Parts: []simulator.Part{{Model: p.ID, Kind: kind, Count: 1, Name: "x"}}})
			if err != nil {
				t.Fatalf("%s: %v", p.ID, err)
			}
			for k, change := range states(kind) {
				sink.all = nil
				err := city.Act(t.Context(), 0, simulator.Edge, change)
				if err != nil && grid.CodeOf(err) == grid.NotFound && len(sink.all) == 0 {
					continue // it has no words for this state
				}
				if err != nil || len(sink.all) != 1 {
					t.Fatalf("%s: %d messages, %v", p.ID, len(sink.all), err)
				}
				words++
				d := readMessage(t, set, p.ID, sink.all[0])
				s := city.Look(0)
				conditions := d.Readings[:0:0]
				for _, r := range d.Readings {
					if grid.Signals[r.Signal].Bool && r.Channel == "" {
						conditions = append(conditions, r) // numbers are those of the case
					}
				}
				d.Readings = conditions
				checkReadings(t, fmt.Sprintf("%s, state %d", p.ID, k), d, s, kind, kind != grid.Manhole)
			}
		}
	}
	t.Logf("%d profiles are played from their cases, %d states; not: %s", played, words, strings.Join(not, ", "))
	if played < 45 || len(not) > 3 { // enginko/level, gbt26875/fubei, gridgate/sparkplug
		t.Errorf("%d profiles are played, %d are not", played, len(not))
	}
}
