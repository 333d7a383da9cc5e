//go:build unix

package figures_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/figures"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// BenchmarkBoard makes the board of a month with 200,000 tickets and as many alarms by
// street, alone and compared with a month before that had as many.
func BenchmarkBoard(b *testing.B) {
	s := must[*state.Store](b)(state.Open(b.Context(), filepath.Join(b.TempDir(), "state.db"), nil))
	b.Cleanup(func() { _ = s.Close() })
	const month, months = 200_000, 2
	start := at(b, "10-01 00:00")
	const step = 30 * 24 * time.Hour / month
	for n := 0; n < months*month; {
		bt := &state.Batch{}
		for range 2000 {
			n++
			opened := start.Add(time.Duration(n) * step)
			id := fmt.Sprintf("T%08d", n)
			street := fmt.Sprintf("3101050%02d", n%10)
			scope := grid.Scope{District: "310105", Street: street, Community: street + "001", Compound: fmt.Sprint("c-", n%300)}
			bt.Tickets = append(bt.Tickets, grid.Ticket{
				ID: id, Type: grid.EventManholeTilted, Priority: 3, Mode: grid.Live, Point: fmt.Sprint("P", n%20000), Scope: scope, Cell: street + "001001", Alarm: "A" + id,
				State: grid.TicketClosed, Verification: grid.VerifiedTrue, Opened: opened, Resolved: opened.Add(time.Hour), Closed: opened.Add(2 * time.Hour), Due: opened.Add(4 * time.Hour),
				Assignments: []grid.Assignment{{ID: id + ".1", Unit: fmt.Sprint("u-", n%20), Lead: true}},
				Clocks:      []grid.Clock{{Name: "handle", Started: opened, Due: opened.Add(2 * time.Hour), Stopped: opened.Add(time.Hour)}},
			})
			for i, m := range []struct {
				verb     string
				from, to grid.TicketState
			}{{"file", "reported", "filed"}, {"dispatch", "filed", "dispatched"}, {"accept", "dispatched", "accepted"}, {"arrive", "accepted", "in_progress"}, {"close", "checking", "closed"}} {
				bt.Moves = append(bt.Moves, grid.MoveRecord{Ticket: id, N: i, Verb: m.verb, From: m.from, To: m.to, Assignment: id + ".1", At: opened.Add(time.Duration(i*(1+n%7)) * time.Minute)})
			}
			bt.Events = append(bt.Events, grid.Event{
				ID: "E" + id, Type: grid.EventManholeTilted, Kind: grid.KindAlarm, Action: "raised", Point: fmt.Sprint("P", n%20000), Priority: 3, Mode: grid.Live, Scope: scope,
				Cell: street + "001001", At: opened, Received: opened, Alarm: "A" + id, Ticket: id, Frame: "bulk/1/123456", Signal: "manhole.tilt", Profile: "milesight/em310-tilt@1",
			})
		}
		if err := s.Commit(b.Context(), bt); err != nil {
			b.Fatal(err)
		}
	}
	r := builtIn(b)
	for _, compare := range []bool{false, true} {
		b.Run(fmt.Sprint("compare=", compare), func(b *testing.B) {
			began := used(b)
			for b.Loop() {
				board := must[figures.Board](b)(r.Board(b.Context(), s, figures.Ask{Period: figures.Custom, Since: start.AddDate(0, 0, 30), Until: start.AddDate(0, 0, 60), By: "street", Compare: compare}, start.AddDate(0, 0, 70)))
				if f := figure(b, board.Whole, "reported"); f.Numerator < month-1 {
					b.Fatalf("%v reported", f.Numerator)
				}
			}
			b.ReportMetric(float64((used(b)-began)/time.Millisecond)/float64(b.N), "cpu-ms/op")
		})
	}
}

// used is the processor time of this process: on a busy machine it says more than the clock.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
