package serial

import (
	"sync"

	"gridgate/internal/grid"
)

// ways are the streams by which devices that speak text are reached: those by which they
// were last heard.
type ways struct {
	mu sync.Mutex
	by map[grid.Identity]*peer
}

// heard notes the way to a device. Of a connection that names many, the last are reached.
func (w *ways) heard(id grid.Identity, p *peer) {
	if id == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[id] == p {
		return
	}
	if w.by == nil {
		w.by = map[grid.Identity]*peer{}
	}
	for old := range w.by {
		if len(w.by) < maxSeen {
			break
		}
		delete(w.by, old)
	}
	w.by[id] = p
}

// gone forgets a stream that is closed.
func (w *ways) gone(p *peer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, by := range w.by {
		if by == p {
			delete(w.by, id)
		}
	}
}

func (w *ways) of(id grid.Identity) *peer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.by[id]
}
