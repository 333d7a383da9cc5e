package state

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAFileTellsWhichProgramsWorkedOnIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openTest(t, path)
	first := Program{At: t0, Program: "1", Found: 0, Schema: 24}
	for _, p := range []Program{first, {At: t0.Add(1), Program: "1", Found: 24, Schema: 24}, {At: t0.Add(2), Program: "2", Found: 24, Schema: 24}} {
		if err := NoteProgram(t.Context(), path, p); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Programs(t.Context())
	if want := []Program{{At: t0.Add(2), Program: "2", Found: 24, Schema: 24}, first}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("programs are %+v, %v: want %+v", got, err, want)
	}
}

// Two steps that were written at a time may come in either order: a file that has had a later
// one gets the earlier one too.
func TestAStepThatWasLeftOutIsMadeUpFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := openTest(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	outside(t, path, "DROP TABLE programs", "DELETE FROM goose_db_version WHERE version_id = 24", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (23, 1)")
	s, err := SchemaOf(t.Context(), path)
	if err != nil || s.Pending != 1 {
		t.Fatalf("schema is %+v, %v: want one step to go", s, err)
	}
	if _, err := OpenReadOnly(t.Context(), path, nil); err == nil {
		t.Error("a file with a step to go is read")
	}
	var told [][2]int
	if err := Migrate(t.Context(), path, func(done, of int) { told = append(told, [2]int{done, of}) }); err != nil {
		t.Fatal(err)
	}
	if want := [][2]int{{0, 1}, {1, 1}}; !cmp.Equal(told, want) {
		t.Errorf("told %v: want %v", told, want)
	}
	if err := NoteProgram(t.Context(), path, Program{At: t0, Program: "1"}); err != nil {
		t.Error(err)
	}
}

// The sum of a table changes with any value in it, and with nothing else.
func TestTheSumOfATableIsThatOfItsRows(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := openTest(t, path)
	commit(t, s, everything())
	sums := func(path string) map[string]Rows {
		t.Helper()
		d, err := DigestOf(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return d.Tables
	}
	before := sums(path)
	copied := filepath.Join(dir, "copy.db")
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, sums(copied)); d != "" || before["tickets"].Rows != 1 {
		t.Errorf("a copy has other sums: %s", d)
	}
	outside(t, copied, "UPDATE tickets SET priority = priority + 1")
	after := sums(copied)
	if after["tickets"] == before["tickets"] || after["moves"] != before["moves"] {
		t.Errorf("tickets are %+v after a change, moves %+v", after["tickets"], after["moves"])
	}
}
