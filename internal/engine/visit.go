package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/commission"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Visits: package commission decides. This file begins them and brings it what people say, visit_frame.go
// the frames, visit_verdict.go makes the point's state and the ticket of it; visit_window.go has the window.

// maxVisits bounds the visits that are open or pending.
const maxVisits = 50_000

// visits are those that are open or pending, and what comes due of them.
type visits struct {
	all map[string]*grid.Visit
	of  map[grid.Identity][]string // by device; its soft state has the flag underVisit
	due deadlines                  // real time
}

func newVisits() visits {
	return visits{all: map[string]*grid.Visit{}, of: map[grid.Identity][]string{}, due: newDeadlines()}
}

// Keys of deadlines: to judge again, the end of waiting, a building's protection.
const (
	visitWake     = "wake/"
	visitDue      = "due/"
	visitBuilding = "building/"
)

func (b *batch) changeVisit(id string) *grid.Visit {
	b.visits = append(b.visits, id)
	return change(b, b.e.visits.all, id)
}

func (b *batch) wakeVisit(key string, at time.Time) { b.wake(&b.e.visits.due, key, at) }

// visit finds a visit, decided ones too.
func (b *batch) visit(id string) (grid.Visit, error) {
	if v := b.e.visits.all[id]; v != nil {
		return *v, nil
	}
	return b.e.store.Visit(context.Background(), id)
}

// StartVisit begins a commissioning. The same id again gives what has become of it. What came
// of the device since it began, before we heard of it, is looked through.
func (e *Engine) StartVisit(ctx context.Context, n grid.NewVisit) (grid.Visit, error) {
	v, err := as[grid.Visit](e.do(ctx, &command{name: "visit", do: func(b *batch) (any, error) { return b.startVisit(n) }}))
	if err != nil || v.Looked {
		return v, err
	}
	return e.lookBack(ctx, &v)
}

func (b *batch) startVisit(n grid.NewVisit) (grid.Visit, error) {
	e := b.e
	if e.Commission == nil {
		return grid.Visit{}, grid.Errorf(grid.Unavailable, "visit %s: this gateway has no plans of commissioning", n.ID)
	}
	old, err := b.visit(n.ID)
	switch {
	case err == nil && old.Device == n.Device && old.Point == n.Point:
		return old, nil
	case err == nil:
		return old, grid.Errorf(grid.Conflict, "visit %s is there already and is of device %s at point %s: want another id", n.ID, old.Device, old.Point)
	case grid.CodeOf(err) != grid.NotFound:
		return old, grid.Errorf(grid.Unavailable, "whether visit %s is there already cannot be read: %w", n.ID, err)
	}
	pt, no, err := e.installedAt(n.Device, n.Point)
	if err != nil {
		return grid.Visit{}, err
	}
	if len(e.visits.all) >= maxVisits {
		return grid.Visit{}, grid.Errorf(grid.Unavailable, "%d visits are open or pending: want some to end first", len(e.visits.all))
	}
	v, err := b.newVisit(&n, pt, no)
	if err != nil {
		return v, err
	}
	b.supersede(&v)
	*b.changeVisit(v.ID) = v
	b.indexVisit(&v)
	row := e.visits.all[v.ID]
	if err := b.visitWindow(row, n.Session); err != nil {
		return v, err
	}
	b.judgeVisit(row)
	b.auditVisit("visit.start", row, n.By, string(row.Device))
	return *row, nil
}

// installedAt finds a point and the device that is there.
func (e *Engine) installedAt(device grid.Identity, point string) (registry.PointNo, registry.DeviceNo, error) {
	pt, ok := e.memory.Point(point)
	if !ok {
		return 0, 0, grid.Errorf(grid.NotFound, "point %q: not registered", point)
	}
	no, ok := e.memory.Device(device)
	if !ok {
		return 0, 0, grid.Errorf(grid.NotFound, "device %s: not registered", device)
	}
	here := false
	e.memory.PointsOf(no, func(_ string, at registry.PointNo) { here = here || at == pt })
	if s := e.memory.DeviceAt(no).State(); !here || s != grid.Installed {
		return 0, 0, grid.Errorf(grid.Conflict, "device %s is %s and not at point %s: claim it, or put it there first", device, s, point)
	}
	return pt, no, nil
}

