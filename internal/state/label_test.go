package state

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

func TestEveryFieldOfALabelAndOfAnIgnoredStrangerComesBack(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	ctx := t.Context()
	l, set, back := filled[grid.ClaimLabel](), filled[grid.Ignored](), filled[grid.Ignored]()
	set.Ended, back.Identity = time.Time{}, "back"
	commit(t, s, &Batch{Labels: []grid.ClaimLabel{l}, Ignored: []grid.Ignored{set, back}})
	commit(t, s, &Batch{Labels: []grid.ClaimLabel{l}, Ignored: []grid.Ignored{set, back}})
	got, err := s.ClaimLabel(ctx, l.Hash)
	if diff := cmp.Diff(l, got); diff != "" || err != nil {
		t.Errorf("label: %v\n%s", err, diff)
	}
	all, err := s.ClaimLabels(ctx, l.Device)
	if diff := cmp.Diff([]grid.ClaimLabel{l}, all); diff != "" || err != nil {
		t.Errorf("labels: %v\n%s", err, diff)
	}
	ignored, err := s.Ignored(ctx)
	if diff := cmp.Diff([]grid.Ignored{set}, ignored); diff != "" || err != nil {
		t.Errorf("ignored: %v\n%s", err, diff)
	}
}

func TestClaimedDevicesWhoseFramesWaitAreFound(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	held := func(id string, device grid.Identity, reason grid.QuarantineReason, st string) grid.QuarantinedFrame {
		return grid.QuarantinedFrame{ID: id, Reason: reason, State: st, At: t0, Frame: grid.Frame{Identity: device, Received: t0}}
	}
	commit(t, s, &Batch{
		Devices: []grid.Device{
			{Identity: "sn:a", State: grid.Installed}, {Identity: "sn:b", State: grid.Registered}, {Identity: "sn:barred", State: grid.Barred},
			{Identity: "sn:done", State: grid.Installed}, {Identity: "sn:other", State: grid.Installed},
		},
		Quarantine: []grid.QuarantinedFrame{
			held("1", "sn:a", grid.UnknownDevice, "waiting"), held("2", "sn:b", grid.UnknownDevice, "waiting"), held("3", "sn:barred", grid.UnknownDevice, "waiting"),
			held("4", "sn:done", grid.UnknownDevice, "replayed"), held("5", "sn:other", grid.UnknownChannel, "waiting"), held("6", "sn:stranger", grid.UnknownDevice, "waiting"),
		},
	})
	got, err := s.ClaimedWaiting(t.Context(), "", 10)
	if diff := cmp.Diff([]grid.Identity{"sn:a", "sn:b"}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err = s.ClaimedWaiting(t.Context(), "sn:a", 10); len(got) != 1 || got[0] != "sn:b" || err != nil {
		t.Errorf("after the first: %v, %v", got, err)
	}
}
