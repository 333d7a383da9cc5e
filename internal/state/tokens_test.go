package state

import (
	"path/filepath"
	"testing"

	"gridgate/internal/grid"
)

func TestATokenThatWasFoundOnceIsTheUnitAsItIsNow(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	unit := grid.Unit{ID: "micro", Name: "one", Kind: grid.MicroStation, Tier: 2, Mode: grid.Simulated, Token: "token-of-the-micro-station"}
	commit(t, s, &Batch{Units: []grid.Unit{unit}})
	find := func(token, want string) {
		t.Helper()
		u, err := s.UnitByToken(t.Context(), token)
		if got := u.Name; got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v: want %q", token, got, err, want)
		}
	}
	find(unit.Token, "one")
	find(unit.Token, "one")
	unit.Name = "two"
	commit(t, s, &Batch{Units: []grid.Unit{unit}})
	find(unit.Token, "two")
	old := unit.Token
	unit.Token = "another-token-of-the-station"
	commit(t, s, &Batch{Units: []grid.Unit{unit}})
	find(old, "")
	find(unit.Token, "two")
	find("", "")
}

func TestAUnitThatIsAskedForAloneIsAsItIsNow(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	unit := grid.Unit{ID: "micro", Name: "one", Kind: grid.MicroStation, Tier: 2, Mode: grid.Simulated, Connector: "cap", Settings: map[string]string{"area": "north"}, Secret: "whsec_c2VjcmV0"}
	for _, want := range []string{"one", "two"} {
		unit.Name = want
		commit(t, s, &Batch{Units: []grid.Unit{unit}})
		for range 3 {
			p, err := s.ListUnits(t.Context(), Query{ID: "micro", Limit: 1})
			if err != nil || len(p.Items) != 1 || p.Items[0].Name != want || p.Items[0].Secret != "" || p.Items[0].Settings["area"] != "north" {
				t.Fatalf("%+v, %v: want %s, without its secret", p.Items, err, want)
			}
			p.Items[0].Settings["area"] = "south" // the caller's own
		}
		if p, err := s.ListUnits(t.Context(), Query{ID: "micro", Kind: string(grid.FireUnit), Limit: 1}); err != nil || len(p.Items) != 0 {
			t.Errorf("%+v, %v: want none of another kind", p.Items, err)
		}
	}
	if p, err := s.ListUnits(t.Context(), Query{ID: "nobody", Limit: 1}); err != nil || len(p.Items) != 0 {
		t.Errorf("%+v, %v: want none", p.Items, err)
	}
}

func TestWhatWasReadBeforeUnitsChangedIsNotKept(t *testing.T) {
	var known tokens
	_, round := known.find("h")
	known.forget() // a commit, while another reads
	known.keep("h", grid.Unit{ID: "old"}, round)
	if u, _ := known.find("h"); u != nil {
		t.Errorf("found %q: want nobody", u.ID)
	}
}
