// Package verdict says how a scenario ended: what was sent, what the ledger says, each
// expectation with its evidence, and latencies; as JUnit XML and as a page to look at.
package verdict

import (
	"fmt"
	"strings"
	"time"
)

// Text is words for a person, in both languages.
type Text struct {
	ZH string `json:"zh" yaml:"zh"`
	EN string `json:"en" yaml:"en"`
}

// Outcome of an expectation, or of a whole scenario.
type Outcome string

const (
	Met       Outcome = "met"
	NotMet    Outcome = "not_met"
	NotPlayed Outcome = "not_played" // this gateway cannot be made to do it: no word either way
)

// Exit codes of a run.
const (
	ExitMet    = 0
	ExitFailed = 1 // it could not be run
	ExitNotMet = 4
)

// Row is a piece of evidence: one alarm, ticket, delivery, or line of the ledger.
type Row struct {
	ID   string    `json:"id"`
	At   time.Time `json:"at,omitzero"` // city time
	Text string    `json:"text"`
}

// Expectation and what came of it.
type Expectation struct {
	ID       string    `json:"id"`
	Words    Text      `json:"words"`
	Line     int       `json:"line,omitempty"` // in the scenario's file
	Wish     string    `json:"wish"`           // what is looked for, in the scenario's own keys
	From     time.Time `json:"from,omitzero"`  // of its window, city time
	To       time.Time `json:"to,omitzero"`
	Outcome  Outcome   `json:"outcome"`
	Said     Text      `json:"said"`     // what was found
	Evidence []Row     `json:"evidence"` // that meets it
	Against  []Row     `json:"against"`  // that comes near and does not
}

// Wire is what was sent over one wire.
type Wire struct {
	Wire   string `json:"wire"`
	Frames uint64 `json:"frames"`
	Acked  uint64 `json:"acked"`
	Resent uint64 `json:"resent"`
}

// Ledger is the gateway's count, of this run alone.
type Ledger struct {
	Accepted    int64 `json:"accepted"`
	Processed   int64 `json:"processed"`
	Duplicate   int64 `json:"duplicate"`
	Ignored     int64 `json:"ignored"`
	Quarantined int64 `json:"quarantined"`
	Discarded   int64 `json:"discarded"`
	Waiting     int64 `json:"waiting"`
	Lost        int64 `json:"lost_unackable"`
	Balanced    bool  `json:"balanced"`
}

// Minus is the count since an earlier one.
func (l Ledger) Minus(o Ledger) Ledger {
	l.Accepted, l.Processed, l.Duplicate = l.Accepted-o.Accepted, l.Processed-o.Processed, l.Duplicate-o.Duplicate
	l.Ignored, l.Quarantined, l.Discarded = l.Ignored-o.Ignored, l.Quarantined-o.Quarantined, l.Discarded-o.Discarded
	l.Lost -= o.Lost
	return l
}

// The lanes of the timeline, from top to bottom.
const (
	LaneWorld    = "world"
	LaneFaults   = "faults"
	LaneAlarms   = "alarms"
	LaneTickets  = "tickets"
	LaneUnits    = "units"
	LaneOperator = "operator"
)

