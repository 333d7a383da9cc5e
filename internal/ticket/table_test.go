package ticket

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

var update = flag.Bool("update", false, "write testdata/moves.golden anew")

var everyState = []grid.TicketState{
	grid.TicketReported, grid.TicketVerifying, grid.TicketFiled, grid.TicketDispatched, grid.TicketAccepted,
	grid.TicketInProgress, grid.TicketSuspended, grid.TicketReturned, grid.TicketResolved, grid.TicketChecking,
	grid.TicketRework, grid.TicketClosed, grid.TicketNotFiled, grid.TicketMerged, grid.TicketCancelled, grid.TicketForcedClose,
}

var everyRole = []grid.Role{grid.RoleUnit, grid.RoleOperator, grid.RoleSupervisor, grid.RoleSystem}

// inState is a ticket that stands in a state, with its lead where it stands then.
func inState(s grid.TicketState) grid.Ticket {
	tk := grid.Ticket{ID: "T", Type: grid.EventDoorHeldOpen, Priority: 3, Scope: street, State: s, Verification: grid.Unverified, Opened: t0, Alarm: "A1",
		Tasks: []grid.Task{{N: 1, Kind: grid.TaskDecide, Text: "decide", Opened: t0}},
		Asked: &grid.Asked{Verb: grid.VerbForceClose, By: grid.Actor{Role: grid.RoleSupervisor, Name: "another"}, At: at(0)}}
	lead := grid.Assignment{ID: "T.1", Ticket: "T", Unit: "property", Lead: true, Tier: 2, Attempt: 1, State: s}
	switch s {
	case grid.TicketReported, grid.TicketVerifying, grid.TicketFiled, grid.TicketNotFiled:
		return tk
	case grid.TicketChecking, grid.TicketClosed, grid.TicketRework, grid.TicketForcedClose:
		lead.State = grid.TicketResolved
	case grid.TicketMerged:
		lead.State = grid.TicketCancelled
	}
	tk.Assignments = []grid.Assignment{lead}
	return tk
}

// whole is a move with everything that any verb may need.
func whole(v grid.Verb, r grid.Role, f grid.Verification) grid.Move {
	m := grid.Move{Verb: v, At: at(minute), By: grid.Actor{Role: r, Name: "someone"}, Finding: f, Reason: "because", Unit: "urban",
		Into: "T2", Alarm: "A2", Task: 1, Source: "a name", OnSite: true, Evidence: "photo", Until: at(time.Hour)}
	if r == grid.RoleUnit {
		m.By.Unit = "property"
	}
	return m
}

// TestMovesAreThoseOfTheTable tries every verb in every state by every role and compares
// the outcome with a table for people to read: testdata/moves.golden.
func TestMovesAreThoseOfTheTable(t *testing.T) {
	var out bytes.Buffer
	fmt.Fprintln(&out, "What comes of each move, by the state of the ticket and the role of the mover. The move")
	fmt.Fprintln(&out, "has all it may need; the ticket is P3 and its sensor calm; a unit is the lead's.")
	fmt.Fprintln(&out, "  → state   the ticket is in that state afterwards     ok    done, the state stays")
	fmt.Fprintln(&out, "  same      it is so already: nothing changes          -     conflict: not from here")
	fmt.Fprintln(&out, "  no        forbidden to this role")
	p := builtIn(t, grid.EventDoorHeldOpen)
	for _, v := range verbs() {
		findings := []grid.Verification{""}
		if v == grid.VerbVerify {
			findings = []grid.Verification{grid.VerifiedTrue, grid.VerifiedFalse, grid.VerifiedUnable}
		}
		for _, f := range findings {
			fmt.Fprintf(&out, "\n%-14s %-14s %-14s %-14s %-14s\n", strings.TrimSpace(fmt.Sprint(v, " ", f)), "unit", "operator", "supervisor", "system")
			for _, s := range everyState {
				row := fmt.Sprintf("  %-12s", s)
				for _, r := range everyRole {
					row += fmt.Sprintf(" %-14s", outcome(t, p, s, whole(v, r, f)))
				}
				fmt.Fprintln(&out, strings.TrimRight(row, " "))
			}
		}
	}
	const golden = "testdata/moves.golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if i >= len(gotLines) || i >= len(wantLines) || gotLines[i] != wantLines[i] {
			t.Fatalf("line %d of the table of moves has changed (go test -update writes it anew):\n got %q\nwant %q", i+1, lineOf(gotLines, i), lineOf(wantLines, i))
		}
	}
}

func lineOf(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(no such line)"
}

func outcome(t *testing.T, p *Plan, s grid.TicketState, m grid.Move) string {
	t.Helper()
	tk := inState(s)
	r, err := Apply(&tk, m, p, Context{Units: units, Episodes: []string{"A1", "A2"}})
	switch {
	case err != nil && (r.Changed || tk.State != s || tk.Moves != 0):
		t.Errorf("%s in %s: refused and yet changed", m.Verb, s)
	case err == nil && r.Changed != (len(r.Moves) > 0):
		t.Errorf("%s in %s: changed is %v with %d lines", m.Verb, s, r.Changed, len(r.Moves))
	}
	switch grid.CodeOf(err) {
	case grid.Conflict:
		return "-"
	case grid.Forbidden:
		return "no"
	}
	switch {
	case err != nil:
		t.Errorf("%s in %s by %s: %v", m.Verb, s, m.By.Role, err)
		return "error"
	case !r.Changed:
		return "same"
	case tk.State != s:
		return "→ " + string(tk.State)
	}
	return "ok"
}

