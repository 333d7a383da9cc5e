package broker

import "strings"

// matches reports whether an MQTT topic falls under a topic filter. A filter may be
// tested too: it matches when everything under it falls under the wider filter.
func matches(filter, topic string) bool {
	for {
		if filter == "#" {
			return true
		}
		f, frest, fmore := strings.Cut(filter, "/")
		t, trest, tmore := strings.Cut(topic, "/")
		if f != t && (f != "+" || t == "#") {
			return false
		}
		if !tmore {
			return !fmore || frest == "#" // "a/#" includes "a"
		}
		if !fmore {
			return false
		}
		filter, topic = frest, trest
	}
}

func anyMatches(filters []string, topic string) bool {
	for _, f := range filters {
		if matches(f, topic) {
			return true
		}
	}
	return false
}

// unshared strips "$share/<group>/" from a filter.
func unshared(filter string) string {
	if rest, ok := strings.CutPrefix(filter, "$share/"); ok {
		_, filter, _ = strings.Cut(rest, "/")
	}
	return filter
}

// overlap reports whether a topic exists that both filters match.
func overlap(a, b string) bool {
	for {
		af, arest, amore := strings.Cut(a, "/")
		bf, brest, bmore := strings.Cut(b, "/")
		switch {
		case af == "#" || bf == "#":
			return true
		case af != bf && af != "+" && bf != "+":
			return false
		case !amore && !bmore:
			return true
		case !amore:
			return brest == "#"
		case !bmore:
			return arest == "#"
		}
		a, b = arest, brest
	}
}
