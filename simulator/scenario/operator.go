package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator/verdict"
)

// act does what an operator does, by the API. What must be refused and is not is an error too.
func (r *run) act(ctx context.Context, t *Step) error {
	a := t.Operator
	err := r.actOnce(ctx, a)
	var no *problem
	switch {
	case a.Refused && err == nil:
		return fmt.Errorf("%s is taken: want it refused", a.Do)
	case a.Refused && errors.As(err, &no) && no.status/100 == 4:
		err = nil
	}
	words := a.Do + " " + cmp.Or(a.Of, a.Device, a.Posture, a.Building, strings.Join(a.Points, " "), a.Type, a.Profile)
	r.mark(verdict.LaneOperator, a.Do, t.words(a.By+" "+words, a.By+" "+words))
	if err != nil {
		return fmt.Errorf("%s: %w", a.Do, err)
	}
	return nil
}

// by is who acts.
func (a *Act) by() map[string]any {
	role := a.Role
	if role == "" {
		role = grid.RoleOperator
		if oneOf(a.Do, "posture out_of_service force_close") {
			role = grid.RoleSupervisor
		}
	}
	return map[string]any{"name": cmp.Or(a.By, "desk"), "role": role}
}

func (r *run) actOnce(ctx context.Context, a *Act) error {
	switch a.Do {
	case "ack":
		return r.onAlarm(ctx, a, "ack", map[string]any{"by": a.by(), "comment": a.Reason})
	case "comment":
		return r.onAlarm(ctx, a, "comment", map[string]any{"by": a.by(), "comment": a.Reason})
	case "answer":
		return r.onAlarm(ctx, a, "answer", map[string]any{"by": a.by(), "answer": a.Answer, "session": a.Session})
	case "take":
		return r.onAlarm(ctx, a, "take", map[string]any{"by": a.by(), "seat": cmp.Or(a.Place, "desk-1")})
	case "verify", "confirm", "assign", "cancel", "done", "resolve", "force_close":
		return r.move(ctx, a)
	case "file":
		body := map[string]any{"type": a.Type, "external": a.External, "source": cmp.Or(a.Source, "hotline"), "mode": grid.Simulated, "by": a.by(), "place": a.Place, "text": a.Reason, "building": a.Building}
		if all, _ := r.s.allNames(a.Points); len(all) > 0 {
			body["point"] = r.pointID(all[0])
		}
		return r.api.do(ctx, "POST", "/api/v1/events", thin(body), nil)
	case "window", "maintenance", "out_of_service", "shelve", "permit", "exercise":
		return r.openWindow(ctx, a)
	case "posture":
		return r.api.do(ctx, "POST", "/api/v1/posture", thin(map[string]any{"posture": a.Posture, "for": lasts(a.Lasts), "reason": cmp.Or(a.Reason, "as planned"), "by": a.by()}), nil)
	case "claim", "swap", "bar":
		return r.onDevice(ctx, a)
	case "rollout":
		return r.rollOut(ctx, a)
	case "rollback":
		return r.takeBack(ctx, a)
	case "call":
		return r.api.do(ctx, cmp.Or(a.Method, "GET"), a.Path, a.Body, nil)
	}
	return fmt.Errorf("do is %q: want an act that is known", a.Do)
}

// thin leaves out what is empty: the API is strict about what is said.
func thin(m map[string]any) map[string]any {
	for k, v := range m {
		if v == "" || v == nil {
			delete(m, k)
		}
	}
	return m
}

func lasts(s Span) string {
	if s == 0 {
		return ""
	}
	return s.of().String()
}

