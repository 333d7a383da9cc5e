package auth

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"gridgate/internal/grid"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// vaulted is a vault with a clock and devices that are taken out.
type vaulted struct {
	*Vault
	clock time.Time
	out   map[grid.Identity]bool
	uses  []grid.CredentialUse
	full  bool
}

func newVault(t testing.TB) *vaulted {
	v := &vaulted{clock: noon, out: map[grid.Identity]bool{}}
	v.Vault = &Vault{
		Keys: newKeys(t), Now: func() time.Time { return v.clock }, TakenOut: func(id grid.Identity) bool { return v.out[id] },
		Used: func(u grid.CredentialUse) bool {
			if !v.full {
				v.uses = append(v.uses, u)
			}
			return !v.full
		},
	}
	return v
}

func (v *vaulted) key(t testing.TB, id, device, secret string, age time.Duration) grid.Credential {
	t.Helper()
	c := grid.Credential{ID: id, Device: grid.Identity(device), Kind: grid.CoAPKey, Created: noon.Add(-age)}
	var err error
	if c.Sealed, err = v.Keys.Seal([]byte(secret), Owner(&c)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (v *vaulted) password(t testing.TB, id, device, secret string) grid.Credential {
	t.Helper()
	c := grid.Credential{ID: id, Device: grid.Identity(device), Kind: grid.MQTTPassword, Created: noon}
	var err error
	if c.Sealed, err = v.Keys.Check([]byte(secret), Owner(&c)); err != nil {
		t.Fatal(err)
	}
	return c
}

func secrets(keys []grid.DeviceKey) (out string) {
	for _, k := range keys {
		out += k.ID + "=" + string(k.Secret) + " "
	}
	return out
}

func TestKeysOfADeviceHoldNewestFirstUntilTheyEndOrExpire(t *testing.T) {
	v := newVault(t)
	old, young := v.key(t, "1", "sn:1", "old", time.Hour), v.key(t, "2", "sn:1", "young", 0)
	old.Expires = noon.Add(time.Minute)
	v.Put(old, young, v.key(t, "3", "sn:2", "another's", 0))
	want := func(when, keys string) {
		t.Helper()
		if got := secrets(v.DeviceKeys("sn:1")); got != keys {
			t.Errorf("%s: keys are %q, want %q", when, got, keys)
		}
	}
	want("both hold", "2=young 1=old ")
	v.Use("1")
	want("the old one was used", "1=old 2=young ")
	v.out["sn:1"] = true
	want("taken out", "")
	v.out["sn:1"] = false
	v.clock = noon.Add(time.Minute)
	want("the old one has expired", "2=young ")
	if _, ok := v.Holds("1"); ok {
		t.Error("the expired one holds")
	}
	if device, ok := v.Holds("2"); device != "sn:1" || !ok {
		t.Errorf("the young one is %s's, %t", device, ok)
	}
	young.Ended = noon
	v.Put(young)
	want("all ended", "")
	if !v.Manages("sn:1", grid.CoAPKey) || v.Manages("sn:1", grid.MQTTPassword) || v.Manages("sn:9", grid.CoAPKey) {
		t.Error("a device that had a key is to stay the registry's, and no other")
	}
}

func TestSealedKeyOfAnotherRowDoesNotOpen(t *testing.T) {
	v := newVault(t)
	theirs, ours := v.key(t, "1", "sn:1", "secret", 0), v.key(t, "2", "sn:2", "secret", 0)
	ours.Sealed = theirs.Sealed // someone with a pen in the state file
	v.Put(ours)
	if got := v.DeviceKeys("sn:2"); len(got) != 0 {
		t.Errorf("keys are %s", secrets(got))
	}
}

func TestPasswordLetsItsOwnDeviceIn(t *testing.T) {
	v := newVault(t)
	v.Put(v.password(t, "1", "sn:1", "right"), v.password(t, "2", "sn:2", "another's"))
	if c, err := v.Login("sn:1", []byte("right")); c != "1" || err != nil {
		t.Errorf("right password: %q, %v", c, err)
	}
	for _, password := range []string{"", "wrong", "another's"} {
		if c, err := v.Login("sn:1", []byte(password)); c != "" || grid.CodeOf(err) != grid.Unauthorized {
			t.Errorf("password %q: %q, %v: want unauthorized", password, c, err)
		}
	}
	v.out["sn:1"] = true
	if c, err := v.Login("sn:1", []byte("right")); c != "" || grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("a barred device: %q, %v", c, err)
	}
}

func TestFirstUseIsToldAtOnceAndLaterOnesByTheHour(t *testing.T) {
	v := newVault(t)
	v.Put(v.key(t, "1", "sn:1", "k", 0))
	v.full = true
	v.Use("1") // there was no room: the next one counts
	v.full = false
	for _, after := range []time.Duration{0, time.Minute, time.Hour} {
		v.clock = noon.Add(after)
		v.Use("1")
	}
	v.Use("nobody's")
	if fmt.Sprint(v.uses) != fmt.Sprint([]grid.CredentialUse{{ID: "1", At: noon}, {ID: "1", At: noon.Add(time.Hour)}}) {
		t.Errorf("told of %v", v.uses)
	}
}

func TestCertificateIsOfTheDeviceItIsPinnedTo(t *testing.T) {
	v := newVault(t)
	c := grid.Credential{ID: "1", Device: "sn:1", Kind: grid.Certificate, Fingerprint: "ab", Created: noon}
	v.Put(c)
	if id, device, ok := v.CertificateOf("ab"); id != "1" || device != "sn:1" || !ok {
		t.Errorf("certificate is of %q, %s, %t", id, device, ok)
	}
	if _, _, ok := v.CertificateOf(""); ok {
		t.Error("no certificate is someone's")
	}
	v.out["sn:1"] = true
	if _, _, ok := v.CertificateOf("ab"); ok {
		t.Error("it lets a device in that is taken out")
	}
	v.out["sn:1"], c.Ended = false, noon
	v.Put(c)
	if _, _, ok := v.CertificateOf("ab"); ok {
		t.Error("it lets a device in though it has ended")
	}
}

func TestCredentialsOfALostKeyFileAreCounted(t *testing.T) {
	v := newVault(t)
	v.Put(v.key(t, "1", "sn:1", "k", 0), v.password(t, "2", "sn:1", "p"))
	if n, err := v.Unreadable(); n != 0 || err != nil {
		t.Errorf("%d cannot be read, %v", n, err)
	}
	v.Keys = newKeys(t) // another file
	if n, err := v.Unreadable(); n != 2 || err == nil {
		t.Errorf("%d cannot be read, %v: want 2 and why", n, err)
	}
	if _, err := v.Login("sn:1", []byte("p")); grid.CodeOf(err) != grid.Unavailable {
		t.Errorf("login: %v: want it to say that the key is missing", err)
	}
}

// BenchmarkLogin is what a password costs: 5,000 devices come back at once.
func BenchmarkLogin(b *testing.B) {
	v := newVault(b)
	for i := range 5000 {
		v.Put(v.password(b, fmt.Sprint(i), fmt.Sprint("sn:", i), "0123456789abcdefghijklmnop"))
	}
	for i := 0; b.Loop(); i++ {
		if _, err := v.Login(grid.Identity(fmt.Sprint("sn:", i%5000)), []byte("0123456789abcdefghijklmnop")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDeviceKeys is what a handshake costs beside DTLS itself.
func BenchmarkDeviceKeys(b *testing.B) {
	v := newVault(b)
	for i := range 5000 {
		v.Put(v.key(b, fmt.Sprint(i), fmt.Sprint("sn:", i), "0123456789abcdef", 0))
	}
	for i := 0; b.Loop(); i++ {
		if len(v.DeviceKeys(grid.Identity(fmt.Sprint("sn:", i%5000)))) != 1 {
			b.Fatal("no key")
		}
	}
}

// BenchmarkVault is what 100,000 devices with a password and a key take in memory.
func BenchmarkVault(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		v := newVault(b)
		key, password := v.key(b, "", "", "0123456789abcdef", 0), v.password(b, "", "", "0123456789abcdefghijklmnop")
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 100_000 {
			key.ID, password.ID = fmt.Sprintf("%026d", i), fmt.Sprintf("%025dp", i)
			key.Device = grid.Identity(fmt.Sprintf("imei:%015d", i))
			password.Device = key.Device
			key.Sealed, password.Sealed = bytes.Clone(key.Sealed), bytes.Clone(password.Sealed)
			v.Put(key, password)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/200_000, "B/credential")
		runtime.KeepAlive(v)
	}
}
