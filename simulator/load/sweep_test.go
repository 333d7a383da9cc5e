package load

import (
	"context"
	"html"
	"strings"
	"testing"
	"time"

	"gridgate/simulator"
)

// bending is a gateway in numbers: it takes so many frames a second, and above it a queue
// grows that every frame waits in.
func bending(takes float64, stumbles map[int]bool) (hold func(context.Context, float64) (Step, error), tried *[]float64) {
	tried = new([]float64)
	return func(_ context.Context, rate float64) (Step, error) {
		n := len(*tried)
		*tried = append(*tried, rate)
		s := Step{Seconds: 10, Acked: uint64(10 * min(rate, takes)), PerSecond: min(rate, takes), Latency: simulator.Latency{P50: 1, P99: 5, Max: 9}, Ledger: Ledger{Balanced: true}}
		if over := 10 * (rate - takes); over > 0 {
			s.Backlog = uint64(over)
			s.Latency.P99 = over / takes * 1000
		}
		if stumbles[n] {
			s.Latency.P99 = 900
		}
		return s, nil
	}, tried
}

func TestTheKneeIsFoundBetweenTheLastRateHeldAndTheFirstThatWasNot(t *testing.T) {
	hold, tried := bending(7300, nil)
	s := Sweep{From: 1000, Step: 1000, Refine: 4, Line: DefaultLine(), Hold: hold}
	k, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// 8000 is tried twice; then 7500 (held: 200 frames a second too many are a p99 of 0.27 s, not held).
	if k.Held > 7300*1.03 || k.Held < 7200 || k.Left <= k.Held || k.Left > 7600 {
		t.Errorf("knee of a gateway that takes 7300: held %.0f, left %.0f after %v", k.Held, k.Left, *tried)
	}
	if !strings.Contains(k.Why, "p99 is") || !strings.Contains(k.Said(), "are held") {
		t.Errorf("said: %s; why: %s", k.Said(), k.Why)
	}
}

func TestAMachineThatStumblesOnceIsTriedAgain(t *testing.T) {
	hold, tried := bending(1e9, map[int]bool{1: true, 3: false})
	s := Sweep{From: 100, Factor: 2, Most: 800, Line: DefaultLine(), Hold: hold}
	k, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if k.Held != 800 || k.Left != 0 || len(*tried) != 5 {
		t.Errorf("held %.0f, left %.0f after %v: want 800 held and 200 tried twice", k.Held, k.Left, *tried)
	}
}

func TestEachWayOfLeavingTheLineIsNamed(t *testing.T) {
	good := func() Step {
		return Step{Offered: 1000, Latency: simulator.Latency{P99: 20}, Backlog: 900, Waiting: 900, Ledger: Ledger{Balanced: true}}
	}
	for want, spoil := range map[string]func(*Step){
		"":                         func(*Step) {},
		"p99 is 251ms":             func(s *Step) { s.Latency.P99 = 251 },
		"1001 frames are due":      func(s *Step) { s.Backlog = 1001 },
		"1001 frames wait":         func(s *Step) { s.Waiting = 1001 },
		"1 are refused":            func(s *Step) { s.Refused = 1 },
		"the ledger does not bala": func(s *Step) { s.Ledger.Balanced = false },
	} {
		s := good()
		spoil(&s)
		if got := DefaultLine().Left(&s); !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("left the line by %q, want %q", got, want)
		}
	}
}

// stalling acknowledges nothing for its first while, and then at once.
type stalling struct {
	until time.Time
	acked func(simulator.Message)
	open  int
}

func (s *stalling) Publish(_ context.Context, m simulator.Message) error {
	if wait := time.Until(s.until); wait > 0 { // like a window that is full
		time.Sleep(wait)
	}
	s.acked(m)
	return nil
}
func (s *stalling) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (s *stalling) Drain(context.Context) error   { return nil }
func (s *stalling) Pending() int                  { return s.open }

func TestAStallIsSeenByEveryFrameThatWasDueInIt(t *testing.T) {
	f, err := NewField(simulator.CoAP, "gridgate/json@coap=40", 40, 1, simulator.Ends{CoAP: "127.0.0.1:9"}, 100)
	if err != nil {
		t.Fatal(err)
	}
	const stall = 400 * time.Millisecond
	f.links = map[simulator.Wire]simulator.Link{simulator.CoAP: &stalling{until: time.Now().Add(stall), acked: func(m simulator.Message) { f.told(m, true) }}}
	d, err := f.Drive(t.Context(), 500, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	// 500 frames, of which 200 were due in the stall: the half of them waited 200 ms and more. Who
	// counts from when a frame could leave sees one slow frame, and a p90 of nothing.
	if d.Sent != 500 || d.Acked != 500 {
		t.Fatalf("%d sent, %d acknowledged, want 500", d.Sent, d.Acked)
	}
	if p90 := time.Duration(d.Latency.P90 * float64(time.Millisecond)); p90 < stall/2 {
		t.Errorf("p90 is %v: the stall of %v is left out", p90, stall)
	}
}

func TestThePageShowsEachStepAndTheKnee(t *testing.T) {
	hold, _ := bending(2500, nil)
	s := Sweep{From: 1000, Step: 1000, Line: DefaultLine(), Hold: hold}
	k, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := WriteHTML(&b, &Result{Wire: simulator.CoAP, Sends: "wires", Devices: 9, Cores: 2, Knee: k, Limits: k.Limit(2)}); err != nil {
		t.Fatal(err)
	}
	page := html.UnescapeString(b.String())
	for _, want := range []string{`class="p99 held"`, `class="p99 left"`, "2000/s", "coap (wires), 9 devices", k.Said()} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(page, "http://") || strings.Contains(page, "https://") {
		t.Error("the page asks something of the network")
	}
}
