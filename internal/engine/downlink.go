package engine

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Downlinks are orders to devices. They are made and taken back by commands, sent by the
// gateway's outbox, which tells each step as a command, and answered by frames. The open
// ones are in memory; all are rows.

const (
	maxOpenOfDevice = 16
	maxOpen         = 10_000
	defaultExpires  = 24 * time.Hour
	maxExpires      = 30 * 24 * time.Hour
	maxEarly        = 16 // answers kept of a device until the wire has told its reference
	earlyFor        = 15 * time.Minute
	maxSaid         = 4 << 10  // bytes of an answer or an error
	maxAudited      = 16 << 10 // bytes of an order and its reason
)

// Downlink keeps an order until it has ended. The same ID with the same order again gives
// what has become of it. It is durable on nil; the outbox learns of it by Committed.
func (e *Engine) Downlink(ctx context.Context, d grid.Downlink) (grid.Downlink, error) {
	if err := d.Check(); err != nil {
		return grid.Downlink{}, err
	}
	return as[grid.Downlink](e.do(ctx, &command{name: "downlink", do: func(b *batch) (any, error) { return b.newDownlink(d) }}))
}

func (b *batch) newDownlink(d grid.Downlink) (grid.Downlink, error) {
	if d.ID != "" {
		old, err := b.downlink(d.ID)
		switch {
		case err == nil && sameDownlink(&old, &d):
			return old, nil
		case err == nil:
			return old, grid.Errorf(grid.Conflict, "downlink %s is there already, of %s: %s; want another id for another order", d.ID, old.Device, old.Order)
		case grid.CodeOf(err) != grid.NotFound:
			return old, grid.Errorf(grid.Unavailable, "whether downlink %s is there already cannot be read: %w", d.ID, err)
		}
	}
	row := grid.Downlink{
		ID: d.ID, Device: d.Device, Order: d.Order, Confirm: d.Confirm, Once: d.Once, State: grid.DownlinkQueued,
		Created: b.now.UTC(), Expires: d.Expires.UTC(), By: d.By, Reason: d.Reason,
	}
	if d.Expires.IsZero() {
		row.Expires = row.Created.Add(defaultExpires)
	}
	if err := b.mayOrder(&row); err != nil {
		return row, err
	}
	if row.ID == "" {
		row.ID = b.id()
	}
	*b.changeDownlink(row.ID) = row
	ids := b.e.downlinksOf[row.Device]
	set(b, b.e.downlinksOf, row.Device, append(ids[:len(ids):len(ids)], row.ID))
	b.expireAt(row.ID, row.Expires)
	b.auditDownlink("downlink.send", &row, d.By, d.Reason)
	return row, nil
}

func sameDownlink(a, b *grid.Downlink) bool {
	return a.Device == b.Device && a.Confirm == b.Confirm && a.Once == b.Once && reflect.DeepEqual(a.Order, b.Order)
}

// mayOrder says what speaks against a new downlink, gives it the device's mode, and puts
// it behind those that the device has.
func (b *batch) mayOrder(d *grid.Downlink) error {
	e := b.e
	if err := b.inService(d); err != nil {
		return err
	}
	switch in := d.Expires.Sub(d.Created); {
	case in <= 0:
		return grid.Errorf(grid.Invalid, "expires is %s, which is past: want a time to come", d.Expires.Format(time.RFC3339))
	case in > maxExpires:
		return grid.Errorf(grid.Invalid, "expires is %s: want at most %d days from now", d.Expires.Format(time.RFC3339), maxExpires/(24*time.Hour))
	case len(e.downlinks) >= maxOpen:
		return grid.Errorf(grid.Unavailable, "%d downlinks are open, which is the limit: want some to end first", len(e.downlinks))
	}
	open := 0
	for _, id := range e.downlinksOf[d.Device] {
		if old := e.downlinks[id]; !old.Ended() {
			open++
			if !d.Created.After(old.Created) { // in order of creation, whatever the clock says
				d.Created = old.Created.Add(1)
			}
		}
	}
	if open >= maxOpenOfDevice {
		return grid.Errorf(grid.Conflict, "device %s has %d open downlinks: want some to end first, or one taken back", d.Device, open)
	}
	return nil
}

