package auth

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"gridgate/internal/grid"
)

func TestTokenIsMadeOnceAndForTheOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "token")
	var wg sync.WaitGroup
	tokens := make([]string, 8) // many starts at once agree on one
	for i := range tokens {
		wg.Go(func() {
			var err error
			if tokens[i], err = TokenFile(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, tok := range tokens {
		if tok != tokens[0] || len(tok) < 40 {
			t.Fatalf("tokens %q: want one, long", tokens)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v: want 0600", info.Mode(), err)
	}
	left, _ := filepath.Glob(filepath.Dir(path) + "/.token-*")
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTokenThatOthersCanReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(NewToken()), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := TokenFile(path); err == nil {
		t.Error("taken: want a refusal")
	}
}

func TestShortTokenIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := TokenFile(path); err == nil {
		t.Error("an empty token taken: want a refusal")
	}
}

func TestTokenSaysWho(t *testing.T) {
	k := &Keeper{Admin: "the-admin-token", Unit: func(_ context.Context, token string) (grid.Unit, error) {
		if token == "fire-token" {
			return grid.Unit{ID: "fire-1"}, nil
		}
		return grid.Unit{}, grid.Errorf(grid.Unauthorized, "nobody's")
	}}
	if who, err := k.Who(t.Context(), "the-admin-token"); err != nil || who.Role != grid.RoleSupervisor {
		t.Errorf("admin is %+v, %v", who, err)
	}
	if who, err := k.Who(t.Context(), "fire-token"); err != nil || who != (grid.Actor{Role: grid.RoleUnit, Name: "fire-1", Unit: "fire-1"}) {
		t.Errorf("unit is %+v, %v", who, err)
	}
	for _, token := range []string{"", "wrong"} {
		if who, err := k.Who(t.Context(), token); grid.CodeOf(err) != grid.Unauthorized {
			t.Errorf("token %q is %+v, %v: want unauthorized", token, who, err)
		}
	}
	if _, err := (&Keeper{Unit: k.Unit}).Who(t.Context(), ""); grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("an empty admin token lets an empty token in: %v", err)
	}
}
