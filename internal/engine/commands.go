package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// Commands are the other input beside frames: moves by people and units, delivery
// results, registry changes, claims, replays. Each is a function that runs in the state
// goroutine on the batch of the turn; its answer is given after the commit.
type command struct {
	name   string
	key    string // makes it idempotent; "" : it is by nature, or may be done again
	do     func(b *batch) (any, error)
	answer chan answer

	// registry: it looks at the registry in memory and changes it, so it is the last command of
	// its turn. act is whose change that is, for the history.
	registry bool
	act      grid.Act
}

type answer struct {
	value any
	err   error
}

func (c *command) reply(v any, err error) { c.answer <- answer{v, err} }

// do hands a command to the state goroutine and waits until it is durable.
func (e *Engine) do(ctx context.Context, c *command) (any, error) {
	c.answer = make(chan answer, 1)
	select {
	case e.cmds <- c:
	case <-ctx.Done():
		return nil, grid.Errorf(grid.Unavailable, "%s: engine is busy: %w", c.name, ctx.Err())
	}
	select {
	case a := <-c.answer:
		return a.value, a.err
	case <-ctx.Done():
		return nil, grid.Errorf(grid.Unavailable, "%s: no answer yet, it may still be done: %w", c.name, ctx.Err())
	}
}

// command runs one command of the turn. What fails leaves no trace in the batch.
func (b *batch) command(c *command) {
	cause := "cmd/" + c.name + "/" + c.key
	if c.key == "" { // one of many of this instant
		b.e.commandNo++
		cause += strconv.FormatUint(b.e.commandNo, 10)
	}
	b.because(cause, b.e.Now())
	if c.key != "" {
		done, ok, err := b.applied(c.key)
		if ok || err != nil {
			b.after = append(b.after, func() { c.reply(done, err) })
			return
		}
	}
	m := b.mark()
	v, err := c.do(b)
	if err == nil {
		act := c.act
		if act.Via == "" && act.By.Role == "" {
			act.Via = c.name
		}
		err = b.logRegistry(&m, act, cause)
	}
	if err != nil {
		b.rollback(m)
		b.after = append(b.after, func() { c.reply(nil, err) })
		return
	}
	if c.key != "" {
		if raw, err := json.Marshal(v); err == nil {
			b.rows.Commands = append(b.rows.Commands, state.Applied{Key: c.key, At: b.now, Result: raw})
		}
	}
	b.after = append(b.after, func() { c.reply(v, nil) })
}

// applied finds what a command with this key answered before.
func (b *batch) applied(key string) (any, bool, error) {
	for _, a := range b.rows.Commands {
		if a.Key == key {
			return json.RawMessage(a.Result), true, nil
		}
	}
	a, ok, err := b.e.store.Applied(context.Background(), key)
	if err != nil {
		return nil, false, grid.Errorf(grid.Unavailable, "whether %s was done before cannot be read: %w", key, err)
	}
	return json.RawMessage(a.Result), ok, nil
}

// refuseCommands answers those who still wait when the engine stops.
func (e *Engine) refuseCommands() {
	for {
		select {
		case c := <-e.cmds:
			c.reply(nil, grid.Errorf(grid.Unavailable, "%s: gateway is stopping", c.name))
		default:
			return
		}
	}
}

// refuse answers those whose turn was given up when the engine stopped.
func (t *turn) refuse() {
	for _, c := range t.cmds {
		select {
		case c.answer <- answer{nil, grid.Errorf(grid.Unavailable, "%s: gateway is stopping, it was not done", c.name)}:
		default: // it has its answer
		}
	}
}

// as turns an answer, fresh or stored, into its type.
func as[T any](v any, err error) (T, error) {
	var out T
	if err != nil {
		return out, err
	}
	if raw, ok := v.(json.RawMessage); ok {
		if err := json.Unmarshal(raw, &out); err != nil {
			return out, fmt.Errorf("stored answer: %w", err)
		}
		return out, nil
	}
	out, _ = v.(T)
	return out, nil
}

