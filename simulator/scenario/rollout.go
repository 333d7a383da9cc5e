package scenario

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// rollOut uploads a candidate, whose files stand in the scenario or are named as "file:…"; without
// files it takes the roll-out that runs further. Its points' devices are in the share whatever
// the percentage.
func (r *run) rollOut(ctx context.Context, a *Act) error {
	body := map[string]any{"reason": cmp.Or(a.Reason, "new firmware"), "by": a.by(), "stage": a.Stage}
	if a.Share > 0 {
		body["share"] = a.Share
	}
	if a.Force {
		body["force"] = true
	}
	names, err := r.s.allNames(a.Points)
	if err != nil {
		return err
	}
	devices := []grid.Identity{}
	for _, n := range names {
		i, err := r.city.Find(r.pointID(n))
		if err != nil {
			return err
		}
		devices = append(devices, r.city.Device(i).Identity)
	}
	if len(devices) > 0 {
		body["devices"] = devices
	}
	path := "/api/v1/profiles/" + escape(a.Profile) + "/rollout"
	if len(a.Files) == 0 {
		return r.api.do(ctx, "PUT", path, thin(body), nil)
	}
	files := map[string]string{}
	for name, v := range a.Files {
		files[name] = textOf(v)
		if from, ok := strings.CutPrefix(files[name], "file:"); ok {
			b, err := os.ReadFile(filepath.FromSlash(from))
			if err != nil {
				return err
			}
			files[name] = string(b)
		}
	}
	body["files"] = files
	return r.api.do(ctx, "POST", path, thin(body), nil)
}

// takeBack returns to the former version.
func (r *run) takeBack(ctx context.Context, a *Act) error {
	return r.api.do(ctx, "POST", "/api/v1/profiles/"+escape(a.Profile)+"/rollout/back", map[string]any{"reason": a.Reason, "by": a.by()}, nil)
}

// tellRollouts are the steps of all roll-outs of this run, each with what is in force at the end.
func (r *run) tellRollouts(ctx context.Context, ev *evidence) error {
	var page struct {
		Items []struct {
			Profile string `json:"profile"`
		} `json:"items"`
	}
	if err := r.api.do(ctx, "GET", "/api/v1/rollouts", nil, &page); err != nil {
		return err
	}
	for _, x := range page.Items {
		var one map[string]any
		if err := r.api.do(ctx, "GET", "/api/v1/profiles/"+escape(x.Profile)+"/rollout", nil, &one); err != nil {
			return err
		}
		for _, step := range listOf(one["steps"]) {
			if stampOf(step["at"]).Before(r.zero.Add(-time.Minute)) {
				continue // another run's
			}
			by, _ := step["by"].(map[string]any)
			step["by"], step["in_force"], step["running"] = textOf(by["name"]), one["in_force"], one["running"]
			ev.rows["rollout"] = append(ev.rows["rollout"], step)
		}
	}
	return nil
}
