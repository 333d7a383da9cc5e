package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// keyRig is an engine with a device, and what it tells of credentials.
type keyRig struct {
	*rig
	mu   sync.Mutex
	told []grid.Credential
	out  int // times that a device was taken out
}

const lockDevice = grid.Identity("sn:lock-1")

func newKeyRig(t *testing.T) *keyRig {
	k := &keyRig{}
	k.rig = newRig(t, func(c *Config) {
		c.CredentialsChanged = func(changed []grid.Credential) {
			k.mu.Lock()
			defer k.mu.Unlock()
			if len(changed) == 0 {
				k.out++
			}
			k.told = append(k.told, changed...)
		}
	})
	k.place(grid.Door, "door-1", lockDevice)
	return k
}

var keyMaker = grid.Actor{Role: grid.RoleSupervisor, Name: "ada"}

// give puts a key, and wants what was told to be what is stored.
func (k *keyRig) give(id string, grace time.Duration) grid.Credential {
	k.t.Helper()
	c := grid.Credential{ID: id, Device: lockDevice, Kind: grid.CoAPKey, By: keyMaker, Sealed: []byte("sealed " + id)}
	got, err := k.engine.PutCredential(k.t.Context(), c, grace, "")
	if err != nil {
		k.t.Fatal(err)
	}
	return got
}

func (k *keyRig) use(id string) {
	k.t.Helper()
	if err := k.engine.CredentialsUsed(k.t.Context(), []grid.CredentialUse{{ID: id, At: k.now()}}); err != nil {
		k.t.Fatal(err)
	}
}

