package envelope

import (
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	"gridgate/internal/grid"
)

// Router is Identify with a memory for topics: a transport asks it for every message of
// a fleet that sends on the same topics again and again. A storm of one-off topics does
// not push the fleet out of it. It also knows the envelopes of topics that are
// configured. It is safe for concurrent use.
type Router struct {
	seen  *lru.TwoQueueCache[string, *route]
	rules []Rule
}

// Rule says how messages are wrapped on topics that have no form of their own.
type Rule struct {
	Topic    string // an MQTT topic filter
	Envelope string
	// Down is the topic of downlinks to the devices that are heard there, where the envelope has
	// none of its own; {device} stands for the device's identity without its kind.
	Down string
}

// Hears reports whether a message on topic is under the rule.
func (r Rule) Hears(topic string) bool { return filterMatches(r.Topic, topic) }

type route struct {
	id       grid.Identity // "" where the payload tells
	envelope string
	base     string // the topic's beginning that is none of a device
}

// maxTopic bounds what a remembered topic can hold of our memory.
const maxTopic = 256

// NewRouter remembers up to size topics, at least four. Of several rules that fit a topic
// the first holds.
func NewRouter(size int, rules ...Rule) *Router {
	seen, err := lru.New2Q[string, *route](max(size, 4))
	if err != nil {
		panic(err) // only for a size below four
	}
	return &Router{seen: seen, rules: rules}
}

// Identify answers as the function Identify does, by the rules first. Only topics that are
// of an envelope are remembered, with the identity where the topic alone tells it.
func (r *Router) Identify(topic string, payload []byte) (id grid.Identity, envelope string, note string) {
	way, known := r.seen.Get(topic)
	if known && way.id != "" {
		return way.id, way.envelope, ""
	}
	if !known {
		found := r.route(topic)
		if way = &found; way.envelope == "" {
			return Identify(topic, payload) // for the note
		}
	}
	id, note, lasting := identify(*way, topic, payload)
	if !known && note == "" && len(topic) <= maxTopic {
		if lasting {
			way.id = id
		}
		r.seen.Add(topic, way)
	}
	return id, way.envelope, note
}

func (r *Router) route(topic string) route {
	for _, rule := range r.rules {
		if filterMatches(rule.Topic, topic) {
			return route{envelope: rule.Envelope, base: literal(rule.Topic)}
		}
	}
	return classify(topic)
}

// literal is the part of a topic filter before its first wildcard.
func literal(filter string) string {
	if i := strings.IndexAny(filter, "+#"); i >= 0 {
		return filter[:i]
	}
	return filter[:strings.LastIndexByte(filter, '/')+1]
}

// filterMatches reports whether a topic falls under an MQTT topic filter.
func filterMatches(filter, topic string) bool {
	for {
		if filter == "#" {
			return true
		}
		f, frest, fmore := strings.Cut(filter, "/")
		t, trest, tmore := strings.Cut(topic, "/")
		if f != t && f != "+" {
			return false
		}
		if !tmore || !fmore {
			return tmore == fmore || !tmore && frest == "#" // "a/#" includes "a"
		}
		filter, topic = frest, trest
	}
}
