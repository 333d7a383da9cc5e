package coap

import (
	"net/netip"
	"sync"
	"time"
)

// exchangeLifetime is how long a message may be repeated (RFC 7252, 4.8.2: 247 s).
const exchangeLifetime = 250 * time.Second

// exchangeKey names a message: who sent it, and its id. A DTLS session is itself, whatever
// address it has come to.
type exchangeKey struct {
	addr    netip.AddrPort
	session uint64
	id      uint16
}

// exchanges remembers messages so that a repeated one is not taken twice. It keeps two
// generations, so that forgetting costs nothing: an entry lives one to two lifetimes, less
// when there are too many. It belongs to no connection: those come and go.
type exchanges struct {
	max int // in a generation

	mu        sync.Mutex
	now, past map[exchangeKey]*seen
	began     time.Time // of now
}

// seen is a message that has come.
type seen struct {
	hash   uint64
	answer *reply // nil: it is being stored
}

func newExchanges(max int) *exchanges {
	return &exchanges{max: max, now: make(map[exchangeKey]*seen)}
}

// take notes a message. For one that has come before it returns the answer, nil while there
// is none, and false.
func (e *exchanges) take(k exchangeKey, hash uint64, now time.Time) (entry *seen, answer *reply, first bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if age := now.Sub(e.began); age > exchangeLifetime || len(e.now) >= e.max {
		e.past, e.now, e.began = e.now, make(map[exchangeKey]*seen), now
		if age > 2*exchangeLifetime {
			e.past = nil
		}
	}
	for _, m := range [...]map[exchangeKey]*seen{e.now, e.past} {
		if s := m[k]; s != nil && s.hash == hash {
			return s, s.answer, false
		}
	}
	s := &seen{hash: hash}
	e.now[k] = s
	return s, nil, true
}

// answered keeps the answer for when the message comes again. One that does not last is
// forgotten together with the message.
func (e *exchanges) answered(k exchangeKey, s *seen, r *reply) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.lasting() {
		s.answer = r
		return
	}
	for _, m := range [...]map[exchangeKey]*seen{e.now, e.past} {
		if m[k] == s {
			delete(m, k)
		}
	}
}