// Put changes the registry: all of it or nothing.
func (e *Engine) Put(ctx context.Context, points []grid.Point, devices []grid.Device, installations []grid.Installation, units []grid.Unit) error {
	return e.PutAs(ctx, grid.Registration{Points: points, Devices: devices, Installations: installations, Units: units}, grid.Act{Via: "import"})
}

// put validates, writes the rows, and changes memory after the commit: nothing else of
// the batch may depend on them before.
func (b *batch) put(points []grid.Point, devices []grid.Device, installations []grid.Installation, units []grid.Unit) error {
	e := b.e
	installations, err := b.newInstallations(installations)
	if err == nil {
		err = b.checkChannels(units)
	}
	for i := 0; err == nil && e.Admit != nil && i < len(units); i++ {
		err = e.Admit(&units[i])
	}
	if err == nil {
		installations, devices, err = b.displace(installations, devices)
	}
	if err == nil {
		points, err = b.keepDescribed(points, devices, installations)
	}
	if err != nil {
		return err
	}
	installed := map[grid.Identity]time.Time{}
	added := make(map[string]bool, len(points))
	for i := range points {
		added[points[i].ID] = true
		points[i].Mode = cmp.Or(points[i].Mode, grid.Live)
		b.followBorders(&points[i])
	}
	b.intoHands(points)
	for i := range installations {
		in := &installations[i]
		if in.Channel == "" {
			in.Channel = grid.MainChannel
		}
		if in.From.IsZero() {
			in.From = b.now
		}
		if in.To.IsZero() {
			installed[in.Device] = in.From
		}
		if _, ok := e.memory.Point(in.Point); !ok && !added[in.Point] {
			return grid.Errorf(grid.NotFound, "installation of %s: point %q is not registered", in.Device, in.Point)
		}
	}
	known := map[grid.Identity]bool{}
	for i := range devices {
		d := &devices[i]
		p, err := e.profiles.Get(d.Profile)
		if err != nil {
			return grid.Errorf(grid.Invalid, "device %s: profile %q: %w", d.Identity, d.Profile, err)
		}
		d.Profile = p.ID // which version reads, roll-outs say
		known[d.Identity] = true
		if at, ok := installed[d.Identity]; ok && (d.State == "" || d.State == grid.Registered || d.State == grid.Installed) {
			d.State, d.Installed = grid.Installed, cmp.Or(d.Installed, at)
		}
		if old, ok := e.memory.Device(d.Identity); ok {
			b.keepState(d, e.memory.DeviceAt(old))
		}
		d.State, d.Mode = cmp.Or(d.State, grid.Registered), cmp.Or(d.Mode, grid.Live)
		if d.State == grid.Installed {
			d.Installed = cmp.Or(d.Installed, b.now) // or nobody would ever miss it
		}
		if d.State == grid.Barred || d.State == grid.Retired {
			b.takeOutOfService(d)
		}
		b.knownNow(d.Identity)
	}
	for id, at := range installed {
		if known[id] {
			continue
		}
		d, err := b.installedDevice(id, at)
		if err != nil {
			return err
		}
		devices = append(devices, d)
	}
	r := &b.rows
	r.Points, r.Devices = append(r.Points, points...), append(r.Devices, devices...)
	r.Installations, r.Units = append(r.Installations, installations...), append(r.Units, units...)
	b.after = append(b.after, func() { e.remember(points, devices, installations, units) })
	return nil
}

// keepState leaves a device that is put again as it is, where the change does not say
// otherwise: an import repeated takes nothing out of service and begins no supervision anew.
func (b *batch) keepState(d *grid.Device, old *registry.DeviceRow) {
	d.State, d.Mode = cmp.Or(d.State, old.State()), cmp.Or(d.Mode, old.Mode())
	if d.Installed.IsZero() && d.State == grid.Installed {
		d.Installed = fromNanos(old.Installed)
	}
}

