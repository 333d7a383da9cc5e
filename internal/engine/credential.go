package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Credentials of devices are hard state like the rest of the registry. The engine keeps
// none in memory: who checks them is told of each change before the command is answered.

// maxCredentials is how many of one kind a device may have that hold.
const maxCredentials = 4

// PutCredential gives a device a credential. Those of its kind that held before hold on
// until this one is first used, and for grace at most. key makes it idempotent; a
// certificate that the device has already is so by nature.
func (e *Engine) PutCredential(ctx context.Context, c grid.Credential, grace time.Duration, key string) (grid.Credential, error) {
	if key != "" {
		key = "credential/" + key
	}
	return as[grid.Credential](e.do(ctx, &command{name: "credential.put", key: key, do: func(b *batch) (any, error) { return b.putCredential(c, grace) }}))
}

// errSound rolls a check back.
var errSound = errors.New("it is sound")

// CheckCredential says what PutCredential would, and leaves no trace.
func (e *Engine) CheckCredential(ctx context.Context, c grid.Credential, grace time.Duration) error {
	_, err := e.do(ctx, &command{name: "credential.check", do: func(b *batch) (any, error) {
		if _, err := b.putCredential(c, grace); err != nil {
			return nil, err
		}
		return nil, errSound
	}})
	if errors.Is(err, errSound) {
		return nil
	}
	return err
}

func (b *batch) putCredential(c grid.Credential, grace time.Duration) (any, error) {
	c.Created, c.Ended, c.LastUsed = b.now, time.Time{}, time.Time{}
	if !c.Expires.IsZero() && !c.Expires.After(b.now) {
		return nil, grid.Errorf(grid.Invalid, "expires is %s: want a time that is to come", c.Expires.Format(time.RFC3339))
	}
	if err := b.mayHave(c.Device); err != nil {
		return nil, err
	}
	if same, err := b.sameCertificate(&c); same != nil || err != nil {
		return same, err
	}
	had, err := b.credentialsOf(c.Device)
	if err != nil {
		return nil, err
	}
	had = slices.DeleteFunc(had, func(o grid.Credential) bool { return o.Kind != c.Kind || !o.Holds(b.now) })
	if len(had) >= maxCredentials && grace > 0 {
		return nil, grid.Errorf(grid.Conflict, "device %s has %d credentials of kind %s that hold: end one first", c.Device, len(had), c.Kind)
	}
	until := b.now.Add(grace)
	for i := range had {
		o := &had[i]
		o.Replaced = c.ID
		if grace <= 0 {
			o.Ended, o.Why = b.now, "replaced by "+c.ID
		} else if o.Expires.IsZero() || o.Expires.After(until) {
			o.Expires = until
		}
	}
	b.rows.Credentials = append(b.rows.Credentials, append(had, c)...)
	b.auditCredential("credential.put", &c, c.By, c.Reason)
	b.tellCredentials(append(had, c)...)
	return c, nil
}

// mayHave refuses a device that is not registered, or taken out.
func (b *batch) mayHave(id grid.Identity) error {
	no, ok := b.e.memory.Device(id)
	if !ok {
		return grid.Errorf(grid.NotFound, "device %s is not registered: want it registered before it gets a credential", id)
	}
	if b.e.memory.DeviceAt(no).State() == grid.Retired {
		return grid.Errorf(grid.Conflict, "device %s is retired: want one that is in use", id)
	}
	return nil
}

// sameCertificate finds the certificate where it holds already; that of another device is a conflict.
func (b *batch) sameCertificate(c *grid.Credential) (any, error) {
	if c.Fingerprint == "" {
		return nil, nil
	}
	found, err := b.e.store.CredentialsOf(context.Background(), c.Fingerprint)
	if err != nil {
		return nil, err
	}
	for _, o := range b.overlay(found, func(o *grid.Credential) bool { return o.Fingerprint == c.Fingerprint }) {
		switch {
		case !o.Holds(b.now):
		case o.Device == c.Device:
			return o, nil
		default:
			return nil, grid.Errorf(grid.Conflict, "this certificate is that of device %s: want each device with its own, or end credential %s first", o.Device, o.ID)
		}
	}
	return nil, nil
}

