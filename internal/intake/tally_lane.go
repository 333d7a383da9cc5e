package intake

// What follows is for transports that refuse a frame by an answer to its sender (CoAP) and
// so keep waiting frames in an order of their own, not in a Queue.

// Stored counts frames that are durable.
func (t *Tally) Stored(n int) { t.stored.Add(uint64(n)) }

// Retried counts frames given to Ingest again.
func (t *Tally) Retried(n int) { t.retried.Add(uint64(n)) }

// Fails notes that one line of frames went from storing to failing.
func (t *Tally) Fails(err error) { t.fails(err) }

// Recovers notes that one line of frames has stopped failing: it stores again or has given up.
func (t *Tally) Recovers() { t.recovers() }