// knownNow ends what was raised of a device while it was a stranger: from now on its
// frames are read, or raise the fault at its point.
func (b *batch) knownNow(id grid.Identity) {
	r := b.e.unreadableRule
	if r == nil {
		return
	}
	s := site{point: registry.PointNo(registry.None), where: "device:" + string(id), rule: r, device: id}
	if ep := b.e.episode(s.where, r.Type); ep != nil && ep.Active {
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
		if ep.Ticket != "" {
			b.check(ep.Ticket)
		}
	}
}

// newInstallations leaves out what is so already, and ends what a new installation of
// the same channel replaces.
func (b *batch) newInstallations(all []grid.Installation) ([]grid.Installation, error) {
	e := b.e
	out := make([]grid.Installation, 0, len(all))
	for _, in := range all {
		no, known := e.memory.Device(in.Device)
		if !known || !in.To.IsZero() {
			out = append(out, in)
			continue
		}
		pt, installed := e.memory.PointFor(no, in.Channel)
		if installed && e.memory.PointAt(pt).ID == in.Point {
			continue
		}
		if installed {
			page, err := e.store.ListInstallations(context.Background(), state.Query{Device: string(in.Device), State: "current", Limit: 1000})
			if err != nil {
				return nil, err
			}
			for _, old := range page.Items {
				if old.Channel == channelName(in.Channel) {
					old.To = b.now
					out = append(out, old)
				}
			}
		}
		out = append(out, in)
	}
	return out, nil
}

// installedDevice is a registered device that is put at a point now.
func (b *batch) installedDevice(id grid.Identity, at time.Time) (grid.Device, error) {
	no, ok := b.e.memory.Device(id)
	if !ok {
		return grid.Device{}, grid.Errorf(grid.NotFound, "installation of %s: device is not registered", id)
	}
	row := b.e.memory.DeviceAt(no)
	d := grid.Device{Identity: id, Profile: b.e.memory.Profile(row), State: grid.Installed, Mode: row.Mode(), Interval: row.Interval(), Installed: at}
	if s := row.State(); s == grid.Installed {
		d.Installed = fromNanos(row.Installed)
	} else if s != grid.Registered {
		d.State = s
	}
	return d, nil
}

// remember takes committed registry rows into memory.
func (e *Engine) remember(points []grid.Point, devices []grid.Device, installations []grid.Installation, units []grid.Unit) {
	for i := range points {
		e.memory.PutPoint(points[i])
	}
	for i := range devices {
		e.memory.PutDevice(devices[i], e.isSafety(devices[i].Profile))
		e.discovered.Remove(devices[i].Identity)
		e.lastAt(&devices[i])
		if s := devices[i].State; e.CredentialsChanged != nil && (s == grid.Barred || s == grid.Retired) {
			e.CredentialsChanged(nil)
		}
	}
	for i := range installations {
		if err := e.putInstallation(installations[i]); err != nil {
			e.log.Error("installation is left out", "err", err)
		}
	}
	for i := range units {
		e.units[units[i].ID] = &units[i]
		e.unitCache = nil
	}
	e.smokeOf = nil
	e.soft.grow(e.memory)
	for i := range installations {
		if installations[i].To.IsZero() {
			e.markReplaced(installations[i].Point)
		}
	}
	b := e.begin(e.Now())
	for i := range devices {
		if no, ok := e.memory.Device(devices[i].Identity); ok && devices[i].State == grid.Installed {
			e.soft.devs[no].timer = 0
			b.armSupervision(no, nil)
		}
	}
	e.soft.forget()
}

const (
	replayChunk   = 256              // quarantined frames that one command handles
	replayEndWait = 10 * time.Second // for the end of one that was broken off
)

// Replay processes quarantined frames again, oldest first, and says how many got through.
// They fill history and raise nothing for the past; a condition that is still active at
// the end is raised then.
func (e *Engine) Replay(ctx context.Context, ids []string, by grid.Actor) (int, error) {
	frames, err := e.waiting(ctx, ids)
	if err != nil {
		return 0, err
	}
	last := make(map[grid.Identity]string)
	for i := range frames {
		last[frames[i].Frame.Identity] = frames[i].ID
	}
	return e.replayAll(ctx, frames, newReplay(last, by))
}

