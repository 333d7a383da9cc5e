package engine

import (
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// paths are the ways by which devices reach us: a radio gateway, or a transport source
// (a broker, a listener, a port). When a way brings nothing from anyone, its devices
// are not offline one by one: the way is silent.
type paths struct {
	all     []path
	no      map[string]uint32
	sources map[sourceKey]uint32 // every frame asks: its name is put together once
}

type sourceKey struct{ transport, source string }

type path struct {
	name    string
	source  string // the transport source that it is part of
	heard   int64  // received time of the newest frame by it, unix nanoseconds
	devices uint32 // how many devices were last heard by it
}

func newPaths() paths {
	return paths{all: []path{{}}, no: map[string]uint32{"": 0}, sources: map[sourceKey]uint32{}}
}

// of tells by what ways a frame came: the transport source, and for radio the gateway
// that heard it best; without one that is the source too.
func (p *paths) of(f *grid.Frame) (source, own uint32) {
	key := sourceKey{f.Transport, f.Source}
	source, ok := p.sources[key]
	if !ok {
		source = p.get(f.Transport + ":" + f.Source)
		p.sources[key] = source
	}
	if f.Gateway == "" {
		return source, source
	}
	return source, p.get("gateway:" + strings.ToLower(f.Gateway))
}

func (p *paths) get(name string) uint32 {
	n, ok := p.no[name]
	if !ok {
		n = uint32(len(p.all))
		p.all = append(p.all, path{name: name})
		p.no[name] = n
	}
	return n
}

func (p *paths) name(n uint32) string {
	if int(n) < len(p.all) {
		return p.all[n].name
	}
	return ""
}

func (p *paths) heard(n uint32, at int64) {
	if at > p.all[n].heard {
		p.all[n].heard = at
	}
}

// moved counts a device that is now heard by another path.
func (p *paths) moved(from, to uint32) {
	if from != 0 && p.all[from].devices > 0 {
		p.all[from].devices--
	}
	p.all[to].devices++
}

// count counts the devices of each path anew.
func (p *paths) count(devs []deviceSoft) {
	for i := range p.all {
		p.all[i].devices = 0
	}
	for i := range devs {
		if n := devs[i].path; n != 0 {
			p.all[n].devices++
		}
	}
}

// moved counts a device that is now heard by another path, until the batch fails.
func (b *batch) moved(from, to uint32) {
	all := b.e.paths.all
	old := [2]uint32{all[from].devices, all[to].devices}
	b.e.paths.moved(from, to)
	b.undo = append(b.undo, func() { b.e.paths.all[from].devices, b.e.paths.all[to].devices = old[0], old[1] })
}

// heardPath notes that path n, a part of a source or one itself, brought something, from whomever.
func (b *batch) heardPath(n, source uint32, at time.Time) {
	e := b.e
	p := &e.paths.all[n]
	p.source = e.paths.all[source].name
	if e.silentPaths > 0 && at.UnixNano() > p.heard {
		if old := p.heard; !b.quiet { // whoever takes the frame again is to see it speak again
			b.undo = append(b.undo, func() { e.paths.all[n].heard = old })
		}
		b.pathSpeaks(p.name)
	}
	e.paths.heard(n, at.UnixNano())
}

// expected remembers within what time each way brings word of several of its devices. To find
// it takes a look at every device, so that is done at most every expectedFor of engine time.
type expected struct {
	at     time.Time
	within []time.Duration // by path; 0: not known
}

const (
	expectedFor = 10 * time.Minute
	// expectedOf so many devices are missed before a way is silent: a few sensors can be lost at
	// once, by a fire or a cut cable, and the way still stands.
	expectedOf = 4
)

// wordWithin is the time within which a way that stands brings word of expectedOf of its
// devices, or of all if it has fewer: their reporting intervals in order, the last of
// them. Devices that are offline bring none.
func (e *Engine) wordWithin(path uint32, now time.Time) time.Duration {
	w := &e.expected
	if age := now.Sub(w.at); w.at.IsZero() || age < 0 || age >= expectedFor || int(path) >= len(w.within) {
		w.at, w.within = now, e.wordsWithin()
	}
	return w.within[path]
}

func (e *Engine) wordsWithin() []time.Duration {
	shortest := make([][expectedOf]time.Duration, len(e.paths.all)) // in order, 0 after the last
	byProfile := map[string]time.Duration{}
	for i := range e.soft.devs {
		soft, no := &e.soft.devs[i], registry.DeviceNo(i)
		row := e.memory.DeviceAt(no)
		if soft.path == 0 || soft.flags&isOffline != 0 || row.State() != grid.Installed {
			continue
		}
		every := row.Interval()
		if every <= 0 {
			profile := e.memory.Profile(row)
			known, ok := byProfile[profile]
			if !ok {
				known = e.intervalOf(no, nil)
				byProfile[profile] = known
			}
			every = known
		}
		if every > 0 {
			insert(&shortest[soft.path], every)
		}
	}
	out := make([]time.Duration, len(shortest))
	for i := range shortest {
		out[i] = slices.Max(shortest[i][:])
	}
	return out
}

// insert puts d in its place among the shortest.
func insert(shortest *[expectedOf]time.Duration, d time.Duration) {
	for i, had := range shortest {
		if had == 0 || d < had {
			shortest[i], d = d, had
		}
		if had == 0 {
			return
		}
	}
}
