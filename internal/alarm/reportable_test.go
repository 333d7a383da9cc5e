package alarm

import (
	"slices"
	"testing"

	"gridgate/internal/grid"
)

func TestThePosturesSayWhatTheyChange(t *testing.T) {
	rs := builtIn(t)
	all := rs.Effects()
	i := slices.IndexFunc(all, func(p grid.PostureEffects) bool { return p.Name == grid.PostureTyphoon })
	if len(all) != 4 || i < 0 {
		t.Fatalf("effects are of %+v", all)
	}
	j := slices.IndexFunc(all[i].Changes, func(e grid.PostureEffect) bool { return e.Type == grid.EventManholeTilted })
	if j < 0 {
		t.Fatalf("a typhoon changes %+v: want tilted covers", all[i].Changes)
	}
	e := all[i].Changes[j]
	if e.Priority != 2 || e.Own != 3 || e.By != "cell" || e.OnDelayS == nil || *e.OnDelayS != 60 || len(e.OwnS) == 0 || e.TitleZH == "" {
		t.Errorf("a tilted cover in a typhoon is %+v: want P2 for P3, 60 s with what it was, by cell, with its titles", e)
	}
	for _, p := range all {
		for _, e := range p.Changes {
			if ofSmoke(e.Type) {
				t.Errorf("%s says something of smoke: %+v", p.Name, e)
			}
		}
	}
}
