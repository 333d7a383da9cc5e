package alarm

import (
	"errors"
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// StateWord says how an episode stands, after ISA-18.2.
type StateWord string

const (
	Normal     StateWord = "NORMAL"      // returned, and somebody had seen it
	Unack      StateWord = "UNACK"       // active, and nobody has said that they know
	Acked      StateWord = "ACK"         // active, and a person has it in hand
	RtnUnack   StateWord = "RTN_UNACK"   // returned before anybody saw it
	LatchedRtn StateWord = "LATCHED_RTN" // the same, and it stays in the queue until somebody does
)

// State is how an episode stands.
func State(a *grid.Alarm) StateWord {
	switch {
	case a.Active && a.Acked:
		return Acked
	case a.Active:
		return Unack
	case a.Acked:
		return Normal
	case a.Latch:
		return LatchedRtn
	}
	return RtnUnack
}

// Policy is how operators are asked for their eye: as data, in the rule file.
type Policy struct {
	acknowledge [5]time.Duration // by priority; zero: it does not expire
	flood       Flood
	health      Health
}

// AckFor is how long an acknowledgement of a priority holds while the alarm stays active;
// zero: for as long as it does.
func (p *Policy) AckFor(of grid.Priority) time.Duration {
	if int(of) >= len(p.acknowledge) {
		return 0
	}
	return p.acknowledge[of]
}

// Flood is when an operator's queue is grouped.
func (p *Policy) Flood() Flood { return p.flood }

// Health is what counts as chattering, fleeting and stale.
func (p *Policy) Health() Health { return p.health }

// Acknowledge gives the episode after a person has said that they know of it. It holds until
// AckUntil while the alarm is active; the clocks of its ticket run on.
func (p *Policy) Acknowledge(a grid.Alarm, by, comment string, now time.Time) grid.Alarm {
	a.Acked, a.AckedBy, a.AckedAt, a.AckUntil = true, by, now, time.Time{}
	if comment != "" {
		a.Comment = comment
	}
	if d := p.AckFor(a.Priority); a.Active && d > 0 {
		a.AckUntil = now.Add(d)
	}
	return a
}

// Seen is one alarm that a person acknowledges, with the revision that they were shown.
type Seen struct {
	ID       string `json:"id"`
	Revision int    `json:"revision"`
}

// Refused is one alarm that was not acknowledged, and why.
type Refused struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// AckedAll is what became of an acknowledgement of many.
type AckedAll struct {
	Acked   []grid.Alarm `json:"acked"`
	Refused []Refused    `json:"refused"`
}

// MaxAck is how many alarms one acknowledgement may name.
const MaxAck = 1000

// AckExpires says when the acknowledgement of an episode ends by itself; zero: it does not.
func AckExpires(a *grid.Alarm) time.Time {
	if !a.Active || !a.Acked {
		return time.Time{}
	}
	return a.AckUntil
}

// AskAgain takes the acknowledgement off: something has happened that a person has not seen.
// Who had acknowledged before is still told.
func AskAgain(a *grid.Alarm) {
	a.Acked, a.AckUntil = false, time.Time{}
	a.Revision++
}

func (y *fileYAML) policy() (p Policy, err error) {
	for word, d := range y.Acknowledge {
		of, ok := priorityOf(word)
		if !ok || d <= 0 {
			return p, fmt.Errorf("acknowledge.%s is %s: want P1, P2, P3 or P4, and more than 0s", word, d)
		}
		p.acknowledge[of] = d
	}
	for of := grid.Priority(1); y.Acknowledge != nil && of <= 4; of++ {
		if p.acknowledge[of] == 0 {
			return p, fmt.Errorf("acknowledge.%s is missing: want how long an acknowledgement holds", of)
		}
	}
	if y.Flood != nil {
		p.flood = *y.Flood
		if err := p.flood.check(); err != nil {
			return p, err
		}
	}
	if y.Health != nil {
		p.health = *y.Health
		err = p.health.check()
	}
	return p, err
}

func priorityOf(word string) (grid.Priority, bool) {
	for of := grid.Priority(1); of <= 4; of++ {
		if of.String() == word {
			return of, true
		}
	}
	return 0, false
}

// checkLatch refuses to keep in the queue what no person would ever take out of it.
func (r *Rule) checkLatch() error {
	if r.Latch && (r.Moment || !r.Ticket) {
		return errors.New("latch is true for what calls nobody: want it only with a ticket, a person has to acknowledge it")
	}
	return nil
}