// waiting gives those of some quarantined frames that still wait, oldest first.
func (e *Engine) waiting(ctx context.Context, ids []string) ([]grid.QuarantinedFrame, error) {
	frames := make([]grid.QuarantinedFrame, 0, len(ids))
	for _, id := range ids {
		q, err := e.store.Quarantined(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("replay of %s: %w", id, err)
		}
		if q.State == "waiting" {
			frames = append(frames, q)
		}
	}
	oldestFirst(frames)
	return frames, nil
}

// replay is a replay that goes on over many commands. What a frame says is judged only
// once the last frame of its device is through: what a later one ends is of the past.
type replay struct {
	by    grid.Actor
	last  map[grid.Identity]string // the last frame of each device
	heard map[grid.Identity]bool   // devices whose last frame is through
	open  map[registry.PointNo]*decoded
}

func newReplay(last map[grid.Identity]string, by grid.Actor) *replay {
	return &replay{by: by, last: last, heard: map[grid.Identity]bool{}, open: map[registry.PointNo]*decoded{}}
}

// replayAll hands frames to the state goroutine, in parts, and says how many got through.
// They are decoded here: it has no time for a slow codec.
func (e *Engine) replayAll(ctx context.Context, frames []grid.QuarantinedFrame, r *replay) (through int, err error) {
	for len(frames) > 0 {
		n := min(len(frames), replayChunk)
		part := frames[:n]
		frames = frames[n:]
		read := make([]decoded, n)
		for i := range part {
			read[i].frame = part[i].Frame
			e.dec.decode(&read[i])
		}
		got, err := as[int](e.do(ctx, &command{name: "replay", do: func(b *batch) (any, error) { return b.replay(part, read, r), nil }}))
		if err != nil {
			return through, errors.Join(err, e.replayEnds(ctx, r))
		}
		through += got
	}
	return through, nil
}

// replayEnds judges what a replay has left: it was broken off, or some of its frames were
// taken by another.
func (e *Engine) replayEnds(ctx context.Context, r *replay) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayEndWait)
	defer cancel()
	_, err := e.do(ctx, &command{name: "replay", do: func(b *batch) (any, error) {
		for id := range r.last {
			r.heard[id] = true
		}
		b.judgeReplayed(r)
		return nil, nil
	}})
	return err
}

func (b *batch) replay(frames []grid.QuarantinedFrame, read []decoded, r *replay) int {
	e := b.e
	clear(e.replayed)
	b.quiet = true
	var through []string
	for i := range frames {
		q := &frames[i]
		if r.last[q.Frame.Identity] == q.ID {
			r.heard[q.Frame.Identity] = true
		}
		if !b.waits(q.ID) {
			continue // another replay was quicker
		}
		b.because("replay/"+q.ID, q.Frame.Received)
		outcome := b.settle(&read[i], q)
		if outcome == grid.Quarantined {
			continue
		}
		through = append(through, q.ID)
		done := *q
		done.State, done.Detail = "replayed", q.Detail+"; replayed by "+r.by.Name
		b.rows.Quarantine = append(b.rows.Quarantine, done)
		if q.Whole {
			b.count(&q.Frame, grid.Quarantined, -1)
			b.count(&q.Frame, outcome, 1)
		}
	}
	b.quiet = false
	for pt, d := range e.replayed {
		set(b, r.open, pt, d)
	}
	clear(e.replayed)
	b.judgeReplayed(r)
	if len(through) > 0 {
		b.replayedToo(through)
	}
	return len(through)
}

// judgeReplayed raises what is still active at the points that were replayed.
func (b *batch) judgeReplayed(r *replay) {
	e := b.e
	for pt, d := range r.open {
		if !r.heard[d.frame.Identity] {
			continue
		}
		unset(b, r.open, pt)
		b.because("replayed/"+e.memory.PointAt(pt).ID+"/"+d.frame.Pos.String(), e.Now())
		for i := range e.soft.points[pt].conds {
			b.judge(pt, e.soft.points[pt].conds[i].rule, d)
		}
	}
}