// inService refuses a device that is to hear nothing from us.
func (b *batch) inService(d *grid.Downlink) error {
	no, known := b.e.memory.Device(d.Device)
	if !known {
		return grid.Errorf(grid.NotFound, "device %s: not registered", d.Device)
	}
	dev := b.e.memory.DeviceAt(no)
	if s := dev.State(); s == grid.Barred || s == grid.Retired {
		return grid.Errorf(grid.Conflict, "device %s is %s: want one in service", d.Device, s)
	}
	d.Mode = dev.Mode()
	return nil
}

// DownlinkStep is what the outbox tells of a downlink: exactly one of Try, Sent, Retry and
// Failed.
type DownlinkStep struct {
	Try    bool       // an attempt begins
	Sent   *grid.Sent // it was taken
	Way    string     // by which transport:source
	Retry  time.Time  // it was not, and is tried again then, with Error
	Error  string
	Failed bool // it never will be, with Error
}

func (s *DownlinkStep) check() error {
	n := 0
	for _, set := range []bool{s.Try, s.Sent != nil, !s.Retry.IsZero(), s.Failed} {
		if set {
			n++
		}
	}
	if n != 1 {
		return grid.Errorf(grid.Invalid, "step of a downlink: want exactly one of try, sent, retry and failed")
	}
	return nil
}

// DownlinkResult takes a step of a downlink and gives it as it is then; durable on nil.
// Before a try whoever sends looks at the answer: only one that is queued may go out. A step
// that comes late or again changes nothing that has ended.
func (e *Engine) DownlinkResult(ctx context.Context, id string, s DownlinkStep) (grid.Downlink, error) {
	if err := s.check(); err != nil {
		return grid.Downlink{}, err
	}
	return as[grid.Downlink](e.do(ctx, &command{name: "downlink", do: func(b *batch) (any, error) {
		d, err := b.downlink(id)
		if err != nil || d.Ended() {
			return d, err
		}
		next := stepDownlink(d, s, b.now)
		if s.Sent != nil {
			next = e.answeredEarly(next, b.now)
		}
		*b.changeDownlink(id) = next
		return next, nil
	}}))
}

// CancelDownlink takes back what was not sent yet.
func (e *Engine) CancelDownlink(ctx context.Context, id string, by grid.Actor, reason string) (grid.Downlink, error) {
	return as[grid.Downlink](e.do(ctx, &command{name: "downlink", do: func(b *batch) (any, error) {
		d, err := b.downlink(id)
		switch {
		case err != nil:
			return d, err
		case d.State == grid.DownlinkFailed:
			return d, nil // it never will be sent
		case d.State != grid.DownlinkQueued:
			return d, grid.Errorf(grid.Conflict, "downlink %s is %s: want one that is queued, what was sent cannot be taken back", id, d.State)
		}
		why := "taken back by " + by.Name
		if d.Trying {
			why += " while it was being sent: it may have been sent"
		}
		if reason != "" {
			why += ": " + reason
		}
		d = endDownlink(d, grid.DownlinkFailed, why, b.now)
		*b.changeDownlink(id) = d
		b.auditDownlink("downlink.cancel", &d, by, reason)
		return d, nil
	}}))
}

// downlink finds a downlink, ended ones too.
func (b *batch) downlink(id string) (grid.Downlink, error) {
	if d := b.e.downlinks[id]; d != nil {
		return *d, nil
	}
	return b.e.store.Downlink(context.Background(), id)
}

func (b *batch) changeDownlink(id string) *grid.Downlink {
	b.downlinks = append(b.downlinks, id)
	return change(b, b.e.downlinks, id)
}

func (b *batch) expireAt(id string, at time.Time) {
	e := b.e
	old := e.expiries.at[id]
	e.expiries.set(id, at)
	b.undo = append(b.undo, func() { e.expiries.set(id, old) })
}

func (b *batch) auditDownlink(action string, d *grid.Downlink, by grid.Actor, reason string) {
	detail := fmt.Sprintf("%s %s", d.Device, d.Order)
	if reason != "" {
		detail = reason + ": " + detail
	}
	row := state.Audit{ID: b.id(), At: b.now, By: by, Action: action, Subject: d.ID, Detail: cut(detail, maxAudited), Scope: b.e.home, Mode: d.Mode}
	if no, ok := b.e.memory.Device(d.Device); ok {
		if pt, ok := b.e.memory.AnyPoint(no); ok {
			p := b.e.memory.PointAt(pt)
			row.Scope, row.Cell = b.e.memory.Scope(p), b.e.memory.Cell(p)
		}
	}
	b.rows.Audit = append(b.rows.Audit, row)
}

