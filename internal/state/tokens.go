package state

import (
	"maps"
	"sync"

	"gridgate/internal/grid"
)

// tokens remembers whose a token was found to be, and who a unit is by its id: units' systems
// ask thousands of times with the same few. What is nobody's is not kept, so that it holds no
// more than twice as many as there are units. A commit that has units in it forgets all.
type tokens struct {
	mu    sync.Mutex
	round uint64               // how often all was forgotten
	units map[string]grid.Unit // by the token's hash, and by "unit " and the id
}

// find gives a copy of the unit, nil if it is not known, and the round for keep.
func (t *tokens) find(key string) (*grid.Unit, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, ok := t.units[key]
	if !ok {
		return nil, t.round
	}
	u.Settings = maps.Clone(u.Settings)
	return &u, t.round
}

// keep keeps what was read since round, unless units have changed meanwhile.
func (t *tokens) keep(key string, u grid.Unit, round uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.round != round {
		return
	}
	if t.units == nil {
		t.units = map[string]grid.Unit{}
	}
	t.units[key] = u
}

func (t *tokens) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.round, t.units = t.round+1, nil
}
