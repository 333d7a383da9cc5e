package envelope

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"gridgate/internal/grid"
)

// Router is Identify with a memory for topics: a transport asks it for every message of
// a fleet that sends on the same topics again and again. A storm of one-off topics does
// not push the fleet out of it. It is safe for concurrent use.
type Router struct {
	seen *lru.TwoQueueCache[string, route]
}

type route struct {
	id       grid.Identity
	envelope string
}

// maxTopic bounds what a remembered topic can hold of our memory.
const maxTopic = 256

// NewRouter remembers up to size topics, at least four.
func NewRouter(size int) *Router {
	seen, err := lru.New2Q[string, route](max(size, 4))
	if err != nil {
		panic(err) // only for a size below four
	}
	return &Router{seen: seen}
}

// Identify answers as the function Identify does. Only topics that have an identity are
// remembered.
func (r *Router) Identify(topic string, payload []byte) (id grid.Identity, envelope string, note string) {
	if known, ok := r.seen.Get(topic); ok {
		return known.id, known.envelope, ""
	}
	id, envelope, note = Identify(topic, payload)
	if id != "" && note == "" && len(topic) <= maxTopic {
		r.seen.Add(topic, route{id, envelope})
	}
	return id, envelope, note
}
