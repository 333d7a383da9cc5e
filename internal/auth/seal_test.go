package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gridgate/internal/grid"
)

func newKeys(t testing.TB) *Keys {
	t.Helper()
	k, err := OpenKeys(filepath.Join(t.TempDir(), "data", "secret.key"), false)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedSecretOpensForItsOwnerAlone(t *testing.T) {
	k := newKeys(t)
	secret := []byte("0123456789abcdef")
	sealed, err := k.Seal(secret, "a")
	if err != nil || bytes.Contains(sealed, secret) {
		t.Fatalf("sealed is %x, %v", sealed, err)
	}
	if got, err := k.Open(sealed, "a"); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("opened is %q, %v", got, err)
	}
	if _, err := k.Open(sealed, "b"); err == nil {
		t.Error("it opens for another owner")
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := k.Open(broken, "a"); err == nil {
			t.Errorf("it opens with byte %d changed", i)
		}
	}
	for n := range sealed {
		if _, err := k.Open(sealed[:n], "a"); err == nil {
			t.Errorf("%d bytes of it open", n)
		}
	}
}

func TestPasswordMatchesItsCheckAndNoOther(t *testing.T) {
	k := newKeys(t)
	check, err := k.Check([]byte("a password"), "a")
	if err != nil || bytes.Contains(check, []byte("password")) {
		t.Fatalf("check is %x, %v", check, err)
	}
	again, err := k.Check([]byte("a password"), "a")
	if err != nil || bytes.Equal(check, again) {
		t.Errorf("two checks of one password are the same, %v: want a salt", err)
	}
	for _, c := range []struct {
		password, owner string
		want            bool
	}{{"a password", "a", true}, {"a passwore", "a", false}, {"", "a", false}, {"a password", "b", false}} {
		if got, err := k.Matches(check, []byte(c.password), c.owner); got != c.want || err != nil {
			t.Errorf("%q of %q matches: %t, %v: want %t", c.password, c.owner, got, err, c.want)
		}
	}
	if ok, err := k.Matches(check[:20], []byte("a password"), "a"); ok || err == nil {
		t.Error("half a check matches")
	}
}

func TestKeyFileIsMadeForTheOwnerAloneAndUsedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	k, err := OpenKeys(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: want 0600", info.Mode(), err)
	}
	sealed, err := k.Seal([]byte("x"), "a")
	if err != nil {
		t.Fatal(err)
	}
	next, err := OpenKeys(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := next.Open(sealed, "a"); err != nil || string(got) != "x" {
		t.Errorf("opened is %q, %v", got, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(path, false); err == nil {
		t.Error("a file that others can read is taken")
	}
}

func TestNewKeyInTheFileSealsAndTheOldOneStillOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	old, err := OpenKeys(path, false)
	if err != nil {
		t.Fatal(err)
	}
	before, err := old.Seal([]byte("before"), "a")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, strings.Repeat("0f", 32)+"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	both, err := OpenKeys(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := both.Open(before, "a"); err != nil || string(got) != "before" {
		t.Errorf("opened is %q, %v", got, err)
	}
	after, err := both.Seal([]byte("after"), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Open(after, "a"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the old key alone opens what the new one sealed: %v", err)
	}
}

func TestLostKeyFileIsNotReplacedInSilence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	k, err := OpenKeys(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("another key file was made")
	}
	if _, err := k.Seal([]byte("x"), "a"); grid.CodeOf(err) != grid.Unavailable || !strings.Contains(err.Error(), path) {
		t.Errorf("seals: %v: want it to name the file", err)
	}
	for _, text := range []string{"", "0f0f", strings.Repeat("0g", 32), strings.Repeat("0f", 33)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeys(path, true); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("file with %d characters: %v: want an error that does not show them", len(text), err)
		}
	}
}