// Mark is one thing on the timeline; with Until it is a span.
type Mark struct {
	Lane  string    `json:"lane"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
	Who   string    `json:"who,omitempty"` // of the units lane: the unit, which has a row of its own
	Kind  string    `json:"kind"`          // for its shape: smoke, open, P1 … P4, accept, kill, …
	Text  Text      `json:"text"`
	ID    string    `json:"id,omitempty"`
}

// Result is the verdict on one run.
type Result struct {
	Scenario     string        `json:"scenario"`
	Name         Text          `json:"name"`
	About        Text          `json:"about"`
	Seed         uint64        `json:"seed"`
	Speed        float64       `json:"speed"`
	From         time.Time     `json:"from"` // city time
	To           time.Time     `json:"to"`
	Began        time.Time     `json:"began"` // real time
	Took         time.Duration `json:"took_ns"`
	Gateway      string        `json:"gateway"` // "own", or its address
	Version      string        `json:"version"`
	Slack        time.Duration `json:"slack_ns"`         // that windows were widened by, city time: the machine's own delay
	Late         time.Duration `json:"late_ns"`          // by how much gridsim itself was late at its worst, real time
	Before       []Attempt     `json:"before,omitempty"` // the machine was too busy for the scenario's speed: it was played again
	Devices      int           `json:"devices"`
	Outcome      Outcome       `json:"outcome"`
	Expectations []Expectation `json:"expectations"`
	NotPlayed    []Text        `json:"not_played"`
	Trouble      []string      `json:"trouble"` // steps that could not be done: they make it not met
	Sent         []Wire        `json:"sent"`
	Ledger       Ledger        `json:"ledger"`
	Latencies    []Latency     `json:"latencies"`
	Marks        []Mark        `json:"marks"`
}

// Attempt is a run whose verdict says nothing: the machine was too busy for its speed.
type Attempt struct {
	Speed  float64       `json:"speed"`
	Late   time.Duration `json:"late_ns"`
	NotMet []string      `json:"not_met"` // ids of expectations; "trouble" for steps that could not be done
	Said   string        `json:"said"`    // its summary
}

// Words tell of it.
func (a Attempt) Words() Text {
	what := strings.Join(a.NotMet, ", ")
	late := a.Late.Round(time.Millisecond)
	return Text{
		ZH: fmt.Sprintf("先以 %g× 执行：本机最多滞后 %s（真实时间），%s 未符合。在该速度下不能说明问题，故以较慢速度重新执行。", a.Speed, late, what),
		EN: fmt.Sprintf("First played at %g×: this machine was late by up to %s of real time, and %s was not met. At that speed it says nothing, so it was played again, slower.", a.Speed, late, what),
	}
}

// NotMetIDs are the ids of what was not met.
func (r *Result) NotMetIDs() []string {
	var out []string
	for _, e := range r.Expectations {
		if e.Outcome == NotMet {
			out = append(out, e.ID)
		}
	}
	if len(r.Trouble) > 0 {
		out = append(out, "trouble")
	}
	return out
}

// Judge works out the outcome of the whole from its parts.
func (r *Result) Judge() {
	r.Outcome = Met
	for _, e := range r.Expectations {
		if e.Outcome == NotMet {
			r.Outcome = NotMet
		}
	}
	if len(r.Trouble) > 0 {
		r.Outcome = NotMet
	}
}

// ExitCode is the code a program ends with.
func (r *Result) ExitCode() int {
	if r.Outcome == NotMet {
		return ExitNotMet
	}
	return ExitMet
}

// Count counts expectations of an outcome.
func (r *Result) Count(o Outcome) int {
	n := 0
	for _, e := range r.Expectations {
		if e.Outcome == o {
			n++
		}
	}
	return n
}

// Summary is the verdict in a few lines, for a terminal.
func (r *Result) Summary() string {
	word := map[Outcome]string{Met: "met", NotMet: "NOT MET", NotPlayed: "not played"}
	s := fmt.Sprintf("%s: %s  (%d of %d met, %d not, %d not played; %s of the city in %s, %g times as fast, seed %d)\n", r.Scenario, word[r.Outcome],
		r.Count(Met), len(r.Expectations), r.Count(NotMet), r.Count(NotPlayed), r.To.Sub(r.From).Round(time.Second), r.Took.Round(100*time.Millisecond), r.Speed, r.Seed)
	for _, a := range r.Before {
		s += "  before     " + a.Words().EN + "\n"
	}
	for _, e := range r.Expectations {
		if e.Outcome == Met {
			continue
		}
		s += fmt.Sprintf("  %-10s %s (line %d): %s\n             wanted %s\n             %s\n", word[e.Outcome], e.ID, e.Line, e.Words.EN, e.Wish, e.Said.EN)
		for _, row := range e.Against {
			s += fmt.Sprintf("             - %s %s\n", row.ID, row.Text)
		}
	}
	for _, t := range r.Trouble {
		s += "  trouble    " + t + "\n"
	}
	return s
}
