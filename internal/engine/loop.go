package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

const (
	// bulkSlice is how long a turn may spend on bulk frames before it looks for safety
	// frames again; mostBulkSlice where commits are slow (see slice).
	bulkSlice     = 5 * time.Millisecond
	mostBulkSlice = 100 * time.Millisecond
	// manyRows to be written end a turn's bulk frames after bulkSlice: tickets take longer to
	// commit than to decide.
	manyRows = 64
	// maxCommands and maxTimers bound a turn.
	maxCommands = 256
	maxTimers   = 4096
	// aliveEvery is how often an idle engine commits its time, so that a restart knows
	// how long it was away.
	aliveEvery = 5 * time.Second
)

// turn is the input of one batch. It can be taken again when the commit fails.
type turn struct {
	safety []*chunk
	bulk   []*chunk
	cmds   []*command
	fired  []firedTimers
	from   map[*chunk]int // where each chunk stood when the turn began
}

type firedTimers struct {
	tick    uint32
	entries []timerEntry
}

// loop is the state goroutine.
func (e *Engine) loop(ctx context.Context) error {
	wake := time.NewTimer(0)
	defer wake.Stop()
	var left []*chunk // bulk chunks of which frames are left
	for {
		t := &turn{bulk: left}
		if err := e.gather(ctx, t, wake); err != nil {
			return nil // ctx is done: what is not committed is taken again at the next start
		}
		if err := e.minded(ctx, t); err != nil {
			t.refuse()
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		left = nil
		for _, c := range t.bulk {
			if c.next < len(c.frames) {
				left = append(left, c)
			}
		}
		e.forgetOld()
		if err := errors.Join(e.fillGap(ctx), e.checkpoint()); err != nil {
			return err
		}
	}
}

// gather waits for something to do and takes what is there: all waiting safety frames,
// commands, and one run of bulk frames.
func (e *Engine) gather(ctx context.Context, t *turn, wake *time.Timer) error {
	safety, bulk := e.pipes[grid.Safety].ready, e.pipes[grid.Bulk].ready
	if len(t.bulk) == 0 && !e.something() {
		wake.Reset(e.untilNext())
		if e.gapHasRoom() {
			wake.Reset(time.Millisecond)
		}
		select {
		case c := <-safety:
			t.safety = append(t.safety, c)
		case c := <-bulk:
			t.bulk = append(t.bulk, c)
		case c := <-e.cmds:
			t.cmds = append(t.cmds, c)
		case f := <-e.unwritten:
			e.tellUnwritten(f)
		case <-wake.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for len(e.unwritten) > 0 {
		e.tellUnwritten(<-e.unwritten)
	}
	for len(t.safety) < cap(safety) {
		select {
		case c := <-safety:
			t.safety = append(t.safety, c)
			continue
		default:
		}
		break
	}
	for t.moreCommands() {
		select {
		case c := <-e.cmds:
			t.cmds = append(t.cmds, c)
			continue
		default:
		}
		break
	}
	if len(t.bulk) == 0 { // it may have come while the last turn was taken
		select {
		case c := <-bulk:
			t.bulk = append(t.bulk, c)
		default:
		}
	}
	return ctx.Err()
}

// moreCommands reports whether a turn takes another command. One that changes the registry is
// the last: memory follows only after the commit.
func (t *turn) moreCommands() bool {
	return len(t.cmds) < maxCommands && (len(t.cmds) == 0 || !t.cmds[len(t.cmds)-1].registry)
}

// something reports whether there is input without waiting.
func (e *Engine) something() bool {
	return len(e.pipes[grid.Safety].ready) > 0 || len(e.pipes[grid.Bulk].ready) > 0 || len(e.cmds) > 0
}

// untilNext is how long to sleep when nothing arrives.
func (e *Engine) untilNext() time.Duration {
	now := e.Now()
	next := now.Add(e.Clock.City(min(aliveEvery, e.CheckpointEvery)))
	if t := e.timers.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	if t := e.due.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	if t := e.acks.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	if t := e.digests.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	if t := e.windows.due.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	if t := e.rounds.due.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	if t := e.seats.due.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	if t := e.visits.due.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	if t := e.failovers.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	if t := e.expiries.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	return max(e.Clock.Real(next.Sub(now)), time.Millisecond)
}

// take makes a turn real. A commit that fails is tried again with back-off until it
// succeeds or ctx is done; a frame that makes us panic is found and quarantined.
func (e *Engine) take(ctx context.Context, t *turn) error {
	t.remember()
	pause := 50 * time.Millisecond
	for {
		began, told := e.Now(), e.traced()
		b := e.begin(began)
		if culprit := b.safely(func() { b.inputs(t) }); culprit != "" {
			b.rollback(mark{cursors: e.cursors, time: e.engineTime})
			e.log.Error("engine failed on a batch, its frames are taken one by one", "err", culprit)
			return e.takeSingly(ctx, t)
		}
		decided, toldDecided := e.Now(), e.traced()
		err := e.finish(ctx, b)
		if err == nil {
			e.tellTurn(t, b, told, toldDecided)
			e.committing = e.Clock.Real(e.Now().Sub(decided))
			e.note(t, e.Clock.Real(e.Now().Sub(began)))
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if unsure(err) {
			return err // only a new start can tell what is on disk
		}
		t.rewind(e)
		e.log.Error("commit failed, the batch is taken again", "err", err, "in", pause)
		e.mu.Lock()
		e.stats.FailedCommits, e.stats.FailedAt = e.stats.FailedCommits+1, e.Now()
		e.mu.Unlock()
		if !e.pause(ctx, pause) {
			return ctx.Err()
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// pause waits before another try, and tells meanwhile what cannot be written.
func (e *Engine) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case f := <-e.unwritten:
			e.tellUnwritten(f)
		case <-t.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// finish commits and tells those who wait.
func (e *Engine) finish(ctx context.Context, b *batch) error {
	if b.empty() {
		e.soft.forget()
		e.dropEnded(nil)
		for _, f := range b.after {
			f()
		}
		return nil
	}
	if err := b.commit(ctx); err != nil {
		return err
	}
	for lane, pos := range e.cursors {
		e.journal.Release(grid.Lane(lane), e.needed(grid.Lane(lane), pos.Seq))
	}
	if e.Committed != nil && len(b.rows.Events)+len(b.rows.Moves)+len(b.rows.Deliveries)+len(b.rows.Downlinks)+len(b.rows.Rollouts)+len(b.rows.Windows)+len(b.rows.Visits)+len(b.rows.Postures)+len(b.rows.Points)+len(b.rows.Seats)+len(b.rows.Handovers) > 0 {
		e.Committed(&b.rows)
	}
	return nil
}

// needed is the sequence up to which the journal may forget a lane: what the cursor, the
// checkpoint and a gap are past.
func (e *Engine) needed(lane grid.Lane, cursor uint64) uint64 {
	upTo := min(cursor, e.ckptCursors[lane].Seq)
	if from := e.gap[lane].From; from != 0 {
		upTo = min(upTo, from-1)
	}
	return upTo
}

// inputs runs the turn's inputs through the rules.
func (b *batch) inputs(t *turn) {
	e := b.e
	for _, c := range t.safety {
		e.frames(b, c, time.Time{})
	}
	smoke := len(b.deliveries) > 0
	for _, c := range t.cmds {
		b.command(c)
	}
	if !smoke { // what calls for help is committed without waiting for bulk
		b.bulk(t)
	}
	b.fireTimers(t)
}

// bulk takes bulk frames for as long as a turn may spend on them.
func (b *batch) bulk(t *turn) {
	e := b.e
	began := e.Now()
	b.enough = began.Add(e.Clock.City(bulkSlice))
	until := began.Add(e.Clock.City(slice(e.committing)))
	for i := 0; i < len(t.bulk); i++ { // on another try there are several from the start
		e.frames(b, t.bulk[i], until)
		if t.bulk[i].next < len(t.bulk[i].frames) {
			break
		}
		if i == len(t.bulk)-1 && len(e.pipes[grid.Safety].ready) == 0 {
			b.moreBulk(t, until)
		}
	}
}

// slice is how long a turn may spend on bulk frames, by how long the last commit took: where
// each commit is slow, on a busy disk or machine, 5 ms between two of 40 would leave the frames
// waiting for ever. Smoke waits for them no longer than for a commit.
func slice(committing time.Duration) time.Duration {
	return min(max(bulkSlice, committing), mostBulkSlice)
}

// heavy reports whether the turn's bulk frames have had their time and made much to write.
func (b *batch) heavy(now time.Time) bool {
	return len(b.tickets)+len(b.alarms)+len(b.deliveries) >= manyRows && !now.Before(b.enough)
}

func (t *turn) remember() {
	t.from = make(map[*chunk]int, len(t.safety)+len(t.bulk))
	for _, c := range t.safety {
		t.from[c] = c.next
	}
	for _, c := range t.bulk {
		t.from[c] = c.next
	}
}

// rewind puts the turn's inputs back for another try.
func (t *turn) rewind(e *Engine) {
	for c, n := range t.from {
		c.next = n
	}
	for _, f := range t.fired {
		for _, entry := range f.entries {
			e.timers.add(f.tick, entry)
		}
	}
	t.fired = nil
}

// moreBulk takes another bulk chunk into the turn if one waits and there is time.
func (b *batch) moreBulk(t *turn, until time.Time) {
	e := b.e
	if now, set, _ := e.look(); !now.Before(until) || b.heavy(now) || set != 0 {
		return
	}
	select {
	case c := <-e.pipes[grid.Bulk].ready:
		t.bulk = append(t.bulk, c)
		t.from[c] = c.next
	default:
	}
}

// frames handles the frames of a chunk, until a time if one is given.
func (e *Engine) frames(b *batch, c *chunk, until time.Time) {
	for c.next < len(c.frames) {
		if c.next%16 == 15 && !until.IsZero() {
			if now := e.Now(); !now.Before(until) || b.heavy(now) {
				return
			}
		}
		d := &c.frames[c.next]
		b.frame(d)
		e.received[c.lane] = d.frame.Received
		c.next++
	}
}

// fireTimers handles what has come due. Conclusions from absence use engine time;
// protective deadlines use real time.
func (b *batch) fireTimers(t *turn) {
	e := b.e
	wall, set, _ := e.look()
	if set != 0 { // a moment ago: the next turn begins with it
		return
	}
	now := e.idleTime(b, wall)
	if now.After(b.time) {
		b.time = now
	}
	b.ticketClocks(wall)
	b.failOver(wall)
	b.expireAcks(wall)
	b.sendDigests(wall)
	b.expire(now)
	for n := maxTimers; n > 0; {
		tick, entries := e.timers.due(now, n)
		if len(entries) == 0 {
			break
		}
		n -= len(entries)
		e.inOrder(entries)
		t.fired = append(t.fired, firedTimers{tick, entries})
		for _, entry := range entries {
			if b.careful {
				b.fireCarefully(tick, entry, now)
			} else {
				b.fire(tick, entry, now)
			}
		}
	}
	b.visitClocks(wall)
	b.windowClocks(wall) // after what has come due before their end
	b.roundClocks(wall)
	b.dutyClocks(wall)
	b.emptyReplays()
	if b.time.Sub(e.lastAlive) >= e.Clock.City(aliveEvery) {
		e.lastAlive = b.time
		b.rows.EngineTime = b.time
		b.putMeta(metaAlive, b.time.Format(time.RFC3339Nano))
	}
}

// inOrder sorts timers of one tick: what follows from them must not depend on who was
// armed first. Of devices the longest silent comes first, so that each is judged by whom
// its way in has brought since.
func (e *Engine) inOrder(entries []timerEntry) {
	heard := func(t timerEntry) int64 {
		if t.kind == deviceTimer {
			return e.soft.devs[t.no].heard
		}
		return 0
	}
	slices.SortFunc(entries, func(a, b timerEntry) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(heard(a), heard(b)), cmp.Compare(a.no, b.no))
	})
}

func (b *batch) fire(tick uint32, entry timerEntry, now time.Time) {
	e := b.e
	switch entry.kind {
	case deviceTimer:
		no := registry.DeviceNo(entry.no)
		if e.soft.devs[no].timer == tick {
			b.because("timer/"+string(e.memory.DeviceAt(no).Identity), now)
			b.supervise(no, tick)
		}
	case pointTimer:
		pt := registry.PointNo(entry.no)
		if e.soft.points[pt].timer != tick {
			return
		}
		e.soft.touchPoint(pt).timer = 0
		for i := range e.soft.points[pt].conds {
			rule := e.soft.points[pt].conds[i].rule
			b.because("timer/"+e.memory.PointAt(pt).ID+"/"+string(e.rulesOf(pt)[rule].Type), now)
			b.judge(pt, rule, nil)
		}
	}
}

// idleTime is engine time when no frame is in hand: the wall clock, but never later than
// the oldest frame that is not handled yet.
func (e *Engine) idleTime(b *batch, wall time.Time) time.Time {
	now := wall
	for lane := range e.received {
		if b.cursors[lane].Seq < e.journal.Head(grid.Lane(lane)).Seq && e.received[lane].Before(now) {
			now = e.received[lane]
		}
	}
	if b.time.After(wall.Add(time.Minute)) {
		// Our own clock was set back: time begins anew, or nothing would come due for long.
		b.turnedBack(now)
	}
	return now
}

// Keys of the meta table.
const (
	metaAlive = "engine.alive" // when the engine last committed while it ran
	metaClock = "clock.city"   // of a simulation: the clock.Mark of the newest commit
	metaClean = "engine.clean" // "1": the last stop was an orderly one
	metaGap   = "influx.gap"   // journal ranges to be written to InfluxDB later
)

func (b *batch) putMeta(key, value string) {
	if b.rows.Meta == nil {
		b.rows.Meta = make(map[string]string)
	}
	b.rows.Meta[key] = value
}

// checkpoint saves the soft state when it is time to.
func (e *Engine) checkpoint() error {
	if e.saving != nil && len(e.saving.done) == 0 {
		return nil // the last one is still on its way to the disk
	}
	if err := e.saved(); disk.ReadOnly(err) {
		e.log.Error("soft state is not saved, the journal keeps what makes it good", "err", err)
		e.unsaved = true // the file may end in half a block
	} else if err != nil {
		return err
	}
	now := e.Now()
	if now.Sub(e.lastSaved) < e.Clock.City(e.CheckpointEvery) {
		return nil
	}
	e.lastSaved = now
	if len(e.soft.dirtyD)+len(e.soft.dirtyP) > 0 || e.ckptCursors != e.cursors {
		e.save()
	}
	return nil
}

// saving is a checkpoint on its way to the disk, and what it stands for.
type saving struct {
	cursors cursors
	replays int // how many of the replays it has
	done    chan error
}

// save encodes what has changed and begins to write it: no frame waits for the disk.
func (e *Engine) save() {
	all := e.ckpt.wantsRewrite() || e.unsaved
	e.unsaved = false
	body := e.encodeCheckpoint(all)
	e.spare = body
	s := &saving{cursors: e.cursors, replays: len(e.replays.ids), done: make(chan error, 1)}
	e.saving = s
	go func() {
		if all {
			s.done <- e.ckpt.rewrite(body)
		} else {
			s.done <- e.ckpt.append(body)
		}
	}()
}

// saved waits for the checkpoint that is being written, if one is: from then on it counts.
func (e *Engine) saved() error {
	s := e.saving
	if s == nil {
		return nil
	}
	e.saving = nil
	if err := <-s.done; err != nil {
		return err
	}
	e.ckptCursors = s.cursors
	e.replays.done = s.replays > 0 && s.replays == len(e.replays.ids)
	return nil
}

func (e *Engine) note(t *turn, took time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &e.stats
	s.Batches++
	s.Commands += int64(len(t.cmds))
	for c, n := range t.from {
		s.Frames += int64(c.next - n)
	}
	s.LastBatch, s.LongestBatch = took, max(s.LongestBatch, took)
	s.EngineTime = e.engineTime
	for lane := range e.cursors {
		s.Cursors[lane] = e.cursors[lane].Seq
	}
	s.Devices, s.Points, s.OpenTickets = e.memory.Devices(), e.memory.Points(), len(e.tickets)
}

// Stats gives the engine's figures. Safe for concurrent use.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func firstLine(s string) string {
	for i := range s {
		if s[i] == '\n' {
			return s[:i]
		}
	}
	return s
}
