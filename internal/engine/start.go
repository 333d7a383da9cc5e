package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/disk"
	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// largeRegistry is how many devices leave memory behind that is worth giving back.
const largeRegistry = 10_000

// start loads the state, brings the soft state up to the cursors with effects off, and
// looks closely at the first frames if the last run did not end in an orderly way.
func (e *Engine) start(ctx context.Context) error {
	began := e.Now()
	loaded, err := e.store.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the state: %w", err)
	}
	if err := e.load(ctx, loaded); err != nil {
		return err
	}
	ckpt, err := openCheckpoint(e.Disk, e.Dir)
	if err != nil {
		return err
	}
	e.ckpt = ckpt
	from, err := e.loadCheckpoint()
	if err == nil {
		err = e.replaySoft(ctx, from)
	}
	if err == nil {
		err = e.replayAgain(ctx, loaded.Meta[metaReplayed])
	}
	if err == nil {
		e.paths.count(e.soft.devs)
		e.markOffline()
		err = e.loadVisits(ctx)
	}
	if err == nil {
		err = e.begun(ctx, loaded)
	}
	if err != nil {
		return errors.Join(err, ckpt.close())
	}
	e.armAll()
	if e.memory.Devices() > largeRegistry {
		debug.FreeOSMemory() // what reading it leaves behind is never needed again
	}
	e.log.Info("engine started", "devices", e.memory.Devices(), "points", e.memory.Points(), "in", e.Clock.Real(e.Now().Sub(began)))
	return nil
}

// load puts the stored rows into memory.
func (e *Engine) load(ctx context.Context, l *state.Loaded) error {
	e.cursors, e.engineTime, e.influxMark = l.Cursors, l.EngineTime, influx.Mark(l.InfluxMark)
	for lane := range e.cursors {
		e.cursors[lane].Lane = grid.Lane(lane)
		e.received[lane] = l.EngineTime
	}
	if err := e.loadVersions(ctx); err != nil {
		return err
	}
	if err := e.loadRegistry(ctx); err != nil {
		return err
	}
	if err := e.loadRegions(ctx, l.Meta[metaPlacing]); err != nil {
		return err
	}
	for i := range l.Units {
		e.units[l.Units[i].ID] = &l.Units[i]
	}
	for i := range l.Alarms {
		e.loadAlarm(&l.Alarms[i])
	}
	for i := range l.Tickets {
		e.tickets[l.Tickets[i].ID] = &l.Tickets[i]
	}
	e.loadIncidents(l.Incidents)
	if err := e.loadWindows(ctx); err != nil {
		return err
	}
	e.down = l.Down
	for _, s := range l.Suspects {
		e.suspects[s.Pos] = s.Crashes
	}
	if g := l.Meta[metaGap]; g != "" {
		if err := json.Unmarshal([]byte(g), &e.gap); err != nil {
			return fmt.Errorf("stored gap is %q: %w", g, err)
		}
	}
	return e.loadPending(ctx)
}

// loadRegistry puts the registered rows into memory.
func (e *Engine) loadRegistry(ctx context.Context) error {
	err := e.store.LoadRegistry(ctx, state.Registry{
		Count: func(points, devices int) { e.memory.Reserve(devices, points) },
		Point: func(p *grid.Point) { e.memory.PutPoint(*p) },
		Device: func(d *grid.Device) {
			e.memory.PutDevice(*d, e.isSafety(d.Profile))
			e.lastAt(d)
		},
		Installation: func(in *grid.Installation) {
			if err := e.putInstallation(*in); err != nil {
				e.log.Error("stored installation is left out", "err", err)
			}
		},
	})
	if err == nil {
		e.soft.grow(e.memory)
	}
	return err
}

