package state

import (
	"path/filepath"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestCasesLikeADraftAreOpenOfItsEventAndDistrictOrOfItsPoint(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	b := &Batch{Points: []grid.Point{{ID: "P1", Kind: grid.Manhole, Lon: 121.1, Lat: 31.1, Mode: grid.Live}}}
	for id, change := range map[string]func(*grid.Ticket){
		"same":             func(tk *grid.Ticket) { tk.Point = "" },
		"here":             func(tk *grid.Ticket) { tk.Type, tk.Opened = grid.EventManholeTilted, t0.Add(-99*time.Hour) },
		"ended":            func(tk *grid.Ticket) { tk.State = grid.TicketClosed },
		"too old":          func(tk *grid.Ticket) { tk.Point, tk.Opened = "", t0.Add(-3*time.Hour) },
		"another district": func(tk *grid.Ticket) { tk.Point, tk.Scope = "", neighbour },
		"another event":    func(tk *grid.Ticket) { tk.Point, tk.Type = "P2", grid.EventManholeTilted },
	} {
		tk := grid.Ticket{ID: id, Type: grid.EventManholeOpen, Point: "P1", Alarm: "a-" + id, Scope: yuyuan, Mode: grid.Live, State: grid.TicketFiled, Opened: t0}
		change(&tk)
		b.Tickets = append(b.Tickets, tk)
	}
	commit(t, s, b)
	near, err := s.CasesLike(t.Context(), Case{Type: "manhole.open", Point: "P1", Opened: t0}, yuyuan.District, 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, c := range near {
		got[c.Ticket] = true
	}
	if len(near) != 2 || !got["same"] || !got["here"] {
		t.Errorf("like it are %v: want the same event in the district, and what is open at its point", got)
	}
}
