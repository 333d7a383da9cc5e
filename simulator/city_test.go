package simulator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/grid"
)

// tuesday is an ordinary one.
func tuesday(t testing.TB) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return time.Date(2026, 3, 3, 0, 0, 0, 0, zone)
}

// recorder is a sink that keeps what it is given, or its digest.
type recorder struct {
	mu     sync.Mutex
	all    []Message
	keep   bool
	digest hash.Hash
	n      int
}

func newRecorder(keep bool) *recorder { return &recorder{keep: keep, digest: sha256.New()} }

func (s *recorder) Publish(_ context.Context, m Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	line := append(strconv.AppendInt([]byte(m.Topic), m.At.UnixNano(), 10), m.Kind...)
	s.digest.Write(append(line, m.Wire...))
	s.digest.Write(m.Payload)
	if s.keep {
		s.all = append(s.all, m)
	}
	return nil
}

// mixed is a city of every model that speaks over MQTT.
func mixed(devices int) (parts []Part) {
	all := Models()
	for i, m := range all {
		if formWires[m.Form][0] != MQTT && m.Form != SenML {
			continue
		}
		p := Part{Model: m.Profile, Wire: MQTT, Count: devices / len(all)}
		if m.Form == Bytes && !m.Zigbee {
			p.Envelope = []Envelope{ChirpStack, Native, Native, TheThings, Native, ChirpStackProtobuf}[i%6]
		}
		parts = append(parts, p)
	}
	parts[0].Count += devices - (len(parts) * (devices / len(all)))
	return parts
}

// day plays a whole day of a city at a speed, in the time of a bubble, and gives its digest.
func day(t *testing.T, cfg CityConfig, speed float64, length time.Duration) (digest string, n int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		out := newRecorder(false)
		cfg.Sink = out
		cfg.Clock = NewClock(tuesday(t), speed)
		city, err := NewCity(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(float64(length)/speed))
		defer cancel()
		if err := city.Run(ctx); err != nil {
			t.Fatal(err)
		}
		digest, n = fmt.Sprintf("%x", out.digest.Sum(nil)), out.n
	})
	return digest, n
}

func TestTheSameSeedIsTheSameDayAtAnySpeed(t *testing.T) {
	cfg := CityConfig{Seed: 7, Parts: mixed(10_000), Doubled: 0.01}
	for k := range cfg.Parts {
		cfg.Parts[k].Interval = 12 * time.Hour // many say the same every ten minutes
	}
	slow, n := day(t, cfg, 1, 24*time.Hour)
	fast, m := day(t, cfg, 600, 24*time.Hour)
	if slow != fast || n != m {
		t.Errorf("speed 1 makes %d frames %.8s, speed 600 %d frames %.8s", n, slow, m, fast)
	}
	cfg.Seed = 8
	if other, _ := day(t, cfg, 600, time.Hour); other == slow {
		t.Error("two seeds make the same day")
	}
	t.Logf("%d frames of 10,000 devices in a day", n)
}

