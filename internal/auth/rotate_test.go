package auth_test

import (
	"os"
	"path/filepath"
	"testing"

	"gridgate/internal/auth"
	"gridgate/internal/grid"
)

func TestARotatedKeyFileOpensWhatTheKeysBeforeHaveSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	k, err := auth.OpenKeys(path, false)
	if err != nil {
		t.Fatal(err)
	}
	old, err := k.Seal([]byte("a secret"), "its owner")
	if err != nil {
		t.Fatal(err)
	}
	was := k.Name()
	if err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	if k.Name() == was || k.Count() != 2 || k.Newest(old) || auth.UsedBy(old) != was {
		t.Errorf("after it: key %s, %d keys", k.Name(), k.Count())
	}
	again, err := auth.OpenKeys(path, true)
	if err != nil {
		t.Fatal(err)
	}
	for what, k := range map[string]*auth.Keys{"in force": k, "read again": again} {
		if got, err := k.Open(old, "its owner"); err != nil || string(got) != "a secret" {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode: %v, %v", info.Mode(), err)
	}
	if n, err := k.Prune(map[string]bool{was: true}); err != nil || n != 0 {
		t.Errorf("a key that is in use is taken out: %d, %v", n, err)
	}
	if n, err := k.Prune(nil); err != nil || n != 1 || k.Count() != 1 {
		t.Errorf("taken out: %d, %v", n, err)
	}
	if _, err := k.Open(old, "its owner"); err == nil {
		t.Error("a key that was taken out opens")
	}
}

func TestAMissingKeyFileIsNotRotatedIntoBeing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	k, err := auth.OpenKeys(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Rotate(); err == nil {
		t.Error("a new file hides that the old one is lost")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it is there")
	}
}

func TestAPasswordIsSealedAnewWhenItsDeviceLogsIn(t *testing.T) {
	k, err := auth.OpenKeys(filepath.Join(t.TempDir(), "secret.key"), false)
	if err != nil {
		t.Fatal(err)
	}
	v := &auth.Vault{Keys: k, TakenOut: func(grid.Identity) bool { return false }}
	c := grid.Credential{ID: "c", Device: "sn:1", Kind: grid.MQTTPassword}
	if c.Sealed, err = k.Check([]byte("its password 123"), auth.Owner(&c)); err != nil {
		t.Fatal(err)
	}
	v.Put(c)
	v.Aged = func(id string, was, now []byte) {
		c.Sealed = now
		v.Put(c)
	}
	if err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	if n, _ := v.Older(); n != 1 {
		t.Fatalf("%d passwords are under an older key", n)
	}
	if _, err := v.Login("sn:1", []byte("a wrong password")); err == nil || k.Newest(c.Sealed) {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := v.Login("sn:1", []byte("its password 123")); err != nil || !k.Newest(c.Sealed) {
		t.Errorf("the right one: %v", err)
	}
	if _, err := k.Prune(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Login("sn:1", []byte("its password 123")); err != nil {
		t.Error("under the new key alone: ", err)
	}
}
