package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // what authenticator apps know
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// codes are a person's one-time codes, RFC 6238: six digits, a step of 30 s, one step of
// tolerance to either side.
type codes struct {
	On       bool     `json:"on,omitempty"` // confirmed: asked for from now on
	Sealed   []byte   `json:"sealed"`
	Step     uint64   `json:"step,omitempty"`     // the last that was used: none up to it is good again
	Recovery [][]byte `json:"recovery,omitempty"` // SHA-256, of those that are left
}

const (
	totpStep      = 30 * time.Second
	recoveryCodes = 10
)

var base32Bare = base32.StdEncoding.WithPadding(base32.NoPadding)

// totpAt is the code of a step.
func totpAt(secret []byte, step uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], step)
	m := hmac.New(sha1.New, secret)
	m.Write(b[:])
	sum := m.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}

// TOTPBegin makes a secret for a person's app. Codes are asked for once one was confirmed.
func (a *Accounts) TOTPBegin(ctx context.Context, session, issuer string) (secret, uri string, err error) {
	if a.o.Keys == nil {
		return "", "", grid.Errorf(grid.Unavailable, "one-time codes: there is no key file to seal their secrets")
	}
	var raw [20]byte
	rand.Read(raw[:])
	err = a.changeOwn(ctx, session, func(u *userRow) error {
		if u.Codes != nil && u.Codes.On {
			return grid.Errorf(grid.Conflict, "one-time codes are asked for already: want them taken off first")
		}
		sealed, err := a.o.Keys.Seal(raw[:], "totp "+u.ID)
		if err != nil {
			return err
		}
		u.Codes = &codes{Sealed: sealed}
		secret = base32Bare.EncodeToString(raw[:])
		label := url.PathEscape(issuer + ":" + u.Name)
		uri = "otpauth://totp/" + label + "?" + url.Values{"secret": {secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}.Encode()
		return nil
	})
	return secret, uri, err
}

// changeOwn changes the account of a session.
func (a *Accounts) changeOwn(ctx context.Context, session string, change func(*userRow) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.sessions[session]
	if s == nil || a.users[s.User] == nil {
		return errNoSession()
	}
	u := *a.users[s.User]
	if err := change(&u); err != nil {
		return err
	}
	if err := a.save(ctx, &u); err != nil {
		return err
	}
	a.users[u.ID] = &u
	return nil
}

// TOTPConfirm asks for codes from now on, and gives recovery codes, once.
func (a *Accounts) TOTPConfirm(ctx context.Context, session, code string) (recovery []string, err error) {
	err = a.changeOwn(ctx, session, func(u *userRow) error {
		if u.Codes == nil || u.Codes.On {
			return grid.Errorf(grid.Conflict, "no secret waits to be confirmed")
		}
		c := *u.Codes
		if err := a.takeStep(u.ID, &c, code); err != nil {
			return err
		}
		c.On, c.Recovery = true, nil
		for range recoveryCodes {
			made := OneTimePassword()[:11]
			sum := sha256.Sum256([]byte(made))
			recovery, c.Recovery = append(recovery, made), append(c.Recovery, sum[:])
		}
		u.Codes = &c
		return nil
	})
	if err != nil {
		return nil, err
	}
	return recovery, nil
}

// takeStep uses up the step of a code.
func (a *Accounts) takeStep(user string, c *codes, code string) error {
	secret, err := a.o.Keys.Open(c.Sealed, "totp "+user)
	if err != nil {
		return err
	}
	now := uint64(a.o.Now().Unix()) / uint64(totpStep/time.Second)
	for _, step := range []uint64{now - 1, now, now + 1} {
		if step > c.Step && subtle.ConstantTimeCompare([]byte(totpAt(secret, step)), []byte(strings.ReplaceAll(code, " ", ""))) == 1 {
			c.Step = step
			return nil
		}
	}
	return grid.Errorf(grid.Unauthorized, "the code is wrong, or was used: want the one that the app shows now")
}

// useCode takes a one-time code or a recovery code, within the limits of tries.
func (a *Accounts) useCode(ctx context.Context, user, from, code string) error {
	if _, err := a.tries.begin("code "+user, from, true); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.users[user]
	if old == nil || old.Codes == nil {
		return wrong()
	}
	u, c := *old, *old.Codes
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(code))))
	if i := slices.IndexFunc(c.Recovery, func(h []byte) bool { return hex.EncodeToString(h) == hex.EncodeToString(sum[:]) }); i >= 0 {
		c.Recovery = slices.Delete(slices.Clone(c.Recovery), i, i+1)
	} else if err := a.takeStep(user, &c, code); err != nil {
		return err
	}
	u.Codes = &c
	if err := a.save(ctx, &u); err != nil {
		return err // or the same code would be good again after a crash
	}
	a.users[user] = &u
	a.tries.passed("code "+user, from)
	return nil
}

// TOTPEnd asks for no codes any more; the password says that it is the person.
func (a *Accounts) TOTPEnd(ctx context.Context, session, from, password string) error {
	a.mu.RLock()
	var u userRow
	if s := a.sessions[session]; s != nil && a.users[s.User] != nil {
		u = *a.users[s.User]
	}
	a.mu.RUnlock()
	if u.ID == "" {
		return errNoSession()
	}
	if err := a.checkPassword(ctx, &u, from, password); err != nil {
		return err
	}
	return a.changeOwn(ctx, session, func(u *userRow) error { u.Codes = nil; return nil })
}
