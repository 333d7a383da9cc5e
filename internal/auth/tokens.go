package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// API tokens: of programs, walls and standbys.

// APIToken is what a program shows.
type APIToken struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Role    grid.Role  `json:"role"`
	Scope   grid.Scope `json:"scope"`
	Unit    string     `json:"unit,omitempty" doc:"Of a technician's or a unit's: the unit acted for."`
	Wall    bool       `json:"wall,omitempty" doc:"For a screen that all see: what a viewer may, and less."`
	By      string     `json:"by"`
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires,omitzero"`
	Used    time.Time  `json:"used,omitzero"`
}

type tokenRow struct {
	APIToken
	Hash []byte `json:"hash"`

	ended chan struct{} // closed when it is revoked
	saved time.Time
}

// checkTokenRole is checkRole for what a program shows: it may be a standby too, no person is one.
func checkTokenRole(r grid.Role, scope grid.Scope, units []string) error {
	if r != grid.RoleStandby {
		return checkRole(r, scope, units)
	}
	if scope != (grid.Scope{}) || len(units) > 0 {
		return grid.Errorf(grid.Invalid, "scope or unit is given: a standby copies the whole gateway")
	}
	return nil
}

// AddToken makes a token for a program and gives it, once.
func (a *Accounts) AddToken(ctx context.Context, t APIToken) (APIToken, string, error) {
	now := a.o.Now().UTC()
	if n := len([]rune(strings.TrimSpace(t.Name))); n < 1 || n > 100 {
		return APIToken{}, "", grid.Errorf(grid.Invalid, "name has %d characters: want 1 to 100", n)
	}
	if t.Wall {
		t.Role = cmp.Or(t.Role, grid.RoleViewer)
	}
	if t.Wall && t.Role != grid.RoleViewer {
		return APIToken{}, "", grid.Errorf(grid.Invalid, "role is %q: a wall is a viewer", t.Role)
	}
	var unit []string
	if t.Unit != "" {
		unit = []string{t.Unit}
	}
	if err := checkTokenRole(t.Role, t.Scope, unit); err != nil {
		return APIToken{}, "", err
	}
	if t.Expires.IsZero() && t.Role == grid.RoleAdmin {
		return APIToken{}, "", grid.Errorf(grid.Invalid, "expires is missing: an admin's token ends")
	}
	if !t.Expires.IsZero() && !t.Expires.After(now) {
		return APIToken{}, "", grid.Errorf(grid.Invalid, "expires is %s: want a time ahead", t.Expires.Format(time.RFC3339))
	}
	secret, hash := newSecret("gt_")
	t.ID, t.Created, t.Used = newID("t_"), now.Truncate(time.Second), time.Time{}
	row := &tokenRow{APIToken: t, Hash: hash[:], ended: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, other := range a.tokens {
		if fold(other.Name) == fold(t.Name) {
			return APIToken{}, "", grid.Errorf(grid.Conflict, "token %q: there is one of this name", t.Name)
		}
	}
	if err := a.save(ctx, row); err != nil {
		return APIToken{}, "", err
	}
	a.tokens[t.ID], a.opens[hash] = row, t.ID
	return t, secret, nil
}

// Tokens are all, by name.
func (a *Accounts) Tokens() []APIToken {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := []APIToken{}
	for _, t := range a.tokens {
		out = append(out, t.APIToken)
	}
	slices.SortFunc(out, func(a, b APIToken) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// RevokeToken ends a token, by id or name.
func (a *Accounts) RevokeToken(ctx context.Context, which string) (APIToken, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tokens[which]
	for _, other := range a.tokens {
		if t == nil && fold(other.Name) == fold(which) {
			t = other
		}
	}
	if t == nil {
		return APIToken{}, grid.Errorf(grid.NotFound, "token %q: not found", which)
	}
	if err := a.save(ctx, gone{"tokens", t.ID}); err != nil {
		return APIToken{}, err
	}
	delete(a.tokens, t.ID)
	delete(a.opens, [sha256.Size]byte(t.Hash))
	close(t.ended)
	return t.APIToken, nil
}
