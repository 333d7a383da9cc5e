package broker

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
)

const (
	flapEvery = time.Minute
	flapsKept = 20_000 // accounts and client ids that are remembered, in each of two generations
)

// flaps counts logins of each account and client id. One that comes and goes all the time
// waits a little before it is answered; it is never refused, as what it brings may be smoke.
// Who guesses passwords waits too.
type flaps struct {
	slowed atomic.Uint64

	mu        sync.Mutex
	now, last map[string]flap
}

// flap is when a client came, as one number: the end of what its logins have used up.
type flap struct{ full time.Time }

// often notes a login and reports that there were more than most of late.
func (f *flaps) often(who string, now time.Time, most int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil || len(f.now) >= flapsKept {
		f.now, f.last = map[string]flap{}, f.now
	}
	had, ok := f.now[who]
	if !ok {
		had = f.last[who]
	}
	each := flapEvery / time.Duration(most)
	if had.full.Before(now) {
		had.full = now
	}
	if had.full.Sub(now) > flapEvery-each { // it does not fill up further: who is calm for a little is let off
		f.now[who] = had
		return true
	}
	f.now[who] = flap{had.full.Add(each)}
	return false
}

// calm holds up a client that comes too often. It runs in the client's own goroutine.
func (b *Broker) calm(cl *mochi.Client, user []byte) {
	if !b.flaps.often(string(user)+"\x00"+cl.ID, b.cfg.Now(), b.cfg.Flapping) {
		return
	}
	b.flaps.slowed.Add(1)
	b.tally.Fault("login held up", fmt.Errorf("client %q of user %q from %s comes more than %d times a minute", cl.ID, user, cl.Net.Remote, b.cfg.Flapping))
	wait := time.NewTimer(b.cfg.FlapWait)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-b.ctx.Done():
	}
}
