package coap

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// instance is an instance of an object, such as 3342/0.
type instance struct{ object, id uint16 }

func (i instance) String() string { return fmt.Sprintf("%d/%d", i.object, i.id) }

const (
	maxInstances = 256
	maxLinks     = 16 << 10 // bytes of a link list
	maxRoot      = 32       // bytes of the path under which a device has its objects
)

// objects is what a device has, as it says when it registers.
type objects struct {
	root      string     // of its paths, without slashes; "" mostly
	instances []instance // in order, each once
}

// readObjects reads the link list of a registration (RFC 6690; LwM2M 1.0, 5.3.1). What it
// does not know it passes over: attributes, and links that are no objects.
func readObjects(list string) (objects, error) {
	var o objects
	if len(list) > maxLinks {
		return o, fmt.Errorf("link list has %d bytes: want at most %d", len(list), maxLinks)
	}
	targets, roots, err := readLinks(list)
	if err != nil {
		return o, err
	}
	if len(roots) > 0 {
		o.root = strings.Trim(roots[0], "/")
	}
	if len(o.root) > maxRoot || strings.ContainsAny(o.root, "?#%<>") {
		return o, fmt.Errorf("root of the objects is %.40q: want at most %d plain characters", o.root, maxRoot)
	}
	for _, t := range targets {
		t = strings.Trim(t, "/")
		if o.root != "" {
			t = strings.TrimPrefix(strings.TrimPrefix(t, o.root), "/")
		}
		object, id, ok := strings.Cut(t, "/")
		n, err := strconv.ParseUint(object, 10, 16)
		m, err2 := strconv.ParseUint(id, 10, 16)
		if !ok || err != nil || err2 != nil {
			continue // an object without an instance has no values
		}
		o.instances = append(o.instances, instance{uint16(n), uint16(m)})
	}
	slices.SortFunc(o.instances, func(a, b instance) int {
		return cmp.Or(cmp.Compare(a.object, b.object), cmp.Compare(a.id, b.id))
	})
	o.instances = slices.Compact(o.instances)
	if len(o.instances) > maxInstances {
		return o, fmt.Errorf("link list has %d instances: want at most %d", len(o.instances), maxInstances)
	}
	return o, nil
}

// readLinks gives the targets of links, and those that say they are the root of LwM2M.
func readLinks(s string) (targets, roots []string, err error) {
	for s = strings.TrimSpace(s); s != ""; {
		if s[0] != '<' {
			return nil, nil, fmt.Errorf("link list has %.20q where a link begins: want <", s)
		}
		target, rest, ok := strings.Cut(s[1:], ">")
		if !ok {
			return nil, nil, fmt.Errorf("link list has %.20q: want > after it", s)
		}
		end, isRoot := attributes(rest)
		if end < 0 {
			return nil, nil, fmt.Errorf("link list has %.20q: want the quotation closed", rest)
		}
		if isRoot {
			roots = append(roots, target)
		} else {
			targets = append(targets, target)
		}
		s = strings.TrimSpace(rest[end:])
		if s == "" {
			break
		}
		if s[0] != ',' {
			return nil, nil, fmt.Errorf("link list has %.20q after a link: want a comma", s)
		}
		s = strings.TrimSpace(s[1:])
	}
	return targets, roots, nil
}

// attributes finds where the attributes of a link end; -1: within a quotation.
func attributes(s string) (end int, root bool) {
	quoted, from := false, 0
	flush := func(to int) {
		name, value, _ := strings.Cut(strings.TrimSpace(s[from:to]), "=")
		root = root || strings.TrimSpace(name) == "rt" && slices.Contains(strings.Fields(strings.Trim(value, `" `)), "oma.lwm2m")
		from = to + 1
	}
	if t := strings.TrimLeft(s, " "); t != "" && t[0] != ';' && t[0] != ',' {
		return len(s) - len(t), false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			flush(i)
		case c == ',':
			flush(i)
			return i, root
		}
	}
	if quoted {
		return -1, false
	}
	flush(len(s))
	return len(s), root
}

// terms is what a registration or update says in its query.
type terms struct {
	endpoint    string
	lifetime    uint32 // seconds
	hasLifetime bool
	version     string
	queue       bool // the device sleeps: it hears us only after it has spoken
	hasBinding  bool
}

// defaultLifetime is that of LwM2M, a day, in seconds.
const defaultLifetime = 86_400

// readTerms reads a query. What LwM2M has beside it (sms, and what later versions bring)
// is passed over.
func readTerms(query []string) (terms, *reply) {
	t := terms{lifetime: defaultLifetime, version: "1.0"}
	for _, q := range query {
		key, value, _ := strings.Cut(q, "=")
		switch key {
		case "ep":
			t.endpoint = value
		case "lt":
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil || n == 0 {
				return t, refuse(codes.BadRequest, "lt is %.20q: want seconds, 1 to %d", value, 1<<31-1)
			}
			t.lifetime, t.hasLifetime = uint32(n), true
		case "lwm2m":
			if t.version = value; value != "1" && !strings.HasPrefix(value, "1.") {
				return t, refuse(codes.PreconditionFailed, "lwm2m is %.10q: want 1.0 or 1.1", value)
			}
		case "b":
			if value == "" || strings.Trim(value, "UQSTN") != "" {
				return t, refuse(codes.BadRequest, "b is %.10q: want for example U or UQ", value)
			}
			t.queue, t.hasBinding = t.queue || strings.Contains(value, "Q"), true
		case "Q":
			t.queue, t.hasBinding = true, true
		}
	}
	return t, nil
}