func (e *Engine) loadAlarm(a *grid.Alarm) {
	e.alarms[a.ID] = a
	key := episodeKey{whereOf(a), a.Type}
	if old := e.alarms[e.episodes[key]]; old == nil || follows(a, old) {
		e.episodes[key] = a.ID
	}
	if a.Active {
		e.loadWhile(a)
	}
	if a.Active && a.Filed != nil && a.Point != "" {
		e.filedAt[a.Point] = with(e.filedAt[a.Point], a.ID, +1)
	}
	switch {
	case !a.Active:
	case a.Type == grid.EventGatewaySilent:
		e.silentPaths++
	case a.Type == grid.EventSmokeAlarm:
		if key := fireAt(a); key != "" {
			e.burning[key]++
		}
	}
}

// follows reports whether an episode came after another of its place and type, also when
// both were raised in one instant.
func follows(a, old *grid.Alarm) bool {
	if a.Raised.Equal(old.Raised) {
		return old.Previous != a.ID
	}
	return a.Raised.After(old.Raised)
}

// markOffline sets who is offline by the episodes: timers found it out, and they leave
// nothing in the journal.
func (e *Engine) markOffline() {
	for i := range e.soft.devs {
		e.soft.devs[i].flags &^= isOffline
	}
	for _, a := range e.alarms {
		if !a.Active || a.Type != grid.EventDeviceOffline {
			continue
		}
		if no, ok := e.memory.Device(a.Device); ok {
			e.soft.devs[no].flags |= isOffline
		}
		e.markReplaced(a.Point)
	}
}

// markReplaced marks the device of a point whose last one is offline: the first word of the
// new one ends that.
func (e *Engine) markReplaced(point string) {
	ep := e.episode(point, grid.EventDeviceOffline)
	if pt, ok := e.memory.Point(point); ok && ep != nil && ep.Active {
		if no := e.memory.PointAt(pt).Device(); no != registry.DeviceNo(registry.None) {
			e.soft.touchDevice(no).flags |= isOffline
		}
	}
}

// whereOf is the place of an episode: see episodeKey.
func whereOf(a *grid.Alarm) string {
	switch {
	case strings.HasPrefix(string(a.Device), "path:"), strings.HasPrefix(string(a.Device), buildingPrefix), strings.HasPrefix(string(a.Device), unitPrefix), a.Filed != nil:
		return string(a.Device)
	case a.Point != "":
		return a.Point
	}
	return "device:" + string(a.Device)
}

func (e *Engine) loadPending(ctx context.Context) error {
	pending, err := e.store.PendingDeliveries(ctx)
	if err != nil {
		return fmt.Errorf("load pending deliveries: %w", err)
	}
	for i := range pending {
		d := &pending[i]
		e.deliveries[d.ID] = d
	}
	if err := e.loadWaiting(ctx); err != nil {
		return err
	}
	e.loadFailovers()
	if err := errors.Join(e.loadDownlinks(ctx), e.loadHazards(ctx), e.loadRounds(ctx), e.loadSeats(ctx)); err != nil {
		return err
	}
	return errors.Join(e.loadDiscovered(ctx), e.loadIgnored(ctx))
}

// loadDiscovered works out from the quarantine who is waiting to be claimed.
func (e *Engine) loadDiscovered(ctx context.Context) error {
	page, err := e.store.ListQuarantine(ctx, state.Query{State: "waiting", Type: string(grid.UnknownDevice), Limit: 1000})
	if err != nil {
		return fmt.Errorf("load the quarantine: %w", err)
	}
	for i := range page.Items {
		q := &page.Items[i]
		if _, known := e.memory.Device(q.Frame.Identity); known {
			continue // finishClaims processes them
		}
		seen, ok := e.discovered.Get(q.Frame.Identity)
		if !ok {
			seen = &grid.Discovered{Identity: q.Frame.Identity, Last: q.At, Source: q.Frame.Source, Transport: q.Frame.Transport, Guess: q.Guess}
			e.discovered.Add(q.Frame.Identity, seen)
			d := &decoded{frame: q.Frame}
			e.dec.decode(d)
			guessed(seen, d.guesses)
		}
		seen.First = q.At // newest first: the last one seen is the oldest
		seen.Frames++
	}
	return nil
}

