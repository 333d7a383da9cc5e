package auth

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
)

// Vault is the credentials of devices in memory, for those who let them in. A device that is
// taken out has none that hold. It is safe for concurrent use.
type Vault struct {
	Keys     *Keys
	TakenOut func(grid.Identity) bool      // barred or retired; must be set
	Used     func(grid.CredentialUse) bool // is told of a use, and says whether it has noted it; may be nil
	Now      func() time.Time              // nil: time.Now
	// Aged is told of a check that is sealed under a key before the newest, with the one to
	// take its place: a password is at hand at a login alone. It must not wait; may be nil.
	Aged func(credential string, was, now []byte)

	mu       sync.RWMutex
	byID     map[string]*kept // those that have not ended
	byDevice map[grid.Identity][]*kept
	byPrint  map[string]*kept
	had      map[grid.Identity]kinds // which kinds a device has, or has had
}

// kept is a credential in memory. The credential does not change.
type kept struct {
	grid.Credential
	told atomic.Int64 // when its last use was told, Unix nanoseconds
}

type kinds uint8

func bit(k grid.CredentialKind) kinds {
	switch k {
	case grid.CoAPKey:
		return 1
	case grid.MQTTPassword:
		return 2
	case grid.Certificate:
		return 4
	}
	return 0
}

// tellEvery is how often the use of one credential is told.
const tellEvery = time.Hour

func (v *Vault) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

// Owner is whom something is sealed for: it cannot be moved to another device, or kind.
func Owner(c *grid.Credential) string {
	return string(c.Kind) + " " + string(c.Device) + " " + c.ID
}

// Put takes credentials as they are now.
func (v *Vault) Put(changed ...grid.Credential) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.byID == nil {
		v.byID, v.byDevice = map[string]*kept{}, map[grid.Identity][]*kept{}
		v.byPrint, v.had = map[string]*kept{}, map[grid.Identity]kinds{}
	}
	for _, c := range changed {
		v.had[c.Device] |= bit(c.Kind)
		v.drop(c.ID)
		if !c.Ended.IsZero() {
			continue
		}
		k := &kept{Credential: c}
		if !c.LastUsed.IsZero() {
			k.told.Store(c.LastUsed.UnixNano())
		}
		v.byID[c.ID] = k
		list := append(slices.Clone(v.byDevice[c.Device]), k)
		slices.SortFunc(list, func(a, b *kept) int { return b.Created.Compare(a.Created) }) // newest first
		v.byDevice[c.Device] = list
		if c.Fingerprint != "" {
			v.byPrint[c.Fingerprint] = k
		}
	}
}

// drop wants v.mu.
func (v *Vault) drop(id string) {
	old := v.byID[id]
	if old == nil {
		return
	}
	delete(v.byID, id)
	if v.byPrint[old.Fingerprint] == old {
		delete(v.byPrint, old.Fingerprint)
	}
	rest := slices.DeleteFunc(slices.Clone(v.byDevice[old.Device]), func(k *kept) bool { return k == old })
	if len(rest) == 0 {
		delete(v.byDevice, old.Device)
	} else {
		v.byDevice[old.Device] = rest
	}
}

// of gives those of a kind that hold, newest first.
func (v *Vault) of(id grid.Identity, kind grid.CredentialKind) (out []*kept) {
	if v.TakenOut(id) {
		return nil
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	now := v.now()
	for _, k := range v.byDevice[id] {
		if k.Kind == kind && k.Holds(now) {
			out = append(out, k)
		}
	}
	return out
}

// Manages reports whether the registry has credentials for a device on a wire, or has had:
// then no other place lets it in.
func (v *Vault) Manages(id grid.Identity, kind grid.CredentialKind) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.had[id]&(bit(kind)|bit(grid.Certificate)) != 0
}

// DeviceKeys gives the pre-shared keys of a device that hold, the likeliest first: that by
// which it came in last, then the newest. One that cannot be opened is left out: Unreadable
// tells of it.
func (v *Vault) DeviceKeys(id grid.Identity) (out []grid.DeviceKey) {
	all := v.of(id, grid.CoAPKey)
	slices.SortStableFunc(all, func(a, b *kept) int { return cmp.Compare(b.told.Load(), a.told.Load()) })
	for _, k := range all {
		if secret, err := v.Keys.Open(k.Sealed, Owner(&k.Credential)); err == nil {
			out = append(out, grid.DeviceKey{ID: k.ID, Secret: secret})
		}
	}
	return out
}

// Login compares a password. Its error says why a device is not let in.
func (v *Vault) Login(id grid.Identity, password []byte) (credential string, err error) {
	if v.TakenOut(id) {
		return "", grid.Errorf(grid.Unauthorized, "device %s is barred or retired", id)
	}
	for _, k := range v.of(id, grid.MQTTPassword) {
		ok, matchErr := v.Keys.Matches(k.Sealed, password, Owner(&k.Credential))
		if ok {
			v.renew(k, password)
			return k.ID, nil
		}
		if matchErr != nil {
			err = matchErr
		}
	}
	if err == nil {
		err = grid.Errorf(grid.Unauthorized, "wrong password of device %s, or none that holds", id)
	}
	return "", err
}

// CertificateOf finds the device whose certificate has a fingerprint.
func (v *Vault) CertificateOf(fingerprint string) (credential string, device grid.Identity, ok bool) {
	v.mu.RLock()
	k := v.byPrint[fingerprint]
	v.mu.RUnlock()
	if k == nil || !k.Holds(v.now()) || v.TakenOut(k.Device) {
		return "", "", false
	}
	return k.ID, k.Device, true
}

// Holds says whose a credential is, as long as it lets its device in.
func (v *Vault) Holds(credential string) (device grid.Identity, ok bool) {
	v.mu.RLock()
	k := v.byID[credential]
	v.mu.RUnlock()
	if k == nil || !k.Holds(v.now()) || v.TakenOut(k.Device) {
		return "", false
	}
	return k.Device, true
}

// Use notes that a device came in by a credential.
func (v *Vault) Use(credential string) {
	v.mu.RLock()
	k := v.byID[credential]
	v.mu.RUnlock()
	if k == nil || v.Used == nil {
		return
	}
	now, last := v.now(), k.told.Load()
	if last != 0 && now.UnixNano()-last < int64(tellEvery) || !k.told.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	if !v.Used(grid.CredentialUse{ID: credential, At: now.UTC()}) {
		k.told.Store(last)
	}
}

// Unreadable counts the credentials that hold and cannot be opened, with the reason of one.
func (v *Vault) Unreadable() (n int, err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	now := v.now()
	for _, k := range v.byID {
		if len(k.Sealed) == 0 || !k.Holds(now) {
			continue
		}
		if e := v.Keys.Has(k.Sealed); e != nil {
			n, err = n+1, e
		}
	}
	return n, err
}

// Count is how many credentials have not ended.
func (v *Vault) Count() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.byID)
}

// renew makes the check of a password anew under the newest key.
func (v *Vault) renew(k *kept, password []byte) {
	if v.Aged == nil || v.Keys.Newest(k.Sealed) {
		return
	}
	if check, err := v.Keys.Check(password, Owner(&k.Credential)); err == nil {
		v.Aged(k.ID, k.Sealed, check)
	}
}

// Older counts those that hold and are sealed under a key before the newest, by whether they
// are passwords.
func (v *Vault) Older() (passwords, others int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, k := range v.byID {
		switch {
		case len(k.Sealed) == 0 || v.Keys.Newest(k.Sealed):
		case k.Kind == grid.MQTTPassword:
			passwords++
		default:
			others++
		}
	}
	return passwords, others
}