func (b *batch) newVisit(n *grid.NewVisit, pt registry.PointNo, no registry.DeviceNo) (grid.Visit, error) {
	e := b.e
	row, dev := e.memory.PointAt(pt), e.memory.DeviceAt(no)
	v := grid.Visit{
		ID: n.ID, Device: n.Device, Point: n.Point, Kind: row.Kind(), Building: e.memory.Building(row), Offline: n.Offline,
		Started: n.Started.UTC(), Opened: b.now.UTC(), Profile: e.memory.Profile(dev), By: n.By,
		Scope: e.memory.Scope(row), Cell: e.memory.Cell(row), Mode: row.Mode(),
	}
	if v.Started.IsZero() || v.Started.After(v.Opened) {
		v.Started = v.Opened
	}
	if v.Started.Before(v.Opened.Add(-grid.OfflineFor)) {
		return v, grid.Errorf(grid.Invalid, "started is %s: want one of the last %d days", v.Started.Format(time.RFC3339), int(grid.OfflineFor.Hours()/24))
	}
	v.Looked = v.Started.Equal(v.Opened)
	for lane := range v.From {
		v.From[lane] = b.cursors[lane].Seq
	}
	p, err := e.store.Point(context.Background(), n.Point)
	if err != nil {
		return v, err
	}
	if p.Lon != 0 || p.Lat != 0 {
		v.At = &grid.VisitPosition{Lon: p.Lon, Lat: p.Lat, CRS: p.CRS, Cell: p.Cell}
	}
	profile, err := e.profiles.Get(v.Profile)
	if err != nil {
		return v, grid.Errorf(grid.Invalid, "device %s: profile %q: %w", v.Device, v.Profile, err)
	}
	v.Before = e.knownBefore(pt, dev, v.Started)
	return v, e.Commission.Begin(&v, slices.Clone(profile.Signals), e.intervalOf(no, nil))
}

// knownBefore is what this device has said of the point before a visit: the newest of each
// signal.
func (e *Engine) knownBefore(pt registry.PointNo, dev *registry.DeviceRow, started time.Time) *grid.VisitFrame {
	f := &grid.VisitFrame{}
	since := fromNanos(dev.Installed)
	for _, v := range e.soft.points[pt].vals {
		received := time.Unix(int64(v.received), 0).UTC()
		if received.Before(since) || !received.Before(started) || v.flags&networkValue != 0 {
			continue
		}
		f.Readings = append(f.Readings, grid.VisitReading{Signal: v.signal, Value: float64(v.v), At: time.Unix(int64(v.at), 0).UTC()})
		if received.After(f.Received) {
			f.At, f.Received = received, received
		}
	}
	if len(f.Readings) == 0 {
		return nil
	}
	return f
}

// supersede ends the visits that are still open or pending at the place of a newer one.
func (b *batch) supersede(v *grid.Visit) {
	for _, id := range b.e.liveVisits() {
		o := b.e.visits.all[id]
		if o.Live() && o.Started.Before(v.Started) && (o.Point == v.Point || o.Device == v.Device) {
			row := b.changeVisit(id)
			row.State, row.Decided = grid.VisitFailed, b.now.UTC()
			row.Reasons = []grid.Text{{ZH: "已由新的调试代替：" + v.ID, EN: "replaced by another visit: " + v.ID}}
			b.visitOver(row)
		}
	}
}