// stepDownlink is what becomes of a downlink by a step.
func stepDownlink(d grid.Downlink, s DownlinkStep, now time.Time) grid.Downlink {
	if d.Ended() {
		return d
	}
	tried := d.State == grid.DownlinkQueued && (s.Sent != nil || !s.Retry.IsZero() || s.Failed && d.Trying)
	if tried {
		d.Attempts++
	}
	d.Way = orElse(s.Way, d.Way)
	switch {
	case s.Try && d.State != grid.DownlinkQueued: // an answer told that it went out by an earlier try
	case s.Try && !now.Before(d.Expires):
		return expireDownlink(d, now)
	case s.Try:
		d.Trying = true
	case s.Failed:
		return endDownlink(d, grid.DownlinkFailed, s.Error, now)
	case s.Sent != nil:
		d = sentDownlink(d, s.Sent.Answer, now)
		d.Trying, d.Ref = false, orElse(s.Sent.Ref, d.Ref)
		switch {
		case s.Sent.State == grid.DownlinkAcknowledged:
			return endDownlink(d, grid.DownlinkAcknowledged, "", now)
		case s.Sent.NoAck && !d.Confirm:
			return endDownlink(d, grid.DownlinkSent, "", now)
		}
	case d.State == grid.DownlinkQueued:
		d.Trying, d.Next, d.Error = false, s.Retry.UTC(), cut(s.Error, maxSaid)
	default: // not taken by this try, and the network has it from an earlier one
		d.Trying = false
	}
	return d
}

// answerDownlink is what becomes of a downlink by an answer. The network's word and the
// device's may come before that of the wire.
func answerDownlink(d grid.Downlink, a grid.DownAnswer, now time.Time) grid.Downlink {
	if d.Ended() {
		return d
	}
	switch a.State {
	case grid.DownlinkQueued:
		return sentDownlink(d, a.Detail, now)
	case grid.DownlinkSent:
		if d = sentDownlink(d, a.Detail, now); !d.Confirm { // it is on the air, and nobody acknowledges it
			return endDownlink(d, grid.DownlinkSent, "", now)
		}
		return d
	case grid.DownlinkAcknowledged:
		return endDownlink(sentDownlink(d, a.Detail, now), grid.DownlinkAcknowledged, "", now)
	case grid.DownlinkFailed:
		d.Answer = cut(orElse(a.Detail, d.Answer), maxSaid)
		return endDownlink(d, grid.DownlinkFailed, orElse(a.Detail, "refused, without a reason"), now)
	}
	return d
}

// expireDownlink is what becomes of a downlink whose time is over.
func expireDownlink(d grid.Downlink, now time.Time) grid.Downlink {
	by := d.Expires.UTC().Format(time.RFC3339)
	switch {
	case d.Ended() || now.Before(d.Expires):
		return d
	case d.State == grid.DownlinkSent && d.Confirm:
		return endDownlink(d, grid.DownlinkFailed, "not acknowledged by "+by, now)
	case d.State == grid.DownlinkSent:
		return endDownlink(d, grid.DownlinkSent, "", now)
	}
	why := "not sent by " + by
	if d.Trying {
		why = "no outcome of the last try by " + by + ": it may have been sent"
	}
	if d.Error != "" {
		why += "; last: " + d.Error
	}
	return endDownlink(d, grid.DownlinkFailed, why, now)
}

func sentDownlink(d grid.Downlink, answer string, now time.Time) grid.Downlink {
	if d.State == grid.DownlinkQueued {
		d.State, d.SentAt, d.Next, d.Error, d.Attempts = grid.DownlinkSent, now.UTC(), time.Time{}, "", max(d.Attempts, 1)
	}
	d.Answer = cut(orElse(answer, d.Answer), maxSaid)
	return d
}

func endDownlink(d grid.Downlink, s grid.DownlinkState, err string, now time.Time) grid.Downlink {
	d.State, d.Error, d.EndedAt, d.Trying, d.Next = s, cut(err, maxSaid), now.UTC(), false, time.Time{}
	return d
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// takeOutOfService ends what waits for a device that is to hear nothing more from us.
func (b *batch) takeOutOfService(d *grid.Device) {
	for _, id := range b.e.downlinksOf[d.Identity] {
		if row := *b.e.downlinks[id]; row.State == grid.DownlinkQueued {
			*b.changeDownlink(id) = endDownlink(row, grid.DownlinkFailed, fmt.Sprintf("device %s is %s", d.Identity, d.State), b.now)
		}
	}
}

func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	return strings.ToValidUTF8(s[:max], "") + "…"
}