// newest finds the newest row of a list for "point/event type". An alarm that was due a
// moment ago may still be on its way: it waits, for five seconds of real time at most.
func (r *run) newest(ctx context.Context, list, of string) (map[string]any, error) {
	name, typ, err := r.s.reference(of)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		rows, err := r.api.list(ctx, list, url.Values{"point": {r.pointID(name)}, "type": {typ}})
		if err != nil {
			return nil, err
		}
		var best map[string]any
		for _, row := range rows {
			if best == nil || textOf(row["id"]) > textOf(best["id"]) { // ids are in order of time
				best = row
			}
		}
		if best != nil {
			return best, nil
		}
		if time.Now().After(deadline) {
			return nil, grid.Errorf(grid.NotFound, "%s of %s: there is none", list, of)
		}
		select {
		case <-time.After(30 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (r *run) onAlarm(ctx context.Context, a *Act, what string, body map[string]any) error {
	alarm, err := r.newest(ctx, "alarms", a.Of)
	if err != nil {
		return err
	}
	return r.api.do(ctx, "POST", "/api/v1/alarms/"+escape(textOf(alarm["id"]))+"/"+what, thin(body), nil)
}

func (r *run) move(ctx context.Context, a *Act) error {
	t, err := r.newest(ctx, "tickets", a.Of)
	if err != nil {
		return err
	}
	body := thin(map[string]any{"verb": a.Do, "reason": a.Reason, "finding": a.Finding, "source": a.Source, "evidence": a.Evidence, "unit": a.Unit, "by": a.by()})
	if a.OnSite {
		body["on_site"] = true
	}
	if a.Do == "done" {
		for _, task := range listOf(t["tasks"]) {
			if open := stampOf(task["done"]).IsZero(); open && (a.TaskKind == "" || textOf(task["kind"]) == a.TaskKind) {
				body["task"] = task["n"]
			}
		}
	}
	path := "/api/v1/tickets/" + escape(textOf(t["id"])) + "/moves"
	if err := r.api.do(ctx, "POST", path, body, nil); err != nil || a.Second == "" {
		return err
	}
	body["by"] = map[string]any{"name": a.Second, "role": grid.RoleSupervisor}
	return r.api.do(ctx, "POST", path, body, nil)
}

func (r *run) openWindow(ctx context.Context, a *Act) error {
	names, err := r.s.allNames(a.Points)
	if err != nil {
		return err
	}
	points := []string{}
	for _, n := range names {
		points = append(points, r.pointID(n))
	}
	body := map[string]any{"points": points, "for": lasts(a.Lasts), "reason": a.Reason, "holder": a.Holder, "session": a.Session, "patrol": a.Patrol, "lead": a.Lead, "by": a.by()}
	path := "/api/v1/windows"
	switch a.Do {
	case "window":
		body["kind"] = grid.WindowCommissioning
	case "shelve":
		body["kind"] = grid.WindowShelved
	case "permit":
		path = "/api/v1/permits"
	case "exercise":
		path = "/api/v1/exercises"
		body["area"] = map[string]any{"building": a.Building}
		script := []any{}
		for _, p := range points {
			for _, typ := range a.Types {
				script = append(script, map[string]any{"point": p, "type": typ})
			}
		}
		body["script"] = script
		delete(body, "points")
	default:
		body["kind"] = a.Do
	}
	if len(a.Types) > 0 && a.Do != "exercise" {
		body["types"] = a.Types
	}
	var w struct {
		ID string `json:"id"`
	}
	if err := r.api.do(ctx, "POST", path, thin(body), &w); err != nil || a.Session == "" {
		return err
	}
	r.working.Go(func() { r.stay(ctx, w.ID, a) })
	return nil
}

// stay says every 30 s of the city that the technician is there, as the app does.
func (r *run) stay(ctx context.Context, window string, a *Act) {
	end := r.clock.Now().Add(a.Lasts.of())
	for r.clock.Sleep(ctx, 30*time.Second) == nil && r.clock.Now().Before(end) {
		if r.api.do(ctx, "POST", "/api/v1/windows/"+escape(window)+"/touch", map[string]any{"session": a.Session}, nil) != nil {
			return // it has ended
		}
	}
}

func (r *run) onDevice(ctx context.Context, a *Act) error {
	i, err := r.city.Find(r.pointID(a.Device))
	if err != nil {
		return err
	}
	d := r.city.Device(i)
	path := "/api/v1/devices/"
	switch a.Do {
	case "bar":
		return r.api.do(ctx, "POST", path+escape(string(d.Identity))+"/bar", map[string]any{"reason": cmp.Or(a.Reason, "found broken"), "by": a.by()}, nil)
	case "claim":
		p := r.city.Point(i)
		p.Name = a.Device
		body := map[string]any{"profile": d.Profile, "mode": grid.Simulated, "point": p, "by": a.by()}
		if d.Interval > 0 {
			body["interval"] = d.Interval.String()
		}
		return r.eventually(ctx, func() error {
			return r.api.do(ctx, "POST", path+escape(string(d.Identity))+"/claim", body, nil)
		})
	}
	old, fresh := d.Identity, grid.Identity("")
	if a.With == "fresh" { // the one that `device: swap` has put there
		pair := r.swapOf(a.Device)
		old, fresh = pair[0], pair[1]
	} else if k, err := r.city.Find(r.pointID(a.With)); err == nil {
		fresh = r.city.Device(k).Identity
	}
	if fresh == "" {
		return fmt.Errorf("with is %q: want fresh after a step with device: swap, or the point of a stranger", a.With)
	}
	return r.api.do(ctx, "POST", path+escape(string(old))+"/replace", map[string]any{"with": fresh, "profile": d.Profile, "mode": grid.Simulated, "reason": cmp.Or(a.Reason, "battery is empty"), "by": a.by()}, nil)
}

func (r *run) swapOf(name string) [2]grid.Identity {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.swapped[name]
}

// eventually tries until it works, for five seconds of real time at most: what it needs is
// on its way.
func (r *run) eventually(ctx context.Context, try func() error) error {
	for deadline := time.Now().Add(5 * time.Second); ; {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// radio ends all radio gateways that hear a device, or wakes those that it has ended.
func (r *run) radio(i int, dead bool) error {
	d := r.city.Device(i)
	if dead {
		for heard := r.city.RadioGateways(i); len(heard) > 0; heard = r.city.RadioGateways(i) { // where the best are dead, others hear it
			for _, g := range heard {
				r.city.RadioGateway(g, true)
				r.mu.Lock()
				r.silenced[i] = append(r.silenced[i], g)
				r.mu.Unlock()
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.silenced[i]) == 0 {
		return grid.Errorf(grid.Invalid, "%s is heard by no radio gateway", d.Point)
	}
	if !dead {
		for _, g := range r.silenced[i] {
			r.city.RadioGateway(g, false)
		}
		delete(r.silenced, i)
	}
	return nil
}