func (e *Engine) liveVisits() (ids []string) {
	for id := range e.visits.all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// indexVisit lets the frames of its device find a visit.
func (b *batch) indexVisit(v *grid.Visit) {
	e := b.e
	set(b, e.visits.of, v.Device, with(e.visits.of[v.Device], v.ID, +1))
	if no, ok := e.memory.Device(v.Device); ok {
		e.soft.touchDevice(no).flags |= underVisit
	}
	if v.State == grid.VisitPending {
		b.wakeVisit(visitDue+v.ID, v.Due)
	} else {
		b.wakeVisit(visitDue+v.ID, v.Opened.Add(e.Commission.Pending))
	}
}

// visitOver takes a decided visit out of the way of frames, and ends its window.
func (b *batch) visitOver(v *grid.Visit) {
	e := b.e
	if ids := with(e.visits.of[v.Device], v.ID, -1); len(ids) > 0 {
		set(b, e.visits.of, v.Device, ids)
	} else {
		unset(b, e.visits.of, v.Device)
		if no, ok := e.memory.Device(v.Device); ok {
			e.soft.touchDevice(no).flags &^= underVisit
		}
	}
	b.wakeVisit(visitDue+v.ID, time.Time{})
	b.wakeVisit(visitWake+v.ID, time.Time{})
	b.closeVisitWindow(v)
}

// SayInVisit takes a person's word on a step. It is durable on nil.
func (e *Engine) SayInVisit(ctx context.Context, id string, w grid.VisitWord, key string) (grid.Visit, error) {
	return as[grid.Visit](e.do(ctx, &command{name: "visit step", key: visitKey(id, key), do: func(b *batch) (any, error) {
		v, err := b.openVisit(id)
		if err != nil {
			return nil, err
		}
		if w.Photo != "" {
			p, err := e.store.Photo(context.Background(), w.Photo)
			if err != nil {
				return nil, err
			}
			if p.Point != v.Point {
				return nil, grid.Errorf(grid.Invalid, "photo %s is of point %s: want one of %s", w.Photo, p.Point, v.Point)
			}
		}
		w.At = between(w.At, v.Started, b.now)
		row := b.changeVisit(id)
		if err := e.Commission.Say(row, w); err != nil {
			return nil, err
		}
		b.judgeVisit(row)
		return *row, nil
	}}))
}

func visitKey(id, key string) string {
	if key == "" {
		return ""
	}
	return "visit/" + id + "/" + key
}

// between is a time between two others; zero is the later.
func between(at, from, to time.Time) time.Time {
	switch {
	case at.IsZero() || at.After(to):
		return to.UTC()
	case at.Before(from):
		return from.UTC()
	}
	return at.UTC()
}

// openVisit finds a visit that nobody has signed.
func (b *batch) openVisit(id string) (grid.Visit, error) {
	v, err := b.visit(id)
	switch {
	case err != nil:
		return v, err
	case v.State == grid.VisitPending:
		return v, grid.Errorf(grid.Conflict, "visit %s is signed by %s and waits for the device: want a new visit", id, v.Signed.By.Name)
	case v.State != grid.VisitOpen:
		return v, grid.Errorf(grid.Conflict, "visit %s has %s at %s: want a new visit", id, v.State, v.Decided.Format(time.RFC3339))
	}
	return v, nil
}

// FinishVisit signs a verdict. That a person says pass makes it pending, and passed only when
// the device has shown what it has to; what is pending may still be failed. It is durable on nil.
func (e *Engine) FinishVisit(ctx context.Context, end grid.VisitEnd, key string) (grid.Visit, error) {
	act := grid.Act{By: end.By, Via: "visit", Reason: "visit " + end.Visit}
	return as[grid.Visit](e.do(ctx, &command{name: "visit end", key: visitKey(end.Visit, key), registry: true, act: act, do: func(b *batch) (any, error) { return b.finishVisit(&end) }}))
}

func (b *batch) finishVisit(end *grid.VisitEnd) (grid.Visit, error) {
	v, err := b.visit(end.Visit)
	if err != nil {
		return v, err
	}
	verdict := commission.Fail
	if end.Pass {
		verdict = commission.Pass
	}
	switch {
	case v.Signed != nil && v.Signed.Verdict == verdict:
		return v, nil // said before
	case v.State == grid.VisitPending && !end.Pass:
	case v.State != grid.VisitOpen:
		_, err := b.openVisit(v.ID)
		return v, err
	}
	if err := mayEnd(&v, end); err != nil {
		return v, err
	}
	row := b.changeVisit(v.ID)
	at := between(end.At, v.Started, b.now)
	row.Signed = &grid.VisitSignature{Verdict: verdict, By: end.By, At: at, Signed: b.now.UTC()}
	if row.Until.IsZero() {
		b.e.Commission.Settle(row, at)
	}
	if !end.Pass {
		row.Gateway, row.Reasons = end.Gateway, failedBecause(&v, end)
	}
	b.judgeVisit(row)
	return *row, nil
}

func mayEnd(v *grid.Visit, end *grid.VisitEnd) error {
	switch {
	case end.Pass && end.Gateway:
		return grid.Errorf(grid.Invalid, "needs_gateway is true and verdict is pass: want fail where a gateway has to be put up first")
	case !end.Pass && len(failedBecause(v, end)) == 0:
		return grid.Errorf(grid.Invalid, "reasons is empty: want why it fails")
	case end.Pass:
		if ids := commission.Undone(v); len(ids) > 0 {
			return grid.Errorf(grid.Conflict, "steps %s of visit %s are still to be done: do them, or say why they cannot be done", strings.Join(ids, ", "), v.ID)
		}
	}
	return nil
}

// failedBecause is what a person says, else the steps that have failed.
func failedBecause(v *grid.Visit, end *grid.VisitEnd) (out []grid.Text) {
	for _, r := range end.Reasons {
		if r = strings.TrimSpace(r); r != "" {
			out = append(out, grid.Text{ZH: r, EN: r})
		}
	}
	for i := range v.Steps {
		s := &v.Steps[i]
		if s.State == grid.StepFailed && len(end.Reasons) == 0 {
			w := commission.StateWords(s.State)
			out = append(out, grid.Text{ZH: s.Title.ZH + "：" + w.ZH + s.Detail.ZH, EN: strings.TrimSuffix(s.Title.EN+": "+w.EN+", "+s.Detail.EN, ", ")})
		}
	}
	if end.Gateway {
		words := commission.SignalWords(&v.Signal)
		out = append(out, grid.Text{ZH: strings.TrimSuffix("需要网关："+cmp.Or(words, "没有收到信号"), "："), EN: "needs a gateway: " + cmp.Or(words, "nothing is heard")})
	}
	return out
}

// dropVisits forgets those that are decided.
func (e *Engine) dropVisits(changed []string) {
	for _, id := range changed {
		if v := e.visits.all[id]; v != nil && !v.Live() {
			delete(e.visits.all, id)
		}
	}
}

// loadVisits puts the open and pending ones into memory, and marks their devices. What is
// overdue comes up at once.
func (e *Engine) loadVisits(ctx context.Context) error {
	all, err := e.store.LiveVisits(ctx)
	if err != nil {
		return fmt.Errorf("load the visits: %w", err)
	}
	for i := range e.soft.devs {
		e.soft.devs[i].flags &^= underVisit
	}
	if e.Commission == nil {
		return nil
	}
	b := e.begin(e.Now())
	for i := range all {
		if v := &all[i]; v.Live() {
			e.visits.all[v.ID] = v
			b.indexVisit(v)
			e.visits.due.set(visitWake+v.ID, e.Now())
		}
	}
	e.soft.forget()
	return nil
}