func TestADeviceOfACityIsFoundByItsNames(t *testing.T) {
	parts := append(mixed(2000),
		Part{Model: "senml/smoke", Count: 30},
		Part{Model: "milesight/ws301", Wire: CoAPS, Count: 30},
		Part{Model: "netvox/ra02a", Count: 3, Name: "b7-smoke"}, Part{Model: "bosch/tps110", Count: 1, Name: "fire lane 3"})
	city, err := NewCity(CityConfig{Seed: 5, Parts: parts, From: 1000})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range city.Len() {
		d := city.Device(i)
		if seen[d.Point] || seen[string(d.Identity)] {
			t.Fatalf("%s at %s: there are two", d.Identity, d.Point)
		}
		seen[d.Point], seen[string(d.Identity)] = true, true
		for _, name := range []string{d.Point, string(d.Identity), d.EUI, d.Name} {
			if got, err := city.Find(name); err != nil || got != i {
				t.Fatalf("%q is device %d, %v: want %d", name, got, err, i)
			}
		}
	}
	for _, name := range []string{"b7-smoke-2", "fire lane 3"} {
		if _, err := city.Find(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "b7-smoke", "b7-smoke-4", "fire lane 3-1", "sim-door-999999", "eui:0000000000000000"} {
		if i, err := city.Find(name); grid.CodeOf(err) != grid.NotFound {
			t.Errorf("%q is device %d: want none", name, i)
		}
	}
	old := city.Device(3).Identity
	if now := city.Swap(3); now == old || seen[string(now)] || city.Device(3).Identity != now {
		t.Errorf("after a swap %s is %s", old, now)
	}
}

func TestWhatSomebodyDoesAtAPointStaysUntilItIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newRecorder(true)
		city, err := NewCity(CityConfig{Seed: 3, Sink: out, Clock: NewClock(tuesday(t), 60), Parts: []Part{
			{Model: "milesight/ws301", Count: 1, Name: "door", Interval: time.Hour, Place: Place{Type: "shop"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := city.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		clock := city.Clock()
		if err := city.Act(ctx, 0, Edge, func(s *State) { s.Open = true }); err != nil {
			t.Fatal(err)
		}
		_ = clock.Sleep(ctx, 15*time.Hour) // a shop's door would have closed hundreds of times
		edges := func() (n int) {
			out.mu.Lock()
			defer out.mu.Unlock()
			for _, m := range out.all {
				if m.Kind == Edge {
					n++
				}
			}
			return n
		}
		if n, s := edges(), city.Look(0); n != 1 || !s.Open {
			t.Errorf("the door is open: %v, after %d edges: want the one of the act", s.Open, n)
		}
		if beats := out.n - edges(); beats < 14 || beats > 16 {
			t.Errorf("%d heartbeats in 15 hours: want 15", beats)
		}
		city.Release(0)
		_ = clock.Sleep(ctx, 3*time.Hour)
		if edges() < 10 {
			t.Errorf("%d edges after the release: want the life of a shop's door", edges())
		}
		before := out.n
		city.Dead(0, true)
		_ = clock.Sleep(ctx, 3*time.Hour)
		if out.n != before {
			t.Errorf("a dead device sent %d frames", out.n-before)
		}
		cancel()
		wg.Wait()
	})
}

func TestWhatOnlyDeadRadioGatewaysHearIsLost(t *testing.T) {
	out := newRecorder(true)
	city, err := NewCity(CityConfig{Seed: 3, Sink: out, Clock: WallClock(), Parts: []Part{{Model: "netvox/ra02a", Count: 1, Name: "s"}}})
	if err != nil {
		t.Fatal(err)
	}
	ids := city.RadioGateways(0)
	for range 20 { // others may hear it once the best are dead
		for _, id := range city.RadioGateways(0) {
			city.RadioGateway(id, true)
		}
	}
	if err := city.Report(t.Context(), 0, Heartbeat); err != nil || out.n != 0 || len(ids) == 0 {
		t.Fatalf("%d frames through dead gateways, %v", out.n, err)
	}
	city.RadioGateway(ids[0], false)
	for range 3 {
		if err := city.Report(t.Context(), 0, Heartbeat); err != nil {
			t.Fatal(err)
		}
	}
	if out.n != 3 || !bytes.Contains(out.all[0].Payload, []byte(ids[0])) {
		t.Errorf("%d frames of 3 through %s", out.n, ids[0])
	}
}

func TestBatteriesEmptyClocksDriftAndFirmwareDiffers(t *testing.T) {
	city, err := NewCity(CityConfig{Seed: 3, Clock: NewClock(tuesday(t), 1), Parts: []Part{{Model: "bosch/tps110", Count: 5000}}})
	if err != nil {
		t.Fatal(err)
	}
	now := tuesday(t)
	newer, never, off, low := 0, 0, 0, 0
	for i := range city.Len() {
		if city.Device(i).Profile == "bosch/tps110-0.39" {
			newer++
		}
		if d := city.ownTime(i, now).Sub(now); d < -24*time.Hour {
			never++
		} else if d > 10*time.Second || d < -10*time.Second {
			off++
		}
		before, after := city.charge(i, now), city.charge(i, now.AddDate(1, 0, 0))
		if after >= before && before > 5 {
			t.Fatalf("device %d has %d %%, and %d %% a year later", i, before, after)
		}
		if before < lowBattery {
			low++
		}
	}
	if newer < 800 || newer > 1200 {
		t.Errorf("%d of 5,000 have firmware 0.39: want a fifth", newer)
	}
	if never < 1 || never > 40 || off < 1000 || low < 50 || low > 1500 {
		t.Errorf("%d clocks at 1970, %d off by more than 10 s, %d batteries low: want few, many, some", never, off, low)
	}
}

func TestRainRaisesPitsAndTheyFallAgain(t *testing.T) {
	city, err := NewCity(CityConfig{Seed: 3, Clock: NewClock(tuesday(t), 1), Parts: []Part{{Model: "dingtek/dc410", Count: 50}}})
	if err != nil {
		t.Fatal(err)
	}
	wet, lowest := 0.0, 1700
	for h := range 24 * 90 {
		at := tuesday(t).Add(time.Duration(h) * time.Hour)
		if city.Rain(at) > 0 {
			wet++
		}
		for i := range city.Len() {
			lowest = min(lowest, city.level(i, at))
		}
	}
	if wet < 50 || wet > 500 {
		t.Errorf("it rained in %v of %d hours", wet, 24*90)
	}
	if lowest > 1500 || lowest < 0 {
		t.Errorf("in a spring no pit rose above %d mm under its cover", lowest)
	}
}

func TestStreetsFollowTheirHours(t *testing.T) {
	cfg := CityConfig{Seed: 11, Parts: []Part{{Model: "netvox/r719a", Count: 300, Envelope: Native, Interval: 1000 * time.Hour, Place: Place{Type: "office"}}}}
	synctest.Test(t, func(t *testing.T) {
		out := newRecorder(true)
		cfg.Sink, cfg.Clock = out, NewClock(tuesday(t), 600)
		city, err := NewCity(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour/600)
		defer cancel()
		if err := city.Run(ctx); err != nil {
			t.Fatal(err)
		}
		byHour := map[int]int{}
		for _, m := range out.all {
			byHour[m.At.In(city.zone).Hour()]++
		}
		if byHour[8] < 5*byHour[3]+20 || byHour[8] < 2*byHour[19] {
			t.Errorf("edges by hour %v: want a morning peak, and quiet nights", byHour)
		}
	})
}
