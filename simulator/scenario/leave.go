package scenario

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator/verdict"
)

// comeBack revives devices that an earlier run of this scenario has left retired.
func (r *run) comeBack(ctx context.Context) error {
	return r.eachDevice(ctx, "revive")
}

// leave retires, at a gateway that is not ours, the devices of this run, so that nobody waits for
// what they say. Points, units, tickets and what happened stay: a gateway forgets nothing.
func (r *run) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	said := verdict.Text{ZH: "模拟设备已退役；点位、单位、工单和记录仍在此网关，前缀 " + r.prefix, EN: "the devices are retired at this gateway; points, units, tickets and records stay there, as " + r.prefix + "…"}
	if err := r.eachDevice(ctx, "retire"); err != nil {
		said = verdict.Text{ZH: "模拟设备未能退役：" + err.Error(), EN: "the devices could not be retired: " + err.Error()}
	}
	r.result.NotPlayed = append(r.result.NotPlayed, said)
}

// eachDevice asks for one act on each device of the run. One that the gateway does not know, or that
// is so already, is passed over.
func (r *run) eachDevice(ctx context.Context, verb string) error {
	all := []grid.Identity{}
	for i := range r.city.Len() {
		all = append(all, r.city.Device(i).Identity)
	}
	for _, pair := range r.swapped {
		all = append(all, pair[0])
	}
	body := map[string]any{"reason": "scenario " + r.s.ID, "by": map[string]any{"name": "gridsim", "role": grid.RoleSupervisor}}
	for _, id := range all {
		err := r.api.do(ctx, "POST", "/api/v1/devices/"+escape(string(id))+"/"+verb, body, nil)
		var no *problem
		if errors.As(err, &no) && (no.status == http.StatusNotFound || no.status == http.StatusConflict) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