// waits reports whether a quarantined frame still waits, now that it is our turn.
func (b *batch) waits(id string) bool {
	for i := range b.rows.Quarantine {
		if b.rows.Quarantine[i].ID == id {
			return false
		}
	}
	q, err := b.e.store.Quarantined(context.Background(), id)
	return err == nil && q.State == "waiting"
}

// Discard gives quarantined frames up: a person's decision, or a limit's.
func (e *Engine) Discard(ctx context.Context, ids []string, by grid.Actor, reason string) (int, error) {
	if reason == "" {
		return 0, grid.Errorf(grid.Invalid, "reason is empty: say why the frames are given up")
	}
	discarded := 0
	for part := range slices.Chunk(ids, replayChunk) {
		n, err := e.discard(ctx, part, by, reason)
		discarded += n
		if err != nil {
			return discarded, err
		}
	}
	return discarded, nil
}

func (e *Engine) discard(ctx context.Context, ids []string, by grid.Actor, reason string) (int, error) {
	frames := make([]grid.QuarantinedFrame, 0, len(ids))
	for _, id := range ids {
		q, err := e.store.Quarantined(ctx, id)
		if err != nil {
			return 0, fmt.Errorf("discard of %s: %w", id, err)
		}
		if q.State == "waiting" {
			frames = append(frames, q)
		}
	}
	return as[int](e.do(ctx, &command{name: "discard", do: func(b *batch) (any, error) {
		n := 0
		for i := range frames {
			q := frames[i]
			if !b.waits(q.ID) {
				continue
			}
			q.State, q.Detail = "discarded", q.Detail+"; discarded by "+by.Name+": "+reason
			b.rows.Quarantine = append(b.rows.Quarantine, q)
			if q.Whole {
				b.count(&q.Frame, grid.Quarantined, -1)
				b.count(&q.Frame, grid.Discarded, 1)
			}
			n++
		}
		return n, nil
	}}))
}

func oldestFirst(fs []grid.QuarantinedFrame) {
	slices.SortStableFunc(fs, func(a, b grid.QuarantinedFrame) int {
		return cmp.Or(a.Frame.Received.Compare(b.Frame.Received), cmp.Compare(a.Frame.Pos.Seq, b.Frame.Pos.Seq))
	})
}

func newestFirst(ds []grid.Discovered) {
	slices.SortFunc(ds, func(a, b grid.Discovered) int { return b.Last.Compare(a.Last) })
}

func (b *batch) audit(action, subject string, by grid.Actor, a *grid.Alarm) {
	row := state.Audit{ID: b.id(), At: b.now, By: by, Action: action, Subject: subject, Mode: grid.Live}
	if a != nil {
		row.Scope, row.Cell, row.Mode = a.Scope, a.Cell, a.Mode
	}
	b.rows.Audit = append(b.rows.Audit, row)
}

// Down notes a span in which a transport source could not hear; zero To: it still lasts.
// Silence in it is nobody's fault behind that source.
func (e *Engine) Down(ctx context.Context, source string, from, to time.Time) error {
	_, err := e.do(ctx, &command{name: "down", do: func(b *batch) (any, error) {
		span := state.DownSpan{Source: source, From: from, To: to}
		old := e.down
		for i := range old {
			if old[i].Source == source && old[i].From.Equal(from) {
				next := append([]state.DownSpan{}, old...)
				next[i].To = to
				e.down = next
				b.undo = append(b.undo, func() { e.down = old })
				b.rows.Down = append(b.rows.Down, span)
				return nil, nil
			}
		}
		b.addDown(span)
		return nil, nil
	}})
	return err
}

