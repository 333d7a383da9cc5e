package auth

import (
	"testing"

	"gridgate/internal/grid"
)

func TestAStandbysTokenIsOfNoPersonAndOfTheWholeGateway(t *testing.T) {
	b := newBook(t)
	if _, _, err := b.AddUser(t.Context(), NewUser{Name: "second", Role: grid.RoleStandby}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a person who is a standby: %v", err)
	}
	if _, _, err := b.AddToken(t.Context(), APIToken{Name: "part", Role: grid.RoleStandby, Scope: grid.Scope{Street: "310105001"}}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a standby of one street: %v", err)
	}
	_, secret, err := b.AddToken(t.Context(), APIToken{Name: "second", Role: grid.RoleStandby})
	if err != nil {
		t.Fatal(err)
	}
	if by, _, err := b.Who(secret); err != nil || by.Standing() != grid.RoleStandby || by.Role != grid.RoleStandby {
		t.Errorf("it stands for %+v, %v: want a standby and nobody who may act", by, err)
	}
}
