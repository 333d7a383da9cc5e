package auth

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// Network is a range of source addresses.
type Network = netip.Prefix

// Limits of tries to sign on. A try counts from when it begins, so that many at a time are
// counted too. There is no lock of an account as such: who guesses at it slows himself.
const (
	freeTries    = 3               // at an account from a source, before there is a wait
	freeOfSource = 20              // at any account from a source
	firstWait    = time.Second     // doubled with each further try
	longestWait  = 5 * time.Minute // at an account from a source
	deskWait     = 20 * time.Second
	sourceWait   = time.Minute
	forgetAfter  = time.Hour
	mostStrikes  = 8192 // remembered

	// All strange sources together, and each that is a desk or has signed on before, may have so
	// many passwords worked out in a second.
	strangeRate, strangeBurst = 8, 16
	deskRate, deskBurst       = 4, 16

	hashWithin = 5 * time.Second // waiting for a turn
)

// Slowed says when to try again.
type Slowed struct{ After time.Duration }

func (s *Slowed) Error() string {
	return fmt.Sprintf("too many tries: want the next in %s", s.After.Round(time.Second))
}

func slowed(after time.Duration) error {
	return grid.Errorf(grid.TooMany, "%w", &Slowed{max(after, time.Second)})
}

type strikes struct {
	n    int
	next time.Time // no try before
	last time.Time
}

// bucket holds tries that may be begun.
type bucket struct {
	left float64
	at   time.Time
}

func (b *bucket) take(now time.Time, rate, burst float64) bool {
	if b.at.IsZero() {
		b.left = burst
	} else {
		b.left = min(burst, b.left+max(0, now.Sub(b.at).Seconds())*rate)
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// tries bounds what sign-ons may cost, and slows who guesses.
type tries struct {
	now   func() time.Time
	desks []Network

	own     *hasher // what who is in does
	trusted *hasher // sources that are a desk, or have signed on before
	strange *hasher // all others

	mu      sync.Mutex
	struck  map[string]*strikes
	buckets map[string]*bucket // of trusted sources
	all     bucket             // of strange ones
}

func newTries(now func() time.Time, desks []Network) *tries {
	return &tries{now: now, desks: desks, own: newHasher(1), trusted: newHasher(1), strange: newHasher(1), struck: map[string]*strikes{}, buckets: map[string]*bucket{}}
}

// sourceOf is what counts as one source: an address, or the network of one home under IPv6.
func sourceOf(from string) string {
	a, err := netip.ParseAddr(from)
	if err != nil {
		return from
	}
	if a = a.Unmap(); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

func (t *tries) desk(from string) bool {
	a, err := netip.ParseAddr(from)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, n := range t.desks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// begin counts a try at an account from a source, and gives who works out its password. known
// says that the account has been signed on from there before.
func (t *tries) begin(account, from string, known bool) (*hasher, error) {
	source, desk := sourceOf(from), t.desk(from)
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	pairKey, wholeKey := "a\x00"+account+"\x00"+source, "s\x00"+source
	if wait := t.waitOf(pairKey, now); wait > 0 {
		return nil, slowed(wait)
	}
	trusted := desk || known
	if wait := t.waitOf(wholeKey, now); wait > 0 && !trusted {
		return nil, slowed(wait)
	}
	if trusted {
		b := t.buckets[source]
		if b == nil {
			b = &bucket{}
			t.buckets[source] = b
		}
		if !b.take(now, deskRate, deskBurst) {
			return nil, slowed(time.Second)
		}
	} else if !t.all.take(now, strangeRate, strangeBurst) {
		return nil, slowed(time.Second)
	}
	most := longestWait
	if desk {
		most = deskWait
	}
	// Only who is let try is remembered: a flood that is turned away costs nothing.
	t.tidy()
	t.of(pairKey, now).strike(now, freeTries, most)
	t.of(wholeKey, now).strike(now, freeOfSource, sourceWait)
	if trusted {
		return t.trusted, nil
	}
	return t.strange, nil
}

func (s *strikes) strike(now time.Time, free int, most time.Duration) {
	s.n++
	s.last = now
	if over := s.n - free; over >= 0 {
		s.next = now.Add(min(most, time.Duration(float64(firstWait)*math.Pow(2, float64(min(over, 20))))))
	}
}

// passed forgets the tries of who has shown that it is them.
func (t *tries) passed(account, from string) {
	source := sourceOf(from)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.struck, "a\x00"+account+"\x00"+source)
	if s := t.struck["s\x00"+source]; s != nil {
		if s.n--; s.n < freeOfSource {
			s.next = time.Time{}
		}
	}
}

// forget lets an account be tried from anywhere at once, as after a reset.
func (t *tries) forget(account string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	prefix := "a\x00" + account + "\x00"
	for k := range t.struck {
		if len(k) > len(prefix) && k[:len(prefix)] == prefix {
			delete(t.struck, k)
		}
	}
}

// of finds the strikes of a key, or begins them.
func (t *tries) of(key string, now time.Time) *strikes {
	s := t.struck[key]
	if s == nil || now.Sub(s.last) > forgetAfter {
		s = &strikes{last: now}
		t.struck[key] = s
	}
	return s
}

// waitOf is how long a key has to wait.
func (t *tries) waitOf(key string, now time.Time) time.Duration {
	if s := t.struck[key]; s != nil {
		return s.next.Sub(now)
	}
	return 0
}

// tidy keeps the tables bounded: of a full one the quarter that was longest not heard of goes.
func (t *tries) tidy() {
	if len(t.buckets) > mostStrikes {
		clear(t.buckets)
	}
	if len(t.struck) < mostStrikes {
		return
	}
	last := make([]time.Time, 0, len(t.struck))
	for _, s := range t.struck {
		last = append(last, s.last)
	}
	slices.SortFunc(last, time.Time.Compare)
	maps.DeleteFunc(t.struck, func(_ string, s *strikes) bool { return !s.last.After(last[len(last)/4]) })
}

// ForgetTries lets all try again at once, as after a restart.
func (a *Accounts) ForgetTries() {
	a.tries.mu.Lock()
	defer a.tries.mu.Unlock()
	clear(a.tries.struck)
	a.tries.all = bucket{}
}
