package state

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

func TestSeatsAndHandoversComeBackWholeAndInScope(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	ctx := t.Context()
	seat, h := filled[grid.Seat](), filled[grid.Handover]()
	seat.Scope, h.Scope = yuyuan, yuyuan
	b := &Batch{Seats: []grid.Seat{seat}, Handovers: []grid.Handover{h}}
	commit(t, s, b)
	commit(t, s, b) // an upsert of the same changes nothing
	seats, err := s.Seats(ctx)
	if d := cmp.Diff(b.Seats, seats); err != nil || d != "" {
		t.Errorf("seats: %v\n%s", err, d)
	}
	got, err := s.Handover(ctx, h.ID)
	if d := cmp.Diff(h, got); err != nil || d != "" {
		t.Errorf("handover: %v\n%s", err, d)
	}
	open, half := h, h
	open.ID, open.Outgoing, open.Incoming, open.Made = "open", nil, nil, h.Made.Add(2)
	half.ID, half.Incoming, half.Made = "half", nil, h.Made.Add(1)
	half.Scope = neighbour
	commit(t, s, &Batch{Handovers: []grid.Handover{open, half}})
	for _, c := range []struct {
		q    Query
		want []string
	}{
		{Query{}, []string{"open", "half", h.ID}},
		{Query{State: "unsigned"}, []string{"open", "half"}},
		{Query{State: "signed"}, []string{h.ID}},
		{Query{State: "half"}, []string{"half"}},
		{Query{Scope: yuyuan}, []string{"open", h.ID}},
	} {
		if got, err := ids(s.ListHandovers, func(h grid.Handover) string { return h.ID })(ctx, c.q); err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%+v: %v, %v: want %v", c.q, got, err, c.want)
		}
	}
}