// states are those of the device's credentials, oldest first, as told and as stored.
func (k *keyRig) states(want string) {
	k.t.Helper()
	rows, err := k.store.Credentials(k.t.Context(), lockDevice)
	if err != nil {
		k.t.Fatal(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var stored, told []string
	for _, c := range rows {
		stored = append(stored, c.ID+" "+c.State(k.now()))
		for i := len(k.told) - 1; i >= 0; i-- {
			if k.told[i].ID == c.ID {
				told = append(told, c.ID+" "+k.told[i].State(k.now()))
				break
			}
		}
	}
	if got := strings.Join(stored, ", "); got != want {
		k.t.Errorf("stored: %s; want %s", got, want)
	}
	if got := strings.Join(told, ", "); got != want {
		k.t.Errorf("told: %s; want %s", got, want)
	}
}

func TestBothKeysHoldUntilTheNewOneIsUsed(t *testing.T) {
	k := newKeyRig(t)
	k.give("a", time.Hour)
	k.use("a")
	k.states("a holds")
	k.clock.Add(int64(time.Second))
	k.give("b", time.Hour)
	k.states("a replaced, b holds")
	k.use("a")
	k.states("a replaced, b holds")
	k.clock.Add(int64(time.Second))
	k.use("b")
	k.states("a ended, b holds")
	k.use("b")
	k.restart()
	k.states("a ended, b holds")
}

func TestOldKeyEndsWithItsGraceThoughTheNewOneIsNeverUsed(t *testing.T) {
	k := newKeyRig(t)
	k.give("a", time.Hour)
	k.clock.Add(int64(time.Second))
	k.give("b", time.Hour)
	k.clock.Add(int64(time.Hour - time.Nanosecond))
	k.states("a replaced, b holds")
	k.clock.Add(1)
	k.states("a expired, b holds")
	k.clock.Add(int64(time.Second))
	k.give("c", 0) // at once: a key that someone has seen
	k.states("a expired, b ended, c holds")
}

func TestUseOfTheOldKeyForTheFirstTimeLeavesTheNewOne(t *testing.T) {
	k := newKeyRig(t)
	k.give("a", time.Hour)
	k.clock.Add(int64(time.Second))
	k.give("b", time.Hour)
	k.use("a")
	k.states("a replaced, b holds")
}

func TestKeyCommandsAreIdempotent(t *testing.T) {
	k := newKeyRig(t)
	ctx := t.Context()
	c := grid.Credential{ID: "a", Device: lockDevice, Kind: grid.CoAPKey, By: keyMaker, Sealed: []byte("the sealed secret")}
	for _, id := range []string{"a", "again"} { // who asks again cannot know the first id
		c.ID = id
		if got, err := k.engine.PutCredential(ctx, c, time.Hour, "one key"); err != nil || got.ID != "a" {
			t.Errorf("put as %s: %+v, %v: want a", id, got, err)
		}
	}
	k.states("a holds")
	if a, done, err := k.store.Applied(ctx, "credential/one key"); err != nil || !done || bytes.Contains(a.Result, []byte("sealed")) {
		t.Errorf("stored answer is %s, %t, %v: want one without anything secret", a.Result, done, err)
	}
	for range 2 {
		if got, err := k.engine.EndCredential(ctx, "a", keyMaker, "lost"); err != nil || got.Why != "lost" || got.Ended.IsZero() {
			t.Errorf("end: %+v, %v", got, err)
		}
		k.clock.Add(int64(time.Second))
	}
	k.use("a") // too late
	k.states("a ended")
	if _, err := k.engine.EndCredential(ctx, "none", keyMaker, ""); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("end of none: %v: want not_found", err)
	}
	k.close() // the audit is in the file
	db, err := os.ReadFile(filepath.Join(k.dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]int{"credential.put": 1, "credential.end": 1, "coap_psk a: lost": 1} {
		if n := bytes.Count(db, []byte(what)); n != want {
			t.Errorf("%q is in the state %d times: want %d", what, n, want)
		}
	}
}

func TestCheckedCredentialLeavesNoTrace(t *testing.T) {
	k := newKeyRig(t)
	k.give("a", time.Hour)
	c := grid.Credential{ID: "b", Device: lockDevice, Kind: grid.CoAPKey, By: keyMaker}
	if err := k.engine.CheckCredential(t.Context(), c, time.Hour); err != nil {
		t.Error("one that is sound: ", err)
	}
	c.Device = "sn:nobody"
	if err := k.engine.CheckCredential(t.Context(), c, time.Hour); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("of an unknown device: %v: want not_found", err)
	}
	k.settle()
	k.states("a holds")
}

func TestCertificateIsOfOneDevice(t *testing.T) {
	k := newKeyRig(t)
	k.place(grid.Door, "door-2", "sn:lock-2")
	ctx := t.Context()
	c := grid.Credential{ID: "a", Device: lockDevice, Kind: grid.Certificate, Fingerprint: "ab", By: keyMaker}
	if _, err := k.engine.PutCredential(ctx, c, time.Hour, ""); err != nil {
		t.Fatal(err)
	}
	c.ID = "b"
	if got, err := k.engine.PutCredential(ctx, c, time.Hour, ""); err != nil || got.ID != "a" {
		t.Errorf("the same again: %+v, %v: want the one that is there", got, err)
	}
	c.Device = "sn:lock-2"
	if _, err := k.engine.PutCredential(ctx, c, time.Hour, ""); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), string(lockDevice)) {
		t.Errorf("of another device: %v: want a conflict that names its device", err)
	}
	if _, err := k.engine.EndCredential(ctx, "a", keyMaker, ""); err != nil {
		t.Fatal(err)
	}
	if got, err := k.engine.PutCredential(ctx, c, time.Hour, ""); err != nil || got.ID != "b" {
		t.Errorf("once it has ended: %+v, %v", got, err)
	}
}

func TestCredentialIsForADeviceThatIsInUse(t *testing.T) {
	k := newKeyRig(t)
	ctx := t.Context()
	c := grid.Credential{ID: "x", Device: "sn:nobody", Kind: grid.CoAPKey}
	if _, err := k.engine.PutCredential(ctx, c, time.Hour, ""); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("unknown device: %v: want not_found", err)
	}
	c.Device, c.Expires = lockDevice, k.now()
	if _, err := k.engine.PutCredential(ctx, c, time.Hour, ""); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("one that has expired: %v: want invalid", err)
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		k.give(id, time.Hour)
	}
	c.Expires = time.Time{}
	if _, err := k.engine.PutCredential(ctx, c, time.Hour, ""); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("a fifth that holds: %v: want a conflict", err)
	}
	for _, s := range []grid.DeviceState{grid.Barred, grid.Retired} {
		if k.engine.TakenOut(lockDevice) != (s == grid.Retired) { // barred by now
			t.Errorf("before %s: taken out is wrong", s)
		}
		before := k.out
		d, err := k.store.Device(ctx, lockDevice)
		if err != nil {
			t.Fatal(err)
		}
		d.State = s
		k.put(grid.Registration{Devices: []grid.Device{d}})
		if !k.engine.TakenOut(lockDevice) || k.out == before {
			t.Errorf("%s: the device is not taken out, or nobody was told", s)
		}
	}
	if _, err := k.engine.PutCredential(ctx, c, time.Hour, ""); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("retired device: %v: want a conflict", err)
	}
}
