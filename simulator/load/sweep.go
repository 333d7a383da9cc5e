// Package load offers frames to a gateway at a steady rate, whatever the gateway does, and
// says at what rate it bends; and what another program takes for the same frames.
package load

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// Step is one rate, held for a while.
type Step struct {
	Offered   float64           `json:"offered_per_s"`
	Seconds   float64           `json:"seconds"`
	Sent      uint64            `json:"sent"`  // handed over
	Acked     uint64            `json:"acked"` // in the end
	PerSecond float64           `json:"acked_per_s"`
	Latency   simulator.Latency `json:"due_to_acknowledged_ms"`
	Backlog   uint64            `json:"backlog"` // due and not acknowledged when the time was up
	Waiting   uint64            `json:"waiting"` // acknowledged, and not yet processed by the gateway, when the time was up
	Refused   uint64            `json:"refused"`
	Ledger    Ledger            `json:"ledger"` // of this step alone
	CPUEach   float64           `json:"gateway_cpu_us_a_frame"`
	Cores     float64           `json:"gateway_cores"`
	LoadCores float64           `json:"load_cores"`
	Machine   float64           `json:"machine_cores_busy"`
	Memory    float64           `json:"gateway_bytes"`
	Left      string            `json:"left,omitempty"` // how it left the line; "": within
	Again     bool              `json:"again,omitempty"`
}

// Line is what a step has to keep to count as held.
type Line struct {
	P99     time.Duration // from when a frame was due to its acknowledgement
	Backlog time.Duration // frames that are due or wait in the gateway when the step ends, as time at the rate offered
}

// DefaultLine is that of `gridsim bench`.
func DefaultLine() Line { return Line{P99: 250 * time.Millisecond, Backlog: time.Second} }

// String says the rule to a person.
func (l Line) String() string {
	return fmt.Sprintf("a rate is held if p99 from due to acknowledged is at most %v, no more than %v of frames wait at the step's end (due and unacknowledged, or in the gateway), and the ledger balances; a step that is not is tried once more",
		l.P99, l.Backlog)
}

// Left says in what s has left the line; "" is within.
func (l Line) Left(s *Step) string {
	most := s.Offered * l.Backlog.Seconds()
	var why []string
	if p99 := time.Duration(s.Latency.P99 * float64(time.Millisecond)); p99 > l.P99 {
		why = append(why, fmt.Sprintf("p99 is %v", p99.Round(time.Millisecond)))
	}
	if float64(s.Backlog) > most {
		why = append(why, fmt.Sprintf("%d frames are due and not acknowledged", s.Backlog))
	}
	if float64(s.Waiting) > most {
		why = append(why, fmt.Sprintf("%d frames wait in the gateway", s.Waiting))
	}
	if s.Refused > 0 {
		why = append(why, fmt.Sprintf("%d are refused", s.Refused))
	}
	if !s.Ledger.Balanced {
		why = append(why, "the ledger does not balance")
	}
	return strings.Join(why, ", ")
}

// Sweep goes up in steps until two in a row at the same rate leave the line, and then
// looks closer between the last rate that was held and that.
type Sweep struct {
	From   float64 // frames a second
	Step   float64 // added from step to step; 0: times Factor
	Factor float64
	Most   float64 // no step is above it; 0: none
	Refine int     // halvings between held and not held
	Line   Line
	// Hold offers a rate and says what came of it. An error ends the sweep.
	Hold func(ctx context.Context, rate float64) (Step, error)
	Told func(Step) // each step when it is over; nil: nobody
}

// Knee is what a sweep has found.
type Knee struct {
	Rule  string  `json:"rule"`
	Held  float64 `json:"held_per_s"` // the highest offered rate that was held; 0: not even the first
	Left  float64 `json:"left_per_s"` // the lowest that was not; 0: none was reached
	Why   string  `json:"why"`        // how it left the line there
	Steps []Step  `json:"steps"`
}

func (s *Sweep) check() error {
	switch {
	case !(s.From > 0):
		return grid.Errorf(grid.Invalid, "first rate is %g: want more than 0", s.From)
	case !(s.Step > 0) && !(s.Factor > 1):
		return grid.Errorf(grid.Invalid, "step is %g: want a number of frames a second, or a factor such as x1.5", s.Step)
	}
	return nil
}

// mostSteps end a sweep that finds nothing.
const mostSteps = 200