// answered takes what a frame says of a downlink of its own device. A network may answer
// before its wire has told us what it calls the downlink: such an answer is kept for a while.
func (b *batch) answered(f *grid.Frame) {
	e := b.e
	d := e.answers(f)
	if d == nil {
		if f.Flags&grid.Retained == 0 && f.Down.Ref != "" && e.hasQueued(f.Identity) {
			early := e.early[f.Identity]
			early = append(early[:len(early):len(early)], earlyAnswer{*f.Down, f.Received})
			set(b, e.early, f.Identity, early[max(0, len(early)-maxEarly):])
		}
		return
	}
	if next := answerDownlink(*d, *f.Down, b.now); !reflect.DeepEqual(next, *d) {
		*b.changeDownlink(d.ID) = next
	}
}

// earlyAnswer is an answer to a downlink whose reference is not known yet.
type earlyAnswer struct {
	grid.DownAnswer
	at time.Time
}

// answeredEarly is what becomes of a downlink whose reference has just come by the answers
// that came before it.
func (e *Engine) answeredEarly(d grid.Downlink, now time.Time) grid.Downlink {
	for _, a := range e.early[d.Device] {
		if a.Ref == d.Ref && !a.at.Before(d.Created) && now.Sub(a.at) <= earlyFor {
			d = answerDownlink(d, a.DownAnswer, now)
		}
	}
	return d
}

// answers finds the open downlink that a frame answers. Our own ids are unique; what a
// network calls a downlink may come again, so that no old word may be taken for it.
func (e *Engine) answers(f *grid.Frame) *grid.Downlink {
	if f.Down.Ref == "" {
		return nil
	}
	var byRef *grid.Downlink
	for _, id := range e.downlinksOf[f.Identity] {
		d := e.downlinks[id]
		switch {
		case d.Ended():
		case id == f.Down.Ref:
			return d
		case d.Ref == f.Down.Ref && f.Flags&grid.Retained == 0 && !f.Received.Before(d.Created):
			byRef = d
		}
	}
	return byRef
}

func (e *Engine) hasQueued(id grid.Identity) bool {
	return slices.ContainsFunc(e.downlinksOf[id], func(id string) bool { return e.downlinks[id].State == grid.DownlinkQueued })
}

// expire ends the downlinks whose time is over. now is not later than the oldest frame that
// is not handled yet: what came in time counts, also after a restart.
func (b *batch) expire(now time.Time) {
	e := b.e
	for range maxTimers {
		id, ok := e.expiries.due(now)
		if !ok {
			return
		}
		d := e.downlinks[id]
		if d == nil {
			continue
		}
		b.undo = append(b.undo, func() { e.expiries.set(id, d.Expires) })
		if next := expireDownlink(*d, now); next.Ended() {
			*b.changeDownlink(id) = next
		}
	}
}

// loadDownlinks takes the open downlinks into memory.
func (e *Engine) loadDownlinks(ctx context.Context) error {
	open, err := e.store.OpenDownlinks(ctx)
	if err != nil {
		return fmt.Errorf("load the open downlinks: %w", err)
	}
	for i := range open {
		d := &open[i]
		e.downlinks[d.ID] = d
		e.downlinksOf[d.Device] = append(e.downlinksOf[d.Device], d.ID)
		e.expiries.set(d.ID, d.Expires)
	}
	return nil
}

// dropDownlinks forgets, after the commit, those that have ended, and answers that came too
// early for none.
func (e *Engine) dropDownlinks(changed []string) {
	for _, id := range changed {
		d := e.downlinks[id]
		if d == nil {
			continue // changed twice
		}
		if d.Ended() {
			delete(e.downlinks, id)
			e.expiries.set(id, time.Time{})
			left := slices.DeleteFunc(slices.Clone(e.downlinksOf[d.Device]), func(other string) bool { return other == id })
			if e.downlinksOf[d.Device] = left; len(left) == 0 {
				delete(e.downlinksOf, d.Device)
			}
		}
		if !e.hasQueued(d.Device) {
			delete(e.early, d.Device)
		}
	}
}