// isSafety reports whether a profile is of smoke detectors alone. Where it serves other
// kinds too, the device's points decide.
func (e *Engine) isSafety(profileID string) bool {
	p, err := e.profiles.Get(profileID)
	return err == nil && len(p.Kinds) == 1 && p.Kinds[0] == grid.Smoke
}

func (e *Engine) putInstallation(in grid.Installation) error {
	no, ok := e.memory.Device(in.Device)
	if !ok {
		return grid.Errorf(grid.NotFound, "installation of %s: device is not registered", in.Device)
	}
	return e.memory.PutInstallation(in, e.isSafety(e.memory.Profile(e.memory.DeviceAt(no))))
}

func (e *Engine) loadCheckpoint() (cursors, error) {
	var at cursors
	err := e.ckpt.load(func(body []byte) (err error) {
		at, err = e.applyBlock(body)
		return err
	})
	for lane := range at {
		if at[lane].Seq == 0 {
			// Nothing was saved yet, or the file is gone: all that the journal keeps is read.
			at[lane] = grid.Pos{Lane: grid.Lane(lane), Epoch: e.cursors[lane].Epoch}
		}
		if at[lane].Epoch != e.cursors[lane].Epoch || at[lane].Seq > e.cursors[lane].Seq {
			// Of another life of the journal, or ahead of the state that was restored: rows
			// may be newer than the cursors. Duplicates are then told by what follows.
			at[lane] = e.cursors[lane]
		}
	}
	e.ckptCursors = at
	return at, err
}

// begun marks the run as begun and notes for how long we could not hear.
func (e *Engine) begun(ctx context.Context, l *state.Loaded) error {
	now := e.Now()
	b := e.begin(now)
	if l.EngineTime.After(now.Add(setBack)) {
		b.turnedBack(now)
	}
	if alive, err := time.Parse(time.RFC3339Nano, l.Meta[metaAlive]); err == nil {
		if l.EngineTime.After(alive) {
			alive = l.EngineTime
		}
		if now.Sub(alive) > time.Second {
			b.addDown(state.DownSpan{From: alive, To: now})
		}
	}
	if e.SeriesLost && e.series != nil {
		b.reopenGap()
	}
	unclean := l.Meta[metaClean] == "0"
	b.putMeta(metaClean, "0")
	b.putMeta(metaAlive, now.Format(time.RFC3339Nano))
	e.lastAlive, e.lastSaved = now, now
	if err := e.finish(ctx, b); err != nil {
		return err
	}
	if unclean {
		return e.lookClosely(ctx)
	}
	return nil
}

func (b *batch) addDown(s state.DownSpan) {
	e := b.e
	b.rows.Down = append(b.rows.Down, s)
	old := e.down
	e.down = append(old[:len(old):len(old)], s)
	b.undo = append(b.undo, func() { e.down = old })
}

// suspectFile names the frame in hand while the first frames after a crash are handled
// one by one. It is written without a sync: it has to survive our own death, not the
// machine's.
const (
	suspectFile  = "engine.suspect"
	closelyLimit = 512
	maxCrashes   = 2
)

