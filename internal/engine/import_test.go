package engine

import (
	"testing"

	"gridgate/internal/grid"
)

// applying is an import whose rows are about to be put.
func applying(t *testing.T, r *rig) grid.Import {
	t.Helper()
	m := must[grid.Import](t)(r.engine.AddImport(t.Context(), grid.Import{Kind: grid.ImportBuildings, State: grid.ImportChecking}, "sheet"))
	m.State, m.Done = grid.ImportApplying, 1
	return must[grid.Import](t)(r.engine.MoveImport(t.Context(), m, "import.apply", grid.Actor{}, grid.ImportChecking))
}

func TestAPieceOfASheetThatAnotherChangeOvertookIsRefused(t *testing.T) {
	r := newRig(t)
	m := applying(t, r)
	piece := grid.ImportPiece{Import: m.ID, From: 1, To: 2, Added: 1, Registry: r.engine.RegistryNo(), Buildings: []grid.Building{{ID: "b-1", Name: "of the sheet", Mode: grid.Live}}}
	if _, err := r.engine.PutBuilding(t.Context(), grid.Building{ID: "b-1", Name: "by hand"}, grid.Act{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.engine.PutImported(t.Context(), piece); grid.CodeOf(err) != grid.Conflict {
		t.Fatalf("a piece that a building overtook: %v, want a conflict", err)
	}
	piece.Registry = r.engine.RegistryNo()
	if m = must[grid.Import](t)(r.engine.PutImported(t.Context(), piece)); m.Done != 2 || m.Added != 1 {
		t.Errorf("made anew: %+v, want it done", m)
	}
	if m = must[grid.Import](t)(r.engine.PutImported(t.Context(), piece)); m.Done != 2 || m.Added != 1 {
		t.Errorf("the same piece again: %+v, want it counted once", m)
	}
}
