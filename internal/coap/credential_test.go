package coap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/auth"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// vaulted is the registry's credentials, and a device that may be taken out.
type vaulted struct {
	*auth.Vault
	out  atomic.Pointer[grid.Identity]
	uses chan string
}

func newVault(t testing.TB) *vaulted {
	t.Helper()
	keys, err := auth.OpenKeys(filepath.Join(t.TempDir(), "secret.key"), false)
	if err != nil {
		t.Fatal(err)
	}
	v := &vaulted{uses: make(chan string, 100)}
	v.Vault = &auth.Vault{
		Keys: keys, TakenOut: func(id grid.Identity) bool { out := v.out.Load(); return out != nil && *out == id },
		Used: func(u grid.CredentialUse) bool { v.uses <- u.ID; return true },
	}
	return v
}

// give gives a device a key, or with a fingerprint a certificate.
func (v *vaulted) give(t testing.TB, id, device, secret, fingerprint string) grid.Credential {
	t.Helper()
	c := grid.Credential{ID: id, Device: grid.Identity(device), Kind: grid.CoAPKey, Fingerprint: fingerprint, Created: time.Now()}
	if fingerprint != "" {
		c.Kind = grid.Certificate
	} else {
		b, err := hex.DecodeString(secret)
		if err == nil {
			c.Sealed, err = v.Keys.Seal(b, auth.Owner(&c))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	v.Put(c)
	return c
}

func (v *vaulted) used(t testing.TB, want string) {
	t.Helper()
	select {
	case got := <-v.uses:
		if got != want {
			t.Errorf("used is %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("use of %q is not told", want)
	}
}

func TestKeyOfTheRegistryWinsOverTheFile(t *testing.T) {
	v := newVault(t)
	v.give(t, "k1", "sn:1", pskTwo, "")
	var in gatetest.Inbox
	tr, _ := start(t, Config{DTLS: keyed(t, t.TempDir()), UDP: "127.0.0.1:0", Credentials: v}, &in)
	if _, err := secureOver(t, socket(t, "127.0.0.1:0"), tr.Addr("dtls"), withKey("sn:1", pskOne)...); err == nil {
		t.Error("the file's key of a device of the registry lets it in")
	}
	one, _ := secure(t, tr.Addr("dtls"), withKey("SN:1", pskTwo)...)
	one.ask(of("up/sn:1", report(1, "x")), codes.Changed)
	v.used(t, "k1")
	one.ask(of("up/sn:2", report(2, "spoofed")), codes.Forbidden)
	one.ask(of("up/sn:3", report(3, "spoofed")), codes.Forbidden)
	two, _ := secure(t, tr.Addr("dtls"), withKey("two", pskTwo)...) // of the file alone
	two.ask(of("up/sn:2", report(1, "x")), codes.Changed)
	two.ask(of("up/sn:1", report(2, "spoofed")), codes.Unauthorized)
	v.give(t, "k2", "sn:2", pskOne, "")
	two.ask(of("up/sn:2", report(3, "spoofed")), codes.Unauthorized) // from now on the registry has it
	dial(t, tr.Addr("udp")).ask(of("up/sn:1", report(1, "spoofed")), codes.Unauthorized)
	if got := ends(&in); len(got) != 2 {
		t.Errorf("taken: %q", got)
	}
}

func TestDeviceThatIsTakenOutLosesItsSessionAtOnce(t *testing.T) {
	v := newVault(t)
	v.give(t, "k1", "sn:1", pskOne, "")
	key := v.give(t, "k2", "sn:2", pskTwo, "")
	tr, _ := start(t, Config{DTLS: DTLS{Listen: "127.0.0.1:0"}, Credentials: v}, &gatetest.Inbox{})
	one, _ := secure(t, tr.Addr("dtls"), withKey("sn:1", pskOne)...)
	two, _ := secure(t, tr.Addr("dtls"), withKey("sn:2", pskTwo)...)
	one.ask(of("up/sn:1", report(1, "x")), codes.Changed)
	two.ask(of("up/sn:2", report(1, "x")), codes.Changed)
	tr.Recheck()
	one.ask(of("up/sn:1", report(2, "x")), codes.Changed) // nothing has changed
	id := grid.Identity("sn:1")
	v.out.Store(&id)
	one.ask(of("up/sn:1", report(3, "x")), codes.Unauthorized) // even before its session goes
	tr.Recheck()
	ended := func(d *device) {
		t.Helper()
		_ = d.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := d.conn.Read(make([]byte, 100)); err == nil || os.IsTimeout(err) {
			t.Errorf("session goes on: %d bytes, %v", n, err)
		}
	}
	ended(one)
	if _, err := secureOver(t, socket(t, "127.0.0.1:0"), tr.Addr("dtls"), withKey("sn:1", pskOne)...); err == nil {
		t.Error("it makes another session")
	}
	two.ask(of("up/sn:2", report(2, "x")), codes.Changed)
	key.Ended = time.Now()
	v.Put(key)
	tr.Recheck()
	ended(two)
}

func TestPinnedCertificateNeedsNoAuthority(t *testing.T) {
	v := newVault(t)
	dir := t.TempDir()
	gatetest.Issue(t, dir, "gateway", nil, nil)
	pinned, _ := gatetest.Issue(t, dir, "anything", nil, nil)
	gatetest.Issue(t, dir, "sn:5", nil, nil) // it names the device, and is anybody's
	sum := sha256.Sum256(pinned.Raw)
	c := v.give(t, "c5", "sn:5", "", hex.EncodeToString(sum[:]))
	cfg := DTLS{Listen: "127.0.0.1:0", Cert: filepath.Join(dir, "gateway.pem"), Key: filepath.Join(dir, "gateway.key")}
	tr, _ := start(t, Config{DTLS: cfg, Credentials: v}, &gatetest.Inbox{})
	with := func(name string) []piondtls.ClientOption {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		return []piondtls.ClientOption{piondtls.WithCertificates(pair), piondtls.WithInsecureSkipVerify(true)}
	}
	d, _ := secure(t, tr.Addr("dtls"), with("anything")...)
	d.ask(of("up/sn:5", report(1, "x")), codes.Changed)
	v.used(t, "c5")
	d.ask(of("up/sn:6", report(2, "spoofed")), codes.Forbidden)
	if _, err := secureOver(t, socket(t, "127.0.0.1:0"), tr.Addr("dtls"), with("sn:5")...); err == nil {
		t.Error("a certificate that nobody has signed or pinned lets its holder in")
	}
	c.Ended = time.Now()
	v.Put(c)
	if _, err := secureOver(t, socket(t, "127.0.0.1:0"), tr.Addr("dtls"), with("anything")...); err == nil {
		t.Error("it lets its holder in though it has ended")
	}
}

// libcoapIn runs libcoap's client once, as a device that gives up after a few seconds.
func libcoapIn(t *testing.T, addr, identity, key string) bool {
	t.Helper()
	bin, err := exec.LookPath("coap-client-openssl")
	if err != nil {
		if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" {
			t.Fatal("coap-client-openssl is not installed, and GRIDGATE_REQUIRE_PEERS=1")
		}
		t.Skip("coap-client-openssl is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, bin, "-v", "7", "-B", "3", "-u", identity, "-k", key, "-m", "post", "-e", "x", "coaps://"+addr+"/up/sn:1").CombinedOutput()
	return bytes.Contains(out, []byte("2.04"))
}

const oldText, newText = "the former key 1", "the latter key 2" // libcoap takes keys as text

func TestLibcoapComesInByEitherKeyOfARotation(t *testing.T) {
	v := newVault(t)
	old := v.give(t, "old", "sn:1", hex.EncodeToString([]byte(oldText)), "")
	tr, _ := start(t, Config{DTLS: DTLS{Listen: "127.0.0.1:0"}, Credentials: v}, &gatetest.Inbox{})
	if !libcoapIn(t, tr.Addr("dtls"), "sn:1", oldText) {
		t.Fatal("the only key does not let it in")
	}
	v.used(t, "old")
	v.give(t, "new", "sn:1", hex.EncodeToString([]byte(newText)), "")
	for range 2 {
		if !libcoapIn(t, tr.Addr("dtls"), "sn:1", oldText) {
			t.Error("the key that it had used before is not the first to be tried")
		}
	}
	if libcoapIn(t, tr.Addr("dtls"), "sn:1", "no key of anyone") {
		t.Error("any key lets it in")
	}
	tries := 0
	for in := false; !in; tries++ { // it comes with the new one
		if in = libcoapIn(t, tr.Addr("dtls"), "sn:1", newText); !in && tries == 2 {
			t.Fatal("the new key does not let it in")
		}
	}
	v.used(t, "new")
	t.Logf("in at try %d", tries)
	if !libcoapIn(t, tr.Addr("dtls"), "sn:1#old", oldText) || !libcoapIn(t, tr.Addr("dtls"), "sn:1#new", newText) {
		t.Error("a device that names its key does not get that one")
	}
	old.Ended = time.Now()
	v.Put(old)
	if libcoapIn(t, tr.Addr("dtls"), "sn:1#old", oldText) || libcoapIn(t, tr.Addr("dtls"), "sn:1", oldText) {
		t.Error("the key that has ended lets it in")
	}
	if !libcoapIn(t, tr.Addr("dtls"), "sn:1", newText) {
		t.Error("the new key does not let it in alone")
	}
	if s := tr.Status().LastError; strings.Contains(s, oldText) || strings.Contains(s, newText) {
		t.Errorf("an error shows a key: %s", s)
	}
}