// lookClosely handles the first frames after a crash one at a time, each named in a file
// while it is in hand. One that has ended the process twice is quarantined.
func (e *Engine) lookClosely(ctx context.Context) error {
	f, err := e.Disk.OpenFile(filepath.Join(e.Dir, suspectFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the suspect file: %w", err)
	}
	defer f.Close()
	if err := e.blame(ctx, f); err != nil {
		return err
	}
	for lane := range e.cursors {
		head := e.journal.Head(grid.Lane(lane)).Seq
		for n := 0; n < closelyLimit && e.cursors[lane].Seq < head; {
			frames, err := e.journal.Next(ctx, grid.Lane(lane), e.cursors[lane].Seq, 64)
			if err != nil {
				return fmt.Errorf("read the %s lane: %w", grid.Lane(lane), err)
			}
			for i := range frames {
				if err := e.takeNamed(ctx, f, frames[i]); err != nil {
					return err
				}
				n++
			}
		}
	}
	return nil
}

// blame counts the frame that the last run had in hand when it died.
func (e *Engine) blame(ctx context.Context, f disk.File) error {
	var b [16]byte
	if n, _ := f.ReadAt(b[:], 0); n < len(b) || b[15] != 1 {
		return nil
	}
	pos := grid.Pos{Lane: grid.Lane(b[12]), Epoch: binary.LittleEndian.Uint32(b[8:]), Seq: binary.LittleEndian.Uint64(b[:])}
	if pos.Lane >= grid.Lanes || pos.Seq <= e.cursors[pos.Lane].Seq {
		return nil
	}
	e.suspects[pos]++
	turn := e.begin(e.Now())
	turn.rows.Suspects = []state.Suspect{{Pos: pos, Crashes: e.suspects[pos]}}
	e.log.Warn("frame was in hand when the last run died", "frame", pos.String(), "in", e.suspects[pos])
	return e.finish(ctx, turn)
}

// takeNamed handles one frame with its name in the suspect file.
func (e *Engine) takeNamed(ctx context.Context, f disk.File, frame grid.Frame) error {
	d := &decoded{frame: frame}
	if e.suspects[frame.Pos] >= maxCrashes {
		d.panicked = fmt.Sprintf("the process died %d times with this frame in hand", e.suspects[frame.Pos])
	} else {
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:], frame.Pos.Seq)
		binary.LittleEndian.PutUint32(b[8:], frame.Pos.Epoch)
		b[12], b[15] = byte(frame.Pos.Lane), 1
		if _, err := f.WriteAt(b[:], 0); err != nil {
			return fmt.Errorf("write the suspect file: %w", err)
		}
		e.dec.decode(d)
	}
	b := e.handle(d)
	// It has not harmed us. What follows is the disk's affair: whoever dies in the commit
	// must not blame the frame.
	if _, err := f.WriteAt(make([]byte, 16), 0); err != nil {
		return fmt.Errorf("write the suspect file: %w", err)
	}
	err := e.commitOne(ctx, func() *batch {
		if b == nil { // another try
			b = e.handle(d)
		}
		one := b
		b = nil
		if e.suspects[frame.Pos] > 0 {
			one.rows.Suspects = []state.Suspect{{Pos: frame.Pos}}
		}
		return one
	})
	e.received[frame.Pos.Lane] = frame.Received
	delete(e.suspects, frame.Pos)
	return err
}

// armAll sets every timer that the state calls for.
func (e *Engine) armAll() {
	b := e.begin(e.Now())
	b.now = e.engineTime
	for i := range e.soft.devs {
		no := registry.DeviceNo(i)
		row := e.memory.DeviceAt(no)
		if row.State() != grid.Installed || row.Installed == 0 {
			continue
		}
		soft := &e.soft.devs[i]
		_, _, due := alarm.Offline(e.intervalOf(no, nil), fromNanos(row.Installed), fromNanos(soft.heard), e.unheard(soft.path), b.now)
		if due.IsZero() {
			continue
		}
		e.timers.arm(&soft.timer, due, timerEntry{uint32(no), deviceTimer})
	}
	for i := range e.soft.points {
		if p := &e.soft.points[i]; len(p.conds) > 0 {
			e.timers.arm(&p.timer, e.Now(), timerEntry{uint32(i), pointTimer})
		}
	}
	for id := range e.tickets {
		e.due.set(id, e.Now())
	}
	e.loadAcks()
	e.soft.forget()
}

// stop saves the soft state and marks the stop as orderly.
func (e *Engine) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	b := e.begin(e.Now())
	b.putMeta(metaClean, "1")
	b.putMeta(metaAlive, e.Now().Format(time.RFC3339Nano))
	err := e.saved()
	e.save()
	return errors.Join(err, e.saved(), e.finish(ctx, b))
}
