package simulator

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/grid"
)

// tape keeps what a player sends.
type tape struct {
	mu  sync.Mutex
	all []Message
}

func (t *tape) Publish(_ context.Context, m Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, m)
	return nil
}

// of lists the payloads that a device has sent, in hex, or as text for Zigbee.
func (t *tape) of(d *Device) (out []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.all {
		if m.Identity != d.Identity {
			continue
		}
		var up chirpstackUp
		if json.Unmarshal(m.Payload, &up) == nil && up.Data != "" {
			p, _ := base64.StdEncoding.DecodeString(up.Data)
			out = append(out, fmt.Sprintf("%d:%x", up.FPort, p))
			continue
		}
		out = append(out, string(m.Payload))
	}
	return out
}

func has(all []string, part string) bool {
	for _, s := range all {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// demoFor plays the demo for d and returns what was sent and said.
func demoFor(t *testing.T, d time.Duration, play Play, during func(*Player)) (*Player, *tape, map[string]int) {
	sent, said := &tape{}, map[string]int{}
	var mu sync.Mutex
	play.Scenario = Demo
	p := &Player{Fleet: NewFleet(16, 1), Play: play, Sink: sent, Notes: func(n Note) { mu.Lock(); defer mu.Unlock(); said[n.What]++ }}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	if during != nil {
		during(p)
	}
	<-done
	return p, sent, said
}

func TestTheDemoShowsOneOfEachThing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, sent, said := demoFor(t, 30*time.Second, Play{}, nil)
		for _, c := range []struct{ profile, part string }{
			{"milesight/ws301", "85:030001"},
			{"bosch/tps110", "1:01"},
			{"dingtek/dc410", "3:80000101"},
			{"netvox/ra02a", "6:010a01"},
			{"zigbee2mqtt/smoke", `"test":true`},
		} {
			if all := sent.of(p.Fleet.First(c.profile, 0)); !has(all, c.part) {
				t.Errorf("%s sent no %s: %v", c.profile, c.part, all)
			}
		}
		if all := sent.of(p.Fleet.First("zigbee2mqtt/smoke", 0)); has(all, `"smoke":true`) || !strings.Contains(all[len(all)-1], `"test":false`) {
			t.Errorf("the test press became a fire, or lasts: %v", all)
		}
		for _, what := range []string{"heartbeat", "door_open", "car", "cover_open", "test", "smoke", "battery"} {
			if said[what] == 0 {
				t.Errorf("nobody was told of %s: %v", what, said)
			}
		}
		if s, _ := p.Fleet.Look(p.Fleet.First("netvox/ra02a", 0)); !s.Smoke {
			t.Error("the smoke went away by itself")
		}
		for _, d := range p.Fleet.Devices {
			if _, n := p.Fleet.Look(d); n < 4 {
				t.Errorf("%s has sent %d frames in 30 s", d.Identity, n)
			}
		}
	})
}

func TestAPointThatIsPutRightSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d *Device
		p, sent, _ := demoFor(t, 30*time.Second, Play{}, func(p *Player) {
			d = p.Fleet.First("netvox/ra02a", 0)
			time.Sleep(15 * time.Second)
			if err := p.Restore(t.Context(), d.Point, "fire-1"); err != nil {
				t.Error(err)
			}
			if err := p.Restore(t.Context(), "nowhere", "fire-1"); grid.CodeOf(err) != grid.NotFound {
				t.Errorf("err = %v, want not found", err)
			}
		})
		all := sent.of(d)
		if last := all[len(all)-1]; len(last) < 12 || last[2+8:2+10] != "00" {
			t.Errorf("the last frame still says fire: %s", last)
		}
		if s, _ := p.Fleet.Look(d); s.Smoke {
			t.Error("there is still smoke")
		}
	})
}

func TestAnUnattendedDemoCanEndByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := demoFor(t, time.Minute, Play{AutoBack: 10 * time.Second}, nil)
		for _, d := range p.Fleet.Devices {
			if s, _ := p.Fleet.Look(d); s.Open || s.Smoke || s.Occupied || s.Battery < 20 {
				t.Errorf("%s is still %+v", d.Point, s)
			}
		}
	})
}

func TestAPlayEndsAtItsCountAndKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, s := range []Scenario{Mixed, ParkingFlood, SmokeOnly} {
			sent := &tape{}
			began := time.Now()
			p := &Player{Fleet: NewFleet(50, 1), Play: Play{Scenario: s, Rate: 1000, Count: 5000}, Sink: sent}
			if err := p.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); len(sent.all) != 5000 || p.Sent() != 5000 || took < 4900*time.Millisecond || took > 5100*time.Millisecond {
				t.Errorf("%s: %d frames in %s, want 5000 in 5 s", s, len(sent.all), took)
			}
		}
	})
}

func TestAtRealIntervalsEachDeviceReportsAsShipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := &tape{}
		p := &Player{Fleet: NewFleet(16, 1), Play: Play{Scenario: Mixed, Speed: 60}, Sink: sent}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for _, d := range p.Fleet.Devices {
			want := int(60 * 24 * time.Hour / d.Model.Interval)
			if n := len(sent.of(d)); n < want-1 || n > want+1 {
				t.Errorf("%s sent %d frames, want %d", d.Model.Profile, n, want)
			}
		}
	})
}

func TestCountersOfADeviceRiseByOne(t *testing.T) {
	f := NewFleet(8, 1)
	for n := range uint32(5) {
		for _, d := range f.Devices {
			if m := f.Report(d, Heartbeat, time.Now()); m.Counter != n {
				t.Fatalf("%s: counter %d, want %d", d.Identity, m.Counter, n)
			}
		}
	}
}

func TestUnitsOfAnotherProcessPutPointsRight(t *testing.T) {
	sent := &tape{}
	p := &Player{Fleet: NewFleet(8, 1), Sink: sent}
	s := httptest.NewServer(p.Control())
	defer s.Close()
	d := p.Fleet.First("netvox/ra02a", 0)
	p.Fleet.Change(d, Edge, time.Now(), func(s *State) { s.Smoke = true })
	for path, want := range map[string]int{"/points/" + d.Point + "/normal?by=u": 204, "/points/nowhere/normal": 404} {
		resp, err := http.Post(s.URL+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s is answered %d, want %d", path, resp.StatusCode, want)
		}
	}
	if s, _ := p.Fleet.Look(d); s.Smoke || len(sent.all) != 2 {
		t.Errorf("still smoke: %v; %d frames sent", s.Smoke, len(sent.all))
	}
}
