package gateway

import (
	"context"
	"errors"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// shelf is a registry of points that counts how often it is read.
type shelf struct {
	rows  []state.Mark
	reads int
	err   error
}

func (s *shelf) read(_ context.Context, scope grid.Scope) ([]state.Mark, error) {
	s.reads++
	if scope.Street == "310105006" {
		return s.rows[:1], s.err
	}
	return s.rows, s.err
}

func TestTilesAreMadeAnewWhenTheRegistryHasChangedAndNotMoreOftenThanEveryFewSeconds(t *testing.T) {
	s := &shelf{rows: []state.Mark{{ID: "a", Kind: grid.Smoke, Lon: 121.4, Lat: 31.2}, {ID: "b", Kind: grid.Door, Lon: 121.41, Lat: 31.21}}}
	tiles, now := newTiles(s.read), time.Now()
	tiles.now = func() time.Time { return now }
	get := func() (string, string) {
		t.Helper()
		b, tag, err := tiles.Tile(t.Context(), grid.Scope{}, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return string(b), tag
	}
	first, tag := get()
	if again, same := get(); again != first || same != tag || s.reads != 1 {
		t.Errorf("the registry was read %d times for one map", s.reads)
	}
	s.rows = append(s.rows, state.Mark{ID: "c", Kind: grid.Door, Lon: 121.42, Lat: 31.21})
	tiles.changed()
	if again, _ := get(); again != first || s.reads != 1 {
		t.Error("the map is made anew at once: an import would keep it busy")
	}
	now = now.Add(tilesAge)
	if again, other := get(); again == first || other == tag || s.reads != 2 {
		t.Errorf("after a change the tile is the same, tag %q, %d reads", other, s.reads)
	}
}

func TestEachScopeHasTilesOfItsOwn(t *testing.T) {
	s := &shelf{rows: []state.Mark{{ID: "a", Kind: grid.Smoke, Lon: 121.4, Lat: 31.2}, {ID: "b", Kind: grid.Door, Lon: 121.41, Lat: 31.21}}}
	tiles := newTiles(s.read)
	all, _, err := tiles.Tile(t.Context(), grid.Scope{}, 0, 0, 0)
	street, _, err2 := tiles.Tile(t.Context(), grid.Scope{Street: "310105006"}, 0, 0, 0)
	if err != nil || err2 != nil || string(all) == string(street) {
		t.Errorf("the street's tile is the district's (%v, %v)", err, err2)
	}
	s.err = errors.New("disk")
	tiles.changed()
	if _, _, err := tiles.Tile(t.Context(), grid.Scope{Street: "310105005"}, 0, 0, 0); err == nil {
		t.Error("a registry that cannot be read gives a map")
	}
}
