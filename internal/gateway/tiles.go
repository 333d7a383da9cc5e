package gateway

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

const (
	// tileScopes is how many scopes' maps are kept: a district, its streets, its contractors.
	tileScopes = 32
	// tilesAge is how long a map may lag behind the registry while that changes: an import
	// changes it every few milliseconds, and to read all points takes half a second.
	tilesAge = 3 * time.Second
)

// tiles are the points of the registry as vector tiles, a map a scope. What happens at
// the points is not in them: a tile changes with the registry alone.
type tiles struct {
	read    func(context.Context, grid.Scope) ([]state.Mark, error)
	now     func() time.Time
	version atomic.Int64 // of the registry

	mu   sync.Mutex // one map is made at a time
	maps *lru.Cache[grid.Scope, *tileMap]
}

type tileMap struct {
	marks   *geo.Marks
	extent  *[4]float64
	version int64
	made    time.Time
}

func newTiles(read func(context.Context, grid.Scope) ([]state.Mark, error)) *tiles {
	maps, err := lru.New[grid.Scope, *tileMap](tileScopes)
	if err != nil {
		panic(err) // of a size below one alone
	}
	t := &tiles{read: read, now: time.Now, maps: maps}
	t.version.Store(time.Now().UnixNano()) // no tag of an earlier run fits
	return t
}

// changed is told when points have changed.
func (t *tiles) changed() { t.version.Add(1) }

// Tile gives one tile of a scope and its tag, which changes with it; nil: it is empty.
func (t *tiles) Tile(ctx context.Context, scope grid.Scope, z, x, y uint32) (tile []byte, tag string, err error) {
	m, err := t.mapOf(ctx, scope)
	if err != nil {
		return nil, "", err
	}
	tile, err = m.marks.Tile(z, x, y)
	return tile, fmt.Sprintf("%x", m.version), err
}

// Extent is around all points of a scope.
func (t *tiles) Extent(ctx context.Context, scope grid.Scope) (*[4]float64, int, error) {
	m, err := t.mapOf(ctx, scope)
	if err != nil {
		return nil, 0, err
	}
	return m.extent, m.marks.Len(), nil
}

func (t *tiles) mapOf(ctx context.Context, scope grid.Scope) (*tileMap, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	version := t.version.Load()
	if m, ok := t.maps.Get(scope); ok && (m.version == version || t.now().Sub(m.made) < tilesAge) {
		return m, nil
	}
	rows, err := t.read(ctx, scope)
	if err != nil {
		return nil, err
	}
	marks := make([]geo.Mark, len(rows))
	for i, r := range rows {
		marks[i] = geo.Mark(r)
	}
	m := &tileMap{marks: geo.NewMarks(marks), version: version, made: t.now()}
	m.extent = m.marks.Extent()
	t.maps.Add(scope, m)
	return m, nil
}
