package gateway

import (
	"strings"
	"testing"

	"gridgate/configs"
	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// balanced is a state and a journal that agree: 10 bulk frames of two sources, 8 of them taken.
func balanced() (state.Progress, journal.Recount) {
	p := state.Progress{
		Cursors: [grid.Lanes]grid.Pos{grid.Bulk: {Lane: grid.Bulk, Epoch: 1, Seq: 8}},
		Ledger: []grid.LedgerRow{
			{Transport: "mqtt", Source: "a", Lane: grid.Bulk, Counts: [grid.Outcomes]int64{grid.Processed: 4, grid.Duplicate: 1}},
			{Transport: "mqtt", Source: "b", Lane: grid.Bulk, Counts: [grid.Outcomes]int64{grid.Quarantined: 3}},
		},
	}
	j := journal.Recount{
		Accepted: map[journal.Source]uint64{
			{Lane: grid.Bulk, Transport: "mqtt", Source: "a"}: 6,
			{Lane: grid.Bulk, Transport: "mqtt", Source: "b"}: 4,
		},
		Heads: [grid.Lanes]grid.Pos{grid.Bulk: {Lane: grid.Bulk, Epoch: 1, Seq: 10}},
	}
	return p, j
}

func TestRecountAgreesWithABalancedLedger(t *testing.T) {
	r := recount(balanced())
	if len(r.Problems) > 0 {
		t.Error(r.Problems)
	}
	if bulk := r.Lanes[grid.Bulk]; bulk != (LaneRecount{Lane: "bulk", Accepted: 10, Ended: 8, Waiting: 2}) {
		t.Errorf("%+v", bulk)
	}
}

func TestRecountFindsEachWayToLoseAFrame(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(*state.Progress, *journal.Recount)
		want   string
	}{
		"counted too little":    {func(p *state.Progress, _ *journal.Recount) { p.Ledger[0].Counts[grid.Processed]-- }, "7 frames ended, but the engine has taken 8"},
		"counted twice":         {func(p *state.Progress, _ *journal.Recount) { p.Ledger[0].Counts[grid.Processed] += 2 }, "accepted 6, the state says 7 ended"},
		"a hole in the journal": {func(_ *state.Progress, j *journal.Recount) { j.Missing[grid.Bulk] = 1 }, "1 sequences are in no segment"},
		"a cursor past the end": {func(p *state.Progress, _ *journal.Recount) { p.Cursors[grid.Bulk].Seq = 12 }, "past the journal's end at 10"},
		"to the wrong source": {func(p *state.Progress, j *journal.Recount) {
			p.Cursors[grid.Bulk].Seq, p.Ledger[0].Counts[grid.Processed] = 10, 6 // nothing waits, the sum is right
		}, "mqtt b: the journal accepted 4, the state says 3 ended"},
	} {
		t.Run(name, func(t *testing.T) {
			p, j := balanced()
			c.damage(&p, &j)
			if r := recount(p, j); !strings.Contains(strings.Join(r.Problems, "\n"), c.want) {
				t.Errorf("found %q, want %q", r.Problems, c.want)
			}
		})
	}
}

func TestDemoRulesAndPlansBelongTogether(t *testing.T) {
	read := func(name string) []byte {
		b, err := configs.FS.ReadFile("demo/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	calendars, err := readCalendars("")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := alarm.Parse("demo/rules.yaml", read("rules.yaml"), calendars)
	if err != nil {
		t.Fatal(err)
	}
	plans, err := ticket.ParsePlans("demo/tickets.yaml", read("tickets.yaml"), calendars)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []grid.Kind{grid.Door, grid.Parking, grid.Manhole, grid.Smoke} {
		list, err := rules.For("", kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			if _, err := plans.For(r.Type); r.Ticket && err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
}
