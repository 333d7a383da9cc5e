package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
)

const strong = "correct-horse-9-battery"

// book is accounts at a time that stands still until the test moves it.
type book struct {
	*testing.T
	*Accounts
	path string
	o    Options

	mu  sync.Mutex
	now time.Time
}

func (b *book) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *book) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func newBook(t *testing.T, desks ...Network) *book {
	keys, err := OpenKeys(filepath.Join(t.TempDir(), "secrets.key"), false)
	if err != nil {
		t.Fatal(err)
	}
	b := &book{T: t, path: filepath.Join(t.TempDir(), "accounts.db"), now: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)}
	b.o = Options{Keys: keys, Now: b.clock, Desks: desks}
	b.open()
	t.Cleanup(func() { b.Accounts.Close() })
	return b
}

func (b *book) open() {
	b.Helper()
	var err error
	if b.Accounts, err = OpenAccounts(b.Context(), b.path, b.o); err != nil {
		b.Fatal(err)
	}
}

func (b *book) add(name string, role grid.Role, units ...string) User {
	b.Helper()
	u, _, err := b.AddUser(b.Context(), NewUser{Name: name, Role: role, Units: units, Password: strong})
	if err != nil {
		b.Fatal(err)
	}
	return u
}

func (b *book) on(name, from string) Signed {
	b.Helper()
	s, err := b.SignOn(b.Context(), Try{Name: name, Password: strong, From: from})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func TestAccountsAreThereAfterARestartAndNothingInTheFileOpensThem(t *testing.T) {
	b := newBook(t)
	b.add("Lin", grid.RoleOperator)
	s := b.on("lin", "10.0.0.5")
	_, secret, err := b.AddToken(t.Context(), APIToken{Name: "figures", Role: grid.RoleViewer, Scope: grid.Scope{Street: "310105001"}})
	if err != nil {
		t.Fatal(err)
	}
	_, once, err := b.ResetPassword(t.Context(), "lin", false)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.SignOn(t.Context(), Try{Name: "lin", Password: once, From: "10.0.0.5"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Accounts.Close(); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"", "-wal"} {
		raw, err := os.ReadFile(b.path + end)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		for what, x := range map[string]string{"session": s.Secret, "session after": again.Secret, "token": secret, "password": strong, "one-time password": once} {
			if strings.Contains(string(raw), x) {
				t.Errorf("the file%s has the %s", end, what)
			}
		}
	}
	if info, err := os.Stat(b.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: want 0600", info.Mode(), err)
	}
	b.open()
	if _, err := b.Session(again.Secret); err != nil {
		t.Error(err)
	}
	if _, err := b.Session(s.Secret); grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("a session from before the reset: %v", err)
	}
	by, is, err := b.Who(secret)
	if err != nil || !is || by.Role != grid.RoleViewer || by.Scope.Street != "310105001" || by.Token == "" || by.Name != "figures" {
		t.Errorf("token is %+v, %v, %v", by, is, err)
	}
}

func TestEachRoleActsAsItMust(t *testing.T) {
	b := newBook(t)
	for _, c := range []struct {
		role  grid.Role
		units []string
		acts  grid.Role
	}{
		{grid.RoleViewer, nil, grid.RoleViewer}, {grid.RoleOperator, nil, grid.RoleOperator}, {grid.RoleSupervisor, nil, grid.RoleSupervisor},
		{grid.RoleAdmin, nil, grid.RoleSupervisor}, {grid.RoleTechnician, []string{"lift-1"}, grid.RoleUnit}, {grid.RoleUnit, []string{"fire-1"}, grid.RoleUnit},
	} {
		b.add(string(c.role), c.role, c.units...)
		s := b.on(string(c.role), "10.0.0.1")
		by, _, err := b.Who(s.Secret)
		if err != nil || by.Role != c.acts || by.Standing() != c.role || by.Session != s.Session.ID || len(c.units) > 0 && by.Unit != c.units[0] {
			t.Errorf("%s is %+v, %v", c.role, by, err)
		}
	}
	_, wall, err := b.AddToken(t.Context(), APIToken{Name: "hall", Wall: true})
	if err != nil {
		t.Fatal(err)
	}
	if by, _, _ := b.Who(wall); by.Standing() != grid.RoleWall || by.Role != grid.RoleWall {
		t.Errorf("a wall is %+v", by)
	}
	for _, bad := range []NewUser{
		{Name: "x", Role: grid.RoleViewer}, {Name: "no good", Role: grid.RoleViewer}, {Name: "tech", Role: grid.RoleTechnician}, {Name: "boss", Role: "boss"}, {Name: "wall", Role: grid.RoleWall},
		{Name: "chief", Role: grid.RoleAdmin, Scope: grid.Scope{Street: "310105001"}}, {Name: "VIEWER", Role: grid.RoleViewer}, {Name: "weak", Role: grid.RoleViewer, Password: "short"},
	} {
		if _, _, err := b.AddUser(t.Context(), bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestASessionEndsByIdlenessByTimeAndByADeedAndAnOpenStreamIsAUse(t *testing.T) {
	b := newBook(t)
	b.add("lin", grid.RoleOperator)
	b.add("root", grid.RoleAdmin)
	who := func(s Signed) error {
		_, is, err := b.Who(s.Secret)
		if !is {
			return errNoSession()
		}
		return err
	}

	idle, seat := b.on("lin", "10.0.0.5"), b.on("lin", "10.0.0.6")
	by, _, err := b.Who(seat.Secret)
	if err != nil {
		t.Fatal(err)
	}
	stream, release := b.Hold(t.Context(), by)
	b.pass(13 * time.Hour)
	if err := b.Upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if who(idle) == nil {
		t.Error("a session that nothing used for 13 h holds")
	}
	if err := who(seat); err != nil || stream.Err() != nil {
		t.Errorf("the session of an open stream has ended by idleness: %v, %v", err, stream.Err())
	}
	if _, err := b.EndSessions(t.Context(), "lin"); err != nil {
		t.Fatal(err)
	}
	<-stream.Done() // or the test hangs
	release()
	if who(seat) == nil {
		t.Error("a session that was ended holds")
	}

	old := b.on("lin", "10.0.0.5")
	for range 7 * 4 {
		b.pass(6 * time.Hour)
		who(old)
	}
	if who(old) == nil {
		t.Error("a session in steady use holds for more than 7 days")
	}
	off := b.on("lin", "10.0.0.5")
	yes := true
	if _, err := b.ChangeUser(t.Context(), "lin", UserChange{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	if who(off) == nil {
		t.Error("a disabled user's session holds")
	}
	if _, err := b.ChangeUser(t.Context(), "root", UserChange{Disabled: &yes}); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("the last admin was disabled: %v", err)
	}
	role := grid.RoleViewer
	if _, err := b.ChangeUser(t.Context(), "root", UserChange{Role: &role}); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("the last admin was made a viewer: %v", err)
	}
}

func TestATokenEndsAtItsTimeAndWhenItIsRevoked(t *testing.T) {
	b := newBook(t)
	if _, _, err := b.AddToken(t.Context(), APIToken{Name: "root", Role: grid.RoleAdmin}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("an admin's token without an end: %v", err)
	}
	_, secret, err := b.AddToken(t.Context(), APIToken{Name: "day", Role: grid.RoleViewer, Expires: b.clock().Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Who(secret); err != nil {
		t.Error(err)
	}
	b.pass(24 * time.Hour)
	if _, _, err := b.Who(secret); grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("after its end: %v", err)
	}
	if _, err := b.RevokeToken(t.Context(), "day"); err != nil {
		t.Fatal(err)
	}
	if _, is, _ := b.Who(secret); is {
		t.Error("revoked, and known")
	}
}

func TestTheStreamsOfATokenEndWhenItIsRevoked(t *testing.T) {
	b := newBook(t)
	_, secret, err := b.AddToken(t.Context(), APIToken{Name: "wall", Role: grid.RoleViewer, Wall: true, Expires: b.clock().Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	by, _, err := b.Who(secret)
	if err != nil {
		t.Fatal(err)
	}
	stream, release := b.Hold(t.Context(), by)
	defer release()
	if stream.Err() != nil {
		t.Fatal("ended before it was revoked")
	}
	if _, err := b.RevokeToken(t.Context(), "wall"); err != nil {
		t.Fatal(err)
	}
	<-stream.Done()
}

func TestWeakPasswordsAreRefused(t *testing.T) {
	for _, weak := range []string{"", "elevenchars", "password1234", "Passw0rd!!!!", "123456789012", "qwertyqwerty", "admin2026!!!", "changning2026", "zhangweizhangwei", "aaaaaaaaaaab", strings.Repeat("ab1!Z", 60)} {
		if CheckPassword(weak, "zhangwei", "") == nil {
			t.Errorf("%q was taken", weak)
		}
	}
	for _, good := range []string{strong, "愚园路上的三只白猫不怕大雨", OneTimePassword()} {
		if err := CheckPassword(good, "zhangwei", ""); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestWhoGuessesIsSlowedAndNobodyElse(t *testing.T) {
	b := newBook(t)
	b.add("lin", grid.RoleOperator)
	try := func(from, password string) error {
		_, err := b.SignOn(t.Context(), Try{Name: "lin", Password: password, From: from})
		return err
	}
	var slow *Slowed
	for i := range 3 {
		if err := try("203.0.113.9", "wrong"); grid.CodeOf(err) != grid.Unauthorized {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	if err := try("203.0.113.9", strong); !errors.As(err, &slow) || slow.After != time.Second {
		t.Errorf("the fourth at once: %v, want a wait of a second, also with the right password", err)
	}
	if err := try("10.1.0.7", strong); err != nil {
		t.Errorf("from the desk meanwhile: %v", err)
	}
	var waits []time.Duration
	for range 12 {
		b.pass(longestWait)
		if err := try("203.0.113.9", "wrong"); grid.CodeOf(err) != grid.Unauthorized {
			t.Fatal(err)
		}
		if err := try("203.0.113.9", "wrong"); errors.As(err, &slow) {
			waits = append(waits, slow.After)
		}
	}
	for i := range waits {
		if want := min(longestWait, 2*time.Second<<i); waits[i] != want {
			t.Errorf("waits %v: want each twice the one before, up to %s", waits, longestWait)
			break
		}
	}
	b.pass(longestWait)
	if err := try("203.0.113.9", strong); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	if err := try("203.0.113.9", "wrong"); grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("after a sign-on the count begins anew: %v", err)
	}
}

func TestAFloodOfTriesNeverKeepsADeskOut(t *testing.T) {
	b := newBook(t, mustPrefix(t, "10.1.0.0/16"))
	b.add("lin", grid.RoleOperator)
	b.add("wen", grid.RoleOperator)
	b.on("wen", "192.0.2.4") // signs on from home too: known there
	hashed, refused := 0, 0
	for i := range 10_000 {
		_, err := b.SignOn(t.Context(), Try{Name: []string{"lin", "wen", "nobody"}[i%3], Password: "wrong", From: fmt.Sprintf("203.0.%d.%d", i/250%250, i%250)})
		var slow *Slowed
		switch {
		case errors.As(err, &slow):
			refused++
		case grid.CodeOf(err) == grid.Unauthorized:
			hashed++
		default:
			t.Fatal(err)
		}
	}
	if hashed > strangeBurst || hashed+refused != 10_000 {
		t.Errorf("%d passwords were worked out, %d refused: want at most %d at one moment", hashed, refused, strangeBurst)
	}
	for name, from := range map[string]string{"lin": "10.1.0.7", "wen": "192.0.2.4"} {
		if _, err := b.SignOn(t.Context(), Try{Name: name, Password: strong, From: from}); err != nil {
			t.Errorf("%s from %s during the flood: %v", name, from, err)
		}
	}
	if len(b.tries.struck) > mostStrikes+2 {
		t.Errorf("%d are remembered", len(b.tries.struck))
	}
}

func mustPrefix(t *testing.T, s string) Network {
	t.Helper()
	var p Network
	if err := p.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOneTimeCodesAreAskedForAndNoneIsGoodTwice(t *testing.T) {
	if got := totpAt([]byte("12345678901234567890"), 1111111109/30); got != "081804" { // RFC 6238, appendix B
		t.Fatalf("code of the RFC's time is %s", got)
	}
	b := newBook(t)
	b.add("lin", grid.RoleOperator)
	s := b.on("lin", "10.0.0.5")
	text, uri, err := b.TOTPBegin(t.Context(), s.Session.ID, "gridgate")
	if err != nil || !strings.HasPrefix(uri, "otpauth://totp/gridgate:lin?") {
		t.Fatal(uri, err)
	}
	secret, err := base32Bare.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	code := func() string { return totpAt(secret, uint64(b.clock().Unix())/30) }
	b.on("lin", "10.0.0.5") // not confirmed: not asked for
	if _, err := b.TOTPConfirm(t.Context(), s.Session.ID, "000000"); grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("a wrong code confirms: %v", err)
	}
	recovery, err := b.TOTPConfirm(t.Context(), s.Session.ID, code())
	if err != nil || len(recovery) != recoveryCodes {
		t.Fatal(recovery, err)
	}
	try := func(code string) error {
		_, err := b.SignOn(t.Context(), Try{Name: "lin", Password: strong, Code: code, From: "10.0.0.5"})
		return err
	}
	if err := try(""); grid.CodeOf(err) != grid.CodeWanted {
		t.Errorf("without a code: %v", err)
	}
	if err := try(code()); grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("the code that confirmed is good again: %v", err)
	}
	b.pass(30 * time.Second)
	if err := try(code()); err != nil {
		t.Errorf("the next code: %v", err)
	}
	if err := try(code()); grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("a code is good twice: %v", err)
	}
	b.pass(time.Hour)
	if err := try(strings.ToUpper(recovery[3])); err != nil {
		t.Errorf("a recovery code: %v", err)
	}
	if err := try(recovery[3]); grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("a recovery code is good twice: %v", err)
	}
	raw, _ := os.ReadFile(b.path + "-wal")
	if strings.Contains(string(raw), text) || strings.Contains(string(raw), recovery[4]) {
		t.Error("the file has a secret")
	}
	if err := b.TOTPEnd(t.Context(), s.Session.ID, "10.0.0.5", "wrong"); err == nil {
		t.Error("codes were taken off without the password")
	}
	if err := b.TOTPEnd(t.Context(), s.Session.ID, "10.0.0.5", strong); err != nil {
		t.Fatal(err)
	}
	if err := try(""); err != nil {
		t.Error(err)
	}
}

func TestTheFirstAdminIsMadeOnce(t *testing.T) {
	b := newBook(t)
	first, err := b.First(t.Context())
	if err != nil || len(first) < 20 {
		t.Fatal(first, err)
	}
	if again, err := b.First(t.Context()); err != nil || again != "" {
		t.Errorf("made again: %q, %v", again, err)
	}
	s, err := b.SignOn(context.Background(), Try{Name: "admin", Password: first, From: "127.0.0.1"})
	if err != nil || !s.User.MustChange {
		t.Fatal(s, err)
	}
	if _, _, err := b.Who(s.Secret); grid.CodeOf(err) != grid.ChangeWanted {
		t.Errorf("works with the one-time password: %v", err)
	}
	if err := b.ChangePassword(t.Context(), s.Session.ID, "127.0.0.1", first, strong); err != nil {
		t.Fatal(err)
	}
	if by, _, err := b.Who(s.Secret); err != nil || by.Standing() != grid.RoleAdmin {
		t.Error(by, err)
	}
}