// EndCredential ends a credential: its device does not come in by it any more.
func (e *Engine) EndCredential(ctx context.Context, id string, by grid.Actor, reason string) (grid.Credential, error) {
	return as[grid.Credential](e.do(ctx, &command{name: "credential.end", do: func(b *batch) (any, error) {
		c, err := b.credential(id)
		if err != nil || !c.Ended.IsZero() {
			return c, err
		}
		c.Ended, c.Why = b.now, cmp.Or(reason, "ended by "+by.Name)
		b.endCredential(c, by)
		return c, nil
	}}))
}

func (b *batch) endCredential(c grid.Credential, by grid.Actor) {
	b.rows.Credentials = append(b.rows.Credentials, c)
	b.auditCredential("credential.end", &c, by, c.Why)
	b.tellCredentials(c)
}

// CredentialsUsed notes by which credentials devices came in. The first use of one ends
// those that it replaces.
func (e *Engine) CredentialsUsed(ctx context.Context, uses []grid.CredentialUse) error {
	_, err := e.do(ctx, &command{name: "credential.use", do: func(b *batch) (any, error) {
		for _, u := range uses {
			if err := b.credentialUsed(u); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}})
	return err
}

func (b *batch) credentialUsed(u grid.CredentialUse) error {
	c, err := b.credential(u.ID)
	if grid.CodeOf(err) == grid.NotFound {
		return nil
	}
	if err != nil || !c.Ended.IsZero() || !u.At.After(c.LastUsed) {
		return err
	}
	first := c.LastUsed.IsZero()
	c.LastUsed = u.At
	b.rows.Credentials = append(b.rows.Credentials, c)
	b.tellCredentials(c)
	if !first {
		return nil
	}
	had, err := b.credentialsOf(c.Device)
	if err != nil {
		return err
	}
	for _, o := range had {
		if o.Kind == c.Kind && o.ID != c.ID && o.Replaced != "" && o.Ended.IsZero() && !o.Created.After(c.Created) {
			o.Ended, o.Why = b.now, fmt.Sprintf("replaced by %s, which was used", c.ID)
			b.endCredential(o, grid.Actor{Role: grid.RoleSystem, Name: "rotation"})
		}
	}
	return nil
}

// credential finds one as it is now, in the midst of the turn.
func (b *batch) credential(id string) (grid.Credential, error) {
	for i := len(b.rows.Credentials) - 1; i >= 0; i-- {
		if b.rows.Credentials[i].ID == id {
			return b.rows.Credentials[i], nil
		}
	}
	return b.e.store.Credential(context.Background(), id)
}

// credentialsOf gives those of a device as they are now, oldest first.
func (b *batch) credentialsOf(device grid.Identity) ([]grid.Credential, error) {
	stored, err := b.e.store.Credentials(context.Background(), device)
	if err != nil {
		return nil, err
	}
	return b.overlay(stored, func(c *grid.Credential) bool { return c.Device == device }), nil
}

// overlay puts what the turn has changed over stored rows.
func (b *batch) overlay(stored []grid.Credential, wanted func(*grid.Credential) bool) []grid.Credential {
	for _, c := range b.rows.Credentials {
		if !wanted(&c) {
			continue
		}
		if i := slices.IndexFunc(stored, func(o grid.Credential) bool { return o.ID == c.ID }); i >= 0 {
			stored[i] = c
		} else {
			stored = append(stored, c)
		}
	}
	return stored
}

// tellCredentials tells of changes after the commit, and before the command is answered.
func (b *batch) tellCredentials(changed ...grid.Credential) {
	if tell := b.e.CredentialsChanged; tell != nil {
		b.after = append(b.after, func() { tell(changed) })
	}
}

func (b *batch) auditCredential(action string, c *grid.Credential, by grid.Actor, reason string) {
	detail := string(c.Kind) + " " + c.ID
	if reason != "" {
		detail += ": " + reason
	}
	b.rows.Audit = append(b.rows.Audit, state.Audit{ID: b.id(), At: b.now, By: by, Action: action, Subject: string(c.Device), Detail: detail, Mode: grid.Live})
}

// TakenOut reports whether a device is barred or retired, so that nothing lets it in. Safe
// for concurrent use.
func (e *Engine) TakenOut(id grid.Identity) bool {
	state, known := e.memory.StateOf(id)
	return known && (state == grid.Barred || state == grid.Retired)
}
