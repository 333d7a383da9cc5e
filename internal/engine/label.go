package engine

import (
	"context"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// LabelFor is how long a claim token holds if nobody says.
const LabelFor = 90 * 24 * time.Hour

const maxLabelFor = 400 * 24 * time.Hour

// PutLabels notes new labels with claim tokens. Of a device only the newest holds. Each device
// has to be registered and nowhere installed: only then there is something to claim.
func (e *Engine) PutLabels(ctx context.Context, labels []grid.ClaimLabel, act grid.Act) ([]grid.ClaimLabel, error) {
	return as[[]grid.ClaimLabel](e.do(ctx, &command{name: "label.put", key: keyOf("label.put", act), do: func(b *batch) (any, error) {
		for i := range labels {
			if err := b.putLabel(&labels[i], act); err != nil {
				return nil, err
			}
		}
		return labels, nil
	}}))
}

func keyOf(name string, act grid.Act) string {
	if act.Key == "" {
		return ""
	}
	return name + "/" + act.By.Name + "/" + act.Key
}

func (b *batch) putLabel(l *grid.ClaimLabel, act grid.Act) error {
	no, ok := b.e.memory.Device(l.Device)
	if !ok {
		return grid.Errorf(grid.NotFound, "device %s is not registered", l.Device)
	}
	if pt, installed := b.e.memory.AnyPoint(no); installed {
		return grid.Errorf(grid.Conflict, "device %s is at point %s: want a label without a token", l.Device, b.e.memory.PointAt(pt).ID)
	}
	if was := b.e.memory.DeviceAt(no).State(); was != grid.Registered {
		return grid.Errorf(grid.Conflict, "device %s is %s: want one that is registered", l.Device, was)
	}
	l.ID, l.Created, l.By, l.Mode = b.id(), b.now, act.By, b.e.memory.DeviceAt(no).Mode()
	if l.Expires.IsZero() {
		l.Expires = b.now.Add(LabelFor)
	}
	if !l.Expires.After(b.now) || l.Expires.After(b.now.Add(maxLabelFor)) {
		return grid.Errorf(grid.Invalid, "expires is %s: want a time to come, within %d days", l.Expires.Format(time.RFC3339), int(maxLabelFor.Hours()/24))
	}
	if err := b.endLabels(l.Device, act.By, "a newer label was printed"); err != nil {
		return err
	}
	b.rows.Labels = append(b.rows.Labels, *l)
	b.audit("label.put", string(l.Device), act.By, nil)
	return nil
}

// RevokeLabels ends the labels of a device that hold, and says how many did.
func (e *Engine) RevokeLabels(ctx context.Context, device grid.Identity, act grid.Act) (int, error) {
	return as[int](e.do(ctx, &command{name: "label.revoke", key: keyOf("label.revoke", act), do: func(b *batch) (any, error) {
		before := len(b.rows.Labels)
		why := act.Reason
		if why == "" {
			why = "revoked by " + act.By.Name
		}
		if err := b.endLabels(device, act.By, why); err != nil {
			return 0, err
		}
		if n := len(b.rows.Labels) - before; n > 0 {
			b.audit("label.revoke", string(device), act.By, nil)
			b.rows.Audit[len(b.rows.Audit)-1].Detail = why
			return n, nil
		}
		return 0, nil
	}}))
}

func (b *batch) endLabels(device grid.Identity, by grid.Actor, why string) error {
	had, err := b.labelsOf(device)
	if err != nil {
		return err
	}
	for _, l := range had {
		if l.Holds(b.now) {
			l.Ended, l.Why, l.EndedBy = b.now, why, by
			b.rows.Labels = append(b.rows.Labels, l)
		}
	}
	return nil
}

// labelsOf gives those of a device as they are in the midst of the turn.
func (b *batch) labelsOf(device grid.Identity) ([]grid.ClaimLabel, error) {
	stored, err := b.e.store.ClaimLabels(context.Background(), device)
	if err != nil {
		return nil, err
	}
	for _, l := range b.rows.Labels {
		if l.Device != device {
			continue
		}
		if i := slices.IndexFunc(stored, func(o grid.ClaimLabel) bool { return o.ID == l.ID }); i >= 0 {
			stored[i] = l
		} else {
			stored = append(stored, l)
		}
	}
	return stored, nil
}