func TestEveryLineOfTheTableIsWhole(t *testing.T) {
	for i, e := range table {
		if e.do == nil || len(e.who) == 0 || len(e.from) == 0 {
			t.Errorf("line %d (%s) has no effect, role or state", i, e.verb)
		}
		for _, other := range table[:i] {
			if other.verb != e.verb {
				continue
			}
			if other.of != e.of || !slices.Equal(other.who, e.who) {
				t.Errorf("%s has lines of different subjects or roles", e.verb)
			}
			for _, s := range e.from {
				if slices.Contains(other.from, s) {
					t.Errorf("%s from %s stands in two lines", e.verb, s)
				}
			}
		}
	}
	for _, v := range []grid.Verb{grid.VerbVerify, grid.VerbAccept, grid.VerbArrive, grid.VerbResolve, grid.VerbReturn, grid.VerbSuspend, grid.VerbResume,
		grid.VerbConfirm, grid.VerbAssign, grid.VerbCancel, grid.VerbForceClose, grid.VerbMerge, grid.VerbSplit, grid.VerbDone, grid.VerbNote} {
		if !slices.Contains(verbs(), v) {
			t.Errorf("%s is not in the table", v)
		}
	}
}

// Each need of a line, left out, makes the move invalid and changes nothing.
func TestWhatIsMissingIsNamed(t *testing.T) {
	for _, c := range []struct {
		verb  grid.Verb
		state grid.TicketState
		role  grid.Role
		strip func(*grid.Move)
		want  string
	}{
		{grid.VerbVerify, grid.TicketDispatched, grid.RoleOperator, func(m *grid.Move) { m.Finding = "" }, `finding is "": want true, false or unable`},
		{grid.VerbAccept, grid.TicketDispatched, grid.RoleOperator, func(m *grid.Move) { m.Source = "" }, "source is missing: want who said so, to accept for property"},
		{grid.VerbReturn, grid.TicketDispatched, grid.RoleUnit, func(m *grid.Move) { m.Reason = "" }, "reason is missing: want one for return"},
		{grid.VerbReturn, grid.TicketDispatched, grid.RoleUnit, func(m *grid.Move) { m.Unit = "" }, `unit is "": want the unit you propose instead of property`},
		{grid.VerbSuspend, grid.TicketInProgress, grid.RoleOperator, func(m *grid.Move) { m.Until = m.At }, "want the end of the suspension, after now"},
		{grid.VerbConfirm, grid.TicketChecking, grid.RoleUnit, func(m *grid.Move) { m.OnSite = false }, "on_site is false: want a person on site to confirm"},
		{grid.VerbConfirm, grid.TicketChecking, grid.RoleUnit, func(m *grid.Move) { m.Evidence, m.Reason = "", "" }, "want a photo or a word"},
		{grid.VerbAssign, grid.TicketFiled, grid.RoleOperator, func(m *grid.Move) { m.Unit = "nosuch" }, `unit is "nosuch": want a registered unit`},
		{grid.VerbForceClose, grid.TicketFiled, grid.RoleSupervisor, func(m *grid.Move) { m.Reason = "" }, "reason is missing"},
		{grid.VerbSplit, grid.TicketFiled, grid.RoleOperator, func(m *grid.Move) { m.Alarm = "A1" }, `alarm is "A1": want an episode that joined`},
		{grid.VerbDone, grid.TicketFiled, grid.RoleOperator, func(m *grid.Move) { m.Reason = "" }, "reason is missing: want what was decided on task 1"},
		{grid.VerbMerge, grid.TicketFiled, grid.RoleOperator, func(m *grid.Move) { m.Into = "T" }, `into is "T": want the ticket of the same cause`},
		{grid.VerbNote, grid.TicketFiled, grid.RoleOperator, func(m *grid.Move) { m.Reason = "" }, "reason is missing"},
		{grid.VerbNote, grid.TicketFiled, grid.RoleOperator, func(m *grid.Move) { m.Ticket = "other" }, `ticket is "other": want T`},
		{"explode", grid.TicketFiled, grid.RoleOperator, func(*grid.Move) {}, `verb is "explode": want one of verify, accept`},
	} {
		tk := inState(c.state)
		m := whole(c.verb, c.role, grid.VerifiedTrue)
		c.strip(&m)
		_, err := Apply(&tk, m, builtIn(t, grid.EventDoorHeldOpen), Context{Units: units, Episodes: []string{"A1", "A2"}})
		if grid.CodeOf(err) != grid.Invalid || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want invalid: %s", c.verb, err, c.want)
		}
		if tk.Moves != 0 {
			t.Errorf("%s: refused and yet written down", c.verb)
		}
	}
}