// Run finds the knee.
func (s *Sweep) Run(ctx context.Context) (k Knee, err error) {
	if err := s.check(); err != nil {
		return k, err
	}
	k.Rule = s.Line.String()
	for rate := s.From; len(k.Steps) < mostSteps; rate = s.next(rate) {
		if s.Most > 0 && rate > s.Most {
			return k, nil
		}
		held, err := s.hold(ctx, &k, rate)
		if err != nil {
			return k, err
		}
		if !held {
			break
		}
	}
	if k.Left == 0 || k.Held == 0 {
		return k, nil
	}
	for range s.Refine {
		rate := math.Round((k.Held + k.Left) / 2)
		if rate <= k.Held || rate >= k.Left {
			break
		}
		if _, err := s.hold(ctx, &k, rate); err != nil {
			return k, err
		}
	}
	return k, nil
}

func (s *Sweep) next(rate float64) float64 {
	if s.Step > 0 {
		return rate + s.Step
	}
	return math.Round(rate * s.Factor)
}

// hold tries a rate, and once more if it is not held: a machine may stumble for itself.
func (s *Sweep) hold(ctx context.Context, k *Knee, rate float64) (held bool, err error) {
	for again := range 2 {
		step, err := s.Hold(ctx, rate)
		if err != nil {
			return false, err
		}
		step.Offered, step.Again = rate, again == 1
		step.Left = s.Line.Left(&step)
		k.Steps = append(k.Steps, step)
		if s.Told != nil {
			s.Told(step)
		}
		if step.Left == "" {
			k.Held = max(k.Held, rate)
			return true, nil
		}
		k.Why = step.Left
	}
	k.Left = rate
	return false, nil
}

// at is the step by which a rate was held.
func (k *Knee) at(rate float64) *Step {
	for i := range k.Steps {
		if s := &k.Steps[i]; s.Offered == rate && s.Left == "" {
			return s
		}
	}
	return nil
}

// Limit says in a sentence what the machine did at the knee: which part took its processors.
func (k *Knee) Limit(cores int) string {
	s := k.at(k.Held)
	if s == nil {
		return ""
	}
	others := max(0, s.Machine-s.Cores-s.LoadCores)
	said := fmt.Sprintf("there the gateway takes %.2f cores of %d, the load %.2f, all else (InfluxDB, broker, others on this machine) %.2f", s.Cores, cores, s.LoadCores, others)
	if s.Machine >= 0.9*float64(cores) {
		return said + ": the processors are full"
	}
	return said + ": the processors are not what limits"
}

// Said is the last line for a person.
func (k *Knee) Said() string {
	switch {
	case k.Held == 0:
		return fmt.Sprintf("Not even %.0f frames a second are held: %s.", k.Left, k.Why)
	case k.Left == 0:
		return fmt.Sprintf("%.0f frames a second are held, and more was not tried.", k.Held)
	}
	s := k.at(k.Held)
	return fmt.Sprintf("%.0f frames a second are held (p99 %.0f ms, %.1f µs of the gateway's processor time each); at %.0f %s.", k.Held, s.Latency.P99, s.CPUEach, k.Left, k.Why)
}

// Head and Row are the table of steps.
const Head = "| offered/s | acked/s | p50 ms | p90 | p99 | p99.9 | max | backlog | waiting | CPU µs a frame | gateway cores | load | machine | MB | ledger | |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"

// Row of the table.
func (s *Step) Row() string {
	l := s.Latency
	ledger := fmt.Sprintf("%d = %d", s.Ledger.Accepted, s.Ledger.Processed)
	if s.Ledger.Duplicate > 0 {
		ledger += fmt.Sprintf(" + %d duplicate", s.Ledger.Duplicate)
	}
	if rest := s.Ledger.Ignored + s.Ledger.Quarantined + s.Ledger.Discarded; rest > 0 {
		ledger += fmt.Sprintf(" + %d other", rest)
	}
	verdict := "held"
	if s.Left != "" {
		verdict = "**left**: " + s.Left
	}
	if s.Again {
		verdict += " (again)"
	}
	return fmt.Sprintf("| %.0f | %.0f | %.1f | %.1f | %.1f | %.1f | %.1f | %d | %d | %.1f | %.2f | %.2f | %.2f | %.0f | %s | %s |",
		s.Offered, s.PerSecond, l.P50, l.P90, l.P99, l.P999, l.Max, s.Backlog, s.Waiting, s.CPUEach, s.Cores, s.LoadCores, s.Machine, s.Memory/1e6, ledger, verdict)
}
