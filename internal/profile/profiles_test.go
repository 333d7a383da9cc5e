package profile_test

import (
	"os"
	"strings"
	"testing"

	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/profile"
)

func loadAll(t testing.TB) *profile.Set {
	t.Helper()
	set, err := profile.Load(firmwareprofiles.FS)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestEveryProfileMakesOfItsCasesWhatTheySay(t *testing.T) {
	set := loadAll(t)
	results, err := set.RunCases()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.OK {
			t.Errorf("%s: %s: %s", r.Profile, r.Case, r.Reason)
		}
	}
	t.Logf("%d profiles, %d cases", len(set.List()), len(results))
}

// vectorsDir is a folder of published messages that lies beside the repository; it is not part of it.
const vectorsDir = "../../../shared/vectors"

func TestPublishedVectorsDecodeToTheMakersValues(t *testing.T) {
	if _, err := os.Stat(vectorsDir); err != nil {
		t.Skip("no published vectors at ../shared/vectors: skipped")
	}
	results, err := loadAll(t).Vectors(vectorsDir)
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, r := range results {
		switch r.State {
		case profile.VectorFailed:
			t.Errorf("%s %s port %d %s: %s", r.Vendor, r.Model, r.Port, r.Hex, r.Reason)
		case profile.VectorPassed:
			passed++
		}
	}
	if passed == 0 {
		t.Error("no vector passed")
	}
	var table strings.Builder
	if err := profile.WriteVectorTable(&table, results); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &table)
}
