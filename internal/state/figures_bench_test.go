package state

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// A month of 200,000 tickets out of three, as one board reads it.
func BenchmarkFigureTickets(b *testing.B) {
	s := benchStore(b)
	const month, months = 200_000, 3
	streets := []string{"310105001", "310105002", "310105004", "310105005", "310105006", "310105008", "310105009", "310105010", "310105011", "310105102"}
	for n := 0; n < months*month; {
		bt := &Batch{}
		for range 2000 {
			n++
			at := t0.Add(time.Duration(n) * (30 * 24 * time.Hour / month))
			t := grid.Ticket{
				ID: fmt.Sprintf("T%08d", n), Case: fmt.Sprintf("%08d", n), Type: grid.EventManholeTilted, Priority: 3, Mode: grid.Live, Point: fmt.Sprintf("P%05d", n%20000),
				Scope: grid.Scope{District: "310105", Street: streets[n%10], Community: streets[n%10] + "001", Compound: fmt.Sprintf("c-%d", n%300)}, Cell: streets[n%10] + "001001",
				Device: grid.Identity(fmt.Sprintf("eui:%016x", n%20000)), State: grid.TicketClosed, Verification: grid.VerifiedTrue, Opened: at, Resolved: at.Add(time.Hour), Closed: at.Add(2 * time.Hour),
				Due: at.Add(4 * time.Hour), Assignments: []grid.Assignment{{ID: fmt.Sprintf("T%08d.1", n), Unit: fmt.Sprintf("u-%d", n%20), Lead: true}},
				Clocks: []grid.Clock{{Name: "handle", Started: at, Due: at.Add(2 * time.Hour), Stopped: at.Add(time.Hour)}},
			}
			bt.Tickets = append(bt.Tickets, t)
			bt.Moves = append(bt.Moves, grid.MoveRecord{Ticket: t.ID, N: 1, Verb: "file", To: grid.TicketFiled, At: at})
		}
		if err := s.Commit(b.Context(), bt); err != nil {
			b.Fatal(err)
		}
	}
	from := t0.AddDate(0, 0, 30)
	for b.Loop() {
		n := 0
		if err := s.FigureTickets(b.Context(), grid.FigureQuery{Since: from, Until: from.AddDate(0, 0, 30)}, func(*grid.TicketMarks) { n++ }); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n), "tickets")
	}
}
