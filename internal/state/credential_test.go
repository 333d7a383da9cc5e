package state

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

func TestEveryFieldOfACredentialComesBack(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	ctx := t.Context()
	first, second, other := filled[grid.Credential](), filled[grid.Credential](), filled[grid.Credential]()
	second.ID, second.Created = "second", first.Created.Add(1)
	other.ID, other.Device, other.Fingerprint = "other", "sn:other", ""
	commit(t, s, &Batch{Credentials: []grid.Credential{second, first, other}})
	commit(t, s, &Batch{Credentials: []grid.Credential{first}}) // the same again changes nothing
	same := func(what string, got []grid.Credential, err error, want ...grid.Credential) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: what was written and what came back (+):\n%s", what, d)
		}
	}
	got, err := s.Credentials(ctx, first.Device)
	same("of the device", got, err, first, second)
	got, err = s.CredentialsOf(ctx, first.Fingerprint)
	same("of the certificate", got, err, first, second)
	got, err = s.CredentialsOf(ctx, "")
	same("of no certificate", got, err, []grid.Credential(nil)...)
	one, err := s.Credential(ctx, "other")
	same("by id", []grid.Credential{one}, err, other)
	if _, err := s.Credential(ctx, "none"); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("one that is not there: %v, want not_found", err)
	}
	n := 0
	if err := s.AllCredentials(ctx, func(*grid.Credential) { n++ }); err != nil || n != 3 {
		t.Errorf("all are %d, %v: want 3", n, err)
	}
}
