// Package auth says who shows a bearer token or a cookie: a person with a session, a program
// with a token (Accounts), a unit, whose token stands in its registration, or whoever is at the
// machine itself, whose token is made at the first start. It also keeps what devices show
// (Vault), sealed under a key file (Keys).
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gridgate/internal/grid"
)

// minToken is the shortest token taken from a file, in characters: what can be guessed
// is no token.
const minToken = 20

// TokenFile reads a token from path, or makes one there, readable by the owner alone. It
// refuses a file that others can read.
func TokenFile(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeToken(path)
	}
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("token file: %s can be read by others (mode %#o): want 0600", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if len(token) < minToken {
		return "", fmt.Errorf("token file: %s holds %d characters: want %d or more (remove the file and one is made)", path, len(token), minToken)
	}
	return token, nil
}

// makeToken writes beside path and links into place, so that two starts at once agree on
// one token and no reader sees half of it.
func makeToken(path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	token := NewToken()
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(token + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return TokenFile(path)
	} else if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	return token, nil
}

// NewToken makes a token of 256 random bits.
func NewToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return "gg_" + base64.RawURLEncoding.EncodeToString(b[:])
}

// Keeper knows whose token it is.
type Keeper struct {
	Admin string // the administrator's token
	// Unit finds the unit with this token; Unauthorized when there is none.
	Unit func(ctx context.Context, token string) (grid.Unit, error)
	// Accounts has persons' sessions and programs' tokens. Optional.
	Accounts *Accounts
}

// Who says for whom a token stands. An admin acts as supervisor. The comparison
// takes the same time whatever the token is.
func (k *Keeper) Who(ctx context.Context, token string) (grid.Actor, error) {
	if token == "" {
		return grid.Actor{}, grid.Errorf(grid.Unauthorized, "no token: want the header \"Authorization: Bearer <token>\"")
	}
	if k.Admin != "" && same(token, k.Admin) {
		return grid.Actor{Role: grid.RoleSupervisor, Name: "admin", Account: grid.RoleAdmin}, nil
	}
	if k.Accounts != nil {
		if by, is, err := k.Accounts.Who(token); is {
			return by, err
		}
	}
	u, err := k.Unit(ctx, token)
	if err != nil {
		return grid.Actor{}, fmt.Errorf("whose token: %w", err)
	}
	return grid.Actor{Role: grid.RoleUnit, Name: u.ID, Unit: u.ID}, nil
}

// same hides even the length.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
