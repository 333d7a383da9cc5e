package engine

import (
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Limit is how many frames of one device are processed: Rate a second for long, and Burst at
// once. What is over it is in the journal, acknowledged, counted as discarded and named in
// the log: one device that has gone mad costs the others neither tickets nor disk. Zero is
// no limit.
//
// Smoke detectors have none, and neither has a frame that says fire, whoever sends it: a
// first alarm is never refused by a limit.
type Limit struct {
	Rate  float64
	Burst int
}

const (
	limitPrune = 4096        // devices that are looked at whether they are quiet again
	limitTell  = time.Minute // one device is named so often
)

// rates is a bucket for each device that has spoken of late. A bucket is one time: when it
// is full again. Those that are full need not be kept.
type rates struct {
	full    map[registry.DeviceNo]int64 // Unix nanoseconds of received time
	pruneAt int
	told    time.Time
	over    int64 // frames since the start
}

// overRate takes a frame from its device's bucket and reports that there was none left. The
// batch keeps what it takes until it is committed: a turn that is taken again takes it once.
func (b *batch) overRate(no registry.DeviceNo, d *decoded) bool {
	l := b.e.Limit
	if l.Rate <= 0 || l.Burst <= 0 || b.e.memory.DeviceAt(no).Lane() == grid.Safety || saysFire(d) {
		return false
	}
	now, each := d.frame.Received.UnixNano(), int64(float64(time.Second)/l.Rate)
	full, ok := b.buckets[no]
	if !ok {
		full = b.e.rates.full[no]
	}
	full = max(full, now)
	if full-now > each*int64(l.Burst-1) {
		b.overLimit(d)
		return true
	}
	if b.buckets == nil {
		b.buckets = map[registry.DeviceNo]int64{}
	}
	b.buckets[no] = full + each
	return false
}

func saysFire(d *decoded) bool {
	for i := range d.out.Readings {
		switch d.out.Readings[i].Signal {
		case grid.SmokeAlarm, grid.HeatAlarm:
			return true
		}
	}
	return false
}

// overLimit counts what is over, and names the device now and then.
func (b *batch) overLimit(d *decoded) {
	id, at := d.frame.Identity, d.frame.Received
	b.after = append(b.after, func() {
		r := &b.e.rates
		r.over++
		b.e.limited.Store(r.over)
		if at.Sub(r.told) >= limitTell {
			r.told = at
			b.e.Log.Warn("device sends more than its limit, frames are discarded", "device", id, "limit", b.e.Limit.Rate, "discarded", r.over)
		}
	})
}

// keepBuckets takes over what a batch took, after its commit, and forgets who is quiet.
func (e *Engine) keepBuckets(b *batch) {
	if len(b.buckets) == 0 {
		return
	}
	r := &e.rates
	if r.full == nil {
		r.full = map[registry.DeviceNo]int64{}
	}
	for no, full := range b.buckets {
		r.full[no] = full
	}
	if len(r.full) <= max(r.pruneAt, limitPrune) {
		return
	}
	now := b.time.UnixNano()
	for no, full := range r.full {
		if full <= now {
			delete(r.full, no)
		}
	}
	r.pruneAt = 2 * len(r.full)
}

// Limited is how many frames were over the limit of their device since the start.
func (e *Engine) Limited() int64 { return e.limited.Load() }