// RejectedPoint keeps a point that InfluxDB will never take, with the server's reason.
func (e *Engine) RejectedPoint(ctx context.Context, line []byte, reason string) error {
	_, err := e.do(ctx, &command{name: "reject", key: "reject/" + grid.NewID(time.Time{}, string(line), 0), do: func(b *batch) (any, error) {
		b.rows.Quarantine = append(b.rows.Quarantine, grid.QuarantinedFrame{
			ID: b.id(), Reason: grid.RejectedPoint, Detail: reason, At: b.now, State: "waiting", Scope: e.home,
			Frame: grid.Frame{Transport: "influx", Received: b.now, Raw: line},
		})
		return nil, nil
	}})
	return err
}

// PruneQuarantine gives up the oldest frames beyond the quarantine's limits. The gateway
// calls it now and then.
func (e *Engine) PruneQuarantine(ctx context.Context) (int, error) {
	ids, err := e.store.QuarantineOverflow(ctx, e.QuarantineRows, e.QuarantineBytes)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return e.Discard(ctx, ids, grid.Actor{Role: grid.RoleSystem, Name: "limit"}, "the quarantine is full")
}

// LivePoint gives the newest value of each signal of a point.
func (e *Engine) LivePoint(ctx context.Context, id string) ([]grid.LiveValue, error) {
	return as[[]grid.LiveValue](e.do(ctx, &command{name: "live", do: func(*batch) (any, error) {
		pt, ok := e.memory.Point(id)
		if !ok {
			return nil, grid.Errorf(grid.NotFound, "point %q: not found", id)
		}
		return e.livePoint(pt), nil
	}}))
}

func (e *Engine) livePoint(pt registry.PointNo) []grid.LiveValue {
	soft := &e.soft.points[pt]
	out := make([]grid.LiveValue, 0, len(soft.vals))
	var device grid.Identity
	if no := e.memory.PointAt(pt).Device(); no != registry.DeviceNo(registry.None) {
		device = e.memory.DeviceAt(no).Identity
	}
	for _, v := range soft.vals {
		lv := grid.LiveValue{
			Signal: v.signal, Value: float64(v.v), At: time.Unix(int64(v.at), 0).UTC(), Received: time.Unix(int64(v.received), 0).UTC(),
			Device: device, Suspect: v.flags&suspectValue != 0,
		}
		for i := range soft.conds {
			if c := &soft.conds[i]; e.watched(pt)[c.rule]&(1<<v.signal) != 0 {
				lv.Since = fromNanos(c.since)
				break
			}
		}
		out = append(out, lv)
	}
	return out
}

// LiveDevice says how a device is.
func (e *Engine) LiveDevice(ctx context.Context, id grid.Identity) (grid.DeviceHealth, error) {
	return as[grid.DeviceHealth](e.do(ctx, &command{name: "live", do: func(*batch) (any, error) {
		no, ok := e.memory.Device(id)
		if !ok {
			return nil, grid.Errorf(grid.NotFound, "device %s: not registered", id)
		}
		return e.liveDevice(no), nil
	}}))
}

func (e *Engine) liveDevice(no registry.DeviceNo) grid.DeviceHealth {
	soft, row := &e.soft.devs[no], e.memory.DeviceAt(no)
	h := grid.DeviceHealth{
		Identity: row.Identity, LastHeard: fromNanos(soft.heard), Frames: int64(soft.frames), Duplicates: int64(soft.dups),
		Offline: soft.flags&isOffline != 0, Gone: soft.flags&isGone != 0, ClockOff: soft.flags&clockOff != 0, Lane: row.Lane().String(),
	}
	if soft.flags&hasCounter != 0 {
		n := soft.top
		h.Counter = &n
	}
	if soft.timer != 0 {
		h.NextDue = time.Unix(int64(soft.timer), 0).UTC()
	}
	if pt, ok := e.memory.AnyPoint(no); ok {
		if v, ok := e.soft.points[pt].value(grid.BatteryLevel); ok {
			h.BatteryPct = &v
		}
	}
	if days, known := soft.battery.DaysLeft(); known {
		days = math.Round(days)
		h.BatteryDays = &days
	}
	return h
}
