package state

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"gridgate/internal/grid"
)

// versionTable writes a version once: it does not change.
var versionTable = table[grid.ProfileVersion]{
	name: "profile_versions", key: "profile, version", once: true,
	cols: "profile, version, files, by_role, by_name, by_unit, at, reason",
	bind: func(a *args, v *grid.ProfileVersion) {
		a.text(v.Profile, v.Version)
		a.doc(v.Files)
		a.actor(v.By)
		a.time(v.At)
		a.text(v.Reason)
	},
	scan: func(r *row) grid.ProfileVersion {
		v := grid.ProfileVersion{Profile: r.text(), Version: r.text()}
		if err := json.Unmarshal(r.json(), &v.Files); err != nil && r.err == nil {
			r.err = err
		}
		v.By, v.At, v.Reason = r.actor(), r.time(), r.text()
		return v
	},
}

var rolloutTable = table[grid.RolloutStep]{
	name: "rollouts", key: "profile, n", once: true,
	cols: "profile, n, rollout, version, former, kept, stage, share, devices, forced, recount, by_role, by_name, by_unit, " +
		"reason, detail, at, safety_epoch, safety_seq, bulk_epoch, bulk_seq",
	bind: func(a *args, s *grid.RolloutStep) {
		a.text(s.Profile)
		a.num(int64(s.N))
		a.text(s.Rollout, s.Version, s.Former)
		a.flag(s.Kept)
		a.text(string(s.Stage))
		a.num(int64(s.Share))
		a.doc(s.Devices)
		a.flag(s.Forced)
		a.flag(s.Recount)
		a.actor(s.By)
		a.text(s.Reason, s.Detail)
		a.time(s.At)
		for _, pos := range s.Cursors {
			a.num(int64(pos.Epoch))
			a.num(int64(pos.Seq))
		}
	},
	scan: func(r *row) grid.RolloutStep {
		s := grid.RolloutStep{
			Profile: r.text(), N: int(r.num()), Rollout: r.text(), Version: r.text(), Former: r.text(), Kept: r.flag(),
			Stage: grid.RolloutStage(r.text()), Share: int(r.num()),
		}
		if err := json.Unmarshal(r.json(), &s.Devices); err != nil && r.err == nil {
			r.err = err
		}
		s.Forced, s.Recount = r.flag(), r.flag()
		s.By, s.Reason, s.Detail, s.At = r.actor(), r.text(), r.text(), r.time()
		for lane := range s.Cursors {
			s.Cursors[lane] = grid.Pos{Lane: grid.Lane(lane), Epoch: uint32(r.num()), Seq: uint64(r.num())}
		}
		return s
	},
}

// Versions gives the uploaded versions of all profiles, and the steps of their roll-outs,
// each profile's in their order.
func (s *Store) Versions(ctx context.Context) ([]grid.ProfileVersion, []grid.RolloutStep, error) {
	versions, err := readAll(ctx, s, &versionTable, "ORDER BY profile, version")
	if err != nil {
		return nil, nil, err
	}
	steps, err := readAll(ctx, s, &rolloutTable, "ORDER BY profile, n")
	return versions, steps, err
}

// Waiting is a frame that waits in quarantine.
type Waiting struct {
	ID       string
	Identity grid.Identity
}

// WaitingOf gives the frames in quarantine of a profile's devices that a replay may save,
// oldest first.
func (s *Store) WaitingOf(ctx context.Context, profile string) (all []Waiting, err error) {
	const q = "SELECT id, identity FROM quarantine WHERE state = 'waiting' AND reason <> ? " +
		"AND identity IN (SELECT identity FROM devices WHERE profile = ?) ORDER BY received, id"
	err = s.reader(ctx, func(conn driver.Conn) error {
		return each(ctx, conn, q, []driver.Value{string(grid.RejectedPoint), profile}, func(r *row) error {
			all = append(all, Waiting{ID: r.text(), Identity: grid.Identity(r.text())})
			return r.err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("quarantine of profile %s: %w", profile, err)
	}
	return all, nil
}
